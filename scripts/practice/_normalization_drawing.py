"""Clouds raw, centred and scaled, and paths of descent on the contours they lead to."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from scripts.harness import COLOURS, INK


def draw_clouds(axes: Any, clouds: dict[str, np.ndarray]) -> None:
    """One panel for each cloud (m, 2), on equal axes."""
    for ax, (name, cloud) in zip(axes, clouds.items(), strict=True):
        ax.plot(*cloud.T, ".", color=COLOURS[2], markersize=3)
        ax.plot(*cloud.mean(axis=0), "+", color=INK, markersize=12, markeredgewidth=2)
        variances = cloud.var(axis=0)
        says = ", ".join(f"{variance:.3g}" for variance in variances)
        ax.set(title=f"{name}\nvariances {says}", xlabel="x₁", ylabel="x₂")
        ax.set_aspect("equal", adjustable="datalim")


def draw_contours(ax: Axes, found: dict[str, np.ndarray], title: str) -> None:
    """Cost over (w₁, w₂) on equal axes, and a path."""
    w, optimum, H = found["path"], found["optimum"], found["hessian"]
    reach = 1.25 * np.abs(w[0] - optimum).max()
    grid = np.linspace(-reach, reach, 241)
    d = np.stack(np.meshgrid(grid, grid), axis=-1)
    excess = 0.5 * np.einsum("ijk,kl,ijl->ij", d, H, d)
    levels = excess.max() * 4.0 ** np.arange(-7, 1)
    ax.contour(
        optimum[0] + grid, optimum[1] + grid, excess, levels=levels, colors="0.6", linewidths=0.8
    )
    ax.plot(*w.T, ".-", color=COLOURS[1], markersize=4, linewidth=1)
    ax.plot(*w[0], "o", color="white", mec=INK, markersize=7)
    ax.plot(*optimum, "*", color=COLOURS[3], mec=INK, markersize=13)
    ax.set(
        title=title,
        xlabel="w₁ (per unit of x₁)",
        ylabel="w₂ (per unit of x₂)",
        aspect="equal",
        xlim=optimum[0] + np.array([-reach, reach]),
        ylim=optimum[1] + np.array([-reach, reach]),
    )
    ax.grid(False)
