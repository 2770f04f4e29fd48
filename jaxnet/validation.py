"""Checks of what the user passes in, made before any compute.

Every message names the argument, what was expected, what came, and what to do. Shapes and dtypes
are always checked; values only when they are concrete (inside jit, vmap and grad they are not).
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


def is_concrete(value: Any) -> bool:
    """Whether a value is known now: False for what jit, vmap or grad put in its place."""
    return not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(value))


def _in_range(name: str, value: Any, accept, expected: str) -> None:
    kind = getattr(getattr(value, "dtype", None), "kind", None) or np.asarray(value).dtype.kind
    if kind not in "iufV" or isinstance(value, str):  # V: bfloat16 and its like
        raise TypeError(f"{name}: expected {expected}, got {value!r}")
    if np.ndim(value) != 0:
        raise ValueError(f"{name}: expected {expected}, got an array of shape {np.shape(value)}")
    if is_concrete(value) and not accept(float(value)):
        raise ValueError(f"{name}: expected {expected}, got {value}")


def check_probability(name: str, value: Any) -> None:
    """Refuse anything outside (0, 1], in a sequence too; a keep_prob of 0 would divide by zero."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        for index, one in enumerate(value):
            check_probability(f"{name}[{index}]", one)
    elif np.ndim(value) == 1:
        check_probability(name, tuple(value))
    else:
        _in_range(name, value, lambda v: 0 < v <= 1, "a probability in (0, 1]")


def check_decay(name: str, value: Any) -> None:
    """Refuse a decay factor of an average (β, β₁, β₂) outside [0, 1)."""
    _in_range(name, value, lambda v: 0 <= v < 1, "a factor in [0, 1)")


def check_non_negative(name: str, value: Any) -> None:
    """Refuse negative, NaN and infinite numbers."""
    _in_range(name, value, lambda v: 0 <= v < np.inf, "a finite number ≥ 0")


def check_positive(name: str, value: Any) -> None:
    """Refuse zero, negative, NaN and infinite numbers."""
    _in_range(name, value, lambda v: 0 < v < np.inf, "a finite number > 0")


def check_learning_rate(name: str, value: Any) -> None:
    """Refuse what is neither a schedule nor a finite number ≥ 0."""
    if not callable(value):
        check_non_negative(name, value)


def check_batch_size(name: str, value: Any, m: int) -> None:
    """Refuse what is not a whole number from 1 to the number of examples."""
    check_count(name, value)
    if value > m:
        raise ValueError(
            f"{name}: expected at most the {m} examples, got {value}; use {m} for full-batch "
            f"descent"
        )


def check_flag(name: str, value: Any) -> None:
    """Refuse what is not a truth value; "no" would be true."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: expected True or False, got {value!r}")


def check_key(name: str, key: Any) -> None:
    """Refuse what is not a single random key of JAX."""
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    older = getattr(key, "dtype", None) == np.uint32 and np.shape(key) == (2,)
    if not ((typed and key.ndim == 0) or older):
        raise TypeError(f"{name}: expected a random key such as jax.random.key(0), got {key!r}")


def check_functions(name: str, value: Any, parts: Sequence[str], example: str) -> None:
    """Refuse what lacks one of the named functions, such as an optimizer without `update`."""
    if not all(callable(getattr(value, part, None)) for part in parts):
        raise TypeError(
            f"{name}: expected {example}, with functions {' and '.join(parts)}, got {value!r}"
        )


def check_count(name: str, value: Any, *, least: int = 1) -> None:
    """Refuse what is not a whole number of at least `least`."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(f"{name}: expected a whole number ≥ {least}, got {value!r}")


def check_choice(name: str, value: str, known: Iterable[str]) -> None:
    """Refuse a name that is not known; the message lists the known and the nearest."""
    known = sorted(known)
    if value in known:
        return
    near = get_close_matches(str(value), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}{hint}")


def check_fractions(name: str, fractions: Sequence[float]) -> None:
    """Refuse fractions that are not positive or do not sum to one."""
    parts = np.asarray(fractions, dtype=float)
    if parts.ndim != 1 or parts.size == 0 or not np.all(parts > 0):
        raise ValueError(f"{name}: expected positive fractions, got {fractions}")
    if abs(parts.sum() - 1) > 1e-9:
        raise ValueError(
            f"{name}: expected fractions that sum to 1, got {fractions}, which sum to "
            f"{parts.sum():.6g}"
        )


def check_finite(name: str, array: Any) -> None:
    """Refuse NaN and infinity; the message gives the number of them and the first place."""
    if not is_concrete(array):
        return
    values = np.asarray(array)
    if values.dtype.kind in "OSUcMm":
        raise TypeError(f"{name}: expected real numbers, got dtype {values.dtype}")
    bad = ~np.isfinite(values)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name}: expected finite numbers, got {int(bad.sum())} NaN or infinite, the first at "
            f"index {where}; drop or impute those examples"
        )


def check_features(name: str, x: Any, n_in: int | None = None) -> None:
    """Refuse what is not a non-empty finite real array (batch, n_in); (batch, …) without n_in."""
    shape = np.shape(x)
    width = "n_in" if n_in is None else str(n_in)
    if len(shape) < 2 or (n_in is not None and len(shape) > 2):
        raise ValueError(
            f"{name}: expected shape (batch, {width}), one row an example, got {shape}"
        )
    if 0 in shape:
        raise ValueError(f"{name}: expected at least one example and one feature, got {shape}")
    if n_in is not None and shape[1] != n_in:
        raise ValueError(
            f"{name}: expected shape (batch, {n_in}) for a model of {n_in} inputs, got {shape}"
        )
    kind = np.dtype(getattr(x, "dtype", None) or np.asarray(x).dtype).kind
    # ml_dtypes' bfloat16 is of kind "V" to NumPy, and is as real as the others.
    if kind in "OSUcMm":
        raise TypeError(f"{name}: expected real numbers, got dtype {np.asarray(x).dtype}")
    check_finite(name, x)


def check_targets(name: str, y: Any, m: int) -> None:
    """Refuse targets that do not have one entry (or one row) for each of the m examples."""
    shape = np.shape(y)
    if len(shape) == 0 or shape[0] != m:
        raise ValueError(f"{name}: expected {m} targets, one for each row of x, got shape {shape}")
    if len(shape) == 2 and shape[1] == 1:
        raise ValueError(
            f"{name}: expected shape ({m},), got {shape}; drop the second axis with y[:, 0]"
        )
    check_finite(name, y)


def check_labels(name: str, y: Any, classes: int) -> None:
    """Refuse labels that are not integers of shape (m,) in 0 … classes − 1."""
    dtype = np.dtype(getattr(y, "dtype", None) or np.asarray(y).dtype)
    if dtype.kind not in "iu":
        raise TypeError(
            f"{name}: expected integer labels 0 … {classes - 1}, got dtype {dtype}; convert with "
            f"y.astype(int)"
        )
    if len(np.shape(y)) != 1:
        raise ValueError(
            f"{name}: expected labels of shape (m,), got {np.shape(y)}; one-hot rows become labels "
            f"with y.argmax(1)"
        )
    if not is_concrete(y):
        return
    values = np.asarray(y)
    outside = (values < 0) | (values >= classes)
    if outside.any():
        where = int(np.argmax(outside))
        raise ValueError(
            f"{name}: expected labels 0 … {classes - 1} for {classes} classes, got "
            f"{values[where]} at index {where} ({int(outside.sum())} such labels)"
        )


def check_binary_labels(name: str, y: Any) -> None:
    """Refuse labels that are not integers, all 0 or 1."""
    dtype = np.dtype(getattr(y, "dtype", None) or np.asarray(y).dtype)
    if dtype.kind not in "iu":
        raise TypeError(
            f"{name}: expected integer labels 0 or 1 for one output unit, got dtype {dtype}; "
            f"convert with y.astype(int)"
        )
    if not is_concrete(y):
        return
    values = np.asarray(y)
    outside = (values != 0) & (values != 1)
    if outside.any():
        where = int(np.argmax(outside))
        raise ValueError(
            f"{name}: expected labels 0 or 1 for one output unit, got {values[where]} at index "
            f"{where} ({int(outside.sum())} such labels)"
        )
