"""Row 27: which axis of a kernel is the input."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import reference_numpy as ref
from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.differences.difference import (
    AGREE_IF,
    Check,
    Difference,
    agree,
    differ,
)

TOPIC = "initialisation and layout"

# Row 27: which axis is the input. Square, so that a wrong one goes unnoticed by shapes.


def _kernels() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(6)
    return rng.standard_normal((4, 4)), rng.standard_normal(4), rng.standard_normal((7, 4))


def _layout(layer: Callable[[np.ndarray], Any], transposed: bool) -> list[Check]:
    """layer: kernel ↦ its output for X, beside the textbook's W X + b with W (out, in)."""
    W, b, x = _kernels()
    Z = ref.mlp.forward([(W, b[:, None])], x.T, output="linear")[0].T
    right, wrong = (W.T, W) if transposed else (W, W.T)
    name = "W transposed" if transposed else "W as it is"
    return [agree(name, layer(right), Z), differ("the other way", layer(wrong), Z)]


def _layout_flax() -> list[Check]:
    from flax import linen

    _, b, x = _kernels()
    dense = linen.Dense(4, param_dtype=np.float64)
    return _layout(lambda k: dense.apply({"params": {"kernel": k, "bias": b}}, x), True)


def _layout_keras() -> list[Check]:
    _, b, x = _kernels()

    def layer(kernel):
        dense = frameworks.keras().layers.Dense(4, dtype="float64")
        dense.build((None, 4))
        dense.set_weights([kernel, b])
        return dense(x)

    return _layout(layer, True)


def _layout_sklearn() -> list[Check]:
    from sklearn.neural_network import MLPRegressor

    _, b, x = _kernels()

    def layer(kernel):
        network = MLPRegressor(hidden_layer_sizes=(), activation="identity", max_iter=1)
        network.partial_fit(x, x)
        network.coefs_, network.intercepts_ = [kernel], [b]
        return network.predict(x)

    return _layout(layer, True)


def _layout_torch() -> list[Check]:
    torch = frameworks.torch()
    _, b, x = _kernels()
    linear = torch.nn.functional.linear
    return _layout(lambda k: linear(torch.tensor(x), torch.tensor(k), torch.tensor(b)), False)


def _layout_equinox() -> list[Check]:
    equinox = frameworks.equinox()
    _, b, x = _kernels()
    linear = equinox.nn.Linear(4, 4, key=jax.random.key(0))

    def layer(kernel):
        filled = equinox.tree_at(lambda tree: (tree.weight, tree.bias), linear, (kernel, b))
        return jax.vmap(filled)(x)

    return _layout(layer, False)


TEXTBOOK_KERNEL = "W (out, in), examples as columns"

ROWS = (
    Difference(
        27, "a", TOPIC, {"flax": "kernel (in, out)", "textbook": TEXTBOOK_KERNEL},
        AGREE_IF + "transposed", _layout_flax, mapping="Wᵀ, Xᵀ", needs=("flax",),
    ),
    Difference(
        27, "b", TOPIC, {"keras": "kernel (in, out)", "textbook": TEXTBOOK_KERNEL},
        AGREE_IF + "transposed", _layout_keras, mapping="Wᵀ, Xᵀ", needs=("keras",),
    ),
    Difference(
        27, "c", TOPIC, {"scikit-learn": "coefs_ (in, out)", "textbook": TEXTBOOK_KERNEL},
        AGREE_IF + "transposed", _layout_sklearn, mapping="Wᵀ, Xᵀ", needs=("sklearn",),
    ),
    Difference(
        27, "d", TOPIC, {"torch": "weight (out, in), rows", "textbook": TEXTBOOK_KERNEL},
        AGREE_IF + "W is kept and X transposed", _layout_torch, mapping="W, Xᵀ", needs=("torch",),
    ),
    Difference(
        27, "e", TOPIC, {"equinox": "weight (out, in), one example", "textbook": TEXTBOOK_KERNEL},
        AGREE_IF + "W is kept and X transposed", _layout_equinox, mapping="W, Xᵀ",
        needs=("equinox",),
    ),
)  # fmt: skip
