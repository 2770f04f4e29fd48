"""Descent on a plain function: contours, quadratics, saddles."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from jaxnet.types import PRNGKey
from jaxnet.validation import check_count, check_functions, check_key


class Path(NamedTuple):
    """Where a descent went: w and cost of steps 0 … n, stacked along a leading axis (n + 1, …)."""

    w: Any
    cost: Float[Array, "points"]


def descend(
    cost: Callable[..., Array],
    optimizer: optax.GradientTransformation,
    w0: PyTree,
    *,
    steps: int,
    key: PRNGKey | None = None,
) -> Path:
    """Descent on any differentiable function, from w0, keeping the whole path.

    wₜ₊₁ = wₜ + optimizer's update of ∇cost(wₜ)

    cost: w ↦ scalar, or (w, key) ↦ scalar when a key is given: then every step draws anew.
    w0: any pytree of arrays. Returns the path with both ends, steps + 1 points.
    Pure: jit, vmap (over w0, or over an optimizer's numbers) compose.
    Raises ValueError for a number of steps below 1.
    Source: notes §2, gradient descent (fig. 8).

    >>> from jaxnet.optimizers import gradient_descent
    >>> descend(lambda w: w**2, gradient_descent(0.25), 1.0, steps=2).w
    Array([1.  , 0.5 , 0.25], dtype=float32)
    """
    check_count("steps", steps)
    check_functions(
        "optimizer", optimizer, ("init", "update"), "an optax transformation such as adam(1e-3)"
    )
    if key is not None:
        check_key("key", key)
    w0 = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf, float)), w0)
    keys = None if key is None else jax.random.split(key, steps + 1)

    extended = optax.with_extra_args_support(optimizer)  # line searches ask for the cost

    def value(w, key):
        return cost(w) if key is None else cost(w, key)

    def update(carry, key):
        w, opt_state = carry
        here, grads = jax.value_and_grad(value)(w, key)
        updates, opt_state = extended.update(
            grads, opt_state, w, value=here, grad=grads, value_fn=lambda w: value(w, key)
        )
        return (optax.apply_updates(w, updates), opt_state), (w, here)

    inner = None if keys is None else keys[:-1]
    (last, _), (w, costs) = jax.lax.scan(update, (w0, optimizer.init(w0)), inner, length=steps)
    end = value(last, None if keys is None else keys[-1])
    path = jax.tree.map(lambda many, one: jnp.concatenate([many, one[None]]), w, last)
    return Path(path, jnp.append(costs, end))
