"""Logistic regression, by the explicit loop over examples and vectorised (notes, figs. 4 to 14).

w is (n, 1), b a number, X (n, m) with one example per column, Y (1, m).
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from reference_numpy import losses
from reference_numpy._arrays import Array, array, require, require_matrix, require_shape
from reference_numpy.activations import sigmoid


def forward(w: ArrayLike, b, X: ArrayLike) -> Array:
    """Predicted probabilities.

    Z = wᵀX + b,  A = σ(Z)

    w: weights (n, 1). b: bias, a number. X: examples (n, m). Returns A (1, m).
    Raises ValueError for other shapes.
    Source: notes, Vectorization.

    >>> forward([[0.0], [0.0]], 0.0, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    array([[0.5, 0.5, 0.5]])
    """
    return sigmoid(_logits(w, b, X))


def cost(w: ArrayLike, b, X: ArrayLike, Y: ArrayLike):
    """Mean binary cross-entropy of the predictions.

    J(w, b) = −(1/m) Σᵢ (y log a + (1 − y) log(1 − a))

    w: weights (n, 1). b: bias, a number. X: examples (n, m). Y: labels (1, m).
    Returns a number. Raises ValueError for other shapes or labels outside [0, 1].
    Source: notes, Logistic Regression Cost Function (fig. 6).

    >>> round(float(cost([[0.0]], 0.0, [[1.0, 2.0]], [[0, 1]])), 6)
    0.693147
    """
    return losses.cost(losses.binary_cross_entropy_from_logits(_logits(w, b, X), Y))


def gradients(w: ArrayLike, b, X: ArrayLike, Y: ArrayLike) -> tuple[Array, float]:
    """Gradient of the cost, vectorised.

    dZ = A − Y,  dw = (1/m) X dZᵀ,  db = (1/m) Σᵢ dz⁽ⁱ⁾

    w: weights (n, 1). b: bias, a number. X: examples (n, m). Y: labels (1, m).
    Returns dw (n, 1) and db, a number. Raises ValueError for other shapes.
    Source: notes, Vectorizing Logistic Regression's Gradient Output.

    >>> gradients([[0.0]], 0.0, [[1.0, 3.0]], [[0, 1]])
    (array([[-0.5]]), 0.0)
    """
    A = forward(w, b, X)
    X, Y = array(X), array(Y)
    require_shape("Y", Y, A.shape)
    m = Y.shape[1]
    dZ = A - Y
    dw = X @ dZ.T / m
    db = np.sum(dZ) / m
    return dw, float(db)


def gradients_loop(w: ArrayLike, b, X: ArrayLike, Y: ArrayLike) -> tuple[Array, float]:
    """Gradient of the cost, by a loop over the examples and one over the features.

    dwⱼ = (1/m) Σᵢ xⱼ⁽ⁱ⁾ (a⁽ⁱ⁾ − y⁽ⁱ⁾),  db = (1/m) Σᵢ (a⁽ⁱ⁾ − y⁽ⁱ⁾)

    Every operation is on two numbers, so that the time beside `gradients` is what vectorising
    saves.

    w: weights (n, 1). b: bias, a number. X: examples (n, m). Y: labels (1, m).
    Returns dw (n, 1) and db, a number. Raises ValueError for other shapes.
    Source: notes, Logistic Regression Gradient Descent (fig. 14 and the loop below it).

    >>> gradients_loop([[0.0]], 0.0, [[1.0, 3.0]], [[0, 1]])
    (array([[-0.5]]), 0.0)
    """
    w, X, Y = array(w), array(X), array(Y)
    _require_shapes(w, b, X)
    n, m = X.shape
    require_shape("Y", Y, (1, m))
    dw, db = np.zeros((n, 1)), 0.0
    for i in range(m):
        z = float(np.asarray(b).item())
        for j in range(n):
            z += w[j, 0] * X[j, i]
        a = 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))
        dz = a - Y[0, i]
        for j in range(n):
            dw[j, 0] += X[j, i] * dz
        db += dz
    for j in range(n):
        dw[j, 0] /= m
    db /= m
    return dw, float(db)


def _logits(w, b, X):
    w, X = array(w), array(X)
    _require_shapes(w, b, X)
    return w.T @ X + b


def _require_shapes(w, b, X):
    require_matrix("X", X)
    require_shape("w", w, (X.shape[0], 1))
    require(np.size(b) == 1, "b", "a number", f"shape {np.shape(b)}")
