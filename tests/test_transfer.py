"""Weights to torch, keras, scikit-learn and flax and back: bits, outputs, gradients, refusals.

Gradients and trainings from transferred weights are cells of the matrix (test_matrix.py).
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import models
from jaxnet.crosscheck import bounds, compare, layout, transfer
from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.bounds import tolerance
from jaxnet.layers import BatchNormParams, Layer

SIZES = (5, 4, 6, 3)
DTYPES = [pytest.param("float64", marks=pytest.mark.f64), "float32"]


def drawn(sizes=SIZES, dtype=None):
    """Weights with biases that are not 0, which a forgotten bias would not show."""
    rng = np.random.default_rng(3)
    dtype = dtype or str(jnp.result_type(float))
    return tuple(
        Layer(
            jnp.asarray(rng.normal(size=(n_in, n_out)).astype(dtype)),
            jnp.asarray(rng.normal(size=n_out).astype(dtype)),
        )
        for n_in, n_out in pairwise(sizes)
    )


def inputs(dtype):
    return np.random.default_rng(4).normal(size=(7, SIZES[0])).astype(dtype)


def needs(name):
    """Skip where a framework is not installed. importorskip would import keras on TensorFlow."""
    if frameworks.installed(name) is None:
        pytest.skip(f"{name} comes with [compare]")
    return getattr(frameworks, name)()


def torch_outputs(params, activation, x):
    torch = needs("torch")
    module = transfer.to_torch(params, activation=activation)
    return module(torch.tensor(x)).detach().numpy(), transfer.from_torch(module)


def keras_outputs(params, activation, x):
    needs("keras")
    model = transfer.to_keras(params, activation=activation)
    with jax.numpy_rank_promotion("allow"):  # keras adds b of shape (n,) to Z of (m, n)
        z = np.asarray(model(x))
    return z, transfer.from_keras(model)


def flax_outputs(params, activation, x):
    needs("flax")
    module, variables = transfer.to_flax(params, activation=activation)
    return np.asarray(module.apply(variables, x)), transfer.from_flax(variables)


def sklearn_outputs(params, activation, x):
    estimator = transfer.to_sklearn(params, activation=activation, output="linear")
    return estimator.predict(x), transfer.from_sklearn(estimator)


OUTPUTS = {
    "torch": torch_outputs,
    "keras": keras_outputs,
    "flax": flax_outputs,
    "scikit-learn": sklearn_outputs,
}


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("activation", transfer.ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_outputs_agree_and_the_bits_come_back(name, activation, dtype):
    if name == "scikit-learn" and activation == "leaky_relu":
        with pytest.raises(ValueError, match="activation: expected one of linear, relu"):
            transfer.to_sklearn(drawn(), activation=activation, output="linear")
        return
    params, x = drawn(), inputs(dtype)
    z, back = OUTPUTS[name](params, activation, x)
    assert z.dtype == dtype
    Zs, _ = bounds.forward(layout.pairs(params), x.T.astype(float), activation)
    allowed = tolerance(Zs[-1].error.T, np.dtype(dtype), np.float64)
    assert (comparison := compare(z, Zs[-1].value.T, bound=allowed)).agrees, str(comparison)
    for layer, again in zip(params, back, strict=True):
        for left, right in ((layer.w, again.w), (layer.b, again.b)):
            assert left.dtype == right.dtype
            assert np.asarray(left).tobytes() == np.asarray(right).tobytes()


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_the_classifier_gives_the_probabilities(output):
    params = drawn((5, 4, 1) if output == "sigmoid" else SIZES)
    x = inputs("float32")
    z = models.forward_pass(params, (), jnp.asarray(x), activation="tanh").zs[-1]
    estimator = transfer.to_sklearn(params, activation="tanh", output=output)
    found = estimator.predict_proba(x)
    expected = jax.nn.softmax(z) if output == "softmax" else jax.nn.sigmoid(z)
    found = found[:, 1:] if output == "sigmoid" else found
    assert np.abs(found - np.asarray(expected)).max() < 1e-6
    assert list(estimator.classes_) == list(range(2 if output == "sigmoid" else 3))


def test_scikit_learn_goes_on_from_the_weights():
    """The first step of partial_fit is one from these weights, by an optimizer of these options."""
    params, x = drawn(), inputs("float32")
    y = np.array([0, 1, 2, 0, 1, 2, 0])
    estimator = transfer.to_sklearn(
        params, activation="tanh", solver="sgd", momentum=0.0, learning_rate_init=0.0625, alpha=0.0
    )
    estimator.partial_fit(x, y)
    after = transfer.from_sklearn(estimator)

    def cost(params):
        z = models.forward_pass(params, (), jnp.asarray(x), activation="tanh").zs[-1]
        return -jax.nn.log_softmax(z)[jnp.arange(7), y].mean()

    grads = jax.grad(cost)(params)
    for layer, grad, new in zip(params, grads, after, strict=True):
        assert np.abs(layer.w - 0.0625 * grad.w - new.w).max() < 1e-6
        assert np.abs(new.w - layer.w).max() > 1e-4


def test_what_comes_out_shares_no_memory():
    torch = needs("torch")
    params = drawn()
    before = np.array(params[0].w)
    module = transfer.to_torch(params)
    back = transfer.from_torch(module)
    with torch.no_grad():
        module[0].weight.zero_()
    assert np.array_equal(params[0].w, before) and np.array_equal(back[0].w, before)
    assert not np.asarray(transfer.from_torch(module)[0].w).any()
    estimator = transfer.to_sklearn(params)
    estimator.coefs_[0][:] = 0
    assert np.array_equal(params[0].w, before)


def test_torch_s_random_state_is_left_alone():
    torch = needs("torch")
    before = torch.random.get_rng_state()
    transfer.to_torch(drawn())
    assert torch.equal(torch.random.get_rng_state(), before)


def with_norm():
    first, *rest = drawn()
    return (first._replace(norm=BatchNormParams(jnp.ones(4), jnp.zeros(4))), *rest)


def half():
    first, *rest = drawn()
    return (Layer(first.w.astype(jnp.bfloat16), first.b), *rest)


def unfitting():
    first, _, last = drawn()
    return (first, last)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (with_norm, "layer 1 has batch norm"),
        (half, "float32 or float64 throughout"),
        (unfitting, "do not fit"),
        (tuple, "expected a tuple of Layer"),
    ],
)
def test_params_of_something_else_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        transfer.to_sklearn(make())


def test_outputs_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="output: expected softmax for 3 output units or more"):
        transfer.to_sklearn(drawn((5, 4, 2)), output="softmax")
    with pytest.raises(ValueError, match="did you mean 'softmax'"):
        transfer.to_sklearn(drawn(), output="softmx")


def test_objects_of_another_kind_are_refused():
    from sklearn.neural_network import MLPClassifier

    with pytest.raises(ValueError, match="expected a fitted"):
        transfer.from_sklearn(MLPClassifier())
    with pytest.raises(ValueError, match="expected a kernel and a bias"):
        transfer.from_flax({"params": {"Dense_0": {"kernel": np.ones((2, 3))}}})
    with pytest.raises(ValueError, match="at least one dense layer"):
        transfer.from_flax({"params": {}})
    with pytest.raises(ValueError, match="float64 needs"):
        transfer.from_flax({"Dense_0": {"kernel": np.ones((2, 3)), "bias": np.ones(3)}})


def test_flax_s_numbers_are_ordered_as_numbers():
    variables = {
        f"Dense_{number}": {
            "kernel": np.full((1, 1), number, np.float32),
            "bias": np.zeros(1, "f4"),
        }
        for number in (10, 9, 0)
    }
    assert [float(layer.w[0, 0]) for layer in transfer.from_flax(variables)] == [0, 9, 10]


def test_modules_with_other_parameters_are_refused():
    torch = needs("torch")
    nn = torch.nn
    with pytest.raises(ValueError, match=r"only, got also \['1.weight', '1.bias'\]"):
        transfer.from_torch(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))
    with pytest.raises(ValueError, match="got one without"):
        transfer.from_torch(nn.Linear(3, 2, bias=False))
    with pytest.raises(ValueError, match="at least one dense layer"):
        transfer.from_torch(nn.Sequential(nn.ReLU()))


def test_keras_models_with_other_weights_are_refused():
    keras = needs("keras")
    layers = [keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()]
    with pytest.raises(ValueError, match="those of BatchNormalization"):
        transfer.from_keras(keras.Sequential(layers))
