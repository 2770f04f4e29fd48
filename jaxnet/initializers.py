"""Initial weights: each scheme is a function (key, fan_in, fan_out) ↦ w (fan_in, fan_out).

Biases start at zero in every scheme (notes §3: zero biases do no harm). Names differ between
books: the notes' Xavier, variance 1/n_in, is LeCun's; Glorot's own is 2/(n_in + n_out), which the
notes print under Bengio's name and with a missing bracket (errata 7 and 22). Frameworks draw
"normal" weights from a truncated normal (JAX, Keras) or a plain one (torch, the notes, here).
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxnet.types import PRNGKey


def zeros(key: PRNGKey, fan_in: int, fan_out: int) -> Float[Array, "fan_in fan_out"]:
    """W = 0: for logistic regression; a hidden layer started so stays symmetric (notes §3)."""
    del key
    return jnp.zeros((fan_in, fan_out))


def normal(key: PRNGKey, fan_in: int, fan_out: int) -> Float[Array, "fan_in fan_out"]:
    """Wᵢⱼ ~ N(0, 1); with `init_scale=0.01` the notes' small random start (notes §3)."""
    return jax.random.normal(key, (fan_in, fan_out))


def xavier(key: PRNGKey, fan_in: int, fan_out: int) -> Float[Array, "fan_in fan_out"]:
    """Wᵢⱼ ~ N(0, 1/n_in), the notes' choice for tanh (notes §5); LeCun's variance."""
    return math.sqrt(1 / fan_in) * normal(key, fan_in, fan_out)


def he(key: PRNGKey, fan_in: int, fan_out: int) -> Float[Array, "fan_in fan_out"]:
    """Wᵢⱼ ~ N(0, 2/n_in), for ReLU (notes §5; He et al. 2015)."""
    return math.sqrt(2 / fan_in) * normal(key, fan_in, fan_out)


def glorot(key: PRNGKey, fan_in: int, fan_out: int) -> Float[Array, "fan_in fan_out"]:
    """Wᵢⱼ ~ N(0, 2/(n_in + n_out)) (notes §5, corrected; Glorot and Bengio 2010)."""
    return math.sqrt(2 / (fan_in + fan_out)) * normal(key, fan_in, fan_out)


# The variance of each scheme in terms of fan_in and fan_out, for fans that are traced.
VARIANCES: dict[str, Callable[..., Any]] = {
    "zeros": lambda fan_in, fan_out: 0 * fan_in,
    "normal": lambda fan_in, fan_out: jnp.ones_like(fan_in),
    "xavier": lambda fan_in, fan_out: 1 / fan_in,
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
}

INITIALIZERS: dict[str, Callable[[PRNGKey, int, int], Array]] = {
    "zeros": zeros,
    "normal": normal,
    "xavier": xavier,
    "he": he,
    "glorot": glorot,
}
