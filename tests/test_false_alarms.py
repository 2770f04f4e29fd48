"""compare on a thousand correct pairs: no false alarm; an error of ten bounds is always seen.

Each pair is one matrix product in two orders of summation, of random shape, dtype and scale; the
terms cancel until condition numbers of 1e6. The bound comes once from the number of terms and the
condition (`terms`), once entry by entry from the error analysis of `bounds`.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.crosscheck import compare
from jaxnet.crosscheck.bounds import bounded, tolerance

PAIRS = 1000
DTYPES = (np.float64, np.float32)


def drawn(rng):
    """A (p, 2n) and B (2n, q) whose product has lost all but 1/κ of its terms, and the dtype."""
    dtype = DTYPES[rng.integers(2)]
    p, n, q = rng.integers(1, 12), rng.integers(1, 200), rng.integers(1, 12)
    condition = 10 ** rng.uniform(0, 6)
    P, Q = rng.normal(size=(p, n)), rng.normal(size=(n, q))
    A = np.hstack([P, P * (1 + rng.uniform(0.5, 1, P.shape) / condition)])
    A *= 10 ** rng.uniform(-6, 6)
    B = np.vstack([Q, -Q]) * 10 ** rng.uniform(-6, 6)
    return A.astype(dtype), B.astype(dtype), dtype


def reversed_order(A, B, dtype):
    """The same product with the terms summed one by one, the last first."""
    total = np.zeros((A.shape[0], B.shape[1]), dtype)
    for k in reversed(range(A.shape[1])):
        total = total + A[:, k : k + 1] * B[k : k + 1]
    return total


def both_bounds(A, B, dtype):
    """terms · κ for `compare`, and the bound of each entry; both sides round in the dtype."""
    A, B = A.astype(np.float64), B.astype(np.float64)
    product = bounded(A) @ B
    sizes = np.abs(A) @ np.abs(B)
    exact = np.abs(A.astype(np.longdouble) @ B.astype(np.longdouble)).max()
    terms = A.shape[1] * float(sizes.max() / exact)
    return terms, tolerance(product.error, dtype, dtype)


def caught(right, limit, index, **bound):
    """Whether an error of ten bounds at one entry is reported, and there."""
    seen = []
    for sign in (1, -1):
        wrong = right.astype(np.float64)
        wrong[index] += sign * 10 * limit
        comparison = compare(wrong.astype(np.float64), right, **bound)
        seen.append(not comparison.agrees and comparison.leaves[0].index == index)
    return all(seen)


def test_a_thousand_correct_pairs_agree_and_ten_bounds_are_always_seen():
    rng = np.random.default_rng(2026)
    alarms, missed = [], []
    for number in range(PAIRS):
        A, B, dtype = drawn(rng)
        left, right = A @ B, reversed_order(A, B, dtype)
        terms, entrywise = both_bounds(A, B, dtype)
        for bound in ({"terms": terms}, {"bound": entrywise}):
            comparison = compare(left, right, **bound)
            if not comparison.agrees:
                alarms.append((number, dtype, str(comparison)))
            index = tuple(int(rng.integers(size)) for size in right.shape)
            # What the comparison allows at that entry, both sides taken in the same dtype.
            scale = float(max(np.abs(left).max(), np.abs(right).max()))
            unit = float(np.finfo(dtype).eps)
            limit = entrywise[index] if "bound" in bound else unit * terms * scale
            if not caught(right, limit, index, **bound):
                missed.append((number, dtype, list(bound)))
    assert not alarms, alarms[:3]
    assert not missed, missed[:10]


def test_the_default_bound_holds_for_a_thousand_terms_that_do_not_cancel():
    rng = np.random.default_rng(7)
    for _ in range(200):
        dtype = DTYPES[rng.integers(2)]
        A = (rng.uniform(0.1, 1, (3, 1000)) * 10 ** rng.uniform(-6, 6)).astype(dtype)
        B = rng.uniform(0.1, 1, (1000, 2)).astype(dtype)
        assert compare(A @ B, reversed_order(A, B, dtype)).agrees
        wrong = A @ B
        wrong[1, 1] *= 1 + 10 * 1000 * float(np.finfo(dtype).eps)
        assert not compare(wrong, reversed_order(A, B, dtype)).agrees


@pytest.mark.parametrize("dtype", [jnp.bfloat16, np.float16])
def test_the_bound_knows_the_half_precisions(dtype):
    x = np.linspace(1, 2, 20).astype(dtype)
    assert compare(x, np.linspace(1, 2, 20)).agrees
    assert compare(np.float32(1) + np.arange(3), np.arange(1.0, 4)).agrees
    assert not compare(x, np.linspace(1, 2, 20) * (1 + 1200 * float(jnp.finfo(dtype).eps))).agrees
