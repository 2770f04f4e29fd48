"""What `jaxnet sweep` prints of a population: the best members, and the winner on the test set."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.table import Table

from jaxnet.cli.task import Task
from jaxnet.populations import Population
from jaxnet.training import Setup, evaluate


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def leaderboard(rows: Sequence[Mapping[str, Any]], hypers: Sequence[str], task: Task) -> Table:
    """A rich table of the first rows of a population's table; epochs are counted from 0."""
    table = Table(box=None, pad_edge=False)
    for heading in ("rank", "member", *hypers, "dev error", "at epoch", "of"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        error = task.said(row["score"]) if row["finite"] else "not finite"
        cells = [row["rank"], row["member"], *(row[name] for name in hypers)]
        ends = [error, row["best_epoch"], row["epochs"]]
        table.add_row(*map(_shown, [*cells, *ends]))
    return table


def verdict(population: Population, member: int, build: Callable[[Any], Setup], task: Task) -> str:
    """The winner, and its error on the test set, which is looked at here and nowhere else."""
    hyper = population.hyper(member)
    setup, best = build(hyper), population.member(member).best
    assert best is not None  # there is a dev set
    error = evaluate(setup.model, best.params, best.state, task.data.test, loss=setup.loss).error
    named = ", ".join(f"{name} {_shown(value)}" for name, value in hyper.items())
    return (
        f"the best is member {member}: {named}\n"
        f"its dev error is {task.said(population.scores[member])}, chosen among "
        f"{len(population.scores)}; its test error {task.said(task.scale * float(error))}"
    )
