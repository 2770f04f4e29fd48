"""L-layer network: forward with caches, cost and backward (notes, figs. 25, 29 and 38 to 40).

params is a list of (W[l], b[l]), W[l] (n[l], n[l−1]) and b[l] (n[l], 1); X is (n[0], m) with one
example per column. The output and its loss belong together: sigmoid with binary cross-entropy,
softmax with cross-entropy, linear with the halved squared error. For each of the three
dZ[L] = A[L] − Y.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference_numpy import losses, regularizers
from reference_numpy._arrays import (
    Array,
    Params,
    array,
    require,
    require_known,
    require_matrix,
    require_shape,
)
from reference_numpy.activations import ACTIVATIONS, linear, sigmoid, softmax

# name of the output -> (g[L], loss from Z[L])
OUTPUTS = {
    "sigmoid": (sigmoid, losses.binary_cross_entropy_from_logits),
    "softmax": (softmax, losses.softmax_cross_entropy_from_logits),
    "linear": (linear, losses.squared_error),
}


class Cache(NamedTuple):
    """What layer l keeps for the backward pass.

    A_prev: A[l−1] after its dropout (n[l−1], m). Z: Z[l] (n[l], m). A: A[l] after its dropout
    (n[l], m). activation: name of g[l]. mask: D[l] (n[l], m), or None without dropout.
    keep_prob: that of D[l].
    """

    A_prev: Array
    Z: Array
    A: Array
    activation: str
    mask: Array | None
    keep_prob: float


def forward(
    params: Params,
    X: ArrayLike,
    *,
    hidden: str = "relu",
    output: str = "sigmoid",
    masks: Any = None,
    keep_prob: Any = 1.0,
) -> tuple[Array, list[Cache]]:
    """Forward propagation through all layers.

    A[0] = X,  Z[l] = W[l] A[l−1] + b[l],  A[l] = g[l](Z[l])

    and, in a hidden layer with a dropout mask,  A[l] := A[l] ∗ D[l] / keep_prob

    params: list of (W, b). X: examples (n[0], m). hidden: sigmoid, tanh, relu, leaky_relu or
    linear. output: sigmoid, softmax or linear. masks: one mask (n[l], m) per hidden layer, or None
    for a layer without dropout; None for no dropout at all, as at evaluation. keep_prob: in (0, 1],
    one number or one per hidden layer. Returns A[L] (n[L], m) and one Cache per layer.
    Complex X or params pass through where g is analytic.
    Raises ValueError for an unknown name, shapes that do not fit, a keep_prob outside (0, 1] or
    below 1 without a mask.
    Source: notes, Forward propagation in a Deep Network (fig. 35), Dropout Regularization.

    >>> params = [(np.ones((3, 2)), np.zeros((3, 1))), (np.ones((1, 3)), np.zeros((1, 1)))]
    >>> A, caches = forward(params, [[1.0], [-1.0]])
    >>> A, len(caches)
    (array([[0.5]]), 2)
    """
    require_known("hidden", hidden, ACTIVATIONS)
    require_known("output", output, OUTPUTS)
    A = array(X)
    require_matrix("X", A)
    L, m = len(params), A.shape[1]
    require(L >= 1, "params", "at least one (W, b)", "none")
    D = [None] * (L - 1) if masks is None else list(masks)
    require(len(D) == L - 1, "masks", f"one per hidden layer, {L - 1}", len(D))
    keep = _per_layer(keep_prob, L - 1)
    caches = []
    for layer, (W, b) in enumerate(params, start=1):
        W, b, A_prev = array(W), array(b), A
        _require_layer(layer, W, b, A_prev)
        Z = W @ A_prev + b
        if layer == L:
            A = OUTPUTS[output][0](Z)
            caches.append(Cache(A_prev, Z, A, output, None, 1.0))
            continue
        A = ACTIVATIONS[hidden][0](Z)
        mask = D[layer - 1]
        if mask is None:
            require(
                keep[layer - 1] == 1, f"masks[{layer - 1}]", "a mask, keep_prob being below 1", None
            )
        else:
            mask = array(mask)
            require_shape(f"masks[{layer - 1}]", mask, (W.shape[0], m))
            A = regularizers.apply_mask(A, mask, keep[layer - 1])
        caches.append(Cache(A_prev, Z, A, hidden, mask, keep[layer - 1]))
    return A, caches


def cost(
    params: Params,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    hidden: str = "relu",
    output: str = "sigmoid",
    masks: Any = None,
    keep_prob: Any = 1.0,
    l2: float = 0.0,
):
    """Cost of the network: the mean loss that belongs to the output, and the L2 penalty.

    J = (1/m) Σᵢ L(ŷ⁽ⁱ⁾, y⁽ⁱ⁾) + λ/(2m) Σₗ ‖W[l]‖²

    Y: labels (n[L], m), one-hot for softmax. l2: λ ≥ 0, with the m of this X. The rest as in
    `forward`. Returns a number, complex only if X or params are. Raises ValueError as `forward`.
    Source: notes, Regularization (fig. 46).

    >>> params = [(np.zeros((1, 2)), np.zeros((1, 1)))]
    >>> round(float(cost(params, [[1.0], [-1.0]], [[1]])), 6)
    0.693147
    """
    _, caches = forward(params, X, hidden=hidden, output=output, masks=masks, keep_prob=keep_prob)
    m = np.shape(X)[1]
    data_cost = losses.cost(OUTPUTS[output][1](caches[-1].Z, Y))
    return data_cost + regularizers.l2_cost(params, l2, m)


def deltas(params: Params, caches: list[Cache], Y: ArrayLike) -> list[Array]:
    """Derivative of the summed losses by the Z of every layer.

    dZ[L] = A[L] − Y

    dA[l] = W[l+1]ᵀ dZ[l+1],  with dropout dA[l] := dA[l] ∗ D[l] / keep_prob

    dZ[l] = dA[l] ∗ g[l]′(Z[l])

    Fig. 40 of the notes prints dW[L]ᵀ for W[l+1]ᵀ and g′[L] for g′[l]; here they are corrected.

    params: list of (W, b). caches: from `forward`. Y: labels (n[L], m).
    Returns the list dZ[1], …, dZ[L], each (n[l], m). Raises ValueError for shapes that do not fit.
    Source: notes, figs. 25 and 40 (corrected).

    >>> params = [(np.ones((1, 1)), np.zeros((1, 1))), (np.ones((1, 1)), np.zeros((1, 1)))]
    >>> _, caches = forward(params, [[0.0, -2.0]], hidden="linear", output="linear")
    >>> deltas(params, caches, [[1, 1]])
    [array([[-1., -3.]]), array([[-1., -3.]])]
    """
    Y = array(Y)
    require(len(caches) == len(params), "caches", f"{len(params)}, as params", len(caches))
    require_shape("Y", Y, caches[-1].A.shape)
    dZ = caches[-1].A - Y
    dZs = [dZ]
    for (W, _), cache in zip(params[:0:-1], caches[-2::-1], strict=True):
        dA = array(W).T @ dZ
        if cache.mask is not None:
            dA = regularizers.apply_mask(dA, cache.mask, cache.keep_prob)
        g_derivative = ACTIVATIONS[cache.activation][1]
        dZ = dA * g_derivative(cache.Z)
        dZs.append(dZ)
    return dZs[::-1]


def backward(
    params: Params, caches: list[Cache], Y: ArrayLike, *, l2: float = 0.0
) -> list[tuple[Array, Array]]:
    """Backward propagation: the gradient of the cost by every weight and bias.

    dW[l] = (1/m) dZ[l] A[l−1]ᵀ + (λ/m) W[l]

    db[l] = (1/m) Σᵢ dz[l]⁽ⁱ⁾,  the sum over the columns

    Fig. 40 of the notes prints A[l]ᵀ for A[l−1]ᵀ; here it is corrected. dZ is in `deltas`.

    params: list of (W, b). caches: from `forward`. Y: labels (n[L], m), one-hot for softmax.
    l2: λ ≥ 0, with the m of this Y. Returns a list of (dW, db) with the shapes of params.
    Raises ValueError for shapes that do not fit or a negative λ.
    Source: notes, figs. 25, 40 (corrected) and 47.

    >>> params = [(np.zeros((1, 2)), np.zeros((1, 1)))]
    >>> backward(params, forward(params, [[1.0], [-1.0]])[1], [[1]])
    [(array([[-0.5,  0.5]]), array([[-0.5]]))]
    """
    Y = array(Y)
    dZs = deltas(params, caches, Y)
    m = Y.shape[1]
    penalty = regularizers.l2_gradient(params, l2, m)
    grads = []
    for dZ, cache, (dW_penalty, _) in zip(dZs, caches, penalty, strict=True):
        dW = dZ @ cache.A_prev.T / m + dW_penalty
        db = np.sum(dZ, axis=1, keepdims=True) / m
        grads.append((dW, db))
    return grads


def _per_layer(keep_prob, layers):
    keep = [float(keep_prob)] * layers if np.ndim(keep_prob) == 0 else [float(k) for k in keep_prob]
    require(len(keep) == layers, "keep_prob", f"one per hidden layer, {layers}", len(keep))
    for k in keep:
        regularizers.require_keep_prob(k)
    return keep


def _require_layer(layer, W, b, A_prev):
    fine = W.ndim == 2 and W.shape[1] == A_prev.shape[0]
    require(fine, f"W[{layer}]", f"shape (n[{layer}], {A_prev.shape[0]})", f"shape {W.shape}")
    require_shape(f"b[{layer}]", b, (W.shape[0], 1))
