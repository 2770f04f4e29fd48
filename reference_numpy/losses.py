"""Losses of one example, their gradients, and the cost of m examples (notes, figs. 5 and 6).

Columns are examples. A loss returns one number per example, shape (m,); its gradient has the
shape of the first argument, column i holding the derivative of the loss of example i. The factor
1/m belongs to the cost and appears in none of them.
"""

import numpy as np
from numpy.typing import ArrayLike

from reference_numpy._arrays import Array, array, require, require_matrix, require_shape
from reference_numpy.activations import sigmoid, softmax


def binary_cross_entropy(A: ArrayLike, Y: ArrayLike) -> Array:
    """Binary cross-entropy of predicted probabilities.

    L(a, y) = −(y log a + (1 − y) log(1 − a)),  with 0 · log 0 = 0

    A: probabilities (1, m). Y: labels (1, m) in [0, 1]. Returns (m,); infinite where a certain
    prediction is wrong. Raises ValueError for other shapes or values outside [0, 1].
    Source: notes, Logistic Regression Cost Function (figs. 5 and 7).

    >>> binary_cross_entropy([[0.5, 1.0]], [[0, 1]]).round(3) + 0.0
    array([0.693, 0.   ])
    """
    A, Y = _probabilities(A, Y, rows=1)
    with np.errstate(divide="ignore"):
        positive = np.multiply(Y, np.log(A, where=Y != 0, out=np.zeros_like(A)))
        negative = np.multiply(1 - Y, np.log1p(-A, where=Y != 1, out=np.zeros_like(A)))
    return -(positive + negative)[0]


def binary_cross_entropy_gradient(A: ArrayLike, Y: ArrayLike) -> Array:
    """Derivative of the binary cross-entropy by the predicted probability.

    dL/da = −y/a + (1 − y)/(1 − a),  with 0/0 = 0

    A: probabilities (1, m). Y: labels (1, m) in [0, 1]. Returns (1, m).
    Raises ValueError for other shapes or values outside [0, 1].
    Source: notes, Logistic Regression Gradient Descent (fig. 12).

    >>> binary_cross_entropy_gradient([[0.5, 1.0]], [[0, 1]])
    array([[ 2., -1.]])
    """
    A, Y = _probabilities(A, Y, rows=1)
    with np.errstate(divide="ignore"):
        positive = np.divide(Y, A, where=Y != 0, out=np.zeros_like(A))
        negative = np.divide(1 - Y, 1 - A, where=Y != 1, out=np.zeros_like(A))
    return negative - positive


def binary_cross_entropy_from_logits(Z: ArrayLike, Y: ArrayLike) -> Array:
    """Binary cross-entropy of a = σ(z), computed from z so that it stays finite and exact.

    L(σ(z), y) = log(1 + e^z) − y z = max(z, 0) − y z + log(1 + e^(−|z|))

    Z: logits (1, m). Y: labels (1, m) in [0, 1]. Returns (m,).
    Raises ValueError for other shapes or labels outside [0, 1].
    Source: notes, Logistic Regression Cost Function (fig. 5), with fig. 4 put in.

    >>> binary_cross_entropy_from_logits([[-1e4, 1e4]], [[1, 1]])
    array([10000.,     0.])
    """
    Z, Y = _matrices("Z", Z, Y, rows=1)
    above, size = np.where(np.real(Z) > 0, Z, 0), np.where(np.real(Z) > 0, Z, -Z)
    return (above - Y * Z + np.log1p(np.exp(-size)))[0]


def binary_cross_entropy_from_logits_gradient(Z: ArrayLike, Y: ArrayLike) -> Array:
    """Derivative of the binary cross-entropy by the logit.

    dL/dz = σ(z) − y = a − y

    Z: logits (1, m). Y: labels (1, m) in [0, 1]. Returns (1, m).
    Raises ValueError for other shapes or labels outside [0, 1].
    Source: notes, Logistic Regression Gradient Descent (fig. 12).

    >>> binary_cross_entropy_from_logits_gradient([[0.0, -1e4]], [[0, 1]])
    array([[ 0.5, -1. ]])
    """
    Z, Y = _matrices("Z", Z, Y, rows=1)
    return sigmoid(Z) - Y


def softmax_cross_entropy(A: ArrayLike, Y: ArrayLike) -> Array:
    """Cross-entropy of predicted class probabilities.

    L(a, y) = −Σₖ yₖ log aₖ,  with 0 · log 0 = 0

    A: probabilities (K, m). Y: one-hot labels (K, m), or columns that sum to 1. Returns (m,).
    Raises ValueError for other shapes, values outside [0, 1] or columns of Y that do not sum to 1.
    Source: the loss of notes fig. 5 for K classes.

    >>> softmax_cross_entropy([[0.25], [0.75]], [[1], [0]]).round(3)
    array([1.386])
    """
    A, Y = _probabilities(A, Y)
    _require_distributions(Y)
    with np.errstate(divide="ignore"):
        log_A = np.log(A, where=Y != 0, out=np.zeros_like(A))
    return -np.sum(Y * log_A, axis=0)


def softmax_cross_entropy_gradient(A: ArrayLike, Y: ArrayLike) -> Array:
    """Derivative of the cross-entropy by the predicted class probabilities.

    ∂L/∂aₖ = −yₖ / aₖ,  with 0/0 = 0

    The probabilities are taken as free, not as bound to sum to 1.

    A: probabilities (K, m). Y: one-hot labels (K, m), or columns that sum to 1. Returns (K, m).
    Raises ValueError as `softmax_cross_entropy` does.
    Source: the derivative of `softmax_cross_entropy`.

    >>> softmax_cross_entropy_gradient([[0.25], [0.75]], [[1], [0]]) + 0.0
    array([[-4.],
           [ 0.]])
    """
    A, Y = _probabilities(A, Y)
    _require_distributions(Y)
    with np.errstate(divide="ignore"):
        return -np.divide(Y, A, where=Y != 0, out=np.zeros_like(A))


def softmax_cross_entropy_from_logits(Z: ArrayLike, Y: ArrayLike) -> Array:
    """Cross-entropy of a = softmax(z), computed from z so that it stays finite and right.

    L = −Σₖ yₖ log aₖ,  log aₖ = zₖ − max z − log Σⱼ e^(zⱼ − max z)

    Z: logits (K, m). Y: one-hot labels (K, m), or columns that sum to 1. Returns (m,).
    Raises ValueError for other shapes, labels outside [0, 1] or columns that do not sum to 1.
    Source: the loss of notes fig. 5 for K classes.

    >>> softmax_cross_entropy_from_logits([[1e4], [-1e4]], [[0], [1]])
    array([20000.])
    """
    Z, Y = _matrices("Z", Z, Y)
    _require_distributions(Y)
    shifted = Z - np.max(np.real(Z), axis=0, keepdims=True)
    log_A = shifted - np.log(np.sum(np.exp(shifted), axis=0, keepdims=True))
    return -np.sum(Y * log_A, axis=0)


def softmax_cross_entropy_from_logits_gradient(Z: ArrayLike, Y: ArrayLike) -> Array:
    """Derivative of the cross-entropy by the logits.

    ∂L/∂zₖ = softmax(z)ₖ − yₖ = aₖ − yₖ

    Z: logits (K, m). Y: one-hot labels (K, m), or columns that sum to 1. Returns (K, m).
    Raises ValueError as `softmax_cross_entropy_from_logits` does.
    Source: notes fig. 40, dZ[L] = A[L] − Y.

    >>> softmax_cross_entropy_from_logits_gradient([[0.0], [0.0]], [[1], [0]])
    array([[-0.5],
           [ 0.5]])
    """
    Z, Y = _matrices("Z", Z, Y)
    _require_distributions(Y)
    return softmax(Z) - Y


def squared_error(A: ArrayLike, Y: ArrayLike) -> Array:
    """Squared error, halved, summed over the outputs of an example.

    L(ŷ, y) = ½ Σₖ (ŷₖ − yₖ)²

    A: predictions (n, m). Y: targets (n, m). Returns (m,). Raises ValueError for other shapes.
    Source: notes, Logistic Regression Cost Function (fig. 5).

    >>> squared_error([[3.0]], [[1.0]])
    array([2.])
    """
    A, Y = _matrices("A", A, Y, labels=False)
    return np.sum((A - Y) ** 2, axis=0) / 2


def squared_error_gradient(A: ArrayLike, Y: ArrayLike) -> Array:
    """Derivative of the squared error by the prediction.

    ∂L/∂ŷₖ = ŷₖ − yₖ

    A: predictions (n, m). Y: targets (n, m). Returns (n, m).
    Raises ValueError for other shapes.
    Source: the derivative of `squared_error`.

    >>> squared_error_gradient([[3.0]], [[1.0]])
    array([[2.]])
    """
    A, Y = _matrices("A", A, Y, labels=False)
    return A - Y


def cost(losses: ArrayLike):
    """Cost of m examples: the mean of their losses.

    J = (1/m) Σᵢ L⁽ⁱ⁾

    losses: array (m,). Returns a number, complex only if the losses are.
    Raises ValueError if there is no example or the array is not a vector.
    Source: notes, Logistic Regression Cost Function (fig. 6).

    >>> float(cost([1.0, 3.0]))
    2.0
    """
    losses = array(losses)
    fine = losses.ndim == 1 and losses.size > 0
    require(fine, "losses", "one loss per example, shape (m,)", f"shape {losses.shape}")
    return np.sum(losses) / losses.size


def _matrices(name, values, Y, *, rows=None, labels=True):
    values, Y = array(values), array(Y)
    require_matrix(name, values)
    require_shape("Y", Y, values.shape)
    require(rows is None or len(Y) == rows, name, f"{rows} row(s)", f"shape {values.shape}")
    fine = not labels or np.all((Y >= 0) & (Y <= 1))
    require(fine, "Y", "labels in [0, 1]", "others")
    return values, Y


def _probabilities(A, Y, *, rows=None):
    A, Y = _matrices("A", A, Y, rows=rows)
    require(np.all((np.real(A) >= 0) & (np.real(A) <= 1)), "A", "probabilities in [0, 1]", "others")
    return A, Y


def _require_distributions(Y):
    sums = np.sum(Y, axis=0)
    require(np.allclose(sums, 1, rtol=0, atol=1e-9), "Y", "columns that sum to 1", f"sums {sums}")
