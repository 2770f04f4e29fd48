"""The notes' learning-rate decays, as functions step ↦ α.

A step is one update, counted from 0 as optax counts; an epoch is one pass over the data,
epoch = ⌊step / steps_per_epoch⌋, so the first pass is epoch 0 and α changes between passes only.
`jaxnet.data.minibatches.steps_per_epoch` gives the number of steps.

Every schedule starts from α₀ and the epoch, never from the rate before it. Code that stores the
decayed rate and decays it again compounds: 1/(1+d·epoch) with α₀ = 1 and d = ½ then gives
1, 0.667, 0.333, 0.133 and not 1, 0.667, 0.5, 0.4.

Each is a `Partial`, a pytree whose numbers are its leaves: a jitted function that takes a schedule
as an argument is not compiled again for another α₀ or another decay, and a population may give
each member its own. α has JAX's default float dtype, so under x64 it is exact to double precision
(optax's exponential and polynomial schedules stay in float32 there).
"""

from typing import TypeAlias

import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from jaxnet.types import Scalar
from jaxnet.validation import check_count, check_non_negative, check_positive, is_concrete

Count: TypeAlias = int | np.integer | Int[Array, ""]
"""A whole number, which may be traced."""


def _number(value: Scalar) -> Float[Array, ""]:
    return jnp.asarray(value, float)


def _epoch(step: Count, steps_per_epoch: Count) -> Float[Array, ""]:
    return (jnp.asarray(step, int) // jnp.asarray(steps_per_epoch, int)).astype(float)


def _check_count(name: str, value: Count) -> None:
    if is_concrete(value):
        check_count(name, np.asarray(value).item())


def _inverse_time(step: Count, *, learning_rate, decay_rate, steps_per_epoch) -> Float[Array, ""]:
    epoch = _epoch(step, steps_per_epoch)
    return _number(learning_rate) / (1 + _number(decay_rate) * epoch)


def inverse_time(learning_rate: Scalar, *, decay_rate: Scalar, steps_per_epoch: Count) -> Partial:
    """Inverse-time decay, the notes' first choice.

    α = α₀ / (1 + decay_rate · epoch)

    learning_rate: α₀ ≥ 0. decay_rate: ≥ 0, per epoch. steps_per_epoch: updates in one pass.
    Returns step ↦ α. Raises ValueError for a number outside its range.

    Elsewhere: Keras' InverseTimeDecay counts updates, so its decay_steps is steps_per_epoch and
    staircase=True makes it this one (without, α falls within the epoch too). optax has none. In
    torch it is LambdaLR(lambda epoch: 1 / (1 + d * epoch)) with one scheduler step per epoch.
    Source: notes §6, learning rate decay (fig. 70).

    >>> alpha = inverse_time(1.0, decay_rate=0.5, steps_per_epoch=10)
    >>> [round(float(alpha(step)), 3) for step in (0, 9, 10, 20, 30)]
    [1.0, 1.0, 0.667, 0.5, 0.4]
    """
    check_non_negative("learning_rate", learning_rate)
    check_non_negative("decay_rate", decay_rate)
    _check_count("steps_per_epoch", steps_per_epoch)
    return Partial(
        _inverse_time,
        learning_rate=learning_rate,
        decay_rate=decay_rate,
        steps_per_epoch=steps_per_epoch,
    )


def _exponential(step: Count, *, learning_rate, base, steps_per_epoch) -> Float[Array, ""]:
    return _number(learning_rate) * _number(base) ** _epoch(step, steps_per_epoch)


def exponential(learning_rate: Scalar, *, base: Scalar = 0.95, steps_per_epoch: Count) -> Partial:
    """Exponential decay.

    α = base^epoch · α₀

    learning_rate: α₀ ≥ 0. base: > 0, the factor per epoch. steps_per_epoch: updates in one pass.
    Returns step ↦ α. Raises ValueError for a number outside its range.

    Elsewhere: optax.exponential_decay and Keras' ExponentialDecay take base^(step/T), which also
    falls within the epoch; T = steps_per_epoch with staircase=True makes them this one, up to
    optax's float32. torch's ExponentialLR(gamma=base) is this one, stepped once per epoch.
    Source: notes §6, learning rate decay (fig. 71).

    >>> alpha = exponential(1.0, steps_per_epoch=10)
    >>> [round(float(alpha(step)), 4) for step in (0, 9, 10, 20)]
    [1.0, 1.0, 0.95, 0.9025]
    """
    check_non_negative("learning_rate", learning_rate)
    check_positive("base", base)
    _check_count("steps_per_epoch", steps_per_epoch)
    return Partial(
        _exponential, learning_rate=learning_rate, base=base, steps_per_epoch=steps_per_epoch
    )


def _inverse_sqrt(step: Count, *, learning_rate, k, steps_per_epoch) -> Float[Array, ""]:
    epoch = _epoch(step, steps_per_epoch) + 1
    return _number(k) / jnp.sqrt(epoch) * _number(learning_rate)


def inverse_sqrt(learning_rate: Scalar, *, k: Scalar = 1.0, steps_per_epoch: Count) -> Partial:
    """Decay with the square root of time.

    α = k / √epoch · α₀, with the epoch counted from 1: at 0 the quotient would be infinite

    learning_rate: α₀ ≥ 0. k: > 0. steps_per_epoch: updates in one pass; 1 gives the notes' other
    form k/√t · α₀, t the number of the mini-batch counted from 1.
    Returns step ↦ α. Raises ValueError for a number outside its range.

    Elsewhere: neither optax, Keras nor torch has it; it is a function of the count, as here
    (torch: LambdaLR(lambda epoch: k / (epoch + 1) ** 0.5)). The "inverse square root" schedule of
    transformers is another one: it warms up first, then decays with the square root of the step.
    Source: notes §6, learning rate decay (fig. 71).

    >>> alpha = inverse_sqrt(1.0, steps_per_epoch=10)
    >>> [float(alpha(step)) for step in (0, 9, 30)]
    [1.0, 1.0, 0.5]
    """
    check_non_negative("learning_rate", learning_rate)
    check_positive("k", k)
    _check_count("steps_per_epoch", steps_per_epoch)
    return Partial(_inverse_sqrt, learning_rate=learning_rate, k=k, steps_per_epoch=steps_per_epoch)


def _staircase(
    step: Count, *, learning_rate, factor, epochs_per_stair, steps_per_epoch
) -> Float[Array, ""]:
    steps_per_stair = jnp.asarray(steps_per_epoch, int) * jnp.asarray(epochs_per_stair, int)
    stair = _epoch(step, steps_per_stair)
    return _number(learning_rate) * _number(factor) ** stair


def staircase(
    learning_rate: Scalar, *, factor: Scalar, epochs_per_stair: Count, steps_per_epoch: Count
) -> Partial:
    """Discrete decay: constant on a stair, multiplied by a factor from one stair to the next.

    α = factor^⌊epoch / epochs_per_stair⌋ · α₀

    learning_rate: α₀ ≥ 0. factor: > 0. epochs_per_stair: epochs at one rate. steps_per_epoch:
    updates in one pass. Returns step ↦ α. Raises ValueError for a number outside its range.

    Elsewhere: torch's StepLR(step_size=epochs_per_stair, gamma=factor); optax.exponential_decay
    and Keras' ExponentialDecay with staircase=True and transition_steps (decay_steps) =
    epochs_per_stair · steps_per_epoch. Given as boundaries instead, optax and torch change at
    step b, Keras' PiecewiseConstantDecay one later.
    Source: notes §6, learning rate decay.

    >>> alpha = staircase(1.0, factor=0.5, epochs_per_stair=2, steps_per_epoch=10)
    >>> [float(alpha(step)) for step in (0, 19, 20, 40)]
    [1.0, 1.0, 0.5, 0.25]
    """
    check_non_negative("learning_rate", learning_rate)
    check_positive("factor", factor)
    _check_count("epochs_per_stair", epochs_per_stair)
    _check_count("steps_per_epoch", steps_per_epoch)
    return Partial(
        _staircase,
        learning_rate=learning_rate,
        factor=factor,
        epochs_per_stair=epochs_per_stair,
        steps_per_epoch=steps_per_epoch,
    )
