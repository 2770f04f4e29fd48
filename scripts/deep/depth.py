"""Networks of 0, 1, 2 and 5 hidden layers of eight ReLU units on three interleaved spirals.

Each seed draws its own training points, test points and initial weights; the four depths share
them. The trained networks are then run in float64 three ways: the equations of forward
propagation layer by layer, the composed model, and the NumPy reference. Answers figures 31 to 35
of the notes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from jaxnet import Setup, evaluate, make_train, mlp, optimizers, predict
from jaxnet.crosscheck import layout
from jaxnet.data import datasets
from reference_numpy import mlp as reference
from scripts.harness import (
    COLOURS,
    INK,
    Claim,
    above,
    at_most,
    exact,
    new_figure,
    run_alone,
    seed_keys,
    statistical,
)

TITLE = "What hidden layers add, and forward propagation through them"
NOTES_SECTION = "Deep L-layer neural network"
NOTES_FIGURES = (31, 32, 33, 34, 35)

DEPTHS = (0, 1, 2, 5)
UNITS = 8
CLASSES = 3
LEARNING_RATE = 0.02
TRAIN_EXAMPLES, TEST_EXAMPLES = 300, 600
GRID = 90

# A sum of 8 products and a bias is off by at most 9 units of ½ eps, relative to the sum of the
# absolute terms; 6 such layers by 54; of two results compared, both. ReLU adds nothing.
LAYERS_EPS = 6 * (UNITS + 1)


def _model(depth: int):
    return mlp((2, *(UNITS,) * depth, CLASSES))


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    epochs = 200 if quick else 400
    corner = 1.15
    ticks = jnp.linspace(-corner, corner, GRID)
    grid = jnp.stack(jnp.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)

    def one_seed(key):
        train_key, test_key, run_key = jax.random.split(key, 3)
        train = datasets.spirals(train_key, TRAIN_EXAMPLES)
        test = datasets.spirals(test_key, TEST_EXAMPLES)
        runs = {}
        for depth in DEPTHS:
            setup = Setup(_model(depth), optimizers.adam(LEARNING_RATE))
            fit = make_train(lambda _, setup=setup: setup, batch_size=None, epochs=epochs)
            run = fit(run_key, None, train)
            error = evaluate(setup.model, run.params, run.state, test).error
            regions = predict(setup.model, run.params, run.state, grid)
            runs[depth] = {
                "accuracy": 1 - error,
                "params": run.params,
                "regions": regions.reshape(GRID, GRID).astype(jnp.int8),
            }
        return runs, train

    # Mapped rather than vmapped: as fast here, and half as long to compile.
    keys = seed_keys(key, quick)
    runs, train = jax.device_get(jax.jit(lambda keys: jax.lax.map(one_seed, keys))(keys))
    first = {depth: jax.tree.map(lambda a: a[0], run["params"]) for depth, run in runs.items()}
    x = train.x[0, :7]
    return {
        "accuracy": np.stack([runs[depth]["accuracy"] for depth in DEPTHS], axis=1),
        "regions": [runs[depth]["regions"][0] for depth in DEPTHS],
        "weights": [[layer.w for layer in first[depth]] for depth in DEPTHS],
        "train": (train.x[0], train.y[0]),
        "corner": corner,
        "apart": [_forward_apart(depth, first[depth], x) for depth in DEPTHS],
    }


def _forward_apart(depth: int, params: Any, x: np.ndarray) -> tuple[float, float]:
    """How far the composed model is from the equations, and the reference from the model.

    In units of eps, relative to the outputs that the absolute values of all terms would give.
    """
    with jax.enable_x64(True):
        params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), params)
        x = np.asarray(x, np.float64)
        composed = np.asarray(_model(depth).apply(params, (), jnp.asarray(x))[0])
        pairs, X = layout.pairs(params), layout.columns(x)

    A, terms = X, np.abs(X)
    for number, (W, b) in enumerate(pairs, start=1):
        Z = W @ A + b
        terms = np.abs(W) @ terms + np.abs(b)
        A = np.maximum(Z, 0) if number <= depth else Z
    referred, _ = reference.forward(pairs, X, hidden="relu", output="linear")

    unit = np.finfo(np.float64).eps * terms.T
    return (
        float(np.max(np.abs(composed - A.T) / unit)),
        float(np.max(np.abs(composed - referred.T) / unit)),
    )


def draw(measurements: dict[str, Any]) -> Figure:
    accuracy = 100 * measurements["accuracy"]
    figure, axes = new_figure(
        3,
        len(DEPTHS),
        title="Two hidden layers of eight units separate the spirals; none cannot",
        height=7.2,
        height_ratios=(1, 1.5, 1.35),
    )
    x, y = measurements["train"]
    colours = [COLOURS[index] for index in (0, 3, 5)]
    corner = measurements["corner"]
    for column, depth in enumerate(DEPTHS):
        _network(axes[0, column], measurements["weights"][column])
        name = "1 hidden layer" if depth == 1 else f"{depth or 'no'} hidden layers"
        axes[0, column].set_title(f"{name}\n({depth + 1}-layer network)")
        plane = axes[1, column]
        plane.imshow(
            measurements["regions"][column],
            origin="lower",
            extent=(-corner, corner, -corner, corner),
            cmap=ListedColormap(colours),
            vmin=0,
            vmax=CLASSES - 1,
            alpha=0.35,
            interpolation="nearest",
        )
        for label, colour in enumerate(colours):
            plane.plot(*x[y == label].T, ".", color=colour, markersize=3)
        plane.grid(visible=False)
        plane.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1], xlabel="x₁ (no unit)")
    axes[1, 0].set_ylabel("x₂ (no unit)")
    axes[0, 0].text(0.5, -0.95, "weights: dark > 0,\norange < 0", ha="center", fontsize=9)

    grid = axes[2, 0].get_gridspec()
    for ax in axes[2]:
        ax.remove()
    below = figure.add_subplot(grid[2, :])
    places = np.arange(len(DEPTHS))
    below.plot(places, accuracy.T, color=COLOURS[2], linewidth=0.7, alpha=0.45)
    medians = np.median(accuracy, axis=0)
    below.plot(places, medians, "o-", color=COLOURS[0])
    for place, median in zip(places, medians, strict=True):
        below.annotate(
            f"{median:.1f} %", (place, median), xytext=(0, -19), textcoords="offset points",
            ha="center", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85},
        )  # fmt: skip
    below.axhline(100 / CLASSES, color="0.4", linewidth=1)
    below.annotate(
        "chance", (2.5, 100 / CLASSES), xytext=(0, 4), textcoords="offset points", ha="center"
    )
    below.set_xticks(places, labels=[str(depth) for depth in DEPTHS])
    below.set(
        xlim=(-0.5, len(DEPTHS) - 0.5),
        ylim=(15, 105),
        xlabel="hidden layers",
        ylabel="test accuracy (%)",
        title=f"{len(accuracy)} seeds (thin), each with points of its own, and their median",
    )
    return figure


def _network(ax: Axes, weights: list[np.ndarray]) -> None:
    """Units and weights as they are: a line is the darker the larger |w|, orange for w < 0."""
    sizes = [len(weights[0]), *(w.shape[1] for w in weights)]
    places = [
        np.stack([np.full(n, column), np.linspace(-1, 1, n) * (n - 1) / (UNITS - 1)], axis=1)
        for column, n in enumerate(sizes)
    ]
    for left, right, w in zip(places[:-1], places[1:], weights, strict=True):
        lines = [(start, end) for start in left for end in right]
        strength = np.abs(w).ravel() / np.abs(w).max()
        colours = [COLOURS[3] if value < 0 else COLOURS[0] for value in w.ravel()]
        ax.add_collection(LineCollection(lines, colors=colours, alpha=strength, linewidths=0.8))
    for units in places:
        ax.plot(*units.T, "o", color="white", markeredgecolor=INK, markersize=4)
    ax.axis("off")
    ax.set(xlim=(-0.3, len(sizes) - 0.7), ylim=(-1.15, 1.15))


def claims(measurements: dict[str, Any]) -> list[Claim]:
    none, one, two, _ = measurements["accuracy"].T
    by_hand, referred = np.max(measurements["apart"], axis=0)
    return [
        exact(
            "The equations of forward propagation, layer by layer, give what the composed model "
            "gives, at every depth (float64; in eps of the sum of absolute terms).",
            by_hand,
            at_most(LAYERS_EPS),
        ),
        exact(
            "The NumPy reference gives what the composed model gives, at every depth (likewise).",
            referred,
            at_most(LAYERS_EPS),
        ),
        statistical("One hidden layer beats none (test accuracy).", one - none, above(0)),
        statistical("Two hidden layers beat one (test accuracy).", two - one, above(0)),
        statistical(
            "From none to two hidden layers the test accuracy rises by more than 50 points.",
            two - none,
            above(0.5),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
