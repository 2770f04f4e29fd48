"""The cost curve of batch and of mini-batch gradient descent, and the order of the examples.

A network of 16 hidden units on 1,024 digits, a draw of its own for every seed. Batch descent takes
all of them in every update, mini-batch descent 64, both with one α at which the first is stable.
Mini-batches come in three orders from the same start: shuffled anew every epoch, shuffled once,
and sorted by class. What an epoch uses is read off a training run whose model has a weight for
every example. Answers figure 61 of the notes and their advice to reshuffle.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from jaxnet import Dataset, Model, Setup, make_train, mlp, optimizers
from jaxnet.data import datasets, minibatches, splits
from jaxnet.training.evaluation import score
from reference_numpy import minibatch as reference
from scripts.harness import (
    TRUE,
    Claim,
    at_least,
    at_most,
    between,
    exact,
    new_figure,
    run_alone,
    seed_keys,
    series,
    spread,
    statistical,
)
from scripts.optimization._in_order import train_in_order

TITLE = "Batch descent lowers its cost in every step, mini-batches only on the whole"
NOTES_SECTION = "Mini-batch Gradient Descent"
NOTES_FIGURES = (61,)

MODEL = mlp((64, 16, 10))
EXAMPLES, BATCH = 1024, 64
ALPHA = 0.2
BATCH_UPDATES = 150
ORDERS = ("reshuffled", "fixed", "sorted")
LABELS = {
    "reshuffled": "shuffled every epoch",
    "fixed": "shuffled once",
    "sorted": "sorted by class",
}
RISE = 1e-6  # nats; a smaller rise is rounding in float32


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    epochs = 10 if quick else 30
    updates = 60 if quick else BATCH_UPDATES
    whole = datasets.whole("digits")
    setup = Setup(MODEL, optimizers.gradient_descent(ALPHA))
    full = make_train(lambda _: setup, batch_size=None, epochs=updates)

    def one_seed(key):
        split_key, run_key, order_key = jax.random.split(key, 3)
        train, dev = splits.cut(split_key, whole, (EXAMPLES,))

        def after_epoch(carry):
            on_train, on_dev = (
                score(MODEL, carry.params, carry.state, part, setup.loss) for part in (train, dev)
            )
            return {"train_cost": on_train.cost, "dev_error": on_dev.error}

        def order(key):
            return minibatches.epoch_indices(key, EXAMPLES, BATCH)[0]

        once = order(order_key)
        by_class = jnp.argsort(train.y).reshape(once.shape)
        orders = jnp.stack(
            [
                jax.vmap(order)(jax.random.split(order_key, epochs)),
                *(jnp.broadcast_to(one, (epochs, *one.shape)) for one in (once, by_class)),
            ]
        )
        cost, after = jax.lax.map(
            lambda batches: train_in_order(setup, run_key, train, batches, observe=after_epoch),
            orders,
        )
        used = jnp.sort(orders[0].reshape(epochs, EXAMPLES), axis=1)
        return {
            "full_cost": full(run_key, None, train).history["cost"].reshape(-1),
            "cost": cost,
            "once_each": jnp.all(used == jnp.arange(EXAMPLES)[None, :]),
            **after,
        }

    program = jax.jit(lambda keys: jax.lax.map(one_seed, keys))
    return {
        **jax.device_get(program(seed_keys(key, quick))),
        "epoch": _one_epoch(key, m=1_078),
        "reference_epoch": _reference_epoch(m=1_078),
        "batches_of_the_notes": minibatches.steps_per_epoch(5_000_000, 1_000),
        "reference_batches_of_the_notes": _reference_batches(5_000_000, 1_000),
    }


def _one_epoch(key: jax.Array, m: int) -> dict[str, Any]:
    """One epoch of the library's training with m weights, one an example, that start at 0.

    Example i's loss is weight i, so that with α = 1 its use in a batch of B leaves −1/B there.
    """
    model = Model(lambda key: (jnp.zeros(m), ()), lambda params, state, x, **_: (x @ params, state))
    setup = Setup(model, optimizers.gradient_descent(1.0), lambda outputs, y: outputs)
    train = make_train(lambda _: setup, batch_size=BATCH, epochs=1)
    run = jax.jit(train)(key, None, Dataset(jnp.eye(m), jnp.zeros(m)))
    sizes, counts = np.unique(np.round(-1 / np.asarray(run.params)), return_counts=True)
    return {"updates": int(run.opt_state.count), "uses": list(zip(sizes, counts, strict=True))}


def _reference_epoch(m: int) -> dict[str, Any]:
    """The same of the reference's mini-batches, which carry each example's number."""
    number = np.arange(m, dtype=float)[None, :]
    batches = reference.partition(np.random.default_rng(0), number, number, BATCH)
    sizes, counts = np.unique([X.shape[1] for X, _ in batches], return_counts=True)
    assert np.array_equal(np.sort(np.concatenate([X[0] for X, _ in batches])), number[0])
    return {"updates": len(batches), "uses": list(zip(sizes, sizes * counts, strict=True))}


def _reference_batches(m: int, batch_size: int) -> int:
    examples = np.zeros((1, m))
    return len(reference.partition(np.random.default_rng(0), examples, examples, batch_size))


def draw(measurements: dict[str, Any]) -> Figure:
    full, mini = measurements["full_cost"], measurements["cost"][:, 0]
    steps, epochs = mini.shape[2], mini.shape[1]
    risen = _risen(mini.reshape(len(mini), -1)).mean()
    figure, axes = new_figure(
        1,
        3,
        title=f"Batch descent never raised its cost; with mini-batches {100 * risen:.0f} % of the "
        "updates see a rise",
    )
    dark, light = series(2)
    axes[0].plot(full[0], label="one seed", **dark)
    spread(axes[0], np.arange(full.shape[1]), full, label="all seeds", band="range", **light)
    axes[0].set(title="Batch descent", xlabel="iterations (updates)")
    axes[1].plot(mini[0].reshape(-1), linewidth=1, label="each mini-batch", color="#8fa3b8")
    middles = steps * (np.arange(epochs) + 0.5)
    axes[1].plot(
        middles, mini[0].mean(axis=1), marker="o", markersize=4, label="mean of an epoch", **dark
    )
    axes[1].set(title="Mini-batch descent, one seed", xlabel="mini-batch t (updates)")
    axes[1].set(yscale="log")
    for ax in axes[:2]:
        ax.set_ylabel("cost J (nats)")
        ax.legend()
    after = np.arange(1, epochs + 1)
    for index, style in enumerate(series(3)):
        spread(
            axes[2],
            after,
            measurements["train_cost"][:, index],
            label=LABELS[ORDERS[index]],
            **style,
        )
    axes[2].set(
        title="Order of the examples", xlabel="epochs", ylabel="cost on all of the data (nats)"
    )
    axes[2].set(yscale="log", ylim=(0.02, None))
    axes[2].legend(loc="lower left")
    figure.supxlabel(
        f"Lines: median of {len(full)} seeds; bands: all seeds on the left, the middle half on the "
        "right.",
        fontsize=10,
    )
    return figure


def _risen(cost: np.ndarray) -> np.ndarray:
    """Which costs along the last axis are above the one before."""
    return np.diff(cost, axis=-1) > RISE


def claims(measurements: dict[str, Any]) -> list[Claim]:
    full, mini = measurements["full_cost"], measurements["cost"][:, 0]
    epoch, of_reference = measurements["epoch"], measurements["reference_epoch"]
    final_cost = np.log2(measurements["train_cost"][:, :, -1])
    final_error = 100 * measurements["dev_error"][:, :, -1]
    return [
        exact(
            f"Batch descent at α = {ALPHA} never raises its cost (rises above rounding, all "
            "seeds).",
            int(_risen(full).sum()),
            at_most(0),
        ),
        statistical(
            "From one mini-batch to the next the cost is not monotone: it rises at a fifth of the "
            "updates or more.",
            _risen(mini.reshape(len(mini), -1)).mean(axis=1),
            at_least(0.2),
        ),
        statistical(
            "The means over epochs fall nearly always: at most one in twenty is above the one "
            "before.",
            _risen(mini.mean(axis=2)).mean(axis=1),
            at_most(0.05),
        ),
        statistical(
            "The mini-batch cost falls on the whole: its last epoch's mean is below half of its "
            "first's (ratio).",
            mini[:, -1].mean(axis=1) / mini[:, 0].mean(axis=1),
            at_most(0.5),
        ),
        exact(
            "An epoch of 1,078 examples in batches of 64 makes T = ⌈1078/64⌉ = 17 updates.",
            epoch["updates"],
            between(17, 17),
        ),
        exact(
            "That epoch uses each example exactly once: 1,024 in a batch of 64, 54 in the last.",
            epoch["uses"] == [(54, 54), (64, 1_024)],
            TRUE,
        ),
        exact(
            "Every epoch of every seed is an order of all the examples.",
            bool(measurements["once_each"].all()),
            TRUE,
        ),
        exact(
            "The reference cuts an epoch into as many batches of the same sizes.",
            epoch == of_reference,
            TRUE,
        ),
        exact(
            "5,000,000 examples in mini-batches of 1,000 are 5,000 updates, in the reference too.",
            max(
                measurements["batches_of_the_notes"],
                measurements["reference_batches_of_the_notes"],
                key=lambda batches: abs(batches - 5_000),
            ),
            between(5_000, 5_000),
        ),
        statistical(
            "Shuffled every epoch, training ends at a cost lower by 5 % or more than shuffled once "
            "(log₂ of the ratio of costs on all of the data).",
            final_cost[:, 1] - final_cost[:, 0],
            at_least(np.log2(1.05)),
            expected="refuted",
            note="One random order is as good as thirty here: the mini-batches of either are fair "
            "samples, and no difference shows in the cost.",
        ),
        statistical(
            "Shuffled every epoch, the dev error ends half a point lower or more than shuffled "
            "once (points).",
            final_error[:, 1] - final_error[:, 0],
            at_least(0.5),
            expected="refuted",
            note="One random order generalizes as well as a new one each epoch; what harms is an "
            "order that has to do with the labels.",
        ),
        statistical(
            "Shuffling matters where the data come sorted by class: the dev error of that fixed "
            "order is ten points higher or more (points).",
            final_error[:, 2] - final_error[:, 0],
            at_least(10),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
