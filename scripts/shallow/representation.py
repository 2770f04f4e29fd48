"""Logistic regression beside one hidden layer of 1, 2, 4, 20 and 50 tanh units on the flower.

Each seed draws its own training points, test points and initial weights. The five widths are one
program: a network of 50 hidden units of which all but the first n are cut off from the output.
Then the dimensions of the 3-4-1 network, from real parameters of both packages, and its forward
pass as five logistic regressions, one a unit. Answers figures 16 to 22 of the notes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from jaxnet import (
    Dataset,
    Model,
    Setup,
    evaluate,
    logistic_regression,
    losses,
    make_train,
    mlp,
    models,
    optimizers,
    predict,
)
from jaxnet.activations import sigmoid
from jaxnet.crosscheck import bounds, compare, layout
from jaxnet.data import datasets
from reference_numpy import initializers as reference_initializers
from reference_numpy import logistic_regression as reference_unit
from reference_numpy import mlp as reference_mlp
from scripts.harness import (
    COLOURS,
    INK,
    TRUE,
    Claim,
    at_least,
    at_most,
    between,
    exact,
    new_figure,
    run_alone,
    seed_keys,
    statistical,
)

TITLE = "What a hidden layer adds to logistic regression"
NOTES_SECTION = "Neural Network Representation"
NOTES_FIGURES = (16, 17, 18, 19, 20, 21, 22)

WIDTHS = (1, 2, 4, 20, 50)
WIDEST = max(WIDTHS)
TRAIN_EXAMPLES, TEST_EXAMPLES = 320, 1200
BATCH_SIZE = 32
LEARNING_RATE = 0.05
CORNER = 1.2
GRID = 80

# All sizes differ, so that no count can be mistaken for another.
SIZES = (3, 4, 1)
OTHER_SIZES = (5, 4, 3)
SHAPES = ((4, 3), (4, 1), (1, 4), (1, 1))


def _masked_network(width: jax.Array) -> Model:
    """2-n-1 network of tanh units, n = width ≤ 50 traced: the other units reach no output.

    A unit cut off has no gradient either. W[2] starts with variance 1/n, as it would at width n.
    """
    widest = mlp((2, WIDEST, 1), activation="tanh", initializer="xavier")
    keep = jnp.arange(WIDEST)[:, None] < width

    def init(key):
        (hidden, output), state = widest.init(key)
        return (hidden, output._replace(w=output.w * jnp.sqrt(WIDEST / width))), state

    def apply(params, state, x, *, key=None, train=False):
        hidden, output = params
        output = output._replace(w=jnp.where(keep, output.w, 0))
        return widest.apply((hidden, output), state, x, key=key, train=train)

    return Model(init, apply)


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    study_key, small_key = jax.random.split(key)
    keys = seed_keys(study_key, quick)
    study = jax.device_get(_study(keys, epochs=50 if quick else 100))
    first = jax.tree.map(lambda leaf: leaf[0], study)
    hidden, output = first["params"]
    rng = np.random.default_rng(int(jax.random.bits(small_key)))
    return {
        "accuracy": study["accuracy"],
        "regions": first["regions"],
        "train": first["train"],
        "masked_apart": _masked_apart(hidden, output, first["train"].x[:7]),
    } | _small_network(rng, small_key)


def _study(keys: jax.Array, *, epochs: int) -> dict[str, Any]:
    """Test accuracy (seeds, 6), logistic regression first; regions, and what the figure shows."""
    ticks = jnp.linspace(-CORNER, CORNER, GRID)
    grid = jnp.stack(jnp.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)

    def one_model(model, key, train, test):
        setup = Setup(model, optimizers.adam(LEARNING_RATE), losses.binary_cross_entropy)
        run = make_train(lambda _: setup, batch_size=BATCH_SIZE, epochs=epochs)(key, None, train)
        error = evaluate(model, run.params, run.state, test, loss=setup.loss).error
        regions = predict(model, run.params, run.state, grid)
        return 1 - error, regions.reshape(GRID, GRID).astype(jnp.int8), run.params

    def one_seed(key):
        data_key, run_key = jax.random.split(key)
        x, y = datasets.flower(data_key, TRAIN_EXAMPLES + TEST_EXAMPLES)
        train = Dataset(x[:TRAIN_EXAMPLES], y[:TRAIN_EXAMPLES])
        test = Dataset(x[TRAIN_EXAMPLES:], y[TRAIN_EXAMPLES:])
        line, line_regions, _ = one_model(logistic_regression(2), run_key, train, test)
        nets, net_regions, params = jax.vmap(
            lambda width: one_model(_masked_network(width), run_key, train, test)
        )(jnp.array(WIDTHS))
        return {
            "accuracy": jnp.append(line, nets),
            "regions": jnp.concatenate([line_regions[None], net_regions]),
            "params": jax.tree.map(lambda leaf: leaf[WIDTHS.index(4)], params),
            "train": train,
        }

    # Mapped rather than vmapped over seeds: as fast here, and half as long to compile.
    return jax.jit(lambda keys: jax.lax.map(one_seed, keys))(keys)


def _masked_apart(hidden: Any, output: Any, x: np.ndarray) -> float:
    """Largest error over bound, in float64, of the masked network of width 4 after training
    against the reference's 2-4-1 network of its first four units."""
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), (hidden, output))
        x64 = jnp.asarray(x, jnp.float64)
        logits = jax.jit(lambda p: _masked_network(jnp.asarray(4)).apply(p, (), x64)[0])(wide)
        four = layout.pairs(
            [
                wide[0]._replace(w=wide[0].w[:, :4], b=wide[0].b[:4]),
                wide[1]._replace(w=wide[1].w[:4]),
            ]
        )
    X = layout.columns(x64)
    Z, _ = reference_mlp.forward(four, X, hidden="tanh", output="linear")
    Zs, _ = bounds.forward(four, X, "tanh")
    bound = bounds.tolerance(Zs[-1].error, np.float64, np.float64)
    return compare(layout.target_row(logits), Z, bound=bound).leaves[0].ratio


def _small_network(rng: np.random.Generator, key: jax.Array) -> dict[str, Any]:
    """The 3-4-1 network: shapes on both sides, and its forward pass taken unit by unit."""
    (W1, _), (W2, _) = reference_initializers.initialize(rng, SIZES, "xavier")
    params = [(W1, rng.normal(size=(4, 1))), (W2, rng.normal(size=(1, 1)))]
    X = rng.normal(size=(3, 7))
    A, caches = reference_mlp.forward(params, X, hidden="sigmoid", output="sigmoid")
    hidden = np.concatenate([_unit(W1[[i]], params[0][1][i, 0], X) for i in range(4)])
    by_unit = {"A1": hidden, "A2": _unit(W2, params[1][1][0, 0], hidden)}
    together = {"A1": caches[0].A, "A2": A}
    with jax.enable_x64(True):
        A1, A2 = jax.jit(_forward)(layout.layers(params), layout.rows(X))
        in_jax = {"A1": layout.columns(A1), "A2": layout.columns(A2)}
    Zs, inputs = bounds.forward(params, X, "sigmoid")
    last = bounds.activation("sigmoid", Zs[1])
    bound = {
        name: bounds.tolerance(a.error, np.float64, np.float64)
        for name, a in (("A1", inputs[1]), ("A2", last))
    }
    ours, _ = jax.jit(mlp(SIZES).init)(key)
    other = reference_initializers.initialize(rng, OTHER_SIZES, "xavier")
    return {
        "weights": [np.asarray(W) for W, _ in params],
        "reference_shapes": _shapes(params),
        "jaxnet_shapes": _shapes(layout.pairs(ours)),
        "other_w2_shape": other[1][0].shape,
        "by_unit_apart": compare(together, by_unit, bound=bound).leaves[0].ratio,
        "jax_apart": compare(in_jax, together, bound=bound).leaves[0].ratio,
        "printed_z2_works": _computes(lambda: W2 @ X + params[1][1]),
    }


def _forward(params: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    forward = models.forward_pass(params, (), x, activation="sigmoid")
    return forward.activations[1], sigmoid(forward.zs[1])


def _unit(w: np.ndarray, b: float, X: np.ndarray) -> np.ndarray:
    """One unit is one logistic regression: A = σ(wᵀX + b), shape (1, m)."""
    return reference_unit.forward(w.T, b, X)


def _shapes(params: Any) -> tuple[tuple[int, ...], ...]:
    return tuple(array.shape for pair in params for array in pair)


def _computes(expression: Any) -> bool:
    try:
        expression()
    except ValueError:
        return False
    return True


def draw(measurements: dict[str, Any]) -> Figure:
    accuracy = 100 * measurements["accuracy"]
    figure, axes = new_figure(
        3,
        3,
        title="One line cannot separate the petals; four hidden units can, and more add nothing",
        height=9.2,
        height_ratios=(1, 1, 0.95),
    )
    names = ["logistic regression", *(f"{n} hidden unit{'s' * (n > 1)}" for n in WIDTHS)]
    for index, ax in enumerate(axes[:2].flat):
        _plane(ax, measurements["train"], measurements["regions"][index])
        ax.set_title(f"{names[index]}: {accuracy[0, index]:.0f} %")
        if index % 3 == 0:
            ax.set_ylabel("x₂ (no unit)")
        if index >= 3:
            ax.set_xlabel("x₁ (no unit)")

    _network(axes[2, 0], measurements["weights"], measurements["reference_shapes"])
    grid = axes[2, 0].get_gridspec()
    for ax in axes[2, 1:]:
        ax.remove()
    below = figure.add_subplot(grid[2, 1:])
    places = np.arange(len(names))
    below.plot(places, accuracy.T, color=COLOURS[2], linewidth=0.8, alpha=0.35)
    below.plot(places, np.median(accuracy, axis=0), "o-", color=COLOURS[0], label="median")
    below.axhline(50, color="0.4", linewidth=1)
    below.annotate("guessing", (len(names) - 1, 50), xytext=(0, 4), textcoords="offset points",
                   ha="right")  # fmt: skip
    below.set_xticks(places, labels=["logistic\nregression", *map(str, WIDTHS)])
    below.set(
        xlabel="hidden units",
        ylabel="test accuracy (%)",
        title=f"{len(accuracy)} seeds and their median",
    )
    below.grid(axis="x", visible=False)
    return figure


def _plane(ax: Axes, train: Any, regions: np.ndarray) -> None:
    colours = [COLOURS[0], COLOURS[3]]
    ax.imshow(
        regions,
        origin="lower",
        extent=(-CORNER, CORNER, -CORNER, CORNER),
        cmap=ListedColormap(colours),
        vmin=0,
        vmax=1,
        alpha=0.3,
        interpolation="nearest",
    )
    for label, marker in ((0, "o"), (1, "^")):
        x1, x2 = train.x[train.y == label].T
        ax.plot(x1, x2, marker, color=colours[label], markersize=2.6)
    ax.grid(visible=False)
    ax.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1])


def _network(ax: Axes, weights: list[np.ndarray], shapes: Any) -> None:
    """The 3-4-1 network: a line for each weight, as wide as it is large, blue where negative."""
    columns = [
        np.stack([np.full(n, float(x)), (n - 1) / 2 - np.arange(n)], axis=1)
        for x, n in zip((0, 1.5, 3), SIZES, strict=True)
    ]
    for W, before, after in zip(weights, columns, columns[1:], strict=False):
        for (row, column), weight in np.ndenumerate(W):
            ends = np.stack([before[column], after[row]])
            colour = COLOURS[3] if weight > 0 else COLOURS[2]
            ax.plot(*ends.T, color=colour, linewidth=0.6 + 3 * abs(weight) / np.abs(W).max())
    for points in columns:
        ax.plot(*points.T, "o", color="white", markeredgecolor=INK, markersize=15)
    for name, points in (("x", columns[0]), ("a", columns[1])):
        for number, (x, y) in enumerate(points, start=1):
            ax.text(x, y, f"{name}{'₀₁₂₃₄'[number]}", ha="center", va="center", fontsize=9)
    x, y = columns[2][0]
    ax.text(x, y, "ŷ", ha="center", va="center", fontsize=9)
    for x, names in ((0.75, ("W[1]", "b[1]")), (2.25, ("W[2]", "b[2]"))):
        pair = shapes[:2] if x < 1 else shapes[2:]
        text = "\n".join(f"{name} {shape}" for name, shape in zip(names, pair, strict=True))
        ax.text(x, -2.65, text, ha="center", va="bottom", fontsize=9.5)
    ax.text(1.5, -3.15, "line: a weight (orange +, blue −)", ha="center", va="bottom", fontsize=9)
    ax.set(xlim=(-0.3, 3.3), ylim=(-3.2, 1.9), title="A 3-4-1 network's parameters")
    ax.axis("off")


def claims(measurements: dict[str, Any]) -> list[Claim]:
    accuracy = dict(zip((0, *WIDTHS), measurements["accuracy"].T, strict=True))
    shapes = (measurements["reference_shapes"], measurements["jaxnet_shapes"])
    w2 = [shape[2] for shape in shapes]
    outputs = SIZES[2], SIZES[2], OTHER_SIZES[2]
    columns = [shape[1] for shape in (*w2, measurements["other_w2_shape"])]
    return [
        exact(
            "W[1], b[1], W[2], b[2] of the 3-4-1 network have shapes (4, 3), (4, 1), (1, 4), "
            "(1, 1), in the reference and, examples as columns, in jaxnet.",
            all(shape == SHAPES for shape in shapes),
            TRUE,
        ),
        exact(
            "In the shape (1, 4) of W[2] the 4 is the number of output units, as the text says "
            "(3-4-1 and 5-4-3 networks).",
            columns == list(outputs),
            TRUE,
            expected="refuted",
            note="It is the number of hidden units: W[2] has a row for each output unit and a "
            "column for each hidden one.",
        ),
        exact(
            "z[2] = W[2] x + b[2], as the text prints it, can be computed in the 3-4-1 network.",
            measurements["printed_z2_works"],
            TRUE,
            expected="refuted",
            note="W[2] (1, 4) does not fit x (3, m); z[2] = W[2] a[1] + b[2] is meant, as in "
            "figure 16.",
        ),
        exact(
            "The matrix form of the 3-4-1 network gives what its five units give one by one, each "
            "a logistic regression (largest difference over its rounding bound, float64).",
            measurements["by_unit_apart"],
            at_most(1),
        ),
        exact(
            "jaxnet's forward pass of the 3-4-1 network is the reference's (largest difference "
            "over its rounding bound, float64).",
            measurements["jax_apart"],
            at_most(1),
        ),
        exact(
            "Four of fifty units, the rest cut off, are the reference's 2-4-1 network (largest "
            "difference over its rounding bound, float64, after training).",
            measurements["masked_apart"],
            at_most(1),
        ),
        statistical(
            "Four hidden units exceed logistic regression by 20 points of test accuracy or more.",
            accuracy[4] - accuracy[0],
            at_least(0.20),
        ),
        statistical(
            "Four hidden units exceed two by 5 points or more.",
            accuracy[4] - accuracy[2],
            at_least(0.05),
        ),
        statistical(
            "Fifty hidden units are as good as four, within 2 points.",
            accuracy[50] - accuracy[4],
            between(-0.02, 0.02),
        ),
        statistical(
            "One hidden unit, a line again, stays 20 points or more below four.",
            accuracy[4] - accuracy[1],
            at_least(0.20),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
