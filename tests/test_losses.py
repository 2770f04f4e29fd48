"""Losses: right and finite at |logit| = 1e4, shapes never broadcast, labels checked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import losses
from jaxnet.crosscheck import oracle
from reference_numpy import losses as reference

HUGE = 1e4
LOGITS = [-HUGE, -1000.0, -100.0, -30.0, -1.0, 0.0, 1.0, 30.0, 100.0, 1000.0, HUGE]

both_dtypes = pytest.mark.parametrize(
    "dtype", [pytest.param(jnp.float64, marks=pytest.mark.f64), jnp.float32]
)


def mean_loss(loss):
    return lambda outputs, y: losses.cost(loss(outputs, y))


@both_dtypes
@pytest.mark.parametrize("label", [0, 1])
def test_binary_cross_entropy_is_right_where_probabilities_saturate(dtype, label):
    z = jnp.array(LOGITS, dtype)
    y = jnp.full(z.shape, label)
    exact = oracle.losses("sigmoid", np.array([LOGITS]), np.full((1, len(LOGITS)), label))
    # Relative to the result: at +30 with label 1 the loss is 1e-13, and right to the last places.
    # Below the smallest normal number it is 0.
    tiny = float(jnp.finfo(dtype).tiny)
    rtol = 16 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(losses.binary_cross_entropy(z, y), exact, rtol=rtol, atol=tiny)


@both_dtypes
@pytest.mark.parametrize("label", [0, 1])
def test_gradient_of_binary_cross_entropy_is_right_where_probabilities_saturate(dtype, label):
    z = jnp.array(LOGITS, dtype)
    y = jnp.full(z.shape, label)
    grads = jax.grad(lambda z: jnp.sum(losses.binary_cross_entropy(z, y)))(z)
    exact = oracle.loss_gradients("sigmoid", np.array([LOGITS]), np.full((1, len(LOGITS)), label))
    # σ(z) − y, relative to itself: a saturated right prediction leaves a tiny gradient, not 0.
    tiny = float(jnp.finfo(dtype).tiny)
    # e^(−100) comes from an argument of 100, whose half unit of rounding is a relative error.
    rtol = 100 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(grads, exact[0], rtol=rtol, atol=tiny)
    right = jnp.sign(z) == 2 * label - 1
    assert bool(jnp.all((jnp.abs(grads) > 0) | ~right | (jnp.abs(z) > 80)))
    assert bool(jnp.all(jnp.isfinite(grads)))


def big_softmax_cases():
    yield [HUGE, -HUGE, 0.0], 0, 0.0, [0.0, 0.0, 0.0]
    yield [HUGE, -HUGE, 0.0], 1, 2 * HUGE, [1.0, -1.0, 0.0]
    yield [HUGE, HUGE, 0.0], 1, np.log(2), [0.5, -0.5, 0.0]
    yield [-HUGE, -HUGE, -HUGE], 2, np.log(3), [1 / 3, 1 / 3, -2 / 3]


@both_dtypes
@pytest.mark.parametrize("logits, label, value, slope", list(big_softmax_cases()))
def test_softmax_cross_entropy_is_right_where_probabilities_saturate(
    dtype, logits, label, value, slope
):
    z, y = jnp.array([logits], dtype), jnp.array([label])
    # Logits are shifted by their maximum before anything else, exactly here, so what is left is the
    # rounding of a loss, relative, and of log(1 + small), absolute.
    eps = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(losses.softmax_cross_entropy(z, y), [value], rtol=4 * eps, atol=eps)
    grads = jax.grad(lambda z: jnp.sum(losses.softmax_cross_entropy(z, y)))(z)
    np.testing.assert_allclose(grads, [slope], rtol=0, atol=4 * eps)


def test_softmax_cross_entropy_of_a_good_prediction_keeps_its_digits():
    z = jnp.array([[1e4, 1e4 - 5], [12.0, 0.0]], jnp.float32)
    exact = np.log1p(np.exp([-5.0, -12.0]))
    computed = losses.softmax_cross_entropy(z, jnp.array([0, 0]))
    # log(1 + e^−5) is off by eps of 1 at the most; log Σ e^z − z_y would be off by eps of z.
    np.testing.assert_allclose(computed, exact, rtol=0, atol=float(jnp.finfo(jnp.float32).eps))


@both_dtypes
def test_softmax_cross_entropy_does_not_change_when_a_row_is_shifted(dtype):
    z = jnp.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]], dtype)
    y = jnp.array([2, 0])
    shifted = losses.softmax_cross_entropy(z + jnp.asarray(1e4, dtype), y)
    atol = 4e4 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(shifted, losses.softmax_cross_entropy(z, y), rtol=0, atol=atol)


def test_the_reference_is_finite_and_right_at_huge_logits_too():
    Z = np.array([LOGITS])
    for label in (0.0, 1.0):
        Y = np.full_like(Z, label)
        exact = oracle.losses("sigmoid", Z, Y)
        got = reference.binary_cross_entropy_from_logits(Z, Y)
        np.testing.assert_allclose(np.ravel(got), exact, rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize("loss", [losses.binary_cross_entropy, losses.squared_error])
@pytest.mark.parametrize("shape", [(7, 1), (1, 7), (1,), (), (6,)])
def test_targets_of_another_shape_are_an_error_and_never_broadcast(loss, shape):
    with pytest.raises(ValueError, match="y: expected the shape of"):
        loss(jnp.zeros(7), jnp.zeros(shape))


def test_outputs_of_several_units_want_several_targets():
    with pytest.raises(ValueError, match="y: expected the shape of outputs"):
        losses.squared_error(jnp.zeros((7, 3)), jnp.zeros(7))
    per_example = losses.squared_error(jnp.full((7, 3), 2.0), jnp.zeros((7, 3)))
    assert per_example.shape == (7,)
    assert per_example[0] == 6.0  # ½·2² summed over 3 units


def test_softmax_cross_entropy_refuses_labels_it_cannot_use():
    logits = jnp.zeros((7, 3))
    with pytest.raises(ValueError, match="expected labels 0 … 2 for 3 classes, got 3 at index 6"):
        losses.softmax_cross_entropy(logits, jnp.array([0, 1, 2, 0, 1, 2, 3]))
    with pytest.raises(ValueError, match="got -1 at index 0"):
        losses.softmax_cross_entropy(logits, jnp.array([-1, 1, 2, 0, 1, 2, 0]))
    with pytest.raises(TypeError, match="expected integer labels"):
        losses.softmax_cross_entropy(logits, jnp.zeros(7))
    with pytest.raises(ValueError, match="expected integer labels of shape"):
        losses.softmax_cross_entropy(logits, jnp.zeros((7, 3), int))
    with pytest.raises(ValueError, match="logits: expected shape"):
        losses.softmax_cross_entropy(jnp.zeros(7), jnp.zeros(7, int))


def test_cost_is_the_mean_and_the_penalty():
    assert losses.cost(jnp.array([1.0, 2.0, 6.0])) == 3.0
    assert losses.cost(jnp.array([1.0, 2.0, 6.0]), 0.5) == 3.5


@pytest.mark.f64
def test_squared_error_has_the_half():
    grad = jax.grad(lambda out: jnp.sum(losses.squared_error(out, jnp.array([1.0, 4.0]))))
    assert grad(jnp.array([3.0, 3.5])).tolist() == [2.0, -0.5]
