"""How one phase of one step is judged: what is compared, and with which bound."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxnet.crosscheck.bounds import tolerance
from jaxnet.crosscheck.comparison import Comparison, compare, default_bound
from jaxnet.crosscheck.lockstep.pairs import Step
from jaxnet.crosscheck.lockstep.training import Arrays, Record

SHOWN = ("batch", "start", "forward", "state")
"""Phases of which a record may show as much as it likes; of the gradients and the updated
parameters both sides must show the same."""

CANCELLED = 100.0
"""Rounding that a gradient may consist of where its sum cancels altogether, as that of a bias in
front of batch norm does: in units u of the largest entry of all gradients of the step."""

AMPLIFIED = 30.0
"""How much further apart one step may leave two runs than it found them, where neither follows:
three times what correct pairs showed at worst. A mistake shows as a jump over powers of ten."""


def bounds_of_phase(
    step: Step, phase: str, given: Any, errors: Record, terms: float | int | None, drift: float
) -> dict[str, Any]:
    """The bound of every array of a phase that both sides show.

    given: the user's, one number or one for each array. Else derived errors, where there are any.
    Else u·terms·scale a side (`comparison.default_bound`); but for updated parameters u·terms
    belongs to the change only,

        |W_left − W_right| ≤ (u_left + u_right)·(2|W| + terms·max|ΔW|)

    as W + ΔW rounds once, and a start that is rounded to a coarser dtype once more; and a gradient
    has CANCELLED units of the largest gradient of the step beside its own. What one side
    hands from one step to its next is not rounded at all. drift: see `drifted`.
    """
    assert step.left is not None and step.right is not None
    handed_on = phase == "start" and step.number > 1 and step.follows
    largest = max((_scale(a, a) for a in step.right.get("gradient", {}).values()), default=0.0)
    bounds: dict[str, Any] = {}
    for name, right in step.right[phase].items():
        left = step.left[phase].get(name)
        if left is None or left.shape != right.shape:
            continue
        said = given.get(name) if isinstance(given, Mapping) else given
        if said is not None:
            bounds[name] = said
            continue
        real = left.dtype.kind == "f" and right.dtype.kind == "f"
        bound: Any = default_bound(left, right, terms=terms)
        unit = default_bound(_one(left), _one(right), terms=1) if real else 0.0
        if handed_on:
            bound = 0.0
        elif real and name in errors.get(phase, {}):
            bound = tolerance(errors[phase][name], left.dtype, right.dtype)
        elif real and phase == "update" and shape_of(step.before, name) == right.shape:
            change = float(np.max(np.abs(right - np.asarray(step.before[name])), initial=0.0))
            relative = default_bound(_one(left), _one(right), terms=terms)
            bound = 2 * unit * np.abs(right.astype(float)) + relative * change
        elif real and phase == "gradient":
            bound = bound + CANCELLED * unit * largest
        if real and drift:
            bound = bound + drift * _scale(left, right)
        bounds[name] = np.where(np.isfinite(bound), bound, 0.0)
    return bounds


def drifted(previous: Step | None) -> float:
    """What is allowed beside the scale for drift between runs that do not follow one another.

    AMPLIFIED times as far as the parameters and states of the step before were apart beside their
    scale, but never more than u^½, half the digits of the coarser dtype: beyond that the step that
    brings it is reported, as rounding cannot be told from a mistake any more.
    """
    if previous is None or previous.left is None or previous.right is None:
        return 0.0
    apart, unit = 0.0, 0.0
    for phase in ("update", "state"):
        left, right = previous.left.get(phase, {}), previous.right.get(phase, {})
        for name in left.keys() & right.keys():
            one, other = left[name], right[name]
            if one.shape == other.shape and one.dtype.kind == other.dtype.kind == "f" and one.size:
                scale = _scale(one, other)
                furthest = float(np.max(np.abs(one.astype(float) - other.astype(float))))
                apart = max(apart, furthest / scale if scale else 0.0)
                unit = max(unit, float(np.finfo(one.dtype).eps), float(np.finfo(other.dtype).eps))
    return min(AMPLIFIED * apart, unit**0.5)


def _one(array: np.ndarray) -> Any:
    return array.dtype.type(1)


def _scale(left: np.ndarray, right: np.ndarray) -> float:
    sizes = [np.abs(side[np.isfinite(side)].astype(float)) for side in (left, right)]
    return float(max(np.max(size, initial=0.0) for size in sizes))


def shape_of(arrays: Arrays, name: str) -> tuple[int, ...] | None:
    return np.shape(arrays[name]) if name in arrays else None


def _names(left: Arrays, right: Arrays, phase: str) -> list[str]:
    """Names of the arrays to compare, in the right's order."""
    both = [name for name in right if name in left]
    return both if phase in SHOWN else [*right, *(name for name in left if name not in right)]


def compare_phase(step: Step, phase: str, bounds: Mapping[str, Any]) -> Comparison | None:
    """The comparison of a phase, or None if there is no array of it to compare."""
    assert step.left is not None and step.right is not None
    left, right = step.left[phase], step.right[phase]
    names = _names(left, right, phase)
    if not names:
        return None
    found = compare(
        {name: left[name] for name in names if name in left},
        {name: right[name] for name in names if name in right},
        bound={name: bounds.get(name, 0.0) for name in names},
    )
    # compare calls a leaf by its place in a tree, ['dW1']; here every array has a name.
    bare = tuple(leaf._replace(name=leaf.name[2:-2]) for leaf in found.leaves)
    return found._replace(leaves=bare)


def unshown(step: Step) -> tuple[str, ...]:
    """What one side shows and the other does not, which cannot be compared."""
    assert step.left is not None and step.right is not None
    notes = []
    for phase in {**step.right, **step.left}:
        left, right = step.left.get(phase, {}), step.right.get(phase, {})
        if phase not in SHOWN and phase in step.left and phase in step.right:
            continue
        for side, mine, other in (("run_a", left, right), ("run_b", right, left)):
            alone = [name for name in mine if name not in other]
            if alone:
                notes.append(f"{phase}: {', '.join(alone)} not compared, only {side} shows it")
    return tuple(notes)


def kink_between(step: Step) -> str:
    """The first Z with another sign on either side, though both are 0 within the bound, or "".

    The derivative of ReLU there is 0 on one side and 1 on the other, and both are right.
    """
    assert step.left is not None and step.right is not None
    left, right = step.left.get("forward", {}), step.right.get("forward", {})
    for name in right:
        if name.startswith("Z") and name in left and left[name].shape == right[name].shape:
            other = np.sign(left[name]) != np.sign(right[name])
            if other.any():
                return f"{name}{[int(i) for i in np.argwhere(other)[0]]}"
    return ""
