"""Rows for whole trainings: 100 steps from the same weights on the same mini-batches.

A network of one tanh layer into a softmax. No kinks, so the run is a smooth function of its start
and what rounding does to it can be followed: a step that is off by δₜ moves the end by

    ∂θ_T/∂θₜ · δₜ,    |end's error| ≤ Σₜ |J_T ⋯ Jₜ₊₁| δₜ

where Jₜ is the Jacobian of a step (of parameters and averages), taken along the reference's run,
and δₜ the rounding of one step from exact numbers (`bounds`, `rules`). To first order, as `bounds`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from jaxnet import losses, models, optimizers, regularizers
from jaxnet.crosscheck import bounds, layout
from jaxnet.crosscheck.bounds import Bounded
from jaxnet.crosscheck.cases import rules
from jaxnet.crosscheck.cases.case import Args, Case, Results, Transform
from jaxnet.data import Dataset
from jaxnet.training.run import Carry, Setup, step
from reference_numpy import mlp as reference
from reference_numpy import optimizers as reference_optimizers

STEPS, BATCH = 100, 8
SIZES = (5, 6, 3)
EXAMPLES = 40

RATES = {"gradient_descent": 0.3, "momentum": 0.3, "rmsprop": 0.01, "adam": 0.02}
HYPERPARAMETERS = {
    "gradient_descent": {},
    "momentum": {"beta": 0.9},
    "rmsprop": {"beta": 0.9, "eps": 1e-4},
    "adam": {"b1": 0.9, "b2": 0.99, "eps": 1e-4},
}
"""ε large enough to show where it stands: g/(√s + ε) with gradients down to 1e-3."""


class Convention(NamedTuple):
    """A rule in both forms: in Bounded numbers, and for JAX to differentiate.

    rule: args ↦ rule of `rules`. optimizer: (args, t) ↦ optax transformation of step t. slots:
    which of V and S are kept.
    """

    rule: Callable[[Args], rules.Rule]
    optimizer: Callable[[Args, Any], optax.GradientTransformation]
    slots: tuple[int, ...]


def _of_notes(rule: str, *slots: int) -> Convention:
    def optimizer(args: Args, t: Any) -> optax.GradientTransformation:
        del t
        return getattr(optimizers, rule)(args["learning_rate"], **args["numbers"])

    return Convention(rules.NOTES[rule], optimizer, slots)


NOTES = {
    "gradient_descent": _of_notes("gradient_descent"),
    "momentum": _of_notes("momentum", 0),
    "rmsprop": _of_notes("rmsprop", 1),
    "adam": _of_notes("adam", 0, 1),
}


def _rmsprop_inside(args: Args, t: Any) -> optax.GradientTransformation:
    del t
    numbers = args["numbers"]
    return optax.rmsprop(args["learning_rate"], decay=numbers["beta"], eps=numbers["eps"])


def _adam_hat(args: Args, t: Any) -> optax.GradientTransformation:
    numbers = args["numbers"]
    eps = numbers["eps"] / jnp.sqrt(1 - numbers["b2"] ** t)
    return optimizers.adam(args["learning_rate"], **numbers | {"eps": eps})


RMSPROP_INSIDE = Convention(rules.rmsprop_inside, _rmsprop_inside, (1,))
ADAM_HAT = Convention(rules.adam_hat, _adam_hat, (0, 1))


def _draw(rng: np.random.Generator, rule: str, l2: bool) -> Args:
    n_in, hidden, classes = SIZES
    X = rng.normal(size=(n_in, EXAMPLES))
    teacher, noise = rng.normal(size=(classes, n_in)), rng.normal(size=(classes, EXAMPLES))
    return {
        "X": X,
        "Y": layout.one_hot((teacher @ X + noise).argmax(axis=0), classes),
        "W1": rng.normal(size=(hidden, n_in)) / np.sqrt(n_in),
        "b1": 0.1 * rng.normal(size=(hidden, 1)),
        "W2": rng.normal(size=(classes, hidden)) / np.sqrt(hidden),
        "b2": 0.1 * rng.normal(size=(classes, 1)),
        "batches": np.stack([rng.choice(EXAMPLES, BATCH, replace=False) for _ in range(STEPS)]),
        "learning_rate": RATES[rule],
        "l2": float(rng.uniform(0.02, 0.1)) if l2 else 0.0,
        "numbers": dict(HYPERPARAMETERS[rule]),  # apart from the biases, which are b1 and b2 too
    }


def pairs(args: Args) -> list[tuple[Any, Any]]:
    """The weights that a training starts from."""
    return [(args["W1"], args["b1"]), (args["W2"], args["b2"])]


def results(args: Args, params: Sequence[tuple[Any, Any]]) -> Results:
    """The weights at the end, and the cost of all examples there, in the reference's words."""
    cost = reference.cost(list(params), args["X"], args["Y"], hidden="tanh", output="softmax")
    return {**_named(params), "J": np.asarray(cost)}


def _named(params: Any) -> dict[str, Any]:
    (W1, b1), (W2, b2) = params
    return {"W1": W1, "b1": b1, "W2": W2, "b2": b2}


def _gradients(args: Args, params: Any, batch: np.ndarray) -> Any:
    X, Y = args["X"][:, batch], args["Y"][:, batch]
    _, caches = reference.forward(params, X, hidden="tanh", output="softmax")
    # λ/(2m) with m the mini-batch here; every side is told the same.
    return reference.backward(params, caches, Y, l2=args["l2"])


def run_reference(args: Args, rule: str) -> Results:
    """The reference's training."""
    update = getattr(reference_optimizers, f"{rule}_update")
    params = pairs(args)
    state = getattr(reference_optimizers, f"{rule}_init")(params)
    for batch in args["batches"]:
        grads = _gradients(args, params, batch)
        params, state = update(
            params, grads, state, learning_rate=args["learning_rate"], **args["numbers"]
        )
    return results(args, params)


def _setup(args: Args, optimizer: optax.GradientTransformation) -> Setup:
    penalty = regularizers.l2(args["l2"], m=BATCH)
    model = models.mlp(SIZES, activation="tanh")
    return Setup(model, optimizer, losses.softmax_cross_entropy, penalty)


def _dataset(args: Args) -> Dataset:
    return Dataset(layout.rows(args["X"]), layout.labels(args["Y"]))


def _jaxnet(args: Args, rule: str, transform: Transform = jax.jit) -> Results:
    setup, data = _setup(args, NOTES[rule].optimizer(args, 1)), _dataset(args)
    batches = jnp.asarray(args["batches"])

    def one(carry, batch):
        return step(setup, carry, jax.tree.map(lambda a: a[batch], data), jax.random.key(0))

    @transform
    def train(params):
        carry = Carry(params, (), setup.optimizer.init(params))
        return jax.lax.scan(one, carry, batches)[0].params

    return results(args, layout.pairs(train(layout.layers(pairs(args)))))


def _flat(params: Any, averages: Any) -> np.ndarray:
    """Parameters and averages, each a list of (W, b), in one vector in jaxnet's order."""
    arrays = [array for tree in (params, *averages) for pair in tree for array in pair]
    return np.concatenate([np.ravel(layout.columns(array)) for array in arrays])


def _with(opt_state: Any, averages: Sequence[Any], count: Any) -> Any:
    """An optimizer's state with these averages, in the order it keeps them, and this count."""
    leaves, structure = jax.tree.flatten(opt_state)
    new = iter(jax.tree.leaves(averages))
    floating = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]
    return structure.unflatten([next(new) if is_one else count for is_one in floating])


def _averages_of(opt_state: Any) -> list[Any]:
    return [one for one in jax.tree.leaves(opt_state) if jnp.issubdtype(one.dtype, jnp.floating)]


def _jacobians(args: Args, convention: Convention, states: np.ndarray) -> np.ndarray:
    """Jacobian of every step by parameters and averages, (steps, n, n), from the states before."""
    data, params = _dataset(args), layout.layers(pairs(args))
    _, unravel = ravel_pytree([params] * (1 + len(convention.slots)))

    def one(state, count, batch):
        params, *averages = unravel(state)
        setup = _setup(args, convention.optimizer(args, count + 1))
        carry = Carry(params, (), _with(setup.optimizer.init(params), averages, count))
        rows = jax.tree.map(lambda array: array[batch], data)
        after, _ = step(setup, carry, rows, jax.random.key(0))
        return ravel_pytree([after.params, *_averages_of(after.opt_state)])[0]

    every = jax.jit(jax.vmap(jax.jacfwd(one)))
    return np.asarray(every(states, np.arange(STEPS, dtype=np.int32), args["batches"]))


def _one_step(
    args: Args, convention: Convention, t: int, params: Any, averages: Any
) -> tuple[list[Any], list[Any]]:
    """Step t from exact numbers: values and errors of parameters and averages after it.

    Both are lists of trees, the parameters first, each a list of (W, b).
    """
    batch = args["batches"][t - 1]
    X, Y = args["X"][:, batch], args["Y"][:, batch]
    Zs, inputs = bounds.forward(params, X, "tanh")
    grads = bounds.backward(params, Zs, inputs, Y, "tanh", "softmax", l2=args["l2"])
    rule = convention.rule(args["numbers"])
    after: list[list[Any]] = [[] for _ in range(1 + len(convention.slots))]
    for layer, gradients in enumerate(zip(grads.dW, grads.db, strict=True)):
        arrays = []
        for part, g in enumerate(gradients):
            memory = [bounds.bounded(np.zeros_like(g.value))] * 2
            for slot, average in zip(convention.slots, averages, strict=True):
                memory[slot] = bounds.bounded(average[layer][part])
            theta = bounds.bounded(params[layer][part])
            theta, kept = rules.step(rule, t, theta, g, args["learning_rate"], tuple(memory))
            arrays.append([theta, *(kept[slot] for slot in convention.slots)])
        for tree, pair in zip(after, zip(*arrays, strict=True), strict=True):
            tree.append(pair)
    values = [[(W.value, b.value) for W, b in tree] for tree in after]
    errors = [[(W.error, b.error) for W, b in tree] for tree in after]
    return values, errors


def followed(args: Args, convention: Convention) -> dict[str, Bounded]:
    """The end of a training by a convention, and how far a computed one may be from it."""
    params = pairs(args)
    averages = [[(0 * W, 0 * b) for W, b in params] for _ in convention.slots]
    with jax.enable_x64(True):
        states, local = [], []
        for t in range(1, STEPS + 1):
            states.append(_flat(params, averages))
            (params, *averages), (error, *others) = _one_step(args, convention, t, params, averages)
            local.append(_flat(error, others))
        jacobians = _jacobians(args, convention, np.stack(states))
        # What the parameters at the end, and the cost of all examples there, are sensitive to.
        slope = _flat(_gradients({**args, "l2": 0.0}, params, np.arange(EXAMPLES)), [])
        sensitivity = np.eye(len(slope), len(states[0]))
        sensitivity = np.vstack([sensitivity, slope @ sensitivity])
        error = np.zeros(len(sensitivity))
        for jacobian, rounding in zip(jacobians[::-1], local[::-1], strict=True):
            error += np.abs(sensitivity) @ rounding
            sensitivity = sensitivity @ jacobian
        _, unravel = ravel_pytree(layout.layers(params))
        errors = _named(layout.pairs(unravel(jnp.asarray(error[:-1]))))
    Zs, _ = bounds.forward(params, args["X"], "tanh")
    cost = bounds.mean(bounds.loss("softmax", Zs[-1], args["Y"]), axis=1)[0, 0]
    ends = {name: Bounded(value, errors[name]) for name, value in _named(params).items()}
    return {**ends, "J": Bounded(cost.value, cost.error + error[-1])}


def _row(rule: str, *, l2: bool = False) -> Case:
    return Case(
        name=f"trainings/{rule}" + "_l2" * l2,
        quantity=f"weights and cost after {STEPS} steps of {rule}" + " with L2" * l2,
        draw=lambda rng: _draw(rng, rule, l2),
        reference=lambda args: run_reference(args, rule),
        jaxnet=lambda args, transform=jax.jit: _jaxnet(args, rule, transform),
        errors=lambda args: followed(args, NOTES[rule]),
    )


CASES = (*(_row(rule) for rule in RATES), _row("gradient_descent", l2=True))
"""Apart from the registry's other rows, whose bounds are all below 5e-12 of the scale."""
