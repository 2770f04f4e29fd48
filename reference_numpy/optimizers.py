"""Gradient descent, momentum, RMSprop and Adam (notes: Optimization Algorithms).

`<name>_init(params)` gives the state before the first update, `<name>_update(params, grads, state,
learning_rate=…)` the next params and state. Both return new arrays; params, grads and state are
never changed. A rule for W is the same rule for b, with db in place of dW.
"""

from typing import Any, NamedTuple

import numpy as np

from reference_numpy._arrays import Params, array, require, require_shape


class GradientDescentState(NamedTuple):
    """Gradient descent remembers nothing."""


class MomentumState(NamedTuple):
    """v: the average of the gradients, V, with the shapes of params."""

    v: Params


class RMSpropState(NamedTuple):
    """s: the average of the squared gradients, S, with the shapes of params."""

    s: Params


class AdamState(NamedTuple):
    """v, s: the averages V and S, uncorrected. t: number of updates done, one for all params."""

    v: Params
    s: Params
    t: int


def gradient_descent_init(params: Params) -> GradientDescentState:
    """State before the first update: none.

    Source: notes, Gradient Descent (fig. 8).

    >>> gradient_descent_init([])
    GradientDescentState()
    """
    return GradientDescentState()


def gradient_descent_update(
    params: Params, grads: Params, state: GradientDescentState, *, learning_rate: float
) -> tuple[Params, GradientDescentState]:
    """One step of gradient descent.

    W := W − α dW

    params, grads: lists of (W, b) and (dW, db). learning_rate: α ≥ 0. Returns params and state.
    Raises ValueError for a negative α or shapes that differ.
    Source: notes, Gradient Descent (fig. 8).

    >>> params, grads = [(np.array([[1.0]]),)], [(np.array([[2.0]]),)]
    >>> gradient_descent_update(params, grads, gradient_descent_init(params), learning_rate=0.25)[0]
    [(array([[0.5]]),)]
    """
    _require_update(params, grads, learning_rate)
    params = _map(lambda W, dW: W - learning_rate * dW, params, grads)
    return params, state


def momentum_init(params: Params) -> MomentumState:
    """State before the first update.

    V = 0

    Source: notes, Gradient Descent with Momentum.

    >>> momentum_init([(np.ones((1, 2)), np.ones((1, 1)))])
    MomentumState(v=[(array([[0., 0.]]), array([[0.]]))])
    """
    return MomentumState(_zeros(params))


def momentum_update(
    params: Params,
    grads: Params,
    state: MomentumState,
    *,
    learning_rate: float,
    beta: float = 0.9,
) -> tuple[Params, MomentumState]:
    """One step of gradient descent with momentum, in the averaged form.

    V := β V + (1 − β) dW

    W := W − α V

    Other libraries keep V := β V + dW, which at constant α is this with α/(1 − β). The notes print
    V_dW on the right of V_db; each average is of its own gradient.

    params, grads: lists of (W, b) and (dW, db). learning_rate: α ≥ 0. beta: β in [0, 1).
    Returns params and state. Raises ValueError for values out of range or shapes that differ.
    Source: notes, Gradient Descent with Momentum.

    >>> params, grads = [(np.array([[1.0]]),)], [(np.array([[2.0]]),)]
    >>> momentum_update(params, grads, momentum_init(params), learning_rate=1.0, beta=0.75)
    ([(array([[0.5]]),)], MomentumState(v=[(array([[0.5]]),)]))
    """
    _require_update(params, grads, learning_rate)
    _require_state(params, state.v)
    _require_decay("beta", beta)
    v = _map(lambda V, dW: beta * V + (1 - beta) * dW, state.v, grads)
    params = _map(lambda W, V: W - learning_rate * V, params, v)
    return params, MomentumState(v)


def rmsprop_init(params: Params) -> RMSpropState:
    """State before the first update.

    S = 0

    Source: notes, RMSprop.

    >>> rmsprop_init([(np.ones((1, 2)), np.ones((1, 1)))])
    RMSpropState(s=[(array([[0., 0.]]), array([[0.]]))])
    """
    return RMSpropState(_zeros(params))


def rmsprop_update(
    params: Params,
    grads: Params,
    state: RMSpropState,
    *,
    learning_rate: float,
    beta: float = 0.9,
    eps: float = 1e-8,
) -> tuple[Params, RMSpropState]:
    """One step of RMSprop, ε outside the root.

    S := β S + (1 − β) dW²

    W := W − α dW / (√S + ε)

    params, grads: lists of (W, b) and (dW, db). learning_rate: α ≥ 0. beta: β in [0, 1).
    eps: ε > 0. Returns params and state.
    Raises ValueError for values out of range or shapes that differ.
    Source: notes, RMSprop.

    >>> params, grads = [(np.array([[1.0]]),)], [(np.array([[2.0]]),)]
    >>> params, state = rmsprop_update(
    ...     params, grads, rmsprop_init(params), learning_rate=0.25, beta=0.75
    ... )
    >>> params[0][0].round(6), state.s[0][0]
    (array([[0.5]]), array([[1.]]))
    """
    _require_update(params, grads, learning_rate)
    _require_state(params, state.s)
    _require_decay("beta", beta)
    require(0 < eps < np.inf, "eps", "a finite positive number", eps)
    s = _map(lambda S, dW: beta * S + (1 - beta) * dW**2, state.s, grads)
    params = _map(lambda W, dW, S: W - learning_rate * dW / (np.sqrt(S) + eps), params, grads, s)
    return params, RMSpropState(s)


def adam_init(params: Params) -> AdamState:
    """State before the first update.

    V = 0,  S = 0,  t = 0

    Source: notes, Adam Optimization Algorithm.

    >>> adam_init([(np.ones((1, 2)),)])
    AdamState(v=[(array([[0., 0.]]),)], s=[(array([[0., 0.]]),)], t=0)
    """
    return AdamState(_zeros(params), _zeros(params), 0)


def adam_update(
    params: Params,
    grads: Params,
    state: AdamState,
    *,
    learning_rate: float,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
) -> tuple[Params, AdamState]:
    """One step of Adam, ε outside the root and added after the correction.

    t := t + 1

    V := β₁ V + (1 − β₁) dW

    S := β₂ S + (1 − β₂) dW²

    V̂ = V / (1 − β₁ᵗ)

    Ŝ = S / (1 − β₂ᵗ)

    W := W − α V̂ / (√Ŝ + ε)

    params, grads: lists of (W, b) and (dW, db). learning_rate: α ≥ 0. b1, b2: β₁, β₂ in [0, 1).
    eps: ε > 0. Returns params and state.
    Raises ValueError for values out of range or shapes that differ.
    Source: notes, Adam Optimization Algorithm; Kingma and Ba 2015.

    >>> params, grads = [(np.array([[1.0]]),)], [(np.array([[2.0]]),)]
    >>> params, state = adam_update(params, grads, adam_init(params), learning_rate=0.25)
    >>> params[0][0].round(6), state.t
    (array([[0.75]]), 1)
    """
    _require_update(params, grads, learning_rate)
    _require_state(params, state.v, state.s)
    _require_decay("b1", b1)
    _require_decay("b2", b2)
    require(0 < eps < np.inf, "eps", "a finite positive number", eps)
    t = state.t + 1
    v = _map(lambda V, dW: b1 * V + (1 - b1) * dW, state.v, grads)
    s = _map(lambda S, dW: b2 * S + (1 - b2) * dW**2, state.s, grads)
    v_hat = _map(lambda V: V / (1 - b1**t), v)
    s_hat = _map(lambda S: S / (1 - b2**t), s)
    params = _map(lambda W, V, S: W - learning_rate * V / (np.sqrt(S) + eps), params, v_hat, s_hat)
    return params, AdamState(v, s, t)


def _require_state(params, *averages):
    for average in averages:
        for layer, kept in zip(params, average, strict=True):
            for values, mean in zip(layer, kept, strict=True):
                require_shape("state", mean, np.shape(values))


def _map(rule, *trees) -> Any:
    """Apply a rule to the corresponding arrays of lists of tuples."""
    return [
        tuple(rule(*map(array, leaves)) for leaves in zip(*layers, strict=True))
        for layers in zip(*trees, strict=True)
    ]


def _zeros(params):
    return _map(np.zeros_like, params)


def _require_update(params, grads, learning_rate):
    require(0 <= learning_rate < np.inf, "learning_rate", "a finite number ≥ 0", learning_rate)
    require(len(grads) == len(params), "grads", f"{len(params)} layers, as params", len(grads))
    for layer, grad in zip(params, grads, strict=True):
        for values, slope in zip(layer, grad, strict=True):
            require_shape("grads", slope, np.shape(values))


def _require_decay(name, value):
    require(0 <= value < 1, name, "a number in [0, 1)", value)
