"""Sampling α and β on the scale on which they matter.

20,000 draws of α from [1e-4, 1] evenly and evenly in log α, and of β from [0.9, 0.999] evenly in
log(1−β), beside the notes' few lines of Python. Then both samplings of α at work: Adam on digits,
25 values each, for 50 seeds with their own splits; the α of the lowest dev cost is judged once by
the test cost. Answers figure 77.
"""

from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import kstest

from jaxnet.data import datasets
from jaxnet.populations import samplers
from reference_numpy import search as reference
from scripts.harness import (
    COLOURS,
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

TITLE = "Linear and logarithmic sampling"
NOTES_SECTION = "Using an appropriate scale to pick hyperparameters"
NOTES_FIGURES = (77,)

DRAWS = 20_000
SEEDS = 50
POINTS = 25
LOW, HIGH = 1e-4, 1.0
SPACES: dict[str, dict[str, Any]] = {
    "linear": {"alpha": ("uniform", LOW, HIGH)},
    "log": {"alpha": ("log_uniform", LOW, HIGH)},
}
BETA: dict[str, Any] = {"beta": ("one_minus_log_uniform", 0.9, 0.999)}
BETA_LINEAR: dict[str, Any] = {"beta": ("uniform", 0.9, 0.999)}
# A Kolmogorov–Smirnov statistic above this has a chance of 0.001 if the exponent is uniform.
KS_BOUND = round(1.95 / np.sqrt(DRAWS), 4)


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    draw_key, seeds_key = jax.random.split(key)
    keys = seed_keys(seeds_key, quick, SEEDS)

    @jax.jit
    def everything(keys):
        drawn = {name: samplers.random(draw_key, space, DRAWS) for name, space in SPACES.items()}
        betas = samplers.random(draw_key, BETA, DRAWS)["beta"]
        betas_linear = samplers.random(draw_key, BETA_LINEAR, DRAWS)["beta"]
        searched = {
            name: jax.vmap(
                lambda key, space=space: samplers.random(jax.random.fold_in(key, 1), space, POINTS)
            )(keys)
            for name, space in SPACES.items()
        }
        uniform = jax.random.uniform(draw_key, (1, DRAWS))[0]  # what the samplers draw from
        return drawn, betas, betas_linear, searched, uniform

    drawn, betas, betas_linear, searched, uniform = jax.device_get(everything(keys))
    points = np.stack([searched[name]["alpha"] for name in SPACES])  # (ways, seeds, points)
    owners = np.broadcast_to(np.arange(len(keys))[None, :, None], points.shape)
    hypers = {
        "alpha": points.reshape(-1),
        "width": np.full(points.size, digits.WIDEST, np.int32),
        "epsilon": np.full(points.size, 1e-8, np.float32),
    }
    dev, test = digits.costs(hypers, keys[owners.reshape(-1)], datasets.whole("digits"))
    return {
        "linear": drawn["linear"]["alpha"].astype(np.float64),
        "log": drawn["log"]["alpha"].astype(np.float64),
        "beta": betas.astype(np.float64),
        "beta_linear": betas_linear.astype(np.float64),
        "notes": _as_printed(uniform.astype(np.float64)),
        "reference": {
            name: reference.from_uniform(uniform.astype(np.float64), *dimension)
            for name, dimension in (("log", SPACES["log"]["alpha"]), ("beta", BETA["beta"]))
        },
        "points": points,
        "dev": np.asarray(dev).reshape(points.shape),
        "test": np.asarray(test).reshape(points.shape),
    }


def _as_printed(r: np.ndarray) -> np.ndarray:
    """The notes' lines, from given numbers in place of np.random.rand()."""
    m = np.log10(LOW)
    n = np.log10(HIGH)
    r = m + (n - m) * r
    return np.power(10, r)


def _distance(values: np.ndarray, low: float, high: float) -> float:
    """Kolmogorov–Smirnov distance of values to the uniform distribution on [low, high]."""
    return float(kstest(values, "uniform", args=(low, high - low)).statistic)


def _decades(values: np.ndarray) -> np.ndarray:
    """Share of the values in each decade from 10⁻⁴ to 1."""
    return np.histogram(np.log10(values), bins=np.arange(-4, 0.5))[0] / len(values)


def draw(measurements: dict[str, Any]) -> Figure:
    best = measurements["dev"].min(axis=2)
    figure, axes = new_figure(
        1,
        3,
        height=4.4,
        title=f"Even sampling puts {100 * _decades(measurements['linear'])[-1]:.0f} % of the α into"
        f" [0.1, 1]; sampling log α lowers the best dev cost\nof {POINTS} runs from "
        f"{np.mean(best[0]):.2f} to {np.mean(best[1]):.2f} nats",
    )
    styles = dict(zip(SPACES, series(2), strict=True))
    ax = axes[0]
    for offset, (name, style) in zip((-0.2, 0.2), styles.items(), strict=True):
        shares = 100 * _decades(measurements[name])
        bars = ax.bar(np.arange(4) + offset, shares, width=0.38, color=style["color"], label=name)
        ax.bar_label(bars, fmt="%.1f", fontsize=8.5)
    ax.set_xticks(
        range(4), labels=["10⁻⁴ to\n10⁻³", "10⁻³ to\n10⁻²", "10⁻² to\n10⁻¹", "10⁻¹ to\n1"]
    )
    ax.set(title="Where α falls", xlabel="decade of α", ylabel="share of the draws (%)")
    ax.legend(loc="upper left")

    ax = axes[1]
    for name, style in styles.items():
        way = list(SPACES).index(name)
        ax.plot(
            measurements["points"][way].ravel(),
            measurements["dev"][way].ravel(),
            "s" if name == "linear" else "o",
            color=style["color"],
            markersize=2.5,
            alpha=0.7,
            label=name,
        )
    ax.set(
        title="What a run leads to",
        xlabel="learning rate α",
        ylabel="dev cost (nats)",
        xscale="log",
        xlim=(LOW / 1.5, HIGH * 1.5),
    )
    _draw_best(axes[2], best, styles)
    return figure


def _draw_best(ax: Axes, best: np.ndarray, styles: dict[str, Any]) -> None:
    for pair in best.T:
        ax.plot((0, 1), pair, color="0.7", linewidth=0.8)
    for way, (name, style) in enumerate(styles.items()):
        ax.plot(
            np.full(best.shape[1], way),
            best[way],
            "s" if name == "linear" else "o",
            color=style["color"],
        )
        ax.hlines(best[way].mean(), way - 0.12, way + 0.12, color=COLOURS[1], linewidth=3, zorder=3)
    ax.set_xticks((0, 1), labels=list(styles))
    ax.set(
        title=f"Best of {POINTS}, {best.shape[1]} seeds",
        xlabel="sampling of α (bar: mean)",
        ylabel="lowest dev cost (nats)",
        xlim=(-0.5, 1.5),
    )


def claims(measurements: dict[str, Any]) -> list[Claim]:
    dev, test = measurements["dev"], measurements["test"]
    chosen = dev.argmin(axis=2)
    of_chosen = np.take_along_axis(test, chosen[..., None], axis=2)[..., 0]
    log_decades = _decades(measurements["log"])
    exponent = np.log10(1 - measurements["beta"])
    averaged = 1 / (1 - measurements["beta_linear"])
    return [
        exact(
            f"Even sampling of [1e-4, 1] puts 90 % of the α into [0.1, 1] (share of {DRAWS:,}).",
            _decades(measurements["linear"])[-1],
            between(0.89, 0.91),
        ),
        exact(
            "Sampling log α puts 25 % into each of the four decades (furthest share from 0.25).",
            np.abs(log_decades - 0.25).max(),
            at_most(0.015),
        ),
        exact(
            "Its exponent is uniform on [−4, 0]: the Kolmogorov–Smirnov distance is below the "
            "bound of a test at 0.001.",
            _distance(np.log10(measurements["log"]), -4, 0),
            at_most(KS_BOUND),
        ),
        exact(
            "That of even sampling is not (the same distance).",
            _distance(np.log10(measurements["linear"]), -4, 0),
            at_least(0.5),
        ),
        exact(
            "The notes' lines of Python give the sampler's α from the same uniform numbers "
            "(largest relative difference; the sampler's is float32).",
            np.abs(measurements["log"] / measurements["notes"] - 1).max(),
            at_most(5e-6),
        ),
        exact(
            "So do the reference's samplers, for α and for 1−β (largest relative difference).",
            max(
                np.abs(measurements["log"] / measurements["reference"]["log"] - 1).max(),
                np.abs(
                    (1 - measurements["beta"]) / (1 - measurements["reference"]["beta"]) - 1
                ).max(),
            ),
            at_most(1e-4),
            note="1−β of a float32 β near 0.999 has five digits at most.",
        ),
        exact(
            "β drawn through 1−β: log₁₀(1−β) is uniform on [−3, −1] (Kolmogorov–Smirnov distance, "
            "bound of a test at 0.001).",
            _distance(exponent, -3, -1),
            at_most(KS_BOUND),
        ),
        exact(
            "Drawn evenly from [0.9, 0.999], 9 in 10 of the β average over fewer than 100 steps, "
            "1/(1−β) (share).",
            np.mean(averaged < 100),
            between(0.89, 0.93),
        ),
        exact(
            "Drawn through 1−β half of them do (share).",
            np.mean(exponent > -2),
            between(0.485, 0.515),
        ),
        statistical(
            f"The best dev cost of {POINTS} runs is lower with sampling of log α (linear less log, "
            "nats).",
            dev[0].min(axis=1) - dev[1].min(axis=1),
            above(0),
        ),
        statistical(
            "So is the test cost, looked at once, of the α that is chosen (linear less log, nats).",
            of_chosen[0] - of_chosen[1],
            above(0),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
