"""Which hyperparameters the dev error depends on: shares of its variance over configurations.

500 configurations of gradient descent with momentum and 500 of Adam, each drawn at random within
ranges that a practitioner might search, on digits: networks of 4 to 32 units in 1 or 3 hidden
layers, batches of 16 or 64, eight epochs, α falling by 1/(1 + d · epoch). A configuration has its
own split and initial weights. Functional ANOVA by a polynomial fitted with ridge regression
(scripts/tuning/_importance.py), with its cross-validated R²; intervals are bootstraps over 25
groups of 20 configurations. Every share depends on the ranges. Answers the notes' text on the
order of importance.
"""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import Model, Setup, evaluate, make_train, mlp, optimizers, schedules
from jaxnet.data import datasets, splits
from jaxnet.layers import dense
from jaxnet.populations import samplers
from jaxnet.widths import live
from scripts.harness import (
    COLOURS,
    Claim,
    above,
    at_least,
    new_figure,
    run_alone,
    series,
    statistical,
)
from scripts.tuning import _digits as digits
from scripts.tuning._importance import Fit, r_squared, terms

TITLE = "The importance of hyperparameters"
NOTES_SECTION = "Tuning Process"
NOTES_FIGURES = ()

CONFIGURATIONS = 500  # for each optimizer
PER_GROUP = 20
WIDEST, DEEPEST, EPOCHS = 32, 3, 8
SIZES = (16, 64)
TRAIN = 320
PENALTY = 5.0  # of the ridge; Φ has mean square 1, so that it weighs as much as five examples

SHARED: dict[str, Any] = {
    "alpha": ("log_uniform", 1e-4, 1.0),
    "width": ("integers", 4, WIDEST),
    "decay": ("log_uniform", 1e-2, 1.0),
}
SPACES: dict[str, dict[str, Any]] = {
    "momentum": {**SHARED, "beta": ("one_minus_log_uniform", 0.9, 0.999)},
    "Adam": {
        **SHARED,
        "beta1": ("one_minus_log_uniform", 0.5, 0.99),
        "beta2": ("one_minus_log_uniform", 0.9, 0.9999),
        "epsilon": ("log_uniform", 1e-10, 1e-6),
    },
}
LABELS = {
    "alpha": "α",
    "beta": "momentum β",
    "width": "hidden units",
    "batch": "batch size",
    "depth": "layers",
    "decay": "α's decay",
    "beta1": "Adam β₁",
    "beta2": "Adam β₂",
    "epsilon": "Adam ε",
}
RESAMPLES = 500  # for the bars of the figure


def _model(hyper: dict[str, Any]) -> Model:
    """Network of `width` live units in every hidden layer; those beyond `depth` are passed by."""
    sizes = (digits.PIXELS, *(WIDEST,) * DEEPEST, digits.CLASSES)
    whole = mlp(sizes, widths=(hyper["width"],) * DEEPEST)

    def apply(params, state, x, *, key=None, train=False):
        del key, train
        *hidden, output = params
        a = x
        for index, layer in enumerate(hidden):
            new = jnp.where(live(hyper["width"], WIDEST)[None], jax.nn.relu(dense(layer, a)), 0)
            a = new if index == 0 else jnp.where(index < hyper["depth"], new, a)
        return dense(output, a), state

    return Model(whole.init, apply)


def _optimizer(hyper: dict[str, Any], steps_per_epoch: int) -> optax.GradientTransformation:
    """Momentum, or Adam where hyper["adam"] is true; both are computed, for one program."""
    rate = schedules.inverse_time(
        hyper["alpha"], decay_rate=hyper["decay"], steps_per_epoch=steps_per_epoch
    )
    momentum = optimizers.momentum(rate, beta=hyper["beta"])
    adam = optimizers.adam(rate, b1=hyper["beta1"], b2=hyper["beta2"], eps=hyper["epsilon"])

    def init(params: Any) -> Any:
        return momentum.init(params), adam.init(params)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        by_momentum, first = momentum.update(updates, state[0], params)
        by_adam, second = adam.update(updates, state[1], params)
        taken = jax.tree.map(lambda m, a: jnp.where(hyper["adam"], a, m), by_momentum, by_adam)
        return taken, (first, second)

    return optax.GradientTransformation(init, update)


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    configurations = 80 if quick else CONFIGURATIONS
    whole = datasets.whole("digits")
    draw_key, run_key = jax.random.split(key)
    hypers = _draw_configurations(draw_key, configurations)
    keys = jax.random.split(run_key, len(hypers["alpha"]))
    error = np.empty(len(keys))

    def member(one, size):
        hyper, key = one
        split_key, fit_key = jax.random.split(key)
        train, dev, _ = splits.cut(split_key, whole, (TRAIN, digits.DEV))

        def build(hyper):
            return Setup(_model(hyper), _optimizer(hyper, TRAIN // size))

        run = make_train(build, batch_size=size, epochs=EPOCHS, drop_last=True)(
            fit_key, hyper, train
        )
        return evaluate(_model(hyper), run.params, run.state, dev).error

    for size in SIZES:  # a batch size is a program, all else is traced
        mine = np.flatnonzero(hypers["batch"] == size)
        some = {name: values[mine] for name, values in hypers.items() if name != "batch"}
        program = jax.jit(
            lambda members, size=size: lax.map(
                lambda one: member(one, size), members, batch_size=digits.AT_ONCE
            )
        )
        error[mine] = program((some, keys[mine]))
    results = {}
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    for place, (study, space) in enumerate(SPACES.items()):
        rows = slice(place * configurations, (place + 1) * configurations)
        names = [*space, "batch", "depth"]
        inputs = np.stack([_scaled(name, space, hypers[name][rows]) for name in names], axis=1)
        fit = _fit(inputs, error[rows])
        groups = len(fit.groups)
        draws = rng.multinomial(groups, np.full(groups, 1 / groups), size=RESAMPLES)
        first, total = fit.shares(np.ones(groups))
        results[study] = {
            "names": names,
            "inputs": inputs,
            "error": error[rows],
            "first": first,
            "total": total,
            "total_resampled": np.array([fit.shares(counts)[1] for counts in draws]),
            "cross_validated": fit.cross_validated(),
        }
    return results


def _draw_configurations(key: jax.Array, count: int) -> dict[str, np.ndarray]:
    """Hyperparameters of `count` members of each study; what a study lacks is as usual."""
    parts = []
    usual = {"beta": 0.9, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    for place, (study, space) in enumerate(SPACES.items()):
        sample = jax.jit(lambda key, space=space: samplers.random(key, space, count))
        points = jax.device_get(sample(jax.random.fold_in(key, place)))
        points = {name: np.full(count, value) for name, value in usual.items()} | points
        # All four pairs of batch size and depth in turn, so that every group has them all.
        points["batch"] = np.array(SIZES)[np.arange(count) % 2]
        points["depth"] = np.where(np.arange(count) // 2 % 2, DEEPEST, 1)
        parts.append(points | {"adam": np.full(count, study == "Adam")})
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {
        name: values.astype(np.float32) if values.dtype.kind == "f" else values
        for name, values in joined.items()
    }


def _scaled(name: str, space: dict[str, Any], values: np.ndarray) -> np.ndarray:
    """Values on the scale that they were drawn on, from −1 to 1."""
    if name in ("batch", "depth"):
        return np.where(values == values.max(), 1.0, -1.0)
    kind, low, high = space[name]
    change = {
        "log_uniform": np.log,
        "one_minus_log_uniform": lambda v: -np.log1p(-np.asarray(v, float)),
        "integers": lambda v: np.asarray(v, float),
    }[kind]
    start, end = change(low), change(high)
    return 2 * (change(values) - start) / (end - start) - 1


def _fit(inputs: np.ndarray, error: np.ndarray) -> Fit:
    return Fit(terms(inputs), error, len(error) // PER_GROUP, PENALTY)


def draw(measurements: dict[str, Any]) -> Figure:
    shares = [100 * found["total"][0] for found in measurements.values()]
    figure, axes = new_figure(
        2,
        2,
        height=7.4,
        title=f"α explains {shares[0]:.0f} % (momentum) and {shares[1]:.0f} % (Adam) of the "
        "variance of the dev error,\ninteractions included",
        width_ratios=(1.25, 1),
    )
    for row, (study, found) in zip(axes, measurements.items(), strict=True):
        _draw_shares(row[0], study, found)
        ax = row[1]
        alpha = 10 ** (2 * (found["inputs"][:, 0] - 1))
        for depth, style, marker in ((1, series(2)[0], "o"), (DEEPEST, series(2)[1], "s")):
            at = found["inputs"][:, -1] == (1 if depth == DEEPEST else -1)
            ax.plot(
                alpha[at],
                100 * found["error"][at],
                marker,
                color=style["color"],
                markersize=3.5,
                alpha=0.8,
                label=f"{depth} hidden",
            )
        ax.set(
            title=f"{len(alpha)} configurations, {study}",
            xscale="log",
            xlabel="learning rate α",
            ylabel="dev error (%)",
        )
        ax.legend(loc="lower left", fontsize=9)
    figure.supxlabel(
        "Bars: total share (light) and that of the input alone (dark); total shares overlap. "
        f"Lines: 95 % of {RESAMPLES} bootstraps.",
        fontsize=9,
    )
    return figure


def _draw_shares(ax: Axes, study: str, found: dict[str, Any]) -> None:
    order = np.argsort(found["total"])
    y = np.arange(len(order))
    low, high = np.quantile(found["total_resampled"], (0.025, 0.975), axis=0)
    ax.barh(y, 100 * found["total"][order], color=COLOURS[5], label="total")
    ax.barh(y, 100 * found["first"][order], height=0.5, color=COLOURS[0], label="alone")
    ax.hlines(y, 100 * low[order], 100 * high[order], color=COLOURS[1], linewidth=2)
    ax.set_yticks(y, labels=[LABELS[found["names"][place]] for place in order])
    ax.set(
        title=f"{study}: cross-validated R² {r_squared(found['cross_validated']):.2f}",
        xlabel="share of the fitted variance (%)",
    )
    ax.legend(loc="lower right")
    ax.grid(visible=False, axis="y")


NOISE = (
    "With Adam all of these are shares of a few per cent, no more than the noise of the fit; their "
    "order is not the notes'{}."
)
EXPECTED: dict[tuple[str, str, str], dict[str, Any]] = {
    ("Adam", "width and batch size matter more than depth and decay", "each"): {
        "expected": "inconclusive",
        "note": NOISE.format(", the batch size being as unimportant as decay"),
    },
    ("Adam", "depth and decay matter more than Adam's β₁, β₂ and ε", "each"): {
        "expected": "refuted",
        "note": NOISE.format(", β₁ standing above both"),
    },
    ("Adam", "depth and decay matter more than Adam's β₁, β₂ and ε", "mean"): {
        "expected": "inconclusive",
        "note": NOISE.format(""),
    },
}


def _expected(study: str, text: str, how: str) -> dict[str, Any]:
    return EXPECTED.get((study, text, how), {})


def claims(measurements: dict[str, Any]) -> list[Claim]:
    fits = {study: _fit(found["inputs"], found["error"]) for study, found in measurements.items()}

    @cache
    def total(study: str, counts: tuple[int, ...]) -> np.ndarray:
        return fits[study].shares(np.array(counts, float))[1]

    def step(text: str, study: str, more: tuple[str, ...], less: tuple[str, ...]) -> list[Claim]:
        """The notes' step word for word, each above each, and in the mean."""
        names, groups = measurements[study]["names"], len(fits[study].groups)

        def shares(taken: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            counts = np.bincount(taken.astype(int), minlength=groups)
            found = total(study, tuple(counts.tolist()))
            above_, below_ = ([names.index(name) for name in which] for which in (more, less))
            return found[above_], found[below_]

        def least_less_greatest(taken: np.ndarray) -> float:
            upper, lower = shares(taken)
            return float(upper.min() - lower.max())

        def difference_of_means(taken: np.ndarray) -> float:
            upper, lower = shares(taken)
            return float(upper.mean() - lower.mean())

        arguments: dict[str, Any] = {"samples": np.arange(groups), "method": "bootstrap"}
        each = statistical(
            f"{study}: {text}, each of them (least total share less greatest).",
            criterion=above(0),
            statistic=least_less_greatest,
            **arguments,
            **_expected(study, text, "each"),
        )
        if len(more) == 1:
            return [each]
        mean = statistical(
            f"{study}: {text}, in the mean (difference of mean total shares).",
            criterion=above(0),
            statistic=difference_of_means,
            **arguments,
            **_expected(study, text, "mean"),
        )
        return [each, mean]

    fitted = [
        statistical(
            f"{study}: the fitted polynomial predicts configurations that it has not seen "
            "(cross-validated R²).",
            found["cross_validated"],
            at_least(0.5),
            method="bootstrap",
            statistic=r_squared,
        )
        for study, found in measurements.items()
    ]
    adams = ("beta1", "beta2", "epsilon")
    return [
        *fitted,
        *step(
            "α matters more than momentum, width and batch size",
            "momentum",
            ("alpha",),
            ("beta", "width", "batch"),
        ),
        *step(
            "momentum, width and batch size matter more than depth and decay",
            "momentum",
            ("beta", "width", "batch"),
            ("depth", "decay"),
        ),
        *step("α matters more than width and batch size", "Adam", ("alpha",), ("width", "batch")),
        *step(
            "width and batch size matter more than depth and decay",
            "Adam",
            ("width", "batch"),
            ("depth", "decay"),
        ),
        *step(
            "depth and decay matter more than Adam's β₁, β₂ and ε",
            "Adam",
            ("depth", "decay"),
            adams,
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
