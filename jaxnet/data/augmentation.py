"""Label-preserving changes of images: flips, rotations, zoom and elastic distortion.

Every function takes one image, (H, W) or (H, W, C), and is pure; a batch is `jax.vmap` of it, with
an angle, factor or displacement per image. Values between pixels are interpolated linearly, and
what lies outside the image is its nearest edge pixel: scipy.ndimage's order=1, mode="nearest".

Whether a change preserves the label is for the data to say: a mirrored cat is a cat, a mirrored 2
is no digit.
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float

from jaxnet.types import PRNGKey, Scalar
from jaxnet.validation import check_finite, check_non_negative, check_positive

Image = Float[Array, "H W *C"]


def _checked(image: Image) -> Image:
    image = jnp.asarray(image)
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise ValueError(
            f"image: expected shape (H, W) or (H, W, C), got {image.shape}; for a batch use "
            f"jax.vmap"
        )
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise TypeError(f"image: expected real numbers, got dtype {image.dtype}; scale to [0, 1]")
    return image


def _sample(image: Image, rows: Float[Array, "H W"], columns: Float[Array, "H W"]) -> Image:
    """The image at the given places, between pixels linearly."""

    def channel(plane):
        return map_coordinates(plane, [rows, columns], order=1, mode="nearest")

    return channel(image) if image.ndim == 2 else jax.vmap(channel, -1, -1)(image)


def _grid(image: Image) -> tuple[Float[Array, "H W"], Float[Array, "H W"]]:
    rows, columns = (jnp.arange(size, dtype=image.dtype) for size in image.shape[:2])
    rows, columns = jnp.meshgrid(rows, columns, indexing="ij")
    return rows, columns


def _about_centre(image: Image, matrix) -> Image:
    """Take each pixel from matrix · (its place − centre) + centre."""
    centre_row, centre_column = ((size - 1) / 2 for size in image.shape[:2])
    rows, columns = _grid(image)
    down, right = rows - centre_row, columns - centre_column
    (rr, rc), (cr, cc) = matrix
    return _sample(
        image, rr * down + rc * right + centre_row, cr * down + cc * right + centre_column
    )


def flip(image: Image, axis: int) -> Image:
    """Mirror an image: axis=1 swaps left and right, axis=0 top and bottom.

    Raises ValueError for another axis.
    Source: notes §5, other regularization methods (fig. 53).

    >>> flip(jnp.array([[1.0, 2.0]]), 1)
    Array([[2., 1.]], dtype=float32)
    """
    image = _checked(image)
    if axis not in (0, 1):
        raise ValueError(f"axis: expected 0 (rows) or 1 (columns), got {axis}")
    return jnp.flip(image, axis)


def rotate(image: Image, degrees: Scalar) -> Image:
    """Rotate about the middle of the image, ((H−1)/2, (W−1)/2), keeping its size.

    degrees: counter-clockwise as displayed with row 0 on top; may be traced. The sense and the
    result are those of scipy.ndimage.rotate(image, degrees, reshape=False, order=1,
    mode="nearest"). Corners that come from outside repeat the edge. The derivative with respect
    to the angle exists almost everywhere.
    Raises ValueError for an angle that is not finite.
    Source: notes §5, other regularization methods (figs. 53, 54).

    >>> rotate(jnp.array([[0.0, 1.0], [0.0, 0.0]]), 90.0).round(4)
    Array([[1., 0.],
           [0., 0.]], dtype=float32)
    """
    image = _checked(image)
    check_finite("degrees", degrees)
    angle = jnp.deg2rad(jnp.asarray(degrees, image.dtype))
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return _about_centre(image, ((cos, sin), (-sin, cos)))


def zoom(image: Image, factor: Scalar) -> Image:
    """Enlarge about the middle of the image, keeping its size: what grows out of it is cut off.

    factor: > 0, may be traced; 2 shows the middle half of each side at twice the size. Below 1 the
    image shrinks and its edge pixels are repeated outwards (no smoothing beforehand: strong
    shrinking skips pixels). Equals scipy.ndimage.affine_transform with the matrix I/factor about
    the middle; scipy.ndimage.zoom changes the number of pixels instead.
    Raises ValueError for a factor that is not positive.
    Source: notes §5, other regularization methods (figs. 53, 54).

    >>> zoom(jnp.array([[0.0, 1.0, 2.0, 3.0, 4.0]]), 2.0)
    Array([[1. , 1.5, 2. , 2.5, 3. ]], dtype=float32)
    """
    image = _checked(image)
    check_positive("factor", factor)
    step = 1 / jnp.asarray(factor, image.dtype)
    return _about_centre(image, ((step, 0), (0, step)))


def elastic(image: Image, displacement: Float[Array, "2 H W"]) -> Image:
    """Distort an image: output pixel p is taken from p + displacement[:, p].

    displacement: in pixels, rows first, shape (2, H, W); see `elastic_displacement`. One
    displacement for all channels. Equals scipy.ndimage.map_coordinates with order=1,
    mode="nearest".
    Raises ValueError for a displacement of another shape.
    Source: notes §5, other regularization methods (fig. 54); Simard, Steinkraus and Platt 2003.

    >>> elastic(jnp.array([[0.0, 1.0, 2.0]]), jnp.full((2, 1, 3), 0.5))
    Array([[0.5, 1.5, 2. ]], dtype=float32)
    """
    image = _checked(image)
    expected = (2, *image.shape[:2])
    if displacement.shape != expected:
        raise ValueError(f"displacement: expected shape {expected}, got {displacement.shape}")
    rows, columns = _grid(image)
    return _sample(image, rows + displacement[0], columns + displacement[1])


def gaussian_smooth(field: Float[Array, "H W"], sigma: float | int) -> Float[Array, "H W"]:
    """Convolve with a Gaussian of standard deviation σ pixels, along rows and columns.

    weights ∝ e^(−i²/2σ²), i = −r … r, r = ⌊4σ + ½⌋, summing to 1; the field is mirrored at its
    edges (the edge row counts twice)

    sigma: ≥ 0, a Python number since it decides the size of the kernel; 0 changes nothing.
    Equals scipy.ndimage.gaussian_filter(field, sigma).
    Raises ValueError for a negative σ.

    >>> [f"{value:.3f}" for value in gaussian_smooth(jnp.array([[0.0, 1.0, 0.0]]), 0.5)[0]]
    ['0.107', '0.787', '0.107']
    """
    check_non_negative("sigma", sigma)
    field = jnp.asarray(field)
    radius = math.floor(4 * sigma + 0.5)
    if radius == 0:
        return field
    offsets = jnp.arange(-radius, radius + 1, dtype=field.dtype)
    weights = jnp.exp(-jnp.square(offsets / sigma) / 2)
    weights = weights / jnp.sum(weights)

    def smooth_line(line):
        # jnp.convolve multiplies at lax.Precision.DEFAULT, bfloat16 on some devices.
        return jnp.convolve(
            jnp.pad(line, radius, mode="symmetric"),
            weights,
            mode="valid",
            precision=jax.lax.Precision.HIGHEST,
        )

    return jax.vmap(smooth_line)(jax.vmap(smooth_line, 1, 1)(field))


def elastic_displacement(
    key: PRNGKey, shape: tuple[int, int], *, alpha: Scalar, sigma: float | int
) -> Float[Array, "2 H W"]:
    """A random smooth displacement for `elastic`.

    u = α · smooth_σ(U(−1, 1)), independently for rows and columns

    shape: (H, W). alpha: strength α ≥ 0, may be traced; smoothing divides the amplitude by about
    2√π·σ, so the root mean square displacement is about α / (2√(3π) σ) pixels. sigma: σ ≥ 0 in
    pixels, a Python number: small is jitter, large moves everything alike.
    Raises ValueError for a negative α or σ.
    Source: notes §5, other regularization methods (fig. 54); Simard, Steinkraus and Platt 2003.

    >>> elastic_displacement(jax.random.key(0), (7, 5), alpha=8.0, sigma=2.0).shape
    (2, 7, 5)
    """
    check_non_negative("alpha", alpha)
    noise = jax.random.uniform(key, (2, *shape), minval=-1.0, maxval=1.0)
    return jnp.asarray(alpha, noise.dtype) * jax.vmap(lambda u: gaussian_smooth(u, sigma))(noise)
