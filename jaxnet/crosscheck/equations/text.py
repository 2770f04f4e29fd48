"""Equations as text, one result a line, and their evaluation.

Text because it reads as the notes do, and because a program can change it: `changes` makes every
single change of an equation, `locate` tries which of them gives what a candidate returned.
"""

import ast
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

Values = dict[str, Any]
"""Named arrays and numbers, in the reference's layout."""


class Equation(NamedTuple):
    """out: the name of the result. source: the right-hand side. tree: the same, parsed."""

    out: str
    source: str
    tree: ast.expr

    def __str__(self) -> str:
        return f"{self.out} = {self.source}"


class Equations(NamedTuple):
    """lines: in an order in which each uses only inputs and results of earlier ones.

    functions: what a line may call beside `FUNCTIONS`, such as the hidden layers' g and dg. rivals:
    (name, line) pairs, other forms of a line that no single change makes of it. A name that ends
    in `_prev` is the value of the step before.
    """

    lines: tuple[Equation, ...]
    functions: Mapping[str, Callable[..., Any]] = {}
    rivals: tuple[tuple[str, Equation], ...] = ()


def equation(line: str) -> Equation:
    """Parse one line, "dW2 = dZ2 @ A1.T / m"."""
    out, source = line.split("=", 1)
    source = source.strip()
    return Equation(out.strip(), source, ast.parse(source, mode="eval").body)


def equations(
    *lines: str,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    rivals: Iterable[tuple[str, str]] = (),
) -> Equations:
    """Parse lines, and (name, line) pairs of rival forms.

    >>> [str(line) for line in equations("Z = W @ X + b", "A = tanh(Z)").lines]
    ['Z = W @ X + b', 'A = tanh(Z)']
    """
    return Equations(
        tuple(map(equation, lines)),
        dict(functions or {}),
        tuple((name, equation(line)) for name, line in rivals),
    )


def _reduced(reduce: Callable) -> Callable:
    return lambda x, axis=None: reduce(np.asarray(x), axis=axis, keepdims=axis is not None)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "abs": np.abs,
    "sign": np.sign,
    "round": np.round,
    "roll": lambda x: np.roll(x, 1, -1),
    "flip": lambda x: np.flip(x, -1),
    "minimum": np.minimum,
    "maximum": np.maximum,
    "floor": np.floor,
    "sum": _reduced(np.sum),
    "mean": _reduced(np.mean),
    "max": _reduced(np.max),
}


def names(tree: ast.AST) -> set[str]:
    """All names in an expression, functions included."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


@lru_cache(maxsize=20_000)
def _compiled(source: str) -> CodeType:
    return compile(source, "<equation>", "eval")


def value(source: str, environment: Mapping[str, Any]) -> Any:
    """The value of an expression."""
    return eval(_compiled(source), {"__builtins__": {}}, environment)


# What a wrong equation makes may overflow: that is a value like others, and no reason to warn.
def quiet() -> np.errstate:
    """Floating-point exceptions give inf and NaN without a warning."""
    return np.errstate(all="ignore")


@quiet()
def evaluate(given: Equations, inputs: Mapping[str, Any]) -> Values:
    """All results, in the order of the lines, and the inputs.

    Raises NameError for an input that is missing.
    """
    environment: Values = {**FUNCTIONS, **given.functions, **inputs}
    for line in given.lines:
        environment[line.out] = value(line.source, environment)
    results = {line.out for line in given.lines}
    return {name: environment[name] for name in (*inputs, *results)}


@quiet()
def iterate(given: Equations, inputs: Mapping[str, Any], steps: int) -> Values:
    """A recurrence: the results of every step, stacked along a new leading axis.

    inputs: a name that ends in `_prev` is the value before the first step; a tuple holds one value
    for each step; everything else is constant.
    """
    environment: Values = {**FUNCTIONS, **given.functions, **inputs}
    per_step = {name: each for name, each in inputs.items() if isinstance(each, tuple)}
    carried = [name for name in inputs if name.endswith("_prev") and name not in per_step]
    path: dict[str, list[Any]] = {line.out: [] for line in given.lines}
    for step in range(steps):
        environment |= {name: each[step] for name, each in per_step.items()}
        for line in given.lines:
            environment[line.out] = value(line.source, environment)
            path[line.out].append(environment[line.out])
        for name in carried:
            current = name.removesuffix("_prev")
            if current in environment:
                environment[name] = environment[current]
    return {name: np.stack(each) for name, each in path.items()}
