"""Hyperparameter search: grid, random, on a suitable scale, coarse to fine (notes, figs. 74 to 77).

A space is a dict name -> (kind, low, high), or name -> ("choice", options). The kinds, and the
scale on which each is uniform:

    uniform                 r
    log_uniform             log10 r                  learning rates
    one_minus_log_uniform   log10(1 − r)             β of averages
    integers                r, both ends included    units, layers
    choice                  the place in a list      optimizers, activations

A set of points is a dict name -> array, all of one length.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reference_numpy._arrays import Array, array, require, require_known, require_shape

Space = dict[str, tuple[Any, ...]]
Points = dict[str, Array]

KINDS = ("uniform", "log_uniform", "one_minus_log_uniform", "integers", "choice")


def from_uniform(u: ArrayLike, kind: str, *bounds: Any) -> Array:
    """Numbers of a kind from uniform ones: the inverse of its distribution function.

    uniform: r = a + (b − a) u

    log_uniform: r = 10^(log a + (log b − log a) u)

    one_minus_log_uniform: 1 − r = 10^(log(1 − a) + (log(1 − b) − log(1 − a)) u)

    integers: r = ⌊a + (b − a + 1) u⌋

    choice: r = the option at place ⌊K u⌋ of K

    All rise with u, from a at 0 to b at 1.

    u: numbers in [0, 1]. kind: one of the five. bounds: a ≤ b, or the list of options. Returns an
    array in the shape of u, in [a, b], of integers for integers, of the options for a choice.
    Raises ValueError for an unknown kind or a range that it cannot have.
    Source: notes, Using an appropriate scale to pick hyperparameters (fig. 77).

    >>> from_uniform([0.0, 0.25, 1.0], "log_uniform", 1e-4, 1.0)
    array([1.e-04, 1.e-03, 1.e+00])
    >>> from_uniform([0.0, 0.5, 0.99], "integers", 1, 4)
    array([1, 3, 4])
    """
    _require_range(kind, *bounds)
    u = array(u)
    require(np.all((u >= 0) & (u <= 1)), "u", "numbers in [0, 1]", "others")
    if kind == "choice":
        options = np.asarray(bounds[0])
        return options[np.minimum(np.floor(len(options) * u).astype(int), len(options) - 1)]
    low, high = bounds
    if kind == "integers":
        r = np.floor(low + (high - low + 1) * u).astype(int)
    else:
        start, end = _to_scale(kind, low), _to_scale(kind, high)
        r = _from_scale(kind, start + (end - start) * u)
    # Rounding can step over an end by one ulp, and u = 1 gives the integer b + 1.
    return np.clip(r, low, high).astype(r.dtype)


def uniform(rng: np.random.Generator, a: float, b: float, size: int) -> Array:
    """Uniform numbers.

    r = a + (b − a) u

    rng: generator; one rng.random(size) is drawn. a ≤ b: the range. size: how many.
    Returns (size,). Raises ValueError for a > b.
    Source: notes, Using an appropriate scale to pick hyperparameters.

    >>> uniform(np.random.default_rng(0), 2.0, 2.0, 3)
    array([2., 2., 2.])
    """
    return from_uniform(rng.random(size), "uniform", a, b)


def log_uniform(rng: np.random.Generator, a: float, b: float, size: int) -> Array:
    """Numbers uniform on a log scale, such as learning rates.

    r = 10^(log a + (log b − log a) u)

    rng: generator; one rng.random(size) is drawn. 0 < a ≤ b: the range. size: how many.
    Returns (size,). Raises ValueError for another range.
    Source: notes, Using an appropriate scale to pick hyperparameters (fig. 77).

    >>> alpha = log_uniform(np.random.default_rng(0), 1e-4, 1.0, 5)
    >>> bool(np.all((1e-4 <= alpha) & (alpha <= 1.0)))
    True
    """
    return from_uniform(rng.random(size), "log_uniform", a, b)


def one_minus_log_uniform(rng: np.random.Generator, a: float, b: float, size: int) -> Array:
    """Numbers r with 1 − r uniform on a log scale, such as the β of an average.

    1 − r = 10^(log(1 − a) + (log(1 − b) − log(1 − a)) u)

    rng: generator; one rng.random(size) is drawn. a ≤ b < 1: the range of r, for example 0.9 and
    0.999. size: how many. Returns (size,). Raises ValueError for another range.
    Source: notes, Using an appropriate scale to pick hyperparameters.

    >>> beta = one_minus_log_uniform(np.random.default_rng(0), 0.9, 0.999, 5)
    >>> bool(np.all((0.9 <= beta) & (beta <= 0.999)))
    True
    """
    return from_uniform(rng.random(size), "one_minus_log_uniform", a, b)


def integers(rng: np.random.Generator, a: int, b: int, size: int) -> Array:
    """Uniform integers, both ends included, such as numbers of units or layers.

    r = ⌊a + (b − a + 1) u⌋

    rng: generator; one rng.random(size) is drawn. a ≤ b: the range. size: how many.
    Returns integers (size,). Raises ValueError for another range.
    Source: notes, Using an appropriate scale to pick hyperparameters.

    >>> sorted({int(r) for r in integers(np.random.default_rng(0), 2, 4, 50)})
    [2, 3, 4]
    """
    return from_uniform(rng.random(size), "integers", a, b)


def grid(space: Space, points_per_axis: int) -> Points:
    """Every combination of equally spaced values, ends included, on the scale of each dimension.

    u = 0, 1/(p − 1), …, 1 along each axis, or u = ½ for p = 1; of a choice every option

    space: name -> (kind, low, high). points_per_axis: p ≥ 1. Returns name -> array (p^d,), the last
    name changing fastest. Raises ValueError for an empty space or a p below 1.
    Source: notes, Tuning Process (fig. 74).

    >>> grid({"alpha": ("log_uniform", 0.01, 1.0), "layers": ("integers", 1, 2)}, 2)
    {'alpha': array([0.01, 0.01, 1.  , 1.  ]), 'layers': array([1, 2, 1, 2])}
    """
    require(len(space) >= 1, "space", "at least one dimension", "none")
    p = points_per_axis
    require(int(p) == p and p >= 1, "points_per_axis", "an integer ≥ 1", p)
    u = np.linspace(0, 1, p) if p > 1 else np.array([0.5])
    axes = [
        np.asarray(dimension[1]) if dimension[0] == "choice" else from_uniform(u, *dimension)
        for dimension in space.values()
    ]
    return {
        name: values.ravel()
        for name, values in zip(space, np.meshgrid(*axes, indexing="ij"), strict=True)
    }


def random(rng: np.random.Generator, space: Space, size: int) -> Points:
    """Independent random points, each dimension on its own scale.

    rng: generator; one rng.random(size) per dimension, in the order of the space.
    space: name -> (kind, low, high). size: how many. Returns name -> array (size,).
    Raises ValueError for an empty space or a range that its kind cannot have.
    Source: notes, Tuning Process (fig. 75).

    >>> points = random(np.random.default_rng(0), {"layers": ("integers", 2, 2)}, 3)
    >>> points["layers"]
    array([2, 2, 2])
    """
    require(len(space) >= 1, "space", "at least one dimension", "none")
    return {name: from_uniform(rng.random(size), *dimension) for name, dimension in space.items()}


def refine(space: Space, points: Points, scores: ArrayLike, *, shrink: float = 0.5) -> Space:
    """A smaller box around the best point, on the scale of each dimension.

    [s − shrink · w/2, s + shrink · w/2],  cut at the old box

    s is the best point and w the width of the old box, both on the scale of the dimension. The best
    point is always inside; the new box has at most the share `shrink` of the old width.

    space: the old box, name -> (kind, low, high). points: name -> array (N,). scores: (N,), lower
    is better, NaN is never best. shrink: in (0, 1]. Returns the new space.
    Raises ValueError where shapes do not fit, no score is a number or the best point is outside.
    Source: notes, Tuning Process (fig. 76).

    >>> space = {"alpha": ("log_uniform", 1e-4, 1.0), "units": ("integers", 1, 9)}
    >>> points = {"alpha": np.array([0.01, 0.5]), "units": np.array([2, 8])}
    >>> new = refine(space, points, [0.1, 0.2])
    >>> [float(round(end, 6)) for end in new["alpha"][1:]], new["units"]
    ([0.001, 0.1], ('integers', 1, 4))
    """
    require(0 < shrink <= 1, "shrink", "a number in (0, 1]", shrink)
    scores = array(scores)
    fine = scores.ndim == 1 and not np.all(np.isnan(scores))
    require(fine, "scores", "shape (N,) with at least one number", scores)
    best = int(np.nanargmin(scores))
    new = {}
    for name, (kind, *bounds) in space.items():
        require(name in points, "points", f"values of {name}", f"only {', '.join(points)}")
        require_shape(f"points[{name!r}]", points[name], scores.shape)
        if kind == "choice":  # there is no smaller list around an option
            new[name] = (kind, *bounds)
        else:
            low, high = bounds
            new[name] = _shrink(name, kind, low, high, points[name][best].item(), shrink)
    return new


def coarse_to_fine(
    rng: np.random.Generator,
    space: Space,
    evaluate: Callable[[Points], ArrayLike],
    *,
    rounds: int,
    size: int,
    shrink: float = 0.5,
) -> tuple[Points, Array, list[Space]]:
    """Random search in boxes that shrink around the best point of all rounds so far.

    Each round draws `size` points from the current box, scores them, and refines the box.

    rng: generator. space: the first box. evaluate: points -> scores (size,), lower is better.
    rounds, size: 1 or more. shrink: in (0, 1]. Returns all points (rounds · size,) in the order
    drawn, their scores, and the box of each round.
    Raises ValueError for values out of range or scores of another shape.
    Source: notes, Tuning Process (fig. 76).

    >>> points, scores, spaces = coarse_to_fine(
    ...     np.random.default_rng(0), {"x": ("uniform", 0.0, 8.0)}, lambda p: (p["x"] - 3.0) ** 2,
    ...     rounds=3, size=4,
    ... )
    >>> len(scores), len(spaces)
    (12, 3)
    """
    for name, value in {"rounds": rounds, "size": size}.items():
        require(int(value) == value and value >= 1, name, "an integer ≥ 1", value)
    points = {name: from_uniform([], *space[name]) for name in space}
    scores, spaces = np.array([]), []
    for _ in range(rounds):
        box = refine(spaces[-1], points, scores, shrink=shrink) if spaces else space
        new = random(rng, box, size)
        new_scores = array(evaluate(new))
        require_shape("evaluate(points)", new_scores, (size,))
        points = {name: np.concatenate([points[name], new[name]]) for name in space}
        scores = np.concatenate([scores, new_scores])
        spaces.append(box)
    return points, scores, spaces


def _to_scale(kind, r):
    if kind == "log_uniform":
        return np.log10(r)
    return np.log10(1 - r) if kind == "one_minus_log_uniform" else r


def _from_scale(kind, s):
    if kind == "log_uniform":
        return 10**s
    return 1 - 10**s if kind == "one_minus_log_uniform" else s


def _shrink(name, kind, low, high, best, shrink):
    _require_range(kind, low, high)
    require(low <= best <= high, f"points[{name!r}]", f"the best in [{low}, {high}]", best)
    start, end = sorted((_to_scale(kind, low), _to_scale(kind, high)))
    centre, half = _to_scale(kind, best), shrink * (end - start) / 2
    if kind == "integers":
        return kind, max(low, int(np.ceil(best - half))), min(high, int(np.floor(best + half)))
    ends = sorted(float(_from_scale(kind, s)) for s in (centre - half, centre + half))
    # Rounding on the way to the scale and back must not lose the best point.
    return kind, max(low, min(ends[0], best)), min(high, max(ends[1], best))


def _require_range(kind, *bounds):
    require_known("kind", kind, KINDS)
    if kind == "choice":
        require(len(bounds) == 1 and len(bounds[0]) > 0, "options", "at least one", bounds)
        return
    require(len(bounds) == 2, "low, high", "two numbers", bounds)
    low, high = bounds
    got = f"{low} and {high}"
    require(-np.inf < low <= high < np.inf, "low, high", "finite numbers, low ≤ high", got)
    if kind == "log_uniform":
        require(low > 0, "low", "a positive number on a log scale", low)
    if kind == "one_minus_log_uniform":
        require(high < 1, "high", "a number below 1", high)
    if kind == "integers":
        require(int(low) == low and int(high) == high, "low, high", "integers", got)
