"""What a diagnosis consists of: explanations that were tested, and the account of a whole check."""

from typing import NamedTuple

SHOWN = 8
"""Explanations that are printed; those after them say the same in more words."""


class Explanation(NamedTuple):
    """One hypothesis about how two results differ, after it was tested.

    name: short, in the field's words: "factor m", "transpose", "ε placement". leaf: the array it is
    about, "" for all of them. detail: one sentence. residual_before, residual_after: the relative
    distance ‖left − right‖/‖right‖ as it is, and after the inverse of the hypothesis was applied; a
    hypothesis that explains everything leaves rounding alone.
    """

    name: str
    residual_before: float
    residual_after: float
    leaf: str = ""
    detail: str = ""

    def __str__(self) -> str:
        where = f"{self.leaf}: " if self.leaf else ""
        about = f": {self.detail}" if self.detail else ""
        return (
            f"{where}{self.name}{about} "
            f"(residual {self.residual_before:.2g} → {self.residual_after:.2g})"
        )


class Diagnosis(NamedTuple):
    """Outcome of checking a candidate.

    agrees: whether every check passed. found: what is wrong, a sentence or a table each.
    explanations: the hypotheses that explain it, best first. checks: what was run, a line each, so
    that a pass says what it rests on.
    """

    agrees: bool
    found: tuple[str, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    checks: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = ["agrees" if self.agrees else "DISAGREES", *self.found]
        if self.explanations:
            lines += ["likely causes, best first:"]
            shown = self.explanations[:SHOWN]
            lines += [f"  {rank}. {one}" for rank, one in enumerate(shown, start=1)]
            more = len(self.explanations) - len(shown)
            lines += [f"  and {more} more"] if more else []
        elif not self.agrees:
            lines += ["no known way to differ explains it; what agrees narrows it down:"]
        lines += ["checked:", *(f"  {check}" for check in self.checks)]
        return "\n".join(lines)
