"""A function's computation graph, from its trace: values forward, derivatives backward.

The trace is JAX's, an equation for every operation. A box of the graph is what the function named
with `jax.ad_checkpoint.checkpoint_name`; the operations between two names are the text in the
box. The derivatives come from RULES, written by hand, so that jax.grad can be held against them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.extend.core import Literal


class Node(NamedTuple):
    """An input of a function, or a step on the way to its value.

    expression: the step in terms of the nodes before it; an input has none.
    partials: derivative of this node by each node that its expression uses.
    derivative: of the function's value by this node.
    """

    name: str
    expression: str
    partials: dict[str, float]
    value: float
    derivative: float


class Term(NamedTuple):
    """What is known of a number within a box: its text, and how tightly that text binds."""

    value: float
    text: str
    binding: int
    partials: dict[str, float]


SUM, PRODUCT, ATOM = 1, 2, 3


class Rule(NamedTuple):
    """An operation.

    partials: (its result, its operands) ↦ its derivative by each operand.
    text: with a place for each operand's text, which is put in brackets where it binds less
    tightly than operands_bind asks for.
    """

    partials: Callable[..., tuple[float, ...]]
    text: str
    binding: int
    operands_bind: tuple[int, ...]


RULES = {
    "add": Rule(lambda c, a, b: (1.0, 1.0), "{} + {}", SUM, (SUM, SUM)),
    "sub": Rule(lambda c, a, b: (1.0, -1.0), "{} − {}", SUM, (SUM, PRODUCT)),
    "mul": Rule(lambda c, a, b: (b, a), "{}·{}", PRODUCT, (PRODUCT, PRODUCT)),
    "neg": Rule(lambda c, a: (-1.0,), "−{}", SUM, (PRODUCT,)),
    "log": Rule(lambda c, a: (1 / a,), "log({})", ATOM, (SUM,)),
    "logistic": Rule(lambda a, z: (a * (1 - a),), "σ({})", ATOM, (SUM,)),
}


def trace(function: Callable[..., Any], inputs: dict[str, float]) -> dict[str, Node]:
    """Computation graph of a function of scalars at given values.

    ∂J/∂p = Σ ∂J/∂n · ∂n/∂p over the nodes n that use p, from J backwards

    function: traceable by JAX, made of the operations in RULES, its result and the steps on the
    way named with `checkpoint_name`. inputs: its arguments in order, by the names to show.
    Returns the nodes by name, inputs first, the function's value last.
    Raises ValueError for an operation without a rule, a name used twice, and an unnamed result.
    Source: notes §2, computation graph (figs. 9 and 10).

    >>> from jax.ad_checkpoint import checkpoint_name
    >>> trace(lambda x: checkpoint_name(x * x, "y"), {"x": 3.0})["x"].derivative
    6.0
    """
    jaxpr = jax.make_jaxpr(function)(*inputs.values()).jaxpr
    steps = {name: Node(name, "", {}, value, 0.0) for name, value in inputs.items()}
    terms = {
        variable: Term(value, name, ATOM, {name: 1.0})
        for variable, (name, value) in zip(jaxpr.invars, inputs.items(), strict=True)
    }
    for equation in jaxpr.eqns:
        operands = [_operand(terms, variable) for variable in equation.invars]
        operation = equation.primitive.name
        (result,) = equation.outvars
        if operation == "name":
            name = equation.params["name"]
            if name in steps:
                raise ValueError(f"function: expected distinct names, got {name!r} twice")
            (step,) = operands
            steps[name] = Node(name, step.text, step.partials, step.value, 0.0)
            terms[result] = Term(step.value, name, ATOM, {name: 1.0})
        elif operation in RULES:
            value = float(equation.primitive.bind(*(o.value for o in operands), **equation.params))
            terms[result] = _apply(RULES[operation], operands, value)
        else:
            raise ValueError(
                f"function: expected the operations {', '.join(sorted(RULES))}, got {operation!r}"
            )
    (output,) = (_operand(terms, variable) for variable in jaxpr.outvars)
    if output.text != list(steps)[-1]:
        raise ValueError(f"function: expected its result to be named last, got {output.text!r}")
    return _backward(steps)


def _operand(terms: dict[Any, Term], variable: Any) -> Term:
    if isinstance(variable, Literal):
        return Term(float(variable.val), f"{float(variable.val):g}", ATOM, {})
    return terms[variable]


def _apply(rule: Rule, operands: list[Term], value: float) -> Term:
    partials: dict[str, float] = {}
    local = rule.partials(value, *(operand.value for operand in operands))
    for operand, factor in zip(operands, local, strict=True):
        for name, partial in operand.partials.items():
            partials[name] = partials.get(name, 0.0) + factor * partial
    texts = [
        operand.text if operand.binding >= needed else f"({operand.text})"
        for operand, needed in zip(operands, rule.operands_bind, strict=True)
    ]
    return Term(value, rule.text.format(*texts), rule.binding, partials)


def _backward(steps: dict[str, Node]) -> dict[str, Node]:
    derivatives = dict.fromkeys(steps, 0.0)
    derivatives[list(steps)[-1]] = 1.0
    for name in reversed(steps):
        for used, partial in steps[name].partials.items():
            derivatives[used] += derivatives[name] * partial
    return {name: node._replace(derivative=derivatives[name]) for name, node in steps.items()}
