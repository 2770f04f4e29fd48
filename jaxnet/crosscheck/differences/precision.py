"""Row 39: what is computed in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.differences.difference import (
    AGREE_IF,
    Check,
    Difference,
    agree,
    differ,
    is_default,
)
from jaxnet.crosscheck.differences.normalisation import KERAS_BOUND

TOPIC = "data and precision"


def _x() -> np.ndarray:
    return np.random.default_rng(11).standard_normal((7, 4)) * 2 + 1


# Row 39: precision.


def _casts() -> list[Check]:
    third = np.array([1 / 3])
    with jax.enable_x64(False):
        single = np.asarray(jnp.asarray(third))
    return [
        agree("under x64", jnp.asarray(third), third),
        is_default("JAX's dtype of a float64", str(single.dtype), "float32"),
        differ("without x64, by float64's bound", single.astype(np.float64), third),
        agree("without x64, the nearest float32", single, np.float32(third), bound=0.0),
    ]


def _schedule_floor() -> list[Check]:
    steps = np.arange(50)
    rate, decay, period = 0.3, 0.9, 7.0
    exponential = optax.exponential_decay(rate, 7, decay)
    polynomial = optax.polynomial_schedule(rate, 0.01, 2, 50)
    exact = {
        "exponential": rate * decay ** (steps / period),
        "polynomial": (rate - 0.01) * (1 - steps / 50) ** 2 + 0.01,
    }
    checks = []
    for name, schedule in (("exponential", exponential), ("polynomial", polynomial)):
        # optax counts updates in int32, and int32 divided by a number is float32.
        left = np.asarray(schedule(jnp.asarray(steps, jnp.int32)), np.float64)
        wide = np.asarray(schedule(jnp.asarray(steps, jnp.int64)), np.float64)
        # In float32: the quotient, the power of it and the product round once each, the constants
        # too.
        floor = 4 * 2.0**-24 * rate
        checks.append(agree(f"{name}, float32's bound", left, exact[name], bound=floor))
        checks.append(differ(f"{name}, float64's bound", left, exact[name], terms=10))
        checks.append(agree(f"{name} of an int64 count", wide, exact[name]))
    return checks


def _product_dtype() -> list[Check]:
    torch = frameworks.torch()
    theta = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.NAdam([theta])
    theta.grad = torch.ones(1, dtype=torch.float64)
    optimizer.step()
    product = optimizer.state[theta]["mu_product"]
    exact = 0.9 * (1 - 0.5 * 0.96**0.004)
    return [
        is_default("dtype of mu_product under float64", str(product.dtype), "torch.float32"),
        agree("by float32's bound", float(product), exact, bound=2.0**-24),
        differ("by float64's", float(product), exact, terms=10),
    ]


def _keras_layers() -> list[Check]:
    keras = frameworks.keras()
    z = _x()
    layer = keras.layers.BatchNormalization(dtype="float64", epsilon=1e-5)
    out = np.asarray(layer(z, training=True))
    exact = (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5)
    return [
        is_default("dtype of its result", str(out.dtype), "float64"),
        agree("by float32's bound", out, exact, bound=KERAS_BOUND),
        differ("by float64's", out, exact),
    ]


ROWS = (
    Difference(
        39, "a", TOPIC, {"JAX on a GPU": "TF32 products", "torch": "float32, 'highest'"},
        AGREE_IF + "default_matmul_precision='highest'", None,
        mapping="jax.default_matmul_precision('highest')", note="not run here: needs a GPU",
    ),
    Difference(
        39, "b", TOPIC, {"JAX": "float64 input becomes float32", "NumPy, torch": "float64"},
        AGREE_IF + "x64 is on", _casts, mapping="jax.enable_x64(True)",
    ),
    Difference(
        39, "c", TOPIC, {"optax schedules": "float32 under x64", "formula": "float64"},
        AGREE_IF + "judged by float32's bound, or given an int64 count", _schedule_floor,
        mapping="a closure, or jaxnet.schedules",
        note="the cause is optax' int32 count of updates: of an int64 count both are exact",
    ),
    Difference(
        39, "d", TOPIC, {"torch NAdam": "Πμ in float32", "formula": "float64"},
        AGREE_IF + "judged by float32's bound", _product_dtype, needs=("torch",),
        mapping="none",
    ),
    Difference(
        39, "e", TOPIC, {"keras normalisation layers": "float32", "dtype='float64'": "float64"},
        AGREE_IF + "judged by float32's bound", _keras_layers, needs=("keras",),
        mapping="keras.config.set_floatx('float64')",
        note="not in the written table: a layer of dtype float64 normalises in float32 while "
        "floatx is float32",
    ),
)  # fmt: skip
