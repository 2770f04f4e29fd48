"""The size of the mini-batch: epochs, updates and seconds to a target cost, α tuned for each.

A network of 16 hidden units on 1,024 digits, drawn anew for every seed; batches from one example
to all of them. For each size α is the best of four on three seeds; twenty others then count the
passes over the data until the cost on all of them is down to 0.2 nats, interpolated between the
ends of epochs. Those runs are also the timed ones, the sizes taking turns; every epoch's time
includes one look at the cost on all examples. Sizes next to powers of two are timed on their own,
as single updates. Answers the notes' advice on the size of a mini-batch.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import Dataset, Setup, make_train, mlp, optimizers
from jaxnet.crosscheck import layout
from jaxnet.data import datasets, splits
from jaxnet.training.run import start, step
from reference_numpy import mlp as reference
from reference_numpy import optimizers as reference_optimizers
from scripts.harness import (
    Claim,
    above,
    at_least,
    at_most,
    exact,
    new_figure,
    run_alone,
    seed_keys,
    series,
    spread,
    statistical,
    timing,
)
from scripts.harness.report import machine

TITLE = "From one example to all of them: what a batch size costs"
NOTES_SECTION = "Mini-batch Gradient Descent"
NOTES_FIGURES = ()
TIMING = True

EXAMPLES = 1024
TARGET = 0.2  # nats
MODEL = mlp((64, 16, 10))
SIZES = (1, 8, 64, 256, EXAMPLES)
EPOCHS = {1: 8, 8: 8, 64: 20, 256: 60, EXAMPLES: 160}
RATES = {
    1: (0.0125, 0.025, 0.05, 0.1),
    8: (0.05, 0.1, 0.2, 0.4),
    64: (0.1, 0.2, 0.4, 0.8),
    256: (0.2, 0.4, 0.8, 1.6),
    EXAMPLES: (0.2, 0.4, 0.8, 1.6),
}
TUNING = 3  # seeds

POWERS = (64, 256, 512)
WIDE = mlp((64, 64, 10))
REPEATED, ROUNDS = 20, 25


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    tune_key, judge_key = jax.random.split(key)
    whole = datasets.whole("digits")
    programs = {size: _program(size) for size in SIZES}
    tuning = jax.random.split(tune_key, 1 if quick else TUNING)

    best = {}
    for size, program in programs.items():
        epochs = [
            np.mean([_epochs_to_target(*program(one, rate, whole)[:2]) for one in tuning])
            for rate in RATES[size]
        ]
        best[size] = RATES[size][int(np.argmin(epochs))]

    keys = seed_keys(judge_key, quick)
    epochs = np.zeros((len(keys), len(SIZES)))
    seconds = np.zeros_like(epochs)
    for seed, one in enumerate(keys):
        for place, (size, program) in enumerate(programs.items()):
            begun = time.perf_counter()
            first, costs, _ = jax.block_until_ready(program(one, best[size], whole))
            seconds[seed, place] = (time.perf_counter() - begun) / EPOCHS[size]
            epochs[seed, place] = _epochs_to_target(first, costs)
    return {
        "best": best,
        "epochs": epochs,
        "seconds_per_epoch": seconds,
        "machine": machine(),
        "reference_apart": _reference_apart(
            keys[0], best[EXAMPLES], whole, programs[EXAMPLES](keys[0], best[EXAMPLES], whole)[2]
        ),
        "powers": _powers(key, whole, rounds=5 if quick else ROUNDS),
    }


def _draw(key: jax.Array, whole: Dataset) -> Dataset:
    return splits.cut(key, whole, (EXAMPLES,))[0]


def _program(size: int) -> Callable[..., Any]:
    """(key, α, all digits) ↦ cost before training, after every epoch, and of every batch."""
    train = make_train(
        lambda rate: Setup(MODEL, optimizers.gradient_descent(rate)),
        batch_size=None if size == EXAMPLES else size,
        epochs=EPOCHS[size],
    )

    @jax.jit
    def run(key, rate, whole):
        data = _draw(jax.random.fold_in(key, 1), whole)
        made = train(key, rate, data, data)
        return made.history["cost"][0, 0], made.history["dev_cost"], made.history["cost"]

    return run


def _epochs_to_target(first: Any, costs: Any) -> float:
    """Passes until the cost is down to the target, log-linear between epochs; ∞ if it never is.

    first: the cost of the first batch before its update, which stands for that of all.
    """
    costs = np.log(np.append(first, costs))
    reached = costs <= np.log(TARGET)
    if not reached.any():
        return np.inf
    end = int(reached.argmax())
    share = (costs[end - 1] - np.log(TARGET)) / (costs[end - 1] - costs[end])
    return end - 1 + float(share)


def _reference_apart(key: jax.Array, rate: float, whole: Dataset, costs: jax.Array) -> float:
    """Largest relative difference of the first five costs of batch descent from the reference's."""
    data = _draw(jax.random.fold_in(key, 1), whole)
    params: Any = layout.pairs(MODEL.init(jax.random.split(key)[0])[0])
    params = [(W.astype(np.float64), b.astype(np.float64)) for W, b in params]
    X, Y = layout.columns(data.x).astype(np.float64), layout.one_hot(data.y, 10)
    state, apart = reference_optimizers.gradient_descent_init(params), 0.0
    for cost in np.asarray(costs)[:5, 0]:
        expected = reference.cost(params, X, Y, output="softmax")
        apart = max(apart, abs(float(cost / expected) - 1))
        _, caches = reference.forward(params, X, output="softmax")
        grads = reference.backward(params, caches, Y)
        params, state = reference_optimizers.gradient_descent_update(
            params, grads, state, learning_rate=rate
        )
    return apart


def _powers(key: jax.Array, whole: Dataset, rounds: int) -> dict[int, float]:
    """Median seconds of an update with batches of these sizes, the sizes taking turns."""
    setup = Setup(WIDE, optimizers.gradient_descent(0.1))

    @jax.jit
    def update(carry, batch):
        return step(setup, carry, batch, key)[0]

    def updates(carry, batch):
        for _ in range(REPEATED):
            carry = update(carry, batch)
        return carry

    x, y = np.asarray(whole.x), np.asarray(whole.y)
    sizes = [power + by for power in POWERS for by in (-1, 0, 1)]
    batches = {size: Dataset(jnp.asarray(x[:size]), jnp.asarray(y[:size])) for size in sizes}
    begin = start(setup, key)
    samples: dict[int, list[float]] = {size: [] for size in sizes}
    for number in range(rounds + 1):
        for size, batch in batches.items():
            begun = time.perf_counter()
            jax.block_until_ready(updates(begin, batch))
            if number:  # the first compiles
                samples[size].append((time.perf_counter() - begun) / REPEATED)
    return {size: float(np.median(times)) for size, times in samples.items()}


def _counted(measurements: dict[str, Any]) -> np.ndarray:
    """Epochs to the target, (seeds, sizes); where it is not reached, all that were run."""
    return np.minimum(measurements["epochs"], list(EPOCHS.values()))


def _updates(measurements: dict[str, Any]) -> np.ndarray:
    """Updates to the target, (seeds, sizes)."""
    return _counted(measurements) * EXAMPLES / np.array(SIZES)


def _seconds(measurements: dict[str, Any]) -> np.ndarray:
    """Median seconds to the target for each size."""
    per_epoch = np.median(measurements["seconds_per_epoch"], axis=0)
    return np.median(_counted(measurements), axis=0) * per_epoch


def draw(measurements: dict[str, Any]) -> Figure:
    seconds = _seconds(measurements)
    fastest = int(seconds.argmin())
    figure, axes = new_figure(
        1,
        3,
        title=f"Batches of {SIZES[fastest]} are fastest to {TARGET} nats; all {EXAMPLES:,} at once "
        f"take {seconds[-1] / seconds[fastest]:.0f} times as long",
    )
    dark, light = series(2)
    sizes = np.array(SIZES)
    spread(axes[0], sizes, _updates(measurements), label="updates", marker="o", **dark)
    spread(axes[0], sizes, _counted(measurements), label="epochs", marker="s", **light)
    axes[0].set(title=f"To {TARGET} nats, α tuned", ylabel="number")
    axes[0].legend()
    axes[1].plot(sizes, 1e3 * seconds, marker="o", **dark)
    axes[1].set(title="Time to the target", ylabel="milliseconds")
    axes[0].set_yscale("log")
    axes[1].set_ylim(0, None)
    for ax in axes[:2]:
        ax.set(xlabel="batch size B (examples)", xscale="log")
        ax.set_xticks(sizes, labels=[str(size) for size in sizes])
        ax.xaxis.minorticks_off()
    _draw_powers(axes[2], measurements["powers"])
    found = measurements["machine"]
    seeds = len(measurements["epochs"])
    figure.supxlabel(
        f"Medians of {seeds} seeds, bands: their middle half. {found['processor']}, "
        f"{found['cores']} cores, float32.",
        fontsize=10,
    )
    return figure


def _draw_powers(ax: Axes, powers: dict[int, float]) -> None:
    """Time for each example of an update, next to powers of two."""
    dark, light = series(2)
    for place, power in enumerate(POWERS):
        for by in (-1, 0, 1):
            size = power + by
            color = (light if by == 0 else dark)["color"]
            ax.bar(4 * place + by, 1e6 * powers[size] / size, color=color, width=0.9)
    ax.set_xticks(
        [4 * place + by for place in range(len(POWERS)) for by in (-1, 0, 1)],
        labels=[str(power + by) for power in POWERS for by in (-1, 0, 1)],
        rotation=90,
    )
    ax.set(
        title="Next to powers of two",
        xlabel="batch size B (examples)",
        ylabel="microseconds per example",
    )


def claims(measurements: dict[str, Any]) -> list[Claim]:
    epochs, updates = _counted(measurements), _updates(measurements)
    reached = np.isfinite(measurements["epochs"])
    place = {size: index for index, size in enumerate(SIZES)}
    passes = np.log2(epochs[:, place[EXAMPLES]] / epochs[:, place[64]])
    per_epoch = np.median(measurements["seconds_per_epoch"], axis=0)
    powers, found = measurements["powers"], measurements["machine"]
    where = f"{found['processor']}, {found['cores']} cores, JAX on {found['device']}, float32"
    return [
        exact(
            "Five updates of batch descent agree with the reference (largest relative difference "
            "of the cost, float32).",
            measurements["reference_apart"],
            at_most(1e-4),
        ),
        statistical(
            "The larger the batch, the fewer updates to the target: with 64 examples fewer than "
            "with one (log₂ of the ratio).",
            np.log2(updates[:, place[1]] / updates[:, place[64]]),
            above(0),
        ),
        statistical(
            "But the gain runs out: four times the batch, from 256 examples to 1,024, saves less "
            "than half of the updates (ratio).",
            updates[:, place[256]] / updates[:, place[EXAMPLES]],
            at_most(2),
        ),
        statistical(
            "So the epochs to the target grow: all examples at once take twice the passes of "
            "batches of 64 or more (log₂ of the ratio).",
            passes,
            at_least(1),
        ),
        statistical(
            f"With fewer than 2,000 examples ({EXAMPLES:,}) full batches reach the target within "
            f"{EPOCHS[EXAMPLES]} epochs (share of seeds).",
            reached[:, place[EXAMPLES]].astype(float),
            at_least(0.95),
        ),
        statistical(
            "And so few examples need no mini-batches: the passes over the data are at most a half "
            "more than with batches of 64 (log₂ of the ratio).",
            passes,
            at_most(np.log2(1.5)),
            expected="refuted",
            note="Full batches get there, but every pass is a single step: at 1,024 examples "
            "mini-batches already save most of the work.",
        ),
        *(
            timing(f"Milliseconds to {TARGET} nats with batches of {size:,}.", 1e3 * seconds)
            for size, seconds in zip(SIZES, _seconds(measurements), strict=True)
        ),
        *(
            timing(f"Milliseconds of an epoch with batches of {size:,}.", 1e3 * seconds)
            for size, seconds in zip(SIZES, per_epoch, strict=True)
        ),
        *(
            timing(
                f"Time for an example in batches of {power} over the mean of {power - 1} and "
                f"{power + 1} (below 1: the power of two is faster).",
                (powers[power] / power)
                / np.mean([powers[power + by] / (power + by) for by in (-1, 1)]),
            )
            for power in POWERS
        ),
        timing("The machine of these times.", where),
    ]


if __name__ == "__main__":
    run_alone(__file__)
