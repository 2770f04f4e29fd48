"""What the arms are built of: networks and update rules in the conventions of each framework."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxnet.layers import (
    BatchNormParams,
    BatchNormState,
    Layer,
    dense,
    dropout,
    dropout_mask,
)
from jaxnet.models import Model

SIZES = (64, 64, 10)
Draw = Callable[[Any, int, int], tuple[Any, Any]]


def _normal(key: Any, shape: tuple[int, ...]) -> Any:
    # Drawn in float32 whatever the precision, so that both precisions start from the same weights.
    return jax.random.normal(key, shape, jnp.float32).astype(float)


def normal(scale: Callable[[int, int], float]) -> Draw:
    """N(0, scale²) weights, biases 0."""
    return lambda key, n_in, n_out: (
        scale(n_in, n_out) * _normal(key, (n_in, n_out)), jnp.zeros(n_out)
    )  # fmt: skip


def truncated(scale: Callable[[int, int], float]) -> Draw:
    """Cut at two deviations, not rescaled: the result's deviation is 0.88 of scale."""

    def draw(key, n_in, n_out):
        w = jax.random.truncated_normal(key, -2.0, 2.0, (n_in, n_out))
        return scale(n_in, n_out) * w, jnp.zeros(n_out)

    return draw


def uniform(limit: Callable[[int, int], float], biases: bool) -> Draw:
    """U(−limit, limit) weights, and biases where wanted."""

    def draw(key, n_in, n_out):
        w_key, b_key = jax.random.split(key)
        bound = limit(n_in, n_out)
        b = jax.random.uniform(b_key, (n_out,), minval=-bound, maxval=bound)
        w = jax.random.uniform(w_key, (n_in, n_out), minval=-bound, maxval=bound)
        return w, (b if biases else jnp.zeros(n_out))

    return draw


he = normal(lambda n_in, n_out: (2 / n_in) ** 0.5)

# normalise: (params, state, z, train) ↦ (z, state)
Normalise = Callable[..., tuple[Any, Any]]


def _plain(params: Any, state: Any, z: Any, train: bool) -> tuple[Any, Any]:
    del params, train
    return z, state


def batch_norm(*, keep=0.99, eps=1e-5, unbiased=False, by_running=False) -> Normalise:
    """Batch norm. unbiased: the running variance; by_running: training by running statistics."""

    def apply(params, state, z, train):
        mean, var = state
        if train:
            m = z.shape[0]
            batch_mean, batch_var = z.mean(axis=0), z.var(axis=0)
            kept_var = batch_var * (m / (m - 1)) if unbiased else batch_var
            new = keep * mean + (1 - keep) * batch_mean, keep * var + (1 - keep) * kept_var
            state = BatchNormState(*new)
            mean, var = state if by_running else (batch_mean, batch_var)
        z = (z - mean[None, :]) / jnp.sqrt(var + eps)[None, :]
        return z * params.gamma[None, :] + params.beta[None, :], state

    return apply


def layer_norm(eps: Any) -> Normalise:
    """Each example over its units."""

    def apply(params, state, z, train):
        del train
        centred = z - z.mean(axis=1, keepdims=True)
        z = centred / jnp.sqrt(jnp.square(centred).mean(axis=1, keepdims=True) + eps)
        return z * params.gamma[None, :] + params.beta[None, :], state

    return apply


def network(
    *,
    activation: Callable[[Any], Any] = jax.nn.relu,
    draw: Draw = he,
    normalise: Normalise = _plain,
    keep_prob: Any = None,
) -> Model:
    """64-64-10 with one choice of everything that the frameworks choose differently."""

    def init(key):
        keys = jax.random.split(key, 2)
        layers = [
            Layer(*draw(k, *sizes)) for k, sizes in zip(keys, [(64, 64), (64, 10)], strict=True)
        ]
        params = layers[0]._replace(norm=BatchNormParams(jnp.ones(64), jnp.zeros(64))), layers[1]
        return params, BatchNormState(jnp.zeros(64), jnp.ones(64))

    def apply(params, state, x, *, key: Any = None, train=False):
        z, state = normalise(params[0].norm, state, dense(params[0], x), train)
        a = activation(z)
        if train and keep_prob is not None:
            a = dropout(a, dropout_mask(key, a.shape, keep_prob), keep_prob)
        return dense(params[1], a), state

    return Model(init, apply)


def rule(step: Callable[..., tuple[Any, ...]], *starts: float) -> optax.GradientTransformation:
    """An elementwise rule: step(t from 1, g, *memory) ↦ (move, *memory), W := W − move."""

    def init(params):
        memory = tuple(jax.tree.map(partial(jnp.full_like, fill_value=s), params) for s in starts)
        return jnp.zeros((), jnp.int32), memory

    def update(updates, state, params=None):
        del params
        grads, (count, memory) = updates, state
        t = (count + 1).astype(float)
        results = jax.tree.map(lambda g, *kept: step(t, g, *kept), grads, *memory)
        outer = jax.tree.structure(grads)
        inner = jax.tree.structure((0,) * (len(starts) + 1))
        move, *memory = jax.tree.transpose(outer, inner, results)
        return jax.tree.map(jnp.negative, move), (count + 1, tuple(memory))

    return optax.GradientTransformation(init, update)


def dampened(rate: Any, beta: Any) -> optax.GradientTransformation:
    """torch's SGD with dampening=β: the first gradient enters whole."""

    def step(t, g, v):
        v = beta * v + jnp.where(t == 1, 1.0, 1 - beta) * g
        return rate * v, v

    return rule(step, 0.0)


def adam_hat(rate: Any, eps: Any) -> optax.GradientTransformation:
    """keras' and scikit-learn's Adam: ε̂ before the correction."""

    def step(t, g, m, v):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        return rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (jnp.sqrt(v) + eps), m, v

    return rule(step, 0.0, 0.0)


def amsgrad_raw(rate: Any) -> optax.GradientTransformation:
    """torch's: the maximum over v, corrected afterwards."""

    def step(t, g, m, v, largest):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        largest = jnp.maximum(largest, v)
        root = jnp.sqrt(largest / (1 - 0.999**t))
        return rate * m / (1 - 0.9**t) / (root + 1e-8), m, v, largest

    return rule(step, 0.0, 0.0, 0.0)


def nadam(rate: Any, psi: Any) -> optax.GradientTransformation:
    """torch's NAdam: β₁ grows towards its value, the slower the smaller ψ."""

    def mu(t):
        return 0.9 * (1 - 0.5 * 0.96 ** (t * psi))

    def step(t, g, m, v, product):
        m, v, product = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2, product * mu(t)
        ahead = mu(t + 1) * m / (1 - product * mu(t + 1)) + (1 - mu(t)) * g / (1 - product)
        return rate * ahead / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), m, v, product

    return rule(step, 0.0, 0.0, 1.0)


def clip_each(limit: float) -> optax.GradientTransformation:
    """keras' clipnorm: every array by its own norm."""

    def update(updates, state, params=None):
        del params

        def clip(g):
            norm = jnp.linalg.norm(g.ravel())
            return jnp.where(norm > limit, g * (limit / norm), g)

        return jax.tree.map(clip, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def clip_torch(limit: float) -> optax.GradientTransformation:
    """torch's: all together by c/(‖g‖ + 1e-6)."""

    def update(updates, state, params=None):
        del params
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in jax.tree.leaves(updates)))
        factor = jnp.minimum(1.0, limit / (norm + 1e-6))
        return jax.tree.map(lambda g: factor * g, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
