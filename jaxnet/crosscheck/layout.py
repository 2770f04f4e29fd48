"""Between the two layouts, in both directions. Nothing else in the project converts.

                  reference_numpy             jaxnet
    examples      X (n, m), columns           x (m, n), rows
    labels        Y one-hot (K, m)            y integers (m,)
    one target    Y (1, m)                    y (m,)
    per unit      b, γ, β (n, 1)              b, gamma, beta (n,)
    parameters    list of (W, b)              tuple of Layer(w, b)
                  W (n_out, n_in)             w (n_in, n_out)

Gradients have the layout of what they belong to, so the same functions take them. A conversion
never changes a number: towards NumPy the dtype is kept, and towards JAX a number that the dtype
asked for cannot hold raises an error instead of being rounded.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxnet.layers import Layer

Pairs = list[tuple[np.ndarray, np.ndarray]]


def to_jax(array: Any, dtype: Any = None) -> Array:
    """The same numbers as a JAX array of that dtype, by default the one JAX has for reals now.

    Raises ValueError when they are not the same afterwards: a float64 number that float32 must
    round, or float64 asked for while JAX runs with 32 bits.
    """
    given = np.asarray(array)
    dtype = jnp.result_type(float) if dtype is None else dtype
    held = given.astype(dtype)
    if not np.array_equal(held, given, equal_nan=given.dtype.kind in "fc"):
        raise ValueError(
            f"array: expected numbers that {np.dtype(dtype)} holds exactly, got others; round them "
            f"first, so that both sides start from the same numbers"
        )
    # JAX would warn and truncate; here the caller has asked for something that cannot be had.
    if np.dtype(dtype) == np.float64 and jnp.result_type(float) != np.float64:
        raise ValueError("dtype: float64 needs jax.enable_x64(True)")
    return jnp.asarray(held)


def _axes(name: str, array: Any, ndim: int) -> np.ndarray:
    array = np.asarray(array)
    if array.ndim != ndim:
        raise ValueError(f"{name}: expected {ndim} axes, got shape {array.shape}")
    return array


def columns(x: Any) -> np.ndarray:
    """x (m, n) of jaxnet as X (n, m); also w (n_in, n_out) as W (n_out, n_in)."""
    return _axes("x", x, 2).T.copy()


def rows(X: Any, dtype: Any = None) -> Array:
    """X (n, m) of the reference as x (m, n); also W (n_out, n_in) as w (n_in, n_out)."""
    return to_jax(_axes("X", X, 2).T, dtype)


def column(v: Any) -> np.ndarray:
    """A vector per unit (n,) of jaxnet as a column (n, 1)."""
    return _axes("v", v, 1)[:, None].copy()


def vector(V: Any, dtype: Any = None) -> Array:
    """A column per unit (n, 1) of the reference as a vector (n,)."""
    V = _axes("V", V, 2)
    if V.shape[1] != 1:
        raise ValueError(f"V: expected a column (n, 1), got shape {V.shape}")
    return to_jax(V[:, 0], dtype)


def target_row(y: Any) -> np.ndarray:
    """One target or output per example (m,) of jaxnet as a row (1, m)."""
    return _axes("y", y, 1)[None, :].copy()


def targets(Y: Any, dtype: Any = None) -> Array:
    """A row (1, m) of the reference as one target per example (m,)."""
    Y = _axes("Y", Y, 2)
    if Y.shape[0] != 1:
        raise ValueError(f"Y: expected a row (1, m), got shape {Y.shape}")
    return to_jax(Y[0], dtype)


def one_hot(labels: Any, classes: int) -> np.ndarray:
    """Integer labels (m,) in 0 … K−1 as one-hot columns (K, m)."""
    labels = _axes("labels", labels, 1)
    if labels.dtype.kind not in "iu" or np.any((labels < 0) | (labels >= classes)):
        raise ValueError(f"labels: expected integers in 0 … {classes - 1}, got {labels}")
    return (np.arange(classes)[:, None] == labels[None, :]).astype(np.float64)


def labels(Y: Any) -> Array:
    """One-hot columns (K, m) as integer labels (m,)."""
    Y = _axes("Y", Y, 2)
    if np.any((Y != 0) & (Y != 1)) or np.any(Y.sum(axis=0) != 1):
        raise ValueError("Y: expected exactly one 1 in each column and 0 elsewhere")
    return jnp.asarray(Y.argmax(axis=0))


def pairs(layers: Sequence[Layer]) -> Pairs:
    """A tuple of Layer(w, b) of jaxnet as a list of (W, b). Batch norm's γ and β: `column`.

    Raises ValueError for a layer with batch norm, whose parameters a pair has no place for.
    """
    for number, layer in enumerate(layers, start=1):
        if layer.norm is not None:
            raise ValueError(f"layer {number}: expected no batch norm, got {layer.norm}")
    return [(columns(layer.w), column(layer.b)) for layer in layers]


def layers(params: Sequence[tuple[Any, Any]], dtype: Any = None) -> tuple[Layer, ...]:
    """A list of (W, b) of the reference as a tuple of Layer(w, b)."""
    return tuple(Layer(rows(W, dtype), vector(b, dtype)) for W, b in params)
