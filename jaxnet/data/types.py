"""What the data functions take and return."""

from typing import NamedTuple

from jaxtyping import Array, Float, Shaped


class Dataset(NamedTuple):
    """Examples and their targets, one row each."""

    x: Float[Array, "m *n"]
    y: Shaped[Array, "m *k"]
    """Whole numbers 0 … K−1 for classes, real numbers for regression."""


class Split(NamedTuple):
    """Training, development and test set; the test set is looked at once, at the end."""

    train: Dataset
    dev: Dataset
    test: Dataset
