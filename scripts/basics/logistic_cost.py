"""The cost of logistic regression over (w, b): squared error beside cross-entropy.

One feature, 40 examples that no line separates (ten at each of four x, labels mixed at each, ones
in the middle). Both costs and the eigenvalues of their Hessians on a grid of (w, b); gradient
descent on both from the same random starts, to its end; and cross-entropy against the likelihood
Π P(y|x), evaluated with mpmath at 50 digits at every start. Answers figures 5, 6 and 7 of the
notes.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import reference_numpy.losses as reference
from jaxnet.activations import sigmoid
from jaxnet.losses import binary_cross_entropy, cost, squared_error
from jaxnet.optimizers import gradient_descent
from jaxnet.training import descend
from scripts.harness import (
    COLOURS,
    INK,
    MARKERS,
    Claim,
    above,
    at_least,
    at_most,
    below,
    between,
    exact,
    new_figure,
    run_alone,
    series,
)

TITLE = "Squared error traps logistic regression, cross-entropy does not"
NOTES_SECTION = "Logistic regression cost function"
NOTES_FIGURES = (5, 6, 7)

SITES, ONES, PER_SITE = (-2.0, -1.0, 1.0, 2.0), (2, 9, 8, 1), 10

# Bounds of |d²L/dz²|, so that α = 1/(bound · λmax) never raises the cost: cross-entropy has
# σ(1−σ) ≤ ¼, squared error σ²(1−σ)(2−3σ), at most 0.0771 at σ ≈ 0.39, or its mirror image.
CURVATURE = {"squared_error": 0.0771, "cross_entropy": 0.25}
NAMES = {"squared_error": "squared error", "cross_entropy": "cross-entropy"}
STEPS = 8_000
SAME = 0.05  # ends closer than this are one minimum
W_RANGE, B_RANGE = (-6.0, 6.0), (-5.0, 7.0)
START = 4.0  # descent starts where |w| and |b| are at most this


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    side, number = (31, 24) if quick else (61, 64)
    x = np.repeat(SITES, PER_SITE)
    y = np.concatenate([np.arange(PER_SITE) < ones for ones in ONES]).astype(float)
    inputs = np.stack([x, np.ones_like(x)])
    largest = np.linalg.eigvalsh(inputs @ inputs.T / x.size)[-1]
    w, b = np.meshgrid(np.linspace(*W_RANGE, side), np.linspace(*B_RANGE, side))
    grid = np.stack([w, b], axis=-1)

    with jax.enable_x64(True):
        costs = {
            "squared_error": lambda p: cost(squared_error(sigmoid(p[0] * x + p[1]), jnp.array(y))),
            "cross_entropy": lambda p: cost(binary_cross_entropy(p[0] * x + p[1], jnp.array(y))),
        }

        @jax.jit
        def survey_both(key, grid):
            starts = jax.random.uniform(key, (number, 2), minval=-START, maxval=START)
            surveys = {
                name: _survey(J, grid, starts, 1 / (CURVATURE[name] * largest))
                for name, J in costs.items()
            }
            return starts, surveys

        starts, surveys = jax.device_get(survey_both(key, grid))
    for survey in surveys.values():
        survey["curvature"] = np.linalg.eigvalsh(survey.pop("hessian"))[..., 0]
        survey["end_curvature"] = np.linalg.eigvalsh(survey.pop("end_hessian"))[..., 0]
    z = starts[:, :1] * x[None] + starts[:, 1:]
    return {
        "x": x,
        "y": y,
        "w": w,
        "b": b,
        "likelihood_cost": np.array([_likelihood_cost(w, b, x, y) for w, b in starts]),
        "reference_cost": np.array(
            [reference.binary_cross_entropy_from_logits(row[None], y[None]).mean() for row in z]
        ),
        **surveys,
    }


def _survey(
    J: Callable[[jax.Array], jax.Array], grid: jax.Array, starts: jax.Array, learning_rate: float
) -> dict[str, jax.Array]:
    """Cost and Hessian on the grid; paths of descent, and what is true at their two ends."""

    def descent(start):
        return descend(J, gradient_descent(learning_rate), start, steps=STEPS)

    over_grid = jax.vmap(jax.vmap(lambda p: (J(p), jax.hessian(J)(p))))
    grid_cost, hessian = over_grid(grid)
    path = jax.vmap(descent)(starts)
    end = path.w[:, -1]
    return {
        "cost": grid_cost,
        "hessian": hessian,
        "paths": path.w[:, :: STEPS // 400],
        "start_cost": path.cost[:, 0],
        "end": end,
        "end_cost": path.cost[:, -1],
        "end_gradient": jnp.linalg.norm(jax.vmap(jax.grad(J))(end), axis=1),
        "end_hessian": jax.vmap(jax.hessian(J))(end),
    }


def _likelihood_cost(w: float, b: float, x: np.ndarray, y: np.ndarray) -> float:
    """−(1/m) log Π P(y|x) with P(y|x) = ŷ^y (1−ŷ)^(1−y), to 50 digits."""
    with mpmath.workdps(50):
        product = mpmath.mpf(1)
        for x_i, y_i in zip(x.tolist(), y.astype(int).tolist(), strict=True):
            y_hat = 1 / (1 + mpmath.exp(-(mpmath.mpf(w) * x_i + mpmath.mpf(b))))
            product *= y_hat**y_i * (1 - y_hat) ** (1 - y_i)
        return float(-mpmath.log(product) / len(x))


def _minima(survey: dict[str, np.ndarray]) -> np.ndarray:
    """The different verified minima among the ends, lowest cost first, (minima, 2)."""
    verified = (survey["end_gradient"] <= 1e-7) & (survey["end_curvature"] > 1e-5)
    found: list[np.ndarray] = []
    for index in np.argsort(survey["end_cost"]):
        end = survey["end"][index]
        if verified[index] and all(np.linalg.norm(end - other) > SAME for other in found):
            found.append(end)
    return np.array(found).reshape(-1, 2)


def draw(measurements: dict[str, Any]) -> Figure:
    figure, axes = new_figure(
        2,
        2,
        height=8.2,
        title="Squared error of σ(wx + b) has several minima, cross-entropy a single one",
        height_ratios=(1.35, 1),
    )
    for ax, name in zip(axes[0], NAMES, strict=True):
        _draw_map(ax, measurements["w"], measurements["b"], measurements[name], NAMES[name])
    _draw_fits(axes[1, 0], measurements)
    _draw_losses(axes[1, 1])
    return figure


def _draw_map(
    ax: Axes, w: np.ndarray, b: np.ndarray, survey: dict[str, np.ndarray], name: str
) -> None:
    levels = np.geomspace(survey["cost"].min(), survey["cost"].max(), 16)
    filled = ax.contourf(w, b, survey["cost"], levels=levels)
    assert ax.figure is not None
    bar = ax.figure.colorbar(filled, ax=ax, location="bottom", format="%.2g", ticks=levels[::3])
    bar.set_label(f"J, {name}")
    for path in survey["paths"]:
        ax.plot(*path.T, color="white", linewidth=0.7, alpha=0.8)
    share = np.mean(survey["curvature"] < 0)
    if share:
        ax.contour(w, b, survey["curvature"], levels=[0], colors=[COLOURS[3]], linewidths=2)
    minima = _minima(survey)
    for number, minimum in enumerate(minima):
        ax.plot(*minimum, marker=MARKERS[number], markersize=9, color="white", mec=INK, mew=1.5)
        caught = np.linalg.norm(survey["end"] - minimum, axis=1) < SAME
        ax.annotate(
            f"{caught.mean():.0%}",
            minimum,
            xytext=(9, 5),
            textcoords="offset points",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
        )
    where = f"convex only inside the line ({1 - share:.0%})" if share else "convex all over"
    ax.set(title=f"{name.capitalize()}: {where}", xlabel="w (per unit of x)", ylabel="b (no unit)")
    ax.grid(False)


def _draw_fits(ax: Axes, measurements: dict[str, Any]) -> None:
    x, y = measurements["x"], measurements["y"]
    sites = np.unique(x)
    ax.plot(sites, [y[x == site].mean() for site in sites], "*", ms=11, color=INK, label="data")
    along = np.linspace(-3.5, 3.5, 201)
    minima = _minima(measurements["squared_error"])[:4]
    fits = [(_slope(w), MARKERS[i], w, b) for i, (w, b) in enumerate(minima)]
    w, b = measurements["cross_entropy"]["end"][0]
    fits.append((f"{_slope(w)}, cross-entropy", "", w, b))
    for (label, marker, w, b), style in zip(fits, series(len(fits)), strict=True):
        y_hat = 1 / (1 + np.exp(-(w * along + b)))
        ax.plot(along, y_hat, label=label, marker=marker, markevery=(20, 40), **style)
    ax.set(
        title="What each minimum predicts",
        xlabel="x (no unit)",
        ylabel="probability of a 1",
        ylim=(-0.05, 1.6),
        yticks=(0, 0.5, 1),
    )
    ax.legend(loc="upper center", ncols=2)


def _slope(w: float) -> str:
    return f"w = {w:.2f}".replace("-", "−")


def _draw_losses(ax: Axes) -> None:
    z = np.linspace(-8, 8, 201)
    cross, squared = series(2)
    ax.plot(z, np.logaddexp(0, -z), label="cross-entropy, −log σ(z) (nats)", **cross)
    ax.plot(z, 0.5 / (1 + np.exp(z)) ** 2, label="squared error, ½(σ(z) − 1)²", **squared)
    ax.annotate(
        "wrong, and flat",
        (-6, 0.5),
        xytext=(-7.9, 1.4),
        arrowprops={"arrowstyle": "->", "color": INK},
    )
    ax.set(title="One example with y = 1", xlabel="z = wx + b (no unit)", ylabel="L(ŷ, y)")
    ax.legend(loc="upper right")


def claims(measurements: dict[str, Any]) -> list[Claim]:
    squared, cross = measurements["squared_error"], measurements["cross_entropy"]
    likelihood, J = measurements["likelihood_cost"], cross["start_cost"]
    return [
        exact(
            "Cross-entropy is convex: the smallest eigenvalue of its Hessian on the grid is not "
            "negative.",
            cross["curvature"].min(),
            at_least(0),
        ),
        exact(
            "Squared error is not convex: the smallest eigenvalue of its Hessian on the grid is "
            "negative.",
            squared["curvature"].min(),
            below(0),
        ),
        exact(
            "J is −(1/m) log Π P(y|x), with P(y|x) = ŷ^y (1−ŷ)^(1−y) at 50 digits (largest "
            "relative difference).",
            np.abs(J / likelihood - 1).max(),
            at_most(1e-14),
        ),
        exact(
            "J is −(1/m) Σ L with L = −(y log ŷ + (1−y) log(1−ŷ)), as figure 7 prints it "
            "(largest relative difference).",
            np.abs(-J / likelihood - 1).max(),
            at_most(1e-14),
            expected="refuted",
            note="L holds the minus sign already, so J = +(1/m) Σ L, as figure 6 has it; with "
            "figure 7's sign the best parameters would be the least likely ones.",
        ),
        exact(
            "The reference's cross-entropy agrees with jaxnet's (largest relative difference).",
            np.abs(measurements["reference_cost"] / J - 1).max(),
            at_most(1e-14),
        ),
        *_descent_claims("squared error", squared, at_least(2), "several minima"),
        *_descent_claims("cross-entropy", cross, between(1, 1), "one minimum"),
        exact(
            "Descent on squared error misses the lowest of its minima from some starts (largest "
            "excess of the final cost).",
            np.ptp(squared["end_cost"]),
            above(0.01),
        ),
    ]


def _descent_claims(
    name: str, survey: dict[str, np.ndarray], count: Any, words: str
) -> tuple[Claim, ...]:
    return (
        exact(
            f"Descent on {name} from many starts ends at {words} (number of minima).",
            len(_minima(survey)),
            count,
        ),
        exact(
            f"Every end of descent on {name} is critical (largest ‖∇J‖).",
            survey["end_gradient"].max(),
            at_most(1e-7),
        ),
        exact(
            f"Every end of descent on {name} is a minimum (smallest eigenvalue of the Hessian).",
            survey["end_curvature"].min(),
            above(1e-5),
        ),
    )


if __name__ == "__main__":
    run_alone(__file__)
