"""Activations: conventions at kinks, no overflow, both sides alike there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import activations
from jaxnet.crosscheck import oracle
from reference_numpy import activations as reference

both_dtypes = pytest.mark.parametrize(
    "dtype", [pytest.param(jnp.float64, marks=pytest.mark.f64), jnp.float32]
)


@pytest.mark.parametrize("name, slope", [("relu", 0.0), ("leaky_relu", 1.0)])
def test_derivative_at_the_kink_is_the_stated_one_on_both_sides(name, slope):
    g = activations.ACTIVATIONS[name]
    assert float(jax.grad(lambda z: g(z))(jnp.array(0.0))) == slope
    assert float(reference.ACTIVATIONS[name][1](0.0)) == slope
    # −0.0 is 0.0.
    assert float(jax.grad(lambda z: g(z))(jnp.array(-0.0))) == slope


def test_derivative_of_maximum_at_the_kink_is_another_convention():
    assert float(jax.grad(lambda z: jnp.maximum(z, 0))(jnp.array(0.0))) == 0.5


@both_dtypes
@pytest.mark.parametrize("name", activations.ACTIVATIONS)
def test_values_and_derivatives_are_finite_and_right_at_huge_inputs(name, dtype):
    Z = np.array([-1e4, -1000.0, -90.0, 90.0, 1000.0, 1e4])
    z = jnp.asarray(Z, dtype)
    g = activations.ACTIVATIONS[name]
    eps, tiny = float(jnp.finfo(dtype).eps), float(jnp.finfo(dtype).tiny)
    exact = oracle.activation(name, Z, 0.01)
    np.testing.assert_allclose(g(z), exact, rtol=100 * eps, atol=tiny)
    grads = jax.vmap(jax.grad(g))(z)
    # tanh′ = 1 − tanh² cannot see e^(−180); it is 0 to the last place of 1.
    slopes = oracle.activation_derivative(name, Z, 0.01)
    np.testing.assert_allclose(grads, slopes, rtol=100 * eps, atol=max(tiny, eps))


@both_dtypes
def test_softmax_is_right_at_huge_logits_and_after_a_shift(dtype):
    z = jnp.array([[1e4, -1e4, 0.0], [1e4, 1e4, 1e4], [1e4 + 1, 1e4, 1e4]], dtype)
    e = np.e
    exact = [[1, 0, 0], [1 / 3] * 3, [e / (e + 2), 1 / (e + 2), 1 / (e + 2)]]
    a = activations.softmax(z)
    np.testing.assert_allclose(a, exact, rtol=0, atol=4 * float(jnp.finfo(dtype).eps))
    np.testing.assert_allclose(a.sum(axis=-1), np.ones(3), atol=4 * float(jnp.finfo(dtype).eps))


def test_softmax_of_two_classes_is_the_sigmoid_of_their_difference():
    z = np.random.default_rng(0).normal(size=(2, 7)) * 5
    np.testing.assert_allclose(reference.softmax(z)[0], reference.sigmoid(z[0] - z[1]), rtol=1e-13)


def test_layers_of_linear_units_are_one_linear_map():
    x = np.random.default_rng(0).normal(size=(5,))
    assert np.array_equal(activations.linear(jnp.asarray(x)), jnp.asarray(x))
    assert activations.ACTIVATIONS["linear"] is activations.linear
    assert set(activations.ACTIVATIONS) == set(reference.ACTIVATIONS)
