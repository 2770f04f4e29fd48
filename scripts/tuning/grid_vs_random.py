"""25 points on a grid and 25 at random, over (α, ε) and over (α, width), on digits.

Adam's α over four decades beside its ε, which hardly matters, and beside the width of the hidden
layer. Every one of 20 repetitions has its own split and initial weights, the same for all its
members, and its own box: the range of α is shifted by up to half a decade, so that no grid is
lucky by where its lines lie. It trains the grid and a pool of random points once; random
searches are drawn from the pool, and the best 5 % are told by those points of the pool that the
search did not draw. Answers figures 74 and 75.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet.data import datasets
from jaxnet.populations import samplers
from reference_numpy import search as reference
from scripts.harness import (
    Claim,
    above,
    at_least,
    at_most,
    between,
    exact,
    new_figure,
    run_alone,
    seed_keys,
    series,
    statistical,
)
from scripts.tuning import _digits as digits

TITLE = "Grid search and random search with 25 points"
NOTES_SECTION = "Tuning Process"
NOTES_FIGURES = (74, 75)

PER_AXIS = 5
POINTS = PER_AXIS**2
# Of the pool's random points a search takes POINTS; the RANK-th best of the others is where the
# best 5 % of the box begin, in expectation RANK/(POOL − POINTS + 1) of it.
POOL, RANK = 85, 3
RESAMPLES = 200
AXES = {"ε": "epsilon", "width": "width"}
LABELS = {"ε": "Adam's ε (no unit)", "width": "hidden units"}


SPACES: dict[str, dict[str, Any]] = {
    "ε": {"alpha": ("log_uniform", 1e-4, 1.0), "epsilon": ("log_uniform", 1e-10, 1e-6)},
    "width": {"alpha": ("log_uniform", 1e-4, 1.0), "width": ("integers", 2, digits.WIDEST)},
}


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    keys = seed_keys(key, quick)
    whole = datasets.whole("digits")
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))

    @jax.jit
    def draw_points(keys):
        """For every space, points (seeds, grid and pool), α scaled by a factor of each seed."""

        def one(key, space):
            pool_key, shift_key = jax.random.split(jax.random.fold_in(key, 1))
            both = samplers.grid(space, PER_AXIS), samplers.random(pool_key, space, POOL)
            points = {name: jnp.concatenate([part[name] for part in both]) for name in space}
            factor = 10.0 ** jax.random.uniform(shift_key, minval=-0.5, maxval=0.5)
            return points | {"alpha": factor * points["alpha"]}

        return {
            other: jax.vmap(lambda key, space=space: one(key, space))(keys)
            for other, space in SPACES.items()
        }

    results = {}
    owners = np.repeat(np.arange(len(keys)), POINTS + POOL)
    tables = jax.device_get(draw_points(keys))
    for other in SPACES:
        table = tables[other]
        usual = {
            "width": np.full(len(owners), digits.WIDEST, np.int32),
            "epsilon": np.full(len(owners), 1e-8, np.float32),
        }
        hypers = usual | {name: values.reshape(-1) for name, values in table.items()}
        dev, _ = digits.costs(hypers, keys[owners], whole)
        dev = np.asarray(dev).reshape(len(keys), -1)
        results[other] = {**table, "dev": dev, **_searches(dev, rng)}
        results[other]["distinct"] = {
            which: min(len(np.unique(row[part])) for row in table["alpha"])
            for which, part in (("grid", slice(POINTS)), ("random", slice(POINTS, 2 * POINTS)))
        }
    for other, space in SPACES.items():
        grid = jax.device_get(samplers.grid(space, PER_AXIS))
        theirs = reference.grid(space, PER_AXIS)
        results[other]["reference_apart"] = max(
            np.abs(grid[name] / theirs[name] - 1).max() for name in space
        )
    return results


def _searches(dev: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The best dev cost of the grid and of random searches, and whether it is in the best 5 %.

    Every resampling splits the pool anew, into a search and the points that judge it.
    """
    order = np.array([rng.permutation(POOL) for _ in range(RESAMPLES)])
    pool = dev[:, POINTS:][:, order]  # (seeds, resamples, points)
    grid_best = dev[:, :POINTS].min(axis=1)
    random_best = pool[..., :POINTS].min(axis=2)
    threshold = np.partition(pool[..., POINTS:], RANK - 1, axis=2)[..., RANK - 1]
    return {
        "grid_best": grid_best,
        "random_best": random_best,
        "grid_hit": (grid_best[:, None] <= threshold).mean(axis=1),
        "random_hit": (random_best <= threshold).mean(axis=1),
    }


def _gain(found: dict[str, np.ndarray]) -> np.ndarray:
    """How much lower the best dev cost of a random search is than the grid's, (seeds,)."""
    return found["grid_best"] - found["random_best"].mean(axis=1)


def draw(measurements: dict[str, Any]) -> Figure:
    hits = measurements["ε"]
    figure, axes = new_figure(
        2,
        3,
        height=6.8,
        title="Beside a useless parameter a grid has a point in the best 5 % in "
        f"{100 * hits['grid_hit'].mean():.0f} %\nof the repetitions, 25 random points in "
        f"{100 * hits['random_hit'].mean():.0f} %",
        width_ratios=(1, 1, 1.15),
    )
    for row, (other, found) in zip(axes, measurements.items(), strict=True):
        worst, best = np.log10(digits.GUESSING), np.log10(found["dev"][0].min())
        for ax, part, which in zip(
            row, (slice(POINTS), slice(POINTS, 2 * POINTS)), ("grid", "random"), strict=False
        ):
            _draw_points(ax, found, other, part, (best, worst))
            distinct = found["distinct"][which]
            ax.set_title(f"{which}: {distinct} values of α")
        _draw_gain(row[2], other, found)
    seeds = len(measurements["ε"]["grid_best"])
    figure.supxlabel(
        "Left: one repetition; dark points have a low dev cost. Right: sorted over "
        f"{seeds} repetitions, random: mean of {RESAMPLES} searches of {POINTS}.",
        fontsize=9,
    )
    return figure


def _draw_points(
    ax: Axes, found: dict[str, Any], other: str, part: slice, limits: tuple[float, float]
) -> None:
    alpha, second = found["alpha"][0, part], found[AXES[other]][0, part]
    ax.scatter(
        alpha,
        second,
        c=np.log10(found["dev"][0, part]),
        s=34,
        vmin=limits[0],
        vmax=limits[1],
        edgecolors="0.3",
        linewidths=0.5,
    )
    best = found["dev"][0, part].argmin()
    ax.plot(alpha[best], second[best], "o", color="none", mec="#94287a", mew=1.8, markersize=11)
    for value in np.unique(alpha):
        ax.plot(value, 0.02, "|", color="0.2", transform=ax.get_xaxis_transform(), clip_on=False)
    ax.set(xscale="log", xlabel="learning rate α", ylabel=LABELS[other])
    if other == "ε":
        ax.set_yscale("log")


def _draw_gain(ax: Axes, other: str, found: dict[str, Any]) -> None:
    order = np.argsort(found["grid_best"])
    x = np.arange(1, len(order) + 1)
    random_best = found["random_best"].mean(axis=1)
    for values, label, marker, style in (
        (found["grid_best"], "grid", "s", series(2)[1]),
        (random_best, "random", "o", series(2)[0]),
    ):
        ax.plot(x, values[order], marker, color=style["color"], label=label)
    ax.set(
        title=f"Best of {POINTS}, over α and {other}",
        xlabel="repetition, by the grid's result",
        ylabel="best dev cost (nats)",
    )
    ax.legend(loc="upper left", fontsize=9)


BOTH_MATTER: dict[str, Any] = {
    "expected": "inconclusive",
    "note": "Both axes matter here and the best width is the largest, an edge on which a grid has "
    "a fifth of its points and random search hardly one: what α gains is lost in width.",
}
EXPECTED = {("best", "width"): BOTH_MATTER, ("hit", "width"): BOTH_MATTER}


def claims(measurements: dict[str, Any]) -> list[Claim]:
    listed = []
    for other, found in measurements.items():
        box = f"over α and {'ε' if other == 'ε' else 'the width'}"
        listed += [
            exact(
                f"A grid of {POINTS} points {box} tries {PER_AXIS} values of α.",
                found["distinct"]["grid"],
                between(PER_AXIS, PER_AXIS),
            ),
            exact(
                f"{POINTS} random points {box} try {POINTS}.",
                found["distinct"]["random"],
                between(POINTS, POINTS),
            ),
            statistical(
                f"The best dev cost is lower by random search, {box} (grid less random, nats).",
                _gain(found),
                above(0),
                **EXPECTED.get(("best", other), {}),
            ),
            statistical(
                f"Random search more often has a point in the best 5 % of the box, {box} "
                "(difference of the chances).",
                found["random_hit"] - found["grid_hit"],
                above(0),
                **EXPECTED.get(("hit", other), {}),
            ),
            statistical(
                f"{POINTS} random points have one in the best 5 % more often than not, {box} (in "
                f"theory in 1 − 0.95^{POINTS} = {1 - 0.95**POINTS:.2f} of the searches).",
                found["random_hit"],
                at_least(0.5),
                note="The border of the best 5 % is estimated, from the points that the search "
                "did not take, which lowers the chance to 0.65.",
            ),
        ]
    epsilon = measurements["ε"]["dev"][:, :POINTS].reshape(-1, PER_AXIS, PER_AXIS)
    spread_of = {axis: epsilon.mean(axis=axis).var(axis=1) for axis in (1, 2)}
    return [
        *listed,
        exact(
            "Both grids are the reference's (largest relative difference, float32).",
            max(found["reference_apart"] for found in measurements.values()),
            at_most(5e-6),
        ),
        statistical(
            "ε is useless beside α: its share of the two main effects on the grid's dev cost.",
            spread_of[1] / (spread_of[1] + spread_of[2]),
            at_most(0.01),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
