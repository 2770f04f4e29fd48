"""Rows 5 and 6: RMSprop's ε, decay, momentum and start."""

from functools import partial
from typing import Any

import numpy as np
import optax

import reference_numpy as ref
from jaxnet.crosscheck.differences.difference import (
    AGREE,
    AGREE_IF,
    Check,
    Difference,
    agree,
    default,
    differ,
)
from jaxnet.crosscheck.differences.trajectories import (
    RATE,
    RATES,
    by_keras,
    by_optax,
    by_rule,
    by_torch,
    gradients,
    halved,
    keras_optimizer,
    parameters,
    torch_optimizer,
)

RHO = 0.9
SMALL = gradients(1e-3)  # where an ε of 1e-7 or √1e-8 shows
TOPIC = "adaptive rates"


def _textbook(name: str, grads: np.ndarray, **options: float) -> np.ndarray:
    """The reference's own rule."""
    start, update = (getattr(ref.optimizers, f"{name}_{part}") for part in ("init", "update"))
    params = [(parameters(),)]
    state, path = start(params), []
    for gradient in grads:
        params, state = update(params, [(gradient,)], state, learning_rate=RATE, **options)
        path.append(params[0][0])
    return np.stack(path)


# Row 5: RMSprop's ε.


def _rmsprop_optax() -> list[Check]:
    eps = 1e-8
    right = _textbook("rmsprop", SMALL, beta=RHO, eps=eps)
    rmsprop = partial(optax.rmsprop, RATE, decay=RHO, eps=eps)
    return [
        agree("eps_in_sqrt=False", by_optax(rmsprop(eps_in_sqrt=False), SMALL), right),
        differ("optax' default", by_optax(rmsprop(), SMALL), right),
        default("eps_in_sqrt of optax.rmsprop", optax.rmsprop, "eps_in_sqrt", True),
    ]


def _rmsprop_torch() -> list[Check]:
    eps = 1e-8
    left = by_torch(partial(torch_optimizer("RMSprop"), lr=RATE, alpha=RHO, eps=eps), SMALL)
    rmsprop = partial(optax.rmsprop, RATE, decay=RHO, eps=eps)
    return [
        agree("eps_in_sqrt=False", left, by_optax(rmsprop(eps_in_sqrt=False), SMALL)),
        differ("optax' default", left, by_optax(rmsprop(), SMALL)),
    ]


def _rmsprop_keras() -> list[Check]:
    eps = 1e-7
    left = by_keras(keras_optimizer("RMSprop")(RATE, rho=RHO, epsilon=eps), SMALL)
    rmsprop = partial(optax.rmsprop, RATE, decay=RHO)
    return [
        agree("optax' default form, ε = 1e-7", left, by_optax(rmsprop(eps=eps), SMALL)),
        differ("optax' default ε", left, by_optax(rmsprop(), SMALL)),
        default("epsilon of keras RMSprop", keras_optimizer("RMSprop"), "epsilon", 1e-7),
        default("eps of optax.rmsprop", optax.rmsprop, "eps", 1e-8),
    ]


def _rmsprop_decay() -> list[Check]:
    torch_rmsprop = partial(torch_optimizer("RMSprop"), lr=RATE)
    rmsprop = partial(optax.rmsprop, RATE, eps_in_sqrt=False)
    left = by_torch(torch_rmsprop, gradients())
    return [
        agree("decay=0.99", left, by_optax(rmsprop(decay=0.99), gradients())),
        differ("the default of each", left, by_optax(rmsprop(), gradients())),
        default("decay of optax.rmsprop", optax.rmsprop, "decay", 0.9),
        default("alpha of torch's RMSprop", torch_optimizer("RMSprop"), "alpha", 0.99),
    ]


def _rmsprop_decay_keras() -> list[Check]:
    return [
        agree(
            "default decay of keras and optax, ε = 1e-7",
            by_keras(keras_optimizer("RMSprop")(RATE), gradients()),
            by_optax(optax.rmsprop(RATE, eps=1e-7), gradients()),
        ),
        default("rho of keras RMSprop", keras_optimizer("RMSprop"), "rho", 0.9),
    ]


# Row 6: RMSprop's momentum, and where the average starts.


def _rmsprop_momentum_torch() -> list[Check]:
    eps = 1e-8
    make = partial(torch_optimizer("RMSprop"), lr=RATE, alpha=RHO, eps=eps, momentum=0.9)
    left = by_torch(make, gradients(), RATES)
    options: dict[str, Any] = {"decay": RHO, "eps": eps, "eps_in_sqrt": False}
    mapped = optax.chain(
        optax.scale_by_rms(**options), optax.trace(0.9), optax.scale_by_learning_rate(halved)
    )
    plain = optax.rmsprop(halved, momentum=0.9, **options)
    return [
        agree("chain(scale_by_rms, trace, rate)", left, by_optax(mapped, gradients())),
        differ("optax.rmsprop(s, momentum)", left, by_optax(plain, gradients())),
    ]


def _rmsprop_momentum_keras() -> list[Check]:
    optimizer = keras_optimizer("RMSprop")(RATE, rho=RHO, momentum=0.9, epsilon=1e-7)
    plain = optax.rmsprop(halved, decay=RHO, eps=1e-7, momentum=0.9)
    left = by_keras(optimizer, gradients(), RATES)
    return [agree("under a schedule", left, by_optax(plain, gradients()))]


def _rmsprop_from_one() -> list[Check]:
    def rule(t, g, s):
        s = RHO * s + (1 - RHO) * g**2
        return RATE * g / np.sqrt(s + 1e-10), s

    tensorflow = by_rule(rule, gradients(), np.ones(5))
    rmsprop = partial(optax.rmsprop, RATE, decay=RHO, eps=1e-10)
    return [
        agree("initial_scale=1", by_optax(rmsprop(initial_scale=1.0), gradients()), tensorflow),
        differ("optax' default start", by_optax(rmsprop(), gradients()), tensorflow),
        default("initial_scale of optax.rmsprop", optax.rmsprop, "initial_scale", 0.0),
    ]


IN, OUT = "αg/√(S + ε)", "αg/(√S + ε)"

ROWS = (
    Difference(
        5, "a", TOPIC, {"textbook": OUT, "optax.rmsprop": IN}, AGREE_IF + "eps_in_sqrt=False",
        _rmsprop_optax, {"optax": "eps_in_sqrt=True, eps=1e-8"}, "eps_in_sqrt=False",
    ),
    Difference(
        5, "b", TOPIC, {"torch RMSprop": OUT, "optax.rmsprop": IN}, AGREE_IF + "eps_in_sqrt=False",
        _rmsprop_torch, {"torch": "eps=1e-8"}, "eps_in_sqrt=False", ("torch",),
    ),
    Difference(
        5, "c", TOPIC, {"keras RMSprop": IN, "optax.rmsprop": IN},
        AGREE_IF + "ε is given", _rmsprop_keras,
        {"keras": "epsilon=1e-7", "optax": "eps=1e-8"}, "pass ε", ("keras",),
    ),
    Difference(
        5, "d", TOPIC, {"torch RMSprop": "S := 0.99 S + 0.01 g²", "optax": "S := 0.9 S + 0.1 g²"},
        AGREE_IF + "the decay is given", _rmsprop_decay,
        {"torch": "alpha=0.99", "optax": "decay=0.9"}, "pass the decay", ("torch",),
    ),
    Difference(
        5, "e", TOPIC, {"keras RMSprop": "S := 0.9 S + 0.1 g²", "optax": "S := 0.9 S + 0.1 g²"},
        AGREE, _rmsprop_decay_keras, {"keras": "rho=0.9", "optax": "decay=0.9"}, "none needed",
        ("keras",),
    ),
    Difference(
        6, "a", TOPIC,
        {"torch RMSprop(momentum)": "V := μV + g/(√S + ε), W := W − αV",
         "optax.rmsprop(momentum)": "V := μV + αg/(√S + ε), W := W − V"},
        AGREE_IF + "the trace is put before the rate, or the rate is constant",
        _rmsprop_momentum_torch, mapping="chain(scale_by_rms, trace, scale_by_learning_rate(s))",
        needs=("torch",),
    ),
    Difference(
        6, "b", TOPIC, {"keras": "V := μV + αg/√(S + ε)", "optax": "V := μV + αg/√(S + ε)"},
        AGREE, _rmsprop_momentum_keras, mapping="none needed", needs=("keras",),
    ),
    Difference(
        6, "c", TOPIC, {"TensorFlow 1": "S₀ = 1", "optax": "S₀ = 0"},
        AGREE_IF + "initial_scale=1", _rmsprop_from_one, {"optax": "initial_scale=0"},
        "initial_scale=1", note="TensorFlow 1's side is its formula in NumPy",
    ),
)  # fmt: skip
