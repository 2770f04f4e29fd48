"""Contracts of decisions: when to stop, and what share of the predictions is right."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jaxnet.crosscheck.contracts.contract import (
    Candidate,
    Contract,
    Part,
    Refused,
    contract_of,
    explained,
    refused,
    titled,
)
from jaxnet.crosscheck.findings import Diagnosis, Explanation
from reference_numpy import early_stopping

CURVES = (
    [3.0, 2.0, 1.0, 2.0, 3.0, 0.5],
    [5.0, 4.0, 3.0, 3.5, 2.5, 2.6, 2.7, 2.8, 2.9],
    [1.0, 2.0, 3.0, 4.0, 5.0],
    [3.0, 2.0, 1.0],
    [2.0, 2.0, 2.0, 2.0, 2.0],
    [4.0, 3.0, 2.95, 2.9, 2.85, 2.8, 2.0],
    [7.0],
)


def _rule_parts() -> Iterator[Part]:
    """Planted curves, and 60 random ones with every patience."""

    def run(candidate: Candidate) -> Diagnosis:
        rng = np.random.default_rng(0)
        curves = [np.array(curve) for curve in CURVES]
        curves += [np.round(rng.random(int(rng.integers(3, 14))), 1) for _ in range(60)]
        cases = [
            (curve, patience, delta)
            for curve in curves
            for patience in (1, 2, 3, 5)
            for delta in (0.0, 0.1)
        ]
        mine, right = [], []
        for curve, patience, delta in cases:
            result = candidate(curve.copy(), patience, delta)
            if np.size(result) != 2:
                raise Refused(f"expected (best_epoch, stop_epoch), got {result!r}")
            mine.append(tuple(int(one) for one in result))
            right.append(early_stopping.rule(curve, patience, delta))
        wrong = [i for i, (a, b) in enumerate(zip(mine, right, strict=True)) if a != b]
        if not wrong:
            return Diagnosis(True, (), (), (f"{len(cases)} curves, both epochs",))
        curve, patience, delta = cases[wrong[0]]
        found = (
            f"{len(wrong)} of {len(cases)} curves: first {curve.tolist()}, patience {patience}, "
            f"min_delta {delta}: {mine[wrong[0]]}, expected {right[wrong[0]]}"
        )
        return Diagnosis(False, (found,), _rules(cases, mine, right), ("curves",))

    yield titled("planted and random curves", run)
    for title, args in (
        ("an empty curve", (np.array([]), 2, 0.0)),
        ("a patience of 0", (np.array([1.0, 2.0]), 0, 0.0)),
    ):
        yield refused(title, args, name="bad input accepted")


def _other_rule(
    case: tuple[Any, int, float],
    *,
    wait: int = 0,
    at_least: bool = False,
    moving: bool = False,
    ties_last: bool = False,
    blind: bool = False,
    best: str = "best",
) -> tuple[int, int]:
    """The rule with one thing otherwise; see `RULES`. case: curve, patience, min_delta."""
    curve, patience, delta = case
    delta = 0.0 if blind else delta
    lowest, waited, stop, best_epoch = np.inf, 0, len(curve) - 1, 0
    for epoch, cost in enumerate(curve):
        better = cost <= lowest - delta if at_least else cost < lowest - delta
        waited = 0 if better else waited + 1
        lowest = (cost if better else lowest) if moving else min(lowest, cost)
        best_epoch = epoch if better else best_epoch
        if waited == patience + wait:
            stop = epoch
            break
    seen = np.asarray(curve[: stop + 1])
    lowest_epoch = len(seen) - 1 - int(np.argmin(seen[::-1])) if ties_last else int(np.argmin(seen))
    chosen = {"best": lowest_epoch, "last": stop, "counted": best_epoch}
    overall = int(np.argmin(curve))
    return (overall if best == "overall" else chosen[best]), stop


RULES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("last instead of best", {"best": "last"}),
    ("off by one in patience", {"wait": 1}),
    ("off by one in patience", {"wait": -1}),
    ("≤ in place of <", {"at_least": True}),
    ("the best moves only by min_delta", {"moving": True, "best": "counted"}),
    ("the best moves only by min_delta", {"moving": True}),
    ("min_delta ignored", {"blind": True}),
    ("last of equal costs", {"ties_last": True}),
    ("looks beyond the stop", {"best": "overall"}),
)


def _rules(cases, mine, right) -> tuple[Explanation, ...]:
    """Which other rule gives all of the candidate's answers."""
    before = float(np.mean([a != b for a, b in zip(mine, right, strict=True)]))
    causes: list[Explanation] = []
    for name, options in RULES:
        other = [_other_rule(case, **options) for case in cases]
        after = float(np.mean([a != b for a, b in zip(mine, other, strict=True)]))
        causes += explained(name, before, after, "share of curves with another answer")
    return tuple(causes)


def accuracy(scores: Any, labels: Any) -> float:
    """The share of columns of scores (K, m) whose largest entry is in the row of the label (m,)."""
    scores, labels = np.asarray(scores, float), np.asarray(labels)
    fine = scores.ndim == 2 and labels.shape == scores.shape[1:]
    if not (fine and np.all((labels >= 0) & (labels < len(scores)))):
        raise ValueError(
            f"labels: expected one for each of {scores.shape[-1:]} columns, from 0 to "
            f"{len(scores) - 1}, got {labels}"
        )
    return float(np.mean(np.argmax(scores, axis=0) == labels))


def _accuracy_parts() -> Iterator[Part]:
    def run(candidate: Candidate) -> Diagnosis:
        found, votes, draws = [], {name: 0.0 for name, _ in WRONG}, 0
        before = 0.0
        for classes, m in ((5, 7), (3, 11), (4, 4), (6, 6), (2, 13)):
            rng = np.random.default_rng(classes * m)
            scores, labels = rng.standard_normal((classes, m)), rng.integers(classes, size=m)
            scores[labels[: m // 2], np.arange(m // 2)] += 5  # half of them right for sure
            right, draws = accuracy(scores, labels), draws + 1
            try:
                mine = float(np.asarray(candidate(scores.copy(), labels.copy())))
            except Exception as error:
                mine, said = np.inf, f"{type(error).__name__}: {error}"
            else:
                said = f"{mine:.4f}"
            if not abs(mine - right) <= 1e-6:
                found.append(f"{classes} classes, {m} examples: {said}, by count {right:.4f}")
                before = max(before, min(abs(mine - right), 1.0))
            for name, other in WRONG:
                predicted = other(scores, labels)
                # A form that this draw does not allow fails there as well.
                after = np.inf if predicted is None else predicted
                votes[name] = max(votes[name], 0.0 if mine == after else abs(mine - after))
        causes = [
            one for name, after in votes.items()
            for one in explained(name, before, after, "gives this in every draw")
        ]  # fmt: skip
        return Diagnosis(not found, tuple(found), tuple(causes), (f"{draws} draws by count",))

    yield titled("accuracy", run)
    scores, labels = np.random.default_rng(1).standard_normal((4, 5)), np.array([0, 3, 4, 1, 2])
    yield refused("a label of 4 among 4 classes", (scores, labels), name="label range")
    yield refused("a label of −1", (scores, np.array([0, 3, -1, 1, 2])), name="label range")
    yield refused("labels (m, 1) for (m,)", (scores, np.arange(5)[:, None] % 4), name="broadcast")


def _wrong_axis(scores: np.ndarray, labels: np.ndarray) -> float | None:
    chosen = np.argmax(scores, axis=1)
    return float(np.mean(chosen == labels)) if chosen.shape == labels.shape else None


WRONG: tuple[tuple[str, Callable[[np.ndarray, np.ndarray], float | None]], ...] = (
    ("axis", _wrong_axis),
    ("one minus it", lambda scores, labels: 1 - accuracy(scores, labels)),
    ("factor m", lambda scores, labels: accuracy(scores, labels) * len(labels)),
    ("factor 100", lambda scores, labels: accuracy(scores, labels) * 100),
    ("factor m/K", lambda s, y: accuracy(s, y) * len(y) / len(s)),
    ("sign", lambda scores, labels: accuracy(-scores, labels)),
    ("broadcast", lambda s, y: float(np.mean(np.argmax(s, 0)[:, None] == y[None]))),
    ("off by one in the labels", lambda s, y: float(np.mean(np.argmax(s, 0) + 1 == y))),
)


def contracts() -> Iterator[Contract]:
    """early_stopping.rule; evaluation.accuracy."""
    yield contract_of(
        "early_stopping.rule",
        early_stopping.rule,
        "dev_costs (epochs,) ↦ best_epoch and stop_epoch, counted from 0.",
        _rule_parts(),
    )
    yield contract_of(
        "evaluation.accuracy",
        "(scores, labels)",
        "scores (K, m), a column per example; labels (m,), classes from 0 to K − 1, others are "
        "refused ↦ the share of examples whose largest score is their label's.",
        _accuracy_parts(),
    )
