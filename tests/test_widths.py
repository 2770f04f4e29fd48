"""A network with masked units is the smaller network: weights, outputs, gradients, training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import Dataset, Setup, fit, make_train, mlp, optimizers, regularizers, widths

FULL, NARROW = (5, 8, 6, 3), (4, 2)
SMALL = (5, *NARROW, 3)
X = jax.random.normal(jax.random.key(1), (7, 5))
Y = jnp.array([0, 1, 2, 0, 1, 2, 0])
ACTIVATIONS = ("relu", "tanh", "sigmoid", "leaky_relu")


def close(left, right, factor=64):
    """Equal up to the rounding of sums of at most 8 products, through three layers.

    Of the scale of all entries: under batch norm the gradient of b is a sum that cancels to zero.
    """
    assert jax.tree.structure(left) == jax.tree.structure(right)
    scale = max(np.abs(np.asarray(b)).max() for b in jax.tree.leaves(right))
    eps = np.finfo(np.float32).eps
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=factor * eps * scale)


def dead_part(params):
    """The same layers with the live units' entries set to zero."""
    sizes = (FULL[0], *NARROW, FULL[-1])
    for index, layer in enumerate(params):
        w, b = np.array(layer.w), np.array(layer.b)
        w[: sizes[index], : sizes[index + 1]] = 0
        b[: sizes[index + 1]] = 0
        yield w
        yield b


def pair(**options):
    return mlp(FULL, widths=NARROW, **options), mlp(SMALL, **options)


@pytest.mark.parametrize("scheme", ["zeros", "normal", "xavier", "he", "glorot"])
def test_initial_weights_are_those_of_the_smaller_network(scheme):
    masked, small = pair(initializer=scheme, batch_norm=True)
    params, state = masked.init(jax.random.key(0))
    cut = widths.narrow(params, state, NARROW)
    # √(2/n) is rounded in float64 there and in float32 here: one place.
    close(cut, small.init(jax.random.key(0)), factor=2)
    assert not any(leaf.any() for leaf in dead_part(params)), "a dead unit has weights"


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("keep_prob", [1.0, 0.6])
def test_outputs_and_gradients(activation, norm, keep_prob):
    masked, small = pair(activation=activation, batch_norm=norm, keep_prob=keep_prob)
    params, state = masked.init(jax.random.key(0))
    cut, cut_state = widths.narrow(params, state, NARROW)

    def outputs(model, state):
        return lambda p: model.apply(p, state, X, key=jax.random.key(3), train=True)

    # The cotangents differ from entry to entry, so a gradient in the wrong place is seen.
    towards = jnp.sin(jnp.arange(21.0)).reshape(7, 3)
    (left, left_state), pull = jax.vjp(outputs(masked, state), params)
    (right, right_state), pull_small = jax.vjp(outputs(small, cut_state), cut)
    close((left, widths.narrow(params, left_state, NARROW)[1]), (right, right_state))
    grads = pull((towards, jax.tree.map(jnp.zeros_like, left_state)))[0]
    grads_small = pull_small((towards, jax.tree.map(jnp.zeros_like, right_state)))[0]
    close(widths.narrow(grads, (), NARROW)[0], grads_small, factor=512)
    assert not any(leaf.any() for leaf in dead_part(grads)), "a dead unit has a gradient"


def test_training_is_that_of_the_smaller_network():
    data = Dataset(X, Y)

    def setup(**options):
        model = mlp(activation="tanh", keep_prob=0.8, batch_norm=True, **options)
        # Not Adam: its ratio m/√v would blow up the rounding in the gradient of b, which is zero.
        return Setup(model, optimizers.momentum(0.1), penalty=regularizers.l2(0.1, m=7))

    masked = make_train(lambda w: setup(layer_sizes=FULL, widths=w), batch_size=3, epochs=5)
    small = make_train(lambda _: setup(layer_sizes=SMALL), batch_size=3, epochs=5)
    left = jax.jit(masked)(jax.random.key(0), jnp.array(NARROW), data)
    right = jax.jit(small)(jax.random.key(0), None, data)
    cut = widths.narrow(left.params, left.state, NARROW)
    close(cut, (right.params, right.state), factor=512)  # 15 updates


def test_one_program_for_all_widths():
    traces = []

    @jax.jit
    def outputs(w):
        traces.append(w)
        model = mlp((5, 8, 3), widths=(w,))
        params, state = model.init(jax.random.key(0))
        return model.apply(params, state, X)[0]

    for width in (1, 5, 8):
        outputs(width)
    assert len(traces) == 1


def test_a_traced_width_out_of_range_is_not_a_number():
    init = jax.jit(lambda w: mlp((5, 8, 3), widths=(w,)).init(jax.random.key(0)))
    for width, fits in ((0, False), (1, True), (8, True), (9, False)):
        params, _ = init(width)
        assert bool(jnp.isfinite(params[0].w).all()) == fits


def test_fit_takes_a_masked_model():
    run = fit(
        mlp((5, 8, 3), widths=(3,)),
        Dataset(X, Y),
        optimizer=optimizers.adam(0.01),
        batch_size=7,
        epochs=2,
        key=jax.random.key(0),
    )
    assert np.count_nonzero(run.params[0].w) == 15


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((4,), r"widths: expected one for each of the 2 hidden layers, got 1"),
        ((4, 0), r"widths\[1\]: expected a whole number ≥ 1, got 0"),
        ((9, 2), r"widths\[0\]: expected at most the layer's 8 units, got 9"),
        ((2.5, 2), r"widths\[0\]: expected a whole number"),
    ],
)
def test_bad_widths(given, message):
    with pytest.raises(ValueError, match=message):
        mlp(FULL, widths=given)
