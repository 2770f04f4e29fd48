"""Random parameters of a network from one draw."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxnet import mlp
from jaxnet.layers import Layer


def random_params(
    key: jax.Array, sizes: tuple[int, ...], *, gain: float = 1.0, bias: float = 0.0
) -> tuple[Layer, ...]:
    """Parameters of `mlp(sizes)`: weights of variance gain/n_in, biases of deviation `bias`.

    One draw for all arrays, which compiles several times as fast as a draw for each of them.
    """
    zeros, _ = mlp(sizes, initializer="zeros").init(key)
    flat, unravel = ravel_pytree(zeros)
    normals = unravel(jax.random.normal(key, flat.shape, flat.dtype))
    return tuple(
        Layer(np.sqrt(gain / layer.w.shape[0]) * layer.w, bias * jnp.asarray(layer.b))
        for layer in normals
    )
