"""What holds of every run: compiled or not, alone or among many, whatever else goes on.

The numbers are those of the design: 1 compiled and plain agree, and a new number compiles nothing;
2 a member of a population is the solo run; 3 the beginning of a longer run is the shorter run;
5 all randomness is in the key; 8 penalties leave biases alone (and λ means the notes' λ:
test_training). Of 6 the losses are in test_losses, and 7 is in test_validation.
"""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import Dataset, Model, Setup, losses, optimizers, regularizers
from jaxnet.layers import Layer
from jaxnet.training import start

SIZES = (5, 4, 3)
M = 8
KEY = jax.random.key(1)
DATA = Dataset(
    jnp.asarray(np.sin(np.arange(5.0 * M)).reshape(M, 5), jnp.float32), jnp.arange(M) % 3
)
HYPER = {"learning_rate": 0.1, "l2": 0.5, "keep_prob": 0.8, "init_scale": 1.0}


def drawn_from(scale):
    """Initial weights that depend on the key, without the normal draw that is slow to compile."""

    def init(key):
        keys = jax.random.split(key, 2)
        shapes = zip(keys, SIZES[:-1], SIZES[1:], strict=True)
        layers = [
            Layer(scale * jax.random.uniform(k, (a, b), minval=-1.0), jnp.zeros(b))
            for k, a, b in shapes
        ]
        return tuple(layers), ()

    return init


def build(hyper) -> Setup:
    return Setup(
        Model(
            drawn_from(hyper["init_scale"]), jaxnet.mlp(SIZES, keep_prob=hyper["keep_prob"]).apply
        ),
        optimizers.gradient_descent(hyper["learning_rate"]),
        penalty=regularizers.l2(hyper["l2"], m=M),
    )


# Two epochs of two mini-batches, shuffled, with dropout and a penalty: every kind of randomness.
train = jaxnet.make_train(build, batch_size=4, epochs=2)
compiled_train = jax.jit(train)


@contextmanager
def compilations() -> Iterator[list[str]]:
    """Every program compiled meanwhile."""
    compiled: list[str] = []

    def listen(event: str, duration_secs: float, **_: Any):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield compiled
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def close(left, right, atol):
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=atol)


def identical(left, right):
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(one, other)


# The compiled run and the plain one differ in how XLA fuses and orders sums. A gradient is a mean
# over 4 examples of products of numbers below 4, through sums of 5, 4 and 3 terms: off by at most
# 30 eps of 4, 1.4e-5; a step adds a tenth of it, and four steps of a map that stretches by at most
# 1 + αL < 1.5 add up to 8 of those. A wrong key or number shows at 1e-2.
FEW_STEPS = 1.2e-5


def test_1_compiled_and_plain_runs_agree():
    with jax.disable_jit():
        plain = train(KEY, HYPER, DATA)
    close(compiled_train(KEY, HYPER, DATA), plain, FEW_STEPS)


def test_1_new_numbers_compile_nothing_new_in_make_train():
    traces = []

    def counted(hyper):
        traces.append(hyper)
        return build(hyper)

    run = jax.jit(jaxnet.make_train(counted, batch_size=4, epochs=2))
    first = run(KEY, HYPER, DATA)
    other_key = jax.random.key(5)
    changes = [{name: 0.7 * value} for name, value in HYPER.items()]
    with compilations() as compiled:
        results = [run(KEY, HYPER | change, DATA) for change in changes]
        results.append(run(other_key, HYPER, DATA))
    assert len(traces) == 1 and not compiled
    for result in results:  # and the new number was used, not the old one
        assert not np.array_equal(result.params[0].w, first.params[0].w)


def test_1_new_numbers_compile_nothing_new_in_fit():
    def fit(key, **change):
        hyper = HYPER | change
        model = jaxnet.mlp(
            SIZES,
            keep_prob=hyper["keep_prob"],
            init_scale=hyper["init_scale"],
            initializer="xavier",
        )
        optimizer = optimizers.adam(hyper["learning_rate"])
        return jaxnet.fit(
            model, DATA, optimizer=optimizer, l2=hyper["l2"], batch_size=4, epochs=2, key=key
        )

    first = fit(KEY)
    other_key = jax.random.key(5)
    with compilations() as compiled:
        results = [fit(KEY, **{name: 0.7 * value}) for name, value in HYPER.items()]
        results.append(fit(other_key))
    assert not compiled
    for result in results:
        assert not np.array_equal(result.params[0].w, first.params[0].w)


def members():
    return jax.random.split(KEY, 3), {
        name: jnp.asarray(value) * jnp.array([1.0, 0.8, 0.6]) for name, value in HYPER.items()
    }


def test_2_a_mapped_member_is_the_solo_run_bit_for_bit_and_a_vmapped_one_nearly():
    keys, hypers = members()
    mapped = jax.jit(lambda k, h, d: jax.lax.map(lambda one: train(*one, d), (k, h)))
    vmapped = jax.jit(jax.vmap(train, in_axes=(0, 0, None)))
    exactly, nearly = mapped(keys, hypers, DATA), vmapped(keys, hypers, DATA)
    for index in range(3):
        alone, one, other = (
            jax.tree.map(lambda a, i=index: a[i], tree) for tree in (hypers, exactly, nearly)
        )
        run = compiled_train(keys[index], alone, DATA)
        identical(one, run)
        close(other, run, FEW_STEPS)
    assert not np.array_equal(exactly.params[0].w[0], exactly.params[0].w[1])


def test_3_a_longer_run_begins_as_the_shorter_one():
    longer = jax.jit(jaxnet.make_train(build, batch_size=4, epochs=5))(KEY, HYPER, DATA)
    shorter = compiled_train(KEY, HYPER, DATA)
    np.testing.assert_array_equal(longer.history["cost"][:2], shorter.history["cost"])


def test_5_global_random_state_is_neither_read_nor_changed():
    results = []
    for seed in (0, 1):
        np.random.seed(seed)
        random.seed(seed)
        before = np.random.get_state(legacy=False)
        results.append(
            (
                compiled_train(KEY, HYPER, DATA),
                jaxnet.mlp(SIZES).init(KEY),
                jaxnet.data.datasets.moons(KEY, 7),
                jaxnet.data.splits.split(KEY, 7, (0.5, 0.5)),
            )
        )
        # (Python's own generator is drawn from by beartype, which checks the annotations here.)
        np.testing.assert_equal(np.random.get_state(legacy=False), before)
    identical(*results)


def test_5_importing_sets_nothing():
    code = """
import json, random, sys, warnings
import numpy as np, jax
import optax, jaxtyping, scipy.special, scipy.stats, mpmath   # what they set on import is theirs
def settings():
    return {
        "jax": {name: str(value) for name, value in jax.config.values.items()},
        "numpy": {**np.geterr(), "print": str(np.get_printoptions())},
        "random": [str(random.getstate()), str(np.random.get_state())],
        "warnings": str(warnings.filters),
        "mpmath": mpmath.mp.dps,
    }
before = settings()
import jaxnet, jaxnet.crosscheck, reference_numpy.mlp
after = settings()
plain = "matplotlib" in sys.modules or "sklearn" in sys.modules or "torch" in sys.modules
print(json.dumps([before, after, plain]))
"""
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    before, after, optional_package_was_imported = json.loads(done.stdout)
    assert before["jax"] and after == before
    assert not optional_package_was_imported


@pytest.mark.parametrize(
    "penalty",
    [regularizers.l2(3.0, m=M), regularizers.l1(3.0, m=M), regularizers.elastic_net(3.0, 3.0, m=M)],
    ids=["l2", "l1", "elastic net"],
)
def test_8_penalties_leave_biases_and_batch_norm_alone(penalty):
    model = jaxnet.mlp(SIZES, batch_norm=True)
    params, _ = jax.eval_shape(model.init, KEY)
    params = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 2.0), params)
    grads = jax.grad(penalty)(params)
    for layer in grads:
        assert np.all(np.asarray(layer.w) > 0)
        assert not np.any(layer.b)
    assert not np.any(grads[0].norm.gamma) and not np.any(grads[0].norm.beta)


@pytest.mark.parametrize("shrink", [regularizers.weight_decay, regularizers.proximal_l1])
def test_8_decay_and_proximal_step_leave_biases_alone(shrink):
    params = (Layer(jnp.full((5, 4), 2.0), jnp.full(4, 2.0)),)
    rule = shrink(3.0, learning_rate=0.1, m=M)
    nothing = jax.tree.map(jnp.zeros_like, params)
    updates, _ = rule.update(nothing, rule.init(params), params)
    assert np.all(np.asarray(updates[0].w) < 0) and not np.any(updates[0].b)


@pytest.mark.parametrize("loss", [losses.squared_error, losses.binary_cross_entropy])
def test_6_an_update_at_huge_logits_stays_finite(loss):
    def init(key):
        return (Layer(jnp.full((5, 1), 1e4), jnp.zeros(1)),), ()

    model = Model(init, jaxnet.mlp((5, 1)).apply)
    setup = Setup(model, optimizers.gradient_descent(0.1), loss)
    carry, metrics = jaxnet.step(setup, start(setup, KEY), Dataset(DATA.x, DATA.y % 2), KEY)
    assert np.isfinite(metrics["cost"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(carry))
