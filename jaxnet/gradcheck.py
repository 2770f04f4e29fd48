"""Numerical gradients, and checking a gradient against them.

Every coordinate is perturbed, in chunks that bound the memory: a check along one random direction
has accepted gradients that are zero everywhere.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.tree_util import tree_leaves_with_path
from jaxtyping import Array, Float, Inexact

from jaxnet.types import Params, Scalar
from jaxnet.validation import check_count, check_positive

CORRECT, WRONG = 1e-7, 1e-3
"""The notes' thresholds of the relative distance; between the two it is suspicious."""


class LeafCheck(NamedTuple):
    """How far one parameter array's gradient is from the differences, by the notes' distance."""

    name: str
    relative_distance: float


class GradientCheck(NamedTuple):
    """Outcome of a gradient check.

    relative_distance: over all coordinates together. verdict: "correct", "suspicious" or "wrong".
    worst: the coordinate of the largest absolute difference, with the gradient given there and the
    difference quotient. leaves: each parameter array by itself, in the order of the pytree; the
    array at fault stands out. coordinates: how many were perturbed (all). eps: the step used.
    correct_below: the distance up to which this floating-point type can call a gradient correct.
    """

    relative_distance: float
    verdict: str
    worst: str
    given: float
    differences: float
    leaves: tuple[LeafCheck, ...]
    coordinates: int
    eps: float
    correct_below: float


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
    _check_cost(cost, params)
    if isinstance(cost, jax.stages.Wrapped):
        return _KEPT[method](cost, chunk, params, eps)
    return jax.jit(lambda params, eps: method(cost, chunk, params, eps))(params, eps)


def _dtype(params: Params) -> np.dtype:
    leaves = jax.tree.leaves(params)
    if sum(jnp.size(leaf) for leaf in leaves) == 0:
        raise ValueError("params: expected at least one parameter, got none")
    dtype = jnp.result_type(*leaves)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"params: expected floating-point arrays, got {dtype}")
    return dtype


def _check_cost(cost: Callable[[Params], Array], params: Params) -> None:
    _dtype(params)
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
    eps = default_eps(_dtype(params)) if eps is None else eps
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
    eps = float(np.sqrt(float(jnp.finfo(_dtype(params)).eps))) if eps is None else eps
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


def _check_like(grads: Params, params: Params) -> None:
    theirs, ours = jax.tree.structure(grads), jax.tree.structure(params)
    if theirs != ours:
        raise ValueError(f"grads: expected the structure of params, {ours}, got {theirs}")
    for (path, grad), param in zip(
        tree_leaves_with_path(grads), jax.tree.leaves(params), strict=True
    ):
        if jnp.shape(grad) != jnp.shape(param):
            raise ValueError(
                f"grads{jax.tree_util.keystr(path)}: expected shape {jnp.shape(param)}, got "
                f"{jnp.shape(grad)}"
            )


def _flat(tree: Params) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def _place(names: list[str], shapes: list[tuple[int, ...]], at: int) -> str:
    """Name and index of the coordinate that stands at `at` when all arrays are laid end to end."""
    for name, shape in zip(names, shapes, strict=True):
        size = int(np.prod(shape))
        if at < size:
            index = [int(i) for i in np.unravel_index(at, shape)]
            return f"{name}{index or ''}"
        at -= size
    raise AssertionError("the coordinate lies beyond the last array")


def gradient_check(
    cost: Callable[[Params], Array],
    params: Params,
    *,
    grads: Params | None = None,
    eps: float | None = None,
    chunk: int = 64,
) -> GradientCheck:
    """Check a gradient against two-sided differences along every coordinate.

    ‖dθ_approx − dθ‖ / (‖dθ_approx‖ + ‖dθ‖): at most 1e-7 correct, from 1e-3 wrong, else suspicious

    cost: params ↦ scalar, the whole of it: with the penalty, and with dropout off or its key fixed.
    grads: the gradient to check, a pytree like params; by default jax.grad of cost.
    The thresholds are the notes' and suit float64. Differences of float32 cannot be trusted beyond
    about 10·u^(2/3) = 2e-4; there that is the limit of *correct* instead, and the result says so.
    Run under `jax.enable_x64(True)` with float64 parameters to see further.
    Kinks (ReLU at 0) make differences wrong, not the gradient: stay away from them.
    Returns a GradientCheck. Raises ValueError for gradients of another structure or shape, a cost
    that is not scalar, or values that are not finite.
    Source: notes §5, gradient checking.

    >>> check = gradient_check(lambda t: jnp.sum(t**2), jnp.array([1.0, -2.0]))
    >>> check.verdict, check.coordinates
    ('correct', 2)
    """
    dtype = _dtype(params)
    eps = default_eps(dtype) if eps is None else eps
    numeric = central_differences(cost, params, eps=eps, chunk=chunk)
    given = jax.grad(cost)(params) if grads is None else grads
    _check_like(given, params)
    flat_given, flat_numeric = (_flat(tree) for tree in (given, numeric))
    for name, values in (("grads", flat_given), ("cost", flat_numeric)):
        bad = int(np.sum(~np.isfinite(values)))
        if bad:
            raise ValueError(f"{name}: expected finite values, got {bad} NaN or infinite gradients")

    names = [jax.tree_util.keystr(path) or "params" for path, _ in tree_leaves_with_path(given)]
    pairs = list(zip(jax.tree.leaves(given), jax.tree.leaves(numeric), strict=True))
    distances = [float(relative_distance(jnp.ravel(a), jnp.ravel(b))) for a, b in pairs]
    distance = float(relative_distance(jnp.asarray(flat_given), jnp.asarray(flat_numeric)))
    correct_below = max(CORRECT, 10 * float(jnp.finfo(dtype).eps) ** (2 / 3))
    verdict = (
        "correct" if distance <= correct_below else "wrong" if distance >= WRONG else "suspicious"
    )
    at = int(np.argmax(np.abs(flat_given - flat_numeric)))
    return GradientCheck(
        relative_distance=distance,
        verdict=verdict,
        worst=_place(names, [jnp.shape(a) for a, _ in pairs], at),
        given=float(flat_given[at]),
        differences=float(flat_numeric[at]),
        leaves=tuple(map(LeafCheck, names, distances)),
        coordinates=flat_given.size,
        eps=float(eps),
        correct_below=correct_below,
    )
