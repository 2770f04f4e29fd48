"""Slopes of a function along lines, each with a measured bound on its own error.

A line is a direction in parameter space: a coordinate, or a random vector. What is measured along
it are values f(t), t the distance moved; from these come, with a step s,

D(s) = (f(s) − f(−s)) / 2s                       the two-sided slope
G(s) = (f(s) − f(0))/s − (f(0) − f(−s))/s        the gap between the two one-sided slopes

Where f is smooth D(s) − f' = s² f‴/6 and G(s) = s f″. Where f has a kink of jump J at a distance
x·s, 0 ≤ x < 1, and slope on either side, D(s) is off by J(1 − x)/2 and G(s) = J(1 − x).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Values = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(lines (p,), displacements (p,)) ↦ (values of f (p,), displacements after rounding (p,))"""

NOISES = 8.0
"""Standard deviations of the rounding error that are allowed for.

Of a Gaussian 1e-15 lie beyond; the room is for σ being an estimate, from few lines, for all.
"""

CAUGHT = 2.33
"""Standard deviations below which 99 % of a Gaussian lie (one-sided)."""


class Probe(NamedTuple):
    """Two-sided slope and gap between the one-sided slopes of several lines, for one step each."""

    slope: np.ndarray
    gap: np.ndarray


def probe(values: Values, here: float, lines: np.ndarray, steps: np.ndarray) -> Probe:
    """D(s) and G(s); by the displacements that rounding left, not those that were asked for."""
    f, moved = values(np.concatenate([lines, lines]), np.concatenate([steps, -steps]))
    (up, down), (right, left) = np.split(f, 2), np.split(moved, 2)
    if np.any(right <= 0) or np.any(left >= 0):
        raise ValueError(
            f"eps: expected a step that changes the parameters, got {np.min(steps):.3g}, which "
            f"rounding swallows; leave eps out"
        )
    with np.errstate(invalid="ignore", over="ignore"):
        slope = (up - down) / (right - left)
        return Probe(slope, (up - here) / right - (down - here) / left)


def spread(wide: Probe, narrow: Probe) -> np.ndarray:
    """Bound on the truncation error of D(s), kinks included, from the steps s and s/2.

    2 |D(s) − D(s/2)| + ½ |G(s) − 2 G(s/2)|

    Smooth: the first term is 1.5 times the error s² f‴/6, the second vanishes. One kink at x·s:
    from x = 1/2 on the first term is twice the error J(1 − x)/2. Nearer, the terms are Jx and
    ½J|1 − 3x|; their sum is the error itself up to x = 1/3 and more beyond. So no place of the
    kink escapes, also not x = 1/3, where G halves as if f were smooth.
    """
    with np.errstate(invalid="ignore"):
        return 2 * np.abs(wide.slope - narrow.slope) + 0.5 * np.abs(wide.gap - 2 * narrow.gap)


def deviation(noise: np.ndarray | float, steps: np.ndarray) -> np.ndarray:
    """Standard deviation of D(s) when that of f is σ: σ√2/2s."""
    return noise / (np.sqrt(2) * steps)


def noises(values: Values, lines: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Standard deviation of the rounding error of f, measured along each line.

    σ² = mean T² / C(8, 4),   T the fourth differences of nine values, s/64 apart

    A fourth difference keeps (s/64)⁴ f⁗ of what is smooth, which is nothing beside rounding, and
    multiplies the variance of the noise by 1 + 16 + 36 + 16 + 1 = 70. The nine lie in s/4 … 3s/8:
    off a kink at 0, and so close that few straddle another.
    Source: Moré and Wild 2011, Estimating computational noise.
    """
    offsets = np.outer(steps / 64, np.arange(16, 25))
    f, _ = values(np.repeat(lines, 9), offsets.ravel())
    fourth = np.diff(f.reshape(-1, 9), n=4, axis=1)
    return np.sqrt(np.mean(fourth**2, axis=1) / 70)


def ratio(error: float, size: float) -> float:
    """error / size, infinite beside nothing."""
    return error / size if size > 0 else float("inf")
