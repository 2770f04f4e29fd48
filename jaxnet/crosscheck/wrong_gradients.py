"""Wrong gradients planted in several functions, and which gradient checkers notice them.

Every error is a factor on each coordinate, so that it can be planted in any mode and framework:
the gradient becomes M∘g, the forward derivative along t becomes f'(M∘t), and in second order the
gradient stays right and the Hessian's product with t becomes H(M∘t).
"""

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.gradcheck import gradient_check

FAULTS = ("none", "zero", "scaled by 1.1", "one coordinate off by 10 %", "sign of one leaf")
FUNCTIONS = ("mean square", "logistic cost", "tanh network", "ReLU network")
MODES = ("reverse", "forward", "second")
EXAMPLES = 16

# Units of the hidden layer and inputs so that h (n_in + 2) + 1 is the number of parameters.
NETWORKS = {10: (3, 1), 100: (9, 9), 1000: (27, 35), 10_000: (99, 99), 100_000: (271, 367)}

FULL_UP_TO = {"jaxnet, every coordinate": 10_000, "torch gradcheck, full": 1000}
"""Checkers that perturb every coordinate are run up to these sizes: beyond, they take minutes.

But for jaxnet on the mean square, whose 100,000 coordinates take half a minute.
"""


class Problem(NamedTuple):
    """A function of several arrays, and where it is checked.

    formula: (backend, arrays) ↦ scalar; the backend gives tanh, relu, mean, logaddexp and matmul.
    data: arrays beside the parameters. leaves: the parameters, float64.
    """

    formula: Callable[..., Any]
    data: dict[str, np.ndarray]
    leaves: tuple[np.ndarray, ...]


class Trial(NamedTuple):
    """One checker on one gradient, in numbers of so many bits.

    outcome: "noticed", "accepted", "inconclusive" (jaxnet alone says so), "not run" for want of
    time or "not installed".
    """

    checker: str
    mode: str
    bits: int
    function: str
    n: int
    seed: int
    fault: str
    outcome: str


class Ops(NamedTuple):
    """What the formulas need of a framework."""

    tanh: Callable[..., Any]
    relu: Callable[..., Any]
    mean: Callable[..., Any]
    softplus: Callable[..., Any]


def _mean_square(ops: Ops, data, a, b):
    return (ops.mean(a**2) + ops.mean(b**2)) / 2


def _logistic(ops: Ops, data, w, b):
    z = data["x"] @ w + b
    return ops.mean(ops.softplus(z) - data["y"] * z)


def _network(activation: str):
    def formula(ops: Ops, data, w1, b1, w2, b2):
        hidden = getattr(ops, activation)(data["x"] @ w1 + b1[None, :])
        return ops.mean((hidden @ w2 + b2 - data["y"]) ** 2) / 2

    return formula


def problem(function: str, n: int, seed: int) -> Problem:
    """The function with n parameters in all, at random parameters and data.

    n: one of the keys of NETWORKS. Raises ValueError for another function or number.
    """
    if function not in FUNCTIONS:
        raise ValueError(f"function: expected one of {FUNCTIONS}, got {function!r}")
    if n not in NETWORKS:
        raise ValueError(f"n: expected one of {tuple(NETWORKS)}, got {n}")
    rng = np.random.default_rng((seed, n, FUNCTIONS.index(function)))
    if function == "mean square":
        return Problem(_mean_square, {}, (rng.normal(size=n // 2), rng.normal(size=n - n // 2)))
    y = rng.normal(size=EXAMPLES)
    if function == "logistic cost":
        x = rng.normal(size=(EXAMPLES, n - 1))
        data = {"x": x, "y": (y > 0).astype(float)}
        return Problem(_logistic, data, (rng.normal(size=n - 1) / np.sqrt(n - 1), np.array(0.1)))
    hidden, inputs = NETWORKS[n]
    leaves = (
        rng.normal(size=(inputs, hidden)) / np.sqrt(inputs),
        rng.normal(size=hidden) / 10,
        rng.normal(size=hidden) / np.sqrt(hidden),
        np.array(0.1),
    )
    data = {"x": rng.normal(size=(EXAMPLES, inputs)), "y": y}
    return Problem(_network(function.split()[0].lower()), data, leaves)


def _in_bits(of: Problem, bits: int) -> Problem:
    dtype = {32: np.float32, 64: np.float64}[bits]
    data = {name: array.astype(dtype) for name, array in of.data.items()}
    return of._replace(data=data, leaves=tuple(leaf.astype(dtype) for leaf in of.leaves))


def factors(fault: str, leaves: tuple[np.ndarray, ...], gradient: Any, seed: int) -> Any:
    """M, a tuple like leaves. The one coordinate is drawn from the larger half of the gradient.

    (An entry that is nearly 0, off by a tenth, is no error one could see.)
    """
    ones = [np.ones(np.shape(leaf)) for leaf in leaves]
    if fault == "none":
        return tuple(ones)
    if fault == "zero":
        return tuple(np.zeros_like(one) for one in ones)
    if fault == "scaled by 1.1":
        return tuple(np.full_like(one, 1.1) for one in ones)
    if fault == "sign of one leaf":
        return (-ones[0], *ones[1:])
    if fault == "one coordinate off by 10 %":
        sizes = np.abs(np.ravel(gradient[0]))
        larger = np.flatnonzero(sizes >= np.median(sizes))
        at = np.random.default_rng(seed).choice(larger)
        ones[0].flat[at] = 1.1
        return tuple(ones)
    raise ValueError(f"fault: expected one of {FAULTS}, got {fault!r}")


JAX = Ops(jnp.tanh, jax.nn.relu, jnp.mean, jax.nn.softplus)


def jax_cost(of: Problem) -> Callable[..., Any]:
    """The right function of the leaves, each an argument."""
    data = {name: jnp.asarray(array) for name, array in of.data.items()}
    return lambda *leaves: of.formula(JAX, data, *leaves)


def _twisted(multipliers: tuple[np.ndarray, ...]) -> Callable[..., Any]:
    """The identity, with M∘t for its derivative along t."""

    @jax.custom_jvp
    def identity(*leaves):
        return leaves

    @identity.defjvp
    def _(primals, tangents):
        return primals, tuple(m * t for m, t in zip(multipliers, tangents, strict=True))

    return identity


def planted(cost: Callable[..., Any], multipliers: Any, mode: str) -> Callable[..., Any]:
    """The function with the right value, and its derivative of the mode's order wrong by M."""
    twisted = _twisted(multipliers)
    if mode != "second":
        return lambda *leaves: cost(*twisted(*leaves))

    @jax.custom_jvp
    def right_once(*leaves):
        return cost(*leaves)

    @right_once.defjvp
    def _(primals, tangents):
        everything = tuple(range(len(primals)))
        gradient = jax.grad(cost, everything)(*twisted(*primals))
        pairs = zip(gradient, tangents, strict=True)
        return cost(*primals), sum(jnp.sum(g * t) for g, t in pairs)

    return right_once


class Case(NamedTuple):
    """What a checker is given.

    cost: the right function of the tuple of leaves, jitted. gradient: the right one. multipliers:
    M. wrong: the function of the leaves, each an argument, with M planted in it.
    """

    problem: Problem
    cost: Callable[..., Any]
    gradient: tuple[Any, ...]
    multipliers: tuple[np.ndarray, ...]
    wrong: Callable[..., Any]
    mode: str
    seed: int


def _jaxnet(case: Case, *, directions: int | None) -> str:
    leaves = tuple(map(jnp.asarray, case.problem.leaves))
    key = jax.random.key(case.seed)
    if case.mode == "reverse":
        # The gradient that jax.grad of `wrong` is, given as such: one program serves every fault.
        pairs = zip(case.multipliers, case.gradient, strict=True)
        grads = tuple(m * g for m, g in pairs)
        check = gradient_check(case.cost, leaves, grads=grads, directions=directions, key=key)
    else:
        check = gradient_check(
            lambda leaves: case.wrong(*leaves),
            leaves,
            mode=case.mode,
            directions=directions,
            key=key,
        )
    if check.verdict == "inconclusive":
        return "inconclusive"
    return "accepted" if check.verdict == "correct" else "noticed"


def _check_grads(case: Case, check: Callable[..., Any]) -> str:
    """JAX's check, or chex's, which calls it; order 2 checks both orders."""
    modes = {"reverse": ("rev",), "forward": ("fwd",), "second": ("fwd", "rev")}[case.mode]
    leaves = tuple(map(jnp.asarray, case.problem.leaves))
    try:
        check(case.wrong, leaves, order=2 if case.mode == "second" else 1, modes=modes)
    except AssertionError:
        return "noticed"
    return "accepted"


def _torch(case: Case, *, fast: bool) -> str:
    import torch  # pyright: ignore[reportMissingImports]

    of, multipliers, mode = case.problem, case.multipliers, case.mode

    ops = Ops(torch.tanh, torch.relu, torch.mean, torch.nn.functional.softplus)
    data = {name: torch.tensor(array) for name, array in of.data.items()}
    twist = [torch.tensor(m) for m in multipliers]

    class Twisted(torch.autograd.Function):
        """The identity with M∘t for its derivative, one leaf at a time."""

        @staticmethod
        def forward(ctx, leaf, number):
            ctx.number = number
            return leaf.clone()

        @staticmethod
        def backward(ctx, *grads):
            return twist[ctx.number] * grads[0], None

        @staticmethod
        def jvp(ctx, *tangents):
            return twist[ctx.number] * tangents[0]

    def cost(*leaves):
        moved = [Twisted.apply(leaf, number) for number, leaf in enumerate(leaves)]
        return of.formula(ops, data, *moved)

    def gradient(*leaves):
        """Right once and wrong in its own derivative."""
        moved = [Twisted.apply(leaf, number) for number, leaf in enumerate(leaves)]
        return torch.autograd.grad(of.formula(ops, data, *moved), moved, create_graph=True)

    leaves = [torch.tensor(leaf, requires_grad=True) for leaf in of.leaves]
    options = {"check_forward_ad": True, "check_backward_ad": False} if mode == "forward" else {}
    checked = gradient if mode == "second" else cost
    with warnings.catch_warnings():
        # torch's forward mode compiles its rules with a function that torch deprecates.
        warnings.filterwarnings("ignore", "`torch.jit.*deprecated", DeprecationWarning)
        agrees = torch.autograd.gradcheck(
            checked, leaves, fast_mode=fast, raise_exception=False, **options
        )
    return "accepted" if agrees else "noticed"


def checkers() -> dict[str, Callable[[Case], str] | None]:
    """Every checker as case ↦ outcome; None where it is not installed."""
    from jax.test_util import check_grads

    found: dict[str, Callable[[Case], str] | None] = {
        "jaxnet, every coordinate": partial(_jaxnet, directions=None),
        "jaxnet, 20 directions": partial(_jaxnet, directions=20),
        "jax check_grads": partial(_check_grads, check=check_grads),
        "chex assert_numerical_grads": None,
        "torch gradcheck, fast": None,
        "torch gradcheck, full": None,
    }
    try:
        import chex  # pyright: ignore[reportMissingImports]

        found["chex assert_numerical_grads"] = partial(
            _check_grads, check=chex.assert_numerical_grads
        )
    except ImportError:
        pass
    if importlib.util.find_spec("torch"):
        found["torch gradcheck, fast"] = partial(_torch, fast=True)
        found["torch gradcheck, full"] = partial(_torch, fast=False)
    return found


def _largest(checker: str, function: str, mode: str) -> int:
    if (checker, function, mode) == ("jaxnet, every coordinate", "mean square", "reverse"):
        return 100_000
    return FULL_UP_TO.get(checker, 100_000)


def trials(
    *,
    sizes: tuple[int, ...] = (10, 100, 1000),
    seeds: tuple[int, ...] = (0, 1),
    modes: tuple[str, ...] = MODES,
    functions: tuple[str, ...] = FUNCTIONS,
    faults: tuple[str, ...] = FAULTS,
    bits: int = 64,
    which: tuple[str, ...] | None = None,
) -> Iterator[Trial]:
    """Every checker on every fault, at its own default tolerances and steps.

    bits: 64, or 32 as JAX computes unless told otherwise; torch's checks are for 64 alone.
    A checker that is absent, or too slow for the size, gives the outcome "not installed" or
    "not run".
    """
    systems = {name: check for name, check in checkers().items() if which is None or name in which}
    for n, function, seed in product(sizes, functions, seeds):
        of = _in_bits(problem(function, n, seed), bits)
        with jax.enable_x64(bits == 64):
            cost = jax_cost(of)
            jitted = jax.jit(lambda leaves, cost=cost: cost(*leaves))
            gradient = jax.jit(jax.grad(jitted))(tuple(map(jnp.asarray, of.leaves)))
        for mode, fault in product(modes, faults):
            m = tuple(
                one.astype(f"f{bits // 8}") for one in factors(fault, of.leaves, gradient, seed)
            )
            case = Case(of, jitted, gradient, m, planted(cost, m, mode), mode, seed)
            for name, check in systems.items():
                if check is None:
                    outcome = "not installed"
                elif n > _largest(name, function, mode) or (bits < 64 and "torch" in name):
                    outcome = "not run"
                else:
                    with jax.enable_x64(bits == 64):
                        outcome = check(case)
                yield Trial(name, mode, bits, function, n, seed, fault, outcome)


class Rate(NamedTuple):
    """How often a checker noticed a fault, of how many times it was run."""

    checker: str
    mode: str
    bits: int
    fault: str
    n: int | None
    noticed: int
    inconclusive: int
    run: int


def rates(of: list[Trial], *, by_size: bool = False) -> list[Rate]:
    """Trials counted by checker, mode and fault, and by n too if `by_size` (else n is None)."""
    counted: dict[tuple[str, str, int, str, int | None], list[str]] = {}
    for trial in of:
        n = trial.n if by_size else None
        place = (trial.checker, trial.mode, trial.bits, trial.fault, n)
        counted.setdefault(place, []).append(trial.outcome)
    return [
        Rate(
            *place,
            outcomes.count("noticed"),
            outcomes.count("inconclusive"),
            sum(outcomes.count(one) for one in ("noticed", "accepted", "inconclusive")),
        )
        for place, outcomes in counted.items()
    ]
