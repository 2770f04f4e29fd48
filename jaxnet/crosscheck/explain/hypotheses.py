"""How one array can come out differently: what the left would be, made from the right.

Every hypothesis is a function of the two arrays and their surroundings; it yields guesses, each
with the array that the left would then be. Whoever asks tests them.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxnet.crosscheck.explain.surroundings import (
    Known,
    Surroundings,
    identify,
    short,
    symbol,
)
from reference_numpy import activations

FEW = 3
"""Fewest entries for every number that a guess may fit; with fewer, anything would fit."""


LARGE = 20_000
"""Entries beyond which what takes pairs (of arrays, of rows) is left out: it would take minutes."""


class Guess(NamedTuple):
    """name, detail: what it would be called. predicted: what the left would be. cost: how
    far-fetched it is; between guesses that all explain, the least wins. scalable: whether a
    constant factor may stand before it as well."""

    name: str
    predicted: np.ndarray
    detail: str
    cost: float
    scalable: bool = False


class Pair(NamedTuple):
    """One array on both sides, and where it stands."""

    name: str
    left: np.ndarray
    right: np.ndarray


def _letters(name: str) -> str:
    """A name without its numbers: dW1 and dW2 are the same array of two layers."""
    return re.sub(r"\d+", "#", name)


def is_bias(name: str) -> bool:
    """Whether an array belongs to biases, γ or β: its last word says so."""
    words = re.findall(r"[A-Za-z]+", name)
    return bool(words) and bool(re.fullmatch(r"d?(b|bias|beta|gamma)", words[-1]))


def scale(pair: Pair, around: Surroundings, known: Known) -> Iterator[Guess]:
    """left = c · right."""
    del around
    if pair.left.shape == pair.right.shape and pair.right.size:
        yield Guess("factor", pair.right, "", 0.0, scalable=True)
        if not pair.left.any() and pair.right.any():
            yield Guess("all zero", np.zeros_like(pair.right), "left is zero everywhere", 0.1)


def arrangement(pair: Pair, around: Surroundings, known: Known) -> Iterator[Guess]:
    """The same entries elsewhere: transposed, reshaped, reversed, shifted, permuted."""
    del around, known
    left, right = pair.left, pair.right
    if right.ndim == 2 and left.shape == right.T.shape:
        yield Guess("transpose", right.T, "left is right transposed", 0.3, scalable=True)
    if left.size == right.size and right.ndim >= 2:
        by_columns = (
            np.ravel(right).reshape(left.shape, order="F"),
            np.ravel(right, order="F").reshape(left.shape),
        )
        for laid_out in by_columns:
            detail = "entries of right read along one axis and written along the other"
            yield Guess("axis", laid_out, detail, 0.6, scalable=True)
    if left.shape != right.shape:
        if left.size == right.size and min(left.size, right.size) > 1:
            yield Guess("shape", right.reshape(left.shape), "the same entries, other axes", 0.5)
        return
    for axis, length in enumerate(right.shape):
        if length < 2:
            continue
        flipped = np.flip(right, axis)
        yield Guess("permutation", flipped, f"reversed along axis {axis}", 0.5, scalable=True)
        yield from _permuted(left, right, axis)
    if right.size > FEW and np.array_equal(np.sort(left, axis=None), np.sort(right, axis=None)):
        yield Guess("permutation", left, "the same entries in another order", 0.9)


def _permuted(left: np.ndarray, right: np.ndarray, axis: int) -> Iterator[Guess]:
    if left.size * left.shape[axis] > LARGE**2:
        return
    rows = np.moveaxis(left, axis, 0).reshape(left.shape[axis], -1)
    others = np.moveaxis(right, axis, 0).reshape(right.shape[axis], -1)
    order = [int(np.argmin(np.linalg.norm(others - row, axis=1))) for row in rows]
    if sorted(order) == list(range(len(order))):
        moved = [f"{new}←{old}" for new, old in enumerate(order) if new != old]
        detail = f"along axis {axis}: {', '.join(moved[:6])}"
        yield Guess("permutation", np.take(right, order, axis), detail, 0.5)


def in_time(pair: Pair, around: Surroundings, known: Known) -> Iterator[Guess]:
    """Along the first axis, as along steps or epochs: late, early, compounded, another unit."""
    left, right = pair.left, pair.right
    if left.shape != right.shape or right.ndim == 0 or len(right) < 4:
        return
    if np.ptp(right, axis=0).max() == 0:
        return
    for by in (1, -1, 2, -2):
        # Beyond the ends only the left itself can say; all other entries are predicted.
        shifted = left.copy()
        inner, outer = (slice(by, None), slice(None, -by)) if by > 0 else (
            slice(None, by), slice(-by, None)
        )  # fmt: skip
        shifted[inner] = right[outer]
        when = "late" if by > 0 else "early"
        yield Guess("off by one in t" if abs(by) == 1 else "off by two in t", shifted,
                    f"left is {abs(by)} step(s) {when} along axis 0", 0.45)  # fmt: skip
    first = right[:1]
    with np.errstate(all="ignore"):
        if np.all(first != 0):
            product = first * np.cumprod(right / first, axis=0)
            yield Guess("compounding", product, "every factor multiplies the one before", 0.5)
            starts = left[:1] * np.cumprod(right / first, axis=0)
            yield Guess("compounding", starts, "every factor multiplies the one before", 0.55)
    total = np.cumsum(right, axis=0)
    yield Guess("accumulated", total, "left sums right along axis 0", 0.6)
    yield Guess("first value kept", np.broadcast_to(first, right.shape), "left never changes", 0.6)
    for name, number in around.numbers.items():
        if number == int(number) and 1 < number < len(right):
            every = int(number)
            index = np.minimum(np.arange(len(right)) * every, len(right) - 1)
            inside = np.arange(len(right)) * every < len(right)
            if inside.sum() >= FEW:
                predicted = np.where(
                    inside.reshape(-1, *[1] * (right.ndim - 1)), right[index], left
                )
                detail = f"left at k is right at {symbol(name)}·k"
                yield Guess("unit of t", predicted, detail, 0.6)
            yield Guess(
                "unit of t",
                right[np.arange(len(right)) // every],
                f"left at k is right at ⌊k/{symbol(name)}⌋",
                0.6,
            )


def substitution(pair: Pair, around: Surroundings, known: Known) -> Iterator[Guess]:
    """left is another array: of another layer, another step, the reduction along another axis."""
    del known
    left, right, mine = pair.left, pair.right, short(pair.name)
    for name, array in around.arrays.items():
        if array.shape == left.shape and array is not right:
            yield Guess(other_name(mine, name), array, f"left is {name}", 0.4, scalable=True)
        if array.ndim == 2 and array.T.shape == left.shape and min(array.shape) > 1:
            yield Guess(
                other_name(mine, name), array.T, f"left is {name} transposed", 0.7, scalable=True
            )
        if array.dtype.kind == "b":
            continue
        if array.shape == left.shape:
            for g, (function, slope) in activations.ACTIVATIONS.items():
                if g != "linear":
                    yield Guess(f"other function: {g}({name})", function(array), "", 1.0)
                    yield Guess(f"other function: {g}′({name})", slope(array), "", 1.0)
        if array.ndim < 2:
            continue
        for axis in range(array.ndim):
            for reduce in (np.sum, np.mean, np.max, np.std, np.var):
                reduced = reduce(array, axis=axis)
                if reduced.size == left.size and reduced.size > 1:
                    detail = f"left is the {reduce.__name__} of {name} along axis {axis}"
                    guess = np.reshape(reduced, left.shape)
                    yield Guess("axis", guess, detail, 0.8, scalable=True)


def other_name(mine: str, name: str) -> str:
    """What to call an array in place of another, from the two names."""
    if "last" in name:
        return "last instead of best"
    if re.search(r"prev|old|stale|step", name):
        return "another step's array"
    if _letters(mine) == _letters(name):
        return "other layer's array"
    return f"other array: {name}"


def normalised(pair: Pair, around: Surroundings, known: Known) -> Iterator[Guess]:
    """Sums to 1, or mean 0 and variance 1, along another axis than the right does."""
    del around, known
    left, right = pair.left, pair.right
    if left.shape != right.shape or right.ndim != 2 or min(right.shape) < 2:
        return
    for axis in (0, 1):
        for what, moment in (
            ("sums to 1", lambda a, axis: np.abs(a.sum(axis) - 1).max()),
            ("has mean 0", lambda a, axis: np.abs(a.mean(axis)).max() / (a.std() or 1)),
        ):
            on_right = moment(right, axis) < 1e-6 < moment(right, 1 - axis)
            on_left = moment(left, 1 - axis) < 1e-6 < moment(left, axis)
            if not (on_right and on_left):
                continue
            # Softmax along the other axis has the same logarithms up to a constant a column.
            detail = f"left {what} along axis {1 - axis}, right along axis {axis}"
            if what == "sums to 1" and (right > 0).all() and (left > 0).all():
                apart = np.log(left) - np.log(right)
                fitted = np.log(right) + _two_way(apart)
                yield Guess("axis", np.exp(fitted), detail, 0.4)


def _two_way(apart: np.ndarray) -> np.ndarray:
    """The best sum of a number for each row and one for each column."""
    return apart.mean(0, keepdims=True) + apart.mean(1, keepdims=True) - apart.mean()


def broadcast(pair: Pair, around: Surroundings, known: Known) -> Iterator[Guess]:
    """left has an axis too many: one was stretched along it."""
    del around, known
    left, right = pair.left, pair.right
    if left.ndim == 2 and left.size > right.size and right.size in left.shape:
        flat = np.ravel(right)
        for predicted in (flat[:, None], flat[None, :]):
            if predicted.shape[0] in (1, left.shape[0]) and predicted.shape[1] in (
                1,
                left.shape[1],
            ):
                whole = np.broadcast_to(predicted, left.shape)
                yield Guess("broadcast", whole, "right, stretched along an axis", 0.3)
        if left.shape[0] == left.shape[1]:
            diagonal = np.where(np.eye(len(left), dtype=bool), np.diag(flat), left)
            yield Guess("broadcast", diagonal, f"right is the diagonal of left, {left.shape}", 0.35)
    if right.ndim == 2 and left.ndim == 2 and left.shape == right.shape:
        for axis in (0, 1):
            if right.shape[axis] >= FEW:
                one = np.broadcast_to(np.take(left, [0], axis), left.shape)
                if not np.array_equal(one, np.broadcast_to(np.take(right, [0], axis), left.shape)):
                    mean = np.broadcast_to(right.mean(axis, keepdims=True), left.shape)
                    yield Guess("broadcast", mean, f"left is constant along axis {axis}", 0.9)


def rows(pair: Pair, around: Surroundings, known: Known) -> Iterator[Guess]:
    """Some are missing or doubled at the ends of the first axis."""
    del around, known
    left, right = pair.left, pair.right
    if left.ndim and left.ndim == right.ndim and left.shape[1:] == right.shape[1:]:
        k = len(left)
        if 0 < k < len(right):
            for part, detail in ((right[:k], "last"), (right[-k:], "first")):
                yield Guess("missing rows", part, f"{len(right) - k} at the {detail}", 0.4)
        if k > len(right) > 0:
            padded = np.concatenate([right, left[len(right) :]])
            yield Guess("extra rows", padded, f"{k - len(right)} at the end", 0.6)


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


def terms(pair: Pair, around: Surroundings, known: Known) -> Iterator[Guess]:
    """left = right + c · something around: a term that is missing, extra, or of the wrong sign."""
    left, right = pair.left, pair.right
    if left.shape != right.shape or right.size < 2:
        return
    apart = left - right
    bases = [
        (how.format(name), name, np.broadcast_to(made, right.shape))
        for name, array in around.arrays.items()
        if array is not right and _fits(array, right) and array.dtype.kind in "fiu"
        for how, made in (
            ("{}", array), ("sign({})", np.sign(array)), ("{}²", np.square(array)),
        )
    ]  # fmt: skip
    if right.size >= FEW:
        bases.append(("1", "1", np.ones_like(right, dtype=float)))
    usable = [base for base in bases if np.isfinite(base[2]).all() and base[2].any()]
    for called, name, base in usable:
        c = float((apart * base).sum() / (base * base).sum())
        if c != 0:
            cost = 0.6 if called == name else 0.9
            yield _term(pair.name, right + c * base, c, called, name, known, cost)
    if 2 * FEW <= right.size <= LARGE and len(usable) <= 40:
        for index, (first, _, a) in enumerate(usable):
            for second, _, b in usable[index + 1 :]:
                stacked = np.stack([np.ravel(a), np.ravel(b)], axis=1)
                fitted, _, rank, _ = np.linalg.lstsq(stacked, np.ravel(apart), rcond=None)
                parts = [np.linalg.norm(c * one) for c, one in zip(fitted, (a, b), strict=True)]
                if rank == 2 and min(parts) > 1e-6 * np.linalg.norm(apart):
                    predicted = right + fitted[0] * a + fitted[1] * b
                    kind = "missing" if fitted[0] < 0 else "extra"
                    detail = f"left − right = {fitted[0]:.6g}·{first} + {fitted[1]:.6g}·{second}"
                    yield Guess(f"{kind} terms {first}, {second}", predicted, detail, 1.6)
    yield from _per_unit(pair, usable)


def _fits(array: np.ndarray, right: np.ndarray) -> bool:
    return array.ndim == right.ndim and all(
        a in (1, r) for a, r in zip(array.shape, right.shape, strict=True)
    )


def _term(leaf, predicted, c, called, name, known, cost) -> Guess:
    precision = 1e-8
    named = identify(abs(c), known, precision)
    doubled = identify(abs(c) / 2, known, precision) if c < 0 else None
    kind = "extra" if c > 0 else "missing"
    constant = named.exactly if named else f"{abs(c):.6g}"
    detail = f"left − right = {'−' if c < 0 else ''}{constant}·{called}"
    strength = "λ" in constant
    if doubled and "λ" in doubled.exactly and not (named and named.cost <= doubled.cost):
        return Guess(f"sign of the term {doubled.exactly}·{called}", predicted, detail, cost)
    if is_bias(short(leaf)) and kind == "extra" and (strength or is_bias(name)):
        return Guess("extra term on biases", predicted, detail, cost - 0.05)
    weight = re.fullmatch(r"\W*[Ww]\d*\W*|.*\.w", name)
    term = f"λ{'W' if called == name else called}" if strength and weight else (
        f"{constant}·{called}" if named else called
    )  # fmt: skip
    return Guess(f"{kind} term {term}", predicted, detail, cost + (0 if named else 0.4))


def _per_unit(pair: Pair, usable: list) -> Iterator[Guess]:
    """A term with one coefficient for each row or column, such as a mean not taken away."""
    left, right = pair.left, pair.right
    if right.ndim != 2:
        return
    apart = left - right
    for axis, what in ((1, "row"), (0, "column")):
        if right.shape[axis] < FEW:
            continue
        for called, _, base in usable:
            size = (base * base).sum(axis, keepdims=True)
            if np.all(size > 0):
                c = (apart * base).sum(axis, keepdims=True) / size
                detail = f"left − right is a multiple of {called} in every {what}"
                term = "the mean" if called == "1" else called
                yield Guess(f"missing term: {term}, one multiple a {what}", right + c * base,
                            detail, 1.1)  # fmt: skip


HYPOTHESES = (
    scale,
    arrangement,
    substitution,
    in_time,
    normalised,
    broadcast,
    rows,
    function_of,
    elementwise,
    zeros,
    terms,
)
