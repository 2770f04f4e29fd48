"""Errors of the notes, one test each: the printed form fails a check that the right one passes.

Not here: what an experiment measures, and the remarks that nothing can run. ERRATA.md lists all,
each with its test, its experiment or neither.
"""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnet import (
    activations,
    averages,
    initializers,
    losses,
    models,
    optimizers,
    regularizers,
    training,
)
from jaxnet.crosscheck import layout
from jaxnet.data import datasets, normalization
from reference_numpy.gradient_check import (
    central_differences,
    flatten,
    relative_distance,
    unflatten,
)

M = 7
DERIVATIVES = {
    "tanh": lambda Z: 1 - np.tanh(Z) ** 2,
    "softplus": lambda Z: 1 / (1 + np.exp(-Z)),
    "sigmoid": lambda Z: np.exp(-Z) / (1 + np.exp(-Z)) ** 2,
}
FUNCTIONS = {
    "tanh": np.tanh,
    "softplus": lambda Z: np.log1p(np.exp(Z)),
    "sigmoid": lambda Z: 1 / (1 + np.exp(-Z)),
}


def network(sizes):
    """Weights and biases, inputs and binary targets: columns, no two of them alike."""
    rng = np.random.default_rng(0)
    params = [
        (rng.normal(size=(n, n_prev)), rng.normal(size=(n, 1))) for n_prev, n in pairwise(sizes)
    ]
    return params, rng.normal(size=(sizes[0], M)), rng.integers(0, 2, (sizes[-1], M)).astype(float)


def forward(params, X, gs):
    A, Zs = [X], []
    for (W, b), g in zip(params, gs, strict=True):
        Zs.append(W @ A[-1] + b)
        A.append(FUNCTIONS[g](Zs[-1]))
    return A, Zs


def numerical_gradient(params, X, Y, gs):
    """Differences of the cross-entropy J = −(1/m) Σ y log a + (1−y) log(1−a)."""

    def cost(theta):
        A = forward(unflatten(theta, params), X, gs)[0][-1]
        return -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / M

    return central_differences(cost, flatten(params), eps=1e-5)


def backward(params, A, Zs, Y, gs, printed=()):
    """Backward propagation as fig. 40 has it, right but for the places in `printed`.

    L counts the layers; dW[l], dZ[l] are lists from l = 1 at index 0.
    """
    L = len(params)
    dZ = [np.zeros(0)] * L
    dW, db = list(dZ), list(dZ)
    dZ[-1] = A[-1] - Y
    for index in reversed(range(L)):
        last = index == L - 1
        if index < L - 1:
            W_next = dW[index + 1] if "dW for W" in printed else params[index + 1][0]
            g = gs[index + 1] if "g[L] for g[L-1]" in printed else gs[index]
            slope = DERIVATIVES[g](Zs[index])
            if "g' times z" in printed:
                slope = DERIVATIVES[g](A[index + 1]) * Zs[index]
            dZ[index] = W_next.T @ dZ[index + 1] * slope
        A_prev = A[index]
        if (last and "A[L] for A[L-1]" in printed) or (index == 0 and "A[1] for X" in printed):
            A_prev = A[index + 1]
        dW[index] = dZ[index] @ A_prev.T / M
        db[index] = dZ[index].sum(axis=1, keepdims=True) / M
    return list(zip(dW, db, strict=True))


@pytest.mark.parametrize(
    ("erratum", "printed", "distance"),
    [
        (1, "A[L] for A[L-1]", 1e-2),
        (2, "dW for W", 1e-2),
        (2, "g[L] for g[L-1]", 1e-2),
        (3, "A[1] for X", 1e-2),
        (11, "g' times z", 1e-2),
    ],
)
def test_backward_propagation(erratum, printed, distance):
    """1, 2, 3, 11: with equal widths the printed equations run, and fail the gradient check."""
    del erratum
    gs = ("tanh", "softplus", "sigmoid")
    params, X, Y = network((3, 3, 3, 3))
    A, Zs = forward(params, X, gs)
    numerical = numerical_gradient(params, X, Y, gs)
    right = flatten(backward(params, A, Zs, Y, gs))
    wrong = flatten(backward(params, A, Zs, Y, gs, printed=(printed,)))
    assert relative_distance(right, numerical) < 1e-8
    assert relative_distance(wrong, numerical) > distance


@pytest.mark.parametrize("printed", ["A[L] for A[L-1]", "A[1] for X"])
def test_backward_propagation_shapes(printed):
    """1, 3: with widths that differ, the printed dW does not have the shape of W."""
    gs = ("tanh", "softplus", "sigmoid")
    params, X, Y = network((5, 4, 3, 2))
    A, Zs = forward(params, X, gs)
    shapes = [W.shape for W, _ in params]
    assert [dW.shape for dW, _ in backward(params, A, Zs, Y, gs)] == shapes
    assert [dW.shape for dW, _ in backward(params, A, Zs, Y, gs, (printed,))] != shapes


def test_normalizing_divides_by_sigma():
    """4: divided by σ², the variance becomes 1/σ²; and σ² is of the centred X."""
    x = jnp.asarray(np.random.default_rng(0).uniform(1, 1000, (200, 3)), jnp.float32)
    fitted = normalization.fit(x)
    centred = np.asarray(x - fitted.mu[None, :], np.float64)
    sigma = np.asarray(fitted.sigma, np.float64)
    np.testing.assert_allclose((centred / sigma).var(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose((centred / sigma**2).var(axis=0), 1 / sigma**2, rtol=1e-5)
    np.testing.assert_allclose(sigma**2, np.mean(centred**2, axis=0), rtol=1e-5)
    assert np.all(np.mean(np.asarray(x, np.float64) ** 2, axis=0) > 2 * sigma**2)
    np.testing.assert_allclose(np.var(normalization.apply(fitted, x), axis=0), 1, rtol=1e-5)


@pytest.mark.f64
def test_velocity_of_b_comes_from_the_velocity_of_b():
    """5: with V_dW in its place V_db has the shape of W; and where they agree, it goes astray."""
    dW, db = np.ones((4, 3)), np.ones((4, 1))
    assert (0.9 * np.zeros_like(db) + 0.1 * db).shape == db.shape
    assert (0.9 * np.zeros_like(dW) + 0.1 * db).shape != db.shape

    alpha, beta, steps = 0.1, 0.9, 20
    gradient = np.array([2.0, -1.0])  # of one weight and one bias
    right, printed = np.zeros(2), np.zeros(2)
    V, V_printed = np.zeros(2), np.zeros(2)
    for _ in range(steps):
        V = beta * V + (1 - beta) * gradient
        right = right - alpha * V
        V_printed = np.array([beta * V_printed[0], beta * V_printed[0]]) + (1 - beta) * gradient
        printed = printed - alpha * V_printed

    theirs = optax.chain(optax.ema(beta, debias=False), optax.scale(-alpha))
    for optimizer in (optimizers.momentum(alpha, beta=beta), theirs):
        params = jnp.zeros(2)
        state = optimizer.init(params)
        for _ in range(steps):
            updates, state = optimizer.update(jnp.asarray(gradient), state, params)
            params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(np.asarray(params), right, rtol=1e-12)
        assert np.max(np.abs(np.asarray(params) - printed)) > 1


def test_code_of_the_random_initialization():
    """6: `np.random.randn((2, 2))` and `np.zero` do not run."""
    with pytest.raises(TypeError):
        np.random.randn((2, 2))  # type: ignore
    with pytest.raises(AttributeError):
        np.zero((2, 1))  # type: ignore
    assert np.random.randn(2, 2).shape == (2, 2) and np.zeros((2, 1)).shape == (2, 1)


def test_bengios_initialization():
    """7, 22: without its bracket the variance is 2·n[l]/n[l−1]; and Xavier's is LeCun's."""
    n_prev, n = 200, 50
    printed, right = np.sqrt(2 / n_prev * n), np.sqrt(2 / (n_prev + n))
    np.testing.assert_allclose(printed**2 / right**2, n * (n_prev + n) / n_prev)
    key = jax.random.key(0)
    for scheme, variance in (
        (initializers.glorot, 2 / (n_prev + n)),
        (initializers.xavier, 1 / n_prev),
        (initializers.he, 2 / n_prev),
    ):
        w = np.asarray(scheme(key, n_prev, n), np.float64)
        # 5 standard deviations of the variance of 10,000 draws: √(2/10,000) each.
        np.testing.assert_allclose(w.var(), variance, rtol=5 * np.sqrt(2 / w.size))
    # One layer on inputs of second moment 1: n[l−1] times the variance, so 2·n[l] as printed.
    x = np.random.default_rng(1).normal(size=(400, n_prev))
    standard = np.asarray(initializers.normal(key, n_prev, n), np.float64)
    moment = np.mean((x @ (standard * printed)) ** 2)
    assert 1.5 * n < moment < 2.5 * n
    assert np.mean((x @ (standard * right)) ** 2) < 2


def test_limit_behind_the_number_of_days():
    """8: (1 − 1/β)^β is not even real, and β^(1/(1−β)) is 1/e only in the limit β → 1."""
    assert isinstance((1 - 1 / 0.9) ** 0.9, complex)
    at_nine_tenths = 0.9 ** (1 / (1 - 0.9))
    assert at_nine_tenths == pytest.approx(0.3487, abs=1e-4)
    assert 1 / np.e - at_nine_tenths > 0.019
    eps = np.array([1e-1, 1e-2, 1e-3, 1e-4])
    np.testing.assert_allclose((1 - eps) ** (1 / eps), 1 / np.e, atol=0.2 * eps.max())
    error = np.abs((1 - eps) ** (1 / eps) - 1 / np.e)
    np.testing.assert_allclose(error / eps, 1 / (2 * np.e), rtol=0.12)  # to first order


def test_weight_after_ten_days():
    """9: it is still above a third, and below it after eleven."""
    weights = np.asarray(averages.weights(0.9, 12))
    aged = weights / weights[-1]
    assert aged[-1 - 10] > 1 / 3 > aged[-1 - 11]


def test_shape_of_the_input():
    """10: A[0] = X is (n[0], m); (n[l], m) fits no layer whose width differs from n[0]."""
    params, X, _ = network((5, 4, 3))
    assert X.shape == (5, M)
    for W, _ in params[1:]:
        with pytest.raises(ValueError):
            np.matmul(params[0][0], np.zeros((len(W), M)))
    # jaxnet has examples as rows and says so.
    model_params, _ = jax.eval_shape(models.mlp((5, 4, 3)).init, jax.random.key(0))
    with pytest.raises(ValueError, match="layer 1: expected 5 columns"):
        models.forward_pass(model_params, (), jnp.zeros((M, 4)))


def test_second_layer_takes_the_first():
    """12: z[2] = W[2] x + b[2] has no shape where n[1] ≠ n[0]."""
    ((W1, b1), (W2, b2)), X, _ = network((5, 4, 3))
    assert (W2 @ np.tanh(W1 @ X + b1) + b2).shape == (3, M)
    with pytest.raises(ValueError):
        np.add(W2 @ X, b2)


def test_four_of_the_three_four_one_network():
    """13: in W[2] of shape (1, 4) the 4 counts hidden units, the 1 counts outputs."""
    for hidden, outputs in ((4, 1), (6, 1), (4, 2)):
        params, _ = jax.eval_shape(models.mlp((3, hidden, outputs)).init, jax.random.key(0))
        params = jax.tree.map(lambda leaf: np.zeros(leaf.shape), params)
        assert layout.pairs(params)[1][0].shape == (outputs, hidden)


@pytest.mark.parametrize(("element", "growth"), [(0.5, 1.0), (1.5, 3.0)])
def test_elements_of_a_half_do_not_vanish(element, growth):
    """14: a 2×2 matrix of equal elements w has eigenvalues 2w and 0, so ŷ goes like (2w)^L."""
    W = np.full((2, 2), element)
    np.testing.assert_allclose(np.sort(np.linalg.eigvalsh(W)), [0, 2 * element], atol=1e-15)
    x = np.array([1.0, 1.0])
    outputs = [np.linalg.matrix_power(W, L) @ x for L in (1, 10, 100)]
    np.testing.assert_allclose(outputs, [[growth**L] * 2 for L in (1, 10, 100)], rtol=1e-12)


def test_broadcasting_rules():
    """15: no dimension need be equal, and the size of the result need not be the maximum."""
    assert (np.zeros((4, 1)) + np.zeros((1, 3))).shape == (4, 3)
    assert (np.zeros((0, 1)) + np.zeros((1, 1))).shape == (0, 1)  # the maximum is 1
    assert (jnp.zeros((4, 1)) + jnp.zeros((1, 3))).shape == (4, 3)
    with pytest.raises(ValueError):
        np.add(np.zeros((4, 2)), np.zeros((4, 3)))  # one dimension equal, as printed, is not enough


def test_friction_of_momentum():
    """16: what a step loses is 1 − β of the velocity: more β, less friction."""
    left = {}
    for beta in (0.5, 0.9, 0.99):
        optimizer = optimizers.momentum(1.0, beta=beta)
        params = jnp.zeros(())
        state: Any = optimizer.init(params)
        _, state = optimizer.update(jnp.float32(1), state)
        pushed = float(state.mu)
        _, state = optimizer.update(jnp.float32(0), state)
        left[beta] = float(state.mu) / pushed
        assert 1 - left[beta] == pytest.approx(1 - beta, rel=1e-4)
    assert left[0.5] < left[0.9] < left[0.99]


# 18. A network with a large L2 penalty ends as a constant, not as logistic regression: its weights
# go to 0 and what is left is the last bias, the log odds of the classes.
def test_large_penalty_leaves_a_constant():
    data = datasets.moons(jax.random.key(0), 120)
    data = data._replace(y=(jnp.arange(120) % 3 == 0).astype(jnp.int32) * data.y)
    ends = {}
    for name, model, lam in (
        ("network", models.mlp((2, 5, 4, 1), activation="tanh", initializer="xavier"), 120.0),
        ("logistic regression", models.logistic_regression(2), 0.0),
    ):
        run = training.fit(
            model,
            data,
            optimizer=optimizers.gradient_descent(0.5),
            loss=losses.binary_cross_entropy,
            l2=lam,
            batch_size=None,
            epochs=400,
            key=jax.random.key(1),
        )
        ends[name] = model.apply(run.params, run.state, data.x)[0]
    share = float(data.y.mean())
    assert float(jnp.ptp(ends["network"])) < 1e-4
    assert float(ends["network"].mean()) == pytest.approx(np.log(share / (1 - share)), abs=1e-3)
    assert float(jnp.ptp(ends["logistic regression"])) > 1


def test_conventions():
    """20, 23: choices, not errors: ReLU′(0) is 0 here (the notes print 1), L1 has λ/(2m)."""
    assert float(jax.grad(activations.relu)(0.0)) == 0
    assert float(jax.grad(activations.leaky_relu)(0.0)) == 1
    w = {"w": jnp.array([[1.0, -2.0]])}
    assert float(regularizers.l1(6.0, m=3)(w)) == 6 / (2 * 3) * 3


def test_every_erratum_is_listed_with_a_check_that_exists():
    root = Path(__file__).resolve().parents[1]
    rows = re.findall(
        r"^\| (\d+) \|.*\| ([^|]+) \|$", (root / "ERRATA.md").read_text(), re.MULTILINE
    )
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
    assert len(rows) >= 38
    for number, shown_by in rows:
        names = re.findall(r"`([^`]+)`", shown_by)
        assert names or shown_by == "remark", f"erratum {number}: {shown_by}"
        for name in names:
            test = callable(globals().get(name))
            assert test or (root / "scripts" / f"{name}.py").is_file(), f"erratum {number}: {name}"
