"""The answer of the lockstep: where two trainings part, or how close they came to parting."""

from typing import Any, NamedTuple

from jaxnet.crosscheck.comparison import Comparison
from jaxnet.crosscheck.findings import Explanation

SHOWN = 5
"""Explanations that are printed; `Divergence.explanations` has all."""


class Margin(NamedTuple):
    """How close a phase came to its bound: at which step and array, and |difference|/bound there.

    relative_error, bound: beside the scale of the array, as in `comparison.Leaf`.
    """

    step: int
    array: str
    ratio: float
    relative_error: float
    bound: float

    def __str__(self) -> str:
        return (
            f"{self.array} at step {self.step}, {self.relative_error:.2g} of its scale where "
            f"{self.bound:.2g} is allowed ({self.ratio:.2g} of the bound)"
        )


class Divergence(NamedTuple):
    """Outcome of `first_divergence`.

    agrees: whether no step differs. step, phase, array: the first that does, or 0, "", "". found:
    what is wrong there, a sentence. comparison: the arrays of that phase, worst first, or None
    where there is nothing to compare. explanations: likely causes, best first. steps: how many
    agreed in every phase. worst: for each phase how close it came to its bound before it failed.
    notes: what was not compared and why, a sentence each.
    """

    agrees: bool
    step: int
    phase: str
    array: str
    found: str
    comparison: Comparison | None
    explanations: tuple[Explanation, ...]
    steps: int
    worst: dict[str, Margin]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        count = f"{self.steps} step{'' if self.steps == 1 else 's'}"
        if self.agrees:
            lines = [f"the two trainings agree for {count}"]
        else:
            place = ", ".join(part for part in (self.phase, self.array) if part)
            lines = [f"the two trainings part at step {self.step}, {place}: {self.found}"]
        if self.comparison is not None:
            lines += [f"  {line}" for line in str(self.comparison).splitlines()[1:]]
        if self.explanations:
            best = self.explanations[:SHOWN]
            lines += ["likely causes, best first:"]
            lines += [f"  {rank}. {one}" for rank, one in enumerate(best, start=1)]
            more = len(self.explanations) - len(best)
            lines += [f"  and {more} more"] * bool(more)
        elif self.comparison is not None:
            lines += ["no known way to differ explains it"]
        if self.worst:
            before = "" if self.agrees else "everything before agrees; "
            lines += [f"{before}closest to its bound came"]
            lines += [f"  {phase}: {margin}" for phase, margin in self.worst.items()]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data, for json.dumps."""
        return self._asdict() | {
            "comparison": None if self.comparison is None else self.comparison.as_dict(),
            "explanations": [one._asdict() for one in self.explanations],
            "worst": {phase: margin._asdict() for phase, margin in self.worst.items()},
            "notes": list(self.notes),
        }
