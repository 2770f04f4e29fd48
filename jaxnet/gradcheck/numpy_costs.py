"""Checking the gradient of a NumPy function, by a complex step where that can be."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxnet.gradcheck.differences import default_eps
from jaxnet.gradcheck.examine import Examination, examine, not_deterministic
from jaxnet.gradcheck.outcome import Arrays, GradientCheck, summarise
from jaxnet.gradcheck.slopes import NOISES, Values
from jaxnet.validation import check_positive

TINY = (1e-20, 3e-20)
"""Two imaginary steps, not a power of two apart, so that the results are rounded differently."""

TERMS = 1000
"""Roundings that a gradient given in float64 may have gone through."""

PROBES = 3
"""Random directions along which the complex step must agree with differences to be believed."""


def check_numpy(
    cost: Callable[[np.ndarray], Any],
    theta: Any,
    grad: Any,
    *,
    eps: float | None = None,
) -> GradientCheck:
    """Check the gradient of a NumPy function at every coordinate.

    dθᵢ ≈ Im J(θ + iε eᵢ) / ε   where J is analytic, else (J(θ + ε eᵢ) − J(θ − ε eᵢ)) / 2ε

    The complex step subtracts nothing and sees errors down to rounding. It is right only for what
    is analytic and keeps the imaginary part (no abs, real, conj, no comparison that matters), so it
    is tried, and believed if along three random directions it gives what differences give: an
    error it made would hide from all three with a probability below (0.8 τ/‖error‖)³. Otherwise,
    and whenever eps is given, two-sided differences are taken, as in `gradient_check`.

    cost: array like theta ↦ number. theta: float64, any shape. grad: dθ in the shape of theta.
    Returns a GradientCheck; its mode says "complex step" or "differences", and fields and verdict
    are those of `gradient_check`. Raises ValueError for shapes that differ, a cost that is not
    scalar, not deterministic or changes its argument, and values that are not finite.
    Source: notes §5, gradient checking; Squire and Trapp 1998.

    >>> check = check_numpy(lambda t: np.sum(np.tanh(t)), np.zeros(3), np.ones(3))
    >>> check.verdict, check.mode
    ('correct', 'complex step')
    """
    theta = np.array(theta, float)
    given = np.asarray(grad, float)
    if given.shape != theta.shape:
        raise ValueError(f"grad: expected the shape of theta, {theta.shape}, got {given.shape}")
    if theta.size == 0:
        raise ValueError("theta: expected at least one parameter, got none")
    given = given.ravel()
    bad = int(np.sum(~np.isfinite(given)))
    if bad:
        raise ValueError(f"grad: expected finite values, got {bad} NaN or infinite gradients")
    if eps is not None:
        check_positive("eps", eps)
    arrays = Arrays(["theta"], [theta.shape])
    unit = float(np.finfo(float).eps)
    here = _evaluate(cost, theta)
    if _evaluate(cost, theta) != here and np.isfinite(here):
        raise not_deterministic(_real(here), _real(_evaluate(cost, theta)))
    base = default_eps(np.float64)
    if eps is None and np.isfinite(here) and _is_analytic(cost, theta, unit):
        found = _by_complex_step(cost, theta, given, unit, here)
        return summarise(found, given, arrays, eps=TINY[0], unit=unit, mode="complex step")
    reach = np.abs(theta.ravel())
    steps = base * np.maximum(1, reach) if eps is None else np.full(theta.size, float(eps))
    groups = np.zeros(theta.size, int)
    found = examine(
        _values(cost, theta), given, steps, 8 * unit * reach, groups, unit, adapt=eps is None
    )
    base = base if eps is None else float(eps)
    return summarise(found, given, arrays, eps=base, unit=unit, mode="differences")


def _evaluate(cost: Callable[[np.ndarray], Any], at: np.ndarray) -> Any:
    """cost(at), which must be one number and leave `at` alone."""
    mine = at.copy()
    value = np.asarray(cost(mine))
    if value.size != 1:
        raise ValueError(f"cost: expected a function with a scalar value, got shape {value.shape}")
    if not np.array_equal(mine, at, equal_nan=True):
        raise ValueError("cost: expected a function that leaves its argument alone, it changed it")
    return value.reshape(())[()]


def _real(value: Any) -> float:
    if np.iscomplexobj(value):
        raise TypeError("cost: expected a real value for a real argument, got a complex one")
    return float(value)


def _values(cost: Callable[[np.ndarray], Any], theta: np.ndarray) -> Values:
    def values(lines, t):
        flat = theta.ravel()
        places = flat[lines] + t
        found = np.empty(len(lines))
        for index, (line, place) in enumerate(zip(lines, places, strict=True)):
            moved = flat.copy()
            moved[line] = place
            found[index] = _real(_evaluate(cost, moved.reshape(theta.shape)))
        return found, places - flat[lines]

    return values


def _imaginary(cost: Callable[[np.ndarray], Any], at: np.ndarray, eps: float) -> float:
    """Im J / ε, NaN for a function that drops the imaginary part or cannot take one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
            value = _evaluate(cost, at)
    except TypeError:  # math.exp and its like, and what NumPy has for real numbers only
        return float("nan")
    return float(np.imag(value)) / eps if np.iscomplexobj(value) else float("nan")


def _is_analytic(cost: Callable[[np.ndarray], Any], theta: np.ndarray, unit: float) -> bool:
    """Whether the complex step gives, along random directions, what differences give."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(PROBES, *theta.shape))
    slopes = np.array([_imaginary(cost, theta + 1j * TINY[0] * v, TINY[0]) for v in directions])
    if not np.all(np.isfinite(slopes)):
        return False

    def values(lines, t):
        moved = [theta + step * directions[line] for line, step in zip(lines, t, strict=True)]
        return np.array([_real(_evaluate(cost, at)) for at in moved]), t

    reach = max(float(np.sqrt(np.mean(theta**2))), unit)
    every = np.arange(PROBES)
    steps = np.full(PROBES, default_eps(np.float64) * max(1.0, reach))
    found = examine(values, slopes, steps, 0 * steps + 8 * unit * reach, 0 * every, unit)
    return not (found.disagrees.any() or found.excluded.any())


def _by_complex_step(
    cost: Callable[[np.ndarray], Any],
    theta: np.ndarray,
    given: np.ndarray,
    unit: float,
    here: float,
) -> Examination:
    """Slopes by two imaginary steps, whose difference is their rounding error."""
    slopes = np.empty((2, theta.size))
    for row, eps in enumerate(TINY):
        for k in range(theta.size):
            moved = theta.astype(complex)
            moved.flat[k] += 1j * eps
            slopes[row, k] = _imaginary(cost, moved, eps)
    bad = int(np.sum(~np.isfinite(slopes[0])))
    if bad:
        raise ValueError(f"cost: expected finite values, got {bad} NaN or infinite gradients")
    scale = max(np.max(np.abs(given)), np.max(np.abs(slopes)))
    deviation = float(np.sqrt(np.mean((slopes[0] - slopes[1]) ** 2)))
    allowance = np.full(theta.size, NOISES * deviation + TERMS * unit * scale)
    nothing = np.zeros(theta.size, bool)
    return Examination(
        slope=slopes[0],
        allowance=allowance,
        caught=2 * allowance,
        excluded=nothing,
        disagrees=np.abs(given - slopes[0]) > allowance,
        retried=nothing,
        steps=np.full(theta.size, TINY[0]),
        noise=unit * abs(float(here)) / np.sqrt(12),
    )
