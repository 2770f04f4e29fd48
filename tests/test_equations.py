"""The equations are the reference's, and a changed one is found by what it returns."""

import inspect
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from jaxnet.crosscheck import compare
from jaxnet.crosscheck.agreement import diagnose
from jaxnet.crosscheck.equations import equations, evaluate, follow, iterate, locate
from jaxnet.crosscheck.equations.catalogue import network, optimizer
from jaxnet.crosscheck.equations.changes import changes
from jaxnet.crosscheck.equations.known import DERIVATIONS, derivation
from jaxnet.crosscheck.equations.naming import parts
from jaxnet.crosscheck.equations.text import equation
from reference_numpy import (
    activations,
    batch_norm,
    losses,
    mlp,
    normalization,
    optimizers,
    regularizers,
    schedules,
)

rng = np.random.default_rng(0)


def drawn_network(sizes=(5, 5, 5, 5), m=7):
    params = [(rng.normal(size=(o, i)), rng.normal(size=(o, 1))) for i, o in pairwise(sizes)]
    return params, rng.normal(size=(sizes[0], m)), (rng.random((sizes[-1], m)) < 0.5) * 1.0


def calls() -> dict[Any, tuple[tuple, dict]]:
    """Arguments for every function whose equations are known."""
    params, X, Y = drawn_network()
    masks = [rng.random((5, 7)) < 0.7 for _ in range(2)]
    dropped = {"masks": masks, "keep_prob": 0.75}
    _, caches = mlp.forward(params, X, hidden="tanh", **dropped)
    grads = [(rng.normal(size=W.shape), rng.normal(size=b.shape)) for W, b in params]
    Z, column = rng.normal(size=(3, 7)), lambda: rng.uniform(0.5, 2, (3, 1))
    _, norm = batch_norm.forward(Z, column(), column())
    probabilities = rng.uniform(0.1, 0.9, (1, 7))
    one_hot = np.eye(3)[:, rng.integers(0, 3, 7)]
    every: dict[Any, tuple[tuple, dict]] = {
        mlp.forward: ((params, X), {"hidden": "tanh", **dropped}),
        mlp.backward: ((params, caches, Y), {"l2": 0.7}),
        mlp.deltas: ((params, caches, Y), {}),
        batch_norm.forward: ((Z, column(), column()), {}),
        batch_norm.backward: ((rng.normal(size=Z.shape), norm), {}),
        batch_norm.evaluate: ((Z, column(), column(), column(), column()), {}),
        batch_norm.update_running: ((column(), column(), column(), column()), {"decay": 0.9}),
        regularizers.apply_mask: ((Z, rng.random(Z.shape) < 0.6, 0.6), {}),
        normalization.apply: ((Z, column(), column()), {}),
        losses.binary_cross_entropy: ((probabilities, Y[:1]), {}),
        losses.binary_cross_entropy_from_logits_gradient: ((Z[:1], Y[:1]), {}),
        losses.softmax_cross_entropy_from_logits_gradient: ((Z, one_hot), {}),
        losses.squared_error: ((Z, one_hot), {}),
        losses.squared_error_gradient: ((Z, one_hot), {}),
    }
    decay = {"learning_rate": 0.1, "lam": 0.7, "m": 13}
    every[regularizers.weight_decay_update] = (params, grads), decay
    for name in ("sigmoid", "sigmoid_derivative", "tanh", "tanh_derivative", "softmax"):
        every[getattr(activations, name)] = (Z,), {}
    every[losses.cost] = (rng.uniform(size=7),), {}
    every[losses.binary_cross_entropy_from_logits] = (Z[:1], Y[:1]), {}
    every[losses.softmax_cross_entropy_from_logits] = (Z, one_hot), {}
    for rule in ("gradient_descent", "momentum", "rmsprop", "adam"):
        state = getattr(optimizers, f"{rule}_init")(params)
        update = getattr(optimizers, f"{rule}_update")
        for _ in range(3):
            _, state = update(params, grads, state, learning_rate=0.1)
        every[update] = ((params, grads, state), {"learning_rate": 0.1})
    for kind in ("l1", "l2"):
        for what in ("cost", "gradient"):
            every[getattr(regularizers, f"{kind}_{what}")] = ((params, 0.7, 13), {})
    epochs = np.arange(1, 9)
    every[schedules.inverse_time] = (epochs, 0.2), {"decay_rate": 0.5}
    every[schedules.exponential] = (epochs, 0.2), {"base": 0.9}
    every[schedules.inverse_sqrt] = (epochs, 0.2), {"k": 1.5}
    every[schedules.staircase] = (epochs, 0.2), {"factor": 0.5, "epochs_per_stair": 3}
    return every


CALLS = calls()


@pytest.mark.parametrize("reference", CALLS, ids=lambda f: f"{f.__module__}.{f.__name__}")
def test_the_equations_give_what_the_reference_returns(reference):
    args, kwargs = CALLS[reference]
    known = derivation(reference, args, kwargs)
    assert known is not None
    returned = known.view(reference(*args, **kwargs))
    computed = evaluate(known.equations, known.inputs)
    computed = {name: np.reshape(computed[name], np.shape(returned[name])) for name in returned}
    comparison = compare(returned, computed)
    assert comparison.agrees, str(comparison)


def test_every_known_function_is_called_here_or_leaves_it_to_the_numbers():
    left_out = {function.__name__ for function in DERIVATIONS if function not in CALLS}
    assert left_out == {"gradients", "gradients_loop", "exponentially_weighted"}


def planted(module, name, old, new):
    """The function of a module whose source has one text in place of another."""
    source = inspect.getsource(module)
    assert old in source, old
    namespace: dict[str, Any] = {"__name__": "planted"}
    exec(compile(source.replace(old, new), "planted", "exec"), namespace)
    return namespace[name]


BACKWARD = {
    "factor m": ("@ cache.A_prev.T / m", "@ cache.A_prev.T"),
    "other layer's array": ("@ cache.A_prev.T", "@ cache.A.T"),
    "derivative at activation": ("g_derivative(cache.Z)", "g_derivative(cache.A)"),
    "transpose": ("array(W).T @ dZ", "array(W) @ dZ"),
    "missing term λW": (" + dW_penalty", ""),
    "axis": ("np.sum(dZ, axis=1", "np.sum(dZ, axis=0"),
    "sign": ("caches[-1].A - Y", "Y - caches[-1].A"),
    "factor 1/m": ("keepdims=True) / m", "keepdims=True) / m / m"),
    "mask": ("if cache.mask is not None:\n            dA", "if False:\n            dA"),
    "factor keep_prob": ("dA = regularizers.apply_mask(dA, cache.mask, cache.keep_prob)",
                         "dA = dA * cache.mask"),
}  # fmt: skip


@pytest.mark.parametrize("name", BACKWARD)
def test_a_bug_in_back_propagation_is_named_first(name):
    args, kwargs = CALLS[mlp.backward]
    diagnosis = diagnose(
        planted(mlp, "backward", *BACKWARD[name]), mlp.backward, args, kwargs=kwargs
    )
    assert not diagnosis.agrees
    names = [one.name for one in diagnosis.explanations]
    assert names and names[0] == name, str(diagnosis)


STEPS = 12
RATES = tuple(float(rate) for rate in rng.uniform(0.05, 0.1, STEPS))
SCALES = 10 ** rng.uniform(-6, 0, (4, 3))


def adam_inputs():
    inputs: dict[str, Any] = {
        "alpha": RATES, "alpha_first": RATES[0], "alpha_prev": (RATES[0], *RATES[:-1]),
        "t": tuple(range(1, STEPS + 1)), "t_in_epoch": tuple(i % 5 + 1 for i in range(STEPS)),
        "beta1": 0.9, "beta2": 0.99, "eps": 1e-6,
    }  # fmt: skip
    for p in "Wb":
        inputs[f"{p}_prev"] = rng.normal(size=(4, 3))
        inputs[f"d{p}"] = tuple(SCALES * rng.normal(size=(STEPS, 4, 3)))
        inputs |= {f"{moment}{p}_prev": np.zeros((4, 3)) for moment in "vs"}
    return inputs


TRAJECTORIES = {
    "missing factor 1−β₁": ("(1 - beta1) *", ""),
    "bias correction": ("/ (1 - beta2 ** t)", ""),
    "off by one in t: t+1": ("** t", "** (t + 1)"),
    "off by one in t: t-1": ("** t", "** (t - 1 + 1e-300)"),
    "stale learning rate": ("alpha *", "alpha_first *"),
    "ε placement": ("sqrt(shatW) + eps", "sqrt(shatW + eps)"),
    "moment: dW in place of its power": ("dW ** 2", "dW"),
    "other array: vW_prev in place of vb_prev": ("vb_prev", "vW_prev"),
    "t: t_in_epoch in place of t": ("** t", "** t_in_epoch"),
    "other number: β₂ in place of β₁": ("beta1 * vW", "beta2 * vW"),
    "β₁ and β₂ swapped": None,
    "factor 1e2 on ε": ("+ eps", "+ 100 * eps"),
    "sign": ("W_prev - ", "W_prev + "),
    "1−β₁ in place of β₁": ("beta1 * vW", "(1 - beta1) * vW"),
}


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_a_bug_in_an_update_rule_is_named_first(name):
    rule, inputs = optimizer("adam"), adam_inputs()
    old, new = TRAJECTORIES[name] or ("", "")
    if name.endswith("t-1"):
        inputs["t"] = tuple(t + 1 for t in inputs["t"])  # 1 − β⁰ would divide by zero
    wrong = equations(*(str(line).replace(old, new) for line in rule.lines))
    theirs = inputs if old else inputs | {"beta1": inputs["beta2"], "beta2": inputs["beta1"]}
    path = iterate(wrong, theirs, STEPS)
    found = follow({"W": path["W"], "b": path["b"]}, rule, inputs, STEPS)
    assert found and found[0].name == name, [str(one) for one in found[:3]]


def test_nothing_is_found_where_nothing_is_wrong_or_everything():
    rule, inputs = optimizer("adam"), adam_inputs()
    path = iterate(rule, inputs, STEPS)
    assert follow({"W": path["W"]}, rule, inputs, STEPS) == []
    assert follow({"W": rng.normal(size=path["W"].shape)}, rule, inputs, STEPS) == []
    given = network(2, hidden="tanh")
    params, X, Y = drawn_network((5, 4, 3))
    values = {"X": X, "Y": Y, "m": 7, "l2": 0.3}
    values |= {
        f"{n}{i}": a for i, pair in enumerate(params, 1) for n, a in zip("Wb", pair, strict=True)
    }
    right = {name: a for name, a in evaluate(given, values).items() if name not in values}
    assert locate(right, given, values) == []


def test_two_bugs_are_both_found_where_they_are_made():
    given = network(2, hidden="tanh")
    params, X, Y = drawn_network((5, 4, 3))
    values = {"X": X, "Y": Y, "m": 7, "l2": 0.3}
    values |= {
        f"{n}{i}": a for i, pair in enumerate(params, 1) for n, a in zip("Wb", pair, strict=True)
    }
    text = [str(line).replace("A2 - Y", "Y - A2").replace("sum(dZ1, 1) / m", "sum(dZ1, 1)")
            for line in given.lines]  # fmt: skip
    wrong = evaluate(equations(*text, functions=given.functions), values)
    left = {name: wrong[name] for name in ("dW2", "db2", "dW1", "db1")}
    names = {one.name: one.leaf for one in locate(left, given, values)}
    assert names["sign"] == "dW2" and names["factor m"] == "db1"


def test_changes_are_single_different_and_cover_the_kinds():
    values = {"dZ2": np.ones((3, 7)), "A1": np.ones((4, 7)), "A2": np.ones((3, 7)), "m": 7,
              "l2": 0.1, "W2": np.ones((3, 4))}  # fmt: skip
    line = equation("dW2 = dZ2 @ A1.T / m + l2 / m * W2")
    found = list(changes(line, values, {}))
    sources = [one.source for one in found]
    assert len(set(sources)) == len(sources) and line.source not in sources
    names = {one.name for one in found}
    for expected in ("factor m", "factor 1/m", "missing term λW", "sign", "transpose",
                     "other layer's array", "factor 2"):  # fmt: skip
        assert expected in names, expected


def test_names_are_taken_apart():
    assert parts("dW2") == ("dW", "2", "")
    assert parts("alpha_first") == ("alpha", "", "first")
    assert parts("vW1_prev") == ("vW", "1", "prev")
    assert parts("beta1") == ("beta1", "", "")
