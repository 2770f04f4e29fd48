"""Layers of which only the first few units live, so that networks of many widths are one program.

A layer of n units of which w are live has zeros in every weight into and out of the others, and an
activation of zero there. Neither then has a gradient, and the rest is the network of w units,
numbers drawn for initial weights and dropout included: those are taken in the order in which the
smaller network would draw them. A width may be traced, so a population of widths compiles once.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxnet.initializers import VARIANCES
from jaxnet.layers import BatchNormParams, BatchNormState, Layer
from jaxnet.types import PRNGKey, Scalar
from jaxnet.validation import check_count


def live(width: Scalar, n: int) -> Bool[Array, " n"]:
    """Which of n units live: the first `width`."""
    return jnp.arange(n) < width


def _places(rows: int, columns: int, width: Scalar) -> Int[Array, "rows columns"]:
    """Place of entry (i, j) in a row-major array of `width` columns: i·width + j."""
    places = jnp.arange(rows)[:, None] * width + jnp.arange(columns)[None, :]
    return jnp.minimum(places, rows * columns - 1)  # those beyond `width` are not looked at


def draw(
    scheme: str, key: PRNGKey, n_in: int, n_out: int, width_in: Scalar, width_out: Scalar
) -> Float[Array, "n_in n_out"]:
    """Initial weights of a layer of width_in inputs and width_out units, zero elsewhere.

    scheme: a name in `initializers.INITIALIZERS`; its variance is that of the live numbers of
    units. The live corner holds what the scheme draws for the smaller layer from the same key, to
    the last place of the scale (JAX's default generator: its numbers do not depend on how many are
    drawn). A width outside 1 … n, which a traced one may hide, gives NaN.
    """
    flat = jax.random.normal(key, (n_in * n_out,))
    fits = (width_in >= 1) & (width_in <= n_in) & (width_out >= 1) & (width_out <= n_out)
    inputs = jnp.asarray(width_in, flat.dtype)
    scale = jnp.sqrt(VARIANCES[scheme](inputs, jnp.asarray(width_out, flat.dtype)))
    w = scale * flat[_places(n_in, n_out, width_out)]
    alive = live(width_in, n_in)[:, None] & live(width_out, n_out)[None, :]
    return jnp.where(fits, jnp.where(alive, w, 0), jnp.nan)


def dropout_mask(
    key: PRNGKey, shape: tuple[int, ...], keep_prob: Scalar, width: Scalar
) -> Bool[Array, "batch n"]:
    """`layers.dropout_mask` of a layer of `width` units, in the first columns of `shape`."""
    batch, n = shape
    flat = jax.random.bernoulli(key, keep_prob, (batch * n,))
    return flat[_places(batch, n, width)]


def narrow(
    params: Sequence[Layer], state: Sequence[BatchNormState], widths: Sequence[Any]
) -> tuple[tuple[Layer, ...], tuple[BatchNormState, ...]]:
    """The smaller network itself: the live units of each hidden layer, as arrays of that size.

    params, state: of an `mlp` with these widths. widths: one whole number for each hidden layer.
    Returns params and state of `mlp((n_in, *widths, n_out))`, which computes the same.
    Raises ValueError for another number of widths, and one outside 1 … n.

    >>> layers = (Layer(jnp.ones((3, 4)), jnp.ones(4)), Layer(jnp.ones((4, 2)), jnp.ones(2)))
    >>> [layer.w.shape for layer in narrow(layers, (), (2,))[0]]
    [(3, 2), (2, 2)]
    """
    full = [layer.w.shape[1] for layer in params[:-1]]
    if len(widths) != len(full):
        raise ValueError(
            f"widths: expected one for each of the {len(full)} hidden layers, got {len(widths)}"
        )
    widths = [np.asarray(width).item() for width in widths]
    for index, (width, n) in enumerate(zip(widths, full, strict=True)):
        check_count(f"widths[{index}]", width)
        if width > n:
            raise ValueError(f"widths[{index}]: expected at most the {n} units, got {width}")
    sizes = [params[0].w.shape[0], *widths, params[-1].w.shape[1]]
    layers = []
    for layer, (n_in, n_out) in zip(params, pairwise(sizes), strict=True):
        norm = layer.norm and BatchNormParams(*(leaf[:n_out] for leaf in layer.norm))
        layers.append(Layer(layer.w[:n_in, :n_out], layer.b[:n_out], norm))
    running = [
        BatchNormState(*(leaf[:width] for leaf in layer))
        for layer, width in zip(state, widths, strict=False)
    ]
    return tuple(layers), tuple(running)
