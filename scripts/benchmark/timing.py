"""Systems and rows: everything measured in turn, round after round.

Every system is run once to warm up (compile), then all of them in turn; what counts is the median
and its ratio to that of the first system, which is jaxnet's.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple


class System(NamedTuple):
    """One way to do a workload: run() does it and returns what `accuracy` judges."""

    name: str
    run: Callable[[], Any]
    accuracy: Callable[[Any], float | None]
    detail: str


class Missing(NamedTuple):
    """A system that cannot run here, and what to install."""

    name: str
    detail: str


def in_turn(name: str, systems: list[System | Missing], rounds: int) -> list[dict[str, Any]]:
    """Rows of one workload: every system warmed up, then all of them in turn, `rounds` times."""
    present = [system for system in systems if isinstance(system, System)]
    accuracy = {system.name: system.accuracy(system.run()) for system in present}
    seconds: dict[str, list[float]] = {system.name: [] for system in present}
    for number in range(rounds):
        print(f"{name}: round {number + 1} of {rounds}", file=sys.stderr)
        # Whoever runs after a heavy peer finds cold caches: the first place goes round.
        first = number % len(present)
        for system in present[first:] + present[:first]:
            start = time.perf_counter()
            system.run()
            seconds[system.name].append(time.perf_counter() - start)
    ours = statistics.median(seconds[present[0].name])
    return [
        row(
            name,
            system.name,
            seconds.get(system.name, []),
            ours,
            accuracy.get(system.name),
            system.detail,
        )
        for system in systems
    ]


def row(
    workload: str,
    system: str,
    seconds: list[float],
    ours: float,
    accuracy: float | None,
    detail: str,
) -> dict[str, Any]:
    """One row of the table; ours: the median of jaxnet."""
    median = statistics.median(seconds) if seconds else None
    return {
        "workload": workload,
        "system": system,
        "seconds": seconds,
        "median": median,
        "ratio": None if median is None else median / ours,
        "accuracy": accuracy,
        "detail": detail,
    }
