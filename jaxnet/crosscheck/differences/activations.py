"""Rows 17 to 22: derivatives at kinks and ties, default slopes, and two approximations."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.differences.difference import (
    AGREE,
    AGREE_IF,
    CANNOT,
    Check,
    Difference,
    agree,
    default,
    differ_as_predicted,
)

TOPIC = "activations"
AWAY = np.array([-3.0, -1.0, -1e-3, 1e-3, 0.5, 2.0])
"""No kink among them."""


def _by_jax(f: Callable[..., Any], x: Any) -> np.ndarray:
    """Gradient of Σ f."""
    return np.asarray(jax.grad(lambda z: jnp.sum(f(z)))(jnp.asarray(x, float)))


def _by_torch(f: Callable[..., Any], x: Any) -> np.ndarray:
    z = frameworks.torch().tensor(np.array(x, float), requires_grad=True)
    f(z).sum().backward()
    return z.grad.numpy()


def _at_zero(
    left: Callable[[Any], np.ndarray], right: Callable[[Any], np.ndarray],
    left_slope: float, right_slope: float,
) -> list[Check]:  # fmt: skip
    """Two derivatives that differ at 0 and nowhere else."""
    zero = np.zeros(1)
    return [
        agree("away from 0", left(AWAY), right(AWAY)),
        differ_as_predicted("at 0", left(zero), right(zero), [left_slope], [right_slope]),
    ]


# Row 17: ReLU.


def _relu_jax() -> list[Check]:
    return _at_zero(
        partial(_by_jax, jax.nn.relu), partial(_by_jax, lambda z: jnp.maximum(z, 0)), 0.0, 0.5
    )


def _relu_torch() -> list[Check]:
    torch = frameworks.torch()
    return _at_zero(
        partial(_by_torch, torch.relu), partial(_by_torch, lambda z: z.clamp(min=0)), 0.0, 1.0
    )


def _relu_conventions(*others: Callable[[Any], np.ndarray]) -> list[Check]:
    """ReLU′ where all take 0 at 0."""
    x = np.append(AWAY, 0.0)
    right = _by_jax(jax.nn.relu, x)
    return [agree("ReLU′ at 0 too", other(x), right) for other in others]


def _relu_agrees_torch() -> list[Check]:
    return _relu_conventions(partial(_by_torch, frameworks.torch().relu))


def _relu_agrees_keras() -> list[Check]:
    return _relu_conventions(partial(_by_jax, frameworks.keras().activations.relu))


def _relu_agrees_sklearn() -> list[Check]:
    from sklearn.neural_network._base import inplace_relu, inplace_relu_derivative

    def slope(z):
        a, delta = np.array(z), np.ones(len(z))
        inplace_relu(a)
        inplace_relu_derivative(a, delta)
        return delta

    return _relu_conventions(slope)


# Row 18: |x|.


def _absolute() -> list[Check]:
    torch = frameworks.torch()
    return [
        *_at_zero(partial(_by_jax, jnp.abs), partial(_by_torch, torch.abs), 1.0, 0.0),
        agree("sign(x) against torch", np.sign([0.0]), _by_torch(torch.abs, [0.0])),
        agree(
            "x·sign(x) with the sign held fixed",
            _by_jax(lambda x: x * jax.lax.stop_gradient(jnp.sign(x)), [0.0]),
            _by_torch(torch.abs, [0.0]),
        ),
    ]


# Row 19: leaky ReLU.


def _leaky_slopes() -> list[Check]:
    keras = frameworks.keras()
    right = np.asarray(jax.nn.leaky_relu(jnp.asarray(AWAY)))

    def passed(slope):
        return np.where(AWAY >= 0, AWAY, slope * AWAY)

    function = keras.activations.leaky_relu
    layer = keras.layers.LeakyReLU(dtype="float64")
    given = keras.layers.LeakyReLU(negative_slope=0.01, dtype="float64")
    return [
        agree("slope 0.01 given to the function", function(AWAY, negative_slope=0.01), right),
        # The layer holds its slope in the layer's dtype.
        agree("slope 0.01 given to the layer", given(AWAY), right),
        differ_as_predicted("function's default", function(AWAY), right, passed(0.2), passed(0.01)),
        differ_as_predicted("layer's default", layer(AWAY), right, passed(0.3), passed(0.01)),
        default("keras.activations", function, "negative_slope", 0.2),
        default("keras.layers.LeakyReLU", keras.layers.LeakyReLU, "negative_slope", 0.3),
        default("jax.nn.leaky_relu", jax.nn.leaky_relu, "negative_slope", 0.01),
    ]


def _leaky_torch() -> list[Check]:
    leaky = frameworks.torch().nn.functional.leaky_relu
    return [
        *_at_zero(partial(_by_jax, jax.nn.leaky_relu), partial(_by_torch, leaky), 1.0, 0.01),
        default("torch's slope", frameworks.torch().nn.LeakyReLU, "negative_slope", 0.01),
    ]


# Row 20: GELU.


def _gelu_exact(z: Any) -> np.ndarray:
    z = np.asarray(z)
    return z * (1 + special.erf(z / np.sqrt(2))) / 2


def _gelu_tanh(z: Any) -> np.ndarray:
    z = np.asarray(z)
    return z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


ONE = np.array([1.0])


def _gelu(exact: Any, approximate: Any, default_is_exact: bool, plain: Any) -> list[Check]:
    """Of a framework: both forms when asked, and its default; against JAX's."""
    by_default = _gelu_exact if default_is_exact else _gelu_tanh
    other = jax.nn.gelu(jnp.asarray(ONE), approximate=default_is_exact)
    of_other = _gelu_tanh if default_is_exact else _gelu_exact
    return [
        agree("exact, as asked", exact(AWAY), jax.nn.gelu(jnp.asarray(AWAY), approximate=False)),
        agree("tanh, as asked", approximate(AWAY), jax.nn.gelu(jnp.asarray(AWAY))),
        differ_as_predicted(
            "the default at 1 against JAX's other form", plain(ONE), other, by_default(ONE),
            of_other(ONE),
        ),
    ]  # fmt: skip


def _gelu_torch() -> list[Check]:
    torch = frameworks.torch()

    def gelu(form, z):
        options = {} if form is None else {"approximate": form}
        return torch.nn.functional.gelu(torch.tensor(np.array(z)), **options).numpy()

    return [
        *_gelu(partial(gelu, "none"), partial(gelu, "tanh"), True, partial(gelu, None)),
        default("approximate of jax.nn.gelu", jax.nn.gelu, "approximate", True),
    ]


def _gelu_keras_ops() -> list[Check]:
    gelu = frameworks.keras().ops.gelu
    return _gelu(
        lambda z: gelu(jnp.asarray(z), approximate=False),
        lambda z: gelu(jnp.asarray(z), approximate=True),
        False,
        lambda z: gelu(jnp.asarray(z)),
    )


def _gelu_keras_activations() -> list[Check]:
    gelu = frameworks.keras().activations.gelu
    return _gelu(
        lambda z: gelu(jnp.asarray(z), approximate=False),
        lambda z: gelu(jnp.asarray(z), approximate=True),
        True,
        lambda z: gelu(jnp.asarray(z)),
    )


# Row 21: boundaries and ties.

TIES = np.array([1.0, 3.0, 3.0, 2.0])


def _clip() -> list[Check]:
    inside, edge = np.array([-2.0, 0.3, 2.0]), np.array([-1.0, 1.0])
    left = partial(_by_jax, lambda z: jnp.clip(z, -1, 1))
    right = partial(_by_torch, lambda z: z.clamp(-1, 1))
    return [
        agree("away from the boundary", left(inside), right(inside)),
        differ_as_predicted("on it", left(edge), right(edge), [0.5, 0.5], [1.0, 1.0]),
    ]


def _max_ties() -> list[Check]:
    split, first = [0.0, 0.5, 0.5, 0.0], [0.0, 1.0, 0.0, 0.0]
    by_jax = _by_jax(jnp.max, TIES)
    return [
        agree("torch.amax", _by_torch(lambda z: z.amax(), TIES), by_jax),
        differ_as_predicted(
            "torch.max(dim)", by_jax, _by_torch(lambda z: z.max(dim=0).values, TIES), split, first
        ),
    ]


def _constant(jax_function: Any, torch_function: Any, at: np.ndarray) -> list[Check]:
    """Derivatives of a norm where it is 0: the root's infinite slope times 0."""
    away = np.array([1.0, 2.0, 4.0])
    nan, zero = np.full(len(at), np.nan), np.zeros(len(at))
    return [
        agree("elsewhere", _by_jax(jax_function, away), _by_torch(torch_function, away)),
        differ_as_predicted(
            "where it is 0", _by_jax(jax_function, at), _by_torch(torch_function, at), nan, zero
        ),
    ]


def _norm() -> list[Check]:
    return _constant(jnp.linalg.norm, lambda z: z.norm(), np.zeros(3))


def _std() -> list[Check]:
    return _constant(jnp.std, lambda z: z.std(correction=0), np.full(3, 2.0))


# Row 22: softplus.


def _softplus() -> list[Check]:
    softplus = frameworks.torch().nn.functional.softplus
    tensor = frameworks.torch().tensor
    below, beyond = np.array([-5.0, 0.0, 19.0]), np.array([20.5, 22.0])
    right = np.asarray(jax.nn.softplus(jnp.asarray(beyond)))
    # Beyond the threshold torch's e^−z is missing: 1e-9 beside 20, far above rounding, 4e-15.
    return [
        agree("up to 20", softplus(tensor(below)), jax.nn.softplus(jnp.asarray(below))),
        agree("threshold=40", softplus(tensor(beyond), threshold=40), right, terms=10),
        differ_as_predicted(
            "beyond 20", softplus(tensor(beyond)), right, beyond, beyond + np.exp(-beyond),
            terms=10,
        ),
        default("threshold", frameworks.torch().nn.Softplus, "threshold", 20.0),
    ]  # fmt: skip


EXACT, TANH = "z·Φ(z): 0.84134 at 1", "½z(1 + tanh(√(2/π)(z + 0.044715z³))): 0.84119 at 1"

ROWS = (
    Difference(
        17, "a", TOPIC, {"jax.nn.relu": "ReLU′(0) = 0", "jnp.maximum(z, 0)": "½"}, CANNOT,
        _relu_jax, mapping="use jax.nn.relu, or compare away from 0",
    ),
    Difference(
        17, "b", TOPIC, {"torch.relu": "ReLU′(0) = 0", "torch.clamp(min=0)": "1"}, CANNOT,
        _relu_torch, mapping="use torch.relu, or compare away from 0", needs=("torch",),
    ),
    Difference(
        17, "c", TOPIC, {"torch.relu": "ReLU′(0) = 0", "jax.nn.relu": "0"}, AGREE,
        _relu_agrees_torch, mapping="none needed", needs=("torch",),
    ),
    Difference(
        17, "d", TOPIC, {"keras relu": "ReLU′(0) = 0", "jax.nn.relu": "0"}, AGREE,
        _relu_agrees_keras, mapping="none needed", needs=("keras",),
    ),
    Difference(
        17, "e", TOPIC, {"scikit-learn relu": "ReLU′(0) = 0", "jax.nn.relu": "0"}, AGREE,
        _relu_agrees_sklearn, mapping="none needed", needs=("sklearn",),
    ),
    Difference(
        18, "", TOPIC, {"jnp.abs": "|x|′(0) = 1", "torch.abs": "0"},
        AGREE_IF + "sign(x) is used for the derivative", _absolute,
        mapping="x · stop_gradient(sign(x))", needs=("torch",),
    ),
    Difference(
        19, "a", TOPIC,
        {"jax, torch": "slope 0.01", "keras.activations": "0.2", "keras.layers.LeakyReLU": "0.3"},
        AGREE_IF + "the slope is given", _leaky_slopes,
        {"jax": "0.01", "keras function": "0.2", "keras layer": "0.3"}, "pass the slope",
        ("keras",),
    ),
    Difference(
        19, "b", TOPIC, {"jax.nn.leaky_relu": "g′(0) = 1", "torch": "g′(0) = slope"}, CANNOT,
        _leaky_torch, {"torch": "0.01"}, "compare away from 0", ("torch",),
    ),
    Difference(
        20, "a", TOPIC, {"jax.nn.gelu": TANH, "torch": EXACT}, AGREE_IF + "the form is given",
        _gelu_torch, {"jax": "approximate=True", "torch": "approximate='none'"},
        "pass approximate", ("torch",),
    ),
    Difference(
        20, "b", TOPIC, {"keras.ops.gelu": TANH, "exact": EXACT}, AGREE_IF + "the form is given",
        _gelu_keras_ops, {"keras.ops": "approximate=True"}, "pass approximate", ("keras",),
    ),
    Difference(
        20, "c", TOPIC, {"keras.activations.gelu": EXACT, "jax.nn.gelu": TANH},
        AGREE_IF + "the form is given", _gelu_keras_activations,
        {"keras.activations": "approximate=False"}, "pass approximate", ("keras",),
    ),
    Difference(
        21, "a", TOPIC, {"jnp.clip": "½ on the boundary", "torch.clamp": "1"}, CANNOT, _clip,
        mapping="compare away from the boundary", needs=("torch",),
    ),
    Difference(
        21, "b", TOPIC, {"jnp.max, torch.amax": "split among ties", "torch.max(dim)": "one has it"},
        AGREE_IF + "amax is used", _max_ties, mapping="torch.amax", needs=("torch",),
    ),
    Difference(
        21, "c", TOPIC, {"jnp.linalg.norm": "NaN at 0", "torch": "0"}, CANNOT, _norm,
        mapping="√(Σx² + ε), or where()", needs=("torch",),
    ),
    Difference(
        21, "d", TOPIC, {"jnp.std": "NaN of a constant", "torch": "0"}, CANNOT, _std,
        mapping="√(var + ε), or where()", needs=("torch",),
    ),
    Difference(
        22, "", TOPIC, {"jax.nn.softplus": "log(1 + e^z)", "torch": "z beyond 20"},
        AGREE_IF + "the threshold is raised", _softplus, {"torch": "threshold=20"},
        "threshold=40", ("torch",),
    ),
)  # fmt: skip
