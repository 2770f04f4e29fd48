"""Signals and gradients layer by layer in networks of many layers, as one scan over the layers.

`jaxnet.diagnostics.depth_statistics` says the same of any network, writing every layer out; of 150
layers that would be a program of 150 parts. Here the layers alternate between two widths, and the
program holds one pair of them.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxnet.layers import Layer, dense


class Depth(NamedTuple):
    """Layer by layer, (depth,): mean of Z², and ‖dZ‖ and ‖dW‖ of the cost."""

    second_moment: jax.Array
    dz_norm: jax.Array
    dw_norm: jax.Array


class Pairs(NamedTuple):
    """Weights of layers one after another, two at a time: (pairs, n, k) and (pairs, k, n)."""

    there: jax.Array
    back: jax.Array


def draw_pairs(key: jax.Array, pairs: int, widths: tuple[int, int]) -> Pairs:
    """Standard normal numbers for the weights of 2 · pairs layers."""
    n, k = widths
    keys = jax.random.split(key)
    return Pairs(
        jax.random.normal(keys[0], (pairs, n, k)), jax.random.normal(keys[1], (pairs, k, n))
    )


def depth_statistics(
    weights: Pairs, x: jax.Array, direction: jax.Array, activation: Callable
) -> Depth:
    """Statistics of a forward and a backward pass, biases 0.

    The cost is (1/m) Σ direction · A[L]: linear, so that what the gradients do on their way back
    is all the network's doing. x (m, n), direction (n,).
    """
    offsets = tuple(
        jnp.zeros((w.shape[0], x.shape[0], w.shape[2]), x.dtype) for w in weights
    )  # zeros added to each Z; the gradient by them is dZ

    def cost(weights, offsets):
        def layer(a, w, offset):
            z = dense(Layer(w, jnp.zeros(w.shape[1], w.dtype)), a) + offset
            return activation(z), jnp.square(z).mean()

        def pair(a, given):
            w, offset = given
            middle, first = layer(a, w.there, offset[0])
            end, second = layer(middle, w.back, offset[1])
            return end, jnp.stack([first, second])

        a, moments = jax.lax.scan(pair, x, (weights, offsets))
        return (a @ direction).mean(), moments.reshape(-1)

    (dw, dz), moments = jax.grad(cost, argnums=(0, 1), has_aux=True)(weights, offsets)

    def norms(arrays):
        return jnp.stack([_norm(array) for array in arrays], axis=1).reshape(-1)

    return Depth(moments, norms(dz), norms(dw))


def _norm(array: jax.Array) -> jax.Array:
    """Frobenius norms of matrices (layers, n, k), scaled first so that no square underflows."""
    largest = jnp.abs(array).max(axis=(1, 2))
    scale = jnp.where(largest > 0, largest, 1)
    return scale * jnp.sqrt(jnp.square(array / scale[:, None, None]).sum(axis=(1, 2)))
