"""`search`: sweeps that look for the best hyperparameters within a budget."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.data import Dataset
from jaxnet.populations import samplers
from jaxnet.populations.arguments import Training, check_training
from jaxnet.populations.hypers import as_columns
from jaxnet.populations.population import Part, Population, assemble
from jaxnet.populations.spaces import Space, check_space
from jaxnet.populations.store import Store, describe
from jaxnet.populations.sweep import (
    Progress,
    check_members,
    member_keys,
    train_members,
    watcher,
)
from jaxnet.training import Setup
from jaxnet.types import PRNGKey
from jaxnet.validation import check_choice, check_count, check_flag

STRATEGIES = ("random", "coarse_to_fine", "halving")
ROUNDS = 4
"""Boxes of coarse to fine; each has half the side of the one before, around the best so far."""
ETA = 3
"""Of the members at a rung of halving one in three goes on, for three times as many epochs."""


class Rung(NamedTuple):
    """How many members are trained until how many epochs."""

    members: int
    epochs: int


def rungs(budget: int, epochs: int) -> list[Rung]:
    """The rungs of successive halving within `budget` full trainings of `epochs` epochs.

    Rung k of K trains ⌈n/3ᵏ⌉ members until epochs/3^(K−k) epochs, at least one; n is the largest
    number for which the epochs of all, budget · epochs, suffice.

    >>> rungs(budget=20, epochs=27)
    [Rung(members=75, epochs=3), Rung(members=25, epochs=9), Rung(members=9, epochs=27)]
    """
    check_count("budget", budget)
    check_count("epochs", epochs)
    until = [epochs]
    while until[0] >= ETA and len(until) < 3:
        until.insert(0, until[0] // ETA)
    spent = np.diff([0, *until])

    def members(n: int) -> list[int]:
        return [-(-n // ETA**rung) for rung in range(len(until))]

    n = budget
    while np.dot(members(n + 1), spent) <= budget * epochs:
        n += 1
    return [Rung(*pair) for pair in zip(members(n), until, strict=True)]


def search(
    build: Callable[[Any], Setup],
    space: Space,
    data: Dataset,
    *,
    budget: int,
    strategy: str = "random",
    key: PRNGKey,
    batch_size: int | None,
    epochs: int,
    dev: Dataset | None = None,
    drop_last: bool = False,
    chunk: int | str = "auto",
    out: str | Path | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Population:
    """Look for good hyperparameters in a space, training no more than a budget allows.

    budget: what the whole may cost, in full trainings of `epochs` epochs.
    strategy: "random", budget independent points; "coarse_to_fine", a quarter of them in the whole
    space and the rest in three ever smaller boxes around the best point so far; "halving", more
    points than the budget has trainings, of which the better third goes on after a ninth and a
    third of the epochs, from where it stands, and the others are stopped.
    The rest as for `sweep`; points are drawn from one half of the key, members' randomness comes
    from the other, so the same key gives the same table, and with out and resume a search that was
    killed goes on after its last finished chunk and ends with that table.

    Returns the Population of all members, in the order in which they were drawn. A member that was
    stopped early has a shorter history ("epochs" in the table) and its score up to there; losers
    at a rung lose by that score, which is the lowest so far and falls only, so the winner of the
    table is one that was trained in full or was better without.
    Raises as `sweep`, and ValueError for a bad space, an unknown strategy, and a coarse-to-fine
    budget below its 4 rounds.
    Source: notes §7, tuning process (figs 75, 76); Jamieson and Talwalkar 2016 for halving.

    >>> import jaxnet
    >>> moons = jaxnet.data.datasets.moons(jax.random.key(0), 200, noise=0.1)
    >>> build = lambda h: jaxnet.Setup(jaxnet.mlp((2, 8, 2)), jaxnet.optimizers.adam(h["alpha"]))
    >>> found = search(build, {"alpha": ("log_uniform", 1e-4, 1.0)}, moons, dev=moons, budget=4,
    ...                strategy="halving", batch_size=50, epochs=18, key=jax.random.key(1))
    >>> [row["epochs"] for row in found.table()].count(18)
    2
    """
    check_space(space)
    check_count("budget", budget)
    check_choice("strategy", strategy, STRATEGIES)
    if strategy == "coarse_to_fine" and budget < ROUNDS:
        raise ValueError(f"budget: expected at least the {ROUNDS} rounds, got {budget}")
    training = check_training(build, data, dev, key, batch_size, epochs, drop_last, chunk)
    check_flag("resume", resume)
    points_key, run_key = jax.random.split(key)
    check_members(training, as_columns(samplers.random(points_key, space, 1)))
    store = None
    if out is not None:
        about = describe(training, key, space=space, budget=budget, strategy=strategy)
        store = Store.open(out, about, resume=resume)
    looking = _Looking(training, space, points_key, run_key, store, on_progress)
    return {"random": _random, "coarse_to_fine": _coarse_to_fine, "halving": _halving}[strategy](
        looking, budget
    )


class _Looking(NamedTuple):
    training: Training
    space: Space
    points_key: PRNGKey
    run_key: PRNGKey
    store: Store | None
    on_progress: Callable[[Progress], None] | None

    def at(self, stage: str) -> Store | None:
        return self.store and self.store._replace(stage=stage)


def _random(looking: _Looking, budget: int) -> Population:
    columns = as_columns(samplers.random(looking.points_key, looking.space, budget))
    keys = member_keys(looking.run_key, columns)
    watch = watcher(budget, looking.on_progress)
    parts = train_members(
        looking.training, columns, keys, store=looking.at("random"), on_chunk=watch
    )
    return assemble(columns, keys, parts)


def _coarse_to_fine(looking: _Looking, budget: int) -> Population:
    size = budget // ROUNDS
    watch = watcher(ROUNDS * size, looking.on_progress)
    done: list[tuple[dict[str, np.ndarray], Any, tuple[Part, ...]]] = []

    def evaluate(points: Mapping[str, Any]) -> np.ndarray:
        columns = as_columns(points)
        first = sum(len(next(iter(one[0].values()))) for one in done)
        keys = member_keys(looking.run_key, columns, first)
        store = looking.at(f"round{len(done)}")
        parts = train_members(looking.training, columns, keys, store=store, on_chunk=watch)
        done.append((columns, keys, parts))
        return assemble(columns, keys, parts).scores

    samplers.coarse_to_fine(looking.points_key, looking.space, evaluate, rounds=ROUNDS, size=size)
    columns, keys, members, parts = {}, [], 0, []
    for number, (some, their_keys, their_parts) in enumerate(done):
        for name, column in some.items():
            columns[name] = np.concatenate([columns[name], column]) if number else column
        parts += [part._replace(members=part.members + members) for part in their_parts]
        keys.append(their_keys)
        members += len(their_keys)
    return assemble(columns, jnp.concatenate(keys), tuple(parts))


def _halving(looking: _Looking, budget: int) -> Population:
    ladder = rungs(budget, looking.training.epochs)
    columns = as_columns(samplers.random(looking.points_key, looking.space, ladder[0].members))
    keys = member_keys(looking.run_key, columns)
    watch = watcher(sum(rung.members for rung in ladder), looking.on_progress)
    before: tuple[Part, ...] | None = None
    alive, begun, stopped = np.arange(ladder[0].members), 0, []
    for number, rung in enumerate(ladder):
        here = {name: column[alive] for name, column in columns.items()}
        parts = train_members(
            looking.training._replace(epochs=rung.epochs - begun),
            here,
            keys[alive],
            after=before,
            first_epoch=begun,
            store=looking.at(f"rung{number}"),
            on_chunk=watch,
        )
        there = assemble(here, keys[alive], parts)
        parts = tuple(
            _joined(part._replace(members=alive[part.members]), before[place] if before else None)
            for place, part in enumerate(parts)
        )
        if number + 1 == len(ladder):
            return assemble(columns, keys, (*stopped, *parts))
        survivors = alive[there.order()[: ladder[number + 1].members]]
        kept = [np.isin(part.members, survivors) for part in parts]
        stopped += [_some(part, ~keep) for part, keep in zip(parts, kept, strict=True)]
        going = [_some(part, keep) for part, keep in zip(parts, kept, strict=True) if keep.any()]
        # In the order in which train_members will find their programs: by the first member.
        before = tuple(sorted(going, key=lambda part: part.members[0]))
        alive, begun = np.sort(survivors), rung.epochs
    raise AssertionError("a ladder has a last rung")


def _joined(part: Part, before: Part | None) -> Part:
    """A part with the history of its earlier epochs in front."""
    if before is None:
        return part
    history = jax.tree.map(
        lambda old, new: np.concatenate([old, new], axis=1),
        before.runs.history,
        part.runs.history,
    )
    return part._replace(runs=part.runs._replace(history=history))


def _some(part: Part, chosen: np.ndarray) -> Part:
    runs = jax.tree.map(lambda leaf: leaf[chosen], part.runs)
    return Part(part.members[chosen], runs)
