"""Rows for what is done to data: normalization and augmentation."""

from functools import partial
from typing import Any

import jax
import numpy as np

from jaxnet.crosscheck import bounds, layout
from jaxnet.crosscheck.bounds import FUNCTION, Bounded
from jaxnet.crosscheck.cases.case import Args, Case, Results, Transform, sizes
from jaxnet.data import augmentation, normalization
from reference_numpy import augmentation as reference
from reference_numpy import normalization as reference_normalization


def _normalization_draw(rng: np.random.Generator) -> Args:
    n, m, m_test = sizes(rng, 3, low=3)
    offset, scale = 5 * rng.normal(size=(n, 1)), 10 ** rng.uniform(-1, 1, (n, 1))
    X = offset + scale * rng.normal(size=(n, m))
    X[0] = X[0, 0]  # a constant feature
    return {"X": X, "X_test": offset + scale * rng.normal(size=(n, m_test))}


def _normalization_reference(args: Args) -> Results:
    mu, sigma = reference_normalization.fit(args["X"])
    return {
        "mu": mu,
        "sigma": sigma,
        "X": reference_normalization.apply(args["X"], mu, sigma),
        "X_test": reference_normalization.apply(args["X_test"], mu, sigma),
    }


def _normalization_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
    @transform
    def everything(x, x_test):
        fitted = normalization.fit(x)
        return fitted, normalization.apply(fitted, x), normalization.apply(fitted, x_test)

    fitted, x, x_test = everything(layout.rows(args["X"]), layout.rows(args["X_test"]))
    return {
        "mu": layout.column(fitted.mu),
        "sigma": layout.column(fitted.sigma),
        "X": layout.columns(x),
        "X_test": layout.columns(x_test),
    }


def _normalization_errors(args: Args) -> Results:
    X = bounds.bounded(args["X"])
    mu = bounds.mean(X, axis=1)
    centred = X - mu
    sigma = bounds.root(bounds.mean(centred * centred, axis=1))
    # The constant feature: σ is 1 by decision, and what is left is the rounding of its mean.
    varies = np.arange(len(args["X"]))[:, None] > 0
    sigma = Bounded(np.where(varies, sigma.value, 1.0), np.where(varies, sigma.error, 0.0))
    return {"mu": mu, "sigma": sigma, "X": centred / sigma, "X_test": (args["X_test"] - mu) / sigma}


NORMALIZATION = Case(
    name="data/normalization",
    quantity="mean, deviation, and both sets normalized with them; one feature is constant",
    draw=_normalization_draw,
    reference=_normalization_reference,
    jaxnet=_normalization_jaxnet,
    errors=_normalization_errors,
)


def _draw_image(rng: np.random.Generator) -> Args:
    height, width, channels = sizes(rng, 3, low=3)
    shape = (height, width, channels) if rng.random() < 0.5 else (height, width)
    return {
        "image": rng.uniform(size=shape),
        "degrees": float(rng.uniform(-180, 180)),
        "factor": float(rng.uniform(0.5, 2)),
        "displacement": 2 * rng.normal(size=(2, height, width)),
    }


def _from_centre(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
    height, width = image.shape[:2]
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    y, x = np.meshgrid(np.arange(height) - middle_y, np.arange(width) - middle_x, indexing="ij")
    return y, x, middle_y, middle_x


def _interpolated(image: np.ndarray, y: Bounded, x: Bounded) -> np.ndarray:
    """Errors of values between pixels, from errors of the coordinates.

    The interpolation is continuous and piecewise linear: between neighbours it is no steeper than
    their largest difference. It is a mean of 4 pixels, weights (1−v)(1−u): two subtractions and
    two products for each, three additions, all of numbers up to the largest pixel: 8 units of it.
    """
    image = image.reshape(*image.shape[:2], -1)
    steep_y = np.abs(np.diff(image, axis=0)).max(initial=0)
    steep_x = np.abs(np.diff(image, axis=1)).max(initial=0)
    return steep_y * y.error + steep_x * x.error + 8 * np.abs(image).max()


def _rotate_coordinates(args: Args) -> tuple[Bounded, Bounded]:
    y, x, middle_y, middle_x = _from_centre(args["image"])
    # π/180 is rounded, and multiplied; the sine and cosine of it are functions of size up to 1.
    angle = bounds.rounded(np.deg2rad(args["degrees"]), 3)
    sine = bounds.applied(np.sin(angle.value), 1.0, angle, FUNCTION)
    cosine = bounds.applied(np.cos(angle.value), 1.0, angle, FUNCTION)
    return cosine * y + sine * x + middle_y, -sine * y + cosine * x + middle_x


def _zoom_coordinates(args: Args) -> tuple[Bounded, Bounded]:
    y, x, middle_y, middle_x = _from_centre(args["image"])
    step = 1 / bounds.bounded(args["factor"])
    return step * y + middle_y, step * x + middle_x


def _elastic_coordinates(args: Args) -> tuple[Bounded, Bounded]:
    y, x, middle_y, middle_x = _from_centre(args["image"])
    down, right = args["displacement"]
    return bounds.bounded(y + middle_y) + down, bounds.bounded(x + middle_x) + right


def _image_row(name: str, argument: str, coordinates: Any) -> Case:
    def errors(args: Args) -> Results:
        error = _interpolated(args["image"], *coordinates(args))
        # One error for all channels of a pixel.
        return {"image": np.broadcast_to(error.T, args["image"].T.shape).T}

    def run_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
        run = transform(getattr(augmentation, name))
        return {"image": np.asarray(run(*map(layout.to_jax, (args["image"], args[argument]))))}

    return Case(
        name=f"data/{name}",
        quantity=f"an image under {name}",
        draw=_draw_image,
        reference=lambda args: {"image": getattr(reference, name)(args["image"], args[argument])},
        jaxnet=run_jaxnet,
        errors=errors,
    )


def _flip(flip: Any, image: Any, transform: Any) -> Results:
    return {
        f"axis{axis}": np.asarray(transform(partial(flip, axis=axis))(image)) for axis in (0, 1)
    }


FLIP = Case(
    name="data/flip",
    quantity="an image upside down, and left to right",
    draw=_draw_image,
    reference=lambda args: _flip(reference.flip, args["image"], lambda flip: flip),
    jaxnet=lambda args, transform=jax.jit: _flip(
        augmentation.flip, layout.to_jax(args["image"]), transform
    ),
    errors=lambda args: {"axis0": 0, "axis1": 0},
)


def _smooth_draw(rng: np.random.Generator) -> Args:
    return {"field": rng.normal(size=sizes(rng, 2)), "sigma": float(rng.uniform(0.3, 2))}


def _smooth_errors(args: Args) -> Results:
    sigma, (height, width) = args["sigma"], args["field"].shape
    radius = int(4 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    # −½(k/σ)²: a division, a square and a product, and a rounding more where σ² is taken first.
    weights = bounds.exponential(bounds.rounded(-((offsets / sigma) ** 2) / 2, 4))
    weights = weights / bounds.total(weights)
    padded = np.pad(args["field"], radius, mode="symmetric")

    def banded(size: int) -> Bounded:
        """The smoothing of one axis as a matrix (size, size + 2·radius)."""
        band = np.zeros((size, size + 2 * radius)), np.zeros((size, size + 2 * radius))
        for row in range(size):
            for matrix, entries in zip(band, (weights.value, weights.error), strict=True):
                matrix[row, row : row + 2 * radius + 1] = entries
        return Bounded(*band)

    return {"field": banded(height) @ padded @ banded(width).T}


SMOOTH = Case(
    name="data/gaussian_smooth",
    quantity="a field smoothed by a Gaussian",
    draw=_smooth_draw,
    reference=lambda args: {"field": reference.gaussian_smooth(args["field"], args["sigma"])},
    jaxnet=lambda args, transform=jax.jit: {
        "field": np.asarray(
            transform(partial(augmentation.gaussian_smooth, sigma=args["sigma"]))(
                layout.to_jax(args["field"])
            )
        )
    },
    errors=_smooth_errors,
)

CASES = (
    NORMALIZATION,
    FLIP,
    _image_row("rotate", "degrees", _rotate_coordinates),
    _image_row("zoom", "factor", _zoom_coordinates),
    _image_row("elastic", "displacement", _elastic_coordinates),
    SMOOTH,
)
