"""Losses of single examples, from logits. The caller takes the mean: cost = mean + penalty.

Taking logits instead of probabilities is what keeps cost and gradient finite and right at
|logit| = 1e4, where σ(z) has long been rounded to 0 or 1.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, Num

from jaxnet.types import Scalar
from jaxnet.validation import check_labels


def _check_same_shape(outputs: Array, y: Array, outputs_name: str) -> None:
    if outputs.shape != y.shape:
        hint = ""
        if y.ndim == outputs.ndim + 1 and y.shape[-1] == 1:
            hint = "; drop y's last axis with y[:, 0]"
        elif outputs.ndim == 2 and y.ndim == 1:
            hint = "; several output units need softmax_cross_entropy or targets of their own"
        raise ValueError(
            f"y: expected the shape of {outputs_name}, {outputs.shape}, got {y.shape}{hint}"
        )


def _over_units(losses: Array) -> Array:
    return losses if losses.ndim < 2 else losses.reshape(losses.shape[0], -1).sum(axis=1)


def binary_cross_entropy(
    logits: Inexact[Array, "..."], y: Num[Array, "..."]
) -> Inexact[Array, "..."]:
    """Cross-entropy of a yes-or-no label, from the logit z = wᵀx + b.

    L(a, y) = −(y log a + (1−y) log(1−a)) with a = σ(z), which is
    L = y·log(1 + e^(−z)) + (1−y)·log(1 + e^z)

    because log σ(z) = −log(1 + e^(−z)). Neither this nor its derivative −y·σ(−z) + (1−y)·σ(z)
    subtracts nearly equal numbers, as σ(z) − y does when the prediction is good.

    logits, y: (m,) for a model of one output unit, or (m, n_out) with a label for each unit, whose
    losses are summed; y in [0, 1]. Returns the loss of each example (m,), in nats.
    Raises ValueError when the shapes differ: (m,) against (m, 1) is never broadcast.
    Source: notes §2, logistic regression cost function (figs. 5, 7).

    >>> binary_cross_entropy(jnp.array([0.0, 1e4]), jnp.array([1, 0]))
    Array([6.931472e-01, 1.000000e+04], dtype=float32)
    """
    _check_same_shape(logits, y, "logits")
    target = y.astype(logits.dtype)
    return _over_units(target * jax.nn.softplus(-logits) + (1 - target) * jax.nn.softplus(logits))


def softmax_cross_entropy(
    logits: Inexact[Array, "..."], y: Num[Array, "..."]
) -> Inexact[Array, "m"]:
    """Cross-entropy of one label among K classes, from the logits.

    L = −log softmax(z)_y = log Σₖ e^(zₖ) − z_y

    logits: (m, K); y: integer labels (m,) in 0 … K−1. Returns the loss of each example (m,), nats.
    Raises ValueError or TypeError for labels of another shape, kind or range (the range is seen
    only outside jit; `fit` looks at it for you. Inside, optax would return NaN for a label of K
    and take −1 for the last class).
    Source: the several-class form of the notes' §2 loss.

    >>> softmax_cross_entropy(jnp.array([[0.0, 0.0]]), jnp.array([1]))
    Array([0.6931472], dtype=float32)
    """
    if logits.ndim != 2:
        raise ValueError(
            f"logits: expected shape (m, K), got {logits.shape}; a model with one output unit goes "
            f"with binary_cross_entropy or squared_error"
        )
    if y.shape != logits.shape[:1]:
        raise ValueError(
            f"y: expected integer labels of shape {logits.shape[:1]}, got {y.shape}; one-hot rows "
            f"become labels with y.argmax(1)"
        )
    check_labels("y", y, logits.shape[1])
    # The row's maximum is taken off before the logarithm: log Σ e^z − z_y, both near 1e4, would
    # leave nothing of a loss of 1e-3.
    return -jnp.take_along_axis(jax.nn.log_softmax(logits, axis=1), y[:, None], axis=1)[:, 0]


def squared_error(outputs: Inexact[Array, "..."], y: Num[Array, "..."]) -> Inexact[Array, "m"]:
    """Half the squared error.

    L(ŷ, y) = ½ (ŷ − y)², summed over the output units where there are several

    outputs, y: (m,) or (m, n_out), in the target's units. Returns the loss of each example (m,).
    The ½ is the notes'; scikit-learn has it too, torch and Keras do not, and both take the mean
    over output units as well.
    Raises ValueError when the shapes differ: (m,) against (m, 1) is never broadcast.
    Source: notes §2, logistic regression cost function (fig. 5).

    >>> squared_error(jnp.array([3.0]), jnp.array([1.0]))
    Array([2.], dtype=float32)
    """
    _check_same_shape(outputs, y, "outputs")
    return _over_units(jnp.square(outputs - y.astype(outputs.dtype)) / 2)


def cost(per_example: Inexact[Array, "m"], penalty: Scalar = 0.0) -> Inexact[Array, ""]:
    """Cost of m examples: J = (1/m) Σ L⁽ⁱ⁾ + penalty (notes §2, fig. 6).

    >>> cost(jnp.array([1.0, 3.0]))
    Array(2., dtype=float32)
    """
    return per_example.mean() + penalty
