"""Planting a bug: the text of the right code, changed in one place, made into a module of its own.

The text is read from the file of the right code each time, and every change says how often its old
text must occur, so that a mutant whose original was rewritten fails loudly and never passes by not
being planted.
"""

import ast
import itertools
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]

_number = itertools.count()


class Edit(NamedTuple):
    """One replacement of text: old by new, in `within` (a function; "" for the whole file)."""

    old: str
    new: str
    within: str = ""
    times: int = 1


class Mutant(NamedTuple):
    """One planted bug.

    id: number of the row of `design/mutants.md`, with a letter where a row holds several bugs; "u1"
    and so on for bugs that are not in it. bug: what is wrong, in words. names: what an explanation
    may call it; the first is the name of the row. contract: the reference function it claims to be.
    edits: the replacements that plant it. source: file of the right code, relative to the root of
    the project; by default that of the reference function. function: its name in that file; by
    default that of the contract. by: the public checks that have to catch it, of `checks.CHECKS`.
    """

    id: str
    bug: str
    names: tuple[str, ...]
    contract: str
    edits: tuple[Edit, ...]
    source: str = ""
    function: str = ""
    by: tuple[str, ...] = ("contract",)


def source_of(mutant: Mutant) -> Path:
    """The file that holds the right code."""
    own = f"reference_numpy/{mutant.contract.split('.')[0]}.py"
    return ROOT / (mutant.source or own)


def plant(mutant: Mutant) -> Callable[..., Any]:
    """The function with the bug in it, from a copy of the right code.

    Raises ValueError where an old text does not occur as often as the edit says.
    """
    return _function(mutant, mutant.edits)


def right_copy(mutant: Mutant) -> Callable[..., Any]:
    """The same function from a copy of the right code without the bug: what must be accepted."""
    return _function(mutant, ())


def planted_text(text: str, edits: tuple[Edit, ...]) -> str:
    """The source with every edit made.

    Raises ValueError for an edit that does not fit, by its old text and where it was looked for.

    >>> planted_text("def f(x):\\n    return x + 1\\n", (Edit("x + 1", "x - 1", "f"),))
    'def f(x):\\n    return x - 1\\n'
    """
    for edit in edits:
        start, end = _span(text, edit.within)
        part = text[start:end]
        if part.count(edit.old) != edit.times:
            place = edit.within or "the file"
            raise ValueError(
                f"edit: expected {edit.old!r} {edit.times} time(s) in {place}, found "
                f"{part.count(edit.old)}; the right code has changed, plant the mutant anew"
            )
        text = text[:start] + part.replace(edit.old, edit.new) + text[end:]
    return text


def _span(text: str, function: str) -> tuple[int, int]:
    """Where the body of a function stands in the text, its docstring left out."""
    if not function:
        return 0, len(text)
    lines = text.splitlines(keepends=True)
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            documented = ast.get_docstring(node) is not None
            first = (node.body[0].end_lineno or 0) + 1 if documented else node.lineno
            before = sum(map(len, lines[: first - 1]))
            return before, before + sum(map(len, lines[first - 1 : node.end_lineno]))
    raise ValueError(f"edit: expected a function {function!r} in the right code, found none")


def _function(mutant: Mutant, edits: tuple[Edit, ...]) -> Callable[..., Any]:
    path = source_of(mutant)
    text = planted_text(path.read_text(encoding="utf-8"), edits)
    module = ModuleType(f"planted_{next(_number)}")
    exec(compile(text, f"<{mutant.id}: {path.name}>", "exec"), module.__dict__)
    return getattr(module, mutant.function or mutant.contract.split(".")[-1])
