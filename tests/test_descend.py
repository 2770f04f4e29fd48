"""Descent on a plain function: the closed form, the whole path, any pytree, noise from a key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet import descend
from jaxnet.optimizers import adam, gradient_descent, momentum

H = np.array([[2.0, 0.5], [0.5, 1.0]])


def quadratic(w):
    return jnp.dot(w, jnp.dot(jnp.asarray(H, w.dtype), w)) / 2


@pytest.mark.f64
def test_path_is_the_closed_form():
    alpha, steps, start = 0.3, 20, np.array([1.0, -2.0])
    path = descend(quadratic, gradient_descent(alpha), jnp.array(start), steps=steps)
    expected = [np.linalg.matrix_power(np.eye(2) - alpha * H, t) @ start for t in range(steps + 1)]
    # Twenty contractions of three roundings each, on numbers of size 2.
    np.testing.assert_allclose(path.w, expected, rtol=0, atol=60 * 2 * np.finfo(float).eps)
    np.testing.assert_allclose(path.cost, [w @ H @ w / 2 for w in expected], atol=1e-13)


def test_both_ends_are_on_the_path():
    path = descend(quadratic, gradient_descent(0.1), jnp.array([1.0, -2.0]), steps=3)
    assert path.w.shape == (4, 2) and path.cost.shape == (4,)
    np.testing.assert_array_equal(path.w[0], [1.0, -2.0])
    # No closer than rounding: alone and inside the scan, XLA may fuse the cost differently.
    np.testing.assert_allclose(path.cost, jax.vmap(quadratic)(path.w), rtol=1e-6)


def test_any_pytree_and_any_optimizer():
    start = {"a": jnp.ones(3), "b": (jnp.ones((2, 2)), 1.0)}

    def cost(w):
        return jnp.sum(w["a"] ** 2) + jnp.sum(w["b"][0] ** 2) + w["b"][1] ** 2

    path = descend(cost, adam(0.1), start, steps=30)
    assert jax.tree.structure(path.w) == jax.tree.structure(start)
    assert [leaf.shape for leaf in jax.tree.leaves(path.w)] == [(31, 3), (31, 2, 2), (31,)]
    assert path.cost[-1] < 0.1 * path.cost[0]


def test_whole_numbers_become_floats():
    path = descend(lambda w: w**2, gradient_descent(0.25), 1, steps=2)
    np.testing.assert_array_equal(path.w, [1.0, 0.5, 0.25])


def test_noise_is_new_every_step_and_the_same_for_the_same_key():
    def noisy(w, key):
        return w * jax.random.normal(key)

    key = jax.random.key(0)
    path, again, other = (
        descend(noisy, gradient_descent(1.0), 0.0, steps=5, key=k)
        for k in (key, key, jax.random.key(1))
    )
    np.testing.assert_array_equal(path.w, again.w)
    assert not np.array_equal(path.w, other.w)
    assert len(set(np.diff(np.asarray(path.w)).tolist())) == 5


def test_maps_over_starts_and_learning_rates():
    starts = jnp.array([[1.0, -2.0], [0.5, 0.5], [-1.0, 3.0]])
    alphas = jnp.array([0.1, 0.2, 0.3])

    def run(w0, alpha):
        return descend(quadratic, momentum(alpha), w0, steps=10)

    together = jax.jit(jax.vmap(run))(starts, alphas)
    assert together.w.shape == (3, 11, 2)
    for index in range(3):
        alone = run(starts[index], alphas[index])
        # Ten steps of a contraction, a few roundings each, on numbers of size 3.
        np.testing.assert_allclose(together.w[index], alone.w, rtol=0, atol=1e-5)
