"""The figure of the saddle points."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.harness import COLOURS, INK, MARKERS, new_figure, series
from scripts.optimization._gaussian_fields import FLAT
from scripts.optimization._network_points import WIDTHS


def draw_all(measurements: dict[str, Any], *, low_slope: float, negative: float) -> Figure:
    index = measurements["index"]
    totals = {d: counts.sum(axis=0) for d, counts in index.items()}
    saddles = {d: 1 - (t[0] + t[-1]) / t.sum() for d, t in totals.items()}
    figure, axes = new_figure(
        2,
        3,
        height=7.0,
        title=f"Saddles are {100 * saddles[2]:.0f} % of the critical points in 2 dimensions, "
        f"{100 * saddles[5]:.0f} % in 5",
    )
    _draw_plane(axes[0, 0], measurements)
    _draw_shares(axes[0, 1], measurements, totals)
    _draw_heights(axes[0, 2], measurements["large"])
    points = measurements["points"]
    low = points["slopes"][..., 1] <= low_slope
    _draw_saddle(axes[1, 0], points, low)
    bound = -negative * points["curvatures"][..., -1:]
    share = (points["curvatures"] < bound).mean(axis=2)
    axes[1, 1].scatter(
        points["cost"][low], 100 * share[low], s=14, color=COLOURS[2], label=f"‖∇J‖ ≤ {low_slope}"
    )
    if not low.all():
        axes[1, 1].scatter(
            points["cost"][~low], 100 * share[~low], s=14, color="0.6", marker="x", label="above"
        )
    axes[1, 1].set(
        title="Low-gradient points, network",
        xlabel="cost J (nats)",
        ylabel="negative curvatures (% of 172)",
    )
    axes[1, 1].legend(loc="lower right", fontsize=9)
    _draw_widths(axes[1, 2], measurements["by_width"])
    return figure


def _draw_plane(ax: Axes, measurements: dict[str, Any]) -> None:
    shown, plane = measurements["shown"], measurements["plane"]
    ax.contourf(shown["grid"], shown["grid"], shown["heights"], levels=14, alpha=0.75)
    kinds = (("minima", "v", "white"), ("saddles", "x", INK), ("maxima", "^", COLOURS[3]))
    for kind, (label, marker, color) in enumerate(kinds):
        x = plane.x[plane.index == kind]
        edge: dict[str, Any] = {} if marker == "x" else {"edgecolor": INK}
        ax.scatter(x[:, 0], x[:, 1], marker=marker, color=color, s=34, label=label, **edge)
    ax.set(title="One field: critical points", xlabel="x₁", ylabel="x₂", aspect="equal")
    ax.grid(False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, fontsize=9, handletextpad=0)


def _draw_shares(ax: Axes, measurements: dict[str, Any], totals: dict[int, np.ndarray]) -> None:
    dimensions = list(totals)
    line, dots = series(2)
    law = [100 * measurements["laws"][d].shares[0] for d in dimensions]
    ax.plot(dimensions, law, label="random matrices", **line)
    measured = [50 * (t[0] + t[-1]) / t.sum() for t in totals.values()]
    ax.plot(dimensions, measured, "o", color=dots["color"], label="fields")
    ax.set(
        title="Minima among critical points",
        xlabel="dimensions",
        ylabel="share of minima (%)",
        yscale="log",
    )
    ax.set_xticks(dimensions)
    ax.set_yticks([2, 5, 10, 20, 50], labels=["2", "5", "10", "20", "50"])
    ax.minorticks_off()
    ax.legend(loc="lower left")


def _draw_heights(ax: Axes, large: Any) -> None:
    flat = large.slope < FLAT
    dimensions = large.x.shape[-1]
    ax.scatter(large.height[flat], large.index[flat], s=10, color=COLOURS[2], alpha=0.5)
    ax.set(
        title=f"In {dimensions} dimensions",
        xlabel="height f (standard deviations)",
        ylabel="negative curvatures",
        ylim=(-0.5, dimensions + 0.5),
    )


def _draw_saddle(ax: Axes, points: dict[str, Any], low: np.ndarray) -> None:
    """Cost along the steepest curvatures of both signs at the dearest low-gradient point."""
    seed, start = np.unravel_index(np.where(low, points["cost"], -1).argmax(), low.shape)
    curve = points["curve"][seed, start]
    along = np.linspace(-1, 1, curve.shape[1])
    for side, (label, style) in enumerate(
        zip(("steepest negative", "steepest positive"), series(2), strict=True)
    ):
        ax.plot(along, curve[side], label=f"{label} curvature", **style)
    ax.plot(0, points["cost"][seed, start], "o", color=INK)
    ax.set(
        title="A saddle of the network's cost",
        xlabel="way along the eigenvector",
        ylabel="cost J (nats)",
    )
    ax.margins(y=0.3)
    ax.legend(loc="upper center", fontsize=9)


def _draw_widths(ax: Axes, by_width: np.ndarray) -> None:
    for place, (costs, marker) in enumerate(zip(by_width, MARKERS, strict=False)):
        spots = place + np.linspace(-0.2, 0.2, len(costs))
        ax.plot(spots, np.maximum(costs, 1e-4), marker, color=COLOURS[2], markersize=4, alpha=0.7)
    ax.set_xticks(range(len(WIDTHS)), labels=[str(width) for width in WIDTHS])
    ax.set(
        title="Where training ends",
        xlabel="hidden units",
        ylabel="training cost (nats)",
        yscale="log",
    )
