"""Testing the hypotheses, array by array, and ranking what explains."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxnet.crosscheck.comparison import compare, named_arrays
from jaxnet.crosscheck.equations.locate import agree, residual
from jaxnet.crosscheck.explain.guess import Guess, Pair
from jaxnet.crosscheck.explain.hypotheses import HYPOTHESES
from jaxnet.crosscheck.explain.special import special
from jaxnet.crosscheck.explain.surroundings import (
    Known,
    Named,
    Surroundings,
    constants,
    identify,
    short,
    surroundings,
)
from jaxnet.crosscheck.findings import Explanation

SHARE = 0.01
"""An explanation leaves at most this share of the difference; then rounding must be all of it."""

PART = 0.1
"""Where nothing explains all of it, what leaves at most this share is worth a mention."""


FAR = 0.45
"""What is more far-fetched than the simplest explanation by this much says the same in more words:
one factor for every row where one factor for all will do."""


class Tested(NamedTuple):
    """A guess about one array that was tested."""

    name: str
    detail: str
    cost: float
    leaf: str
    before: float
    after: float


def _scaled(guess: Guess, left: np.ndarray, known: Known, precision: float) -> Guess:
    """The guess with the factor that fits best before it, named if it equals something."""
    predicted = guess.predicted.astype(np.result_type(guess.predicted, float))
    with np.errstate(all="ignore"):
        size = float((predicted * predicted).sum())
        c = float((left * predicted).sum()) / size if size and np.isfinite(size) else 1.0
    if not np.isfinite(c) or abs(c - 1) <= precision or c == 0:
        return guess
    named = identify(abs(c), known, precision)
    sign = c < 0
    if abs(abs(c) - 1) <= precision:
        called = Named("sign", "−1", 0.0)
    elif named:
        called = named._replace(name=f"sign, {named.name}" if sign else named.name)
    else:
        called = Named(f"factor {c:.6g}", f"{c:.6g}", 0.9)
    own = guess.name == "factor"
    name = called.name if own else f"{guess.name}, {called.name}"
    exactly = f"{'−' if sign and called.exactly != '−1' else ''}{called.exactly}"
    detail = f"left is {exactly} ({c:.9g}) times " + ("right" if own else guess.detail)
    return guess._replace(
        name=name,
        predicted=c * predicted,
        detail=detail,
        cost=guess.cost + called.cost + (0 if own else 0.4),
    )


def _tested(pair: Pair, around: Surroundings, known: Known, coarser: np.dtype) -> list[Tested]:
    """Every guess about one array that leaves rounding alone, or else those that explain most.

    coarser: the coarser of the two sides' dtypes, whose rounding is left.
    """
    before = residual(pair.left, pair.right)
    precision = 500 * float(np.finfo(coarser).eps)
    rounded = pair.left.astype(coarser)
    whole: list[Tested] = []
    part: list[Tested] = []
    for guess in special(pair, around, known):
        whole.append(Tested(guess.name, guess.detail, guess.cost, pair.name, before, guess.after))
    for hypothesis in HYPOTHESES:
        with np.errstate(all="ignore"):
            for guess in hypothesis(pair, around, known):
                if np.shape(guess.predicted) != pair.left.shape:
                    continue
                if guess.scalable:
                    guess = _scaled(guess, pair.left, known, precision)
                if guess.name == "factor":
                    continue
                after = residual(pair.left, guess.predicted)
                tested = Tested(guess.name, guess.detail, guess.cost, pair.name, before, after)
                if after <= SHARE * before and agree(rounded, guess.predicted):
                    whole.append(tested)
                elif after <= PART * before < np.inf and guess.cost < FAR:
                    part.append(tested)
    if whole:
        simplest = min(one.cost for one in whole)
        return [one for one in whole if one.cost <= simplest + FAR]
    return sorted(part, key=lambda one: one.after)[:3]


def _gathered(found: Iterable[Tested]) -> list[Explanation]:
    """One explanation for each name: that of the most arrays first, then the least far-fetched."""
    groups: dict[str, list[Tested]] = {}
    for one in found:
        ones = groups.setdefault(one.name, [])
        if all(one.leaf != other.leaf for other in ones):
            ones.append(one)
    order = sorted(
        groups, key=lambda name: (-len(groups[name]), min(one.cost for one in groups[name]))
    )
    return [
        Explanation(
            name,
            max(one.before for one in groups[name]),
            max(one.after for one in groups[name]),
            ", ".join(short(one.leaf) for one in groups[name]),
            groups[name][0].detail,
        )
        for name in order
    ]


def _shared(left: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]) -> list[Explanation]:
    """Two arrays of the left that are the same, where the right has two."""
    found = []
    names = list(left)
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            both = one in right and other in right
            if not both or left[one].shape != left[other].shape or left[one].size < 2:
                continue
            same = np.array_equal(left[one], left[other])
            if same and not np.array_equal(right[one], right[other]):
                before = residual(left[other], right[other]) + residual(left[one], right[one])
                places = f"{short(one)}, {short(other)}"
                found.append(
                    Explanation(
                        "shared buffer", before, 0.0, places, "both are the same array on the left"
                    )
                )
    return found


def explain(
    left: Any, right: Any, *, context: Mapping[str, Any] | None = None
) -> list[Explanation]:
    """Why two results differ: ranked hypotheses, each tested on the numbers.

    left: the suspect. right: what it should be. Arrays or pytrees, as for `compare`. context: a
    dict of what might matter, by the names of the notes: numbers (m, batch_size, l2, keep_prob, b1,
    learning_rate, eps, t …) and arrays or pytrees of arrays (W1, A1, Z1, dZ2, masks, the arrays of
    other layers and steps).

    A hypothesis says what the left would be, given the right and the context: a constant factor and
    what it equals, a sign, a transpose, a permutation, another layer's or step's array, a term
    missing or extra, ε elsewhere, a sum along another axis. Its prediction is compared with the
    left; residual_before and residual_after are the relative distances without and with it.
    Explanations that leave rounding alone come first, those of the most arrays and the simplest
    before others; where there are none, those that leave a tenth of it or less. Empty when
    the two agree and when nothing known explains it.
    Raises TypeError for a context that is not a dict of numbers and arrays.

    >>> dW, W = np.array([[1.0, 2.0, 4.0]]), np.array([[3.0, 1.0, 2.0]])
    >>> explain({"dW": 7 * dW}, {"dW": dW}, context={"m": 7})[0].name
    'factor m'
    >>> explain({"dW": dW}, {"dW": dW + 0.5 / 7 * W}, context={"m": 7, "l2": 0.5, "W": W})[0].name
    'missing term λW'
    """
    around = surroundings(context)
    lefts, rights = named_arrays(left, "left"), named_arrays(right, "right")
    arrays = {**around.arrays, **{short(name): array for name, array in rights.items()}}
    around = around._replace(arrays=arrays)
    known = constants(around)
    found: list[Tested] = []
    for name, mine in lefts.items():
        theirs = rights.get(name)
        if theirs is None or mine.dtype.kind == "V" or theirs.dtype.kind == "V":
            continue
        if mine.shape == theirs.shape and compare(mine, theirs).agrees:
            continue
        numbers = [a.astype(np.result_type(a, np.float64)) for a in (mine, theirs)]
        own = {key: one for key, one in arrays.items() if one is not theirs}
        own[short(name)] = numbers[1]
        floats = [a.dtype for a in (mine, theirs) if a.dtype.kind == "f"]
        coarser = min(floats, key=lambda dtype: dtype.itemsize, default=np.dtype(np.float64))
        pair = Pair(name, numbers[0], numbers[1])
        found += _tested(pair, around._replace(arrays=own), known, coarser)
    return _shared(lefts, rights) + _gathered(found)
