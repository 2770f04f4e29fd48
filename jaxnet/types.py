"""Names for the annotations that many modules share."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Array, Key, Real, UInt32

Scalar: TypeAlias = float | int | np.floating | np.integer | Real[Array, ""]
"""A real number: Python's, NumPy's, or an array of no axes, which may be traced."""

PRNGKey: TypeAlias = Key[Array, ""] | UInt32[Array, "2"]
"""A random key of either kind: `jax.random.key(0)` or the older `jax.random.PRNGKey(0)`."""

Params: TypeAlias = Any
"""Any pytree of arrays."""

State: TypeAlias = Any
"""Running statistics of a model: any pytree of arrays, `()` when it has none."""

LearningRate: TypeAlias = Scalar | Callable[[Any], Any]
"""A number, a traced number, or a schedule: step ↦ learning rate, counted from 0."""
