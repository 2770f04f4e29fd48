"""The logistic function and its derivative on [−10, 10], and their rounding errors.

σ(z) = 1 / (1 + e^(−z)), and its derivative σ′ in three forms that are equal on paper:
σ(z) σ(−z), σ(z) (1 − σ(z)) as the notes print it, and jax.grad of σ. Each is compared with
mpmath at 50 digits, at the very z that float32 or float64 holds; the reference is run on the
same z. Then σ and log σ over |z| ≤ 10⁴. Nothing is random. Answers figure 4 of the notes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
from matplotlib.figure import Figure

import reference_numpy.activations
from jaxnet.activations import sigmoid
from scripts.harness import (
    MARKERS,
    TRUE,
    Claim,
    above,
    at_most,
    between,
    exact,
    new_figure,
    run_alone,
    series,
)

TITLE = "The logistic function and the price of its derivative"
NOTES_SECTION = "Logistic regression"
NOTES_FIGURES = (4,)

# An exponential, a sum and a quotient cost about 2 ulp, the product of two σ about 4; 8 leaves
# room for another machine's exponential.
FEW_ULP = 8.0


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    del key  # nothing here is random
    points = 101 if quick else 401
    z = np.linspace(-10, 10, points)
    single = _derivatives(jnp.asarray(z, jnp.float32))
    with jax.enable_x64(True):
        double = _derivatives(jnp.asarray(z))
        at_zero = float(sigmoid(jnp.zeros(())))
    reference = {
        "sigma": reference_numpy.activations.sigmoid(z),
        "derivative": reference_numpy.activations.sigmoid_derivative(z),
    }
    wide = np.concatenate([np.linspace(-1e4, 1e4, 20_001), np.linspace(-120, 120, 20_001)])
    wide = jnp.asarray(np.sort(wide), jnp.float32)
    return {
        "single": single,
        "double": double,
        "reference": reference,
        "at_zero": at_zero,
        "wide_sigma": np.asarray(sigmoid(wide)),
        "wide_log_sigma": np.asarray(jax.nn.log_sigmoid(wide)),
    }


def _derivatives(z: jax.Array) -> dict[str, np.ndarray]:
    """z, σ(z), σ′(z), and the error in ulp of the three forms of σ′, each (points,)."""
    exact_values = [_derivative(value) for value in np.asarray(z, dtype=np.float64)]
    return {
        "z": np.asarray(z),
        "sigma": np.asarray(sigmoid(z)),
        "derivative": np.asarray(sigmoid(z) * sigmoid(-z)),
        "product_ulp": _ulp_error(sigmoid(z) * sigmoid(-z), exact_values),
        "printed_ulp": _ulp_error(sigmoid(z) * (1 - sigmoid(z)), exact_values),
        "grad_ulp": _ulp_error(jax.vmap(jax.grad(sigmoid))(z), exact_values),
    }


def _derivative(z: float) -> Any:
    """σ′(z) = 1 / (e^z + 2 + e^(−z)) to 50 digits."""
    with mpmath.workdps(50):
        return 1 / (mpmath.exp(z) + 2 + mpmath.exp(-z))


def _ulp_error(computed: jax.Array, exact_values: list[Any]) -> np.ndarray:
    """Distance of each computed number from the exact one, in units of its last place."""
    spacing = np.spacing(np.array([float(value) for value in exact_values], computed.dtype))
    with mpmath.workdps(50):
        return np.array(
            [
                float(abs(mpmath.mpf(float(got)) - value) / mpmath.mpf(float(unit)))
                for got, value, unit in zip(
                    np.asarray(computed), exact_values, spacing, strict=True
                )
            ]
        )


def draw(measurements: dict[str, Any]) -> Figure:
    single = measurements["single"]
    figure, (curve, errors) = new_figure(
        1, 2, title="σ saturates a few units from 0, where σ(1 − σ) loses the digits of its slope"
    )
    value, slope = series(2)
    curve.plot(single["z"], single["sigma"], label="σ(z)", **value)
    curve.plot(single["z"], single["derivative"], label="σ′(z) = σ(z) σ(−z)", **slope)
    curve.plot(0, measurements["at_zero"], "o", color=value["color"])
    curve.annotate("σ(0) = ½", (0, 0.5), xytext=(-10, 0), textcoords="offset points", ha="right")
    curve.set(title="Value and slope", xlabel="z (no unit)", ylabel="σ, σ′ (no unit)")
    curve.legend(loc="upper left")

    bins = np.clip(np.floor(single["z"]), -10, 9)
    left = np.unique(bins)
    # The first two coincide; large hollow markers under small full ones show both.
    forms = (
        ("printed_ulp", "σ(1 − σ), as printed", {"markersize": 9, "fillstyle": "none"}),
        ("grad_ulp", "jax.grad of σ", {"markersize": 4}),
        ("product_ulp", "σ(z) σ(−z)", {}),
    )
    for (name, label, marks), style, marker in zip(forms, series(3), MARKERS[:3], strict=True):
        largest = [single[name][bins == edge].max() for edge in left]
        errors.plot(left + 0.5, largest, label=label, marker=marker, **style, **marks)
    errors.axhline(FEW_ULP, color="0.4", linewidth=1)
    errors.annotate(f"{FEW_ULP:g} ulp", (-10, FEW_ULP), xytext=(0, 4), textcoords="offset points")
    errors.set(
        title="Largest error of σ′ in each unit of z, float32",
        xlabel="z (no unit)",
        ylabel="error (units in the last place)",
        yscale="log",
        ylim=(0.3, 3e5),
    )
    errors.legend(loc="upper left")
    for panel in (curve, errors):
        panel.set_xticks(range(-10, 11, 5))
    return figure


def claims(measurements: dict[str, Any]) -> list[Claim]:
    single, double = measurements["single"], measurements["double"]
    wide_sigma, wide_log = measurements["wide_sigma"], measurements["wide_log_sigma"]
    return [
        exact("σ(0) = ½.", measurements["at_zero"], between(0.5, 0.5)),
        exact(
            "σ(z) σ(−z) is the derivative of σ to a few ulp on [−10, 10], in float32.",
            single["product_ulp"].max(),
            at_most(FEW_ULP),
        ),
        exact(
            "σ(z) σ(−z) is the derivative of σ to a few ulp on [−10, 10], in float64.",
            double["product_ulp"].max(),
            at_most(FEW_ULP),
        ),
        exact(
            "The printed form σ(z)(1 − σ(z)) loses three digits or more by z = 10, in float32 "
            "(largest error in ulp).",
            single["printed_ulp"].max(),
            above(1_000),
        ),
        exact(
            "jax.grad of σ is the derivative to a few ulp on [−10, 10], in float32.",
            single["grad_ulp"].max(),
            at_most(FEW_ULP),
            expected="refuted",
            note="By default JAX differentiates its logistic function as σ(1 − σ) and inherits "
            "the cancellation of the printed form; a loss of the logits avoids both.",
        ),
        exact(
            "σ and log σ are finite for |z| up to 10⁴, in float32.",
            bool(np.isfinite([wide_sigma, wide_log]).all()),
            TRUE,
        ),
        exact(
            "The reference and jaxnet agree on σ and σ(z) σ(−z) to a few ulp, in float64.",
            max(
                (np.abs(got - double[name]) / np.spacing(double[name])).max()
                for name, got in measurements["reference"].items()
            ),
            at_most(FEW_ULP),
        ),
        exact(
            "σ never falls by more than a few ulp from one z to the next, |z| ≤ 10⁴.",
            _largest_fall(wide_sigma),
            at_most(FEW_ULP),
        ),
        exact(
            "log σ never falls by more than a few ulp from one z to the next, |z| ≤ 10⁴.",
            _largest_fall(wide_log),
            at_most(FEW_ULP),
        ),
    ]


def _largest_fall(values: np.ndarray) -> float:
    """Largest step down from one value to the next, in units of the last place; 0 for none."""
    fall = np.maximum(values[:-1] - values[1:], 0)
    return float((fall / np.spacing(np.abs(values[:-1]))).max())


if __name__ == "__main__":
    run_alone(__file__)
