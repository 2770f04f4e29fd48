"""Layouts: exact both ways, each axis where it belongs, nothing rounded silently."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.crosscheck import layout
from jaxnet.layers import BatchNormParams, Layer

M, N_IN, N_HIDDEN, N_OUT = 7, 5, 4, 3


def same(a, b):
    return np.array_equal(a, b) and np.asarray(a).dtype == np.asarray(b).dtype


def drawn(*shape):
    return np.random.default_rng(0).normal(size=shape)


@pytest.mark.f64
@pytest.mark.parametrize(
    "there, back, shape, other_shape",
    [
        (layout.rows, layout.columns, (N_IN, M), (M, N_IN)),
        (layout.targets, layout.target_row, (1, M), (M,)),
        (layout.vector, layout.column, (N_IN, 1), (N_IN,)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_round_trip_is_exact(there, back, shape, other_shape, dtype):
    given = drawn(*shape).astype(dtype)
    converted = there(given, dtype)
    assert converted.shape == other_shape
    assert same(back(converted), given)
    assert same(there(back(converted), dtype), converted)


@pytest.mark.f64
def test_parameters_round_trip_and_mean_the_same():
    params = [
        (drawn(N_HIDDEN, N_IN), drawn(N_HIDDEN, 1)),
        (drawn(N_OUT, N_HIDDEN), drawn(N_OUT, 1)),
    ]
    layers = layout.layers(params, np.float64)
    assert [layer.w.shape for layer in layers] == [(N_IN, N_HIDDEN), (N_HIDDEN, N_OUT)]
    assert [layer.b.shape for layer in layers] == [(N_HIDDEN,), (N_OUT,)]
    back = layout.pairs(layers)
    assert all(
        same(a, b)
        for left, right in zip(params, back, strict=True)
        for a, b in zip(left, right, strict=True)
    )
    # The entry from input 2 to unit 3 is W[3, 2] there and w[2, 3] here.
    assert layers[0].w[2, 3] == params[0][0][3, 2]


@pytest.mark.f64
def test_columns_are_examples():
    X = drawn(N_IN, M)
    assert layout.rows(X, np.float64)[6, 1] == X[1, 6]


def test_labels_round_trip():
    labels = np.array([2, 0, 1, 1, 0, 2, 2])
    Y = layout.one_hot(labels, N_OUT)
    assert Y.shape == (N_OUT, M)
    assert Y[2, 0] == 1 and Y[0, 0] == 0
    assert np.array_equal(layout.labels(Y), labels)
    assert np.array_equal(layout.one_hot(layout.labels(Y), N_OUT), Y)


@pytest.mark.parametrize("bad", [[3], [-1], [0.5]])
def test_labels_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match="labels: expected integers in 0 … 2"):
        layout.one_hot(np.array(bad), 3)


@pytest.mark.parametrize("bad", [[[0.0], [0.0]], [[1.0], [1.0]], [[0.5], [0.5]], [[2.0], [-1.0]]])
def test_columns_that_are_not_one_hot_are_refused(bad):
    with pytest.raises(ValueError, match="exactly one 1 in each column"):
        layout.labels(np.array(bad))


@pytest.mark.parametrize(
    "convert, shape",
    [(layout.vector, (3, 2)), (layout.vector, (3,)), (layout.targets, (2, 3)), (layout.rows, (3,))],
)
def test_wrong_shapes_are_refused(convert, shape):
    with pytest.raises(ValueError, match="expected"):
        convert(np.zeros(shape), np.float32)


@pytest.mark.f64
def test_a_number_that_the_dtype_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="float32 holds exactly"):
        layout.rows(np.array([[0.1]]), np.float32)
    rounded = np.array([[0.1]], np.float32).astype(np.float64)
    assert layout.rows(rounded, np.float32).dtype == jnp.float32


def test_float64_without_x64_is_refused_instead_of_truncated():
    with pytest.raises(ValueError, match="enable_x64"):
        layout.rows(np.array([[0.5]]), np.float64)


def test_batch_norm_has_no_place_in_a_pair():
    norm = BatchNormParams(jnp.ones(2), jnp.zeros(2))
    with pytest.raises(ValueError, match="layer 1: expected no batch norm"):
        layout.pairs([Layer(jnp.ones((3, 2)), jnp.zeros(2), norm)])


def test_conversion_does_not_share_memory():
    x = np.zeros((M, N_IN))
    X = layout.columns(x)
    X[0, 0] = 1
    assert x[0, 0] == 0
