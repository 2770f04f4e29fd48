"""What might matter to a difference: the numbers and arrays around it; what a constant equals."""

import re
from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.crosscheck.comparison import as_array

SYMBOLS = {
    "batch_size": "B", "l2": "λ", "l1": "λ", "lam": "λ", "lambda": "λ", "beta": "β", "b1": "β₁",
    "b2": "β₂", "beta1": "β₁", "beta2": "β₂", "learning_rate": "α", "alpha": "α", "lr": "α",
    "eps": "ε", "epsilon": "ε",
}  # fmt: skip

LONGEST = 30
"""Steps up to which 1 − βᵗ is tried as a factor where the context does not say t."""


class Surroundings(NamedTuple):
    """numbers: name ↦ value. arrays: name ↦ array, of the context and of the results themselves."""

    numbers: Mapping[str, float]
    arrays: Mapping[str, np.ndarray]


def short(name: str) -> str:
    """A place in a tree as a reader would call it: ['dW1'] ↦ dW1, [0].w ↦ [0].w."""
    return re.sub(r"\['([^']*)'\]", r".\1", name).lstrip(".") or "result"


def surroundings(context: Mapping[str, Any] | None) -> Surroundings:
    """Sort a context into numbers and arrays; pytrees give an array for every leaf.

    Raises TypeError for a context that is not a dict, or a value in it that holds no numbers.
    """
    if context is None:
        return Surroundings({}, {})
    if not isinstance(context, Mapping):
        raise TypeError(f"context: expected a dict of numbers and arrays, got {context!r}")
    numbers: dict[str, float] = {}
    arrays: dict[str, np.ndarray] = {}
    for key, entry in context.items():
        for path, leaf in jax.tree_util.tree_leaves_with_path(entry):
            name = short(str(key) + jax.tree_util.keystr(path))
            if isinstance(leaf, str | bool) or leaf is None:
                continue
            array = as_array(f"context[{key!r}]", leaf)
            if array.ndim == 0 and array.dtype.kind in "iuf":
                word = (re.findall(r"[A-Za-z_]\w*", name) or [name])[-1]
                numbers[name if numbers.get(word, array) != array else word] = float(array)
            elif array.ndim and array.dtype.kind in "biufc":
                arrays[name] = array
    return Surroundings(numbers, arrays)


def symbol(name: str) -> str:
    """m, B, λ, β₁ for what code calls m, batch_size, l2, b1."""
    return SYMBOLS.get(name, name)


class Constant(NamedTuple):
    """A number that something around equals, how it is called, and how far-fetched it is."""

    name: str
    value: float
    cost: float


def _basic(around: Surroundings) -> Iterator[Constant]:
    yield Constant("2", 2.0, 0.1)
    yield Constant("10", 10.0, 0.8)
    for name, number in around.numbers.items():
        if number > 0 and np.isfinite(number) and number != 1:
            yield Constant(symbol(name), number, 0.0)
    known = set(around.numbers.values())
    for name, array in around.arrays.items():
        for axis, size in enumerate(array.shape):
            if size > 2 and size not in known:
                known.add(size)
                yield Constant(f"{size} (length of axis {axis} of {short(name)})", float(size), 0.5)


def _derived(basic: list[Constant], around: Surroundings) -> Iterator[Constant]:
    for one in basic:
        if one.value > 1 and one.value == int(one.value) and one.name not in {"2", "10"}:
            yield Constant("n/(n−1)", one.value / (one.value - 1), one.cost + 0.2)
            yield Constant(f"{one.name}−1", one.value - 1, one.cost + 0.6)
        if 0 < one.value < 1:
            yield Constant(f"1−{one.name}", 1 - one.value, one.cost + 0.1)
            if one.name.startswith("β"):
                yield from _corrections(one, around)
        if one.name != "2":
            yield Constant(f"√{one.name}", one.value**0.5, one.cost + 0.4)
            yield Constant(f"{one.name}²", one.value**2, one.cost + 0.4)


def _corrections(beta: Constant, around: Surroundings) -> Iterator[Constant]:
    steps = {name: around.numbers[name] for name in ("t", "step") if name in around.numbers}
    for t in range(2, LONGEST + 1) if not steps else sorted({int(t) for t in steps.values()}):
        corrected = 1 - beta.value**t
        yield Constant(f"1−{beta.name}^{t}", corrected, 0.4 + 0.01 * t)
        yield Constant(f"√(1−{beta.name}^{t})", corrected**0.5, 0.5 + 0.01 * t)


class Known(NamedTuple):
    """Constants in the order of the logarithms of their values, which are beside them."""

    constants: tuple[Constant, ...]
    logarithms: np.ndarray


def constants(around: Surroundings) -> Known:
    """Everything that a factor may turn out to be: numbers, functions of them, and quotients."""
    basic = list(_basic(around))
    derived = list(_derived(basic, around))
    found = [*basic, *derived]
    for one, other in permutations([*basic, *derived[:200]], 2):
        cost = one.cost + other.cost + 0.5
        found.append(
            Constant(f"{one.name}/{_bracketed(other.name)}", one.value / other.value, cost)
        )
        if one.name <= other.name:
            name = f"{_bracketed(one.name)}·{_bracketed(other.name)}"
            found.append(Constant(name, one.value * other.value, cost))
    found = [one for one in found if 0 < one.value < np.inf]
    logarithms = np.log([one.value for one in found])
    order = np.argsort(logarithms, kind="stable")
    return Known(tuple(found[i] for i in order), logarithms[order])


def _bracketed(name: str) -> str:
    return f"({name})" if any(sign in name for sign in "−·/ ") else name


class Named(NamedTuple):
    """A factor: how the notes would call it, what exactly it is, and how far-fetched that is."""

    name: str
    exactly: str
    cost: float


def identify(factor: float, known: Known, precision: float) -> Named | None:
    """What a positive factor equals: one of the constants, or one over it. None if nothing.

    precision: the relative error to allow.
    """
    named = []
    for inverse in (False, True):
        target = -np.log(factor) if inverse else np.log(factor)
        first, last = np.searchsorted(known.logarithms, (target - precision, target + precision))
        named += [_called(one, inverse) for one in known.constants[first:last]]
    return min(named, key=lambda one: one.cost, default=None)


def _called(one: Constant, inverse: bool) -> Named:
    exactly = f"1/{_bracketed(one.name)}" if inverse else one.name
    cost = one.cost + 0.01 * inverse
    if "−β" in one.name and "^" in one.name:
        return Named("bias correction", exactly, cost)
    if one.name == "2" and inverse:
        return Named("factor ½", "½", cost)
    if one.name == "n/(n−1)":
        return Named("factor n/(n−1)", exactly, cost)
    if one.name.startswith("1−") and inverse:
        return Named(f"missing factor {one.name}", exactly, cost)
    # A quotient and its inverse are one name, the larger number above.
    if "/" in one.name and one.value < 1 and not inverse and one.name.count("/") == 1:
        above, below = one.name.split("/")
        if all(len(side) == 1 for side in (above, below)) and "λ" not in above + below:
            return Named(f"factor {below}/{above}", exactly, cost)
    if inverse and "/" in one.name and one.value >= 1:
        return Named(f"factor {one.name}", exactly, cost)
    return Named(f"factor {exactly}", exactly, cost)
