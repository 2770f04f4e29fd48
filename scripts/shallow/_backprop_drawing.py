"""Drawing a network's computation graph, the six equations, and how far they disagree."""

import re
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from jaxnet.gradcheck import CORRECT, WRONG
from scripts.harness import COLOURS, INK

FORWARD, BACKWARD = INK, COLOURS[1]
BOX = {"boxstyle": "square,pad=0.35", "facecolor": "white", "edgecolor": INK}

Arrays: TypeAlias = dict[str, np.ndarray]


def _math(text: str) -> str:
    """Layer numbers as superscripts: "W[1]ᵀ" the way the notes print it."""
    text = re.sub(r"\[(\d)\]", r"^{[\1]}", text).replace("^{[2]}ᵀ", r"^{[2]\mathsf{T}}")
    text = text.replace("^{[1]}ᵀ", r"^{[1]\mathsf{T}}").replace("ᵀ", r"^\mathsf{T}")
    return f"${text}$"


def _size(name: str, array: np.ndarray) -> str:
    return f"‖{_math(name)}‖ = {np.linalg.norm(array):.2f}"


def draw_graph(ax: Axes, forward: Arrays, one: Arrays) -> None:
    """The graph of one example: sizes of the values above the boxes, of the derivatives below."""
    y, a2 = forward["y"], forward["a2"]
    loss = -(y * np.log(a2) + (1 - y) * np.log(1 - a2))
    da1, da2 = forward["W2"].T @ one["dZ2"], (1 - y) / (1 - a2) - y / a2
    boxes = (
        (2.35, "z[1] = W[1]x + b[1]", "z[1]", forward["z1"], "dz[1]", one["dZ1"]),
        (4.4, "a[1] = g(z[1])", "a[1]", forward["a1"], "da[1]", da1),
        (6.45, "z[2] = W[2]a[1] + b[2]", "z[2]", forward["z2"], "dz[2]", one["dZ2"]),
        (8.5, r"a[2] = \sigma(z[2])", "a[2]", a2, "da[2]", da2),
        (10.0, "L(a[2], y)", "L", loss, "", None),
    )
    frames = [
        ax.text(x, 0, _math(text), ha="center", va="center", bbox=BOX, fontsize=12).get_bbox_patch()
        for x, text, *_ in boxes
    ]
    for x, _, name, value, d_name, derivative in boxes:
        label = f"L = {value.item():.2f}" if name == "L" else _size(name, value)
        ax.text(x, 0.42, label, ha="center", va="center", color=FORWARD)
        if derivative is not None:
            label = _size(d_name, derivative)
            ax.text(x, -0.42, label, ha="center", va="center", color=BACKWARD)
    for i in range(len(boxes) - 1):
        _both_ways(ax, (boxes[i][0], 0), (boxes[i + 1][0], 0), frames[i], frames[i + 1])
    for x, layer, inputs in ((2.35, "1", ["x"]), (6.45, "2", [])):
        weights = [f"W[{layer}]", f"b[{layer}]"]
        sizes = [_size(f"d{name}[{layer}]", one[f"d{name}{layer}"]) for name in "Wb"]
        ax.text(
            x, -1.3, ", ".join(map(_math, inputs + weights)), ha="center", va="center", fontsize=12
        )
        ax.text(x, -1.68, ",  ".join(sizes), ha="center", va="center", color=BACKWARD)
        _both_ways(ax, (x, -1.1), (x, -0.66))
    ax.plot([], [], color=FORWARD, label="forward: value")
    ax.plot([], [], color=BACKWARD, label="backward: derivative of L by it")
    ax.legend(loc="upper right", bbox_to_anchor=(1, 0.5))
    ax.set(xlim=(1.0, 10.8), ylim=(-1.95, 0.7))
    n_x, n_1 = forward["x"].shape[0], forward["z1"].shape[0]
    ax.set_title(f"One example through a network of {n_x} inputs, {n_1} hidden units, 1 output")
    ax.axis("off")


def _both_ways(
    ax: Axes,
    start: tuple[float, float],
    stop: tuple[float, float],
    start_box: Patch | None = None,
    stop_box: Patch | None = None,
) -> None:
    """A dark arrow forward and, beside it, a coloured one back; they end at the boxes, if any."""
    upright = start[0] == stop[0]
    ways = (
        (FORWARD, start, stop, start_box, stop_box),
        (BACKWARD, stop, start, stop_box, start_box),
    )
    for side, (colour, tail, tip, tail_box, tip_box) in zip((1, -1), ways, strict=True):
        across, up = (-0.06 * side, 0.0) if upright else (0.0, 0.07 * side)
        arrow = {"arrowstyle": "-|>", "color": colour, "patchA": tail_box, "patchB": tip_box}
        # Above the boxes, which must be laid out before an arrow can end at their edges.
        ax.annotate(
            "",
            (tip[0] + across, tip[1] + up),
            (tail[0] + across, tail[1] + up),
            arrowprops=arrow | {"shrinkA": 2, "shrinkB": 2},
            zorder=5,
        )


def draw_equations(ax: Axes, one: Arrays, many: Arrays, m: int) -> None:
    """The two columns of the equations, each with the shape of what it gave."""
    rows = (
        ("dZ2", "dz[2] = a[2] - y", "dZ[2] = A[2] - Y"),
        ("dW2", "dW[2] = dz[2] a[1]ᵀ", r"dW[2] = \frac{1}{m} dZ[2] A[1]ᵀ"),
        ("db2", "db[2] = dz[2]", r"db[2] = \frac{1}{m} \mathrm{sum}(dZ[2])"),
        ("dZ1", "dz[1] = W[2]ᵀ dz[2] * g[1]′(z[1])", "dZ[1] = W[2]ᵀ dZ[2] * g[1]′(Z[1])"),
        ("dW1", "dW[1] = dz[1] xᵀ", r"dW[1] = \frac{1}{m} dZ[1] Xᵀ"),
        ("db1", "db[1] = dz[1]", r"db[1] = \frac{1}{m} \mathrm{sum}(dZ[1])"),
    )
    heads = ((0.0, "one example"), (0.36, "shape"), (0.5, f"m = {m} examples"), (0.9, "shape"))
    for x, head in heads:
        ax.text(x, 0.4, head, weight="bold", va="center")
    for row, (name, left, right) in enumerate(rows, start=1):
        left, right = left.replace("′", r"\,'"), right.replace("′", r"\,'")
        for x, text in (
            (0.0, _math(left)),
            (0.36, str(one[name].shape)),
            (0.5, _math(right)),
            (0.9, str(many[name].shape)),
        ):
            ax.text(x, -row + 0.4, text, va="center", fontsize=12 if x in (0.0, 0.5) else None)
    ax.set(xlim=(0, 1), ylim=(-6.1, 0.9))
    ax.axis("off")


def draw_errors(axes: Any, errors: dict[str, np.ndarray]) -> None:
    """Every case a point; the line is where a disagreement would begin."""
    left, right = axes
    cases = len(errors["printed"])
    shown = {
        "mean of single\ngradients": "mean",
        "one example": "one",
        "reference": "reference",
        "six equations": "vectorised",
    }
    for row, name in enumerate(shown.values()):
        values = np.maximum(errors[name], 1e-3)  # 0 has no place on a logarithmic axis
        left.plot(values, np.full(len(values), row), "o", color=COLOURS[2], alpha=0.6)
    left.axvline(1, color=INK, linewidth=1)
    left.set_yticks(range(len(shown)), shown)
    left.set(
        title=f"{cases} random networks against jax.grad",
        xlabel="largest disagreement (units of the rounding bound)",
        xscale="log",
        xlim=(5e-4, 10),
        ylim=(-0.6, len(shown) - 0.4),
    )
    shown = {"eq. 3.35\nas printed": "printed", "jax.grad": "differences"}
    for row, name in enumerate(shown.values()):
        right.plot(errors[name], np.full(len(errors[name]), row), "o", color=COLOURS[1], alpha=0.6)
    for threshold, label, side in ((CORRECT, "correct", -1), (WRONG, "wrong", 1)):
        right.axvline(threshold, color=INK, linewidth=1)
        right.annotate(
            label,
            (threshold, 0.5),
            xytext=(4 * side, 0),
            textcoords="offset points",
            ha="right" if side < 0 else "left",
            va="center",
        )
    right.set_yticks(range(len(shown)), shown)
    right.set(
        title=f"{cases} random networks against differences",
        xlabel="relative distance (no unit)",
        xscale="log",
        xlim=(1e-13, 10),
        ylim=(-0.6, len(shown) - 0.4),
    )
