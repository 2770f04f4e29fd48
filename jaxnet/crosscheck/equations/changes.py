"""Every single change of an equation: the ways in which somebody writes it down wrongly.

None of them knows an algorithm. A name is taken for another, a term or a factor is dropped, put in
twice or has the wrong sign, a transpose is forgotten, a sum runs over the other axis, ε stands on
the other side of the root, a power is left out, t is off by one.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from jaxnet.crosscheck.equations.naming import parts, scalar_renamed, symbol
from jaxnet.crosscheck.equations.nodes import (
    Made,
    binary,
    call,
    called,
    calls,
    names_changed,
    powers,
    products,
    sums,
)
from jaxnet.crosscheck.equations.text import Equation, names


class Change(NamedTuple):
    """One changed equation: what to call the change, its text, and how far-fetched it is."""

    name: str
    source: str
    cost: float


def _substitute(tree: Any, target: ast.AST, new: ast.AST) -> Any:
    if tree is target:
        return new
    if isinstance(tree, list):
        return [_substitute(one, target, new) for one in tree]
    if not isinstance(tree, ast.AST):
        return tree
    return type(tree)(
        **{field: _substitute(one, target, new) for field, one in ast.iter_fields(tree)}
    )


def everywhere(
    lines: Sequence[Equation], values: Mapping[str, Any]
) -> Iterator[tuple[Change, list[Equation]]]:
    """A number taken for another wherever it stands: 1 − β for β, t ± 1 for t; two swapped.

    Each with the lines changed; a number that stands once is left to `changes`.
    """
    text = "\n".join(line.source for line in lines)
    numbers = {name: one for name, one in values.items() if np.ndim(one) == 0 and not callable(one)}
    used = [name for name in numbers if len(re.findall(rf"\b{name}\b", text)) > 1]
    for old in used:
        others = [(new, *scalar_renamed(old, new)) for new in numbers if new != old]
        if old in {"t", "epoch"}:
            others += [(f"({old} {by} 1)", f"off by one in t: t{by}1", 0.8) for by in "-+"]
        if 0 < numbers[old] < 1:
            one_minus = f"1−{symbol(old)} in place of {symbol(old)}"
            others.append((f"(1 - {old})", one_minus, 1.2))
        for new, name, cost in others:
            yield from _replaced(lines, {old: new}, name, cost - 0.05)
    for index, old in enumerate(used):
        for other in used[index + 1 :]:
            name = f"{symbol(old)} and {symbol(other)} swapped"
            yield from _replaced(lines, {old: other, other: old}, name, 1.0)


def _replaced(
    lines: Sequence[Equation], by: Mapping[str, str], name: str, cost: float
) -> Iterator[tuple[Change, list[Equation]]]:
    pattern = rf"\b({'|'.join(by)})\b"
    changed = [
        line._replace(source=re.sub(pattern, lambda found: by[found[0]], line.source))
        for line in lines
    ]
    for old, new in zip(lines, changed, strict=True):
        if old.source != new.source:
            yield Change(name, new.source, cost), changed
            return


SLOPES = {"dg", "dsigmoid"}


def _scaled(tree: ast.expr, values: Mapping[str, Any], functions: Mapping[str, Any]) -> Made:
    """A term of the outermost sum multiplied or divided by a number that is around."""
    terms, open_ = [], [tree]
    while open_:
        node = open_.pop()
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            open_ += [node.left, node.right]
        terms.append(node)
    numbers = [name for name, one in values.items() if np.ndim(one) == 0 and not callable(one)]
    for term in terms:
        for number in numbers:
            by = ast.Name(number, ast.Load())
            yield (
                f"factor {symbol(number)}",
                _substitute(tree, term, binary(term, ast.Mult(), by)),
                2.0,
            )
            yield (
                f"factor 1/{symbol(number)}",
                _substitute(tree, term, binary(term, ast.Div(), by)),
                2.0,
            )
        for name, array in values.items():
            if np.ndim(array) == 2 and term is not tree:
                by = ast.Name(name, ast.Load())
                scaled = binary(term, ast.Mult(), by)
                yield f"factor {symbol(name)}", _substitute(tree, term, scaled), 2.2
        for function in SLOPES & functions.keys() if term is tree else ():
            for name, array in values.items():
                if np.ndim(array) == 2:
                    slope = call(function, ast.Name(name, ast.Load()))
                    scaled = binary(term, ast.Mult(), slope)
                    yield f"factor {function}({name})", scaled, 1.8
        for factor, name in ((2, "factor 2"), (0.5, "factor ½")):
            yield (
                name,
                _substitute(tree, term, binary(ast.Constant(factor), ast.Mult(), term)),
                1.4,
            )


def _like_terms(tree: ast.expr, values: Mapping[str, Any]) -> Made:
    """To a sum one more term for every array of another kind: Σ b² beside Σ W²."""
    for node in ast.walk(tree):
        if not calls(node, "sum"):
            continue
        own = [name for name in names(node) if np.ndim(values.get(name, 0)) == 2]
        if len(own) != 1:
            continue
        kinds: dict[str, list[str]] = {}
        for name, array in values.items():
            if np.ndim(array) == 2 and parts(name)[0] != parts(own[0])[0]:
                kinds.setdefault(parts(name)[0], []).append(name)
        for kind, members in kinds.items():
            more: ast.expr = node  # type: ignore[assignment]
            for member in members:
                source = re.sub(rf"\b{own[0]}\b", member, ast.unparse(node))
                more = binary(more, ast.Add(), ast.parse(source, mode="eval").body)
            biases = kind in {"b", "beta", "gamma"}
            name = "extra term on biases" if biases else f"extra term {kind}"
            yield name, _substitute(tree, node, more), 1.3
        return


PARTS = {"-1:": "the last only", ":1": "the first only", ":-1": "all but the last",
         "1:": "all but the first"}  # fmt: skip


def _parts_of_examples(tree: ast.expr, values: Mapping[str, Any]) -> Made:
    """Every array of examples cut to the same part of its columns."""
    arrays = {name: values[name] for name in names(tree) if np.ndim(values.get(name, 0)) == 2}
    for length in {array.shape[1] for array in arrays.values()} - {1, 2}:
        inside = {name for name, array in arrays.items() if array.shape[1] == length}
        for part, which in PARTS.items():
            source = re.sub(
                rf"\b({'|'.join(map(re.escape, sorted(inside)))})\b",
                rf"\1[:, {part}]",
                ast.unparse(tree),
            )
            yield f"missing rows: {which}", ast.parse(source, mode="eval").body, 1.3


def changes(
    line: Equation, values: Mapping[str, Any], functions: Mapping[str, Any]
) -> Iterator[Change]:
    """Every single change of one equation.

    values: the arrays and numbers whose names may stand in it; functions: those it may call.
    A change may make no sense (shapes that do not fit); whoever evaluates it leaves it out.

    >>> from jaxnet.crosscheck.equations.text import equation
    >>> found = changes(equation("db = sum(dZ, 1) / m"), {"dZ": np.ones((3, 7)), "m": 7}, {})
    >>> [(one.name, one.source) for one in found][:2]
    [('factor m', 'sum(dZ, 1)'), ('factor 1/m', 'sum(dZ, 1) / m / m')]
    """
    kinds = tuple(
        (name, np.shape(one), isinstance(one, float) and bool(0 < one < 1))
        for name, one in values.items()
        if not callable(one)
    )
    yield from _changes(line.source, kinds, tuple(sorted(functions)))


@lru_cache(maxsize=10_000)
def _changes(
    source: str, kinds: tuple[tuple[str, tuple[int, ...], bool], ...], functions: tuple[str, ...]
) -> tuple[Change, ...]:
    """Remembered, since a check asks for those of the same equations for every draw.

    kinds: of every name its shape, and whether it is a fraction: all that a change depends on.
    """
    values = {
        name: (0.5 if fraction else 2.0) if shape == () else np.broadcast_to(0.0, shape)
        for name, shape, fraction in kinds
    }
    seen, found = {source}, []
    tree = ast.parse(source, mode="eval").body
    for name, changed, cost in _all(tree, values, dict.fromkeys(functions)):
        text = ast.unparse(changed)
        if text not in seen:
            seen.add(text)
            found.append(Change(name, text, cost))
    return tuple(found)


def _all(tree: ast.expr, values: Mapping[str, Any], functions: Mapping[str, Any]) -> Made:
    callers = {
        id(argument): one.func.id
        for one in ast.walk(tree)
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)
        for argument in one.args
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            found = sums(node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            found = powers(node)
        elif isinstance(node, ast.BinOp):
            found = products(node)
        elif isinstance(node, ast.Call):
            found = called(node, functions)
        elif isinstance(node, ast.Attribute) and node.attr == "T":
            found = iter([("transpose", node.value, 1.0)])
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            found = iter([("sign", node.operand, 1.0)])
        elif isinstance(node, ast.Name) and node.id in values and not callable(values[node.id]):
            found = names_changed(node, callers.get(id(node), ""), values)
        else:
            continue
        for name, new, cost in found:
            yield name, _substitute(tree, node, new), cost
    yield "sign", ast.UnaryOp(ast.USub(), tree), 1.0
    yield from _parts_of_examples(tree, values)
    yield from _like_terms(tree, values)
    yield from _scaled(tree, values, functions)
