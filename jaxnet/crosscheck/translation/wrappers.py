"""optax transformations around others, and those that act on whole arrays."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from jaxnet.crosscheck.translation.rates import Number, Rate, at
from jaxnet.crosscheck.translation.transforms import average, per_array


def weights_only(params: Any) -> Any:
    """A mask that is true for matrices and false for biases, which have one axis."""
    return jax.tree.map(lambda leaf: jnp.ndim(leaf) >= 2, params)


def matrices(params: Any) -> Any:
    """Labels: "matrix" for an array of two axes, "other" for the rest."""
    return jax.tree.map(lambda leaf: "matrix" if jnp.ndim(leaf) == 2 else "other", params)


def clip_each(norm: Number) -> optax.GradientTransformation:
    """g · c/max(‖g‖, c), each array by its own norm. Source: keras' clipnorm."""

    def clip(leaf):
        return leaf * norm / jnp.maximum(jnp.sqrt(jnp.sum(leaf**2)), norm)

    return optax.stateless(lambda updates, params: jax.tree.map(clip, updates))


class CountedState(NamedTuple):
    """Steps taken, and the state of the transformation within."""

    count: Int[Array, ""]
    inner: Any


def decay_first(inner: optax.GradientTransformation, share: Rate) -> optax.GradientTransformation:
    """x' = x − share·x, and the inner rule sees x'. Source: keras' _apply_weight_decay."""

    def init(params):
        return CountedState(jnp.zeros((), jnp.int32), inner.init(params))

    def update(updates, state, params=None):
        lost = jax.tree.map(lambda x: at(share, state.count).astype(x.dtype) * x, params)
        decayed = jax.tree.map(lambda x, part: x - part, params, lost)
        updates, new = inner.update(updates, state.inner, decayed)
        updates = jax.tree.map(lambda u, part: u - part, updates, lost)
        return updates, CountedState(state.count + 1, new)

    return optax.GradientTransformation(init, update)


def accumulate(inner: optax.GradientTransformation, every: int) -> optax.GradientTransformation:
    """One step of the inner rule for the mean of `every` gradients, none in between.

    optax.MultiSteps, which by itself accumulates in float32 also under 64 bits.
    """

    def steps():
        return optax.MultiSteps(inner, every, accumulator_dtype=jnp.result_type(float))

    def update(updates, state, params=None):
        return steps().update(updates, state, params)

    return optax.GradientTransformation(lambda params: steps().init(params), update)


class AveragedState(NamedTuple):
    """Steps taken, the state within and the average of the parameters."""

    count: Int[Array, ""]
    inner: Any
    average: Any


def overwrite_with_average(
    inner: optax.GradientTransformation, momentum: Number, every: int, microsteps: int
) -> optax.GradientTransformation:
    """x̄ = βx̄ + (1−β)x after each step, and x = x̄ after every `every`-th.

    The first x̄ is x. microsteps: how many gradients make a step; keras averages after each.
    Source: keras/src/optimizers/base_optimizer.py, _update_model_variables_moving_average.
    """

    def init(params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        return AveragedState(jnp.zeros((), jnp.int32), inner.init(params), zeros)

    def update(updates, state, params=None):
        updates, new = inner.update(updates, state.inner, params)
        iteration = state.count // microsteps
        beta = jnp.where(iteration == 0, 0.0, momentum)
        overwrite = (iteration + 1) % every == 0
        mean = jax.tree.map(
            lambda a, x, u: average(beta, a, x + u).astype(a.dtype), state.average, params, updates
        )
        updates = jax.tree.map(
            lambda u, a, x: jnp.where(overwrite, a - x, u), updates, mean, params
        )
        return updates, AveragedState(state.count + 1, new, mean)

    return optax.GradientTransformation(init, update)


def _orthogonal(x, coefficients: tuple[Number, Number, Number], steps: int):
    """Newton–Schulz steps X := aX + (bXXᵀ + c(XXᵀ)²)X, for the matrix or its transpose."""
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


def muon_torch(
    momentum: Number, nesterov: bool, coefficients: tuple[Number, Number, Number], eps: Number
    , steps: int, adjust: str | None
):  # fmt: skip
    """Muon as torch has it, in full precision: averaged momentum, made orthogonal, scaled by shape.

    torch itself rounds the orthogonalisation to bfloat16. Source: torch/optim/_muon.py.
    """

    def step(g, x, t, b):
        b = average(momentum, b, g)
        direction = average(momentum, b, g) if nesterov else b
        norm = jnp.maximum(jnp.sqrt(jnp.sum(direction**2)), eps)
        rows, columns = g.shape
        ratio = 0.2 * max(rows, columns) ** 0.5
        if adjust in (None, "original"):
            ratio = max(1, rows / columns) ** 0.5
        return ratio * _orthogonal(direction / norm, coefficients, steps), b

    return per_array(lambda x: (jnp.zeros_like(x),), step)


def muon_keras(
    momentum: Number, nesterov: bool, coefficients: tuple[Number, Number, Number], steps: int
    , rms_rate: Number | None
):  # fmt: skip
    """Muon as keras has it: trace momentum, made orthogonal, scaled by shape.

    Source: keras/src/optimizers/muon.py, whose 1e-7 beside the norm is no argument.
    """

    def step(g, x, t, b):
        b = momentum * b + g
        direction = g + momentum * b if nesterov else b
        direction = direction / (jnp.sqrt(jnp.sum(direction**2)) + 1e-7)
        ratio = 1.0 if rms_rate is None else rms_rate * max(g.shape) ** 0.5
        return ratio * _orthogonal(direction, coefficients, steps), b

    return per_array(lambda x: (jnp.zeros_like(x),), step)
