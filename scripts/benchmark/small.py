"""Workload small: digits 64-64-10, ReLU, batch 64, Adam at 1e-3, 50 epochs.

The limit is a bare jitted scan of the same update, written here from jax and optax alone.
"""

from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnet
from scripts.benchmark import ensembles
from scripts.benchmark.ensembles import BATCH, EPOCHS
from scripts.benchmark.timing import Missing, System, in_turn

ALPHA = 1e-3


def digits():
    split = jaxnet.data.datasets.load("digits")
    return split.train, split.test


def _jaxnet_small(train, test) -> System:
    model = jaxnet.mlp((64, 64, 10))

    def run():
        return jax.block_until_ready(
            jaxnet.fit(
                model,
                train,
                optimizer=jaxnet.optimizers.adam(ALPHA),
                batch_size=BATCH,
                epochs=EPOCHS,
                key=jax.random.key(0),
            )
        )

    def accuracy(run):
        return 1 - float(jaxnet.evaluate(model, run.params, run.state, test).error)

    return System("jaxnet fit", run, accuracy, "checks, shuffling, history included")


def _bare_scan(train, test) -> System:
    """The same updates with nothing around them: no model type, no checks, no history."""
    optimizer = optax.adam(ALPHA)
    m = train.x.shape[0]
    steps, rest = divmod(m, BATCH)

    def logits(params, x):
        (w1, b1), (w2, b2) = params
        return jax.nn.relu(x @ w1 + b1) @ w2 + b2

    def cost(params, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(logits(params, x), y).mean()

    def update(carry, indices):
        params, opt_state = carry
        grads = jax.grad(cost)(params, train.x[indices], train.y[indices])
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), None

    @jax.jit
    def scan(key):
        k1, k2, key = jax.random.split(key, 3)
        params = (
            (jnp.sqrt(2 / 64) * jax.random.normal(k1, (64, 64)), jnp.zeros(64)),
            (jnp.sqrt(2 / 64) * jax.random.normal(k2, (64, 10)), jnp.zeros(10)),
        )

        def epoch(carry, key):
            order = jaxnet.data.minibatches.permutation(key, m)
            carry, _ = jax.lax.scan(update, carry, order[: steps * BATCH].reshape(steps, BATCH))
            if rest:
                carry, _ = update(carry, order[steps * BATCH :])
            return carry, None

        keys = jax.random.split(key, EPOCHS)
        return jax.lax.scan(epoch, (params, optimizer.init(params)), keys)[0][0]

    def accuracy(params):
        return float((logits(params, test.x).argmax(1) == test.y).mean())

    return System(
        "bare jitted scan",
        lambda: jax.block_until_ready(scan(jax.random.key(0))),
        accuracy,
        "the limit: jax and optax alone, the same shuffle",
    )


def _sklearn_small(train, test) -> System | Missing:
    try:
        import sklearn  # noqa: F401
    except ImportError:
        return Missing("scikit-learn", "not installed: pip install scikit-learn")
    x, y = np.asarray(train.x, np.float32), np.asarray(train.y)

    def run():
        return ensembles.one_with_sklearn(x, y, 0, ALPHA, EPOCHS)

    return System(
        "scikit-learn",
        run,
        lambda fitted: float(fitted.score(np.asarray(test.x), np.asarray(test.y))),
        f"MLPClassifier {version('scikit-learn')}",
    )


def _torch_small(train, test, fused: bool) -> System | Missing:
    name = "torch, fused Adam" if fused else "torch"
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        return Missing(name, "not installed: pip install 'jaxnet-suite[compare]'")
    x, y = torch.tensor(np.asarray(train.x)), torch.tensor(np.asarray(train.y)).long()

    def run():
        rates = np.array([ALPHA])
        return ensembles.torch_one_after_another(x, y, rates, EPOCHS, fused=fused)[0]

    def accuracy(model):
        with torch.no_grad():
            labels = model(torch.tensor(np.asarray(test.x))).argmax(1).numpy()
        return float((labels == np.asarray(test.y)).mean())

    return System(
        name, run, accuracy, f"torch {torch.__version__}, {torch.get_num_threads()} threads"
    )


def systems() -> list[System | Missing]:
    """Ways to train one small classifier, jaxnet first."""
    train, test = digits()
    return [
        _jaxnet_small(train, test),
        _bare_scan(train, test),
        _torch_small(train, test, fused=False),
        _torch_small(train, test, fused=True),
        _sklearn_small(train, test),
    ]


def rows(rounds: int) -> list[dict[str, Any]]:
    """The workload measured."""
    return in_turn("small", systems(), rounds)
