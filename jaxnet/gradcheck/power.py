"""How small an error random directions find, by the distribution of what they see of it."""

from statistics import NormalDist

CONFIDENCE = 0.99


def smallest_seen(directions: int, *, confidence: float = CONFIDENCE) -> float:
    """Length of error, in units of the slope error that is noticed, that is found with confidence.

    A gradient wrong by e shows e·v along a direction v. With v ~ N(0, I) that is N(0, ‖e‖²) for
    every e, whether it sits in one coordinate or in all. A direction misses it if |e·v| ≤ τ:

    P(miss) = 2Φ(τ/‖e‖) − 1,   k directions: P(miss)^k = 1 − confidence
    ‖e‖/τ = 1 / Φ⁻¹((1 + (1 − confidence)^(1/k)) / 2)

    One direction: 80 τ. Ten: 1.1 τ. (Signs ±1 instead would hide two equal errors half the time.)

    directions: k. confidence: in (0, 1). Returns ‖e‖/τ.

    >>> [round(smallest_seen(k), 2) for k in (1, 2, 10, 20)]
    [79.79, 7.96, 1.11, 0.79]
    """
    miss = (1 - confidence) ** (1 / directions)
    return 1 / NormalDist().inv_cdf((1 + miss) / 2)
