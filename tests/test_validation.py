"""Bad input is refused where the user meets the library, by name, before any compute.

Every refusal is provoked with JAX's compiler watched, its caches emptied before the first: what
would compute would have to compile, and nothing does.
"""

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import Dataset, losses, optimizers, regularizers, schedules, validation
from jaxnet.data import minibatches, splits
from jaxnet.training import boundary

KEY = jax.random.key(0)
X = np.linspace(-1, 1, 35, dtype=np.float32).reshape(7, 5)
LABELS = np.arange(7) % 3
TARGETS = np.linspace(0, 1, 7, dtype=np.float32)
# Annotated as JAX arrays, but NumPy's are taken as well.
HostDataset: Any = Dataset
DATA = HostDataset(X, LABELS)
MODEL = jaxnet.mlp((5, 4, 3))
SINGLE = jaxnet.mlp((5, 4, 1))
HOST_LAYER: Any = jaxnet.layers.Layer
WEIGHTS = {
    model: (
        tuple(
            HOST_LAYER(np.ones((a, b), np.float32), np.zeros(b, np.float32))
            for a, b in ((5, 4), (4, outputs))
        ),
        (),
    )
    for model, outputs in (("several", 3), ("single", 1))
}


def with_value(array, index, value):
    changed = np.array(array)
    changed[index] = value
    return changed


# In the tests beartype refuses wrong types first; users have no beartype, so here it is taken off.
fit_unchecked, mlp = inspect.unwrap(jaxnet.fit), inspect.unwrap(jaxnet.mlp)
train_dev_test = inspect.unwrap(splits.train_dev_test)


def fit(data=DATA, model=MODEL, **arguments):
    arguments = {"optimizer": optimizers.adam(0.01), "batch_size": 3, "epochs": 1} | arguments
    return fit_unchecked(model, data, key=KEY, **arguments)


def evaluate(data, loss=losses.softmax_cross_entropy):
    several = loss is losses.softmax_cross_entropy
    model, params = (MODEL, "several") if several else (SINGLE, "single")
    return jaxnet.evaluate(model, *WEIGHTS[params], data, loss=loss)


def train(data=DATA, batch_size=3, epochs=1):
    run = jaxnet.make_train(
        lambda _: jaxnet.Setup(MODEL, optimizers.adam(0.01)), batch_size=batch_size, epochs=epochs
    )
    return run(KEY, None, data)


@pytest.fixture(scope="module", autouse=True)
def nothing_compiled_before():
    jax.clear_caches()


@contextmanager
def nothing_compiles() -> Iterator[None]:
    seen = []

    def listen(event: str, duration_secs: float, **_: Any):
        if event.startswith("/jax/core/compile/"):
            seen.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    compiled = [event for event in seen if "jaxpr_trace" not in event]
    assert not compiled, f"computed before it refused: {compiled}"


def refused(error, *words):
    """Context in which `error` must be raised with all these words and nothing compiled."""

    @contextmanager
    def context():
        with nothing_compiles(), pytest.raises(error) as caught:
            yield
        for word in words:
            assert word in str(caught.value), f"{word!r} is not in {caught.value}"

    return context()


def test_the_watch_sees_a_computation():
    with pytest.raises(AssertionError, match="computed before"), nothing_compiles():
        jnp.negative(jnp.ones(3))
    with pytest.raises(AssertionError, match="computed before"), nothing_compiles():
        jax.jit(lambda x: x)(X)


BINARY, SQUARED = losses.binary_cross_entropy, losses.squared_error
BAD_X = {
    "width": (ValueError, X[:, :4], ["5", "(7, 4)"]),
    "a vector": (ValueError, X[:, 0], ["(batch, ", "(7,)"]),
    "three axes": (ValueError, X[:, :, None], ["(batch, ", "(7, 5, 1)"]),
    "no examples": (ValueError, X[:0], ["at least one example", "(0, 5)"]),
    "no features": (ValueError, X[:, :0], ["at least one", "(7, 0)"]),
    "NaN": (ValueError, with_value(X, (2, 3), np.nan), ["finite", "1 NaN", "(2, 3)"]),
    "infinity": (ValueError, with_value(X, (6, 0), -np.inf), ["finite", "(6, 0)"]),
    "complex": (TypeError, X.astype(complex), ["real numbers", "complex128"]),
    "strings": (TypeError, X.astype(str), ["real numbers"]),
}


@pytest.mark.parametrize("case", BAD_X)
def test_features(case):
    error, x, words = BAD_X[case]
    y = LABELS[: len(x)]
    with refused(error, "data" if case == "width" else "data.x", *words):
        fit(HostDataset(x, y))
    with refused(error, "dev" if case == "width" else "dev.x", *words):
        fit(dev=HostDataset(x, y))
    with refused(error, *words):
        evaluate(HostDataset(x, y))
    with refused(error, *words):
        jaxnet.predict(MODEL, *WEIGHTS["several"], x)


def test_numbers_that_the_dtype_cannot_hold_are_not_cast_silently():
    with refused(ValueError, "data.x", "float32", "1e+300", "(2, 3)"):
        fit(HostDataset(with_value(X.astype(np.float64), (2, 3), 1e300), LABELS))
    with refused(ValueError, "data.y", "int32", "4294967296", "(4,)"):
        fit(HostDataset(X, with_value(LABELS.astype(np.int64), 4, 2**32)))


def test_width_names_the_data_and_the_model():
    with refused(ValueError, "4", "(7, 5)"):
        fit(model=jaxnet.mlp((4, 3)))


BAD_Y = {
    "label K": (ValueError, None, with_value(LABELS, 4, 3), ["0 … 2", "got 3", "index 4"]),
    "label -1": (ValueError, None, with_value(LABELS, 1, -1), ["0 … 2", "got -1", "index 1"]),
    "float labels": (TypeError, None, LABELS.astype(float), ["integer labels", "float"]),
    "column of labels": (ValueError, None, LABELS[:, None], ["(7,)", "(7, 1)", "y[:, 0]"]),
    "one-hot labels": (
        ValueError,
        None,
        np.eye(3, dtype=int)[LABELS],
        ["(m,)", "(7, 3)", "argmax"],
    ),
    "too few": (ValueError, None, LABELS[:6], ["7 targets", "(6,)"]),
    "binary 2": (ValueError, BINARY, with_value(LABELS % 2, 5, 2), ["0 or 1", "got 2", "index 5"]),
    "binary column": (ValueError, BINARY, (LABELS % 2)[:, None], ["(7,)", "(7, 1)", "y[:, 0]"]),
    "NaN target": (ValueError, SQUARED, with_value(TARGETS, 3, np.nan), ["finite", "(3,)"]),
    "infinite target": (ValueError, SQUARED, with_value(TARGETS, 3, np.inf), ["finite", "(3,)"]),
    "column of targets": (ValueError, SQUARED, TARGETS[:, None], ["(7,)", "(7, 1)", "y[:, 0]"]),
    "two targets": (ValueError, SQUARED, np.ones((7, 2), np.float32), ["(7,)", "(7, 2)"]),
    "no axis": (ValueError, SQUARED, np.float32(1.0), ["7 targets", "()"]),
}


@pytest.mark.parametrize("case", BAD_Y)
def test_targets(case):
    error, loss, y, words = BAD_Y[case]
    loss = loss or losses.softmax_cross_entropy
    good = {BINARY: LABELS % 2, SQUARED: TARGETS}.get(loss, LABELS)
    model = MODEL if loss is losses.softmax_cross_entropy else SINGLE
    with refused(error, "data.y", *words):
        fit(HostDataset(X, y), model, loss=loss)
    with refused(error, "dev.y", *words):
        fit(HostDataset(X, good), model, loss=loss, dev=HostDataset(X, y))
    with refused(error, "data.y", *words):
        evaluate(HostDataset(X, y), loss)


@pytest.mark.parametrize("loss", [BINARY, SQUARED])
def test_losses_themselves_never_broadcast(loss):
    outputs, column = jnp.asarray(TARGETS), jnp.asarray(TARGETS[:, None])
    with refused(ValueError, "(7,)", "(7, 1)"):
        loss(outputs, column)


def test_a_loss_for_one_unit_refuses_several_and_the_other_way_round():
    with refused(ValueError, "data.y", "(7, 3)", "(7,)", "softmax_cross_entropy"):
        fit(HostDataset(X, LABELS % 2), MODEL, loss=inspect.unwrap(BINARY))
    with refused(ValueError, "(m, K)", "(7,)", "binary_cross_entropy"):
        fit(DATA, SINGLE, loss=inspect.unwrap(losses.softmax_cross_entropy))


def test_data_that_are_no_data_set():
    with refused(TypeError, "data", "Dataset", "list"):
        inspect.unwrap(boundary.as_dataset)("data", [X, LABELS])


BAD_CALLS = {
    "batch larger than the data": (
        lambda: fit(batch_size=8),
        ["batch_size", "at most the 7", "got 8"],
    ),
    "batch larger, make_train": (
        lambda: train(batch_size=8),
        ["batch_size", "at most the 7", "got 8"],
    ),
    "batch larger, minibatches": (
        lambda: minibatches.steps_per_epoch(7, 8),
        ["batch_size", "7", "got 8"],
    ),
    "batch of none": (lambda: fit(batch_size=0), ["batch_size", "≥ 1", "got 0"]),
    "batch of none, make_train": (lambda: train(batch_size=0), ["batch_size", "≥ 1", "got 0"]),
    "half a batch": (lambda: fit(batch_size=2.5), ["batch_size", "whole number", "2.5"]),
    "no epochs": (lambda: fit(epochs=0), ["epochs", "≥ 1", "got 0"]),
    "no epochs, make_train": (lambda: train(epochs=0), ["epochs", "≥ 1", "got 0"]),
    "no steps": (
        lambda: jaxnet.descend(jnp.sum, optimizers.adam(0.1), X, steps=0),
        ["steps", "≥ 1", "got 0"],
    ),
    "negative l2": (lambda: fit(l2=-0.1), ["l2", "≥ 0", "-0.1"]),
    "negative l1": (lambda: fit(l1=-0.1), ["l1", "≥ 0", "-0.1"]),
    "NaN l2": (lambda: fit(l2=float("nan")), ["l2", "≥ 0", "nan"]),
    "negative λ": (lambda: regularizers.l2(-1.0, m=7), ["lam", "≥ 0", "-1.0"]),
    "negative λ, l1": (lambda: regularizers.l1(-1.0, m=7), ["lam", "≥ 0", "-1.0"]),
    "λ over nothing": (lambda: regularizers.l2(1.0, m=0), ["m", "> 0", "got 0"]),
    "negative λ, proximal": (
        lambda: regularizers.proximal_l1(-1.0, learning_rate=0.1),
        ["lam", "≥ 0"],
    ),
    "negative α, proximal": (
        lambda: regularizers.proximal_l1(1.0, learning_rate=-0.1),
        ["learning_rate", "≥ 0"],
    ),
    "negative λ, decay": (
        lambda: regularizers.weight_decay(-1.0, learning_rate=0.1),
        ["lam", "≥ 0"],
    ),
    "negative α, decay": (
        lambda: regularizers.weight_decay(1.0, learning_rate=-0.1),
        ["learning_rate", "≥ 0"],
    ),
    "β of 1": (lambda: optimizers.momentum(0.1, beta=1.0), ["beta", "[0, 1)", "1.0"]),
    "β₁ below 0": (lambda: optimizers.adam(0.1, b1=-0.1), ["b1", "[0, 1)", "-0.1"]),
    "β₂ of 1": (lambda: optimizers.adam(0.1, b2=1.0), ["b2", "[0, 1)", "1.0"]),
    "ε of 0": (lambda: optimizers.rmsprop(0.1, eps=0.0), ["eps", "> 0", "0.0"]),
    "negative α₀": (
        lambda: schedules.exponential(-0.1, steps_per_epoch=3),
        ["learning_rate", "≥ 0", "-0.1"],
    ),
    "fractions below one": (
        lambda: splits.split(KEY, 10, (0.6, 0.2, 0.1)),
        ["fractions", "sum to 1", "(0.6, 0.2, 0.1)", "0.9"],
    ),
    "fractions above one": (
        lambda: splits.train_dev_test(KEY, DATA, fractions=(0.6, 0.3, 0.2)),
        ["fractions", "sum to 1", "1.1"],
    ),
    "a fraction of 0": (
        lambda: splits.split(KEY, 10, (0.6, 0.4, 0.0)),
        ["fractions", "positive", "0.0"],
    ),
    "a part without examples": (
        lambda: splits.split(KEY, 7, (0.98, 0.01, 0.01)),
        ["fractions", "at least one", "7"],
    ),
    "two fractions for three parts": (
        lambda: train_dev_test(KEY, DATA, fractions=(0.5, 0.5)),
        ["fractions", "three", "(0.5, 0.5)"],
    ),
    "negative init_scale": (
        lambda: jaxnet.mlp((5, 3), init_scale=-1.0),
        ["init_scale", "≥ 0", "-1.0"],
    ),
    "one keep_prob too many": (
        lambda: jaxnet.mlp((5, 4, 3), keep_prob=(0.5, 0.5)),
        ["keep_prob", "1 hidden", "got 2"],
    ),
    "no sizes": (lambda: jaxnet.mlp((5,)), ["layer_sizes", "(n_in, …, n_out)", "(5,)"]),
    "no inputs": (lambda: jaxnet.logistic_regression(0), ["n_in", "≥ 1", "got 0"]),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_numbers(case):
    call, words = BAD_CALLS[case]
    with refused(ValueError, *words):
        call()


@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["gradient_descent", "momentum", "rmsprop", "adam"])
def test_learning_rates(name, rate):
    with refused(ValueError, "learning_rate", "≥ 0", str(rate)):
        getattr(optimizers, name)(rate)


@pytest.mark.parametrize("keep_prob", [0.0, -0.2, 1.3, float("nan"), (0.0,)])
def test_keep_prob(keep_prob):
    got = "keep_prob[0]: " if isinstance(keep_prob, tuple) else f"got {keep_prob}"
    with refused(ValueError, "keep_prob", "(0, 1]", got):
        jaxnet.mlp((5, 4, 3), keep_prob=keep_prob)


@pytest.mark.parametrize("size", [0, -3, 2.5, True])
def test_layer_sizes(size):
    with refused(ValueError, "layer_sizes[1]", "whole number ≥ 1", repr(size)):
        mlp((5, size, 3))


def test_unknown_names_list_the_known_and_the_nearest():
    with refused(ValueError, "activation", "relu", "tanh", "sigmoid", "leaky_relu", "linear"):
        jaxnet.mlp((5, 3), activation="swish")
    with refused(ValueError, "initializer", "he", "xavier", "glorot", "normal", "zeros"):
        jaxnet.mlp((5, 3), initializer="orthogonal")
    with refused(ValueError, "name", "digits", "moons", "'digit'", "did you mean 'digits'"):
        jaxnet.data.datasets.load("digit")


def test_numbers_that_are_not_known_yet_pass():
    """Inside a trace a value cannot be looked at; shapes still are."""

    def traced(rate):
        optimizers.adam(rate)
        jaxnet.mlp((5, 4, 3), keep_prob=rate)
        regularizers.l2(rate, m=7)
        with pytest.raises(ValueError, match=re.escape("(7, 1)")):
            losses.squared_error(rate * jnp.ones(7), jnp.ones((7, 1)))
        return rate

    jax.eval_shape(traced, jax.ShapeDtypeStruct((), jnp.float32))


@pytest.mark.parametrize(
    "good", [X.astype(np.float64), X.astype(int), X > 0, jnp.asarray(X, jnp.bfloat16), X.tolist()]
)
def test_real_features_of_any_kind_are_taken(good):
    validation.check_features("x", good, 5)


def test_everything_right_is_trained():
    """The calls that are refused above differ from this one in the one thing at fault."""
    run = fit(dev=DATA)
    assert np.isfinite(run.history["cost"]).all()
    assert train().history["cost"].shape == (1, 3)
    assert np.isfinite(evaluate(DATA).cost)
    assert jaxnet.predict(MODEL, *WEIGHTS["several"], X).shape == (7,)


ANY: Any = jaxnet  # called with what its annotations forbid
GOOD = {"optimizer": optax.sgd(0.1), "batch_size": 3, "key": jax.random.key(0)}


@pytest.mark.parametrize(
    "change, says",
    [
        ({"key": 0}, "key: expected a random key such as jax.random.key(0), got 0"),
        ({"key": None}, "key: expected a random key"),
        ({"optimizer": 0.1}, "optimizer: expected an optax transformation"),
        ({"optimizer": optimizers.adam}, "optimizer: expected an optax transformation"),
        ({"loss": "mse"}, "loss: expected a function"),
        ({"drop_last": "no"}, "drop_last: expected True or False, got 'no'"),
        ({"l2": "0.1"}, "l2: expected a finite number ≥ 0, got '0.1'"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_arguments_of_another_kind_are_named(change, says, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # users have no such checks
    data = Dataset(jnp.ones((7, 5)), jnp.arange(7) % 3)
    with pytest.raises(TypeError) as caught:
        ANY.fit(jaxnet.mlp((5, 3)), data, **(GOOD | change))
    assert says in str(caught.value)


def test_one_number_is_one_number(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"learning_rate: expected a finite number.*shape \(2,\)"):
        ANY.optimizers.adam(np.array([0.1, 0.2]))
    with pytest.raises(TypeError, match="learning_rate: expected a finite number"):
        ANY.optimizers.momentum("0.1")
    with pytest.raises(TypeError, match="batch_norm: expected True or False"):
        ANY.mlp((5, 4, 3), batch_norm="no")
    with pytest.raises(TypeError, match="model: expected a Model"):
        ANY.fit("mlp", Dataset(jnp.ones((7, 5)), jnp.arange(7) % 3), **GOOD)
