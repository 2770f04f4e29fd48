"""The contracts: right functions pass, also those written otherwise; wrong ones are named."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import reference_numpy as ref
from jaxnet.crosscheck.contracts import CONTRACTS, contract
from jaxnet.crosscheck.contracts.contract import contract_of, draw
from jaxnet.crosscheck.contracts.statistics import (
    FALSE_ALARM,
    binomial_fits,
    correlation_bound,
    deviation_interval,
    distance_bound,
    uniform_distance,
)
from reference_numpy import logistic_regression, regularizers


def _reference(name) -> Any:
    module, function = name.split(".")
    return getattr(getattr(ref, module, None), function, None)


REFERENCES = [name for name in CONTRACTS if _reference(name) is not None]


@pytest.mark.parametrize("name", REFERENCES)
def test_the_reference_passes_its_own_contract(name):
    diagnosis = CONTRACTS[name].check(_reference(name))
    assert diagnosis.agrees, str(diagnosis)
    assert diagnosis.checks


def test_signatures_are_those_of_the_reference():
    for name in REFERENCES:
        assert CONTRACTS[name].signature.startswith(f"{name}(")
        for parameter in inspect.signature(_reference(name)).parameters:
            assert parameter in CONTRACTS[name].signature


# ------------------------------------------------------------------ no false alarms


def _on_jax(function):
    return lambda *arrays: function(*map(jnp.asarray, arrays))


def _adam_of_optax(params, grads, state, *, learning_rate, b1=0.9, b2=0.999, eps=1e-8):
    rule = optax.scale_by_adam(b1=b1, b2=b2, eps=eps)
    params, grads = jax.tree.map(jnp.asarray, (params, grads))
    state = rule.init(params) if isinstance(state, ref.optimizers.AdamState) else state
    updates, state = rule.update(grads, state, params)
    return jax.tree.map(lambda p, u: p - learning_rate * u, params, updates), state


def _batch_norm(Z, gamma, beta, eps=1e-5):
    Z, gamma, beta = map(jnp.asarray, (Z, gamma, beta))
    Cache: Any = ref.batch_norm.Cache  # of JAX arrays here
    mu, var = Z.mean(1, keepdims=True), Z.var(1, keepdims=True)
    Z_hat = (Z - mu) * jax.lax.rsqrt(var + eps)
    return gamma * Z_hat + beta, Cache(Z_hat, gamma, mu, var, eps)


def _batch_norm_backward(dout, cache):
    """The formula as one quotient, as it is often written."""
    m, Z_hat = dout.shape[1], cache.Z_hat
    dgamma, dbeta = (dout * Z_hat).sum(1, keepdims=True), dout.sum(1, keepdims=True)
    inner = m * dout - dbeta - Z_hat * dgamma
    return cache.gamma / (m * np.sqrt(cache.var + cache.eps)) * inner, dgamma, dbeta


def _in_place_but_restored(J, theta, eps=1e-7):
    theta, slopes = theta.copy(), np.zeros_like(theta)
    for index in np.ndindex(theta.shape):
        value = theta[index]
        theta[index] = value + eps
        up = J(theta.copy())
        theta[index] = value - eps
        slopes[index] = (up - J(theta.copy())) / (2 * eps)
        theta[index] = value
    return slopes


def _closed_form(theta, beta, *, corrected=False):
    t = np.arange(len(theta))
    weights = np.tril(beta ** np.maximum(t[:, None] - t[None], 0.0)) * (1 - beta)
    V = np.tensordot(weights, theta, 1)
    powers = 1 - beta ** (t + 1).reshape(-1, *[1] * (np.ndim(theta) - 1))
    return V / powers if corrected else V


OTHERWISE = {
    "activations.sigmoid": _on_jax(jax.nn.sigmoid),
    "activations.softmax": _on_jax(lambda z: jax.nn.softmax(z, axis=0)),
    "activations.tanh_derivative": lambda z: 1 - np.tanh(z) ** 2,
    "optimizers.adam_update": _adam_of_optax,
    "batch_norm.forward": _batch_norm,
    "batch_norm.backward": _batch_norm_backward,
    "gradient_check.central_differences": _in_place_but_restored,
    "averages.exponentially_weighted": _closed_form,
    "schedules.exponential": lambda epoch, rate, *, base=0.95: rate * np.exp(np.log(base) * epoch),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_right_functions_written_otherwise_pass(name):
    diagnosis = CONTRACTS[name].check(OTHERWISE[name])
    assert diagnosis.agrees, str(diagnosis)


@pytest.mark.parametrize("name", ["optimizers.adam_update", "batch_norm.forward"])
@pytest.mark.f64
def test_right_functions_of_jax_pass_in_double_precision(name):
    assert CONTRACTS[name].check(OTHERWISE[name]).agrees


def _draws_by(seed):
    """Right samplers whose numbers are their own: another stream for every seed."""

    def stream(rng):
        return np.random.default_rng((seed, int(rng.integers(2**31))))

    def initialize(rng, layer_sizes, scheme):
        return ref.initializers.initialize(stream(rng), layer_sizes, scheme)

    def log_uniform(rng, a, b, size):
        if a > b:
            raise ValueError("a > b")
        return np.exp(stream(rng).uniform(np.log(a), np.log(b), size))

    def dropout(rng, A, keep_prob):
        mask = stream(rng).random(A.shape) > 1 - keep_prob
        return np.where(mask, A / keep_prob, 0.0), mask

    def partition(rng, X, Y, batch_size):
        return ref.minibatch.partition(stream(rng), X, Y, batch_size)

    return {
        "initializers.initialize": initialize,
        "search.log_uniform": log_uniform,
        "regularizers.dropout": dropout,
        "minibatch.partition": partition,
    }


@pytest.mark.parametrize("seed", range(10))
def test_right_samplers_with_streams_of_their_own_pass(seed):
    for name, candidate in _draws_by(seed).items():
        diagnosis = CONTRACTS[name].check(candidate)
        assert diagnosis.agrees, f"{name}: {diagnosis}"


# ------------------------------------------------------------------ what has no reference


def _step(params, x, y, learning_rate):
    w, b = params
    dw, db = logistic_regression.gradients(w, b, x, y)
    return w - learning_rate * dw, b - learning_rate * db


def _stale_step():
    first = []

    def step(params, x, y, learning_rate):
        first.append(learning_rate)
        return _step(params, x, y, first[0])

    return step


def _batch_gradient(divide_by_all):
    def gradient(params, x, y, indices, l2):
        w, b = params
        dw, db = logistic_regression.gradients(w, b, x[:, indices], y[:, indices])
        share = len(indices) / x.shape[1] if divide_by_all else 1
        return share * dw + l2 / x.shape[1] * w, share * db

    return gradient


def _training(lost=""):
    start = {"w": np.zeros(3), "v": np.zeros(3), "t": np.array(0), "seed": np.array(5)}

    def train(steps, saved=None):
        now = dict(start if saved is None else saved)
        if saved is not None and lost:
            now[lost] = start[lost]
        for _ in range(steps):
            noise = np.random.default_rng(int(now["seed"])).standard_normal(3)
            t, v = now["t"] + 1, 0.9 * now["v"] + 0.1 * (now["w"] - 1 + noise)
            w = now["w"] - 0.1 * v / (1 - 0.9**t)
            now = {"w": w, "v": v, "t": t, "seed": now["seed"] + 1}
        return now

    return train


def _member(seed, rate, start: Any = 0.0):
    w = start + np.random.default_rng(seed).standard_normal(4)
    for _ in range(5):
        w = w - rate * (w - 1)
    return w


def _population(seeds, learning_rates):
    return np.stack([_member(s, r) for s, r in zip(seeds, learning_rates, strict=True)])


def _carried_over(seeds, learning_rates):
    members, w = [], 0.0
    for seed, rate in zip(seeds, learning_rates, strict=True):
        w = _member(seed, rate, start=0.5 * w)
        members.append(w)
    return np.stack(members)


def _loop(*, last=False, alias=False, later=0):
    def train(update, dev_cost, params, patience):
        best, lowest, waited = params, np.inf, 0
        while waited < patience + later:
            params, waited = update(params), waited + 1
            if dev_cost(params) < lowest:
                lowest, waited = dev_cost(params), 0
                best = params if alias else params.copy()
        return params if last else best

    return train


def _masks(rng, shape, keep_prob, steps):
    return rng.random((steps, *shape)) < keep_prob


def _augmented(rng, x, epochs):
    return [np.stack([np.roll(i, rng.integers(-3, 4), 1) for i in x]) for _ in range(epochs)]


def _dropout(rng, A, keep_prob, train):
    return regularizers.dropout(rng, A, keep_prob)[0] if train else A


def _clip(grads, limit):
    norm = np.sqrt(sum(np.sum(g**2) for layer in grads for g in layer))
    return [tuple(g * min(1, limit / norm) for g in layer) for layer in grads]


def _accuracy(axis=0, low=0):
    def accuracy(scores, labels):
        if labels.shape != scores.shape[1:] or labels.min() < low or labels.max() >= len(scores):
            raise ValueError("labels")
        return np.mean(np.argmax(scores, axis) == labels)

    return accuracy


RIGHT = {
    "training.step": _step,
    "training.batch_gradient": _batch_gradient(False),
    "training.resume": _training(),
    "training.population": _population,
    "training.sharded_mean": lambda shards: np.mean(np.concatenate(shards)),
    "training.early_stopping_loop": _loop(),
    "training.dropout_masks": _masks,
    "training.augmented_epochs": _augmented,
    "layers.dropout": _dropout,
    "clipping.global_norm": _clip,
    "evaluation.accuracy": _accuracy(),
}


def test_every_contract_has_a_right_function_here():
    assert set(RIGHT) == set(CONTRACTS) - set(REFERENCES)


@pytest.mark.parametrize("name", RIGHT)
def test_right_functions_without_a_reference_pass(name):
    diagnosis = CONTRACTS[name].check(RIGHT[name])
    assert diagnosis.agrees, str(diagnosis)


WRONG = [
    ("training.step", _stale_step(), "stale learning rate"),
    ("training.batch_gradient", _batch_gradient(True), "factor m/B"),
    ("training.resume", _training("t"), "lost on resuming, which leaf: t"),
    ("training.resume", _training("v"), "lost on resuming, which leaf: v"),
    ("training.resume", _training("seed"), "lost on resuming, which leaf: seed"),
    (
        "training.population",
        lambda seeds, rates: _population([seeds[0]] * len(seeds), rates),
        "leak across runs: shared randomness: the first member's seed",
    ),
    (
        "training.population",
        lambda seeds, rates: _population([0] * len(seeds), rates),
        "leak across runs: shared randomness",
    ),
    ("training.population", _carried_over, "leak across runs: state"),
    ("training.sharded_mean", lambda shards: np.mean([s.mean() for s in shards]), "weighting"),
    ("training.early_stopping_loop", _loop(last=True), "last instead of best"),
    ("training.early_stopping_loop", _loop(alias=True), "aliasing"),
    ("training.early_stopping_loop", _loop(later=1), "off by one in patience"),
    ("training.dropout_masks", lambda r, s, k, n: np.stack([r.random(s) < k] * n), "reused key"),
    ("training.augmented_epochs", lambda r, x, n: _augmented(r, x, 1) * n, "reused key"),
    ("layers.dropout", lambda r, A, k, train: _dropout(r, A, k, True), "train mode at evaluation"),
    (
        "clipping.global_norm",
        lambda grads, c: [tuple(g * min(1, c / np.linalg.norm(g)) for g in x) for x in grads],
        "norm: per tensor in place of globally",
    ),
    ("evaluation.accuracy", _accuracy(axis=1), "axis"),
    ("evaluation.accuracy", _accuracy(low=-1), "label range"),
    (
        "initializers.initialize",
        lambda rng, sizes, scheme: [
            (np.repeat(W[:1], len(W), axis=0), b)
            for W, b in ref.initializers.initialize(rng, sizes, scheme)
        ],
        "symmetry",
    ),
    (
        "search.log_uniform",
        lambda rng, a, b, size: ref.search.uniform(rng, a, b, size),
        "scale",
    ),
    (
        "normalization.apply",
        lambda X, mu, sigma: ref.normalization.apply(X, *ref.normalization.fit(X)),
        "leak",
    ),
    (
        "gradient_check.central_differences",
        lambda J, theta, eps=1e-7: ref.gradient_check.one_sided_differences(J, theta, eps),
        "the checker itself: one-sided",
    ),
    (
        "schedules.inverse_time",
        lambda epoch, rate, *, decay_rate: ref.schedules.inverse_time(
            7 * np.asarray(epoch), rate, decay_rate=decay_rate
        ),
        "unit of t",
    ),
]


@pytest.mark.parametrize(("name", "candidate", "cause"), WRONG)
def test_wrong_functions_are_caught_and_named_first(name, candidate, cause):
    diagnosis = CONTRACTS[name].check(candidate)
    assert not diagnosis.agrees
    assert diagnosis.found
    assert diagnosis.explanations[0].name == cause, str(diagnosis)


def test_the_mask_of_the_backward_pass_is_recovered_from_the_gradients():
    def backward(params, caches, Y, *, l2=0.0):
        other = [
            cache if cache.mask is None else cache._replace(mask=np.roll(cache.mask, 1, axis=1))
            for cache in caches
        ]
        return ref.mlp.backward(params, other, Y, l2=l2)

    diagnosis = CONTRACTS["mlp.backward"].check(backward)
    assert not diagnosis.agrees
    assert "mask" in [one.name for one in diagnosis.explanations]


@pytest.mark.parametrize("coordinate", [0, 7, 14])
def test_a_gradient_check_blind_to_one_coordinate_is_caught(coordinate):
    def check(J, theta, grad, *, eps=1e-7):
        result = ref.gradient_check.check(J, theta, grad, eps=eps)
        seen = grad.copy()
        seen.flat[coordinate] = result.numerical.flat[coordinate]
        distance = ref.gradient_check.relative_distance(result.numerical, seen)
        return result._replace(relative_distance=distance)

    diagnosis = CONTRACTS["gradient_check.check"].check(check)
    assert diagnosis.explanations[0].name == "the checker itself: coordinates left out"


def test_a_candidate_that_raises_or_returns_something_else_is_told_where():
    def raises(Z):
        raise RuntimeError("no luck")

    diagnosis = CONTRACTS["activations.tanh"].check(raises)
    assert not diagnosis.agrees and "no luck" in diagnosis.found[0]
    diagnosis = CONTRACTS["optimizers.adam_update"].check(
        lambda params, grads, state, *, learning_rate, b1=0.9, b2=0.999, eps=1e-8: params
    )
    assert not diagnosis.agrees and "(params, state)" in diagnosis.found[0]


# ------------------------------------------------------------------ names and signatures


def test_a_contract_is_found_by_a_last_component_that_only_one_has():
    assert contract("adam_update").name == "optimizers.adam_update"
    with pytest.raises(ValueError, match=r"may be mlp\.backward or batch_norm\.backward"):
        contract("backward")
    with pytest.raises(ValueError, match=r"nearest: optimizers\.adam_update"):
        contract("optimisers.adam_update")


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        (lambda params, caches: 0, "it lacks Y, l2"),
        (lambda params, caches, Y: 0, "it lacks l2"),
        (lambda params, caches, Y, extra, *, l2=0.0: 0, "it also needs extra"),
        (lambda params, caches, Y, *, l2=0.0, rate: 0, "it also needs rate"),
        (3, "expected a function, got 3"),
    ],
)
def test_a_signature_that_cannot_be_called_says_what_is_missing(candidate, said):
    with pytest.raises(TypeError, match=said):
        CONTRACTS["mlp.backward"].check(candidate)


def test_signatures_that_can_be_called_are_accepted():
    check = CONTRACTS["mlp.backward"].check
    backward = ref.mlp.backward
    assert check(lambda *a, **k: backward(*a, **k)).agrees
    assert check(lambda p, c, y, l2=0.0, unused=1: backward(p, c, y, l2=l2)).agrees


def test_parts_of_one_title_would_hide_one_another():
    part = draw("a draw", np.sin, (np.ones(3),))
    with pytest.raises(ValueError, match="different titles"):
        contract_of("sin", np.sin, "x ↦ sin x.", [part, part])


# ------------------------------------------------------------------ thresholds


def test_thresholds_are_those_of_the_stated_false_alarm():
    rng = np.random.default_rng(0)
    n = 400
    distances = [uniform_distance(rng.random(n)) for _ in range(500)]
    assert max(distances) < distance_bound(n) < 3 * np.median(distances) + 0.05
    low, high = deviation_interval(n)
    spread = [np.sqrt(np.mean(rng.standard_normal(n) ** 2)) for _ in range(500)]
    assert low < min(spread) < max(spread) < high < 1.3
    pairs = [np.corrcoef(*rng.standard_normal((2, n)))[0, 1] for _ in range(500)]
    assert max(np.abs(pairs)) < correlation_bound(n) < 0.3
    assert 2 * np.exp(-2 * n * distance_bound(n) ** 2) == pytest.approx(FALSE_ALARM)


def test_the_binomial_test_knows_its_ends():
    assert binomial_fits(0, 100, 0.0) and not binomial_fits(1, 100, 0.0)
    assert binomial_fits(100, 100, 1.0) and not binomial_fits(99, 100, 1.0)
    assert binomial_fits(52, 100, 0.5) and not binomial_fits(95, 100, 0.5)
