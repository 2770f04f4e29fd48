"""A network whose depth and activation are traced, so that one program runs every combination."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import Model
from jaxnet.activations import ACTIVATIONS
from jaxnet.layers import Layer, dense

NAMES = ("sigmoid", "tanh", "relu", "leaky_relu")
GAINS = (1.0, 1.0, 2.0, 2.0)
DEEPEST = 10
INPUTS, WIDTH = 30, 16
SHAPES = ((INPUTS, WIDTH), (DEEPEST - 2, WIDTH, WIDTH), (WIDTH, 1))
WEIGHTS = sum(math.prod(shape) for shape in SHAPES)


def _hidden(
    params: Any, x: jax.Array, activation: jax.Array, depth: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Output of the last hidden layer (batch, width), and of all, (DEEPEST − 1, batch, width).

    params: Layers of the first, the stacked middle (DEEPEST − 2) and the last. Beyond `depth` a
    middle layer is skipped, and its output is that of the one before.
    """
    first, middle, _ = params

    def g(z):
        return jax.lax.switch(activation, [ACTIVATIONS[name] for name in NAMES], z)

    def layer(a, layer_and_number):
        layer, number = layer_and_number
        a = jax.lax.cond(number < depth, lambda a: g(dense(layer, a)), lambda a: a, a)
        return a, a

    a = g(dense(first, x))
    last, rest = jax.lax.scan(layer, a, (middle, jnp.arange(2, DEEPEST)))
    return last, jnp.concatenate([a[None], rest])


def network(hyper: dict[str, jax.Array]) -> Model:
    """Network of hyper["depth"] layers with hyper["activation"], a place in NAMES; all traced.

    hyper["draws"] are WEIGHTS standard normal numbers, for the deepest network. They come from
    outside, so that arms share them, and as drawing in every member is slow to compile; they are
    scaled to variance 2/n_in for the ReLUs, 1/n_in for the others. hyper["shift"] is what the
    hidden biases start at, ± in turn.
    """
    gain = jnp.array(GAINS)[hyper["activation"]]
    variances = (gain / INPUTS, gain / WIDTH, 1 / WIDTH)
    bias = hyper["shift"] * (-1.0) ** jnp.arange(WIDTH)

    def init(key):
        del key
        parts = jnp.split(hyper["draws"], np.cumsum([math.prod(shape) for shape in SHAPES])[:-1])
        first, middle, last = (
            jnp.sqrt(variance) * part.reshape(shape)
            for part, shape, variance in zip(parts, SHAPES, variances, strict=True)
        )
        hidden = Layer(first, bias), Layer(middle, jnp.broadcast_to(bias, middle.shape[:2]))
        return (*hidden, Layer(last, jnp.zeros(1))), ()

    def apply(params, state, x, *, key=None, train=False):
        del key, train
        a, _ = _hidden(params, x, hyper["activation"], hyper["depth"])
        return dense(params[-1], a)[:, 0], state

    return Model(init, apply)


def hidden_statistics(params: Any, x: jax.Array, arm: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Over all hidden units: mean output; root mean square of the units' own means; share of
    units whose output is never above 0."""
    _, a = _hidden(params, x, arm["activation"], arm["depth"])
    real = (jnp.arange(1, DEEPEST) < arm["depth"])[:, None]
    units = WIDTH * (arm["depth"] - 1)
    means = a.mean(axis=1)
    return {
        "mean": jnp.sum(real * means) / units,
        "unit_mean": jnp.sqrt(jnp.sum(real * means**2) / units),
        "never_active": jnp.sum(real * (a <= 0).all(axis=1)) / units,
    }
