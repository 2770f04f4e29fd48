"""The high-precision oracle: right by itself, and what both sides are measured against.

That every formula of the registry agrees with it is in test_cases; here are closed forms that show
the oracle to be right, and whole passes and optimizer steps of tiny networks.
"""

import sys
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest

from jaxnet import losses, models, optimizers, regularizers
from jaxnet.crosscheck import compare, layout, oracle
from jaxnet.crosscheck.cases.losses import jaxnet_loss
from reference_numpy import mlp
from reference_numpy import optimizers as reference_optimizers

# Tiny and well scaled: a few hundred roundings of numbers up to 1.
FEW_ROUNDINGS = 1e-14


def tiny_network(sizes, output):
    rng = np.random.default_rng(list(sizes))
    params = [
        (rng.uniform(-1, 1, (n_out, n_in)), rng.uniform(-0.5, 0.5, (n_out, 1)))
        for n_in, n_out in pairwise(sizes)
    ]
    X = rng.uniform(-1, 1, (sizes[0], 2))
    Y = layout.one_hot(np.array([2, 0]), 3) if output == "softmax" else np.array([[1.0, 0.0]])
    return params, X, Y


def reference_pass(params, X, Y, hidden, output, l2):
    _, caches = mlp.forward(params, X, hidden=hidden, output=output)
    results = {"J": mlp.cost(params, X, Y, hidden=hidden, output=output, l2=l2)}
    grads = mlp.backward(params, caches, Y, l2=l2)
    for layer, (cache, (dW, db)) in enumerate(zip(caches, grads, strict=True), start=1):
        results |= {f"Z{layer}": cache.Z, f"dW{layer}": dW, f"db{layer}": db}
    return results


def jaxnet_pass(params, X, Y, hidden, output, l2):
    loss, _, lay_out_targets = jaxnet_loss(output, len(Y))
    x, y = layout.rows(X), lay_out_targets(Y)
    penalty = regularizers.l2(l2, m=len(x))

    @jax.jit
    def everything(params):
        def cost(params):
            zs = models.forward_pass(params, (), x, activation=hidden).zs
            logits = zs[-1][:, 0] if len(Y) == 1 else zs[-1]
            return losses.cost(loss(logits, y), penalty(params)), zs

        return jax.value_and_grad(cost, has_aux=True)(params)

    (total, zs), grads = everything(layout.layers(params))
    results = {"J": np.asarray(total)}
    for layer, (z, (dW, db)) in enumerate(zip(zs, layout.pairs(grads), strict=True), start=1):
        results |= {f"Z{layer}": layout.columns(z), f"dW{layer}": dW, f"db{layer}": db}
    return results


@pytest.mark.f64
@pytest.mark.parametrize(
    "sizes, hidden, output",
    [
        ((3, 2, 1), "tanh", "sigmoid"),
        ((2, 3, 1), "leaky_relu", "linear"),
        ((2, 4, 3), "sigmoid", "softmax"),
    ],
)
def test_whole_passes_of_tiny_networks(sizes, hidden, output):
    params, X, Y = tiny_network(sizes, output)
    l2 = 0.7
    exact = oracle.network(params, X, Y, l2, [], [], hidden=hidden, output=output)
    for one_pass in (reference_pass, jaxnet_pass):
        comparison = compare(one_pass(params, X, Y, hidden, output, l2), exact, bound=FEW_ROUNDINGS)
        assert comparison.agrees, f"{one_pass.__name__}\n{comparison}"
    # An error of a thousandth of the gradient's smallest entry would be a million bounds away.
    assert min(np.abs(exact[f"dW{layer}"]).min() for layer in (1, 2)) > 1e6 * FEW_ROUNDINGS


@pytest.mark.f64
@pytest.mark.parametrize(
    "rule, numbers",
    [
        ("gradient_descent", {}),
        ("momentum", {"beta": 0.9}),
        ("rmsprop", {"beta": 0.9, "eps": 1e-8}),
        ("adam", {"b1": 0.9, "b2": 0.999, "eps": 1e-8}),
    ],
)
def test_training_steps_of_a_tiny_network(rule, numbers):
    # The gradients of each step are exact ones, at the exact parameters of the step before.
    params, X, Y = tiny_network((3, 2, 1), "sigmoid")
    rates = [0.5, 0.25, 0.125]
    grads, current = [], params
    for step in range(len(rates)):
        exact = oracle.network(current, X, Y, 0.0, [], [], hidden="tanh", output="sigmoid")
        grads.append([(exact[f"dW{layer}"], exact[f"db{layer}"]) for layer in (1, 2)])
        paths = [
            tuple(
                oracle.optimizer(
                    leaf,
                    np.stack([pairs[layer][which] for pairs in grads]),
                    np.array(rates[: step + 1]),
                    list(numbers.values()),
                    rule=rule,
                )
                for which, leaf in enumerate(pair)
            )
            for layer, pair in enumerate(params)
        ]
        current = [(W[-1], b[-1]) for W, b in paths]

    by_reference, state = params, getattr(reference_optimizers, f"{rule}_init")(params)
    optimizer = getattr(optimizers, rule)(lambda count: jnp.asarray(rates)[count], **numbers)
    by_jaxnet: Any = layout.layers(params)
    opt_state = optimizer.init(by_jaxnet)
    for rate, step_grads in zip(rates, grads, strict=True):
        by_reference, state = getattr(reference_optimizers, f"{rule}_update")(
            by_reference, step_grads, state, learning_rate=rate, **numbers
        )
        updates, opt_state = optimizer.update(layout.layers(step_grads), opt_state)
        by_jaxnet = optax.apply_updates(by_jaxnet, updates)
    # 1 − β₂ᵗ = 0.001 at first costs Adam three digits.
    allowed = 1e-12 if rule == "adam" else FEW_ROUNDINGS
    assert compare(by_reference, current, bound=allowed).agrees
    assert compare(layout.pairs(by_jaxnet), current, bound=allowed).agrees
    moved = compare(params, current, bound=allowed)
    assert not moved.agrees and min(leaf.error for leaf in moved.leaves) > 1e-4


def test_derivatives_by_differences_are_the_closed_forms_to_the_last_place():
    Z = np.array([-30.0, -1.5, 0.25, 2.0, 40.0])
    with mpmath.workdps(50):
        sigmoid = [1 / (1 + mpmath.exp(-mpmath.mpf(z))) for z in Z]
        slopes = [float(s * (1 - s)) for s in sigmoid]
        tanh_slopes = [float(mpmath.sech(mpmath.mpf(z)) ** 2) for z in Z]
    assert np.array_equal(oracle.activation_derivative("sigmoid", Z), slopes)
    assert np.array_equal(oracle.activation_derivative("tanh", Z), tanh_slopes)
    assert oracle.activation_derivative("leaky_relu", Z, 0.25).tolist() == [0.25, 0.25, 1, 1, 1]


def test_known_numbers():
    assert oracle.losses("sigmoid", np.array([[0.0]]), np.array([[1.0]]))[0] == np.log(2)
    assert oracle.losses("linear", np.array([[3.0], [5.0]]), np.array([[1.0], [4.0]]))[0] == 2.5
    assert oracle.softmax(np.array([[0.0], [1e4]])).tolist() == [[0.0], [1.0]]
    np.testing.assert_array_equal(
        oracle.loss_gradients("softmax", np.zeros((4, 1)), np.eye(4)[:, :1])[:, 0],
        [-0.75, 0.25, 0.25, 0.25],
    )
    # Corrected, the average of a constant is that constant; uncorrected 1 − β^t of it.
    theta = np.full(3, 8.0)
    assert oracle.exponentially_weighted(theta, 0.5, True).tolist() == [8.0, 8.0, 8.0]
    assert oracle.exponentially_weighted(theta, 0.5, False).tolist() == [4.0, 6.0, 7.0]
    epochs = np.arange(4)
    assert oracle.schedule("inverse_time", epochs, 1.0, 1.0).tolist() == [1, 1 / 2, 1 / 3, 1 / 4]
    assert oracle.schedule("staircase", epochs, 1.0, 0.5, 2).tolist() == [1, 1, 0.5, 0.5]
    assert oracle.schedule("exponential", epochs, 1.0, 0.5).tolist() == [1, 0.5, 0.25, 0.125]
    assert oracle.schedule("inverse_sqrt", np.array([3]), 1.0, 3.0).tolist() == [1.5]


def test_a_first_adam_step_is_the_learning_rate_whatever_the_gradient():
    for g in (1e-3, 7.0):
        path = oracle.optimizer(
            np.zeros(1), np.full((1, 1), g), np.array([0.25]), [0.9, 0.999, 1e-30], rule="adam"
        )
        assert path[0, 0] == -0.25


def test_missing_mpmath_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpmath", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxnet-suite\[figures\]'"):
        oracle.activation("tanh", np.zeros(1))
