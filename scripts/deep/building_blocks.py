"""A network of three layers as forward blocks with caches and backward blocks, and figure 40.

Networks with unequal widths and another activation in every layer, in float64: a forward block
gives A[l] and keeps a cache, a backward block turns dA[l] and the cache into dA[l−1], dW[l] and
db[l]; their results are held against jax.grad of jaxnet's layers, and against reference_numpy.
Then the backward equations of figure 40, as printed, corrected, and with one misprint at a time,
on networks of equal widths where all of them have the right shapes, against central differences.
Answers figures 38 to 40 of the notes.
"""

from collections.abc import Collection
from itertools import pairwise
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
from matplotlib.figure import Figure

from jaxnet import losses
from jaxnet.activations import ACTIVATIONS as JAX_ACTIVATIONS
from jaxnet.crosscheck import bounds, compare, layout
from jaxnet.gradcheck import CORRECT, WRONG, central_differences
from jaxnet.layers import dense
from reference_numpy import mlp
from reference_numpy.activations import ACTIVATIONS
from reference_numpy.gradient_check import relative_distance
from scripts.deep._blocks_drawing import draw_blocks, draw_distances
from scripts.harness import (
    Claim,
    above,
    at_most,
    between,
    exact,
    new_figure,
    run_alone,
)

TITLE = "Forward and backward blocks, and what figure 40 misprints"
NOTES_SECTION = "Building blocks of deep neural networks"
NOTES_FIGURES = (38, 39, 40)

SIZES, M = (5, 4, 3, 2), 7  # n[0] … n[3] and the number of examples
HIDDEN = ("tanh", "relu", "sigmoid")  # g[1], g[2], g[3]
EQUAL_SIZES = (4, 4, 4, 4)
SMOOTH = ("sigmoid", "tanh", "sigmoid")  # differences need no kinks; g[2]′ is not g[3]′

Arrays: TypeAlias = dict[str, np.ndarray]
Pairs: TypeAlias = list[tuple[np.ndarray, np.ndarray]]

# What figure 40 prints, beside what belongs there: name -> (printed, right).
MISPRINTS = {
    "1": ("dW[L] with A[L]ᵀ", "A[L−1]ᵀ"),
    "2a": ("dZ[L−1] with dW[L]ᵀ", "W[L]ᵀ"),
    "2b": ("dZ[L−1] with g′[L]", "g′[L−1]"),
    "3a": ("dZ[1] with dW[L]ᵀ", "W[2]ᵀ"),
    "3b": ("dW[1] with A[1]ᵀ", "A[0]ᵀ = Xᵀ"),
}


class Cache(NamedTuple):
    """What a forward block keeps for the backward block: Z[l], and A[l−1], which dW[l] needs."""

    A_prev: np.ndarray
    Z: np.ndarray


def forward_block(
    W: np.ndarray, b: np.ndarray, A_prev: np.ndarray, g: str
) -> tuple[np.ndarray, Cache]:
    """A[l] = g(Z[l]) of Z[l] = W[l] A[l−1] + b[l], and the cache."""
    Z = W @ A_prev + b
    return ACTIVATIONS[g][0](Z), Cache(A_prev, Z)


def backward_block(W: np.ndarray, dA: np.ndarray, cache: Cache, g: str) -> tuple[np.ndarray, ...]:
    """dA[l−1], dZ[l], dW[l] and db[l] from dA[l], the derivative of the summed losses by A[l]."""
    m = dA.shape[1]
    dZ = dA * ACTIVATIONS[g][1](cache.Z)
    dW = dZ @ cache.A_prev.T / m
    db = np.sum(dZ, axis=1, keepdims=True) / m
    return W.T @ dZ, dZ, dW, db


def by_blocks(params: Pairs, X: np.ndarray, Y: np.ndarray, activations: tuple[str, ...]) -> Arrays:
    """All arrays of a forward and a backward pass, by name: "A[0]" … "db[3]"."""
    A, caches, found = X, [], {"A[0]": X}
    for layer, ((W, b), g) in enumerate(zip(params, activations, strict=True), start=1):
        A, cache = forward_block(W, b, A, g)
        caches.append(cache)
        found |= {f"Z[{layer}]": cache.Z, f"A[{layer}]": A}
    dA = -(Y / A - (1 - Y) / (1 - A))
    for layer in range(len(params), 0, -1):
        found[f"dA[{layer}]"] = dA
        W, g = params[layer - 1][0], activations[layer - 1]
        dA, dZ, dW, db = backward_block(W, dA, caches[layer - 1], g)
        found |= {f"dZ[{layer}]": dZ, f"dW[{layer}]": dW, f"db[{layer}]": db}
    return found


def by_figure_40(
    params: Pairs,
    X: np.ndarray,
    Y: np.ndarray,
    activations: tuple[str, ...],
    misprints: Collection[str],
) -> Arrays:
    """dW and db of three layers by the equations of figure 40, with these of its misprints."""
    (W1, b1), (W2, b2), (W3, b3) = params
    (g1, g1_slope), (g2, g2_slope), (g3, g3_slope) = (ACTIVATIONS[g] for g in activations)
    m = X.shape[1]
    Z1 = W1 @ X + b1
    A1 = g1(Z1)
    Z2 = W2 @ A1 + b2
    A2 = g2(Z2)
    A3 = g3(W3 @ A2 + b3)

    dZ3 = A3 - Y
    dW3 = dZ3 @ (A3 if "1" in misprints else A2).T / m
    db3 = np.sum(dZ3, axis=1, keepdims=True) / m
    slope = g3_slope if "2b" in misprints else g2_slope
    dZ2 = (dW3 if "2a" in misprints else W3).T @ dZ3 * slope(Z2)
    dW2 = dZ2 @ A1.T / m
    db2 = np.sum(dZ2, axis=1, keepdims=True) / m
    dZ1 = (dW3 if "3a" in misprints else W2).T @ dZ2 * g1_slope(Z1)
    dW1 = dZ1 @ (A1 if "3b" in misprints else X).T / m
    db1 = np.sum(dZ1, axis=1, keepdims=True) / m
    return dict(zip(BACKWARD_ORDER, (dW3, db3, dW2, db2, dW1, db1), strict=True))


BACKWARD_ORDER = ("dW[3]", "db[3]", "dW[2]", "db[2]", "dW[1]", "db[1]")
VERSIONS = {
    "as printed": tuple(MISPRINTS),
    **{name: (name,) for name in MISPRINTS},
    "corrected": (),
}


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    count = 3 if quick else 20
    unequal = [_network(rng, SIZES) for _ in range(count)]
    equal = [_network(rng, EQUAL_SIZES) for _ in range(count)]
    with jax.enable_x64(True):
        by_jax = _by_jax(unequal)
        differences = _by_differences(equal)
    distances = [
        [
            _distances(by_figure_40(*network, SMOOTH, misprints), found)
            for network, found in zip(equal, differences, strict=True)
        ]
        for misprints in VERSIONS.values()
    ]
    return {
        "blocks_error": max(
            _over_bound(by_blocks(*network, HIDDEN), found, _bound(*network, HIDDEN))
            for network, found in zip(unequal, by_jax, strict=True)
        ),
        "reference_error": max(_reference_error(*network) for network in unequal),
        "distances": np.array(distances),  # (version, network, the six arrays and all of them)
        "same_cache": min(_same_cache(*network) for network in unequal),
        "misfits": [name for name in MISPRINTS if not _fits(*unequal[0], (name,))],
        "drawn": by_blocks(*unequal[0], HIDDEN),
    }


def _network(
    rng: np.random.Generator, sizes: tuple[int, ...]
) -> tuple[Pairs, np.ndarray, np.ndarray]:
    """Random params, X (n[0], M), and Y (n[L], M) of labels for every output unit."""
    params = [
        (rng.normal(size=(n, n_prev)), rng.normal(size=(n, 1))) for n_prev, n in pairwise(sizes)
    ]
    X = rng.normal(size=(sizes[0], M))
    return params, X, rng.integers(2, size=(sizes[-1], M)).astype(np.float64)


def _cost(params, offsets, x, y, activations: tuple[str, ...]):
    """Cross-entropy of sigmoid outputs, summed over the units, with offsets added to every Z."""
    a = z = x
    for layer, offset, g in zip(params, offsets, activations, strict=True):
        z = dense(layer, a) + offset
        a = JAX_ACTIVATIONS[g](z)
    of_unit = jax.vmap(losses.binary_cross_entropy, in_axes=1)(z, y)
    return losses.cost(of_unit.sum(axis=0))


def _stacked(networks: list[Any]) -> tuple[Any, ...]:
    """Params, offsets of zero, x and y in jaxnet's layout, networks along a leading axis."""
    converted = [
        (layout.layers(params, np.float64), layout.columns(X), layout.columns(Y))
        for params, X, Y in networks
    ]
    params, x, y = jax.tree.map(lambda *leaves: np.stack(leaves), *converted)
    offsets = tuple(np.zeros((*x.shape[:2], layer.b.shape[-1])) for layer in params)
    return params, offsets, x, y


def _by_jax(networks: list[Any]) -> list[Arrays]:
    """dZ, dW and db of every network by jax.grad; dZ as the gradient of offsets to Z, times m."""

    @jax.jit
    @jax.vmap
    def gradients(params, offsets, x, y):
        return jax.grad(_cost, argnums=(0, 1))(params, offsets, x, y, HIDDEN)

    grads, dzs = jax.tree.map(np.asarray, gradients(*_stacked(networks)))
    found = []
    for number in range(len(networks)):
        pairs = layout.pairs(jax.tree.map(itemgetter(number), grads))
        dZs = [M * layout.columns(dz[number]) for dz in dzs]
        found.append(_named(pairs) | {f"dZ[{i}]": dZ for i, dZ in enumerate(dZs, start=1)})
    return found


def _by_differences(networks: list[Any]) -> list[Arrays]:
    """dW and db of every network by central differences of jaxnet's cost."""

    @jax.jit
    @jax.vmap
    def differences(params, offsets, x, y):
        return central_differences(lambda p: _cost(p, offsets, x, y, SMOOTH), params)

    slopes = jax.tree.map(np.asarray, differences(*_stacked(networks)))
    return [
        _named(layout.pairs(jax.tree.map(itemgetter(number), slopes)))
        for number in range(len(networks))
    ]


def _named(grads: Pairs) -> Arrays:
    return {
        f"{name}[{layer}]": array
        for layer, pair in enumerate(grads, start=1)
        for name, array in zip(("dW", "db"), pair, strict=True)
    }


def _distances(found: Arrays, right: Arrays) -> list[float]:
    """The notes' relative distance of every array, and of all of them as one vector."""
    each = [relative_distance(array, right[name]) for name, array in found.items()]
    flat = (np.concatenate([arrays[n].ravel() for n in found]) for arrays in (found, right))
    return [*each, relative_distance(*flat)]


def _bound(params: Pairs, X: np.ndarray, Y: np.ndarray, activations: tuple[str, ...]) -> Arrays:
    """How far two computations in float64 may be apart, entry by entry, by running analysis."""
    A, Zs, inputs = bounds.bounded(X), [], []
    for (W, b), g in zip(params, activations, strict=True):
        inputs.append(A)
        Zs.append(bounds.dense(W, A, b))
        A = bounds.activation(g, Zs[-1])
    dA = (1 - Y) / (1 - A) - Y / A
    errors = {}
    for layer in range(len(params), 0, -1):
        dZ = dA * bounds.derivative(activations[layer - 1], Zs[layer - 1])
        errors[f"dZ[{layer}]"] = dZ.error
        errors[f"dW[{layer}]"] = (dZ @ inputs[layer - 1].T / M).error
        errors[f"db[{layer}]"] = bounds.mean(dZ, axis=1).error
        dA = bounds.bounded(params[layer - 1][0].T) @ dZ
    return {name: bounds.tolerance(error, float, float) for name, error in errors.items()}


def _over_bound(blocks: Arrays, found: Arrays, bound: Arrays) -> float:
    """Largest disagreement in units of the bound for its entry."""
    blocks = {name: blocks[name] for name in found}
    bound = {name: bound[name] for name in found}
    return max(leaf.ratio for leaf in compare(blocks, found, bound=bound).leaves)


def _reference_error(params: Pairs, X: np.ndarray, Y: np.ndarray) -> float:
    """The blocks with tanh in all hidden layers against reference_numpy, over the bound."""
    activations = ("tanh", "tanh", "sigmoid")
    _, caches = mlp.forward(params, X, hidden="tanh")
    found = _named(mlp.backward(params, caches, Y))
    found |= {f"dZ[{i}]": dZ for i, dZ in enumerate(mlp.deltas(params, caches, Y), start=1)}
    blocks = by_blocks(params, X, Y, activations)
    return _over_bound(blocks, found, _bound(params, X, Y, activations))


def _same_cache(params: Pairs, X: np.ndarray, Y: np.ndarray) -> float:
    """Distance of dW[1] for two inputs with one Z[1], apart by the null space of W[1].

    0 if their Z[1] are not the same after all.
    """
    null = np.linalg.svd(params[0][0])[2][-1:].T
    one, other = (by_blocks(params, A, Y, HIDDEN) for A in (X, X + null))
    if not np.allclose(one["Z[1]"], other["Z[1]"], rtol=0, atol=1e-12):
        return 0.0
    return relative_distance(one["dW[1]"], other["dW[1]"])


def _fits(params: Pairs, X: np.ndarray, Y: np.ndarray, misprints: Collection[str]) -> bool:
    """Whether figure 40 with these misprints gives every W a dW of its own shape."""
    try:
        found = by_figure_40(params, X, Y, HIDDEN, misprints)
    except ValueError:
        return False
    return all(found[f"dW[{i}]"].shape == W.shape for i, (W, _) in enumerate(params, start=1))


def draw(measurements: dict[str, Any]) -> Figure:
    figure, axes = new_figure(
        2,
        1,
        height=8.4,
        height_ratios=(1, 1),
        title="Blocks backpropagate exactly; figure 40 as printed does not",
    )
    draw_blocks(axes[0], measurements["drawn"], HIDDEN)
    versions = ["all as printed", *(printed for printed, _ in MISPRINTS.values()), "corrected"]
    draw_distances(axes[1], measurements["distances"], versions, [*BACKWARD_ORDER, "all"])
    return figure


def claims(measurements: dict[str, Any]) -> list[Claim]:
    totals = dict(zip(VERSIONS, measurements["distances"][:, :, -1], strict=True))
    found = [
        exact(
            "Block by block, dZ, dW and db of all layers are those of jax.grad, from figure 39's "
            "dA[L] on (largest disagreement over the rounding bound).",
            measurements["blocks_error"],
            at_most(1),
        ),
        exact(
            "With tanh in the hidden layers the blocks give what the reference gives (largest "
            "disagreement over the rounding bound).",
            measurements["reference_error"],
            at_most(1),
        ),
        exact(
            "Z[l] alone, the cache of figure 38, does not determine dW[l], which takes A[l−1] as "
            "well: two inputs with one Z[1] have different dW[1] (least relative distance).",
            measurements["same_cache"],
            above(WRONG),
        ),
        exact(
            "The backward equations of figure 40 as printed give the gradient to better than what "
            "the notes call wrong (least relative distance to central differences).",
            totals["as printed"].min(),
            at_most(WRONG),
            expected="refuted",
            note="It has A[L] for A[L−1], dW[L] for W[L] and W[2], g′[L] for g′[L−1] and A[1] for "
            "A[0].",
        ),
    ]
    for name, (printed, right) in MISPRINTS.items():
        found.append(
            exact(
                f"With all else corrected, {printed} gives the gradient to better than what the "
                "notes call wrong (least relative distance).",
                totals[name].min(),
                at_most(WRONG),
                expected="refuted",
                note=f"It should be {right}: erratum {name[0]}.",
            )
        )
    found += [
        exact(
            "The corrected equations pass the gradient check (largest relative distance).",
            totals["corrected"].max(),
            at_most(CORRECT),
        ),
        exact(
            "Three of the five misprints do not even fit the shapes once the widths differ; the "
            "others need a gradient check.",
            len(measurements["misfits"]),
            between(3, 3),
            note=f"Those of {', '.join(MISPRINTS[name][0] for name in measurements['misfits'])}.",
        ),
    ]
    return found


if __name__ == "__main__":
    run_alone(__file__)
