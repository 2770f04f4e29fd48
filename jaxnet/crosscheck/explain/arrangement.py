"""The same entries elsewhere, or along another axis: transposed, permuted, late, stretched."""

from collections.abc import Iterator

import numpy as np

from jaxnet.crosscheck.explain.guess import FEW, LARGE, Guess, Pair
from jaxnet.crosscheck.explain.surroundings import Known, Surroundings, symbol


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
