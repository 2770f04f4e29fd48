"""Rows 7 to 10: Adam's ε, AMSGrad's maximum, NAdam's momentum, Adagrad's start."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import optax

import reference_numpy as ref
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
    STEPS,
    by_keras,
    by_optax,
    by_rule,
    by_sklearn,
    by_torch,
    gradients,
    keras_optimizer,
    parameters,
    torch_optimizer,
)

B1, B2 = 0.9, 0.999
SMALL = gradients(1e-3)  # where an ε of 1e-7 or √1e-8 shows
TOPIC = "adaptive rates"

FLOAT32 = 2.0**-24


def _textbook(name: str, grads: np.ndarray, **options: float) -> np.ndarray:
    """The reference's own rule."""
    start, update = (getattr(ref.optimizers, f"{name}_{part}") for part in ("init", "update"))
    params = [(parameters(),)]
    state, path = start(params), []
    for gradient in grads:
        params, state = update(params, [(gradient,)], state, learning_rate=RATE, **options)
        path.append(params[0][0])
    return np.stack(path)


# Row 7: Adam's ε.


def _adam_rule(eps_at: Callable[[int], float], amsgrad: str = "") -> Callable[..., Any]:
    """Adam with ε of step t; amsgrad: "raw", the maximum before the correction, or "corrected"."""

    def rule(t, g, m, v, largest):
        m, v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g**2
        correction = 1 - B2**t
        v_hat = v / correction
        if amsgrad:
            largest = np.maximum(largest, v if amsgrad == "raw" else v_hat)
            v_hat = largest / correction if amsgrad == "raw" else largest
        return RATE * m / (1 - B1**t) / (np.sqrt(v_hat) + eps_at(t)), m, v, largest

    return rule


def _adam_path(grads: np.ndarray, eps_at: Callable[[int], float], amsgrad: str = "") -> np.ndarray:
    return by_rule(_adam_rule(eps_at, amsgrad), grads, *(np.zeros(5) for _ in range(3)))


def _hat(eps: float) -> Callable[[int], float]:
    return lambda t: eps / np.sqrt(1 - B2**t)


# √(1−β₂ᵗ) cancels: 1−0.999 has lost three digits, so that a rounding of β₂ᵗ is a thousand times
# larger in the first steps' move; 1,000 of them are allowed there beside the usual 1,000.
ADAM_TERMS = 2000


def _adam_agrees() -> list[Check]:
    right = _textbook("adam", SMALL, eps=1e-8)
    return [
        agree("optax", by_optax(optax.adam(RATE), SMALL), right, terms=ADAM_TERMS),
        default("eps of optax.adam", optax.adam, "eps", 1e-8),
    ]


def _adam_agrees_torch() -> list[Check]:
    right = _textbook("adam", SMALL, eps=1e-8)
    return [
        agree(
            "torch",
            by_torch(partial(torch_optimizer("Adam"), lr=RATE), SMALL),
            right,
            terms=ADAM_TERMS,
        ),
        default("eps of torch's Adam", torch_optimizer("Adam"), "eps", 1e-8),
    ]


def _adam_hat(path: Callable[[float], np.ndarray], eps: float) -> list[Check]:
    """path: ε̂ ↦ the trajectory of a framework."""
    return [
        differ_as_predicted(
            f"ε = {eps:g} in both, by the two formulas",
            path(eps), by_optax(optax.adam(RATE, eps=eps), SMALL),
            _adam_path(SMALL, _hat(eps)), _adam_path(SMALL, lambda t: eps), terms=ADAM_TERMS,
        ),
        agree(
            "ε → 0 (1e-30)", path(1e-30), by_optax(optax.adam(RATE, eps=1e-30), SMALL),
            terms=ADAM_TERMS,
        ),
    ]  # fmt: skip


def _adam_keras() -> list[Check]:
    adam = keras_optimizer("Adam")
    checks = _adam_hat(lambda eps: by_keras(adam(RATE, epsilon=eps), SMALL), 1e-7)
    return [*checks, default("epsilon of keras Adam", adam, "epsilon", 1e-7)]


def _adam_sklearn() -> list[Check]:
    from sklearn.neural_network import MLPClassifier
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer

    def path(eps):
        return by_sklearn(partial(AdamOptimizer, learning_rate_init=RATE, epsilon=eps), SMALL)

    return [*_adam_hat(path, 1e-7), default("epsilon", MLPClassifier, "epsilon", 1e-8)]


# Row 8: AMSGrad.

# The largest gradient comes first, so that the two maxima part.
FALLING = gradients() * (0.7 ** np.arange(STEPS))[:, None]


def _amsgrad_torch() -> list[Check]:
    return [
        differ_as_predicted(
            "by the two formulas",
            by_torch(partial(torch_optimizer("Adam"), lr=RATE, amsgrad=True), FALLING),
            by_optax(optax.amsgrad(RATE), FALLING),
            _adam_path(FALLING, lambda t: 1e-8, "raw"),
            _adam_path(FALLING, lambda t: 1e-8, "corrected"),
            terms=ADAM_TERMS,
        )
    ]


def _amsgrad_keras() -> list[Check]:
    return [
        differ_as_predicted(
            "by the two formulas, keras' with its ε̂",
            by_keras(keras_optimizer("Adam")(RATE, amsgrad=True), FALLING),
            by_optax(optax.amsgrad(RATE), FALLING),
            _adam_path(FALLING, _hat(1e-7), "raw"),
            _adam_path(FALLING, lambda t: 1e-8, "corrected"),
            terms=ADAM_TERMS,
        )
    ]


def _amsgrad_mapped() -> list[Check]:
    eps = 1e-30
    torch_path = by_torch(partial(torch_optimizer("Adam"), lr=RATE, eps=eps, amsgrad=True), FALLING)
    uncorrected = optax.scale_by_amsgrad(eps=eps, bias_correction_nu=False)
    mapped = optax.chain(
        uncorrected,
        optax.scale_by_schedule(lambda count: (1 - B2 ** (count + 1.0)) ** 0.5),
        optax.scale_by_learning_rate(RATE),
    )
    flag = optax.chain(uncorrected, optax.scale_by_learning_rate(RATE))
    return [
        agree(
            "maximum uncorrected, then times √(1−β₂ᵗ)",
            torch_path, by_optax(mapped, FALLING), terms=ADAM_TERMS,
        ),
        differ("bias_correction_nu=False alone", torch_path, by_optax(flag, FALLING)),
    ]  # fmt: skip


# Row 9: NAdam.


def _nadam_path(psi: float, eps: float) -> np.ndarray:
    def mu(t):
        return B1 * (1 - 0.5 * 0.96 ** (t * psi))

    def rule(t, g, m, v, product):
        m, v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g**2
        product = product * mu(t)
        ahead = mu(t + 1) * m / (1 - product * mu(t + 1)) + (1 - mu(t)) * g / (1 - product)
        return RATE * ahead / (np.sqrt(v / (1 - B2**t)) + eps), m, v, product

    return by_rule(rule, gradients(), np.zeros(5), np.zeros(5), 1.0)


# torch keeps Πμ in float32 whatever the parameters' dtype: one rounding of 6e-8 a step, which
# 1/(1 − Πμ) makes 1/(1−β₁) = 10 times larger at first, in twenty moves.
NADAM_BOUND = STEPS * FLOAT32 * 10


def _nadam_torch() -> list[Check]:
    torch_nadam = torch_optimizer("NAdam")
    right = by_optax(optax.nadam(RATE), gradients())
    constant = by_torch(partial(torch_nadam, lr=RATE, momentum_decay=1e9), gradients())
    plain = by_torch(partial(torch_nadam, lr=RATE), gradients())
    return [
        agree("momentum_decay=1e9", constant, right, bound=NADAM_BOUND),
        differ_as_predicted(
            "torch's default by its formula", plain, right, _nadam_path(0.004, 1e-8),
            _nadam_path(1e9, 1e-8), bound=NADAM_BOUND,
        ),
        default("momentum_decay of torch's NAdam", torch_nadam, "momentum_decay", 4e-3),
    ]  # fmt: skip


def _nadam_keras() -> list[Check]:
    torch_nadam = torch_optimizer("NAdam")
    left = by_keras(keras_optimizer("Nadam")(RATE), gradients())
    one = by_torch(partial(torch_nadam, lr=RATE, momentum_decay=1.0, eps=1e-7), gradients())
    plain = by_torch(partial(torch_nadam, lr=RATE, eps=1e-7), gradients())
    return [
        agree("momentum_decay=1, ε = 1e-7", left, one, bound=NADAM_BOUND),
        differ("torch's default", left, plain, bound=NADAM_BOUND),
    ]


# Row 10: Adagrad.


def _adagrad_torch() -> list[Check]:
    eps = 1e-30
    left = by_torch(partial(torch_optimizer("Adagrad"), lr=RATE, eps=eps), gradients())
    mapped = optax.adagrad(RATE, initial_accumulator_value=0.0, eps=eps)
    plain = by_torch(partial(torch_optimizer("Adagrad"), lr=RATE), gradients())
    return [
        agree("start 0, ε → 0 (1e-30)", left, by_optax(mapped, gradients())),
        differ("the defaults of each", plain, by_optax(optax.adagrad(RATE), gradients())),
        default("start of optax.adagrad", optax.adagrad, "initial_accumulator_value", 0.1),
        default("ε of optax.adagrad", optax.adagrad, "eps", 1e-7),
        default(
            "start of torch's Adagrad", torch_optimizer("Adagrad"), "initial_accumulator_value", 0
        ),
        default("ε of torch's Adagrad", torch_optimizer("Adagrad"), "eps", 1e-10),
    ]


def _adagrad_keras() -> list[Check]:
    adagrad = keras_optimizer("Adagrad")
    right = by_optax(optax.adagrad(RATE), gradients())
    return [
        agree("the defaults of each", by_keras(adagrad(RATE), gradients()), right),
        default("start of keras Adagrad", adagrad, "initial_accumulator_value", 0.1),
        default("ε of keras Adagrad", adagrad, "epsilon", 1e-7),
    ]


ADAM, ADAM_HAT = "α m̂/(√v̂ + ε)", "α√(1−β₂ᵗ)/(1−β₁ᵗ) · m/(√v + ε̂), so ε = ε̂/√(1−β₂ᵗ)"

ROWS = (
    Difference(
        7, "a", TOPIC, {"textbook": ADAM, "optax": ADAM}, AGREE, _adam_agrees,
        {"optax": "eps=1e-8"}, "none needed",
    ),
    Difference(
        7, "b", TOPIC, {"textbook": ADAM, "torch": ADAM}, AGREE, _adam_agrees_torch,
        {"torch": "eps=1e-8"}, "none needed", ("torch",),
    ),
    Difference(
        7, "c", TOPIC, {"keras": ADAM_HAT, "optax": ADAM}, CANNOT, _adam_keras,
        {"keras": "epsilon=1e-7", "optax": "eps=1e-8"},
        "none at a constant ε; agreement as ε → 0", ("keras",),
    ),
    Difference(
        7, "d", TOPIC, {"scikit-learn": ADAM_HAT, "optax": ADAM}, CANNOT, _adam_sklearn,
        {"scikit-learn": "epsilon=1e-8", "optax": "eps=1e-8"},
        "none at a constant ε; agreement as ε → 0", ("sklearn",),
    ),
    Difference(
        8, "a", TOPIC, {"torch": "max over v, then corrected", "optax": "max over v̂"},
        CANNOT, _amsgrad_torch, mapping="no flag of either; see 8c", needs=("torch",),
    ),
    Difference(
        8, "b", TOPIC, {"keras": "max over v, then corrected; ε̂", "optax": "max over v̂"},
        CANNOT, _amsgrad_keras, mapping="no flag of either", needs=("keras",),
    ),
    Difference(
        8, "c", TOPIC, {"torch": "max over v, then corrected", "optax": "max over v, uncorrected"},
        AGREE_IF + "ε → 0 and √(1−β₂ᵗ) is multiplied in", _amsgrad_mapped,
        mapping="chain(scale_by_amsgrad(eps=0, bias_correction_nu=False), "
        "scale_by_schedule(t ↦ √(1−β₂ᵗ)), scale_by_learning_rate(α))", needs=("torch",),
        note="no flag alone agrees, as was written; with one more link in the chain optax does",
    ),
    Difference(
        9, "a", TOPIC, {"torch NAdam": "μₜ = β₁(1 − ½·0.96^(tψ)), ψ = 0.004", "optax": "μₜ = β₁"},
        AGREE_IF + "momentum_decay=1e9", _nadam_torch, {"torch": "momentum_decay=4e-3"},
        "momentum_decay=1e9", ("torch",),
        "torch multiplies the μₜ up in float32: agreement to about 1e-7",
    ),
    Difference(
        9, "b", TOPIC, {"keras Nadam": "ψ = 1", "torch NAdam": "ψ = 0.004"},
        AGREE_IF + "momentum_decay=1 and ε is given", _nadam_keras,
        {"keras": "epsilon=1e-7", "torch": "momentum_decay=4e-3, eps=1e-8"},
        "momentum_decay=1, eps=1e-7", ("keras", "torch"),
        "torch multiplies the μₜ up in float32: agreement to about 1e-7",
    ),
    Difference(
        10, "a", TOPIC, {"torch": "S₀ = 0, αg/(√S + ε)", "optax": "S₀ = 0.1, αg/√(S + ε)"},
        AGREE_IF + "the start is given and ε → 0", _adagrad_torch,
        {"torch": "0, 1e-10", "optax": "0.1, 1e-7"}, "initial_accumulator_value=0, eps → 0",
        ("torch",),
    ),
    Difference(
        10, "b", TOPIC, {"keras": "S₀ = 0.1, αg/√(S + ε)", "optax": "S₀ = 0.1, αg/√(S + ε)"},
        AGREE, _adagrad_keras, {"keras": "0.1, 1e-7", "optax": "0.1, 1e-7"}, "none needed",
        ("keras",),
    ),
)  # fmt: skip
