"""Dense layer, inverted dropout, batch norm: pure functions of parameters and inputs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Inexact

from jaxnet.types import PRNGKey, Scalar


class BatchNormParams(NamedTuple):
    """What batch norm learns for each of n units: γ and β."""

    gamma: Float[Array, "n"]
    beta: Float[Array, "n"]


class BatchNormState(NamedTuple):
    """What batch norm remembers for each of n units: running mean and (biased) variance."""

    mean: Float[Array, "n"]
    var: Float[Array, "n"]


class Layer(NamedTuple):
    """Parameters of one layer: w (n_in, n_out), b (n_out,), and batch norm's where it is used."""

    w: Float[Array, "n_in n_out"]
    b: Float[Array, "n_out"]
    norm: BatchNormParams | None = None


def dense(layer: Layer, x: Inexact[Array, "batch n_in"]) -> Inexact[Array, "batch n_out"]:
    """Linear part of a layer.

    Z = X W + b   (the notes' Z = W X + b with examples as rows)

    Source: notes §4, forward propagation in a deep network (fig. 35).
    """
    return x @ layer.w + layer.b[None, :]


def dropout_mask(key: PRNGKey, shape: tuple[int, ...], keep_prob: Scalar) -> Bool[Array, "..."]:
    """Which units stay: True with probability keep_prob, independently."""
    return jax.random.bernoulli(key, keep_prob, shape)


def dropout(
    a: Float[Array, "*shape"], mask: Bool[Array, "*shape"], keep_prob: Scalar
) -> Float[Array, "*shape"]:
    """Inverted dropout with a given mask.

    A := A · D / keep_prob, so that the mean over masks is the undropped A and nothing is rescaled
    at evaluation. Other libraries ask for the rate, 1 − keep_prob.

    a, mask: the same shape; keep_prob in (0, 1].
    Source: notes §5, dropout regularization.

    >>> dropout(jnp.array([1.0, 2.0]), jnp.array([True, False]), 0.5)
    Array([2., 0.], dtype=float32)
    """
    # The reciprocal, as in `optimizers.adam`: XLA would take it on one device, not on several.
    return jnp.where(mask, a * (1 / keep_prob), 0)


def batch_norm(
    params: BatchNormParams, z: Float[Array, "batch n"], *, eps: Scalar = 1e-5
) -> tuple[Float[Array, "batch n"], BatchNormState]:
    """Batch norm in training: each unit normalised over the batch, then scaled and shifted.

    μ = (1/m) Σ z,   σ² = (1/m) Σ (z − μ)²,   ẑ = (z − μ)/√(σ² + ε),   z̃ = γ ẑ + β

    The variance is computed in two passes; the one-pass mean of squares minus squared mean, the
    default of flax and jax.nn.standardize, loses every digit once mean²/variance nears 1/eps.
    ε is 1e-5 here, in torch and flax; 1e-3 in keras.

    Returns z̃ and the batch's own mean and biased variance, for `update_running`.
    Source: notes, last heading; Ioffe and Szegedy 2015.
    """
    mean = z.mean(axis=0)
    centred = z - mean[None, :]
    var = jnp.square(centred).mean(axis=0)
    return _scale_and_shift(params, centred, var, eps), BatchNormState(mean, var)


def batch_norm_evaluate(
    params: BatchNormParams,
    state: BatchNormState,
    z: Float[Array, "batch n"],
    *,
    eps: Scalar = 1e-5,
) -> Float[Array, "batch n"]:
    """Batch norm at evaluation: the running statistics in place of the batch's own.

    z̃ = γ (z − μ_running)/√(σ²_running + ε) + β, each example independent of the others
    """
    return _scale_and_shift(params, z - state.mean[None, :], state.var, eps)


def _scale_and_shift(params, centred, var, eps):
    scale = params.gamma / jnp.sqrt(var + eps)
    return centred * scale[None, :] + params.beta[None, :]


def update_running(
    running: BatchNormState, batch: BatchNormState, *, decay: Scalar = 0.99
) -> BatchNormState:
    """Running statistics after one more batch.

    running := decay · running + (1 − decay) · batch, for mean and biased variance

    flax and keras count the same way (momentum=0.99 is the part kept). torch's momentum is the
    part that is new, 1 − decay, and its running variance is the unbiased one, n/(n−1) larger.
    """
    return jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, running, batch)
