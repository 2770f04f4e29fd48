"""Workload gradcheck: all 940 coordinates of a 20-30-10 tanh network on 32 examples, in float64."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet
from scripts.benchmark.timing import Missing, System, in_turn


def systems() -> list[System | Missing]:
    """Ways to check every coordinate, jaxnet first; `accuracy` is the relative distance found."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 20)), rng.integers(0, 10, 32)
    with jax.enable_x64(True):
        model = jaxnet.mlp((20, 30, 10), activation="tanh", initializer="xavier")
        params, state = model.init(jax.random.key(0))
        xs, ys = jnp.asarray(x), jnp.asarray(y)

    @jax.jit
    def cost(params):
        logits = model.apply(params, state, xs)[0]
        return jaxnet.losses.cost(jaxnet.losses.softmax_cross_entropy(logits, ys))

    def ours():
        with jax.enable_x64(True):
            return jaxnet.gradient_check(cost, params)

    found: list[System | Missing] = [
        System(
            "jaxnet gradient_check",
            ours,
            lambda check: check.relative_distance,
            "two-sided, 64 coordinates at a time",
        )
    ]
    arrays = [np.array(leaf) for leaf in jax.tree.leaves(params)]

    def numpy_cost(w1, b1, w2, b2):
        logits = np.tanh(x @ w1 + b1) @ w2 + b2
        top = logits.max(axis=1, keepdims=True)
        log_sum = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
        return (log_sum - logits[np.arange(32), y]).mean()

    def loop():
        eps, quotients = 6e-6, []
        for array in arrays:
            for index in np.ndindex(array.shape):
                kept = array[index]
                array[index] = kept + eps
                up = numpy_cost(*arrays)
                array[index] = kept - eps
                quotients.append((up - numpy_cost(*arrays)) / (2 * eps))
                array[index] = kept
        return np.array(quotients)

    found.append(System("NumPy loop", loop, lambda _: None, "differences alone"))
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        missing = "not installed: pip install 'jaxnet-suite[compare]'"
        found.append(Missing("torch.autograd.gradcheck", missing))
        return found
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    xt, yt = torch.tensor(x), torch.tensor(y)

    def torch_cost(w1, b1, w2, b2):
        return torch.nn.functional.cross_entropy(torch.tanh(xt @ w1 + b1) @ w2 + b2, yt)

    def full():
        return torch.autograd.gradcheck(torch_cost, tensors)

    found.append(System("torch.autograd.gradcheck", full, lambda _: None, "full mode"))
    return found


def rows(rounds: int) -> list[dict[str, Any]]:
    """The workload measured."""
    return in_turn("gradcheck", systems(), rounds)
