"""The matrix: every algorithm of the registry, every framework that has it, one cell each.

A cell draws the case's arguments from a fixed seed, lets the framework compute, and compares with
the reference within the bound that was derived for that case and dtype. Verdicts:

    agree                    every array within its bound
    differs as documented    beyond it, and within the bound of what the framework's own rule gives
    DISAGREE                 anything else that was computed
    failed                   an error was raised
    not installed            the framework is not there; the cell was not run

DISAGREE and failed are unexpected. Nothing agrees because it was not run.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.crosscheck.backends import BACKENDS, Adapter, Backend
from jaxnet.crosscheck.backends.frameworks import DISTRIBUTIONS, EXTRA, installed
from jaxnet.crosscheck.cases import CASES, laws, trainings
from jaxnet.crosscheck.cases.case import Args, Case, Results, bounds_of, draw
from jaxnet.crosscheck.comparison import Comparison, compare
from jaxnet.validation import check_choice

ALGORITHMS: tuple[Case, ...] = (*CASES, *laws.CASES, *trainings.CASES)

AGREE, DIFFERS, DISAGREE = "agree", "differs as documented", "DISAGREE"
FAILED, ABSENT = "failed", "not installed"
VERDICTS = (AGREE, DIFFERS, DISAGREE, FAILED, ABSENT)
UNEXPECTED = (DISAGREE, FAILED)

RIGHT = "reference"
"""The right side of every cell: reference_numpy, or the exact law where numbers are random."""


class Row(NamedTuple):
    """One cell.

    algorithm: the case. quantity: what is compared. left: the framework, and which of its ways.
    right: what it is compared with. dtype: the left side computed in. max_relative_error, bound:
    beside the scale of the array, at the entry furthest out of its bound; NaN where nothing was
    compared. detects: the smallest relative error that would be found in whatever entry of
    whatever array. arrays: what was compared. verdict, note: see above.
    """

    algorithm: str
    quantity: str
    left: str
    right: str
    dtype: str
    max_relative_error: float
    bound: float
    detects: float
    arrays: tuple[str, ...]
    verdict: str
    note: str


class Matrix(NamedTuple):
    """All rows, the versions of what was compared, and a summary.

    summary: "verdicts" (how many of each), "unexpected" (how many disagree or failed), "seconds",
    and "without counterpart": for each backend the algorithms it has no adapter for, which are
    therefore in no row.
    """

    rows: tuple[Row, ...]
    versions: dict[str, str | None]
    summary: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data: json.dumps takes it (NaN as Python writes it)."""
        rows = [row._asdict() | {"arrays": list(row.arrays)} for row in self.rows]
        return {"versions": self.versions, "rows": rows, "summary": self.summary}


class _Drawn(NamedTuple):
    """A case's arguments, what the reference makes of them, and the bounds."""

    args: Args
    right: Results
    bound: Results


def _draw(case: Case, dtype: str) -> Args:
    # One seed for a family: cases that draw the same sizes share what JAX compiles op by op.
    family = case.name.split("/")[0]
    return draw(case, np.random.default_rng([0, *family.encode()]), np.dtype(dtype))


def _drawn(case: Case, args: Args, errors: Results, dtype: str) -> _Drawn:
    return _Drawn(args, case.reference(args), bounds_of(errors, np.float64, np.dtype(dtype)))


def _against(left: Results, right: Results, bound: Results) -> Comparison:
    unknown = sorted(set(left) - set(right))
    if not left or unknown:
        raise ValueError(f"results: expected some of {sorted(right)}, got {unknown or 'none'}")

    def only(results: Results) -> dict[str, Any]:
        return {name: results[name] for name in left}

    return compare(dict(left), only(right), bound=only(bound))


def _evaluated(adapter: Adapter, drawn: _Drawn, dtype: str) -> dict[str, Any]:
    """The fields of a row that come from running it."""
    left = adapter.run(drawn.args, dtype)
    found = _against(left, drawn.right, drawn.bound)
    verdict, note, decides = AGREE if found.agrees else DISAGREE, adapter.note, found
    if adapter.predicted is not None:
        values = adapter.predicted(drawn.args)
        limits = bounds_of(values, np.float64, np.dtype(dtype))
        decides = _against(left, {name: one.value for name, one in values.items()}, limits)
        worst = decides.leaves[0]
        if not decides.agrees:
            verdict = DISAGREE
            note += f" (but differs from that too: {worst.problem or worst.name})"
        elif found.agrees:
            verdict = DISAGREE
            note += " (but that difference is not there)"
        else:
            verdict = DIFFERS
            note += (
                f"; {found.leaves[0].relative_error:.3g} apart, and within "
                f"{worst.relative_error:.2g} of what that predicts (bound {worst.bound:.2g})"
            )
    worst = found.leaves[0]
    if verdict == DISAGREE and worst.problem:
        note += f" {worst.name}: {worst.problem}"
    return {
        "max_relative_error": worst.relative_error,
        "bound": worst.bound,
        "detects": max(leaf.detects for leaf in decides.leaves),
        "arrays": tuple(left),
        "verdict": verdict,
        "note": note.strip(),
    }


def _cells(case: Case, backends: Sequence[Backend]) -> Iterator[Row]:
    shared: dict[str, _Drawn] = {}  # by dtype, for the adapters that take the case as it is
    for backend in backends:
        for adapter in backend.adapters.get(case.name, ()):
            for dtype in adapter.dtypes:
                yield _cell(case, backend, adapter, dtype, shared)


def _cell(
    case: Case, backend: Backend, adapter: Adapter, dtype: str, shared: dict[str, _Drawn]
) -> Row:
    nothing = float("nan")
    row = Row(
        algorithm=case.name,
        quantity=case.quantity,
        left=backend.name + f" ({adapter.variant})" * bool(adapter.variant),
        right=RIGHT,
        dtype=dtype,
        max_relative_error=nothing,
        bound=nothing,
        detects=nothing,
        arrays=(),
        verdict=ABSENT,
        note=f"{EXTRA} installs it",
    )
    if installed(backend.package) is None:
        return row
    with (
        jax.enable_x64(dtype == "float64"),
        jax.default_matmul_precision("highest"),
        jax.numpy_rank_promotion("allow"),  # a stricter caller's setting is not the frameworks'
    ):
        try:
            if dtype not in shared:
                args = _draw(case, dtype)
                shared[dtype] = _drawn(case, args, case.errors(args), dtype)
            drawn = shared[dtype]
            if adapter.inject is not None or adapter.errors is not None:
                args = drawn.args if adapter.inject is None else adapter.inject(drawn.args, dtype)
                drawn = _drawn(case, args, (adapter.errors or case.errors)(args), dtype)
            return row._replace(**_evaluated(adapter, drawn, dtype))
        except Exception as error:  # whatever a framework raises is that cell's result
            return row._replace(verdict=FAILED, note=f"{type(error).__name__}: {error}")


def _chosen(algorithms: Sequence[str] | None) -> list[Case]:
    """The cases that a name, a family such as "losses", or a pattern with * stands for."""
    if algorithms is None:
        return list(ALGORITHMS)
    families = {case.name.split("/")[0] for case in ALGORITHMS}
    wanted = []
    for pattern in algorithms:
        exact = pattern.rstrip("/")
        names = [
            case.name
            for case in ALGORITHMS
            if case.name == exact
            or case.name.startswith(exact + "/")
            or fnmatchcase(case.name, pattern)
        ]
        if not names:
            check_choice("algorithms", pattern, {case.name for case in ALGORITHMS} | families)
        wanted += names
    return [case for case in ALGORITHMS if case.name in wanted]


def run(
    algorithms: Sequence[str] | None = None,
    backends: Sequence[str] | None = None,
    *,
    on_row: Callable[[Row], Any] | None = None,
) -> Matrix:
    """Run the matrix, or a part of it.

    algorithms: names of cases, families ("losses") or patterns ("networks/relu_*"); None for all.
    backends: names of `BACKENDS`; None for all. on_row: called with every row as it is there.
    Returns a Matrix. Raises ValueError for a name that is not known, with the nearest.

    >>> matrix = run(["activations/relu"], ["jax.jit"])
    >>> [(row.left, row.dtype, row.verdict) for row in matrix.rows]
    [('jax.jit', 'float64', 'agree'), ('jax.jit', 'float32', 'agree')]
    """
    cases = _chosen(algorithms)
    for name in backends or ():
        check_choice("backends", name, [backend.name for backend in BACKENDS])
    chosen = [one for one in BACKENDS if backends is None or one.name in backends]
    started, rows = time.perf_counter(), []
    for case in cases:
        for row in _cells(case, chosen):
            rows.append(row)
            if on_row is not None:
                on_row(row)
    verdicts = [row.verdict for row in rows]
    summary = {
        "verdicts": {verdict: verdicts.count(verdict) for verdict in VERDICTS},
        "unexpected": sum(verdict in UNEXPECTED for verdict in verdicts),
        "seconds": round(time.perf_counter() - started, 1),
        "without counterpart": {
            one.name: [case.name for case in cases if case.name not in one.adapters]
            for one in chosen
        },
    }
    packages = dict.fromkeys(["numpy", "jax", "optax", *(one.package for one in BACKENDS)])
    versions = {DISTRIBUTIONS[package]: installed(package) for package in packages}
    return Matrix(tuple(rows), versions, summary)
