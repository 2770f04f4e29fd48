"""Why two records part: the notes' equations, running averages, and the arrays around."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxnet.crosscheck.equations import locate
from jaxnet.crosscheck.explain import explain
from jaxnet.crosscheck.findings import Explanation
from jaxnet.crosscheck.lockstep.judgement import shape_of
from jaxnet.crosscheck.lockstep.pairs import Step
from jaxnet.crosscheck.lockstep.training import Arrays, Training


def explained(
    step: Step,
    previous: Step | None,
    part: Any,
    context: Mapping[str, Any],
    trainings: tuple[Any, Any],
) -> tuple[Explanation, ...]:
    """Likely causes of where two records part, best first.

    Parameters are explained by how they changed, which shows a factor of the learning rate that the
    parameters themselves hide. Around them stand the right's arrays of the other phases of this
    step, the parameters as they were before it, and its arrays of the step before.
    """
    assert step.left is not None and step.right is not None
    phase = part.phase
    left, right = step.left[phase], step.right[phase]
    if phase == "batch":
        return _another_order(step, left, right, trainings[1])
    wrong = [leaf.name for leaf in part.comparison.leaves if leaf.ratio > 1]
    wrong = [name for name in right if name in wrong and name in left]
    if phase == "forward":  # what comes after the first is its consequence
        wrong = [name for name in wrong if name == part.array]
    around = _around(step, previous)
    for one in trainings:
        if isinstance(one, Training):
            around |= one.context(step.number)
    around |= {"t": step.number, **context}
    if phase == "update":
        left, right = _changes(left, step.before), _changes(right, step.before)
        wrong = [f"Δ{name}" if f"Δ{name}" in right else name for name in wrong]
    around = {name: array for name, array in around.items() if name not in wrong}
    if not wrong:
        return ()
    causes = explain({n: left[n] for n in wrong}, {n: right[n] for n in wrong}, context=around)
    averages = [
        one
        for name in wrong
        if phase == "state" and name in step.before
        for one in _new_part(step, name, np.asarray(step.before[name]))
    ]
    return (*_located(step, phase, trainings[1]), *averages, *causes)


def _located(step: Step, phase: str, reference: Any) -> list[Explanation]:
    """The changes of the reference's equations that make of the same inputs what the left has."""
    assert step.left is not None and step.right is not None
    if not isinstance(reference, Training) or reference.equations is None:
        return []
    if not step.follows or phase == "start":
        return []
    at = {**step.right.get("start", {}), **step.left.get("start", {}), **step.before}
    gradients = step.left.get("gradient", step.right.get("gradient", {}))
    if not {*reference.params, *reference.state} <= at.keys() or not gradients:
        return []
    given, inputs = reference.equations(step.number, phase, at, gradients)
    outs = {line.out for line in given.lines}
    phases = ("forward", "gradient") if phase in ("forward", "gradient") else ("update", "state")
    shown = {name: array for one in phases for name, array in step.left.get(one, {}).items()}
    return locate({name: shown[name] for name in shown if name in outs}, given, inputs)


def _new_part(step: Step, name: str, before: np.ndarray) -> list[Explanation]:
    """A running average whose new part is c times what it should be, whatever its decay.

    right = d·before + (1−d)·new, left = d·before + (1−d)·c·new; so left − right is
    (c−1)·(right − d·before), two multiples that least squares finds.
    """
    assert step.left is not None and step.right is not None
    left, right = (side["state"][name].astype(float) for side in (step.left, step.right))
    if left.shape != right.shape or before.shape != right.shape or right.size < 4:
        return []
    terms = np.stack([right.ravel(), before.astype(float).ravel()], axis=1)
    apart = (left - right).ravel()
    if not (np.isfinite(terms).all() and np.isfinite(apart).all()) or not right.any():
        return []
    (more, less), *_ = np.linalg.lstsq(terms, apart, rcond=None)
    size = float(np.linalg.norm(right)) or 1.0
    start, rest = float(np.linalg.norm(apart)), float(np.linalg.norm(apart - terms @ [more, less]))
    decay = -less / more if more else -1.0
    if rest > 1e-3 * start or not 0 <= decay < 1:
        return []
    batch = step.right.get("batch", {}).get("indices")
    n = 0 if batch is None else batch.size
    exact = n > 1 and abs(more * (n - 1) - 1) < 1e-2
    named = "factor n/(n−1)" if exact else f"factor {1 + more:.6g} on what is new"
    detail = f"decay·{name} + (1 − decay)·{1 + more:.6g}·(what is new), decay = {decay:.6g}"
    detail += f", n = {n} the batch" if exact else ""
    return [Explanation(named, start / size, rest / size, name, detail)]


def _around(step: Step, previous: Step | None) -> dict[str, Any]:
    assert step.right is not None
    around: dict[str, Any] = {}
    if previous is not None and previous.right is not None:
        for phase in ("forward", "gradient", "state"):
            earlier = previous.right.get(phase, {})
            around |= {f"{name} of the previous step": array for name, array in earlier.items()}
    around |= {
        name: step.before[name] for name in step.right.get("update", {}) if name in step.before
    }
    for phase in ("forward", "gradient", "state"):
        around |= step.right.get(phase, {})
    return around


def _changes(arrays: Arrays, before: Arrays) -> Arrays:
    return {
        f"Δ{name}": array - np.asarray(before[name], array.dtype)
        if shape_of(before, name) == array.shape
        else array
        for name, array in arrays.items()
    }


def _another_order(step: Step, left: Arrays, right: Arrays, other: Any) -> tuple[Explanation, ...]:
    """Where the left's batch is found instead: in another order, at another step of the right."""
    if "indices" not in left or "indices" not in right:
        return ()
    mine, theirs = left["indices"], right["indices"]
    detail = ""
    if sorted(mine.ravel().tolist()) == sorted(theirs.ravel().tolist()):
        detail = "the same examples in another order within the batch"
    elif isinstance(other, Training):
        found = [
            number
            for number in range(1, other.steps + 1)
            if np.array_equal(other.batch(number)["indices"], mine)
        ]
        if found:
            detail = f"the batch that the right takes at step {found[0]}"
    if detail:
        return (Explanation("permutation", 1.0, 0.0, "indices", detail),)
    shared = int(np.isin(mine, theirs).sum())
    detail = f"{shared} of {mine.size} examples are in the right's batch of {theirs.size}"
    return (Explanation("other examples", 1.0, 1.0, "indices", detail),)
