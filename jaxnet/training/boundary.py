"""Where user data enter: checked on the host and turned into arrays before any compute."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from jaxnet import losses
from jaxnet.data import Dataset
from jaxnet.models import Model
from jaxnet.training.static import join, split_static
from jaxnet.types import Params, State
from jaxnet.validation import (
    check_binary_labels,
    check_features,
    check_labels,
    check_targets,
    is_concrete,
)


def as_features(name: str, x: ArrayLike) -> Array:
    """x as an array (batch, n_in): NumPy's numbers in JAX's default float dtype, JAX's as they are.

    Raises ValueError or TypeError for another rank, no examples, NaN, infinity, or non-numbers.
    """
    check_features(name, x)
    dtype = jnp.result_type(float)
    if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jnp.floating):
        return x
    if not is_concrete(x):
        return jnp.asarray(x, dtype)
    return jax.device_put(_on_host(name, x, dtype))


def _on_host(name: str, numbers: ArrayLike, dtype: Any) -> np.ndarray:
    """Converted by NumPy, so that nothing is compiled before all checks are passed.

    Raises ValueError for numbers that the dtype cannot hold: 1e300 would become infinite and a
    label of 2³² the label 0. (That floats are rounded is no secret.)
    """
    given = np.asarray(numbers)
    with np.errstate(over="ignore"):
        held = given.astype(dtype)
    lost = ~np.isfinite(held) if held.dtype.kind == "f" else held != given
    if lost.any():
        where = tuple(int(i) for i in np.argwhere(lost)[0])
        raise ValueError(
            f"{name}: expected numbers that {held.dtype} can hold, got {given[where]} at index "
            f"{where}"
        )
    return held


def as_dataset(name: str, data: Dataset) -> Dataset:
    """A data set as arrays: x (m, n_in) floats; y (m,) or (m, n_out), integers kept as they are.

    Raises ValueError or TypeError for what `as_features` refuses, and targets that do not match.
    """
    if not isinstance(data, tuple) or len(data) != 2:
        raise TypeError(f"{name}: expected Dataset(x, y), got {type(data).__name__}")
    x, y = data
    features = as_features(f"{name}.x", x)
    check_targets(f"{name}.y", y, features.shape[0])
    kind = np.dtype(getattr(y, "dtype", None) or np.asarray(y).dtype).kind
    dtype = jnp.int32 if kind in "iub" else features.dtype
    if not is_concrete(y) or (isinstance(y, jax.Array) and y.dtype == dtype):
        return Dataset(features, jnp.asarray(y, dtype))
    return Dataset(features, jax.device_put(_on_host(f"{name}.y", y, dtype)))


@lru_cache(maxsize=256)
def _shapes_of(static: Any, specs: Any, default: Any) -> Any:
    del default  # only tells float32 from float64, in which the answer differs

    def call(*dynamic):
        function, arguments = join(list(dynamic), static)
        return function(*arguments)

    return jax.eval_shape(
        call, *[jax.ShapeDtypeStruct(shape, dtype, weak_type=weak) for shape, dtype, weak in specs]
    )


def shapes_of(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of arrays would return, as shapes and dtypes, without computing it.

    jax.eval_shape, remembered: looking takes as long as ten updates of a small network.
    Raises what the function raises.
    """
    dynamic, static = split_static((function, arguments))
    specs = tuple(
        (leaf.shape, leaf.dtype, False)
        if hasattr(leaf, "dtype")
        else ((), jnp.result_type(leaf), True)
        for leaf in dynamic
    )
    return _shapes_of(static, specs, jnp.result_type(float))


def check_outputs(
    name: str,
    model: Model,
    params: Params,
    state: State,
    data: Dataset,
    loss: Callable[..., Array],
) -> None:
    """Refuse data whose targets the model and the loss cannot be held against.

    Raises ValueError or TypeError: x of another width; labels that are not integers, or outside
    the classes; targets of another shape than the outputs.
    """
    try:
        outputs, _ = shapes_of(model.apply, params, state, data.x)
    except ValueError as error:
        message = str(error)
        joint = "." if message.startswith("x:") else ": "
        raise ValueError(f"{name}{joint}{message}") from None
    if loss is losses.softmax_cross_entropy and len(outputs.shape) == 2:
        check_labels(f"{name}.y", data.y, outputs.shape[1])
    elif loss is losses.binary_cross_entropy:
        check_binary_labels(f"{name}.y", data.y)
    try:
        shapes_of(loss, outputs, data.y)
    except (ValueError, TypeError) as error:
        message = str(error)
        raise type(error)(f"{name}.{message}" if message.startswith("y:") else message) from None
