"""Driving a planted bug through the checks that a user has, and saying what they made of it."""

import re
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from jaxnet.crosscheck.contracts import contract
from jaxnet.crosscheck.findings import Diagnosis, Explanation
from scripts.mutants.checks import CHECKS
from scripts.mutants.planting import Mutant, plant, right_copy


class Outcome(NamedTuple):
    """What became of a mutant.

    caught: every check that should find it did. by: those that did. rank: place of the first
    explanation that has the name, from 1; 0 if none has. explanations: their names, best first.
    """

    id: str
    bug: str
    caught: bool
    by: tuple[str, ...]
    named: bool
    rank: int
    explanations: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """As the JSON report has it."""
        return self._asdict()


class Control(NamedTuple):
    """A copy of the right code without a bug. why: what was found in it, "" if it was accepted."""

    contract: str
    check: str
    accepted: bool
    why: str


def outcome(mutant: Mutant) -> Outcome:
    """Plant the bug and see which checks catch it and whether one names it."""
    planted = plant(mutant)
    diagnoses = {name: _run(name, planted, mutant) for name in mutant.by}
    caught = tuple(name for name, diagnosis in diagnoses.items() if not diagnosis.agrees)
    explanations = _names([one for d in diagnoses.values() for one in d.explanations])
    rank = _rank(mutant.names, explanations)
    return Outcome(mutant.id, mutant.bug, caught == mutant.by, caught, rank > 0, rank, explanations)


def pairs(mutants: tuple[Mutant, ...]) -> list[tuple[Mutant, str]]:
    """Each function in which bugs are planted under each of its checks, once: (mutant, check)."""
    seen = {(one.contract, one.source, check): (one, check) for one in mutants for check in one.by}
    return list(seen.values())


def control(mutant: Mutant, check: str) -> Control:
    """What a check makes of the right copy of the function in which the bug is planted."""
    diagnosis = _run(check, right_copy(mutant), mutant)
    why = "" if diagnosis.agrees else " ".join(diagnosis.found)
    return Control(mutant.contract, check, diagnosis.agrees, why)


def _run(check: str, candidate: Callable[..., Any], mutant: Mutant) -> Diagnosis:
    """A check's Diagnosis; that it refuses what it was given, with an error, is one too."""
    if check == "contract":
        contract(mutant.contract)  # an unknown name is a mistake here, not a bug caught
    with _quiet():
        try:
            return CHECKS[check](candidate, mutant)
        except (ValueError, TypeError) as error:
            return Diagnosis(False, (f"{type(error).__name__}: {error}",))


@contextmanager
def _quiet() -> Iterator[None]:
    """NumPy's warnings are part of many a bug (log 0, 0/0); what they lead to must be caught."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _names(explanations: list[Explanation]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.name for one in explanations))


def _rank(wanted: tuple[str, ...], explanations: tuple[str, ...]) -> int:
    for rank, name in enumerate(explanations, start=1):
        if any(is_named(short, name) for short in wanted):
            return rank
    return 0


def is_named(short: str, name: str) -> bool:
    """Whether an explanation's name holds the short name, as whole words in a row.

    Both are brought into one spelling first: lower case, one kind of minus sign and apostrophe, no
    commas and colons. Words and not letters, because the short name of row 28 is "t". The detail of
    an explanation is not looked at.

    >>> is_named("factor m", "Factor m"), is_named("factor m", "factor 1/m"), is_named("t", "other")
    (True, False, False)
    """
    words, all_words = _words(short), _words(name)
    return any(
        all_words[i : i + len(words)] == words for i in range(len(all_words) - len(words) + 1)
    )


def _words(text: str) -> list[str]:
    text = unicodedata.normalize("NFC", text).lower()
    text = text.replace("−", "-").replace("'", "′").replace("’", "′")
    return re.sub(r"[,:;]", " ", text).split()
