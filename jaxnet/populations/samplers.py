"""Points of a hyperparameter space: a grid, random draws, and draws from coarse to fine.

Points are a dict name ↦ array, all of one length: row i of each is one configuration, and the
leading axis is the one that a population is mapped over. What a space is: `populations.spaces`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxnet.populations.spaces import (
    Dimension,
    Number,
    Points,
    Space,
    check_space,
    from_uniform,
    options_of,
)
from jaxnet.types import PRNGKey
from jaxnet.validation import check_count


def grid(space: Space, points_per_axis: int) -> Points:
    """All combinations of evenly spaced values, both ends included, and of all options.

    points_per_axis: p ≥ 1 values of every dimension, even on its own scale; a single one is in
    the middle. Of a choice all K options are taken, whatever p. Returns p^d · K₁ · K₂ … points,
    the last dimension varying fastest.
    Raises ValueError for a bad space, p < 1, and more values than a dimension has whole numbers.
    Source: notes §7, tuning process (fig. 74): only p different values of each are ever tried.

    >>> points = grid({"a": ("uniform", 0, 1), "b": ("integers", 1, 2)}, 2)
    >>> points["a"].tolist(), points["b"].tolist()
    ([0.0, 0.0, 1.0, 1.0], [1, 2, 1, 2])
    """
    check_space(space)
    check_count("points_per_axis", points_per_axis)
    for name, (kind, *bounds) in space.items():
        if kind == "integers" and bounds[1] - bounds[0] + 1 < points_per_axis:
            raise ValueError(
                f"points_per_axis: expected at most the {int(bounds[1] - bounds[0] + 1)} whole "
                f"numbers of {name}, got {points_per_axis}"
            )
    even = jnp.linspace(0.0, 1.0, points_per_axis) if points_per_axis > 1 else jnp.array([0.5])
    axes = [
        options_of(name, dimension) if dimension[0] == "choice" else from_uniform(even, *dimension)
        for name, dimension in space.items()
    ]
    # Places first: an option may be a word, which no array of JAX holds.
    places = jnp.meshgrid(*(jnp.arange(len(axis)) for axis in axes), indexing="ij")
    return {
        name: axis[np.ravel(place)] if isinstance(axis, np.ndarray) else axis[jnp.ravel(place)]
        for name, axis, place in zip(space, axes, places, strict=True)
    }


def random(key: PRNGKey, space: Space, size: int) -> Points:
    """Independent random points, each dimension uniform on its own scale.

    size: number of points ≥ 1. Points depend on the key and the space, not on the order in which
    the space is written. Raises ValueError for a bad space or size.
    Source: notes §7, tuning process (fig. 75): every point tries a new value of every dimension.

    >>> points = random(jax.random.key(0), {"learning_rate": ("log_uniform", 1e-4, 1.0)}, 25)
    >>> points["learning_rate"].shape
    (25,)
    """
    check_space(space)
    check_count("size", size)
    draws = jax.random.uniform(key, (len(space), size))
    by_name = dict(zip(sorted(space), draws, strict=True))
    return {name: from_uniform(by_name[name], *space[name]) for name in space}


def _forward(kind: str, value: Number) -> Number:
    if kind == "log_uniform":
        return math.log(value)
    # Decreasing: the caller sorts the bounds that come back.
    return math.log1p(-value) if kind == "one_minus_log_uniform" else value


def _back(kind: str, value: Number) -> Number:
    if kind == "log_uniform":
        return math.exp(value)
    return -math.expm1(value) if kind == "one_minus_log_uniform" else value


def _shrunk(kind: str, low: Number, high: Number, best: Number, shrink: float) -> Dimension:
    start, end, middle = (_forward(kind, value) for value in (low, high, best))
    reach = shrink * abs(end - start) / 2
    new_low, new_high = sorted((_back(kind, middle - reach), _back(kind, middle + reach)))
    if kind == "integers":
        new_low, new_high = math.ceil(new_low), math.floor(new_high)
    # The best point is inside whatever the logarithms round; it stands last so that it also wins
    # over an old bound that a float32 point cannot represent and may miss by its last place.
    return kind, min(max(low, new_low), best), max(min(high, new_high), best)


def refine(
    space: Space, points: Mapping[str, Any], scores: Any, *, shrink: float = 0.5
) -> dict[str, Dimension]:
    """The smaller box around the best point.

    On each dimension's own scale: [best − s·w/2, best + s·w/2] cut to the old [low, high] of
    width w; integers keep the whole numbers in it, and a choice keeps all its options.

    points: name ↦ (size,), inside the space. scores: (size,), lower is better; NaN is a run that
    failed and never the best. shrink: s in (0, 1], the share of each side that is kept.
    Returns a space of the same names and kinds, its bounds plain numbers. It always contains the
    best point, exactly, and lies inside the old one, up to the last place of the points' dtype.
    Raises ValueError for a bad space or shrink, points and scores that do not match, a best point
    outside the space, and scores that are all NaN.
    Source: notes §7, tuning process (fig. 76).

    >>> space = {"a": ("uniform", 0.0, 8.0)}
    >>> refine(space, {"a": jnp.array([1.0, 5.0])}, jnp.array([0.3, 0.2]))
    {'a': ('uniform', 3.0, 7.0)}
    """
    check_space(space)
    if not 0 < shrink <= 1:
        raise ValueError(f"shrink: expected a share in (0, 1], got {shrink}")
    scores = np.asarray(scores)
    if set(points) != set(space):
        raise ValueError(f"points: expected the names {sorted(space)}, got {sorted(points)}")
    for name in space:
        if scores.ndim != 1 or np.shape(points[name]) != scores.shape:
            raise ValueError(
                f"scores: expected one for each point of {name} of shape "
                f"{np.shape(points[name])}, got shape {scores.shape}"
            )
    if not np.any(~np.isnan(scores)):
        raise ValueError(f"scores: expected at least one that is not NaN, got {scores.size} NaN")
    best = int(np.nanargmin(scores))
    box = {}
    for name, (kind, *bounds) in space.items():
        if kind == "choice":
            box[name] = (kind, *bounds)
            continue
        low, high = bounds
        value = np.asarray(points[name])[best].item()
        slack = 4 * np.finfo(np.float32).eps * max(abs(low), abs(high))
        if not low - slack <= value <= high + slack:
            raise ValueError(
                f"points: expected {name} of the best point in [{low}, {high}], got {value}"
            )
        box[name] = _shrunk(kind, low, high, value, shrink)
    return box


def _joined(drawn: list, scored: list) -> tuple[dict[str, np.ndarray], np.ndarray]:
    # On the host, where refine looks at them: a concatenation of each new length would compile.
    return jax.tree.map(lambda *parts: np.concatenate(parts), *drawn), np.concatenate(scored)


class CoarseToFine(NamedTuple):
    """All points of all rounds in order, their scores, and the box each round drew from."""

    points: Points
    scores: Float[Array, " size"]
    spaces: list[Space]


def coarse_to_fine(
    key: PRNGKey,
    space: Space,
    evaluate: Callable[[Points], Any],
    *,
    rounds: int,
    size: int,
    shrink: float = 0.5,
) -> CoarseToFine:
    """Random search in a box that shrinks around the best point so far, round by round.

    evaluate: points, a dict of (size,) arrays ↦ scores (size,), lower is better; NaN for a run
    that failed. rounds, size: rounds · size points in all. shrink: as in `refine`.
    Returns CoarseToFine(points, scores, spaces), arrays of length rounds · size; the best so far
    lies in every later box.
    Raises ValueError for a bad space or number, and where a round ends with nothing but NaN.
    Source: notes §7, tuning process (fig. 76).

    >>> found = coarse_to_fine(
    ...     jax.random.key(0), {"a": ("uniform", 0.0, 1.0)}, lambda p: (p["a"] - 0.3) ** 2,
    ...     rounds=4, size=5)
    >>> found.scores.shape, bool(found.scores.min() < 0.01)
    ((20,), True)
    """
    check_space(space)
    check_count("rounds", rounds)
    check_count("size", size)
    box, spaces, drawn, scored = dict(space), [], [], []
    for round_key in jax.random.split(key, rounds):
        if drawn:
            points, scores = _joined(drawn, scored)
            box = refine(box, points, scores, shrink=shrink)
        spaces.append(box)
        drawn.append(random(round_key, box, size))
        scored.append(evaluate(drawn[-1]))
    points, scores = _joined(drawn, scored)
    numeric = {
        name: values if values.dtype.kind in "OU" else jnp.asarray(values)
        for name, values in points.items()
    }
    return CoarseToFine(numeric, jnp.asarray(scores), spaces)
