"""The shapes of W, b, Z, A and their derivatives in 100 random networks, and what a wrong one does.

Sizes from 1 to 9, one to six layers, 1 to 20 examples. The shape table of figures 36 and 37 is
held against every array of a real forward and backward pass of reference_numpy, and of jaxnet
traced by jax.eval_shape (which has the table's transposes: it keeps examples as rows). Then W or
b of one layer is given a wrong shape, and the error must name that layer. Answers figures 36 and
37 of the notes.
"""

import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise, product
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from jaxnet import losses, models
from jaxnet.layers import Layer
from reference_numpy import mlp
from reference_numpy.initializers import initialize
from scripts.harness import (
    COLOURS,
    Claim,
    between,
    exact,
    new_figure,
    run_alone,
)

TITLE = "Shapes of every array, layer by layer"
NOTES_SECTION = "Matrix dimensions"
NOTES_FIGURES = (36, 37)

DRAWN = ((5, 4, 3, 2), 7)  # layer sizes and m of the network in the figure
SIDES = ("reference_numpy", "jaxnet")

Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = dict[str, Shape]
Network: TypeAlias = tuple[Shape, int]  # (n[0], …, n[L]) and the number of examples m


def table(layer_sizes: Shape, m: int) -> Shapes:
    """The notes' shape of every array of a network, by its name such as "dW[2]".

    W[l], dW[l]: (n[l], n[l−1]).  b[l], db[l]: (n[l], 1).  Z[l], A[l], dZ[l]: (n[l], m).
    A[0] = X: (n[0], m), where figure 37 prints (n[l], m).
    """
    shapes = {"A[0]": (layer_sizes[0], m)}
    for layer, (n_prev, n) in enumerate(pairwise(layer_sizes), start=1):
        shapes |= {f"{name}[{layer}]": (n, n_prev) for name in ("W", "dW")}
        shapes |= {f"{name}[{layer}]": (n, 1) for name in ("b", "db")}
        shapes |= {f"{name}[{layer}]": (n, m) for name in ("Z", "A", "dZ")}
    return shapes


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    one_example = (DRAWN[0], 1)  # as in figure 36
    networks = [DRAWN, one_example]
    networks += [_random_network(rng) for _ in range(8 if quick else 98)]
    met, wrong = dict.fromkeys(SIDES, 0), dict.fromkeys(SIDES, 0)
    for sizes, m in networks:
        expected = table(sizes, m)
        for side, shapes_of in zip(SIDES, (_reference_shapes, _jaxnet_shapes), strict=True):
            found = shapes_of(sizes, m)
            met[side] += len(found)
            wrong[side] += sum(shape != expected.get(name) for name, shape in found.items())
            # jaxnet leaves the last activation to the loss.
            left_out = {f"A[{len(sizes) - 1}]"} if side == "jaxnet" else set()
            wrong[side] += len(expected.keys() - found.keys() - left_out)
    sizes_of_layers = [(sizes[0], n) for sizes, _ in networks for n in sizes[1:]]
    return {
        "drawn": _reference_shapes(*DRAWN),
        "networks": len(networks),
        "met": met,
        "wrong": wrong,
        "as_printed": np.array([n == n_0 for n_0, n in sizes_of_layers]),
        "named": _planted(rng, networks),
    }


def _random_network(rng: np.random.Generator) -> Network:
    sizes = rng.integers(1, 10, size=rng.integers(2, 8))
    return tuple(int(n) for n in sizes), int(rng.integers(1, 21))


def _initial(sizes: Shape) -> list[tuple[np.ndarray, np.ndarray]]:
    """The reference's initial parameters; only their shapes matter."""
    return initialize(np.random.default_rng(0), sizes, "xavier")


def _reference_shapes(sizes: Shape, m: int) -> Shapes:
    """Shapes of all arrays of the reference's forward and backward pass."""
    params, Y = _initial(sizes), np.ones((sizes[-1], m))
    _, caches = mlp.forward(params, np.ones((sizes[0], m)), hidden="tanh", output="linear")
    grads, dZs = mlp.backward(params, caches, Y), mlp.deltas(params, caches, Y)
    arrays = {"A[0]": caches[0].A_prev}
    for layer, ((W, b), cache, (dW, db), dZ) in enumerate(
        zip(params, caches, grads, dZs, strict=True), start=1
    ):
        of_layer = {"W": W, "b": b, "Z": cache.Z, "A": cache.A, "dW": dW, "db": db, "dZ": dZ}
        arrays |= {f"{name}[{layer}]": array for name, array in of_layer.items()}
    return {name: array.shape for name, array in arrays.items()}


def _jaxnet_shapes(sizes: Shape, m: int) -> Shapes:
    """Shapes of all arrays of jaxnet's passes, transposed to columns; vectors become columns."""

    def cost(params, offsets, x, y):
        forward = models.forward_pass(params, (), x, activation="tanh", offsets=offsets)
        return losses.cost(losses.squared_error(forward.zs[-1], y)), forward

    def passes(params, offsets, x, y):
        return jax.grad(cost, argnums=(0, 1), has_aux=True)(params, offsets, x, y)

    params, _ = jax.eval_shape(models.mlp(sizes).init, jax.random.key(0))
    offsets = tuple(_abstract(m, n) for n in sizes[1:])
    (grads, dzs), forward = jax.eval_shape(
        passes, params, offsets, _abstract(m, sizes[0]), _abstract(m, sizes[-1])
    )
    arrays = {f"A[{layer}]": a for layer, a in enumerate(forward.activations)}
    for layer, (param, z, grad, dz) in enumerate(
        zip(params, forward.zs, grads, dzs, strict=True), start=1
    ):
        of_layer = {"W": param.w, "b": param.b, "Z": z, "dW": grad.w, "db": grad.b, "dZ": dz}
        arrays |= {f"{name}[{layer}]": array for name, array in of_layer.items()}
    return {
        name: array.shape[::-1] if array.ndim == 2 else (*array.shape, 1)
        for name, array in arrays.items()
    }


def _abstract(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


# What is done to the arrays of one layer, in the notes' layout. A transposed square matrix keeps
# its shape, which no check of shapes can find: such layers are passed over.
FAULTS = {
    "W has a column too many": lambda W, b: (np.ones((W.shape[0], W.shape[1] + 1)), b),
    "W has a row too many": lambda W, b: (np.ones((W.shape[0] + 1, W.shape[1])), b),
    "W, not square, is transposed": lambda W, b: (W.T, b),
    "b has an entry too many": lambda W, b: (W, np.zeros((len(b) + 1, 1))),
    "b has the wrong axes": lambda W, b: (W, b[:, 0]),
}


def _planted(rng: np.random.Generator, networks: list[Network]) -> dict[str, dict[str, np.ndarray]]:
    """Whether each fault, in a random layer of every network, was an error that names the layer."""
    named = {fault: {side: [] for side in SIDES} for fault in FAULTS}
    for (sizes, m), (fault, spoil) in product(networks, FAULTS.items()):
        layer = int(rng.integers(1, len(sizes)))
        params = _initial(sizes)
        W, b = params[layer - 1]
        if "transposed" in fault and W.shape[0] == W.shape[1]:
            continue
        params[layer - 1] = spoil(W, b)
        X = np.ones((sizes[0], m))
        rows: Any = X.T
        found = (
            _blamed(r"\w\[(\d+)\]", partial(mlp.forward, params, X)),
            _blamed(r"layer (\d+)", partial(models.forward_pass, _rows(params), (), rows)),
        )
        for side, blamed in zip(SIDES, found, strict=True):
            named[fault][side].append(blamed == layer)
    return {
        fault: {side: np.array(hits) for side, hits in sides.items()}
        for fault, sides in named.items()
    }


def _rows(params: list[tuple[np.ndarray, np.ndarray]]) -> tuple[Layer, ...]:
    """Parameters for jaxnet; a b that is no column becomes one, which is wrong there."""
    layer: Any = Layer  # NumPy's arrays do where nothing is computed
    return tuple(layer(W.T, b[:, 0] if b.ndim == 2 else b[:, None]) for W, b in params)


def _blamed(pattern: str, run: Callable[[], Any]) -> int | None:
    """Number of the layer that the error names first; None without an error or a number."""
    try:
        run()
    except (ValueError, TypeError) as error:
        found = re.search(pattern, str(error))
        return int(found.group(1)) if found else None
    return None


def draw(measurements: dict[str, Any]) -> Figure:
    figure, axes = new_figure(
        2,
        2,
        height=7.6,
        height_ratios=(1.5, 1),
        title=f"W[l] is (n[l], n[l−1]): the table fits every array of "
        f"{measurements['networks']} networks",
    )
    grid = axes[0, 0].get_gridspec()
    for ax in axes[0]:
        ax.remove()
    _draw_products(figure.add_subplot(grid[0, :]))
    _draw_table(axes[1, 0], measurements["drawn"])
    _draw_faults(axes[1, 1], measurements)
    return figure


def _draw_products(ax: Axes) -> None:
    """Z = W A + b of every layer, an entry a square."""
    sizes, m = DRAWN
    top, gap = 0.0, 1.6
    for layer, (n_prev, n) in enumerate(pairwise(sizes), start=1):
        terms = (
            (f"Z[{layer}]", n, m, "="),
            (f"W[{layer}]", n, n_prev, "·"),
            (f"A[{layer - 1}]" + (" = X" if layer == 1 else ""), n_prev, m, "+"),
            (f"b[{layer}]", n, 1, ""),
        )
        height, x = max(n, n_prev), 0.0
        for (name, rows, columns, sign), colour in zip(
            terms, (COLOURS[3], COLOURS[2], COLOURS[4], COLOURS[5]), strict=True
        ):
            y = top - (height + rows) / 2
            _draw_matrix(ax, x, y, rows, columns, colour)
            middle = x + columns / 2
            ax.text(middle, top + 0.25, f"{name}  ({rows}, {columns})", ha="center", va="bottom")
            # As wide in every row as in the widest, so that like stands below like.
            x += {"=": m, "·": max(sizes), "+": m, "": 1}[sign] + gap
            ax.text(x - gap / 2, top - height / 2, sign, ha="center", va="center", size=15)
        top -= height + 1.6
    ax.set(xlim=(-0.5, 2 * m + max(sizes) + 3 * gap + 3), ylim=(top + 1, 1.4), aspect="equal")
    ax.axis("off")


def _draw_matrix(ax: Axes, x: float, y: float, rows: int, columns: int, colour: str) -> None:
    for row, column in product(range(rows), range(columns)):
        ax.add_patch(
            Rectangle((x + column, y + row), 1, 1, facecolor=colour, edgecolor="white", linewidth=1)
        )


def _draw_table(ax: Axes, shapes: Shapes) -> None:
    """The shapes that were found in the drawn network, a row for each array."""
    layers = range(len(DRAWN[0]))
    ax.set_title("Found in the network above")
    for layer in layers:
        ax.text(0.22 + 0.21 * layer, 0, f"l = {layer}", ha="center", va="center", weight="bold")
    for row, name in enumerate(("W", "b", "Z", "A", "dZ", "dW", "db"), start=1):
        ax.text(0, -row, f"{name}[l]", va="center", weight="bold")
        for layer in layers:
            shape = shapes.get(f"{name}[{layer}]")
            text = "" if shape is None else str(shape)
            ax.text(0.22 + 0.21 * layer, -row, text, ha="center", va="center")
    ax.set(xlim=(0, 1), ylim=(-7.6, 0.6))
    ax.axis("off")


def _draw_faults(ax: Axes, measurements: dict[str, Any]) -> None:
    for row, sides in enumerate(measurements["named"].values()):
        for offset, side, colour in zip(
            (0.18, -0.18), SIDES, (COLOURS[0], COLOURS[3]), strict=True
        ):
            share = 100 * sides[side].mean()
            label = side if row == 0 else None
            ax.barh(-row + offset, share, height=0.34, color=colour, label=label)
            text = f"{sides[side].sum()} of {sides[side].size}"
            ax.text(2, -row + offset, text, color="white", va="center", fontsize=9)
    ax.set_yticks([-row for row in range(len(FAULTS))], list(FAULTS))
    ax.set(
        title="Wrong shapes: errors naming the layer",
        xlabel="planted faults (%)",
        xlim=(0, 100),
    )
    ax.grid(axis="y", visible=False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.3, -0.2), ncols=2)


def claims(measurements: dict[str, Any]) -> list[Claim]:
    found = [
        exact(
            f"Every array that {side} meets in a forward and backward pass has the shape of the "
            "table, A[0] = X being (n[0], m) (number of arrays that have not).",
            measurements["wrong"][side],
            between(0, 0),
            note=f"{met} arrays in {measurements['networks']} networks.",
        )
        for side, met in measurements["met"].items()
    ]
    found.append(
        exact(
            "X has the shape (n[l], m) that figure 37 prints (share of all layers l ≥ 1).",
            measurements["as_printed"].mean(),
            between(1, 1),
            expected="refuted",
            note="It fits only the layers that happen to be as wide as the input: X has n[0] rows.",
        )
    )
    for side in SIDES:
        hits = np.concatenate([sides[side] for sides in measurements["named"].values()])
        found.append(
            exact(
                f"In {side} a W or b of a wrong shape is an error that names its layer (share of "
                "planted faults).",
                hits.mean(),
                between(1, 1),
            )
        )
    return found


if __name__ == "__main__":
    run_alone(__file__)
