"""Exponentially weighted averages against exact arithmetic and the explicit weighted sum."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import reference_numpy.averages
from jaxnet.averages import exponentially_weighted, weights

STEPS = 23
THETA = np.random.default_rng(0).normal(10, 5, (STEPS, 3))


def exact(theta, beta, corrected):
    """The recursion in rational numbers, on the very numbers that the function is given."""
    beta, v, rows = Fraction(beta), [Fraction(0)] * theta.shape[1], []
    for t, row in enumerate(theta.tolist(), start=1):
        v = [beta * old + (1 - beta) * Fraction(new) for old, new in zip(v, row, strict=True)]
        rows.append([float(x / (1 - beta**t) if corrected else x) for x in v])
    return np.array(rows)


def check(dtype, beta, corrected):
    theta, beta = jnp.asarray(THETA, dtype), jnp.asarray(beta, dtype)
    got = exponentially_weighted(theta, beta, corrected=corrected)
    want = exact(theta, beta.item(), corrected)
    assert got.dtype == dtype
    # Each of the t steps rounds a value no larger than the average of |θ| four times (β V, 1−β,
    # its product, the sum), and what it rounded then decays by β: 4·min(t, 1/(1−β))·eps, the same
    # again for the sum of weights, both relative to max|θ|.
    steps = min(STEPS, 1 / (1 - beta.item()))
    bound = 8 * (steps + 1) * jnp.finfo(dtype).eps * np.abs(THETA).max()
    np.testing.assert_allclose(got, want, rtol=0, atol=bound)
    if dtype == jnp.float64:
        twin = reference_numpy.averages.exponentially_weighted(
            THETA, beta.item(), corrected=corrected
        )
        # 1 − β^t as it stands in the twin cancels: eps/(1−β) more.
        cancelled = 4 * np.finfo(dtype).eps / (1 - beta.item())
        np.testing.assert_allclose(got, twin, rtol=cancelled, atol=bound)


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.98, 0.9999])
def test_exact_float32(beta, corrected):
    check(jnp.float32, beta, corrected)


@pytest.mark.f64
@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.98, 0.9999])
def test_exact_float64(beta, corrected):
    check(jnp.float64, beta, corrected)


@pytest.mark.f64
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.98])
def test_is_the_explicit_weighted_sum(beta):
    bound = 8 * STEPS * jnp.finfo(jnp.float64).eps * np.abs(THETA).max()
    averages = np.asarray(exponentially_weighted(jnp.asarray(THETA), beta))
    for t in (1, 2, STEPS):
        w = np.asarray(weights(beta, t))
        np.testing.assert_allclose(w.sum(), 1 - beta**t, rtol=1e-14)
        np.testing.assert_allclose(averages[t - 1], w @ THETA[:t], rtol=0, atol=bound)


@pytest.mark.f64
def test_the_notes_example_of_the_second_day():
    theta = jnp.array([40.0, 49.0])
    got = exponentially_weighted(theta, 0.98, corrected=True)[1]
    # 1 − 0.98 loses up to 1/0.02 eps: 50 eps is 1e-14.
    np.testing.assert_allclose(got, (0.0196 * 40 + 0.02 * 49) / 0.0396, rtol=2e-14)


@pytest.mark.parametrize("beta", [0.5, 0.9, 0.999, 0.99999])
def test_corrected_average_of_a_constant_is_that_constant_from_the_first_day(beta):
    # Also where 1 − β^t cancels: 100 steps of float32 at β = 0.99999.
    series = jnp.full((100,), 7.0)
    got = exponentially_weighted(series, beta, corrected=True)
    np.testing.assert_allclose(got, 7.0, rtol=100 * float(np.finfo(np.float32).eps))
    assert np.asarray(exponentially_weighted(series, beta))[0] < 3.6  # V_1 = (1−β)·7


def test_traced_beta_maps_compiles_and_differentiates():
    theta, betas = jnp.asarray(THETA, jnp.float32), jnp.array([0.0, 0.5, 0.98])
    for corrected in (False, True):

        def average(beta, corrected=corrected):
            return exponentially_weighted(theta, beta, corrected=corrected)

        mapped = jax.jit(jax.vmap(average))(betas)
        one_by_one = np.stack([average(beta) for beta in (0.0, 0.5, 0.98)])
        np.testing.assert_allclose(mapped, one_by_one, rtol=1e-5)
        assert np.all(np.isfinite(jax.jit(jax.jacfwd(average))(0.0)))


@pytest.mark.parametrize("beta", [-0.1, 1.0, float("nan")])
def test_refuses_beta(beta):
    with pytest.raises(ValueError, match="beta"):
        exponentially_weighted(jnp.ones(3), beta)
    with pytest.raises(ValueError, match="beta"):
        weights(beta, 3)


def test_refuses_series():
    with pytest.raises(ValueError, match=r"theta.*at least one"):
        exponentially_weighted(jnp.ones((0, 3)), 0.9)
    with pytest.raises(ValueError, match=r"theta.*\(1,\)"):
        exponentially_weighted(jnp.array([1.0, jnp.nan]), 0.9)


def test_whole_numbers_are_averaged_as_reals():
    np.testing.assert_array_equal(exponentially_weighted(jnp.array([8, 8, 16]), 0.5), [4, 6, 11])
