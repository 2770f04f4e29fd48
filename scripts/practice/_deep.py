"""Signals and gradients layer by layer in networks of many layers, as one scan over the layers.

`jaxnet.diagnostics.depth_statistics` says the same of any network, writing every layer out; of 150
layers that would be a program of 150 parts. Here the layers alternate between two widths, and the
program holds one pair of them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnet.layers import Layer, dense


class Depth(NamedTuple):
    """Layer by layer, (depth,): mean of Z², and ‖dZ‖ of the cost."""

    second_moment: jax.Array
    dz_norm: jax.Array


class Pairs(NamedTuple):
    """What belongs to the layers one after another, two at a time.

    Weights are (pairs, n, k) and (pairs, k, n), their scales two numbers.
    """

    there: Any
    back: Any


def draw_pairs(key: jax.Array, pairs: int, widths: tuple[int, int]) -> Pairs:
    """Standard normal numbers for the weights of 2 · pairs layers, in float32 to save time."""
    n, k = widths
    keys = jax.random.split(key)
    return Pairs(
        jax.random.normal(keys[0], (pairs, n, k), jnp.float32),
        jax.random.normal(keys[1], (pairs, k, n), jnp.float32),
    )


def depth_statistics(
    normals: Pairs, scales: Pairs, x: jax.Array, direction: jax.Array, activation: Callable
) -> Depth:
    """Statistics of a forward and a backward pass, weights scales · normals, biases 0.

    The cost is (1/m) Σ direction · A[L]: linear, so that what the gradients do on their way back
    is all the network's doing. x (m, n), direction (n,).
    """
    offsets = tuple(
        jnp.zeros((w.shape[0], x.shape[0], w.shape[2]), x.dtype) for w in normals
    )  # zeros added to each Z; the gradient by them is dZ

    def cost(offsets):
        def layer(a, w, offset):
            z = dense(Layer(w, jnp.zeros(w.shape[1], w.dtype)), a) + offset
            return activation(z), jnp.square(z).mean()

        def pair(a, given):
            w, offset = given
            w = jax.tree.map(lambda each: each.astype(x.dtype), w)
            middle, first = layer(a, scales.there * w.there, offset[0])
            end, second = layer(middle, scales.back * w.back, offset[1])
            return end, jnp.stack([first, second])

        a, moments = jax.lax.scan(pair, x, (normals, offsets))
        return (a @ direction).mean(), moments.reshape(-1)

    dz, moments = jax.grad(cost, has_aux=True)(offsets)
    return Depth(moments, jnp.stack([_norm(each) for each in dz], axis=1).reshape(-1))


def _norm(array: jax.Array) -> jax.Array:
    """Frobenius norms of matrices (layers, n, k), scaled first so that no square underflows."""
    largest = jnp.abs(array).max(axis=(1, 2))
    scale = jnp.where(largest > 0, largest, 1)
    return scale * jnp.sqrt(jnp.square(array / scale[:, None, None]).sum(axis=(1, 2)))
