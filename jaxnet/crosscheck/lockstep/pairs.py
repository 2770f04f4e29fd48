"""The records of two runs side by side, one at a time, one run following the other if it can."""

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from jaxnet.crosscheck.lockstep.training import (
    Arrays,
    Record,
    Training,
    after,
    read,
    records,
    start,
)


class Step(NamedTuple):
    """One step of both runs.

    left, right: the records; None for a run that has ended. before: what the right's step started
    from, as far as it is known. follows: whether both started from the same numbers.
    """

    number: int
    left: Record | None
    right: Record | None
    before: Arrays
    follows: bool


def side_by_side(run_a: Any, run_b: Any) -> Iterator[Step]:
    """The steps of two runs, up to the first at which one has ended.

    The right follows the left where it is a `Training`; else the left follows the right where that
    is one; else both run freely. Nothing but the step before is kept.
    """
    if isinstance(run_b, Training):
        yield from _led(_iterated(run_a, "run_a"), run_b, "run_a")
    elif isinstance(run_a, Training):
        for step in _led(_iterated(run_b, "run_b"), run_a, "run_b"):
            yield step._replace(left=step.right, right=step.left)
    else:
        yield from _free(_iterated(run_a, "run_a"), _iterated(run_b, "run_b"))


def _iterated(run: Any, name: str) -> Iterator[Any]:
    run = run() if callable(run) else run
    if isinstance(run, Training):
        return records(run)
    if not isinstance(run, Iterable) or isinstance(run, dict | str):
        raise TypeError(
            f"{name}: expected a Training, an iterable of records, one for each step, or a "
            f"function that returns one, got {type(run).__name__} {run!r:.200}"
        )
    return iter(run)


def _free(left: Iterator[Any], right: Iterator[Any]) -> Iterator[Step]:
    before: Arrays = {}
    for number in count(1):
        one, other = next(left, None), next(right, None)
        one = None if one is None else read(one, "run_a", number)
        other = None if other is None else read(other, "run_b", number)
        before = {**before, **({} if other is None else other.get("start", {}))}
        yield Step(number, one, other, before, follows=False)
        if one is None or other is None:
            return
        before = after(other, before)


def _led(leader: Iterator[Any], follower: Training, side: str) -> Iterator[Step]:
    """The leader's records on the left; each step of the follower starts from where it stands."""
    at, left_by = start(follower), None
    for number in count(1):
        given = next(leader, None)
        led = None if given is None else read(given, side, number)
        if led is None or number > follower.steps:
            yield Step(number, led, None if number > follower.steps else {}, at, follows=False)
            return
        stands = {**(left_by or {}), **led.get("start", {})}
        started = {
            name: stands[name] if _fits(stands, name, own) else own for name, own in at.items()
        }
        record = follower.step(number, started, _gradients(led, follower))
        # The leader should start where the follower did, and from then on where it ended itself.
        begins = at if left_by is None else left_by
        follows = all(_fits(stands, name, own) for name, own in follower.params.items())
        own = read({**record, "start": begins}, "the run that follows", number)
        yield Step(number, led, own, started, follows)
        at, left_by = after(own, started), after(led, {})


def _fits(arrays: Arrays, name: str, own: Any) -> bool:
    return name in arrays and np.shape(arrays[name]) == np.shape(own)


def _gradients(led: Record, follower: Training) -> Arrays | None:
    """The leader's gradients, if it shows one for each of the follower's parameters."""
    grads = led.get("gradient", {})
    fit = all(_fits(grads, f"d{name}", own) for name, own in follower.params.items())
    return grads if fit else None
