"""Normalizing inputs: zero mean and unit variance, with the training set's μ and σ."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxnet.validation import check_finite


class Normalization(NamedTuple):
    """What was measured on the training set and is applied to every set."""

    mu: Float[Array, "*n"]
    sigma: Float[Array, "*n"]


def fit(x: Float[Array, "m *n"]) -> Normalization:
    """Mean and standard deviation of every feature of the training set.

    μ = (1/m) Σᵢ x⁽ⁱ⁾,  σ = √((1/m) Σᵢ (x⁽ⁱ⁾ − μ)²)

    x: training examples, one row each. Returns μ and σ of one row's shape. A constant feature has
    μ that constant and σ counted as 1, so it becomes 0 and never NaN (scikit-learn's choice too);
    a feature that varies so little that its squares underflow counts as 1 as well.
    Raises ValueError for no rows, NaN or infinite numbers.
    Source: notes §5, normalizing inputs (figs. 56, 57). They divide by σ² in places (erratum 4);
    the variance would then be 1/σ², not 1.

    >>> fit(jnp.array([[1.0, 7.0], [3.0, 7.0]]))
    Normalization(mu=Array([2., 7.], dtype=float32), sigma=Array([1., 1.], dtype=float32))
    """
    if x.ndim == 0 or x.shape[0] == 0:
        raise ValueError(f"x: expected at least one example, one row each, got shape {x.shape}")
    check_finite("x", x)
    # The mean of equal numbers may be off in its last place, which would leave a tiny σ of pure
    # rounding to divide by; so constants are recognised by comparison.
    constant = jnp.all(x == x[:1], axis=0)
    mu = jnp.where(constant, x[0], jnp.mean(x, axis=0))
    sigma = jnp.sqrt(jnp.mean(jnp.square(x - mu[None]), axis=0))
    return Normalization(mu, jnp.where(sigma > 0, sigma, 1))


def apply(normalization: Normalization, x: Float[Array, "m *n"]) -> Float[Array, "m *n"]:
    """Shift and scale with given μ and σ: (x − μ) / σ.

    normalization: of the training set, for the dev and the test set as well; a set normalized with
    statistics of its own is another input to the network, and a shift of it goes unseen.
    Raises ValueError when the rows of x are not of the shape that was fitted.
    Source: notes §5, normalizing inputs (figs. 56–58).

    >>> train = jnp.array([[1.0], [5.0]])
    >>> apply(fit(train), jnp.array([[1.0], [9.0]]))
    Array([[-1.],
           [ 3.]], dtype=float32)
    """
    mu, sigma = normalization
    if x.shape[1:] != mu.shape:
        raise ValueError(
            f"x: expected rows of the fitted shape {mu.shape}, got {x.shape[1:]} in {x.shape}"
        )
    return (x - mu[None]) / sigma[None]
