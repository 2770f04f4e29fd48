"""Which single change of which equation gives what a candidate returned."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnet.crosscheck.comparison import compare
from jaxnet.crosscheck.equations.changes import Change, changes, everywhere
from jaxnet.crosscheck.equations.text import (
    FUNCTIONS,
    Equation,
    Equations,
    Values,
    iterate,
    names,
    quiet,
    value,
)
from jaxnet.crosscheck.findings import Explanation

EXPLAINED = 1e5
"""Terms (see `comparison.TERMS`) allowed in float64 between a candidate and a changed equation: the
order of the operations is the candidate's own, and a trajectory carries its rounding along. 2e-11
of the scale, far below what a bug does. In coarser dtypes compare's default: 1e-4 in float32."""

NEAR = 1e-2
"""A relative distance beyond which nothing agrees; cheap to know at once."""

FIRST = 3
"""Steps of a recurrence after which a change that does not fit is given up."""

SHARE = 0.01
"""An explanation leaves at most this share of the difference that it explains."""


def residual(left: Any, right: Any) -> float:
    """‖left − right‖ / ‖right‖ over the finite entries; infinite for another shape, or where one
    side is NaN or infinite and the other is not the same."""
    left, right = np.asarray(left), np.asarray(right)
    if left.shape != right.shape:
        return float("inf")
    finite = np.isfinite(left) & np.isfinite(right)
    if not np.array_equal(left[~finite], right[~finite], equal_nan=left.dtype.kind in "fc"):
        return float("inf")
    wide = np.result_type(left, right, np.float64)
    left, right = left[finite].astype(wide), right[finite].astype(wide)
    with quiet():
        size = float(np.linalg.norm(right))
        return float(np.linalg.norm(left - right)) / (size or 1.0)


def agree(left: Any, right: Any) -> bool:
    """Whether two arrays agree within the looser bound of an explanation.

    NaN and infinities agree here where both have the same: a changed equation that fails where the
    candidate fails explains it.
    """
    left, right = np.asarray(left), np.asarray(right)
    if not residual(left, right) <= NEAR:
        return False
    finite = np.isfinite(left)
    coarse = any(side.dtype.kind == "f" and side.dtype.itemsize < 8 for side in (left, right))
    terms = None if coarse else EXPLAINED
    return compare(left[finite], right[finite], terms=terms).agrees


def explained(left: Any, predicted: Any, before: float) -> float | None:
    """The residual that is left if the prediction explains the candidate, else None."""
    after = residual(left, predicted)
    return after if after <= SHARE * before and agree(left, predicted) else None


class Found(NamedTuple):
    """A change of one equation, and what it leaves."""

    line: Equation
    change: Change
    before: float
    after: float


def _slice(lines: Sequence[Equation], out: str, known: Collection[str]) -> list[Equation]:
    """The equations that lead to a result from what is known, in order."""
    wanted, needed = {out}, []
    for line in reversed(lines):
        if line.out in wanted:
            needed.append(line)
            wanted |= {
                name
                for source in names(line.tree)
                for name in (source, source.removesuffix("_prev"))
                if name not in known
            }
    return needed[::-1]


def _changed(
    lines: Sequence[Equation],
    given: Equations,
    values: Mapping[str, Any],
    run: Callable[[list[Equation]], Any],
    left: Any,
    right: Any,
) -> Iterator[Found]:
    """Every change of one of the lines after which the run gives what stands on the left."""
    before = residual(left, right)
    for line, change, tried in _tries(lines, given, values):
        try:
            predicted = run(tried)
        except Exception:  # shapes that do not fit, a name that is not there: no such bug
            continue
        after = explained(left, predicted, before)
        if after is not None:
            if _stretched(np.shape(predicted), np.shape(right)):
                change = change._replace(name="broadcast")
            yield Found(line, change, before, after)


def _stretched(shape: tuple[int, ...], right: tuple[int, ...]) -> bool:
    """Whether a result has become larger by stretching axes of length 1."""
    try:
        return shape != right and np.broadcast_shapes(shape, right) == shape
    except ValueError:
        return False


def _tries(
    lines: Sequence[Equation], given: Equations, values: Mapping[str, Any]
) -> Iterator[tuple[Equation, Change, list[Equation]]]:
    """Every change of one line, the last line first, then those of several lines at once."""
    for index in reversed(range(len(lines))):
        line = lines[index]
        rivals = [
            Change(name, rival.source, 0.8) for name, rival in given.rivals if rival.out == line.out
        ]
        for change in [*rivals, *changes(line, values, given.functions)]:
            yield line, change, _with(lines, line, change)
    for change, tried in everywhere(lines, values):
        first = next(old for old, new in zip(lines, tried, strict=True) if old.source != new.source)
        yield first, change, tried


def _with(lines: Sequence[Equation], changed: Equation, change: Change) -> list[Equation]:
    return [
        line._replace(source=change.source) if line.out == changed.out else line for line in lines
    ]


def _best(found: Iterator[Found]) -> list[Found]:
    """The simplest first; one of each name."""
    ranked: dict[str, Found] = {}
    for one in sorted(found, key=lambda one: one.change.cost):
        ranked.setdefault(one.change.name, one)
    return list(ranked.values())


def _merged(found: dict[str, list[Found]]) -> list[Explanation]:
    """Explanations of single results gathered by name: what explains most results comes first."""
    gathered: dict[str, list[tuple[str, Found]]] = {}
    for out, ones in found.items():
        for one in ones:
            gathered.setdefault(one.change.name, []).append((out, one))

    def rank(name: str) -> tuple[int, float]:
        return -len(gathered[name]), min(one.change.cost for _, one in gathered[name])

    return [
        Explanation(
            name,
            max(one.before for _, one in gathered[name]),
            max(one.after for _, one in gathered[name]),
            ", ".join(out for out, _ in gathered[name]),
            _account([one for _, one in gathered[name]]),
        )
        for name in sorted(gathered, key=rank)
    ]


def _account(found: list[Found]) -> str:
    first = found[0]
    account = f"{first.line.out} = {first.change.source} where the notes have {first.line.source}"
    others = dict.fromkeys(one.line.out for one in found if one.line.out != first.line.out)
    return account + (f"; likewise {', '.join(others)}" if others else "")


@quiet()
def _run_lines(lines: Sequence[Equation], environment: Mapping[str, Any], out: str) -> Any:
    environment = dict(environment)
    for line in lines:
        environment[line.out] = value(line.source, environment)
    return environment[out]


def locate(left: Mapping[str, Any], given: Equations, inputs: Values) -> list[Explanation]:
    """Which single changes of the equations make of the inputs what a candidate returned.

    left: results of the candidate by the names of the equations, in the reference's layout; those
    it does not return may be left out. inputs: everything the equations start from.

    Every result is computed from the candidate's own earlier results, where it returned them, so
    an error is found where it is made and not where it arrives. What was explained is taken over:
    later results are computed with the changed equation.
    Returns explanations, those of most results first; none where no single change explains.

    >>> from jaxnet.crosscheck.equations.text import equations
    >>> dZ, m = np.array([[1.0, 2.0, 6.0]]), 3
    >>> [one.name for one in locate({"db": dZ.sum(1)[:, None]}, equations("db = sum(dZ, 1) / m"),
    ...                             {"dZ": dZ, "m": m})]
    ['factor m']
    """
    lines = list(given.lines)
    outs = {line.out for line in lines}
    environment: Values = {**FUNCTIONS, **given.functions, **inputs}
    with quiet():
        for line in lines:  # the reference's values, for names that a change may bring in
            environment[line.out] = value(line.source, environment)
    values = {name: environment[name] for name in (*inputs, *outs)}
    seen: dict[str, Any] = dict(inputs)
    found: dict[str, list[Found]] = {}
    for original in given.lines:
        out = original.out
        if out not in left:
            continue
        leading = _slice(lines, out, seen)
        known = {**environment, **seen}
        right = _run_lines(leading, known, out)
        mine = np.asarray(left[out])
        # Nothing that comes from this result itself may explain it.
        around = {name: one for name, one in values.items() if name != out}

        def run(tried, known=known, out=out):
            return _run_lines(tried, known, out)

        fits = np.shape(right) == mine.shape
        if not agree(mine, right):
            ones = _best(_changed(leading, given, around, run, mine, right))
            if ones:
                found[out] = ones
                best = ones[0]
                lines = _with(lines, best.line, best.change)
        if fits and np.isfinite(mine).all():
            seen[out] = mine
    return _merged(found)


def follow(
    left: Mapping[str, Any], given: Equations, inputs: Values, steps: int
) -> list[Explanation]:
    """The same for a recurrence, such as an optimizer: the change is made at every step.

    left: trajectories with a leading axis of steps, of those results the candidate shows; inputs
    as for `text.iterate`: a tuple holds one value for each step, `…_prev` the first values.
    """
    right = iterate(given, inputs, steps)
    first = {
        name: one[0] if isinstance(one, tuple) else one
        for name, one in {
            **{line.out: right[line.out][0] for line in given.lines},
            **inputs,
        }.items()
    }
    found: dict[str, list[Found]] = {}
    for out in dict.fromkeys(line.out for line in given.lines):
        if out not in left:
            continue
        mine = np.asarray(left[out])
        if agree(mine, right[out]):
            continue
        leading = _slice(
            given.lines, out, inputs.keys() - {f"{line.out}_prev" for line in given.lines}
        )

        def run(tried, out=out, mine=mine):
            new = {line.out: line for line in tried}
            whole = given._replace(lines=tuple(new.get(line.out, line) for line in given.lines))
            start = iterate(whole, inputs, min(FIRST, steps))[out]
            # Most changes are refuted by the first steps, and need not go on.
            return iterate(whole, inputs, steps)[out] if agree(mine[:FIRST], start) else start

        found[out] = _best(_changed(leading, given, first, run, mine, right[out]))
    return _merged(found)
