"""The changes of one node of an equation's tree: of a sum, product, power, call or name."""

import ast
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from jaxnet.crosscheck.equations.naming import (
    parts,
    pretty,
    renamed,
    scalar_renamed,
    symbol,
    term_name,
)
from jaxnet.crosscheck.equations.text import names

Made = Iterator[tuple[str, ast.expr, float]]
"""The name of a change, the new node, and how far-fetched it is."""


def binary(left: ast.expr, operator: ast.operator, right: ast.expr) -> ast.expr:
    return ast.BinOp(left, operator, right)


def transposed(node: ast.expr) -> ast.expr:
    return ast.Attribute(node, "T", ast.Load())


def _is_one_minus(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Sub)
        and isinstance(node.left, ast.Constant)
        and node.left.value == 1
    )


def call(name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


def _corrects_start(node: ast.AST) -> bool:
    """1 − βᵗ, by which an average that started from zero is divided."""
    return _is_one_minus(node) and isinstance(getattr(node, "right", None), ast.BinOp)


def calls(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _dropped_factor(node: ast.expr, divisor: bool) -> str:
    if _corrects_start(node):
        return "bias correction"
    if any(parts(name)[0] in {"D", "mask"} for name in names(node)):
        return "mask"
    return f"factor {pretty(node)}" if divisor else f"missing factor {pretty(node)}"


def sums(node: ast.BinOp) -> Made:
    added = isinstance(node.op, ast.Add)
    if _is_one_minus(node):
        if not _corrects_start(node):
            yield f"{pretty(node.right)} in place of {pretty(node)}", node.right, 1.5
        return
    yield "sign", binary(node.left, ast.Sub() if added else ast.Add(), node.right), 1.0
    yield f"missing term {term_name(node.right)}", node.left, 1.0
    rest = node.right if added else ast.UnaryOp(ast.USub(), node.right)
    yield f"missing term {term_name(node.left)}", rest, 1.0
    if not added:
        turned = ast.UnaryOp(ast.USub(), node)
        yield "sign", turned, 1.0
    # ε outside the root and inside it
    if added and calls(node.left, "sqrt"):
        (inside,) = node.left.args  # type: ignore[attr-defined]
        moved = ast.Call(node.left.func, [binary(inside, ast.Add(), node.right)], [])  # type: ignore[attr-defined]
        yield f"{pretty(node.right)} placement", moved, 0.9


def products(node: ast.BinOp) -> Made:
    if isinstance(node.op, ast.MatMult):
        yield "order of the product", binary(node.right, ast.MatMult(), node.left), 1.5
        return
    if isinstance(node.op, ast.Mult):
        yield _dropped_factor(node.right, False), node.left, 1.0
        yield _dropped_factor(node.left, False), node.right, 1.0
        yield (
            f"divided by {pretty(node.right)}",
            binary(node.left, ast.Div(), node.right),
            1.6,
        )
        if ast.dump(node.left) == ast.dump(node.right):
            yield f"moment: {pretty(node.left)} in place of its square", node.left, 0.9
        return
    yield _dropped_factor(node.right, True), node.left, 1.0
    if isinstance(node.left, ast.BinOp) and isinstance(node.left.op, ast.Mult):
        both = binary(node.left.right, ast.Div(), node.right)
        yield _dropped_factor(both, False), node.left.left, 1.2
    twice = binary(node, ast.Div(), node.right)
    yield f"factor 1/{pretty(node.right)}", twice, 1.1
    yield (
        f"multiplied by {pretty(node.right)}",
        binary(node.left, ast.Mult(), node.right),
        1.6,
    )


def powers(node: ast.BinOp) -> Made:
    if isinstance(node.right, ast.Constant):
        yield f"mean of {pretty(node)} in place of it", call("mean", node), 1.5
        yield f"moment: {pretty(node.left)} in place of its power", node.left, 0.9
        yield (
            "absolute value in place of the square",
            ast.Call(ast.Name("abs", ast.Load()), [node.left], []),
            1.5,
        )
        return
    for operator, moved in ((ast.Sub(), "t−1"), (ast.Add(), "t+1")):
        later = binary(node.right, operator, ast.Constant(1))
        yield f"off by one in t: {moved}", binary(node.left, ast.Pow(), later), 1.0
    yield "power left out", node.left, 1.5
    yield "product in place of the power", binary(node.left, ast.Mult(), node.right), 1.5


def called(node: ast.Call, functions: Mapping[str, Any]) -> Made:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name in {"sum", "mean", "max", "softmax"} and len(node.args) == 2:
        axis = node.args[1]
        if isinstance(axis, ast.Constant) and axis.value in (0, 1):
            other = [node.args[0], ast.Constant(1 - axis.value)]
            yield "axis", ast.Call(node.func, other, []), 1.0
    if name in {"sum", "mean"}:
        other_name = "mean" if name == "sum" else "sum"
        swapped = ast.Call(ast.Name(other_name, ast.Load()), node.args, [])
        yield f"{other_name} in place of {name}", swapped, 1.2
    if len(node.args) == 1:
        yield f"missing {name}", node.args[0], 1.2
    if name == "sum":
        yield f"root of {pretty(node)}", call("sqrt", node), 1.4
    if name == "sqrt" and isinstance(node.args[0], ast.BinOp):
        inside = node.args[0]
        if isinstance(inside.op, ast.Add) and names(inside.right) == {"eps"}:
            outside = binary(ast.Call(node.func, [inside.left], []), ast.Add(), inside.right)
            yield f"{pretty(inside.right)} placement", outside, 0.9
    for other in functions:
        if other.startswith(f"{name}_as_"):
            swapped = ast.Call(ast.Name(other, ast.Load()), node.args, [])
            yield other.removeprefix(f"{name}_as_").replace("_", " "), swapped, 0.9
    if name in {"minimum", "maximum"}:
        for index in (0, 1):
            yield f"missing {name}", node.args[index], 1.2


def _fits(old: Any, new: Any) -> bool:
    """Whether one value could stand for another: both arrays of as many axes, or both numbers."""
    return np.ndim(old) == np.ndim(new) and not callable(new)


OF_OPERANDS = {
    "round": "rounded {}", "abs": "absolute value of {}", "sign": "sign of it: {}",
    "mean": "mean of {} in place of it", "roll": "permutation: {} shifted by one example",
    "flip": "permutation: the examples of {} reversed",
}  # fmt: skip


def names_changed(node: ast.Name, within: str, values: Mapping[str, Any]) -> Made:
    old = values[node.id]
    for new, other in values.items():
        if np.ndim(old) == np.ndim(other) == 2 and np.shape(old) == (len(other), 1):
            for reduce in ("mean", "sum") if np.shape(other)[1] > 1 else ():
                source = f"{reduce}({new}, 1)"
                name = f"other array: {source} in place of {node.id}"
                yield name, ast.parse(source, mode="eval").body, 1.9
        if new == node.id or not _fits(old, other):
            continue
        how = scalar_renamed if np.ndim(old) == 0 else renamed
        name, cost = how(node.id, new) if how is scalar_renamed else renamed(node.id, new, within)
        yield name, ast.Name(new, ast.Load()), cost
    if np.ndim(old) == 0:
        if node.id == "t" or node.id == "epoch":
            for operator, moved in ((ast.Sub(), "t−1"), (ast.Add(), "t+1")):
                yield f"off by one in t: {moved}", binary(node, operator, ast.Constant(1)), 1.05
        yield f"square of {symbol(node.id)}", binary(node, ast.Mult(), node), 1.8
        for power in (-3, -2, -1, 1, 2, 3):
            by = ast.Constant(10.0**power)
            yield f"factor 1e{power} on {symbol(node.id)}", binary(by, ast.Mult(), node), 1.9
        root = ast.Call(ast.Name("sqrt", ast.Load()), [node], [])
        yield f"root of {symbol(node.id)}", root, 1.8
        if isinstance(old, float) and 0 < old < 1:
            yield (
                f"1−{symbol(node.id)} in place of {symbol(node.id)}",
                binary(ast.Constant(1), ast.Sub(), node),
                1.5,
            )
        return
    mask = parts(node.id)[0] in {"D", "mask"}
    for function, name in OF_OPERANDS.items():
        called = "mask" if mask else name.format(symbol(node.id))
        yield called, call(function, node), 1.7
    if mask:
        yield "mask", binary(ast.Constant(1), ast.Sub(), node), 1.5
    if np.ndim(old) == 2:
        reduced = within in {"sum", "mean", "max", "softmax"}
        yield "axis" if reduced else "transpose", transposed(node), 1.0
