"""Schedules against their closed forms, in exact arithmetic, and against optax where it has one."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest

import reference_numpy.schedules
from jaxnet import schedules

SPE = 5  # steps per epoch: a prime, so that steps and epochs cannot be taken for one another

# name, keyword arguments, and the notes' formula in exact numbers of (α₀, epoch from 0).
CASES = [
    ("inverse_time", {"decay_rate": 0.7}, lambda a, e: a / (1 + Fraction(0.7) * e)),
    ("exponential", {}, lambda a, e: a * Fraction(0.95) ** e),
    ("exponential", {"base": 0.9}, lambda a, e: a * Fraction(0.9) ** e),
    ("inverse_sqrt", {}, lambda a, e: mpmath.mpf(a.numerator) / a.denominator / mpmath.sqrt(e + 1)),
    (
        "inverse_sqrt",
        {"k": 3.0},
        lambda a, e: 3 * mpmath.mpf(a.numerator) / a.denominator / mpmath.sqrt(e + 1),
    ),
    (
        "staircase",
        {"factor": 0.3, "epochs_per_stair": 3},
        lambda a, e: a * Fraction(0.3) ** (e // 3),
    ),
]
IDS = [f"{name}-{index}" for index, (name, _, _) in enumerate(CASES)]
STEPS = [0, 1, SPE - 1, SPE, 2 * SPE - 1, 2 * SPE, 14, 15, 29, 30, 44, 45, 200, 1001]


def make(name, arguments, learning_rate=0.2):
    return getattr(schedules, name)(learning_rate, **arguments, steps_per_epoch=SPE)


def worst_error(name, arguments, exact):
    """Largest relative error over STEPS, in units of (epoch + 4)·eps of the result's dtype.

    The base is rounded once (half an eps), which the power turns into epoch/2 eps; the power
    itself, the product, the square root and the division add at most an eps or so each.
    """
    alphas = np.asarray(jax.vmap(make(name, arguments))(jnp.array(STEPS, jnp.int32)))
    worst = 0.0
    with mpmath.workprec(200):
        for step, got in zip(STEPS, alphas, strict=True):
            value = exact(Fraction(0.2), step // SPE)
            if isinstance(value, Fraction):
                value = mpmath.mpf(value.numerator) / value.denominator
            unit = (step // SPE + 4) * float(np.finfo(got.dtype).eps)
            worst = max(worst, float(abs(mpmath.mpf(float(got)) / value - 1)) / unit)
    return worst, alphas.dtype


@pytest.mark.parametrize(("name", "arguments", "exact"), CASES, ids=IDS)
def test_closed_form_float32(name, arguments, exact):
    worst, dtype = worst_error(name, arguments, exact)
    assert dtype == jnp.float32
    assert worst < 1


@pytest.mark.f64
@pytest.mark.parametrize(("name", "arguments", "exact"), CASES, ids=IDS)
def test_closed_form_float64(name, arguments, exact):
    worst, dtype = worst_error(name, arguments, exact)
    assert dtype == jnp.float64
    assert worst < 1  # float32 anywhere on the way would make this 1e7


@pytest.mark.f64
@pytest.mark.parametrize(("name", "arguments", "exact"), CASES, ids=IDS)
def test_reference_agrees(name, arguments, exact):
    epochs = np.arange(50)
    first = 1 if name == "inverse_sqrt" else 0  # the reference is given the epoch as counted
    twin = getattr(reference_numpy.schedules, name)(epochs + first, 0.2, **arguments)
    got = jax.vmap(make(name, arguments))(jnp.asarray(SPE * epochs))
    # Both powers may be off by an eps for each factor.
    assert np.all(np.abs(np.asarray(got) - twin) <= (2 * epochs + 8) * np.finfo(float).eps * twin)


def test_decay_does_not_compound():
    # Decaying the decayed rate gives 1, 0.667, 0.333, 0.133, 0.044 instead.
    alpha = schedules.inverse_time(1.0, decay_rate=0.5, steps_per_epoch=SPE)
    got = [alpha(SPE * epoch).item() for epoch in range(5)]
    np.testing.assert_allclose(got, [1, 2 / 3, 1 / 2, 2 / 5, 1 / 3], rtol=1e-6)


@pytest.mark.parametrize(("name", "arguments", "exact"), CASES, ids=IDS)
def test_changes_between_epochs_only(name, arguments, exact):
    alphas = np.asarray(jax.vmap(make(name, arguments))(jnp.arange(6 * SPE))).reshape(6, SPE)
    assert np.all(alphas == alphas[:, :1])
    assert len(set(alphas[:, 0].tolist())) == (2 if name == "staircase" else 6)


def test_one_step_per_epoch_is_the_form_in_t():
    alpha = schedules.inverse_sqrt(0.2, k=3.0, steps_per_epoch=1)
    t = np.arange(1, 20)
    got = jax.vmap(alpha)(jnp.arange(19))
    np.testing.assert_allclose(got, 3 / np.sqrt(t) * 0.2, rtol=4 * float(np.finfo(np.float32).eps))


@pytest.mark.parametrize(("name", "arguments", "exact"), CASES, ids=IDS)
def test_another_number_compiles_nothing(name, arguments, exact):
    traces = []

    @jax.jit
    def rate(schedule, step):
        traces.append(step)
        return schedule(step)

    def call(learning_rate, steps):
        schedule = getattr(schedules, name)(learning_rate, **arguments, steps_per_epoch=steps)
        return rate(schedule, 7).item(), schedule(7).item()

    # One rounding may differ when XLA fuses: 2 eps.
    np.testing.assert_allclose(*call(0.2, SPE), rtol=2.4e-7)
    np.testing.assert_allclose(*call(0.5, 3), rtol=2.4e-7)
    assert len(traces) == 1
    assert call(0.5, 3)[0] != call(0.2, SPE)[0]  # and it is not baked in either


@pytest.mark.f64
@pytest.mark.parametrize(("name", "arguments", "exact"), CASES, ids=IDS)
def test_strict_dtype_promotion(name, arguments, exact):
    schedule = make(name, arguments)
    with jax.numpy_dtype_promotion("strict"):
        plain = schedule(jnp.int32(7))
        compiled = jax.jit(lambda s, step: s(step))(schedule, jnp.int32(7))
        members = jax.vmap(lambda a: make(name, arguments, a)(jnp.int32(7)))(
            jnp.array([0.2, 0.5], jnp.float32)
        )
    np.testing.assert_allclose(compiled, plain, rtol=1e-15)
    # float32 learning rates carry a relative error of 6e-8 in.
    np.testing.assert_allclose(members, [plain, plain * 2.5], rtol=1e-7)


def test_optax_exponential_with_staircase_is_ours():
    ours = schedules.exponential(0.2, base=0.9, steps_per_epoch=SPE)
    theirs = optax.exponential_decay(0.2, SPE, 0.9, staircase=True)
    stairs = schedules.staircase(0.2, factor=0.9, epochs_per_stair=3, steps_per_epoch=SPE)
    their_stairs = optax.exponential_decay(0.2, 3 * SPE, 0.9, staircase=True)
    steps = jnp.arange(40)
    # Powers up to 7 of a rounded base: 4 eps in the base and a few of rounding.
    np.testing.assert_allclose(jax.vmap(ours)(steps), jax.vmap(theirs)(steps), rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(stairs)(steps), jax.vmap(their_stairs)(steps), rtol=1e-6)


def test_optax_optimizer_counts_from_zero():
    alpha = schedules.inverse_time(1.0, decay_rate=1.0, steps_per_epoch=2)
    optimizer = optax.sgd(alpha)
    state, moved = optimizer.init(jnp.zeros(())), []
    for _ in range(5):
        updates, state = optimizer.update(jnp.ones(()), state)
        moved.append(-np.asarray(updates))
    np.testing.assert_allclose(moved, [1, 1, 1 / 2, 1 / 2, 1 / 3], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "arguments", "named"),
    [
        ("inverse_time", {"decay_rate": -0.1}, "decay_rate"),
        ("exponential", {"base": 0.0}, "base"),
        ("exponential", {"base": float("nan")}, "base"),
        ("inverse_sqrt", {"k": 0.0}, "k:"),
        ("staircase", {"factor": 0.0, "epochs_per_stair": 3}, "factor"),
        ("staircase", {"factor": 0.5, "epochs_per_stair": 0}, "epochs_per_stair"),
    ],
)
def test_refuses(name, arguments, named):
    with pytest.raises(ValueError, match=named):
        make(name, arguments)
    good = dict(CASES[[case[0] for case in CASES].index(name)][1])
    with pytest.raises(ValueError, match="learning_rate"):
        make(name, good, -0.1)
    with pytest.raises(ValueError, match="steps_per_epoch"):
        getattr(schedules, name)(0.1, **good, steps_per_epoch=0)
