"""How far numerical gradients are off, by their step ε: one-sided, two-sided, complex.

θ³ at 20 random θ in [½, 2], and the cost of 20 random tanh networks 3-4-3-1 with 35 parameters on
16 examples; in float64 and float32, with ε from 1 down to far below rounding. An error is
‖dθ_approx − dθ‖/‖dθ‖ with dθ by jax.grad in float64 at the same parameters. The cost is the halved
squared error: JAX's softplus, inside the cross-entropy, is no analytic function at complex numbers
and the complex step fails on it. Answers figure 60.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import losses, mlp
from jaxnet.crosscheck import layout
from jaxnet.gradcheck import central_differences, complex_step, one_sided_differences
from reference_numpy import gradient_check as reference
from reference_numpy import mlp as reference_mlp
from scripts.harness import (
    COLOURS,
    INK,
    Claim,
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
from scripts.practice._random_network import random_params

TITLE = "Numerical gradients and their step"
NOTES_SECTION = "Numerical approximation of gradients and Gradient checking"
NOTES_FIGURES = (60,)

SIZES, EXAMPLES = (3, 4, 3, 1), 16
METHODS = {
    "one-sided": one_sided_differences,
    "two-sided": central_differences,
    "complex": complex_step,
}
FUNCTIONS = ("cube", "network")
BITS = (64, 32)
UNIT = {64: float(np.finfo(np.float64).eps), 32: float(np.finfo(np.float32).eps)}
# Four steps to a decade. The complex step goes on to where ε² is far below any rounding.
STEPS = {64: 10.0 ** -np.arange(0, 20.01, 0.25), 32: 10.0 ** -np.arange(0, 16.01, 0.25)}
# Where the slopes are fitted: ε small enough for the first term, large enough for rounding.
FITTED = {
    (64, "one-sided"): (1e-5, 1e-2),
    (64, "two-sided"): (1e-3, 0.1),
    (32, "one-sided"): (5e-3, 0.1),
    (32, "two-sided"): (3e-2, 0.2),
}
AGREED = 0.01  # the step at which the reference's quotients are compared
COMPLEX_BELOW, FEW = 1e-8, 10  # steps of the complex step that are judged, and "a few" eps


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    keys = seed_keys(key, quick)
    with jax.enable_x64(True):
        theta, networks, x, y = jax.device_get(_draw(keys))
        exact_gradients = jax.device_get(_exact(theta, networks, x, y))
        found = {bits: jax.device_get(_quotients(bits, theta, networks, x, y)) for bits in BITS}
        apart = _reference_apart(theta[0], networks, x[0], y[0])
    errors = {
        (bits, function, method): _error(found[bits][function][method], exact_gradients[function])
        for bits in BITS
        for function in FUNCTIONS
        for method in METHODS
    }
    return {"errors": errors, "reference_apart": apart}


@jax.jit
def _draw(keys: jax.Array) -> tuple[jax.Array, Any, jax.Array, jax.Array]:
    """Of each key θ, parameters, x and y, all numbers that float32 holds."""

    def draw(key):
        theta_key, init_key, x_key, y_key = jax.random.split(key, 4)
        theta = jax.random.uniform(theta_key, (1,), jnp.float32, 0.5, 2)
        params = random_params(init_key, SIZES, bias=0.3)
        x = jax.random.normal(x_key, (EXAMPLES, SIZES[0]), jnp.float32)
        y = jax.random.normal(y_key, (EXAMPLES,), jnp.float32)
        return theta, jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params), x, y

    return jax.tree.map(lambda leaf: leaf.astype(float), lax.map(draw, keys))


def _cube(theta: jax.Array) -> jax.Array:
    return (theta * theta * theta).sum()


def _network(x: jax.Array, y: jax.Array):
    """The cost of the network as a function of its parameters."""

    def cost(params):
        outputs, _ = mlp(SIZES, activation="tanh").apply(params, (), x)
        return losses.cost(losses.squared_error(outputs, y))

    return cost


@jax.jit
def _exact(theta, networks, x, y) -> dict[str, jax.Array]:
    def member(theta, params, x, y):
        of_network = ravel_pytree(jax.grad(_network(x, y))(params))[0]
        return {"cube": jax.grad(_cube)(theta), "network": of_network}

    return jax.vmap(member)(theta, networks, x, y)


@jax.jit(static_argnums=0)
def _quotients(bits: int, theta, networks, x, y) -> dict[str, dict[str, jax.Array]]:
    """The difference quotients by function and method, (steps, seeds, parameters)."""
    dtype = {64: jnp.float64, 32: jnp.float32}[bits]
    theta, networks, x, y = jax.tree.map(lambda leaf: leaf.astype(dtype), (theta, networks, x, y))

    def at(eps):
        def member(theta, params, x, y):
            points = ((_cube, theta), (_network(x, y), params))
            return {
                name: {
                    method: ravel_pytree(difference(cost, point, eps=eps))[0]
                    for method, difference in METHODS.items()
                }
                for name, (cost, point) in zip(FUNCTIONS, points, strict=True)
            }

        return jax.vmap(member)(theta, networks, x, y)

    return lax.map(at, jnp.asarray(STEPS[bits], dtype))


def _error(quotients: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """‖dθ_approx − dθ‖ / ‖dθ‖, (seeds, steps)."""
    apart = np.linalg.norm(quotients.astype(np.float64) - gradients, axis=2)
    return (apart / np.linalg.norm(gradients, axis=1)).T


def _reference_apart(theta: np.ndarray, networks: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Largest relative difference from the reference's quotients, ε = 0.01, all methods."""
    params = jax.tree.map(lambda leaf: leaf[0], networks)
    pairs, X, Y = layout.pairs(params), layout.columns(x), layout.target_row(y)

    def cost(flat):
        return reference_mlp.cost(
            reference.unflatten(flat, pairs), X, Y, hidden="tanh", output="linear"
        )

    theirs = {
        "one-sided": reference.one_sided_differences,
        "two-sided": reference.central_differences,
        "complex": reference.complex_step,
    }
    apart = []
    for method, difference in METHODS.items():
        of_network = difference(_network(jnp.asarray(x), jnp.asarray(y)), params, eps=AGREED)
        for ours, expected in (
            (
                np.asarray(difference(_cube, jnp.asarray(theta), eps=AGREED)),
                theirs[method](lambda t: (t * t * t).sum(), theta, AGREED),
            ),
            (
                reference.flatten(layout.pairs(of_network)),
                theirs[method](cost, reference.flatten(pairs), AGREED),
            ),
        ):
            apart.append(np.abs(ours - expected).max() / np.abs(expected).max())
    return float(np.max(apart))


def _slope(measurements: dict[str, Any], bits: int, function: str, method: str) -> np.ndarray:
    """Slope of log error against log ε above the rounding floor, (seeds,)."""
    low, high = FITTED[bits, method]
    steps = STEPS[bits]
    use = (steps >= 0.999 * low) & (steps <= 1.001 * high)
    log_eps = np.log(steps[use]) - np.log(steps[use]).mean()
    log_error = np.log(measurements["errors"][bits, function, method][:, use])
    return (log_error * log_eps).sum(axis=1) / (log_eps**2).sum()


def _best(measurements: dict[str, Any], bits: int, function: str) -> np.ndarray:
    """log₁₀ of the two-sided ε of the smallest error over eps^(1/3), (seeds,)."""
    errors = measurements["errors"][bits, function, "two-sided"]
    return np.log10(STEPS[bits][errors.argmin(axis=1)] / np.cbrt(UNIT[bits]))


def draw(measurements: dict[str, Any]) -> Figure:
    one, two = (
        _slope(measurements, 64, "network", method).mean() for method in ("one-sided", "two-sided")
    )
    figure, axes = new_figure(
        2,
        3,
        height=7.0,
        title=f"The error falls as ε to the power {one:.2f} one-sided and {two:.2f} two-sided, "
        "until rounding takes over;\nthe complex step subtracts nothing, and "
        "stays within rounding of the derivative",
    )
    grid = axes[0, 0].get_gridspec()
    axes[0, 0].remove()
    axes[1, 0].remove()
    _draw_chords(figure.add_subplot(grid[:, 0]))
    names = {"cube": "θ³", "network": "tanh network"}
    for row, bits in enumerate(BITS):
        for column, function in enumerate(FUNCTIONS, start=1):
            ax = axes[row, column]
            for method, style in zip(METHODS, series(3), strict=True):
                errors = measurements["errors"][bits, function, method]
                # Below eps most θ + ε are θ, and differences say nothing.
                shown = (STEPS[bits] >= UNIT[bits]) | (method == "complex")
                spread(
                    ax,
                    STEPS[bits][shown],
                    np.maximum(errors[:, shown], 1e-18),
                    label=method,
                    **style,
                )
            ax.axvline(np.cbrt(UNIT[bits]), color="0.4", linewidth=1)
            ax.axhline(UNIT[bits], color="0.4", linewidth=1)
            ax.text(1, UNIT[bits], "eps ", ha="right", va="bottom", fontsize=9)
            ax.set(
                title=f"{names[function]}, float{bits}",
                xscale="log",
                yscale="log",
                xlim=(STEPS[bits][-1], 1),
                ylim=(1e-18, 1e2) if bits == 64 else (1e-9, 1e2),
            )
            if column == 1:
                ax.set_ylabel("relative error (no unit)")
            if row == 1:
                ax.set_xlabel("step ε")
    axes[0, 1].legend(loc="lower left", fontsize=8.5, bbox_to_anchor=(0, 0.14))
    seeds = len(measurements["errors"][64, "cube", "complex"])
    figure.supxlabel(
        f"Right: median and middle half of {seeds} draws; grey: eps and ε = eps^(1/3).",
        fontsize=9.5,
    )
    return figure


def _draw_chords(ax: Axes) -> None:
    """θ³ at 1 with the two chords of a wide step."""
    theta, eps = 1.0, 0.5
    t = np.linspace(0.3, 1.7, 200)
    ax.plot(t, t**3, color=INK, linewidth=1.5)
    one, two, _ = series(3)
    for start, stop, style, name in (
        (theta, theta + eps, one, "one-sided"),
        (theta - eps, theta + eps, two, "two-sided"),
    ):
        ends = np.array([start, stop])
        slope = (stop**3 - start**3) / (stop - start)
        ax.plot(ends, ends**3, marker="o", label=f"{name}: {slope:.2f}", **style)
    ax.plot(t, 3 * t - 2, color=COLOURS[3], linewidth=1, linestyle=":", label="tangent: 3")
    for at, name in ((theta - eps, "θ − ε"), (theta, "θ"), (theta + eps, "θ + ε")):
        ax.plot([at, at], [-1.2, at**3], color="0.6", linewidth=0.8, linestyle="--")
        ax.text(at, -1.25, name, ha="center", va="top", fontsize=9.5)
    ax.set(title="θ³ at θ = 1: slopes for ε = ½", ylim=(-1.2, 4.5), ylabel="f(θ) = θ³")
    ax.set_xticks([])
    ax.legend(loc="upper left")


def claims(measurements: dict[str, Any]) -> list[Claim]:
    names = {"cube": "θ³", "network": "the network"}
    found = [
        exact(
            f"The reference's quotients agree, all three methods, ε = {AGREED:g} (largest relative "
            "difference, float64).",
            measurements["reference_apart"],
            at_most(1e-11),
        )
    ]
    for bits in BITS:
        for function in FUNCTIONS:
            where = f"{names[function]}, float{bits}"
            for method, order in (("one-sided", 1), ("two-sided", 2)):
                found.append(
                    statistical(
                        f"The error of {method} differences has slope {order} above the rounding "
                        f"floor ({where}).",
                        _slope(measurements, bits, function, method),
                        between(order - 0.1, order + 0.1),
                    )
                )
            found.append(
                statistical(
                    f"The best two-sided ε is within a factor 10 of eps^(1/3) ({where}; log₁₀ of "
                    "the ratio).",
                    _best(measurements, bits, function),
                    between(-1, 1),
                )
            )
            judged = STEPS[bits] < COMPLEX_BELOW
            errors = measurements["errors"][bits, function, "complex"][:, judged]
            found.append(
                exact(
                    f"The complex step is within {FEW} eps for every ε below 1e-8 ({where}; "
                    "largest error in eps).",
                    errors.max() / UNIT[bits],
                    at_most(FEW),
                )
            )
    return found


if __name__ == "__main__":
    run_alone(__file__)
