"""Networks trained from planted starts, and how far apart rounding alone can drive equal units."""

from operator import itemgetter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.activations import relu, sigmoid, tanh
from jaxnet.crosscheck import layout
from jaxnet.data import Dataset, datasets
from jaxnet.layers import Layer
from jaxnet.losses import binary_cross_entropy
from jaxnet.models import Model, forward_pass
from jaxnet.optimizers import gradient_descent
from jaxnet.training import Setup, make_train
from reference_numpy import mlp, optimizers
from reference_numpy.gradient_check import flatten

ACTIVATIONS = ("tanh", "sigmoid", "ReLU")
STARTS = ("zeros", "constant", "equal units", "unequal W2", "random")
EQUAL = STARTS[:3]
# Odd, so that vector instructions leave a remainder and the units' sums may differ in order.
UNITS = 5
EXAMPLES = 64
LEARNING_RATE = 1.0


@jax.jit
@jax.vmap
def draws(key: jax.Array) -> dict[str, Any]:
    """All that differs between seeds: normal numbers, and flowers with classes 3 : 1 and 1 : 1."""
    normal_key, flower_key = jax.random.split(key)
    flower = datasets.flower(flower_key, 3 * EXAMPLES // 2)
    row = np.arange(3 * EXAMPLES // 2)  # the classes alternate along the rows
    lopsided = np.flatnonzero((row % 2 == 0) | (row < EXAMPLES // 2))
    return {
        "normal": jax.random.normal(normal_key, (32, UNITS)),
        "lopsided": Dataset(flower.x[lopsided], flower.y[lopsided]),
        "balanced": Dataset(flower.x[:EXAMPLES], flower.y[:EXAMPLES]),
    }


def _planted_starts(normal: jax.Array) -> Any:
    """Parameters of 2 inputs, UNITS hidden units and one output, stacked in the order of STARTS."""
    w1, w2 = normal[:2], normal[2, :, None]
    half = jnp.full(UNITS, 0.5)  # of b1: a ReLU unit then sees the flower's middle, whatever w1
    row, one = jnp.repeat(w1[:, :1], UNITS, axis=1), jnp.repeat(w2[:1], UNITS, axis=0)
    starts = [
        (0 * w1, 0 * half, 0 * w2),
        (0 * w1 + 0.5, half, 0 * w2 + 0.5),
        (row, half, one),
        (row, half, w2),
        (w1, half, w2),
    ]
    return stack([(Layer(w1, b1), Layer(w2, jnp.zeros(1))) for w1, b1, w2 in starts])


def stack(trees: list[Any]) -> Any:
    """Pytrees of one structure as one, along a new leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _activation(kind: jax.Array):
    """The activation of that number, so that one program serves all three."""
    return lambda z: jnp.select([kind == 0, kind == 1], [tanh(z), sigmoid(z)], relu(z))


def network(params, x, kind):
    """Logits (m,) by the library's forward pass: the units' sums are parts of one product."""
    return forward_pass(params, (), x, activation=_activation(kind)).zs[-1][:, 0]


def _unit_by_unit(params, x, kind):
    """The same logits with one loop body that computes every unit, sum for sum alike."""

    def unit(weights):
        w, b, v = weights
        return v * _activation(kind)(x @ w + b)

    hidden, output = params
    return jax.lax.map(unit, (hidden.w.T, hidden.b, output.w[:, 0])).sum(axis=0) + output.b


def train_from(logits_of, learning_rate: float, steps: int, observe=None):
    """Full-batch gradient descent from hyper = (start, kind): (key, hyper, data) ↦ Run."""

    def build(hyper):
        start, kind = hyper

        def apply(params, state, x, *, key=None, train=False):
            return logits_of(params, x, kind), state

        model = Model(lambda key: (start, ()), apply)
        return Setup(model, gradient_descent(learning_rate), binary_cross_entropy)

    return make_train(build, batch_size=None, epochs=steps, observe=observe)


def planted(drawn: dict[str, Any], steps: int) -> dict[str, Any]:
    """Parameters at every step (seed, start, activation, step, ...) in float64, and the costs."""

    def paths(logits_of, starts, data):
        train = train_from(logits_of, LEARNING_RATE, steps, observe=lambda carry: carry.params)

        def run(start, kind):
            history = train(jax.random.key(0), (start, kind), data).history
            path = jax.tree.map(
                lambda first, rest: jnp.concatenate([first[None], rest]), start, history["observed"]
            )
            return path, history["cost"][:, 0]

        kinds = jnp.arange(len(ACTIVATIONS))
        return jax.vmap(jax.vmap(run, (None, 0)), (0, None))(starts, kinds)

    @jax.jit
    @jax.vmap
    def program(draw):
        starts = _planted_starts(draw["normal"])
        path, cost = paths(network, starts, draw["lopsided"])

        def sigmoid_cost(params):
            logits = network(params, draw["balanced"].x, jnp.array(1))
            return binary_cross_entropy(logits, draw["balanced"].y).mean()

        zeros = jax.tree.map(lambda leaf: leaf[0], starts)
        return path, cost, jax.grad(sigmoid_cost)(zeros)

    @jax.jit
    @jax.vmap
    def program_by_unit(draw):
        equal = jax.tree.map(lambda leaf: leaf[: len(EQUAL)], _planted_starts(draw["normal"]))
        return paths(_unit_by_unit, equal, draw["lopsided"])[0]

    with jax.enable_x64(True):
        drawn = jax.tree.map(_double, drawn)
        path, cost, balanced = program(drawn)
        by_unit = program_by_unit(jax.tree.map(lambda leaf: leaf[:3], drawn))
    path, cost, balanced, by_unit, data = jax.tree.map(
        np.asarray, (path, cost, balanced, by_unit, drawn["lopsided"])
    )
    return {
        "hidden_w": path[0].w,
        "output_w": path[1].w,
        "cost": cost,
        "gap": _gap(path),
        "bound": _rounding_bound(path, data),
        "gap_by_unit": _gap(by_unit),
        "balanced_gradient": max(np.abs(leaf).max() for leaf in jax.tree.leaves(balanced)),
        "reference_error": _reference_error(path, data),
    }


def _double(leaf: np.ndarray) -> np.ndarray:
    """The same numbers in float64; integers as they are."""
    return leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf


def _unit_vectors(path: Any) -> np.ndarray:
    """Each unit's own parameters (w, b, v), shape (..., units, 4)."""
    hidden, output = path
    return np.concatenate([np.swapaxes(hidden.w, -1, -2), hidden.b[..., None], output.w], axis=-1)


def _gap(path: Any) -> np.ndarray:
    """Largest distance of any unit's parameters from the first one's, shape (...)."""
    units = _unit_vectors(path)
    return np.linalg.norm(units - units[..., :1, :], axis=-1).max(axis=-1)


def _rounding_bound(path: Any, data: Dataset) -> np.ndarray:
    """How far rounding alone can drive equal units apart, at every step from the EQUAL starts.

    Two units that differ by d move by −α M d apart in one step, M = (1/m) Σ dz ∇²h over the
    examples with h(w, b, v) = v g(w·x + b), besides the rounding of that step; so

        B[t+1] = ‖I − α M[t]‖₂ B[t] + 2 ρ[t],   B[0] = 0

    where ρ bounds one unit's rounding: k u Σ|terms| for a sum of k products (and a few u more for
    what goes into them), 8 u for an activation, u for each operation of the update. To first order
    in d. Returns (seed, start, activation, step).
    """
    theta = _unit_vectors(path)[:, : len(EQUAL), :, :, 0]
    output_b = path[1].b[:, : len(EQUAL)]
    bounds = [
        _bound_of_one(theta[:, :, kind], output_b[:, :, kind], data, name)
        for kind, name in enumerate(ACTIVATIONS)
    ]
    return np.stack(bounds, axis=2)


def _bound_of_one(
    theta: np.ndarray, output_b: np.ndarray, data: Dataset, activation: str
) -> np.ndarray:
    """The bound for one activation: theta is (seed, start, step, 4), output_b the same with 1."""
    u = np.finfo(np.float64).eps / 2
    weights, v = theta[..., :3], theta[..., 3:]
    x = np.concatenate([data.x, np.ones_like(data.x[..., :1])], axis=-1)[:, None]
    x_columns = np.swapaxes(x, -1, -2)
    z = weights @ x_columns
    z_error = 4 * u * (np.abs(weights) @ np.abs(x_columns))
    g, slope, curvature = _derivatives(z, activation)
    logits = UNITS * v * g + output_b
    dz = (1 / (1 + np.exp(-logits)) - data.y[:, None, None]) / EXAMPLES

    M = np.zeros((*theta.shape, 4))
    pairs = (x[..., :, None] * x[..., None, :]).reshape(*x.shape[:-1], 9)
    M[..., :3, :3] = ((dz * v * curvature) @ pairs).reshape(*theta.shape[:-1], 3, 3)
    M[..., :3, 3] = M[..., 3, :3] = (dz * slope) @ x
    growth = np.abs(np.linalg.eigvalsh(np.eye(4) - LEARNING_RATE * M)).max(axis=-1)

    sums = (EXAMPLES + 4) * u
    slope_error = np.abs(curvature) * z_error + 8 * u + sums * np.abs(slope)
    g_error = np.abs(slope) * z_error + (8 * u + sums) * np.abs(g)
    gradient_error = np.concatenate(
        [
            (np.abs(dz * v) * slope_error) @ np.abs(x),
            (np.abs(dz) * g_error).sum(axis=-1, keepdims=True),
        ],
        axis=-1,
    )
    moved = np.abs(np.diff(theta, axis=-2))
    update_error = u * (np.abs(theta[..., 1:, :]) + 2 * moved)
    error = LEARNING_RATE * gradient_error[..., :-1, :] + update_error
    rounding = 2 * np.linalg.norm(error, axis=-1)
    bound = np.zeros(theta.shape[:-1])
    for step in range(theta.shape[-2] - 1):
        bound[..., step + 1] = growth[..., step] * bound[..., step] + rounding[..., step]
    return bound


def _derivatives(z: np.ndarray, activation: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """g, g′ and g″ at z."""
    if activation == "tanh":
        g = np.tanh(z)
        return g, 1 - g**2, -2 * g * (1 - g**2)
    if activation == "sigmoid":
        g = 1 / (1 + np.exp(-z))
        return g, g * (1 - g), g * (1 - g) * (1 - 2 * g)
    return np.maximum(z, 0), (z > 0).astype(float), np.zeros_like(z)


def _reference_error(path: Any, data: Dataset) -> float:
    """Largest difference between the first update of seed 0 and the reference's, all starts."""
    X, Y = layout.columns(data.x[0]), layout.target_row(data.y[0])

    def error(start: int, kind: int) -> float:
        first, second = (
            layout.pairs(jax.tree.map(itemgetter((0, start, kind, step)), path)) for step in (0, 1)
        )
        _, caches = mlp.forward(first, X, hidden=ACTIVATIONS[kind].lower())
        expected, _ = optimizers.gradient_descent_update(
            first,
            mlp.backward(first, caches, Y),
            optimizers.gradient_descent_init(first),
            learning_rate=LEARNING_RATE,
        )
        return float(np.abs(flatten(second) - flatten(expected)).max())

    return max(error(start, kind) for start in range(len(STARTS)) for kind in range(3))
