"""One layer X → Z → Z̃ → A and its gradient, by jaxnet, by the reference's closed form, by torch.

Arrays are in jaxnet's orientation, an example a row, a unit a column; float64 where the caller
enables it.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import layers
from jaxnet.crosscheck import bounds, compare
from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.cases.batch_norm import backward_errors, forward_errors
from jaxnet.layers import BatchNormParams, Layer
from reference_numpy import activations
from reference_numpy import batch_norm as reference

BATCH, N_IN, UNITS = 16, 6, 4
EPS = 1e-5


def draw_layers(key: jax.Array, count: int) -> dict[str, jax.Array]:
    """Arrays (count, …) in jaxnet's orientation; dA is the weight of each entry of A."""
    keys = jax.random.split(key, 7)
    normal = jax.random.normal
    return {
        "x": normal(keys[0], (count, BATCH, N_IN)) + 3 * normal(keys[1], (count, 1, N_IN)),
        "w": normal(keys[2], (count, N_IN, UNITS)),
        "b": normal(keys[3], (count, UNITS)),
        "gamma": jax.random.uniform(keys[4], (count, UNITS), minval=0.5, maxval=2.0),
        "beta": normal(keys[5], (count, UNITS)),
        "dA": normal(keys[6], (count, BATCH, UNITS)),
    }


def chain(drawn: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """X → Z → Z̃ → A of one layer and the gradient of Σ dA · A, columns being units."""
    layer = Layer(drawn["w"], drawn["b"], BatchNormParams(drawn["gamma"], drawn["beta"]))

    def weighted(layer, x, offset):
        z = layers.dense(layer, x) + offset
        out, statistics = layers.batch_norm(layer.norm, z, eps=EPS)
        a = jnp.tanh(out)
        return jnp.sum(drawn["dA"] * a), (z, out, a, statistics)

    grad = jax.grad(weighted, argnums=(0, 1, 2), has_aux=True)
    (dlayer, dx, dz), (z, out, a, statistics) = grad(layer, drawn["x"], jnp.zeros((BATCH, UNITS)))
    return {
        "Z": z,
        "mu": statistics.mean[None],
        "var": statistics.var[None],
        "out": out,
        "A": a,
        "dZ": dz,
        "dgamma": dlayer.norm.gamma[None],
        "dbeta": dlayer.norm.beta[None],
        "dW": dlayer.w,
        "dX": dx,
    }


def by_reference(one: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same by the reference: the closed form, written out."""
    W, X = one["w"].T, one["x"].T
    Z = W @ X + one["b"][:, None]
    out, cache = reference.forward(Z, one["gamma"][:, None], one["beta"][:, None], EPS)
    dout = one["dA"].T * activations.tanh_derivative(out)
    dZ, dgamma, dbeta = reference.backward(dout, cache)
    columns = {
        "mu": cache.mu,
        "var": cache.var,
        "out": out,
        "A": activations.tanh(out),
        "dZ": dZ,
        "dgamma": dgamma,
        "dbeta": dbeta,
        "dW": dZ @ X.T,
        "dX": W.T @ dZ,
    }
    return {name: value.T for name, value in columns.items()}


def by_torch(one: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same by torch's batch_norm and its autograd."""
    torch = frameworks.torch()
    x, w, gamma, beta = (
        torch.tensor(one[name], dtype=torch.float64, requires_grad=True)
        for name in ("x", "w", "gamma", "beta")
    )
    z = x @ w + torch.tensor(one["b"])
    z.retain_grad()
    out = torch.nn.functional.batch_norm(
        z, None, None, weight=gamma, bias=beta, training=True, eps=EPS
    )
    a = torch.tanh(out)
    torch.sum(torch.tensor(one["dA"]) * a).backward()
    return {
        "out": out.detach().numpy(),
        "A": a.detach().numpy(),
        "dZ": z.grad.numpy(),
        "dgamma": gamma.grad.numpy()[None],
        "dbeta": beta.grad.numpy()[None],
        "dW": w.grad.numpy(),
        "dX": x.grad.numpy(),
    }


def _errors(one: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rounding errors of every result, operation by operation, in units u."""
    W, X = one["w"].T, one["x"].T
    args = {"gamma": one["gamma"][:, None], "beta": one["beta"][:, None], "eps": EPS}
    Z = bounds.dense(W, X, one["b"][:, None])
    out, mu, var, centred, deviation = forward_errors(Z, args)
    dout = bounds.bounded(one["dA"].T) * bounds.derivative("tanh", out)
    dZ, dgamma, dbeta = backward_errors(dout, centred, deviation, args)
    columns = {
        "mu": mu,
        "var": var,
        "out": out,
        "A": bounds.activation("tanh", out),
        "dZ": dZ,
        "dgamma": dgamma,
        "dbeta": dbeta,
        "dW": dZ @ X.T,
        "dX": bounds.bounded(W.T) @ dZ,
    }
    return {name: value.error.T for name, value in columns.items()}


def apart(
    ours: dict[str, Any], theirs: Callable[..., dict[str, Any]], drawn: dict[str, Any]
) -> dict[str, float]:
    """Largest difference over its rounding bound of each result, over all layers."""
    worst: dict[str, float] = {}
    for number in range(len(drawn["x"])):
        one = {name: np.asarray(value[number]) for name, value in drawn.items()}
        errors = _errors(one)
        for name, value in theirs(one).items():
            bound = bounds.tolerance(errors[name], np.float64, np.float64)
            ratio = compare(ours[name][number], value, bound=bound).leaves[0].ratio
            worst[name] = max(worst.get(name, 0.0), float(ratio))
    return worst
