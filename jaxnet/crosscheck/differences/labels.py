"""Row 40: labels outside the classes, and ties."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.differences.difference import (
    AGREE,
    CANNOT,
    Check,
    Difference,
    agree,
    differ_as_predicted,
)

TOPIC = "data and precision"


def _tensor(array: Any) -> Any:
    return frameworks.torch().tensor(np.array(array))


# Row 40: labels outside the classes, and ties.


def _label(label: int) -> tuple[Any, Any]:
    """optax' loss of a label among three classes, and the one of its one-hot row."""
    z = jnp.asarray([[0.5, -1.0, 2.0]])
    y = jnp.asarray([label])
    integer = optax.softmax_cross_entropy_with_integer_labels(z, y)
    return np.asarray(integer), np.asarray(optax.softmax_cross_entropy(z, jax.nn.one_hot(y, 3)))


Z = np.array([0.5, -1.0, 2.0])
LOSSES = np.log(np.exp(Z).sum()) - Z


def _label_of_k() -> list[Check]:
    return [
        differ_as_predicted("label K: integers NaN, one-hot 0", *_label(3), [np.nan], [0.0]),
    ]


def _label_below() -> list[Check]:
    last = [LOSSES[2]]
    return [
        differ_as_predicted("label −1: the last class, one-hot 0", *_label(-1), last, [0.0]),
    ]


def _index() -> list[Check]:
    array = jnp.asarray(Z)
    clamped = array[jnp.asarray([3])]
    strict = array.at[jnp.asarray([3])].get(mode="fill")
    return [
        differ_as_predicted("index K clamped, or filled", clamped, strict, [Z[2]], [np.nan]),
    ]


def _label_torch() -> list[Check]:
    torch = frameworks.torch()

    def raises(label):
        try:
            torch.nn.functional.cross_entropy(_tensor([Z]), _tensor([label]))
        except (IndexError, RuntimeError):
            return 1.0
        return 0.0

    def finite(label):
        return float(not np.isfinite(_label(label)[0][0]))

    return [
        differ_as_predicted(
            "label −1: torch raises, optax does not", raises(-1), finite(-1), 1.0, 0.0
        ),
        agree("label 2: neither", raises(2), finite(2)),
        agree("label K: both, in their way", raises(3), finite(3)),
    ]


def _ties() -> list[Check]:
    tied = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    first = np.array([1, 0])
    return [
        agree("jnp.argmax", jnp.argmax(jnp.asarray(tied), axis=1), first),
        agree("torch.argmax", _tensor(tied).argmax(dim=1), first),
        agree("np.argmax", tied.argmax(axis=1), first),
    ]


ROWS = (
    Difference(
        40, "a", TOPIC, {"optax, integer label K": "NaN", "one_hot": "no class: loss 0"}, CANNOT,
        _label_of_k, mapping="check labels first",
    ),
    Difference(
        40, "b", TOPIC, {"optax, label −1": "the last class", "one_hot": "no class: loss 0"},
        CANNOT, _label_below, mapping="check labels first",
    ),
    Difference(
        40, "c", TOPIC, {"x[K]": "the last entry", "x.at[K].get(mode='fill')": "NaN"}, CANNOT,
        _index, mapping="mode='fill'",
    ),
    Difference(
        40, "d", TOPIC, {"torch": "raises", "optax": "NaN for K, nothing for −1"}, CANNOT,
        _label_torch, mapping="check labels first", needs=("torch",),
    ),
    Difference(
        40, "e", TOPIC, {"NumPy, JAX, torch argmax": "first of the ties"}, AGREE, _ties,
        mapping="none needed", needs=("torch",),
    ),
)  # fmt: skip
