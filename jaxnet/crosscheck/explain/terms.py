"""A term that is missing, extra, or of the wrong sign: left = right + c · something around."""

import re
from collections.abc import Iterator

import numpy as np

from jaxnet.crosscheck.explain.guess import FEW, LARGE, Guess, Pair, is_bias
from jaxnet.crosscheck.explain.surroundings import Known, Surroundings, identify, short


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
