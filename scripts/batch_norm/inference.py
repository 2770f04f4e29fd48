"""Batch norm at evaluation: running statistics in place of the batch's own.

A network with batch norm is trained on digits; its evaluation of single examples is compared with
that of the same examples in a batch. Then fixed layers meet a stream of batches drawn from a
fixed population of digits, and the running statistics are followed to where they end, from batches
of 8, 32 and 128: beside the population's own, and in torch's convention, whose momentum is
1 − decay and whose variance is n/(n−1) times as large. Answers the notes' last heading.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from matplotlib.figure import Figure

from jaxnet import Setup, layers, make_train, mlp, optimizers
from jaxnet.crosscheck.backends import frameworks
from jaxnet.data import datasets
from jaxnet.layers import BatchNormParams, BatchNormState
from reference_numpy import batch_norm as reference
from scripts.harness import (
    INK,
    Claim,
    at_least,
    at_most,
    between,
    exact,
    new_figure,
    not_run,
    run_alone,
    seed_keys,
    series,
    spread,
    statistical,
)

TITLE = "Running statistics at evaluation"
NOTES_SECTION = "Batch Regularization"
NOTES_FIGURES = ()

PIXELS, CLASSES, WIDTH = 64, 10, 32
ALONE = 64  # test examples that are evaluated alone and together
UNITS = 16  # of the fixed layer
SIZES = (8, 32, 128)
LARGEST = SIZES[-1]
DECAY = 0.99
STEPS = 1_500
SETTLED = 900  # steps after which the start weighs 0.99⁹⁰⁰, about 0.0001
TORCH_STEPS, TORCH_BATCH = 50, 8


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    train, _, test = datasets.load("digits")
    train_key, stream_key = jax.random.split(key)
    return {
        **_alone_and_together(train_key, train, test),
        **_streams(seed_keys(stream_key, quick), jnp.asarray(train.x)),
        **_conventions(stream_key, np.asarray(train.x, np.float64)),
    }


def _alone_and_together(key: jax.Array, train: Any, test: Any) -> dict[str, Any]:
    """Logits of a trained network of the same examples, alone and in a batch, both ways."""
    model = mlp((PIXELS, WIDTH, WIDTH, CLASSES), batch_norm=True)
    setup = Setup(model, optimizers.gradient_descent(0.3))
    fit = make_train(lambda _: setup, batch_size=64, epochs=10, drop_last=True)
    x = jnp.asarray(test.x[:ALONE])

    @jax.jit
    def run(train):
        trained = fit(key, None, train)

        def logits(x, train):
            return model.apply(trained.params, trained.state, x, train=train)[0]

        # One unit's Z̃ by itself: the norm alone, in which nothing is summed.
        norm, running = trained.params[0].norm, trained.state[0]
        z = layers.dense(trained.params[0], x)
        evaluate = lambda z: layers.batch_norm_evaluate(norm, running, z)  # noqa: E731
        return {
            "together": logits(x, False),
            "alone": lax.map(lambda row: logits(row[None], False)[0], x),
            "norm_together": evaluate(z),
            "norm_alone": lax.map(lambda row: evaluate(row[None])[0], z),
            "train_together": logits(x, True),
            "train_alone": lax.map(lambda row: logits(row[None], True)[0], x),
        }

    return jax.device_get(run(train))


def _streams(keys: jax.Array, x: jax.Array) -> dict[str, Any]:
    """Running statistics along a stream of batches, beside the population's; arrays (seeds, …).

    Every seed draws its own layer Z = X W; a batch is drawn from the population with replacement.
    """
    unit = BatchNormParams(jnp.ones(UNITS), jnp.zeros(UNITS))
    start = BatchNormState(jnp.zeros(UNITS), jnp.ones(UNITS))

    def seed(key):
        w_key, batch_key = jax.random.split(key)
        z = x @ (jax.random.normal(w_key, (PIXELS, UNITS)) / 8)
        population = layers.batch_norm(unit, z)[1]

        def one(running, key):
            rows = jax.random.randint(key, (LARGEST,), 0, len(z))
            batch = z[rows]
            news = [layers.batch_norm(unit, batch[:size])[1] for size in SIZES]
            running = [
                layers.update_running(old, new, decay=DECAY)
                for old, new in zip(running, news, strict=True)
            ]
            return running, running

        _, path = lax.scan(one, [start] * len(SIZES), jax.random.split(batch_key, STEPS))
        deviation = jnp.sqrt(population.var)
        mean = jnp.stack([(p.mean - population.mean[None]) / deviation[None] for p in path])
        var = jnp.stack([p.var / population.var[None] for p in path])
        # (sizes, steps, units): the error's root mean square and the ratio's mean over the units.
        return {
            "mean_error": jnp.sqrt(jnp.square(mean).mean(axis=2)),
            "mean_bias": mean[:, SETTLED:].mean(axis=(1, 2)),
            "mean_square": jnp.square(mean[:, SETTLED:]).mean(axis=(1, 2)),
            "var_ratio": var.mean(axis=2),
            "var_settled": var[:, SETTLED:].mean(axis=(1, 2)),
            "start_error": jnp.sqrt(jnp.square(population.mean / deviation).mean()),
        }

    return jax.device_get(jax.jit(jax.vmap(seed))(keys))


def _conventions(key: jax.Array, x: np.ndarray) -> dict[str, Any]:
    """Running statistics after each batch in float64: ours, the reference's, converted, torch's."""
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    z = x @ rng.normal(size=(PIXELS, UNITS))
    batches = np.stack([z[rng.integers(len(z), size=TORCH_BATCH)] for _ in range(TORCH_STEPS)])
    start: Any = np.zeros(UNITS), np.ones(UNITS)
    with jax.enable_x64(True):
        unit = BatchNormParams(jnp.ones(UNITS), jnp.zeros(UNITS))

        def one(running, batch):
            running = layers.update_running(running, layers.batch_norm(unit, batch)[1], decay=DECAY)
            return running, running

        ours = jax.device_get(
            jax.jit(lambda b: lax.scan(one, BatchNormState(*start), b)[1])(batches)
        )
    found = {"converted": _to_torch(ours, start[1], TORCH_BATCH)}
    apart = []
    mean, var = (value[:, None] for value in start)
    for step, batch in enumerate(batches):
        _, cache = reference.forward(batch.T, np.ones((UNITS, 1)), np.zeros((UNITS, 1)))
        mean, var = reference.update_running(mean, var, cache.mu, cache.var, DECAY)
        apart += [_relative(ours.mean[step], mean[:, 0]), _relative(ours.var[step], var[:, 0])]
    result = {"reference_apart": max(apart)}
    if frameworks.installed("torch"):
        torch = frameworks.torch()
        layer = torch.nn.BatchNorm1d(UNITS, momentum=1 - DECAY, dtype=torch.float64)
        steps = []
        for batch in batches:
            layer(torch.from_numpy(batch))
            steps.append([layer.running_mean.numpy().copy(), layer.running_var.numpy().copy()])
        theirs: Any = BatchNormState(*np.array(steps).swapaxes(0, 1))
        for name in ("mean", "var"):
            pair = getattr(found["converted"], name), getattr(theirs, name)
            result[f"torch_{name}_apart"] = _relative(*pair)
        result["torch_var_unconverted"] = _relative(ours.var, theirs.var)
    return result


def _to_torch(running: BatchNormState, start_var: np.ndarray, n: int) -> Any:
    """Our running statistics after t = 1, 2, … batches of n examples as torch keeps them.

    Both averages are linear in the batches' variances and share the start, whose weight is decayᵗ:
    var_torch = decayᵗ·start + n/(n−1)·(var − decayᵗ·start). The mean is the same.
    """
    weight = (DECAY ** np.arange(1, len(running.var) + 1))[:, None]
    var = weight * start_var + n / (n - 1) * (running.var - weight * start_var)
    return running._replace(var=var)


def _relative(left: Any, right: Any) -> float:
    return float(np.abs(left - right).max() / np.abs(right).max())


def draw(measurements: dict[str, Any]) -> Figure:
    settled = measurements["var_settled"].mean(axis=0)
    figure, axes = new_figure(
        1,
        3,
        height=4.4,
        title="The running mean converges to the population's; the running variance to (n−1)/n of\n"
        f"it: {settled[0]:.3f} for batches of {SIZES[0]}, {settled[-1]:.3f} for {SIZES[-1]}",
    )
    steps = np.arange(1, STEPS + 1)
    shown = slice(None, None, 5)
    for place, (size, style) in enumerate(zip(SIZES, series(len(SIZES)), strict=True)):
        label = f"batches of {size}"
        for ax, name in zip(axes, ("mean_error", "var_ratio"), strict=False):
            spread(ax, steps[shown], measurements[name][:, place, shown], label=label, **style)
        axes[1].axhline((size - 1) / size, color="0.4", linewidth=0.8)
    start = measurements["start_error"].mean()
    axes[0].plot(steps, start * DECAY**steps, color="0.5", linewidth=1, label="start · 0.99ᵗ")
    axes[0].set(
        title="Running mean",
        xlabel="batches seen, t",
        ylabel="distance to the population's (σ)",
        yscale="log",
        ylim=(0.004, None),
    )
    axes[1].set(
        title="Running variance",
        xlabel="batches seen, t",
        ylabel="ratio to the population's",
        ylim=(0.8, 1.1),
    )
    axes[0].legend(fontsize=9)
    ax = axes[2]
    for name, label, marker, style in (
        ("train", "training: batch statistics", "s", series(2)[1]),
        ("", "evaluation: running ones", "o", series(2)[0]),
    ):
        prefix = f"{name}_" if name else ""
        ax.plot(
            measurements[f"{prefix}together"].ravel(),
            measurements[f"{prefix}alone"].ravel(),
            marker,
            color=style["color"],
            markersize=3,
            label=label,
        )
    low, high = np.quantile(measurements["together"], [0, 1])
    ax.plot([low, high], [low, high], color=INK, linewidth=0.8)
    ax.set(
        title="A batch of one",
        xlabel="logit in a batch",
        ylabel="logit of the example alone",
        ylim=(low - 1, high + 6),
    )
    ax.legend(fontsize=8.5, loc="upper left")
    seeds = len(measurements["mean_error"])
    figure.supxlabel(
        f"Lines: median of {seeds} seeds; bands: their middle half. Grey lines: (n−1)/n.",
        fontsize=9,
    )
    return figure


def claims(measurements: dict[str, Any]) -> list[Claim]:
    together, alone = measurements["together"], measurements["alone"]
    settled = measurements["var_settled"]
    fluctuation = measurements["mean_square"] * np.array(SIZES) * (1 + DECAY) / (1 - DECAY)
    trained_alone = measurements["train_alone"]
    means = [
        statistical(
            f"The running mean converges to the population's mean, batches of {size} (mean "
            f"difference after {SETTLED} batches, in σ).",
            measurements["mean_bias"][:, place],
            between(-0.02, 0.02),
        )
        for place, size in enumerate(SIZES)
    ]
    variances = [
        statistical(
            f"The running variance converges to the population's variance, batches of {size} "
            "(mean ratio, within 2 %).",
            settled[:, place],
            between(0.98, 1.02),
            expected="holds" if size == SIZES[-1] else "refuted",
            note=""
            if size == SIZES[-1]
            else "It averages the batches' biased variances, whose expectation is (n−1)/n of the "
            "population's.",
        )
        for place, size in enumerate(SIZES)
    ]
    return [
        exact(
            "Evaluation of batch norm alone: an example alone gives bit for bit what it gives in a "
            "batch (largest difference).",
            np.abs(measurements["norm_together"] - measurements["norm_alone"]).max(),
            between(0, 0),
        ),
        exact(
            "The whole network at evaluation: a batch of one equals the same example in a batch "
            "(largest difference of a logit beside the largest, float32).",
            np.abs(together - alone).max() / np.abs(together).max(),
            at_most(1e-5),
        ),
        exact(
            "In training it does not: with its own statistics a batch of one gives the same logits "
            "whatever the example (largest difference between examples).",
            np.ptp(trained_alone, axis=0).max(),
            between(0, 0),
        ),
        exact(
            "The logits of that one answer are far from those in the batch (largest difference).",
            np.abs(trained_alone - measurements["train_together"]).max(),
            at_least(1),
        ),
        *means,
        statistical(
            "Around it the running mean fluctuates as an average of 1/(1−decay) to (1+decay)/"
            "(1−decay) batches does: mean square · n(1+decay)/(1−decay)/σ², all sizes.",
            fluctuation.mean(axis=1),
            between(0.8, 1.25),
        ),
        *variances,
        *[
            statistical(
                f"Times n/(n−1), torch's convention, it does converge to it, batches of {size}.",
                settled[:, place] * size / (size - 1),
                between(0.98, 1.02),
            )
            for place, size in enumerate(SIZES)
        ],
        exact(
            "Running statistics are the reference's (largest relative difference, float64).",
            measurements["reference_apart"],
            at_most(1e-14),
        ),
        *_of_torch(measurements),
    ]


def _of_torch(measurements: dict[str, Any]) -> list[Claim]:
    close, far = at_most(1e-13), at_least(0.01)
    wanted = (
        (
            "torch_mean_apart",
            "torch's running mean at momentum 1 − decay is ours (largest relative difference over "
            f"{TORCH_STEPS} batches, float64).",
            close,
        ),
        (
            "torch_var_apart",
            "torch's running variance is ours converted, decayᵗ·start + n/(n−1)·(var − "
            "decayᵗ·start), exactly (largest relative difference, float64).",
            close,
        ),
        (
            "torch_var_unconverted",
            f"Without the conversion the two differ (batches of {TORCH_BATCH}, largest relative "
            "difference).",
            far,
        ),
    )
    return [
        exact(text, measurements[name], criterion)
        if name in measurements
        else not_run(text, "exact", "torch, in [compare]", criterion)
        for name, text, criterion in wanted
    ]


if __name__ == "__main__":
    run_alone(__file__)
