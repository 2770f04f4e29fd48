"""Two-dimensional valleys ½wᵀHw of a given condition number, and how many steps a descent needs.

H has the eigenvalue 1 across the valley and 1/condition along it; the valley lies along the first
axis, or turned by an angle. A descent starts at distance 1 from the minimum, as far along the
valley as across.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxnet.training import descend

CONDITIONS = (10, 20, 50, 100, 300, 1000)
ANGLES = (0.0, np.pi / 4)
TOLERANCE = 0.01  # of the distance at the start


def axes_of(angle: Any) -> Float[Array, "2 2"]:
    """The directions along and across the valley, as rows."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([jnp.stack([cos, sin]), jnp.stack([-sin, cos])])


def hessian(condition: Any, angle: Any) -> Float[Array, "2 2"]:
    along, across = axes_of(angle)
    return jnp.outer(along, along) / condition + jnp.outer(across, across)


def descent(
    optimizer: optax.GradientTransformation, condition: Any, angle: Any, *, steps: int
) -> Float[Array, "points 2"]:
    """The path of a descent in its valley, in the weights' own axes."""
    H = hessian(condition, angle)
    w0 = axes_of(angle).sum(axis=0) / jnp.sqrt(2.0)
    return descend(lambda w: w @ H @ w / 2, optimizer, w0, steps=steps).w


def in_valley(path: Float[Array, "points 2"], angle: Any) -> Float[Array, "points 2"]:
    """A path's coordinates along and across the valley."""
    return path @ axes_of(angle).T


def steps_to_stay(path: Float[Array, "points 2"]) -> Array:
    """Steps after which the distance stays below the tolerance; ∞ if it is not at the end."""
    away = ~(jnp.linalg.norm(path, axis=1) < TOLERANCE)  # NaN is away
    last = away.shape[0] - 1 - jnp.argmax(away[::-1])
    return jnp.where(away[-1], jnp.inf, jnp.where(away.any(), last + 1, 0))


def steps_by_rate(
    build: Callable[[Any], optax.GradientTransformation], rates: np.ndarray, *, steps: int
) -> Float[Array, "angles conditions rates"]:
    """Steps to stay below the tolerance for every angle, condition number and learning rate."""

    def one(angle, condition, rate):
        return steps_to_stay(descent(build(rate), condition, angle, steps=steps))

    over_rates = jax.vmap(one, (None, None, 0))
    over_conditions = jax.vmap(over_rates, (None, 0, None))
    conditions = jnp.array(CONDITIONS, float)
    return jax.vmap(over_conditions, (0, None, None))(
        jnp.array(ANGLES), conditions, jnp.asarray(rates)
    )
