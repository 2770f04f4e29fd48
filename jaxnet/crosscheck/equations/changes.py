"""Every single change of an equation: the ways in which somebody writes it down wrongly.

None of them knows an algorithm. A name is taken for another, a term or a factor is dropped, put in
twice or has the wrong sign, a transpose is forgotten, a sum runs over the other axis, ε stands on
the other side of the root, a power is left out, t is off by one.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnet.crosscheck.equations.text import Equation, names

SYMBOLS = {
    "alpha": "α", "learning_rate": "α", "alpha0": "α₀", "l2": "λ", "l1": "λ", "lam": "λ",
    "beta": "β", "beta1": "β₁", "beta2": "β₂", "eps": "ε", "batch_size": "B", "batch": "B",
    "gamma": "γ",
}  # fmt: skip
"""How the notes write what the code calls otherwise."""


class Change(NamedTuple):
    """One changed equation: what to call the change, its text, and how far-fetched it is."""

    name: str
    source: str
    cost: float


def symbol(name: str) -> str:
    """A name as the notes write it; a layer's number stays, but for keep_prob's."""
    return "keep_prob" if re.fullmatch(r"keep\d*", name) else SYMBOLS.get(name, name)


def pretty(node: ast.AST) -> str:
    """An expression as the notes write it: 1 − β₁, λ/m·W2."""
    text = re.sub(r"[A-Za-z_]\w*", lambda match: symbol(match[0]), ast.unparse(node))
    for code, sign in (("**", "^"), (" * ", "·"), (" / ", "/"), (" - ", "−"), ("1−", "1−")):
        text = text.replace(code, sign)
    return text


def parts(name: str) -> tuple[str, str, str]:
    """Letter, layer and suffix of a name: dW2 ↦ (dW, 2, ""), alpha_first ↦ (alpha, "", first)."""
    if name in SYMBOLS:
        return name, "", ""
    matched = re.fullmatch(r"(.*?)(\d*)(?:_(prev|first))?", name)
    assert matched
    return matched[1], matched[2], matched[3] or ""


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


def _binary(left: ast.expr, operator: ast.operator, right: ast.expr) -> ast.expr:
    return ast.BinOp(left, operator, right)


def _transposed(node: ast.expr) -> ast.expr:
    return ast.Attribute(node, "T", ast.Load())


def _is_one_minus(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Sub)
        and isinstance(node.left, ast.Constant)
        and node.left.value == 1
    )


def _call(name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


def _corrects_start(node: ast.AST) -> bool:
    """1 − βᵗ, by which an average that started from zero is divided."""
    return _is_one_minus(node) and isinstance(getattr(node, "right", None), ast.BinOp)


def _calls(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def term_name(node: ast.AST) -> str:
    """A term of a sum: λW for what is made of a strength and a weight, else as it stands."""
    within = {parts(name)[0] for name in names(node)}
    strength = within & {"l2", "l1", "lam", "weight_decay"}
    weights = [one for one in ("W", "w", "b", "gamma", "beta") if one in within]
    if strength and weights:
        return f"{symbol(min(strength))}{symbol(weights[0])}"
    return pretty(node)


def _dropped_factor(node: ast.expr, divisor: bool) -> str:
    if _corrects_start(node):
        return "bias correction"
    if any(parts(name)[0] in {"D", "mask"} for name in names(node)):
        return "mask"
    return f"factor {pretty(node)}" if divisor else f"missing factor {pretty(node)}"


def _sums(node: ast.BinOp) -> Iterator[tuple[str, ast.expr, float]]:
    added = isinstance(node.op, ast.Add)
    if _is_one_minus(node):
        if not _corrects_start(node):
            yield f"{pretty(node.right)} in place of {pretty(node)}", node.right, 1.5
        return
    yield "sign", _binary(node.left, ast.Sub() if added else ast.Add(), node.right), 1.0
    yield f"missing term {term_name(node.right)}", node.left, 1.0
    rest = node.right if added else ast.UnaryOp(ast.USub(), node.right)
    yield f"missing term {term_name(node.left)}", rest, 1.0
    if not added:
        turned = ast.UnaryOp(ast.USub(), node)
        yield "sign", turned, 1.0
    # ε outside the root and inside it
    if added and _calls(node.left, "sqrt"):
        (inside,) = node.left.args  # type: ignore[attr-defined]
        moved = ast.Call(node.left.func, [_binary(inside, ast.Add(), node.right)], [])  # type: ignore[attr-defined]
        yield f"{pretty(node.right)} placement", moved, 0.9


def _products(node: ast.BinOp) -> Iterator[tuple[str, ast.expr, float]]:
    if isinstance(node.op, ast.MatMult):
        yield "order of the product", _binary(node.right, ast.MatMult(), node.left), 1.5
        return
    if isinstance(node.op, ast.Mult):
        yield _dropped_factor(node.right, False), node.left, 1.0
        yield _dropped_factor(node.left, False), node.right, 1.0
        yield (
            f"divided by {pretty(node.right)}",
            _binary(node.left, ast.Div(), node.right),
            1.6,
        )
        if ast.dump(node.left) == ast.dump(node.right):
            yield f"moment: {pretty(node.left)} in place of its square", node.left, 0.9
        return
    yield _dropped_factor(node.right, True), node.left, 1.0
    if isinstance(node.left, ast.BinOp) and isinstance(node.left.op, ast.Mult):
        both = _binary(node.left.right, ast.Div(), node.right)
        yield _dropped_factor(both, False), node.left.left, 1.2
    twice = _binary(node, ast.Div(), node.right)
    yield f"factor 1/{pretty(node.right)}", twice, 1.1
    yield (
        f"multiplied by {pretty(node.right)}",
        _binary(node.left, ast.Mult(), node.right),
        1.6,
    )


def _powers(node: ast.BinOp) -> Iterator[tuple[str, ast.expr, float]]:
    if isinstance(node.right, ast.Constant):
        yield f"mean of {pretty(node)} in place of it", _call("mean", node), 1.5
        yield f"moment: {pretty(node.left)} in place of its power", node.left, 0.9
        yield (
            "absolute value in place of the square",
            ast.Call(ast.Name("abs", ast.Load()), [node.left], []),
            1.5,
        )
        return
    for operator, moved in ((ast.Sub(), "t−1"), (ast.Add(), "t+1")):
        later = _binary(node.right, operator, ast.Constant(1))
        yield f"off by one in t: {moved}", _binary(node.left, ast.Pow(), later), 1.0
    yield "power left out", node.left, 1.5
    yield "product in place of the power", _binary(node.left, ast.Mult(), node.right), 1.5


def _called(node: ast.Call, functions: Mapping[str, Any]) -> Iterator[tuple[str, ast.expr, float]]:
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
        yield f"root of {pretty(node)}", _call("sqrt", node), 1.4
    if name == "sqrt" and isinstance(node.args[0], ast.BinOp):
        inside = node.args[0]
        if isinstance(inside.op, ast.Add) and names(inside.right) == {"eps"}:
            outside = _binary(ast.Call(node.func, [inside.left], []), ast.Add(), inside.right)
            yield f"{pretty(inside.right)} placement", outside, 0.9
    for other in functions:
        if other.startswith(f"{name}_as_"):
            swapped = ast.Call(ast.Name(other, ast.Load()), node.args, [])
            yield other.removeprefix(f"{name}_as_").replace("_", " "), swapped, 0.9
    if name in {"minimum", "maximum"}:
        for index in (0, 1):
            yield f"missing {name}", node.args[index], 1.2


def renamed(old: str, new: str, within: str = "") -> tuple[str, float]:
    """What to call one name taken for another, and how far-fetched that is."""
    (base, layer, when), (new_base, new_layer, new_when) = parts(old), parts(new)
    if within.startswith("d") and base == "Z" and new_base == "A" and layer == new_layer:
        return "derivative at activation", 0.9
    if base in {"D", "mask"}:
        return "mask", 1.0
    if base == new_base and layer == new_layer:
        return ("stale learning rate" if base == "alpha" else "another step's array"), 1.1
    if base.startswith("alpha") and new_base.startswith("alpha"):
        return "compounding" if new_when == "prev" else "stale learning rate", 1.1
    if base == "t" or base == "epoch":
        return ("t" if base == "t" else "unit of t") + f": {new} in place of {old}", 1.2
    if base == new_base and when == new_when:
        return "other layer's array", 1.1
    return f"other array: {symbol(new)} in place of {symbol(old)}", 2.0


def scalar_renamed(old: str, new: str) -> tuple[str, float]:
    """The same for numbers: sizes give a factor, others are named."""
    sizes = ("m", "batch_size", "n", "n_in", "n_out")
    if old in sizes and new in sizes:
        first, second = sorted((old, new), key=sizes.index)
        return f"factor {symbol(first)}/{symbol(second)}", 1.1
    name, cost = renamed(old, new)
    return name.replace("other array", "other number"), cost


def _fits(old: Any, new: Any) -> bool:
    """Whether one value could stand for another: both arrays of as many axes, or both numbers."""
    return np.ndim(old) == np.ndim(new) and not callable(new)


OF_OPERANDS = {
    "round": "rounded {}", "abs": "absolute value of {}", "sign": "sign of it: {}",
    "mean": "mean of {} in place of it", "roll": "permutation: {} shifted by one example",
    "flip": "permutation: the examples of {} reversed",
}  # fmt: skip


def _names_changed(
    node: ast.Name, within: str, values: Mapping[str, Any]
) -> Iterator[tuple[str, ast.expr, float]]:
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
                yield f"off by one in t: {moved}", _binary(node, operator, ast.Constant(1)), 1.05
        yield f"square of {symbol(node.id)}", _binary(node, ast.Mult(), node), 1.8
        for power in (-3, -2, -1, 1, 2, 3):
            by = ast.Constant(10.0**power)
            yield f"factor 1e{power} on {symbol(node.id)}", _binary(by, ast.Mult(), node), 1.9
        root = ast.Call(ast.Name("sqrt", ast.Load()), [node], [])
        yield f"root of {symbol(node.id)}", root, 1.8
        if isinstance(old, float) and 0 < old < 1:
            yield (
                f"1−{symbol(node.id)} in place of {symbol(node.id)}",
                _binary(ast.Constant(1), ast.Sub(), node),
                1.5,
            )
        return
    mask = parts(node.id)[0] in {"D", "mask"}
    for function, name in OF_OPERANDS.items():
        called = "mask" if mask else name.format(symbol(node.id))
        yield called, _call(function, node), 1.7
    if mask:
        yield "mask", _binary(ast.Constant(1), ast.Sub(), node), 1.5
    if np.ndim(old) == 2:
        reduced = within in {"sum", "mean", "max", "softmax"}
        yield "axis" if reduced else "transpose", _transposed(node), 1.0


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


def _scaled(
    tree: ast.expr, values: Mapping[str, Any], functions: Mapping[str, Any]
) -> Iterator[tuple[str, ast.expr, float]]:
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
                _substitute(tree, term, _binary(term, ast.Mult(), by)),
                2.0,
            )
            yield (
                f"factor 1/{symbol(number)}",
                _substitute(tree, term, _binary(term, ast.Div(), by)),
                2.0,
            )
        for name, array in values.items():
            if np.ndim(array) == 2 and term is not tree:
                by = ast.Name(name, ast.Load())
                scaled = _binary(term, ast.Mult(), by)
                yield f"factor {symbol(name)}", _substitute(tree, term, scaled), 2.2
        for function in SLOPES & functions.keys() if term is tree else ():
            for name, array in values.items():
                if np.ndim(array) == 2:
                    slope = _call(function, ast.Name(name, ast.Load()))
                    scaled = _binary(term, ast.Mult(), slope)
                    yield f"factor {function}({name})", scaled, 1.8
        for factor, name in ((2, "factor 2"), (0.5, "factor ½")):
            yield (
                name,
                _substitute(tree, term, _binary(ast.Constant(factor), ast.Mult(), term)),
                1.4,
            )


def _like_terms(tree: ast.expr, values: Mapping[str, Any]) -> Iterator[tuple[str, ast.expr, float]]:
    """To a sum one more term for every array of another kind: Σ b² beside Σ W²."""
    for node in ast.walk(tree):
        if not _calls(node, "sum"):
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
                more = _binary(more, ast.Add(), ast.parse(source, mode="eval").body)
            biases = kind in {"b", "beta", "gamma"}
            name = "extra term on biases" if biases else f"extra term {kind}"
            yield name, _substitute(tree, node, more), 1.3
        return


PARTS = {"-1:": "the last only", ":1": "the first only", ":-1": "all but the last",
         "1:": "all but the first"}  # fmt: skip


def _parts_of_examples(
    tree: ast.expr, values: Mapping[str, Any]
) -> Iterator[tuple[str, ast.expr, float]]:
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
    seen = {line.source}
    for name, tree, cost in _all(line.tree, values, functions):
        source = ast.unparse(tree)
        if source not in seen:
            seen.add(source)
            yield Change(name, source, cost)


def _all(
    tree: ast.expr, values: Mapping[str, Any], functions: Mapping[str, Any]
) -> Iterator[tuple[str, ast.expr, float]]:
    callers = {
        id(argument): call.func.id
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        for argument in call.args
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            found = _sums(node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            found = _powers(node)
        elif isinstance(node, ast.BinOp):
            found = _products(node)
        elif isinstance(node, ast.Call):
            found = _called(node, functions)
        elif isinstance(node, ast.Attribute) and node.attr == "T":
            found = iter([("transpose", node.value, 1.0)])
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            found = iter([("sign", node.operand, 1.0)])
        elif isinstance(node, ast.Name) and node.id in values and not callable(values[node.id]):
            found = _names_changed(node, callers.get(id(node), ""), values)
        else:
            continue
        for name, new, cost in found:
            yield name, _substitute(tree, node, new), cost
    yield "sign", ast.UnaryOp(ast.USub(), tree), 1.0
    yield from _parts_of_examples(tree, values)
    yield from _like_terms(tree, values)
    yield from _scaled(tree, values, functions)
