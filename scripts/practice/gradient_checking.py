"""Gradient checking of a hand-written backward pass: what it passes, what it catches, and where.

The reference's backward pass of a network of five layers, 6-5-5-5-5-3, with L2 in the cost and
dropout off; biases are not zero. Ten bugs are planted in copies of it, each in one layer, and
gradients are compared with two-sided differences array by array: the first wrong one in backward
order says where the bug is. Then the notes' advice one by one: the penalty in, dropout off, once
more after training; and in float32. Six networks, 20 for float32. Answers the
text on gradient checking.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from jaxnet import Dataset, Model, Setup, losses, make_train, mlp, optimizers, regularizers
from jaxnet.crosscheck import layout
from jaxnet.gradcheck import central_differences, check_numpy, relative_distance
from reference_numpy import gradient_check as reference
from reference_numpy import mlp as reference_mlp
from reference_numpy.regularizers import dropout_mask
from scripts.harness import (
    COLOURS,
    INK,
    TRUE,
    Claim,
    above,
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
from scripts.mutants.planting import plant, right_copy
from scripts.practice._random_network import random_params
from scripts.practice._wrong_backward import BUGS, LAYERS, ON_BIASES

TITLE = "Gradient checking: ten bugs caught and located"
NOTES_SECTION = "Numerical approximation of gradients and Gradient checking"
NOTES_FIGURES = ()

SIZES, EXAMPLES, LAMBDA, KEEP = (6, 5, 5, 5, 5, 3), 12, 0.7, 0.8
CORRECT, LOOK_AGAIN, WRONG = 1e-7, 1e-5, 1e-3  # the notes' distances
TRAINING_STEPS = 50
NETWORKS = 6  # of the 20, those that the NumPy code is run on
ARRAYS = [f"d{kind}[{layer}]" for layer in range(LAYERS, 0, -1) for kind in "Wb"]
EPS = {64: 10.0 ** -np.arange(1, 12.01, 0.5), 32: 10.0 ** -np.arange(0.5, 6.01, 0.5)}

Pairs = list[tuple[np.ndarray, np.ndarray]]
Cost = Callable[[np.ndarray], Any]


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    keys = seed_keys(key, quick)
    count = min(NETWORKS, len(keys))
    with jax.enable_x64(True):
        starts, ends, ready, grads, x, y = jax.device_get(_networks(keys))
        networks = [_in_layout(ready, x[seed], y[seed], seed) for seed in range(count)]
        cases = [_cases(*network, seed) for seed, network in enumerate(networks)]
        by_bias = {
            when: np.array(
                [
                    _distance_of_bias_bug(*_in_layout(trees, x[seed], y[seed], seed))
                    for seed in range(count)
                ]
            )
            for when, trees in (("start", starts), ("trained", ends))
        }
        floors = {
            bits: jax.device_get(_by_step(bits, ready, x, y)).T.astype(np.float64) for bits in EPS
        }
        by_jax = layout.pairs(jax.tree.map(lambda leaf: leaf[0], grads))
        checked = _by_the_library(*networks[0], by_jax)
    return {
        "names": list(cases[0]),
        "whole": np.array([[whole for whole, _ in case.values()] for case in cases]),
        "arrays": np.array([[arrays for _, arrays in case.values()] for case in cases]),
        "by_bias": by_bias,
        "floors": floors,
        "checked": checked,
    }


def _model():
    return mlp(SIZES, activation="tanh")


@jax.jit
def _networks(keys: jax.Array) -> tuple[Any, ...]:
    """Of each key: parameters at the start, after training, and at the start with random biases,
    JAX's gradient at the latter; x, y."""

    def network(key):
        init_key, x_key, y_key = jax.random.split(key, 3)
        x = jax.random.normal(x_key, (EXAMPLES, SIZES[0]))
        y = jax.random.randint(y_key, (EXAMPLES,), 0, SIZES[-1])
        ready = random_params(init_key, SIZES, bias=0.3)
        start = tuple(layer._replace(b=jnp.zeros_like(layer.b)) for layer in ready)
        setup = Setup(
            Model(lambda _: (start, ()), _model().apply),
            optimizers.gradient_descent(0.3),
            penalty=regularizers.l2(LAMBDA, m=EXAMPLES),
        )
        train = make_train(lambda _: setup, batch_size=None, epochs=TRAINING_STEPS)
        end = train(init_key, None, Dataset(x, y)).params
        return start, end, ready, jax.grad(_jax_cost(x, y))(ready), x, y

    return lax.map(network, keys)


def _in_layout(
    trees: Any, x: np.ndarray, y: np.ndarray, seed: int
) -> tuple[Pairs, np.ndarray, np.ndarray]:
    """Network number `seed` of many, with its data, in the reference's layout."""
    params = layout.pairs(jax.tree.map(lambda leaf: leaf[seed], trees))
    return params, layout.columns(x), layout.one_hot(y, SIZES[-1])


def _cost(params: Pairs, X: np.ndarray, Y: np.ndarray, *, l2: float = LAMBDA, masks=None) -> Cost:
    """J as a function of the parameters laid end to end; masks: () ↦ masks drawn anew."""

    def cost(theta: np.ndarray):
        drawn = {} if masks is None else {"masks": masks(), "keep_prob": KEEP}
        return reference_mlp.cost(
            reference.unflatten(theta, params),
            X,
            Y,
            hidden="tanh",
            output="softmax",
            l2=l2,
            **drawn,
        )

    return cost


def _gradient(backward: Callable[..., Any], params: Pairs, X: np.ndarray, Y: np.ndarray) -> Pairs:
    _, caches = reference_mlp.forward(params, X, hidden="tanh", output="softmax")
    return backward(params, caches, Y, l2=LAMBDA)


def _differences(cost: Cost, params: Pairs) -> Pairs:
    theta = reference.flatten(params)
    return reference.unflatten(reference.central_differences(cost, theta, eps=1e-6), params)


def _distances(one: Pairs, other: Pairs) -> tuple[float, list[float]]:
    """The notes' distance of all arrays together, and of each in backward order."""
    pairs = [
        (mine, theirs)
        for layer, of_other in zip(one[::-1], other[::-1], strict=True)
        for mine, theirs in zip(layer, of_other, strict=True)
    ]
    whole = reference.relative_distance(reference.flatten(one), reference.flatten(other))
    return whole, [reference.relative_distance(*both) for both in pairs]


def _cases(params: Pairs, X: np.ndarray, Y: np.ndarray, seed: int) -> dict[str, Any]:
    """Distances of the right gradient, of every bug's, and of the mistakes in the check itself."""
    right = _gradient(right_copy(BUGS[0].mutant), params, X, Y)
    numerical = _differences(_cost(params, X, Y), params)
    found = {"correct": _distances(right, numerical)}
    for bug in BUGS:
        found[bug.mutant.bug] = _distances(_gradient(plant(bug.mutant), params, X, Y), numerical)
    without = _differences(_cost(params, X, Y, l2=0.0), params)
    found["check without the penalty in J"] = _distances(right, without)
    masks = _masks(X, np.random.default_rng(seed))
    dropped = _differences(_cost(params, X, Y, masks=masks), params)
    found["check with dropout on"] = _distances(right, dropped)
    return found


def _distance_of_bias_bug(params: Pairs, X: np.ndarray, Y: np.ndarray) -> float:
    numerical = _differences(_cost(params, X, Y), params)
    return _distances(_gradient(plant(ON_BIASES), params, X, Y), numerical)[0]


@jax.jit(static_argnums=0)
def _by_step(bits: int, networks: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """Distance of jax.grad from two-sided differences, (steps, seeds), in one dtype."""
    dtype = {64: jnp.float64, 32: jnp.float32}[bits]
    networks, x = jax.tree.map(lambda leaf: leaf.astype(dtype), (networks, x))

    def at(eps):
        def member(params, x, y):
            cost = _jax_cost(x, y)
            pair = jax.grad(cost)(params), central_differences(cost, params, eps=eps)
            return relative_distance(*(ravel_pytree(each)[0] for each in pair))

        return jax.vmap(member)(networks, x, y)

    return lax.map(at, jnp.asarray(EPS[bits], dtype))


def _jax_cost(x, y):
    def cost(params):
        logits, _ = _model().apply(params, (), x)
        penalty = regularizers.l2(LAMBDA, m=EXAMPLES)(params)
        return losses.cost(losses.softmax_cross_entropy(logits, y), penalty)

    return cost


def _by_the_library(params: Pairs, X: np.ndarray, Y: np.ndarray, by_jax: Pairs) -> dict[str, Any]:
    """What jaxnet's checker makes of the same gradients and of JAX's, and of dropout."""
    theta, cost = reference.flatten(params), _cost(params, X, Y)
    right = _gradient(reference_mlp.backward, params, X, Y)

    def verdict(grads: Pairs) -> str:
        return check_numpy(cost, theta, reference.flatten(grads)).verdict

    try:
        with_dropout = _cost(params, X, Y, masks=_masks(X, np.random.default_rng(0)))
        check_numpy(with_dropout, theta, reference.flatten(right))
        refused = False
    except ValueError:
        refused = True
    return {
        "right": verdict(right),
        "jax": verdict(by_jax),
        "jax_apart": reference.relative_distance(
            reference.flatten(by_jax), reference.flatten(right)
        ),
        "bugs": [verdict(_gradient(plant(bug.mutant), params, X, Y)) for bug in BUGS],
        "dropout_refused": refused,
    }


def _masks(X: np.ndarray, rng: np.random.Generator) -> Callable[[], list[np.ndarray]]:
    """() ↦ a new mask for each hidden layer."""
    return lambda: [dropout_mask(rng, (n, X.shape[1]), KEEP) for n in SIZES[1:-1]]


def _located(measurements: dict[str, Any]) -> np.ndarray:
    """Place in ARRAYS of the first array further off than LOOK_AGAIN, (seeds, cases); −1: none."""
    wrong = measurements["arrays"] > LOOK_AGAIN
    return np.where(wrong.any(axis=2), wrong.argmax(axis=2), -1)


def draw(measurements: dict[str, Any]) -> Figure:
    planted = slice(1, 1 + len(BUGS))
    worst = measurements["whole"][:, 0].max()
    least = measurements["whole"][:, planted].min()
    figure, axes = new_figure(
        2,
        2,
        height=9.2,
        height_ratios=(1.5, 1),
        width_ratios=(1.5, 1),
        title=f"A correct gradient is at {worst:.0e}, the ten bugs at {least:.0e} and more;\n"
        "the first wrong array in backward order (boxed) says where the bug is",
    )
    _draw_arrays(axes[0, 0], measurements)
    _draw_whole(axes[0, 1], measurements)
    ax = axes[1, 0]
    for (bits, floors), style in zip(measurements["floors"].items(), series(2), strict=True):
        spread(ax, EPS[bits], floors, label=f"float{bits}", marker="o", **style)
    _bands(ax.axhline)
    ax.set(
        title="Correct gradients, by step and precision",
        xlabel="step ε",
        ylabel="relative distance",
        xscale="log",
        yscale="log",
    )
    ax.legend(loc="upper left")
    ax = axes[1, 1]
    for x, when in enumerate(("start", "trained")):
        values = measurements["by_bias"][when]
        ax.plot(np.full(len(values), x), values, "o", color=COLOURS[2], alpha=0.5)
    _bands(ax.axhline)
    ax.set_xticks([0, 1], ["start,\nb = 0", f"after {TRAINING_STEPS}\nupdates"])
    ax.set(
        title="A bug of the biases",
        ylabel="relative distance",
        yscale="log",
        xlim=(-0.6, 1.6),
        ylim=(1e-12, 1),
    )
    few, all_of = len(measurements["whole"]), len(measurements["floors"][64])
    figure.supxlabel(
        f"Networks {'-'.join(map(str, SIZES))}, λ = {LAMBDA:g}, {EXAMPLES} examples. Table: "
        f"medians of {few}; curves: median and middle half of {all_of}.\n"
        "Grey lines: the notes' 1e-7 (correct), 1e-5 (look again), 1e-3 (wrong).",
        fontsize=9.5,
    )
    return figure


def _bands(line: Callable[..., Any]) -> None:
    for threshold in (CORRECT, LOOK_AGAIN, WRONG):
        line(threshold, color="0.5", linewidth=1)


def _draw_arrays(ax: Axes, measurements: dict[str, Any]) -> None:
    medians = np.median(measurements["arrays"], axis=0)
    ax.imshow(np.maximum(medians, 1e-11), norm=LogNorm(1e-11, 1), aspect="auto", cmap="cividis")
    for (row, column), value in np.ndenumerate(medians):
        text = f"{round(np.log10(max(value, 1e-16)))}"
        colour = "black" if value > LOOK_AGAIN else "white"
        ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=8.5)
    found = np.median(_located(measurements), axis=0).astype(int)
    for row, column in enumerate(found):
        if column >= 0:
            ax.plot(column, row, "s", color="none", mec=COLOURS[3], mew=2.2, markersize=17)
    ax.set_yticks(range(len(measurements["names"])), measurements["names"], fontsize=9)
    ax.set_xticks(range(len(ARRAYS)), ARRAYS, fontsize=8.5, rotation=45)
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.set_title("log₁₀ of each array's distance")


def _draw_whole(ax: Axes, measurements: dict[str, Any]) -> None:
    whole = measurements["whole"]
    for row, values in enumerate(whole.T):
        colour = INK if row == 0 else COLOURS[1] if row <= len(BUGS) else COLOURS[2]
        ax.plot(values, np.full(len(values), row), "o", color=colour, alpha=0.4, markersize=4)
    _bands(ax.axvline)
    ax.set(
        title="All arrays together",
        xlabel="relative distance",
        xscale="log",
        ylim=(whole.shape[1] - 0.5, -0.5),
    )
    ax.set_yticks(range(whole.shape[1]), [])


def claims(measurements: dict[str, Any]) -> list[Claim]:
    whole, located = measurements["whole"], _located(measurements)
    planted = slice(1, 1 + len(BUGS))
    expected = np.array([ARRAYS.index(bug.first) for bug in BUGS])
    checked, by_bias, floors = (measurements[k] for k in ("checked", "by_bias", "floors"))
    return [
        exact(
            "Correct gradients, with L2 in and dropout off, are below 1e-7 (largest distance, all "
            "networks).",
            whole[:, 0].max(),
            at_most(CORRECT),
        ),
        exact(
            "All ten planted bugs are above 1e-5 (smallest distance, all networks).",
            whole[:, planted].min(),
            above(LOOK_AGAIN),
        ),
        exact(
            "The first array in backward order that is off is the one at fault, for every bug and "
            "network (number that are not).",
            (located[:, planted] != expected).sum(),
            between(0, 0),
        ),
        exact(
            "No array of a correct gradient is pointed at.",
            (located[:, 0] != -1).sum(),
            between(0, 0),
        ),
        exact(
            "JAX's gradient is the reference's (relative distance).",
            checked["jax_apart"],
            at_most(1e-13),
        ),
        exact(
            "jaxnet's checker calls the reference's gradient correct, and JAX's.",
            bool(checked["right"] == "correct" and checked["jax"] == "correct"),
            TRUE,
        ),
        exact(
            "jaxnet's checker finds fault with all ten (bugs called wrong or suspicious).",
            sum(verdict in ("wrong", "suspicious") for verdict in checked["bugs"]),
            between(len(BUGS), len(BUGS)),
        ),
        exact(
            "Leaving the penalty out of J is itself detected (smallest distance).",
            whole[:, -2].min(),
            above(LOOK_AGAIN),
        ),
        exact(
            "Dropout left on is itself detected (smallest distance).",
            whole[:, -1].min(),
            above(LOOK_AGAIN),
        ),
        exact(
            "jaxnet's checker refuses a cost that changes from call to call, as with dropout on.",
            checked["dropout_refused"],
            TRUE,
        ),
        exact(
            "A bug that shows only once b ≠ 0, biases that decay, passes at the start (largest "
            "distance).",
            by_bias["start"].max(),
            at_most(CORRECT),
        ),
        exact(
            f"It is caught after {TRAINING_STEPS} updates, the notes' last advice (smallest "
            "distance).",
            by_bias["trained"].min(),
            above(LOOK_AGAIN),
        ),
        statistical(
            "In float64 the notes' 1e-7 fits: with the best step a correct gradient is at a tenth "
            "of it or below (log₁₀ of the smallest distance over ε).",
            np.log10(floors[64].min(axis=1)),
            at_most(-8),
        ),
        statistical(
            "In float32 it fits as well: a correct gradient gets below 1e-7 with some step (log₁₀ "
            "of the smallest distance over ε).",
            np.log10(floors[32].min(axis=1)),
            at_most(-7),
            expected="refuted",
            note="Rounding leaves about eps^(2/3), 1e-5 to 1e-4 in float32, whatever the step: its "
            "correct gradients are where the notes suspect a bug.",
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
