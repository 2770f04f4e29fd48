"""The two figures of a sweep: the score against each hyperparameter, and all the histories.

Members are drawn in a light blue and the best one in near-black and larger, which greyscale keeps
apart; what else differs, differs in shape.
"""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from jaxnet.cli.hyperparameters import NAMES
from jaxnet.cli.task import Task
from jaxnet.populations import Population, Space
from jaxnet.populations.spaces import options_of

INK, MEMBER, FAILED = "#1a1a1a", "#6f9fd8", "#94287a"
WIDTH = 9.0

# Fewer than these say nothing about what decides; and a share that random numbers reach too.
ENOUGH, NOTABLE = 24, 0.1

_LOOK: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "figure.titlesize": 12.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.7,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "savefig.facecolor": "white",
}


def save(figure: Figure, file: Path) -> None:
    """Write a figure beside and rename it, so that a reader never sees half of one."""
    beside = file.with_suffix(".tmp")
    with matplotlib.rc_context(_LOOK):
        figure.savefig(beside, format="png", dpi=150)
    beside.replace(file)


# ------------------------------------------------------------------ what decides


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks from the best, equal scores sharing their mean, those not finite last."""
    _, group, size = np.unique(
        np.nan_to_num(scores, nan=np.inf), return_inverse=True, return_counts=True
    )
    return (np.cumsum(size) - (size - 1) / 2)[group]


def share_explained(groups: np.ndarray, scores: np.ndarray) -> float:
    """How much of the variance of the ranks lies between groups, corrected for their number.

    ε² = 1 − (S_within / (n − k)) / (S / (n − 1)), about 0 for groups that decide nothing. Ranks,
    since neither a diverged member nor the scale of the error should decide it.

    >>> share_explained(np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 3.0, 4.0]))
    0.7
    """
    ranks = _ranks(scores)
    names, group, size = np.unique(groups, return_inverse=True, return_counts=True)
    n, k = len(ranks), len(names)
    total = np.square(ranks - ranks.mean()).sum()
    if k < 2 or n <= k or total == 0:
        return 0.0
    means = np.bincount(group, ranks) / size
    within = np.square(ranks - means[group]).sum()
    return round(max(0.0, float(1 - (within / (n - k)) / (total / (n - 1)))), 12)


def _places(values: np.ndarray, options: np.ndarray) -> np.ndarray:
    """Which option each value is; a number may have been rounded on its way."""
    if options.dtype == object:
        known = {repr(option): place for place, option in enumerate(options.tolist())}
        return np.array([known[repr(value)] for value in values.tolist()])
    return np.abs(values[:, None] - options[None, :]).argmin(axis=1)


def explained(population: Population, space: Space) -> dict[str, float]:
    """`share_explained` by each hyperparameter: by its options, or by quarters of its members."""
    shares = {}
    for name, dimension in space.items():
        values = population.hypers[name]
        if dimension[0] == "choice":
            groups = _places(values, options_of(name, dimension))
        else:
            groups = np.searchsorted(np.quantile(values, [0.25, 0.5, 0.75]), values)
        shares[name] = share_explained(groups, population.scores)
    return shares


def finding(population: Population, shares: dict[str, float], task: Task) -> str:
    """What the picture shows, in a line."""
    members = len(population.scores)
    said = f"Best of {members}: dev error {task.said(population.scores[population.best()])}"
    if members < ENOUGH:
        return said
    name = max(shares, key=lambda one: shares[one])
    if shares[name] < NOTABLE:
        return f"{said}; no hyperparameter decides by itself"
    return f"{said}; {name} decides most"


# ------------------------------------------------------------------ search.png


def search(population: Population, space: Space, task: Task) -> Figure:
    """The score against each hyperparameter, a panel each, on the scale on which it is searched."""
    columns = 2 if len(space) == 4 else min(len(space), 3)
    rows = -(-len(space) // columns)
    shares = explained(population, space)
    with matplotlib.rc_context(_LOOK):
        height = 0.9 + 2.9 * rows
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for ax, (name, dimension) in zip(axes.flat, space.items(), strict=False):
            _panel(ax, population, name, dimension)
            if len(population.scores) >= ENOUGH:
                ax.set_title(f"{100 * shares[name]:.0f} % of the ranks' variance", pad=9)
        for ax in axes.flat[len(space) :]:
            ax.set_axis_off()
        _error_axis(axes[0, 0], task, population.scores)
        figure.supylabel(f"lowest dev error ({task.unit})", fontsize=10)
        figure.suptitle(finding(population, shares, task))
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _epochs(population: Population) -> np.ndarray:
    """How many epochs each member was trained for."""
    epochs = np.zeros(len(population.scores), int)
    for part in population.parts:
        epochs[part.members] = part.runs.history["dev_error"].shape[1]
    return epochs


def _x(values: np.ndarray, name: str, dimension: Any) -> np.ndarray:
    """Where members stand along a panel: value, distance to 1, or the strip of an option."""
    if dimension[0] == "one_minus_log_uniform":
        return 1 - values.astype(float)
    if dimension[0] != "choice":
        return values.astype(float)
    places = _places(values, options_of(name, dimension))
    return places + np.random.default_rng(0).uniform(-0.25, 0.25, len(places))


def _panel(ax: Axes, population: Population, name: str, dimension: Any) -> None:
    kind, best, finite = dimension[0], population.best(), population.finite
    x, epochs = _x(population.hypers[name], name, dimension), _epochs(population)
    stopped = finite & (epochs < epochs.max())
    done = finite & ~stopped
    ax.scatter(x[done], population.scores[done], s=22, color=MEMBER, alpha=0.7, linewidth=0)
    ax.collections[-1].set_label("member")
    if stopped.any():
        ax.scatter(x[stopped], population.scores[stopped], s=14, facecolor="none", edgecolor=MEMBER)
        ax.collections[-1].set_label(f"{stopped.sum()} stopped early")
    if not finite.all():
        top = np.ones((~finite).sum())
        ax.plot(
            x[~finite], top, "x", color=FAILED, markersize=5, transform=ax.get_xaxis_transform(),
            clip_on=False, label=f"{len(top)} not finite, at the top edge",
        )  # fmt: skip
    ax.plot(
        x[best], population.scores[best], "*", color=INK, markersize=14, markeredgecolor="white",
        label="best",
    )  # fmt: skip
    label = NAMES[name].label or name
    if kind == "choice":
        options = [str(option) for option in options_of(name, dimension).tolist()]
        lines = [option.replace("_", "\n") for option in options]
        needed = len(lines) * max(len(line) for line in "\n".join(lines).split("\n"))
        ax.set_xticks(range(len(lines)), lines, fontsize=10 if needed < 28 else 8.5)
        if needed > 34:
            ax.tick_params(axis="x", labelrotation=30)
        ax.set_xlim(-0.5, len(options) - 0.5)
        ax.grid(axis="x", visible=False)
    elif kind in ("log_uniform", "one_minus_log_uniform"):
        ax.set_xscale("log")
        if x.max() / x.min() > 10:
            ax.xaxis.set_minor_formatter(NullFormatter())
        label = f"1 − {label}" if kind == "one_minus_log_uniform" else label
    ax.set_xlabel(label)


def _error_axis(ax: Axes, task: Task, errors: np.ndarray) -> None:
    """A log scale where errors span much, down to zero where there are zeros; ticks in the unit."""
    found = errors[np.isfinite(errors)]
    some = found[found > 0]
    least = 0.0

    def said(error: float, place: int | None = None) -> str:
        return f"{task.in_unit(error):g}" if error >= least or error == 0 else ""

    if some.size and some.max() > 8 * some.min():
        if some.size == found.size:
            ax.set_yscale("log", subs=[2, 5])
        else:
            least = float(some.min())
            ax.set_yscale("symlog", linthresh=least, linscale=0.3, subs=[2, 5])
            ax.autoscale_view()
            ax.set_ylim(bottom=-least / 2)  # zeros stand clear of the axis
        ax.yaxis.set_minor_formatter(FuncFormatter(said))
    ax.yaxis.set_major_formatter(FuncFormatter(said))


# ------------------------------------------------------------------ curves.png


def curves(population: Population, space: Space, task: Task) -> Figure:
    """The dev error of every member over its epochs, the best one highlighted."""
    del space
    best, finite = population.best(), population.finite
    lines, failed, errors = [], [], []
    for part in population.parts:
        for member, history in zip(part.members, part.runs.history["dev_error"], strict=True):
            line = np.column_stack([np.arange(len(history)), history])
            (lines if finite[member] else failed).append(line)
            errors.append(history)
    faint = min(1.0, max(0.1, 60 / (len(lines) + 1)))
    best_run = population.member(best)
    assert best_run.best is not None  # there is a dev set
    history, epoch = best_run.history["dev_error"], int(best_run.best.epoch)
    with matplotlib.rc_context(_LOOK):
        figure = Figure(figsize=(WIDTH, 4.8), layout="constrained")
        ax = figure.subplots()
        ax.add_collection(LineCollection(lines, colors=MEMBER, linewidths=0.9, alpha=faint))
        ax.plot([], [], color=MEMBER, linewidth=1.2, label="member")  # its colour in the legend
        if failed:
            broken = LineCollection(failed, colors=FAILED, linewidths=0.9, linestyles=":")
            broken.set_label(f"{len(failed)} not finite, as far as they have an error")
            ax.add_collection(broken)
        ax.plot(history, color=INK, linewidth=2, label=f"member {best}, the best")
        ax.plot(epoch, history[epoch], "*", color=INK, markersize=15, markeredgecolor="white")
        _error_axis(ax, task, np.concatenate(errors))
        ax.autoscale_view()
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="epoch (the first is 0)", ylabel=f"dev error ({task.unit})")
        ax.set_title(_reached(population, epoch, task))
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _reached(population: Population, epoch: int, task: Task) -> str:
    scores, best = population.scores, population.best()
    said = f"The best of {len(scores)} reaches {task.said(scores[best])}, at epoch {epoch}"
    median = np.median(np.nan_to_num(scores, nan=np.inf))
    return f"{said}; half reach {task.said(median)}" if np.isfinite(median) else said
