"""Rows 1 to 16 and 41 to 45 as pairs of arms: update rules, decay, schedules, stopping."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxnet import optimizers
from jaxnet.training.run import Setup
from scripts.differences import _parts as parts
from scripts.differences._setups import (
    ADAM,
    ADAM_DIGITS,
    DROP,
    MOMENTUM,
    SGD_DIGITS,
    by,
    drop,
    trained,
)
from scripts.differences._training import UPDATES, UPDATES_PER_EPOCH, Arm, Pair

# Rows 1 to 4.

trace = by(lambda h: optax.sgd(h["rate"], momentum=0.9))
average = by(lambda h: optimizers.momentum(h["rate"], beta=0.9))
dampened = by(lambda h: parts.dampened(h["rate"], 0.9))


def _inside(nesterov: bool) -> Callable[[Any], Setup]:
    return by(
        lambda h: optax.chain(
            optax.scale_by_learning_rate(drop(MOMENTUM)), optax.trace(0.9, nesterov=nesterov)
        )
    )


def _outside(nesterov: bool) -> Callable[[Any], Setup]:
    return by(lambda h: optax.sgd(drop(MOMENTUM), momentum=0.9, nesterov=nesterov))


SGD_01 = Arm("trace (optax, torch)", trace, {"rate": 0.1})
MOMENTUM_PAIRS = (
    Pair("", "control: trace and average, mapped", SGD_01,
         Arm("average with α/(1−β)", average, {"rate": 1.0}), SGD_DIGITS),
    Pair("1", "momentum convention", SGD_01,
         Arm("average (textbook)", average, {"rate": 0.1}), "α = 0.1, β = 0.9 in both"),
    Pair("2", "dampening=β", Arm("dampening (torch)", dampened, {"rate": 1.0}),
         Arm("average (textbook)", average, {"rate": 1.0}), "α = 1, β = 0.9"),
    Pair("3", "rate inside the velocity", Arm("inside (keras)", _inside(False)),
         Arm("outside (optax, torch)", _outside(False)), DROP),
    Pair("4", "Nesterov, rate inside", Arm("inside (keras)", _inside(True)),
         Arm("outside (optax, torch)", _outside(True)), DROP),
    Pair("4", "Nesterov or not", Arm("Nesterov (scikit-learn's default)",
         by(lambda h: optax.sgd(MOMENTUM, momentum=0.9, nesterov=True))), SGD_01, SGD_DIGITS),
)  # fmt: skip

# Rows 5 to 10.

rms_in = by(lambda h: optax.rmsprop(ADAM, decay=h["decay"], eps=h["eps"]))
rms_out = by(lambda h: optax.rmsprop(ADAM, decay=h["decay"], eps=h["eps"], eps_in_sqrt=False))
adam = by(lambda h: optax.adam(h["rate"], eps=h["eps"]))
nadam = by(lambda h: parts.nadam(ADAM, h["psi"]))
adagrad_in = by(lambda h: optax.adagrad(0.01))


def _adagrad_torch(h: Any) -> optax.GradientTransformation:
    def step(t, g, s):
        s = s + g**2
        return 0.01 * g / (jnp.sqrt(s) + 1e-10), s

    return parts.rule(step, 0.0)


def _rms_momentum(inside: bool) -> Callable[[Any], Setup]:
    rate = optax.scale_by_learning_rate(drop(ADAM))
    links = [rate, optax.trace(0.9)] if inside else [optax.trace(0.9), rate]
    return by(lambda h: optax.chain(optax.scale_by_rms(), *links))


rms_from = by(lambda h: optax.chain(
    optax.scale_by_rms(eps=1e-10, initial_scale=h["start"]),
    optax.scale_by_learning_rate(ADAM),
))  # fmt: skip

ADAM_OPTAX = Arm("m̂/(√v̂ + 1e-8) (optax, torch)", adam, {"rate": ADAM, "eps": 1e-8})
ADAPTIVE_PAIRS = (
    Pair("5", "RMSprop, place of ε",
         Arm("√(S + 1e-8) (optax)", rms_in, {"decay": 0.9, "eps": 1e-8}),
         Arm("√S + 1e-8 (torch's form)", rms_out, {"decay": 0.9, "eps": 1e-8}),
         "α = 1e-3, decay 0.9"),
    Pair("5", "RMSprop, ε in the root", Arm("1e-7 (keras)", rms_in, {"decay": 0.9, "eps": 1e-7}),
         Arm("1e-8 (optax)", rms_in, {"decay": 0.9, "eps": 1e-8}), "α = 1e-3, decay 0.9"),
    Pair("5", "RMSprop, decay", Arm("0.99 (torch)", rms_out, {"decay": 0.99, "eps": 1e-8}),
         Arm("0.9 (optax, keras)", rms_out, {"decay": 0.9, "eps": 1e-8}), "α = 1e-3"),
    Pair("6", "RMSprop's momentum", Arm("rate inside (optax, keras)", _rms_momentum(True)),
         Arm("outside (torch)", _rms_momentum(False)), DROP.replace("0.1", "1e-3")),
    Pair("6", "RMSprop's start", Arm("S₀ = 1 (TensorFlow 1)", rms_from, {"start": 1.0}),
         Arm("S₀ = 0", rms_from, {"start": 0.0}), "α = 1e-3, decay 0.9"),
    Pair("7", "Adam's ε",
         Arm("ε̂ = 1e-7 (keras)", by(lambda h: parts.adam_hat(ADAM, h["eps"])), {"eps": 1e-7}),
         ADAM_OPTAX, "α = 1e-3, each framework's default ε"),
    Pair("8", "AMSGrad's maximum", Arm("of v (torch)", by(lambda h: parts.amsgrad_raw(ADAM))),
         Arm("of v̂ (optax)", by(lambda h: optax.amsgrad(ADAM))), "α = 1e-3"),
    Pair("9", "NAdam's β₁", Arm("grows, ψ = 0.004 (torch)", nadam, {"psi": 0.004}),
         Arm("constant (optax)", nadam, {"psi": 1e9}), "α = 1e-3"),
    Pair("9", "NAdam's β₁", Arm("ψ = 1 (keras)", nadam, {"psi": 1.0}),
         Arm("ψ = 0.004 (torch)", nadam, {"psi": 0.004}), "α = 1e-3"),
    Pair("10", "Adagrad's start", Arm("0, 1e-10 (torch)", by(_adagrad_torch)),
         Arm("0.1, 1e-7 (optax, keras)", adagrad_in), "α = 0.01"),
)  # fmt: skip

# Rows 11 to 16.

decoupled_adam = by(lambda h: optax.adamw(ADAM, weight_decay=h["decay"]))
coupled_adam = by(lambda h: optax.chain(optax.add_decayed_weights(h["decay"]), optax.adam(ADAM)))
WEIGHTS = partial(jax.tree.map, lambda p: jnp.ndim(p) > 1)
masked = by(lambda h: optax.chain(
    optax.add_decayed_weights(h["decay"], mask=WEIGHTS), optax.sgd(MOMENTUM, momentum=0.9)
))  # fmt: skip
coupled = by(lambda h: optax.chain(
    optax.add_decayed_weights(h["decay"]), optax.sgd(MOMENTUM, momentum=0.9)
))  # fmt: skip
decoupled = by(lambda h: optax.chain(
    optax.trace(0.9), optax.add_decayed_weights(h["decay"]),
    optax.scale_by_learning_rate(MOMENTUM),
))  # fmt: skip
M_TRAIN = 1078


def _clipped(clip: optax.GradientTransformation) -> Callable[[Any], Setup]:
    return by(lambda h: optax.chain(clip, optax.sgd(MOMENTUM, momentum=0.9)))


def _every_four(mean: bool, optimizer: optax.GradientTransformation) -> Callable[[Any], Setup]:
    steps = optax.MultiSteps(optimizer, 4, use_grad_mean=mean)
    return by(lambda h: steps.gradient_transformation())


DECAY_PAIRS = (
    Pair("11", "AdamW's default decay", Arm("1e-2 (torch)", decoupled_adam, {"decay": 1e-2}),
         Arm("1e-4 (optax)", decoupled_adam, {"decay": 1e-4}), ADAM_DIGITS),
    Pair("11", "AdamW's default decay", Arm("4e-3 (keras)", decoupled_adam, {"decay": 4e-3}),
         Arm("1e-4 (optax)", decoupled_adam, {"decay": 1e-4}), ADAM_DIGITS),
    Pair("12", "SGD(weight_decay)", Arm("coupled (torch)", coupled, {"decay": 1e-3}),
         Arm("decoupled (keras)", decoupled, {"decay": 1e-3}), SGD_DIGITS + ", decay 1e-3"),
    Pair("12", "Adam(weight_decay)", Arm("coupled (torch Adam)", coupled_adam, {"decay": 1e-2}),
         Arm("decoupled (AdamW)", decoupled_adam, {"decay": 1e-2}), ADAM_DIGITS + ", decay 1e-2"),
    Pair("13", "L2 without the ½", Arm("λ/m‖W‖² (keras)", masked, {"decay": 2 / M_TRAIN}),
         Arm("λ/(2m)‖W‖² (textbook)", masked, {"decay": 1 / M_TRAIN}), SGD_DIGITS + ", λ = 1"),
    Pair("13", "L2 over the batch",
         Arm("λ/(2B)‖W‖² (scikit-learn)", masked, {"decay": 1 / 64}),
         Arm("λ/(2m)‖W‖² (textbook)", masked, {"decay": 1 / M_TRAIN}), SGD_DIGITS + ", λ = 1"),
    Pair("14", "biases decayed", Arm("all (torch, optax)", coupled, {"decay": 1e-3}),
         Arm("weights only (textbook)", masked, {"decay": 1e-3}), SGD_DIGITS + ", decay 1e-3"),
    Pair("15", "clipping to 0.5", Arm("each array (keras clipnorm)",
         _clipped(parts.clip_each(0.5))), Arm("together (optax)",
         _clipped(optax.clip_by_global_norm(0.5))), SGD_DIGITS),
    Pair("15", "clipping to 0.5", Arm("c/(‖g‖ + 1e-6) (torch)", _clipped(parts.clip_torch(0.5))),
         Arm("c/‖g‖ (optax)", _clipped(optax.clip_by_global_norm(0.5))), SGD_DIGITS),
    Pair("16", "accumulation over 4",
         Arm("sum (torch)", _every_four(False, optax.sgd(0.1)), batch_size=16),
         Arm("mean (optax, keras)", _every_four(True, optax.sgd(0.1)), batch_size=16),
         "descent, α = 0.1, batch 16"),
)  # fmt: skip

# Rows 41 to 45.

PER_EPOCH = UPDATES_PER_EPOCH


def _scheduled(schedule: Callable[[Any], Any]) -> Callable[[Any], Setup]:
    return by(lambda h: optax.sgd(schedule, momentum=0.9))


def _inverse(count_epochs: bool, decay: float) -> Callable[[Any], Any]:
    return lambda count: MOMENTUM / (1 + decay * (count // PER_EPOCH if count_epochs else count))


def _cosine_torch(count: Any) -> Any:
    return MOMENTUM * (1 + jnp.cos(jnp.pi * count / (UPDATES // 2))) / 2


def _exponential(stairs: bool) -> Callable[[Any], Setup]:
    return _scheduled(optax.exponential_decay(MOMENTUM, PER_EPOCH, 0.9, staircase=stairs))


def _boundary(at: int) -> Callable[[Any], Setup]:
    return _scheduled(lambda count: jnp.where(count < at, MOMENTUM, MOMENTUM / 10))


WARM = UPDATES // 5
SCHEDULE_PAIRS = (
    Pair("41", "inverse time, d = 0.5", Arm("updates counted",
         _scheduled(_inverse(False, 0.5))), Arm("epochs counted (textbook)",
         _scheduled(_inverse(True, 0.5))), SGD_DIGITS),
    Pair("41", "inverse time, smooth or stairs", Arm("smooth (keras' default)",
         _scheduled(lambda count: MOMENTUM / (1 + 0.5 * count / PER_EPOCH))),
         Arm("stairs (textbook)", _scheduled(_inverse(True, 0.5))), SGD_DIGITS),
    Pair("42", "exponential, 0.9 an epoch", Arm("smooth (optax, keras)", _exponential(False)),
         Arm("stairs (torch, textbook)", _exponential(True)), SGD_DIGITS),
    Pair("43", "boundary", Arm("b + 1 (keras)", _boundary(UPDATES // 2 + 1)),
         Arm("b (optax, torch)", _boundary(UPDATES // 2)), SGD_DIGITS),
    Pair("44", "cosine, T half of the run", Arm("rises after T (torch)",
         _scheduled(_cosine_torch)), Arm("stays (optax, keras)",
         _scheduled(optax.cosine_decay_schedule(MOMENTUM, UPDATES // 2))), SGD_DIGITS),
    Pair("44", "warmup in decay_steps", Arm("beside them (keras)",
         _scheduled(optax.warmup_cosine_decay_schedule(0.0, MOMENTUM, WARM, UPDATES + WARM))),
         Arm("among them (optax)",
         _scheduled(optax.warmup_cosine_decay_schedule(0.0, MOMENTUM, WARM, UPDATES))),
         SGD_DIGITS),
)  # fmt: skip

STOPPED = SGD_DIGITS + ", stopped by the dev part, scored on the test part"
stopped = trained()
PATIENCE_PAIRS = (
    Pair("45", "patience = 3 copied", Arm("after 4 epochs (flax, scikit-learn)", stopped,
         patience=4), Arm("after 3 (keras, textbook)", stopped, patience=3), STOPPED),
    Pair("45", "what is returned, patience 3", Arm("the last (keras' default, flax)", stopped,
         patience=3), Arm("the best (textbook)", stopped, patience=3, restore=True), STOPPED),
)  # fmt: skip

RULE_PAIRS = (
    *MOMENTUM_PAIRS, *ADAPTIVE_PAIRS, *DECAY_PAIRS, *SCHEDULE_PAIRS, *PATIENCE_PAIRS,
)  # fmt: skip
