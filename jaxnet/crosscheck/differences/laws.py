"""Whether draws follow a law: Kolmogorov–Smirnov distances and shares, with the odds of chance."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import ndtr

from jaxnet.crosscheck.differences.difference import Check

Law = Callable[[np.ndarray], np.ndarray]


def normal(sigma: float) -> Law:
    """N(0, σ²)."""
    return lambda x: ndtr(x / sigma)


def truncated(s: float) -> Law:
    """N(0, s²) cut at ±2s; its own deviation is 0.8796 s."""
    inside = ndtr(2.0) - ndtr(-2.0)
    return lambda x: np.clip((ndtr(x / s) - ndtr(-2.0)) / inside, 0, 1)


def uniform(limit: float) -> Law:
    """U(−limit, limit)."""
    return lambda x: np.clip((x + limit) / (2 * limit), 0, 1)


KEPT = float(np.sqrt(1 - 4 * np.exp(-2.0) / np.sqrt(2 * np.pi) / (ndtr(2.0) - ndtr(-2.0))))
"""Deviation of a standard normal cut at ±2: σ² = 1 − 2·2φ(2)/(Φ(2) − Φ(−2)), so 0.87963."""


def distance(sample: Any, law: Law) -> tuple[float, float]:
    """Kolmogorov–Smirnov distance, and the one that chance exceeds once in a million.

    P(D > d) ≤ 2 e^(−2nd²), Massart 1990.
    """
    x = np.sort(np.asarray(sample, np.float64).ravel())
    n = len(x)
    expected = law(x)
    steps = np.arange(n + 1) / n
    apart = float(max(np.max(steps[1:] - expected), np.max(expected - steps[:-1])))
    return apart, float(np.sqrt(np.log(2e6) / (2 * n)))


def follows(claim: str, sample: Any, law: Law) -> Check:
    """The sample is of this law, as far as its size tells."""
    apart, bound = distance(sample, law)
    return Check(claim, "agree", apart <= bound, apart, 0.0, bound)


def does_not_follow(claim: str, sample: Any, law: Law) -> Check:
    """The sample is of another law: chance would come so far less than once in a million times."""
    apart, bound = distance(sample, law)
    return Check(claim, "differ", apart > bound, apart, "> bound", bound)


def share_as_predicted(claim: str, left: Any, right: Any, told: tuple[float, float]) -> Check:
    """Two shares of many draws, each within five deviations of what its law gives."""
    shares = [np.mean(side) for side in (left, right)]
    bounds = [
        5 * np.sqrt(p * (1 - p) / np.size(side))
        for p, side in zip(told, (left, right), strict=True)
    ]
    near = all(
        abs(share - p) <= bound for share, p, bound in zip(shares, told, bounds, strict=True)
    )
    apart = abs(shares[0] - shares[1]) > sum(bounds)
    return Check(
        claim, "predicted", bool(near and apart), float(abs(shares[0] - shares[1])),
        abs(told[0] - told[1]), float(sum(bounds)),
    )  # fmt: skip
