"""From the dtype of a file to the one that JAX computes in, with nothing lost unseen."""

from typing import Any

import numpy as np


def convert(numbers: np.ndarray, dtype: Any) -> tuple[np.ndarray, tuple[int, ...] | None]:
    """Numbers in another dtype, and the first place of one that it cannot hold, or None.

    A float dtype cannot hold what becomes NaN or infinite, as 1e300 in float32, an integer dtype
    what becomes another number, as 2³² in int32. (That floats are rounded is no secret.)

    >>> convert(np.array([1.0, 1e300]), np.float32)[1]
    (1,)
    """
    with np.errstate(over="ignore"):
        held = numbers.astype(dtype, copy=False)
    right = np.isfinite(held) if held.dtype.kind == "f" else held == numbers
    if right.all():
        return held, None
    return held, tuple(int(place) for place in np.argwhere(~right)[0])
