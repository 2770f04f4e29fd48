"""A row for a whole network with batch norm, and its running statistics after the step."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import layers, losses, models
from jaxnet.crosscheck import bounds, layout
from jaxnet.crosscheck.cases.batch_norm import (
    backward_errors,
    draw_units,
    forward_errors,
    parameters,
)
from jaxnet.crosscheck.cases.case import Args, Case, Results, Transform, sizes
from jaxnet.crosscheck.cases.losses import draw_targets
from reference_numpy import activations
from reference_numpy import batch_norm as reference
from reference_numpy import losses as reference_losses

# A network of two layers, tanh(batch norm(W1 X + b1)) into a linear output. The gradient by b1 is
# 0, since the mean takes every shift away; the rounding around 0 says nothing and is left out.


def _network_draw(rng: np.random.Generator) -> Args:
    m, n_in, n, n_out = sizes(rng, 4, low=3)
    return {
        **draw_units(rng, n),
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


def _network_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
    first, second = layout.layers([(args["W1"], args["b1"]), (args["W2"], args["b2"])])
    n = len(first.b)
    start = (layers.BatchNormState(jnp.zeros(n), jnp.ones(n)),)
    x, y = layout.rows(args["X"]), layout.rows(args["Y"])

    @transform
    def everything(params):
        def cost(params):
            forward = models.forward_pass(params, start, x, activation="tanh", train=True)
            return losses.cost(losses.squared_error(forward.zs[-1], y)), forward

        return jax.value_and_grad(cost, has_aux=True)(params)

    params = (first._replace(norm=parameters(args)), second)
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
    out, mu, var, centred, deviation = forward_errors(bounds.dense(args["W1"], X, args["b1"]), args)
    A = bounds.activation("tanh", out)
    Z2 = bounds.dense(args["W2"], A, args["b2"])
    dZ2 = (Z2 - Y) / m
    dout = (bounds.bounded(args["W2"]).T @ dZ2) * bounds.derivative("tanh", out)
    dZ1, dgamma, dbeta = backward_errors(dout, centred, deviation, args)
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

CASES = (NETWORK,)
