"""Twenty updates by each framework's own optimizer, on gradients that are given."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnet.crosscheck.backends import frameworks

STEPS = 20
RATE = 0.0625
"""A power of two, so that keras, which keeps the learning rate in float32, has the same one."""


def halved(step: Any) -> Any:
    """A schedule with one change: the rate, and from half of the steps on a quarter of it."""
    return jnp.where(step < STEPS // 2, RATE, RATE / 4)


RATES = [RATE if step < STEPS // 2 else RATE / 4 for step in range(STEPS)]


def parameters() -> np.ndarray:
    """Where every trajectory starts, (5,)."""
    return np.random.default_rng(1).standard_normal(5)


def gradients(scale: float = 1.0) -> np.ndarray:
    """One gradient for each step, (steps, 5), of about the given size."""
    return scale * np.random.default_rng(2).standard_normal((STEPS, 5))


def torch_optimizer(name: str) -> Any:
    """The class of that name in torch.optim."""
    return getattr(frameworks.torch().optim, name)


def keras_optimizer(name: str) -> Any:
    """The class of that name in keras.optimizers."""
    return getattr(frameworks.keras().optimizers, name)


def by_optax(optimizer: optax.GradientTransformation, grads: np.ndarray) -> np.ndarray:
    """Parameters after each update, (steps, n)."""

    def update(carry, gradient):
        params, state = carry
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    params = jnp.asarray(parameters())
    return np.asarray(jax.lax.scan(update, (params, optimizer.init(params)), grads)[1])


def by_torch(
    make: Callable[..., Any], grads: np.ndarray, rates: Sequence[float] | None = None
) -> np.ndarray:
    """The same by an optimizer of torch: make takes [parameter]; rates, one for each step."""
    torch = frameworks.torch()
    theta = torch.nn.Parameter(torch.tensor(parameters()))
    optimizer = make([theta])
    path = []
    for step, gradient in enumerate(grads):
        if rates is not None:
            optimizer.param_groups[0]["lr"] = rates[step]
        theta.grad = torch.tensor(gradient)
        optimizer.step()
        path.append(theta.detach().numpy().copy())
    return np.stack(path)


def by_keras(optimizer: Any, grads: np.ndarray, rates: Sequence[float] | None = None) -> np.ndarray:
    """The same by an optimizer of keras."""
    keras = frameworks.keras()
    theta = keras.Variable(parameters(), dtype="float64")
    path = []
    for step, gradient in enumerate(grads):
        if rates is not None:
            optimizer.learning_rate = rates[step]
        optimizer.apply([jnp.asarray(gradient)], [theta])
        path.append(np.array(theta))
    return np.stack(path)


def by_sklearn(
    make: Callable[..., Any], grads: np.ndarray, rates: Sequence[float] | None = None
) -> np.ndarray:
    """The same by an optimizer of scikit-learn's networks, which has the rate as an attribute."""
    theta = parameters()
    optimizer = make([theta])
    path = []
    for step, gradient in enumerate(grads):
        if rates is not None:
            optimizer.learning_rate = rates[step]
        optimizer.update_params([theta], [gradient])
        path.append(theta.copy())
    return np.stack(path)


def by_rule(step: Callable[..., tuple[Any, ...]], grads: np.ndarray, *memory: Any) -> np.ndarray:
    """The same by a formula: step(t from 1, gradient, *memory) ↦ (move, *memory), W := W − move."""
    theta, path = parameters(), []
    for t, gradient in enumerate(grads, start=1):
        move, *kept = step(t, gradient, *memory)
        memory = tuple(kept)
        theta = theta - move
        path.append(theta)
    return np.stack(path)
