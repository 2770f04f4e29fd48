"""Cost, error and predictions: what they count, and that evaluation is neither training nor fit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import Dataset, Model, losses
from jaxnet.layers import BatchNormState

# Annotated as JAX arrays, but NumPy's are taken as well.
HostDataset: Any = Dataset
OUTPUTS = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 5.0], [4.0, 0.0, 1.0]])
LABELS = np.array([0, 1, 1, 2])


IDENTITY = Model(
    lambda key: ((), ()),
    lambda params, state, x, *, key=None, train=False: (x, state),
)
FIRST = Model(
    lambda key: ((), ()),
    lambda params, state, x, *, key=None, train=False: (x[:, 0], state),
)


def test_error_is_the_share_of_wrong_classes_and_cost_the_mean_loss():
    result = jaxnet.evaluate(IDENTITY, (), (), HostDataset(OUTPUTS, LABELS))
    assert float(result.error) == 0.5
    log_softmax = OUTPUTS - np.log(np.exp(OUTPUTS).sum(axis=1, keepdims=True))
    expected = -log_softmax[np.arange(4), LABELS].mean()
    np.testing.assert_allclose(result.cost, expected, rtol=1e-6)


def test_one_unit_says_one_where_its_logit_is_positive():
    data = HostDataset(np.array([[-1.0], [2.0], [0.0], [3.0]]), np.array([0, 1, 1, 0]))
    result = jaxnet.evaluate(FIRST, (), (), data, loss=losses.binary_cross_entropy)
    assert float(result.error) == 0.5  # the logit 0 is no 1, and the last is wrong
    expected = np.mean(np.log1p(np.exp([-1.0, -2.0, 0.0, 3.0])))
    np.testing.assert_allclose(result.cost, expected, rtol=1e-6)
    said = jaxnet.predict(FIRST, (), (), data.x, loss=losses.binary_cross_entropy)
    np.testing.assert_array_equal(said, [0, 1, 0, 1])
    assert said.dtype == jnp.int32


def test_error_of_regression_is_the_root_mean_square():
    data = HostDataset(np.array([[1.0], [2.0], [6.0]]), np.array([1.0, 4.0, 3.0]))
    result = jaxnet.evaluate(FIRST, (), (), data, loss=losses.squared_error)
    np.testing.assert_allclose(result.error, np.sqrt(13 / 3), rtol=1e-6)
    np.testing.assert_allclose(result.cost, 13 / 6, rtol=1e-6)  # half of the mean square
    np.testing.assert_array_equal(
        jaxnet.predict(FIRST, (), (), data.x, loss=losses.squared_error), data.x[:, 0]
    )


def test_several_targets_share_one_root_mean_square():
    data = HostDataset(OUTPUTS, OUTPUTS + np.array([[0.0, 3.0, 0.0]]))
    result = jaxnet.evaluate(IDENTITY, (), (), data, loss=losses.squared_error)
    np.testing.assert_allclose(result.error, np.sqrt(3), rtol=1e-6)
    np.testing.assert_allclose(result.cost, 4.5, rtol=1e-6)  # summed over units


def test_labels_are_the_largest_logit():
    np.testing.assert_array_equal(jaxnet.predict(IDENTITY, (), (), OUTPUTS), [0, 1, 2, 0])


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_huge_logits_give_finite_cost(scale):
    result = jaxnet.evaluate(IDENTITY, (), (), HostDataset(scale * OUTPUTS, LABELS))
    assert np.isfinite(result.cost) and np.isfinite(result.error)


def test_evaluation_is_not_training():
    """Dropout is off, and running statistics are used and left as they are."""

    def apply(params, state, x, *, key=None, train=False):
        assert key is None and train is False
        return x - state.mean[None, :], BatchNormState(state.mean + 1, state.var)

    model = Model(lambda key: ((), ()), apply)
    state = BatchNormState(jnp.array([2.0, 0.0, 0.0]), jnp.ones(3))
    np.testing.assert_array_equal(jaxnet.predict(model, (), state, OUTPUTS), [1, 1, 2, 0])
    # Of the labels 0, 1, 1, 2 only the second.
    assert float(jaxnet.evaluate(model, (), state, HostDataset(OUTPUTS, LABELS)).error) == 0.75
    np.testing.assert_array_equal(state.mean, [2.0, 0.0, 0.0])


def test_other_numbers_in_the_same_shapes_are_not_compiled_again():
    traces = []

    def apply(params, state, x, *, key=None, train=False):
        traces.append(x.shape)
        return x * params, state

    model = Model(lambda key: ((), ()), apply)
    for weight in (1.0, 2.0, 3.0):
        jaxnet.evaluate(model, jnp.asarray(weight), (), HostDataset(OUTPUTS, LABELS))
        jaxnet.predict(model, jnp.asarray(weight), (), OUTPUTS)
    # The shape of the outputs, the evaluation and the prediction: once each.
    assert len(traces) == 3


def test_inside_a_compiled_run_it_is_the_same_function():
    params = jnp.float32(1.0)

    def error(weight):
        scaled = Model(
            lambda key: ((), ()),
            lambda params, state, x, *, key=None, train=False: (x * params, state),
        )
        return jaxnet.evaluate(scaled, weight, (), HostDataset(OUTPUTS, LABELS)).error

    assert float(jax.jit(error)(params)) == float(error(params)) == 0.5


def test_labels_of_several_units_are_judged_one_by_one():
    model = jaxnet.mlp((2, 3), initializer="zeros")
    params, state = model.init(jax.random.key(0))
    params = (params[0]._replace(b=jnp.array([1.0, -1.0, 1.0])),)
    data = Dataset(jnp.ones((4, 2)), jnp.tile(jnp.array([1, 1, 0]), (4, 1)))
    loss = losses.binary_cross_entropy
    said = jaxnet.predict(model, params, state, data.x, loss=loss)
    np.testing.assert_array_equal(said, np.tile([1, 0, 1], (4, 1)))
    evaluation = jaxnet.evaluate(model, params, state, data, loss=loss)
    assert float(evaluation.error) == pytest.approx(2 / 3)


def test_parameters_of_another_model_are_refused():
    model, other = jaxnet.mlp((2, 4, 3)), jaxnet.mlp((2, 5, 3))
    params, state = other.init(jax.random.key(0))
    data = Dataset(jnp.ones((4, 2)), jnp.zeros(4, int))
    with pytest.raises(ValueError, match=r"params: .*sizes \(2, 4, 3\), got those of \(2, 5, 3\)"):
        jaxnet.evaluate(model, params, state, data)
    with pytest.raises(ValueError, match=r"params: .*sizes \(2, 3\), got"):
        jaxnet.predict(jaxnet.mlp((2, 3)), params, state, data.x)
    with pytest.raises(ValueError, match=r"params: .*with batch norm, got one without"):
        jaxnet.predict(jaxnet.mlp((2, 5, 3), batch_norm=True), params, state, data.x)
