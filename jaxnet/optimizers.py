"""The notes' update rules as optax transformations, equation for equation.

Each returns an `optax.GradientTransformation`, so it stands wherever an optax optimizer stands and
the other way round. The learning rate is a number, a traced number, or a schedule step ↦ α that
counts steps from 0. Its two functions are `Partial`s: an optimizer is itself a pytree whose leaves
are its numbers, so that a jitted function which takes it as an argument (as `fit` does) is not
compiled again when α changes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial
from jaxtyping import Array, Int

from jaxnet.types import LearningRate, Params, Scalar
from jaxnet.validation import check_decay, check_learning_rate, check_positive


class DescentState(NamedTuple):
    """Steps taken so far."""

    count: Int[Array, ""]


class MomentumState(NamedTuple):
    """Steps taken and the velocity V."""

    count: Int[Array, ""]
    mu: Params


class RMSpropState(NamedTuple):
    """Steps taken and the mean square S."""

    count: Int[Array, ""]
    nu: Params


class AdamState(NamedTuple):
    """Steps taken, the velocity V and the mean square S, both before correction."""

    count: Int[Array, ""]
    mu: Params
    nu: Params


def _rate(learning_rate: LearningRate, count: Int[Array, ""]):
    return learning_rate(count) if callable(learning_rate) else learning_rate


def _average(beta: Scalar, old: Params, new: Params) -> Params:
    # In the dtype of the average, whatever that of β: a scan's carry may not change.
    return jax.tree.map(lambda o, n: (beta * o + (1 - beta) * n).astype(o.dtype), old, new)


def _square(tree: Params) -> Params:
    return jax.tree.map(jnp.square, tree)


def _start() -> Int[Array, ""]:
    return jnp.zeros((), jnp.int32)


def _descent_init(params: Params) -> DescentState:
    del params
    return DescentState(_start())


def _descent_update(learning_rate, grads, state, params=None):
    del params
    alpha = _rate(learning_rate, state.count)
    return jax.tree.map(lambda g: -alpha * g, grads), DescentState(state.count + 1)


def gradient_descent(learning_rate: LearningRate) -> optax.GradientTransformation:
    """Gradient descent.

    W := W − α dW

    The same as `optax.sgd(α)`.
    Raises ValueError for a negative learning rate.
    Source: notes §2, gradient descent (fig. 8).
    """
    check_learning_rate("learning_rate", learning_rate)
    return optax.GradientTransformation(
        Partial(_descent_init), Partial(_descent_update, learning_rate)
    )


def _momentum_init(params: Params) -> MomentumState:
    return MomentumState(_start(), jax.tree.map(jnp.zeros_like, params))


def _momentum_update(learning_rate, beta, grads, state, params=None):
    del params
    alpha = _rate(learning_rate, state.count)
    mu = _average(beta, state.mu, grads)
    return jax.tree.map(lambda v: -alpha * v, mu), MomentumState(state.count + 1, mu)


def momentum(learning_rate: LearningRate, *, beta: Scalar = 0.9) -> optax.GradientTransformation:
    """Gradient descent with momentum, the notes' averaged form.

    V := β V + (1−β) dW,   W := W − α V,   V starting at 0

    Rival convention: the trace V := β V + dW of `optax.sgd(α, momentum=β)`, torch and keras. At a
    constant α it takes the same steps with α(1−β) in place of α. The form here is
    `optax.chain(optax.ema(β, debias=False), optax.scale_by_learning_rate(α))`. torch's
    `dampening=β` looks like it, but leaves the first gradient undamped. The notes call β the
    friction; under a constant gradient the velocity tends to that gradient with 1−β as the rate at
    which the old is lost, so the friction is 1−β (erratum 16).
    Raises ValueError for a negative learning rate or β outside [0, 1).
    Source: notes §6, gradient descent with momentum; V_db from db (erratum 5).
    """
    check_learning_rate("learning_rate", learning_rate)
    check_decay("beta", beta)
    return optax.GradientTransformation(
        Partial(_momentum_init), Partial(_momentum_update, learning_rate, beta)
    )


def _rmsprop_init(params: Params) -> RMSpropState:
    return RMSpropState(_start(), jax.tree.map(jnp.zeros_like, params))


def _rmsprop_update(learning_rate, beta, eps, grads, state, params=None):
    del params
    alpha = _rate(learning_rate, state.count)
    nu = _average(beta, state.nu, _square(grads))
    updates = jax.tree.map(lambda g, s: -alpha * g / (jnp.sqrt(s) + eps), grads, nu)
    return updates, RMSpropState(state.count + 1, nu)


def rmsprop(
    learning_rate: LearningRate, *, beta: Scalar = 0.9, eps: Scalar = 1e-8
) -> optax.GradientTransformation:
    """RMSprop with ε outside the root.

    S := β S + (1−β) dW²,   W := W − α dW / (√S + ε),   S starting at 0

    Rival convention: ε inside the root, dW / √(S + ε), the default of `optax.rmsprop` and keras;
    the two part where gradients are as small as √ε. The form here is
    `optax.rmsprop(α, decay=β, eps=ε, eps_in_sqrt=False)` and torch's (whose β is 0.99).
    Raises ValueError for a negative learning rate, β outside [0, 1), or ε that is not positive.
    Source: notes §6, RMSprop.
    """
    check_learning_rate("learning_rate", learning_rate)
    check_decay("beta", beta)
    check_positive("eps", eps)
    return optax.GradientTransformation(
        Partial(_rmsprop_init), Partial(_rmsprop_update, learning_rate, beta, eps)
    )


def _adam_init(params: Params) -> AdamState:
    zeros = jax.tree.map(jnp.zeros_like, params)
    return AdamState(_start(), zeros, zeros)


def _adam_update(learning_rate, b1, b2, eps, grads, state, params=None):
    del params
    alpha = _rate(learning_rate, state.count)
    t = state.count + 1
    mu = _average(b1, state.mu, grads)
    nu = _average(b2, state.nu, _square(grads))

    # Not in the parameters' dtype: β₂ = 0.999 is 1 in bfloat16, and 1 − β₂ᵗ would be 0. Inside
    # `update` XLA fuses it; taken out it was a kernel of its own, 4 % of a small network's run.
    steps = t.astype(jnp.result_type(float))

    # Reciprocals, because XLA makes them of divisions by a scalar in a program for one device and
    # not in one for several, and the last place should not depend on that.
    def update(v, s):
        v_corrected = v * (1 / (1 - b1**steps)).astype(v.dtype)
        s_corrected = s * (1 / (1 - b2**steps)).astype(s.dtype)
        return -alpha * v_corrected / (jnp.sqrt(s_corrected) + eps)

    return jax.tree.map(update, mu, nu), AdamState(t, mu, nu)


def adam(
    learning_rate: LearningRate, *, b1: Scalar = 0.9, b2: Scalar = 0.999, eps: Scalar = 1e-8
) -> optax.GradientTransformation:
    """Adam: momentum over RMSprop, both corrected for starting at zero.

    V := β₁ V + (1−β₁) dW,   S := β₂ S + (1−β₂) dW²,   t counted from 1
    W := W − α · V/(1−β₁ᵗ) / (√(S/(1−β₂ᵗ)) + ε)

    The same as `optax.adam(α, b1, b2, eps)` and torch's Adam. Rival convention: keras and
    scikit-learn take α√(1−β₂ᵗ)/(1−β₁ᵗ) · V/(√S + ε̂), which is this with ε = ε̂/√(1−β₂ᵗ): no
    constant ε makes the two agree.
    Raises ValueError for a negative learning rate, β₁ or β₂ outside [0, 1), or ε not positive.
    Source: notes §6, Adam; V_db from db (erratum 5). Kingma and Ba 2015.
    """
    check_learning_rate("learning_rate", learning_rate)
    check_decay("b1", b1)
    check_decay("b2", b2)
    check_positive("eps", eps)
    return optax.GradientTransformation(
        Partial(_adam_init), Partial(_adam_update, learning_rate, b1, b2, eps)
    )
