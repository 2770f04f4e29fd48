"""Every row of the registry, four ways: both sides against each other and against 100 digits.

The bounds are derived (jaxnet.crosscheck.bounds); here they are shown to be neither too small nor
so large that they would let an error through. Gradients are checked against differences of the
cost as well, which knows nothing of back-propagation.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.crosscheck import CASES, compare
from jaxnet.crosscheck.cases import (
    bound,
    compare_twins,
    complex_step_gradient,
    draw,
    jaxnet_results,
    numerical_gradient,
)
from reference_numpy.gradient_check import relative_distance

# Each seed draws other sizes, so each compiles anew.
SEEDS = {np.float64: (0, 1), np.float32: (2,)}

# The largest that a bound may be beside the largest entry of its quantity. Gradients that are sums
# of cancelling terms come near it; most bounds are a hundred times smaller.
VACUOUS = {np.float64: 5e-12, np.float32: 2e-3}

# Rounding in float32 comes at least this near to the bound of some entry: measured, 1/400 of it in
# the luckiest row and half of it in most. A constant of `bounds` that is too generous shows here.
LOOSE = 1 / 500

# Rows that do no arithmetic in float32: choices, whole numbers, and boxes of Python's numbers.
EXACT = {
    "activations/relu",
    "activations/linear",
    "activations/relu_at_kink",
    "clipping/value",
    "data/flip",
    "search/integers",
    "search/refine",
    "search/coarse_to_fine",
    "data/partition",
    "data/split",
    "data/stratified_split",
    "decisions/early_stopping",
    "decisions/bias_variance",
}

# The notes' limit for a right gradient, and what the complex step reaches: no subtraction, so only
# the rounding of the cost itself, relative to gradients whose terms cancel a little.
DIFFERENCES_AGREE, COMPLEX_STEP_AGREES = 1e-7, 1e-13

cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
gradients = pytest.mark.parametrize(
    "case", [case for case in CASES if case.cost], ids=lambda case: case.name
)
both_dtypes = pytest.mark.parametrize(
    "dtype", [pytest.param(np.float64, marks=pytest.mark.f64), np.float32]
)


def drawn(case, seed, dtype):
    rng = np.random.default_rng([seed, *case.name.encode()])
    return draw(case, rng, dtype), rng


def only(names, results):
    return {name: results[name] for name in names}


@cases
@both_dtypes
def test_reference_jaxnet_and_oracle_agree_within_the_bounds(case, dtype):
    assert jnp.result_type(float) == dtype
    for seed in SEEDS[dtype]:
        args, _ = drawn(case, seed, dtype)
        reference, jaxnet = dict(case.reference(args)), dict(jaxnet_results(case, args))
        comparison = compare(reference, jaxnet, bound=bound(case, args, np.float64, dtype))
        assert comparison.agrees, f"reference and jaxnet, seed {seed}\n{comparison}"
        if dtype == np.float32 and case.name not in EXACT:
            assert comparison.leaves[0].ratio > LOOSE, (
                f"no error comes near its bound\n{comparison}"
            )
        if case.oracle is None or dtype != np.float64:
            continue
        exact = dict(case.oracle(args))
        limits = bound(case, args, np.float64)
        for name, value in exact.items():
            # The oracle's result is rounded to float64 once itself.
            limits[name] = limits[name] + np.finfo(np.float64).eps / 2 * np.abs(value)
        for side, results in (("reference", reference), ("jaxnet", jaxnet)):
            comparison = compare(only(exact, results), exact, bound=only(exact, limits))
            assert comparison.agrees, f"{side} and oracle, seed {seed}\n{comparison}"


@cases
@both_dtypes
def test_ten_times_the_bound_is_caught_and_the_bound_is_small(case, dtype):
    for seed in SEEDS[dtype]:
        args, rng = drawn(case, seed, dtype)
        right = {name: np.asarray(value, float) for name, value in case.reference(args).items()}
        allowed = bound(case, args, np.float64, dtype)
        assert set(allowed) == set(right)
        for name, value in right.items():
            limit = np.broadcast_to(allowed[name], value.shape)
            scale = np.abs(value).max()
            assert limit.max() <= VACUOUS[dtype] * scale, f"{name}: {limit.max() / scale:.1e}"
            # Where nothing may differ, any number that is another one does.
            error = np.maximum(10 * limit, np.spacing(np.abs(value)))
            index = tuple(rng.integers(value.shape))
            for sign in (1, -1):
                wrong = value.copy()
                wrong[index] += sign * error[index]
                comparison = compare(right, {**right, name: wrong}, bound=allowed)
                assert not comparison.agrees
                assert comparison.leaves[0].name == f"[{name!r}]"
                assert comparison.leaves[0].index == index


@gradients
def test_gradients_agree_with_differences_of_the_cost(case):
    args, _ = drawn(case, 0, np.float64)
    results = case.reference(args)
    for name in case.wrt:
        differences = numerical_gradient(case, args, name)
        assert differences.shape == np.shape(results[f"d{name}"]), name
        distance = relative_distance(results[f"d{name}"], differences)
        assert distance <= DIFFERENCES_AGREE, f"d{name}: {distance:.1e}"


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.analytic], ids=lambda case: case.name
)
def test_gradients_agree_with_the_complex_step(case):
    args, _ = drawn(case, 0, np.float64)
    results = case.reference(args)
    for name in case.wrt:
        distance = relative_distance(results[f"d{name}"], complex_step_gradient(case, args, name))
        assert distance <= COMPLEX_STEP_AGREES, f"d{name}: {distance:.1e}"


def test_names_are_unique_and_every_gradient_has_its_result():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    for case in CASES:
        args, _ = drawn(case, 0, np.float64)
        assert bool(case.cost) == bool(case.wrt)
        assert {f"d{name}" for name in case.wrt} <= set(case.reference(args))
        assert set(case.wrt) <= set(args)


@pytest.mark.parametrize("case", CASES[:3], ids=lambda case: case.name)
def test_draws_are_held_exactly_by_the_dtype_and_repeat(case):
    args, _ = drawn(case, 5, np.float32)
    again, _ = drawn(case, 5, np.float32)
    assert np.array_equal(args["Z"], args["Z"].astype(np.float32))
    assert np.array_equal(args["Z"], again["Z"])
    assert args["Z"].dtype == np.float64
    assert compare_twins(case, args).agrees
