"""The gradient check sees what it says it sees: planted errors of known size, kinks, noise."""

import math
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import io_callback
from scipy import stats

from jaxnet.crosscheck import wrong_gradients as suite
from jaxnet.gradcheck import check_numpy, gradient_check
from jaxnet.gradcheck.power import smallest_seen

N = 40


@jax.jit
def tanh_cost(theta):
    """A network of 40 parameters: 5 inputs, 5 units, 1 output, 12 examples."""
    x = jnp.sin(jnp.arange(60.0, dtype=theta.dtype)).reshape(12, 5)
    w1, b1, w2 = theta[:25].reshape(5, 5), theta[25:30], theta[30:40].reshape(5, 2)
    return jnp.mean((jnp.tanh(x @ w1 + b1[None, :]) @ w2 - 0.5) ** 2)


@jax.jit
def relu_cost(theta):
    x = jnp.sin(jnp.arange(60.0, dtype=theta.dtype)).reshape(12, 5)
    w1, b1, w2 = theta[:25].reshape(5, 5), theta[25:30], theta[30:40].reshape(5, 2)
    return jnp.mean((jax.nn.relu(x @ w1 + b1[None, :]) @ w2 - 0.5) ** 2)


def point(seed, dtype=None):
    return jnp.asarray(np.random.default_rng(seed).normal(size=N), dtype)


def few(misses, trials, rate=0.01):
    """Whether so many misses are what a rate allows: beyond it by chance once in a thousand."""
    return misses <= stats.binom.ppf(0.999, trials, rate)


@pytest.mark.parametrize("k", (1, 2, 5, 20))
def test_directions_miss_an_error_as_often_as_derived(k):
    """Whatever its shape: in one coordinate, in two that are equal, in all."""
    rng = np.random.default_rng(k)
    for error in (np.eye(30)[3], np.eye(30)[3] + np.eye(30)[7], rng.normal(size=30)):
        error = error / np.linalg.norm(error) * smallest_seen(k)
        seen = np.abs(rng.normal(size=(20_000, k, 30)) @ error) if k < 20 else None
        if seen is None:
            seen = np.abs(rng.normal(size=(3000, k, 30)) @ error)
        missed = int(np.sum(np.all(seen <= 1, axis=1)))
        trials = len(seen)
        low, high = stats.binom.ppf((0.0005, 0.9995), trials, 0.01)
        assert low <= missed <= high


@pytest.mark.parametrize("bits", (64, 32))
def test_an_error_of_the_stated_size_is_found_in_every_coordinate_mode(bits):
    """At the claim it is found, far below it is not: the claim is neither false nor idle."""
    with jax.enable_x64(bits == 64):
        gradient = jax.jit(jax.grad(tanh_cost))
        caught, small_caught, trials = 0, 0, 100
        for seed in range(trials):
            theta = point(seed)
            right = gradient(theta)
            check = gradient_check(tanh_cost, theta, grads=right)
            assert check.verdict == "correct", check.note
            assert check.disagreeing == 0
            size = check.detects * float(jnp.max(jnp.abs(right)))
            at, sign = seed % N, (-1) ** seed
            found, small = (
                gradient_check(tanh_cost, theta, grads=right.at[at].add(sign * part * size))
                for part in (1.0, 0.1)
            )
            caught += found.verdict != "correct"
            small_caught += small.verdict != "correct"
            if found.verdict != "correct" and found.disagreeing == 1:
                assert found.worst == f"params[{at}]"
    assert few(trials - caught, trials)
    assert small_caught < trials / 2


@pytest.mark.f64
@pytest.mark.parametrize("k", (1, 5))
def test_an_error_of_the_stated_size_is_found_by_directions(k):
    gradient = jax.jit(jax.grad(tanh_cost))
    missed, small_caught, trials = 0, 0, 150
    for seed in range(trials):
        theta, key = point(seed), jax.random.key(seed)
        right = gradient(theta)
        error = np.eye(N)[seed % N] if seed % 2 else np.random.default_rng(-1 - seed % 2 + 9)
        error = error if isinstance(error, np.ndarray) else error.normal(size=N)
        error = error / np.linalg.norm(error)
        check = gradient_check(tanh_cost, theta, grads=right, directions=k, key=key)
        assert check.verdict == "correct" and check.directions == k and check.coordinates == 0
        size = check.detects * float(jnp.linalg.norm(right))
        found, small = (
            gradient_check(
                tanh_cost, theta, grads=right + part * size * error, directions=k, key=key
            ).verdict
            != "correct"
            for part in (1.0, 0.003)
        )
        missed += not found
        small_caught += small
    assert few(missed, trials)
    assert small_caught < trials / 2


def test_right_gradients_raise_no_alarm():
    """Networks with and without kinks, both precisions, parameters and costs of every size."""
    for bits in (64, 32):
        with jax.enable_x64(bits == 64):
            for seed in range(25):
                for cost in (tanh_cost, relu_cost):
                    for directions in (None, 20):
                        check = gradient_check(cost, point(seed), directions=directions)
                        assert check.disagreeing == 0, (bits, seed, check.note)
                        assert check.verdict in ("correct", "inconclusive")
                        if bits == 64:
                            assert check.verdict == "correct" and check.detects < 1e-4


@pytest.mark.f64
@pytest.mark.parametrize("width", (1e-6, 1.0, 1e6))
@pytest.mark.parametrize("height", (1e-30, 1.0, 1e6))
def test_the_step_fits_the_parameters_and_the_noise_the_cost(width, height):
    def cost(theta):
        return height * jnp.sum(jnp.tanh(theta / width))

    theta = width * jnp.linspace(-1, 1, 20)
    check = gradient_check(cost, theta)
    assert check.verdict == "correct" and check.detects < 1e-6
    wrong = jax.grad(cost)(theta).at[4].mul(1 + 1e-3)
    check = gradient_check(cost, theta, grads=wrong)
    assert check.disagreeing == 1 and check.worst == "params[4]"


@pytest.mark.f64
def test_a_kink_at_the_point_is_left_out_counted_and_still_asked():
    theta = jnp.linspace(-1, 1, 41)  # 0 is one of them
    slopes = jnp.sign(theta)

    def cost(t):
        return jnp.sum(jnp.abs(t))

    for slope in (1.0, -1.0, 0.3):
        check = gradient_check(cost, theta, grads=slopes.at[20].set(slope))
        assert (check.verdict, check.excluded, check.disagreeing) == ("correct", 1, 0)
        assert "1 (2.4 %) left out" in check.note
    for slope in (1.5, -2.0):  # beyond both one-sided slopes
        check = gradient_check(cost, theta, grads=slopes.at[20].set(slope))
        assert (check.verdict == "correct", check.disagreeing, check.worst) == (
            False,
            1,
            "params[20]",
        )
    # A kink does not hide what is wrong elsewhere.
    check = gradient_check(cost, theta, grads=slopes.at[20].set(1.0).at[3].mul(1.001))
    assert check.disagreeing == 1 and check.worst == "params[3]"


@pytest.mark.f64
def test_a_kink_within_the_step_is_retried_with_smaller_ones():
    theta = jnp.linspace(1, 2, 40).at[jnp.array([5, 9])].set(jnp.array([1e-6, -2e-7]))

    def cost(t):
        return jnp.sum(jnp.maximum(t, 0) + 0.1 * t**2)

    check = gradient_check(cost, theta)
    assert (check.verdict, check.retried, check.excluded) == ("correct", 2, 0)
    wrong = jax.grad(cost)(theta).at[5].mul(0.5)  # what differences across the kink might give
    check = gradient_check(cost, theta, grads=wrong)
    assert check.disagreeing == 1 and check.worst == "params[5]"


@pytest.mark.f64
def test_too_many_kinks_are_never_called_correct():
    theta = jnp.linspace(1, 2, 20).at[:5].set(0.0)
    check = gradient_check(lambda t: jnp.sum(jnp.abs(t)), theta)
    assert (check.verdict, check.excluded) == ("inconclusive", 5)
    assert "25 %" in check.note
    nowhere = gradient_check(lambda t: jnp.sum(jnp.abs(t)), jnp.zeros(3))
    assert nowhere.verdict == "inconclusive" and math.isinf(nowhere.detects)


def test_what_cannot_be_seen_is_not_called_correct():
    """float32, a gradient lost beside a large cost: 1e6 + 1e-3 θ."""
    check = gradient_check(lambda t: 1e6 + 1e-3 * jnp.sum(t), jnp.ones(3), eps=1e-2)
    assert check.verdict == "inconclusive" and check.detects > 1


def test_one_wrong_coordinate_among_many_is_not_correct_in_float32():
    """The distance, 1.6e-4, is below what the notes' rule allows float32."""
    theta = jnp.asarray(np.random.default_rng(0).uniform(1, 2, 2000), jnp.float32)

    def cost(t):
        return jnp.sum(t**2) / 2000

    gradient = jax.grad(cost)(theta)
    assert gradient_check(cost, theta, grads=gradient).verdict == "correct"
    check = gradient_check(cost, theta, grads=gradient.at[700].mul(1.1))
    assert check.verdict != "correct" and check.worst == "params[700]"


def test_functions_that_draw_are_refused():
    rng = np.random.default_rng(0)
    theta = jnp.ones(4)

    def python_draw(t):
        return jnp.sum(t) * random.random()

    def numpy_draw(t):
        return jnp.sum(t * rng.normal(size=4).astype(np.float32))

    def drawn_when_run(t):
        draw = io_callback(
            lambda: np.float32(rng.normal()), jax.ShapeDtypeStruct((), jnp.float32), ordered=False
        )
        return jnp.sum(t**2) + draw

    for cost in (python_draw, numpy_draw, jax.jit(numpy_draw)):
        for directions in (None, 3):
            with pytest.raises(ValueError, match="cost: expected a deterministic function"):
                gradient_check(cost, theta, grads=theta, directions=directions)
    with pytest.raises(ValueError, match="cost: expected a deterministic function"):
        gradient_check(drawn_when_run, theta, grads=theta, chunk=1)

    def fixed_key(t):
        return jnp.sum(t * jax.random.bernoulli(jax.random.key(0), 0.5, (4,)))

    assert gradient_check(fixed_key, theta).verdict == "correct"


@pytest.mark.f64
@pytest.mark.parametrize("mode", suite.MODES)
@pytest.mark.parametrize("directions", (None, 20))
def test_every_mode_finds_what_is_wrong_in_it(mode, directions):
    of = suite.problem("tanh network", 100, 0)
    cost = suite.jax_cost(of)
    leaves = tuple(map(jnp.asarray, of.leaves))
    gradient = jax.jit(jax.grad(cost, (0, 1, 2, 3)))(*leaves)
    for fault in ("none", "one coordinate off by 10 %"):
        wrong = suite.planted(cost, suite.factors(fault, of.leaves, gradient, 0), mode)
        check = gradient_check(lambda p, f=wrong: f(*p), leaves, mode=mode, directions=directions)
        assert check.mode == mode
        assert (check.verdict == "correct") == (fault == "none"), check.note
        # An error in some columns of the Hessian is one in all of H w.
        if fault != "none" and directions is not None and mode != "second":
            at_fault = [leaf.name for leaf in check.leaves if leaf.relative_distance > 1e-6]
            assert at_fault == ["[0]"]


def test_many_parameters_are_checked_along_directions():
    n = 100_001
    theta = jnp.asarray(np.random.default_rng(0).normal(size=n), jnp.float32)

    def cost(t):
        return jnp.mean(t**2)

    right = gradient_check(cost, theta)
    assert (right.verdict, right.directions, right.coordinates) == ("correct", 20, 0)
    assert "one wrong coordinate among n" in right.note
    assert gradient_check(cost, theta, grads=jnp.zeros(n)).verdict == "wrong"
    assert gradient_check(cost, theta, grads=1.1 * 2 * theta / n).verdict == "wrong"


def test_arguments_are_checked():
    theta = jnp.ones(3)
    with pytest.raises(ValueError, match="mode: expected one of forward, reverse, second"):
        gradient_check(jnp.sum, theta, mode="reversed")
    with pytest.raises(ValueError, match="directions: expected a whole number ≥ 1"):
        gradient_check(jnp.sum, theta, directions=0)
    with pytest.raises(ValueError, match="grads: expected None in mode 'forward'"):
        gradient_check(jnp.sum, theta, grads=theta, mode="forward")
    with pytest.raises(ValueError, match="eps: expected a step that changes the parameters"):
        gradient_check(jnp.sum, theta, eps=1e-12)


def test_numpy_functions_by_complex_step_or_differences():
    rng = np.random.default_rng(0)
    x, y, w, v = (rng.normal(size=s) for s in ((30, 8), 30, (8, 3), 3))

    def cost(w):
        return np.mean((np.tanh(x @ w) @ v - y) ** 2)

    hidden = np.tanh(x @ w)
    grad = x.T @ ((2 * (hidden @ v - y) / 30)[:, None] * v * (1 - hidden**2))
    check = check_numpy(cost, w, grad)
    assert (check.verdict, check.mode) == ("correct", "complex step")
    assert check.relative_distance < 1e-15 and check.detects < 1e-12
    for part, noticed in ((1.0, True), (0.1, False)):
        off = grad.copy()
        off[2, 1] += part * check.detects * np.abs(grad).max()
        assert (check_numpy(cost, w, off).verdict != "correct") == noticed
    # Not analytic, by the modulus, the conjugate or a cast: the complex step would be wrong.
    for other, slope in (
        (lambda t: np.sum(np.abs(t)), np.sign(w)),
        (lambda t: np.sum(t * np.conj(t)).real, 2 * w),
        (lambda t: np.sum(t * np.conj(t)), 2 * w),
        (lambda t: np.sum(t**2) + 1e-3 * np.sum(np.abs(t)), 2 * w + 1e-3 * np.sign(w)),
        (lambda t: float(np.sum(t**2)), 2 * w),
    ):
        check = check_numpy(other, w, slope)
        assert (check.verdict, check.mode) == ("correct", "differences")
        assert check_numpy(other, w, 1.001 * slope).verdict != "correct"


def test_numpy_functions_that_cannot_be_checked_are_refused():
    rng = np.random.default_rng(0)
    theta = np.ones(3)
    for cost, message in (
        (lambda t: np.sum(t) + rng.normal(), "cost: expected a deterministic function"),
        (lambda t: t, r"cost: expected a function with a scalar value, got shape \(3,\)"),
        (lambda t: np.sum(np.add(t, 1, out=t)), "cost: expected a function that leaves its"),
        (lambda t: np.sum(t) * np.nan, "cost: expected finite values, got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            check_numpy(cost, theta, theta)
    with pytest.raises(ValueError, match=r"grad: expected the shape of theta, \(3,\), got \(2,\)"):
        check_numpy(np.sum, theta, np.ones(2))


def test_the_suite_of_wrong_gradients():
    """jaxnet notices every one and refuses no right one; the peers' record is what it is."""
    found = list(suite.trials(sizes=(10,), seeds=(0,), functions=("mean square", "ReLU network")))
    for trial in found:
        if trial.checker.startswith("jaxnet"):
            expected = "accepted" if trial.fault == "none" else "noticed"
            assert trial.outcome == expected, trial
        assert trial.fault != "none" or trial.outcome != "noticed", trial
    assert len({trial.checker for trial in found}) == 6


def test_check_grads_accepts_gradients_that_we_refuse():
    """mean square, n = 1000 and 100,000, seed 0, float32 as JAX has it, reverse mode."""
    for n, fault, ours in (
        (1000, "one coordinate off by 10 %", "jaxnet, every coordinate"),
        (100_000, "scaled by 1.1", "jaxnet, 20 directions"),
    ):
        found = suite.trials(
            sizes=(n,),
            seeds=(0,),
            modes=("reverse",),
            functions=("mean square",),
            faults=("none", fault),
            bits=32,
            which=("jax check_grads", ours),
        )
        outcome = {(trial.checker, trial.fault): trial.outcome for trial in found}
        assert outcome["jax check_grads", fault] == "accepted"
        assert outcome[ours, fault] == "noticed"
        assert outcome[ours, "none"] == "accepted"


def test_chex_and_torch_fast_accept_gradients_that_we_refuse():
    """mean square, n = 1000, seed 0, float64, reverse mode; a gradient of zeros for chex."""
    for module, checker, fault in (
        ("chex", "chex assert_numerical_grads", "zero"),
        ("torch", "torch gradcheck, fast", "scaled by 1.1"),
    ):
        pytest.importorskip(module, reason=f"{module} is not installed")
        which = (checker, "jaxnet, every coordinate", "jaxnet, 20 directions")
        found = suite.trials(
            sizes=(1000,),
            seeds=(0,),
            modes=("reverse",),
            functions=("mean square",),
            faults=(fault,),
            which=which,
        )
        outcome = {trial.checker: trial.outcome for trial in found}
        assert [outcome[one] for one in which] == ["accepted", "noticed", "noticed"]
