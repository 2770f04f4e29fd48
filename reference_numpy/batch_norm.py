"""Batch normalisation of Z, one mean and variance per unit (notes: the last heading, empty there).

Columns are examples: Z (n, m), gamma and beta (n, 1), statistics (n, 1).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference_numpy._arrays import Array, array, require, require_matrix, require_shape


class Cache(NamedTuple):
    """What the backward pass needs, and what `update_running` takes.

    Z_hat: normalised Z (n, m). gamma: γ (n, 1). mu, var: mean and biased variance of the batch
    (n, 1). eps: ε.
    """

    Z_hat: Array
    gamma: Array
    mu: Array
    var: Array
    eps: float


def forward(
    Z: ArrayLike, gamma: ArrayLike, beta: ArrayLike, eps: float = 1e-5
) -> tuple[Array, Cache]:
    """Batch norm with the statistics of the batch, as in training.

    μ = (1/m) Σᵢ z⁽ⁱ⁾,  σ² = (1/m) Σᵢ (z⁽ⁱ⁾ − μ)²

    ẑ = (z − μ) / √(σ² + ε),  z̃ = γ ẑ + β

    The variance is taken of the centred values, so that a large common offset does not cancel it.

    Z: (n, m). gamma, beta: γ, β (n, 1). eps: ε > 0. Returns Z̃ (n, m) and a Cache.
    Raises ValueError for other shapes or ε that is not positive.
    Source: Ioffe and Szegedy 2015, algorithm 1.

    >>> Z_tilde, cache = forward([[1.0, 3.0]], [[2.0]], [[5.0]], eps=1e-12)
    >>> Z_tilde.round(6), cache.mu, cache.var
    (array([[3., 7.]]), array([[2.]]), array([[1.]]))
    """
    Z, gamma, beta = array(Z), array(gamma), array(beta)
    _require_units(Z, eps, gamma=gamma, beta=beta)
    m = Z.shape[1]
    mu = np.sum(Z, axis=1, keepdims=True) / m
    var = np.sum((Z - mu) ** 2, axis=1, keepdims=True) / m
    Z_hat = (Z - mu) / np.sqrt(var + eps)
    Z_tilde = gamma * Z_hat + beta
    return Z_tilde, Cache(Z_hat, gamma, mu, var, eps)


def backward(dZ_tilde: ArrayLike, cache: Cache) -> tuple[Array, Array, Array]:
    """Backward pass of `forward`, through the mean and the variance.

    dγ = Σᵢ dz̃⁽ⁱ⁾ ẑ⁽ⁱ⁾,  dβ = Σᵢ dz̃⁽ⁱ⁾,  dẑ = γ dz̃

    dz = (dẑ − (1/m) Σᵢ dẑ⁽ⁱ⁾ − ẑ (1/m) Σᵢ dẑ⁽ⁱ⁾ ẑ⁽ⁱ⁾) / √(σ² + ε)

    The results are derivatives of whatever dZ_tilde is a derivative of; no factor 1/m is put in.

    dZ_tilde: (n, m). cache: from `forward`. Returns dZ (n, m), dgamma (n, 1) and dbeta (n, 1).
    Raises ValueError for another shape.
    Source: Ioffe and Szegedy 2015, section 3, with the sums collected.

    >>> _, cache = forward([[1.0, 3.0, 8.0]], [[2.0]], [[5.0]])
    >>> dZ, dgamma, dbeta = backward([[1.0, 0.0, 0.0]], cache)
    >>> bool(abs(dZ.sum()) < 1e-12), dbeta
    (True, array([[1.]]))
    """
    dZ_tilde = array(dZ_tilde)
    Z_hat, gamma, _, var, eps = cache
    require_shape("dZ_tilde", dZ_tilde, Z_hat.shape)
    m = Z_hat.shape[1]
    dgamma = np.sum(dZ_tilde * Z_hat, axis=1, keepdims=True)
    dbeta = np.sum(dZ_tilde, axis=1, keepdims=True)
    dZ_hat = gamma * dZ_tilde
    through_mu = np.sum(dZ_hat, axis=1, keepdims=True) / m
    through_var = Z_hat * np.sum(dZ_hat * Z_hat, axis=1, keepdims=True) / m
    dZ = (dZ_hat - through_mu - through_var) / np.sqrt(var + eps)
    return dZ, dgamma, dbeta


def evaluate(
    Z: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    mean: ArrayLike,
    var: ArrayLike,
    eps: float = 1e-5,
) -> Array:
    """Batch norm with the running statistics, as at evaluation; a batch of one is fine.

    z̃ = γ (z − μ) / √(σ² + ε) + β

    Z: (n, m). gamma, beta: γ, β (n, 1). mean, var: running μ, σ² (n, 1). eps: ε > 0.
    Returns Z̃ (n, m). Raises ValueError for other shapes, a negative variance or ε not positive.
    Source: Ioffe and Szegedy 2015, algorithm 2.

    >>> evaluate([[3.0]], [[2.0]], [[5.0]], [[2.0]], [[1.0]], eps=1e-12).round(6)
    array([[7.]])
    """
    Z, gamma, beta, mean, var = map(array, (Z, gamma, beta, mean, var))
    _require_units(Z, eps, gamma=gamma, beta=beta, mean=mean, var=var)
    require(np.all(np.real(var) >= 0), "var", "variances ≥ 0", var)
    return gamma * (Z - mean) / np.sqrt(var + eps) + beta


def update_running(
    mean: ArrayLike, var: ArrayLike, batch_mean: ArrayLike, batch_var: ArrayLike, decay=0.99
) -> tuple[Array, Array]:
    """Running statistics after one more batch: an exponentially weighted average.

    μ := decay · μ + (1 − decay) · μ_batch,  σ² := decay · σ² + (1 − decay) · σ²_batch

    The batch variance is the biased one, divided by m, as in Flax and Keras. PyTorch averages
    m/(m − 1) times it, and calls 1 − decay the momentum.

    mean, var: running statistics (n, 1), usually 0 and 1 at the start. batch_mean, batch_var: mu
    and var of the Cache, (n, 1). decay: in [0, 1]. Returns the new mean and var (n, 1).
    Raises ValueError for shapes that differ or a decay outside [0, 1].
    Source: Ioffe and Szegedy 2015, section 3.1.

    >>> update_running([[0.0]], [[1.0]], [[2.0]], [[3.0]], decay=0.5)
    (array([[1.]]), array([[2.]]))
    """
    mean, var, batch_mean, batch_var = map(array, (mean, var, batch_mean, batch_var))
    require(0 <= decay <= 1, "decay", "a number in [0, 1]", decay)
    for name, values in {"var": var, "batch_mean": batch_mean, "batch_var": batch_var}.items():
        require_shape(name, values, mean.shape)
    mean = decay * mean + (1 - decay) * batch_mean
    var = decay * var + (1 - decay) * batch_var
    return mean, var


def _require_units(Z, eps, **per_unit):
    require_matrix("Z", Z)
    require(eps > 0, "eps", "a positive number", eps)
    for name, values in per_unit.items():
        require_shape(name, values, (Z.shape[0], 1))
