"""What every file of the reference shares: float64 arrays and one form of refusal."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Params = list[tuple[Array, Array]]


def array(values: ArrayLike) -> Array:
    """The values as float64, or as complex128 where they are complex (for the complex step).

    >>> array([1, 2]).dtype
    dtype('float64')
    """
    values = np.asarray(values)
    return values.astype(np.complex128 if np.iscomplexobj(values) else np.float64, copy=False)


def require(condition: Any, name: str, expected: str, got: Any) -> None:
    """Raise ValueError "name: expected …, got …" unless the condition holds.

    >>> require(False, "keep_prob", "a probability in (0, 1]", 1.3)
    Traceback (most recent call last):
    ValueError: keep_prob: expected a probability in (0, 1], got 1.3
    """
    if not condition:
        raise ValueError(f"{name}: expected {expected}, got {got}")


def require_shape(name: str, values: Array, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless the array has exactly this shape; nothing broadcasts silently.

    >>> require_shape("Y", np.zeros(7), (1, 7))
    Traceback (most recent call last):
    ValueError: Y: expected shape (1, 7), got shape (7,)
    """
    require(np.shape(values) == shape, name, f"shape {shape}", f"shape {np.shape(values)}")


def require_matrix(name: str, values: Array) -> None:
    """Raise ValueError unless the array is a matrix with at least one row and one column."""
    fine = np.ndim(values) == 2 and np.size(values) > 0
    require(fine, name, "a matrix with one column per example", f"shape {np.shape(values)}")


def require_known(name: str, key: str, known: Any) -> None:
    """Raise ValueError unless the key is one of the known names, which the message lists."""
    require(key in known, name, f"one of {', '.join(known)}", repr(key))
