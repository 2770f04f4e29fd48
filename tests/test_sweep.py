"""Sweeps: members equal solo runs, whatever the cut; groups, failures, errors."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import Dataset, Setup, fit, losses, make_train, mlp, optimizers, regularizers, schedules
from jaxnet.data import datasets
from jaxnet.populations import program, samplers, sweep, write_table

KEY = jax.random.key(1)
DATA = datasets.moons(jax.random.key(0), 90, noise=0.2)
DEV = datasets.moons(jax.random.key(2), 40, noise=0.2)
RUN = {"key": KEY, "batch_size": 20, "epochs": 3, "dev": DEV}
ALPHAS = {"learning_rate": [1e-3, 0.1, 0.01, 0.03, 0.3]}


def build(h):
    return Setup(mlp((2, 5, 2)), optimizers.adam(h["learning_rate"]))


def everything(h):
    """All scalars that may vary inside one program, width included."""
    model = mlp(
        (2, 6, 2), widths=(h["width"],), keep_prob=h["keep_prob"], init_scale=h["init_scale"]
    )
    optimizer = optimizers.adam(h["learning_rate"], b1=h["b1"], b2=h["b2"], eps=h["eps"])
    return Setup(model, optimizer, penalty=regularizers.l2(h["l2"], m=90))


SPACE = {
    "learning_rate": ("log_uniform", 1e-4, 1e-1),
    "b1": ("one_minus_log_uniform", 0.5, 0.99),
    "b2": ("one_minus_log_uniform", 0.9, 0.999),
    "eps": ("log_uniform", 1e-8, 1e-4),
    "l2": ("uniform", 0, 1),
    "keep_prob": ("uniform", 0.5, 1.0),
    "init_scale": ("log_uniform", 0.1, 2.0),
    "width": ("integers", 1, 6),
    "seed": ("integers", 0, 9),
}


def equal(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


def compiled_programs():
    return program._train_chunk._cache_size()  # type: ignore[attr-defined]


@cache
def alone(build):
    return jax.jit(make_train(build, batch_size=20, epochs=3, keep_best=True))


def solo(build, population, member, hyper=None):
    hyper = population.hyper(member) if hyper is None else hyper
    traced = {name: jnp.asarray(value) for name, value in hyper.items()}
    return alone(build)(population.keys[member], traced, DATA, DEV)


def test_every_member_is_the_solo_run_bit_for_bit():
    points = samplers.random(jax.random.key(5), SPACE, 7)
    population = sweep(everything, points, DATA, **RUN)
    assert len(population.parts) == 1, "scalars and widths are one program"
    for member in range(7):
        equal(population.member(member), solo(everything, population, member))


def test_equal_seeds_are_equal_randomness():
    hypers = {"learning_rate": [0.01, 0.02, 0.01], "seed": [3, 3, 3]}
    population = sweep(build, hypers, DATA, **RUN)
    equal(population.member(0), population.member(2))
    first = jax.random.key_data(jax.random.fold_in(KEY, 3))
    assert (jax.random.key_data(population.keys) == first[None, :]).all()
    without = sweep(build, {"learning_rate": [0.01, 0.01]}, DATA, **RUN)
    assert (without.params[0].w[0] != without.params[0].w[1]).any()


def test_how_a_population_is_cut_changes_no_number():
    whole = sweep(build, ALPHAS, DATA, **RUN)
    for chunk in (1, 3):
        equal(sweep(build, ALPHAS, DATA, chunk=chunk, **RUN).parts, whole.parts)


def test_other_numbers_compile_nothing():
    sweep(build, ALPHAS, DATA, **RUN)
    compiled = compiled_programs()
    sweep(build, {"learning_rate": [0.5, 0.25]}, DATA, **{**RUN, "key": jax.random.key(9)})
    assert compiled_programs() == compiled
    sweep(build, ALPHAS, DATA, **{**RUN, "epochs": 2})
    assert compiled_programs() == compiled + 1, "the count sees a compilation"


def test_best_is_the_epoch_of_the_lowest_dev_error():
    population = sweep(build, ALPHAS, DATA, **{**RUN, "epochs": 8})
    errors, costs = population.history["dev_error"], population.history["dev_cost"]
    best = np.array([np.lexsort((c, e))[0] for e, c in zip(errors, costs, strict=True)])
    runs = population.parts[0].runs
    assert runs.best is not None
    assert runs.best.epoch.tolist() == best.tolist()
    np.testing.assert_array_equal(population.scores, errors.min(axis=1))
    np.testing.assert_array_equal(runs.best.cost, costs[np.arange(5), best])
    for member in range(5):
        shorter = sweep(build, ALPHAS, DATA, **{**RUN, "epochs": int(best[member]) + 1})
        equal(
            jax.tree.map(lambda leaf, at=member: leaf[at], population.best_params),
            shorter.member(member).params,
        )


def test_without_a_dev_set_the_last_training_cost_is_the_score():
    population = sweep(build, ALPHAS, DATA, **{**RUN, "dev": None})
    np.testing.assert_allclose(
        population.scores, population.history["cost"][:, -1].mean(axis=-1), rtol=1e-6
    )
    assert population.best_params is None
    assert population.table()[0]["member"] == population.scores.argmin()


def test_a_member_that_is_not_finite_is_marked_and_touches_nobody():
    good = sweep(build, ALPHAS, DATA, **RUN)
    bad = {"learning_rate": [1e-3, 0.1, 1e38, 0.03, 0.3]}
    population = sweep(build, bad, DATA, **RUN)
    assert population.finite.tolist() == [True, True, False, True, True]
    assert np.isnan(population.scores[2])
    for member in (0, 1, 3, 4):
        equal(population.member(member), good.member(member))
    assert population.best() != 2
    assert population.table()[-1]["member"] == 2
    everyone = sweep(build, {"learning_rate": [1e38, 2e38]}, DATA, **RUN)
    with pytest.raises(ValueError, match="every one of the 2 members"):
        everyone.best()


def grouped(h):
    sizes = (2, *(4,) * h["depth"], 2)
    rule = {"adam": optimizers.adam, "momentum": optimizers.momentum}[h["optimizer"]]
    return Setup(mlp(sizes), rule(h["learning_rate"]))


GROUPED = {
    "depth": [1, 2, 1, 2, 1],
    "optimizer": ["adam", "adam", "momentum", "adam", "adam"],
    "learning_rate": [0.1, 0.2, 0.3, 0.4, 0.5],
    "batch_size": [20, 20, 20, 20, 30],
}


def test_what_changes_shapes_is_a_program_of_its_own():
    before = compiled_programs()
    population = sweep(grouped, GROUPED, DATA, **RUN)
    assert [part.members.tolist() for part in population.parts] == [[0], [1, 3], [2], [4]]
    assert compiled_programs() == before + 4
    assert len(population.scores) == 5
    for member in (1, 2):
        fixed = {name: population.hyper(member)[name] for name in ("depth", "optimizer")}
        expected = solo(
            lambda h, fixed=fixed: grouped({**h, **fixed}),
            population,
            member,
            {"learning_rate": GROUPED["learning_rate"][member]},
        )
        equal(population.member(member), expected)
    with pytest.raises(ValueError, match="params: 4 programs of different shapes"):
        _ = population.params
    same = sweep(grouped, {**GROUPED, "depth": [1] * 5, "batch_size": [20] * 5}, DATA, **RUN)
    assert len(same.parts) == 2
    assert same.params[0].w.shape == (5, 2, 4)
    equal(jax.tree.map(lambda leaf: leaf[2], same.params), same.member(2).params)


def test_build_may_take_its_hyperparameters_apart():
    def spread(h):
        numbers = {name: value for name, value in h.items() if name != "init_scale"}
        model = mlp((2, 5, 2))
        if "init_scale" in h:
            model = mlp((2, 5, 2), init_scale=h["init_scale"])
        return Setup(model, optimizers.adam(**numbers))

    hypers = {"learning_rate": [0.1, 0.2], "b1": [0.9, 0.8], "init_scale": [1.0, 0.5]}
    assert sweep(spread, hypers, DATA, **RUN).finite.all()
    everything = {"learning_rate": [0.1, 0.2], "b1": [0.9, 0.8]}
    plain = sweep(lambda h: Setup(mlp((2, 5, 2)), optimizers.adam(**h)), everything, DATA, **RUN)
    equal(plain.member(0), sweep(spread, everything, DATA, **RUN).member(0))


def test_build_may_read_the_batch_size():
    """A decay counted in epochs needs it."""

    def decaying(h):
        steps = -(-90 // h["batch_size"])
        alpha = schedules.exponential(h["alpha"], base=0.9, steps_per_epoch=steps)
        return Setup(mlp((2, 5, 2)), optimizers.adam(alpha))

    population = sweep(decaying, {"alpha": [0.1, 0.1], "batch_size": [20, 45]}, DATA, **RUN)
    assert population.finite.all() and len(population.parts) == 2


def test_a_name_that_only_one_option_reads():
    def either(h):
        if h["optimizer"] == "adam":
            return Setup(mlp((2, 5, 2)), optimizers.adam(0.01, b1=h["b1"]))
        return Setup(mlp((2, 5, 2)), optimizers.momentum(0.01, beta=h["beta"]))

    hypers = {"optimizer": ["adam", "momentum"], "beta": [0.9, 0.5], "b1": [0.9, 0.5]}
    population = sweep(either, hypers, DATA, **RUN)
    assert population.finite.all()
    with pytest.raises(ValueError, match="got 'beta', which build does not read"):
        sweep(either, {**hypers, "optimizer": ["adam", "adam"]}, DATA, **RUN)


def test_fit_goes_on_from_a_member():
    population = sweep(build, ALPHAS, DATA, **RUN)
    longer = sweep(build, ALPHAS, DATA, **{**RUN, "epochs": 5})
    setup = build(population.hyper(1))
    run = fit(
        setup.model,
        DATA,
        optimizer=setup.optimizer,
        batch_size=20,
        epochs=2,
        key=population.keys[1],
        dev=DEV,
        after=population.member(1),
    )
    expected = longer.member(1)
    assert run.history["cost"].shape == (5, 5)
    # Another program: there β and ε are inputs, here constants that XLA folds, so ten updates of
    # Adam by α = 0.1 may part in the last places, which its ratio m/√v carries over in full.
    for name in ("params", "history"):
        for left, right in zip(
            jax.tree.leaves(getattr(run, name)),
            jax.tree.leaves(getattr(expected, name)),
            strict=True,
        ):
            atol = 64 * float(np.finfo(np.float32).eps) * float(np.abs(right).max())
            np.testing.assert_allclose(left, right, rtol=0, atol=atol)
    # The same program, and the numbers are the same.
    train = jax.jit(make_train(build, batch_size=20, epochs=2, keep_best=True))
    hyper, before = {"learning_rate": jnp.float32(0.1)}, population.member(1)
    pieced = train(population.keys[1], hyper, DATA, DEV, before._replace(history={}), 3)
    equal(pieced.params, expected.params)
    equal(pieced.best, expected.best)
    equal(pieced.history["cost"], expected.history["cost"][3:])
    with pytest.raises(ValueError, match=r"after.params: expected what this model"):
        fit(mlp((2, 4, 2)), DATA, optimizer=setup.optimizer, key=KEY, after=run)
    with pytest.raises(ValueError, match="dev: expected as in the run to go on from"):
        fit(setup.model, DATA, optimizer=setup.optimizer, key=KEY, after=run)


def test_side_by_side_members_differ_by_rounding_only(monkeypatch):
    """The accelerators' way, on a CPU: blocks of four under vmap.

    XLA adds in another order there; after 6 updates by α ≤ 0.1 a float32 parameter of size 1 is off
    by some tens of its last places, each worth 1.2e-7.
    """
    monkeypatch.setattr(program, "block_size", lambda mesh, members: 4)
    hypers = {"learning_rate": np.linspace(0.01, 0.1, 6)}
    options = {"key": KEY, "batch_size": 45, "epochs": 3, "dev": DEV}
    blocked = sweep(build, hypers, DATA, **options)
    monkeypatch.undo()
    alone = sweep(build, hypers, DATA, **options)
    for left, right in zip(
        jax.tree.leaves(blocked.params), jax.tree.leaves(alone.params), strict=True
    ):
        np.testing.assert_allclose(left, right, rtol=0, atol=64 * float(np.finfo(np.float32).eps))
    assert len(blocked.scores) == 6


def test_regression_is_scored_by_its_root_mean_squared_error():
    x = jax.random.normal(KEY, (60, 3))
    data = Dataset(x, x @ jnp.array([1.0, -2.0, 0.5]))

    def linear(h):
        return Setup(mlp((3, 1)), optimizers.gradient_descent(h["alpha"]), losses.squared_error)

    population = sweep(
        linear, {"alpha": [0.3, 1e-3]}, data, dev=data, key=KEY, batch_size=60, epochs=50
    )
    assert population.best() == 0
    assert population.scores[0] < 0.01


def test_memory_decides_the_chunk(monkeypatch):
    asked, needed = [], []
    real = program.chunk_bytes

    def bytes_of(plan, *rest):
        asked.append(plan.per_device)
        needed.append(real(plan, *rest))
        return needed[-1]

    monkeypatch.setattr(program, "chunk_bytes", bytes_of)
    whole = sweep(build, ALPHAS, DATA, **RUN)
    assert asked == [program.CPU_CHUNK]
    # What the compiler says decides, not the estimate, which these limits satisfy.
    asked.clear()
    limit = 17 * needed[0]
    monkeypatch.setattr(program, "memory_limit", lambda device: limit)
    monkeypatch.setattr(program, "chunk_bytes", lambda *given: 20 * bytes_of(*given))
    small = sweep(build, ALPHAS, DATA, **RUN)
    assert asked[:2] == [program.CPU_CHUNK, program.CPU_CHUNK // 2]
    assert 20 * needed[-1] <= limit
    equal(small.parts, whole.parts)
    monkeypatch.setattr(program, "memory_limit", lambda device: 100)
    with pytest.raises(MemoryError, match=r"one member needs [\d,]+ bytes on a device .* 100"):
        sweep(build, ALPHAS, DATA, **RUN)


def test_the_program_does_not_grow_with_the_population():
    """10,000 members go through the program that one goes through."""
    sweep(build, ALPHAS, DATA, **RUN)
    compiled = compiled_programs()
    many = sweep(build, {"learning_rate": np.geomspace(1e-4, 1e-1, 70)}, DATA, **RUN)
    assert compiled_programs() == compiled
    assert many.params[0].w.shape == (70, 2, 5)


def test_the_table(tmp_path):
    population = sweep(build, ALPHAS, DATA, **RUN)
    table = population.table()
    assert [row["rank"] for row in table] == [1, 2, 3, 4, 5]
    scores = [row["score"] for row in table]
    assert scores == sorted(scores)
    assert table[0]["member"] == population.best()
    csv, lines = write_table(table, tmp_path)
    assert len(csv.read_text().splitlines()) == len(lines.read_text().splitlines()) + 1 == 6


BAD = [
    ({}, {}, r"hypers: expected a dict name ↦ array"),
    ({"learning_rate": 0.1}, {}, r"hypers\['learning_rate'\]: expected an array \(members,\)"),
    ({"learning_rate": []}, {}, r"with at least one, got shape \(0,\)"),
    ({"learning_rate": [0.1, np.nan]}, {}, "expected finite numbers"),
    ({"learning_rate": [0.1, 1e300]}, {}, "finite numbers that float32 can hold"),
    ({"learning_rate": [0.1], "seed": [2**40]}, {}, "finite numbers that int32 can hold"),
    ({"learning_rate": [0.1], "l2": [0.1, 0.2]}, {}, "arrays of one length"),
    (
        {"learning_rate": [0.1], "momentum": [0.9]},
        {},
        r"names that the training function takes \(\['learning_rate'\].*got 'momentum'",
    ),
    ({"alpha": [0.1]}, {}, r"build reads 'learning_rate', which is not among \['alpha'\]"),
    ({"learning_rate": [0.1], "seed": [0.5]}, {}, r"hypers\['seed'\]: expected whole numbers"),
    (
        {"learning_rate": [0.1], "batch_size": [91]},
        {},
        r"hypers\['batch_size'\]: expected at most the 90 examples, got 91",
    ),
    (ALPHAS, {"batch_size": 91}, "batch_size: expected at most the 90 examples, got 91"),
    (ALPHAS, {"epochs": 0}, "epochs: expected a whole number ≥ 1"),
    (ALPHAS, {"chunk": 0}, "chunk: expected a whole number ≥ 1"),
    (ALPHAS, {"dev": Dataset(jnp.zeros((3, 4)), jnp.zeros(3, int))}, "dev"),
]


@pytest.mark.parametrize(("hypers", "options", "message"), BAD)
def test_bad_input(hypers, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        sweep(build, hypers, DATA, **{**RUN, **options})
