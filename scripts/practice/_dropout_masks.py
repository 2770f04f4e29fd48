"""What dropout's masks do to a network's units: drawn once, and in the mean over many."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from matplotlib.axes import Axes

from jaxnet import Dataset, losses, mlp
from jaxnet.crosscheck import layout
from jaxnet.layers import dropout_mask
from jaxnet.models import forward_pass
from reference_numpy import mlp as reference
from reference_numpy.gradient_check import flatten
from scripts.harness import COLOURS, INK, series
from scripts.practice import _digits as digits
from scripts.practice._random_network import random_params

# The network on whose units the masks are drawn, and the keep_prob of each hidden layer.
SIZES, PER_LAYER = (digits.PIXELS, 32, 16, digits.CLASSES), (0.5, 0.8)
MASKS = 4_000


def mask_means(keys: jax.Array, whole: Dataset) -> dict[str, Any]:
    """Means over masks of the units of both hidden layers, each under its own layer's dropout."""
    first_only, second_only = (PER_LAYER[0], 1.0), (1.0, PER_LAYER[1])

    def member(key):
        example_key, init_key, *mask_keys = jax.random.split(key, 4)
        params = random_params(init_key, SIZES, gain=2.0)
        row = jax.random.randint(example_key, (), 0, digits.EXAMPLES)
        many = jnp.broadcast_to(whole.x[row], (MASKS, digits.PIXELS))
        plain = forward_pass(params, (), many[:1])

        def dropped(keep, key):
            return forward_pass(params, (), many, keep_prob=keep, key=key, train=True)

        first, second = dropped(first_only, mask_keys[0]), dropped(second_only, mask_keys[1])
        logits = [
            mlp(SIZES, keep_prob=keep).apply(params, (), whole.x[:100], key=key)[0]
            for keep, key in (((1.0, 1.0), None), (PER_LAYER, mask_keys[0]))
        ]
        undropped = [plain.activations[1][0], plain.activations[2][0]]
        means = [first.activations[1].mean(axis=0), second.activations[2].mean(axis=0)]
        return {
            "undropped": undropped,
            "mean": means,
            # Inverted dropout divided by keep_prob; taken back, it is the unscaled one.
            "unscaled": [mean * keep for mean, keep in zip(means, PER_LAYER, strict=True)],
            "behind": first.activations[2].mean(axis=0).sum() / undropped[1].sum() - 1,
            "evaluated": (logits[0] != logits[1]).sum(),
        }

    return jax.device_get(jax.jit(lambda keys: lax.map(member, keys))(keys))


def one_mask(key: jax.Array, whole: Dataset) -> dict[str, Any]:
    """One mask on the network, and its cost and gradients beside the reference's, in float64."""
    with jax.enable_x64(True):
        x = jnp.asarray(np.asarray(whole.x[:1], np.float64))
        y = whole.y[:1]

        @jax.jit
        def both():
            init_key, mask_key = jax.random.split(key)
            params = random_params(init_key, SIZES, gain=2.0)

            def cost(params):
                forward = forward_pass(params, (), x, keep_prob=PER_LAYER, key=mask_key, train=True)
                return losses.softmax_cross_entropy(forward.zs[-1], y).mean(), forward

            (value, forward), grads = jax.value_and_grad(cost, has_aux=True)(params)
            masks = [
                dropout_mask(jax.random.fold_in(mask_key, index), (1, n), keep)
                for index, (n, keep) in enumerate(zip(SIZES[1:-1], PER_LAYER, strict=True))
            ]
            return params, value, grads, masks, forward.activations

        params, value, grads, masks, activations = jax.device_get(both())
    pairs, X = layout.pairs(params), layout.columns(x)
    Y = layout.one_hot(y, digits.CLASSES)
    options: dict[str, Any] = {"output": "softmax", "masks": [mask.T for mask in masks]}
    _, caches = reference.forward(pairs, X, keep_prob=PER_LAYER, **options)
    expected = flatten(reference.backward(pairs, caches, Y))
    apart = np.abs(flatten(layout.pairs(grads)) - expected).max() / np.abs(expected).max()
    expected_cost = reference.cost(pairs, X, Y, keep_prob=PER_LAYER, **options)
    return {
        "drawn_masks": [mask[0] for mask in masks],
        "drawn_activations": [a[0] for a in activations],
        "reference_apart": max(float(apart), abs(float(value / expected_cost) - 1)),
    }


def draw_network(ax: Axes, measurements: dict[str, Any]) -> None:
    """The network with the units that one mask of the library leaves out."""
    masks = measurements["drawn_masks"]
    units = [mask.size for mask in masks]
    image = measurements["drawn_activations"][0].reshape(8, 8)
    ax.imshow(image, cmap="gray_r", extent=(-1.15, -0.35, 0.3, 0.7), aspect="auto")
    layers = [np.linspace(1, 0, n) for n in (*units, digits.CLASSES)]
    kept = [*masks, np.ones(digits.CLASSES, bool)]
    starts = [(np.full(layers[0].size, 0.5), np.ones(layers[0].size, bool), -0.35)]
    starts += [(layer, on, x) for x, (layer, on) in enumerate(zip(layers, kept, strict=True))]
    for left, right in itertools.pairwise(starts):
        from_input = left[2] < 0
        for i, y0 in enumerate(left[0]):
            for j, y1 in enumerate(right[0]):
                if (from_input and i != j) or not (left[1][i] and right[1][j]):
                    continue
                ax.plot([left[2], right[2]], [y0, y1], color="0.75", linewidth=0.4, zorder=1)
    names = [f"keep\n{keep:g}" for keep in PER_LAYER] + ["output"]
    for x, (layer, on, name) in enumerate(zip(layers, kept, names, strict=True)):
        ax.scatter(np.full(on.sum(), x), layer[on], s=26, color=INK, zorder=3)
        ax.scatter(np.full((~on).sum(), x), layer[~on], s=26, marker="x", color=COLOURS[3])
        ax.text(x, -0.06, name, ha="center", va="top", fontsize=9)
    ax.text(-0.75, 0.27, "64 pixels", ha="center", va="top", fontsize=9)
    ax.set(xlim=(-1.3, 2.4), ylim=(-0.24, 1.05), title="One mask on the network")
    ax.set_axis_off()


def draw_means(ax: Axes, measurements: dict[str, Any]) -> None:
    styles = series(2)
    for layer, (style, marker) in enumerate(zip(styles, "os", strict=True)):
        undropped = measurements["undropped"][layer].ravel()
        keep = PER_LAYER[layer]
        for name, filled in (("mean", True), ("unscaled", False)):
            ax.plot(
                undropped,
                measurements[name][layer].ravel(),
                marker,
                color=style["color"],
                markersize=4,
                fillstyle="full" if filled else "none",
                label=f"layer {layer + 1}, {keep:g}" + (", rescaled" if filled else ""),
            )
    end = max(measurements["undropped"][layer].max() for layer in range(2))
    for slope in (1, *PER_LAYER):
        ax.plot([0, end], [0, slope * end], color="0.5", linewidth=0.8, zorder=0)
    ax.set(
        title=f"Means over {MASKS:,} masks",
        xlabel="activation without dropout (no unit)",
        ylabel="mean of the unit over masks",
    )
    ax.legend(fontsize=8)
