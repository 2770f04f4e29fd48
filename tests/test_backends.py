"""The adapters, and the laws, rules and trainings that the matrix adds to the registry."""

import inspect
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.crosscheck import compare
from jaxnet.crosscheck.backends import BACKENDS, adapter, frameworks, own
from jaxnet.crosscheck.cases import bound, draw, laws, optimizers, rules, trainings
from jaxnet.crosscheck.cases.case import bounds_of
from jaxnet.crosscheck.matrix import ALGORITHMS
from reference_numpy import initializers, mlp
from reference_numpy.optimizers import adam_init, adam_update

NAMES = {case.name: case for case in ALGORITHMS}


def drawn(case, dtype=np.float64):
    return draw(case, np.random.default_rng([1, *case.name.encode()]), dtype)


# Frameworks


def test_versions_are_read_without_importing():
    assert frameworks.installed("numpy") == np.__version__
    assert frameworks.installed("jax") == jax.__version__
    with pytest.raises(ValueError, match="name: expected one of"):
        frameworks.installed("caffe")


@pytest.mark.parametrize("name", ["torch", "keras", "sklearn", "flax", "chex", "equinox"])
def test_a_missing_framework_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"{name}: .*pip install -e '\.\[compare\]'"):
        getattr(frameworks, name)()


def test_keras_on_another_backend_is_refused(monkeypatch):
    other = types.SimpleNamespace(config=types.SimpleNamespace(backend=lambda: "tensorflow"))
    monkeypatch.setitem(sys.modules, "keras", other)
    with pytest.raises(ImportError, match="expected its JAX backend, got 'tensorflow'"):
        frameworks.keras()


def test_nothing_is_imported_before_it_is_asked_for():
    code = (
        "import sys, jaxnet.crosscheck.matrix\n"
        "print([name for name in ('torch', 'keras', 'sklearn', 'flax') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Adapters


def test_every_adapter_belongs_to_a_case():
    for backend in BACKENDS:
        assert set(backend.adapters) <= set(NAMES), backend.name
        for name, several in backend.adapters.items():
            variants = [one.variant for one in several]
            assert len(set(variants)) == len(variants), f"{backend.name}, {name}"
            assert all(one.dtypes for one in several)


def test_all_networks_are_in_the_tables():
    in_tables = {*adapter.NETWORKS, *adapter.DROPOUT_NETWORK}
    networks = {name for name in NAMES if name.startswith("networks/")}
    assert {name for name in networks - in_tables if "logistic" not in name} == set()
    assert in_tables <= networks


def test_jaxnet_is_run_every_way_on_everything():
    ways = {backend.name: set(backend.adapters) for backend in BACKENDS}
    traced = {case.name for case in ALGORITHMS if case.traced}
    assert ways["jax.jit"] == ways["jax.vmap"] == traced
    assert ways["jax"] == {name for name in NAMES if not name.startswith("trainings/")}


class Transformed(Exception):
    pass


@pytest.mark.f64
@pytest.mark.parametrize("case", ALGORITHMS, ids=lambda case: case.name)
def test_traced_says_whether_a_transform_is_used(case):
    def stop(function):
        raise Transformed

    if case.traced:
        with pytest.raises(Transformed):
            case.jaxnet(drawn(case), stop)
    else:
        assert len(inspect.signature(case.jaxnet).parameters) == 1


def test_plain_is_not_traced_and_mapped_is_batched():
    seen = []

    def function(x):
        seen.append((type(x).__name__, x.shape))
        return x * x

    x = jnp.array([2.0, 3.0])
    assert np.array_equal(own.plain(jax.jit(function))(x), [4, 9])
    assert seen == [("ArrayImpl", (2,))]
    seen.clear()
    # The second member's result: the first, half of x, would be a quarter of it.
    assert np.array_equal(own.mapped(function)(x), [4, 9])
    assert seen == [("BatchTracer", (2,))]


def test_keras_floatx_is_set_back():
    if frameworks.installed("keras") is None:
        pytest.skip("keras comes with [compare]")
    from jaxnet.crosscheck.backends.keras_floatx import floatx

    before = frameworks.keras().config.floatx()
    with pytest.raises(ZeroDivisionError), floatx("float64") as keras:
        assert keras.config.floatx() == "float64"
        raise ZeroDivisionError
    assert frameworks.keras().config.floatx() == before


# Rules


@pytest.mark.parametrize("rule", rules.NOTES)
def test_the_notes_rules_are_the_reference_s(rule):
    args = optimizers.draw_run(np.random.default_rng(0), rule)
    path = rules.path(rules.NOTES[rule](args), args)
    values = {name: one.value for name, one in path.items()}
    errors = bounds_of(path, np.float64, np.float64)
    assert compare(values, dict(optimizers.run_reference(rule, args)), bound=errors).agrees


def test_rival_rules_reduce_to_the_notes():
    """Each where its difference vanishes: β = 0, constant α, ε → 0, and t large."""
    rng = np.random.default_rng(0)

    def apart(rival, rule, args):
        found, right = (rules.path(make(args), args) for make in (rival, rules.NOTES[rule]))
        return max(float(np.abs(found[n].value - right[n].value).max()) for n in ("W", "b"))

    momentum = optimizers.draw_run(rng, "momentum")
    assert apart(rules.trace, "momentum", {**momentum, "beta": 0.0}) == 0
    assert apart(rules.dampened, "momentum", {**momentum, "beta": 0.0}) == 0
    assert apart(rules.trace, "momentum", momentum) > 1e-3
    assert apart(rules.dampened, "momentum", momentum) > 1e-3
    assert apart(rules.rate_inside, "momentum", momentum) > 1e-3
    constant = {**momentum, "rates": np.full_like(momentum["rates"], 0.05)}
    assert apart(rules.rate_inside, "momentum", constant) < 1e-15
    for rival, rule in ((rules.rmsprop_inside, "rmsprop"), (rules.adam_hat, "adam")):
        args = optimizers.draw_run(rng, rule)
        assert apart(rival, rule, {**args, "eps": 1e-30}) < 1e-12
        assert apart(rival, rule, args) > 1e-5


# Trainings


@pytest.mark.f64
@pytest.mark.parametrize("case", trainings.CASES, ids=lambda case: case.name)
def test_trainings_agree_within_a_bound_that_catches_ten_times_itself(case):
    args = drawn(case)
    right, allowed = dict(case.reference(args)), bound(case, args, np.float64, np.float64)
    comparison = compare(right, dict(case.jaxnet(args)), bound=allowed)
    assert comparison.agrees, str(comparison)
    # After 100 steps an error of 1e-10 of the scale would be seen in every entry of every array.
    assert max(leaf.detects for leaf in comparison.leaves) < 1e-10
    for name, value in right.items():
        wrong = np.array(value)
        wrong.flat[0] += 10 * np.ravel(allowed[name])[0]
        assert not compare(right, right | {name: wrong}, bound=allowed).agrees


@pytest.mark.f64
def test_the_bound_follows_an_error_through_the_steps():
    """Rounding made a million times larger on purpose at every step stays within the bound times a
    million, and comes within a thousandth of it: the bound follows what really happens."""
    case = next(case for case in trainings.CASES if case.name == "trainings/adam")
    args, rng, larger = drawn(case), np.random.default_rng(0), 2.0**20
    right, allowed = dict(case.reference(args)), bound(case, args, np.float64)
    unit = np.finfo(np.float64).eps / 2 * larger
    params = trainings.pairs(args)
    state = adam_init(params)
    for batch in args["batches"]:
        X, Y = args["X"][:, batch], args["Y"][:, batch]
        _, caches = mlp.forward(params, X, hidden="tanh", output="softmax")
        grads = mlp.backward(params, caches, Y)
        params, state = adam_update(
            params, grads, state, learning_rate=args["learning_rate"], **args["numbers"]
        )
        params = [
            (
                W * (1 + unit * rng.choice([-1, 1], W.shape)),
                b * (1 + unit * rng.choice([-1, 1], b.shape)),
            )
            for W, b in params
        ]
    noisy = dict(trainings.results(args, params))
    comparison = compare(noisy, right, bound={n: larger * a for n, a in allowed.items()})
    assert comparison.agrees, str(comparison)
    assert comparison.leaves[0].ratio > 1e-3


def test_the_trainings_learn_and_the_conventions_differ():
    with jax.enable_x64(True):
        for name, convention in (
            ("rmsprop", trainings.RMSPROP_INSIDE),
            ("adam", trainings.ADAM_HAT),
        ):
            args = drawn(NAMES[f"trainings/{name}"])
            right = NAMES[f"trainings/{name}"].reference(args)
            rival = trainings.followed(args, convention)
            assert np.abs(rival["W1"].value - right["W1"]).max() > 1e-3
            start = trainings.results(args, trainings.pairs(args))["J"]
            assert right["J"] < start / 2


# Laws


def accepted(W, scheme="he"):
    args = {"sizes": [W.shape[1], W.shape[0]]}
    law = laws.sampled(laws.NORMAL, args)["statistics"]
    return compare(laws.statistics(W, scheme)["statistics"], law.value, bound=law.bound).agrees


def test_the_law_is_told_from_others_like_it():
    n_in, n_out = 300, 200
    rng = np.random.default_rng(0)
    W = initializers.initialize(rng, (n_in, n_out), "he")[0][0]
    sigma = np.sqrt(2 / n_in)
    assert accepted(W)
    assert not accepted(1.04 * W)  # a variance of 8 % more
    assert not accepted(W + 0.04 * sigma)
    assert not accepted(np.sqrt(3) * sigma * rng.uniform(-1, 1, W.shape))
    assert not accepted(laws.truncated().rvs(W.shape, random_state=rng) * sigma)
    assert not accepted(rng.standard_t(8, W.shape) * sigma * np.sqrt(6 / 8))
    assert not accepted(W.T.copy())  # fan_out for fan_in


def test_other_laws_are_met_by_their_own_samples():
    rng = np.random.default_rng(1)
    args = {"sizes": [250, 200]}
    for law in (laws.truncated(), laws.uniform(), laws.uniform(1 / 3)):
        W = law.rvs((200, 250), random_state=rng) * 0.01
        predicted = laws.sampled(law, args)["statistics"]
        found = laws.statistics(W, "normal")["statistics"]
        assert compare(found, predicted.value, bound=predicted.bound).agrees
