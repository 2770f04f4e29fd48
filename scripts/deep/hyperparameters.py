"""Cost curves of a digits classifier under one hyperparameter at a time.

Learning rate α, number of iterations, number of hidden layers, width, activation: the notes'
list of what is not learned but chosen, by training with several values and looking at the cost.
Plain mini-batch gradient descent; every seed cuts its own 60/20/20 split, and every setting of a
seed starts from the same key. The best α is chosen by the mean dev cost and judged by the test
cost, which had no part in the choice. Answers the notes' text on parameters and hyperparameters.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import Dataset, Model, Setup, evaluate, make_train, mlp, optimizers
from jaxnet.activations import ACTIVATIONS
from jaxnet.data import datasets, splits
from jaxnet.layers import dense
from scripts.harness import (
    TRUE,
    Claim,
    above,
    exact,
    new_figure,
    run_alone,
    seed_keys,
    series,
    spread,
    statistical,
)

TITLE = "Hyperparameters and the cost they lead to"
NOTES_SECTION = "Parameters and Hyperparameters"
NOTES_FIGURES = ()

PIXELS, CLASSES = 64, 10
BATCH_SIZE = 64
ACTIVATION_NAMES = ("relu", "tanh", "sigmoid")
WIDEST, DEEPEST = 32, 4


class Setting(NamedTuple):
    """One choice of hyperparameters, or arrays of many; activation is a place in the names."""

    alpha: Any = 0.3
    depth: Any = 1
    width: Any = WIDEST
    activation: Any = 0


USUAL = Setting()
ALPHAS = [Setting(alpha=alpha) for alpha in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)]
DEPTHS = [Setting(depth=depth) for depth in (1, 2, DEEPEST)]
WIDTHS = [Setting(width=width) for width in (2, 8, WIDEST)]
ACTIVATED = [Setting(activation=index) for index in range(len(ACTIVATION_NAMES))]
SETTINGS = list(dict.fromkeys([*ALPHAS, *DEPTHS, *WIDTHS, *ACTIVATED]))


def _model(setting: Setting) -> Model:
    """Network of DEEPEST hidden layers of WIDEST units, of which some are in use.

    A layer beyond `depth` is passed by. The weights into and out of the units beyond `width` are
    zero and stay zero: where g(0) = 0, neither has a gradient. So one program serves all.
    """
    sizes = (PIXELS, *(WIDEST,) * DEEPEST, CLASSES)
    init = mlp(sizes, widths=(setting.width,) * DEEPEST).init

    def apply(params, state, x, *, key=None, train=False):
        del key, train
        *hidden, output = params
        choices = [ACTIVATIONS[name] for name in ACTIVATION_NAMES]
        a = jnp.zeros((len(x), WIDEST))
        for index, layer in enumerate(hidden):

            def layer_of(a, layer=layer, index=index):
                z = dense(layer, x if index == 0 else a)
                return lax.switch(setting.activation, choices, z)

            a = lax.cond(index < setting.depth, layer_of, lambda a: a, a)
        return dense(output, a), state

    return Model(init, apply)


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    epochs = 6 if quick else 15
    keys = seed_keys(key, quick)
    whole = datasets.whole("digits")

    def member(setting, key, whole):
        split_key, run_key = jax.random.split(key)
        train, dev, test = (
            Dataset(whole.x[rows], whole.y[rows])
            for rows in splits.split(split_key, len(whole.x), (0.6, 0.2, 0.2))
        )
        setup = Setup(_model(setting), optimizers.gradient_descent(setting.alpha))
        fit = make_train(lambda _: setup, batch_size=BATCH_SIZE, epochs=epochs, drop_last=True)
        run = fit(run_key, None, train, dev)
        test_cost = evaluate(setup.model, run.params, run.state, test).cost
        return run.history["cost"], run.history["dev_cost"], test_cost

    # Mapped rather than vmapped: cond and switch then run one branch, not all of them.
    settings = Setting(*(np.repeat(values, len(keys)) for values in zip(*SETTINGS, strict=True)))
    members = settings, jnp.tile(keys, len(SETTINGS))
    program = jax.jit(
        lambda members, whole: lax.map(lambda one: member(one[0], one[1], whole), members)
    )
    cost, dev_cost, test_cost = (
        np.asarray(values).reshape(len(SETTINGS), len(keys), *values.shape[1:])
        for values in program(members, whole)
    )
    return {
        "steps_per_epoch": cost.shape[-1],
        "cost": cost.mean(axis=-1),
        "dev_cost": dev_cost,
        "test_cost": test_cost,
    }


def _of(measurements: dict[str, Any], name: str, settings: list[Setting]) -> np.ndarray:
    """The measurement of some settings, (settings, seeds, ...)."""
    return measurements[name][[SETTINGS.index(setting) for setting in settings]]


def _best_alpha(measurements: dict[str, Any]) -> int:
    """Place in ALPHAS of the lowest mean dev cost after the last epoch."""
    return int(np.argmin(_of(measurements, "dev_cost", ALPHAS)[..., -1].mean(axis=1)))


def draw(measurements: dict[str, Any]) -> Figure:
    best = ALPHAS[_best_alpha(measurements)].alpha
    figure, axes = new_figure(
        2,
        3,
        height=6.6,
        title=f"The learning rate has an optimum inside its range: α = {best:g}",
    )
    chosen = [ALPHAS[index] for index in (0, 2, 4, 6, 7)]
    _curves(axes[0, 0], measurements, chosen, [f"α = {one.alpha:g}" for one in chosen])
    axes[0, 0].set(title="Learning rate", ylim=(0.006, 3.5))
    _against_alpha(axes[0, 1], measurements)

    ax, iterations = axes[0, 2], _iterations(measurements)
    for name, label, style in zip(
        ("cost", "dev_cost"), ("training", "dev"), series(2), strict=True
    ):
        spread(ax, iterations, _of(measurements, name, [USUAL])[0], label=label, **style)
    ax.set(title=f"Iterations (α = {USUAL.alpha:g})", ylabel="cost J (nats)")
    _cost_axis(ax)

    for ax, settings, labels, title in (
        (axes[1, 0], DEPTHS, [f"{one.depth}" for one in DEPTHS], "Hidden layers"),
        (axes[1, 1], WIDTHS, [f"{one.width}" for one in WIDTHS], "Units in the hidden layer"),
        (axes[1, 2], ACTIVATED, [str(name) for name in ACTIVATION_NAMES], "Activation"),
    ):
        _curves(ax, measurements, settings, labels)
        ax.set_title(title)
    for ax in (axes[0, 0], axes[0, 2], *axes[1]):
        ax.set_xlabel("iterations (updates)")
    seeds = measurements["test_cost"].shape[1]
    figure.supxlabel(
        f"Lines: median of {seeds} seeds; bands: their middle half. Curves: means over epochs.",
        fontsize=10,
    )
    return figure


def _iterations(measurements: dict[str, Any]) -> np.ndarray:
    epochs = measurements["cost"].shape[-1]
    return measurements["steps_per_epoch"] * np.arange(1, epochs + 1)


def _curves(
    ax: Axes, measurements: dict[str, Any], settings: list[Setting], labels: list[str]
) -> None:
    """Training cost against iterations, a line for each setting."""
    costs = _of(measurements, "cost", settings)
    for cost, label, style in zip(costs, labels, series(len(settings)), strict=True):
        spread(ax, _iterations(measurements), cost, label=label, **style)
    ax.set(ylabel="training cost J (nats)")
    _cost_axis(ax)


def _against_alpha(ax: Axes, measurements: dict[str, Any]) -> None:
    alphas = [setting.alpha for setting in ALPHAS]
    test_cost = _of(measurements, "test_cost", ALPHAS)
    dev_cost = _of(measurements, "dev_cost", ALPHAS)[..., -1]
    for cost, label, style in zip(
        (dev_cost, test_cost), ("dev (chooses)", "test (judges)"), series(2), strict=True
    ):
        spread(ax, alphas, cost.T, label=label, marker="o", **style)
    ax.axvline(alphas[_best_alpha(measurements)], color="0.4", linewidth=1)
    ax.set(xscale="log", xlabel="learning rate α (no unit)", ylabel="cost J (nats)")
    ax.set_title("After the last iteration")
    _cost_axis(ax)


def _cost_axis(ax: Axes) -> None:
    """One scale for all panels, in plain numbers, with room for the legend below the curves."""
    ax.set(yscale="log")
    ticks = (0.01, 0.03, 0.1, 0.3, 1, 3)
    ax.set_yticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_ylim(0.03, 3.5)
    ax.legend(loc="lower left", fontsize=9)


def claims(measurements: dict[str, Any]) -> list[Claim]:
    best = _best_alpha(measurements)
    test_cost = _of(measurements, "test_cost", ALPHAS)
    return [
        exact(
            "The α of the lowest mean dev cost is neither the smallest nor the largest tried.",
            bool(0 < best < len(ALPHAS) - 1),
            TRUE,
        ),
        statistical(
            "The smallest α ends at a higher test cost than the α chosen on the dev sets "
            "(difference in nats).",
            test_cost[0] - test_cost[best],
            above(0),
        ),
        statistical(
            "The largest α ends at a higher test cost than the α chosen on the dev sets "
            "(difference in nats).",
            test_cost[-1] - test_cost[best],
            above(0),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
