"""The proof of a translation: both sides step by step on the same gradients."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnet.crosscheck.comparison import TERMS, compare
from jaxnet.crosscheck.translation.runs import Arrays, Path, keras_rates, runner
from jaxnet.crosscheck.translation.source import Schedule, Source

STEPS = 20
MOST_STEPS = 2000


class Proof(NamedTuple):
    """What the comparison of the two paths gave.

    agrees: every entry of every array within its bound at every step. steps: gradients applied.
    error: the largest difference beside the way that entry went, Σ|Δx|; bound: what was allowed
    there. rival_error: the same error for the nearest that optax has of its own, or None.
    rate_error: largest difference between the schedules, relative to the largest rate; or None.
    """

    agrees: bool
    steps: int
    error: float
    bound: float
    rival_error: float | None = None
    rate_error: float | None = None

    def __str__(self) -> str:
        sign = "≤" if self.agrees else "against"
        rates = "" if self.rate_error is None else f"; rates apart by {self.rate_error:.1e}"
        return (
            f"{self.steps} steps in float64: error {self.error:.1e} of the way, {sign} bound "
            f"{self.bound:.1e}{rates}"
        )


def _start(source: Source) -> list[np.ndarray]:
    """A matrix and a bias for each group; torch's Muon takes matrices only."""
    shapes = [(3, 4), (5, 2)] if (source.framework, source.name) == ("torch", "Muon") else None
    rng = np.random.default_rng(0)
    shapes = (shapes or [(3, 4), (4,)]) * len(source.groups)
    return [rng.uniform(0.2, 1.0, shape) * rng.choice([-1.0, 1.0], shape) for shape in shapes]


def _arguments(source: Source) -> dict[str, Any]:
    return source.groups[0].arguments


def _steps(source: Source) -> int:
    """Enough for everything that happens only now and then to happen three times."""
    a = _arguments(source)
    every = a.get("gradient_accumulation_steps") or 1
    average = (a.get("use_ema") and a.get("ema_overwrite_frequency")) or 1
    return max(STEPS, 3 * every * average)


def _gradients(source: Source, start: Arrays, steps: int) -> list[Arrays]:
    """Entries from 1 to 1e-6, signs and sizes changing from step to step.

    Where gradients are clipped, they are below the threshold and above it in turn; where a scale
    is divided out, as much larger.
    """
    a = _arguments(source)
    clip = a.get("clipnorm") or a.get("global_clipnorm") or a.get("clipvalue")
    scale = a.get("loss_scale_factor") or 1.0
    rng = np.random.default_rng(1)
    sizes = [
        rng.permutation(np.geomspace(1.0, 1e-6, array.size)).reshape(array.shape) for array in start
    ]

    def gradient(k, size):
        change = rng.uniform(0.5, 1.5, size.shape) * rng.choice([-1.0, 1.0, 1.0], size.shape)
        factor = clip * (3.0 if k % 2 else 0.3) if clip else 1.0
        return change * size * factor * scale

    return [[gradient(k, size) for size in sizes] for k in range(steps)]


def _run_optax(
    optimizer: optax.GradientTransformation, start: Arrays, gradients: list[Arrays], jit: bool
) -> Path:
    def step(values, state, arrays):
        updates, state = optimizer.update(arrays, state, values)
        return jax.tree.map(jnp.add, values, updates), state

    # For a few steps running them as they are is faster than compiling.
    step = jax.jit(step) if jit else step
    values = [jnp.asarray(array) for array in start]
    state = optimizer.init(values)
    path = [[np.asarray(array)] for array in start]
    for arrays in gradients:
        values, state = step(values, state, [jnp.asarray(g) for g in arrays])
        for kept, value in zip(path, values, strict=True):
            kept.append(np.asarray(value))
    return [np.stack(kept) for kept in path]


def _bounds(
    path: Path, magnifies: float, float32: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Per entry what rounding may come to, and the way it went.

    bound = 2u(T·max|x| + TERMS·c·Σ|Δx|) + n·u₃₂·c·Σ|Δx|: T sums x + Δx on two sides, and updates of
    up to TERMS roundings (operations times condition, see `comparison.TERMS`) each, times c, what
    the rule magnifies; n roundings to float32 on the framework's side.
    """
    unit, single = np.finfo(np.float64).eps / 2, np.finfo(np.float32).eps / 2
    share = magnifies * (2 * unit * TERMS + float32 * single)
    ways = [np.broadcast_to(np.abs(np.diff(p, axis=0)).sum(0), p.shape) for p in path]
    bounds = [
        2 * unit * len(p) * np.abs(p).max(0) + share * way
        for p, way in zip(path, ways, strict=True)
    ]
    return bounds, ways


def _worst(left: Path, right: Path, ways: Path, bounds: Path) -> tuple[float, float]:
    """Error and bound beside the way, at the entry furthest out of its bound."""
    found = (0.0, 0.0, 0.0)
    for one, two, way, bound in zip(left, right, ways, bounds, strict=True):
        error = np.abs(one - two)
        if not np.isfinite(error).all():
            return math.inf, math.nan
        ratio = error / bound
        index = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
        if ratio[index] >= found[0]:
            way_there = way[index] or 1.0
            found = (
                float(ratio[index]),
                float(error[index]) / way_there,
                float(bound[index]) / way_there,
            )
    return found[1], found[2]


def _apart(left: Path, right: Path) -> float:
    """The largest difference beside the longer of the two ways; 2 for opposite ones."""
    largest = 0.0
    for one, two in zip(left, right, strict=True):
        ways = [np.abs(np.diff(p, axis=0)).sum(0) for p in (one, two)]
        longer = np.maximum(*ways)
        apart = np.abs(one - two).max(0)
        largest = max(largest, float(np.max(apart / np.where(longer > 0, longer, 1.0))))
    return largest


def _counts(schedule: Schedule) -> list[int]:
    """The first steps, and those around every number of steps that the schedule names."""
    numbers = [
        value
        for item in schedule.arguments.values()
        for value in (item if isinstance(item, (list, tuple)) else [item])
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 1
    ]
    around = {
        round(multiple * number) + offset
        for number in numbers
        for multiple in (1, 2, 3)
        for offset in (-1, 0, 1)
    }
    # 2³⁰: where an int32 count of steps still counts.
    return sorted({count for count in around | set(range(STEPS)) if 0 <= count < 2**30})


def _compare_rates(source: Source, rate: Callable) -> tuple[bool, float]:
    """Whether our schedule and keras' agree, and the largest difference beside the largest rate.

    keras takes a cosine in float32 whatever the dtype (backend/jax/numpy.py:599): its angle, up to
    π, and five operations on it are rounded there.
    """
    schedule = _arguments(source)["learning_rate"]
    counts = _counts(schedule)
    ours = np.array([float(rate(count)) for count in counts])
    theirs = keras_rates(schedule, counts)
    unit, single = np.finfo(np.float64).eps / 2, np.finfo(np.float32).eps / 2
    share = 2 * unit * TERMS + ((math.pi + 5) * single if "Cosine" in schedule.name else 0.0)
    compared = compare(ours, theirs, bound=share * float(np.abs(theirs).max()))
    return compared.agrees, compared.leaves[0].relative_error


def prove(
    source: Source,
    optimizer: optax.GradientTransformation,
    *,
    rival: optax.GradientTransformation | None = None,
    rate: Callable | None = None,
    magnifies: float = 1.0,
    float32: int = 0,
    examples: int | None = None,
) -> Proof:
    """Compare the framework's own steps with the optax chain's, on the same gradients.

    Both start from the same arrays, a matrix and a bias per group, and take 20 steps, or as many as
    it takes to see what happens only now and then. rate: the schedule, minibatch ↦ α, by which both
    sides step; it is compared with the framework's around every number of steps that it names.
    magnifies, float32, rival: as in `Rule`. Raises ValueError where that takes more than 2,000
    steps, or where nothing moves.
    """
    steps = _steps(source)
    if steps > MOST_STEPS:
        raise ValueError(
            f"source: its averaging and accumulation take {steps} steps to be seen, more than "
            f"{MOST_STEPS}; translate it with smaller numbers of steps"
        )
    start = _start(source)
    gradients = _gradients(source, start, steps)
    jit = bool(_arguments(source).get("gradient_accumulation_steps")) or steps > 3 * STEPS
    with jax.enable_x64(True):
        right = runner(source, rate, examples)(start, gradients)
        if not all(np.diff(p, axis=0).any() for p in right):
            raise ValueError(
                f"source: with these arguments {source.framework}'s own parameters do not move in "
                f"{steps} steps, which proves nothing; give a learning rate above 0"
            )
        left = _run_optax(optimizer, start, gradients, jit)
        bounds, ways = _bounds(right, magnifies, float32)
        names = [f"array {i}" for i in range(len(start))]
        agrees = compare(
            dict(zip(names, left, strict=True)),
            dict(zip(names, right, strict=True)),
            bound=dict(zip(names, bounds, strict=True)),
        ).agrees
        error, bound = _worst(left, right, ways, bounds)
        rival_error = None
        if rival is not None:
            other = _run_optax(rival, start, gradients, jit)
            rival_error = _apart(other, right)
        rate_error = None
        if rate is not None:
            rates_agree, rate_error = _compare_rates(source, rate)
            agrees = agrees and rates_agree
    return Proof(bool(agrees), steps, error, bound, rival_error, rate_error)
