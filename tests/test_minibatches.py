"""Every example exactly once an epoch, rows together, all orders equally likely."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import reference_numpy.minibatch
from jaxnet.data import Dataset, minibatches

KEY = jax.random.key(0)

# Few different m, as each compiles a sort; every batch size with each.
SIZES = st.sampled_from([1, 2, 7, 24]).flatmap(lambda m: st.tuples(st.just(m), st.integers(1, m)))


@settings(max_examples=40, deadline=None)
@given(SIZES, st.integers(0, 2**31))
def test_every_index_exactly_once(sizes, seed):
    m, batch_size = sizes
    full, rest = minibatches.epoch_indices(jax.random.key(seed), m, batch_size)
    assert full.shape == (m // batch_size, batch_size)
    assert rest.shape == (m % batch_size,)
    assert sorted([*full.ravel().tolist(), *rest.tolist()]) == list(range(m))
    assert len(full) == minibatches.steps_per_epoch(m, batch_size, drop_last=True)
    assert len(full) + (rest.size > 0) == minibatches.steps_per_epoch(m, batch_size)


# Both sides of powers of two, where the number of index bits changes, and of the switch to
# jax.random.permutation.
@pytest.mark.parametrize("n", [1, 2, 3, 4, 256, 257, 2**14, 2**14 + 1])
def test_is_a_permutation(n):
    order = minibatches.permutation(KEY, n)
    assert order.dtype == jnp.int32
    assert np.array_equal(np.sort(order), np.arange(n))


@pytest.mark.parametrize("n", [257, 2**14 + 1])
def test_same_order_in_64_bits(n):
    plain = np.asarray(minibatches.permutation(KEY, n))
    with jax.enable_x64(True):
        assert np.array_equal(minibatches.permutation(KEY, n), plain)


def test_all_orders_are_equally_likely():
    draws = 24 * 500
    orders = jax.jit(jax.vmap(lambda key: minibatches.permutation(key, 4)))(
        jax.random.split(KEY, draws)
    )
    seen = np.asarray(orders) @ np.array([64, 16, 4, 1])
    known = [np.dot(p, [64, 16, 4, 1]) for p in itertools.permutations(range(4))]
    counts = [np.sum(seen == code) for code in known]
    assert sum(counts) == draws
    assert stats.chisquare(counts).pvalue > 1e-4  # one fixed key: a fair shuffle passes for good


def test_no_bias_towards_index_order_at_the_limit():
    # Kendall's count of inversions: mean n(n−1)/4, variance n(n−1)(2n+5)/72. Index order in the
    # top bits, or too few random ones, moves it by far more than 5 standard deviations.
    n = 2**14
    order = np.asarray(minibatches.permutation(KEY, n))
    inversions = (1 - stats.kendalltau(np.arange(n), order).statistic) / 2 * n * (n - 1) / 2
    deviation = np.sqrt(n * (n - 1) * (2 * n + 5) / 72)
    assert abs(inversions - n * (n - 1) / 4) < 5 * deviation


def test_a_key_an_order():
    keys = jax.random.split(KEY, 5)
    mapped = jax.jit(jax.vmap(lambda key: minibatches.epoch_indices(key, 23, 5)))(keys)
    for i, key in enumerate(keys):
        full, rest = minibatches.epoch_indices(key, 23, 5)
        assert jnp.array_equal(mapped[0][i], full)
        assert jnp.array_equal(mapped[1][i], rest)
    assert len({tuple(full.ravel().tolist()) for full in mapped[0]}) == 5


def test_older_keys_work():
    old = jax.random.key_data(KEY)
    assert jnp.array_equal(minibatches.permutation(old, 23), minibatches.permutation(KEY, 23))


def test_steps_per_epoch_of_the_notes():
    assert minibatches.steps_per_epoch(5_000_000, 1_000) == 5_000
    assert minibatches.steps_per_epoch(7, 7) == 1  # batch descent
    assert minibatches.steps_per_epoch(7, 1) == 7  # stochastic descent
    assert minibatches.steps_per_epoch(7, 3) == 3
    assert minibatches.steps_per_epoch(7, 3, drop_last=True) == 2


def test_partition_keeps_rows_together():
    x = jnp.stack([jnp.arange(23.0), -jnp.arange(23.0)], axis=1)
    batches = minibatches.partition(KEY, Dataset(x, jnp.arange(23)), 5)
    assert [len(batch.y) for batch in batches] == [5, 5, 5, 5, 3]
    for batch in batches:
        assert jnp.array_equal(batch.x[:, 0], batch.y.astype(float))
        assert jnp.array_equal(batch.x[:, 1], -batch.y.astype(float))
    y = jnp.concatenate([batch.y for batch in batches]).tolist()
    assert sorted(y) == list(range(23))
    assert y != list(range(23))
    # The reference draws from another generator: the same sizes and the same examples in all.
    twins = reference_numpy.minibatch.partition(
        np.random.default_rng(0), np.asarray(x).T, np.arange(23.0)[None], 5
    )
    assert [Y.shape[1] for _, Y in twins] == [len(batch.y) for batch in batches]
    assert sorted(np.concatenate([Y[0] for _, Y in twins]).tolist()) == sorted(y)
    assert len(minibatches.partition(KEY, Dataset(x, jnp.arange(23)), 23)) == 1


@pytest.mark.parametrize(
    ("m", "batch_size", "named"), [(7, 0, "batch_size"), (7, 8, "batch_size.*7.*8"), (0, 1, "m:")]
)
def test_refuses(m, batch_size, named):
    with pytest.raises(ValueError, match=named):
        minibatches.steps_per_epoch(m, batch_size)
    with pytest.raises(ValueError, match=named):
        minibatches.epoch_indices(KEY, m, batch_size)


def test_partition_refuses_targets_of_another_length():
    with pytest.raises(ValueError, match=r"data\.y.*7"):
        minibatches.partition(KEY, Dataset(jnp.zeros((7, 2)), jnp.zeros(6, int)), 3)
