"""Every entry by itself: a factor, one that is an array, a function of it, zeros elsewhere."""

from collections.abc import Iterator

import numpy as np

from jaxnet.crosscheck.explain.guess import FEW, Guess, Pair
from jaxnet.crosscheck.explain.surroundings import Known, Surroundings, symbol
from reference_numpy import activations


def scale(pair: Pair, around: Surroundings, known: Known) -> Iterator[Guess]:
    """left = c · right."""
    del around
    if pair.left.shape == pair.right.shape and pair.right.size:
        yield Guess("factor", pair.right, "", 0.0, scalable=True)
        if not pair.left.any() and pair.right.any():
            yield Guess("all zero", np.zeros_like(pair.right), "left is zero everywhere", 0.1)


FUNCTIONS = {
    "square": np.square,
    "root": lambda a: np.sqrt(np.where(a >= 0, a, np.nan)),
    "reciprocal": lambda a: 1 / a,
    "exponential": np.exp,
    "logarithm": lambda a: np.log(np.where(a > 0, a, np.nan)),
    "absolute value": np.abs,
    "sign of it": np.sign,
    "one minus it": lambda a: 1 - a,
    "rounded": np.round,
}


def function_of(pair: Pair, around: Surroundings, known: Known) -> Iterator[Guess]:
    """left is a function of right, entry by entry: its square, root, size, or clipped."""
    del known
    left, right = pair.left, pair.right
    if left.shape != right.shape or right.size < FEW:
        return
    with np.errstate(all="ignore"):
        for name, function in FUNCTIONS.items():
            yield Guess(
                name, np.asarray(function(right)), f"left is the {name} of right", 0.7, True
            )
    for name, array in around.arrays.items():
        if array.shape != right.shape or array.dtype.kind not in "fiu":
            continue
        for limit, number in around.numbers.items():
            if number > 0 and (np.abs(array) > number).any():
                detail = f"left is {name} between −{limit} and {limit}"
                yield Guess("clipped by value", np.clip(array, -number, number), detail, 0.5)
    low, high = left.min(), left.max()
    for bound, clipped in ((low, np.maximum(right, low)), (high, np.minimum(right, high))):
        at = left == bound
        if at.sum() >= 1 and (~at).any() and not np.array_equal(clipped, right):
            detail = f"left stays at {bound:.6g} where right goes beyond"
            yield Guess("saturation", clipped, detail, 0.6)


def elementwise(pair: Pair, around: Surroundings, known: Known) -> Iterator[Guess]:
    """A factor that is an array: one around, a derivative taken elsewhere, one number a row."""
    left, right = pair.left, pair.right
    if left.shape != right.shape or right.size < FEW:
        return
    with np.errstate(all="ignore"):
        for name, array in around.arrays.items():
            if array.dtype.kind == "b":
                array = array.astype(float)
            fits = array.shape == right.shape or (
                array.ndim == right.ndim
                and all(a in (1, r) for a, r in zip(array.shape, right.shape, strict=True))
            )
            if not fits or not array.any():
                continue
            is_mask = bool(np.isin(array, (0, 1)).all())
            called = "mask" if is_mask else f"factor {name}"
            yield Guess(called, right * array, f"left has a factor {name}", 0.7, scalable=True)
            if not is_mask:
                yield Guess(
                    f"missing factor {name}", right / array, f"right has {name}", 0.7, scalable=True
                )
                for what, changed in (("²", array**2), ("√", np.sqrt(np.abs(array)))):
                    yield Guess(f"factor {what}{name}", right * changed, "", 1.0, scalable=True)
            yield from _slopes(right, name, array)
            for eps_name, eps in around.numbers.items():
                if symbol(eps_name) == "ε" and (array >= 0).all():
                    outside, inside = np.sqrt(array) + eps, np.sqrt(array + eps)
                    for predicted in (right * outside / inside, right * inside / outside):
                        yield Guess("ε placement", predicted, f"beside the root of {name}", 0.5)
    yield from _per_axis(left, right, around)


def _slopes(right: np.ndarray, name: str, Z: np.ndarray) -> Iterator[Guess]:
    """g′ taken at g(Z) where it belongs at Z, left out, or put in twice."""
    for g, (function, slope) in activations.ACTIVATIONS.items():
        if g == "linear" or Z.shape != right.shape:
            continue
        at_z, at_a = slope(Z), slope(function(Z))
        yield Guess("derivative at activation", right * at_a / at_z, f"{g}′({g}({name}))", 0.6)
        yield Guess(f"missing factor {g}′({name})", right / at_z, "", 0.8)
        yield Guess(f"factor {g}′({name})", right * at_z, "", 0.9)


def _per_axis(left: np.ndarray, right: np.ndarray, around: Surroundings) -> Iterator[Guess]:
    if right.ndim != 2:
        return
    with np.errstate(all="ignore"):
        for axis, what in ((1, "row"), (0, "column")):
            if right.shape[axis] < FEW or right.shape[1 - axis] < 2:
                continue
            factor = (left * right).sum(axis, keepdims=True) / (right**2).sum(axis, keepdims=True)
            named = next(
                (
                    f"{how.format(name)}"
                    for name, array in around.arrays.items()
                    if array.size == factor.size
                    for how, made in (
                        ("{}", array), ("1/{}", 1 / array), ("√{}", np.sqrt(np.abs(array))),
                        ("1/√{}", 1 / np.sqrt(np.abs(array))), ("{}²", array**2),
                    )
                    if np.allclose(np.ravel(made), np.ravel(factor), rtol=1e-9, atol=0)
                ),
                "",
            )  # fmt: skip
            name = f"factor {named}" if named else f"one factor a {what}"
            detail = f"by {what}: {', '.join(f'{f:.6g}' for f in np.ravel(factor)[:4])}"
            yield Guess(name, right * factor, detail, 0.8 if named else 1.2)


def zeros(pair: Pair, around: Surroundings, known: Known) -> Iterator[Guess]:
    """The two are zero in different places and agree up to a factor elsewhere."""
    del known
    left, right = pair.left, pair.right
    if left.shape != right.shape:
        return
    both = (left != 0) & (right != 0)
    differ = (left == 0) != (right == 0)
    for name, array in around.arrays.items():
        if array.shape == right.shape and array is not right and np.any(array == 0):
            at = array == 0
            if np.any(left[at] != right[at]) and not np.all(at):
                predicted = np.where(at, left, right)
                detail = f"they differ only where {name} is 0, {int(at.sum())} entries"
                yield Guess("kink convention", predicted, detail, 0.5)
    if both.sum() >= FEW and differ.any():
        factor = float((left[both] * right[both]).sum() / (right[both] ** 2).sum())
        predicted = np.where(both, factor * right, left)
        side = "left" if np.any((left == 0) & (right != 0)) else "right"
        detail = f"{int(differ.sum())} entries are 0 on the {side}; the others agree"
        detail += "" if abs(factor - 1) < 1e-9 else f" with a factor {factor:.6g}"
        yield Guess("mask", predicted, detail, 0.9)
