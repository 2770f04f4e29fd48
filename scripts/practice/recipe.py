"""The basic recipe on digits: bias and variance have remedies of their own.

Networks of one hidden layer of 2 to 32 units, all in one program and all with the same number of
updates, on 100 to 800 digits; the dev error is counted on 500 others. Wider and longer against
bias; more data against variance; then the trade-off, λ on a network of 4 units, and the way out of
it, a network of 32 with a λ of its own. The λ are those of the lowest mean dev error, and the two
networks that they give are judged by the test error on the rest. Answers the notes' text on the
basic recipe.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import Dataset, Model, Setup, evaluate, make_train, mlp, optimizers, regularizers
from jaxnet.data import datasets, splits
from scripts.harness import (
    Claim,
    above,
    at_least,
    new_figure,
    run_alone,
    seed_keys,
    series,
    spread,
    statistical,
)
from scripts.practice._digits import CLASSES, PIXELS

TITLE = "The recipe: what lowers bias, what lowers variance"
NOTES_SECTION = "Basic Recipe for Machine Learning"
NOTES_FIGURES = ()

MOST, DEV = 800, 500
WIDEST = 32
BATCH_SIZE = 50
EPOCHS, EARLY = 30, 5
UPDATES = MOST // BATCH_SIZE  # in an epoch
LEARNING_RATE = 0.007


class Setting(NamedTuple):
    """Units of the hidden layer, number of training examples, λ; or arrays of many."""

    width: Any = WIDEST
    m: Any = 200
    lam: Any = 0.0


SMALL, LARGE = 4, WIDEST
WIDTHS = [Setting(width=width) for width in (2, SMALL, 8, WIDEST)]
EXAMPLES_BY_SIZE = [Setting(m=m) for m in (100, 200, 400, MOST)]
SMALL_MORE = Setting(SMALL, MOST)
LAMBDAS = (0.0, 0.3, 1.0, 3.0, 10.0)
TRADE = {width: [Setting(width, 200, lam) for lam in LAMBDAS] for width in (SMALL, LARGE)}
SETTINGS = list(
    dict.fromkeys([*WIDTHS, *EXAMPLES_BY_SIZE, SMALL_MORE, *TRADE[SMALL], *TRADE[LARGE]])
)


def _model(width: Any) -> Model:
    """64-n-10 network of n = width units, traced: the other units start at zero and stay there."""
    widest = mlp((PIXELS, WIDEST, CLASSES), activation="tanh", initializer="xavier")
    used = jnp.arange(WIDEST) < width

    def init(key):
        (hidden, output), state = widest.init(key)
        hidden = hidden._replace(w=hidden.w * used[None, :])
        w = output.w * used[:, None] * jnp.sqrt(WIDEST / width)  # variance 1/n
        return (hidden, output._replace(w=w)), state

    return Model(init, widest.apply)


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    keys = seed_keys(key, quick)

    def build(setting):
        penalty = regularizers.l2(setting.lam, m=setting.m)
        return Setup(_model(setting.width), optimizers.adam(LEARNING_RATE), penalty=penalty)

    def member(setting, key, digits):
        split_key, run_key = jax.random.split(key)
        train, dev, test = splits.cut(split_key, digits, (MOST, DEV))
        # m examples, over and over: every setting makes the same number of updates.
        rows = jnp.arange(MOST) % setting.m
        data = Dataset(train.x[rows], train.y[rows])
        model = _model(setting.width)

        def train_error(carry):
            return evaluate(model, carry.params, carry.state, data).error

        fit = make_train(build, batch_size=BATCH_SIZE, epochs=EPOCHS, observe=train_error)
        run = fit(run_key, setting, data)
        return {
            "train": run.history["observed"],
            "dev": evaluate(model, run.params, run.state, dev).error,
            "test": evaluate(model, run.params, run.state, test).error,
        }

    @jax.jit
    def run(members, digits):
        return lax.map(lambda one: member(one[0], one[1], digits), members)

    settings = Setting(*(np.repeat(v, len(keys)) for v in zip(*SETTINGS, strict=True)))
    errors = jax.device_get(
        run((settings, jnp.tile(keys, len(SETTINGS))), datasets.whole("digits"))
    )
    shape = len(SETTINGS), len(keys)
    return {name: values.reshape(*shape, *values.shape[1:]) for name, values in errors.items()}


def _of(measurements: dict[str, Any], name: str, settings: list[Setting]) -> np.ndarray:
    """Errors in per cent, (settings, seeds); of the train errors the last."""
    values = 100 * measurements[name][[SETTINGS.index(setting) for setting in settings]]
    return values[..., -1] if name == "train" else values


def _gap(measurements: dict[str, Any], settings: list[Setting]) -> np.ndarray:
    return _of(measurements, "dev", settings) - _of(measurements, "train", settings)


def _best(measurements: dict[str, Any], width: int) -> Setting:
    """The λ of the lowest mean dev error, for a width."""
    dev = _of(measurements, "dev", TRADE[width]).mean(axis=1)
    return TRADE[width][int(np.argmin(dev))]


def draw(measurements: dict[str, Any]) -> Figure:
    figure, axes = new_figure(
        2,
        2,
        title="Size and time lower the bias, data the variance; "
        "a large regularised network has less of both",
        height=7.4,
    )
    ax = axes[0, 0]
    updates = (np.arange(EPOCHS) + 1) * UPDATES
    for setting, style in zip(WIDTHS, series(len(WIDTHS)), strict=True):
        train = 100 * measurements["train"][SETTINGS.index(setting)]
        spread(ax, updates, train, label=f"{setting.width} units", **style)
    ax.set(xlabel="updates", ylabel="train error (%)", title="Wider and longer: less bias")
    ax.legend()

    _both(axes[0, 1], measurements, WIDTHS, [setting.width for setting in WIDTHS])
    axes[0, 1].set(xlabel="hidden units", title="Width, on 200 examples")
    _both(axes[1, 0], measurements, EXAMPLES_BY_SIZE, [one.m for one in EXAMPLES_BY_SIZE])
    axes[1, 0].set(xlabel="training examples", title=f"More data: less variance ({WIDEST} units)")
    _trade(axes[1, 1], measurements)
    count = measurements["dev"].shape[1]
    figure.supxlabel(f"Lines: median of {count} seeds; bands: their middle half.", fontsize=10)
    return figure


def _both(ax: Axes, measurements: dict[str, Any], settings: list[Setting], x: list[Any]) -> None:
    for name, style in zip(("dev", "train"), series(2), strict=True):
        errors = _of(measurements, name, settings)
        spread(ax, x, errors.T, label=name, marker="o", **style)
    ax.set(xscale="log", ylabel="error (%)")
    ax.set_xticks(x, labels=[str(value) for value in x])
    ax.minorticks_off()
    ax.legend()


def _trade(ax: Axes, measurements: dict[str, Any]) -> None:
    """Bias against variance, a curve over λ for each of the two networks."""
    for (width, settings), style in zip(TRADE.items(), series(2), strict=True):
        train = _of(measurements, "train", settings)
        gap = _gap(measurements, settings)
        ax.errorbar(
            train.mean(axis=1), gap.mean(axis=1),
            xerr=2 * train.std(axis=1, ddof=1) / np.sqrt(train.shape[1]),
            yerr=2 * gap.std(axis=1, ddof=1) / np.sqrt(train.shape[1]),
            marker="o", capsize=2, elinewidth=1, label=f"{width} units", **style,
        )  # fmt: skip
        labels = {0: "λ = 0", 1: "λ = 1", 3: "λ = 3", 10: "λ = 10"}
        if width == LARGE:
            labels = {3: "λ = 0 to 3", 10: "λ = 10"}
        for setting, x, y in zip(settings, train.mean(axis=1), gap.mean(axis=1), strict=True):
            ax.annotate(
                labels.get(setting.lam, ""), (x, y), xytext=(6, 6), textcoords="offset points",
                fontsize=9, color=style["color"],
            )  # fmt: skip
    ax.set(
        xlabel="bias: train error (%)",
        ylabel="variance: dev − train error (points)",
        title="Trade-off (mean ± 2 standard errors)",
        xlim=(-1, 26),
        ylim=(0, 19),
    )
    ax.legend(loc="lower right")


def claims(measurements: dict[str, Any]) -> list[Claim]:
    train = _of(measurements, "train", WIDTHS)
    by_epoch = 100 * measurements["train"]
    gap = _gap(measurements, EXAMPLES_BY_SIZE)
    few, many = Setting(SMALL), SMALL_MORE
    small, large = _best(measurements, SMALL), _best(measurements, LARGE)
    penalised = TRADE[SMALL][-1]

    def less(values, better: Setting, worse: Setting) -> np.ndarray:
        return (values(measurements, [worse]) - values(measurements, [better]))[0]

    def train_error(measurements, settings):
        return _of(measurements, "train", settings)

    return [
        *(
            statistical(
                f"Wider: {WIDTHS[i + 1].width} hidden units have a lower train error than "
                f"{WIDTHS[i].width} (points).",
                train[i] - train[i + 1],
                above(0),
            )
            for i in range(2)
        ),
        *(
            statistical(
                f"Longer: with {WIDTHS[i].width} units the train error is lower after "
                f"{EPOCHS * UPDATES} updates than after {EARLY * UPDATES} (points).",
                by_epoch[SETTINGS.index(WIDTHS[i]), :, EARLY - 1]
                - by_epoch[SETTINGS.index(WIDTHS[i]), :, -1],
                above(0),
            )
            for i in range(3)
        ),
        *(
            statistical(
                f"More data: {EXAMPLES_BY_SIZE[i + 1].m} examples leave a smaller gap between dev "
                f"and train error than {EXAMPLES_BY_SIZE[i].m} ({WIDEST} units, points).",
                gap[i] - gap[i + 1],
                above(0),
            )
            for i in range(3)
        ),
        statistical(
            f"The remedies differ: more data does not lower the train error of {SMALL} units "
            f"({MOST} examples instead of {few.m}, points).",
            less(train_error, few, many),
            above(0),
        ),
        statistical(
            f"The trade-off, variance: λ = {penalised.lam:g} narrows the gap of {SMALL} units "
            f"(points).",
            less(_gap, penalised, few),
            above(0),
        ),
        statistical(
            f"The trade-off, bias: λ = {penalised.lam:g} raises the train error of {SMALL} units "
            f"(points).",
            less(train_error, few, penalised),
            above(0),
        ),
        statistical(
            f"Its end, bias: {LARGE} units have a lower train error than {SMALL}, each with its "
            f"best λ on dev (points).",
            less(train_error, large, small),
            above(0),
        ),
        statistical(
            f"Its end, variance: these {LARGE} units have a smaller gap as well (points).",
            less(_gap, large, small),
            above(0),
        ),
        statistical(
            f"These {LARGE} units have the lower test error, by 5 points or more.",
            less(lambda m, settings: _of(m, "test", settings), large, small),
            at_least(5),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
