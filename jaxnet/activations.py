"""Activation functions, elementwise but for softmax; derivatives come from jax.grad.

At their kinks jax.grad gives ReLU′(0) = 0 and leaky ReLU′(0) = 1. The notes print ReLU′(0) = 1
(fig. 24), which is a convention too; frameworks differ, training does not notice.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from jaxnet.types import Scalar


def sigmoid(z: Inexact[Array, "*shape"]) -> Inexact[Array, "*shape"]:
    """Logistic function, elementwise.

    σ(z) = 1 / (1 + e^(−z))

    z: any shape. Returns the same shape, in [0, 1]; finite for every finite z.
    Source: notes §2, logistic regression (fig. 4).

    >>> sigmoid(jnp.array([0.0]))
    Array([0.5], dtype=float32)
    """
    return jax.nn.sigmoid(z)


def tanh(z: Inexact[Array, "*shape"]) -> Inexact[Array, "*shape"]:
    """Hyperbolic tangent, elementwise.

    tanh(z) = (e^z − e^(−z)) / (e^z + e^(−z))

    z: any shape. Returns the same shape, in [−1, 1].
    Source: notes §3, activation functions (fig. 23).
    """
    return jnp.tanh(z)


def relu(z: Inexact[Array, "*shape"]) -> Inexact[Array, "*shape"]:
    """Rectified linear unit, elementwise.

    ReLU(z) = max(0, z), with ReLU′(0) = 0

    z: any shape. Returns the same shape, ≥ 0. `jnp.maximum(z, 0)` has the same values but the
    derivative ½ at 0.
    Source: notes §3, activation functions (figs. 23, 24).
    """
    return jax.nn.relu(z)


def leaky_relu(z: Inexact[Array, "*shape"], slope: Scalar = 0.01) -> Inexact[Array, "*shape"]:
    """Leaky rectified linear unit, elementwise.

    g(z) = z for z ≥ 0, slope · z below; g′(0) = 1

    z: any shape; slope: dimensionless. JAX and torch default to 0.01, keras to 0.2 or 0.3.
    Source: notes §3, activation functions (figs. 23, 24).
    """
    return jnp.where(z >= 0, z, slope * z)


def linear(z: Inexact[Array, "*shape"]) -> Inexact[Array, "*shape"]:
    """The identity, g(z) = z; a stack of linear layers is one linear map (notes §3)."""
    return z


def softmax(z: Float[Array, "*batch classes"]) -> Float[Array, "*batch classes"]:
    """Probabilities of the classes, over the last axis.

    softmax(z)ₖ = e^(zₖ) / Σⱼ e^(zⱼ), computed after subtracting the row's maximum

    z: logits. Returns the same shape, rows summing to 1; unchanged by a shift of a row.
    Source: the several-class form of σ in notes §3.

    >>> softmax(jnp.array([[0.0, 0.0]]))
    Array([[0.5, 0.5]], dtype=float32)
    """
    return jax.nn.softmax(z, axis=-1)


ACTIVATIONS: dict[str, Callable[..., Array]] = {
    "sigmoid": sigmoid,
    "tanh": tanh,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "linear": linear,
}
