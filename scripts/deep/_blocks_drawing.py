"""Drawing a network as forward and backward blocks, and how wrong each array of a gradient is."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle

from jaxnet.gradcheck import WRONG
from scripts.harness import COLOURS, INK

FORWARD, BACKWARD = INK, COLOURS[1]


def draw_blocks(ax: Axes, found: dict[str, np.ndarray], activations: Sequence[str]) -> None:
    """Blocks and caches, each arrow with the Frobenius norm of what it carries.

    found: the arrays of a forward and a backward pass by name, "A[0]" … "db[L]".
    """
    layers = len(activations)
    sizes = tuple(found[f"A[{layer}]"].shape[0] for layer in range(layers + 1))
    m = found["A[0]"].shape[1]

    def label(x, y, name, colour, **style):
        ax.text(x, y, f"{name}\n{np.linalg.norm(found[name]):.2f}", color=colour, **style)

    def arrow(start, stop, colour):
        ax.annotate("", stop, start, arrowprops={"arrowstyle": "-|>", "color": colour})

    centred = {"ha": "center", "va": "center", "linespacing": 1.3}
    step, top, bottom = 3.5, 1.2, -1.2
    for layer, g in enumerate(activations, start=1):
        x = step * layer
        n, n_prev = sizes[layer], sizes[layer - 1]
        for y, lines, colour in (
            (top, (f"W[{layer}] ({n}, {n_prev})", f"b[{layer}] ({n}, 1)", g), FORWARD),
            (bottom, (f"W[{layer}]", f"dZ[{layer}] = dA[{layer}] ∗ g′"), BACKWARD),
        ):
            ax.add_patch(
                Rectangle((x - 1.1, y - 0.55), 2.2, 1.1, facecolor="white", edgecolor=colour)
            )
            ax.text(x, y, "\n".join(lines), fontsize=9.5, **centred)
        arrow((x, top - 0.55), (x, bottom + 0.55), FORWARD)
        label(x + 0.12, 0, f"Z[{layer}]", FORWARD, ha="left", va="center", linespacing=1.3)
        ax.text(x - 0.12, 0, "cache", ha="right", va="center")
        arrow((x, bottom - 0.55), (x, bottom - 1.05), BACKWARD)
        for side, name in ((-0.5, f"dW[{layer}]"), (0.5, f"db[{layer}]")):
            label(x + side, bottom - 1.45, name, BACKWARD, **centred)
    for layer in range(layers + 1):
        x = step * (layer + 0.5)
        label(x, top + 0.5, f"A[{layer}]", FORWARD, **centred)
        arrow((x - 0.6, top), (x + 0.6, top), FORWARD)
        if layer:
            label(x, bottom + 0.5, f"dA[{layer}]", BACKWARD, **centred)
            arrow((x + 0.6, bottom), (x - 0.6, bottom), BACKWARD)
    ax.set(xlim=(0.8, step * (layers + 0.5) + 0.9), ylim=(bottom - 1.8, top + 0.9))
    ax.set_title(
        f"Forward blocks, their caches, backward blocks: norms in a network {sizes}, m = {m}"
    )
    ax.axis("off")


def draw_distances(
    ax: Axes, distances: np.ndarray, versions: Sequence[str], arrays: Sequence[str]
) -> None:
    """Median over networks of the relative distances (version, network, array), as a table."""
    medians = np.median(distances, axis=1)
    floor = 1e-11
    ax.imshow(np.maximum(medians, floor), norm=LogNorm(floor, 1), aspect="auto", cmap="cividis")
    for row, column in np.ndindex(medians.shape):
        value = medians[row, column]
        shade = "black" if value > 1e-4 else "white"
        text = f"{value:.0e}" if value < WRONG else f"{value:.2f}"
        ax.text(column, row, text, ha="center", va="center", color=shade)
    ax.set_yticks(range(len(versions)), versions)
    ax.set_xticks(range(len(arrays)), arrays)
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.set_title(
        "Equations of figure 40: relative distance to central differences (above 0.001: wrong)"
    )
    ax.set_xlabel(
        f"array of the gradient, in backward order; median of {distances.shape[1]} networks"
    )
