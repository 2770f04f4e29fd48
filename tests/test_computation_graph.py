"""The computation graphs of scripts/basics/_graph.py: values, derivatives, text, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_name

from scripts.basics._graph import RULES, trace


def shared(p, q, r):
    """Every operation that has a rule, nodes used in several places and twice in one."""
    u = checkpoint_name(p * q - r, "u")
    v = checkpoint_name(jax.nn.sigmoid(u * u + p), "v")
    w = checkpoint_name(jnp.log(v + q) * -u, "w")
    return checkpoint_name(2 * w - (v - (u - w)) * p, "J")


INPUTS = {"p": 0.7, "q": 1.3, "r": -0.4}


def test_the_case_uses_every_rule():
    equations = jax.make_jaxpr(shared)(*INPUTS.values()).eqns
    assert {equation.primitive.name for equation in equations} == {*RULES, "name"}


@pytest.mark.f64
def test_derivatives_by_inputs_equal_jax_grad():
    nodes = trace(shared, INPUTS)
    value, grads = jax.value_and_grad(shared, argnums=(0, 1, 2))(*INPUTS.values())
    np.testing.assert_allclose(nodes["J"].value, value, rtol=1e-15)
    np.testing.assert_allclose([nodes[name].derivative for name in INPUTS], grads, rtol=1e-13)


@pytest.mark.f64
def test_derivatives_by_steps_equal_jax_grad():
    def rest(v, u):
        w = jnp.log(v + INPUTS["q"]) * -u
        return 2 * w - (v - (u - w)) * INPUTS["p"]

    def after_u(u):
        return rest(jax.nn.sigmoid(u * u + INPUTS["p"]), u)

    nodes = trace(shared, INPUTS)
    u, v = nodes["u"], nodes["v"]
    np.testing.assert_allclose(u.derivative, jax.grad(after_u)(u.value), rtol=1e-13)
    np.testing.assert_allclose(v.derivative, jax.grad(rest)(v.value, u.value), rtol=1e-13)
    assert nodes["J"].derivative == 1


def test_text_has_the_brackets_it_needs():
    nodes = trace(shared, INPUTS)
    assert [node.expression for node in nodes.values()] == [
        "",
        "",
        "",
        "p·q − r",
        "σ(u·u + p)",
        "log(v + q)·(−u)",
        "2·w − (v − (u − w))·p",
    ]
    assert list(nodes["v"].partials) == ["u", "p"]


def test_an_input_that_is_not_used_has_derivative_0():
    nodes = trace(lambda x, y: checkpoint_name(x + 1, "J"), {"x": 1.0, "y": 2.0})
    assert nodes["y"].derivative == 0


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: checkpoint_name(jnp.tanh(x), "J"), "tanh"),
        (lambda x: checkpoint_name(checkpoint_name(x + 1, "J") * x, "J"), "'J' twice"),
        (lambda x: checkpoint_name(x + 1, "u") * x, "named last"),
    ],
)
def test_refusals_name_the_cause(function, message):
    with pytest.raises(ValueError, match=message):
        trace(function, {"x": 2.0})
