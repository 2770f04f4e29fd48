"""Tests of random results, with thresholds from the sample size: false alarms once in a million."""

import numpy as np
from scipy import stats

FALSE_ALARM = 1e-6
"""Probability that a right candidate fails one test. The draws are from fixed seeds, so a candidate
that draws as the reference does always passes; another pays this once, for its own numbers."""


def quantile(probability: float = FALSE_ALARM) -> float:
    """The z that |a standard normal number| exceeds with this probability."""
    return float(stats.norm.isf(probability / 2))


def binomial_fits(successes: int, trials: int, p: float) -> bool:
    """Whether a number of successes is one that a probability p gives (exact, two-sided)."""
    if p in (0.0, 1.0):
        return successes == p * trials
    return float(stats.binomtest(successes, trials, p).pvalue) >= FALSE_ALARM


def uniform_distance(u: np.ndarray) -> float:
    """Kolmogorov's distance of numbers to the uniform distribution on [0, 1]."""
    return float(stats.kstest(np.clip(np.nan_to_num(u, nan=0.0), 0, 1), "uniform").statistic)


def distance_bound(n: int) -> float:
    """What Kolmogorov's distance of n right numbers exceeds with probability FALSE_ALARM.

    P(D > d) ≤ 2 e^(−2nd²)

    Source: Massart 1990.

    >>> round(distance_bound(1000), 3)
    0.085
    """
    return float(np.sqrt(np.log(2 / FALSE_ALARM) / (2 * n)))


def deviation_interval(n: int) -> tuple[float, float]:
    """Where √(mean square) of n standard normal numbers lies, but for FALSE_ALARM."""
    low, high = stats.chi2.ppf((FALSE_ALARM / 2, 1 - FALSE_ALARM / 2), n)
    return float(np.sqrt(low / n)), float(np.sqrt(high / n))


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's, of two arrays of one size; 1 for two constants."""
    one, other = (np.ravel(a) - np.mean(a) for a in (one, other))
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.dot(one, other)) / size if size else 1.0


def correlation_bound(n: int) -> float:
    """What |correlation| of n independent pairs exceeds with probability FALSE_ALARM.

    Fisher's z of it is normal with variance 1/(n − 3).
    """
    return float(np.tanh(quantile() / np.sqrt(n - 3)))
