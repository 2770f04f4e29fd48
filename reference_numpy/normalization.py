"""Normalisation of inputs (notes: Normalizing Inputs, figs. 56 to 58)."""

import numpy as np
from numpy.typing import ArrayLike

from reference_numpy._arrays import Array, array, require, require_matrix, require_shape


def fit(X: ArrayLike) -> tuple[Array, Array]:
    """Mean and standard deviation of every feature of the training set.

    μ = (1/m) Σᵢ x⁽ⁱ⁾,  σ² = (1/m) Σᵢ (x⁽ⁱ⁾ − μ)²

    A feature that is constant over the training set gets σ = 1, so that `apply` leaves it at 0.

    X: training examples (n, m). Returns mu and sigma, both (n, 1).
    Raises ValueError for another shape or values that are not finite.
    Source: notes, Normalizing Inputs (fig. 56); σ² is of the centred X.

    >>> fit([[1.0, 3.0], [5.0, 5.0]])
    (array([[2.],
           [5.]]), array([[1.],
           [1.]]))
    """
    X = array(X)
    require_matrix("X", X)
    require(np.all(np.isfinite(X)), "X", "finite values", "NaN or infinity")
    m = X.shape[1]
    mu = np.sum(X, axis=1, keepdims=True) / m
    sigma = np.sqrt(np.sum((X - mu) ** 2, axis=1, keepdims=True) / m)
    # Rounding of μ can make the σ of a constant feature tiny instead of 0, so compare the values.
    constant = np.ptp(X, axis=1, keepdims=True) == 0
    return mu, np.where(constant, 1.0, sigma)


def apply(X: ArrayLike, mu: ArrayLike, sigma: ArrayLike) -> Array:
    """Normalise examples, of any set, with the statistics of the training set.

    X := (X − μ) / σ

    The notes divide by σ² (figs. 56 and 57); unit variance takes σ.

    X: (n, m). mu, sigma: from `fit`, (n, 1). Returns an array (n, m).
    Raises ValueError for other shapes or a σ that is not positive.
    Source: notes, Normalizing Inputs (figs. 56 and 57, corrected).

    >>> apply([[1.0, 3.0, 4.0]], [[2.0]], [[0.5]])
    array([[-2.,  2.,  4.]])
    """
    X, mu, sigma = array(X), array(mu), array(sigma)
    require_matrix("X", X)
    require_shape("mu", mu, (X.shape[0], 1))
    require_shape("sigma", sigma, (X.shape[0], 1))
    require(np.all(sigma > 0), "sigma", "positive numbers", sigma)
    return (X - mu) / sigma
