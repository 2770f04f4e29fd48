"""Exponentially weighted averages."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from jaxnet.types import Scalar
from jaxnet.validation import check_count, check_decay, check_finite


def exponentially_weighted(
    theta: Real[Array, "steps *rest"], beta: Scalar, *, corrected: bool = False
) -> Float[Array, "steps *rest"]:
    """Exponentially weighted average of a series, along its first axis.

    V_t = β V_{t−1} + (1−β) θ_t,  V_0 = 0,  t = 1 … T
    corrected: V_t / (1−β^t), the weights divided by their sum

    theta: θ_1 … θ_T, shape (T, ...). beta: β in [0, 1), may be traced. corrected: remove the bias
    towards V_0 of the first steps. Returns V_1 … V_T (corrected or not), the shape of theta.
    Raises ValueError for an empty series, NaN in it, or a β outside [0, 1).

    V_t averages about 1/(1−β) steps: the weight of an observation that old is β^(1/(1−β)) times
    that of the newest, 0.349 for β = 0.9 (still above a third: erratum 9), and tends to 1/e as
    β → 1 (erratum 8). pandas' ewm(alpha=1−β) with adjust=True is the corrected average; with
    adjust=False it starts at V_1 = θ_1 and is neither.
    Source: notes §6, exponentially weighted averages (figs. 64–67).

    >>> exponentially_weighted(jnp.array([8.0, 8.0]), 0.5)
    Array([4., 6.], dtype=float32)
    >>> exponentially_weighted(jnp.array([8.0, 8.0]), 0.5, corrected=True)
    Array([8., 8.], dtype=float32)
    """
    theta = jnp.asarray(theta, jnp.result_type(theta, float))
    if theta.ndim == 0 or theta.shape[0] == 0:
        raise ValueError(f"theta: expected at least one step, got shape {theta.shape}")
    check_finite("theta", theta)
    check_decay("beta", beta)
    beta = jnp.asarray(beta, theta.dtype)

    def advance(carry, theta_t):
        v, weight = carry
        v = beta * v + (1 - beta) * theta_t
        # The average of ones is 1−β^t; summed up like this it does not cancel when β is near 1.
        weight = beta * weight + (1 - beta)
        return (v, weight), v / weight if corrected else v

    start = (jnp.zeros_like(theta[0]), jnp.zeros_like(beta))
    return jax.lax.scan(advance, start, theta)[1]


def weights(beta: Scalar, t: int) -> Float[Array, " t"]:
    """The weight of each observation in V_t: V_t = Σᵢ wᵢ θᵢ.

    w_i = (1−β) β^(t−i),  i = 1 … t

    beta: β in [0, 1), may be traced. t: number of observations, oldest first. Returns shape (t,);
    the sum is 1−β^t. Raises ValueError for a β outside [0, 1) or a t below 1.
    Source: notes §6, exponentially weighted averages (fig. 67).

    >>> weights(0.5, 3)
    Array([0.125, 0.25 , 0.5  ], dtype=float32)
    """
    check_decay("beta", beta)
    check_count("t", t)
    beta = jnp.asarray(beta, float)
    return (1 - beta) * beta ** jnp.arange(t - 1, -1, -1)
