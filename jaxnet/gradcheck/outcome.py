"""The outcome of a gradient check, and what is made of the measurements."""

from typing import NamedTuple

import numpy as np

from jaxnet.gradcheck.examine import Examination
from jaxnet.gradcheck.power import CONFIDENCE
from jaxnet.gradcheck.slopes import ratio

CORRECT, WRONG = 1e-7, 1e-3
"""The notes' thresholds of the relative distance; between the two it is suspicious."""

EXCLUDED_UP_TO, DETECTS_AT_LEAST = 0.1, 0.1
"""More left out than a tenth, or an error of a tenth unseen: then nothing is called correct."""


class LeafCheck(NamedTuple):
    """One parameter array: how far its gradient is from the differences, by the notes' distance.

    detects: the smallest error of one coordinate that would have been found, beside the largest
    gradient of this array; above 1 where the array's gradients are lost in rounding.
    """

    name: str
    relative_distance: float
    detects: float


class GradientCheck(NamedTuple):
    """Outcome of a gradient check.

    relative_distance: over all coordinates together. verdict: "correct", "suspicious", "wrong" or
    "inconclusive". worst: the coordinate of the largest absolute difference (of those that
    disagree, if any does), with the gradient given there and the difference quotient. leaves: each
    parameter array by itself, in the order of the pytree; the array at fault stands out.
    coordinates: how many were perturbed (all, or 0 if random directions were). eps: the step used,
    before it was fitted to parameters and arrays. correct_below: the distance up to which this
    floating-point type can call a gradient correct.

    detects: the smallest error the check would have found with 99 % confidence: over every
    coordinate, an error in any one, beside the largest entry of the gradient; along directions,
    ‖error‖/‖gradient‖. disagreeing: coordinates (or directions) whose gradient is further off than
    rounding and truncation explain. excluded: those at a kink, where no step gives a slope; there
    the gradient was only asked to lie between the two one-sided slopes. retried: those looked at
    with smaller steps. directions: how many were used, or 0. noise: standard deviation of the
    rounding error of the cost, measured. mode: what was checked. note: the same in words.
    """

    relative_distance: float
    verdict: str
    worst: str
    given: float
    differences: float
    leaves: tuple[LeafCheck, ...]
    coordinates: int
    eps: float
    correct_below: float
    detects: float
    disagreeing: int
    excluded: int
    retried: int
    directions: int
    noise: float
    mode: str
    note: str


class Arrays(NamedTuple):
    """Names and shapes of the parameter arrays, laid end to end."""

    names: list[str]
    shapes: list[tuple[int, ...]]

    @property
    def sizes(self) -> list[int]:
        return [int(np.prod(shape)) for shape in self.shapes]


def place(arrays: Arrays, at: int) -> str:
    """Name and index of the coordinate that stands at `at` when all arrays are laid end to end."""
    for name, shape, size in zip(arrays.names, arrays.shapes, arrays.sizes, strict=True):
        if at < size:
            index = [int(i) for i in np.unravel_index(at, shape)]
            return f"{name}{index or ''}"
        at -= size
    raise AssertionError("the coordinate lies beyond the last array")


def distance_of(a: np.ndarray, b: np.ndarray) -> float:
    """‖a − b‖ / (‖a‖ + ‖b‖), scaled by a power of two so that no square underflows."""
    largest = max(np.max(np.abs(a), initial=0.0), np.max(np.abs(b), initial=0.0))
    if largest == 0:
        return 0.0
    a, b = (np.ldexp(vector, -np.frexp(largest)[1]) for vector in (a, b))
    return float(np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b)))


def verdict_on(distance: float, disagreeing: int, excluded: float, detects: float) -> str:
    if disagreeing:
        return "wrong" if distance >= WRONG else "suspicious"
    if excluded > EXCLUDED_UP_TO or not detects <= DETECTS_AT_LEAST:
        return "inconclusive"
    return "correct"


def in_words(check: GradientCheck, lines: int) -> str:
    what = "directions" if check.directions else "coordinates"
    beside = "the whole gradient" if check.directions else "the largest gradient entry"
    parts = [f"{check.disagreeing} of {lines} {what} disagree"]
    if check.excluded:
        share = 100 * check.excluded / lines
        parts.append(
            f"{check.excluded} ({share:.2g} %) left out, at kinks or the edge of the domain, where "
            f"only the one-sided slopes were asked"
        )
    if check.retried:
        parts.append(f"{check.retried} looked at again with smaller steps")
    parts.append(
        f"an error of {check.detects:.2g} of {beside} would have been found with "
        f"{CONFIDENCE:.0%} confidence"
    )
    if check.directions:
        parts.append("one wrong coordinate among n is 1/√n of that and may go unseen")
    if check.verdict == "inconclusive":
        parts.append(
            "too little was seen to call it correct: use float64, or other parameters, away from "
            "kinks and from where the gradient vanishes"
        )
    return "; ".join(parts)


def summarise(
    found: Examination, given: np.ndarray, arrays: Arrays, *, eps: float, unit: float, mode: str
) -> GradientCheck:
    """The outcome of a check over every coordinate."""
    kept = ~found.excluded
    distance = distance_of(given[kept], found.slope[kept])
    scale = np.maximum(np.abs(given), np.nan_to_num(np.abs(found.slope)))
    leaves, start = [], 0
    for name, size in zip(arrays.names, arrays.sizes, strict=True):
        part = slice(start, start + size)
        start += size
        use = kept[part]
        leaves.append(
            LeafCheck(
                name,
                distance_of(given[part][use], found.slope[part][use]),
                ratio(
                    float(np.max(found.caught[part][use], initial=0.0)),
                    float(np.max(scale[part], initial=0.0)),
                ),
            )
        )
    apart = np.nan_to_num(np.abs(given - found.slope))
    among = found.disagrees if found.disagrees.any() else kept if kept.any() else ~kept
    at = int(np.argmax(np.where(among, apart, -1)))
    detects = ratio(float(np.max(found.caught[kept], initial=0.0)), float(np.max(scale)))
    detects = detects if kept.any() else float("inf")
    disagreeing, excluded = int(found.disagrees.sum()), int(found.excluded.sum())
    check = GradientCheck(
        relative_distance=distance,
        verdict=verdict_on(distance, disagreeing, excluded / given.size, detects),
        worst=place(arrays, at),
        given=float(given[at]),
        differences=float(found.slope[at]),
        leaves=tuple(leaves),
        coordinates=given.size,
        eps=eps,
        correct_below=max(CORRECT, 10 * unit ** (2 / 3)),
        detects=detects,
        disagreeing=disagreeing,
        excluded=excluded,
        retried=int(found.retried.sum()),
        directions=0,
        noise=found.noise,
        mode=mode,
        note="",
    )
    return check._replace(note=in_words(check, given.size))
