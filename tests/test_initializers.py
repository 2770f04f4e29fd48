"""Initial weights: second moments, independence, zero biases; the notes' misprint measured."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import initializers, mlp
from reference_numpy import initializers as reference

FAN_IN, FAN_OUT = 300, 200
COUNT = FAN_IN * FAN_OUT

# The mean square of n normal numbers of variance v has standard deviation v·√(2/n), here 0.58 %;
# five of them. Every wrong variance below is further away than that by far.
FIVE_SIGMA = 5 * np.sqrt(2 / COUNT)

SECOND_MOMENT = {
    "normal": 1.0,
    "xavier": 1 / FAN_IN,
    "he": 2 / FAN_IN,
    "glorot": 2 / (FAN_IN + FAN_OUT),
}


@pytest.mark.parametrize("name", SECOND_MOMENT)
def test_second_moment(name):
    w = initializers.INITIALIZERS[name](jax.random.key(3), FAN_IN, FAN_OUT)
    assert w.shape == (FAN_IN, FAN_OUT)
    assert float(jnp.mean(w**2)) == pytest.approx(SECOND_MOMENT[name], rel=FIVE_SIGMA)
    # The mean has standard deviation √(v/n).
    assert abs(float(jnp.mean(w))) < 5 * np.sqrt(SECOND_MOMENT[name] / COUNT)


@pytest.mark.parametrize("name", ["xavier", "he", "glorot"])
def test_second_moment_of_the_reference(name):
    ((W, b),) = reference.initialize(np.random.default_rng(3), (FAN_IN, FAN_OUT), name)
    assert W.shape == (FAN_OUT, FAN_IN)
    assert b.shape == (FAN_OUT, 1) and not b.any()
    assert np.mean(W**2) == pytest.approx(SECOND_MOMENT[name], rel=FIVE_SIGMA)


def test_normal_numbers_are_not_truncated():
    w = initializers.normal(jax.random.key(4), FAN_IN, FAN_OUT)
    # Beyond 2σ lie 4.55 % of a normal distribution, none of a truncated one.
    share = float(jnp.mean(jnp.abs(w) > 2))
    assert share == pytest.approx(0.0455, abs=5 * np.sqrt(0.0455 / COUNT))


def test_printed_glorot_gains_a_factor_n_out_per_layer():
    # Erratum 7: sqrt(2/n[l-1]*n[l]) is √(2 n_out/n_in), not √(2/(n_in + n_out)).
    printed = np.sqrt(2 / FAN_IN * FAN_OUT)
    right = np.sqrt(SECOND_MOMENT["glorot"])
    assert (printed / right) ** 2 == pytest.approx(FAN_OUT * (FAN_IN + FAN_OUT) / FAN_IN)
    w = initializers.glorot(jax.random.key(3), FAN_IN, FAN_OUT)
    assert float(jnp.mean(w**2)) < printed**2 / 100


def test_zeros_are_zero():
    assert not initializers.zeros(jax.random.key(0), 5, 4).any()


@pytest.mark.parametrize("name", ["normal", "xavier", "he", "glorot"])
def test_layers_of_equal_size_share_no_randomness(name):
    params, _ = mlp((40, 40, 40, 40), initializer=name).init(jax.random.key(0))
    flat = np.stack([np.ravel(layer.w) for layer in params])
    correlation = np.corrcoef(flat)[np.triu_indices(3, 1)]
    # Of independent normal numbers: standard deviation 1/√1600 = 0.025.
    assert np.all(np.abs(correlation) < 5 / 40)


def test_init_scale_multiplies_and_biases_are_zero():
    once, _ = mlp((5, 4, 3)).init(jax.random.key(0))
    hundredth, _ = mlp((5, 4, 3), init_scale=0.25).init(jax.random.key(0))
    for layer, small in zip(once, hundredth, strict=True):
        assert np.array_equal(small.w, layer.w / 4)
        assert not layer.b.any()


def test_equal_keys_give_equal_weights_and_other_keys_others():
    first = initializers.he(jax.random.key(0), 5, 4)
    assert np.array_equal(first, initializers.he(jax.random.key(0), 5, 4))
    assert not np.array_equal(first, initializers.he(jax.random.key(1), 5, 4))
