"""The figure of the population: milliseconds a model against the number of models."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from scripts.harness.style import COLOURS, LINESTYLES, MARKERS, look


def curves(rows: list[dict[str, Any]]) -> dict[str, list[tuple[int, float, bool]]]:
    """system ↦ its points: N, milliseconds a model, and whether it was measured at that N."""
    found: dict[str, list[tuple[int, float, bool]]] = {}
    for row in rows:
        if row["workload"] == "population" and row["median"] is not None:
            cost = 1e3 * row["median"] / row["members"]
            measured = "extrapolated" not in row["detail"]
            found.setdefault(row["system"], []).append((row["members"], cost, measured))
    return found


def finding(found: dict[str, list[tuple[int, float, bool]]]) -> str:
    """The title: what a model costs in a sweep at the largest N, and beside the quickest peer."""
    ours = found["jaxnet sweep"][-1]
    peers = {
        name: points[-1][1] / ours[1]
        for name, points in found.items()
        if name not in {"jaxnet sweep", "float operations alone"}
    }
    title = f"{ours[0]:,} models: {ours[1]:.1f} ms each in a sweep"
    if peers:
        nearest = min(peers, key=lambda name: peers[name])
        title += f"\nThe quickest peer, {nearest}, takes {peers[nearest]:.2g} times as long"
    return title


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """Write the figure. Filled marks are measured, hollow ones extrapolated."""
    found = curves(rows)
    with look():
        figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
        for number, (name, points) in enumerate(found.items()):
            style = number % len(COLOURS)
            colour = COLOURS[style]
            members, costs = [one[0] for one in points], [one[1] for one in points]
            axes.plot(members, costs, color=colour, linestyle=LINESTYLES[style])
            for at, cost, measured in points:
                face = colour if measured else "white"
                axes.plot(
                    at, cost, MARKERS[style], color=colour, markerfacecolor=face, markersize=7
                )
            axes.plot([], [], MARKERS[style], color=colour, linestyle=LINESTYLES[style], label=name)
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="models trained, N (log scale; hollow marks are extrapolated linearly)",
            ylabel="time per model (ms, log scale)",
            title=finding(found),
        )
        ticks = sorted({one[0] for points in found.values() for one in points})
        axes.set_xticks(ticks, [f"{one:,}" for one in ticks])
        axes.minorticks_off()
        costs = [one[1] for points in found.values() for one in points]
        marks = [
            number * 10**power
            for power in range(-3, 6)
            for number in (1, 2, 5)
            if min(costs) / 2 <= number * 10**power <= max(costs) * 2
        ]
        axes.set_yticks(marks, [f"{one:g}" for one in marks])
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        figure.savefig(file)
        plt.close(figure)
