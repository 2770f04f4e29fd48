"""A digits run for each of many seeds in one program, and what two such arms are apart."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import stdtrit

from jaxnet.data import Dataset, datasets, minibatches
from jaxnet.training.early_stopping import early_stopping
from jaxnet.training.run import Carry, Setup, make_train, start, step

EPOCHS, BATCH = 25, 64
MATTERS = 0.2
"""Percentage points; fixed before any effect was measured."""


class Arm(NamedTuple):
    """One way to train.

    name: as the reader knows it. build: hyper ↦ Setup; arms of one build and other numbers share a
    program. hyper: its numbers. batch_size, drop_last, shuffle: how the data come. prepare: what is
    done to the inputs, given those of the training part. x64: in float64. patience: of early
    stopping by the dev part, None for none; restore: whether the best epoch's parameters are
    returned and not the last one's.
    """

    name: str
    build: Callable[[Any], Setup]
    hyper: Mapping[str, float] = {}
    batch_size: int = BATCH
    drop_last: bool = False
    shuffle: bool = True
    prepare: Callable[[Any, Any], Any] | None = None
    x64: bool = False
    patience: int | None = None
    restore: bool = False


class Pair(NamedTuple):
    """Two arms that differ in one thing. row: of the table, "" for a control. setting: the rest."""

    row: str
    what: str
    left: Arm
    right: Arm
    setting: str


class Effect(NamedTuple):
    """Paired difference of held-out accuracy, left minus right, in percentage points.

    mean, low, high: with its 95 % t-interval. left, right: mean accuracies in per cent. seeds: how
    many. verdict: "matters", "does not matter at this size" or "undecided".
    """

    mean: float
    low: float
    high: float
    left: float
    right: float
    seeds: int
    verdict: str


@cache
def _digits() -> tuple[Dataset, Dataset]:
    """The training part, and dev and test together: nothing is chosen by either."""
    parts = datasets.load("digits")
    held_out = [jnp.concatenate(two) for two in zip(parts.dev, parts.test, strict=True)]
    return parts.train, Dataset(*held_out)


UPDATES_PER_EPOCH = minibatches.steps_per_epoch(1078, BATCH)
UPDATES = EPOCHS * UPDATES_PER_EPOCH


def _in_order(setup: Setup, key: Any, data: Dataset, batch_size: int) -> Carry:
    """As `make_train` trains, but in the same order every epoch."""
    init_key, _ = jax.random.split(key)
    m = len(data.x)
    full = m // batch_size * batch_size
    batches = jnp.arange(full).reshape(-1, batch_size)

    def update(carry, indices):
        # No dropout in these arms, so that the key goes unused.
        batch = Dataset(data.x[indices], data.y[indices])
        return step(setup, carry, batch, key)[0], None

    def epoch(carry, _):
        carry = jax.lax.scan(update, carry, batches)[0]
        return update(carry, jnp.arange(full, m))[0], None

    return jax.lax.scan(epoch, start(setup, init_key), None, length=EPOCHS)[0]


@cache
def _program(build: Callable[[Any], Setup], batch_size: int, drop_last: bool, shuffle: bool):
    """(keys, hyper, data, held out) ↦ accuracy of every seed."""
    train = make_train(build, batch_size=batch_size, epochs=EPOCHS, drop_last=drop_last)

    def accuracy(key, hyper, data, held_out):
        if shuffle:
            params, state = train(key, hyper, data)[:2]
        else:
            params, state = _in_order(build(hyper), key, data, batch_size)[:2]
        outputs, _ = build(hyper).model.apply(params, state, held_out.x)
        return (outputs.argmax(axis=1) == held_out.y).mean()

    return jax.jit(jax.vmap(accuracy, in_axes=(0, None, None, None)))


@cache
def _watched(build: Callable[[Any], Setup], seeds: int) -> tuple[Any, Any]:
    """Dev cost and test accuracy of each seed after each epoch, (seeds, epochs)."""
    data = datasets.load("digits")

    def right(carry):
        outputs, _ = build({}).model.apply(carry.params, carry.state, data.test.x)
        return (outputs.argmax(axis=1) == data.test.y).mean()

    train = make_train(build, batch_size=BATCH, epochs=EPOCHS, observe=right)
    run = jax.jit(jax.vmap(train, in_axes=(0, None, None, None)))
    history = run(_keys(seeds), {}, data.train, data.dev).history
    return history["dev_cost"], history["observed"]


def _stopped(build: Callable[[Any], Setup], patience: int, restore: bool, seeds: int) -> np.ndarray:
    """Test accuracy of each seed at the epoch whose parameters early stopping returns."""
    costs, right = _watched(build, seeds)
    stop = jax.vmap(lambda curve: early_stopping(curve, patience=patience))(costs)
    epoch = stop.best_epoch if restore else stop.stop_epoch
    return 100 * np.asarray(jnp.take_along_axis(right, epoch[:, None], axis=1)[:, 0], np.float64)


def _keys(seeds: int) -> Any:
    return jax.vmap(jax.random.key)(jnp.arange(seeds))


def accuracies(arm: Arm, seeds: int) -> np.ndarray:
    """Held-out accuracy in per cent of each seed; the same seeds start and shuffle every arm.

    A run that diverged to NaN predicts class 0 and scores about 10.
    """
    if arm.patience is not None:
        return _stopped(arm.build, arm.patience, arm.restore, seeds)
    train, held_out = _digits()
    if arm.prepare is not None:
        reference = train.x
        train, held_out = (
            part._replace(x=arm.prepare(part.x, reference)) for part in (train, held_out)
        )
    with jax.enable_x64(arm.x64):
        if arm.x64:
            train, held_out = (
                Dataset(jnp.asarray(np.asarray(part.x), float), part.y)
                for part in (train, held_out)
            )
        hyper = {name: jnp.asarray(value, float) for name, value in arm.hyper.items()}
        program = _program(arm.build, arm.batch_size, arm.drop_last, arm.shuffle)
        return 100 * np.asarray(program(_keys(seeds), hyper, train, held_out), np.float64)


def effect(left: np.ndarray, right: np.ndarray) -> Effect:
    """Mean of left − right over the seeds, its 95 % t-interval and the verdict.

    mean ± t₀.₉₇₅(n−1) · s/√n

    matters: the interval excludes 0 and |mean| ≥ 0.2 points. does not matter at this size: the
    interval lies within ±0.2. undecided: neither.
    left, right: accuracies in per cent of the same seeds, two or more of them.

    >>> effect(np.array([95.0, 96.0]), np.array([95.0, 96.0])).verdict
    'does not matter at this size'
    """
    apart, n = left - right, len(left)
    mean = float(apart.mean())
    half = float(stdtrit(n - 1, 0.975) * apart.std(ddof=1) / np.sqrt(n))
    low, high = mean - half, mean + half
    if (low > 0 or high < 0) and abs(mean) >= MATTERS:
        verdict = "matters"
    elif low >= -MATTERS and high <= MATTERS:
        verdict = "does not matter at this size"
    else:
        verdict = "undecided"
    return Effect(mean, low, high, float(left.mean()), float(right.mean()), n, verdict)
