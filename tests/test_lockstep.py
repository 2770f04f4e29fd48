"""Two trainings in lockstep: no false alarm over 100 steps, planted errors found where they are.

The candidate is on the left, the reference on the right, as everywhere in the cross-check.
"""

import itertools
import json
import os
import tracemalloc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnet import layers, losses, models, optimizers
from jaxnet.crosscheck import layout, transfer
from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.lockstep import Training, first_divergence, records, runs
from jaxnet.data import Dataset
from jaxnet.training import Setup

SIZES = (5, 7, 3)
BATCH = 13
RATES = {"gradient_descent": 0.3, "momentum": 0.3, "rmsprop": 0.01, "adam": 0.01}


def data_and_batches(steps, dtype: Any = np.float64, seed=0):
    """Data that float32 holds exactly, so that every side has the same numbers."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(61, SIZES[0])).astype(np.float32).astype(dtype)
    y = (x[:, 0] * x[:, 1] > 0).astype(int) + (x[:, 2] > 1)
    data: Any = (x, y)  # NumPy's arrays, as a user has them
    return Dataset(*data), [rng.permutation(len(x))[:BATCH] for _ in range(steps)]


def weights(seed=1, sizes=SIZES):
    rng = np.random.default_rng(seed)
    return [
        (
            (rng.normal(size=(n_out, n_in)) / np.sqrt(n_in)).astype(np.float32),
            0.1 * rng.normal(size=(n_out, 1)).astype(np.float32),
        )
        for n_in, n_out in itertools.pairwise(sizes)
    ]


def reference(steps=10, rule="adam", rate=None, batches=None, **options):
    data, own = data_and_batches(steps)
    return runs.of_reference(
        weights(), data, batches or own, optimizer=rule, learning_rate=rate or RATES[rule],
        **{"hidden": "tanh", **options},
    )  # fmt: skip


def jaxnet(
    steps=10, rule="adam", optimizer=None, hidden="tanh", dtype: Any = np.float64, **options
):
    data, batches = data_and_batches(steps, dtype)
    optimizer = optimizer or getattr(optimizers, rule)(RATES[rule])
    setup = Setup(models.mlp(SIZES, activation=hidden, **options), optimizer)
    params = layout.layers(weights(), dtype)
    return runs.of_setup(
        setup, data, batches, key=jax.random.key(2), params=params, activation=hidden
    )


def altered(training, change):
    """The training with the record of a step changed before anyone sees it."""

    def step(number, at, grads):
        return change(number, training.step(number, at, grads))

    return training._replace(step=step)


def with_array(record, phase, name, array):
    return {**record, phase: {**record[phase], name: array}}


def wrong_arrays(found):
    return [leaf.name for leaf in found.comparison.leaves if leaf.ratio > 1]


# No false alarms.

PAIRS = [
    ("float64", "tanh", "gradient_descent"),
    ("float64", "relu", "momentum"),
    ("float64", "relu", "adam"),
    ("float32", "tanh", "momentum"),
    ("float32", "relu", "rmsprop"),
    ("float32", "tanh", "adam"),
]


@pytest.mark.parametrize(("dtype", "hidden", "rule"), PAIRS)
def test_jaxnet_and_the_reference_agree_for_100_steps(dtype, hidden, rule):
    with jax.enable_x64(dtype == "float64"):
        candidate = jaxnet(100, rule, hidden=hidden, dtype=np.dtype(dtype))
        right = reference(100, rule, hidden=hidden)
        found = first_divergence(candidate, right)
        assert found.agrees and found.steps == 100, found
        assert {"batch", "start", "forward", "gradient", "update"} <= found.worst.keys()
        assert "agree for 100 steps" in str(found)


@pytest.mark.parametrize(("dtype", "hidden", "rule"), [PAIRS[2], PAIRS[4]])
def test_finished_runs_agree_and_either_side_follows(dtype, hidden, rule):
    """Records of two runs that are free of each other; and the left as the one that follows."""
    with jax.enable_x64(dtype == "float64"):
        candidate = jaxnet(100, rule, hidden=hidden, dtype=np.dtype(dtype))
        right = reference(100, rule, hidden=hidden)
        free = first_divergence(records(candidate), records(right))
        assert free.agrees and free.steps == 100, free
        turned = first_divergence(candidate, records(right), steps=10)
        assert turned.agrees and turned.steps == 10, turned


TORCH = [
    ("float64", "relu", "adam"),
    ("float32", "tanh", "rmsprop"),
    ("float32", "relu", "trace"),
]


def torch_alone():
    torch = pytest.importorskip("torch", reason="compares with torch")
    torch.set_num_threads(1)  # networks this small wait for one another's threads otherwise
    return torch


def torch_training(steps, dtype, hidden, name):
    torch = torch_alone()
    data, batches = data_and_batches(steps, dtype)
    module = transfer.to_torch(layout.layers(weights(), np.dtype(dtype)), activation=hidden)
    make = {
        "sgd": lambda p: torch.optim.SGD(p, 0.3),
        "trace": lambda p: torch.optim.SGD(p, 0.03, momentum=0.9),
        "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.9),
        "adam": lambda p: torch.optim.Adam(p, 0.01),
    }
    loss = torch.nn.functional.cross_entropy
    return runs.of_torch(module, make[name](module.parameters()), loss, data, batches)


@pytest.mark.parametrize(("dtype", "hidden", "name"), TORCH)
def test_torch_agrees_with_jaxnet_and_the_reference_for_100_steps(dtype, hidden, name):
    with jax.enable_x64(dtype == "float64"):
        rule = "gradient_descent" if name == "sgd" else name
        if name == "trace":
            right = jaxnet(
                100, optimizer=optax.sgd(0.03, momentum=0.9), hidden=hidden, dtype=np.dtype(dtype)
            )
        else:
            right = reference(100, rule, hidden=hidden)
        found = first_divergence(torch_training(100, dtype, hidden, name), right)
        assert found.agrees and found.steps == 100, found


def keras_on_jax():
    # Before the import, or keras looks for another framework and the test would be skipped.
    os.environ.setdefault("KERAS_BACKEND", "jax")
    pytest.importorskip("keras", reason="compares with keras")
    return frameworks.keras()


def test_keras_agrees_with_jaxnet_for_100_steps():
    """In float32, at a rate that float32 holds: keras keeps its learning rate in float32."""
    keras = keras_on_jax()
    data, batches = data_and_batches(100, np.float32)
    model = transfer.to_keras(layout.layers(weights(), np.float32), activation="tanh")

    def loss(logits, y):
        return losses.softmax_cross_entropy(logits, y).mean()

    candidate = runs.of_keras(model, keras.optimizers.SGD(0.25), loss, data, batches)
    right = reference(100, "gradient_descent", rate=0.25)
    found = first_divergence(candidate, right)
    assert found.agrees and found.steps == 100, found
    assert any("Z1 not compared" in note for note in found.notes)
    following = first_divergence(right, candidate, steps=10)
    assert following.agrees, following


@pytest.mark.f64
def test_keras_rounds_its_learning_rate_and_the_lockstep_says_so():
    keras = keras_on_jax()
    data, batches = data_and_batches(3)
    model = transfer.to_keras(layout.layers(weights(), np.float64), activation="relu")

    def loss(logits, y):
        return losses.softmax_cross_entropy(logits, y).mean()

    candidate = runs.of_keras(model, keras.optimizers.SGD(0.3), loss, data, batches)
    found = first_divergence(candidate, reference(3, "gradient_descent", hidden="relu"))
    assert (found.step, found.phase) == (1, "update"), found


@pytest.mark.f64
def test_functions_with_optax_agree_with_a_setup():
    """Any apply with any optax optimizer; parameters are called by their places in the tree."""
    data, batches = data_and_batches(20)
    w, b = weights(sizes=(SIZES[0], 3))[0]
    params = {"kernel": jnp.asarray(w.T, float), "bias": jnp.asarray(b[:, 0], float)}

    def apply(params, x):
        return x @ params["kernel"] + params["bias"][None, :]

    def training(optimizer):
        return runs.of_functions(
            apply, losses.softmax_cross_entropy, optimizer, params, data, batches
        )

    assert first_divergence(training(optax.adam(0.01)), training(optimizers.adam(0.01))).agrees
    found = first_divergence(training(optax.adam(0.01, eps=1e-5)), training(optimizers.adam(0.01)))
    assert (found.step, found.phase, found.array) == (1, "update", "bias"), found


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_torch_follows_too(name):
    """On the right a torch module and its optimizer start every step from the left's numbers."""
    right = torch_training(10, "float32", "tanh", name)
    left = reference(10, "gradient_descent" if name == "sgd" else name)
    found = first_divergence(left, right)
    assert found.agrees and found.steps == 10, found
    wrong = first_divergence(reference(10, rule="adam", eps=1e-5), right)
    assert (wrong.step, wrong.phase) == (1, "update"), wrong


# Planted errors: the right step, phase and array.


@pytest.mark.f64
def test_a_learning_rate_off_by_a_millionth_from_step_5_on():
    def rate(step):
        return jnp.where(step >= 4, 0.3 * (1 + 1e-6), 0.3)

    candidate = jaxnet(optimizer=optimizers.gradient_descent(rate))
    found = first_divergence(candidate, reference(rule="gradient_descent"))
    assert (found.step, found.phase, found.array) == (5, "update", "W1"), found
    assert found.steps == 4 and found.explanations[0].name.startswith("factor"), found
    free = first_divergence(
        list(records(candidate)), list(records(reference(rule="gradient_descent")))
    )
    assert (free.step, free.phase) == (5, "update"), free


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_gradient_entry_off_by_a_thousandth_at_step_7(dtype):
    with jax.enable_x64(dtype == "float64"):
        training = jaxnet(dtype=np.dtype(dtype))

        def step(number, at, grads):
            record = training.step(number, at, grads)
            if number != 7:
                return record
            wrong = np.array(record["gradient"]["dW2"])
            wrong[np.unravel_index(np.abs(wrong).argmax(), wrong.shape)] *= 1 + 1e-3
            record = with_array(record, "gradient", "dW2", wrong)
            return {**training.step(number, at, record["gradient"]), "gradient": record["gradient"]}

        found = first_divergence(training._replace(step=step), reference())
        assert (found.step, found.phase, found.array) == (7, "gradient", "dW2"), found
        assert wrong_arrays(found) == ["dW2"]


@pytest.mark.f64
def test_bias_correction_off_by_one():
    adam = optimizers.adam(0.01)

    def update(updates, state, params=None):
        moves, _ = adam.update(updates, state._replace(count=state.count + 1), params)
        return moves, adam.update(updates, state, params)[1]

    candidate = jaxnet(optimizer=optax.GradientTransformation(adam.init, update))
    found = first_divergence(candidate, reference())
    assert (found.step, found.phase, found.array) == (1, "update", "W1"), found
    assert found.explanations[0].name == "off by one in t: t+1", found


@pytest.mark.f64
def test_momentum_that_is_not_carried_along():
    rule = optimizers.momentum(0.3)

    def update(updates, state, params=None):
        return rule.update(updates, rule.init(updates), params)

    candidate = jaxnet(optimizer=optax.GradientTransformation(rule.init, update))
    found = first_divergence(candidate, reference(rule="momentum"))
    assert (found.step, found.phase, found.array) == (2, "update", "W1"), found
    assert found.explanations[0].name.startswith("missing term"), found
    assert "vW1_prev" in found.explanations[0].name


def test_a_state_that_is_lost_between_two_steps():
    """The step itself is right: what it left is not what the next one starts from."""
    training = reference(rule="momentum")

    def candidate():
        at = {**training.params, **training.state}
        for number in itertools.count(1):
            record = training.step(number, at, None)
            yield record
            at = {**at, **record["update"], **record["state"]}
            if number == 3:
                at["vb2"] = 0 * at["vb2"]

    found = first_divergence(candidate, reference(rule="momentum"))
    assert (found.step, found.phase, found.array) == (4, "start", "vb2"), found
    assert "not what step 3 left" in found.found


@pytest.mark.parametrize("follows", [True, False])
def test_a_batch_swapped_at_step_4(follows):
    _, batches = data_and_batches(10)
    batches[3], batches[4] = batches[4], batches[3]
    candidate, right = reference(batches=batches), reference()
    found = first_divergence(candidate, right if follows else records(right))
    assert (found.step, found.phase, found.array) == (4, "batch", "indices"), found
    if follows:
        assert found.explanations[0].name == "permutation"
        assert "takes at step 5" in str(found)


def test_the_same_examples_in_another_order():
    _, batches = data_and_batches(10)
    batches[2] = batches[2][::-1].copy()
    found = first_divergence(reference(batches=batches), reference())
    assert (found.step, found.phase) == (3, "batch")
    assert "another order within the batch" in str(found)


def masks(number):
    key = jax.random.fold_in(jax.random.key(2), number)
    mask = layers.dropout_mask(jax.random.fold_in(key, 0), (BATCH, SIZES[1]), 0.75)
    return [layout.columns(mask)]


@pytest.mark.f64
def test_dropout_agrees_with_injected_masks_and_a_reused_mask_is_found():
    right = reference(keep_prob=0.75, masks=masks)
    assert first_divergence(jaxnet(keep_prob=0.75), right).agrees
    reused = reference(keep_prob=0.75, masks=lambda number: masks(1))
    found = first_divergence(reused, right)
    assert (found.step, found.phase, found.array) == (2, "forward", "D1"), found
    assert found.explanations[0].name == "another step's array", found


@pytest.mark.f64
def test_running_variance_of_the_wrong_kind():
    """n/(n−1) times the batch's variance, as torch takes it."""
    data, batches = data_and_batches(4)
    model = models.mlp(SIZES, activation="tanh", batch_norm=True)

    def apply(params, state, x, *, key=None, train=False):
        logits, (new,) = model.apply(params, state, x, key=key, train=train)
        batch_part = new.var - 0.99 * state[0].var
        var = 0.99 * state[0].var + batch_part * BATCH / (BATCH - 1)
        return logits, (new._replace(var=var),)

    def training(model):
        setup = Setup(model, optimizers.adam(0.01))
        return runs.of_setup(setup, data, batches, key=jax.random.key(0), activation="tanh")

    right = training(model)
    assert first_divergence(right, right).agrees
    found = first_divergence(training(model._replace(apply=apply)), right)
    assert (found.step, found.phase, found.array) == (1, "state", "var1"), found
    assert wrong_arrays(found) == ["var1"]
    assert found.explanations[0].name == "factor n/(n−1)", found


def test_running_statistics_against_torch():
    """Everything agrees but torch's running variance, which is the unbiased one."""
    torch = torch_alone()
    data, batches = data_and_batches(4, np.float32)
    first, last = weights()
    linear = [torch.nn.Linear(5, 7), torch.nn.Linear(7, 3)]
    with torch.no_grad():
        for one, (W, b) in zip(linear, (first, last), strict=True):
            one.weight.copy_(torch.tensor(W))
            one.bias.copy_(torch.tensor(b[:, 0]))
    module = torch.nn.Sequential(
        linear[0], torch.nn.BatchNorm1d(7, momentum=0.01), torch.nn.Tanh(), linear[1]
    )
    optimizer = torch.optim.Adam(module.parameters(), 0.01)
    loss = torch.nn.functional.cross_entropy
    candidate = runs.of_torch(module, optimizer, loss, data, batches)
    norm = layers.BatchNormParams(jnp.ones(7), jnp.zeros(7))
    dense = layout.layers(weights(), np.float32)
    setup = Setup(models.mlp(SIZES, activation="tanh", batch_norm=True), optimizers.adam(0.01))
    right = runs.of_setup(
        setup, data, batches, key=jax.random.key(0), activation="tanh",
        params=(dense[0]._replace(norm=norm), dense[1]),
    )  # fmt: skip
    # The bias before batch norm has no effect: its gradient is nothing but rounding, and agrees.
    found = first_divergence(candidate, right)
    assert (found.step, found.phase, found.array) == (1, "state", "var1"), found
    assert found.explanations[0].name == "factor n/(n−1)", found


@pytest.mark.f64
def test_a_compiled_step_that_keeps_an_old_learning_rate():
    """A closure over a number that is changed later: jit has it compiled in."""
    data, batches = data_and_batches(10)
    chosen = {"rate": 0.3}
    model = models.mlp(SIZES, activation="tanh")

    @jax.jit
    def step(params, x, y):
        def cost(params):
            return losses.softmax_cross_entropy(model.apply(params, (), x)[0], y).mean()

        grads = jax.grad(cost)(params)
        return jax.tree.map(lambda w, g: w - chosen["rate"] * g, params, grads), grads

    def candidate():
        params = layout.layers(weights(), np.float64)
        for number, where in enumerate(batches, start=1):
            chosen["rate"] = 0.3 if number < 6 else 0.03
            params, grads = step(params, data.x[where], data.y[where])
            yield {"gradient": named(grads, "d"), "update": named(params, "")}

    def named(params, prefix):
        pairs = layout.pairs(params)
        return {f"{prefix}W{n}": W for n, (W, _) in enumerate(pairs, 1)} | {
            f"{prefix}b{n}": b for n, (_, b) in enumerate(pairs, 1)
        }

    right = reference(rule="gradient_descent", rate=lambda step: 0.3 if step < 5 else 0.03)
    found = first_divergence(candidate, right)
    assert (found.step, found.phase, found.array) == (6, "update", "W1"), found
    assert found.explanations[0].name == "stale learning rate", found


def test_weights_that_were_not_transferred():
    data, batches = data_and_batches(3)
    other = runs.of_reference(weights(seed=9), data, batches, learning_rate=0.1, hidden="tanh")
    found = first_divergence(other, reference(3, "gradient_descent", rate=0.1))
    assert (found.step, found.phase, found.array) == (1, "start", "W1"), found


EVERY = [
    ("forward", "Z1"), ("forward", "A1"), ("forward", "Z2"), ("forward", "J"),
    *(("gradient", name) for name in ("dW1", "db1", "dW2", "db2")),
    *(("update", name) for name in ("W1", "b1", "W2", "b2")),
    *(("state", name) for name in ("vW1", "sb1", "vW2", "sW2")),
]  # fmt: skip


@pytest.mark.parametrize(("phase", "name"), EVERY)
def test_every_array_is_looked_at(phase, name):
    """An error of 1e-11 of its scale in the largest entry, at step 3, in float64."""

    def change(number, record):
        if number != 3:
            return record
        array = np.array(record[phase][name])
        at = np.unravel_index(np.abs(array).argmax(), array.shape)
        array[at] *= 1 + 1e-11
        return with_array(record, phase, name, array)

    for right in (reference(5), records(reference(5))):
        found = first_divergence(altered(reference(5), change), right)
        assert (found.step, found.phase, found.array) == (3, phase, name), found


def test_nan_is_named_where_it_first_appears():
    def change(number, record):
        if number != 4:
            return record
        Z = np.array(record["forward"]["Z2"])
        Z[1, 2] = np.nan
        return with_array(record, "forward", "Z2", Z)

    found = first_divergence(altered(reference(), change), reference())
    assert (found.step, found.phase, found.array) == (4, "forward", "Z2"), found
    assert "1 NaN on the left" in found.found and "[1, 2]" in found.found
    both = first_divergence(altered(reference(), change), altered(reference(), change))
    assert (both.step, both.array) == (4, "Z2") and "on the right at the same" in both.found


def test_a_kink_between_the_two_is_counted_and_not_an_alarm():
    """Z = 1e-17 on one side and −1e-17 on the other: the two gradients of ReLU are both right."""
    z = {"Z1": np.array([[1.0, 1e-17]])}
    other = {"Z1": np.array([[1.0, -1e-17]])}
    same, jump = {"dW1": np.array([[1.0]])}, {"dW1": np.array([[2.0]])}
    left = [{"forward": z, "gradient": same}, {"forward": z, "gradient": jump}]
    right = [{"forward": z, "gradient": same}, {"forward": other, "gradient": same}]
    found = first_divergence(left, right)
    assert found.agrees and "gradients of 1 of 2 steps were not judged" in found.notes[0]
    # A gradient that is never judged is no agreement, and one that differs without a kink is found.
    assert not first_divergence(left[1:], right[1:]).agrees
    assert not first_divergence(left, [right[0], {**right[1], "forward": z}]).agrees


def test_a_run_that_ends_earlier():
    for left, right, ended in ((3, 5, "run_a"), (5, 3, "run_b")):
        found = first_divergence(reference(left), reference(right))
        assert (found.step, found.phase, found.steps) == (4, "end", 3), found
        assert found.found.startswith(ended)
        assert first_divergence(reference(left), reference(right), steps=3).agrees


def test_records_that_show_other_things():
    """Of the inside a side may show less, which is said; parameters must all be there."""

    def without(phase, name):
        def change(number, record):
            kept = {key: array for key, array in record[phase].items() if key != name}
            return {**record, phase: kept}

        return change

    found = first_divergence(altered(reference(), without("forward", "A1")), reference())
    assert found.agrees and "A1 not compared, only run_b shows it" in str(found)
    for phase, name in (("update", "b2"), ("gradient", "db2")):
        found = first_divergence(altered(reference(), without(phase, name)), reference())
        assert (found.step, found.phase, found.array) == (1, phase, name), found

    def later(number, record):
        return record if number < 4 else without("state", "vW1")(number, record)

    found = first_divergence(altered(reference(), later), reference())
    assert (found.step, found.phase, found.array) == (4, "state", "vW1"), found
    assert "run_a shows other arrays" in found.found


def test_only_the_step_before_is_kept():
    size = 2**17  # 1 MiB an array

    def run():
        for number in itertools.count():
            yield {"update": {"W1": np.full(size, float(number))}}

    first_divergence(run, run, steps=2)
    peaks = []
    for steps in (5, 40):
        tracemalloc.start()
        assert first_divergence(run, run, steps=steps).steps == steps
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2**20, peaks


def test_what_changes_in_place_later_is_not_seen():
    """A record may be made of live buffers, as torch's are: they have moved on a step later."""
    training = reference(6, "gradient_descent")

    def live():
        buffers = {name: np.array(array) for name, array in training.params.items()}
        for number in range(1, 7):
            start = {name: array.copy() for name, array in buffers.items()}
            record = training.step(number, start, None)
            for name, array in buffers.items():
                array[...] = record["update"][name]
            yield {**record, "start": start, "update": buffers}

    assert first_divergence(live, reference(6, "gradient_descent")).agrees


def test_rounding_that_adds_up_is_no_alarm():
    """A unit in the last place at every step, always upwards, is rounding at each; the sum of 200
    is far out of the bound of one, so the right has to start where the left stands."""

    def change(number, record):
        raised = {name: array * (1 + 2**-52) for name, array in record["update"].items()}
        return {**record, "update": raised}

    candidate = altered(reference(200, "gradient_descent"), change)
    found = first_divergence(candidate, reference(200, "gradient_descent"))
    assert found.agrees and found.steps == 200, found
    last = list(records(candidate))[-1]["update"]["W1"]
    other = list(records(reference(200, "gradient_descent")))[-1]["update"]["W1"]
    assert np.abs(last - other).max() > 5e-15 * np.abs(other).max()


def test_a_gradient_of_nothing_but_rounding_is_no_alarm():
    """Adam makes a whole step of a gradient of 1e-18 where the other side has 0."""
    data, batches = data_and_batches(5)
    data = data._replace(x=data.x * (np.arange(SIZES[0]) > 0)[None, :])
    training = runs.of_reference(
        weights(), data, batches, optimizer="adam", learning_rate=0.01, hidden="tanh", eps=1e-30
    )

    def step(number, at, grads):
        own = training.step(number, at, grads)["gradient"]
        assert not own["dW1"][:, 0].any()
        noisy = {**own, "dW1": own["dW1"] + 1e-18 * (np.arange(SIZES[0]) == 0)[None, :]}
        return {**training.step(number, at, noisy), "gradient": noisy}

    # The derived errors know that these entries are exactly 0; a training without them does not.
    unaware = training._replace(errors=None)
    found = first_divergence(unaware._replace(step=step), unaware)
    assert found.agrees and found.steps == 5, found
    assert not first_divergence(training._replace(step=step), training).agrees


def test_the_answer_is_plain_data():
    found = first_divergence(reference(3), reference(3, rate=0.02))
    plain = json.loads(json.dumps(found.as_dict()))
    assert plain["agrees"] is False and plain["phase"] == "update" and plain["step"] == 1
    assert plain["explanations"][0]["name"] == found.explanations[0].name
    assert plain["worst"]["gradient"]["ratio"] <= 1
    assert "step 1, update" in str(found) and "likely causes" in str(found)


@pytest.mark.parametrize(
    ("left", "right", "options", "message"),
    [
        (3, [], {}, "run_a: expected a Training"),
        ([{"update": {"W": 1.0}}], {"update": {}}, {}, "run_b: expected a Training"),
        ([3], [3], {}, "step 1 of run_a: expected a mapping"),
        ([{"update": {"W": "a"}}], [{"update": {"W": 1.0}}], {}, "expected an array of numbers"),
        ([], [], {}, "at least one step"),
        ([{"forward": {"Z": 1.0}}], [{"update": {"W": 1.0}}], {}, "array in common"),
        ([{"update": {"W": 1.0}}], [{"update": {"W": 1.0}}], {"steps": 0}, "steps: expected"),
        ([{"update": {"W": 1.0}}], [{"update": {"W": 1.0}}], {"bound": 1.0}, "mapping by phase"),
        (
            [{"update": {"W": 1.0}}], [{"update": {"W": 1.0}}], {"bound": {"updates": 1.0}},
            "bound: expected phases among update, got updates",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_named(left, right, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        first_divergence(left, right, **options)


def test_bad_input_of_the_adapters_is_named():
    with pytest.raises(ValueError, match="optimizer: expected one of"):
        reference(rule="adagrad", rate=0.1)
    data, batches = data_and_batches(1, np.float32)
    params = {"w": jnp.ones((5, 3))}
    model = models.Model(lambda key: (params, ()), lambda p, s, x, **_: (x @ p["w"], s))
    setup = Setup(model, optimizers.adam(0.01))
    with pytest.raises(ValueError, match="activation: expected None"):
        runs.of_setup(setup, data, batches, key=jax.random.key(0), activation="relu")


def test_a_training_is_what_the_adapters_make():
    assert isinstance(reference(1), Training)
