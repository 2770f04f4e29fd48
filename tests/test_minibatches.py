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


@pytest.mark.parametrize("n", [1024, 2**14])
def test_ties_are_as_rare_as_stated(n):
    # A random order has (n − 1)/2 ascents between neighbours, variance (n + 1)/12. Two examples
    # that tie become neighbours and always ascend, which adds half the tied pairs: 0.06 and 256.
    # Five standard deviations; fewer random bits would double the excess for each bit.
    ascents = np.sum(np.diff(np.asarray(minibatches.permutation(KEY, n))) > 0)
    tied = n * (n - 1) / 2 / 2 ** (32 - (n - 1).bit_length())
    assert abs(ascents - ((n - 1) + tied) / 2) < 5 * np.sqrt((n + 1) / 12 + tied / 4)


def test_a_key_an_order():
    keys = jax.random.split(KEY, 5)
    mapped = jax.jit(jax.vmap(lambda key: minibatches.epoch_indices(key, 23, 5)))(keys)
    for key, *indices in zip(keys, *map(np.asarray, mapped), strict=True):
        assert all(map(np.array_equal, minibatches.epoch_indices(key, 23, 5), indices))
    assert len({tuple(full.ravel().tolist()) for full in np.asarray(mapped[0])}) == 5


def test_older_keys_work():
    old = jax.random.key_data(KEY)
    assert np.array_equal(minibatches.permutation(old, 23), minibatches.permutation(KEY, 23))


def test_steps_per_epoch_of_the_notes():
    assert minibatches.steps_per_epoch(5_000_000, 1_000) == 5_000
    assert minibatches.steps_per_epoch(7, 7) == 1  # batch descent
    assert minibatches.steps_per_epoch(7, 1) == 7  # stochastic descent
    assert minibatches.steps_per_epoch(7, 3) == 3
    assert minibatches.steps_per_epoch(7, 3, drop_last=True) == 2


def test_partition_keeps_rows_together():
    x = np.column_stack([np.arange(23.0), -np.arange(23.0)])
    data = Dataset(jnp.asarray(x, jnp.float32), jnp.arange(23))
    batches = [jax.tree.map(np.asarray, b) for b in minibatches.partition(KEY, data, 5)]
    assert [len(batch.y) for batch in batches] == [5, 5, 5, 5, 3]
    for batch in batches:
        assert np.array_equal(batch.x, x[batch.y])
    y = np.concatenate([batch.y for batch in batches]).tolist()
    assert sorted(y) == list(range(23))
    assert y != list(range(23))
    # The reference draws from another generator: the same sizes and the same examples in all.
    twins = reference_numpy.minibatch.partition(
        np.random.default_rng(0), x.T, np.arange(23.0)[None], 5
    )
    assert [Y.shape[1] for _, Y in twins] == [len(batch.y) for batch in batches]
    assert sorted(np.concatenate([Y[0] for _, Y in twins]).tolist()) == sorted(y)
    assert len(minibatches.partition(KEY, data, 23)) == 1


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
        minibatches.partition(KEY, Dataset(jnp.zeros((7, 2)), jnp.zeros(6)), 3)
