"""Low-gradient points of a small network, their full Hessians, and where training ends by width.

The network sees 100 digits of 4×4 pixels (means of 2×2 blocks), standardized; six tanh units make
it 172 parameters, few enough for the whole Hessian.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from jaxnet import Dataset, Model, Setup, make_train, mlp, optimizers
from jaxnet.data import datasets
from jaxnet.layers import Layer, dense
from jaxnet.losses import cost as mean_cost
from jaxnet.losses import softmax_cross_entropy
from jaxnet.training import descend

EXAMPLES, PIXELS, CLASSES = 100, 16, 10
NETWORK = mlp((PIXELS, 6, CLASSES), activation="tanh", initializer="xavier")

# Searches for low-gradient points start on the way of batch descent, after so many updates.
TAKEN = (0, 10, 50, 250)
SEARCH_STEPS, INNER_STEPS = 24, 12

WIDTHS = (1, 2, 4, 16)
EPOCHS = 400


def small_digits() -> Dataset:
    """The first 100 training digits, 4×4 pixels, standardized."""
    train = datasets.load("digits").train
    x = train.x.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, PIXELS)[:EXAMPLES]
    x = (x - x.mean(axis=0)[None]) / (x.std(axis=0)[None] + 0.1)
    return Dataset(x, train.y[:EXAMPLES])


def _gauss_newton(f: Any) -> optax.GradientTransformationExtraArgs:
    """Steps −(H² + μI)⁻¹ H∇f for the cost ½‖∇f‖², by conjugate gradients on products with H.

    μ is proportional to ‖∇f‖, which is √2 times the root of the cost.
    """

    def update(updates, state, params=None, *, value: Any = 0.0, **_):
        def product(v):
            return jax.jvp(jax.grad(f), (params,), (v,))[1]

        def damped_square(v):
            return product(product(v)) + 0.003 * jnp.sqrt(value) * v

        step, _ = jax.scipy.sparse.linalg.cg(damped_square, -updates, maxiter=INNER_STEPS, tol=0.0)
        return step * jnp.minimum(1, 1 / (jnp.linalg.norm(step) + 1e-12)), state

    return optax.GradientTransformationExtraArgs(lambda params: (), update)


def low_gradient_points(
    keys: jax.Array, data: Dataset, *, taken: tuple[int, ...]
) -> dict[str, Any]:
    """Cost, ‖∇J‖ at the start and end of the search, and all curvatures; (seeds, starts, ...).

    "curve" is the cost along the steepest negative and positive curvature from each point.
    """
    _, unravel = ravel_pytree(NETWORK.init(keys[0])[0])

    def J(w):
        logits, _ = NETWORK.apply(unravel(w), (), data.x)
        return mean_cost(softmax_cross_entropy(logits, data.y))

    def half_square(w):
        return jnp.square(jax.grad(J)(w)).sum() / 2

    def find(start):
        path = descend(half_square, _gauss_newton(J), start, steps=SEARCH_STEPS)
        best = jnp.argmin(path.cost)
        w = path.w[best]
        curvatures, directions = jnp.linalg.eigh(jax.hessian(J)(w))
        along = jnp.linspace(-1, 1, 41)[:, None]
        curve = jnp.stack([jax.vmap(J)(w + along * directions[:, side]) for side in (0, -1)])
        slopes = jnp.sqrt(2 * path.cost[jnp.array([0, best])])
        return {"cost": J(w), "slopes": slopes, "curvatures": curvatures, "curve": curve}

    def of_seed(key):
        w0, _ = ravel_pytree(NETWORK.init(key)[0])
        way = descend(J, optimizers.gradient_descent(0.5), w0, steps=max(taken)).w
        return jax.vmap(find)(way[jnp.array(taken)])

    return jax.vmap(of_seed)(keys)


def _of_width(width: Any) -> Model:
    """One hidden layer of which `width` units are in use; the others' weights are and stay zero."""
    whole = mlp((PIXELS, max(WIDTHS), CLASSES), activation="tanh", initializer="xavier")

    def init(key):
        used = jnp.arange(max(WIDTHS)) < width
        hidden, output = whole.init(key)[0]
        scale = jnp.sqrt(max(WIDTHS) / width)
        w = output.w * used[:, None] * scale
        return (Layer(hidden.w * used[None, :], hidden.b), Layer(w, output.b)), ()

    def apply(params, state, x, **_):
        hidden, output = params
        return dense(output, jnp.tanh(dense(hidden, x))), state

    return Model(init, apply)


def costs_by_width(keys: jax.Array, data: Dataset, *, epochs: int) -> jax.Array:
    """Training cost after so many updates of Adam on all examples, (widths, seeds)."""
    train = make_train(
        lambda width: Setup(_of_width(width), optimizers.adam(0.02)), batch_size=None, epochs=epochs
    )

    def one(member):
        width, key = member
        return train(key, width, data).history["cost"][-1, 0]

    # Mapped rather than vmapped: the program compiles much faster.
    members = jnp.repeat(jnp.array(WIDTHS), len(keys)), jnp.tile(keys, len(WIDTHS))
    return jax.lax.map(one, members).reshape(len(WIDTHS), len(keys))
