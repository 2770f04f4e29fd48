"""Names with arguments, as text: read by `ast`, literals only, nothing evaluated or imported."""

import ast
from typing import Any

from jaxnet.crosscheck.translation.arguments import HOMES, KERAS_SCHEDULES, TABLES
from jaxnet.crosscheck.translation.source import (
    EXPECTED,
    Group,
    Schedule,
    Source,
    complete,
    complete_schedule,
)

_SCHEDULES = "keras.optimizers.schedules"


def parse(text: str) -> Source:
    """The optimizer that the text names.

    text: "torch.optim.SGD(lr=0.1, momentum=0.9)", "keras.optimizers.Adam(1e-3)", where a rate may
    be a keras schedule, or "sklearn.neural_network.MLPClassifier(solver='sgd')"; without
    parentheses all defaults. torch's first argument, the parameters, may stand or be left out.
    Raises ValueError for anything else, naming what it did not understand and what to write.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(
            f"source: expected {EXPECTED}, got {text!r}, which is not Python: {error.msg}"
        ) from error
    function = tree.func if isinstance(tree, ast.Call) else tree
    path = _path(function)
    if not path:
        raise ValueError(f"source: expected {EXPECTED}, got {text!r}")
    framework, name = _home(path, text)
    call = tree if isinstance(tree, ast.Call) else ast.Call(function, [], [])
    positional = list(call.args)
    if framework == "torch" or (name.endswith("Optimizer") and framework == "sklearn"):
        if positional and _is_literal(positional[0]):
            raise ValueError(
                f"source: the first argument of {path} is its parameters, got "
                f"{ast.unparse(positional[0])}; name the argument, as in lr=0.1"
            )
        positional = positional[1:]
        call.keywords = [keyword for keyword in call.keywords if keyword.arg != "params"]
    table = TABLES[framework][name]
    given = _arguments(path, table, positional, call.keywords)
    return Source(framework, name, (Group(complete(framework, name, given), 1),))


def _path(node: ast.expr) -> str:
    """A dotted name as text, "" for anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _home(path: str, text: str) -> tuple[str, str]:
    home, _, name = path.rpartition(".")
    for framework, homes in HOMES.items():
        if home in homes:
            if name not in TABLES[framework]:
                raise ValueError(
                    f"source: {home} has no optimizer {name!r} that is known here; known are "
                    f"{', '.join(TABLES[framework])}"
                )
            return framework, name
    found = [f"{HOMES[f][0]}.{name}" for f, table in TABLES.items() if name in table]
    hint = f"; write {' or '.join(found)}" if found else ""
    raise ValueError(f"source: expected {EXPECTED}, got {text!r}{hint}")


def _arguments(
    path: str, table: dict[str, Any], positional: list[ast.expr], keywords: list[ast.keyword]
) -> dict[str, Any]:
    if len(positional) > len(table):
        raise ValueError(
            f"source: {path} has {len(table)} arguments, got {len(positional)} by position"
        )
    given = {name: _value(path, name, node) for name, node in zip(table, positional, strict=False)}
    for keyword in keywords:
        if keyword.arg is None:
            raise ValueError(f"source: expected every argument of {path} written out, got **")
        if keyword.arg in given:
            raise ValueError(f"source: {path} got its argument {keyword.arg!r} twice; give it once")
        given[keyword.arg] = _value(path, keyword.arg, keyword.value)
    return given


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def _value(path: str, name: str, node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        home, _, schedule = _path(node.func).rpartition(".")
        if home == _SCHEDULES and schedule in KERAS_SCHEDULES:
            return _schedule(schedule, node)
        if home == "keras.optimizers" and name == "inner_optimizer":
            return ast.unparse(node)
    if name == "optimizer_map":
        return ast.unparse(node)
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise ValueError(
            f"source: expected a literal for {name} of {path}, or a schedule of {_SCHEDULES}, got "
            f"{ast.unparse(node)}; write its value, or pass the optimizer itself"
        ) from error


def _schedule(name: str, node: ast.Call) -> Schedule:
    path = f"{_SCHEDULES}.{name}"
    given = _arguments(path, KERAS_SCHEDULES[name], list(node.args), node.keywords)
    return complete_schedule(name, given)
