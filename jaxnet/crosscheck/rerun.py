"""The reference on changed arguments: the candidate may have taken another one, or none."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.crosscheck.equations.locate import SHARE, agree, residual
from jaxnet.crosscheck.equations.naming import parts, renamed
from jaxnet.crosscheck.explain.surroundings import short, symbol
from jaxnet.crosscheck.findings import Explanation

MOST = 400
"""Calls of the reference at most; each is one edit of the arguments."""


class Edit(NamedTuple):
    """What was done to the arguments: its name, a sentence, and how far-fetched it is."""

    name: str
    detail: str
    cost: float
    arguments: Any


def _field(path: str) -> str:
    """The last word of a place: [0].A_prev ↦ A_prev, ['l2'] ↦ l2, [1][0] ↦ [1][0]."""
    words = re.findall(r"[A-Za-z_]\w*", path)
    return words[-1] if words else path


Made = tuple[Any, str, float]


def _numbers(name: str, value: Any, others: Mapping[str, Any]) -> Iterator[Made]:
    shown = symbol(name)
    strength = shown == "λ"
    yield 0, "missing term λW" if strength else f"{shown} taken as 0", 0.5
    yield 1, f"factor {shown}" if shown == "keep_prob" else f"{shown} taken as 1", 0.6
    if isinstance(value, int | np.integer):
        for by in (-1, 1):
            off = "off by one in t" if name in {"t", "epoch", "step"} else f"off by one in {shown}"
            yield value + by, off, 0.6
    elif 0 < value < 1:
        yield 1 - value, f"1−{shown} in place of {shown}", 0.7
    yield value**2, f"{shown}² in place of {shown}", 0.9
    yield abs(value) ** 0.5, f"√{shown} in place of {shown}", 0.9
    yield 2 * value, f"factor 2 of {shown}", 0.8
    yield value / 2, f"factor ½ of {shown}", 0.8
    yield -value, "sign", 0.9
    for other, number in others.items():
        if other != name and number != value:
            yield number, f"{symbol(other)} in place of {shown}", 1.0


def _arrays(path: str, array: np.ndarray, others: Mapping[str, np.ndarray]) -> Iterator[Made]:
    name = _field(path)
    if array.dtype.kind == "b" or (array.size and np.isin(array, (0, 1)).all()):
        yield (
            np.ones_like(array),
            "mask" if re.match(r"mask|D\d*$", name) else f"{name} ignored",
            0.6,
        )
    if array.ndim == 2 and array.shape[0] == array.shape[1] and array.shape[0] > 1:
        yield array.T.copy(), "transpose", 0.5
    if array.dtype.kind in "fc":
        yield np.zeros_like(array), f"{name} ignored", 0.8
        yield -array, "sign", 0.9
    for axis, length in enumerate(array.shape):
        if length > 2:
            yield np.roll(array, 1, axis), f"{name} shifted along axis {axis}", 1.2
            yield np.flip(array, axis).copy(), f"{name} reversed along axis {axis}", 1.1
    for other, value in others.items():
        if other != path and value.shape == array.shape and not np.array_equal(value, array):
            theirs = _field(other)
            base, new = parts(name)[0], parts(theirs)[0]
            if base == "Z" and new == "A":
                called, cost = "derivative at activation", 0.6
            elif name == theirs or base == new:
                called, cost = "other layer's array", 0.7
            else:
                called, cost = renamed(name, theirs)[0], 1.0
            yield value, called, cost


def _alike(path: str) -> str:
    return re.sub(r"\d+", "#", path)


def edits(arguments: Any, context: Mapping[str, Any]) -> Iterator[Edit]:
    """Every change of one number or array, and of the same one in every layer at once."""
    places, structure = jax.tree_util.tree_flatten_with_path(arguments)
    leaves = [leaf for _, leaf in places]
    paths = [jax.tree_util.keystr(path) for path, _ in places]
    is_number = [
        isinstance(leaf, int | float | np.number) and not isinstance(leaf, bool | np.bool_)
        for leaf in leaves
    ]
    numbers = {
        **context,
        **{_field(p): x for p, x, is_one in zip(paths, leaves, is_number, strict=True) if is_one},
    }
    arrays = {
        p: np.asarray(x)
        for p, x in zip(paths, leaves, strict=True)
        if isinstance(x, np.ndarray | jax.Array)
    }

    def edited(changes: Mapping[int, Any]) -> Any:
        return jax.tree.unflatten(structure, [changes.get(i, x) for i, x in enumerate(leaves)])

    together: dict[Any, list[tuple[int, Any, str, float]]] = {}
    for index, (path, leaf) in enumerate(zip(paths, leaves, strict=True)):
        if is_number[index]:
            made = _numbers(_field(path), leaf, numbers)
        elif path in arrays:
            made = _arrays(path, arrays[path], arrays)
        else:
            continue
        for place, (new, name, cost) in enumerate(made):
            yield Edit(name, f"as if {short(path)} were changed", cost, edited({index: new}))
            source = next((p for p, a in arrays.items() if a is new), None)
            relation = (place,) if source is None else _relation(path, source)
            together.setdefault((_alike(path), name, relation), []).append((index, new, name, cost))
    for (path, *_), made in together.items():
        if len(made) > 1:
            changes = {index: new for index, new, *_ in made}
            _, _, name, cost = made[0]
            detail = f"as if all {short(path)} were changed"
            yield Edit(name, detail, cost - 0.01, edited(changes))


def _relation(path: str, source: str) -> tuple:
    """Where one array stands as seen from another: the same in every layer."""
    ours, theirs = (list(map(int, re.findall(r"\d+", p))) for p in (path, source))
    apart = [b - a for a, b in zip(ours, theirs, strict=False)]
    return (_alike(source), *apart)


def rerun(
    left: Mapping[str, Any],
    right: Mapping[str, Any],
    reference: Callable[[Any], Mapping[str, Any]],
    arguments: Any,
    context: Mapping[str, Any],
) -> list[Explanation]:
    """Which single change of the arguments makes the reference return what the candidate did.

    left, right: the two results as named arrays. reference: arguments ↦ named arrays. arguments:
    any pytree. context: numbers that may have been taken in place of one of the arguments'.
    Returns explanations, the simplest first.
    """
    before = max((residual(left[name], right[name]) for name in right if name in left), default=0.0)
    found: dict[str, tuple[float, Explanation]] = {}
    for count, edit in enumerate(edits(arguments, context)):
        if count >= MOST:
            break
        try:
            with np.errstate(all="ignore"):
                changed = reference(edit.arguments)
            after = max(residual(left[name], changed[name]) for name in left)
            fits = after <= SHARE * before and all(
                agree(left[name], changed[name]) for name in left
            )
        except Exception:  # the reference refuses such an argument: no such bug
            continue
        if fits and (edit.name not in found or edit.cost < found[edit.name][0]):
            found[edit.name] = edit.cost, Explanation(edit.name, before, after, "", edit.detail)
    return [one for _, one in sorted(found.values(), key=lambda item: item[0])]
