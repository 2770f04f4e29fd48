"""Inverted dropout: what one mask does, what all masks do, and what training with them does.

Masks of a 64-32-16-10 network with a keep_prob for each hidden layer, 4,000 of them for each of
20 seeds. Then networks of one hidden layer trained on 64 digits, a
fifth of them with random labels, with keep_prob from ¼ to 1 at
three widths, with dropout of the pixels, and by plain full-batch descent to see J fall or not. All
updates take the whole training set; every seed cuts its own training, dev and test set and starts
all its arms from one key. Answers figures 51 and 52.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from jaxnet import Dataset, Model, Setup, evaluate, make_train, mlp, optimizers
from jaxnet.data import datasets, splits
from jaxnet.layers import dropout, dropout_mask
from jaxnet.regularizers import weights
from scripts.harness import (
    INK,
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
from scripts.practice._dropout_masks import (
    MASKS,
    PER_LAYER,
    draw_means,
    draw_network,
    mask_means,
    one_mask,
)

TITLE = "Dropout on the masks and in training"
NOTES_SECTION = "Dropout Regularization"
NOTES_FIGURES = (51, 52)

TRAIN, DEV = 64, 900
NOISE = 0.2  # share of the training labels that is drawn anew
WIDTHS = (6, 20, 64)
WIDEST = WIDTHS[-1]
KEEPS = (0.25, 0.5, 0.75, 1.0)
INPUT_KEEPS = (0.5, 0.8)
STEPS = 150


class Setting(NamedTuple):
    """One arm, or arrays of many; input_keep is that of the pixels, noise that of the labels."""

    width: Any = WIDEST
    keep: Any = 1.0
    input_keep: Any = 1.0
    noise: Any = NOISE
    alpha: Any = 2.0
    beta: Any = 0.9


SWEEP = [Setting(width=width, keep=keep) for width in WIDTHS for keep in KEEPS]
INPUTS = [Setting(input_keep=keep) for keep in INPUT_KEEPS]
CLEAN = [Setting(input_keep=keep, noise=0.0) for keep in (*INPUT_KEEPS, 1.0)]
PLAIN = [Setting(keep=keep, alpha=0.2, beta=0.0) for keep in (1.0, 0.5)]
SETTINGS = [*SWEEP, *INPUTS, *CLEAN, *PLAIN]

FAMILYWISE = 0.001  # chance of a false alarm over all units together


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    keys = seed_keys(key, quick)
    whole = datasets.whole("digits")
    return {**mask_means(keys, whole), **one_mask(keys[0], whole), **_train(keys, whole)}


def _model(setting: Setting) -> Model:
    """One hidden layer of WIDEST units of which `width` are in use, with dropout of the pixels.

    The weights of the other units are zero and, without gradient, stay zero.
    """
    network = mlp((digits.PIXELS, WIDEST, digits.CLASSES), keep_prob=setting.keep)
    used = jnp.arange(WIDEST) < setting.width

    def init(key):
        (hidden, output), state = network.init(key)
        # He's variance is 2 over the number of units in use.
        narrow = output.w * used[:, None] * jnp.sqrt(WIDEST / setting.width)
        return (hidden._replace(w=hidden.w * used[None]), output._replace(w=narrow)), state

    def apply(params, state, x, *, key=None, train=False):
        if train:
            assert key is not None
            key, input_key = jax.random.split(key)
            mask = dropout_mask(input_key, x.shape, setting.input_keep)
            x = dropout(x, mask, setting.input_keep)
        return network.apply(params, state, x, key=key, train=train)

    return Model(init, apply)


def _train(keys: jax.Array, whole: Dataset) -> dict[str, Any]:
    """Every setting for every key; arrays (settings, seeds, ...)."""

    def build(setting):
        optimizer = optimizers.momentum(setting.alpha, beta=setting.beta)
        return Setup(_model(setting), optimizer)

    fit = make_train(build, batch_size=None, epochs=STEPS)

    def member(arm):
        setting, key = arm
        split_key, label_key, run_key = jax.random.split(key, 3)
        train, dev, test = splits.cut(split_key, whole, (TRAIN, DEV))
        wrong_key, class_key = jax.random.split(label_key)
        wrong = jax.random.bernoulli(wrong_key, setting.noise, (TRAIN,))
        drawn = jax.random.randint(class_key, (TRAIN,), 0, digits.CLASSES)
        train = Dataset(train.x, jnp.where(wrong, drawn, train.y))
        run = fit(run_key, setting, train)

        def error(part):
            return evaluate(_model(setting), run.params, run.state, part).error

        norm_squared = sum(jnp.sum(jnp.square(w)) for w in weights(run.params))
        return {
            "cost": run.history["cost"][:, 0],
            "dev_error": error(dev),
            "test_error": error(test),
            "train_error": error(train),
            "norm_squared": norm_squared,
        }

    arms = Setting(*(np.repeat(values, len(keys)) for values in zip(*SETTINGS, strict=True)))
    program = jax.jit(lambda arms: lax.map(member, arms, batch_size=5))
    found = jax.device_get(program((arms, jnp.tile(keys, len(SETTINGS)))))
    shape = len(SETTINGS), len(keys)
    return {name: value.reshape(*shape, *value.shape[1:]) for name, value in found.items()}


def _of(measurements: dict[str, Any], name: str, settings: list[Setting]) -> np.ndarray:
    """The measurement of some settings, (settings, seeds, ...)."""
    return measurements[name][[SETTINGS.index(setting) for setting in settings]]


def _of_width(width: int) -> list[Setting]:
    return [setting for setting in SWEEP if setting.width == width]


def _best(measurements: dict[str, Any], width: int = WIDEST) -> int:
    """Place in KEEPS of the lowest mean dev error at that width."""
    return int(_of(measurements, "dev_error", _of_width(width)).mean(axis=1).argmin())


def draw(measurements: dict[str, Any]) -> Figure:
    figure, axes = new_figure(2, 3, height=7.0)
    best = [KEEPS[_best(measurements, width)] for width in WIDTHS]
    figure.suptitle(
        "Dropout keeps the mean of an activation; "
        f"best keep_prob {best[0]:g} with {WIDTHS[0]} units, {best[-1]:g} with {WIDTHS[-1]}"
    )
    draw_network(axes[0, 0], measurements)
    draw_means(axes[0, 1], measurements)
    ax = axes[0, 2]
    steps = np.arange(STEPS)
    for setting, cost, style in zip(
        PLAIN, _of(measurements, "cost", PLAIN), series(2), strict=True
    ):
        ax.plot(steps, cost[0], label=f"keep_prob {setting.keep:g}", **style)
    ax.set(
        title="J of plain full-batch descent",
        xlabel="update",
        ylabel="training cost J (nats), one seed",
        yscale="log",
    )
    ax.legend()
    _draw_sweep(axes[1, 0], measurements)
    _draw_inputs(axes[1, 1], measurements)
    ax = axes[1, 2]
    for width, style in zip(WIDTHS, series(len(WIDTHS)), strict=True):
        norms = _of(measurements, "norm_squared", _of_width(width))
        spread(ax, KEEPS, norms.T, label=f"{width} units", marker="o", **style)
    ax.set(
        title="Squared norm of W",
        xlabel="keep_prob",
        ylabel="Σ‖W‖² after training (no unit)",
        yscale="log",
    )
    ax.legend(fontsize=9)
    seeds = measurements["dev_error"].shape[1]
    error = float(_of(measurements, "dev_error", _of_width(WIDEST))[-1].mean())
    alone = 100 * np.sqrt(error * (1 - error) / DEV)
    figure.supxlabel(
        f"{TRAIN} training digits ({100 * NOISE:g} % with random labels), {DEV} dev digits, "
        f"{seeds} seeds. Bars: ± one standard\n"
        f"error over seeds (of one dev set alone it is {alone:.1f} %). "
        "Weights: median and middle half of the seeds.",
        fontsize=9,
    )
    return figure


def _draw_sweep(ax: Axes, measurements: dict[str, Any]) -> None:
    for width, style in zip(WIDTHS, series(len(WIDTHS)), strict=True):
        error = 100 * _of(measurements, "dev_error", _of_width(width))
        mean, se = error.mean(axis=1), error.std(axis=1, ddof=1) / np.sqrt(error.shape[1])
        ax.errorbar(KEEPS, mean, se, marker="o", capsize=3, label=f"{width} units", **style)
        best = _best(measurements, width)
        ax.plot(KEEPS[best], mean[best], "o", color="none", mec=INK, markersize=11)
    ax.set(
        title="Dev error (ring: lowest)", xlabel="keep_prob", ylabel="dev error (%)", yscale="log"
    )
    ax.set_ylim(15, 95)
    ticks = (15, 20, 30, 40, 50, 80)
    ax.set_yticks(ticks, labels=[f"{tick}" for tick in ticks])
    ax.minorticks_off()
    ax.legend(fontsize=9, loc="lower left")


def _draw_inputs(ax: Axes, measurements: dict[str, Any]) -> None:
    """Paired differences of the dev error from the network without dropout."""
    hidden = _of_width(WIDEST)[:-1]
    styles = series(3)
    for arms, without, label, style, marker in (
        (hidden, Setting(), "hidden units", styles[0], "o"),
        (INPUTS, Setting(), "pixels", styles[1], "s"),
        (CLEAN[:-1], CLEAN[-1], "pixels, no label noise", styles[2], "^"),
    ):
        excess = _of(measurements, "dev_error", arms) - _of(measurements, "dev_error", [without])
        se = excess.std(axis=1, ddof=1) / np.sqrt(excess.shape[1])
        keeps = [arm.keep if arms is hidden else arm.input_keep for arm in arms]
        mean = 100 * excess.mean(axis=1)
        ax.errorbar(keeps, mean, 100 * se, marker=marker, capsize=3, label=label, **style)
    ax.axhline(0, color=INK, linewidth=1)
    ax.set(
        title=f"Against no dropout, {WIDEST} units",
        xlabel="keep_prob of what is dropped",
        ylabel="dev error, difference (points)",
        ylim=(-5.5, 8.5),
    )
    ax.legend(fontsize=9, loc="upper left")


def claims(measurements: dict[str, Any]) -> list[Claim]:
    sigmas, unscaled = [], []
    for layer, keep in enumerate(PER_LAYER):
        undropped, mean = measurements["undropped"][layer], measurements["mean"][layer]
        on = undropped > 0
        error = undropped[on] * np.sqrt((1 - keep) / keep / MASKS)
        sigmas.append(np.abs(mean[on] - undropped[on]) / error)
        unscaled.append(measurements["unscaled"][layer].sum(axis=1) / undropped.sum(axis=1))
    units = sum(map(len, sigmas))
    bound = float(norm.isf(FAMILYWISE / units / 2))

    sweep = _of_width(WIDEST)
    best = sweep[_best(measurements)]
    keep_all = Setting()
    dev = {arm: _of(measurements, "dev_error", [arm])[0] for arm in (*sweep, *INPUTS, *CLEAN)}
    test = {arm: _of(measurements, "test_error", [arm])[0] for arm in (keep_all, best)}
    norms = _of(measurements, "norm_squared", [Setting(keep=0.5), keep_all])
    rises = np.diff(_of(measurements, "cost", PLAIN), axis=2) > 0
    by_width = np.stack(
        [_of(measurements, "dev_error", _of_width(width)).T for width in (WIDTHS[0], WIDEST)], 1
    )

    def best_keep_falls(errors: np.ndarray) -> float:
        narrow, wide = np.asarray(KEEPS)[errors.mean(axis=0).argmin(axis=1)]
        return narrow - wide

    return [
        exact(
            "The mean over masks of the rescaled activation equals the undropped one (largest "
            f"deviation over {units:,} units in standard errors; {FAMILYWISE:g} familywise).",
            max(each.max() for each in sigmas),
            at_most(bound),
        ),
        statistical(
            f"Without rescaling the mean is keep_prob times that (ratio, keep_prob "
            f"{PER_LAYER[0]:g}).",
            unscaled[0],
            between(PER_LAYER[0] - 0.01, PER_LAYER[0] + 0.01),
        ),
        statistical(
            f"Without rescaling the mean is keep_prob times that (ratio, keep_prob "
            f"{PER_LAYER[1]:g}).",
            unscaled[1],
            between(PER_LAYER[1] - 0.01, PER_LAYER[1] + 0.01),
        ),
        statistical(
            "Behind the next ReLU the mean is kept no longer but raised: dropout on layer 1 lifts "
            "the mean activation of layer 2 (share).",
            measurements["behind"],
            above(0),
        ),
        exact(
            "Evaluation is deterministic and unscaled: with keep_prob and a key it gives the "
            "logits of the network without dropout (logits that differ).",
            measurements["evaluated"].sum(),
            between(0, 0),
        ),
        exact(
            "With the same masks, cost and gradients are the reference's (largest relative "
            "difference, float64).",
            measurements["reference_apart"],
            at_most(1e-12),
        ),
        statistical(
            f"At the best keep_prob of the dev sets the dev error is lower than without dropout "
            f"({WIDEST} units).",
            dev[keep_all] - dev[best],
            above(0),
            note="The keep_prob was chosen by these dev errors; the next claim was not.",
        ),
        statistical(
            "At that keep_prob the test error, looked at once, is lower than without dropout too.",
            test[keep_all] - test[best],
            above(0),
        ),
        exact(
            "At keep_prob 1 J falls at every update of full-batch descent (updates in which it "
            "rises, all seeds).",
            rises[0].sum(),
            between(0, 0),
        ),
        statistical(
            "At keep_prob 0.5 it does not: J rises in at least a tenth of the updates (share).",
            rises[1].mean(axis=1),
            at_least(0.1),
        ),
        statistical(
            f"Wider layers want a lower keep_prob: the best one at {WIDTHS[0]} units less that at "
            f"{WIDEST}.",
            by_width,
            above(0),
            method="bootstrap",
            statistic=best_keep_falls,
        ),
        statistical(
            "Dropout of pixels raises the dev error (keep_prob 0.5, clean labels).",
            dev[CLEAN[0]] - dev[CLEAN[-1]],
            above(0),
        ),
        statistical(
            "Dropping a fifth of the pixels hurts less than dropping half, as the notes allow 0.8 "
            "for images (dev error, clean labels).",
            dev[CLEAN[0]] - dev[CLEAN[1]],
            above(0),
        ),
        statistical(
            "Dropout of pixels raises the dev error (keep_prob 0.8, a fifth of the labels random).",
            dev[INPUTS[1]] - dev[keep_all],
            above(0),
            expected="refuted",
            note="Where the network overfits as badly as here, noise on the pixels regularises it "
            "about as well as dropout of hidden units.",
        ),
        statistical(
            f"Dropout shrinks the weights: Σ‖W‖² is smaller at keep_prob 0.5 than at 1 ({WIDEST} "
            "units, difference).",
            norms[1] - norms[0],
            above(0),
            expected="refuted",
            note="A unit that is often missing must be made up for by larger weights of the "
            "others; only narrow layers, which no longer fit the data, end with smaller weights.",
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
