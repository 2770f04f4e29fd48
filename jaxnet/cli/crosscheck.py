"""`jaxnet crosscheck`: the matrix of implementations, and the check of one of yours."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from jaxnet.cli.terminal import DEBUG, Mistake, console, names, option

JSON_NAME = "crosscheck.json"

VERDICT_STYLES = {
    "agree": "green",
    "differs as documented": "cyan",
    "DISAGREE": "bold red",
    "failed": "bold red",
    "not installed": "yellow",
}

Row = Mapping[str, Any]


def command() -> Callable[..., int]:
    """The function whose parameters are the options of `jaxnet crosscheck`."""
    import tyro

    def crosscheck(
        *,
        json: Annotated[
            Path | None,
            option("FILE", f"Also write the table here; in a directory, {JSON_NAME}."),
        ] = None,
        algorithms: Annotated[
            str, option("A,B", "Only these, such as losses,optimizers/adam; all by default.")
        ] = "",
        backends: Annotated[
            str, option("X,Y", "Only these, such as jax,torch; all by default.")
        ] = "",
        candidate: Annotated[
            str,
            option("FILE.py:FUNCTION", "A function of yours, to be checked instead."),
        ] = "",
        against: Annotated[
            str,
            option(
                "ALGORITHM",
                "What your function computes, such as mlp.backward; 'help' lists all.",
            ),
        ] = "",
        debug: Annotated[tyro.conf.FlagCreatePairsOff[bool], option(None, DEBUG)] = False,
    ) -> int:
        """Whether implementations agree, and if not, why.

        Without options: every algorithm by NumPy, JAX, optax, torch, keras, scikit-learn and flax,
        pair by pair, with the worst error, its bound and the verdict. With a candidate: your own
        function beside the reference, and the likely cause of what differs:

          jaxnet crosscheck --candidate mine.py:my_backward --against mlp.backward

        Exit status: 0 all agrees, 1 something does not, 2 the command was given wrongly.
        """
        del debug  # `main` looks for it, where a mistake would become one line
        if candidate or against:
            matrix_only = {"json": json, "algorithms": algorithms, "backends": backends}
            for name, value in matrix_only.items():
                if value:
                    raise Mistake(f"--{name} is for the table; it does not go with a candidate")
            return check_candidate(candidate, against)
        return check_matrix(json, names(algorithms), names(backends))

    return crosscheck


# ------------------------------------------------------------------ a candidate


def check_candidate(spec: str, algorithm: str) -> int:
    """Check a user's function against an algorithm and print the diagnosis.

    Returns 0 if it agrees, 1 if not. Raises Mistake for a file, function or name that is not there,
    and for a function with another signature.
    """
    from jaxnet.crosscheck.candidate import CandidateError, load
    from jaxnet.crosscheck.contracts import contract

    terminal = console()
    if algorithm == "help":
        terminal.print(listing(), soft_wrap=True)
        return 0
    if not algorithm:
        raise Mistake(f"--candidate {spec}: what does it compute? Add --against ALGORITHM ('help')")
    try:
        chosen = contract(algorithm)
    except ValueError as unknown:
        terminal.print(listing(), soft_wrap=True)
        raise Mistake(str(unknown)) from unknown
    if not spec:
        raise Mistake(
            f"--against {algorithm}: which function? Add --candidate FILE.py:FUNCTION; it has to "
            f"be callable as {chosen.signature}"
        )
    try:
        function = load(spec)
    except CandidateError as error:
        raise Mistake(str(error)) from error
    try:
        diagnosis = chosen.check(function)
    except TypeError as error:
        if not str(error).startswith("candidate"):
            raise
        raise Mistake(f"{error}. {chosen.about}") from error
    first, _, rest = str(diagnosis).partition("\n")
    terminal.print(f"{spec} against {chosen.signature}", soft_wrap=True)
    terminal.print(first, style="green" if diagnosis.agrees else "bold red", soft_wrap=True)
    terminal.print(rest, soft_wrap=True)
    return 0 if diagnosis.agrees else 1


def listing() -> str:
    """Every algorithm that a candidate can be held against: how it is called, and with what."""
    from jaxnet.crosscheck.contracts import CONTRACTS

    lines = [f"{one.signature}\n    {one.about}" for _, one in sorted(CONTRACTS.items())]
    return "\n".join(["What a candidate can be held against, and how it will be called:", *lines])


# ------------------------------------------------------------------ the matrix


def check_matrix(file: Path | None, algorithms: Sequence[str], backends: Sequence[str]) -> int:
    """Run the matrix, print it and write it to a file if one is given.

    Returns 1 if something disagrees that should not, else 0. Raises Mistake for unknown names and
    for a file that must not be written.
    """
    from jaxnet.crosscheck import matrix

    target = None if file is None else json_target(file)
    terminal = console(width=200)
    with terminal.status("starting") as status:
        try:
            found = matrix.run(
                algorithms or None,
                backends or None,
                on_row=lambda row: status.update(f"{row.algorithm}, {row.left}"),
            )
        except ValueError as unknown:  # a name that it does not know
            raise Mistake(str(unknown)) from unknown
    report = _finite(found.as_dict())
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
        target.write_text(text + "\n", encoding="utf-8")
    terminal.print(table(report["rows"]))
    terminal.print(_summed(report), soft_wrap=True)
    if target is not None:
        terminal.print(f"written to {target}", soft_wrap=True)
    return 1 if report["summary"]["unexpected"] else 0


def _finite(tree: Any) -> Any:
    """The same with null for NaN and text for infinity: other readers of JSON know neither."""
    if isinstance(tree, Mapping):
        return {key: _finite(one) for key, one in tree.items()}
    if isinstance(tree, list | tuple):
        return [_finite(one) for one in tree]
    if isinstance(tree, float) and not math.isfinite(tree):
        return None if math.isnan(tree) else str(tree)
    return tree


def json_target(file: Path) -> Path:
    """Where to write: the file itself, or crosscheck.json in a directory.

    A directory is one that exists, or a name without a suffix. Raises Mistake rather than overwrite
    what is not a cross-check's JSON.
    """
    target = file / JSON_NAME if file.is_dir() or not file.suffix else file
    above = next((part for part in target.parents if part.exists()), Path())
    if not above.is_dir():
        raise Mistake(f"--json {file}: {above} is a file, not a directory")
    if target.is_dir():
        raise Mistake(f"--json {file}: {target} is a directory; give a file")
    if target.exists() and not _is_report(target):
        raise Mistake(
            f"--json {file}: {target} exists and is not a cross-check's JSON; give another name"
        )
    return target


def _is_report(file: Path) -> bool:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"versions", "rows", "summary"} <= content.keys()


def _summed(report: Mapping[str, Any]) -> str:
    total, rows = report["summary"], report["rows"]
    counts = ", ".join(
        f"{count} {verdict}" for verdict, count in total["verdicts"].items() if count
    )
    absent = ", ".join(
        f"{backend} {len(names)}"
        for backend, names in total["without counterpart"].items()
        if names
    )
    lines = [f"{len({row['algorithm'] for row in rows})} algorithms, {len(rows)} cells: {counts}"]
    if absent:
        lines += [f"algorithms that a framework does not have, so that no cell is there: {absent}"]
    installed = [
        f"{name} {number or 'not installed'}" for name, number in report["versions"].items()
    ]
    return "\n".join([*lines, ", ".join(installed)])


def table(rows: Sequence[Row]) -> Any:
    """A rich table of the matrix, one line a cell."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False)
    for heading in ("algorithm", "left", "right", "dtype"):
        shown.add_column(heading, no_wrap=True)
    for heading in ("worst error", "bound", "detects"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("verdict", no_wrap=True)
    shown.add_column("note")
    for row in rows:
        words = [Text(row[key]) for key in ("algorithm", "left", "right", "dtype")]
        numbers = [_number(row[key]) for key in ("max_relative_error", "bound", "detects")]
        verdict = Text(row["verdict"], VERDICT_STYLES[row["verdict"]])
        shown.add_row(*words, *numbers, verdict, Text(row["note"]))
    return shown


def _number(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, int | float) else str(value or "–")
