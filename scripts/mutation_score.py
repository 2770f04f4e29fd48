"""How many planted bugs the cross-check catches, and how many it can name.

    python -m scripts.mutation_score [--json FILE]

Every row of `design/mutants.md` is planted in a copy of the right code and given to the checks that
a user has. One line for each: caught or not, by what, whether an explanation has the short name of
the row (and which place it has), and the best explanation. Then the same for bugs of the same
families that nobody listed, for others again that were written when the hypotheses were there, and
for the right code without a bug, which must be accepted.

Exit status 1 if a listed bug is not caught, if right code is refused, or if fewer than nine in ten
of the listed bugs are named.
"""

import argparse
import itertools
import json
import multiprocessing
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from scripts.mutants import FRESH, LISTED, UNLISTED
from scripts.mutants.drive import Control, Outcome, control, outcome, pairs

NAMED_AT_LEAST = 0.9
"""Share of the listed bugs that must be named: nine in ten (the project's own requirement)."""

PROCESSES = 2
"""At once; the checks are many small computations, of which one process uses one core."""


def score(outcomes: list[Outcome]) -> dict[str, Any]:
    """Mutants as data, with how many there are, are caught and are named."""
    return {
        "mutants": [one.as_dict() for one in outcomes],
        "total": len(outcomes),
        "caught": sum(one.caught for one in outcomes),
        "named": sum(one.named for one in outcomes),
        "named_first": sum(one.rank == 1 for one in outcomes),
    }


def passed(listed: dict[str, Any], right: list[Control]) -> bool:
    """Whether every listed bug is caught, nine in ten named, and no right code refused."""
    enough = listed["named"] >= NAMED_AT_LEAST * listed["total"]
    return listed["caught"] == listed["total"] and enough and all(one.accepted for one in right)


def line(one: Outcome) -> str:
    """One mutant on one line."""
    caught = "caught" if one.caught else "MISSED"
    named = f"named {one.rank}" if one.named else "unnamed"
    best = one.explanations[0] if one.explanations else "–"
    by = ", ".join(one.by) or "–"
    return f"{one.id:>4}  {one.bug:<66}  {caught}  by {by:<26}  {named:<8}  {best}"


def totals(what: str, scored: dict[str, Any]) -> str:
    """The sums of a table in words."""
    return (
        f"{what}: {scored['caught']} of {scored['total']} caught, {scored['named']} named "
        f"({scored['named_first']} by the first explanation)"
    )


def _table(title: str, found: Iterable[Outcome], show: Callable[[str], None]) -> dict[str, Any]:
    show(title)
    outcomes = []
    for one in found:
        outcomes.append(one)
        show(line(one))
    return score(outcomes)


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; 0 if the cross-check passed, 1 if not."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.mutation_score",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results to this file")
    options = parser.parse_args(arguments)

    def show(text: str) -> None:
        print(text, flush=True)

    # Processes of their own, started anew: a fork of a process that runs JAX may hang.
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        every = LISTED + UNLISTED + FRESH
        found = pool.map(outcome, every)
        accepted = pool.map(control, *zip(*pairs(every), strict=True))
        listed = _table("listed in design/mutants.md", itertools.islice(found, len(LISTED)), show)
        unlisted = _table("\nnot listed", itertools.islice(found, len(UNLISTED)), show)
        fresh = _table("\nnot listed, written after the hypotheses", found, show)
        right = list(accepted)
    refused = [one for one in right if not one.accepted]
    for one in refused:
        show(f"\nREFUSED though right: {one.contract} by {one.check}\n{one.why}")
    show(
        f"\n{totals('listed', listed)}\n{totals('not listed', unlisted)}\n"
        f"{totals('not listed, written after the hypotheses', fresh)}\n"
        f"right code: {len(right) - len(refused)} of {len(right)} accepted"
    )
    if options.json:
        report = {**listed, "unlisted": unlisted, "fresh": fresh}
        report |= {"controls": [one._asdict() for one in right]}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    return 0 if passed(listed, right) else 1


if __name__ == "__main__":
    sys.exit(main())
