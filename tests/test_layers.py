"""Dense layer, dropout and batch norm: what the registry's rows (test_cases) do not say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import layers
from jaxnet.layers import BatchNormParams, BatchNormState, Layer
from reference_numpy import batch_norm as reference

M, N = 7, 3
FAR = 1e4

both_dtypes = pytest.mark.parametrize(
    "dtype", [pytest.param(jnp.float64, marks=pytest.mark.f64), jnp.float32]
)


def plain(n, dtype=jnp.float32):
    return BatchNormParams(jnp.ones(n, dtype), jnp.zeros(n, dtype))


@jax.jit
def normalized_with_gradient(params, z, weights):
    """Batch norm's output and the gradient of Σ weights · output by z."""
    (out, statistics), pull_back = jax.vjp(lambda z: layers.batch_norm(params, z), z)
    nothing = jax.tree.map(jnp.zeros_like, statistics)
    return out, statistics, pull_back((weights, nothing))[0]


@pytest.mark.f64
def test_dense_is_the_weighted_sum_of_each_row():
    x, w, b = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([[1.0, 0.0, -1.0], [0.5, 2.0, 1.0]]), 3
    z = layers.dense(Layer(w, jnp.full(3, float(b))), x)
    assert z.tolist() == [[5.0, 7.0, 4.0], [8.0, 11.0, 4.0]]


def test_a_bias_that_would_broadcast_along_examples_is_an_error():
    with pytest.raises((TypeError, ValueError)):
        layers.dense(Layer(jnp.ones((2, 3)), jnp.ones(M)), jnp.ones((M, 2)))


@both_dtypes
def test_batch_norm_keeps_its_digits_far_from_zero(dtype):
    # x = 1 … 4 plus 1e4, where the mean of squares minus the squared mean leaves no digit.
    x = jnp.asarray(np.array([[1.0], [2.0], [3.0], [4.0]]) + FAR, dtype)
    out, statistics = layers.batch_norm(plain(1, dtype), x)
    exact = (np.arange(4.0) - 1.5) / np.sqrt(1.25 + 1e-5)
    np.testing.assert_allclose(out[:, 0], exact, rtol=0, atol=1e-6)
    # The mean, 10002.5, is off by at most 4 roundings of the sum; the variance by its square.
    assert float(statistics.var[0]) == pytest.approx(1.25, rel=1e-6)
    one_pass = jnp.mean(x**2) - jnp.mean(x) ** 2
    if dtype == jnp.float32:
        assert abs(float(one_pass) - 1.25) > 0.5  # what the check above would have caught


def test_the_reference_keeps_its_digits_far_from_zero():
    out, cache = reference.forward(np.array([[1.0, 2.0, 3.0, 4.0]]) + 1e9, [[1.0]], [[0.0]])
    np.testing.assert_allclose(out[0], (np.arange(4.0) - 1.5) / np.sqrt(1.25 + 1e-5), rtol=1e-7)
    assert cache.var[0, 0] == pytest.approx(1.25, rel=1e-7)


@pytest.mark.f64
def test_the_variance_of_a_batch_is_the_biased_one():
    # n = 2, where the unbiased one is twice as large: of 1 and 3 it is 1, not 2.
    out, statistics = layers.batch_norm(plain(1), jnp.array([[1.0], [3.0]]))
    assert statistics.mean.tolist() == [2.0]
    assert statistics.var.tolist() == [1.0]
    np.testing.assert_allclose(out[:, 0], np.array([-1, 1]) / np.sqrt(1 + 1e-5), rtol=1e-14)
    running = layers.update_running(BatchNormState(jnp.zeros(1), jnp.ones(1)), statistics)
    assert float(running.var[0]) == pytest.approx(1.0, rel=1e-14)
    assert float(running.mean[0]) == pytest.approx(0.02, rel=1e-14)


@pytest.mark.f64
def test_gradient_through_batch_norm_has_no_mean_and_almost_no_part_along_z_hat():
    rng = np.random.default_rng(0)
    z = jnp.asarray(rng.normal(size=(M, N)) * 3 + 1)
    params = BatchNormParams(jnp.asarray(rng.uniform(0.5, 2, N)), jnp.asarray(rng.normal(size=N)))
    weights = jnp.asarray(rng.normal(size=(M, N)))
    out, statistics, dz = normalized_with_gradient(params, z, weights)
    z_hat = (out - params.beta[None]) / params.gamma[None]
    scale = float(jnp.abs(dz).sum())
    np.testing.assert_allclose(dz.sum(axis=0), np.zeros(N), atol=1e-15 * scale)
    # A change of z along ẑ only rescales it, which ε alone notices: Σ dz·ẑ = ε/(σ²+ε)^{3/2} Σ dẑ·ẑ.
    eps = 1e-5
    along = eps / (statistics.var + eps) ** 1.5 * (params.gamma[None] * weights * z_hat).sum(axis=0)
    np.testing.assert_allclose((dz * z_hat).sum(axis=0), along, rtol=0, atol=1e-14 * scale)
    assert np.all(np.abs(along) < 1e-4 * np.abs(weights * z_hat).sum(axis=0))
    # What a backward pass without the mean, or without the variance, would have given.
    bare = params.gamma[None] * weights / jnp.sqrt(statistics.var + eps)[None]
    assert np.all(np.abs(bare.sum(axis=0)) > 1e-3)
    centred = bare - bare.mean(axis=0)[None]
    assert np.all(np.abs((centred * z_hat).sum(axis=0)) > 1e-3)


def test_output_sees_shift_and_scale_of_its_input_through_eps_alone():
    z = jnp.asarray(np.random.default_rng(1).normal(size=(M, N)), jnp.float32)
    out, statistics = layers.batch_norm(plain(N), z)
    moved, _ = layers.batch_norm(plain(N), 4 * z + 2)
    var, eps = np.asarray(statistics.var), 1e-5
    through_eps = np.sqrt((var + eps) / (var + eps / 16))
    np.testing.assert_allclose(moved, out * through_eps[None], rtol=0, atol=2e-6)
    np.testing.assert_allclose(out.mean(axis=0), np.zeros(N), atol=1e-6)
    np.testing.assert_allclose(jnp.square(out).mean(axis=0), var / (var + eps), atol=2e-6)


def test_evaluation_takes_one_example_and_treats_each_by_itself():
    params = BatchNormParams(jnp.array([2.0]), jnp.array([0.5]))
    running = BatchNormState(jnp.array([1.0]), jnp.array([4.0]))
    alone = layers.batch_norm_evaluate(params, running, jnp.array([[3.0]]), eps=0.0)
    assert alone.tolist() == [[2.5]]  # 2·(3−1)/√4 + ½
    batch = layers.batch_norm_evaluate(params, running, jnp.array([[3.0], [-90.0]]), eps=0.0)
    assert batch[0].tolist() == [2.5]
    # In training a single example is its own mean, and says nothing: β is left.
    in_training, _ = layers.batch_norm(params, jnp.array([[3.0]]))
    assert in_training.tolist() == [[0.5]]


def test_running_statistics_of_the_reference_and_of_jaxnet_start_counting_alike():
    mean, var = reference.update_running([[0.0]], [[1.0]], [[2.0]], [[3.0]])
    running = layers.update_running(
        BatchNormState(jnp.zeros(1), jnp.ones(1)),
        BatchNormState(jnp.full(1, 2.0), jnp.full(1, 3.0)),
    )
    assert float(running.mean[0]) == pytest.approx(float(mean[0, 0]), rel=1e-6)
    assert float(running.var[0]) == pytest.approx(float(var[0, 0]), rel=1e-6)


KEEP = 0.75


def test_dropout_keeps_its_share_and_its_mean_over_masks():
    a = jnp.asarray(np.random.default_rng(2).uniform(0.5, 1.5, (M, N)), jnp.float32)
    count = 4000
    masks = layers.dropout_mask(jax.random.key(0), (count, M, N), KEEP)
    dropped = layers.dropout(jnp.broadcast_to(a, masks.shape), masks, KEEP)
    # One unit's average over the masks has deviation a·√((1−p)/(p·count)); five of them.
    five_sigma = 5 * np.sqrt((1 - KEEP) / KEEP / count)
    relative = np.asarray(dropped.mean(axis=0) / a) - 1
    assert np.all(np.abs(relative) < five_sigma)
    assert five_sigma < (1 / KEEP - 1) / 5  # without rescaling it would be off by far more
    # Kept units are scaled, dropped ones exactly 0.
    assert np.array_equal(dropped[0], np.where(masks[0], a / KEEP, 0))
    assert abs(float(masks.mean()) - KEEP) < 5 * np.sqrt(KEEP * (1 - KEEP) / masks.size)


def test_dropout_passes_gradients_through_the_same_mask():
    mask = layers.dropout_mask(jax.random.key(3), (M, N), KEEP)
    assert bool(mask.any()) and not bool(mask.all())
    grads = jax.grad(lambda a: layers.dropout(a, mask, KEEP).sum())(jnp.ones((M, N)))
    assert np.array_equal(grads, np.where(mask, np.float32(1) / np.float32(KEEP), 0))


def test_dropout_of_an_infinite_unit_leaves_no_nan():
    dropped = layers.dropout(jnp.array([jnp.inf, 1.0]), jnp.array([False, True]), 0.5)
    assert dropped.tolist() == [0.0, 2.0]


def test_other_keys_give_other_masks_and_equal_keys_the_same():
    first = layers.dropout_mask(jax.random.key(0), (M, 40), KEEP)
    assert np.array_equal(first, layers.dropout_mask(jax.random.key(0), (M, 40), KEEP))
    assert not np.array_equal(first, layers.dropout_mask(jax.random.key(1), (M, 40), KEEP))
    assert bool(layers.dropout_mask(jax.random.key(0), (M, 40), 1.0).all())
