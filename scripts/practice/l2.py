"""L2 regularization of a deep tanh network on 200 digits: λ from 0 to 300.

A 64-24-24-10 network is trained by mini-batch gradient descent from three times Xavier's scale, at
which it overfits more, and from Xavier's; with the penalty on the weights, and with it on the
biases as well. The dev set of 800 digits chooses λ and the test set of the other 797 judges once.
How linear the trained network is is measured by the share of its logits' variance over the dev set
that no affine function of the pixels explains. Softmax regression, on the same data without
penalty, is what the notes say a large λ leads to. Answers figures 44, 46 and 49 of the notes.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import Model, Setup, evaluate, make_train, mlp, optimizers, regularizers
from jaxnet.activations import softmax
from jaxnet.crosscheck import layout
from jaxnet.data import datasets, splits
from jaxnet.regularizers import weights
from reference_numpy import regularizers as reference
from scripts.harness import (
    TRUE,
    Claim,
    at_least,
    at_most,
    below,
    between,
    exact,
    new_figure,
    run_alone,
    seed_keys,
    series,
    spread,
    statistical,
)
from scripts.practice._digits import CLASSES, PIXELS

TITLE = "L2 regularization from λ = 0 to a constant predictor"
NOTES_SECTION = "Regularization"
NOTES_FIGURES = (44, 46, 49)

TRAIN, DEV = 200, 800
SIZES = (PIXELS, 24, 24, CLASSES)
BATCH_SIZE, EPOCHS = 50, 80
LEARNING_RATE = 0.5
LARGE_START = 3.0  # times Xavier's scale


class Setting(NamedTuple):
    """λ, scale of the start, and 1 where the biases are penalised as well, or 0; or arrays."""

    lam: Any
    scale: Any = LARGE_START
    biases: Any = 0.0


LAMBDAS = (0.0, 0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 100.0, 300.0)
SWEEP = [Setting(lam) for lam in LAMBDAS]
FEWER = (0.0, 0.3, 1.0, 2.0, 4.0)
BIASED = [Setting(lam, biases=1.0) for lam in FEWER[1:]]
XAVIER = [Setting(lam, scale=1.0) for lam in FEWER]
SETTINGS = SWEEP + BIASED + XAVIER


def _network(scale: Any) -> Model:
    return mlp(SIZES, activation="tanh", initializer="xavier", init_scale=scale)


def _descent() -> optax.GradientTransformation:
    """Gradient descent whose α falls to 0 along a cosine, so that no run ends on a leap.

    αλ/m is 0.75 at most, so that the shrinking never overshoots.
    """
    steps = EPOCHS * TRAIN // BATCH_SIZE
    return optimizers.gradient_descent(optax.cosine_decay_schedule(LEARNING_RATE, steps))


def _build(setting: Setting) -> Setup:
    penalty = regularizers.l2(setting.lam, m=TRAIN)

    def both(params):
        squares = sum(jnp.sum(jnp.square(layer.b)) for layer in params)
        return penalty(params) + setting.biases * setting.lam / (2 * TRAIN) * squares

    return Setup(_network(setting.scale), _descent(), penalty=both)


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    keys = seed_keys(key, quick)
    digits = datasets.whole("digits")
    train = make_train(_build, batch_size=BATCH_SIZE, epochs=EPOCHS)

    def member(setting, key, digits):
        split_key, run_key = jax.random.split(key)
        data, dev, test = splits.cut(split_key, digits, (TRAIN, DEV))
        run = train(run_key, setting, data)
        model = _network(setting.scale)
        logits, _ = model.apply(run.params, run.state, dev.x)
        shares = jnp.mean(data.y[:, None] == jnp.arange(CLASSES)[None, :], axis=0)
        said = softmax(logits)
        errors = [evaluate(model, run.params, (), part).error for part in (data, dev, test)]
        return {
            **dict(zip(("train", "dev", "test"), errors, strict=True)),
            "squares": sum(jnp.sum(jnp.square(w)) for w in weights(run.params)),
            "range": jnp.max(jnp.ptp(said, axis=0)),
            "from_shares": jnp.max(jnp.abs(said.mean(axis=0) - shares)),
            "constant": jnp.mean(test.y != jnp.argmax(shares)),
            "nonlinear": _nonlinear_share(dev.x, logits),
            "params": run.params,
        }

    def line(key, digits):
        split_key, run_key = jax.random.split(key)
        data, dev, test = splits.cut(split_key, digits, (TRAIN, DEV))
        model = mlp((PIXELS, CLASSES), initializer="zeros")
        setup = Setup(model, _descent())
        run = make_train(lambda _: setup, batch_size=BATCH_SIZE, epochs=EPOCHS)(run_key, None, data)
        return jnp.stack([evaluate(model, run.params, (), part).error for part in (dev, test)])

    @jax.jit
    def run(members, keys, digits):
        lines = lax.map(lambda key: line(key, digits), keys)
        return lines, lax.map(lambda one: member(one[0], one[1], digits), members)

    settings = Setting(*(np.repeat(v, len(keys)) for v in zip(*SETTINGS, strict=True)))
    lines, networks = jax.device_get(run((settings, jnp.tile(keys, len(SETTINGS))), keys, digits))
    params = jax.tree.map(lambda leaf: leaf[0], networks.pop("params"))
    shape = len(SETTINGS), len(keys)
    return {
        **{name: values.reshape(shape) for name, values in networks.items()},
        "logistic_dev": lines[:, 0],
        "logistic_test": lines[:, 1],
        **_norms(params),
    }


def _nonlinear_share(x: jax.Array, logits: jax.Array) -> jax.Array:
    """Share of the logits' variance over x that no affine function of x explains."""
    centred, varied = x - x.mean(axis=0)[None, :], logits - logits.mean(axis=0)[None, :]
    # Some pixels never vary: the small ridge leaves them out.
    gram = centred.T @ centred + 1e-3 * jnp.eye(x.shape[1])
    fitted = centred @ jnp.linalg.solve(gram, centred.T @ varied)
    return jnp.sum(jnp.square(varied - fitted)) / jnp.sum(jnp.square(varied))


def _norms(params: Any) -> dict[str, float]:
    """The penalty three ways on trained weights in float64, as relative differences."""
    pairs = [(W.astype(np.float64), b.astype(np.float64)) for W, b in layout.pairs(params)]
    with jax.enable_x64(True):
        ours = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
        penalty = float(regularizers.l2(3.0, m=TRAIN)(ours))
        frobenius = [float(jnp.linalg.norm(layer.w)) for layer in ours]
    double_sums = [
        math.sqrt(math.fsum(W[i, j] ** 2 for i in range(len(W)) for j in range(len(W[0]))))
        for W, _ in pairs
    ]
    theirs = float(reference.l2_cost(pairs, 3.0, TRAIN))
    return {
        "frobenius_apart": float(np.max(np.abs(np.divide(frobenius, double_sums) - 1))),
        "reference_apart": abs(penalty / theirs - 1),
    }


def _of(measurements: dict[str, Any], name: str, settings: list[Setting]) -> np.ndarray:
    """A measurement of some settings, (settings, seeds)."""
    return measurements[name][[SETTINGS.index(setting) for setting in settings]]


def _best(measurements: dict[str, Any], settings: list[Setting]) -> int:
    """Place of the lowest mean dev error among the settings."""
    return int(np.argmin(_of(measurements, "dev", settings).mean(axis=1)))


def _straightest(measurements: dict[str, Any]) -> int:
    """Place in SWEEP of the largest λ with a dev error within 5 points of softmax regression's."""
    near = _of(measurements, "dev", SWEEP).mean(axis=1) < measurements["logistic_dev"].mean() + 0.05
    return int(np.flatnonzero(near)[-1])


def draw(measurements: dict[str, Any]) -> Figure:
    best = SWEEP[_best(measurements, SWEEP)].lam
    figure, axes = new_figure(
        2,
        2,
        title=f"The dev error is lowest at λ = {best:g}; a huge λ leaves a constant, "
        "not logistic regression",
        height=7.6,
    )
    ax = axes[0, 0]
    for name, label, style in zip(("train", "dev"), ("train", "dev"), series(2)[::-1], strict=True):
        _line(ax, SWEEP, 100 * _of(measurements, name, SWEEP), label=label, **style)
    logistic = 100 * np.median(measurements["logistic_dev"])
    ax.axhline(100 * measurements["constant"].mean(), color="0.4", linewidth=1)
    ax.text(ZERO_AT, 93, "always the commonest class", fontsize=9)
    ax.axhline(logistic, color="0.5", linewidth=1.2, linestyle=":", label="dev, softmax regression")
    ax.set(ylabel="error (%)", title="From overfitted to constant", ylim=(-3, 100))
    ax.legend(loc="center left")

    ax = axes[0, 1]
    for settings, label, style in zip(
        (SWEEP, XAVIER, BIASED),
        ("start 3 × Xavier", "start Xavier", "start 3 × Xavier, b penalised too"),
        series(3),
        strict=True,
    ):
        _line(ax, settings, 100 * _of(measurements, "dev", settings), label=label, **style)
    ax.axhline(logistic, color="0.5", linewidth=1.2, linestyle=":", label="softmax regression")
    ax.set(ylabel="dev error (%)", title="The same, enlarged", ylim=(5, 20), xlim=(0.02, 12))
    ax.legend(loc="upper left")

    ax = axes[1, 0]
    _line(ax, SWEEP, _of(measurements, "squares", SWEEP), **series(1)[0])
    ax.set(yscale="log", ylabel="Σ ‖W‖² (no unit)", title="Squared norm of the weights")

    ax = axes[1, 1]
    ranges = 100 * _of(measurements, "range", SWEEP)
    alive = [i for i, setting in enumerate(SWEEP) if np.median(ranges[i]) > 10]
    nonlinear = 100 * _of(measurements, "nonlinear", SWEEP)
    _line(ax, SWEEP, ranges, label="largest change of\nan output ŷ", **series(2)[0])
    _line(
        ax, [SWEEP[i] for i in alive], nonlinear[alive],
        label="share of the logits' variance\nthat is not linear in x", **series(2)[1],
    )  # fmt: skip
    place = SWEEP[_straightest(measurements)].lam
    ax.axvspan(place / 1.4, SWEEP[alive[-1]].lam * 1.2, color="0.9", zorder=0)
    ax.text(place * 1.9, 160, "nearly\nlinear", ha="center", fontsize=9.5)
    ax.set_yscale("symlog", linthresh=0.1)
    ax.set(ylabel="change, share (%)", title="Linear before constant", ylim=(0, 900))
    ax.set_yticks([0, 0.1, 1, 10, 100], labels=["0", "0.1", "1", "10", "100"])
    ax.legend(loc="lower left", fontsize=9)
    for ax in axes.flat:
        ax.set_xlabel("λ (no unit)")
    count = measurements["dev"].shape[1]
    figure.supxlabel(f"Lines: median of {count} seeds; bands: their middle half.", fontsize=10)
    return figure


ZERO_AT = 0.03  # where a logarithmic axis shows λ = 0


def _line(ax: Axes, settings: list[Setting], values: np.ndarray, **arguments: Any) -> None:
    places = [setting.lam or ZERO_AT for setting in settings]
    spread(ax, places, values.T, marker="o", **arguments)
    ax.set_xscale("log")
    ticks = {ZERO_AT: "0", 0.1: "0.1", 1: "1", 10: "10", 100: "100"}
    ax.set_xticks(list(ticks), labels=list(ticks.values()))
    ax.minorticks_off()


def claims(measurements: dict[str, Any]) -> list[Claim]:
    train, test, squares, nonlinear = (
        _of(measurements, name, SWEEP) for name in ("train", "test", "squares", "nonlinear")
    )
    best, straight = _best(measurements, SWEEP), _straightest(measurements)
    huge = SWEEP[-1].lam
    xavier = _of(measurements, "test", XAVIER)
    xavier_best = 1 + _best(measurements, XAVIER[1:])
    biased = _of(measurements, "test", BIASED)
    unbiased = _of(measurements, "test", [Setting(one.lam) for one in BIASED])
    return [
        statistical(
            "Σ‖W‖² falls at every step of λ from 0 to 300 (largest log₁₀ of a ratio of neighbours, "
            "each seed).",
            np.diff(np.log10(squares), axis=0).max(axis=0),
            below(0),
        ),
        statistical(
            "The train error rises from λ = 0 to the largest by 50 points or more.",
            train[-1] - train[0],
            at_least(0.5),
        ),
        statistical(
            "On the way it never falls from one λ to the next by more than a point (largest fall, "
            "each seed).",
            (-np.diff(train, axis=0)).max(axis=0),
            at_most(0.01),
        ),
        exact(
            "The λ of the lowest mean dev error is neither 0 nor the largest.",
            bool(0 < best < len(SWEEP) - 1),
            TRUE,
        ),
        statistical(
            "λ = 0 has a higher test error than the λ that the dev sets choose, by half a point or "
            "more.",
            test[0] - test[best],
            at_least(0.005),
        ),
        statistical(
            "The largest λ has a higher test error than the λ that the dev sets choose, by half a "
            "point or more.",
            test[-1] - test[best],
            at_least(0.005),
        ),
        statistical(
            "From Xavier's own scale, too, λ = 0 has a higher test error than the best λ, by half "
            "a point or more.",
            xavier[0] - xavier[xavier_best],
            at_least(0.005),
            expected="refuted",
            note="From a small start gradient descent overfits these clean digits so little that "
            "there is nothing left for the penalty to mend.",
        ),
        statistical(
            f"λ = {huge:g} leaves a constant predictor: over the dev set no output changes by more "
            "than 0.001.",
            _of(measurements, "range", SWEEP)[-1],
            at_most(1e-3),
        ),
        statistical(
            "That constant is the training set's shares of the classes (largest difference).",
            _of(measurements, "from_shares", SWEEP)[-1],
            at_most(0.01),
        ),
        statistical(
            "Its test error is that of always naming the training set's commonest class, within "
            "half a point.",
            test[-1] - measurements["constant"][0],
            between(-0.005, 0.005),
        ),
        statistical(
            f"λ = {huge:g} turns the network into logistic regression: its test error is within 5 "
            f"points of softmax regression's.",
            test[-1] - measurements["logistic_test"],
            between(-0.05, 0.05),
            expected="refuted",
            note="With all weights at zero only the output's biases are left, and they see no "
            "input.",
        ),
        statistical(
            f"In between it is nearly linear: at λ = {SWEEP[straight].lam:g}, the largest λ with a "
            f"dev error within 5 points of softmax regression's, an affine function of the pixels "
            f"leaves a quarter or less of the share of the logits' variance that it leaves at "
            f"λ = 0.",
            nonlinear[straight] / nonlinear[0],
            at_most(0.25),
        ),
        statistical(
            "There that share is 3 % or less, and the test error within 6 points of softmax "
            "regression's (the larger of share / 3 % and difference / 6 points).",
            np.maximum(
                nonlinear[straight] / 0.03, (test[straight] - measurements["logistic_test"]) / 0.06
            ),
            at_most(1),
        ),
        statistical(
            "Penalising the biases as well changes little: the test error, averaged over λ from "
            f"{BIASED[0].lam:g} to {BIASED[-1].lam:g}, by less than half a point.",
            (biased - unbiased).mean(axis=0),
            between(-0.005, 0.005),
        ),
        exact(
            "The Frobenius norm of each trained weight matrix is the root of its double sum of "
            "squares (largest relative difference, float64).",
            measurements["frobenius_apart"],
            at_most(1e-14),
        ),
        exact(
            "The penalty λ/(2m) Σ‖W‖² of the trained network is the reference's (relative "
            "difference, float64).",
            measurements["reference_apart"],
            at_most(1e-13),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
