"""The slopes that ReLU and leaky ReLU have at z = 0 in each framework: documented, and computed."""

import os
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.activations import ACTIVATIONS
from reference_numpy import activations as reference

SLOPE = 0.01

# What each framework documents or shows in its source: ReLU′(0), leaky ReLU′(0), and ReLU
# written as a maximum; None where it has no such function.
DOCUMENTED = {
    "jaxnet": (0.0, 1.0, None),
    "reference_numpy": (0.0, 1.0, None),
    "jax": (0.0, 1.0, 0.5),
    "scikit-learn": (0.0, None, None),
    "torch": (0.0, SLOPE, 1.0),
    "keras": (0.0, 1.0, None),
    "flax": (0.0, 1.0, None),
}
MODULES = {"scikit-learn": "sklearn", "torch": "torch", "keras": "keras", "flax": "flax"}


def slopes_at_zero(framework: str) -> tuple[float | None, ...] | None:
    """ReLU′(0), leaky ReLU′(0), maximum′(0) as the framework computes them; None if missing."""
    if framework in MODULES and find_spec(MODULES[framework]) is None:
        return None
    return {
        "jaxnet": lambda: _jax_slopes(ACTIVATIONS["relu"], ACTIVATIONS["leaky_relu"]),
        "reference_numpy": _reference_slopes,
        "jax": lambda: _jax_slopes(jax.nn.relu, jax.nn.leaky_relu, lambda z: jnp.maximum(z, 0)),
        "scikit-learn": _scikit_learn_slopes,
        "torch": _torch_slopes,
        "keras": _keras_slopes,
        "flax": _flax_slopes,
    }[framework]()


def _jax_slopes(
    relu: Callable[..., Any], leaky_relu: Callable[..., Any], maximum: Any = None
) -> tuple[float | None, ...]:
    functions = (relu, leaky_relu, maximum)
    return tuple(None if g is None else float(jax.grad(g)(0.0)) for g in functions)


def _reference_slopes() -> tuple[float | None, ...]:
    return float(reference.relu_derivative(0.0)), float(reference.leaky_relu_derivative(0.0)), None


def _scikit_learn_slopes() -> tuple[float | None, ...]:
    """It multiplies the gradient in place by the derivative at the layer's *output*."""
    gradient = np.ones(1)
    import_module("sklearn.neural_network._base").DERIVATIVES["relu"](np.zeros(1), gradient)
    return float(gradient[0]), None, None


def _torch_slopes() -> tuple[float | None, ...]:
    torch = import_module("torch")

    def slope(g: Callable[..., Any]) -> float:
        z = torch.zeros((), requires_grad=True)
        g(z).backward()
        return z.grad.item()

    leaky_relu = torch.nn.functional.leaky_relu
    return slope(torch.relu), slope(leaky_relu), slope(lambda z: torch.clamp(z, min=0))


def _keras_slopes() -> tuple[float | None, ...] | None:
    # Keras reads its backend from the environment when it is imported, and TensorFlow is its
    # default. On the others its functions differentiate as that framework does.
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = import_module("keras")
    if keras.backend.backend() != "jax":
        return None
    return _jax_slopes(keras.activations.relu, keras.activations.leaky_relu)


def _flax_slopes() -> tuple[float | None, ...]:
    linen = import_module("flax.linen")
    return _jax_slopes(linen.relu, linen.leaky_relu)
