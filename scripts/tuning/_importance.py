"""Functional ANOVA by a fitted polynomial: shares of variance from its coefficients.

On inputs scaled to [−1, 1], evenly spread and independent, products of Legendre polynomials are
orthogonal. Of a polynomial Σ c_k Φ_k with normalised Φ_k the variance is Σ c_k² over all but the
constant, and the share of a set of terms is its part of that sum: a first-order share counts the
terms of one input alone, a total one all terms in which it occurs. The polynomial is fitted by
ridge regression; every sum over examples is kept by group, so that a bootstrap over groups only
adds and solves.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre

MAIN, MIXED = 4, 2  # highest degree of a term in one input, and of either input in one of two


class Terms(NamedTuple):
    """values: Φ (examples, terms), the constant first. used: which inputs a term is made of."""

    values: np.ndarray
    used: np.ndarray


def terms(u: np.ndarray) -> Terms:
    """All terms at inputs u (examples, inputs) in [−1, 1]."""
    examples, inputs = u.shape
    powers = np.arange(MAIN + 1)
    single = np.stack([legendre.legval(u, np.eye(MAIN + 1)[power]) for power in powers], axis=2)
    single *= np.sqrt(2 * powers + 1)  # mean square 1 on [−1, 1]
    values, used = [np.ones(examples)], [np.zeros(inputs, bool)]
    for one in range(inputs):
        for power in range(1, MAIN + 1):
            # Of an input with two values only the first power is told from the constant.
            if len(np.unique(u[:, one])) <= power:
                continue
            values.append(single[:, one, power])
            used.append(np.arange(inputs) == one)
    for one, other in combinations(range(inputs), 2):
        for power in range(1, MIXED + 1):
            for second in range(1, MIXED + 1):
                few = len(np.unique(u[:, one])) <= power or len(np.unique(u[:, other])) <= second
                if few or power + second > MIXED + 1:
                    continue
                values.append(single[:, one, power] * single[:, other, second])
                used.append(np.isin(np.arange(inputs), (one, other)))
    return Terms(np.stack(values, axis=1), np.array(used))


class Fit:
    """Ridge regression of y on the terms, by groups of examples that can be counted repeatedly."""

    def __init__(self, made: Terms, y: np.ndarray, groups: int, penalty: float):
        split = np.array_split(np.arange(len(y)), groups)
        self.used, self.penalty, self.groups = made.used, penalty, split
        self.made, self.y = made, y
        self._gram = np.stack([made.values[rows].T @ made.values[rows] for rows in split])
        self._moment = np.stack([made.values[rows].T @ y[rows] for rows in split])

    def coefficients(self, counts: np.ndarray) -> np.ndarray:
        """counts: how often each group is taken."""
        gram, moment = np.tensordot(counts, self._gram, 1), counts @ self._moment
        ridge = self.penalty * np.eye(len(gram))
        ridge[0, 0] = 0.0  # the constant is free
        return np.linalg.solve(gram + ridge, moment)

    def shares(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First-order and total share of the fitted variance of every input."""
        squares = self.coefficients(counts)[1:] ** 2
        used, alone = self.used[1:], self.used[1:].sum(axis=1) == 1
        total = squares.sum()
        return (squares[alone] @ used[alone]) / total, (squares @ used) / total

    def cross_validated(self) -> np.ndarray:
        """Sums of squares by group: of the errors of the fit to the others, and around the mean."""
        sums = []
        for place, rows in enumerate(self.groups):
            counts = np.ones(len(self.groups))
            counts[place] = 0
            errors = self.y[rows] - self.made.values[rows] @ self.coefficients(counts)
            sums.append([np.sum(errors**2), np.sum((self.y[rows] - self.y.mean()) ** 2)])
        return np.array(sums)


def r_squared(sums: np.ndarray) -> float:
    """R² from the sums of squares of `Fit.cross_validated`."""
    errors, around = sums.sum(axis=0)
    return float(1 - errors / around)
