"""The data sets: what scikit-learn has, and figures of known geometry."""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial
import sklearn.datasets

from jaxnet.data import datasets

KEY = jax.random.key(3)
MAKERS = [datasets.moons, datasets.circles, datasets.spirals, datasets.flower]


def sorted_rows(x, y):
    rows = np.column_stack([np.asarray(x), np.asarray(y)])
    return rows[np.lexsort(rows.T)]


def joined(split):
    return [np.concatenate([np.asarray(part[i]) for part in split]) for i in (0, 1)]


def test_digits_are_scikit_learns_scaled_and_cut_in_parts():
    x, y = sklearn.datasets.load_digits(return_X_y=True)
    split = datasets.load("digits")
    # k/16 is exact in float32, so the rows are the same to the bit, each with its label.
    assert np.array_equal(sorted_rows(*joined(split)), sorted_rows(x / 16, y))
    split = jax.tree.map(np.asarray, split)
    assert [part.x.dtype for part in split] == [jnp.float32] * 3
    assert [part.y.dtype for part in split] == [jnp.int32] * 3
    assert [part.x.min() for part in split] == [0] * 3
    assert [part.x.max() for part in split] == [1] * 3
    for part, fraction in zip(split, (0.6, 0.2, 0.2), strict=True):
        for digit, count in enumerate(np.bincount(y)):
            assert abs(int((part.y == digit).sum()) - fraction * count) < 1


@pytest.mark.f64
@pytest.mark.parametrize(
    ("name", "y_dtype"), [("breast_cancer", jnp.int32), ("diabetes", jnp.float64)]
)
def test_measurements_are_normalized_by_the_training_part(name, y_dtype):
    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    split = datasets.load(name)
    train = np.asarray(split.train.x)
    assert train.dtype == np.float64
    assert split.train.y.dtype == y_dtype
    # m·eps·max|x|/σ, 340 rows and at most 12 σ: 1e-12.
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(train.std(axis=0), 1, rtol=1e-12)
    for part in (split.dev, split.test):
        assert np.abs(np.asarray(part.x).mean(axis=0)).max() > 1e-3  # not by their own statistics
    # Every row is a row of the original under one affine map per column, which the extremes
    # determine, and has that row's target.
    all_x, all_y = joined(split)
    scaled, expected = ((rows - rows.min(axis=0)) / np.ptp(rows, axis=0) for rows in (all_x, x))
    distance, row = scipy.spatial.KDTree(expected).query(scaled)
    assert distance.max() < 1e-12
    assert np.array_equal(np.sort(row), np.arange(len(x)))
    np.testing.assert_array_equal(all_y, y[row])


def test_one_means_benign():
    cancer: Any = sklearn.datasets.load_breast_cancer()
    names = cancer.target_names
    assert names.tolist() == ["malignant", "benign"]
    y = joined(datasets.load("breast_cancer"))[1]
    assert (int((y == 0).sum()), int((y == 1).sum())) == (212, 357)


def test_diabetes_keeps_its_unit():
    y = joined(datasets.load("diabetes"))[1]
    assert (y.min(), y.max(), y.dtype) == (25, 346, np.float32)


@pytest.mark.parametrize("name", ["moons", "circles", "spirals", "flower", "digits"])
def test_load_depends_on_the_key_alone(name):
    first, again = datasets.load(name), datasets.load(name, key=jax.random.key(0))
    assert all(map(np.array_equal, jax.tree.leaves(first), jax.tree.leaves(again)))
    assert not np.array_equal(datasets.load(name, key=KEY).train.x, first.train.x)
    if name != "digits":
        assert [len(part.y) for part in first] == [900, 300, 300]


@pytest.mark.parametrize("make", MAKERS)
def test_classes_are_balanced_and_points_finite(make):
    x, y = map(np.asarray, make(KEY, 421))
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((421, 2), np.float32, (421,), np.int32)
    counts = np.bincount(y)
    assert counts.max() - counts.min() <= 1
    assert len(counts) == (3 if make is datasets.spirals else 2)
    assert np.all(np.isfinite(x))


@pytest.mark.f64
@pytest.mark.parametrize("make", MAKERS)
def test_noise_is_gaussian_of_that_deviation(make):
    noisy, clean = (np.asarray(make(KEY, 420, noise=noise).x) for noise in (0.3, 0.0))
    assert noisy.dtype == np.float64
    # A deviation measured on 840 normal numbers is known to 1/√1680 = 2.4 %: four of those.
    assert abs((noisy - clean).std() / 0.3 - 1) < 0.1


def test_noise_and_turns_may_be_traced():
    def draw(noise, turns):
        return datasets.spirals(KEY, 420, noise=noise, turns=turns).x

    # The same operations, perhaps fused: a few roundings of coordinates of size 1.
    np.testing.assert_allclose(jax.jit(draw)(0.3, 2.0), draw(0.3, 2.0), rtol=0, atol=2e-6)


@pytest.mark.f64
def test_moons_without_noise():
    x, y = map(np.asarray, datasets.moons(KEY, 420, noise=0.0))
    upper, lower = x[y == 0], x[y == 1]
    np.testing.assert_allclose(np.hypot(*upper.T), 1, rtol=1e-14)
    np.testing.assert_allclose(np.hypot(lower[:, 0] - 1, lower[:, 1] - 0.5), 1, rtol=1e-14)
    assert upper[:, 1].min() >= 0
    assert lower[:, 1].max() <= 0.5
    # The whole half circle, evenly: the angle's mean is π/2 ± 4·(π/√12)/√210.
    assert abs(np.arccos(upper[:, 0]).mean() - np.pi / 2) < 4 * np.pi / np.sqrt(12 * 210)


@pytest.mark.f64
def test_circles_without_noise():
    x, y = map(np.asarray, datasets.circles(KEY, 420, noise=0.0))
    np.testing.assert_allclose(np.hypot(*x.T), np.where(y == 0, 1.0, 0.5), rtol=1e-14)
    for label in (0, 1):  # all around: each quadrant holds about a quarter of 210, ± 4·√(210·3/16)
        quadrants = np.bincount(2 * (x[y == label, 0] > 0) + (x[y == label, 1] > 0), minlength=4)
        assert quadrants.min() > 27


@pytest.mark.f64
@pytest.mark.parametrize(("classes", "turns"), [(2, 1.5), (3, 1.0)])
def test_spirals_without_noise(classes, turns):
    x, y = map(np.asarray, datasets.spirals(KEY, 420, classes=classes, turns=turns, noise=0.0))
    radius = np.hypot(*x.T)
    angle = 2 * np.pi * (turns * radius + y / classes)
    on_the_curve = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    np.testing.assert_allclose(x, on_the_curve, rtol=0, atol=1e-14)
    assert radius.max() <= 1
    assert abs(radius.mean() - 0.5) < 4 / np.sqrt(12 * 420)
    assert np.unique(y).tolist() == list(range(classes))


@pytest.mark.f64
@pytest.mark.parametrize("petals", [2, 6])
def test_flower_without_noise(petals):
    x, y = map(np.asarray, datasets.flower(KEY, 420, petals=petals, noise=0.0))
    angle = np.arctan2(x[:, 1], x[:, 0]) % (2 * np.pi)
    np.testing.assert_allclose(
        np.hypot(*x.T), np.abs(np.sin(petals * angle / 2)), rtol=0, atol=1e-13
    )
    petal = np.floor(angle * petals / (2 * np.pi)).astype(int)
    assert np.array_equal(petal % 2, y)
    assert np.bincount(petal).tolist() == [420 // petals] * petals


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    for name in ("digits", "breast_cancer", "diabetes"):
        with pytest.raises(ImportError, match=rf"{name}.*pip install 'jaxnet-suite\[figures\]'"):
            datasets.load(name)
    assert len(datasets.load("moons").train.y) == 900


def test_refuses():
    with pytest.raises(ValueError, match=r"name.*breast_cancer, circles.*did you mean 'digits'"):
        datasets.load("digit")
    with pytest.raises(ValueError, match=r"petals.*even.*5"):
        datasets.flower(KEY, 421, petals=5)
    with pytest.raises(ValueError, match=r"classes"):
        datasets.spirals(KEY, 421, classes=1)
    with pytest.raises(ValueError, match=r"m: .* ≥ 3, got 2"):
        datasets.spirals(KEY, 2)
    for make in MAKERS:
        with pytest.raises(ValueError, match="noise"):
            make(KEY, 421, noise=-0.1)


def test_raw_data_are_in_their_own_units():
    for name, low, high, kind in (
        ("digits", 0, 16, "i"),
        ("breast_cancer", 0, 4254, "i"),
        ("diabetes", -0.14, 0.2, "f"),
    ):
        x, y = datasets.raw(name)
        assert low <= x.min() and high * 0.9 <= x.max() <= high and y.dtype.kind == kind
        assert len(x) == sum(len(part.x) for part in datasets.load(name))
    with pytest.raises(ValueError, match="name: expected one of"):
        datasets.raw("moons")


def test_whole_is_the_parts_of_load_in_one_piece():
    data, parts = datasets.whole("breast_cancer"), datasets.load("breast_cancer")
    np.testing.assert_array_equal(sorted_rows(*data), sorted_rows(*joined(parts)))
    np.testing.assert_array_equal(data.x[: len(parts.train.x)], parts.train.x)
    with pytest.raises(ValueError, match="name"):
        datasets.whole("mnist")
