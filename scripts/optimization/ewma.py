"""Exponentially weighted averages of a year of daily temperatures.

The highest temperature of each day of 2015 in Seattle, averaged with β = 0.9, 0.98 and 0.5. The
lag is the shift of the yearly wave, with the year repeated so that the start plays no part; the
roughness is the change from day to day. How many days are averaged is asked in four ways: where
the weight has fallen to 1/e, which share of the weight lies before, which plain mean is as steady
on noise, and which is closest on the temperatures. In float64. Answers figures 64 to 67 of the
notes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet.averages import exponentially_weighted, weights
from reference_numpy import averages as reference
from scripts.harness import (
    TRUE,
    Claim,
    above,
    at_most,
    below,
    between,
    exact,
    new_figure,
    run_alone,
    seed_keys,
    series,
    statistical,
)
from scripts.optimization._temperatures import daily_maxima

TITLE = "How many days an exponentially weighted average averages"
NOTES_SECTION = "Exponentially Weighted Averages"
NOTES_FIGURES = (64, 65, 66, 67)

BETAS = (0.5, 0.9, 0.98)
DAY = 100  # of the explicit sum, as in the notes
NOISE, WARM_UP = 20_000, 1_000  # steps of white noise, and how many of them are passed over


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    temperatures = daily_maxima()
    steps = 4_000 if quick else NOISE
    keys = seed_keys(key, quick)
    with jax.enable_x64(True):
        betas = jnp.array(BETAS)

        @jax.jit
        def run(year, keys):
            noise = jax.vmap(lambda key: jax.random.normal(key, (steps,)))(keys).T

            def of_beta(beta):
                steady = exponentially_weighted(noise, beta)[WARM_UP:]
                return {
                    "averages": exponentially_weighted(year, beta),
                    "second_year": exponentially_weighted(jnp.tile(year, 2), beta)[len(year) :],
                    "explicit": year[:DAY] @ weights(beta, DAY),
                    "noise_variance": jnp.square(steady).mean(axis=0),
                }

            return jax.vmap(of_beta)(betas)

        results = jax.device_get(run(jnp.asarray(temperatures), keys))
    return {
        "temperatures": temperatures,
        "reference": np.stack([reference.exponentially_weighted(temperatures, b) for b in BETAS]),
        **results,
    }


def _lag(measurements: dict[str, Any]) -> np.ndarray:
    """Days by which the wave of one year comes later in the averages, for each β."""
    temperatures = measurements["temperatures"]
    turn = 2 * np.pi / len(temperatures)
    wave = np.exp(-1j * turn * np.arange(len(temperatures)))
    return np.angle((temperatures @ wave) / (measurements["second_year"] @ wave)) / turn


def _roughness(measurements: dict[str, Any]) -> np.ndarray:
    """Root mean square change from one day to the next in °C, for each β."""
    return np.sqrt(np.square(np.diff(measurements["second_year"], axis=1)).mean(axis=1))


def _closest_days(measurements: dict[str, Any]) -> np.ndarray:
    """Number of days N whose plain mean is closest to the average, for each β."""
    year = np.tile(measurements["temperatures"], 2)
    total = np.concatenate([[0.0], np.cumsum(year)])
    ends = np.arange(len(year) // 2, len(year)) + 1
    days = np.arange(1, 150)
    means = np.stack([(total[ends] - total[ends - n]) / n for n in days])
    apart = np.square(measurements["second_year"][:, None] - means[None]).mean(axis=2)
    return days[apart.argmin(axis=1)]


def draw(measurements: dict[str, Any]) -> Figure:
    lag, rough = _lag(measurements), _roughness(measurements)
    figure, axes = new_figure(
        2,
        2,
        height=7.4,
        title=f"β = 0.98 is {rough[1] / rough[2]:.1f} times as smooth as 0.9 and "
        f"{lag[2] - lag[1]:.0f} days later",
    )
    temperatures, days = measurements["temperatures"], np.arange(1, 366)
    for ax, shown in ((axes[0, 0], (1,)), (axes[0, 1], (0, 1, 2))):
        ax.plot(days, temperatures, ".", color="0.7", markersize=4, label="days")
        for index in shown:
            style = series(3)[index]
            ax.plot(days, measurements["averages"][index], label=f"β = {BETAS[index]}", **style)
        ax.set(xlabel="day of 2015", ylabel="highest temperature (°C)")
        ax.legend(loc="upper left", fontsize=9)
    axes[0, 0].set_title("Seattle, averaged with β = 0.9")
    axes[0, 1].set_title("The larger β, the smoother and the later")
    _draw_weights(axes[1, 0])
    _draw_days(axes[1, 1], measurements)
    return figure


def _draw_weights(ax: Axes) -> None:
    back = np.arange(60)
    for beta, style, marker in ((0.98, series(3)[2], "^"), (0.9, series(3)[1], "o")):
        weight = (1 - beta) * beta**back
        stems = ax.stem(-back, weight, label=f"β = {beta}", basefmt=" ")
        stems.stemlines.set(color=style["color"], linewidth=1)
        stems.markerline.set(color=style["color"], marker=marker, markersize=4)
        days = 1 / (1 - beta)
        ax.plot([-days], [(1 - beta) * beta**days], "s", mfc="none", mec="black", markersize=11)
    ax.plot([], [], "s", mfc="none", mec="black", label="1/(1−β) days back: about 1/e")
    ax.set(title="Weights of the days", xlabel="days before today", ylabel="weight in the average")
    ax.legend(loc="upper left")


def _draw_days(ax: Axes, measurements: dict[str, Any]) -> None:
    grid = 1 - np.geomspace(0.5, 0.02, 100)
    plain, steady, measured = series(3)
    ax.plot(1 - grid, 1 / (1 - grid), label="1/(1−β): weight at 1/e", **plain)
    ax.plot(1 - grid, (1 + grid) / (1 - grid), label="(1+β)/(1−β): as steady", **steady)
    spare = 1 - np.array(BETAS)
    noise = 1 / measurements["noise_variance"].mean(axis=1)
    ax.plot(spare, noise, "o", color=steady["color"], label="measured on white noise")
    closest = _closest_days(measurements)
    ax.plot(spare, closest, "^", color=measured["color"], label="closest on the temperatures")
    ax.set(
        title="Days of a plain mean",
        xlabel="1 − β (no unit)",
        ylabel="days",
        xscale="log",
        yscale="log",
    )
    ax.set_xticks(spare, labels=[f"{one:g}" for one in spare.round(2)])
    ax.set_yticks([1, 3, 10, 30, 100], labels=["1", "3", "10", "30", "100"])
    ax.minorticks_off()
    ax.invert_xaxis()
    ax.legend(loc="upper left", fontsize=9)


def claims(measurements: dict[str, Any]) -> list[Claim]:
    temperatures = measurements["temperatures"]
    averages = measurements["averages"]
    scale = np.abs(temperatures).max()
    lag, rough = _lag(measurements), _roughness(measurements)
    omega = 2 * np.pi / len(temperatures)
    betas = np.array(BETAS)
    expected = np.arctan2(betas * np.sin(omega), 1 - betas * np.cos(omega)) / omega
    noise = measurements["noise_variance"]
    closest = _closest_days(measurements)
    share = 1 - betas[1:] ** (1 / (1 - betas[1:]))
    return [
        exact(
            "The recursion gives the explicit weighted sum of day 100 (largest relative "
            "difference over β).",
            (np.abs(averages[:, DAY - 1] - measurements["explicit"]) / scale).max(),
            at_most(1e-14),
        ),
        exact(
            "The reference gives the same averages (largest relative difference).",
            (np.abs(averages - measurements["reference"]) / scale).max(),
            at_most(1e-14),
        ),
        exact("β^(1/(1−β)) at β = 0.9 is 0.349.", 0.9 ** (1 / (1 - 0.9)), between(0.3485, 0.3495)),
        exact(
            "At β = 0.98 it is 1/e within 2 % (ratio).",
            0.98 ** (1 / (1 - 0.98)) * np.e,
            between(0.98, 1.02),
        ),
        exact(
            "At β = 0.9, too, it is 1/e within 2 % (ratio), as the notes write without a limit.",
            0.9 ** (1 / (1 - 0.9)) * np.e,
            between(0.98, 1.02),
            expected="refuted",
            note="0.349 is 5 % below 1/e = 0.368; equality holds in the limit β → 1 only.",
        ),
        exact(
            "After ten days at β = 0.9 the weight is below a third of the newest.",
            0.9**10,
            below(1 / 3),
            expected="refuted",
            note="0.9¹⁰ = 0.349 is above a third; the eleventh day is the first below.",
        ),
        exact(
            "(1 − 1/β)^β, which the notes equate with 1/e, is a real number at β = 0.9.",
            bool(np.isreal(complex(1 - 1 / 0.9) ** 0.9)),
            TRUE,
            expected="refuted",
            note="1 − 1/β is negative; meant is (1−ε)^(1/ε) → 1/e as ε = 1−β → 0.",
        ),
        exact(
            "The newest 1/(1−β) days carry two thirds of the weight and no more (smallest share "
            "over β = 0.9, 0.98).",
            share.min(),
            between(0.6, 0.7),
        ),
        *(
            statistical(
                f"On white noise the average with β = {beta} is as steady as a plain mean of "
                f"(1+β)/(1−β) = {(1 + beta) / (1 - beta):.0f} days (ratio of variances).",
                noise[index] * (1 + beta) / (1 - beta),
                between(0.93, 1.07),
            )
            for index, beta in enumerate(BETAS)
        ),
        exact(
            "On the temperatures the plain mean closest to β = 0.9 is that of 10 days, 1/(1−β), "
            "within two.",
            closest[1],
            between(8, 12),
            expected="refuted",
            note="A mean of 10 days is half as late and less steady: 1/(1−β) is where the weight "
            "has fallen to 1/e, and the days beyond carry a third of it.",
        ),
        exact(
            "It is that of (1+β)/(1−β) = 19 days, within four, which has the same mean age of the "
            "days, β/(1−β) = 9.",
            closest[1],
            between(15, 23),
        ),
        exact(
            "The lag grows with β (smallest growth in days from one β to the next).",
            np.diff(lag).min(),
            above(0),
        ),
        exact(
            "The yearly wave comes later by the phase of the recursion, arctan(β sin ω/(1 − β cos "
            "ω))/ω (largest difference in days).",
            np.abs(lag - expected).max(),
            at_most(0.1),
        ),
        exact(
            "The roughness falls with β (largest ratio from one β to the next).",
            (rough[1:] / rough[:-1]).max(),
            below(1),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
