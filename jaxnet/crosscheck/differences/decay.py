"""Rows 11 and 12: the decay of AdamW, and decay coupled to the gradient or not."""

from functools import partial

import numpy as np
import optax

from jaxnet.crosscheck.differences.difference import (
    AGREE_IF,
    Check,
    Difference,
    agree,
    default,
    differ,
)
from jaxnet.crosscheck.differences.trajectories import (
    RATE,
    by_keras,
    by_optax,
    by_rule,
    by_torch,
    gradients,
    keras_optimizer,
    parameters,
    torch_optimizer,
)

DECAY, BETA = 0.25, 0.9
TOPIC = "decay, clipping, accumulation"


# Row 11: the decay of AdamW.


def _adamw_torch() -> list[Check]:
    given = by_torch(partial(torch_optimizer("AdamW"), lr=RATE, weight_decay=DECAY), gradients())
    plain = by_torch(partial(torch_optimizer("AdamW"), lr=RATE), gradients())
    return [
        agree(
            "decay given", given, by_optax(optax.adamw(RATE, weight_decay=DECAY), gradients()),
            terms=2000,  # as for Adam: 1 − β₂ᵗ cancels at first
        ),
        differ("the default of each", plain, by_optax(optax.adamw(RATE), gradients())),
        default("weight_decay of optax.adamw", optax.adamw, "weight_decay", 1e-4),
        default("weight_decay of torch's AdamW", torch_optimizer("AdamW"), "weight_decay", 1e-2),
    ]  # fmt: skip


def _adamw_keras() -> list[Check]:
    adamw = keras_optimizer("AdamW")
    eps = 1e-30  # so that the place of ε (row 7) is out of the way
    given = by_keras(adamw(RATE, weight_decay=DECAY, epsilon=eps), gradients())
    plain = by_keras(adamw(RATE, epsilon=eps), gradients())
    mapped = by_optax(optax.adamw(RATE, weight_decay=DECAY, eps=eps), gradients())
    return [
        agree("decay given, ε → 0", given, mapped, terms=2000),
        differ("the default of each", plain, by_optax(optax.adamw(RATE, eps=eps), gradients())),
        default("weight_decay of keras AdamW", adamw, "weight_decay", 0.004),
    ]


def _adamw_paper() -> list[Check]:
    lam = 0.01

    def rule(t, g, w, m, v):
        m, v = BETA * m + (1 - BETA) * g, 0.999 * v + 0.001 * g**2
        m_hat, v_hat = m / (1 - BETA**t), v / (1 - 0.999**t)
        move = RATE * m_hat / (np.sqrt(v_hat) + 1e-8) + lam * w
        return move, w - move, m, v

    paper = by_rule(rule, gradients(), parameters(), np.zeros(5), np.zeros(5))
    adamw = partial(optax.adamw, RATE)
    return [
        agree(
            "weight_decay = λ/α", by_optax(adamw(weight_decay=lam / RATE), gradients()), paper,
            terms=2000,
        ),
        differ("weight_decay = λ", by_optax(adamw(weight_decay=lam), gradients()), paper),
    ]  # fmt: skip


# Row 12: coupled or decoupled.


def _coupled(momentum: float | None) -> optax.GradientTransformation:
    return optax.chain(optax.add_decayed_weights(DECAY), optax.sgd(RATE, momentum=momentum))


def _decoupled() -> optax.GradientTransformation:
    return optax.chain(
        optax.trace(BETA), optax.add_decayed_weights(DECAY), optax.scale_by_learning_rate(RATE)
    )


def _torch_sgd(momentum: float) -> np.ndarray:
    make = partial(torch_optimizer("SGD"), lr=RATE, momentum=momentum, weight_decay=DECAY)
    return by_torch(make, gradients())


def _keras_sgd(momentum: float) -> np.ndarray:
    # keras keeps the decay as a Python number; α stays the float32 power of two.
    optimizer = keras_optimizer("SGD")(RATE, momentum=momentum, weight_decay=DECAY)
    return by_keras(optimizer, gradients())


def _sgd_torch() -> list[Check]:
    left = _torch_sgd(BETA)
    return [
        agree("chain(add_decayed_weights, sgd)", left, by_optax(_coupled(BETA), gradients())),
        differ("decay after the trace", left, by_optax(_decoupled(), gradients())),
    ]


def _sgd_keras() -> list[Check]:
    left = _keras_sgd(BETA)
    mapped = by_optax(_decoupled(), gradients())
    return [
        agree("chain(trace, add_decayed_weights, rate)", left, mapped),
        differ("decay before the trace", left, by_optax(_coupled(BETA), gradients())),
    ]


def _sgd_both() -> list[Check]:
    return [
        agree("without momentum", _keras_sgd(0.0), _torch_sgd(0.0)),
        differ("with momentum", _keras_sgd(BETA), _torch_sgd(BETA)),
    ]


def _adam_coupled() -> list[Check]:
    left = by_torch(partial(torch_optimizer("Adam"), lr=RATE, weight_decay=DECAY), gradients())
    mapped = optax.chain(optax.add_decayed_weights(DECAY), optax.adam(RATE))
    decoupled = optax.adamw(RATE, weight_decay=DECAY)
    return [
        agree("chain(add_decayed_weights, adam)", left, by_optax(mapped, gradients()), terms=2000),
        differ("optax.adamw", left, by_optax(decoupled, gradients())),
    ]


ROWS = (
    Difference(
        11, "a", TOPIC, {"torch AdamW": "W := W − αλW − …", "optax.adamw": "W := W − αλW − …"},
        AGREE_IF + "the decay is given", _adamw_torch, {"torch": "1e-2", "optax": "1e-4"},
        "pass weight_decay", ("torch",),
    ),
    Difference(
        11, "b", TOPIC, {"keras AdamW": "W := W − αλW − …", "optax.adamw": "W := W − αλW − …"},
        AGREE_IF + "the decay is given and ε → 0", _adamw_keras,
        {"keras": "4e-3", "optax": "1e-4"}, "pass weight_decay", ("keras",),
    ),
    Difference(
        11, "c", TOPIC, {"paper": "W := W − λW − …", "optax, torch, keras": "W := W − αλW − …"},
        AGREE_IF + "weight_decay = λ/α", _adamw_paper, mapping="λ = α·weight_decay",
        note="the paper's side is its formula in NumPy",
    ),
    Difference(
        12, "a", TOPIC, {"torch SGD": "g := g + λW, then the trace", "optax": "no such argument"},
        AGREE_IF + "decay is added before the trace", _sgd_torch,
        mapping="chain(add_decayed_weights(λ), sgd(α, μ))", needs=("torch",),
    ),
    Difference(
        12, "b", TOPIC, {"keras SGD": "W := W − αλW beside the trace", "optax": "no such argument"},
        AGREE_IF + "decay is added after the trace", _sgd_keras,
        mapping="chain(trace(μ), add_decayed_weights(λ), scale_by_learning_rate(α))",
        needs=("keras",),
    ),
    Difference(
        12, "c", TOPIC,
        {"torch SGD": "g := g + λW, then the trace", "keras SGD": "W := W − αλW beside the trace"},
        AGREE_IF + "there is no momentum", _sgd_both, mapping="momentum=0",
        needs=("keras", "torch"),
    ),
    Difference(
        12, "d", TOPIC, {"torch Adam(weight_decay)": "g := g + λW", "optax.adamw": "W := W − αλW"},
        AGREE_IF + "decay is added before Adam", _adam_coupled,
        mapping="chain(add_decayed_weights(λ), adam(α))", needs=("torch",),
    ),
)  # fmt: skip
