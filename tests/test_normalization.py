"""Zero mean and unit variance; constants, offsets and strangers handled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import reference_numpy.normalization
from jaxnet.data import normalization

X = np.random.default_rng(0).normal([0, 500, -3], [1, 250, 0.01], (7, 3))


def check(dtype):
    x = jnp.asarray(X, dtype)
    measured = normalization.fit(x)
    given = np.asarray(x, np.longdouble)
    # A mean of m numbers of size |x| is off by at most m eps of it; σ relatively by a few eps and
    # by the mean's error over σ (|μ|/σ is at most 300 here, and enters squared: far below eps m).
    eps, scale = float(jnp.finfo(dtype).eps), np.abs(given).max(axis=0)
    assert np.all(np.abs(np.asarray(measured.mu) - given.mean(axis=0)) <= 7 * eps * scale)
    sigma = np.asarray(measured.sigma)
    np.testing.assert_allclose(sigma, given.std(axis=0), rtol=20 * eps * 300)
    normal = np.asarray(normalization.apply(measured, x), np.longdouble)
    ratio = (scale / given.std(axis=0)).astype(float)
    assert np.all(np.abs(normal.mean(axis=0)) <= 10 * eps * ratio)
    assert np.all(np.abs(normal.std(axis=0) - 1) <= 10 * eps * ratio)


@pytest.mark.f64
def test_reference_agrees():
    X_columns = np.column_stack([X, np.full(7, 0.1)]).T
    mu, sigma = reference_numpy.normalization.fit(X_columns)
    measured = normalization.fit(jnp.asarray(X_columns.T))
    # Means of 7 numbers, summed in another order: 7 eps of the largest.
    scale = 7 * np.finfo(float).eps * np.abs(X_columns).max(axis=1)
    assert np.all(np.abs(measured.mu - mu[:, 0]) <= scale)
    assert np.all(np.abs(measured.sigma - sigma[:, 0]) <= 2 * scale)
    want = reference_numpy.normalization.apply(X_columns, mu, sigma).T
    got = normalization.apply(measured, jnp.asarray(X_columns.T))
    assert np.all(np.abs(got - want) <= 10 * scale / sigma[:, 0])


def test_fit_float32():
    check(jnp.float32)


@pytest.mark.f64
def test_fit_float64():
    check(jnp.float64)


@pytest.mark.f64
def test_dividing_by_the_variance_does_not_give_unit_variance():
    # Erratum 4: with the printed σ² the variance of the result is 1/σ².
    x = jnp.asarray(X)
    mu, sigma = normalization.fit(x)
    printed = normalization.apply(normalization.Normalization(mu, sigma**2), x)
    np.testing.assert_allclose(printed.var(axis=0), 1 / sigma**2, rtol=1e-11)
    np.testing.assert_allclose(
        normalization.apply(normalization.Normalization(mu, sigma), x).var(axis=0), 1, rtol=1e-11
    )


def test_large_offset_does_not_cancel():
    # E[x²] − E[x]² in float32 would lose everything here.
    x = jnp.array([[10001.0], [10002.0], [10003.0], [10004.0]])
    measured = normalization.fit(x)
    np.testing.assert_allclose(measured.sigma, np.sqrt(1.25), rtol=1e-6)
    assert np.all(np.abs(normalization.apply(measured, x)) < 1.35)


@pytest.mark.parametrize("value", [0.1, 0.0, 1e30, -7.3])
def test_constant_column_becomes_zero(value):
    # The mean of seven 0.1 is not 0.1 in floating point: σ would be pure rounding.
    x = jnp.asarray(np.column_stack([np.full(7, value), np.arange(7)]), jnp.float32)
    measured = normalization.fit(x)
    assert np.asarray(measured.sigma)[0] == 1
    assert np.asarray(measured.mu)[0] == np.float32(value)
    assert np.all(np.asarray(normalization.apply(measured, x))[:, 0] == 0)
    assert np.asarray(jax.jit(normalization.fit)(x).sigma)[0] == 1


def test_one_example_and_underflow_are_finite():
    for x in (jnp.array([[3.0, 4.0]]), jnp.array([[0.0], [1e-30]])):
        assert np.all(np.isfinite(normalization.apply(normalization.fit(x), x)))


def test_the_training_statistics_are_used_for_every_set():
    x = jnp.asarray(X, jnp.float32)
    measured = normalization.fit(x)
    shifted = normalization.apply(measured, x + 10) - normalization.apply(measured, x)
    # A set normalized by itself would not move. 1e-3: the third column has σ = 0.01.
    np.testing.assert_allclose(shifted, np.broadcast_to(10 / measured.sigma, (7, 3)), rtol=1e-3)


def test_images_and_series():
    images = jnp.arange(42.0).reshape(7, 3, 2)
    assert normalization.fit(images).mu.shape == (3, 2)
    series = normalization.fit(jnp.array([1.0, 3.0]))
    assert (series.mu, series.sigma) == (2, 1)


def test_refuses():
    with pytest.raises(ValueError, match=r"x: expected at least one example"):
        normalization.fit(jnp.ones((0, 3)))
    with pytest.raises(ValueError, match=r"x: expected finite.*\(0, 1\)"):
        normalization.fit(jnp.array([[1.0, jnp.nan]]))
    measured = normalization.fit(jnp.asarray(X, jnp.float32))
    with pytest.raises(ValueError, match=r"x: .* fitted shape \(3,\), got \(2,\)"):
        normalization.apply(measured, jnp.ones((7, 2)))
