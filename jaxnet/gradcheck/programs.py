"""The compiled programs of a check: a cost along coordinates and along random directions."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from jaxnet.gradcheck.examine import not_deterministic
from jaxnet.gradcheck.slopes import Values
from jaxnet.types import Params, PRNGKey

ENTRIES = 2**24
"""Parameters held at once along random directions: 128 MiB of float64."""


def coarsest(params: Params, cost: Callable[[Params], Array]) -> np.dtype:
    """The least precise of the dtypes of the parameters and of the cost."""
    dtypes = [jnp.result_type(leaf) for leaf in jax.tree.leaves(params)]
    value = jax.eval_shape(cost, params).dtype
    dtypes += [value] if jnp.issubdtype(value, jnp.floating) else []
    return max(dtypes, key=lambda dtype: float(jnp.finfo(dtype).eps))


def _map(one, over, chunk: int):
    # One at a time is not vmapped at all: some callbacks cannot be.
    return jax.lax.map(one, over, batch_size=None if chunk == 1 else chunk)


def _at_coordinates(cost, chunk, params, lines, places):
    theta, unravel = ravel_pytree(params)

    def one(at):
        k, place = at
        return cost(unravel(theta.at[k].set(place)))

    return _map(one, (lines, places), chunk)


def _at_directions(cost, chunk, params, vectors, t):
    theta, unravel = ravel_pytree(params)

    def one(line):
        v, t = line
        return cost(unravel(theta + t * v))

    return _map(one, (vectors, t), chunk)


def _forward_coordinates(cost, chunk, params, lines, places):
    theta, unravel = ravel_pytree(params)

    def one(at):
        k, _ = at
        unit = jnp.zeros_like(theta).at[k].set(1)
        return jax.jvp(lambda t: cost(unravel(t)), (theta,), (unit,))[1]

    return _map(one, (lines, places), chunk)


def _forward_directions(cost, chunk, params, vectors, t):
    theta, unravel = ravel_pytree(params)

    def one(line):
        v, _ = line
        return jax.jvp(lambda t: cost(unravel(t)), (theta,), (v,))[1]

    return _map(one, (vectors, t), chunk)


_KEPT = {
    program: jax.jit(program, static_argnums=(0, 1))
    for program in (_at_coordinates, _at_directions, _forward_coordinates, _forward_directions)
}


@partial(jax.jit, static_argnums=(0, 1))
def _directions(size, dtype, key, seeds, starts, stops):
    """Rows that are Gaussian in the coordinates start … stop − 1 and 0 elsewhere."""

    def one(seed, start, stop):
        v = jax.random.normal(jax.random.fold_in(key, seed), (size,), dtype)
        k = jnp.arange(size)
        return jnp.where((start <= k) & (k < stop), v, 0)

    return jax.vmap(one)(seeds, starts, stops)


def _compiled(program, cost, chunk: int):
    """A cost that is itself jitted is compiled into the check once, as jit does; any other anew.

    It may close over data that changed meanwhile, and a check must not answer from an old program.
    """
    if isinstance(cost, jax.stages.Wrapped):
        return partial(_KEPT[program], cost, chunk)
    return jax.jit(partial(program, cost, chunk))


def _in_blocks(run: Callable[..., Any], block: int, *columns: np.ndarray) -> np.ndarray:
    """Run on equal blocks, the last one filled up, so that one program serves every length."""
    results = []
    for start in range(0, len(columns[0]), block):
        part = [column[start : start + block] for column in columns]
        missing = block - len(part[0])
        filled = [np.concatenate([column, column[:1].repeat(missing, axis=0)]) for column in part]
        results.append((run(*filled), len(part[0])))
    return np.concatenate([np.asarray(found, float)[:count] for found, count in results])


def coordinate_values(cost, params: Params, chunk: int, dtype: np.dtype) -> tuple[Values, Any]:
    """f along every coordinate, and the forward derivative there: line k moves the k-th alone.

    dtype: the coarsest; displaced parameters are rounded to it.
    Returns `values` and a function lines ↦ derivatives.
    """
    theta = np.asarray(ravel_pytree(params)[0])
    # Few, so that the last block does not compute many for nothing.
    block = 2 * chunk
    at = _compiled(_at_coordinates, cost, chunk)
    forward = _compiled(_forward_coordinates, cost, chunk)

    def values(lines, t):
        exact = theta[lines].astype(float)
        places = np.where(t == 0, exact, (exact + t).astype(dtype).astype(float))
        places = places.astype(theta.dtype)
        found = _in_blocks(lambda k, x: at(params, k, x), block, lines, places)
        return found, places.astype(float) - exact

    def derivatives(lines):
        return _in_blocks(lambda k, x: forward(params, k, x), block, lines, theta[lines])

    return values, derivatives


def direction_values(cost, params: Params, key: PRNGKey, chunk: int) -> tuple[Any, Any, Any]:
    """f along random directions, the forward derivative there, and the directions themselves.

    A direction is a row (seed, start, stop): Gaussian in the coordinates start … stop − 1, else 0.
    Returns functions of such rows: (rows, displacements) ↦ (values, displacements), rows ↦
    derivatives, rows ↦ vectors one after the other.
    """
    theta = ravel_pytree(params)[0]
    chunk = max(1, min(chunk, 32, ENTRIES // theta.size))
    at = _compiled(_at_directions, cost, chunk)
    forward = _compiled(_forward_directions, cost, chunk)

    def made(*columns):
        return _directions(theta.size, theta.dtype, key, *columns)

    def each(run, rows, t):
        columns = [np.asarray(column, np.int32) for column in rows.T]
        return _in_blocks(
            lambda *block: run(params, made(*block[:3]), block[3]), chunk, *columns, t
        )

    def values(rows, t):
        t = t.astype(theta.dtype)
        return each(at, rows, t), t.astype(float)

    def derivatives(rows):
        return each(forward, rows, np.zeros(len(rows), theta.dtype))

    def vectors(rows):
        for row in rows.astype(np.int32):
            yield np.asarray(made(*row[:, None])[0], float)

    return values, derivatives, vectors


def check_deterministic(cost: Callable[[Params], Array], params: Params) -> None:
    """Refuse a cost that draws randomness in Python while it is traced.

    A compiled program has such a draw frozen into it and would answer twice the same. So the cost
    is traced twice; where the two programs differ in anything, both are run. (What draws when it
    runs is found by running one program twice: `examine.examine`.)
    """
    while isinstance(cost, jax.stages.Wrapped) and hasattr(cost, "__wrapped__"):
        # A jitted function would answer from its first trace.
        cost = getattr(cost, "__wrapped__")  # noqa: B009  (pyright does not know it)
    # A fresh lambda each, as tracing is remembered by function.
    traces = [jax.make_jaxpr(lambda p: cost(p))(params) for _ in range(2)]
    if _same(*traces):
        return
    leaves = jax.tree.leaves(params)
    one, other = (
        float(jax.jit(partial(jax.core.eval_jaxpr, trace.jaxpr, trace.consts))(*leaves)[0])
        for trace in traces
    )
    if one != other and not (np.isnan(one) and np.isnan(other)):
        raise not_deterministic(one, other)


def _same(one, other) -> bool:
    return (
        str(one.jaxpr) == str(other.jaxpr)
        and len(one.consts) == len(other.consts)
        and all(
            a is b or np.array_equal(np.asarray(a), np.asarray(b))
            for a, b in zip(one.consts, other.consts, strict=True)
        )
    )
