"""Rows for the update rules: whole trajectories from given gradients."""

from typing import Any

import jax
import numpy as np
import optax

from jaxnet import optimizers
from jaxnet.crosscheck import layout, oracle
from jaxnet.crosscheck.cases import rules
from jaxnet.crosscheck.cases.case import Args, Case, Results, Transform, sizes
from jaxnet.layers import Layer
from reference_numpy import optimizers as reference

STEPS = 12

HYPERPARAMETERS = {
    "gradient_descent": (),
    "momentum": ("beta",),
    "rmsprop": ("beta", "eps"),
    "adam": ("b1", "b2", "eps"),
}


def draw_run(
    rng: np.random.Generator, rule: str, steps: int = STEPS, *, changing: bool = True
) -> Args:
    """Parameters, a gradient for every step, and a learning rate that changes at every step.

    Each entry has a scale of its own for its gradients, from 1 down to 1e-6, where the place of ε
    shows: ε is between 1e-8 and 1e-4.
    """
    n_in, n_out = sizes(rng, 2)
    drawn = {
        "beta": float(rng.uniform(0.8, 0.95)),
        "b1": float(rng.uniform(0.8, 0.95)),
        "b2": float(rng.uniform(0.95, 0.999)),
        "eps": float(10 ** rng.uniform(-8, -4)),
    }
    args: Args = {name: drawn[name] for name in HYPERPARAMETERS[rule]}
    rates = rng.uniform(0.5, 1, steps) * 0.1 / np.sqrt(1 + np.arange(steps))
    args["rates"] = rates if changing else np.full(steps, rates[0])
    for name, shape in (("W", (n_out, n_in)), ("b", (n_out, 1))):
        scale = 10 ** rng.uniform(-6, 0, shape)
        scale.flat[0] = 1e-6
        args[name] = rng.normal(size=shape)
        args[f"d{name}"] = scale * rng.normal(size=(steps, *shape))
    return args


def run_reference(rule: str, args: Args) -> Results:
    """The reference's W and b after every step, (steps, …)."""
    update = getattr(reference, f"{rule}_update")
    numbers = {name: args[name] for name in HYPERPARAMETERS[rule]}
    params = [(args["W"], args["b"])]
    state = getattr(reference, f"{rule}_init")(params)
    path = []
    for dW, db, rate in zip(args["dW"], args["db"], args["rates"], strict=True):
        params, state = update(params, [(dW, db)], state, learning_rate=float(rate), **numbers)
        path.append(params[0])
    return {"W": np.stack([W for W, _ in path]), "b": np.stack([b for _, b in path])}


def run_optax(make: Any, args: Args, transform: Transform = jax.jit) -> Results:
    """W and b after every step of an optimizer, given as schedule ↦ optax transformation."""
    rates = layout.to_jax(args["rates"])
    optimizer = make(lambda count: rates[count])
    params = layout.layers([(args["W"], args["b"])])
    grads = [layout.layers([pair]) for pair in zip(args["dW"], args["db"], strict=True)]

    def one(carry, grads):
        params, state = carry
        updates, state = optimizer.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    @transform
    def run(params, grads):
        return jax.lax.scan(one, (params, optimizer.init(params)), grads)[1]

    (path,) = jax.tree.map(
        np.asarray, run(params, jax.tree.map(lambda *each: np.stack(each), *grads))
    )
    steps = [layout.pairs([Layer(w, b)])[0] for w, b in zip(path.w, path.b, strict=True)]
    return {"W": np.stack([W for W, _ in steps]), "b": np.stack([b for _, b in steps])}


def _make(rule: str, args: Args) -> Any:
    numbers = {name: args[name] for name in HYPERPARAMETERS[rule]}
    return lambda rate: getattr(optimizers, rule)(rate, **numbers)


def path_errors(rule: str, args: Args, name: str) -> np.ndarray:
    """Errors of one parameter after every step, each step's added to what the steps before left."""
    return rules.path(rules.NOTES[rule](args), args)[name].error


def _oracle(rule: str, args: Args) -> Results:
    numbers = [args[name] for name in HYPERPARAMETERS[rule]]
    return {
        name: oracle.optimizer(args[name], args[f"d{name}"], args["rates"], numbers, rule=rule)
        for name in ("W", "b")
    }


def _row(rule: str, *, changing: bool = True) -> Case:
    return Case(
        name=f"optimizers/{rule}" + "_at_constant_rate" * (not changing),
        quantity=f"{STEPS} steps of {rule}, gradients down to 1e-6, the learning rate "
        + ("changing" if changing else "constant"),
        draw=lambda rng: draw_run(rng, rule, changing=changing),
        reference=lambda args: run_reference(rule, args),
        jaxnet=lambda args, transform=jax.jit: run_optax(_make(rule, args), args, transform),
        errors=lambda args: {name: path_errors(rule, args, name) for name in ("W", "b")},
        oracle=lambda args: _oracle(rule, args),
    )


# Where the learning rate sits, inside the velocity or outside, shows only while it changes.
CASES = (*(_row(rule) for rule in HYPERPARAMETERS), _row("momentum", changing=False))
