"""What the errors and the arrays of a network say about it."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from jaxnet import losses
from jaxnet.layers import Layer
from jaxnet.models import forward_pass
from jaxnet.types import Scalar, State
from jaxnet.validation import check_non_negative


def bias_variance(
    train_error: Scalar,
    dev_error: Scalar,
    base_error: Scalar = 0.0,
    *,
    bias_threshold: Scalar = 5.0,
    variance_threshold: Scalar = 5.0,
) -> Literal["bias", "variance", "both", "neither"]:
    """Name what a model suffers from, by its errors.

    high bias: train_error − base_error > bias_threshold
    high variance: dev_error − train_error > variance_threshold

    train_error, dev_error: error rates of the model. base_error: the best that is possible, such
    as people's. bias_threshold, variance_threshold: gaps that count as high. All are in one unit;
    the defaults are in per cent, so for shares give thresholds too. What is high depends on the
    problem: the thresholds are a choice. A dev error below the train error is no variance.
    Raises ValueError for an error below the base error, outside 0 … 100, or NaN.
    Source: notes §5, bias and variance (figs. 42, 43).

    >>> bias_variance(15, 16), bias_variance(15, 16, 14), bias_variance(1, 11)
    ('bias', 'neither', 'variance')
    """
    train, dev, base = float(train_error), float(dev_error), float(base_error)
    for name, error in (("train_error", train), ("dev_error", dev), ("base_error", base)):
        if not 0 <= error <= 100:
            raise ValueError(f"{name}: expected an error rate in 0 … 100 per cent, got {error}")
        if error < base:
            raise ValueError(
                f"{name}: expected at least the base error {base}, got {error}; if a model does "
                f"better, the base error is lower than thought"
            )
    check_non_negative("bias_threshold", bias_threshold)
    check_non_negative("variance_threshold", variance_threshold)
    bias = train - base > bias_threshold
    variance = dev - train > variance_threshold
    if bias and variance:
        return "both"
    if bias:
        return "bias"
    return "variance" if variance else "neither"


class DepthStatistics(NamedTuple):
    """What signals and gradients look like layer by layer; index 0 is the first layer.

    z_second_moment: mean of Z². activation_mean: mean of A (of Z for the output layer).
    dead_units: share of units whose A is 0 for every example. dz_norm: ‖dZ‖_F of the cost.
    dw_norm: ‖dW‖_F of the cost.
    """

    z_second_moment: Float[Array, "depth"]
    activation_mean: Float[Array, "depth"]
    dead_units: Float[Array, "depth"]
    dz_norm: Float[Array, "depth"]
    dw_norm: Float[Array, "depth"]


def depth_statistics(
    params: tuple[Layer, ...],
    state: State,
    x: Float[Array, "m n_in"],
    y: Num[Array, "..."],
    *,
    activation: str | Callable[[Array], Array] = "relu",
    loss: Callable[..., Array] = losses.softmax_cross_entropy,
) -> DepthStatistics:
    """Statistics of one forward and backward pass by depth, at evaluation.

    Vanishing and exploding show as moments and norms that shrink or grow by a constant factor per
    layer, a straight line on a log scale.

    params, state, activation: of an `mlp`. x (m, n_in), y: as the loss wants them. One output unit
    gives the loss outputs of shape (m,). Pure: jit and vmap compose.
    Raises ValueError for shapes that do not fit, naming the layer.
    Source: notes §5, vanishing and exploding gradients (fig. 59).
    """

    def cost(params, offsets):
        forward = forward_pass(params, state, x, activation=activation, offsets=offsets)
        outputs = forward.zs[-1]
        outputs = outputs[:, 0] if outputs.shape[1] == 1 else outputs
        return losses.cost(loss(outputs, y)), forward

    # Zeros added to each Z: the gradient with respect to them is dZ.
    offsets = [jnp.zeros((x.shape[0], layer.w.shape[1]), x.dtype) for layer in params]
    (dparams, dzs), forward = jax.grad(cost, argnums=(0, 1), has_aux=True)(params, offsets)
    outputs = [*forward.activations[1:], forward.zs[-1]]
    return DepthStatistics(
        jnp.stack([jnp.square(z).mean() for z in forward.zs]),
        jnp.stack([a.mean() for a in outputs]),
        jnp.stack([jnp.all(a == 0, axis=0).mean(dtype=x.dtype) for a in outputs]),
        jnp.stack([jnp.linalg.norm(dz) for dz in dzs]),
        jnp.stack([jnp.linalg.norm(layer.w) for layer in dparams]),
    )
