"""Contracts of whole runs: stopped and resumed, and many members at once."""

import copy
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxnet.crosscheck.comparison import as_array, compare, named_arrays
from jaxnet.crosscheck.contracts.contract import (
    Candidate,
    Contract,
    Refused,
    contract_of,
    explained,
    titled,
)
from jaxnet.crosscheck.equations.locate import residual
from jaxnet.crosscheck.explain.surroundings import short
from jaxnet.crosscheck.findings import Diagnosis, Explanation

# ------------------------------------------------------------------ resuming

WHOLE, PARTS = 13, (5, 8)


def _resume(candidate: Candidate) -> Diagnosis:
    """13 steps in one go, and 5 and then 8 more from what was saved: the same, bit for bit."""

    def train(steps: int, saved: Any = None) -> Any:
        return candidate(steps, copy.deepcopy(saved)) if saved is not None else candidate(steps)

    whole, half = train(WHOLE), train(PARTS[0])
    resumed = train(PARTS[1], half)
    if any(not np.array_equal(a, b) for a, b in _leaves(whole, train(WHOLE))):
        detail = "two runs of the same steps differ"
        cause = Explanation("not a function of its arguments", 1.0, 0.0, "", detail)
        return Diagnosis(False, (detail,), (cause,), ("the same run twice",))
    if jax.tree.structure(whole) != jax.tree.structure(resumed):
        raise Refused("expected the saved state to have one form, resumed or not")
    names = list(named_arrays(whole))
    differ = [
        name
        for name, (a, b) in zip(names, _leaves(whole, resumed), strict=True)
        if not np.array_equal(a, b)
    ]
    check = (
        f"{PARTS[0]} + {PARTS[1]} steps are {WHOLE}, bit for bit, in each of {len(names)} leaves"
    )
    if not differ:
        return Diagnosis(True, (), (), (check,))
    found = f"after resuming, these differ from the run in one go: {', '.join(map(short, differ))}"
    return Diagnosis(False, (found,), tuple(_lost(train, differ)), (check,))


def _leaves(one: Any, other: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return [(as_array("leaf", a), as_array("leaf", b)) for a, b in pairs]


def _distance(one: Any, other: Any) -> float:
    return max(residual(a, b) for a, b in _leaves(one, other))


CUTS = ((5, 8), (1, 1), (4, 9), (9, 1), (12, 1))
"""(steps done, steps to go): a leaf that no continuation reads, whatever the cut, is not restored.

One alone would blame a leaf that happens not to be read there, such as a best that is beaten."""


def _lost(train, differ: list[str]) -> list[Explanation]:
    """Leaves that could as well be those of the start: putting those in changes nothing."""
    fresh = train(0)
    names, structure = list(named_arrays(fresh)), jax.tree.structure(fresh)
    before, after = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for done, to_go in CUTS:
        half, whole = train(done), train(done + to_go)
        resumed = train(to_go, half)
        for index, name in enumerate(names):
            leaves = jax.tree.leaves(copy.deepcopy(half))
            leaves[index] = jax.tree.leaves(fresh)[index]
            before[name] = max(before[name], _distance(resumed, whole))
            try:
                apart = _distance(resumed, train(to_go, jax.tree.unflatten(structure, leaves)))
            except Exception:  # it is read, and does not fit the others
                apart = np.inf
            after[name] = max(after[name], apart)
    causes = []
    for name in sorted(names, key=lambda name: name not in differ):
        detail = f"resuming goes on as if {short(name)} were at its start"
        called = f"lost on resuming, which leaf: {short(name)}"
        causes += explained(called, before[name], after[name], detail, short(name))
    if not causes:
        detail = "every leaf saved is read; what is lost was never saved"
        called = "lost on resuming, which leaf: one not saved"
        causes = [Explanation(called, max(before.values()), max(before.values()), "", detail)]
    return causes


# ------------------------------------------------------------------ populations

SEEDS = (3, 8, 5, 11)
MEMBER_RATES = (0.1, 0.1, 0.03, 0.3)


def _population(candidate: Candidate) -> Diagnosis:
    """Every member as it is alone; another seed another member; in any order."""

    def train(indices: list[int]) -> list[Any]:
        seeds = np.array([SEEDS[i] for i in indices])
        rates = np.array([MEMBER_RATES[i] for i in indices])
        result = candidate(seeds, rates)
        sizes = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(result)}
        if sizes != {(len(indices),)}:
            raise Refused(f"expected {len(indices)} members along the first axis, got {sizes}")
        return [
            jax.tree.map(lambda leaf, i=i: np.asarray(leaf)[i], result) for i in range(len(indices))
        ]

    everyone = list(range(len(SEEDS)))
    together, alone = train(everyone), [train([i])[0] for i in everyone]
    differ = [i for i in everyone if not compare(together[i], alone[i], terms=1e5).agrees]
    found, causes = [], []
    if differ:
        found.append(f"members {differ} are not what they are alone")
        before = max(_distance(together[i], alone[i]) for i in differ)
        causes += _leaks(candidate, together, alone, before)
        if not causes:
            backwards = train(everyone[::-1])[::-1]
            moved = [
                i for i in everyone if not compare(together[i], backwards[i], terms=1e5).agrees
            ]
            detail = f"members {moved} change with the order of the members: state is carried over"
            if moved:
                causes.append(Explanation("leak across runs: state", before, 0.0, "", detail))
            else:
                detail = "members depend on which others there are"
                causes.append(Explanation("leak across runs", before, 0.0, "", detail))
    same = compare(together[0], together[1]).agrees
    if same:
        found.append("members with seeds 3 and 8 and one learning rate are the same")
        detail = "the seed of a member does not matter"
        causes.append(Explanation("leak across runs: shared randomness", 1.0, 0.0, "", detail))
    checks = (f"{len(SEEDS)} members, each as alone (one-element calls), in any order",)
    return Diagnosis(not found, tuple(found), tuple(causes), checks)


def _leaks(candidate, together, alone, before: float) -> list[Explanation]:
    """Whether each member is what another seed or another learning rate gives alone."""
    causes: list[Explanation] = []
    for what, seeds, rates in (
        ("shared randomness: the first member's seed", [SEEDS[0]] * 4, MEMBER_RATES),
        ("shared randomness: the last member's seed", [SEEDS[-1]] * 4, MEMBER_RATES),
        ("the first member's learning rate", SEEDS, [MEMBER_RATES[0]] * 4),
        ("the last member's learning rate", SEEDS, [MEMBER_RATES[-1]] * 4),
    ):
        others = [
            candidate(np.array([s]), np.array([r])) for s, r in zip(seeds, rates, strict=True)
        ]
        first = [jax.tree.map(lambda leaf: np.asarray(leaf)[0], other) for other in others]
        after = max(_distance(a, b) for a, b in zip(together, first, strict=True))
        causes += explained(f"leak across runs: {what}", before, after, "all members have it")
    return causes


def contracts() -> Iterator[Contract]:
    """training.resume and training.population."""
    yield contract_of(
        "training.resume",
        "(steps, saved=None)",
        "Any training: steps from the start, or from what an earlier call returned ↦ all that "
        "goes on needs (params, averages, t, key, …), as a pytree of arrays; 0 steps give the "
        "start.",
        [titled("stopped and resumed", _resume)],
    )
    yield contract_of(
        "training.population",
        "(seeds, learning_rates)",
        "Any training of many members: both (members,) ↦ results with members along the first "
        "axis. Called with one member for what it is alone.",
        [titled("members", _population)],
    )
