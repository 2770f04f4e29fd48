"""Where gradients vanish: minima and saddles of random surfaces and of a small network.

Random Gaussian fields (random Fourier features, covariance exp(−½r²)) of 1 to 5 dimensions: all
critical points in a box are found by minimising ‖∇f‖² with Levenberg–Marquardt steps from
hundreds of random starts, ends that coincide counted once, and classified by the eigenvalues of
jax.hessian. Fields of 12 dimensions: a sample of critical points, the searches started along
descents and ascents of many lengths, which is not every point's due share. A network of 172
parameters: searches for low-gradient points from places on the way of training, with the whole
Hessian there. Networks of several widths: where training ends. Answers figure 72 of the notes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from jaxnet import optimizers
from jaxnet.training import descend
from scripts.harness import (
    Claim,
    above,
    at_least,
    at_most,
    between,
    exact,
    run_alone,
    seed_keys,
    statistical,
)
from scripts.optimization import _gaussian_fields as fields
from scripts.optimization import _network_points as network
from scripts.optimization._saddle_drawing import draw_all

TITLE = "In many dimensions nearly every flat point is a saddle, unless its cost is low"
NOTES_SECTION = "The problem of local optima"
NOTES_FIGURES = (72,)

# Boxes that hold 45 critical points on average; starts beyond the box by a margin, in groups.
EXPECTED, MARGIN = 45, 0.3
GROUPS = {1: 1, 2: 1, 3: 1, 4: 2, 5: 3}
STARTS, STEPS, FEATURES = 320, 15, 80
LARGE, LARGE_FEATURES, LARGE_STEPS = 12, 160, 20
LENGTHS = (0, 1, 2, 4, 6, 9, 13, 18, 25, 40)  # steps of descent and of ascent before a search
LOW_SLOPE = 0.02  # of the network's cost, a tenth or less of its slope before training
NEGATIVE = 0.01  # a curvature below −1 % of the largest is negative, not noise
HIGH_COST = 0.5  # nats


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    field_key, large_key, network_key, width_key = jax.random.split(key, 4)
    laws = {d: fields.theory(d) for d in GROUPS}
    sides = {d: float((EXPECTED / law.density) ** (1 / d)) for d, law in laws.items()}
    seeds = seed_keys(field_key, quick)
    data = network.small_digits()

    @jax.jit
    def run(seeds, large_keys, network_keys, width_keys, entries, data):
        return {
            "small": jax.lax.map(lambda entry: _searches(seeds[entry[0]], *entry[1:]), entries),
            "large": jax.lax.map(_large_field, large_keys),
            "points": network.low_gradient_points(network_keys, data, taken=network.TAKEN),
            "by_width": network.costs_by_width(
                width_keys, data, epochs=150 if quick else network.EPOCHS
            ),
            "shown": _shown(seeds[0], sides[2]),
        }

    entries = [
        (seed, d, group, sides[d])
        for d, groups in GROUPS.items()
        for seed in range(len(seeds))
        for group in range(groups)
    ]
    arrays = tuple(np.array(column) for column in zip(*entries, strict=True))
    others = (seed_keys(one, quick) for one in (large_key, network_key, width_key))
    results = jax.device_get(run(seeds, *others, arrays, data))
    return {
        "laws": laws,
        "sides": sides,
        **_counted(results.pop("small"), entries, sides, len(seeds)),
        **results,
    }


def _field(key: jax.Array, d: Any) -> fields.Field:
    return fields.draw_field(jax.random.fold_in(key, d), d, most=max(GROUPS), features=FEATURES)


def _searches(key: jax.Array, d: Any, group: Any, side: Any) -> fields.Point:
    """The ends of one group of searches in a field of d dimensions."""
    start_key = jax.random.fold_in(jax.random.fold_in(key, 10 + d), group)
    shape = (STARTS, max(GROUPS))
    starts = jax.random.uniform(start_key, shape, minval=-MARGIN, maxval=side + MARGIN)
    starts = starts * (jnp.arange(max(GROUPS)) < d)[None, :]
    field = _field(key, d)
    return jax.vmap(lambda start: fields.search(field, start, steps=STEPS))(starts)


def _large_field(key: jax.Array) -> fields.Point:
    """A sample of critical points of one field of 12 dimensions, from heights of all kinds."""
    field = fields.draw_field(key, LARGE, most=LARGE, features=LARGE_FEATURES)
    starts = jax.random.normal(jax.random.fold_in(key, 1), (2, LARGE))

    def way(sign, start):
        rule = optimizers.gradient_descent(0.2)
        path = descend(lambda x: sign * fields.value(field, x), rule, start, steps=max(LENGTHS))
        return path.w[jnp.array(LENGTHS)]

    begun = jax.vmap(way)(jnp.array([1.0, -1.0]), starts).reshape(-1, LARGE)
    return jax.lax.map(lambda x: fields.search(field, x, steps=LARGE_STEPS), begun)


def _shown(key: jax.Array, side: float) -> dict[str, Any]:
    """Heights of the first two-dimensional field on a grid, for the figure."""
    field, grid = _field(key, 2), jnp.linspace(0, side, 90)
    plane = jnp.stack(jnp.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    plane = jnp.pad(plane, ((0, 0), (0, max(GROUPS) - 2)))
    heights = jax.vmap(lambda x: fields.value(field, x))(plane)
    return {"grid": grid, "heights": heights.reshape(90, 90)}


def _counted(
    ends: fields.Point, entries: list[Any], sides: dict[int, float], seeds: int
) -> dict[str, Any]:
    """Distinct critical points: how many by index, per dimension and seed; and how often found."""
    index = {d: np.zeros((seeds, d + 1)) for d in GROUPS}
    hits, of_plane = [], None
    for d in GROUPS:
        for seed in range(seeds):
            own = [place for place, entry in enumerate(entries) if entry[:2] == (seed, d)]
            together = fields.Point(*(np.concatenate(list(part[own])) for part in ends))
            points, found = fields.distinct(together, sides[d], d)
            index[d][seed] = np.bincount(points.index, minlength=d + 1)
            hits.append(found)
            if (seed, d) == (0, 2):
                of_plane = points
    return {"index": index, "hits": np.concatenate(hits), "plane": of_plane}


def _extremes(counts: np.ndarray) -> np.ndarray:
    """Of counts by index (seeds, d + 1) half the minima and maxima, and all points, (seeds, 2)."""
    return np.stack([(counts[:, 0] + counts[:, -1]) / 2, counts.sum(axis=1)], axis=1)


def draw(measurements: dict[str, Any]) -> Figure:
    return draw_all(measurements, low_slope=LOW_SLOPE, negative=NEGATIVE)


def _within(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Correlation of two measurements within each seed, (seeds,)."""
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(rows, values, strict=True)])


def claims(measurements: dict[str, Any]) -> list[Claim]:
    laws, index, hits = (measurements[name] for name in ("laws", "index", "hits"))
    counts = np.stack([index[d].sum(axis=1) for d in GROUPS], axis=1)
    large = measurements["large"]
    flat = large.slope < fields.FLAT
    height_index = [
        np.corrcoef(one.height[keep], one.index[keep] / LARGE)[0, 1]
        for one, keep in (
            (fields.Point(*(part[seed] for part in large)), flat[seed]) for seed in range(len(flat))
        )
    ]
    points = measurements["points"]
    cost, slopes, curvatures = (points[name] for name in ("cost", "slopes", "curvatures"))
    negative = -curvatures[..., 0] / curvatures[..., -1]
    share = (curvatures < -NEGATIVE * curvatures[..., -1:]).mean(axis=2)
    low = slopes[..., 1] <= LOW_SLOPE
    dear = low & (cost >= HIGH_COST)
    lowest = np.arange(len(cost)), cost.argmin(axis=1)
    ends = dict(zip(network.WIDTHS, measurements["by_width"], strict=True))

    def share_of_minima(samples: np.ndarray) -> float:
        return samples[:, 0].sum() / samples[:, 1].sum()

    def beyond_ten_times(samples: np.ndarray) -> float:
        weak, strong = samples.std(axis=0)
        return weak - 10 * strong

    return [
        exact(
            "The searches find all but few of the critical points: at most 3 % of the ends are the "
            "only one at their point (Good–Turing estimate of the chance that a further search "
            "finds a new one).",
            (hits == 1).sum() / hits.sum(),
            at_most(0.03),
        ),
        statistical(
            "They are as many as Kac and Rice expect (ratio, mean over 1 to 5 dimensions).",
            (counts / EXPECTED).mean(axis=1),
            between(0.8, 1.1),
            note="The few that no search finds are missing.",
        ),
        *(
            statistical(
                f"In {d} dimension{'s' if d > 1 else ''} the share of minima among critical points "
                f"is that of random symmetric matrices, {laws[d].shares[0]:.3f} (ratio; maxima "
                "counted as well, as f and −f are alike).",
                np.stack([_extremes(index[d])[:, 0] / laws[d].shares[0], counts[:, d - 1]], axis=1),
                between(0.75, 1.33) if d < 4 else between(0.5, 2),
                method="bootstrap",
                statistic=share_of_minima,
            )
            for d in GROUPS
        ),
        statistical(
            "In 5 dimensions nine critical points of ten are saddles, neither minimum nor maximum "
            "(share).",
            1 - 2 * _extremes(index[5])[:, 0] / counts[:, -1],
            at_least(0.9),
        ),
        statistical(
            f"In {LARGE} dimensions the index of a critical point grows with its height "
            "(correlation within a field, of those found).",
            height_index,
            at_least(0.5),
        ),
        statistical(
            f"Low-gradient points of the network (‖∇J‖ ≤ {LOW_SLOPE}) at a cost of {HIGH_COST} "
            "nats or more have negative curvature, below −1 % of the largest (share of them).",
            [
                (negative[seed][dear[seed]] > NEGATIVE).mean()
                for seed in range(len(dear))
                if dear[seed].any()
            ],
            at_least(0.95),
        ),
        statistical(
            "The share of negative curvatures grows with the cost (correlation within a seed).",
            _within(cost, share),
            at_least(0.6),
        ),
        statistical(
            "At the lowest cost the steepest negative curvature is at most a tenth of the "
            "steepest positive one (ratio).",
            negative[lowest],
            at_most(0.1),
        ),
        statistical(
            "The searches lower the gradient to a fifth or less (ratio of ‖∇J‖, median over "
            "starts).",
            np.median(slopes[..., 1] / slopes[..., 0], axis=1),
            at_most(0.2),
        ),
        statistical(
            f"Strong networks end at nearly one cost: with {max(ends)} hidden units the standard "
            "deviation over seeds is at most 0.01 nats.",
            ends[max(ends)],
            at_most(0.01),
            method="bootstrap",
            statistic=np.std,
        ),
        statistical(
            f"They are rarely stuck: with {max(ends)} units at most one run in ten ends above 0.05 "
            "nats (share).",
            (ends[max(ends)] > 0.05).astype(float),
            at_most(0.1),
        ),
        statistical(
            "Weak networks do get stuck at different costs: with 2 units the standard deviation is "
            f"more than ten times that of {max(ends)} (by so many nats).",
            np.stack([ends[2], ends[max(ends)]], axis=1),
            above(0),
            method="bootstrap",
            statistic=beyond_ten_times,
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
