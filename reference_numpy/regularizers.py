"""L2, L1 and dropout (notes: Regularization, Dropout Regularization; figs. 44 to 52).

λ is the notes' λ: it enters the cost as λ/(2m), m being the number of training examples whatever
the batch size. Penalties touch the weights only; the gradient of a bias is 0.
"""

import numpy as np
from numpy.typing import ArrayLike

from reference_numpy._arrays import Array, Params, array, require, require_shape


def l2_cost(params: Params, lam: float, m: int):
    """L2 penalty, the sum of the squared Frobenius norms of the weights.

    λ/(2m) Σₗ ‖W[l]‖²,  ‖W‖² = Σᵢ Σⱼ wᵢⱼ²

    params: list of (W, b). lam: λ ≥ 0. m: number of training examples. Returns a number.
    Raises ValueError for a negative λ or m < 1.
    Source: notes, Regularization (figs. 44 and 46).

    >>> float(l2_cost([(np.array([[1.0, 2.0]]), np.array([[7.0]]))], lam=4.0, m=2))
    5.0
    """
    _require_strength(lam, m)
    return lam / (2 * m) * sum(np.sum(array(W) ** 2) for W, _ in params)


def l2_gradient(params: Params, lam: float, m: int) -> Params:
    """Gradient of the L2 penalty.

    dW = (λ/m) W,  db = 0

    params: list of (W, b). lam: λ ≥ 0. m: number of training examples. Returns a list of (dW, db).
    Raises ValueError for a negative λ or m < 1.
    Source: notes, Regularization (fig. 47).

    >>> l2_gradient([(np.array([[1.0, 2.0]]), np.array([[7.0]]))], lam=4.0, m=2)
    [(array([[2., 4.]]), array([[0.]]))]
    """
    _require_strength(lam, m)
    return [(lam / m * array(W), np.zeros(np.shape(b))) for W, b in params]


def l1_cost(params: Params, lam: float, m: int):
    """L1 penalty, with the notes' factor ½ that most texts leave out.

    λ/(2m) Σₗ Σᵢⱼ |wᵢⱼ|

    params: list of (W, b). lam: λ ≥ 0. m: number of training examples. Returns a number.
    Raises ValueError for a negative λ or m < 1.
    Source: notes, Regularization (fig. 45).

    >>> float(l1_cost([(np.array([[1.0, -2.0]]), np.array([[7.0]]))], lam=4.0, m=2))
    3.0
    """
    _require_strength(lam, m)
    # |w| as sign(w) w, which is analytic away from 0 and so lets the complex step through.
    return lam / (2 * m) * sum(np.sum(np.sign(np.real(W)) * array(W)) for W, _ in params)


def l1_gradient(params: Params, lam: float, m: int) -> Params:
    """Subgradient of the L1 penalty, with sign(0) = 0.

    dW = λ/(2m) sign(W),  db = 0

    params: list of (W, b). lam: λ ≥ 0. m: number of training examples. Returns a list of (dW, db).
    Raises ValueError for a negative λ or m < 1.
    Source: the derivative of the penalty in notes fig. 45.

    >>> l1_gradient([(np.array([[3.0, 0.0, -2.0]]), np.array([[7.0]]))], lam=4.0, m=2)
    [(array([[ 1.,  0., -1.]]), array([[0.]]))]
    """
    _require_strength(lam, m)
    return [(lam / (2 * m) * np.sign(array(W)), np.zeros(np.shape(b))) for W, b in params]


def proximal_l1(params: Params, *, learning_rate: float, lam: float, m: int) -> Params:
    """Proximal step of the L1 penalty: what follows a gradient step without the penalty.

    W := sign(W) max(|W| − α λ/(2m), 0),  b := b

    It makes weights exactly 0, which a step along the subgradient does not.

    params: list of (W, b) after the gradient step. learning_rate: α ≥ 0. lam: λ ≥ 0.
    m: number of training examples. Returns new params.
    Raises ValueError for a negative α or λ or m < 1.
    Source: the proximal operator of notes fig. 45 (Parikh and Boyd 2014, section 6.5.2).

    >>> step = proximal_l1(
    ...     [(np.array([[3.0, 0.5, -2.0]]), np.array([[7.0]]))], learning_rate=1.0, lam=4.0, m=2
    ... )
    >>> step[0][0] + 0.0
    array([[ 2.,  0., -1.]])
    """
    _require_strength(lam, m)
    _require_learning_rate(learning_rate)
    threshold = learning_rate * lam / (2 * m)
    return [
        (np.sign(array(W)) * np.maximum(np.abs(W) - threshold, 0), array(b).copy())
        for W, b in params
    ]


def weight_decay_update(
    params: Params, grads: Params, *, learning_rate: float, lam: float, m: int
) -> Params:
    """Gradient descent with L2 in the weight-decay form: shrink, then step.

    W := (1 − αλ/m) W − α dW,  b := b − α db

    dW is the gradient without the penalty, taken at the weights before they shrink.

    params, grads: lists of (W, b) and (dW, db). learning_rate: α ≥ 0. lam: λ ≥ 0.
    m: number of training examples. Returns new params.
    Raises ValueError for a negative α or λ, m < 1 or shapes that differ.
    Source: notes, Regularization (fig. 48).

    >>> weight_decay_update(
    ...     [(np.array([[2.0]]), np.array([[1.0]]))],
    ...     [(np.array([[1.0]]), np.array([[1.0]]))],
    ...     learning_rate=0.5, lam=4.0, m=4,
    ... )
    [(array([[0.5]]), array([[0.5]]))]
    """
    _require_strength(lam, m)
    _require_learning_rate(learning_rate)
    updated = []
    for (W, b), (dW, db) in zip(params, grads, strict=True):
        require_shape("dW", dW, np.shape(W))
        require_shape("db", db, np.shape(b))
        W = (1 - learning_rate * lam / m) * array(W) - learning_rate * array(dW)
        b = array(b) - learning_rate * array(db)
        updated.append((W, b))
    return updated


def dropout_mask(rng: np.random.Generator, shape: tuple[int, ...], keep_prob: float) -> Array:
    """Draw a dropout mask: each unit of each example is kept with probability keep_prob.

    D = (U < keep_prob),  U uniform on [0, 1)

    rng: generator; one rng.random(shape) is drawn. shape: that of A. keep_prob: in (0, 1].
    Returns a boolean array. Raises ValueError for a keep_prob outside (0, 1].
    Source: notes, Dropout Regularization.

    >>> dropout_mask(np.random.default_rng(0), (2, 3), 1.0).all()
    np.True_
    """
    require_keep_prob(keep_prob)
    return rng.random(shape) < keep_prob


def apply_mask(A: ArrayLike, mask: ArrayLike, keep_prob: float) -> Array:
    """Inverted dropout with a given mask; its own backward pass, with dA in place of A.

    A := A ∗ D / keep_prob

    A: activations (n, m), or their gradient. mask: D, the same shape, of 0 and 1.
    keep_prob: in (0, 1]. Returns an array (n, m).
    Raises ValueError for a keep_prob outside (0, 1] or a mask of another shape or other values.
    Source: notes, Dropout Regularization.

    >>> apply_mask([[1.0, 2.0]], [[True, False]], 0.5)
    array([[2., 0.]])
    """
    require_keep_prob(keep_prob)
    A, D = array(A), array(mask)
    require_shape("mask", D, A.shape)
    require(np.all((D == 0) | (D == 1)), "mask", "values 0 and 1", "others")
    return A * D / keep_prob


def dropout(rng: np.random.Generator, A: ArrayLike, keep_prob: float) -> tuple[Array, Array]:
    """Inverted dropout with a mask drawn here.

    D = (U < keep_prob),  A := A ∗ D / keep_prob

    rng: generator. A: activations (n, m). keep_prob: in (0, 1]; other libraries take the rate
    1 − keep_prob. Returns the new activations and the mask, both (n, m).
    Raises ValueError for a keep_prob outside (0, 1].
    Source: notes, Dropout Regularization.

    >>> A, mask = dropout(np.random.default_rng(0), np.ones((2, 3)), 0.5)
    >>> np.array_equal(A, 2.0 * mask)
    True
    """
    mask = dropout_mask(rng, np.shape(A), keep_prob)
    return apply_mask(A, mask, keep_prob), mask


def require_keep_prob(keep_prob: float) -> None:
    """Raise ValueError unless keep_prob is in (0, 1]."""
    require(0 < keep_prob <= 1, "keep_prob", "a probability in (0, 1]", keep_prob)


def _require_strength(lam, m):
    require(0 <= lam < np.inf, "lam", "a finite λ of 0 or more", lam)
    require(m >= 1, "m", "the number of training examples, 1 or more", m)


def _require_learning_rate(learning_rate):
    require(0 <= learning_rate < np.inf, "learning_rate", "a finite number ≥ 0", learning_rate)
