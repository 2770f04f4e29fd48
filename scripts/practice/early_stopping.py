"""Early stopping on digits with noisy labels, beside L2 trained to the end.

100 training digits, a fifth of all labels random, one hidden layer of 48 units, full-batch descent
with momentum. The dev cost is looked at after every update; `early_stopping` says which update's
parameters to keep. The same networks, from the same starts, are trained with seven λ to the end;
each seed chooses its λ by the dev cost as it chooses its update. Both choices are judged by the
test cost, looked at once. Answers figure 55.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import Dataset, Setup, evaluate, make_train, mlp, optimizers, regularizers
from jaxnet.data import datasets, splits
from jaxnet.training import early_stopping
from reference_numpy import early_stopping as reference
from scripts.harness import (
    INK,
    TRUE,
    Claim,
    above,
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
from scripts.practice import _digits as digits

TITLE = "Early stopping and L2 on noisy labels"
NOTES_SECTION = "Other Regularization Methods"
NOTES_FIGURES = (55,)

TRAIN, DEV, NOISE = 100, 800, 0.2
UNITS = 48
STEPS, PATIENCE = 200, 25
LAMBDAS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # λ/m with m the training examples
MARGIN = 0.05  # nats; costs that differ by less count as equal
MODEL = mlp((digits.PIXELS, UNITS, digits.CLASSES))


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    keys = seed_keys(key, quick)

    def build(lam):
        optimizer = optimizers.momentum(1.0, beta=0.9)
        return Setup(MODEL, optimizer, penalty=regularizers.l2(lam, m=TRAIN))

    fit = make_train(
        build,
        batch_size=None,
        epochs=STEPS,
        observe=lambda carry: (carry.params, _norm(carry.params)),
    )

    def member(arm, whole):
        lam, key = arm
        split_key, wrong_key, class_key, run_key = jax.random.split(key, 4)
        wrong = jax.random.bernoulli(wrong_key, NOISE, whole.y.shape)
        drawn = jax.random.randint(class_key, whole.y.shape, 0, digits.CLASSES)
        noisy = Dataset(whole.x, jnp.where(wrong, drawn, whole.y))
        train, dev, test = splits.cut(split_key, noisy, (TRAIN, DEV))
        run = fit(run_key, lam, train, dev)
        params, norm = run.history["observed"]
        dev_cost = run.history["dev_cost"]
        stop = early_stopping(dev_cost, patience=PATIENCE)
        kept = jax.tree.map(lambda leaf: leaf[stop.best_epoch], params)

        def cost(params, part):
            return evaluate(MODEL, params, (), part).cost

        return {
            "cost": run.history["cost"][:, 0],
            "dev_cost": dev_cost,
            "dev_error": run.history["dev_error"],
            "norm": norm,
            "best": stop.best_epoch,
            "stop": stop.stop_epoch,
            "kept_dev": cost(kept, dev),
            "kept_norm": _norm(kept),
            "kept_test": cost(kept, test),
            "last_test": cost(run.params, test),
        }

    arms = jnp.repeat(jnp.asarray(LAMBDAS), len(keys)), jnp.tile(keys, len(LAMBDAS))
    program = jax.jit(
        lambda arms, whole: lax.map(lambda arm: member(arm, whole), arms, batch_size=5)
    )
    found = jax.device_get(program(arms, datasets.whole("digits")))
    shape = len(LAMBDAS), len(keys)
    found = {name: value.reshape(*shape, *value.shape[1:]) for name, value in found.items()}
    rules = [reference.rule(curve, PATIENCE) for curve in found["dev_cost"].reshape(-1, STEPS)]
    found["reference"] = np.array(rules).reshape(*shape, 2)
    return found


def _norm(params: Any) -> jax.Array:
    """√Σ‖W‖²: the Frobenius norm of all weights together."""
    return jnp.sqrt(sum(jnp.sum(jnp.square(w)) for w in regularizers.weights(params)))


def _chosen(measurements: dict[str, Any], name: str) -> np.ndarray:
    """Of each seed, the measurement at the λ > 0 of its lowest final dev cost, (seeds,)."""
    best = 1 + measurements["dev_cost"][1:, :, -1].argmin(axis=0)
    values = measurements[name]
    return values[best, np.arange(values.shape[1])]


def draw(measurements: dict[str, Any]) -> Figure:
    best = measurements["best"][0] + 1
    figure, axes = new_figure(
        2,
        2,
        height=7.4,
        title=(
            f"The dev cost turns after about {np.median(best):.0f} updates while the training cost "
            f"falls on.\nStopping there gives {measurements['kept_dev'][0].mean():.2f} nats, L2 "
            f"trained to the end {_chosen(measurements, 'dev_cost')[:, -1].mean():.2f}"
        ),
    )
    updates = np.arange(1, STEPS + 1)
    ax, styles = axes[0, 0], series(3)
    spread(ax, updates, measurements["cost"][0], label="training, λ = 0", **styles[0])
    spread(ax, updates, measurements["dev_cost"][0], label="dev, λ = 0", **styles[2])
    common = int(np.bincount(1 + measurements["dev_cost"][1:, :, -1].argmin(axis=0)).argmax())
    spread(
        ax,
        updates,
        measurements["dev_cost"][common],
        label=f"dev, λ = {LAMBDAS[common]:g}",
        **styles[1],
    )
    _mark_best(ax, best)
    ax.set(title="Cost", xlabel="update", ylabel="cost (nats)", ylim=(0, 2.6))
    ax.legend(loc="lower left", bbox_to_anchor=(0.3, 0.02))

    ax = axes[0, 1]
    error = 100 * measurements["dev_error"]
    spread(ax, updates, error[0], label="dev, λ = 0", **styles[2])
    spread(ax, updates, error[common], label=f"dev, λ = {LAMBDAS[common]:g}", **styles[1])
    _mark_best(ax, best)
    ax.set(title="Dev error", xlabel="update", ylabel="error (%)", ylim=(20, 70))
    ax.legend()

    ax = axes[1, 0]
    spread(ax, updates, measurements["norm"][0], label="λ = 0", **styles[2])
    spread(ax, updates, measurements["norm"][common], label=f"λ = {LAMBDAS[common]:g}", **styles[1])
    _mark_best(ax, best)
    ax.set(
        title="Stopping early keeps the weights small",
        xlabel="update",
        ylabel="√Σ‖W‖² (no unit)",
    )
    ax.legend()

    ax = axes[1, 1]
    places = np.arange(len(LAMBDAS))
    final = measurements["dev_cost"][:, :, -1]
    _errorbar(ax, places, final, label="L2, after the last update", marker="o", **styles[1])
    stopped = measurements["kept_dev"][0]
    mean, se = stopped.mean(), stopped.std(ddof=1) / np.sqrt(stopped.size)
    ax.axhspan(mean - se, mean + se, color=styles[2]["color"], alpha=0.25, linewidth=0)
    ax.axhline(mean, label="early stopping, λ = 0", **styles[2])
    ax.set_xticks(places, [f"{lam:g}" for lam in LAMBDAS])
    ax.set(title="Two ways to regularise", xlabel="λ (no unit)", ylabel="dev cost (nats)")
    ax.legend()
    seeds = stopped.size
    p = float(measurements["dev_error"][0, :, -1].mean())
    figure.supxlabel(
        f"{TRAIN} training and {DEV} dev digits, a fifth of the labels random; curves: median and "
        f"middle half of {seeds} seeds;\ngrey: the updates kept; bars: ± one standard error (a "
        f"single dev error's own is {100 * np.sqrt(p * (1 - p) / DEV):.1f} %)",
        fontsize=9.5,
    )
    return figure


def _mark_best(ax: Axes, best: np.ndarray) -> None:
    ax.axvspan(*np.quantile(best, [0.25, 0.75]), color="0.85", zorder=0)
    ax.axvline(float(np.median(best)), color=INK, linewidth=1)


def _errorbar(ax: Axes, x: np.ndarray, values: np.ndarray, **style: Any) -> None:
    """Means over seeds with their standard errors, values (x, seeds)."""
    se = values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
    ax.errorbar(x, values.mean(axis=1), se, capsize=3, **style)


def _gain(measurements: dict[str, Any]) -> np.ndarray:
    """Dev cost at the update that early stopping keeps less that of L2, (seeds,)."""
    return measurements["kept_dev"][0] - _chosen(measurements, "dev_cost")[:, -1]


def claims(measurements: dict[str, Any]) -> list[Claim]:
    cost, dev_cost = measurements["cost"][0], measurements["dev_cost"][0]
    norm, best = measurements["norm"][0], measurements["best"][0]
    seeds = np.arange(best.size)
    return [
        exact(
            "The training cost falls with the updates (largest rise of one update in nats, all "
            "seeds).",
            np.diff(cost, axis=1).max(),
            at_most(0.0),
        ),
        statistical(
            "The dev cost has an interior minimum: at the end it lies above its minimum by 0.1 "
            "nats or more.",
            dev_cost[:, -1] - dev_cost.min(axis=1),
            at_least(0.1),
        ),
        exact(
            "That minimum is neither the first nor the last update, in any seed (smallest distance "
            "from either, updates).",
            np.minimum(dev_cost.argmin(axis=1), STEPS - 1 - dev_cost.argmin(axis=1)).min(),
            above(0),
        ),
        statistical(
            "The dev error rises too: at the end it is above that of the update kept.",
            measurements["dev_error"][0][:, -1] - measurements["dev_error"][0][seeds, best],
            above(0),
        ),
        exact(
            "The parameters returned are those of the minimum (largest difference between their "
            "dev cost and the lowest up to the stop, nats).",
            max(
                abs(float(measurements["kept_dev"][0, s] - dev_cost[s, : stop + 1].min()))
                for s, stop in enumerate(measurements["stop"][0])
            ),
            between(0, 1e-6),
        ),
        exact(
            f"Waiting {PATIENCE} updates finds the minimum of the whole curve, in every seed.",
            bool(np.all(best == dev_cost.argmin(axis=1))),
            TRUE,
        ),
        exact(
            "The reference's rule names the same updates, best and last, on all curves (number "
            "that differ).",
            (measurements["reference"][..., 0] != measurements["best"]).sum()
            + (measurements["reference"][..., 1] != measurements["stop"]).sum(),
            between(0, 0),
        ),
        statistical(
            "‖W‖ grows with the iterations (share of the updates in which √Σ‖W‖² grows).",
            (np.diff(norm, axis=1) > 0).mean(axis=1),
            at_least(0.95),
        ),
        statistical(
            "So stopping early keeps ‖W‖ smaller than training to the end (ratio of √Σ‖W‖²).",
            measurements["kept_norm"][0] / norm[:, -1],
            at_most(0.9),
        ),
        statistical(
            f"L2 trained to the end reaches at least as low a dev cost as early stopping, to "
            f"within {MARGIN:g} nats (difference in nats, the best of each per seed).",
            _gain(measurements),
            at_least(-MARGIN),
        ),
        statistical(
            "So it does on the test set, looked at once (difference in nats).",
            measurements["kept_test"][0] - _chosen(measurements, "last_test"),
            at_least(-MARGIN),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
