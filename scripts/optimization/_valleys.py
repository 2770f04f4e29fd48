"""Two-dimensional valleys ½wᵀHw of a given condition number, and how many steps a descent needs.

H has the eigenvalue 1 across the valley and 1/condition along it; the valley lies along the first
axis, or turned by an angle. A descent starts at distance 1 from the minimum, as far along the
valley as across.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from matplotlib.axes import Axes

from jaxnet.training import descend
from scripts.harness import INK

CONDITIONS = (10, 20, 50, 100, 300, 1000)
ANGLES = (0.0, np.pi / 4)
TOLERANCE = 0.01  # of the distance at the start


def axes_of(angle: Any) -> Float[Array, "2 2"]:
    """The directions along and across the valley, as rows."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([jnp.stack([cos, sin]), jnp.stack([-sin, cos])])


def hessian(condition: Any, angle: Any) -> Float[Array, "2 2"]:
    along, across = axes_of(angle)
    return jnp.outer(along, along) / condition + jnp.outer(across, across)


def descent(
    optimizer: optax.GradientTransformation, condition: Any, angle: Any, *, steps: int
) -> Float[Array, "points 2"]:
    """The path of a descent in its valley, in the weights' own axes."""
    H = hessian(condition, angle)
    w0 = axes_of(angle).sum(axis=0) / jnp.sqrt(2.0)
    return descend(lambda w: w @ H @ w / 2, optimizer, w0, steps=steps).w


def in_valley(path: Float[Array, "points 2"], angle: Any) -> Float[Array, "points 2"]:
    """A path's coordinates along and across the valley."""
    return path @ axes_of(angle).T


def steps_to_stay(path: Float[Array, "points 2"]) -> Array:
    """Steps after which the distance stays below the tolerance; ∞ if it is not at the end."""
    away = ~(jnp.linalg.norm(path, axis=1) < TOLERANCE)  # NaN is away
    last = away.shape[0] - 1 - jnp.argmax(away[::-1])
    return jnp.where(away[-1], jnp.inf, jnp.where(away.any(), last + 1, 0))


def steps_by_rate(
    build: Callable[[Any], optax.GradientTransformation], rates: np.ndarray, *, steps: int
) -> Float[Array, "angles conditions rates"]:
    """Steps to stay below the tolerance for every angle, condition number and learning rate."""

    def one(angle, condition, rate):
        return steps_to_stay(descent(build(rate), condition, angle, steps=steps))

    over_rates = jax.vmap(one, (None, None, 0))
    over_conditions = jax.vmap(over_rates, (None, 0, None))
    conditions = jnp.array(CONDITIONS, float)
    return jax.vmap(over_conditions, (0, None, None))(
        jnp.array(ANGLES), conditions, jnp.asarray(rates)
    )


def fewest(measurements: dict[str, Any], name: str) -> np.ndarray:
    """Steps at the best α, (angles, conditions)."""
    return measurements["steps"][name].min(axis=2)


def reference_apart(
    path: np.ndarray, init: Callable[..., Any], update: Callable[..., Any]
) -> float:
    """Largest distance of the reference's path from this one, at condition 100 turned by 45°.

    init: params ↦ state. update: (params, gradients, state) ↦ params, state.
    """
    H = np.array([[0.505, -0.495], [-0.495, 0.505]])
    params: Any = [(path[0][:, None],)]
    state, apart = init(params), 0.0
    for point in path:
        apart = max(apart, float(np.abs(params[0][0][:, 0] - point).max()))
        gradients: Any = [(H @ params[0][0],)]
        params, state = update(params, gradients, state)
    return apart


def draw_paths(
    ax: Axes,
    condition: float,
    paths: dict[str, np.ndarray],
    labels: dict[str, str],
    styles: dict[str, Any],
    top: float,
) -> None:
    """Descents in a valley along the first axis, over its contours up to `top` across."""
    along, across = np.meshgrid(np.linspace(-0.15, 0.8, 60), np.linspace(-0.8, top, 60))
    surface = along**2 / condition / 2 + across**2 / 2
    ax.contour(along, across, surface, levels=10, colors="0.8", linewidths=0.8)
    for name, style in styles.items():
        ax.plot(*paths[name].T, marker=".", markersize=4, label=labels[name], **style)
    ax.plot(0, 0, "*", color="white", mec=INK, markersize=14)
    ax.set(xlabel="along the valley", ylabel="across the valley")
    ax.grid(False)
    ax.legend(loc="upper left", fontsize=9)
