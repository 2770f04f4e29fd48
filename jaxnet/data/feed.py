"""Mini-batches from shards, a chunk of steps at a time, read in the background while others train.

The order of the examples is the caller's, a pure function of the epoch; so is, then, every chunk,
and a run that stopped goes on at any (epoch, step) without having read what came before.
"""

from collections.abc import Callable, Generator
from functools import lru_cache
from threading import Lock
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.data.minibatches import steps_per_epoch
from jaxnet.data.shards import Shards, rows
from jaxnet.data.types import Dataset
from jaxnet.validation import check_count, check_flag

AHEAD = 2
"""Chunks that are read, or being read, while the one before is in use."""


class Chunk(NamedTuple):
    """Consecutive mini-batches of one epoch.

    step: the number of the first of them in its epoch. data: NumPy arrays x (k, B, …), y (k, B, …),
    k steps of B examples.
    """

    epoch: int
    step: int
    data: Dataset


class _Place(NamedTuple):
    """Steps start … end − 1 of an epoch, of `size` examples each."""

    epoch: int
    start: int
    end: int
    size: int


def feed(
    shards: Shards,
    order: Callable[[int], Any],
    batch_size: int,
    drop_last: bool = False,
    *,
    epochs: int,
    chunk_steps: int,
    first: tuple[int, int] = (0, 0),
    take: Callable[[int], slice] | None = None,
    threads: int = 1,
) -> Generator[Chunk, None, None]:
    """The mini-batches of the epochs first[0] … epochs − 1, the first from step first[1] on.

    step i of epoch e holds the examples order(e)[i·B : (i+1)·B], as in memory

    order: epoch ↦ all of 0 … m−1 in the order of that epoch, such as
    `minibatches.permutation(key of the epoch, m)`; called in a background thread, once an epoch or
    a little more often. batch_size, drop_last: as in `make_train`; the smaller last batch is a
    chunk of its own. chunk_steps: most steps of a chunk; chunks begin at the multiples of it,
    wherever the feed does, and never span epochs. take: of the numbers of examples in a batch ↦ the
    slice of it that this process wants, where several share a batch; the other rows are not read.
    threads: that read ahead; 0 reads only when asked, in the caller's thread.

    Chunks of 10 to 30 MB are fastest: fewer steps cost a look at every shard more often, more do
    not stay in the cache (784 float32 features, batches of 512, two cores: 16 steps a chunk are
    1.8 times as fast as 64).

    Memory holds at most AHEAD chunks beside the one given out last. Close the iterator, or let go
    of it, and its threads end.
    Raises ValueError for numbers below 1 (threads below 0), a batch larger than the data and a
    place outside the epochs; ImportError where grain is missing. The iterator raises, when it comes
    to the chunk concerned, what `rows` raises, what order raises, and ValueError where that gives
    anything but m whole numbers.
    """
    try:
        import grain
    except ImportError as error:
        raise ImportError(
            "data in shards are read by grain: pip install 'jaxnet-suite[train]'"
        ) from error
    check_flag("drop_last", drop_last)
    check_count("epochs", epochs, least=0)
    check_count("chunk_steps", chunk_steps)
    check_count("threads", threads, least=0)
    steps = steps_per_epoch(shards.m, batch_size, drop_last)
    epoch, step = first
    check_count("first[0]", epoch, least=0)
    check_count("first[1]", step, least=0)
    if epoch > epochs or step > steps or (epoch == epochs and step > 0):
        raise ValueError(
            f"first: expected a place in {epochs} epochs of {steps} steps, got epoch {epoch}, step "
            f"{step}"
        )
    full = shards.m // batch_size
    chunks = -(-full // chunk_steps)  # an epoch's, and one more for a smaller last batch
    per_epoch = chunks + (steps > full)

    def place(number: int) -> _Place:
        at, chunk = divmod(number, per_epoch)
        if chunk == chunks:
            return _Place(at, full, steps, shards.m % batch_size)
        start = chunk * chunk_steps
        if at == epoch:
            start = max(start, step)
        return _Place(at, start, min((chunk + 1) * chunk_steps, full), batch_size)

    # The thread that reads has JAX's default precision, whatever that of this thread is.
    x64 = jnp.result_type(float) == np.float64
    ordered = _remembered(order, shards.m)

    def load(number: int) -> Chunk:
        with jax.enable_x64(x64):
            at, start, end, size = place(number)
            begin = start * batch_size
            wanted = ordered(at)[begin : begin + (end - start) * size].reshape(-1, size)
            if take is not None:
                wanted = wanted[:, take(size)]
            data: Any = rows(shards, wanted.reshape(-1))
            return Chunk(
                at,
                start,
                Dataset(*(array.reshape(*wanted.shape, *array.shape[1:]) for array in data)),
            )

    begun = step // chunk_steps if step < full else chunks + step - full
    source = grain.MapDataset.range(epoch * per_epoch + begun, epochs * per_epoch).map(load)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=AHEAD if threads else 0)
    return _closing(source.to_iter_dataset(options))


def _remembered(order: Callable[[int], Any], m: int) -> Callable[[int], np.ndarray]:
    """An epoch's order, checked and kept for its other chunks; threads wait for one another."""
    lock = Lock()

    @lru_cache(maxsize=2)  # around the end of an epoch two are in use
    def checked(epoch: int) -> np.ndarray:
        indices = np.asarray(order(epoch))
        if indices.shape != (m,) or indices.dtype.kind not in "iu":
            raise ValueError(
                f"order: expected the numbers 0 … {m - 1} in some order, got {indices.dtype} of "
                f"shape {indices.shape}"
            )
        return indices

    def ordered(epoch: int) -> np.ndarray:
        with lock:
            return checked(epoch)

    return ordered


def _closing(source: Any) -> Generator[Chunk, None, None]:
    """The elements of a data set of grain's, whose threads end with this generator."""
    chunks = iter(source)
    try:
        yield from chunks
    finally:
        chunks.close()
