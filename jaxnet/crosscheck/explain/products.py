"""Which product or reduction of arrays around each side is: one operand or axis may be another."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np

from jaxnet.crosscheck.explain.guess import LARGE, Guess, Pair, other_name
from jaxnet.crosscheck.explain.surroundings import Known, Surroundings

MOST = 24
"""Arrays to take pairs of; pairs of more would take longer than a reader waits."""


class Expression(NamedTuple):
    """A product of two arrays, or the reduction of one: value, how it reads, and its operands."""

    value: np.ndarray
    text: str
    operands: tuple[str, ...]
    form: str


def expressions(arrays: dict[str, np.ndarray], sizes: set[int]) -> Iterator[Expression]:
    """All products of two matrices and all sums of one, of as many entries as the results have."""
    matrices = {name: a for name, a in arrays.items() if a.ndim == 2 and a.dtype.kind in "fiub"}
    matrices = dict(list(matrices.items())[:MOST])
    for (p, P), (q, Q) in product(matrices.items(), repeat=2):
        if max(P.size, Q.size) * min(P.size, Q.size) > LARGE**2:
            continue
        for form, left, right in (("{} @ {}ᵀ", P, Q.T), ("{} @ {}", P, Q), ("{}ᵀ @ {}", P.T, Q)):
            if left.shape[1] == right.shape[0] and left.shape[0] * right.shape[1] in sizes:
                yield Expression(left @ right, form.format(p, q), (p, q), form)
        if P.shape == Q.shape and p < q and P.size in sizes:
            yield Expression(P * Q, f"{p} * {q}", (p, q), "{} * {}")
    for name, array in arrays.items():
        for axis in range(array.ndim):
            summed = np.sum(array, axis=axis)
            if summed.size in sizes and summed.size > 1:
                form = f"sum of {{}} along axis {axis}"
                yield Expression(summed, form.format(name), (name,), form)


def _multiple(target: np.ndarray, value: np.ndarray) -> float | None:
    """c if the target is c · value, to rounding."""
    if value.size != target.size:
        return None
    flat, mine = np.ravel(value).astype(float), np.ravel(target)
    size = float(flat @ flat)
    if size == 0 or not np.isfinite(size):
        return None
    c = float(flat @ mine) / size
    apart = np.linalg.norm(mine - c * flat)
    return c if c and apart <= 1e-9 * np.linalg.norm(mine) else None


def products(pair: Pair, around: Surroundings, known: Known) -> Iterator[Guess]:
    """Both sides are a product or sum of arrays around, with another operand, order or axis."""
    del known
    left, right = pair.left, pair.right
    if left.size < 2 or right.size < 2:
        return
    own = {name: a for name, a in around.arrays.items() if a is not right and a is not left}
    found = list(expressions(own, {left.size, right.size}))
    rights = [(one, c) for one in found if (c := _multiple(right, one.value)) is not None]
    lefts = [one for one in found if _multiple(left, one.value) is not None]
    for mine in lefts:
        for theirs, c in rights:
            name, cost = _difference(mine, theirs)
            detail = f"left is {mine.text} where right is {theirs.text}"
            predicted = np.reshape(c * mine.value, left.shape)
            yield Guess(name, predicted, detail, cost, scalable=True)


def _difference(mine: Expression, theirs: Expression) -> tuple[str, float]:
    if mine.operands == theirs.operands:
        reduction = mine.form.startswith("sum")
        return ("axis" if reduction else "transpose"), 0.5
    if mine.form == theirs.form:
        changed = [(a, b) for a, b in zip(mine.operands, theirs.operands, strict=True) if a != b]
        if len(changed) == 1:
            return other_name(changed[0][1], changed[0][0]), 0.55
    return "another product", 1.3
