"""The rules of scripts/basics/_broadcasting_rules.py against NumPy's own, on more shapes."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.basics._broadcasting_rules import (
    corrected_rules,
    printed_rules,
    share_a_size,
    sum_by_rule,
)

shapes = st.lists(st.integers(0, 5), max_size=5).map(tuple)
SMALL = [shape for rank in range(3) for shape in product(range(3), repeat=rank)]


def numpy_shape(left, right):
    try:
        return np.broadcast_shapes(left, right)
    except ValueError:
        return None


@given(shapes, shapes)
def test_corrected_rules_are_numpys(left, right):
    assert corrected_rules(left, right) == numpy_shape(left, right)


@given(shapes, shapes)
def test_printed_rules_fail_only_where_a_1_meets_a_0(left, right):
    rank = max(len(left), len(right))
    padded = [(1,) * (rank - len(shape)) + shape for shape in (left, right)]
    meets = any({one, other} == {0, 1} for one, other in zip(*padded, strict=True))
    works = numpy_shape(left, right) is not None
    assert (printed_rules(left, right) != numpy_shape(left, right)) == (meets and works)


@pytest.mark.parametrize(
    ("left", "right", "shared"),
    [((), (), True), ((4, 1), (1, 3), False), ((2, 3), (3,), True), ((2, 3), (3, 2), False)],
)
def test_share_a_size(left, right, shared):
    assert share_a_size(left, right) == shared


def test_sum_by_rule_has_numpys_values():
    for left, right in product(SMALL, SMALL):
        shape = numpy_shape(left, right)
        if shape is not None:
            one = np.arange(np.prod(left, dtype=int)).reshape(left)
            other = 10 * np.arange(np.prod(right, dtype=int)).reshape(right)
            np.testing.assert_array_equal(sum_by_rule(one, other, shape), one + other)
