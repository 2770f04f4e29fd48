"""Broadcasting: the three sums of figure 15, the rules against every small pair, and a trap.

Every pair of shapes up to rank 3 with sizes 0 to 3 is added by NumPy and by jax.numpy (traced,
which finds shape or error without computing; values for a part), and held against two sets of
rules: the notes' four as printed, and corrected ones. Then (n,) meets (n, 1) in NumPy and in the
losses. Answers figure 15 of the notes.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise, product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from jaxnet import losses
from reference_numpy import losses as reference
from scripts.basics._broadcasting_rules import (
    Outcome,
    Shape,
    corrected_rules,
    padded,
    printed_rules,
    share_a_size,
    sum_by_rule,
)
from scripts.harness import (
    COLOURS,
    INK,
    TRUE,
    Claim,
    above,
    between,
    exact,
    new_figure,
    run_alone,
)

TITLE = "What broadcasts, and what had better not"
NOTES_SECTION = "Broadcasting in Python"
NOTES_FIGURES = (15,)

EXAMPLES = 7

SUMS = (
    ([[1], [2], [3], [4]], 100, [[101], [102], [103], [104]]),
    ([[1, 2, 3], [4, 5, 6]], [100, 200, 300], [[101, 202, 303], [104, 205, 306]]),
    ([[1, 2, 3], [4, 5, 6]], [[100], [200]], [[101, 102, 103], [204, 205, 206]]),
)


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    shapes = [
        shape for rank in range(3 if quick else 4) for shape in product(range(4), repeat=rank)
    ]
    pairs = list(product(shapes, shapes))
    left = {shape: np.arange(np.prod(shape, dtype=int)).reshape(shape) for shape in shapes}
    right = {shape: 100 * array for shape, array in left.items()}

    sums = {pair: _unless_refused(np.add, left[pair[0]], right[pair[1]]) for pair in pairs}
    works = {pair: total for pair, total in sums.items() if total is not None}
    simple = [shape for shape in shapes if len(shape) <= 2 and set(shape) <= {1, 2}]
    compiled = list(product(simple, simple))
    operands = [(np.array(one), np.array(other)) for one, other, _ in SUMS]
    y = np.asarray(jax.random.normal(key, (EXAMPLES,)))
    # JAX can be told to refuse what is looked at here; this is what it does unless told.
    with jax.numpy_rank_promotion("allow"):
        jax_sums = _jax_sums(operands + [(left[one], right[other]) for one, other in compiled])
        jax_shapes = _jax_shapes(pairs, left, right)
        jax_difference = jax.eval_shape(_difference, y)
    with jax.numpy_rank_promotion("raise"):
        refused = _unless_refused(jax.eval_shape, _difference, y) is None
    return {
        "pairs": pairs,
        "numpy": [None if sums[pair] is None else sums[pair].shape for pair in pairs],
        "jax": jax_shapes,
        "numpy_values_wrong": _values_wrong(works, left, right),
        "jax_values_wrong": _values_wrong(
            dict(zip(compiled, jax_sums[len(SUMS) :], strict=True)), left, right
        ),
        "figure_sums": [
            (one + other, jax_sums[number]) for number, (one, other) in enumerate(operands)
        ],
        "numpy_difference": _difference(y),
        "jax_difference_shape": jax_difference.shape,
        "jax_can_refuse": refused,
        "losses": {
            package: (len(calls), *_taken(calls)) for package, calls in _loss_calls(y).items()
        },
    }


def _difference(y: Any) -> Any:
    """What is meant to be y − ŷ with ŷ = y."""
    return y - y[:, None]


def _unless_refused(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's value, None if it refuses its arguments."""
    try:
        return function(*arguments)
    except (TypeError, ValueError):
        return None


def _jax_shapes(
    pairs: list[tuple[Shape, Shape]], left: dict[Shape, Any], right: dict[Shape, Any]
) -> list[Outcome]:
    """What jnp.add makes of every pair, in a single trace: a trace each takes twice as long."""
    outcomes: list[Outcome] = []

    def add_all(left, right):
        for one, other in pairs:
            total = _unless_refused(jnp.add, left[one], right[other])
            outcomes.append(None if total is None else total.shape)

    jax.eval_shape(add_all, left, right)
    return outcomes


@jax.jit
def _jax_sums(operands: list[tuple[Any, Any]]) -> list[jax.Array]:
    return [jnp.add(one, other) for one, other in operands]


def _values_wrong(
    sums: dict[tuple[Shape, Shape], Any], left: dict[Shape, Any], right: dict[Shape, Any]
) -> int:
    """How many sums do not have the values of `sum_by_rule`."""
    return sum(
        not np.array_equal(total, sum_by_rule(left[one], right[other], total.shape))
        for (one, other), total in sums.items()
    )


def _loss_calls(y: np.ndarray) -> dict[str, list[tuple[Callable[..., Any], Any, Any, Any]]]:
    """For both packages: a loss, predictions, targets that fit, and the same in another shape.

    jaxnet's are only traced: that is where they look at the shapes.
    """
    column, ones = y[:, None], (y > 0).astype(int)
    row, row_ones = y[None], ones[None]
    squared, binary, softmax = (
        partial(jax.eval_shape, loss)
        for loss in (
            losses.squared_error,
            losses.binary_cross_entropy,
            losses.softmax_cross_entropy,
        )
    )
    return {
        "jaxnet": [
            (squared, y, y, column),
            (squared, column, column, y),
            (binary, y, ones, ones[:, None]),
            (binary, column, ones[:, None], ones),
            (softmax, np.stack([y, -y, 2 * y], axis=1), ones, ones[:, None]),
        ],
        "the reference": [
            (reference.squared_error, row, row, column),
            (reference.squared_error, row, row, y),
            (reference.binary_cross_entropy_from_logits, row, row_ones, row_ones.T),
            (reference.binary_cross_entropy_from_logits, row, row_ones, ones),
        ],
    }


def _taken(calls: list[tuple[Callable[..., Any], Any, Any, Any]]) -> tuple[int, int]:
    """How many of the calls are taken with the targets that fit, and with those that do not."""
    fit = sum(_unless_refused(loss, outputs, fits) is not None for loss, outputs, fits, _ in calls)
    bad = sum(_unless_refused(loss, outputs, bad) is not None for loss, outputs, _, bad in calls)
    return fit, bad


def _mispredicted(measurements: dict[str, Any], rules: Callable[..., Outcome], by: str) -> int:
    pairs, outcomes = measurements["pairs"], measurements[by]
    return sum(rules(*pair) != outcome for pair, outcome in zip(pairs, outcomes, strict=True))


def _work_without_a_shared_size(measurements: dict[str, Any]) -> int:
    pairs, outcomes = measurements["pairs"], measurements["numpy"]
    return sum(
        outcome is not None and not share_a_size(*pair)
        for pair, outcome in zip(pairs, outcomes, strict=True)
    )


def draw(measurements: dict[str, Any]) -> Figure:
    pairs = len(measurements["pairs"])
    corrected, printed = (
        _mispredicted(measurements, rules, "numpy") for rules in (corrected_rules, printed_rules)
    )
    figure, axes = new_figure(
        2,
        3,
        height=7.4,
        title=f"Of {pairs:,} pairs of shapes the printed rules get {printed:,} wrong, "
        f"the corrected ones {corrected or 'none'}",
        height_ratios=(1, 2.1),
        width_ratios=(1.3, 1, 1),
    )
    top = axes[0, 0].get_gridspec()[0, :].subgridspec(1, 3, width_ratios=(6, 11, 11))
    for number, (one, other, _) in enumerate(SUMS):
        axes[0, number].remove()
        total = measurements["figure_sums"][number][0]
        _draw_sum(figure.add_subplot(top[number]), np.array(one), np.array(other), total)
    _draw_pairs(axes[1, 0], measurements)
    _draw_counts(axes[1, 1], measurements)
    _draw_trap(axes[1, 2], measurements)
    return figure


def _draw_sum(ax: Axes, left: np.ndarray, right: np.ndarray, total: np.ndarray) -> None:
    """Both arrays stretched to the shape of the sum, copies in grey; the shapes underneath."""
    offset = 0.0
    rows, columns = total.shape
    centred: dict[str, Any] = {"ha": "center", "va": "center"}
    for array, sign in ((left, "+"), (right, "="), (total, "")):
        own = array.reshape(padded(array.shape, total.shape)[0])
        for i, j in np.ndindex(rows, columns):
            copy = i >= own.shape[0] or j >= own.shape[1]
            face, ink = ("#e4e4e4", "#606060") if copy else ("white", INK)
            cell = Rectangle((offset + j, -i), 1, -1, facecolor=face, edgecolor=INK, linewidth=0.8)
            ax.add_patch(cell)
            value = str(np.broadcast_to(own, total.shape)[i, j])
            ax.text(offset + j + 0.5, -i - 0.5, value, color=ink, fontsize=9, **centred)
        ax.text(offset + columns / 2, -rows - 0.5, f"{array.shape}", fontsize=10, **centred)
        ax.text(offset + columns + 0.4, -rows / 2, sign, fontsize=13, **centred)
        offset += columns + 0.8
    ax.set(xlim=(-0.5, offset - 0.3), ylim=(-5, 0.1))
    ax.axis("off")


def _draw_pairs(ax: Axes, measurements: dict[str, Any]) -> None:
    pairs, outcomes = measurements["pairs"], measurements["numpy"]
    side = round(len(pairs) ** 0.5)
    kind = [
        2 if printed_rules(*pair) != outcome else int(outcome is None)
        for pair, outcome in zip(pairs, outcomes, strict=True)
    ]
    labels = ("a sum", "an error", "a sum, an error by the printed rules")
    colours = (COLOURS[4], "#eeeeee", COLOURS[0])
    image = np.array(kind).reshape(side, side)
    ax.imshow(image, cmap=ListedColormap(colours), vmin=0, vmax=2, interpolation="nearest")
    starts = [start for start in (0, 1, 5, 21, 85) if start <= side]
    for start in starts[1:-1]:
        ax.axhline(start - 0.5, color=INK, linewidth=0.8)
        ax.axvline(start - 0.5, color=INK, linewidth=0.8)
    middles = [(low + high - 1) / 2 for low, high in pairwise(starts)]
    # Ranks 0 and 1 are too narrow for a label each.
    ax.set_xticks(middles[1:], [f"{rank}" for rank in range(1, len(middles))])
    ax.set_yticks(middles[1:], [f"{rank}" for rank in range(1, len(middles))])
    ax.set(title="Every pair of shapes", xlabel="rank of the right one", ylabel="rank of the left")
    ax.grid(False)
    handles = [
        Patch(facecolor=colour, edgecolor=INK, label=label)
        for colour, label in zip(colours, labels, strict=True)
    ]
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.14))
    ax.set_anchor("N")


def _draw_counts(ax: Axes, measurements: dict[str, Any]) -> None:
    counts = {
        "corrected rules, NumPy": _mispredicted(measurements, corrected_rules, "numpy"),
        "corrected rules, jax.numpy": _mispredicted(measurements, corrected_rules, "jax"),
        "printed rules, NumPy": _mispredicted(measurements, printed_rules, "numpy"),
        "“a size in common”, NumPy": _work_without_a_shared_size(measurements),
    }
    bars = ax.barh(range(len(counts)), list(counts.values()), height=0.4, color=COLOURS[2])
    ax.bar_label(bars, [f"{count:,}" for count in counts.values()], padding=3)
    for place, label in enumerate(counts):
        ax.annotate(label, (0, place - 0.25), xytext=(3, 3), textcoords="offset points")
    ax.margins(x=0.25)
    ax.set(title="Pairs that a rule gets wrong", xlabel="pairs", yticks=(), ylim=(3.4, -0.7))


def _draw_trap(ax: Axes, measurements: dict[str, Any]) -> None:
    difference = measurements["numpy_difference"]
    n = len(difference)
    ax.imshow(np.abs(difference), cmap="Purples", vmax=1.5 * np.abs(difference).max())
    for i, j in np.ndindex(n, n):
        text = f"{difference[i, j]:.1f}".replace("-", "−")
        ax.text(j, i, text, ha="center", va="center", fontsize=9)
    ax.set(
        title=f"The trap: ({n},) − ({n}, 1) is ({n}, {n})",
        xlabel=f"example of y\n(mean square {np.mean(difference**2):.2f} instead of 0)",
        ylabel="example of ŷ = y",
    )
    ax.set_anchor("N")
    ax.grid(False)


def claims(measurements: dict[str, Any]) -> list[Claim]:
    none = between(0, 0)
    figure_sums = zip(measurements["figure_sums"], SUMS, strict=True)
    square = (EXAMPLES, EXAMPLES)
    return [
        exact(
            "The three sums of figure 15 come out as printed, in NumPy and jax.numpy.",
            all(
                np.array_equal(total, expected)
                for totals, (_, _, expected) in figure_sums
                for total in totals
            ),
            TRUE,
        ),
        exact(
            "The corrected rules predict NumPy, shape or error (pairs they get wrong).",
            _mispredicted(measurements, corrected_rules, "numpy"),
            none,
        ),
        exact(
            "The corrected rules predict jax.numpy, shape or error (pairs they get wrong).",
            _mispredicted(measurements, corrected_rules, "jax"),
            none,
        ),
        exact(
            "Along an axis of size 1 the first values are used throughout (sums with other values, "
            "NumPy, all pairs).",
            measurements["numpy_values_wrong"],
            none,
        ),
        exact(
            "Along an axis of size 1 the first values are used throughout (sums with other values, "
            "jax.numpy, shapes up to rank 2 with sizes 1 and 2).",
            measurements["jax_values_wrong"],
            none,
        ),
        exact(
            "The four rules as printed predict NumPy, shape or error (pairs they get wrong).",
            _mispredicted(measurements, printed_rules, "numpy"),
            none,
            expected="refuted",
            note="The output's size is not the maximum where a 1 meets a 0: NumPy makes it 0, the "
            "printed rules make it 1 and then refuse the 0.",
        ),
        exact(
            "Arrays go together only if they have a size in common (pairs that do without).",
            _work_without_a_shared_size(measurements),
            none,
            expected="refuted",
            note="(4, 1) and (1, 3) have none and make (4, 3): on each axis a 1 in either will do.",
        ),
        exact(
            "The trap: (n,) − (n, 1) is (n, n) in NumPy and in jax.numpy, without a word.",
            measurements["numpy_difference"].shape == square
            and measurements["jax_difference_shape"] == square,
            TRUE,
        ),
        exact(
            'The trap is an error in jax.numpy under jax.numpy_rank_promotion("raise").',
            measurements["jax_can_refuse"],
            TRUE,
        ),
        exact(
            "In the trap even perfect predictions have a mean squared error above 0.",
            np.mean(measurements["numpy_difference"] ** 2),
            above(0),
        ),
        *(
            claim
            for package, (calls, fitting, trapped) in measurements["losses"].items()
            for claim in (
                exact(
                    f"Every loss of {package} refuses targets that would broadcast, either way "
                    "round (calls taken).",
                    trapped,
                    none,
                ),
                exact(
                    f"Every loss of {package} takes the same targets in the fitting shape (calls "
                    "refused).",
                    calls - fitting,
                    none,
                ),
            )
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
