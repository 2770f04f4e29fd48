"""`first_divergence`: the first step, phase and array in which two trainings differ.

Two correct trainings drift apart: every step hands its rounding on, and a network that learns
amplifies it, Adam even to its full step where a gradient is itself nothing but rounding. A bound
that allows for this over a hundred steps is blind, one that does not raises false alarms. So one
side *follows* the other: it takes every step from where the other stands, and its update from the
other's gradient, once that was compared. Each phase is then judged by itself: its inputs are the
same numbers on both sides, its bound is that of one phase of one step, whatever the step, and the
first phase that is out of bounds is where the error is made. A bug that lives in the state, such
as a velocity not carried along, shows in the state, or in where the leading side starts its next
step, which is compared with where it ended its last.

Following needs a side that can start anywhere (`Training`; the adapters of `runs` make them).
Records of two runs that have already happened can only be compared as they are: see `drifted`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxnet.crosscheck.comparison import Comparison
from jaxnet.crosscheck.lockstep.causes import explained
from jaxnet.crosscheck.lockstep.divergence import Divergence, Margin
from jaxnet.crosscheck.lockstep.judgement import (
    bounds_of_phase,
    compare_phase,
    drifted,
    kink_between,
    unshown,
)
from jaxnet.crosscheck.lockstep.pairs import Step, side_by_side
from jaxnet.crosscheck.lockstep.training import Record, Training


class Part(NamedTuple):
    """Where two records part: phase, array, what is wrong in a sentence, and the comparison."""

    phase: str
    array: str
    found: str
    comparison: Comparison | None


class Judged(NamedTuple):
    """One step of both: where they part, or None; how close each phase came; a kink in between."""

    part: Part | None
    margins: dict[str, Margin]
    kink: str


def first_divergence(
    run_a: Any,
    run_b: Any,
    *,
    steps: int | None = None,
    bound: Any = None,
    terms: float | int | None = None,
    context: Mapping[str, Any] | None = None,
) -> Divergence:
    """Take two trainings in lockstep and find the first step, phase and array that differ.

    run_a: the candidate, on the left. run_b: the reference, on the right. Each is a `Training`, as
    `lockstep.runs` makes them of the reference, a jaxnet Setup, a torch module and so on; or an
    iterable of records, one for each step, or a function that returns one. A record maps phases to
    named arrays: "batch", "start", "forward", "gradient", "update", "state" (see
    `training.PHASES`), as many of them as there are. It is used and forgotten: of both runs only
    the step before is kept.

    run_b follows run_a if it is a Training, else run_a run_b if that is one: every step starts from
    the other's numbers, and is explained with the notes' equations where run_b knows them.
    steps: stop after so many. bound: by phase, or by phase and array: how far entries may be apart,
    in place of what is derived, |left − right| ≤ u·terms·scale a side for most phases, closer ones
    for the reference's forward and backward pass and for updates (`judgement.bounds_of_phase`).
    terms: as in `compare`. context: numbers and arrays that may explain a difference.

    Returns a Divergence, which prints as text; as_dict() is for a file. Gradients of a step in
    which a pre-activation Z has another sign on either side, so that a kink lies in between, are
    counted and not judged.
    Raises TypeError for what is not a run or a record; ValueError for runs without a step or
    without an array in common, and a bound of an unknown phase.

    >>> left = [{"update": {"W": 1.0}}, {"update": {"W": 2.0}}]
    >>> right = [{"update": {"W": 1.0}}, {"update": {"W": 2.5}}]
    >>> found = first_divergence(left, right)
    >>> found.agrees, found.step, found.phase, found.array
    (False, 2, 'update', 'W')
    """
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
        raise ValueError(f"steps: expected a whole number of at least 1 or None, got {steps!r}")
    if bound is not None and not isinstance(bound, Mapping):
        raise TypeError(
            f"bound: expected a mapping by phase, such as {{'gradient': 1e-9}}, got {bound!r}"
        )
    trainings, given = (run_a, run_b), dict(bound or {})
    worst: dict[str, Margin] = {}
    kinks: list[str] = []
    notes: tuple[str, ...] = ()
    previous: Step | None = None
    done = 0

    def outcome(number: int, part: Part | None, explanations: Any = ()) -> Divergence:
        phase, array, found, comparison = part or ("", "", "", None)
        said = (*notes, *_kinks_note(kinks, done))
        agrees = part is None
        return Divergence(
            agrees, number, phase, array, found, comparison, tuple(explanations), done, worst, said
        )

    for step in side_by_side(run_a, run_b):
        if steps is not None and step.number > steps:
            break
        if step.left is None or step.right is None:
            if step.left is None and step.right is None:
                break
            ended, other = ("run_a", "run_b") if step.left is None else ("run_b", "run_a")
            found = f"{ended} ends after {done} steps, {other} goes on"
            return outcome(step.number, Part("end", "", found, None))
        if previous is None:
            notes = unshown(step)
            unknown = set(given) - set(step.right)
            if unknown:
                raise ValueError(
                    f"bound: expected phases among {', '.join(step.right)}, got "
                    f"{', '.join(sorted(unknown))}"
                )
        elif part := _other_arrays(step, previous):
            return outcome(step.number, part)
        judged = _judge(step, previous, given, terms, _errors(trainings, step))
        if not judged.margins and judged.part is None:
            raise ValueError(
                f"run_a, run_b: expected records with an array in common, got "
                f"{_contents(step.left)} and {_contents(step.right)}"
            )
        for phase, margin in judged.margins.items():
            if phase not in worst or margin.ratio > worst[phase].ratio:
                worst = {**worst, phase: margin}
        if judged.part is not None:
            causes = explained(step, previous, judged.part, context or {}, trainings)
            return outcome(step.number, judged.part, causes)
        kinks += [f"{judged.kink} at step {step.number}"] if judged.kink else []
        previous, done = step, step.number
    if done == 0:
        raise ValueError("run_a, run_b: expected at least one step, got none from either")
    if len(kinks) == done:
        found = "no gradient could be judged: at every step a kink lies between the two"
        return outcome(done, Part("gradient", "", found, None))
    return outcome(0, None)


def _judge(
    step: Step,
    previous: Step | None,
    given: Mapping[str, Any],
    terms: float | int | None,
    errors: Record,
) -> Judged:
    assert step.left is not None and step.right is not None
    drift = 0.0 if step.follows else drifted(previous)
    margins: dict[str, Margin] = {}
    kink = ""
    for phase in step.right:
        if phase not in step.left:
            continue
        bounds = bounds_of_phase(step, phase, given.get(phase), errors, terms, drift)
        comparison = compare_phase(step, phase, bounds)
        if comparison is None:
            continue
        if not comparison.agrees and phase == "gradient":
            kink = kink_between(step)
            if kink:
                continue
        if not comparison.agrees:
            ratios = {leaf.name: leaf for leaf in comparison.leaves}
            shown = [*step.right[phase], *step.left[phase]]
            array = next(name for name in shown if name in ratios and ratios[name].ratio > 1)
            found = _sentence(step, phase, ratios[array])
            return Judged(Part(phase, array, found, comparison), margins, kink)
        leaf = comparison.leaves[0]
        margins[phase] = Margin(step.number, leaf.name, leaf.ratio, leaf.relative_error, leaf.bound)
    return Judged(None, margins, kink)


def _sentence(step: Step, phase: str, leaf: Any) -> str:
    if leaf.problem:
        return leaf.problem
    if phase == "batch":
        return "the two take other examples, or the same in another order"
    if phase == "start" and step.number > 1 and step.follows:
        return f"not what step {step.number - 1} left, so it was changed or lost between the steps"
    apart = f"{leaf.relative_error:.3g} of its scale apart at {list(leaf.index)}"
    return f"{apart}, {leaf.ratio:.3g} times the bound"


def _other_arrays(step: Step, previous: Step) -> Part | None:
    """A side that no longer shows what it showed one step earlier."""
    pairs = (("run_a", step.left, previous.left), ("run_b", step.right, previous.right))
    for side, now, then in pairs:
        assert now is not None and then is not None
        # What a side starts from is not its own choice where it follows.
        for phase in [phase for phase in {**then, **now} if phase != "start"]:
            shown, before = set(now.get(phase, {})), set(then.get(phase, {}))
            if shown != before:
                more, less = sorted(shown - before), sorted(before - shown)
                found = f"{side} shows other arrays than one step earlier: " + "; ".join(
                    [f"{', '.join(more)} more"] * bool(more)
                    + [f"{', '.join(less)} no more"] * bool(less)
                )
                return Part(phase, (more + less)[0], found, None)
    return None


def _errors(trainings: tuple[Any, Any], step: Step) -> Record:
    """The derived errors of either side, where both start from the same numbers."""
    for one in trainings:
        if isinstance(one, Training) and one.errors is not None and step.follows:
            return one.errors(step.number, step.before)
    return {}


def _contents(record: Record) -> str:
    return (
        ", ".join(f"{phase}: {' '.join(arrays)}" for phase, arrays in record.items()) or "nothing"
    )


def _kinks_note(kinks: list[str], done: int) -> tuple[str, ...]:
    if not kinks:
        return ()
    return (
        f"gradients of {len(kinks)} of {done} steps were not judged, a kink lies between the two: "
        + "; ".join(kinks[:3]),
    )
