"""Images changed as scipy.ndimage changes them."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from scipy import ndimage

import reference_numpy.augmentation as reference
from jaxnet.data import augmentation

RNG = np.random.default_rng(0)
IMAGES = [RNG.random((7, 5)), RNG.random((6, 6)), RNG.random((5, 7, 3))]
DTYPES = [pytest.param(jnp.float32), pytest.param(jnp.float64, marks=pytest.mark.f64)]
ANGLES = [0.0, 15.0, -40.0, 90.0, 180.0, 271.5]
FACTORS = [0.5, 0.9, 1.0, 1.3, 3.0]


def bound(image, dtype):
    """Places are sums and products of a few numbers below H + W, each rounded: 8 eps (H + W).

    Neighbouring pixels of images in [0, 1] differ by at most 1, so the value moves no more than
    the place does along both axes; interpolation itself adds a few eps.
    """
    return 2 * 8 * jnp.finfo(dtype).eps * (image.shape[0] + image.shape[1])


def agree(got, want, image, dtype):
    assert got.dtype == dtype
    np.testing.assert_allclose(got, want, rtol=0, atol=bound(image, dtype))


def by_channel(function, image):
    if image.ndim == 2:
        return function(image)
    return np.stack([function(image[..., c]) for c in range(image.shape[2])], axis=-1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("image", IMAGES, ids=["tall", "square", "channels"])
def test_rotate(image, dtype):
    rotated = jax.jit(jax.vmap(augmentation.rotate, (None, 0)))(
        jnp.asarray(image, dtype), jnp.array(ANGLES, dtype)
    )
    for angle, got in zip(ANGLES, rotated, strict=True):
        want = ndimage.rotate(image, angle, reshape=False, order=1, mode="nearest")
        agree(got, want, image, dtype)
        agree(got, reference.rotate(image, angle), image, dtype)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_counter_clockwise(quarters):
    image = jnp.asarray(IMAGES[1], jnp.float32)
    got = augmentation.rotate(image, 90.0 * quarters)
    agree(got, np.rot90(IMAGES[1], quarters), image, jnp.float32)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("image", IMAGES, ids=["tall", "square", "channels"])
def test_zoom(image, dtype):
    zoomed = jax.jit(jax.vmap(augmentation.zoom, (None, 0)))(
        jnp.asarray(image, dtype), jnp.array(FACTORS, dtype)
    )
    # SciPy is given the factor as rounded to the dtype: what is tested is not that rounding.
    for factor, got in zip(np.array(FACTORS, dtype).tolist(), zoomed, strict=True):

        def enlarge(plane, factor=factor):
            centre = (np.array(plane.shape) - 1) / 2
            return ndimage.affine_transform(
                plane, np.eye(2) / factor, centre - centre / factor, order=1, mode="nearest"
            )

        agree(got, by_channel(enlarge, image), image, dtype)
        agree(got, reference.zoom(image, factor), image, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("image", IMAGES, ids=["tall", "square", "channels"])
def test_elastic(image, dtype):
    displacement = RNG.normal(0, 2, (2, *image.shape[:2])).astype(dtype)
    places = np.indices(image.shape[:2]) + displacement
    got = jax.jit(augmentation.elastic)(jnp.asarray(image, dtype), jnp.asarray(displacement))
    agree(got, reference.elastic(image, displacement), image, dtype)
    want = by_channel(
        lambda plane: ndimage.map_coordinates(plane, places, order=1, mode="nearest"), image
    )
    agree(got, want, image, dtype)


@pytest.mark.parametrize("image", IMAGES, ids=["tall", "square", "channels"])
@pytest.mark.parametrize("axis", [0, 1])
def test_flip(image, axis):
    got = augmentation.flip(jnp.asarray(image, jnp.float32), axis)
    assert np.array_equal(got, np.flip(image, axis).astype(np.float32))
    assert np.array_equal(got, reference.flip(image, axis).astype(np.float32))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sigma", [0, 0.1, 0.5, 1.3, 4.0])  # radius up to 16: wider than the field
def test_gaussian_smooth(sigma, dtype):
    field = RNG.normal(size=(7, 5))
    smooth = jax.jit(augmentation.gaussian_smooth, static_argnums=1)
    got = smooth(jnp.asarray(field, dtype), sigma)
    want = ndimage.gaussian_filter(field, sigma, truncate=4.0, mode="reflect")
    # Along each axis a sum of 2r+1 terms, positive weights of sum 1: n eps max|f|, and n eps
    # again for the weights.
    terms = 2 * int(4 * sigma + 0.5) + 1
    atol = 2 * 2 * (terms + 2) * jnp.finfo(dtype).eps * np.abs(field).max()
    assert got.dtype == dtype
    np.testing.assert_allclose(got, want, rtol=0, atol=atol)
    np.testing.assert_allclose(got, reference.gaussian_smooth(field, sigma), rtol=0, atol=atol)


def test_elastic_displacement():
    @jax.jit
    def draw(seed, alpha):
        key = jax.random.key(seed)
        return augmentation.elastic_displacement(key, (96, 80), alpha=alpha, sigma=3.0)

    one, again, other = (np.asarray(draw(*at)) for at in ((0, 1.0), (0, 4.0), (1, 1.0)))
    assert one.shape == (2, 96, 80)
    # About H·W/(4πσ²) = 68 independent values per field, 136 in both: the variance is known to
    # √(2/136) = 12 %, the root mean square to 6 %; four of those.
    expected = 1 / (2 * np.sqrt(3 * np.pi) * 3.0)
    assert abs(np.sqrt(np.mean(one**2)) / expected - 1) < 0.24
    # Smooth: neighbours differ little; for a Gaussian of σ = 3 by 1/(√2·3) = 0.24 of the size.
    step = np.sqrt(np.mean(np.diff(one, axis=2) ** 2) / np.mean(one**2))
    assert abs(step / 0.2357 - 1) < 0.24
    assert abs(np.corrcoef(one[0].ravel(), one[1].ravel())[0, 1]) < 0.5  # 4/√68
    # Strength is a factor; the key decides.
    np.testing.assert_allclose(again, 4 * one, rtol=1e-6)
    assert np.abs(other - one).max() > expected


def test_nothing_changes_at_rest():
    image = jnp.asarray(IMAGES[0], jnp.float32)
    assert np.array_equal(augmentation.rotate(image, 0.0), image)
    assert np.array_equal(augmentation.zoom(image, 1.0), image)
    assert np.array_equal(augmentation.elastic(image, jnp.zeros((2, 7, 5))), image)


def test_a_batch_is_compiled_once_for_all_angles_and_factors():
    images = jnp.asarray(RNG.random((4, 7, 5)), jnp.float32)
    keys = jax.random.split(jax.random.key(2), 4)
    traces = []

    def change(key, image, degrees, factor, alpha):
        traces.append(key)
        shift = augmentation.elastic_displacement(key, (7, 5), alpha=alpha, sigma=1.0)
        image = augmentation.elastic(augmentation.flip(image, 1), shift)
        return augmentation.zoom(augmentation.rotate(image, degrees), factor)

    batched, single = jax.jit(jax.vmap(change, (0, 0, 0, None, None))), jax.jit(change)
    angles = jnp.array([10.0, -20.0, 30.0, 5.0])
    for factor, alpha in ((1.1, 3.0), (0.8, 9.0)):
        got = batched(keys, images, angles, factor, alpha)
        # One by one the same up to the reordering of sums: as in `bound`, thrice over.
        want = [single(*row, factor, alpha) for row in zip(keys, images, angles, strict=True)]
        np.testing.assert_allclose(got, np.stack(want), rtol=0, atol=6 * bound(got[0], "float32"))
    assert len(traces) == 2  # one for the batch, one for the single images
    # Another key, another change: the same augmentation must not come back every epoch.
    assert not np.allclose(batched(keys[::-1], images, angles, 1.1, 3.0), got, atol=1e-3)


@pytest.mark.parametrize(
    ("call", "error", "named"),
    [
        (lambda i: augmentation.flip(i, 2), ValueError, "axis"),
        (lambda i: augmentation.rotate(i, float("inf")), ValueError, "degrees"),
        (lambda i: augmentation.zoom(i, 0.0), ValueError, "factor"),
        (lambda i: augmentation.elastic(i, jnp.zeros((2, 5, 7))), ValueError, "displacement"),
        (lambda i: augmentation.flip(i[None, None], 1), ValueError, r"image.*\(1, 1, 7, 5\).*vmap"),
        (lambda i: augmentation.flip((255 * i).astype(jnp.uint8), 1), TypeError, "image.*uint8"),
        (lambda i: augmentation.gaussian_smooth(i, -1.0), ValueError, "sigma"),
    ],
)
def test_refuses(call, error, named, monkeypatch):
    # Users run without the annotations' own checks, which would come first here.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(error, match=named):
        call(jnp.asarray(IMAGES[0], jnp.float32))
