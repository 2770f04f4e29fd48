"""Learning rates of the frameworks as schedules update ↦ α, in JAX's default float dtype.

optax's exponential and polynomial schedules stay in float32 under 64 bits, keras' round to
keras.config.floatx(): these are the same formulas at the precision that is switched on.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float

Number: TypeAlias = float | int

Rate: TypeAlias = Callable | Number
"""A schedule update ↦ α, or a constant α."""


def at(rate: Rate, count) -> Float[Array, ""]:
    """The rate at an update, counted from 0."""
    return jnp.asarray(rate(count) if callable(rate) else rate, float)


def _float(count) -> Float[Array, ""]:
    return jnp.asarray(count).astype(float)


def scaled(rate: Callable, factor: Number) -> Callable:
    """k ↦ factor · rate(k)."""
    return lambda count: factor * at(rate, count)


def at_microstep(rate: Callable, every: int) -> Callable:
    """n ↦ rate(n·every + every − 1): keras counts the rate in minibatches, also while accumulating.

    Source: keras/src/optimizers/base_optimizer.py, _get_current_learning_rate.
    """
    return lambda count: at(rate, count * every + every - 1)


def exponential_decay(
    initial: Number, *, decay_steps: Number, decay_rate: Number, staircase: bool
) -> Callable:
    """k ↦ α₀ · γ^(k/T), with staircase γ^⌊k/T⌋. Source: keras ExponentialDecay."""

    def rate(count):
        passed = _float(count) / decay_steps
        return initial * jnp.asarray(decay_rate, float) ** (
            jnp.floor(passed) if staircase else passed
        )

    return rate


def inverse_time_decay(
    initial: Number, *, decay_steps: Number, decay_rate: Number, staircase: bool
) -> Callable:
    """k ↦ α₀ / (1 + d·k/T), with staircase ⌊k/T⌋. Source: keras InverseTimeDecay."""

    def rate(count):
        passed = _float(count) / decay_steps
        return initial / (1 + decay_rate * (jnp.floor(passed) if staircase else passed))

    return rate


def piecewise_constant(boundaries: Sequence[Number], values: Sequence[Number]) -> Callable:
    """k ↦ values[number of boundaries below k]: the value changes at boundary + 1.

    optax.piecewise_constant_schedule and torch's MultiStepLR change at the boundary itself.
    Source: keras PiecewiseConstantDecay.
    """

    def rate(count):
        passed = jnp.sum(jnp.asarray(count) > jnp.asarray(tuple(boundaries)))
        return jnp.asarray(tuple(values), float)[passed]

    return rate


def polynomial_decay(
    initial: Number, *, decay_steps: Number, end: Number, power: Number, cycle: bool
) -> Callable:
    """k ↦ (α₀ − end)(1 − k/T)^p + end, k ≤ T; with cycle, T the next whole multiple of itself.

    Source: keras PolynomialDecay.
    """

    def rate(count):
        count = _float(count)
        steps = jnp.asarray(decay_steps, float)
        if cycle:
            steps = steps * jnp.where(count == 0, 1.0, jnp.ceil(count / steps))
        else:
            count = jnp.minimum(count, steps)
        return (initial - end) * (1 - count / steps) ** power + end

    return rate


def cosine_decay(
    initial: Number, *, decay_steps: Number, alpha: Number, target: Number | None, warmup_steps: int
) -> Callable:
    """k ↦ α₀((1−a)·½(1+cos(πk/T)) + a), k ≤ T; with a target, a linear rise to it comes before.

    decay_steps does not include the warm-up, unlike optax.warmup_cosine_decay_schedule's.
    Source: keras CosineDecay.
    """

    def decayed(count, start):
        cosine = 0.5 * (1 + jnp.cos(jnp.pi * count / decay_steps))
        return start * ((1 - alpha) * cosine + alpha)

    def rate(count):
        count = _float(count)
        if target is None:
            return decayed(jnp.minimum(count, decay_steps), initial)
        count = jnp.minimum(count, decay_steps + warmup_steps)
        # With no warm-up steps the first branch is never taken; it must not divide by 0.
        rising = (target - initial) * count / max(warmup_steps, 1) + initial
        return jnp.where(count < warmup_steps, rising, decayed(count - warmup_steps, target))

    return rate


def cosine_decay_restarts(
    initial: Number, *, first_decay_steps: Number, t_mul: Number, m_mul: Number, alpha: Number
) -> Callable:
    """k ↦ α₀((1−a)·½ mⁱ(1+cos πf) + a): after i restarts, a share f of the period has passed.

    A period is t_mul times the one before it, and its height m_mul times. Source: keras
    CosineDecayRestarts, with its logarithm: at a restart itself rounding decides on the side.
    """

    def rate(count):
        passed = _float(count) / first_decay_steps
        if t_mul == 1:
            restarts = jnp.floor(passed)
            passed = passed - restarts
        else:
            growth = jnp.asarray(t_mul, float)
            restarts = jnp.floor(jnp.log(1 - passed * (1 - growth)) / jnp.log(growth))
            gone = (1 - growth**restarts) / (1 - growth)
            passed = (passed - gone) / growth**restarts
        cosine = 0.5 * jnp.asarray(m_mul, float) ** restarts * (1 + jnp.cos(jnp.pi * passed))
        return initial * ((1 - alpha) * cosine + alpha)

    return rate


def power_decay(initial: Number, *, decay: Number, power: Number) -> Callable:
    """k ↦ α₀ / (1 + decay·α₀·k)^power. Source: torch/optim/asgd.py, eta."""
    return lambda count: initial / (1 + decay * initial * _float(count)) ** power


def inverse_scaling(initial: Number, *, examples: int, batch: int, power: Number) -> Callable:
    """k ↦ α₀ / (e·m + 1)^power, e = ⌊k / ⌈m/batch⌉⌉ epochs of m examples passed.

    Source: sklearn/neural_network/_stochastic_optimizers.py, iteration_ends.
    """
    steps_per_epoch = -(-examples // batch)

    def rate(count):
        epoch = (jnp.asarray(count) // steps_per_epoch).astype(float)
        return initial / (epoch * examples + 1) ** power

    return rate


def per_example(alpha: Number, *, examples: int, batch: int) -> Callable:
    """k ↦ α / size of minibatch k; the last of an epoch may be smaller.

    Source: sklearn/neural_network/_multilayer_perceptron.py, _compute_loss_grad.
    """
    steps_per_epoch = -(-examples // batch)
    last = examples - (steps_per_epoch - 1) * batch

    def rate(count):
        return alpha / jnp.where(
            jnp.asarray(count) % steps_per_epoch == steps_per_epoch - 1, last, batch
        ).astype(float)

    return rate
