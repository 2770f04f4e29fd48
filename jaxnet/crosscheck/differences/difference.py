"""A semantic difference as data, and the checks by which its row is executed."""

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import numpy as np

from jaxnet.crosscheck.backends.frameworks import installed
from jaxnet.crosscheck.comparison import TERMS, as_array, compare

AGREE = "agree"
AGREE_IF = "agree if "
CANNOT = "cannot agree"

CLEARLY = 100
"""How many bounds apart two results must be before they count as different."""

Kind: TypeAlias = Literal["agree", "differ", "predicted", "default"]


class Check(NamedTuple):
    """One thing that was measured.

    kind: "agree", the two are within the bound; "differ", they are `CLEARLY` bounds apart;
    "predicted", they differ, and by what the formulas of both sides give; "default", an argument
    has this value when nobody gives it. measured: the relative distance (agree, differ), the
    largest |left − right| (predicted) or the default. expected: 0, what the formulas give, or the
    default written in the row. bound: on |measured − expected|; for "differ" what was exceeded.
    """

    claim: str
    kind: Kind
    holds: bool
    measured: Any
    expected: Any
    bound: float


class Difference(NamedTuple):
    """A row of the table: one way in which frameworks that look alike are not.

    number, part: the row of the table of semantic differences and, of several, a letter. sides:
    who ↦ formula. defaults: who ↦ what it takes when nobody says. mapping: how to make them
    agree, or "". verdict: "agree", "agree if …" or "cannot agree". needs: the packages it is
    executed with, beside NumPy, JAX and optax. execute: () ↦ checks, or None where it cannot be
    run. note: what measuring changed in the written table, or why it is not run.
    """

    number: int
    part: str
    topic: str
    sides: Mapping[str, str]
    verdict: str
    execute: Callable[[], list[Check]] | None
    defaults: Mapping[str, str] = {}
    mapping: str = ""
    needs: tuple[str, ...] = ()
    note: str = ""

    @property
    def name(self) -> str:
        """Number and part: "12b"."""
        return f"{self.number}{self.part}"


class Outcome(NamedTuple):
    """What executing a row gave.

    status: "confirmed"; "contradicted", when a check fails or one that the verdict needs is
    missing; "not installed" or "not run here", which are no passes. detail: why.
    """

    row: Difference
    status: str
    checks: tuple[Check, ...] = ()
    detail: str = ""


def agree(
    claim: str, left: Any, right: Any, *, bound: Any = None, terms: float | int = TERMS
) -> Check:
    """The two agree within a bound; without one, what 1,000 roundings of the dtypes can do.

    That is enough for trajectories of twenty steps with up to fifty operations each.
    """
    worst = compare(left, right, bound=bound, terms=terms).leaves[0]
    return Check(claim, "agree", worst.ratio <= 1, worst.relative_error, 0.0, worst.bound)


def differ(
    claim: str, left: Any, right: Any, *, bound: Any = None, terms: float | int = TERMS
) -> Check:
    """The two are a hundred times further apart than `agree` would allow.

    Raises ValueError when they cannot be compared at all, which would be no measured difference.
    """
    worst = compare(left, right, bound=bound, terms=terms).leaves[0]
    if worst.problem:
        raise ValueError(f"{claim}: expected numbers that can be compared, got {worst.problem}")
    apart = CLEARLY * worst.bound
    return Check(claim, "differ", worst.ratio > CLEARLY, worst.relative_error, "> bound", apart)


def differ_as_predicted(
    claim: str, left: Any, right: Any, predicted_left: Any, predicted_right: Any, *,
    bound: Any = None, terms: float | int = TERMS,
) -> Check:  # fmt: skip
    """The two differ, each is what its own formula gives, and so is the difference.

    NaN and infinities count as predicted where the formula has the same in the same place.
    """
    left, right, predicted_left, predicted_right = (
        as_array(claim, side).astype(np.float64)
        for side in (left, right, predicted_left, predicted_right)
    )
    as_told = all(
        _same(got, told, bound, terms)
        for got, told in ((left, predicted_left), (right, predicted_right))
    )
    apart = not _same(left, right, None if bound is None else CLEARLY * bound, CLEARLY * terms)
    worst = _worst(left, predicted_left, bound, terms), _worst(right, predicted_right, bound, terms)
    return Check(
        claim, "predicted", as_told and apart, _distance(left, right),
        _distance(predicted_left, predicted_right), max(worst),
    )  # fmt: skip


def _same(left: np.ndarray, right: np.ndarray, bound: Any, terms: float | int) -> bool:
    """Whether NaN and infinities are in the same places and the rest within the bound."""
    finite = np.isfinite(left) & np.isfinite(right)
    special = np.array_equal(left[~finite], right[~finite], equal_nan=True)
    return special and (
        not finite.any() or compare(left[finite], right[finite], bound=bound, terms=terms).agrees
    )


def _worst(left: np.ndarray, right: np.ndarray, bound: Any, terms: float | int) -> float:
    finite = np.isfinite(left) & np.isfinite(right)
    if not finite.any():
        return 0.0
    leaf = compare(left[finite], right[finite], bound=bound, terms=terms).leaves[0]
    scale = max(np.abs(left[finite]).max(), np.abs(right[finite]).max())
    return leaf.bound * float(scale)


def _distance(left: np.ndarray, right: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        apart = np.abs(left - right)
    apart = np.where(left == right, 0.0, apart)  # two infinities
    return float(np.max(apart))  # NaN where one of the two is


def default(claim: str, function: Callable[..., Any], argument: str, expected: Any) -> Check:
    """What a function takes for an argument that is left out."""
    measured = inspect.signature(function).parameters[argument].default
    return is_default(claim, measured, expected)


def is_default(claim: str, measured: Any, expected: Any) -> Check:
    """The same for a default that was read off an object."""
    holds = type(measured) is type(expected) and measured == expected
    return Check(claim, "default", holds, measured, expected, 0.0)


def missing(row: Difference) -> list[str]:
    """The packages a row is executed with that are not installed."""
    return [name for name in row.needs if installed(name) is None]


def run(row: Difference) -> Outcome:
    """Execute a row, in 64 bits and with the frameworks' own warnings kept quiet.

    confirmed: every check holds, and the verdict has what it rests on: an agreement for "agree",
    an agreement with the mapping and a difference without it for "agree if …", a predicted
    difference for "cannot agree". Exceptions of the row are not caught.
    """
    if row.execute is None:
        return Outcome(row, "not run here", detail=row.note)
    if lacks := missing(row):
        return Outcome(row, "not installed", detail=", ".join(lacks))
    with warnings.catch_warnings(), jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
        warnings.simplefilter("ignore")
        checks = tuple(row.execute())
    failed = [check.claim for check in checks if not check.holds]
    if failed:
        return Outcome(row, "contradicted", checks, "does not hold: " + "; ".join(failed))
    if lacking := _lacking(row.verdict, {check.kind for check in checks}):
        return Outcome(row, "contradicted", checks, f"{row.verdict!r} needs {lacking}")
    return Outcome(row, "confirmed", checks)


def _lacking(verdict: str, kinds: set[str]) -> str:
    if verdict == CANNOT:
        return "" if "predicted" in kinds else "a predicted difference"
    if verdict == AGREE:
        return "" if "agree" in kinds else "an agreement"
    if verdict.startswith(AGREE_IF):
        without = kinds & {"differ", "predicted"}
        return "" if "agree" in kinds and without else "an agreement and a difference without it"
    return f"one of {AGREE!r}, {AGREE_IF!r}, {CANNOT!r}"


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """A row and its outcome as plain data that strict JSON takes."""
    row = {key: value for key, value in outcome.row._asdict().items() if key != "execute"}
    row |= {"sides": dict(row["sides"]), "defaults": dict(row["defaults"])}
    return row | {
        "needs": list(outcome.row.needs),
        "status": outcome.status,
        "detail": outcome.detail,
        "checks": [
            {key: plain(value) for key, value in check._asdict().items()}
            for check in outcome.checks
        ],
    }


def plain(value: Any) -> Any:
    """A value as JSON has it: what is no finite number, truth value, text or None becomes text."""
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else str(float(value))
    return str(value)
