"""Parts are disjoint, cover everything, have the right sizes, and are random."""

from typing import Any

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import reference_numpy.splits
from jaxnet.data import Dataset, splits

KEY = jax.random.key(0)


def cover(parts, m):
    everything = np.concatenate([np.asarray(part) for part in parts])
    return sorted(everything.tolist()) == list(range(m))


FRACTIONS = st.lists(st.integers(1, 20), min_size=1, max_size=4).map(
    lambda weights: tuple(w / sum(weights) for w in weights)
)


# Few different m, as each compiles a sort.
@settings(max_examples=25, deadline=None)
@given(st.sampled_from([1, 7, 24, 100]), FRACTIONS, st.integers(0, 2**31))
def test_split_is_a_partition_with_sizes_within_one(m, fractions, seed):
    assume(min(fractions) * m >= 1)  # else a part may round to nothing, which is refused
    parts = splits.split(jax.random.key(seed), m, fractions)
    assert cover(parts, m)
    assert len(parts) == len(fractions)
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - fraction * m) < 1 + 1e-9
    twin = reference_numpy.splits.split(np.random.default_rng(seed), m, fractions)
    assert [len(part) for part in parts] == [len(part) for part in twin]


@pytest.mark.parametrize(
    ("m", "fractions", "sizes"),
    [
        (1000, (0.7, 0.3), [700, 300]),
        (10_000, (0.6, 0.2, 0.2), [6000, 2000, 2000]),
        (1_000_000, (0.98, 0.01, 0.01), [980_000, 10_000, 10_000]),
        (1_000_000, (0.99, 0.005, 0.005), [990_000, 5_000, 5_000]),
        (7, (0.6, 0.2, 0.2), [4, 2, 1]),
        (7, (1.0,), [7]),
    ],
)
def test_sizes_of_the_notes(m, fractions, sizes):
    parts = jax.eval_shape(lambda key: splits.split(key, m, fractions), KEY)
    assert [part.size for part in parts] == sizes


def test_split_depends_on_the_key_alone():
    first, again = splits.split(KEY, 100, (0.6, 0.4)), splits.split(KEY, 100, (0.6, 0.4))
    other = splits.split(jax.random.key(1), 100, (0.6, 0.4))
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(np.sort(first[0]), np.sort(other[0]))


def test_every_example_is_as_often_in_every_part():
    # 2,000 splits of 10 into 7 and 3: each index is in the second part with probability 0.3;
    # 5 standard deviations of its frequency, √(0.3·0.7/2000), for the largest of ten.
    keys = jax.random.split(KEY, 2000)
    held = jax.vmap(lambda key: splits.split(key, 10, (0.7, 0.3))[1])(keys)
    frequency = np.bincount(np.asarray(held).ravel(), minlength=10) / 2000
    assert np.abs(frequency - 0.3).max() < 5 * np.sqrt(0.3 * 0.7 / 2000)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([(24,), (5, 19), (7, 8, 9), (6, 6, 6, 6)]),
    st.sampled_from([(0.6, 0.2, 0.2), (0.5, 0.5), (0.7, 0.3)]),
    st.integers(0, 2**31),
)
def test_stratified_divides_every_class(counts, fractions, seed):
    labels = np.repeat(3 * np.arange(len(counts)), counts)  # labels need not be 0 … K−1
    labels = np.random.default_rng(seed).permutation(labels)
    parts = splits.stratified(jax.random.key(seed), jnp.asarray(labels), fractions)
    assert cover(parts, len(labels))
    for label, count in enumerate(counts):
        for part, fraction in zip(parts, fractions, strict=True):
            inside = np.sum(labels[np.asarray(part)] == 3 * label)
            assert abs(inside - fraction * count) < 1 + 1e-9
    twin = reference_numpy.splits.stratified(np.random.default_rng(seed), labels, fractions)
    for part, other in zip(parts, twin, strict=True):
        assert sorted(labels[np.asarray(part)]) == sorted(labels[other])


def test_stratified_parts_are_not_sorted_by_class():
    labels = jnp.repeat(jnp.arange(2), 50)
    (part,) = splits.stratified(KEY, labels, (1.0,))
    changes = np.sum(np.diff(np.asarray(labels[part])) != 0)
    # In random order about half of the 99 neighbours differ, standard deviation 5; sorted, one.
    assert 25 < changes < 75


def test_train_dev_test_keeps_rows_together():
    x = jnp.arange(35.0).reshape(7, 5)
    data = Dataset(x, jnp.array([0, 1, 0, 1, 0, 1, 0]))
    parts = splits.train_dev_test(KEY, data)
    assert [len(part.y) for part in parts] == [4, 2, 1]
    rows, targets = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.argsort(rows[:, 0])
    assert np.array_equal(rows[order], data.x)
    assert np.array_equal(targets[order], data.y)


def test_train_dev_test_stratified():
    y = jnp.asarray([0] * 200 + [1] * 50)
    parts = splits.train_dev_test(KEY, Dataset(jnp.zeros((250, 3)), y), stratify=True)
    counts = [(len(part.y), int(np.sum(part.y))) for part in parts]
    assert counts == [(150, 30), (50, 10), (50, 10)]


@pytest.mark.parametrize(
    ("m", "fractions", "named"),
    [
        (0, (0.5, 0.5), "m:"),
        (7, (0.5, 0.4), "fractions.*0.9"),
        (7, (1.5, -0.5), "fractions"),
        (7, (), "fractions"),
        (7, (0.98, 0.01, 0.01), r"fractions.*7 examples.*\[7, 0, 0\]"),
    ],
)
def test_split_refuses(m, fractions, named):
    with pytest.raises(ValueError, match=named):
        splits.split(KEY, m, fractions)


def test_stratified_refuses():
    with pytest.raises(ValueError, match="2 of class 1"):
        splits.stratified(KEY, jnp.array([0] * 10 + [1] * 2), (0.6, 0.2, 0.2))
    with pytest.raises(TypeError, match=r"labels.*traced"):
        jax.jit(lambda y: splits.stratified(KEY, y, (0.5, 0.5)))(jnp.zeros(4, int))


def test_refuses_what_the_annotations_refuse_too(monkeypatch):
    # Users run without the annotations' own checks, which would come first here.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"fractions.*three.*\(0.7, 0.3\)"):
        fractions: Any = (0.7, 0.3)
        splits.train_dev_test(KEY, Dataset(jnp.zeros((7, 2)), jnp.zeros(7)), fractions=fractions)
    with pytest.raises(TypeError, match=r"labels.*float32 of shape \(7,\)"):
        splits.stratified(KEY, jnp.zeros(7), (0.7, 0.3))


def test_train_dev_test_refuses_targets_of_another_length():
    with pytest.raises(ValueError, match=r"data\.y.*7"):
        splits.train_dev_test(KEY, Dataset(jnp.zeros((7, 2)), jnp.zeros(6, int)))


def test_cut_gives_disjoint_parts_of_the_sizes_asked_for_and_the_rest():
    data = Dataset(jnp.arange(24.0)[:, None] * jnp.ones((1, 2)), jnp.arange(24))
    parts = splits.cut(KEY, data, (5, 7))
    assert [part.x.shape for part in parts] == [(5, 2), (7, 2), (12, 2)]
    assert cover([part.y for part in parts], 24)
    for part in parts:
        np.testing.assert_array_equal(part.x[:, 0], part.y)
    again = splits.cut(jax.random.key(1), data, (5, 7))
    assert not np.array_equal(again[0].y, parts[0].y)
    assert [len(part.y) for part in splits.cut(KEY, data, (24,))] == [24, 0]


@pytest.mark.parametrize(
    "sizes, said", [((5, 0), "sizes\\[1\\]"), ((20, 5), "at most the 24.* 25")]
)
def test_cut_refuses(sizes, said):
    with pytest.raises(ValueError, match=said):
        splits.cut(KEY, Dataset(jnp.ones((24, 2)), jnp.arange(24)), sizes)
