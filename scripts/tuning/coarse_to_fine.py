"""Random search in a box that shrinks around the best point, beside one in the whole box.

Adam's α, its β₁ and the width of the hidden layer on digits, 50 runs each: the notes' two rounds
of 25, five rounds of 10, and 50 points in the first box. A box is half as wide as the one before
on each axis' own scale. 30 seeds, each with its own split; all members of a seed start from the
same key. The member of the lowest dev cost of each search is judged once by its test cost.
Answers figure 76.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from jaxnet import Dataset
from jaxnet.data import datasets
from jaxnet.populations import samplers
from reference_numpy import search as reference
from scripts.harness import (
    INK,
    MARKERS,
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
from scripts.tuning import _digits as digits

TITLE = "Coarse to fine against one random search"
NOTES_SECTION = "Tuning Process"
NOTES_FIGURES = (76,)

SEEDS = 30
BUDGET = 50
SCHEDULES = {"2 rounds": (2, 25), "5 rounds": (5, 10)}  # rounds, members in each
RANDOM = "random"
AT_ONCE = 10  # members in one call of the program
SPACE: dict[str, Any] = {
    "alpha": ("log_uniform", 1e-4, 1.0),
    "beta": ("one_minus_log_uniform", 0.5, 0.995),
    "width": ("integers", 2, digits.WIDEST),
}


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    keys = seed_keys(key, quick, SEEDS)
    whole = datasets.whole("digits")
    tables: dict[str, list[Any]] = {name: [] for name in (*SCHEDULES, RANDOM)}
    boxes: dict[str, list[Any]] = {name: [] for name in SCHEDULES}
    outside, apart = 0, []
    for one in keys:
        training = _Training(one, whole)
        point_keys = jax.random.split(jax.random.fold_in(one, 1), len(SCHEDULES) + 1)
        for (name, (rounds, size)), point_key in zip(SCHEDULES.items(), point_keys, strict=False):
            found = samplers.coarse_to_fine(
                point_key, SPACE, training.dev_costs, rounds=rounds, size=size
            )
            points = {axis: np.asarray(values) for axis, values in found.points.items()}
            dev = np.asarray(found.scores)
            tables[name].append(points | {"dev": dev, "test": training.test_costs()})
            boxes[name].append([_bounds(space) for space in found.spaces])
            outside += _outside(found.spaces, points, dev, size)
            apart.append(_reference_apart(found.spaces, points, dev, size))
        points = samplers.random(point_keys[-1], SPACE, BUDGET)
        dev = training.dev_costs(points)
        tables[RANDOM].append({**points, "dev": dev, "test": training.test_costs()})
    results: dict[str, Any] = {
        which: {name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]}
        for which, rows in tables.items()
    }
    return results | {
        "boxes": {name: np.array(found) for name, found in boxes.items()},  # (…, axes, ends)
        "outside": outside,
        "reference_apart": max(apart),
    }


class _Training:
    """Members of one seed: dev costs when asked, the test costs put by until the search is over."""

    def __init__(self, key: jax.Array, whole: Dataset):
        self._keys = jnp.broadcast_to(key, (AT_ONCE,))
        self._whole = whole
        self._tests: list[np.ndarray] = []

    def dev_costs(self, points: Mapping[str, Any]) -> np.ndarray:
        size = len(points["alpha"])
        padded = np.arange(size + -size % AT_ONCE) % size
        hypers = {
            "alpha": np.asarray(points["alpha"], np.float32)[padded],
            "beta": np.asarray(points["beta"], np.float32)[padded],
            "width": np.asarray(points["width"], np.int32)[padded],
        }
        devs, tests = [], []
        for at in range(0, len(padded), AT_ONCE):
            part = {name: values[at : at + AT_ONCE] for name, values in hypers.items()}
            dev, test = jax.device_get(digits.costs(part, self._keys, self._whole))
            devs.append(dev)
            tests.append(test)
        self._tests.append(np.concatenate(tests)[:size])
        return np.concatenate(devs)[:size]

    def test_costs(self) -> np.ndarray:
        """Of all members since the last time this was asked."""
        tests, self._tests = np.concatenate(self._tests), []
        return tests


def _bounds(space: Mapping[str, Any]) -> list[list[float]]:
    return [[float(end) for end in space[name][1:]] for name in SPACE]


def _outside(spaces: list[Any], points: Mapping[str, Any], dev: np.ndarray, size: int) -> int:
    """How often the best point so far lies outside the box of a later round, on any axis."""
    count = 0
    for number, space in enumerate(spaces[1:], start=1):
        best = np.argmin(dev[: number * size])
        for name in SPACE:
            _, low, high = space[name]
            count += not low <= points[name][best].item() <= high
    return count


def _reference_apart(
    spaces: list[Any], points: Mapping[str, Any], dev: np.ndarray, size: int
) -> float:
    """Largest relative difference of a refined bound from the reference's, given the same box."""
    worst = 0.0
    for number in range(1, len(spaces)):
        so_far = {name: values[: number * size].astype(float) for name, values in points.items()}
        theirs = reference.refine(spaces[number - 1], so_far, dev[: number * size])
        for name in SPACE:
            for ours, other in zip(spaces[number][name][1:], theirs[name][1:], strict=True):
                worst = max(worst, abs(ours - other) / abs(other))
    return worst


def _chosen(measurements: dict[str, Any], which: str) -> tuple[np.ndarray, np.ndarray]:
    """Dev and test cost of each seed's member of the lowest dev cost."""
    table = measurements[which]
    places = table["dev"].argmin(axis=1)[:, None]
    dev, test = (np.take_along_axis(table[name], places, axis=1)[:, 0] for name in ("dev", "test"))
    return dev, test


def draw(measurements: dict[str, Any]) -> Figure:
    best = {name: _chosen(measurements, name)[0] for name in (RANDOM, *SCHEDULES)}
    means = [f"{best[name].mean():.2f}" for name in best]
    seeds = len(best[RANDOM])
    figure, axes = new_figure(
        1,
        3,
        height=4.5,
        title=f"Best dev cost of {BUDGET} runs: {means[0]} nats by one random search,\n"
        f"{means[1]} in two rounds and {means[2]} in five from coarse to fine",
    )
    _draw_search(axes[0], measurements, "5 rounds")
    ax, runs = axes[1], np.arange(1, BUDGET + 1)
    for name, style in zip(best, series(len(best)), strict=True):
        so_far = np.minimum.accumulate(measurements[name]["dev"], axis=1)
        label = name if name == RANDOM else f"fine, {name}"
        spread(ax, runs, so_far, label=label, **style)
    ax.set(title="Best so far", xlabel="runs", ylabel="lowest dev cost (nats)", ylim=(None, 1.6))
    ax.legend(loc="upper right", fontsize=9)
    ax = axes[2]
    for name, style, marker in zip(SCHEDULES, series(3)[1:], "os", strict=True):
        ax.plot(best[RANDOM], best[name], marker, color=style["color"], label=name)
    low = min(map(np.min, best.values())) - 0.03
    high = max(map(np.max, best.values())) + 0.03
    ax.plot((low, high), (low, high), color=INK, linewidth=0.8)
    ax.set(
        title="Each seed (line: equal)",
        xlabel="random: lowest dev cost (nats)",
        ylabel="coarse to fine: lowest dev cost (nats)",
    )
    ax.legend(loc="upper left", fontsize=9)
    figure.supxlabel(
        f"Middle: median of {seeds} seeds and their middle half. Left: one seed.", fontsize=9
    )
    return figure


def _draw_search(ax: Axes, measurements: dict[str, Any], which: str) -> None:
    """One search's points over α and width, and its boxes."""
    fine, boxes = measurements[which], measurements["boxes"][which][0]
    rounds, size = SCHEDULES[which]
    names = list(SPACE)
    across, up = names.index("alpha"), names.index("width")
    for number, style in enumerate(series(rounds)):
        part = slice(number * size, (number + 1) * size)
        ax.plot(
            fine["alpha"][0, part],
            fine["width"][0, part],
            MARKERS[number],
            color=style["color"],
            label=f"{number + 1}",
        )
        (left, right), (low, high) = boxes[number, across], boxes[number, up]
        corner, width, height = (left, low - 0.3), right - left, high - low + 0.6
        ax.add_patch(
            Rectangle(corner, width, height, fill=False, edgecolor=style["color"], linewidth=1.5)
        )
    best = fine["dev"][0].argmin()
    ax.plot(
        fine["alpha"][0, best], fine["width"][0, best], "o", color="none", mec=INK, markersize=12
    )
    ax.set(
        title="Boxes of a search (ring: best)",
        xscale="log",
        xlabel="learning rate α",
        ylabel="hidden units",
        xlim=(5e-5, 2),
        ylim=(1, digits.WIDEST + 5),
        yticks=range(2, digits.WIDEST + 1, 2),
    )
    ax.legend(
        title="round",
        ncols=rounds,
        loc="upper center",
        fontsize=9,
        columnspacing=0.7,
        handletextpad=0.1,
    )


def claims(measurements: dict[str, Any]) -> list[Claim]:
    widened = []
    for boxes in measurements["boxes"].values():
        widened.append((boxes[:, :-1, :, 0] - boxes[:, 1:, :, 0]).max())
        widened.append((boxes[:, 1:, :, 1] - boxes[:, :-1, :, 1]).max())
    random_dev, random_test = _chosen(measurements, RANDOM)
    listed = [
        exact(
            "The refined box contains the best point so far, on every axis, in every round of "
            "every search (times that it does not).",
            measurements["outside"],
            between(0, 0),
        ),
        exact(
            "Every box lies inside the one before, up to the last place of float32 (largest "
            "amount by which it does not).",
            max(0.0, *widened),
            at_most(2e-6),
        ),
        exact(
            "The boxes are the reference's, refined from the same points (largest relative "
            "difference of a bound).",
            measurements["reference_apart"],
            at_most(1e-5),
        ),
    ]
    for name, (rounds, size) in SCHEDULES.items():
        dev, test = _chosen(measurements, name)
        by_round = measurements[name]["dev"].reshape(-1, rounds, size).mean(axis=2)
        how = f"{rounds} rounds of {size}"
        listed += [
            statistical(
                f"Coarse to fine in {how} reaches a lower dev cost than one random search of "
                f"{BUDGET} (random less coarse to fine, nats).",
                random_dev - dev,
                above(0),
            ),
            statistical(
                f"So is the test cost of the member that {how} choose lower, looked at once (the "
                "same difference, nats).",
                random_test - test,
                above(0),
            ),
            statistical(
                f"The last of {how} is in a better place than the first: mean dev cost of its "
                "members (first less last, nats).",
                by_round[:, 0] - by_round[:, -1],
                above(0),
            ),
        ]
    return listed


if __name__ == "__main__":
    run_alone(__file__)
