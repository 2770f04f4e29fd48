"""Rows 1 to 4: what the velocity averages, where the rate enters it, and Nesterov's look-ahead."""

from functools import partial
from typing import Any

import numpy as np
import optax

import reference_numpy as ref
from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.differences.difference import (
    AGREE,
    AGREE_IF,
    CANNOT,
    Check,
    Difference,
    agree,
    default,
    differ,
    differ_as_predicted,
)
from jaxnet.crosscheck.differences.trajectories import (
    RATE,
    RATES,
    by_keras,
    by_optax,
    by_sklearn,
    by_torch,
    gradients,
    halved,
    parameters,
)

BETA = 0.9
TOPIC = "momentum"


def _alone(array: np.ndarray) -> Any:
    """One array as the reference's params."""
    return [(array,)]


def textbook(rate: float) -> np.ndarray:
    """The reference's own momentum on the same gradients."""
    params = _alone(parameters())
    state, path = ref.optimizers.momentum_init(params), []
    for gradient in gradients():
        params, state = ref.optimizers.momentum_update(
            params, _alone(gradient), state, learning_rate=rate, beta=BETA
        )
        path.append(params[0][0])
    return np.stack(path)


def _torch_sgd(**options: Any) -> partial:
    return partial(frameworks.torch().optim.SGD, **options)


def _average_or_trace(path: Any) -> list[Check]:
    """path: rate ↦ the trajectory of a framework's momentum."""
    return [
        agree("rate (1−β)α against the textbook's α", path((1 - BETA) * RATE), textbook(RATE)),
        differ("the same α in both", path(RATE), textbook(RATE)),
    ]


def _optax_average() -> list[Check]:
    return _average_or_trace(lambda rate: by_optax(optax.sgd(rate, momentum=BETA), gradients()))


def _torch_average() -> list[Check]:
    return _average_or_trace(lambda rate: by_torch(_torch_sgd(lr=rate, momentum=BETA), gradients()))


def _dampening() -> list[Check]:
    torch_path = by_torch(_torch_sgd(lr=RATE, momentum=BETA, dampening=BETA), gradients())
    average = textbook(RATE)
    # The first buffer is g₁ and not (1−β)g₁; the excess βg₁ decays with every step, so that
    # after t steps the parameters are apart by −α Σ βˢ g₁, s = 1 … t: a geometric sum.
    t = np.arange(1, len(average) + 1)[:, None]
    excess = -RATE * BETA * (1 - BETA**t) / (1 - BETA) * gradients()[0]
    return [
        differ_as_predicted(
            "dampening=β against the textbook's average, which lacks −αβ(1−βᵗ)/(1−β)·g₁",
            torch_path, average, textbook(RATE) + excess, textbook(RATE),
        ),
        default("dampening of torch.optim.SGD", frameworks.torch().optim.SGD, "dampening", 0),
    ]  # fmt: skip


def _rate_inside(path: np.ndarray) -> list[Check]:
    inside = optax.chain(optax.scale_by_learning_rate(halved), optax.trace(BETA))
    return [
        agree("chain(scale_by_learning_rate(s), trace(μ))", path, by_optax(inside, gradients())),
        differ(
            "sgd(s, momentum=μ), the rate outside",
            path,
            by_optax(optax.sgd(halved, momentum=BETA), gradients()),
        ),
    ]


def _keras_inside() -> list[Check]:
    optimizer = frameworks.keras().optimizers.SGD(RATE, momentum=BETA)
    return _rate_inside(by_keras(optimizer, gradients(), RATES))


def _sklearn_sgd(**options: Any) -> partial:
    from sklearn.neural_network._stochastic_optimizers import SGDOptimizer

    return partial(SGDOptimizer, learning_rate_init=RATE, momentum=BETA, **options)


def _sklearn_inside() -> list[Check]:
    return _rate_inside(by_sklearn(_sklearn_sgd(nesterov=False), gradients(), RATES))


def _torch_outside() -> list[Check]:
    torch_path = by_torch(_torch_sgd(lr=RATE, momentum=BETA), gradients(), RATES)
    return [
        agree(
            "under a schedule, torch against optax.sgd",
            torch_path,
            by_optax(optax.sgd(halved, momentum=BETA), gradients()),
        )
    ]


def _nesterov_torch() -> list[Check]:
    torch_path = by_torch(_torch_sgd(lr=RATE, momentum=BETA, nesterov=True), gradients(), RATES)
    optimizer = optax.sgd(halved, momentum=BETA, nesterov=True)
    return [agree("under a schedule", torch_path, by_optax(optimizer, gradients()))]


def _nesterov_inside(constant: np.ndarray, scheduled: np.ndarray) -> list[Check]:
    sgd = partial(optax.sgd, momentum=BETA, nesterov=True)
    inside = optax.chain(optax.scale_by_learning_rate(halved), optax.trace(BETA, nesterov=True))
    return [
        agree("constant rate", constant, by_optax(sgd(RATE), gradients())),
        differ("sgd(s) under a schedule", scheduled, by_optax(sgd(halved), gradients())),
        agree("chain(rate, trace) under it", scheduled, by_optax(inside, gradients())),
    ]


def _nesterov_keras() -> list[Check]:
    sgd = partial(frameworks.keras().optimizers.SGD, RATE, momentum=BETA, nesterov=True)
    return _nesterov_inside(by_keras(sgd(), gradients()), by_keras(sgd(), gradients(), RATES))


def _nesterov_sklearn() -> list[Check]:
    sgd = _sklearn_sgd(nesterov=True)
    return _nesterov_inside(by_sklearn(sgd, gradients()), by_sklearn(sgd, gradients(), RATES))


CURVATURE = np.array([0.2, 0.5, 1.0, 2.0, 4.0])


def _look_ahead() -> list[Check]:
    """Descent on ½ Σ cᵢwᵢ², whose gradient depends on where it is taken."""
    optimizer = optax.sgd(RATE, momentum=BETA, nesterov=True)
    relabelled = parameters()
    state = optimizer.init(relabelled)
    theta, v = parameters(), np.zeros(5)
    ours, theirs, positions = [], [], []
    for _ in range(20):
        updates, state = optimizer.update(CURVATURE * relabelled, state, relabelled)
        relabelled = np.asarray(optax.apply_updates(relabelled, updates))
        ours.append(relabelled)
        v = BETA * v - RATE * CURVATURE * (theta + BETA * v)
        theta = theta + v
        theirs.append(theta + BETA * v)
        positions.append(theta)
    return [
        agree("optax' parameters against θ + μv", np.stack(ours), np.stack(theirs)),
        differ("optax' parameters against θ", np.stack(ours), np.stack(positions)),
    ]


TRACE = "V := βV + g, W := W − αV"
AVERAGE = "V := βV + (1−β)g, W := W − αV"
INSIDE = "V := μV − αg, W := W + V"
NESTEROV = "W := W − α(g + μV), V the new one"

ROWS = (
    Difference(
        1, "a", TOPIC, {"textbook": AVERAGE, "optax.sgd": TRACE},
        AGREE_IF + "α_trace = (1−β)α_average and α is constant", _optax_average,
        mapping="optax.sgd((1−β)α, momentum=β), or chain(ema(β, debias=False), "
        "scale_by_learning_rate(α)), which needs no constant α",
    ),
    Difference(
        1, "b", TOPIC, {"textbook": AVERAGE, "torch.optim.SGD": TRACE},
        AGREE_IF + "α_trace = (1−β)α_average and α is constant", _torch_average,
        mapping="SGD(lr=(1−β)α, momentum=β)", needs=("torch",),
    ),
    Difference(
        2, "", TOPIC,
        {"textbook": AVERAGE, "torch dampening=β": "V₁ = g₁, then V := βV + (1−β)g"},
        CANNOT, _dampening, {"torch": "dampening=0"},
        "none from a zero start; multiply α instead (row 1)", ("torch",),
    ),
    Difference(
        3, "a", TOPIC, {"keras": INSIDE, "optax, torch": TRACE},
        AGREE_IF + "the rate is put before the trace, or is constant", _keras_inside,
        mapping="chain(scale_by_learning_rate(s), trace(μ))", needs=("keras",),
    ),
    Difference(
        3, "b", TOPIC, {"scikit-learn": INSIDE, "optax, torch": TRACE},
        AGREE_IF + "the rate is put before the trace, or is constant", _sklearn_inside,
        mapping="chain(scale_by_learning_rate(s), trace(μ))", needs=("sklearn",),
    ),
    Difference(
        3, "c", TOPIC, {"torch": TRACE, "optax": TRACE}, AGREE, _torch_outside,
        mapping="none needed", needs=("torch",),
    ),
    Difference(
        4, "a", TOPIC, {"torch": NESTEROV, "optax": NESTEROV}, AGREE, _nesterov_torch,
        mapping="none needed", needs=("torch",),
    ),
    Difference(
        4, "b", TOPIC, {"keras": "W := W + μV − αg, V := μV − αg", "optax": NESTEROV},
        AGREE_IF + "the rate is constant, or put before the trace", _nesterov_keras,
        mapping="chain(scale_by_learning_rate(s), trace(μ, nesterov=True))", needs=("keras",),
    ),
    Difference(
        4, "c", TOPIC, {"scikit-learn": "W := W + μV − αg, V := μV − αg", "optax": NESTEROV},
        AGREE_IF + "the rate is constant, or put before the trace", _nesterov_sklearn,
        {"scikit-learn": "nesterovs_momentum=True"},
        "chain(scale_by_learning_rate(s), trace(μ, nesterov=True))", ("sklearn",),
    ),
    Difference(
        4, "d", TOPIC,
        {"Sutskever": "V := μV − α∇J(θ + μV), θ := θ + V", "optax": NESTEROV},
        AGREE_IF + "optax' parameters are read as θ + μV", _look_ahead,
        mapping="W = θ + μV: what is trained is the point looked at, not θ",
    ),
)  # fmt: skip
