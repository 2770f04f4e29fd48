"""Rows 37 and 38: deviations, and the order of examples."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.differences.difference import (
    AGREE,
    AGREE_IF,
    CANNOT,
    Check,
    Difference,
    agree,
    default,
    differ,
    differ_as_predicted,
)
from jaxnet.data import minibatches

TOPIC = "data and precision"


def _tensor(array: Any) -> Any:
    return frameworks.torch().tensor(np.array(array))


def _x() -> np.ndarray:
    return np.random.default_rng(11).standard_normal((7, 4)) * 2 + 1


# Row 37: deviations.


def _deviation_torch() -> list[Check]:
    left = _tensor(_x())
    return [
        agree("correction=0", left.std(dim=0, correction=0), np.std(_x(), axis=0)),
        differ("torch's default", left.std(dim=0), np.std(_x(), axis=0)),
        agree("√(n/(n−1)) times NumPy's", left.std(dim=0), np.sqrt(7 / 6) * np.std(_x(), axis=0)),
    ]


def _deviation_agrees() -> list[Check]:
    from sklearn.preprocessing import StandardScaler

    numpy_own = np.std(_x(), axis=0)
    return [
        agree("jnp.std", jnp.std(jnp.asarray(_x()), axis=0), numpy_own),
        agree("StandardScaler", StandardScaler().fit(_x()).scale_, numpy_own),
        default("ddof of jnp.std", jnp.std, "ddof", 0),
    ]


def _constant_column() -> list[Check]:
    """A column without spread in training, and another value of it afterwards."""
    from sklearn.preprocessing import StandardScaler

    train, new = np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[2.5, 5.5]])
    mean, var = train.mean(axis=0), train.var(axis=0)
    sklearn_own = np.asarray(StandardScaler().fit(train).transform(new))

    def by_jax(**options):
        return jax.nn.standardize(jnp.asarray(new), mean=mean, variance=var, **options)

    # (5.5 − 5)/1 and (5.5 − 5)/√(0 + 1e-5).
    by_one = (new - mean) / np.where(var == 0, 1, np.sqrt(var))
    return [
        agree("ε = 0, columns that vary", by_jax(epsilon=0.0)[:, :1], sklearn_own[:, :1]),
        differ_as_predicted(
            "the constant one", sklearn_own, by_jax(), by_one, (new - mean) / np.sqrt(var + 1e-5)
        ),
        default("epsilon of jax.nn.standardize", jax.nn.standardize, "epsilon", 1e-5),
    ]


# Row 38: orders.


def _loader(**options: Any) -> list[list[int]]:
    torch = frameworks.torch()
    return [batch.tolist() for batch in torch.utils.data.DataLoader(range(7), 3, **options)]


def _order_torch() -> list[Check]:
    together = np.concatenate(_loader(shuffle=True, generator=frameworks.torch().Generator()))
    return [
        agree("in order by default", np.concatenate(_loader()), np.arange(7)),
        agree("the partial batch kept", [len(batch) for batch in _loader()], [3, 3, 1]),
        agree("shuffle=True: each once", np.sort(together), np.arange(7)),
        default("drop_last", frameworks.torch().utils.data.DataLoader, "drop_last", False),
    ]


def _order_keras() -> list[Check]:
    keras = frameworks.keras()
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")

    class Count(keras.callbacks.Callback):
        batches = 0

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1

    count = Count()
    zeros = np.zeros((7, 1), np.float32)
    model.fit(zeros, zeros, batch_size=3, epochs=1, verbose=0, callbacks=[count])
    return [
        agree("the partial batch kept", count.batches, 3),
        default("shuffle of fit", keras.Model.fit, "shuffle", True),
    ]


def _epoch_loss() -> list[Check]:
    from sklearn.neural_network import MLPRegressor

    x, y = _x(), np.arange(7.0)
    # Any, as the annotation of batch_size knows of "auto" only.
    make: Any = MLPRegressor
    network = make(
        hidden_layer_sizes=(), activation="identity", solver="sgd", alpha=0.0, batch_size=3,
        learning_rate_init=1e-30, shuffle=False, max_iter=1, random_state=0,
    )  # fmt: skip
    network.partial_fit(x, y)  # at this rate nothing moves, so every batch sees the same weights
    each = (network.predict(x) - y) ** 2 / 2
    batches = [each[:3].mean(), each[3:6].mean(), each[6:].mean()]
    return [
        agree("mean over examples", network.loss_curve_[0], each.mean()),
        differ("mean over batches", network.loss_curve_[0], np.mean(batches)),
        default("shuffle", MLPRegressor, "shuffle", True),
    ]


def _streams() -> list[Check]:
    """Two random orders have one place in common on average, whatever n: Poisson, mean 1."""
    torch, n = frameworks.torch(), 1000
    ours = np.asarray(minibatches.permutation(jax.random.key(0), n))
    theirs = torch.randperm(n, generator=torch.Generator().manual_seed(0)).numpy()
    numpy_own = np.random.default_rng(0).permutation(n)
    checks = []
    for name, other in (("torch", theirs), ("NumPy", numpy_own)):
        common = int((ours == other).sum())
        # More than 15 of a Poisson of mean 1 come less than once in 1e13 times.
        claim = f"places in common with {name}'s order of seed 0"
        checks.append(Check(claim, "predicted", common <= 15, common, 1, 14.0))
        same = other[np.argsort(other)]
        checks.append(agree(f"{name}'s indices as an array", same, np.sort(ours)))
    return checks


def _draws() -> list[Check]:
    """float32 and float64 draws of one key are not roundings of one another."""
    n, key = 10_000, jax.random.key(0)
    single = np.asarray(jax.random.normal(key, (n,), jnp.float32), np.float64)
    double = np.asarray(jax.random.normal(key, (n,), jnp.float64))
    correlation = float(np.corrcoef(single, double)[0, 1])
    chance = 5 / np.sqrt(n)
    with jax.enable_x64(False):
        single_order = np.asarray(minibatches.permutation(key, 100))
    return [
        Check(
            "correlation of the two", "predicted", abs(correlation) <= chance, correlation, 0.0,
            float(chance),
        ),
        agree(
            "jaxnet's permutation, the same in both",
            np.asarray(minibatches.permutation(key, 100)), single_order,
        ),
    ]  # fmt: skip


ROWS = (
    Difference(
        37, "a", TOPIC, {"torch.std": "√(Σ/(n−1))", "NumPy, JAX": "√(Σ/n)"},
        AGREE_IF + "correction=0", _deviation_torch, {"torch": "correction=1"}, "correction=0",
        ("torch",),
    ),
    Difference(
        37, "b", TOPIC, {"jnp.std": "√(Σ/n)", "StandardScaler": "√(Σ/n)", "NumPy": "√(Σ/n)"},
        AGREE, _deviation_agrees, {"jnp": "ddof=0"}, "none needed", ("sklearn",),
    ),
    Difference(
        37, "c", TOPIC,
        {"StandardScaler": "(x−μ)/1 where σ = 0", "jax.nn.standardize": "(x−μ)/√(σ²+1e-5)"},
        AGREE_IF + "ε = 0 and the column varies", _constant_column, {"jax": "epsilon=1e-5"},
        "drop constant columns", ("sklearn",),
    ),
    Difference(
        38, "a", TOPIC, {"torch DataLoader": "in order", "jaxnet": "shuffled every epoch"}, AGREE,
        _order_torch, {"torch": "shuffle off, drop_last=False"}, "shuffle=True", ("torch",),
    ),
    Difference(
        38, "b", TOPIC, {"keras fit": "shuffled every epoch", "jaxnet": "the same"}, AGREE,
        _order_keras, {"keras": "shuffle=True"}, "none needed", ("keras",),
    ),
    Difference(
        38, "c", TOPIC, {"scikit-learn": "epoch loss Σ Bᵢ J_i/m", "mean of batches": "Σ J_i/n"},
        AGREE_IF + "batches are weighted by their size", _epoch_loss,
        {"scikit-learn": "shuffle=True"}, "weight by batch size", ("sklearn",),
    ),
    Difference(
        38, "d", TOPIC, {"jaxnet": "order of a key", "torch, NumPy": "order of a generator"},
        CANNOT, _streams, mapping="share the index arrays", needs=("torch",),
    ),
    Difference(
        38, "e", TOPIC, {"JAX float32": "draws of a key", "JAX float64": "other draws of it"},
        CANNOT, _draws, mapping="draw in one dtype and cast",
    ),
)  # fmt: skip
