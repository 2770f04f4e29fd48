"""Running error analysis: its bounds hold, and they are the ones of the textbook."""

import numpy as np
import pytest

from jaxnet.crosscheck import bounds
from jaxnet.crosscheck.bounds import Bounded, bounded, rounded, tolerance

F32, F64 = np.float32, np.float64
U32 = np.finfo(F32).eps / 2


def float32_numbers(rng, *shape):
    return rng.normal(size=shape).astype(F32)


# Each expression is written once, in operations that float32 arrays and Bounded both have.
EXPRESSIONS = {
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: a - b,
    "product": lambda a, b: a * b,
    "quotient": lambda a, b: a / b,
    "matrix product": lambda a, b: a @ b.T,
    "cancelling": lambda a, b: (a + b) * (a - b) - a * a + b * b,
    "chained": lambda a, b: (a @ b.T) @ (b / (a * a + F32(1))),
    "negated": lambda a, b: F32(1) - (-a) * b,
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_float32_arithmetic_stays_within_the_bound(name):
    expression = EXPRESSIONS[name]
    worst = 0.0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        a, b = float32_numbers(rng, 7, 5), float32_numbers(rng, 7, 5)
        exact = expression(a.astype(F64), b.astype(F64))
        analysed = expression(bounded(a), bounded(b))
        np.testing.assert_allclose(analysed.value, exact, rtol=1e-12, atol=1e-12)
        error = np.abs(expression(a, b).astype(F64) - exact)
        worst = max(worst, float(np.max(error / tolerance(analysed.error, F32))))
    # Reached within a factor of 50: no bound is so loose that it says nothing.
    assert 0.02 < worst <= 1


def test_one_operation_is_half_a_unit_in_the_last_place():
    assert float((bounded(2.0) * bounded(3.0)).error) == 6.0
    assert tolerance(6.0, F32) == pytest.approx(6 * U32 * bounds.HEADROOM)
    assert tolerance(6.0, F32, F64) > tolerance(6.0, F32)


def test_a_sum_of_products_is_bounded_by_the_sizes_of_its_terms_and_not_by_the_result():
    row, column = np.array([[3.0, -3.0, 1.0]]), np.array([[1.0], [1.0], [0.0]])
    product = bounded(row) @ bounded(column)
    assert product.value == 0 and product.error == 3 * 6.0


def test_errors_are_passed_on():
    a = Bounded(np.array(2.0), np.array(1.0))
    assert float((a + 3.0).error) == 1 + 5
    assert float((a * 3.0).error) == 3 + 6
    assert float((6.0 / a).error) == pytest.approx(6 / 4 + 3)
    assert float(bounds.root(a).error) == pytest.approx(0.5 / np.sqrt(2) + np.sqrt(2))
    assert float(bounds.exponential(a).error) == pytest.approx(np.exp(2) * (1 + bounds.FUNCTION))
    assert (np.ones(2) * a).value.tolist() == [2.0, 2.0]  # arrays on the left too


def test_totals_and_means():
    a = rounded(np.array([[1.0, -2.0, 3.0]]))
    assert bounds.total(a, axis=1).error == 6 + 2 * 6
    assert bounds.mean(a, axis=1).error == pytest.approx((6 + 2 * 6 + 2 * 2) / 3)
    assert bounds.total(bounded(np.ones((2, 3)))).error == 5 * 6


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "leaky_relu", "linear"])
def test_lipschitz_constants(name):
    Z = np.linspace(-6, 6, 20001)
    value = bounds.activation(name, bounded(Z)).value
    slope = bounds.derivative(name, bounded(Z)).value
    first, second = bounds.LIPSCHITZ[name]
    step = Z[1] - Z[0]
    assert np.abs(np.diff(value)).max() / step <= first * (1 + 1e-6)
    assert np.abs(slope).max() == pytest.approx(first)
    away_from_kink = np.abs(Z[:-1] + step / 2) > step
    steepest = (np.abs(np.diff(slope)) / step)[away_from_kink].max()
    assert steepest <= second * (1 + 1e-6)
    assert steepest >= 0.999 * second


@pytest.mark.parametrize("base, exponent", [(0.9, 10), (0.999, 1), (0.999, 1000), (0.5, 40)])
def test_powers_stay_within_the_bound(base, exponent):
    base = F64(F32(base))
    analysed = bounds.power(base, exponent)
    for computed in (
        F32(base) ** F32(exponent),
        np.prod(np.full(exponent, base, F32), dtype=F32),
        np.exp(F32(exponent) * np.log(F32(base))),
    ):
        assert abs(F64(computed) - analysed.value) <= tolerance(analysed.error, F32)
