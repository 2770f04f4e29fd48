"""What sweep and search are both given: checked before any compute."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxnet.data import Dataset
from jaxnet.training import Setup
from jaxnet.training.boundary import as_dataset
from jaxnet.types import PRNGKey
from jaxnet.validation import check_batch_size, check_count, check_flag, check_key


class Training(NamedTuple):
    """What all members of a sweep or a search have in common."""

    build: Callable[[Any], Setup]
    data: Dataset
    dev: Dataset | None
    batch_size: int | None
    epochs: int
    drop_last: bool
    chunk: int | None


def check_training(
    build: Callable[[Any], Setup],
    data: Dataset,
    dev: Dataset | None,
    key: PRNGKey,
    batch_size: int | None,
    epochs: int,
    drop_last: bool,
    chunk: int | str,
) -> Training:
    """All arguments that sweep and search share, checked, the data as arrays.

    Raises ValueError or TypeError naming the argument.
    """
    if not callable(build):
        raise TypeError(f"build: expected a function hyper ↦ Setup, got {build!r}")
    check_key("key", key)
    check_flag("drop_last", drop_last)
    check_count("epochs", epochs)
    data = as_dataset("data", data)
    dev = None if dev is None else as_dataset("dev", dev)
    if batch_size is not None:
        check_batch_size("batch_size", batch_size, data.x.shape[0])
    if chunk != "auto":
        check_count("chunk", chunk)
    return Training(
        build, data, dev, batch_size, epochs, drop_last, None if chunk == "auto" else int(chunk)
    )
