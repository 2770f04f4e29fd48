"""Data sets, splits, normalization, mini-batches and augmentation."""

from jaxnet.data import (
    augmentation,
    datasets,
    feed,
    files,
    minibatches,
    normalization,
    shards,
    splits,
)
from jaxnet.data.types import Dataset, Split

__all__ = [
    "Dataset",
    "Split",
    "augmentation",
    "datasets",
    "feed",
    "files",
    "minibatches",
    "normalization",
    "shards",
    "splits",
]
