"""The gradient check passes what is right, and catches and places what is wrong."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import losses, models, regularizers
from jaxnet.gradcheck import (
    central_differences,
    complex_step,
    default_eps,
    gradient_check,
    one_sided_differences,
    relative_distance,
)
from jaxnet.layers import Layer
from jaxnet.models import forward_pass
from reference_numpy import gradient_check as reference

SIZES = (5, 4, 3)
X = np.sin(np.arange(35.0)).reshape(7, 5)
Y = np.arange(7) % 3


def parameters(dtype=jnp.float64):
    """Weights and biases none of which is zero, as they are after training."""
    arrays = [
        (np.cos(np.arange(1.0, a * b + 1)).reshape(a, b), np.sin(np.arange(1.0, b + 1)))
        for a, b in pairwise(SIZES)
    ]
    return tuple(Layer(jnp.asarray(w, dtype), jnp.asarray(b, dtype)) for w, b in arrays)


def network_cost(params):
    """Cost of a tanh network with its penalty, in the dtype of the parameters."""
    x = jnp.asarray(X, params[0].w.dtype)
    logits = models.forward_pass(params, (), x, activation="tanh").zs[-1]
    per_example = losses.softmax_cross_entropy(logits, jnp.asarray(Y))
    return losses.cost(per_example, regularizers.l2(0.7, m=7)(params))


def wave(theta):
    """A function of n coordinates whose gradient 2 + cos θ is nowhere below 1."""
    return jnp.sum(2 * theta + jnp.sin(theta))


def wave_gradient(n):
    theta = jnp.linspace(-2, 2, n)
    return theta, 2 + jnp.cos(theta)


@pytest.mark.f64
def test_a_correct_gradient_is_correct():
    check = gradient_check(network_cost, parameters())
    assert check.verdict == "correct"
    assert check.relative_distance < 1e-9  # ε² is 4e-11 here, so 1e-7 has room
    assert check.coordinates == 5 * 4 + 4 + 4 * 3 + 3
    assert check.eps == default_eps(np.float64) == np.cbrt(np.finfo(float).eps)
    assert check.correct_below == 1e-7
    assert len(check.leaves) == 4
    assert all(leaf.relative_distance < 1e-8 for leaf in check.leaves)


FAULTS = {
    "none": lambda gradient, at: gradient,
    "one coordinate 10 % off": lambda gradient, at: gradient.at[at].mul(1.1),
    "one sign": lambda gradient, at: gradient.at[at].mul(-1),
    "zero": lambda gradient, at: jnp.zeros_like(gradient),
    "sign": lambda gradient, at: -gradient,
}


@pytest.mark.f64
@pytest.mark.parametrize(
    ("n", "fault"),
    [(n, fault) for n in (10, 1000) for fault in FAULTS] + [(100, "one coordinate 10 % off")],
)
def test_planted_errors_are_not_correct_at_any_size(n, fault):
    theta, gradient = wave_gradient(n)
    at = n // 3
    planted = FAULTS[fault](gradient, at)
    check = gradient_check(wave, theta, grads=planted)
    assert (check.verdict == "correct") == (fault == "none")
    if fault in ("zero", "sign"):
        assert check.verdict == "wrong"
        np.testing.assert_allclose(check.relative_distance, 1.0, rtol=1e-6)
    elif fault != "none":
        # ‖change‖ / (‖a‖ + ‖b‖): at n = 1000 one coordinate in ten per cent is 6e-4, which the
        # notes call suspicious; the coordinate is named all the same.
        change = float(abs(planted[at] - gradient[at]))
        size = float(jnp.linalg.norm(planted) + jnp.linalg.norm(gradient))
        np.testing.assert_allclose(check.relative_distance, change / size, rtol=1e-4)
        assert check.worst == f"params[{at}]"
        np.testing.assert_allclose(check.given, planted[at])
        np.testing.assert_allclose(check.differences, gradient[at], rtol=1e-8)


@pytest.mark.f64
def test_the_array_and_the_coordinate_at_fault_are_named():
    params = parameters()
    correct = jax.jit(jax.grad(network_cost))(params)
    for layer, field, index in ((0, "w", (2, 3)), (0, "b", (1,)), (1, "w", (3, 0)), (1, "b", (2,))):
        grads = list(correct)
        array = getattr(grads[layer], field)
        grads[layer] = grads[layer]._replace(**{field: array.at[index].add(0.01)})
        check = gradient_check(network_cost, params, grads=tuple(grads))
        assert check.verdict == "wrong"
        assert check.worst == f"[{layer}].{field}{list(index)}"
        at_fault = [leaf.name for leaf in check.leaves if leaf.relative_distance > 1e-7]
        assert at_fault == [f"[{layer}].{field}"]


@pytest.mark.f64
def test_a_gradient_without_the_penalty_is_caught():
    def bare(params):
        return network_cost(params) - regularizers.l2(0.7, m=7)(params)

    params = parameters()
    check = gradient_check(network_cost, params, grads=jax.jit(jax.grad(bare))(params))
    assert check.verdict == "wrong"
    # Biases carry no penalty, so theirs are right.
    at_fault = [leaf.name for leaf in check.leaves if leaf.relative_distance > 1e-7]
    assert at_fault == ["[0].w", "[1].w"]


def test_float32_has_a_floor_and_the_check_says_so():
    check = gradient_check(network_cost, parameters(jnp.float32))
    floor = 10 * np.finfo(np.float32).eps ** (2 / 3)
    assert check.verdict == "correct" and check.correct_below == pytest.approx(floor)
    assert 1e-7 < check.relative_distance < floor  # beyond the notes' threshold, though right
    assert check.eps == pytest.approx(5e-3, rel=0.02)
    grads = jax.jit(jax.grad(network_cost))(parameters(jnp.float32))
    grads = (grads[0]._replace(w=1.1 * grads[0].w), grads[1])
    assert gradient_check(network_cost, parameters(jnp.float32), grads=grads).verdict == "wrong"


@pytest.mark.f64
def test_complex_step_is_exact_to_a_few_eps_for_any_small_step():
    theta, gradient = wave_gradient(10)
    for eps in (1e-8, 1e-20, 1e-150):
        np.testing.assert_allclose(complex_step(wave, theta, eps=eps), gradient, rtol=1e-15)

    def network(params):
        """Analytic: no maximum, as in the softmax, and no |·|."""
        outputs = forward_pass(params, (), jnp.asarray(X), activation="tanh").zs[-1]
        return jnp.sum(outputs**2)

    exact, stepped = jax.jit(lambda p: (jax.grad(network)(p), complex_step(network, p)))(
        parameters()
    )
    for one, other in zip(jax.tree.leaves(exact), jax.tree.leaves(stepped), strict=True):
        assert other.dtype == jnp.float64
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-13 * float(jnp.abs(one).max()))


@pytest.mark.f64
def test_one_sided_differences_are_worse_by_the_stated_order():
    theta = jnp.array(1.0)
    error = {
        (differences, eps): abs(float(differences(lambda t: t**3, theta, eps=eps)) - 3)
        for differences in (central_differences, one_sided_differences)
        for eps in (1e-2, 1e-3)
    }
    # ((1+ε)³ − (1−ε)³)/2ε = 3 + ε² and ((1+ε)³ − 1)/ε = 3 + 3ε + ε².
    for eps in (1e-2, 1e-3):
        assert error[central_differences, eps] == pytest.approx(eps**2, rel=1e-4)
        assert error[one_sided_differences, eps] == pytest.approx(3 * eps + eps**2, rel=1e-6)


@pytest.mark.f64
def test_chunk_size_changes_nothing():
    params = parameters()
    one, *others = (
        jax.tree.leaves(central_differences(network_cost, params, chunk=chunk))
        for chunk in (1, 7, 39, 64)
    )
    # XLA may order the sums of a batch differently: some ulp of J ~ 4, divided by 2ε ~ 1e-5.
    bound = 8 * np.finfo(float).eps * 4 / (2 * default_eps(np.float64))
    for other in others:
        for left, right in zip(one, other, strict=True):
            np.testing.assert_allclose(left, right, rtol=0, atol=bound)


def test_relative_distance():
    a, zero = jnp.array([3.0, 4.0]), jnp.zeros(2)
    assert float(relative_distance(a, a)) == 0
    assert float(relative_distance(zero, zero)) == 0
    assert float(relative_distance(a, zero)) == 1
    assert float(relative_distance(a, -a)) == 1
    assert float(relative_distance(a, 3 * a)) == 0.5


def test_what_cannot_be_checked_is_refused():
    theta = jnp.ones(3)
    with pytest.raises(ValueError, match=r"grads: expected shape \(3,\), got \(2,\)"):
        gradient_check(jnp.sum, theta, grads=jnp.ones(2))
    with pytest.raises(ValueError, match="grads: expected the structure"):
        gradient_check(jnp.sum, theta, grads=(theta,))
    with pytest.raises(ValueError, match=r"cost: expected .* scalar value, got shape \(3,\)"):
        gradient_check(lambda t: t, theta)
    with pytest.raises(ValueError, match="grads: expected finite values, got 1"):
        gradient_check(jnp.sum, theta, grads=theta.at[1].set(jnp.nan))
    with pytest.raises(ValueError, match="cost: expected finite values, got 3"):
        gradient_check(lambda t: jnp.sum(t) / 0.0, theta, grads=theta)
    with pytest.raises(ValueError, match="eps: expected a finite number > 0"):
        central_differences(jnp.sum, theta, eps=0.0)
    with pytest.raises(ValueError, match="chunk: expected a whole number ≥ 1"):
        central_differences(jnp.sum, theta, chunk=0)
    with pytest.raises(ValueError, match="params: expected at least one parameter"):
        gradient_check(jnp.sum, jnp.ones(0))
    with pytest.raises(TypeError, match="params: expected floating-point arrays, got int32"):
        gradient_check(jnp.sum, jnp.arange(3))


def test_a_plain_cost_is_traced_anew_every_time():
    """It may close over data that changed meanwhile; only a jitted cost is remembered."""
    data = {"scale": 1.0}

    def cost(theta):
        return data["scale"] * jnp.sum(theta**2)

    theta = jnp.array([1.0, -2.0])
    first = central_differences(cost, theta)
    data["scale"] = 3.0
    np.testing.assert_allclose(central_differences(cost, theta), 3 * first, rtol=1e-3)


def test_small_gradients_are_told_apart():
    """Their squares underflow; the distance must not be 0 for that."""
    theta = jnp.array([1.0, 2.0])
    check = gradient_check(lambda t: 1e-24 * jnp.sum(t**2), theta, grads=jnp.array([-5e-24, 7e-24]))
    assert check.verdict == "wrong"
    assert reference.relative_distance([1e-170, 0], [3e-170, 1e-170]) > 0.5
    a, b = np.array([3.0, -1.0, 2.0]), np.array([2.0, 1.0, 2.0])
    ours = relative_distance(jnp.asarray(a), jnp.asarray(b))
    assert float(ours) == pytest.approx(reference.relative_distance(a, b), rel=1e-6)
