"""Rows for batch norm: training, its backward pass, evaluation, running statistics, a network."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import layers, losses, models
from jaxnet.crosscheck import bounds, layout, oracle
from jaxnet.crosscheck.bounds import Bounded
from jaxnet.crosscheck.cases.case import Args, Case, Results, sizes
from jaxnet.crosscheck.cases.losses import draw_targets
from reference_numpy import activations
from reference_numpy import batch_norm as reference
from reference_numpy import losses as reference_losses


def _draw_units(rng: np.random.Generator, n: int) -> Args:
    return {
        "gamma": rng.uniform(0.5, 2, (n, 1)),
        "beta": rng.normal(size=(n, 1)),
        "eps": float(10 ** rng.uniform(-5, -2)),
    }


def _draw(rng: np.random.Generator) -> Args:
    n, m = sizes(rng, 2, low=3)
    Z = rng.normal(size=(n, 1)) * 3 + rng.uniform(0.2, 2, (n, 1)) * rng.normal(size=(n, m))
    return {**_draw_units(rng, n), "Z": Z, "weights": rng.normal(size=(n, m))}


def _parameters(args: Args) -> layers.BatchNormParams:
    return layers.BatchNormParams(layout.vector(args["gamma"]), layout.vector(args["beta"]))


def _forward(Z: Bounded, args: Args) -> tuple[Bounded, Bounded, Bounded, Bounded, Bounded]:
    """Output, mean, variance, centred Z and √(σ²+ε): two passes over m examples."""
    mu = bounds.mean(Z, axis=1)
    centred = Z - mu
    var = bounds.mean(centred * centred, axis=1)
    deviation = bounds.root(var + args["eps"])
    return args["gamma"] * (centred / deviation) + args["beta"], mu, var, centred, deviation


def _backward(
    dout: Bounded, centred: Bounded, deviation: Bounded, args: Args
) -> tuple[Bounded, Bounded, Bounded]:
    """dZ, dγ, dβ as autodiff takes them: through the centred values, the variance, then the mean.

    The closed form sums the same terms in fewer operations, and leaves out Σ (z − μ) = 0, whose
    rounding autodiff carries along.
    """
    m = dout.value.shape[1]
    slope = args["gamma"] * dout
    dvar = bounds.total(slope * centred, axis=1) * -0.5 / (deviation * deviation * deviation)
    dcentred = slope / deviation + 2 * dvar * centred / m
    dZ = dcentred - bounds.mean(dcentred, axis=1)
    return dZ, bounds.total(dout * (centred / deviation), axis=1), bounds.total(dout, axis=1)


def _training_reference(args: Args) -> Results:
    out, cache = reference.forward(args["Z"], args["gamma"], args["beta"], args["eps"])
    dZ, dgamma, dbeta = reference.backward(args["weights"], cache)
    return {
        "out": out,
        "mu": cache.mu,
        "var": cache.var,
        "dZ": dZ,
        "dgamma": dgamma,
        "dbeta": dbeta,
    }


def _training_jaxnet(args: Args) -> Results:
    weights = layout.rows(args["weights"])

    @jax.jit
    def everything(parameters, z):
        out, pull_back, statistics = jax.vjp(
            lambda parameters, z: layers.batch_norm(parameters, z, eps=args["eps"]),
            parameters,
            z,
            has_aux=True,
        )
        return out, statistics, pull_back(weights)

    out, statistics, (dparameters, dz) = everything(_parameters(args), layout.rows(args["Z"]))
    return {
        "out": layout.columns(out),
        "mu": layout.column(statistics.mean),
        "var": layout.column(statistics.var),
        "dZ": layout.columns(dz),
        "dgamma": layout.column(dparameters.gamma),
        "dbeta": layout.column(dparameters.beta),
    }


def _training_errors(args: Args) -> Results:
    out, mu, var, centred, deviation = _forward(bounds.bounded(args["Z"]), args)
    dZ, dgamma, dbeta = _backward(bounds.bounded(args["weights"]), centred, deviation, args)
    return {"out": out, "mu": mu, "var": var, "dZ": dZ, "dgamma": dgamma, "dbeta": dbeta}


TRAINING = Case(
    name="batch_norm/training",
    quantity="batch norm over the batch, its statistics, and the gradient of a weighted sum",
    draw=_draw,
    reference=_training_reference,
    jaxnet=_training_jaxnet,
    errors=_training_errors,
    oracle=lambda args: oracle.batch_norm(
        args["Z"], args["gamma"], args["beta"], args["eps"], args["weights"]
    ),
    cost=lambda args: np.sum(
        args["weights"] * reference.forward(args["Z"], args["gamma"], args["beta"], args["eps"])[0]
    ),
    wrt=("Z", "gamma", "beta"),
    analytic=True,
)


def _evaluation_draw(rng: np.random.Generator) -> Args:
    args = _draw(rng)
    n = len(args["Z"])
    return {**args, "mean": rng.normal(size=(n, 1)), "var": rng.uniform(0.1, 2, (n, 1))}


def _evaluation_jaxnet(args: Args) -> Results:
    running = layers.BatchNormState(layout.vector(args["mean"]), layout.vector(args["var"]))
    out = jax.jit(layers.batch_norm_evaluate)(
        _parameters(args), running, layout.rows(args["Z"]), eps=args["eps"]
    )
    return {"out": layout.columns(out)}


EVALUATION = Case(
    name="batch_norm/evaluation",
    quantity="batch norm with running statistics",
    draw=_evaluation_draw,
    reference=lambda args: {
        "out": reference.evaluate(
            *(args[name] for name in ("Z", "gamma", "beta", "mean", "var", "eps"))
        )
    },
    jaxnet=_evaluation_jaxnet,
    errors=lambda args: {
        "out": args["gamma"]
        * (
            (bounds.bounded(args["Z"]) - args["mean"])
            / bounds.root(bounds.bounded(args["var"]) + args["eps"])
        )
        + args["beta"]
    },
)


def _running_draw(rng: np.random.Generator) -> Args:
    n, steps = sizes(rng, 2, low=3)
    return {
        "mean": rng.normal(size=(n, 1)),
        "var": rng.uniform(0.1, 2, (n, 1)),
        "batch_mean": rng.normal(size=(steps, n, 1)),
        "batch_var": rng.uniform(0.1, 2, (steps, n, 1)),
        "decay": float(rng.uniform(0.8, 0.99)),
    }


def _running_reference(args: Args) -> Results:
    mean, var = args["mean"], args["var"]
    for batch_mean, batch_var in zip(args["batch_mean"], args["batch_var"], strict=True):
        mean, var = reference.update_running(mean, var, batch_mean, batch_var, args["decay"])
    return {"mean": mean, "var": var}


def _running_jaxnet(args: Args) -> Results:
    update = jax.jit(layers.update_running)
    running = layers.BatchNormState(layout.vector(args["mean"]), layout.vector(args["var"]))
    for mean, var in zip(args["batch_mean"], args["batch_var"], strict=True):
        batch = layers.BatchNormState(layout.vector(mean), layout.vector(var))
        running = update(running, batch, decay=args["decay"])
    return {"mean": layout.column(running.mean), "var": layout.column(running.var)}


def _running_errors(args: Args) -> Results:
    decay, errors = args["decay"], {}
    for name in ("mean", "var"):
        running = bounds.bounded(args[name])
        for batch in args[f"batch_{name}"]:
            running = decay * running + (1 - bounds.bounded(decay)) * batch
        errors[name] = running
    return errors


RUNNING = Case(
    name="batch_norm/running_statistics",
    quantity="running mean and variance after several batches",
    draw=_running_draw,
    reference=_running_reference,
    jaxnet=_running_jaxnet,
    errors=_running_errors,
)


# A network of two layers, tanh(batch norm(W1 X + b1)) into a linear output. The gradient by b1 is
# 0, since the mean takes every shift away; the rounding around 0 says nothing and is left out.


def _network_draw(rng: np.random.Generator) -> Args:
    m, n_in, n, n_out = sizes(rng, 4, low=3)
    return {
        **_draw_units(rng, n),
        "eps": 1e-5,  # forward_pass has no other
        "X": rng.normal(size=(n_in, m)),
        "Y": draw_targets(rng, "linear", n_out, m),
        "W1": rng.normal(size=(n, n_in)),
        "b1": rng.normal(size=(n, 1)),
        "W2": rng.normal(size=(n_out, n)),
        "b2": rng.normal(size=(n_out, 1)),
    }


def _network_forward(args: Args) -> tuple[Any, ...]:
    out, cache = reference.forward(
        args["W1"] @ args["X"] + args["b1"], args["gamma"], args["beta"], args["eps"]
    )
    A = activations.tanh(out)
    return args["W2"] @ A + args["b2"], A, out, cache


def _network_cost(args: Args) -> Any:
    return reference_losses.cost(
        reference_losses.squared_error(_network_forward(args)[0], args["Y"])
    )


def _network_reference(args: Args) -> Results:
    Z2, A, out, cache = _network_forward(args)
    m = Z2.shape[1]
    dZ2 = reference_losses.squared_error_gradient(Z2, args["Y"]) / m
    dout = args["W2"].T @ dZ2 * activations.tanh_derivative(out)
    dZ1, dgamma, dbeta = reference.backward(dout, cache)
    return {
        "Z2": Z2,
        "J": _network_cost(args),
        "mean": 0.01 * cache.mu,
        "var": 0.99 + 0.01 * cache.var,
        "dW1": dZ1 @ args["X"].T,
        "dgamma": dgamma,
        "dbeta": dbeta,
        "dW2": dZ2 @ A.T,
        "db2": dZ2.sum(axis=1, keepdims=True),
    }


def _network_jaxnet(args: Args) -> Results:
    first, second = layout.layers([(args["W1"], args["b1"]), (args["W2"], args["b2"])])
    n = len(first.b)
    start = (layers.BatchNormState(jnp.zeros(n), jnp.ones(n)),)
    x, y = layout.rows(args["X"]), layout.rows(args["Y"])

    @jax.jit
    def everything(params):
        def cost(params):
            forward = models.forward_pass(params, start, x, activation="tanh", train=True)
            return losses.cost(losses.squared_error(forward.zs[-1], y)), forward

        return jax.value_and_grad(cost, has_aux=True)(params)

    params = (first._replace(norm=_parameters(args)), second)
    (total, forward), grads = everything(params)
    dnorm = grads[0].norm
    (dW1, _), (dW2, db2) = layout.pairs([grads[0]._replace(norm=None), grads[1]])
    return {
        "Z2": layout.columns(forward.zs[-1]),
        "J": np.asarray(total),
        "mean": layout.column(forward.state[0].mean),
        "var": layout.column(forward.state[0].var),
        "dW1": dW1,
        "dgamma": layout.column(dnorm.gamma),
        "dbeta": layout.column(dnorm.beta),
        "dW2": dW2,
        "db2": db2,
    }


def _network_errors(args: Args) -> Results:
    # Here ε and the running decay are numbers of jaxnet's own, which the dtype rounds: one unit.
    args = {**args, "eps": bounds.rounded(args["eps"])}
    X, Y = bounds.bounded(args["X"]), args["Y"]
    m = Y.shape[1]
    out, mu, var, centred, deviation = _forward(bounds.dense(args["W1"], X, args["b1"]), args)
    A = bounds.activation("tanh", out)
    Z2 = bounds.dense(args["W2"], A, args["b2"])
    dZ2 = (Z2 - Y) / m
    dout = (bounds.bounded(args["W2"]).T @ dZ2) * bounds.derivative("tanh", out)
    dZ1, dgamma, dbeta = _backward(dout, centred, deviation, args)
    share = bounds.rounded(0.01, 2)
    return {
        "Z2": Z2,
        "J": bounds.mean(bounds.loss("linear", Z2, Y), axis=1)[0, 0],
        "mean": share * mu,
        "var": bounds.rounded(0.99) + share * var,
        "dW1": dZ1 @ X.T,
        "dgamma": dgamma,
        "dbeta": dbeta,
        "dW2": dZ2 @ A.T,
        "db2": bounds.total(dZ2, axis=1),
    }


NETWORK = Case(
    name="batch_norm/network",
    quantity="a network with batch norm: output, cost, running statistics and gradients",
    draw=_network_draw,
    reference=_network_reference,
    jaxnet=_network_jaxnet,
    errors=_network_errors,
    cost=_network_cost,
    wrt=("W1", "gamma", "beta", "W2", "b2"),
    analytic=True,
)

CASES = (TRAINING, EVALUATION, RUNNING, NETWORK)
