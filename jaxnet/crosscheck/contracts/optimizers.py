"""Contracts of update rules: trajectories that carry the candidate's own state."""

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.crosscheck.comparison import as_array, compare
from jaxnet.crosscheck.contracts.contract import (
    Candidate,
    Contract,
    Part,
    Refused,
    contract_of,
    draw,
    explained,
    titled,
)
from jaxnet.crosscheck.equations import equations, follow, iterate
from jaxnet.crosscheck.equations.catalogue import optimizer
from jaxnet.crosscheck.equations.locate import agree, residual
from jaxnet.crosscheck.explain import explain
from jaxnet.crosscheck.findings import Diagnosis, Explanation
from reference_numpy import optimizers, regularizers

STEPS = 24
EPOCH = 6
"""Steps in what the trajectories take for an epoch: the learning rate falls after each."""

TERMS = 1e5
"""Allowed for over a trajectory, see `comparison.TERMS`: two dozen steps of a few roundings each,
and a quotient that turns the relative error of √S into one of the step."""


class Path(NamedTuple):
    """What a trajectory starts from: params, one gradient and learning rate per step, the rule's
    other numbers."""

    params: list[tuple[Any, ...]]
    grads: list[list[tuple[Any, ...]]]
    rates: list[float]
    numbers: dict[str, float]


def _path(seed: int, smallest: float, changing: bool, numbers: dict[str, float]) -> Path:
    """Two layers; gradients whose sizes spread evenly, on a log scale, from `smallest` to 1."""
    rng = np.random.default_rng(seed)
    shapes = (((4, 3), (4, 1)), ((2, 4), (2, 1)))
    params = [tuple(rng.standard_normal(shape) for shape in layer) for layer in shapes]

    def gradient(shape: tuple[int, ...]) -> np.ndarray:
        size = 10.0 ** rng.uniform(np.log10(smallest), 0, size=shape)
        return size * rng.choice([-1.0, 1.0], size=shape)

    # Each entry keeps a size of its own over the steps, or a large one would drown the small.
    first = [tuple(gradient(shape) for shape in layer) for layer in shapes]
    grads = [
        [tuple(g * rng.uniform(0.3, 1.7, g.shape) for g in layer) for layer in first]
        for _ in range(STEPS)
    ]
    rates = [
        0.05 * (0.7 ** (step // EPOCH) + 0.02 * (step % EPOCH)) if changing else 0.05
        for step in range(STEPS)
    ]
    return Path(params, grads, rates, numbers)


def _leaves(params: Any) -> dict[str, np.ndarray]:
    return {
        f"{letter}{layer}": as_array(f"{letter}{layer}", one)
        for layer, each in enumerate(params, start=1)
        for letter, one in zip("Wb", each, strict=True)
    }


def _walk(update: Candidate, state: Any, path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """The params after every step, stacked, and the arguments that a step has changed in place."""
    params, steps, touched = copy.deepcopy(path.params), [], {}
    for grads, rate in zip(path.grads, path.rates, strict=True):
        given = {"params": params, "grads": copy.deepcopy(grads), "state": state}
        before = _bytes(given)
        result = update(*given.values(), learning_rate=rate, **path.numbers)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise Refused(f"expected (params, state), got {type(result).__name__}")
        after = _bytes(given)
        touched |= dict.fromkeys(name for name in before if before[name] != after[name])
        params, state = result
        steps.append({name: one.copy() for name, one in _leaves(params).items()})
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}, list(touched)


def _bytes(tree: Any) -> dict[str, bytes]:
    return {
        jax.tree_util.keystr(place): np.asarray(leaf).tobytes()
        for place, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if isinstance(leaf, np.ndarray)
    }


def _trajectory(rule: str, path: Path) -> Part:
    """A part: the candidate's trajectory beside the reference's."""
    update = getattr(optimizers, f"{rule}_update")
    start = getattr(optimizers, f"{rule}_init")(path.params)

    def run(candidate: Candidate) -> Diagnosis:
        right, _ = _walk(update, copy.deepcopy(start), path)
        left, touched = _walk(candidate, copy.deepcopy(start), path)
        again, _ = _walk(candidate, copy.deepcopy(start), path)
        found, causes = [], []
        if touched:
            places = ", ".join(touched)
            found.append(f"a step changes its arguments in place: {places}")
            detail = "arguments are written to; copy them first"
            causes.append(Explanation("aliasing", 1.0, 0.0, places, detail))
        if any(not np.array_equal(left[name], again[name], equal_nan=True) for name in left):
            found.append("the same trajectory from the same state comes out otherwise again")
            detail = "something is remembered that is not in the state"
            causes.append(Explanation("not a function of its arguments", 1.0, 0.0, "", detail))
        comparison = compare(left, right, terms=TERMS)
        if not comparison.agrees:
            found.append(f"params after {_first(left, right)} of {STEPS} steps on\n{comparison}")
            causes += _causes(rule, left, right, path)
        checks = (
            f"{STEPS} steps of its own state, params within their bounds",
            "params, grads and state as they were",
            "the same trajectory again",
        )
        return Diagnosis(not found, tuple(found), tuple(causes), checks)

    return run


def _first(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> int:
    """The first step, counted from 1, at which some array is off."""
    for step in range(STEPS):
        here = [{name: one[step] for name, one in side.items()} for side in (left, right)]
        if not compare(*here, terms=TERMS).agrees:
            return step + 1
    return STEPS


def _causes(rule: str, left: Any, right: Any, path: Path) -> list[Explanation]:
    """By the equations followed over the steps; by another count of the steps; by the numbers."""
    names = tuple(right)
    called = {"b1": "beta1", "b2": "beta2"}
    start = _leaves(path.params)
    inputs: dict[str, Any] = {called.get(name, name): one for name, one in path.numbers.items()}
    inputs |= {
        "alpha": tuple(path.rates),
        "alpha_first": path.rates[0],
        "alpha_prev": (path.rates[0], *path.rates[:-1]),
        "t": tuple(range(1, STEPS + 1)),
        "epoch": tuple(1 + step // EPOCH for step in range(STEPS)),
    }
    for name in names:
        inputs |= {f"{name}_prev": start[name]}
        inputs |= {f"{moment}{name}_prev": np.zeros_like(start[name]) for moment in "vs"}
        inputs[f"d{name}"] = tuple(_leaves(grads)[name] for grads in path.grads)
    first = _first(left, right)
    # Enough steps to tell hypotheses apart that differ later, and no more: each is iterated.
    steps = min(STEPS, first + EPOCH + 2)
    shown = {name: one[:steps] for name, one in left.items()}
    causes = _counted(left, right, path, steps) if rule == "adam" else []
    causes += _whole(rule, names, shown, right, inputs, steps)
    each = [follow({name: shown[name]}, optimizer(rule, (name,)), inputs, steps) for name in names]
    causes += _gathered([one for ones in each for one in ones])
    if not causes:  # another array's gradient or average: all equations at once, which is slow
        causes = follow(shown, optimizer(rule, names), inputs, steps)
    if causes:
        return causes
    step = first - 1
    before = start if step == 0 else {name: one[step - 1] for name, one in left.items()}
    moves = [{name: side[name][step] - before[name] for name in names} for side in (left, right)]
    context = {**path.numbers, "learning_rate": path.rates[step], "t": step + 1}
    context |= {f"d{name}": one for name, one in _leaves(path.grads[step]).items()}
    return explain(*moves, context=context)


def _gathered(causes: list[Explanation]) -> list[Explanation]:
    """One of each name, with all its arrays; that of the most arrays first."""
    groups: dict[str, list[Explanation]] = {}
    for one in causes:
        groups.setdefault(one.name, []).append(one)
    return [
        ones[0]._replace(
            residual_before=max(one.residual_before for one in ones),
            residual_after=max(one.residual_after for one in ones),
            leaf=", ".join(one.leaf for one in ones),
        )
        for ones in sorted(groups.values(), key=lambda ones: -len(ones))
    ]


# Forms of whole rules in which several equations differ: the learning rate of each step is kept
# inside the average, where a later one does not reach it.
WHOLE: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "momentum": (
        (
            "stale learning rate",
            ("v{p} = beta * v{p}_prev + (1 - beta) * alpha * d{p}", "{p} = {p}_prev - v{p}"),
        ),
        (
            "stale learning rate, factor 1−β",
            ("v{p} = beta * v{p}_prev + alpha * d{p}", "{p} = {p}_prev - v{p}"),
        ),
    ),
}


def _whole(rule, names, left, right, inputs, steps: int) -> list[Explanation]:
    found: list[Explanation] = []
    for called, lines in WHOLE.get(rule, ()):
        rewritten = equations(*(line.format(p=p) for p in names for line in lines))
        other = iterate(rewritten, inputs, steps)
        if all(agree(left[name], other[name]) for name in names):
            before = max(residual(left[name], right[name][:steps]) for name in names)
            after = max(residual(left[name], other[name]) for name in names)
            detail = "; ".join(lines).format(p="W")
            found += explained(called, before, after, detail, ", ".join(names))
    return found


def _counted(left: Any, right: Any, path: Path, steps: int) -> list[Explanation]:
    """Adam with another t: for every array and step the t that gives the candidate's step."""
    b1, b2, eps = (path.numbers[name] for name in ("b1", "b2", "eps"))
    tried = range(4 * STEPS + 5)
    start, counts = _leaves(path.params), {}
    worst_before, worst_after = 0.0, 0.0
    for name, mine in left.items():
        v, s, before, predicted, count = 0.0, 0.0, start[name], [], []
        for step in range(STEPS):
            g = _leaves(path.grads[step])[name]
            v, s = b1 * v + (1 - b1) * g, b2 * s + (1 - b2) * g**2
            by_count = {
                t: before - path.rates[step] * (v / (1 - b1**t)) / (np.sqrt(s / (1 - b2**t)) + eps)
                for t in tried
            }
            # Of counts that fit alike the next; t = 0 divides by zero, as such a candidate does.
            follows = count[-1] + 1 if count else 1
            t = min(tried, key=lambda t: (residual(mine[step], by_count[t]), abs(t - follows)))
            predicted.append(by_count[t])
            count.append(t)
            before = mine[step]
        if not agree(mine, np.stack(predicted)):
            return []
        counts[name] = count
        worst_before = max(worst_before, residual(mine, right[name]))
        worst_after = max(worst_after, residual(mine, np.stack(predicted)))
    usual = list(range(1, STEPS + 1))
    off = {name: count for name, count in counts.items() if count != usual}
    if not off:
        return []
    shifts = {t - n for count in off.values() for t, n in zip(count, usual, strict=True)}
    name, count = next(iter(off.items()))
    detail = f"t of {name} runs {', '.join(map(str, count[:8]))}, …"
    # By one throughout is a start elsewhere; anything else is another way to count.
    called = "off by one in t" if shifts <= {0, 1} or shifts <= {0, -1} else "t"
    return [Explanation(called, worst_before, worst_after, ", ".join(off), detail)]


DEFAULTS: dict[str, dict[str, float]] = {
    "gradient_descent": {},
    "momentum": {"beta": 0.9},
    "rmsprop": {"beta": 0.9, "eps": 1e-8},
    "adam": {"b1": 0.9, "b2": 0.999, "eps": 1e-8},
}
OTHERS: dict[str, dict[str, float]] = {
    "gradient_descent": {},
    "momentum": {"beta": 0.83},
    "rmsprop": {"beta": 0.83, "eps": 3e-4},
    "adam": {"b1": 0.83, "b2": 0.97, "eps": 3e-4},
}


def _update_parts(rule: str) -> Iterator[Part]:
    tiny = "gradients from 1 down to 1e-6"
    paths = (
        (f"{tiny}, the usual constants", _path(1, 1e-6, True, DEFAULTS[rule])),
        (f"{tiny}, other constants", _path(2, 1e-6, True, OTHERS[rule])),
        ("one learning rate, gradients of size 1", _path(3, 0.5, False, OTHERS[rule])),
    )
    for title, path in paths:
        yield titled(title, _trajectory(rule, path))


def _init_part(rule: str) -> Part:
    reference: Callable[..., Any] = getattr(optimizers, f"{rule}_init")
    path = _path(4, 0.1, False, {})
    # A rule without a memory has a state without arrays: a number stands for it in the comparison.
    return draw(
        "two layers", reference, (path.params,), view=lambda state: {"state": state, "arrays": 0}
    )


def _penalised_parts(name: str) -> Iterator[Part]:
    reference = getattr(regularizers, name)
    for seed, (lam, m, rate) in enumerate(((1.7, 13, 0.3), (0.4, 29, 0.05), (0.0, 7, 0.2))):
        path = _path(10 + seed, 0.1, False, {})
        kwargs = {"learning_rate": rate, "lam": lam, "m": m}
        args = (path.params, path.grads[0]) if name == "weight_decay_update" else (path.params,)
        context = {"m": m, "lam": lam, "learning_rate": rate}
        yield draw(
            f"λ = {lam}, m = {m}, α = {rate}", reference, args, kwargs=kwargs, context=context
        )


def contracts() -> Iterator[Contract]:
    """`<rule>_update` and `<rule>_init` of the four rules; weight decay; the proximal step."""
    lists = "params, grads: lists of (W, b), (dW, db)"
    for rule in DEFAULTS:
        yield contract_of(
            f"optimizers.{rule}_update",
            getattr(optimizers, f"{rule}_update"),
            f"{lists}; state: optimizers.{rule}_init(params) at first, then your own "
            f"↦ (params, state).",
            _update_parts(rule),
        )
        yield contract_of(
            f"optimizers.{rule}_init",
            getattr(optimizers, f"{rule}_init"),
            "params: list of (W, b) ↦ the state before the first update.",
            [_init_part(rule)],
        )
    yield contract_of(
        "regularizers.weight_decay_update",
        regularizers.weight_decay_update,
        f"{lists} without the penalty ↦ params: (1 − αλ/m)W − α·dW, b − α·db.",
        _penalised_parts("weight_decay_update"),
    )
    yield contract_of(
        "regularizers.proximal_l1",
        regularizers.proximal_l1,
        "params: list of (W, b) ↦ params: sign(W)·max(|W| − αλ/(2m), 0), b as it is.",
        _penalised_parts("proximal_l1"),
    )
