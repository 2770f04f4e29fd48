"""Data augmentation of one image (notes: Other Regularization Methods, figs. 53 and 54).

An image is (H, W) or (H, W, C). A transform gives, for each output pixel, a point of the input,
whose value is interpolated between the four pixels around it; points outside are moved to the edge.
"""

import numpy as np
from numpy.typing import ArrayLike

from reference_numpy._arrays import Array, array, require, require_shape


def flip(image: ArrayLike, axis: int) -> Array:
    """Mirror image.

    axis 0: out[y, x] = in[H − 1 − y, x], upside down.  axis 1: out[y, x] = in[y, W − 1 − x]

    image: (H, W) or (H, W, C). axis: 0 or 1. Returns an array of the same shape.
    Raises ValueError for another axis or shape.
    Source: notes, Other Regularization Methods (fig. 53).

    >>> flip([[1.0, 2.0], [3.0, 4.0]], 1)
    array([[2., 1.],
           [4., 3.]])
    """
    image = _image(image)
    require(axis in (0, 1), "axis", "0 (upside down) or 1 (left to right)", axis)
    return np.flip(image, axis).copy()


def rotate(image: ArrayLike, degrees: float) -> Array:
    """Turn counter-clockwise about the centre, keeping the size.

    y_in − c_y = cos φ (y − c_y) + sin φ (x − c_x)

    x_in − c_x = −sin φ (y − c_y) + cos φ (x − c_x),  c = ((H − 1)/2, (W − 1)/2)

    image: (H, W) or (H, W, C). degrees: φ. Returns an array of the same shape, as
    scipy.ndimage.rotate with reshape=False, order=1, mode="nearest".
    Raises ValueError for another shape.
    Source: notes, Other Regularization Methods (fig. 53).

    >>> rotate([[1.0, 2.0], [3.0, 4.0]], 90).round(12)
    array([[2., 4.],
           [1., 3.]])
    """
    image = _image(image)
    y, x, c_y, c_x = _pixels(image)
    sin, cos = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    y_in = cos * (y - c_y) + sin * (x - c_x) + c_y
    x_in = -sin * (y - c_y) + cos * (x - c_x) + c_x
    return bilinear(image, y_in, x_in)


def zoom(image: ArrayLike, factor: float) -> Array:
    """Enlarge (factor above 1) or shrink about the centre, keeping the size.

    y_in − c_y = (y − c_y) / factor,  x_in − c_x = (x − c_x) / factor

    image: (H, W) or (H, W, C). factor: above 0. Returns an array of the same shape.
    Raises ValueError for a factor that is not positive or another shape.
    Source: notes, Other Regularization Methods (fig. 53).

    >>> zoom([[0.0, 1.0, 2.0]], 2.0)
    array([[0.5, 1. , 1.5]])
    """
    image = _image(image)
    require(0 < factor < np.inf, "factor", "a positive number", factor)
    y, x, c_y, c_x = _pixels(image)
    y_in = (y - c_y) / factor + c_y
    x_in = (x - c_x) / factor + c_x
    return bilinear(image, y_in, x_in)


def elastic(image: ArrayLike, displacement: ArrayLike) -> Array:
    """Elastic distortion by a given displacement of every pixel.

    y_in = y + Δ_y[y, x],  x_in = x + Δ_x[y, x]

    image: (H, W) or (H, W, C). displacement: (2, H, W) in pixels, Δ_y then Δ_x.
    Returns an array of the shape of image. Raises ValueError for other shapes.
    Source: notes, Other Regularization Methods (fig. 54); Simard, Steinkraus and Platt 2003.

    >>> elastic([[0.0, 1.0, 2.0]], [[[0.0, 0.0, 0.0]], [[0.5, 0.5, 0.5]]])
    array([[0.5, 1.5, 2. ]])
    """
    image, displacement = _image(image), array(displacement)
    require_shape("displacement", displacement, (2, *image.shape[:2]))
    y, x, _, _ = _pixels(image)
    y_in = y + displacement[0]
    x_in = x + displacement[1]
    return bilinear(image, y_in, x_in)


def elastic_displacement(
    rng: np.random.Generator, shape: tuple[int, int], *, alpha: float, sigma: float
) -> Array:
    """Draw a smooth random displacement for `elastic`.

    Δ = α · (G_σ ∗ U),  U uniform on [−1, 1)

    rng: generator; one rng.uniform(-1, 1, (2, H, W)) is drawn. shape: (H, W).
    alpha: strength in pixels, before smoothing. sigma: width of the smoothing in pixels, ≥ 0.
    Returns (2, H, W). Raises ValueError for a negative sigma.
    Source: Simard, Steinkraus and Platt 2003, section 2.

    >>> elastic_displacement(np.random.default_rng(0), (4, 3), alpha=2.0, sigma=1.0).shape
    (2, 4, 3)
    """
    noise = rng.uniform(-1, 1, (2, *shape))
    return alpha * np.stack([gaussian_smooth(field, sigma) for field in noise])


def gaussian_smooth(field: ArrayLike, sigma: float) -> Array:
    """Smooth a field by a Gaussian along both axes.

    out = Σₖ wₖ in[y + k],  wₖ = e^(−k²/(2σ²)) / Σⱼ e^(−j²/(2σ²)),  |k| ≤ ⌊4σ + ½⌋

    Beyond an edge the field is mirrored, the edge value twice (d c b a | a b c d | d c b a), as
    scipy.ndimage.gaussian_filter does.

    field: (H, W). sigma: σ ≥ 0 in pixels; 0 changes nothing. Returns (H, W).
    Raises ValueError for a negative sigma or another shape.
    Source: Simard, Steinkraus and Platt 2003, section 2.

    >>> gaussian_smooth([[0.0, 1.0, 0.0]], 0.3).round(3)
    array([[0.004, 0.992, 0.004]])
    """
    field = array(field)
    require(field.ndim == 2 and field.size > 0, "field", "(H, W)", f"shape {field.shape}")
    require(0 <= sigma < np.inf, "sigma", "a number ≥ 0", sigma)
    radius = int(4 * sigma + 0.5)
    if radius == 0:
        return field.copy()
    k = np.arange(-radius, radius + 1)
    w = np.exp(-(k**2) / (2 * sigma**2))
    w = w / np.sum(w)
    padded = np.pad(field, radius, mode="symmetric")
    H, W = field.shape
    rows = np.sum([w_k * padded[i : i + H, :] for i, w_k in enumerate(w)], axis=0)
    return np.sum([w_k * rows[:, i : i + W] for i, w_k in enumerate(w)], axis=0)


def bilinear(image: ArrayLike, y: ArrayLike, x: ArrayLike) -> Array:
    """Values of an image at points between its pixels; points outside are moved to the edge.

    with v = y − ⌊y⌋, u = x − ⌊x⌋:
    (1 − v)(1 − u) I[⌊y⌋, ⌊x⌋] + (1 − v) u I[⌊y⌋, ⌊x⌋ + 1]
    + v (1 − u) I[⌊y⌋ + 1, ⌊x⌋] + v u I[⌊y⌋ + 1, ⌊x⌋ + 1]

    image: (H, W) or (H, W, C). y, x: coordinates in pixels, two arrays of one shape (h, w).
    Returns (h, w) or (h, w, C). Raises ValueError for other shapes.
    Source: scipy.ndimage.map_coordinates with order=1, mode="nearest" is the same map.

    >>> bilinear([[0.0, 1.0], [2.0, 3.0]], [[0.5]], [[0.5]])
    array([[1.5]])
    """
    image, y, x = _image(image), array(y), array(x)
    require_shape("x", x, y.shape)
    H, W = image.shape[:2]
    y, x = np.clip(y, 0, H - 1), np.clip(x, 0, W - 1)
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    y1, x1 = np.minimum(y0 + 1, H - 1), np.minimum(x0 + 1, W - 1)
    channels = (1,) * (image.ndim - 2)
    v, u = (y - y0).reshape(y.shape + channels), (x - x0).reshape(x.shape + channels)
    upper = (1 - u) * image[y0, x0] + u * image[y0, x1]
    lower = (1 - u) * image[y1, x0] + u * image[y1, x1]
    return (1 - v) * upper + v * lower


def _image(image):
    image = array(image)
    fine = image.ndim in (2, 3) and image.size > 0
    require(fine, "image", "(H, W) or (H, W, C)", f"shape {image.shape}")
    return image


def _pixels(image):
    """Row and column of every pixel, and the centre."""
    H, W = image.shape[:2]
    y, x = np.meshgrid(np.arange(H), np.arange(W), indexing="ij")
    return y, x, (H - 1) / 2, (W - 1) / 2
