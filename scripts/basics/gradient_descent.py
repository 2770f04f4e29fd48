"""Gradient descent on the bowl of logistic regression's cost, and where its step is too long.

J(w, b) is the cross-entropy of 200 examples with one feature of mean 1, drawn from a logistic
model. From eight starts around the optimum, which Newton's method finds, descent runs with
α = 1/L̂, L̂ ≥ L a bound of the Hessian everywhere; from one start close to the optimum it runs
with a family of α around 2/L, L the Hessian's largest eigenvalue at the optimum. All in float64.
Answers figure 8 of the notes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet.losses import binary_cross_entropy, cost
from jaxnet.optimizers import gradient_descent
from jaxnet.training import descend
from reference_numpy import logistic_regression as reference
from reference_numpy import optimizers as reference_optimizers
from scripts.harness import (
    COLOURS,
    INK,
    Claim,
    above,
    at_most,
    below,
    between,
    exact,
    new_figure,
    run_alone,
    series,
)

TITLE = "Descent reaches the bowl's bottom unless α exceeds 2/L"
NOTES_SECTION = "Gradient descent"
NOTES_FIGURES = (8,)

EXAMPLES = 200
RADIUS = 4.0  # of the eight starts around the optimum
STEPS = 1_500
CLOSE, NEAR_STEPS = 1e-4, 300  # the start close to the optimum, and the steps looked at from it
RATIOS = np.linspace(0.5, 1.2, 141)  # α as multiples of 2/L, 0.005 apart
FLOOR = 1e-15  # differences of costs below this are rounding
SHOWN = (0.5, 0.95, 1.05)


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    ratios = RATIOS[::2] if quick else RATIOS
    x_key, y_key = jax.random.split(key)
    with jax.enable_x64(True):

        @jax.jit
        def run():
            x = 1 + jax.random.normal(x_key, (EXAMPLES,))
            y = jax.random.bernoulli(y_key, jax.nn.sigmoid(1.5 * x - 1)).astype(x.dtype)

            def J(p):
                return cost(binary_cross_entropy(p[0] * x + p[1], y))

            def newton(p, _):
                return p - jnp.linalg.solve(jax.hessian(J)(p), jax.grad(J)(p)), None

            optimum, _ = jax.lax.scan(newton, jnp.zeros(2), length=20)
            curvatures, directions = jnp.linalg.eigh(jax.hessian(J)(optimum))
            inputs = jnp.stack([x, jnp.ones_like(x)])
            bound = jnp.linalg.eigvalsh(inputs @ inputs.T / EXAMPLES)[-1] / 4
            angles = jnp.arange(8) * jnp.pi / 4
            starts = optimum[None] + RADIUS * jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)

            @jax.vmap
            def descent(alpha, start):
                return descend(J, gradient_descent(alpha), start, steps=STEPS)

            close = optimum + CLOSE * directions.sum(axis=1) / jnp.sqrt(2)
            near_starts = jnp.broadcast_to(close, (len(ratios), 2))
            alphas = jnp.append(jnp.full(8, 1 / bound), ratios * 2 / curvatures[-1])
            path = descent(alphas, jnp.concatenate([starts, near_starts]))
            w, b = jnp.meshgrid(
                *(optimum[:, None] + jnp.linspace(-1, 1, 41)[None, :] * 1.3 * RADIUS)
            )
            surface = jax.vmap(jax.vmap(J))(jnp.stack([w, b], axis=-1))
            return {
                "x": x,
                "y": y,
                "optimum": optimum,
                "optimum_gradient": jnp.linalg.norm(jax.grad(J)(optimum)),
                "optimum_cost": J(optimum),
                "curvatures": curvatures,
                "bound": bound,
                "paths": path.w[:8],
                "costs": path.cost[:8],
                "near": path.w[8:, : NEAR_STEPS + 1],
                "near_costs": path.cost[8:, : NEAR_STEPS + 1],
                "w": w,
                "b": b,
                "surface": surface,
            }

        results = {name: np.asarray(value) for name, value in run().items()}
    return {"ratios": ratios, "reference": _reference_path(results, steps=50), **results}


def _reference_path(results: dict[str, np.ndarray], steps: int) -> np.ndarray:
    """The first steps from the first start by the reference's gradients and updates."""
    x, y = results["x"][None, :], results["y"][None, :]
    w, b = results["paths"][0, 0].reshape(2, 1, 1)
    params = [(w, b)]
    state = reference_optimizers.gradient_descent_init(params)
    path = [(w.item(), b.item())]
    for _ in range(steps):
        dw, db = reference.gradients(w, b, x, y)
        params, state = reference_optimizers.gradient_descent_update(
            params, [(dw, np.array([[db]]))], state, learning_rate=float(1 / results["bound"])
        )
        ((w, b),) = params
        path.append((w.item(), b.item()))
    return np.array(path)


def _growth(measurements: dict[str, Any]) -> np.ndarray:
    """Factor by which the distance to the optimum changed over the run near it, per α."""
    distance = np.linalg.norm(measurements["near"] - measurements["optimum"], axis=2)
    return distance[:, -1] / distance[:, 0]


def _threshold(measurements: dict[str, Any]) -> float:
    """The smallest α, as a multiple of 2/L, from which the run near the optimum moved away."""
    away = _growth(measurements) > 1
    return float(measurements["ratios"][np.argmax(away)]) if away.any() else np.inf


def draw(measurements: dict[str, Any]) -> Figure:
    figure, axes = new_figure(
        2, 2, height=7.6, title="Descent ends at the bottom of the bowl, unless α exceeds 2/L"
    )
    _draw_bowl(axes[0, 0], measurements)
    excess = measurements["costs"] - measurements["optimum_cost"]
    for row in excess:
        axes[0, 1].plot(np.where(row > FLOOR, row, np.nan), color=COLOURS[2], linewidth=1.2)
    axes[0, 1].set(
        title="From eight starts, α = 1/L̂",
        xlabel="step t",
        ylabel="J − J(optimum) (nats)",
        yscale="log",
        xlim=(0, np.argmax((excess < FLOOR).all(axis=0)) or STEPS),
    )
    _draw_family(axes[1, 0], measurements)
    _draw_stability(axes[1, 1], measurements)
    return figure


def _draw_bowl(ax: Axes, measurements: dict[str, Any]) -> None:
    w, b, surface = measurements["w"], measurements["b"], measurements["surface"]
    levels = np.geomspace(surface.min(), surface.max(), 16)
    filled = ax.contourf(w, b, surface, levels=levels)
    assert ax.figure is not None
    ax.figure.colorbar(filled, ax=ax, format="%.2g", ticks=levels[::3], label="J (nats)")
    for path in measurements["paths"]:
        ax.plot(*path.T, ".-", color="white", linewidth=1, markersize=3)
        ax.plot(*path[0], "o", color="white", mec=INK, markersize=6)
    ax.plot(*measurements["optimum"], "*", color=COLOURS[3], mec="white", markersize=15)
    ax.set(
        title="Eight paths to Newton's optimum (star)",
        xlabel="w (per unit of x)",
        ylabel="b (no unit)",
    )
    ax.grid(False)


def _draw_family(ax: Axes, measurements: dict[str, Any]) -> None:
    for ratio, style in zip(SHOWN, series(len(SHOWN)), strict=True):
        index = np.abs(measurements["ratios"] - ratio).argmin()
        excess = measurements["near_costs"][index] - measurements["optimum_cost"]
        ax.plot(
            np.where(excess > FLOOR, excess, np.nan)[:121], label=f"α = {ratio:g} · 2/L", **style
        )
    ax.set(
        title="From a start close to the optimum",
        xlabel="step t",
        ylabel="J − J(optimum) (nats)",
        yscale="log",
    )
    ax.legend(loc="center right")


def _draw_stability(ax: Axes, measurements: dict[str, Any]) -> None:
    ratios = measurements["ratios"]
    distance = np.linalg.norm(measurements["near"] - measurements["optimum"], axis=2)
    factor = (distance[:, 15] / distance[:, 5]) ** 0.1
    low, high = measurements["curvatures"]
    alphas = ratios * 2 / high
    predicted = np.maximum(np.abs(1 - alphas * low), np.abs(1 - alphas * high))
    theory, measured = series(2)
    ax.plot(ratios, predicted, label="|1 − α · eigenvalue|, the larger", **theory)
    ax.plot(ratios[::4], factor[::4], "o", color=measured["color"], label="measured, steps 5 to 15")
    ax.axhline(1, color="0.4", linewidth=1)
    ax.axvline(1, color="0.4", linewidth=1)
    ax.text(0.5, 1.01, "above 1: moves away", ha="left", va="bottom")
    ax.set(
        title="The optimum loses its stability at α = 2/L",
        xlabel="α (multiples of 2/L)",
        ylabel="distance, factor per step",
    )
    ax.legend(loc="upper left")


def claims(measurements: dict[str, Any]) -> list[Claim]:
    optimum, ratios = measurements["optimum"], measurements["ratios"]
    ends = np.linalg.norm(measurements["paths"][:, -1] - optimum, axis=1)
    rises = np.diff(measurements["costs"], axis=1)
    near = measurements["near_costs"]
    change = near[:, -1] - near[:, 0]
    steps = len(measurements["reference"])
    return [
        exact(
            "Newton's method ends at a critical point (‖∇J‖).",
            measurements["optimum_gradient"],
            at_most(1e-12),
        ),
        exact(
            "Descent from all eight starts reaches Newton's optimum (largest distance).",
            ends.max(),
            at_most(1e-6),
        ),
        exact(
            "With α = 1/L̂ no step from any start raises the cost by more than rounding "
            "(largest rise).",
            rises.max(),
            at_most(1e-14),
        ),
        exact(
            "Started close to it, the optimum loses its stability at α = 2/L within 5 % (smallest "
            "α that moves away, as a multiple of 2/L).",
            _threshold(measurements),
            between(0.95, 1.05),
        ),
        exact(
            "Up to 0.95 · 2/L the cost falls from a start close to the optimum (largest change).",
            change[ratios <= 0.95].max(),
            below(0),
        ),
        exact(
            "From 1.05 · 2/L on the cost rises from a start close to the optimum (smallest "
            "change).",
            change[ratios >= 1.05].min(),
            above(0),
        ),
        exact(
            "Every update brings J closer to its minimum, whatever α (largest rise in one step, "
            "α up to 1.2 · 2/L).",
            np.diff(near, axis=1).max(),
            at_most(1e-14),
            expected="refuted",
            note="A step longer than twice the inverse curvature jumps across the valley and up; "
            "the notes' sentence holds for α below 2/L.",
        ),
        exact(
            f"The reference's descent agrees over {steps - 1} steps (largest difference).",
            np.abs(measurements["reference"] - measurements["paths"][0, :steps]).max(),
            at_most(1e-12),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
