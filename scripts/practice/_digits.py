"""A small training set of digits, and enough other digits to tell dev errors apart."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import Dataset
from jaxnet.data import datasets, minibatches

PIXELS, CLASSES = 64, 10
EXAMPLES = 1797


def whole() -> Dataset:
    """All 1,797 digits in one set, to be cut anew by each seed."""
    parts = datasets.load("digits")
    return Dataset(*(jnp.asarray(np.concatenate(both)) for both in zip(*parts, strict=True)))


@partial(jax.jit, static_argnums=2)  # outside jit one program instead of a dozen
def cut(key: jax.Array, digits: Dataset, sizes: tuple[int, ...]) -> tuple[Dataset, ...]:
    """Disjoint parts of the given sizes in random order; the last takes what is left."""
    order = minibatches.permutation(key, len(digits.x))
    ends = np.cumsum(sizes)
    rows = jnp.split(order, ends)
    return tuple(Dataset(digits.x[part], digits.y[part]) for part in rows)
