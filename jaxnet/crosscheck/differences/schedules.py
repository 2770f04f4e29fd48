"""Rows 41 to 44: what a schedule counts, where it changes and where it ends."""

from collections.abc import Callable
from typing import Any

import numpy as np
import optax

import reference_numpy as ref
from jaxnet import schedules
from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.differences.difference import (
    AGREE,
    AGREE_IF,
    Check,
    Difference,
    agree,
    differ,
    differ_as_predicted,
)

TOPIC = "schedules and stopping"
RATE, DECAY, PER_EPOCH, EPOCHS = 0.3, 0.5, 5, 6
STEPS = np.arange(PER_EPOCH * EPOCHS)
EPOCH = STEPS // PER_EPOCH

# keras' and optax' schedules are float32: a quotient, a function of it, two products, constants.
FLOAT32_BOUND = RATE * 8 * 2.0**-24


def _of_steps(schedule: Callable[[Any], Any], steps: Any = STEPS) -> np.ndarray:
    """A schedule of keras or optax at every update, counted from 0."""
    return np.array([float(schedule(step)) for step in steps])


def _keras(name: str, **options: Any) -> np.ndarray:
    schedule = getattr(frameworks.keras().optimizers.schedules, name)(**options)
    return _of_steps(schedule)


def _torch(make: Callable[[Any], Any], each: int = PER_EPOCH) -> np.ndarray:
    """A scheduler of torch at every update, told of an epoch after each PER_EPOCH of them."""
    torch = frameworks.torch()
    theta = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([theta], lr=RATE)
    scheduler, rates = make(optimizer), []
    for step in STEPS:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (step + 1) % each == 0:
            scheduler.step()
    return np.array(rates)


def _lr_scheduler() -> Any:
    return frameworks.torch().optim.lr_scheduler


# Row 41: inverse time.


def _inverse() -> np.ndarray:
    return ref.schedules.inverse_time(EPOCH, RATE, decay_rate=DECAY)


def _inverse_keras() -> list[Check]:
    options = {"initial_learning_rate": RATE, "decay_rate": DECAY}

    def keras_rates(steps, staircase):
        return _keras("InverseTimeDecay", decay_steps=steps, staircase=staircase, **options)

    bound = FLOAT32_BOUND
    right = _inverse()
    return [
        agree(
            "decay_steps = steps/epoch, staircase", keras_rates(PER_EPOCH, True), right, bound=bound
        ),
        differ("no staircase", keras_rates(PER_EPOCH, False), right, bound=bound),
        differ("decay_steps=1: updates counted", keras_rates(1, True), right, bound=bound),
    ]  # fmt: skip


def _inverse_torch() -> list[Check]:
    def rates(each):
        lambda_lr = _lr_scheduler().LambdaLR
        return _torch(lambda o: lambda_lr(o, lambda n: 1 / (1 + DECAY * n)), each)

    return [
        agree("LambdaLR, a step an epoch", rates(PER_EPOCH), _inverse()),
        differ("a step an update", rates(1), _inverse()),
    ]


def _inverse_optax() -> list[Check]:
    ours = schedules.inverse_time(RATE, decay_rate=DECAY, steps_per_epoch=PER_EPOCH)

    def by_update(count):
        return RATE / (1 + DECAY * count)

    return [
        agree("closure on count // steps/epoch", _of_steps(ours), _inverse()),
        differ("closure on the count", _of_steps(by_update), _inverse()),
    ]


# Row 42: exponential.

GAMMA = 0.8


def _smooth() -> np.ndarray:
    return RATE * GAMMA ** (STEPS / PER_EPOCH)


def _exponential() -> np.ndarray:
    return ref.schedules.exponential(EPOCH, RATE, base=GAMMA)


def _exponential_either(rates: Callable[[bool], np.ndarray]) -> list[Check]:
    return [
        agree("staircase", rates(True), _exponential(), bound=FLOAT32_BOUND),
        differ_as_predicted(
            "smooth against stairs", rates(False), rates(True), _smooth(), _exponential(),
            bound=FLOAT32_BOUND,
        ),
    ]  # fmt: skip


def _exponential_optax() -> list[Check]:
    return _exponential_either(
        lambda stairs: _of_steps(optax.exponential_decay(RATE, PER_EPOCH, GAMMA, staircase=stairs))
    )


def _exponential_keras() -> list[Check]:
    return _exponential_either(
        lambda stairs: _keras(
            "ExponentialDecay", initial_learning_rate=RATE, decay_steps=PER_EPOCH,
            decay_rate=GAMMA, staircase=stairs,
        )
    )  # fmt: skip


def _exponential_torch() -> list[Check]:
    rates = _torch(lambda o: _lr_scheduler().ExponentialLR(o, GAMMA))
    every = _torch(lambda o: _lr_scheduler().ExponentialLR(o, GAMMA), 1)
    return [
        agree("a step an epoch", rates, _exponential()),
        differ("a step an update", every, _exponential()),
    ]


def _step_lr() -> list[Check]:
    rates = _torch(lambda o: _lr_scheduler().StepLR(o, 2, GAMMA))
    ours = schedules.staircase(RATE, factor=GAMMA, epochs_per_stair=2, steps_per_epoch=PER_EPOCH)
    return [agree("StepLR against jaxnet's staircase", rates, _of_steps(ours))]


def _nerva_stairs() -> list[Check]:
    one_early = RATE * GAMMA ** ((1 + EPOCH) // 2)
    right = ref.schedules.staircase(EPOCH, RATE, factor=GAMMA, epochs_per_stair=2)
    later = ref.schedules.staircase(EPOCH + 1, RATE, factor=GAMMA, epochs_per_stair=2)
    return [
        agree("epochs counted from 1", one_early, later),
        differ("epochs counted from 0", one_early, right),
    ]


# Row 43: boundaries.

BOUNDARY = 12


def _changes_at(boundary: int) -> np.ndarray:
    return np.where(boundary <= STEPS, RATE / 10, RATE)


def _boundary_keras() -> list[Check]:
    def rates(b):
        return _keras("PiecewiseConstantDecay", boundaries=[b], values=[RATE, RATE / 10])

    optax_rates = _of_steps(optax.piecewise_constant_schedule(RATE, {BOUNDARY: 0.1}))
    return [
        agree("boundary b − 1", rates(BOUNDARY - 1), optax_rates, bound=FLOAT32_BOUND),
        differ_as_predicted(
            "the same boundary", rates(BOUNDARY), optax_rates, _changes_at(BOUNDARY + 1),
            _changes_at(BOUNDARY), bound=FLOAT32_BOUND,
        ),
    ]  # fmt: skip


def _boundary_torch() -> list[Check]:
    rates = _torch(lambda o: _lr_scheduler().MultiStepLR(o, [BOUNDARY], 0.1), 1)
    optax_rates = _of_steps(optax.piecewise_constant_schedule(RATE, {BOUNDARY: 0.1}))
    return [agree("the same boundary", rates, optax_rates, bound=FLOAT32_BOUND)]


# Row 44: cosine.

PERIOD, FLOOR = 20, 0.1


def _cosine(steps: Any, floor: float) -> np.ndarray:
    return floor + (RATE - floor) * (1 + np.cos(np.pi * np.asarray(steps) / PERIOD)) / 2


def _cosine_torch(floor: float) -> np.ndarray:
    return _torch(lambda o: _lr_scheduler().CosineAnnealingLR(o, PERIOD, floor), 1)


def _cosine_after() -> list[Check]:
    left = _cosine_torch(0.0)
    right = _of_steps(optax.cosine_decay_schedule(RATE, PERIOD))
    # torch computes each rate from the one before, with a quotient that cancels near the turn.
    bound = FLOAT32_BOUND
    until = slice(PERIOD + 1)
    return [
        agree("up to T", left[until], right[until], bound=bound),
        differ_as_predicted(
            "afterwards: rises again, or stays", left, right, _cosine(STEPS, 0.0),
            _cosine(np.minimum(STEPS, PERIOD), 0.0), bound=bound,
        ),
    ]  # fmt: skip


def _cosine_floor() -> list[Check]:
    right = _of_steps(optax.cosine_decay_schedule(RATE, PERIOD, FLOOR))
    until = slice(PERIOD + 1)
    mapped, same = _cosine_torch(FLOOR * RATE)[until], _cosine_torch(FLOOR)[until]
    return [
        agree("eta_min = α·lr", mapped, right[until], bound=FLOAT32_BOUND),
        differ_as_predicted(
            "eta_min = α", same, right[until], _cosine(STEPS, FLOOR)[until],
            _cosine(STEPS, FLOOR * RATE)[until], bound=FLOAT32_BOUND,
        ),
    ]  # fmt: skip


def _cosine_keras() -> list[Check]:
    options = {"initial_learning_rate": RATE, "decay_steps": PERIOD, "alpha": FLOOR}
    right = _of_steps(optax.cosine_decay_schedule(RATE, PERIOD, FLOOR))
    return [agree("to T and after", _keras("CosineDecay", **options), right, bound=FLOAT32_BOUND)]


def _warmup() -> list[Check]:
    warmup, some = 5, (0, 3, 5, 12, 20, 25)  # keras compiles a branch for every step it is asked

    def keras_rates(steps):
        make = frameworks.keras().optimizers.schedules.CosineDecay
        return _of_steps(make(0.0, steps, warmup_target=RATE, warmup_steps=warmup), some)

    right = _of_steps(optax.warmup_cosine_decay_schedule(0.0, RATE, warmup, PERIOD), some)
    return [
        agree("decay_steps − warmup", keras_rates(PERIOD - warmup), right, bound=FLOAT32_BOUND),
        differ("the same decay_steps", keras_rates(PERIOD), right, bound=FLOAT32_BOUND),
    ]


ROWS = (
    Difference(
        41, "a", TOPIC, {"keras InverseTimeDecay": "α₀/(1 + d·step/T)", "textbook": "α₀/(1 + d·e)"},
        AGREE_IF + "T is the steps of an epoch and it goes in stairs", _inverse_keras,
        {"keras": "staircase=False"}, "decay_steps = steps/epoch, staircase=True", ("keras",),
    ),
    Difference(
        41, "b", TOPIC, {"torch LambdaLR": "of scheduler steps", "textbook": "of epochs"},
        AGREE_IF + "stepped once an epoch", _inverse_torch,
        mapping="LambdaLR(lambda e: 1/(1 + d·e)), a step an epoch", needs=("torch",),
    ),
    Difference(
        41, "c", TOPIC, {"optax": "has none; counts updates from 0", "textbook": "of epochs"},
        AGREE_IF + "a closure takes count // steps_per_epoch", _inverse_optax,
        mapping="jaxnet.schedules.inverse_time",
    ),
    Difference(
        42, "a", TOPIC, {"optax": "γ^(t/T), smooth", "textbook": "γ^epoch, stairs"},
        AGREE_IF + "staircase=True", _exponential_optax, {"optax": "staircase=False"},
        "staircase=True",
    ),
    Difference(
        42, "b", TOPIC, {"keras": "γ^(t/T), smooth", "textbook": "γ^epoch, stairs"},
        AGREE_IF + "staircase=True", _exponential_keras, {"keras": "staircase=False"},
        "staircase=True", ("keras",),
    ),
    Difference(
        42, "c", TOPIC, {"torch ExponentialLR": "γ^(scheduler steps)", "textbook": "γ^epoch"},
        AGREE_IF + "stepped once an epoch", _exponential_torch, mapping="a step an epoch",
        needs=("torch",),
    ),
    Difference(
        42, "d", TOPIC, {"torch StepLR": "γ^⌊epoch/k⌋", "jaxnet staircase": "γ^⌊epoch/k⌋"}, AGREE,
        _step_lr, mapping="none needed", needs=("torch",),
    ),
    Difference(
        42, "e", TOPIC, {"nerva": "γ^⌊(1+e)/k⌋", "textbook": "γ^⌊e/k⌋"},
        AGREE_IF + "epochs are counted from 1", _nerva_stairs, mapping="e + 1 for e",
        note="nerva's side is its formula in NumPy",
    ),
    Difference(
        43, "a", TOPIC, {"keras": "changes after step b", "optax": "at step b"},
        AGREE_IF + "the boundary is b − 1", _boundary_keras, mapping="b − 1", needs=("keras",),
    ),
    Difference(
        43, "b", TOPIC, {"torch MultiStepLR": "changes at step b", "optax": "at step b"}, AGREE,
        _boundary_torch, mapping="none needed", needs=("torch",),
    ),
    Difference(
        44, "a", TOPIC, {"torch": "rises again after T", "optax": "stays at its floor"},
        AGREE_IF + "stopped at T", _cosine_after, mapping="no scheduler step after T",
        needs=("torch",),
    ),
    Difference(
        44, "b", TOPIC, {"torch eta_min": "a rate", "optax alpha": "a share of α₀"},
        AGREE_IF + "eta_min = α·lr", _cosine_floor, mapping="eta_min = α·lr", needs=("torch",),
    ),
    Difference(
        44, "c", TOPIC, {"keras CosineDecay": "share, stays", "optax": "share, stays"}, AGREE,
        _cosine_keras, mapping="none needed", needs=("keras",),
    ),
    Difference(
        44, "d", TOPIC, {"optax warmup_cosine": "decay_steps with warmup", "keras": "without"},
        AGREE_IF + "the warmup is taken off", _warmup, mapping="decay_steps_keras = T − warmup",
        needs=("keras",),
    ),
)  # fmt: skip
