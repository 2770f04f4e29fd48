"""Drawing a computation graph: boxes from left to right, values forward, derivatives back."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from scripts.basics._graph import Node
from scripts.harness import COLOURS, INK

FORWARD, BACKWARD = INK, COLOURS[1]
APART = 0.02  # between the two arrows of an edge and its middle, as a share of the height
FONT = 11.5
LINE = 20  # characters, above which the text of a box is broken
# In characters: the narrowest column, what the frame of a box adds, and the room for an arrow.
NARROWEST, FRAME, GAP = 13, 2, 13


class Place(NamedTuple):
    """Where a node stands: across in characters, down in rows; gap: where arrows leave it."""

    across: float
    down: float
    gap: float


def draw_graph(ax: Axes, nodes: dict[str, Node]) -> None:
    """Draw a graph: inputs on the left, then the boxes in the order of computation.

    A dark arrow carries a value forward; the coloured one beside it carries the derivative back,
    with the factor by which it is multiplied on the way. `ax.legend()` says so.
    """
    places, width = _places(nodes)
    output = list(nodes)[-1]
    boxes = {name: _draw_node(ax, places[name], node, output) for name, node in nodes.items()}
    rows = [place.down for place in places.values()]
    low, high = min(rows) - 0.5, max(rows) + 0.4
    apart = APART * (high - low)
    for name, node in nodes.items():
        for used, partial in node.partials.items():
            ends, ends_boxes = (places[used], places[name]), (boxes[used], boxes[name])
            _draw_edge(ax, ends, ends_boxes, partial, apart)
    for colour, label in ((FORWARD, "value"), (BACKWARD, "derivative, times the factor shown")):
        ax.plot([], [], color=colour, label=label)
    ax.set(xlim=(0, width), ylim=(low, high))
    ax.axis("off")


def _text(node: Node) -> str:
    text = f"{node.name} = {node.expression or _number(node.value)}"
    if len(text) <= LINE:
        return text
    head, _, tail = text.rpartition(" + ")
    return f"{head}\n+ {tail}"


def _number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}g}".replace("-", "−")


def _places(nodes: dict[str, Node]) -> tuple[dict[str, Place], float]:
    """The places of the nodes, and the width of them all.

    Column: the longest way from an input. Row: an input's own, else the mean of those used.
    """
    columns: dict[str, int] = {}
    rows: dict[str, float] = {}
    for row, (name, node) in enumerate(nodes.items()):
        columns[name] = max((columns[used] + 1 for used in node.partials), default=0)
        rows[name] = float(np.mean([rows[used] for used in node.partials] or -row))
    widths = [NARROWEST] * (max(columns.values()) + 1)
    for name, node in nodes.items():
        longest = max(len(line) for line in _text(node).split("\n")) + FRAME
        widths[columns[name]] = max(widths[columns[name]], longest)
    right = np.cumsum(widths) + GAP * np.arange(len(widths))
    across = right - np.array(widths) / 2
    across[0] = right[0]  # inputs end where their arrows begin
    places = {
        name: Place(float(across[column]), rows[name], float(right[column] + GAP / 2))
        for name, column in columns.items()
    }
    return places, float(right[-1])


def _draw_node(ax: Axes, place: Place, node: Node, output: str) -> Patch | None:
    """Text of a node with its value and derivative. Returns the box of a step, where it has one."""
    where = (place.across, place.down)
    text, value = _text(node), _number(node.value)
    derivative = f"d{output}/d{node.name} = {_number(node.derivative)}"
    style: dict[str, Any] = {"textcoords": "offset points", "va": "center"}
    if not node.expression:
        ax.text(*where, text, ha="right", va="center", fontsize=FONT)
        ax.annotate(
            derivative, where, xytext=(0, -16), ha="right", color=BACKWARD, weight="bold", **style
        )
        return None
    lines = (value, *text.split("\n"), derivative)
    frame = ax.text(
        *where,
        "\n".join(lines),
        ha="center",
        va="center",
        fontsize=FONT,
        linespacing=1.4,
        color="none",
        bbox={"boxstyle": "square,pad=0.3", "facecolor": "white", "edgecolor": INK},
    )
    colours = (FORWARD, *[INK] * (len(lines) - 2), BACKWARD)
    for number, (line, colour) in enumerate(zip(lines, colours, strict=True)):
        ax.annotate(
            line,
            where,
            xytext=(0, 17 * ((len(lines) - 1) / 2 - number)),
            ha="center",
            color=colour,
            fontsize=FONT if colour != BACKWARD else None,
            weight="bold" if number in (0, len(lines) - 1) else None,
            **style,
        )
    return frame.get_bbox_patch()


def _draw_edge(
    ax: Axes,
    ends: tuple[Place, Place],
    boxes: tuple[Patch | None, Patch | None],
    partial: float,
    apart: float,
) -> None:
    ways = ((apart, FORWARD, ends, boxes), (-apart, BACKWARD, ends[::-1], boxes[::-1]))
    for shift, colour, (start, stop), (start_box, stop_box) in ways:
        arrow = {
            "arrowstyle": "-|>",
            "color": colour,
            "patchA": start_box,
            "patchB": stop_box,
            "shrinkA": 2 if start_box else 7,
            "shrinkB": 2 if stop_box else 7,
        }
        tip, tail = (stop.across, stop.down + shift), (start.across, start.down + shift)
        # Above the boxes, which must be laid out before an arrow can end at their edges.
        ax.annotate("", xy=tip, xytext=tail, arrowprops=arrow, zorder=5)
    used, node = ends
    way = (used.gap - used.across) / (node.across - used.across)
    ax.annotate(
        f"×{_number(partial, digits=2)}",
        (used.gap, used.down + way * (node.down - used.down) - apart),
        ha="center",
        va="center",
        color=BACKWARD,
        bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
        zorder=6,
    )
