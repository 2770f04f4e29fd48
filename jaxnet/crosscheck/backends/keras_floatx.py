"""keras at a given precision: its optimizers keep their learning rate in its floatx.

On the JAX backend keras promotes float64 to float32 in whatever goes through its type promotion
(tanh, mean, every loss that takes a mean: keras/src/backend/common/dtypes.py, "Force to be 32-bit
dtype"), floatx or not. Those rows are run in float32, and what avoids it in float64 too.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.cases.case import Results


@contextmanager
def floatx(dtype: str) -> Iterator[Any]:
    """The module keras with its floatx set, which is set back afterwards."""
    keras = frameworks.keras()
    before = keras.config.floatx()
    keras.config.set_floatx(str(dtype))
    try:
        yield keras
    finally:
        keras.config.set_floatx(before)


def at_its_dtype(run: Callable[..., Results]) -> Callable[..., Results]:
    """An adapter's run (…, arguments, dtype) with floatx equal to the dtype."""

    @wraps(run)
    def inside(*args: Any) -> Results:
        with floatx(args[-1]):
            return run(*args)

    return inside
