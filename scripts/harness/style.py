"""The look of the figures: one palette, one size, one way to show the spread over seeds."""

from contextlib import AbstractContextManager
from typing import Any, Literal

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1a1a1a"

# Ordered from dark to light, so that greyscale tells the lines apart; the hues stay
# apart under the three colour-vision deficiencies (tests/test_harness.py simulates both).
COLOURS = ("#0e1a3c", "#94287a", "#2f74c0", "#dd6b1f", "#43b59a", "#f2c14e")
LINESTYLES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (10, 3)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P")

# A figure is 9 inches wide: 1350 pixels in the file, and 10 points are 14 pixels at 900 wide.
WIDTH = 9.0
DPI = 150

_LOOK: dict[Any, Any] = {
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "savefig.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.titlesize": 11.5,
    "axes.labelsize": 10.5,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "figure.titlesize": 13,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "legend.frameon": True,
    "legend.framealpha": 0.9,
    "legend.edgecolor": "none",
    "image.cmap": "cividis",
}


def look() -> AbstractContextManager[None]:
    """Context in which figures have the house look; every setting is restored on leaving.

    The harness draws and saves inside it, so an experiment need not enter it.
    """
    return matplotlib.rc_context(_LOOK)


def new_figure(
    rows: int = 1, cols: int = 1, *, height: float | None = None, title: str = "", **subplots: Any
) -> tuple[Figure, Any]:
    """Figure of the house width and its axes: one Axes, or an array of them.

    rows, cols: the grid. height: inches, by default 4.2 for one row and 3.4 for each of more.
    title: the finding, above the panels; for a single panel use set_title instead.
    subplots: further arguments of Figure.subplots, such as sharex or width_ratios.
    The layout is constrained, so labels do not overlap; nothing is shared with pyplot.

    >>> figure, axes = new_figure(1, 2)
    >>> axes.shape
    (2,)
    """
    if height is None:
        height = 4.2 if rows == 1 else 3.4 * rows
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    axes = figure.subplots(rows, cols, **subplots)
    if title:
        figure.suptitle(title)
    return figure, axes


def series(n: int) -> list[dict[str, Any]]:
    """Colour and line style for n lines to be told apart, for `ax.plot(x, y, **style)`.

    The colours are spaced over the palette, so that two lines differ most in lightness.

    >>> [style["color"] == COLOURS[0] for style in series(2)]
    [True, False]
    """
    if not 1 <= n <= len(COLOURS):
        raise ValueError(f"n: expected 1 to {len(COLOURS)} lines that can be told apart, got {n}")
    # The lightest colour is too pale for the only contrast of two or three lines on white.
    last = len(COLOURS) - 1 if n > 4 else len(COLOURS) - 3
    picks = np.linspace(0, last, n).round().astype(int) if n > 1 else [2]
    return [
        {"color": COLOURS[pick], "linestyle": LINESTYLES[index]} for index, pick in enumerate(picks)
    ]


def spread(
    ax: Axes,
    x: Any,
    samples: Any,
    *,
    label: str | None = None,
    band: Literal["quartiles", "range"] = "quartiles",
    **line: Any,
) -> None:
    """Median over seeds as a line, with the band of the middle half or of all seeds.

    x: (k,). samples: (seeds, k). line: arguments of ax.plot, such as one of series(n); the
    band takes the line's colour. A value that is not finite leaves a gap, it is not skipped.
    Say in the title or the legend which band it is.
    """
    x, values = np.asarray(x), np.asarray(samples, dtype=np.float64)
    if values.ndim != 2 or x.shape != values.shape[1:]:
        raise ValueError(
            f"samples: expected shape (seeds, {x.size}) for x of shape {x.shape}, "
            f"got {values.shape}"
        )
    if band not in ("quartiles", "range"):
        raise ValueError(f"band: expected 'quartiles' or 'range', got {band!r}")
    tail = 0.25 if band == "quartiles" else 0.0
    values = np.where(np.isfinite(values).all(axis=0), values, np.nan)
    low, median, high = np.quantile(values, [tail, 0.5, 1 - tail], axis=0)
    (drawn,) = ax.plot(x, median, label=label, **line)
    ax.fill_between(x, low, high, color=drawn.get_color(), alpha=0.18, linewidth=0)
