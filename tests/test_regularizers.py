"""Penalties: only weights, the notes' λ, the kink at 0, exact zeros, decay against the penalty."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnet import optimizers, regularizers
from jaxnet.layers import BatchNormParams, Layer
from reference_numpy import regularizers as reference

# Prime, so that no factor can stand for another.
LAM, M, ALPHA = 5.0, 13, 0.25


def network():
    rng = np.random.default_rng(0)
    norm = BatchNormParams(jnp.asarray(rng.normal(size=4)), jnp.asarray(rng.normal(size=4)))
    return (
        Layer(jnp.asarray(rng.normal(size=(5, 4))), jnp.asarray(rng.normal(size=4)), norm),
        Layer(jnp.asarray(rng.normal(size=(4, 3))), jnp.asarray(rng.normal(size=3))),
    )


@pytest.mark.f64
@pytest.mark.parametrize("penalty", [regularizers.l2, regularizers.l1])
def test_penalties_skip_biases_gamma_and_beta(penalty):
    params = network()
    grads = jax.grad(penalty(LAM, m=M))(params)
    for layer in grads:
        assert bool(jnp.any(layer.w != 0)) and not bool(jnp.any(layer.b))
    assert not any(bool(jnp.any(leaf)) for leaf in grads[0].norm)
    louder = tuple(
        layer._replace(b=100 * layer.b, norm=jax.tree.map(lambda a: 100 * a, layer.norm))
        for layer in params
    )
    assert penalty(LAM, m=M)(louder) == penalty(LAM, m=M)(params)
    assert len(regularizers.weights(params)) == 2


@pytest.mark.f64
def test_lambda_is_the_notes_lambda():
    params = (Layer(jnp.array([[3.0], [-4.0]]), jnp.array([100.0])),)
    assert float(regularizers.l2(LAM, m=M)(params)) == pytest.approx(LAM / (2 * M) * 25, rel=1e-15)
    assert float(regularizers.l1(LAM, m=M)(params)) == pytest.approx(LAM / (2 * M) * 7, rel=1e-15)
    both = regularizers.elastic_net(LAM, 2 * LAM, m=M)(params)
    assert float(both) == pytest.approx(LAM / (2 * M) * (25 + 14), rel=1e-15)
    assert regularizers.none(params) == 0
    # scikit-learn divides by the batch instead, keras has no ½, and torch's decay is λ/m.
    assert float(jax.grad(regularizers.l2(LAM, m=M))(params)[0].w[0, 0]) == pytest.approx(
        LAM / M * 3
    )


@pytest.mark.f64
def test_subgradient_of_l1_at_zero_is_zero_on_both_sides():
    params = (Layer(jnp.array([[0.0, -2.0], [3.0, -0.0]]), jnp.zeros(2)),)
    grads = jax.grad(regularizers.l1(LAM, m=M))(params)[0].w
    step = LAM / (2 * M)
    np.testing.assert_allclose(grads, [[0, -step], [step, 0]], rtol=1e-15)
    ((dW, _),) = reference.l1_gradient([(np.array([[0.0, -2.0]]), np.zeros((1, 1)))], LAM, M)
    np.testing.assert_allclose(dW, [[0, -step]], rtol=1e-15)
    # jax.grad of abs says 1 there, which would push exact zeros away.
    assert float(jax.grad(jnp.abs)(0.0)) == 1.0


@pytest.mark.f64
def test_the_proximal_step_makes_exact_zeros_and_the_subgradient_none():
    w0 = jnp.asarray(np.random.default_rng(1).uniform(-1, 1, (4, 3)))
    params = (Layer(w0, jnp.full(3, 0.01)),)
    flat = jax.tree.map(jnp.zeros_like, params)  # a cost with no slope: only the penalty acts
    proximal = optax.chain(
        optimizers.gradient_descent(ALPHA), regularizers.proximal_l1(LAM, learning_rate=ALPHA, m=M)
    )
    update = jax.jit(lambda grads, params: proximal.update(grads, proximal.init(params), params))
    stepped: Any = params
    for _ in range(5):
        updates, _ = update(flat, stepped)
        stepped = optax.apply_updates(stepped, updates)
    expected = np.sign(w0) * np.maximum(np.abs(w0) - 5 * ALPHA * LAM / (2 * M), 0)
    np.testing.assert_allclose(stepped[0].w, expected, atol=1e-15)
    zeros = int(jnp.sum(stepped[0].w == 0))
    assert 0 < zeros == int(np.sum(expected == 0)) < 12
    assert np.array_equal(stepped[0].b, params[0].b)
    # The subgradient step jumps over 0 and back.
    step = ALPHA * LAM / (2 * M)
    by_subgradient = w0
    for _ in range(5):
        by_subgradient = by_subgradient - step * jnp.sign(by_subgradient)
    assert int(jnp.sum(by_subgradient == 0)) == 0


@pytest.mark.f64
def test_soft_threshold_minimises_its_definition():
    w = np.linspace(-2, 2, 9)
    v = np.linspace(-3, 3, 6001)
    for threshold in (0.0, 0.3, 1.0):
        objective = (v[None] - w[:, None]) ** 2 / 2 + threshold * np.abs(v[None])
        best = v[objective.argmin(axis=1)]
        np.testing.assert_allclose(
            regularizers.soft_threshold(jnp.asarray(w), threshold), best, atol=1e-3
        )


def paths(params, grads, steps, *optimizers_) -> Iterator[Any]:
    """Parameters after some steps of each optimizer on the gradient dW = grads + decay terms."""
    for optimizer, penalty in optimizers_:
        current, state = params, optimizer.init(params)
        for _ in range(steps):
            slope = jax.tree.map(jnp.add, grads, jax.grad(penalty)(current))
            updates, state = optimizer.update(slope, state, current)
            current = optax.apply_updates(current, updates)
        yield current


@pytest.mark.f64
def test_decay_is_the_l2_penalty_under_descent_and_is_not_under_adam():
    params = (Layer(jnp.array([[1.0, -2.0]]), jnp.array([0.5, 0.25])),)
    grads = (Layer(jnp.array([[0.3, 0.1]]), jnp.array([0.2, -0.1])),)
    decay = regularizers.weight_decay(LAM, learning_rate=ALPHA, m=M)
    penalty = regularizers.l2(LAM, m=M)
    for rule, same in ((optimizers.gradient_descent, True), (optimizers.adam, False)):
        decayed, penalised = paths(
            params,
            grads,
            3,
            (optax.chain(rule(ALPHA), decay), regularizers.none),
            (rule(ALPHA), penalty),
        )
        assert np.array_equal(decayed[0].b, penalised[0].b)
        apart = float(jnp.abs(decayed[0].w - penalised[0].w).max())
        assert apart < 1e-15 if same else apart > 0.05


@pytest.mark.f64
def test_decay_after_adam_is_optax_adamw_with_a_mask():
    params = (Layer(jnp.array([[1.0, -2.0]]), jnp.array([0.5, 0.25])),)
    grads = (Layer(jnp.array([[0.3, 0.1]]), jnp.array([0.2, -0.1])),)
    ours = optax.chain(
        optimizers.adam(ALPHA), regularizers.weight_decay(LAM, learning_rate=ALPHA, m=M)
    )
    theirs = optax.adamw(
        ALPHA, weight_decay=LAM / M, mask=lambda p: jax.tree.map(regularizers.is_weight, p)
    )
    left, right = paths(params, grads, 3, (ours, regularizers.none), (theirs, regularizers.none))
    np.testing.assert_allclose(left[0].w, right[0].w, rtol=1e-14)
    np.testing.assert_allclose(left[0].b, right[0].b, rtol=1e-14)


@pytest.mark.parametrize("make", [regularizers.l2, regularizers.l1])
@pytest.mark.parametrize("lam, m", [(-1.0, 3), (float("nan"), 3), (1.0, 0), (1.0, -2)])
def test_strengths_and_counts_that_make_no_sense_are_refused(make, lam, m):
    with pytest.raises(ValueError, match="lam: expected" if m == 3 else "m: expected"):
        make(lam, m=m)


def test_decay_and_proximal_step_need_the_parameters():
    for transformation in (
        regularizers.weight_decay(LAM, learning_rate=ALPHA),
        regularizers.proximal_l1(LAM, learning_rate=ALPHA),
    ):
        with pytest.raises(ValueError, match="params: "):
            transformation.update(jnp.ones((2, 2)), optax.EmptyState(), None)
