"""compare: what agrees, what never does, and what it says."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.crosscheck.comparison import compare
from jaxnet.layers import Layer


def test_agrees_up_to_the_bound_of_each_entry():
    left = np.array([1.0, 10.0, 100.0])
    bound = np.array([0.25, 0.5, 0.0])
    assert compare(left, left + np.array([0.25, -0.5, 0.0]), bound=bound).agrees
    assert not compare(left, left + np.array([0.25, -0.5, 1e-13]), bound=bound).agrees
    assert not compare(left, left + np.array([0.2500001, 0.0, 0.0]), bound=bound).agrees


def test_reports_the_worst_entry_of_every_array_worst_first():
    left = {"dw": np.zeros((2, 3)), "db": np.zeros(4)}
    right = {"dw": np.zeros((2, 3)), "db": np.zeros(4)}
    right["dw"][1, 2] = 0.5  # half its bound
    right["db"][3] = -0.3  # three times its bound, though the smaller error
    right["db"][0] = 0.05
    comparison = compare(left, right, bound={"dw": 1.0, "db": np.full(4, 0.1)})
    assert not comparison.agrees
    assert [leaf.name for leaf in comparison.leaves] == ["['db']", "['dw']"]
    worst = comparison.leaves[0]
    assert (worst.index, worst.left, worst.right) == ((3,), 0.0, -0.3)
    assert worst.error == pytest.approx(0.3)
    assert worst.ratio == pytest.approx(3.0)
    assert comparison.leaves[1].index == (1, 2)
    assert comparison.leaves[1].ratio == pytest.approx(0.5)


def test_largest_error_and_largest_ratio_may_be_at_different_entries():
    leaf = compare(np.zeros(2), np.array([1.0, 0.5]), bound=np.array([10.0, 0.1])).leaves[0]
    assert leaf.error == 1.0
    assert leaf.index == (1,)
    assert leaf.ratio == pytest.approx(5.0)


def test_prints_a_table_worst_first():
    text = str(compare({"a": 1.0, "bb": 2.0}, {"a": 1.0, "bb": 2.5}, bound=0.1))
    lines = text.splitlines()
    assert lines[0] == "the two DISAGREE"
    assert lines[1].split() == [
        *("array", "rel.", "error", "bound", "error/bound", "ulp", "at", "left", "right"),
        *("norms", "cosine"),
    ]
    assert lines[2].split() == [
        *("['bb']", "0.2", "0.04", "5", "9.01e+14", "[]", "2", "2.5", "0.8", "1")
    ]
    assert lines[3].startswith("['a']")
    assert "the two agree" in str(compare(1.0, 1.0, bound=0))


@pytest.mark.parametrize("left_nan, right_nan", [(True, False), (False, True), (True, True)])
def test_nan_never_agrees(left_nan, right_nan):
    left, right = np.zeros((2, 2)), np.zeros((2, 2))
    left[0, 1] = np.nan if left_nan else 0
    right[0, 1] = np.nan if right_nan else 0
    comparison = compare(left, right, bound=1e300)
    assert not comparison.agrees
    side = "left" if left_nan else "right"
    assert f"1 NaN on the {side}, the first at [0, 1]" in str(comparison)


def test_infinity_agrees_with_itself_only():
    infinity = np.array([np.inf, -np.inf])
    assert compare(infinity, infinity, bound=0).agrees
    assert not compare(infinity, -infinity, bound=1e300).agrees
    assert not compare(infinity, np.zeros(2), bound=1e300).agrees


@pytest.mark.parametrize("shape", [(7, 1), (1, 7), (), (7, 7), (8,)])
def test_shapes_that_would_broadcast_do_not_agree(shape):
    comparison = compare(np.zeros(7), np.zeros(shape), bound=1e300)
    assert not comparison.agrees
    assert f"shape (7,) on the left, {shape} on the right" in str(comparison)


def test_structures_that_differ_do_not_agree():
    both = {"w": np.zeros(2), "b": np.zeros(1)}
    comparison = compare({"w": np.zeros(2)}, both, bound=1e300)
    assert not comparison.agrees
    assert "only on the right" in str(comparison)
    assert "only on the left" in str(compare(both, {"w": np.zeros(2)}, bound=1e300))
    assert not compare([np.zeros(2)], [np.zeros(2), np.zeros(2)], bound=1e300).agrees


def test_matches_arrays_of_any_pytree_and_framework():
    left = [Layer(jnp.ones((3, 2)), jnp.zeros(2))]
    on_the_host: Any = np.ones((3, 2)), np.array([0.0, 1e-9])
    right = [Layer(*on_the_host)]
    comparison = compare(left, right, bound=1e-8)
    assert comparison.agrees
    assert comparison.leaves[0].name == "[0].b"
    assert comparison.leaves[0].ratio == pytest.approx(0.1)


def test_integers_and_truth_values_are_compared_as_numbers():
    assert compare(np.array([1, 2], np.uint8), np.array([1, 2]), bound=0).agrees
    assert not compare(np.array([0], np.uint8), np.array([255], np.uint8), bound=254).agrees
    assert compare(np.array([0], np.uint8), np.array([255], np.uint8), bound=255).agrees
    assert not compare(np.array([True]), np.array([False]), bound=0.5).agrees
    assert not compare(1j, -1j, bound=1.9).agrees


def test_nothing_to_compare_is_an_error():
    with pytest.raises(ValueError, match="expected at least one array"):
        compare({}, {}, bound=0)


@pytest.mark.parametrize("bound", [-1.0, np.inf, np.nan])
def test_a_bound_that_allows_anything_is_an_error(bound):
    with pytest.raises(ValueError, match="expected finite numbers ≥ 0"):
        compare(np.zeros(2), np.zeros(2), bound=bound)


def test_a_bound_of_another_shape_or_none_for_an_array_is_an_error():
    with pytest.raises(ValueError, match=r"expected one number or shape \(2,\)"):
        compare(np.zeros(2), np.zeros(2), bound=np.ones((2, 1)))
    with pytest.raises(ValueError, match=r"expected one for \['w'\]"):
        compare({"w": 1.0}, {"w": 1.0}, bound={"b": 1.0})
