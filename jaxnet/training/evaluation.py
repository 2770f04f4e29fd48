"""Cost and error of a trained model, and its predictions."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Num

from jaxnet import losses
from jaxnet.data import Dataset
from jaxnet.models import Model
from jaxnet.training.boundary import (
    as_dataset,
    as_features,
    check_outputs,
)
from jaxnet.training.static import join, split_static
from jaxnet.types import Params, State


class Evaluation(NamedTuple):
    """How well a model does on a data set, penalty left out.

    cost: mean loss. error: the share of labels predicted wrongly, in [0, 1], when the targets are
    integers; with float targets or `squared_error` the root mean squared error, in their units.
    """

    cost: Float[Array, ""]
    error: Float[Array, ""]


def _decide(outputs: Array, loss: Callable[..., Array]) -> Array:
    """Class labels from logits: of each unit by its sign, or the largest of a row."""
    if loss is losses.binary_cross_entropy or outputs.ndim == 1:
        return (outputs > 0).astype(jnp.int32)
    return outputs.argmax(axis=-1).astype(jnp.int32)


def score(
    model: Model, params: Params, state: State, data: Dataset, loss: Callable[..., Array]
) -> Evaluation:
    """`evaluate` without its checks, for use inside a compiled run."""
    outputs, _ = model.apply(params, state, data.x)
    cost = losses.cost(loss(outputs, data.y))
    if loss is not losses.squared_error and jnp.issubdtype(data.y.dtype, jnp.integer):
        return Evaluation(cost, (_decide(outputs, loss) != data.y).astype(cost.dtype).mean())
    return Evaluation(cost, jnp.sqrt(jnp.square(outputs - data.y).mean()))


@partial(jax.jit, static_argnums=0)
def _score(static, dynamic, params, state, data):
    model, loss = join(dynamic, static)
    return score(model, params, state, data, loss)


@partial(jax.jit, static_argnums=0)
def _apply(static, dynamic, params, state, x):
    return join(dynamic, static).apply(params, state, x)[0]


def evaluate(
    model: Model,
    params: Params,
    state: State,
    data: Dataset,
    *,
    loss: Callable[..., Array] = losses.softmax_cross_entropy,
) -> Evaluation:
    """Cost and error of a model on data, with dropout off and running statistics used.

    J = (1/m) Σ L(ŷ, y), without penalty

    Raises ValueError or TypeError for data that do not fit the model or the loss.
    Source: notes §5, train, dev and test sets.
    """
    data = as_dataset("data", data)
    check_outputs("data", model, params, state, data, loss)
    dynamic, static = split_static((model, loss))
    return _score(static, dynamic, params, state, data)


def predict(
    model: Model,
    params: Params,
    state: State,
    x: ArrayLike,
    *,
    loss: Callable[..., Array] = losses.softmax_cross_entropy,
) -> Num[Array, "batch *n_out"]:
    """What a model says of each row of x: class labels, or with `loss=squared_error` its outputs.

    label = argmaxₖ zₖ with several output units; 1 if z > 0 (σ(z) > ½) else 0 with one, and for
    each unit with `loss=binary_cross_entropy`

    x: (batch, n_in). Returns int32 labels (batch,), or the outputs (batch,) or (batch, n_out).
    Probabilities are `activations.softmax` or `sigmoid` of `model.apply(params, state, x)[0]`.
    Raises ValueError for an x that does not fit the model.
    """
    dynamic, static = split_static(model)
    outputs = _apply(static, dynamic, params, state, as_features("x", x))
    return outputs if loss is losses.squared_error else _decide(outputs, loss)
