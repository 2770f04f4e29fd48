"""Second moments of Z and gradients layer by layer under each initialization: 50 layers.

The widths alternate between 384 and 448, so that Xavier's variance 1/n_in and Glorot's
2/(n_in + n_out) differ. Weights of standard deviation 0.01, Xavier, He, Glorot, and the formula as
printed under Bengio's name, sqrt(2/n[l-1]*n[l]), whose variance is 2 n[l]/n[l−1]; tanh and ReLU.
All schemes scale the same normal numbers; inputs are normal; the cost is linear in the last layer,
so that the gradients show the network alone. Answers the code on initialization.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import diagnostics
from jaxnet.activations import ACTIVATIONS
from jaxnet.crosscheck import layout
from jaxnet.initializers import INITIALIZERS
from jaxnet.layers import Layer
from reference_numpy import mlp as reference
from scripts.harness import (
    Claim,
    at_least,
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
from scripts.practice._deep import Pairs, depth_statistics, draw_pairs

TITLE = "What each initialization does in 50 layers"
NOTES_SECTION = "Vanishing / Exploding gradients"
NOTES_FIGURES = ()

DEPTH, WIDTHS = 50, (384, 448)
EXAMPLES = 4
SCHEMES = ("0.01", "xavier", "he", "glorot", "printed")
LABELS = ("0.01", "Xavier", "He", "Glorot", "as printed")
HIDDEN = ("tanh", "relu")


def variance(scheme: str, n_in: int, n_out: int) -> float:
    """Variance of a weight."""
    return {
        "0.01": 0.01**2,
        "xavier": 1 / n_in,
        "he": 2 / n_in,
        "glorot": 2 / (n_in + n_out),
        "printed": 2 / n_in * n_out,
    }[scheme]


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    keys = seed_keys(key, quick)
    drawn = _drawn(keys)
    with jax.enable_x64(True):
        found = jax.device_get(_all(keys))
        return {
            name: {field: np.moveaxis(each, 0, 1) for field, each in statistics.items()}
            for name, statistics in found.items()
        } | {"apart": _apart(keys[0]), "drawn": drawn}


@jax.jit
def _all(keys: jax.Array) -> dict[str, Any]:
    """By activation, the statistics (seeds, schemes, layers)."""
    scales = Pairs(
        *(
            jnp.array([np.sqrt(variance(scheme, *sizes)) for scheme in SCHEMES])
            for sizes in (WIDTHS, WIDTHS[::-1])
        )
    )

    def member(key):
        w_key, x_key, direction_key = jax.random.split(key, 3)
        pairs = draw_pairs(w_key, DEPTH // 2, WIDTHS)
        x = jax.random.normal(x_key, (EXAMPLES, WIDTHS[0]))
        direction = jax.random.normal(direction_key, (WIDTHS[0],)) / np.sqrt(WIDTHS[0])

        def of(scale):
            return {
                name: depth_statistics(pairs, scale, x, direction, ACTIVATIONS[name])._asdict()
                for name in HIDDEN
            }

        return lax.map(of, scales)

    return lax.map(member, keys)


def _drawn(keys: jax.Array) -> dict[str, np.ndarray]:
    """Variance of the library's own draws beside the scheme's, (seeds,) by scheme."""

    def member(key):
        return {
            scheme: INITIALIZERS[scheme](key, *WIDTHS).var() / variance(scheme, *WIDTHS)
            for scheme in ("xavier", "he", "glorot")
        }

    return jax.device_get(jax.jit(lambda keys: lax.map(member, keys))(keys))


def _apart(key: jax.Array) -> dict[str, float]:
    """Largest relative difference of a small tanh network from the library and the reference."""
    widths, pairs, m = (8, 10), 2, 5
    scale, name = 1 / 3, "tanh"

    @jax.jit
    def program(key):
        w_key, x_key = jax.random.split(key)
        normals = draw_pairs(w_key, pairs, widths)
        x = jax.random.normal(x_key, (m, widths[0]))
        direction = jnp.arange(1.0, widths[0] + 1)
        layers = [
            Layer(scale * w.astype(x.dtype), jnp.zeros(w.shape[1]))
            for both in zip(normals.there, normals.back, strict=True)
            for w in both
        ]
        # The same linear cost: a last layer of one unit without loss of its own.
        layers.append(Layer(direction[:, None], jnp.zeros(1)))
        ours = depth_statistics(normals, Pairs(scale, scale), x, direction, ACTIVATIONS[name])
        library = diagnostics.depth_statistics(
            tuple(layers), (), x, jnp.zeros(m), activation=name, loss=lambda z, y: z + 0 * y
        )
        return ours, (library.z_second_moment[:-1], library.dz_norm[:-1]), layers, x

    ours, library, layers, x = jax.device_get(program(key))
    params = layout.pairs(layers)
    _, caches = reference.forward(params, x.T, hidden=name, output="linear")
    dZs = reference.deltas(params, caches, caches[-1].A - 1)  # dZ of the last layer is 1
    others = {
        "library": library,
        "reference": (
            [np.mean(cache.Z**2) for cache in caches[:-1]],
            [np.linalg.norm(dZ) / m for dZ in dZs[:-1]],
        ),
    }
    return {
        other: float(np.abs(np.array(ours) / np.array(values) - 1).max())
        for other, values in others.items()
    }


def _factor(values: np.ndarray) -> np.ndarray:
    """Geometric mean over the layers of the factor from one layer to the next, (seeds,)."""
    return (values[:, -1] / values[:, 0]) ** (1 / (values.shape[1] - 1))


def draw(measurements: dict[str, Any]) -> Figure:
    kept = _factor(measurements["relu"]["second_moment"][SCHEMES.index("he")]).mean()
    figure, axes = new_figure(
        2,
        2,
        height=7.4,
        title=f"He keeps ReLU's second moment (factor {kept:.2f} a layer), Xavier halves it; "
        "0.01 vanishes\nand the printed formula explodes",
        sharex=True,
    )
    names = {"tanh": "tanh", "relu": "ReLU"}
    for column, hidden in enumerate(HIDDEN):
        found = measurements[hidden]
        _by_layer(axes[0, column], found["second_moment"])
        _by_layer(axes[1, column], found["dz_norm"])
        axes[0, column].set(title=f"{names[hidden]}: second moment of Z", ylabel="mean of Z²")
        axes[1, column].set(
            title=f"{names[hidden]}: gradient", xlabel="layer l", ylabel="‖dZ[l]‖, linear cost"
        )
    axes[0, 0].legend(fontsize=9, ncols=2, loc="lower left")
    seeds = measurements["tanh"]["dz_norm"].shape[1]
    figure.supxlabel(
        f"{DEPTH} layers, widths {WIDTHS[0]} and {WIDTHS[1]} in turn; median and range of {seeds} "
        "seeds. Printed: standard deviation sqrt(2/n[l-1]*n[l]).",
        fontsize=9.5,
    )
    return figure


def _by_layer(ax: Axes, values: np.ndarray) -> None:
    layers = np.arange(1, DEPTH + 1)
    for each, label, style in zip(values, LABELS, series(len(SCHEMES)), strict=True):
        spread(ax, layers, each, label=label, band="range", **style)
    ax.set(yscale="log")


def claims(measurements: dict[str, Any]) -> list[Claim]:
    relu, tanh = measurements["relu"], measurements["tanh"]
    moment = {s: relu["second_moment"][i] for i, s in enumerate(SCHEMES)}
    tanh_moment = {s: tanh["second_moment"][i] for i, s in enumerate(SCHEMES)}
    gradient = {s: relu["dz_norm"][i] for i, s in enumerate(SCHEMES)}
    tanh_gradient = {s: tanh["dz_norm"][i] for i, s in enumerate(SCHEMES)}
    geometric = float(np.sqrt(WIDTHS[0] * WIDTHS[1]))

    def log_range(values: np.ndarray) -> np.ndarray:
        """log₂ of the mean over seeds, layer by layer, beside the first layer."""
        mean = values.mean(axis=0)
        return np.abs(np.log2(mean / mean[0])).max()

    return [
        exact(
            "Scan and library agree on second moments and gradients of a small network (largest "
            "relative difference, float64).",
            measurements["apart"]["library"],
            at_most(1e-12),
        ),
        exact(
            "So do scan and reference.",
            measurements["apart"]["reference"],
            at_most(1e-12),
        ),
        statistical(
            "Xavier, He and Glorot draw weights of the variances said (ratio, mean of the three).",
            np.mean([each for each in measurements["drawn"].values()], axis=0),
            between(0.99, 1.01),
        ),
        statistical(
            "He keeps ReLU's second moment within a factor of 2 through 50 layers (largest factor "
            "of the mean over seeds, log₂).",
            moment["he"],
            at_most(1),
            method="bootstrap",
            statistic=log_range,
        ),
        statistical(
            "He's gradient keeps its size too, within a factor of 2 from the last layer to the "
            "first (log₂ of the ratio of ‖dZ‖).",
            np.log2(gradient["he"][:, 0] / gradient["he"][:, -1]),
            between(-1, 1),
        ),
        statistical(
            "Xavier halves ReLU's second moment at every layer (factor a layer).",
            _factor(moment["xavier"]),
            between(0.45, 0.55),
        ),
        statistical(
            "Glorot halves it as well, since the widths are nearly equal (factor a layer).",
            _factor(moment["glorot"]),
            between(0.45, 0.55),
        ),
        statistical(
            "A standard deviation of 0.01 vanishes with ReLU: the second moment shrinks tenfold a "
            "layer or faster (factor a layer).",
            _factor(moment["0.01"]),
            at_most(0.1),
        ),
        statistical(
            "It vanishes with tanh: tenfold in four layers or faster (factor a layer).",
            _factor(tanh_moment["0.01"]),
            at_most(10**-0.25),
        ),
        statistical(
            "Its gradient vanishes on the way back: ‖dZ[1]‖ is below 1e-20 of ‖dZ[L]‖ with ReLU "
            "(log₁₀ of the ratio).",
            np.log10(gradient["0.01"][:, 0] / gradient["0.01"][:, -1]),
            at_most(-20),
        ),
        statistical(
            "Xavier keeps tanh alive: the second moment shrinks by less than 5 % a layer from "
            "layer 25 on (factor a layer).",
            _factor(tanh_moment["xavier"][:, DEPTH // 2 :]),
            at_least(0.95),
        ),
        statistical(
            "And its gradient: on the way back it changes by less than 10 % a layer (factor a "
            "layer).",
            1 / _factor(tanh_gradient["xavier"]),
            between(0.9, 1.1),
        ),
        statistical(
            "The formula as printed gains a factor n[l] per ReLU layer (factor a layer over the "
            f"mean width {geometric:.0f}).",
            _factor(moment["printed"]) / geometric,
            between(0.9, 1.1),
        ),
        statistical(
            "With tanh it saturates every unit (mean of Z² in the last layer, at least 100, where "
            "tanh has slopes of 1e-8).",
            tanh_moment["printed"][:, -1],
            at_least(100),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
