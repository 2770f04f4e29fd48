"""Train, dev and test sets.

How large a part should be depends on m (notes §5): 70/30 or 60/20/20 up to some ten thousand
examples; with a million, 98/1/1 or 99/0.5/0.5, since what a dev set has to tell apart needs some
ten thousand examples and not a share of the data.
"""

import itertools
import math
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Int32

from jaxnet.data.minibatches import permutation
from jaxnet.data.types import Dataset, Split
from jaxnet.types import PRNGKey
from jaxnet.validation import check_count, check_fractions, check_targets, is_concrete

Parts = tuple[Int32[Array, "_"], ...]


def _ends(m: int, fractions: Sequence[float]) -> list[int]:
    # Rounding the running total (half up) instead of each size keeps the sum at m and every size
    # within 1 of its share.
    ends = [math.floor(m * float(total) + 0.5) for total in np.cumsum(fractions)]
    return [*ends[:-1], m]


def split(key: PRNGKey, m: int, fractions: Sequence[float]) -> Parts:
    """Cut 0 … m−1 at random into disjoint parts that together are everything.

    m: number of examples. fractions: the share of each part, in order; they sum to 1.
    Returns one index array a part; sizes are the shares of m up to rounding (less than 1 off).
    Raises ValueError for fractions that are not positive or do not sum to 1, and where a part
    would be empty.
    Source: notes §5, train/dev/test sets (fig. 41).

    >>> [len(part) for part in split(jax.random.key(0), 1000, (0.6, 0.2, 0.2))]
    [600, 200, 200]
    """
    check_count("m", m)
    check_fractions("fractions", fractions)
    ends = _ends(m, fractions)
    sizes = np.diff(ends, prepend=0)
    if min(sizes) == 0:
        raise ValueError(
            f"fractions: expected parts of at least one of the {m} examples, got {fractions}, "
            f"which makes sizes {sizes.tolist()}"
        )
    order = permutation(key, m)
    return tuple(order[start:end] for start, end in itertools.pairwise((0, *ends)))


@partial(jax.jit, static_argnums=2)  # outside jit one program instead of a dozen
def cut(key: PRNGKey, data: Dataset, sizes: tuple[int, ...]) -> tuple[Dataset, ...]:
    """Disjoint parts of given sizes, in random order, and as a last one all that is left.

    sizes: whole numbers ≥ 1. Returns len(sizes) + 1 data sets, the last possibly empty.
    Raises ValueError for a size below 1, and for more examples than there are.

    >>> data = Dataset(jnp.zeros((10, 2)), jnp.zeros(10, int))
    >>> [part.x.shape[0] for part in cut(jax.random.key(0), data, (3, 5))]
    [3, 5, 2]
    """
    for place, size in enumerate(sizes):
        check_count(f"sizes[{place}]", size)
    if sum(sizes) > len(data.x):
        raise ValueError(
            f"sizes: expected at most the {len(data.x)} examples together, got {sum(sizes)}"
        )
    rows = jnp.split(permutation(key, len(data.x)), np.cumsum(sizes))
    return tuple(Dataset(data.x[part], data.y[part]) for part in rows)


def stratified(key: PRNGKey, labels: Int[Array, " m"], fractions: Sequence[float]) -> Parts:
    """Cut at random like `split`, each class by itself, so that every part has the classes' shares.

    labels: the class of each example, shape (m,). Sizes depend on them, so they must be known:
    not under jit. fractions: as in `split`, which rounds for the whole where this rounds for each
    class. Returns one index array a part, in random order.
    Raises ValueError where a class has too few examples to be in every part.
    Source: notes §5, train/dev/test sets (fig. 41).

    >>> labels = jnp.array([0] * 10 + [1] * 5)
    >>> [labels[part].sum().item() for part in stratified(jax.random.key(0), labels, (0.6, 0.4))]
    [3, 2]
    """
    if not is_concrete(labels):
        raise TypeError("labels: expected known labels, got traced ones; split outside jit")
    if labels.ndim != 1 or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(
            f"labels: expected whole numbers of shape (m,), got {labels.dtype} of shape "
            f"{labels.shape}"
        )
    m = len(labels)
    check_count("m", m)
    check_fractions("fractions", fractions)
    order = np.asarray(permutation(key, m))
    shuffled = np.asarray(labels)[order]
    part_of = np.empty(m, int)
    for label in np.unique(shuffled):
        (places,) = np.nonzero(shuffled == label)
        sizes = np.diff(_ends(len(places), fractions), prepend=0)
        if min(sizes) == 0:
            raise ValueError(
                f"labels: expected enough examples of each class for every part, got "
                f"{len(places)} of class {label}, which {fractions} cuts into {sizes.tolist()}; "
                f"use split, or larger fractions"
            )
        part_of[places] = np.repeat(np.arange(len(fractions)), sizes)
    return tuple(jnp.asarray(order[part_of == part]) for part in range(len(fractions)))


def train_dev_test(
    key: PRNGKey,
    data: Dataset,
    *,
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
    stratify: bool = False,
) -> Split:
    """Cut a data set into Split(train, dev, test), by `split` or class by class by `stratified`.

    Raises what those raise, and ValueError when x and y differ in length.
    Source: notes §5, train/dev/test sets (fig. 41).

    >>> data = Dataset(jnp.zeros((10, 2)), jnp.zeros(10, int))
    >>> [part.x.shape for part in train_dev_test(jax.random.key(0), data)]
    [(6, 2), (2, 2), (2, 2)]
    """
    if len(fractions) != 3:
        raise ValueError(f"fractions: expected three, train, dev and test, got {fractions}")
    check_targets("data.y", data.y, len(data.x))
    m = len(data.x)
    parts = stratified(key, data.y, fractions) if stratify else split(key, m, fractions)
    return Split(*_take(data, parts))


@jax.jit
def _take(data: Dataset, parts: Parts) -> tuple[Dataset, ...]:
    # Compiled as one program: rows taken one part at a time are some thirty small ones.
    return tuple(Dataset(data.x[part], data.y[part]) for part in parts)
