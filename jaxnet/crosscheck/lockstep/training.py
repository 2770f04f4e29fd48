"""What can be taken step by step: records of a training, and a training that starts anywhere."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.crosscheck.comparison import as_array
from jaxnet.crosscheck.equations import Equations

Arrays = dict[str, Any]
"""Named arrays, in the reference's layout where they belong to a network of dense layers."""

Record = dict[str, Arrays]
"""One step: phase ↦ named arrays, each in the order in which they are computed."""

PHASES = ("batch", "start", "forward", "gradient", "update", "state")
"""In the order of computing, which is the order of comparing.

batch: which examples, as indices or as the arrays. start: parameters, optimizer state and running
statistics before the step. forward: Z and A of each layer, the cost J. gradient: of J by each
parameter, the last layer first, as backpropagation goes. update: the parameters after the step.
state: optimizer state and running statistics after the step. A record shows what it has of these.
"""


class Training(NamedTuple):
    """A training whose steps can be taken from any point, so that it can follow another.

    params, state: parameters, and optimizer state and running statistics, before the first step.
    step: (number from 1, what to start from, gradients to take in place of its own or None) ↦
        Record of that step. What to start from has the names of params and state; the gradient by
        a parameter is called "d" + its name.
    steps: how many there are.
    batch: number ↦ the record's "batch".
    errors: (number, what to start from) ↦ for arrays of the phases forward and gradient, how far
        a computed one may be from the exact one, in rounding units (`crosscheck.bounds`); or None.
    context: number ↦ the numbers of that step that may explain a difference: α, β, λ, m, B.
    equations: (number, phase, what the step started from, gradients) ↦ the notes' equations of that
        phase and all that they start from, for `equations.locate`; or None.
    """

    params: Arrays
    state: Arrays
    step: Callable[[int, Arrays, Arrays | None], Record]
    steps: int
    batch: Callable[[int], Arrays]
    errors: Callable[[int, Arrays], Record] | None = None
    context: Callable[[int], dict[str, Any]] = lambda number: {}
    equations: Callable[[int, str, Arrays, Arrays], tuple[Equations, Arrays]] | None = None


def records(training: Training) -> Iterator[Record]:
    """The records of a training that runs freely: each step starts from what the last one left."""
    at = start(training)
    for number in range(1, training.steps + 1):
        record = training.step(number, at, None)
        yield record
        at = after(record, at)


def start(training: Training) -> Arrays:
    """What its first step starts from."""
    return {**training.params, **training.state}


def after(record: Record, at: Arrays) -> Arrays:
    """What the next step starts from: what this one left, and what it did not show unchanged."""
    return {**at, **record.get("update", {}), **record.get("state", {})}


def read(given: Any, side: str, number: int) -> Record:
    """A record as NumPy arrays of its own: what it was made of may change in place later.

    Raises TypeError for what is not a mapping of phases, and leaves that are not numbers.
    """
    where = f"step {number} of {side}"
    if not isinstance(given, Mapping) or not all(isinstance(phase, str) for phase in given):
        raise TypeError(
            f"{where}: expected a mapping from phases ({', '.join(PHASES)}) to named arrays, got "
            f"{type(given).__name__} {given!r:.200}"
        )
    record = {phase: _named(tree, f"{where}, {phase}") for phase, tree in given.items()}
    order = [phase for phase in PHASES if phase in record]
    return {phase: record[phase] for phase in [*order, *(p for p in record if p not in PHASES)]}


def _named(tree: Any, where: str) -> Arrays:
    # A dict's own order, which JAX's flattening sorts away, says what was computed first.
    entries = tree.items() if isinstance(tree, Mapping) else [("", tree)]
    return {
        name: np.array(as_array(f"{where}: {name}", leaf))
        for top, branch in entries
        for path, leaf in jax.tree_util.tree_leaves_with_path(branch)
        for name in [f"{top}{jax.tree_util.keystr(path)}" or "result"]
    }
