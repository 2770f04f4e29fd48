"""Planted bugs: the rows of `design/mutants.md`, and others that nobody listed.

planting       a bug put into a copy of the right code
gradients, optimizers, statistics, loops
               the listed bugs, by topic
unlisted, unlisted_data
               others of the same families, at which the hypotheses were looked at as well
fresh, fresh_data
               others again, written after the hypotheses were
right          right code for what the project does inside larger functions
checks         the checks that a user has
drive          putting a bug before them, and what they make of it
"""

from scripts.mutants import (
    fresh,
    fresh_data,
    gradients,
    loops,
    optimizers,
    statistics,
    unlisted,
    unlisted_data,
)
from scripts.mutants.planting import Mutant


def _in_order(mutants: tuple[Mutant, ...]) -> tuple[Mutant, ...]:
    return tuple(sorted(mutants, key=lambda one: (int(one.id.strip("uvabcdef")), one.id)))


LISTED = _in_order(gradients.MUTANTS + optimizers.MUTANTS + statistics.MUTANTS + loops.MUTANTS)
"""The rows of `design/mutants.md`, rows with several bugs split into several."""

UNLISTED = _in_order(unlisted.MUTANTS + unlisted_data.MUTANTS)
"""Bugs of the same families that are not among them."""

FRESH = _in_order(fresh.MUTANTS + fresh_data.MUTANTS)
"""The same, written when the hypotheses were there: how far do they reach?"""
