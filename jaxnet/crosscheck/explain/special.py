"""Differences that no prediction of the left reproduces: NaN, overflow, lost digits."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxnet.crosscheck.equations.locate import residual
from jaxnet.crosscheck.explain.guess import Pair
from jaxnet.crosscheck.explain.surroundings import Known, Surroundings

LARGEST = 88.0
"""e^x overflows beyond 88.7 in float32 (709 in float64)."""


class Special(NamedTuple):
    """Like a guess, with the residual that is left where the two can be compared."""

    name: str
    detail: str
    cost: float
    after: float


def special(pair: Pair, around: Surroundings, known: Known) -> Iterator[Special]:
    """NaN or infinity on the left alone; a difference of the size of a coarser rounding."""
    del known
    left, right = pair.left, pair.right
    if left.shape != right.shape or left.dtype.kind != "f":
        return
    bad = ~np.isfinite(left) & np.isfinite(right)
    if bad.any():
        yield from _not_finite(left, right, bad, around)
        return
    yield from _lost_digits(left, right, around)


def _not_finite(left, right, bad, around: Surroundings) -> Iterator[Special]:
    rest = residual(left[~bad], right[~bad]) if (~bad).any() else 0.0
    count = f"{int(np.isnan(left[bad]).sum())} NaN and {int(np.isinf(left[bad]).sum())} infinite"
    found = False
    for name, array in around.arrays.items():
        if array.dtype.kind not in "fiu" or array.size == 0 or array is right:
            continue
        size = np.abs(array[np.isfinite(array)])
        if size.size and size.max() > LARGEST:
            found = True
            what = "overflow" if np.isnan(left[bad]).any() else "saturation"
            detail = f"{count} entries; {name} reaches {size.max():.3g}, beyond what exp can take"
            yield Special(what, detail, 0.4, rest)
            other = "saturation" if what == "overflow" else "overflow"
            yield Special(other, detail + ", and log of what is then 0 or 1", 0.5, rest)
        for axis in range(array.ndim):
            if array.ndim > 1 and array.shape[axis] > 1 and np.any(np.ptp(array, axis=axis) == 0):
                found = True
                detail = (
                    f"{count} entries; {name} is constant along axis {axis}: its deviation is 0"
                )
                yield Special("division by zero", detail, 0.45, rest)
        if np.any(array == 0) and array.shape == left.shape and np.all(array[bad] == 0):
            found = True
            yield Special("division by zero", f"{count} entries, all where {name} is 0", 0.42, rest)
    if not found:
        for name in ("saturation", "overflow", "division by zero"):
            yield Special(name, f"{count} entries; nothing around says which", 1.5, rest)


def _lost_digits(left, right, around: Surroundings) -> Iterator[Special]:
    off = residual(left, right)
    singles = {
        side: np.array_equal(array.astype(np.float32).astype(np.float64), array)
        for side, array in (("left", left), ("right", right))
    }
    if off < 1e-4 and singles["left"] != singles["right"]:
        side = "left" if singles["left"] else "right"
        yield Special("float32 precision", f"every number on the {side} is a float32", 0.3, off)
    unit = np.finfo(np.float64).eps / 2
    for name, array in around.arrays.items():
        if array.dtype.kind != "f" or array.ndim == 0 or not np.isfinite(array).all():
            continue
        for axis in range(array.ndim):
            if array.shape[axis] < 2:
                continue
            var = np.var(array, axis=axis)
            mean = np.mean(array, axis=axis)
            worst = np.max(np.divide(mean**2, var, out=np.zeros_like(var), where=var > 0))
            # E[x²] − E[x]² is off by the rounding of mean²: a relative error u·mean²/var.
            if worst > 1e4 and unit * worst / 100 <= off <= max(100 * unit * worst, 0.0):
                detail = (
                    f"mean²/variance of {name} along axis {axis} is {worst:.2g}: a difference of "
                    f"squares is then off by {unit * worst:.1g}, and this is off by {off:.1g}"
                )
                yield Special("cancellation", detail, 0.9, off)
