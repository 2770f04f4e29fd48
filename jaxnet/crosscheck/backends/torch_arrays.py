"""NumPy's arrays in the reference's layout to torch tensors, and back."""

from typing import Any

import numpy as np

from jaxnet.crosscheck import layout
from jaxnet.crosscheck.backends import frameworks


def tensor(array: Any, dtype: Any, *, learned: bool = False) -> Any:
    """A tensor of that dtype, which shares no memory with the array."""
    return frameworks.torch().tensor(np.array(array, dtype=dtype), requires_grad=learned)


def rows(X: Any, dtype: Any, *, learned: bool = False) -> Any:
    """Examples as columns (n, m) to a tensor with examples as rows (m, n)."""
    return tensor(np.asarray(X).T, dtype, learned=learned)


def numpy(one: Any) -> np.ndarray:
    """A copy of a tensor's numbers."""
    return one.detach().numpy().copy()


def columns(one: Any) -> np.ndarray:
    """A tensor (m, n) as columns (n, m)."""
    return layout.columns(numpy(one))
