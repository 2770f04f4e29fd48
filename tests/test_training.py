"""The update, the run around it, and fit: what they compute, in which order, and what they keep."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnet
from jaxnet import Carry, Dataset, Model, Setup, losses, optimizers, regularizers, schedules
from jaxnet.crosscheck import layout
from jaxnet.data import datasets
from jaxnet.layers import Layer
from jaxnet.training import start
from reference_numpy import mlp as reference

KEY = jax.random.key(2)
SIZES = (5, 4, 3)
DATA = Dataset(jax.random.normal(jax.random.key(7), (7, 5)), jnp.arange(7) % 3)
ADAM = optimizers.adam(0.05)
HOST_LAYER: Any = Layer  # NumPy arrays, where JAX arrays are annotated
WEIGHTS = tuple(
    HOST_LAYER(np.sin(np.arange(1.0, a * b + 1)).reshape(a, b).astype(np.float32), np.zeros(b))
    for a, b in ((5, 4), (4, 3))
)
# Drawing the initial weights is what takes longest to compile; most tests need none drawn.
FIXED = Model(
    lambda key: (jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), WEIGHTS), ()),
    jaxnet.mlp(SIZES).apply,
)


def leaves_equal(left, right):
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(one, other)


def counting(m: int) -> tuple[Model, Dataset]:
    """A model whose every step of descent adds α/B to the parameter of each example it saw."""

    def apply(params, state, x, *, key=None, train=False):
        return params[x[:, 0].astype(int)], state

    model = Model(lambda key: (jnp.zeros(m), ()), apply)
    return model, Dataset(jnp.arange(m, dtype=jnp.float32)[:, None], jnp.zeros(m))


def minus_the_output(outputs, y):
    return -outputs


@pytest.mark.f64
def test_step_is_the_notes_update():
    """One step against the reference: forward, backward, penalty, W := W − α dW."""
    alpha, lam = 0.3, 2.0
    setup = Setup(
        jaxnet.mlp(SIZES, activation="tanh"),
        optimizers.gradient_descent(alpha),
        penalty=regularizers.l2(lam, m=7),
    )
    carry = start(setup, KEY)
    x = jnp.asarray(np.asarray(DATA.x), float)
    after, metrics = jax.jit(lambda c: jaxnet.step(setup, c, Dataset(x, DATA.y), KEY))(carry)

    pairs, X = layout.pairs(carry.params), layout.columns(x)
    Y = layout.one_hot(DATA.y, 3)
    A, caches = reference.forward(pairs, X, hidden="tanh", output="softmax")
    grads = reference.backward(pairs, caches, Y, l2=lam)
    # Sums of at most 7 products, twice over, of numbers of size 10: far below 1e-13.
    for layer, (W, b), (dW, db) in zip(after.params, pairs, grads, strict=True):
        np.testing.assert_allclose(layer.w, (W - alpha * dW).T, rtol=0, atol=1e-13)
        np.testing.assert_allclose(layer.b, (b - alpha * db)[:, 0], rtol=0, atol=1e-13)
    cost = -np.log(A[np.asarray(DATA.y), np.arange(7)]).mean()
    cost += lam / (2 * 7) * sum(np.sum(W**2) for W, _ in pairs)
    np.testing.assert_allclose(metrics["cost"], cost, rtol=1e-13)


def test_run_is_step_after_step():
    """Full batch: the run's parameters and costs are those of the update, applied in a loop."""
    setup = Setup(FIXED, ADAM)
    run = jax.jit(jaxnet.make_train(lambda _: setup, batch_size=None, epochs=4))(KEY, None, DATA)
    update = jax.jit(lambda carry: jaxnet.step(setup, carry, DATA, KEY))  # nothing is random in it
    carry, costs = start(setup, KEY), []
    for _ in range(4):
        carry, metrics = update(carry)
        costs.append(metrics["cost"])
    # Four steps of Adam, each of which moves a weight by at most 0.05; XLA may fuse differently.
    for one, other in zip(jax.tree.leaves(run.params), jax.tree.leaves(carry.params), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
    np.testing.assert_allclose(run.history["cost"], np.array(costs)[:, None], rtol=1e-5)


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("drop_last", [False, True])
def test_an_epoch_uses_each_example_once(epochs, drop_last):
    model, data = counting(7)
    setup = Setup(model, optimizers.gradient_descent(1.0), minus_the_output)
    train = jaxnet.make_train(
        lambda _: setup,
        batch_size=3,
        epochs=epochs,
        drop_last=drop_last,
        observe=lambda carry: carry.params,
    )
    run = jax.jit(train)(KEY, None, data)
    seen = np.diff(np.asarray(run.history["observed"]), axis=0, prepend=0)
    # Two batches of 3, then the one that is left over, unless it is dropped.
    expected = [0 if drop_last else 1] + [1 / 3] * 6
    for one_epoch in seen:
        np.testing.assert_allclose(np.sort(one_epoch), np.sort(expected), rtol=1e-6, atol=1e-7)
    assert run.history["cost"].shape == (epochs, 2 if drop_last else 3)
    if epochs > 1:
        assert len({tuple(np.round(one, 3)) for one in seen}) > 1  # in a new order


def test_all_the_data_in_every_update_come_in_order():
    order = []

    def apply(params, state, x, *, key=None, train=False):
        jax.debug.callback(lambda x: order.append(x[:, 0].tolist()), x)
        return params * x[:, 0], state

    model = Model(lambda key: (jnp.ones(()), ()), apply)
    x = jnp.arange(7.0)[:, None]
    setup = Setup(model, optimizers.gradient_descent(0.1), losses.squared_error)
    train = jaxnet.make_train(lambda _: setup, batch_size=None, epochs=2)
    jax.block_until_ready(train(KEY, None, Dataset(x, jnp.ones(7))).params)
    jax.effects_barrier()
    assert order == [list(range(7))] * 2


def test_history_holds_costs_before_updates_and_dev_scores_after_epochs():
    setup = Setup(FIXED, ADAM)
    dev = Dataset(DATA.x + 0.1, DATA.y)
    train = jaxnet.make_train(lambda _: setup, batch_size=None, epochs=3)
    run = jax.jit(train)(KEY, None, DATA, dev)
    assert {name: value.shape for name, value in run.history.items()} == {
        "cost": (3, 1),
        "dev_cost": (3,),
        "dev_error": (3,),
    }
    at_start = start(setup, KEY)
    before = jaxnet.evaluate(setup.model, at_start.params, at_start.state, DATA)
    after = jaxnet.evaluate(setup.model, run.params, run.state, dev)
    np.testing.assert_allclose(run.history["cost"][0, 0], before.cost, rtol=1e-5)
    np.testing.assert_allclose(run.history["dev_cost"][-1], after.cost, rtol=1e-5)
    np.testing.assert_allclose(run.history["dev_error"][-1], after.error, rtol=1e-6)


def test_data_may_be_numpy_arrays_without_jit():
    """Inside a compiled scan NumPy cannot index by a traced index, so the run converts first."""
    model, data = counting(5)
    train = jaxnet.make_train(
        lambda _: Setup(model, optimizers.gradient_descent(1.0), minus_the_output),
        batch_size=2,
        epochs=1,
    )
    on_host: Any = jax.tree.map(np.asarray, data)
    leaves_equal(train(KEY, None, on_host).params, train(KEY, None, data).params)


def test_fit_is_make_train_with_checks():
    model = FIXED._replace(apply=jaxnet.mlp(SIZES, keep_prob=0.8).apply)
    plain = optimizers.gradient_descent(0.1)

    def fitted(key):
        return jaxnet.fit(
            model, DATA, optimizer=plain, l2=2.0, batch_size=3, epochs=2, key=key, dev=DATA
        )

    run = fitted(KEY)
    setup = Setup(model, plain, penalty=regularizers.elastic_net(2.0, 0.0, m=7))
    train = jaxnet.make_train(lambda _: setup, batch_size=3, epochs=2)
    pure = jax.jit(train)(KEY, None, DATA, DATA)
    # The same program but for which numbers are inputs to it: six updates, a few ulp each.
    for one, other in zip(jax.tree.leaves(run), jax.tree.leaves(pure), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    leaves_equal(run, fitted(KEY))
    assert not np.array_equal(run.params[0].w, fitted(jax.random.key(9)).params[0].w)


def test_lambda_is_over_all_training_examples_whatever_the_batch():
    """The first mini-batch cost of 3 examples carries λ/(2·7) Σ‖W‖² + λ/(2·7) Σ|w|."""
    first = {}
    for l2, l1 in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)):
        run = jaxnet.fit(FIXED, DATA, optimizer=ADAM, l2=l2, l1=l1, batch_size=3, epochs=1, key=KEY)
        first[l2, l1] = float(run.history["cost"][0, 0])
    squares = sum(np.sum(layer.w**2) for layer in WEIGHTS)
    absolutes = sum(np.sum(np.abs(layer.w)) for layer in WEIGHTS)
    bare = first[0.0, 0.0]
    np.testing.assert_allclose(first[1.0, 0.0] - bare, squares / 14, rtol=1e-5)
    np.testing.assert_allclose(first[0.0, 1.0] - bare, absolutes / 14, rtol=1e-5)


def test_any_optax_optimizer_and_any_schedule_will_do():
    ours, theirs, scheduled, chained = (
        jaxnet.fit(FIXED, DATA, optimizer=optimizer, batch_size=None, epochs=5, key=KEY).params
        for optimizer in (
            ADAM,
            optax.adam(0.05),
            optimizers.adam(schedules.exponential(0.05, base=1.0, steps_per_epoch=1)),
            optax.chain(optax.clip_by_global_norm(1e6), ADAM),
        )
    )
    for others in (theirs, scheduled, chained):
        for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(others), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def test_running_statistics_go_from_step_to_step():
    model = jaxnet.mlp((5, 4, 3), batch_norm=True)
    run = jaxnet.fit(model, DATA, optimizer=ADAM, batch_size=None, epochs=6, key=KEY)
    # Each update leaves 0.99 of the variance 1 that it started from and adds a part of its own.
    assert np.all(np.asarray(run.state[0].var) > 0.99**6)
    assert not np.any(np.asarray(run.state[0].var) == 1)
    params, state = model.init(jax.random.split(KEY)[0])
    _, once = model.apply(params, state, DATA.x, train=True)
    assert not np.allclose(run.state[0].mean, once[0].mean)


def test_a_carry_goes_on_where_it_was():
    """Two updates from a carry are the second and third of three."""
    setup = Setup(jaxnet.mlp(SIZES, batch_norm=True), ADAM)
    update = jax.jit(lambda carry: jaxnet.step(setup, carry, DATA, KEY)[0])
    carry = update(start(setup, KEY))
    handed_over = Carry(*jax.tree.map(np.asarray, carry))
    leaves_equal(update(update(handed_over)), update(update(carry)))


def test_it_learns():
    moons = datasets.moons(jax.random.key(0), 200, noise=0.1)
    model = jaxnet.mlp((2, 16, 1))
    run = jaxnet.fit(
        model,
        moons,
        optimizer=optimizers.adam(0.02),
        loss=losses.binary_cross_entropy,
        batch_size=32,
        epochs=60,
        key=KEY,
    )
    result = jaxnet.evaluate(model, run.params, run.state, moons, loss=losses.binary_cross_entropy)
    assert float(result.error) < 0.02


def test_every_update_has_a_key_of_its_own():
    """Design mutant 22: the same dropout mask for every mini-batch of an epoch."""

    def apply(params, state, x, *, key=None, train=False):
        seen, at = state
        assert key is not None
        return params * x[:, 0], (seen.at[at].set(jax.random.key_data(key)), at + 1)

    model = Model(lambda key: (jnp.ones(()), (jnp.zeros((6, 2), jnp.uint32), 0)), apply)
    data = Dataset(jnp.ones((5, 1)), jnp.ones(5))
    setup = Setup(model, optimizers.gradient_descent(0.0), losses.squared_error)
    run = jaxnet.make_train(lambda _: setup, batch_size=2, epochs=2)(KEY, None, data)
    keys, steps = run.state
    assert steps == 6  # two full batches and the rest, twice
    assert len({tuple(row) for row in np.asarray(keys).tolist()}) == 6


def test_fit_drops_the_last_batch_if_told_to():
    fit = {"optimizer": ADAM, "batch_size": 3, "epochs": 2, "key": KEY}
    assert jaxnet.fit(FIXED, DATA, **fit).history["cost"].shape == (2, 3)
    assert jaxnet.fit(FIXED, DATA, **fit, drop_last=True).history["cost"].shape == (2, 2)


def test_dev_scores_use_the_running_statistics_of_their_epoch():
    model = jaxnet.mlp(SIZES, batch_norm=True)
    run = jaxnet.fit(model, DATA, optimizer=ADAM, batch_size=None, epochs=3, key=KEY, dev=DATA)
    end = jaxnet.evaluate(model, run.params, run.state, DATA)
    np.testing.assert_allclose(run.history["dev_cost"][-1], end.cost, rtol=1e-5)


def test_run_refuses_targets_of_another_number():
    run = jaxnet.make_train(lambda _: Setup(FIXED, ADAM), batch_size=2, epochs=1)
    wrong = DATA._replace(y=DATA.y[:5])
    with pytest.raises(ValueError, match=r"data\.y: expected 7 targets.*\(5,\)"):
        run(KEY, None, wrong)
    with pytest.raises(ValueError, match=r"dev\.y: expected 7 targets.*\(5,\)"):
        jax.jit(run)(KEY, None, DATA, wrong)


def test_optimizers_that_look_at_the_cost_work_too():
    for optimizer in (
        optax.polyak_sgd(),
        optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau()),
    ):
        run = jaxnet.fit(FIXED, DATA, optimizer=optimizer, batch_size=None, epochs=5, key=KEY)
        costs = run.history["cost"][:, 0]
        assert costs[-1] < costs[0]


def test_moments_keep_the_dtype_of_the_parameters():
    w: Any = {"w": jnp.array([1.0, 2.0], jnp.bfloat16)}
    for optimizer in (
        ADAM,
        optimizers.momentum(0.1, beta=np.float64(0.9)),
        optimizers.rmsprop(0.1),
    ):
        state = optimizer.init(w)
        for _ in range(3):
            updates, state = optimizer.update(w, state, w)
            (update,) = jax.tree.leaves(updates)
            assert update.dtype == jnp.bfloat16
            assert np.all(np.asarray(update, float) < -0.005)
        assert {leaf.dtype.name for leaf in jax.tree.leaves(state)} == {"bfloat16", "int32"}
