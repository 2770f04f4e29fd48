"""Update rules over 1,000 steps: ours, the reference's, optax's; and the rivals, measured.

Gradients are given, from 1 down to 1e-6 with a scale of their own for each entry, and the learning
rate changes at every step, so that the place of ε and of α shows.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxnet import optimizers
from jaxnet.crosscheck import compare
from jaxnet.crosscheck.bounds import tolerance
from jaxnet.crosscheck.cases.optimizers import draw_run, path_errors, run_optax, run_reference
from reference_numpy import optimizers as reference

STEPS = 1000
ALLOWED = 1e-9
BETA, B1, B2, EPS = 0.9, 0.9, 0.999, 1e-8
NUMBERS = {
    "gradient_descent": {},
    "momentum": {"beta": BETA},
    "rmsprop": {"beta": BETA, "eps": EPS},
    "adam": {"b1": B1, "b2": B2, "eps": EPS},
}

# The optax spelling of each rule, as its docstring gives it.
OPTAX = {
    "gradient_descent": lambda rate: optax.sgd(rate),
    "momentum": lambda rate: optax.chain(
        optax.ema(BETA, debias=False), optax.scale_by_learning_rate(rate)
    ),
    "rmsprop": lambda rate: optax.rmsprop(rate, decay=BETA, eps=EPS, eps_in_sqrt=False),
    "adam": lambda rate: optax.adam(rate, b1=B1, b2=B2, eps=EPS),
}

rules = pytest.mark.parametrize("rule", NUMBERS)


def run_of(rule):
    return {**draw_run(np.random.default_rng(7), rule, STEPS), **NUMBERS[rule]}


def run_ours(rule, args):
    return run_optax(lambda rate: getattr(optimizers, rule)(rate, **NUMBERS[rule]), args)


def furthest(left, right):
    return max(float(np.max(np.abs(left[name] - right[name]))) for name in ("W", "b"))


@pytest.mark.f64
@rules
def test_a_thousand_steps_agree_with_optax_and_with_the_reference(rule):
    args = run_of(rule)
    assert min(np.abs(args[name]).max(axis=0).min() for name in ("dW", "db")) < 1e-5
    ours = run_ours(rule, args)
    # 1e-9 is what is promised. The bound derived from the arithmetic is tighter, and ten thousand
    # times smaller than what the smallest gradients move their entries by.
    derived = {
        name: tolerance(path_errors(rule, args, name), np.float64, np.float64)
        for name in ("W", "b")
    }
    assert max(limit.max() for limit in derived.values()) < ALLOWED
    for name, limit in derived.items():
        assert np.all(np.abs(ours[name] - args[name]).max(axis=0) > 1e4 * limit.max(axis=0))
    for others in (run_optax(OPTAX[rule], args), run_reference(rule, args)):
        comparison = compare(ours, others, bound=derived)
        assert comparison.agrees, comparison


@pytest.mark.f64
def test_eps_inside_the_root_is_another_rule():
    args = run_of("rmsprop")
    inside = run_optax(lambda rate: optax.rmsprop(rate, decay=BETA, eps=EPS), args)
    ours = run_ours("rmsprop", args)
    assert furthest(ours, inside) > 0.1
    # Gradients of 1e-6 are far below √ε = 1e-4, those of 1 far above: only the small ones differ.
    scale = np.abs(args["dW"]).max(axis=0)
    apart = np.abs(ours["W"] - inside["W"]).max(axis=0)
    assert apart[scale < 1e-5].min() > 0.1
    assert np.all(apart[scale > 0.1] < 1e-4)


@pytest.mark.f64
def test_trace_momentum_takes_the_same_steps_with_a_smaller_rate_only_at_a_constant_one():
    args = run_of("momentum")

    def trace(rate):
        return optax.sgd(lambda count: (1 - BETA) * rate(count), momentum=BETA)

    # α is outside optax's trace, so scaling α(1−β) agrees under a schedule too.
    assert furthest(run_ours("momentum", args), run_optax(trace, args)) < ALLOWED

    # With α inside the velocity (keras, scikit-learn) it agrees at a constant rate only.
    def inside(rate):
        return optax.chain(
            optax.scale_by_learning_rate(lambda count: (1 - BETA) * rate(count)), optax.trace(BETA)
        )

    assert furthest(run_ours("momentum", args), run_optax(inside, args)) > 1e-4
    constant = {**args, "rates": np.full(STEPS, 0.01)}
    assert furthest(run_ours("momentum", constant), run_optax(inside, constant)) < ALLOWED
    # The same α without the factor is ten times as fast.
    bare = run_optax(lambda rate: optax.sgd(rate, momentum=BETA), args)
    assert furthest(run_ours("momentum", args), bare) > 0.1


@pytest.mark.f64
def test_adam_without_bias_correction_or_with_eps_hat_is_another_rule():
    args = run_of("adam")
    ours = run_ours("adam", args)
    assert furthest(ours, run_optax(_uncorrected_adam, args)) > 0.01
    # keras and scikit-learn: α√(1−β₂ᵗ)/(1−β₁ᵗ)·V/(√S + ε̂). Same for ε → 0, apart at 1e-6.
    hat = run_optax(lambda rate: _eps_hat_adam(rate, EPS), args)
    assert furthest(ours, hat) > 1e-3
    without = {**args, "eps": 1e-30}
    assert (
        furthest(
            run_optax(lambda rate: optimizers.adam(rate, b1=B1, b2=B2, eps=1e-30), without),
            run_optax(lambda rate: _eps_hat_adam(rate, 1e-30), without),
        )
        < ALLOWED
    )


def _adam_like(direction):
    def init(params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        return jnp.zeros((), int), zeros, zeros

    def update(updates, state, params=None):
        count, v, s = state
        v = jax.tree.map(lambda v, g: B1 * v + (1 - B1) * g, v, updates)
        s = jax.tree.map(lambda s, g: B2 * s + (1 - B2) * g**2, s, updates)
        updates = jax.tree.map(lambda v, s: direction(v, s, count), v, s)
        return updates, (count + 1, v, s)

    return optax.GradientTransformation(init, update)


def _uncorrected_adam(rate):
    return _adam_like(lambda v, s, count: -rate(count) * v / (jnp.sqrt(s) + EPS))


def _eps_hat_adam(rate, eps):
    def direction(v, s, count):
        t = (count + 1).astype(v.dtype)
        return -rate(count) * jnp.sqrt(1 - B2**t) / (1 - B1**t) * v / (jnp.sqrt(s) + eps)

    return _adam_like(direction)


@pytest.mark.f64
@rules
def test_the_first_step_is_known(rule):
    # Momentum has seen (1−β) of its gradient, RMSprop √(1−β) of its size, Adam all of both.
    first = {
        "gradient_descent": 1e-3,
        "momentum": (1 - BETA) * 1e-3,
        "rmsprop": 1e-3 / (np.sqrt(1 - BETA) * 1e-3 + EPS),
        "adam": 1e-3 / (1e-3 + EPS),
    }
    optimizer = getattr(optimizers, rule)(0.5, **NUMBERS[rule])
    updates, _ = optimizer.update(jnp.array([1e-3, -1e-3]), optimizer.init(jnp.zeros(2)))
    step = 0.5 * first[rule]
    np.testing.assert_allclose(updates, [-step, step], rtol=1e-12)


@rules
def test_ours_and_optaxs_stand_in_for_one_another(rule):
    params = {"w": jnp.full((3, 2), 0.5), "b": jnp.zeros(2)}
    grads = {"w": jnp.full((3, 2), 30.0), "b": jnp.full(2, 40.0)}
    for inner in (getattr(optimizers, rule)(0.1), OPTAX[rule](0.1)):
        chained = optax.chain(optax.clip_by_global_norm(1.0), inner)
        state = chained.init(params)
        updates, state = chained.update(grads, state, params)
        assert jax.tree.structure(optax.apply_updates(params, updates)) == jax.tree.structure(
            params
        )
    norm = np.sqrt(6 * 30.0**2 + 2 * 40.0**2)
    clipped = jax.tree.map(lambda g: g / norm, grads)
    ours = getattr(optimizers, rule)(0.1)
    direct, _ = ours.update(clipped, ours.init(params))
    chained = optax.chain(optax.clip_by_global_norm(1.0), ours)
    updates, _ = chained.update(grads, chained.init(params))
    for left, right in zip(jax.tree.leaves(direct), jax.tree.leaves(updates), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5)


@rules
def test_weights_and_biases_have_averages_of_their_own(rule):
    # Erratum 5: V_db from V_dW would need equal shapes, and would move b by W's gradient.
    optimizer = getattr(optimizers, rule)(0.1)
    params = {"w": jnp.zeros((2, 2)), "b": jnp.zeros(2)}
    grads = {"w": jnp.ones((2, 2)), "b": jnp.zeros(2)}
    state = optimizer.init(params)
    for _ in range(2):
        updates, state = optimizer.update(grads, state)
    assert not bool(jnp.any(updates["b"]))
    assert bool(jnp.all(updates["w"] != 0))


@rules
def test_nothing_is_changed_in_place_by_the_reference(rule):
    rng = np.random.default_rng(0)
    params = [(rng.normal(size=(3, 2)), rng.normal(size=(3, 1)))]
    grads = [(rng.normal(size=(3, 2)), rng.normal(size=(3, 1)))]
    state = getattr(reference, f"{rule}_init")(params)
    update = getattr(reference, f"{rule}_update")
    _, state = update(params, grads, state, learning_rate=0.1)
    before = [leaf.tobytes() for leaf in jax.tree.leaves((params, grads, state)) if np.ndim(leaf)]
    update(params, grads, state, learning_rate=0.1)
    after = [leaf.tobytes() for leaf in jax.tree.leaves((params, grads, state)) if np.ndim(leaf)]
    assert before == after


@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf")])
@rules
def test_learning_rates_that_make_no_sense_are_refused(rule, bad):
    with pytest.raises(ValueError, match="learning_rate: expected a finite number ≥ 0"):
        getattr(optimizers, rule)(bad)


@pytest.mark.parametrize(
    "make, name",
    [
        (lambda: optimizers.momentum(0.1, beta=1.0), "beta"),
        (lambda: optimizers.rmsprop(0.1, beta=-0.1), "beta"),
        (lambda: optimizers.rmsprop(0.1, eps=0.0), "eps"),
        (lambda: optimizers.adam(0.1, b1=1.0), "b1"),
        (lambda: optimizers.adam(0.1, b2=1.5), "b2"),
        (lambda: optimizers.adam(0.1, eps=-1e-8), "eps"),
    ],
)
def test_other_numbers_that_make_no_sense_are_refused(make, name):
    with pytest.raises(ValueError, match=f"{name}: expected"):
        make()


def test_a_new_learning_rate_compiles_nothing_new():
    traces = []

    @jax.jit
    def step(optimizer, params, grads):
        traces.append(None)
        return optimizer.update(grads, optimizer.init(params))[0]

    params = jnp.ones(3)
    updates = [
        step(optimizers.gradient_descent(jnp.asarray(rate)), params, params) for rate in (0.5, 0.25)
    ]
    assert len(traces) == 1
    assert [float(update[0]) for update in updates] == [-0.5, -0.25]
