"""translate_optimizer: every optimizer of torch, keras and scikit-learn, and what must not pass."""

import copy
import inspect
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnet import schedules
from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.translation import (
    Translation,
    arguments,
    keras_rules,
    rates,
    sklearn_rules,
    torch_rules,
    transforms,
    translate_optimizer,
    wrappers,
)
from jaxnet.crosscheck.translation.calls import call
from jaxnet.crosscheck.translation.rules import Rule

MODULES = {
    "optax": optax,
    "rates": rates,
    "schedules": schedules,
    "transforms": transforms,
    "wrappers": wrappers,
}


def need(framework) -> Any:
    # keras' backend has to be chosen before it is imported; without one its import fails.
    if framework == "keras" and frameworks.installed("keras"):
        frameworks.keras()
    return pytest.importorskip(framework, reason=f"compares with {framework}")


def chain(translation: Translation) -> Any:
    assert translation.optimizer is not None
    return translation.optimizer


def first_word(text):
    return text.partition(".")[0]


NO_EQUIVALENT = {
    "torch.optim.LBFGS": "closure",
    "torch.optim.LBFGS(line_search_fn='strong_wolfe')": "strong-Wolfe",
    "torch.optim.SparseAdam": "sparse",
    "keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())": "scale",
    "keras.optimizers.MultiOptimizer(optimizer_map)": "path",
    "keras.optimizers.Muon(exclude_layers=['head'])": "exclude_layers",
    "sklearn.neural_network.MLPClassifier(solver='lbfgs')": "L-BFGS-B",
    "sklearn.neural_network.MLPClassifier(solver='sgd', learning_rate='adaptive')": "loss",
    "sklearn.neural_network.MLPClassifier(solver='sgd', learning_rate='invscaling')": "examples",
}

UNTRANSLATED = {"LBFGS", "SparseAdam", "LossScaleOptimizer", "MultiOptimizer"}


@pytest.mark.parametrize("text", NO_EQUIVALENT)
def test_what_has_no_equivalent_says_why(text):
    translation = translate_optimizer(text)
    assert translation.optimizer is None
    assert translation.verdict == "no equivalent"
    assert NO_EQUIVALENT[text] in translation.note


ALL = [
    f"{home[0]}.{name}"
    for framework, home in arguments.HOMES.items()
    for name in arguments.TABLES[framework]
    if name not in UNTRANSLATED and framework != "sklearn"
]

SCHEDULES = [
    "ExponentialDecay(0.1, 7, 0.5)",
    "ExponentialDecay(0.1, 7, 0.5, staircase=True)",
    "InverseTimeDecay(0.1, 7, 0.5, True)",
    "InverseTimeDecay(0.1, decay_steps=7, decay_rate=0.5)",
    "PiecewiseConstantDecay([3, 9], [0.1, 0.05, 0.01])",
    "PolynomialDecay(0.1, 8, power=2.0)",
    "PolynomialDecay(0.1, 8, cycle=True)",
    "CosineDecay(0.1, 9, alpha=0.1)",
    "CosineDecay(0.0, 9, warmup_target=0.1, warmup_steps=4)",
    "CosineDecayRestarts(0.1, 5, m_mul=0.8, alpha=0.1)",
    "CosineDecayRestarts(0.1, 5, t_mul=1.0)",
]

RATE = "keras.optimizers.schedules.PiecewiseConstantDecay([3, 9], [0.1, 0.05, 0.01])"

CONFIGURED = [
    "torch.optim.SGD(lr=0.1, momentum=0.9, weight_decay=0.1, maximize=True)",
    "torch.optim.SGD(model.parameters(), 0.1, 0.9, nesterov=True)",
    "torch.optim.SGD(lr=0.1, momentum=0.9, dampening=0.5, weight_decay=0.01)",
    "torch.optim.Adam(lr=0.01, betas=(0.8, 0.99), eps=1e-5, weight_decay=0.1, maximize=True)",
    "torch.optim.Adam(amsgrad=True, weight_decay=0.1, decoupled_weight_decay=True)",
    "torch.optim.AdamW(lr=0.01, amsgrad=True, foreach=True)",
    "torch.optim.NAdam(momentum_decay=0.3, weight_decay=0.1, decoupled_weight_decay=True)",
    "torch.optim.RAdam(betas=(0.9, 0.95), weight_decay=0.1, maximize=True)",
    "torch.optim.RMSprop(momentum=0.9, centered=True, weight_decay=0.1)",
    "torch.optim.RMSprop(momentum=0.5, alpha=0.9, maximize=True)",
    "torch.optim.Adagrad(lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.1)",
    "torch.optim.Adadelta(lr=0.5, rho=0.8, weight_decay=0.1)",
    "torch.optim.Adafactor(lr=0.1, weight_decay=0.1, eps=(1e-8, 1e-2), d=2.0, maximize=True)",
    "torch.optim.Adamax(weight_decay=0.1)",
    "torch.optim.ASGD(lambd=0.1, alpha=0.5, weight_decay=0.1)",
    "torch.optim.Rprop(lr=100.0, etas=(0.4, 1.5), step_sizes=(1e-3, 1.0), maximize=True)",
    "torch.optim.Muon(nesterov=False, adjust_lr_fn='match_rms_adamw', ns_steps=3)",
    f"keras.optimizers.SGD({RATE}, momentum=0.9, nesterov=True, weight_decay=0.1)",
    "keras.optimizers.SGD(0.1, momentum=0.9, clipnorm=0.5, use_ema=True)",
    f"keras.optimizers.SGD({RATE}, gradient_accumulation_steps=3, weight_decay=0.1)",
    "keras.optimizers.Adam(amsgrad=True, clipvalue=0.2, weight_decay=0.01)",
    f"keras.optimizers.AdamW({RATE}, global_clipnorm=2.0, loss_scale_factor=128.0)",
    "keras.optimizers.RMSprop(momentum=0.9, centered=True, weight_decay=0.1)",
    "keras.optimizers.Adagrad(initial_accumulator_value=0.0, use_ema=True, ema_momentum=0.5, "
    "ema_overwrite_frequency=3)",
    f"keras.optimizers.Adafactor({RATE}, weight_decay=0.1)",
    f"keras.optimizers.Ftrl({RATE}, learning_rate_power=-0.7, l1_regularization_strength=0.01, "
    "l2_regularization_strength=0.1, l2_shrinkage_regularization_strength=0.1, beta=0.1, "
    "weight_decay=0.1)",
    "keras.optimizers.Lamb(weight_decay=0.1)",
    "keras.optimizers.Lion(weight_decay=0.1)",
    "keras.optimizers.ScheduleFreeAdamW(warmup_steps=5, weight_decay=0.1)",
    "keras.optimizers.Muon(adam_lr_ratio=0.5, nesterov=False, rms_rate=None, weight_decay=None)",
    "sklearn.neural_network.MLPClassifier()",
    "sklearn.neural_network.MLPRegressor(solver='sgd', alpha=1.0, batch_size=10)",
    "sklearn.neural_network.MLPClassifier(solver='sgd', nesterovs_momentum=False, momentum=0.5)",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer(params, learning_rate_init=0.1)",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer(epsilon=1e-5)",
]


@pytest.mark.parametrize(
    "text",
    ALL + CONFIGURED + [f"keras.optimizers.SGD(keras.optimizers.schedules.{s})" for s in SCHEDULES],
)
def test_every_optimizer_is_translated_and_proved(text):
    need(first_word(text))
    translation = translate_optimizer(text)
    assert translation.verdict.startswith("agrees"), str(translation)
    assert translation.optimizer is not None
    assert translation.proof is not None and translation.proof.agrees
    assert translation.proof.error <= translation.proof.bound
    # Nothing that changes an update by a ten-thousandth would pass; mostly a billionth.
    assert translation.proof.bound < (1e-4 if "Muon" in text else 1e-6)


def test_every_class_of_the_frameworks_is_in_a_table():
    """And every argument of each, in order, with its default."""
    from sklearn import neural_network
    from sklearn.neural_network import _stochastic_optimizers as optimizers

    for name, table in arguments.SKLEARN.items():
        home = neural_network if hasattr(neural_network, name) else optimizers
        assert signature(getattr(home, name), skip="Optimizer" in name) == list(table.items())


def signature(kind, skip=0):
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1 + skip :]
    return [
        (p.name, arguments.REQUIRED if p.default is p.empty else p.default)
        for p in parameters
        if p.kind is not p.VAR_KEYWORD
    ]


def classes(module, but):
    return {
        n for n, v in vars(module).items() if isinstance(v, type) and not n.startswith("_")
    } - but


def test_the_table_of_torch_is_torch_s():
    torch = need("torch")
    assert classes(torch.optim, {"Optimizer"}) == set(arguments.TORCH) == set(torch_rules.RULES)
    for name, table in arguments.TORCH.items():
        assert signature(getattr(torch.optim, name), skip=1) == list(table.items()), name


def test_the_table_of_keras_is_keras_s():
    keras = need("keras")
    abstract = {"Optimizer", "OptimizerMap", "LearningRateSchedule"}
    assert classes(keras.optimizers, abstract) == set(arguments.KERAS)
    assert classes(keras.optimizers.schedules, abstract) == set(arguments.KERAS_SCHEDULES)
    homes = (
        (keras.optimizers, arguments.KERAS),
        (keras.optimizers.schedules, arguments.KERAS_SCHEDULES),
    )
    for home, tables in homes:
        for name, table in tables.items():
            assert signature(getattr(home, name)) == list(table.items()), name


# --- what is planted must be found -------------------------------------------------------------


def lr(rate):
    return call(optax.scale_by_learning_rate, rate)


TORCH_PLANTS = {
    "ε": ("Adam", lambda a: Rule((call(optax.scale_by_adam, eps=1.1e-8), lr(a["lr"])))),
    "ε̂ for ε": ("Adam", lambda a: Rule(
        (call(transforms.scale_by_adam_eps_hat, 0.9, 0.999, 1e-8), lr(a["lr"])))),
    "ε in the root": ("RMSprop", lambda a: Rule(
        (call(optax.scale_by_rms, decay=0.99, eps=1e-8), lr(a["lr"])))),
    "coupled for decoupled": ("AdamW", lambda a: Rule(
        (call(optax.add_decayed_weights, 0.01), call(optax.scale_by_adam), lr(a["lr"])))),
    "decay not on biases": ("AdamW", lambda a: Rule((
        call(optax.scale_by_adam),
        call(optax.add_decayed_weights, 0.01, mask=wrappers.weights_only), lr(a["lr"])))),
    "one step late": ("Rprop", lambda a: Rule(
        (call(optax.scale_by_rprop, learning_rate=a["lr"]), call(optax.scale, -1.0)))),
    "rate a millionth off": ("SGD", lambda a: Rule((lr(a["lr"] * (1 + 1e-6)),))),
    "constant momentum": ("NAdam", lambda a: Rule(
        (call(optax.scale_by_adam, nesterov=True), lr(a["lr"])))),
    "NaN": ("SGD", lambda a: Rule((lr(float("nan")),))),
}  # fmt: skip


@pytest.mark.parametrize("plant", TORCH_PLANTS)
def test_a_wrong_row_for_torch_does_not_pass(plant, monkeypatch):
    need("torch")
    name, wrong = TORCH_PLANTS[plant]
    monkeypatch.setitem(torch_rules.RULES, name, wrong)
    translation = translate_optimizer(f"torch.optim.{name}()")
    assert translation.verdict == "does not agree"
    assert translation.optimizer is None
    assert "failed" in translation.note


def test_a_wrong_row_for_keras_does_not_pass(monkeypatch):
    need("keras")
    text = f"keras.optimizers.SGD({RATE}, momentum=0.9)"
    right = keras_rules.CORES["SGD"]

    def outside(a, rate):
        return right(a, rate)._replace(links=tuple(reversed(right(a, rate).links)))

    monkeypatch.setitem(keras_rules.CORES, "SGD", outside)
    assert translate_optimizer(text).verdict == "does not agree"


@pytest.mark.parametrize("wrong", ["rates.at_microstep", "wrappers.clip_each", "rates.piecewise"])
def test_a_wrong_part_for_keras_does_not_pass(wrong, monkeypatch):
    need("keras")
    text = f"keras.optimizers.SGD({RATE}, gradient_accumulation_steps=2, clipnorm=1.0)"
    if wrong == "rates.at_microstep":  # the schedule counts accumulated steps
        monkeypatch.setattr(rates, "at_microstep", lambda rate, every: rate)
    elif wrong == "wrappers.clip_each":  # the norm of all arrays
        monkeypatch.setattr(wrappers, "clip_each", optax.clip_by_global_norm)
    else:  # optax's boundary, one early

        def early(boundaries, values):
            return piecewise([b - 1 for b in boundaries], values)

        piecewise = rates.piecewise_constant
        monkeypatch.setattr(rates, "piecewise_constant", early)
    assert translate_optimizer(text).verdict == "does not agree"


def test_a_wrong_row_for_scikit_learn_does_not_pass(monkeypatch):
    text = "sklearn.neural_network.MLPClassifier(solver='sgd', alpha=0.1, batch_size=5)"
    assert translate_optimizer(text).verdict.startswith("agrees")
    monkeypatch.setattr(sklearn_rules, "batch_size", lambda a, examples: 1)  # α not divided
    assert translate_optimizer(text).verdict == "does not agree"


# --- objects ---------------------------------------------------------------------------------


def torch_parameters(torch):
    return [torch.nn.Parameter(torch.ones(2, 3)), torch.nn.Parameter(torch.zeros(3))]


@pytest.mark.parametrize(
    "text", [t for t in CONFIGURED if t.startswith("torch") and "Muon" not in t]
)
def test_torch_name_and_object_give_the_same(text):
    torch = need("torch")
    named = text.replace("model.parameters(), ", "").replace(
        "SGD(0.1, 0.9", "SGD(lr=0.1, momentum=0.9"
    )
    kind, _, keywords = named.removeprefix("torch.optim.").partition("(")
    given = eval(f"dict({keywords}")  # the test's own text
    optimizer = getattr(torch.optim, kind)(torch_parameters(torch), **given)
    assert_same(translate_optimizer(optimizer), translate_optimizer(text))


@pytest.mark.parametrize("text", [t for t in CONFIGURED if t.startswith("keras")][::3])
def test_keras_name_and_object_give_the_same(text):
    keras = need("keras")
    optimizer = eval(text, {"keras": keras})
    assert_same(translate_optimizer(optimizer), translate_optimizer(text))


def test_scikit_learn_name_and_object_give_the_same():
    from sklearn.neural_network import MLPRegressor, _stochastic_optimizers

    named = translate_optimizer("sklearn.neural_network.MLPRegressor(solver='sgd', alpha=0.5)")
    assert_same(translate_optimizer(MLPRegressor(solver="sgd", alpha=0.5)), named)
    adam = _stochastic_optimizers.AdamOptimizer([np.ones(2)], learning_rate_init=0.1)
    text = "sklearn.neural_network._stochastic_optimizers.AdamOptimizer(learning_rate_init=0.1)"
    assert_same(translate_optimizer(adam), translate_optimizer(text))


def assert_same(left: Translation, right: Translation):
    assert left._replace(optimizer=None) == right._replace(optimizer=None)


def test_torch_s_optimizer_and_settings_are_left_alone():
    torch = need("torch")
    parameters = torch_parameters(torch)
    optimizer = torch.optim.Adam(parameters, lr=0.1)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    before = copy.deepcopy((optimizer.state_dict(), parameters))
    translation = translate_optimizer(optimizer)
    assert "starts anew" in translation.note
    after = (optimizer.state_dict(), parameters)
    assert repr(before) == repr(after)
    assert all(p.grad.equal(torch.ones_like(p)) for p in parameters)
    assert torch.get_default_dtype() == torch.float32
    assert jnp.ones(()).dtype == jnp.float32


def test_keras_s_optimizer_and_settings_are_left_alone():
    keras = need("keras")
    variable = keras.Variable(np.ones(3, np.float32))
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.apply([jnp.ones(3)], [variable])
    before = [np.asarray(v) for v in (*optimizer.variables, variable)]
    assert "starts anew" in translate_optimizer(optimizer).note
    for old, new in zip(before, (*optimizer.variables, variable), strict=True):
        np.testing.assert_array_equal(old, np.asarray(new))
    assert keras.config.floatx() == "float32"


def test_settings_are_restored_after_an_error(monkeypatch):
    torch = need("torch")
    with pytest.raises(ValueError, match="momentum"):
        translate_optimizer("torch.optim.RMSprop(momentum=-1.0)")
    assert torch.get_default_dtype() == torch.float32


def test_groups_become_a_multi_transform_over_a_list():
    torch = need("torch")
    w, b = torch_parameters(torch)
    groups = [{"params": [w], "weight_decay": 0.1}, {"params": [b], "name": "biases"}]
    translation = translate_optimizer(torch.optim.SGD(groups, lr=0.1, momentum=0.9))
    assert translation.verdict == (
        "agrees if the parameters are a list of arrays in the order of torch's groups"
    )
    assert "'name' is no argument" in translation.note
    assert "['group 0', 'group 1']" in translation.code
    values = [jnp.ones((2, 3)), jnp.ones(3)]
    zeros = [jnp.zeros((2, 3)), jnp.zeros(3)]
    updates, _ = chain(translation).update(zeros, chain(translation).init(values), values)
    np.testing.assert_allclose(updates[0], -0.01, rtol=1e-6)
    np.testing.assert_array_equal(updates[1], 0)


def test_equal_groups_are_one():
    torch = need("torch")
    w, b = torch_parameters(torch)
    translation = translate_optimizer(torch.optim.SGD([{"params": [w]}, {"params": [b]}], lr=0.1))
    assert translation.verdict == "agrees"


def test_what_a_torch_object_carries_beside_its_arguments_is_said():
    torch = need("torch")
    optimizer = torch.optim.SGD(torch_parameters(torch), lr=0.1)
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    assert "the rate stays at 0.1" in translate_optimizer(optimizer).verdict
    optimizer = torch.optim.SGD(torch_parameters(torch), lr=torch.tensor(0.5))
    optimizer.register_step_pre_hook(lambda *_: None)
    assert "hooks" in translate_optimizer(optimizer).verdict
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2, dtype=torch.complex64))], lr=0.1)
    assert translate_optimizer(optimizer).verdict == "no equivalent"


def test_what_a_keras_object_carries_beside_its_arguments_is_said():
    keras = need("keras")
    optimizer = keras.optimizers.SGD(0.1, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert translate_optimizer(optimizer).verdict == "no equivalent"
    assert translate_optimizer(keras.optimizers.SGD(lambda: 0.1)).verdict == "no equivalent"


# --- scikit-learn in earnest -----------------------------------------------------------------


@pytest.mark.f64
def test_a_whole_scikit_learn_training_is_matched():
    """Penalty, minibatches and the smaller last one, against fit() itself."""
    from sklearn.neural_network import MLPRegressor

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 3)), rng.normal(size=7)
    mlp = MLPRegressor(
        hidden_layer_sizes=(4,), activation="tanh", solver="sgd", alpha=0.7,
        learning_rate_init=0.05, learning_rate="invscaling",
        max_iter=3, shuffle=False, random_state=0, tol=0.0,
    ).set_params(batch_size=3)  # fmt: skip
    started = copy.deepcopy(mlp)
    started._random_state = np.random.RandomState(0)
    started.n_outputs_ = 1
    started._initialize(y.reshape(-1, 1), [3, 4, 1], x.dtype)
    params: Any = [jnp.asarray(a) for a in (*started.coefs_, *started.intercepts_)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # three epochs do not converge
        mlp.fit(x, y)

    def loss(params, x, y):
        w1, w2, b1, b2 = params
        return 0.5 * jnp.mean((jnp.tanh(x @ w1 + b1[None, :]) @ w2 + b2[None, :] - y) ** 2)

    translation = translate_optimizer(mlp, examples=7)
    assert translation.verdict == "agrees if the loss is without the penalty (α/2m)‖W‖²"
    state = chain(translation).init(params)
    for _ in range(3):
        for rows in (slice(0, 3), slice(3, 6), slice(6, 7)):
            grads = jax.grad(loss)(params, x[rows], y[rows].reshape(-1, 1))
            updates, state = chain(translation).update(grads, state, params)
            params = optax.apply_updates(params, updates)
    for ours, theirs in zip(params, (*mlp.coefs_, *mlp.intercepts_), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


# --- without the frameworks --------------------------------------------------------------------


U1, U2 = (0.9 * (1 - 0.5 * 0.96**step) for step in (1, 2))
"""Keras' shares of momentum for the first two steps of Nadam."""


@pytest.mark.parametrize(
    "text, first",
    [
        ("torch.optim.Adam(lr=0.1)", -0.1),
        ("keras.optimizers.Nadam(0.1)", -0.1 * (1 + 0.1 * U2 / (1 - U1 * U2))),
    ],
)
def test_a_name_is_translated_where_its_framework_is_missing(text, first, monkeypatch):
    monkeypatch.setattr(frameworks, "installed", lambda name: None)
    monkeypatch.setattr(frameworks, "_imported", lambda name: pytest.fail(f"imported {name}"))
    translation = translate_optimizer(text)
    assert translation.verdict == f"not proved: {first_word(text)} is not installed"
    assert "by the documented rules it agrees" in translation.note
    assert translation.proof is None
    values = {"w": jnp.ones(3)}
    updates, _ = chain(translation).update(values, chain(translation).init(values), values)
    # 1 − 0.999 in float32 is off by 3e-5 of itself.
    np.testing.assert_allclose(updates["w"], first, rtol=3e-5)


def paths(left: Any, right: Any):
    """Updates of both rules on the same gradients."""
    rng = np.random.default_rng(0)
    params = [jnp.asarray(rng.normal(size=(2, 3))), jnp.asarray(rng.normal(size=3))]
    states = [left.init(params), right.init(params)]
    found = [], []
    for _ in range(12):
        grads = [jnp.asarray(rng.normal(size=p.shape)) for p in params]
        for i, rule in enumerate((left, right)):
            updates, states[i] = rule.update(grads, states[i], params)
            found[i].append(np.concatenate([np.ravel(u) for u in updates]))
    return np.array(found[0]), np.array(found[1])


@pytest.mark.f64
@pytest.mark.parametrize(
    "left, right",
    [
        (transforms.scale_by_adam_eps_hat(0.9, 0.99, 0.0),
            lambda: optax.scale_by_adam(0.9, 0.99, 0.0)),
        (
            transforms.scale_by_nadam(0.9, 0.99, 1e-3, 1e9),
            lambda: optax.scale_by_adam(0.9, 0.99, 1e-3, nesterov=True),
        ),
        (transforms.scale_by_radam_eps_hat(0.9, 0.9, 0.0),
            lambda: optax.scale_by_radam(0.9, 0.9, 0.0)),
        (
            transforms.scale_by_adamax_eps_added(0.9, 0.99, 0.0),
            lambda: optax.scale_by_adamax(0.9, 0.99, 0.0),
        ),
        (transforms.scale_by_rss_eps_outside(0.1, 0.0), lambda: optax.scale_by_rss(0.1, 0.0)),
        (transforms.trace_first_undamped(0.9, 0.0), lambda: optax.trace(0.9)),
        (wrappers.decay_first(optax.sgd(0.1), 0.02), lambda: optax.chain(
            optax.add_decayed_weights(0.2), optax.sgd(0.1))),
        (wrappers.accumulate(optax.sgd(0.1), 3), lambda: optax.MultiSteps(
            optax.sgd(0.1), 3, accumulator_dtype=jnp.float64)),
    ],
)  # fmt: skip
def test_where_the_conventions_meet_the_rules_are_optax_s(left, right):
    one, other = paths(left, right())
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


@pytest.mark.f64
def test_rprop_is_optax_s_a_step_earlier_where_no_sign_turns():
    # Gradients of one sign: the step grows; optax's first update is 0.
    rules: Any = transforms.scale_by_rprop(0.1, 0.5, 1.2, 1e-6, 50.0), optax.scale_by_rprop(0.1)
    g = jnp.asarray([1.0, 2.0])
    states = [rule.init(g) for rule in rules]
    found = [], []
    for _ in range(4):
        for i, rule in enumerate(rules):
            update, states[i] = rule.update(g, states[i])
            found[i].append(np.asarray(update))
    np.testing.assert_allclose(found[0][0], 0.1, rtol=1e-12)
    np.testing.assert_array_equal(found[1][0], 0.0)
    np.testing.assert_allclose(found[0][:3], found[1][1:], rtol=1e-12)


# --- code, bad input ----------------------------------------------------------------------------


@pytest.mark.f64
@pytest.mark.parametrize("text", ["torch.optim.NAdam(weight_decay=0.1)", CONFIGURED[21]])
def test_the_code_builds_the_optimizer(text, monkeypatch):
    monkeypatch.setattr(frameworks, "installed", lambda name: None)  # needs no proof
    translation = translate_optimizer(text)
    one, other = paths(chain(translation), eval(translation.code, dict(MODULES)))
    np.testing.assert_array_equal(one, other)


BAD = {
    "torch.optim.SGD(lr=": "not Python",
    "SGD(lr=0.1)": "torch.optim.SGD or keras.optimizers.SGD",
    "torch.optim.Sgd()": "known are",
    "torch.optim.SGD(0.1)": "first argument",
    "torch.optim.SGD(learning_rate=0.1)": "no argument 'learning_rate'",
    "torch.optim.SGD(lr=2 ** -3)": "literal for lr",
    "torch.optim.SGD(lr=__import__('os').getcwd())": "literal for lr",
    "torch.optim.SGD(lr='fast')": "finite number for lr",
    "torch.optim.SGD(lr=-0.1)": "≥ 0 for lr",
    "torch.optim.SGD(lr=1e999)": "finite number for lr",
    "torch.optim.SGD(momentum=True, nesterov=3)": "True or False for nesterov",
    "torch.optim.SGD(nesterov=True)": "nesterov only with momentum",
    "torch.optim.Adam(betas=(0.9,))": "2 finite numbers for betas",
    "torch.optim.SGD(**options)": "written out",
    "torch.optim.SGD(params, 0.1, lr=0.1)": "'lr' twice",
    "keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1))": "'decay_steps'",
    "sklearn.neural_network.MLPClassifier(solver='newton')": "solver",
    "sklearn.neural_network.MLPClassifier(solver='sgd', learning_rate='fast')": "learning_rate",
    "1 + 1": "expected a torch.optim",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_text_is_explained(text):
    with pytest.raises(ValueError, match="source") as error:
        translate_optimizer(text)
    assert BAD[text] in str(error.value)


def test_what_is_no_optimizer_is_refused():
    with pytest.raises(TypeError, match="expected a torch"):
        translate_optimizer(optax.sgd(0.1))
    with pytest.raises(ValueError, match="examples: expected a whole number"):
        translate_optimizer("torch.optim.SGD", examples=0)


def test_torch_s_own_classes_only():
    torch = need("torch")

    class Mine(torch.optim.SGD):
        pass

    with pytest.raises(TypeError, match="your own subclass of SGD"):
        translate_optimizer(Mine(torch_parameters(torch), lr=0.1))
    optimizer = torch.optim.SGD(torch_parameters(torch), lr=0.1)
    with pytest.raises(TypeError, match=r"pass its \.optimizer"):
        translate_optimizer(torch.optim.lr_scheduler.StepLR(optimizer, 1))


def test_a_proof_without_movement_is_refused():
    need("torch")
    with pytest.raises(ValueError, match="proves nothing"):
        translate_optimizer("torch.optim.SGD(lr=0.0)")
