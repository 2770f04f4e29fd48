"""Setups of the standard run: by descent with momentum, by Adam, or of a model of one's own."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax

from jaxnet.training.run import Setup
from scripts.differences import _parts as parts
from scripts.differences._training import UPDATES

NETWORK = parts.network()
MOMENTUM, ADAM = 0.1, 1e-3
"""Learning rates: of descent with a trace of 0.9, and of Adam and its like."""


def by(optimizer: Callable[[Any], Any], **setup: Any) -> Callable[[Any], Setup]:
    """A build whose optimizer is made of hyper."""
    model = setup.pop("model", NETWORK)
    return lambda h: Setup(model, optimizer(h), **setup)


def trained(**setup: Any) -> Callable[[Any], Setup]:
    """By optax.sgd with momentum at the usual rate."""
    return by(lambda h: optax.sgd(MOMENTUM, momentum=0.9), **setup)


def by_adam(**setup: Any) -> Callable[[Any], Setup]:
    return by(lambda h: optax.adam(ADAM), **setup)


def built(build_model: Callable[[Any], Any]) -> Callable[[Any], Setup]:
    """A build whose model is made of hyper, trained by Adam."""
    return lambda h: Setup(build_model(h), optax.adam(ADAM))


def drop(rate: float) -> Callable[[Any], Any]:
    """A tenth of the rate from half of the updates on."""
    return lambda count: jnp.where(count < UPDATES // 2, rate, rate / 10)


SGD_DIGITS = f"descent, α = {MOMENTUM}, β = 0.9"
ADAM_DIGITS = f"Adam, α = {ADAM}"
DROP = "α = 0.1, a tenth of it from half of the updates on, β = 0.9"
