"""Bias correction of exponentially weighted averages: what the start at zero does, and how long.

The average starts at V₀ = 0 and V_t falls short by the factor 1 − βᵗ; dividing by it makes the
weights sum to one. Shown on constant input, on noise about a constant, and on the temperatures of
a year in Seattle. In float64. Answers the notes' text on bias correction.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from jaxnet.averages import exponentially_weighted
from reference_numpy import averages as reference
from scripts.harness import (
    TRUE,
    Claim,
    at_least,
    at_most,
    between,
    exact,
    new_figure,
    run_alone,
    seed_keys,
    series,
    spread,
    statistical,
)
from scripts.optimization._temperatures import daily_maxima

TITLE = "Bias correction takes the start at zero out of the average"
NOTES_SECTION = "Exponentially Weighted Averages"
NOTES_FIGURES = ()

BETAS = (0.5, 0.9, 0.98)
CONSTANT = 15.0  # °C
NOISE = 5.0  # °C, standard deviation of a day about the constant
STEPS = 365
EPS = np.finfo(np.float64).eps


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    temperatures = daily_maxima()
    keys = seed_keys(key, quick, seeds=400)
    with jax.enable_x64(True):

        @jax.jit
        def run(year, keys):
            noise = jax.vmap(lambda key: jax.random.normal(key, (STEPS,)))(keys).T
            inputs = {
                "constant": jnp.full(STEPS, CONSTANT),
                "noisy": CONSTANT + NOISE * noise,
                "year": year,
            }

            def both(theta, beta):
                return jnp.stack(
                    [exponentially_weighted(theta, beta, corrected=c) for c in (False, True)]
                )

            return {
                name: jax.vmap(lambda beta, theta=theta: both(theta, beta))(jnp.array(BETAS))
                for name, theta in inputs.items()
            }

        results = jax.device_get(run(jnp.asarray(temperatures), keys))
    return {
        "temperatures": temperatures,
        "reference": np.stack(
            [reference.exponentially_weighted(temperatures, beta, corrected=True) for beta in BETAS]
        ),
        **results,  # each (betas, uncorrected and corrected, steps, ...)
    }


def _below_one_per_cent(measurements: dict[str, Any]) -> np.ndarray:
    """First day on which the uncorrected average is within 1 % of the constant, for each β."""
    bias = 1 - measurements["constant"][:, 0] / CONSTANT
    return (bias < 0.01).argmax(axis=1) + 1


def _predicted() -> np.ndarray:
    """The first whole t above log 0.01 / log β."""
    return np.floor(np.log(0.01) / np.log(BETAS)) + 1


def draw(measurements: dict[str, Any]) -> Figure:
    last = int(_below_one_per_cent(measurements)[-1])
    figure, axes = new_figure(
        1, 3, title=f"At β = 0.98 the bias of the start stays above 1 % until day {last}"
    )
    before, after = series(2)
    shown, beta = 100, BETAS.index(0.98)
    days = np.arange(1, shown + 1)
    axes[0].plot(days, measurements["temperatures"][:shown], ".", color="0.7", label="days")
    for index, (label, style) in enumerate((("V", before), ("V/(1−βᵗ)", after))):
        axes[0].plot(days, measurements["year"][beta, index, :shown], label=label, **style)
        noisy = measurements["noisy"][beta, index, :shown].T
        spread(axes[1], days, noisy, label=label, **style)
    axes[0].set(title="Seattle 2015, β = 0.98", xlabel="day t", ylabel="highest temperature (°C)")
    axes[0].legend(loc="lower right")
    axes[1].axhline(CONSTANT, color="0.4", linewidth=1)
    axes[1].set(
        title=f"Noise about {CONSTANT:g} °C, β = 0.98", xlabel="day t", ylabel="average (°C)"
    )
    axes[1].legend(loc="lower right")
    for b, style in zip(range(len(BETAS)), series(3), strict=True):
        bias = 1 - measurements["constant"][b, 0] / CONSTANT
        axes[2].plot(np.arange(1, STEPS + 1), 100 * bias, label=f"β = {BETAS[b]}", **style)
        day = _below_one_per_cent(measurements)[b]
        axes[2].plot(day, 100 * bias[day - 1], "o", color=style["color"])
    axes[2].axhline(1, color="0.4", linewidth=1)
    axes[2].set(
        title="Bias of V on constant input",
        xlabel="day t",
        ylabel="bias (% of the constant)",
        xscale="log",
        yscale="log",
        ylim=(0.1, 3_000),
    )
    axes[2].set_xticks([1, 10, 100], labels=[1, 10, 100])
    axes[2].set_yticks([0.1, 1, 10, 100], labels=[0.1, 1, 10, 100])
    axes[2].legend(loc="upper right")
    seeds = measurements["noisy"].shape[3]
    figure.supxlabel(
        f"Middle: median of {seeds} seeds; bands: their middle half. Right: dots mark the first "
        "day below 1 %.",
        fontsize=10,
    )
    return figure


def claims(measurements: dict[str, Any]) -> list[Claim]:
    constant = measurements["constant"]
    year, temperatures = measurements["year"], measurements["temperatures"]
    beta = BETAS.index(0.98)
    of_day_two = (0.0196 * temperatures[0] + 0.02 * temperatures[1]) / 0.0396
    first, late = measurements["noisy"][beta, :, 0], measurements["noisy"][beta, :, 299]
    steps = np.arange(1, STEPS + 1)
    powers = np.array(BETAS)[:, None] ** steps
    return [
        exact(
            "On constant input the corrected average is that constant from t = 1 on (largest "
            "relative error over t and β, in units of the rounding ε).",
            np.abs(constant[:, 1] / CONSTANT - 1).max() / EPS,
            at_most(8),
        ),
        exact(
            "The uncorrected one falls short by βᵗ (largest difference of the relative bias).",
            np.abs(1 - constant[:, 0] / CONSTANT - powers).max(),
            at_most(1e-14),
        ),
        exact(
            "On day 2 at β = 0.98 it is (0.0196 θ₁ + 0.02 θ₂)/0.0396 (relative difference).",
            abs(year[beta, 1, 1] / of_day_two - 1),
            at_most(1e-14),
        ),
        exact(
            "The reference corrects alike (largest relative difference on the temperatures).",
            np.abs(year[:, 1] / measurements["reference"] - 1).max(),
            at_most(1e-13),
        ),
        exact(
            "The bias is below 1 % on the first day t > log 0.01/log β and not before, for every "
            "β.",
            bool(np.array_equal(_below_one_per_cent(measurements), _predicted())),
            TRUE,
        ),
        exact(
            "At β = 0.98 that is day 228.",
            _below_one_per_cent(measurements)[beta],
            between(228, 228),
        ),
        statistical(
            "On noise the corrected average is unbiased on day 1 (mean deviation in °C).",
            first[1] - CONSTANT,
            between(-1, 1),
        ),
        statistical(
            f"The uncorrected one is there 98 % too low (mean deviation in °C of {CONSTANT:g}).",
            first[0] - CONSTANT,
            between(-0.98 * CONSTANT - 0.1, -0.98 * CONSTANT + 0.1),
        ),
        statistical(
            "On day 300 the correction changes the average by at most 0.3 % (mean).",
            np.abs(late[1] / late[0] - 1),
            at_most(0.003),
        ),
        statistical(
            "The price is noise: the corrected average deviates more on day 1 than on day 300 "
            "(mean difference of the absolute deviations in °C).",
            np.abs(first[1] - CONSTANT) - np.abs(late[1] - CONSTANT),
            at_least(2),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
