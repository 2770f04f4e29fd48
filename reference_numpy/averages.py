"""Exponentially weighted averages (notes: Exponentially Weighted Averages, figs. 64 to 67)."""

import numpy as np
from numpy.typing import ArrayLike

from reference_numpy._arrays import Array, array, require


def exponentially_weighted(theta: ArrayLike, beta: float, *, corrected: bool = False) -> Array:
    """Exponentially weighted average of a series, at every time.

    V₀ = 0,  V_t = β V_{t−1} + (1 − β) θ_t

    and, corrected for the start at 0,  V_t / (1 − βᵗ)

    theta: θ₁, …, θ_T along the first axis, (T,) or (T, …). beta: β in [0, 1).
    corrected: whether to divide by 1 − βᵗ. Returns V₁, …, V_T in the shape of theta.
    Raises ValueError for a β outside [0, 1) or an empty series.
    Source: notes, Exponentially Weighted Averages and their bias correction.

    >>> exponentially_weighted([1.0, 1.0], 0.5)
    array([0.5 , 0.75])
    >>> exponentially_weighted([1.0, 1.0], 0.5, corrected=True)
    array([1., 1.])
    """
    theta = array(theta)
    require(0 <= beta < 1, "beta", "a number in [0, 1)", beta)
    fine = theta.ndim >= 1 and len(theta) >= 1
    require(fine, "theta", "a series of one value or more", f"shape {theta.shape}")
    V = np.zeros_like(theta[0])
    averages = []
    for t, theta_t in enumerate(theta, start=1):
        V = beta * V + (1 - beta) * theta_t
        averages.append(V / (1 - beta**t) if corrected else V)
    return np.array(averages)
