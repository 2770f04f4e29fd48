"""Numerical gradients along every coordinate, and the distance between two gradients."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Inexact

from jaxnet.types import Params, Scalar
from jaxnet.validation import check_count, check_positive


def default_eps(dtype: Any) -> float:
    """Step of two-sided differences that balances truncation ε² against rounding u/ε: u^(1/3).

    6e-6 in float64, where the notes take 1e-7; 5e-3 in float32.
    """
    return float(np.cbrt(float(jnp.finfo(dtype).eps)))


def _along_coordinates(
    quotient: Callable[[Array], Array], theta: Array, eps: Scalar, chunk: int
) -> Array:
    """The quotient at ε·e_k for every coordinate k, `chunk` of them at a time."""

    def one(k):
        # Built here, not taken from an identity matrix, so that memory is chunk × n and not n × n.
        return quotient(jnp.zeros_like(theta).at[k].set(eps))

    return jax.lax.map(one, jnp.arange(theta.size), batch_size=min(chunk, theta.size))


def _central(cost, chunk, params, eps):
    theta, unravel = ravel_pytree(params)

    def quotient(step):
        return (cost(unravel(theta + step)) - cost(unravel(theta - step))) / (2 * eps)

    return unravel(_along_coordinates(quotient, theta, eps, chunk))


def _one_sided(cost, chunk, params, eps):
    theta, unravel = ravel_pytree(params)
    here = cost(params)

    def quotient(step):
        return (cost(unravel(theta + step)) - here) / eps

    return unravel(_along_coordinates(quotient, theta, eps, chunk))


def _complex(cost, chunk, params, eps):
    theta, unravel_real = ravel_pytree(params)
    dtype = jnp.result_type(theta.dtype, jnp.complex64)
    _, unravel = ravel_pytree(jax.tree.map(lambda p: jnp.asarray(p, dtype), params))

    def quotient(step):
        return jnp.imag(cost(unravel(theta + 1j * step))) / eps

    return unravel_real(_along_coordinates(quotient, theta, eps, chunk))


_KEPT = {
    method: jax.jit(method, static_argnums=(0, 1)) for method in (_central, _one_sided, _complex)
}


def _differences(method, cost, params, eps, chunk: int) -> Params:
    """Run one of the three methods compiled.

    A cost that is itself jitted is compiled into the check once and remembered by its identity, as
    jit does. Any other is traced anew each time: it may close over data that changed meanwhile,
    and a check must never answer from an old program.
    """
    check_count("chunk", chunk)
    check_positive("eps", eps)
    check_cost(cost, params)
    if isinstance(cost, jax.stages.Wrapped):
        return _KEPT[method](cost, chunk, params, eps)
    return jax.jit(lambda params, eps: method(cost, chunk, params, eps))(params, eps)


def params_dtype(params: Params) -> np.dtype:
    leaves = jax.tree.leaves(params)
    if sum(jnp.size(leaf) for leaf in leaves) == 0:
        raise ValueError("params: expected at least one parameter, got none")
    dtype = jnp.result_type(*leaves)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"params: expected floating-point arrays, got {dtype}")
    return dtype


def check_cost(cost: Callable[[Params], Array], params: Params) -> None:
    params_dtype(params)
    shape = jax.eval_shape(cost, params).shape
    if shape != ():
        raise ValueError(f"cost: expected a function with a scalar value, got shape {shape}")


def central_differences(
    cost: Callable[[Params], Array],
    params: Params,
    *,
    eps: float | None = None,
    chunk: int = 64,
) -> Params:
    """Two-sided differences along every coordinate.

    dθᵢ ≈ (J(θ + ε eᵢ) − J(θ − ε eᵢ)) / 2ε, error O(ε²) + O(u/ε)

    cost: params ↦ scalar. eps: the step, by default u^(1/3) for the parameters' rounding unit u.
    chunk: coordinates at a time; memory is chunk forward passes.
    Returns a pytree like params. Raises ValueError for a cost that is not scalar, no parameters, a
    step that is not positive, or a chunk below 1; TypeError for parameters that are not floats.
    Source: notes §5, numerical approximation of gradients (fig. 60).

    >>> round(float(central_differences(lambda t: t**2, jnp.array(3.0))), 2)
    6.0
    """
    eps = default_eps(params_dtype(params)) if eps is None else eps
    return _differences(_central, cost, params, eps, chunk)


def one_sided_differences(
    cost: Callable[[Params], Array],
    params: Params,
    *,
    eps: float | None = None,
    chunk: int = 64,
) -> Params:
    """One-sided differences along every coordinate.

    dθᵢ ≈ (J(θ + ε eᵢ) − J(θ)) / ε, error O(ε) + O(u/ε)

    Arguments and errors as `central_differences`; the default step is u^(1/2).
    Source: notes §5, numerical approximation of gradients (fig. 60).
    """
    eps = float(np.sqrt(float(jnp.finfo(params_dtype(params)).eps))) if eps is None else eps
    return _differences(_one_sided, cost, params, eps, chunk)


def complex_step(
    cost: Callable[[Params], Array],
    params: Params,
    *,
    eps: float = 1e-20,
    chunk: int = 64,
) -> Params:
    """Derivatives of an analytic function by a step into the complex plane.

    dθᵢ ≈ Im J(θ + iε eᵢ) / ε, error O(ε²) and no subtraction, so ε may be as small as one likes

    Only for functions that are analytic where evaluated and written without abs, max or real:
    tanh and sigmoid networks, not ReLU. Arguments and errors as `central_differences`.
    Source: Squire and Trapp 1998.
    """
    return _differences(_complex, cost, params, eps, chunk)


def relative_distance(a: Inexact[Array, "n"], b: Inexact[Array, "n"]) -> Float[Array, ""]:
    """The notes' distance between two gradients.

    ‖a − b‖₂ / (‖a‖₂ + ‖b‖₂), and 0 when both are zero

    Between 0 and 1; 1 when one of them is zero and the other is not.
    Source: notes §5, gradient checking.

    >>> relative_distance(jnp.array([3.0]), jnp.array([1.0]))
    Array(0.5, dtype=float32)
    """
    # Scaled first, by a power of two, or the squares of small gradients would underflow to 0.
    largest = jnp.maximum(jnp.max(jnp.abs(a)), jnp.max(jnp.abs(b)))
    a, b = (jnp.ldexp(vector, -jnp.frexp(largest)[1]) for vector in (a, b))
    apart = jnp.linalg.norm(a - b)
    size = jnp.linalg.norm(a) + jnp.linalg.norm(b)
    return apart / jnp.where(size == 0, 1, size)
