"""Models: the equations, the shapes, dropout and batch norm in their places, errors by layer."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet import layers, models
from jaxnet.crosscheck import layout
from jaxnet.layers import Layer
from jaxnet.training.static import split_static
from reference_numpy import mlp as reference

KEY = jax.random.key(3)
SIZES = (5, 4, 3)


def inputs(m=7, n=5):
    return jax.random.normal(jax.random.key(17), (m, n))


def random_biases(params):
    """Biases start at zero, where a mistake with them would not show."""
    keys = jax.random.split(jax.random.key(5), len(params))
    return tuple(
        layer._replace(b=jax.random.normal(key, layer.b.shape))
        for layer, key in zip(params, keys, strict=True)
    )


@pytest.mark.parametrize("sizes", [(5, 3), (5, 4, 3), (5, 6, 4, 3)])
def test_parameters_have_the_stated_shapes_and_biases_start_at_zero(sizes):
    params, state = jax.eval_shape(jaxnet.mlp(sizes).init, KEY)
    shapes = [(layer.w.shape, layer.b.shape) for layer in params]
    assert shapes == [((a, b), (b,)) for a, b in pairwise(sizes)]
    assert state == ()
    drawn, _ = jaxnet.mlp(sizes).init(KEY)
    assert all(not layer.b.any() and layer.w.any() for layer in drawn)


@pytest.mark.parametrize(("outputs", "shape"), [(1, (7,)), (2, (7, 2)), (3, (7, 3))])
def test_one_output_unit_gives_a_vector_and_several_a_matrix(outputs, shape):
    model = jaxnet.mlp((5, 4, outputs))
    params, state = jax.eval_shape(model.init, KEY)
    assert jax.eval_shape(model.apply, params, state, inputs())[0].shape == shape


@pytest.mark.f64
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "leaky_relu", "linear"])
def test_forward_is_the_equations_layer_by_layer(activation):
    model = jaxnet.mlp((5, 6, 4, 3), activation=activation)
    params = random_biases(model.init(KEY)[0])
    x = inputs()
    forward = jax.jit(lambda p, x: models.forward_pass(p, (), x, activation=activation))(params, x)
    pairs = layout.pairs(params)
    output, caches = reference.forward(pairs, layout.columns(x), hidden=activation, output="linear")

    # Three layers of at most 6 products, a bias and one function of a few ulp: 3·(6 + 1 + 8) units
    # of rounding on each side, relative to what the absolute terms add up to.
    terms = np.abs(layout.columns(x))
    for (W, b), cache, Z in zip(pairs, caches, forward.zs, strict=True):
        terms = np.abs(W) @ np.maximum(terms, 1) + np.abs(b)
        assert np.all(np.abs(np.asarray(Z).T - cache.Z) <= 45 * np.finfo(float).eps * terms)
    np.testing.assert_array_equal(forward.activations[0], x)
    for A, cache in zip(forward.activations[1:], caches[1:], strict=True):
        np.testing.assert_allclose(A, cache.A_prev.T, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(model.apply(params, (), x)[0].shape, output.T.shape)
    np.testing.assert_allclose(model.apply(params, (), x)[0], output.T, rtol=0, atol=1e-13)


def test_hidden_activation_may_be_a_function():
    params, _ = jaxnet.mlp(SIZES).init(KEY)
    doubled = models.forward_pass(params, (), inputs(), activation=lambda z: 2 * z)
    plain = models.forward_pass(params, (), inputs(), activation="linear")
    np.testing.assert_allclose(doubled.zs[-1], 2 * plain.zs[-1], rtol=1e-5)


def test_initial_weights_follow_key_scheme_and_scale():
    drawn = jaxnet.mlp((5, 5, 5)).init(KEY)[0]
    again = jaxnet.mlp((5, 5, 5)).init(KEY)[0]
    np.testing.assert_array_equal(drawn[0].w, again[0].w)
    assert not np.array_equal(drawn[0].w, drawn[1].w)  # layers draw from keys of their own
    assert not np.array_equal(drawn[0].w, jaxnet.mlp((5, 5, 5)).init(jax.random.key(4))[0][0].w)
    small = jaxnet.mlp((5, 5, 5), init_scale=0.25).init(KEY)[0]
    np.testing.assert_array_equal(small[1].w, 0.25 * drawn[1].w)
    xavier = jaxnet.mlp((5, 5, 5), initializer="xavier").init(KEY)[0]
    np.testing.assert_allclose(np.sqrt(2) * xavier[0].w, drawn[0].w, rtol=1e-6)


def test_logistic_regression_starts_from_zero_and_has_one_unit():
    model = jaxnet.logistic_regression(5)
    params, state = model.init(KEY)
    assert [leaf.shape for leaf in jax.tree.leaves(params)] == [(5, 1), (1,)]
    assert not any(leaf.any() for leaf in jax.tree.leaves(params))
    w = jnp.arange(5.0)[:, None]
    logits, _ = model.apply((Layer(w, jnp.array([0.5])),), state, inputs())
    np.testing.assert_allclose(logits, (inputs() @ w)[:, 0] + 0.5, rtol=1e-6)


def test_dropout_is_off_at_evaluation_and_needs_no_key_there():
    whole, dropped = jaxnet.mlp(SIZES), jaxnet.mlp(SIZES, keep_prob=0.5)
    params, state = whole.init(KEY)
    np.testing.assert_array_equal(
        dropped.apply(params, state, inputs())[0], whole.apply(params, state, inputs())[0]
    )


def test_dropout_in_training_follows_the_key_and_asks_for_one():
    model = jaxnet.mlp((5, 40, 3), keep_prob=0.5)
    params, state = model.init(KEY)
    one, two = jax.random.split(KEY)

    def out(key):
        return model.apply(params, state, inputs(), key=key, train=True)[0]

    np.testing.assert_array_equal(out(one), out(one))
    assert not np.array_equal(out(one), out(two))
    with pytest.raises(ValueError, match="key"):
        model.apply(params, state, inputs(), train=True)


def test_dropout_falls_on_hidden_activations_by_their_own_probabilities():
    params, _ = jaxnet.mlp((5, 60, 60, 3), activation="linear").init(KEY)
    x = jnp.ones((40, 5))
    forward = models.forward_pass(
        params, (), x, activation="linear", keep_prob=(0.9, 0.4), key=KEY, train=True
    )
    np.testing.assert_array_equal(forward.activations[0], x)  # the inputs are whole
    masks = [np.asarray(A) != 0 for A in forward.activations[1:]]
    assert np.any(masks[1] & ~masks[0])  # draws of their own: one does not contain the other
    for A, z, kept, keep in zip(
        forward.activations[1:], forward.zs[:-1], masks, (0.9, 0.4), strict=True
    ):
        np.testing.assert_allclose(np.asarray(A)[kept], np.asarray(z)[kept] / keep, rtol=1e-6)
        # 5 standard deviations of a share of 2,000 or more: a wrong probability is 20 away.
        assert abs(kept.mean() - keep) < 5 * np.sqrt(keep * (1 - keep) / kept.size)
    assert np.all(np.asarray(forward.zs[-1]) != 0)  # and so are the outputs


def test_keeping_every_unit_is_no_dropout_at_all():
    for keep in (1.0, 1, (1.0,), np.float32(1)):
        model = jaxnet.mlp(SIZES, keep_prob=keep)
        params, state = model.init(KEY)
        model.apply(params, state, inputs(), train=True)  # without a key


def test_a_model_without_hidden_layers_drops_nothing():
    model = jaxnet.mlp((5, 3), keep_prob=0.5)
    params, state = model.init(KEY)
    np.testing.assert_array_equal(
        model.apply(params, state, inputs(), key=KEY, train=True)[0],
        model.apply(params, state, inputs())[0],
    )


def test_batch_norm_sits_on_hidden_layers_and_records_only_in_training():
    model = jaxnet.mlp((5, 4, 6, 3), batch_norm=True)
    params, state = model.init(KEY)
    assert [layer.norm is None for layer in params] == [False, False, True]
    assert [one.mean.shape for one in state] == [(4,), (6,)]
    _, after = model.apply(params, state, inputs(), train=True)
    _, untouched = model.apply(params, state, inputs())
    z = inputs() @ params[0].w
    np.testing.assert_allclose(after[0].mean, 0.01 * z.mean(axis=0), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(after[0].var, 0.99 + 0.01 * z.var(axis=0), rtol=1e-5)
    for one, other in zip(jax.tree.leaves(state), jax.tree.leaves(untouched), strict=True):
        np.testing.assert_array_equal(one, other)


def test_batch_norm_uses_the_batch_in_training_and_the_record_at_evaluation():
    model = jaxnet.mlp((5, 4, 3), batch_norm=True)
    params, state = model.init(KEY)
    z = models.forward_pass(params, state, inputs(), train=True).zs[0]
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(z.var(axis=0), 1, rtol=1e-3)  # 1 but for ε
    alone = model.apply(params, state, inputs()[:1])[0]
    together = model.apply(params, state, inputs())[0][:1]
    np.testing.assert_allclose(alone, together, rtol=1e-5)


def test_bias_before_batch_norm_has_no_effect():
    model = jaxnet.mlp(SIZES, batch_norm=True)
    params, state = model.init(KEY)
    shifted = (params[0]._replace(b=params[0].b + 3), *params[1:])
    outputs = [model.apply(p, state, inputs(), train=True)[0] for p in (params, shifted)]
    np.testing.assert_allclose(*outputs, atol=1e-5)


@pytest.mark.f64
def test_gradient_of_the_offsets_is_dz():
    """dW[l] = A[l−1]ᵀ dZ[l] and db[l] = Σ dZ[l], with dZ from the offsets and dW from jax.grad."""
    params = random_biases(jaxnet.mlp((5, 4, 6, 3), activation="tanh").init(KEY)[0])
    x = inputs()
    zeros = [jnp.zeros((7, layer.w.shape[1])) for layer in params]

    def cost(params, offsets):
        forward = models.forward_pass(params, (), x, activation="tanh", offsets=offsets)
        return jnp.sum(jnp.square(forward.zs[-1])), forward.activations

    (grads, dz), activations = jax.jit(jax.grad(cost, argnums=(0, 1), has_aux=True))(params, zeros)
    for layer, dZ, A in zip(grads, dz, activations, strict=True):
        np.testing.assert_allclose(layer.w, A.T @ dZ, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(layer.b, dZ.sum(axis=0), rtol=1e-12, atol=1e-12)


def test_equal_models_share_one_program():
    one, two = jaxnet.mlp(SIZES, keep_prob=0.5), jaxnet.mlp([5, 4, 3], keep_prob=0.9)
    assert split_static(one)[1] == split_static(two)[1]
    assert hash(split_static(one)[1]) == hash(split_static(two)[1])
    for other in (jaxnet.mlp((5, 4, 2)), jaxnet.mlp(SIZES), jaxnet.mlp(SIZES, activation="tanh")):
        assert split_static(one)[1] != split_static(other)[1]


def test_scalars_of_a_model_may_be_traced():
    @jax.jit
    def out(scale, keep_prob):
        model = jaxnet.mlp(SIZES, init_scale=scale, keep_prob=keep_prob)
        params, state = model.init(KEY)
        return params[0].w, model.apply(params, state, inputs(), key=KEY, train=True)[0]

    w, dropped = out(0.5, 0.5)
    np.testing.assert_allclose(w, 0.5 * jaxnet.mlp(SIZES).init(KEY)[0][0].w, rtol=1e-6)
    _, whole = out(0.5, 1.0)
    assert not np.array_equal(dropped, whole)


def test_shapes_that_do_not_fit_name_the_layer():
    params, _ = jaxnet.mlp((5, 4, 6, 3)).init(KEY)
    swapped = (params[0], params[2], params[1])
    with pytest.raises(ValueError, match=r"layer 2: expected 6 columns .*\(6, 3\), got 4 from"):
        models.forward_pass(swapped, (), inputs())
    wrong = (params[0]._replace(b=jnp.zeros(5)), *params[1:])
    with pytest.raises(ValueError, match=r"layer 1: expected b of shape \(4,\), got \(5,\)"):
        models.forward_pass(wrong, (), inputs())


def test_flat_size_counts_every_number():
    params, _ = jax.eval_shape(jaxnet.mlp(SIZES, batch_norm=True).init, KEY)
    assert models.flat_size(params) == (5 * 4 + 4) + (4 + 4) + (4 * 3 + 3)


def test_layer_and_its_norm_are_plain_pytrees():
    layer = Layer(jnp.ones((5, 4)), jnp.ones(4), layers.BatchNormParams(jnp.ones(4), jnp.ones(4)))
    assert [leaf.shape for leaf in jax.tree.leaves(layer)] == [(5, 4), (4,), (4,), (4,)]


def test_keep_prob_may_be_an_array_with_one_for_each_layer():
    x = jnp.ones((200, 2))
    params, state = jaxnet.mlp((2, 3, 3, 2), initializer="normal").init(jax.random.key(0))
    key = jax.random.key(1)
    one_by_one, array = (
        models.forward_pass(params, state, x, keep_prob=keep, key=key, train=True).zs[-1]
        for keep in ((0.5, 1.0), jnp.array([0.5, 1.0]))
    )
    np.testing.assert_array_equal(array, one_by_one)
    with pytest.raises(ValueError, match="keep_prob: expected one number or one for each of the 2"):
        jaxnet.mlp((2, 3, 3, 2), keep_prob=jnp.array([0.5, 1.0, 1.0]))
