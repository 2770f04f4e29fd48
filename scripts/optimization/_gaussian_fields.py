"""Random Gaussian fields by random Fourier features, and their critical points.

f(x) = Σⱼ aⱼ cos(ωⱼᵀx) + bⱼ sin(ωⱼᵀx),  aⱼ, bⱼ ~ N(0, 1/n),  ωⱼ ~ N(0, I)

is Gaussian given the frequencies ω, with variance 1 and, averaged over them, the covariance
exp(−½‖x − x′‖²): hills and hollows of size about 1. Fields of fewer dimensions than the arrays
have are constant along the rest, so that one program serves all.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxnet.training import descend

FLAT = 1e-4  # a gradient below is zero, and an eigenvalue above −FLAT is not negative


class Field(NamedTuple):
    frequencies: Float[Array, "features dimensions"]
    cosines: Float[Array, "features"]
    sines: Float[Array, "features"]


def draw_field(key: jax.Array, dimensions: Any, *, most: int, features: int) -> Field:
    """A field that depends on the first `dimensions` of `most` coordinates."""
    keys = jax.random.split(key, 3)
    used = (jnp.arange(most) < dimensions)[None, :]
    a, b = (jax.random.normal(one, (features,)) / jnp.sqrt(features) for one in keys[1:])
    return Field(jax.random.normal(keys[0], (features, most)) * used, a, b)


def value(field: Field, x: Float[Array, "dimensions"]) -> Array:
    phases = field.frequencies @ x
    return field.cosines @ jnp.cos(phases) + field.sines @ jnp.sin(phases)


def levenberg_marquardt(
    field: Field, *, longest: float = 0.5
) -> optax.GradientTransformationExtraArgs:
    """Steps −(H² + μI)⁻¹ H∇f for the cost ½‖∇f‖², whose gradient is H∇f.

    μ is a tenth of the cost, so that the steps turn into Newton's as the gradient of f vanishes.
    """

    def update(updates, state, params=None, *, value: Any = 0.0, **_):
        H = jax.hessian(lambda x: _value(field, x))(params)
        damping = 0.1 * value + 1e-9
        step = -jnp.linalg.solve(H @ H + damping * jnp.eye(len(updates)), updates)
        return step * jnp.minimum(1, longest / (jnp.linalg.norm(step) + 1e-12)), state

    return optax.GradientTransformationExtraArgs(lambda params: (), update)


_value = value  # levenberg_marquardt's argument of that name hides it


class Point(NamedTuple):
    """Where a search ended: x, f there, ‖∇f‖, and the number of negative curvatures."""

    x: Any
    height: Any
    slope: Any
    index: Any


def search(field: Field, start: Float[Array, "dimensions"], *, steps: int) -> Point:
    """Minimise ½‖∇f‖² from a start: the end is a critical point of f if the slope is flat."""

    def cost(x):
        return jnp.square(jax.grad(lambda x: value(field, x))(x)).sum() / 2

    path = descend(cost, levenberg_marquardt(field), start, steps=steps)
    x = path.w[-1]
    curvatures = jnp.linalg.eigvalsh(jax.hessian(lambda x: value(field, x))(x))
    slope = jnp.sqrt(2 * path.cost[-1])
    return Point(x, value(field, x), slope, (curvatures < -FLAT).sum())


def distinct(points: Point, side: float, dimensions: int) -> tuple[Point, np.ndarray]:
    """The critical points of one field that lie in the box [0, side]ᵈ, each once.

    points: of many searches. Returns them and how many searches ended at each. Ends that are
    closer than 0.02 to each other are one point.
    """
    inside = (points.x[:, :dimensions] >= 0) & (points.x[:, :dimensions] <= side)
    kept = np.flatnonzero((points.slope < FLAT) & inside.all(axis=1))
    chosen, hits = [], []
    while len(kept):
        near = np.linalg.norm(points.x[kept] - points.x[kept[0]], axis=1) < 0.02
        chosen.append(kept[0])
        hits.append(near.sum())
        kept = kept[~near]
    return Point(*(np.asarray(part)[chosen] for part in points)), np.array(hits)


class Theory(NamedTuple):
    """Critical points of an isotropic Gaussian field by Kac and Rice.

    density: their number in a unit box. shares: of those with 0, …, d negative curvatures.
    """

    density: float
    shares: np.ndarray


def theory(dimensions: int, draws: int = 200_000) -> Theory:
    """Expectations over random symmetric matrices, the Hessian where the gradient is zero.

    H = G + z I, G of the Gaussian orthogonal ensemble (variance 2 on the diagonal, 1 off it), z
    standard normal: the covariance δᵢⱼδₖₗ + δᵢₖδⱼₗ + δᵢₗδⱼₖ, which every isotropic field has up to
    a factor. A critical point counts by |det H|, since steep gradients pass zero fast.
    """
    rng = np.random.default_rng(0)
    G = rng.standard_normal((draws, dimensions, dimensions))
    H = (G + G.transpose(0, 2, 1)) / np.sqrt(2)
    H += rng.standard_normal((draws, 1, 1)) * np.eye(dimensions)
    curvatures = np.linalg.eigvalsh(H)
    weights = np.abs(curvatures.prod(axis=1))
    index = (curvatures < 0).sum(axis=1)
    shares = np.bincount(index, weights, minlength=dimensions + 1) / weights.sum()
    shares = (shares + shares[::-1]) / 2  # f and −f are alike
    return Theory(float(weights.mean() / (2 * np.pi) ** (dimensions / 2)), shares)
