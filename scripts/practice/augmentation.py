"""Data augmentation: flips, rotations, zoom and elastic distortion of the cat and of digits.

The transforms on a photograph of a cat beside scipy.ndimage's. Then networks trained on 100 digits
whose images are changed anew in every mini-batch, all images of it at once, on the device: rotated
by up to 15 degrees, zoomed by up to 15 %, distorted by about half a pixel, all three, or mirrored
in half of the cases. 20 seeds, each with its own training, dev and test set; dev and test images
are as they are. Answers figures 53 and 54.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import Model, Setup, evaluate, make_train, mlp, optimizers
from jaxnet.data import augmentation, datasets, splits
from reference_numpy import augmentation as reference
from scripts.harness import (
    COLOURS,
    INK,
    Claim,
    above,
    at_most,
    exact,
    new_figure,
    run_alone,
    seed_keys,
    statistical,
)
from scripts.practice import _digits as digits

TITLE = "Data augmentation of a cat and of digits"
NOTES_SECTION = "Other Regularization Methods"
NOTES_FIGURES = (53, 54)

TRAIN, DEV = 100, 900
BATCH_SIZE, EPOCHS = 50, 120
UNITS, ALPHA = 64, 0.01
DEGREES, ZOOM = 15.0, 0.15
ELASTIC = {"alpha": 5.0, "sigma": 1.5}  # a root mean square of about half a pixel
ARMS = ("none", "rotation", "zoom", "elastic", "all three", "mirrored")
ALL, MIRRORED = ARMS.index("all three"), ARMS.index("mirrored")
SIDE = 8
SHOWN = 5

# On the cat: an angle, a factor, and a displacement of some 3 pixels.
CAT_DEGREES, CAT_ZOOM, CAT_ELASTIC = 20.0, 1.4, {"alpha": 150.0, "sigma": 8.0}
CATS = (
    "cat",
    "mirrored",
    "upside down",
    f"rotated by {CAT_DEGREES:g}°",
    f"zoomed by {CAT_ZOOM:g}",
    "elastic",
)


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    keys = seed_keys(key, quick)
    whole = datasets.whole("digits")
    two = np.asarray(whole.x[np.argmax(whole.y == 2)]).reshape(SIDE, SIDE)
    return {**_cat(jax.random.fold_in(key, 1)), **_train(keys, whole), "shown": _shown(two)}


# The cat


def _cat(key: jax.Array) -> dict[str, Any]:
    """The cat and its transforms in float64, and how far from SciPy's and the reference's."""
    from scipy import ndimage
    from skimage.data import chelsea

    with jax.enable_x64(True):
        cat = np.asarray(chelsea()[::2, ::2], np.float64) / 255
        size = cat.shape[:2]

        @jax.jit
        def transforms(cat):
            smooth = augmentation.gaussian_smooth(cat[:, :, 0], CAT_ELASTIC["sigma"])
            displacement = augmentation.elastic_displacement(key, size, **CAT_ELASTIC)
            return (
                smooth,
                displacement,
                [
                    augmentation.flip(cat, 1),
                    augmentation.flip(cat, 0),
                    augmentation.rotate(cat, CAT_DEGREES),
                    augmentation.zoom(cat, CAT_ZOOM),
                    augmentation.elastic(cat, displacement),
                ],
            )

        smooth, displacement, ours = jax.device_get(transforms(cat))
    options: dict[str, Any] = {"order": 1, "mode": "nearest"}
    centre = (np.array(size) - 1) / 2
    shift: Any = centre * (1 - 1 / CAT_ZOOM)
    grid = np.indices(size)
    by_scipy = [
        cat[:, ::-1],
        cat[::-1],
        ndimage.rotate(cat, CAT_DEGREES, reshape=False, **options),
        np.stack(
            [
                ndimage.affine_transform(plane, np.eye(2) / CAT_ZOOM, shift, **options)
                for plane in np.moveaxis(cat, 2, 0)
            ],
            axis=2,
        ),
        np.stack(
            [
                ndimage.map_coordinates(plane, grid + displacement, **options)
                for plane in np.moveaxis(cat, 2, 0)
            ],
            axis=2,
        ),
    ]
    by_reference = [
        reference.flip(cat, 1),
        reference.flip(cat, 0),
        reference.rotate(cat, CAT_DEGREES),
        reference.zoom(cat, CAT_ZOOM),
        reference.elastic(cat, displacement),
    ]

    def apart(theirs):
        pairs = zip(ours, theirs, strict=True)
        return max(float(np.abs(mine - other).max()) for mine, other in pairs)

    return {
        "cat": dict(zip(CATS, (cat, *ours), strict=True)),
        "scipy_apart": apart(by_scipy),
        "reference_apart": apart(by_reference),
        "smooth_apart": float(
            np.abs(smooth - ndimage.gaussian_filter(cat[:, :, 0], CAT_ELASTIC["sigma"])).max()
        ),
    }


# Digits


def _augmented(arm: jax.Array, key: jax.Array, x: jax.Array) -> jax.Array:
    """A mini-batch (B, 64) with every image changed by a draw of its own."""
    images = x.reshape(-1, SIDE, SIDE)
    batch = (len(images),)
    rotate_key, zoom_key, elastic_key, mirror_key = jax.random.split(key, 4)

    def rotate(images):
        degrees = jax.random.uniform(rotate_key, batch, minval=-DEGREES, maxval=DEGREES)
        return jax.vmap(augmentation.rotate)(images, degrees)

    def zoom(images):
        factors = 1 + jax.random.uniform(zoom_key, batch, minval=-ZOOM, maxval=ZOOM)
        return jax.vmap(augmentation.zoom)(images, factors)

    def distort(images):
        def displacement(key):
            return augmentation.elastic_displacement(key, (SIDE, SIDE), **ELASTIC)

        displacements = jax.vmap(displacement)(jax.random.split(elastic_key, batch))
        return jax.vmap(augmentation.elastic)(images, displacements)

    def mirror(images):
        flipped = jax.vmap(lambda image: augmentation.flip(image, 1))(images)
        return jnp.where(jax.random.bernoulli(mirror_key, shape=(*batch, 1, 1)), flipped, images)

    for change, name in ((rotate, "rotation"), (zoom, "zoom"), (distort, "elastic")):
        used = (arm == ARMS.index(name)) | (arm == ALL)
        images = lax.cond(used, change, lambda images: images, images)
    images = lax.cond(arm == MIRRORED, mirror, lambda images: images, images)
    return images.reshape(x.shape)


def _train(keys: jax.Array, whole: Any) -> dict[str, Any]:
    """Dev and test errors and training costs of every arm, (arms, seeds, ...)."""
    network = mlp((digits.PIXELS, UNITS, digits.CLASSES))

    def build(arm):
        def apply(params, state, x, *, key=None, train=False):
            if train:
                assert key is not None
                x = _augmented(arm, key, x)
            return network.apply(params, state, x)

        return Setup(Model(network.init, apply), optimizers.adam(ALPHA))

    fit = make_train(build, batch_size=BATCH_SIZE, epochs=EPOCHS)

    def member(both):
        arm, key = both
        split_key, run_key = jax.random.split(key)
        train, dev, test = splits.cut(split_key, whole, (TRAIN, DEV))
        run = fit(run_key, arm, train)
        dev_error, test_error, train_error = (
            evaluate(network, run.params, run.state, part).error for part in (dev, test, train)
        )
        return {
            "dev_error": dev_error,
            "test_error": test_error,
            "train_error": train_error,
            "cost": run.history["cost"].mean(axis=1),
        }

    arms = jnp.repeat(jnp.arange(len(ARMS)), len(keys))
    # Mapped, not vmapped: only the changes of the arm are then computed.
    program = jax.jit(lambda both: lax.map(member, both))
    found = jax.device_get(program((arms, jnp.tile(keys, len(ARMS)))))
    shape = len(ARMS), len(keys)
    return {name: value.reshape(*shape, *value.shape[1:]) for name, value in found.items()}


def _shown(image: np.ndarray) -> np.ndarray:
    """One digit under every arm, (arms, SHOWN, 8, 8), by the reference's transforms."""
    rng = np.random.default_rng(0)

    def rotate(image):
        return reference.rotate(image, rng.uniform(-DEGREES, DEGREES))

    def zoom(image):
        return reference.zoom(image, 1 + rng.uniform(-ZOOM, ZOOM))

    def distort(image):
        displacement = reference.elastic_displacement(rng, (SIDE, SIDE), **ELASTIC)
        return reference.elastic(image, displacement)

    changes = (
        lambda image: image,
        rotate,
        zoom,
        distort,
        lambda image: distort(zoom(rotate(image))),
        lambda image: reference.flip(image, 1) if rng.random() < 0.5 else image,
    )
    return np.array([[change(image) for _ in range(SHOWN)] for change in changes])


# Figure


def draw(measurements: dict[str, Any]) -> Figure:
    change = 100 * (measurements["dev_error"] - measurements["dev_error"][0])
    best = _best(measurements)
    figure, axes = new_figure(
        2,
        3,
        height=7.6,
        title=(
            f"Augmentation ({ARMS[best]}) lowers the dev error of digits by "
            f"{-change[best].mean():.1f} points, mirroring raises it by "
            f"{change[MIRRORED].mean():.1f}:\na mirrored cat is a cat, a mirrored 2 is no digit"
        ),
        height_ratios=(1, 1.1),
    )
    _draw_cat(axes[0], measurements["cat"])
    _draw_digits(axes[1, 0], measurements["shown"])
    _draw_errors(axes[1, 1], 100 * measurements["dev_error"])
    ax = axes[1, 2]
    _errorbars(ax, change[1:])
    ax.axhline(0, color=INK, linewidth=1)
    ax.set(title="Change of the dev error, paired", ylabel="points")
    ax.set_xticks(range(len(ARMS) - 1), ARMS[1:], rotation=35, ha="right")
    seeds = change.shape[1]
    p = float(measurements["dev_error"][0].mean())
    figure.supxlabel(
        f"{TRAIN} training and {DEV} dev digits, {seeds} seeds; bars: ± one standard error over "
        f"seeds (of one dev set alone it is {100 * np.sqrt(p * (1 - p) / DEV):.1f} %).",
        fontsize=9.5,
    )
    return figure


def _best(measurements: dict[str, Any]) -> int:
    """Of the label-preserving arms, the one of the lowest mean dev error."""
    return 1 + int(measurements["dev_error"][1:MIRRORED].mean(axis=1).argmin())


def _draw_cat(axes: Any, images: dict[str, np.ndarray]) -> None:
    """The cat and its transforms, two to a panel."""
    items = list(images.items())
    for ax, pair in zip(axes, zip(items[::2], items[1::2], strict=True), strict=True):
        height, width = pair[0][1].shape[:2]
        gap = height // 5
        for place, (name, image) in enumerate(pair):
            top = place * (height + gap)
            ax.imshow(np.clip(image, 0, 1), extent=(0, width, -top - height, -top))
            ax.text(width / 2, -top + gap * 0.15, name, ha="center", va="bottom", fontsize=10)
        ax.set(xlim=(0, width), ylim=(-2 * height - gap, gap))
        ax.set_axis_off()


def _draw_digits(ax: Axes, shown: np.ndarray) -> None:
    """Rows: the arms; columns: draws."""
    for row, images in enumerate(shown):
        for column, image in enumerate(images):
            ax.imshow(
                image,
                cmap="gray_r",
                vmin=0,
                vmax=1,
                extent=(column, column + 0.9, -row - 0.9, -row),
            )
        ax.text(-0.15, -row - 0.45, ARMS[row], ha="right", va="center", fontsize=9.5)
    ax.set(xlim=(-2.6, SHOWN), ylim=(-len(ARMS), 0.1), title="One digit, changed")
    ax.set_axis_off()


def _errorbars(ax: Axes, values: np.ndarray) -> None:
    """Means over seeds with standard errors, values (arms, seeds)."""
    se = values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
    for x, (mean, error) in enumerate(zip(values.mean(axis=1), se, strict=True)):
        last = x == len(values) - 1
        colour, marker = (COLOURS[3], "s") if last else (COLOURS[0], "o")
        ax.errorbar(x, mean, error, marker=marker, color=colour, capsize=4)


def _draw_errors(ax: Axes, errors: np.ndarray) -> None:
    _errorbars(ax, errors)
    ax.set(title="Dev error", ylabel="dev error (%)")
    ax.set_xticks(range(len(ARMS)), ARMS, rotation=35, ha="right")


# Claims


def claims(measurements: dict[str, Any]) -> list[Claim]:
    dev, test = measurements["dev_error"], measurements["test_error"]
    return [
        exact(
            "Flips, rotation, zoom and elastic distortion of the cat are scipy.ndimage's (largest "
            "difference of a pixel in [0, 1], float64).",
            measurements["scipy_apart"],
            at_most(1e-10),
        ),
        exact(
            "They are the reference's (largest difference of a pixel).",
            measurements["reference_apart"],
            at_most(1e-10),
        ),
        exact(
            "The smoothing behind the elastic displacement is scipy.ndimage's Gaussian filter "
            "(largest difference).",
            measurements["smooth_apart"],
            at_most(1e-12),
        ),
        statistical(
            "Label-preserving augmentation lowers the dev error (difference, mean of rotation, "
            "zoom and elastic distortion, each by itself).",
            dev[0] - dev[1:ALL].mean(axis=0),
            above(0),
        ),
        statistical(
            "All three together lower it too (difference).",
            dev[0] - dev[ALL],
            above(0),
            expected="inconclusive",
            note="Three interpolations, one after the other, blur images of 8 × 8 pixels; half a "
            "point is more than 20 seeds can tell.",
        ),
        statistical(
            "The best of these by dev error lowers the test error, looked at once (difference).",
            test[0] - test[_best(measurements)],
            above(0),
        ),
        statistical(
            "Mirroring digits raises the dev error (difference).",
            dev[MIRRORED] - dev[0],
            above(0),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
