"""Data larger than memory: x and y in numbered .npy files; only rows asked for are read.

A directory holds x-00000.npy, x-00001.npy, … and y-00000.npy, y-00001.npy, …: file by file the same
number of rows, numbered from 0 without gaps (so that a lost file is noticed), each what
`np.save(path, array)` writes. x is (rows, n_in) or (rows, …), y is (rows,) or (rows, n_out); all
files of x have one width and dtype, and so have those of y. Other files do not matter.

`write_shards` makes them from arrays; for data that never were in memory call np.save in a loop.
Make them large, 100 MB or more: each is looked at for every read, and its two files stay open.
Nothing is unpickled.
"""

import itertools
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.data.conversion import convert
from jaxnet.data.types import Dataset
from jaxnet.validation import check_count, check_features, check_targets

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# Bytes gathered at once: they pass through the cache, and memory of their size is used again
# where larger pieces are mapped in anew each time (measured: 4,000 batches a second against 540).
_BLOCK = 2**18
_NAME = re.compile(r"([xy])-(\d+)\.npy")


class Shards(NamedTuple):
    """The parts of x and of y, memory-mapped.

    starts: the number of each part's first example, and m as a last one.
    """

    x: tuple[np.memmap, ...]
    y: tuple[np.memmap, ...]
    starts: tuple[int, ...]

    @property
    def m(self) -> int:
        """Examples in all parts."""
        return self.starts[-1]

    @property
    def n_in(self) -> int:
        """Features of an example."""
        return self.x[0].shape[1]


class Extreme(NamedTuple):
    """A target and where it is: the file and the row in it."""

    value: int | float
    file: Path
    row: int


def open_shards(directory: str | Path) -> Shards:
    """The shards of a directory, opened and checked; of the data only the headers are read.

    Raises ValueError, naming the file, for a directory without shards, a number that is missing or
    has no partner, a file that is no .npy, is shorter or longer than its header says, holds
    objects, nothing, or anything but real numbers, and for files whose rows, widths or dtypes do
    not match. NaN and infinity are found by `rows` when they are read.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise ValueError(f"{directory}: expected a directory of x-00000.npy, y-00000.npy, …")
    x = [_open(path) for path in _numbered(directory, "x")]
    y = [_open(path) for path in _numbered(directory, "y")]
    if len(x) != len(y):
        letter, lone = max(("x", x), ("y", y), key=lambda named: len(named[1]))
        other = "y" if letter == "x" else "x"
        path = _path(lone[min(len(x), len(y))])
        raise ValueError(f"{path}: expected a file of {other} with its number, found none")
    for of_x, of_y in zip(x, y, strict=True):
        if of_x.ndim < 2:
            raise ValueError(
                f"{_path(of_x)}: expected x of shape (rows, n_in), one row an example, got "
                f"{of_x.shape}"
            )
        if of_y.shape[1:] == (1,):
            raise ValueError(
                f"{_path(of_y)}: expected y of shape (rows,), got {of_y.shape}; save y[:, 0]"
            )
        if of_x.shape[0] != of_y.shape[0]:
            raise ValueError(
                f"{_path(of_y)}: expected {of_x.shape[0]} targets, one for each row of "
                f"{_path(of_x).name}, got {of_y.shape[0]}"
            )
    for parts in (x, y):
        for part in parts[1:]:
            _check_alike(parts[0], part)
    starts = np.cumsum([0, *(len(part) for part in x)])
    return Shards(tuple(x), tuple(y), tuple(starts.tolist()))


def _path(part: np.memmap) -> Path:
    return Path(str(part.filename))


def _numbered(directory: Path, letter: str) -> list[Path]:
    """The files of x or of y, in order of their numbers."""
    found = {}
    for path in sorted(directory.glob(f"{letter}-*.npy")):
        matched = _NAME.fullmatch(path.name)
        if matched is None:
            raise ValueError(f"{path}: expected a name such as {letter}-00000.npy")
        other = found.setdefault(int(matched[2]), path)
        if other != path:
            raise ValueError(f"{path}: expected one file of each number, got {other.name} too")
    if not found:
        raise ValueError(f"{directory}: expected files {letter}-00000.npy, …, found none")
    for number in range(len(found)):
        if number not in found:
            raise ValueError(
                f"{directory}: expected files of {letter} numbered from 0 without gaps; number "
                f"{number} is missing"
            )
    return [found[number] for number in sorted(found)]


def _open(path: Path) -> np.memmap:
    """One file, mapped; refused where it is not all there or not rows of numbers."""
    try:
        with path.open("rb") as file:
            shape, fortran, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
            begin = file.tell()
    except Exception as error:  # NumPy parses the header as Python and lets more than it says out
        raise ValueError(f"{path}: cannot be read as .npy ({_line(error)})") from error
    if dtype.hasobject or dtype.kind not in "fiub":
        raise ValueError(f"{path}: expected real numbers, got dtype {dtype}")
    if len(shape) == 0 or 0 in shape:
        raise ValueError(f"{path}: expected rows of numbers, got an array of shape {shape}")
    if fortran and len(shape) > 1:
        raise ValueError(
            f"{path}: expected rows that lie together, got an array in Fortran's order; save "
            f"np.ascontiguousarray of it"
        )
    _check_size(path, begin + dtype.itemsize * math.prod(shape))
    try:
        return np.memmap(path, dtype, mode="r", offset=begin, shape=shape)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be mapped into memory ({_line(error)})") from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _check_size(path: Any, expected: int) -> None:
    """Refuse a file that is cut off: reading the mapping past its end would kill the process."""
    try:
        size = os.stat(path).st_size
    except OSError as error:
        raise ValueError(f"{path}: cannot be read any more ({_line(error)})") from error
    if size != expected:
        what = "is cut off" if size < expected else "goes on after its array"
        raise ValueError(f"{path}: {what}: its header says {expected} bytes, it has {size}")


def _check_alike(first: np.memmap, part: np.memmap) -> None:
    for what, got, expected in (
        ("rows of shape", part.shape[1:], first.shape[1:]),
        ("dtype", part.dtype, first.dtype),
    ):
        if got != expected:
            raise ValueError(
                f"{_path(part)}: expected {what} {expected} as in {_path(first).name}, got {got}"
            )


def dtypes(shards: Shards) -> tuple[np.dtype, np.dtype]:
    """Of x and y after reading: JAX's default float, and int32 for y of integers."""
    floats = np.dtype(jnp.result_type(float))
    return floats, floats if shards.y[0].dtype.kind == "f" else np.dtype(np.int32)


def specs(shards: Shards, batch: int) -> Dataset:
    """A batch as jax.ShapeDtypeStruct, to look at shapes without reading."""
    both: Any = (
        jax.ShapeDtypeStruct((batch, *parts[0].shape[1:]), dtype)
        for parts, dtype in zip((shards.x, shards.y), dtypes(shards), strict=True)
    )
    return Dataset(*both)


def rows(shards: Shards, indices: Any) -> Dataset:
    """The examples of the given numbers, in that order, as NumPy arrays.

    indices: whole numbers in 0 … m−1, shape (k,), repeated or not. x comes in JAX's default float
    dtype, integer y as int32, other y as floats: the very numbers that training on the arrays in
    memory sees.
    Raises ValueError for other indices and, naming file and row, for NaN, infinity and what the
    dtype cannot hold, and for a file that was cut off or removed since it was opened.
    """
    indices = np.asarray(indices)
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise ValueError(
            f"indices: expected whole numbers of shape (k,), got {indices.dtype} of shape "
            f"{indices.shape}"
        )
    # In order of their places, so that each part is read once, from its beginning to its end.
    indices = indices.astype(np.int64)
    order = np.argsort(indices)
    ordered = indices[order]
    if len(indices) and (ordered[0] < 0 or ordered[-1] >= shards.m):
        wrong = ordered[0] if ordered[0] < 0 else ordered[-1]
        raise ValueError(f"indices: expected numbers in 0 … {shards.m - 1}, got {wrong}")
    both: Any = (
        _gather(parts, shards.starts, ordered, order, dtype)
        for parts, dtype in zip((shards.x, shards.y), dtypes(shards), strict=True)
    )
    return Dataset(*both)


def _gather(
    parts: Sequence[np.memmap],
    starts: Sequence[int],
    ordered: np.ndarray,
    order: np.ndarray,
    dtype: np.dtype,
) -> np.ndarray:
    taken = np.empty((len(order), *parts[0].shape[1:]), dtype)
    borders = np.searchsorted(ordered, starts).tolist()
    at_once = max(1, _BLOCK // parts[0][:1].nbytes)
    for number, (begin, end) in enumerate(itertools.pairwise(borders)):
        if begin == end:
            continue
        part = parts[number]
        _check_size(part.filename, part.offset + part.nbytes)
        for start in range(begin, end, at_once):
            here = slice(start, min(start + at_once, end))
            local = ordered[here] - starts[number]
            found = np.take(np.asarray(part), local, axis=0)
            taken[order[here]] = _held(part, found, local, dtype)
    return taken


def _held(part: np.memmap, found: np.ndarray, local: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Rows of a part in another dtype, refused where that cannot hold them."""
    held, place = convert(found, dtype)
    if place is not None:
        row, *column = place
        where = f"row {local[row]}" + "".join(f", column {place}" for place in column)
        raise ValueError(
            f"{_path(part)}: expected finite numbers that {dtype} can hold, got "
            f"{found[place]} in {where}; drop or impute that example"
        )
    return held


def y_extremes(shards: Shards) -> tuple[Extreme, Extreme]:
    """The smallest and the largest target and where they are; all of y is read, and nothing of x.

    Raises ValueError, naming file and row, for NaN, infinity and what the dtype cannot hold.
    """
    least = greatest = None
    _, dtype = dtypes(shards)
    for part in shards.y:
        path = _path(part)
        _check_size(path, part.offset + part.nbytes)
        for begin in range(0, len(part), 2**20):
            block = np.asarray(part[begin : begin + 2**20])
            held = _held(part, block, np.arange(begin, begin + len(block)), dtype)
            held = held.reshape(len(held), -1)
            low, high = held.min(axis=1), held.max(axis=1)
            if least is None or low.min() < least.value:
                row = int(low.argmin())
                least = Extreme(low[row].item(), path, begin + row)
            if greatest is None or high.max() > greatest.value:
                row = int(high.argmax())
                greatest = Extreme(high[row].item(), path, begin + row)
    assert least is not None and greatest is not None  # open_shards refuses what has no rows
    return least, greatest


def write_shards(directory: str | Path, data: Dataset, rows_per_shard: int) -> None:
    """Write a data set as shards, in the dtypes that it has; the last one may be smaller.

    directory: made if there is none. data: arrays, also memory-mapped ones; x (m, n_in) or (m, …),
    y (m,) or (m, n_out). Files are written beside and renamed, the one of number 0 last: what a
    kill leaves is refused by `open_shards`, which misses that number.
    Raises ValueError or TypeError, before anything is written, for a directory that is not empty,
    and data that could not be trained on; OSError, naming the file, where the disk is full.
    """
    directory = Path(directory)
    check_count("rows_per_shard", rows_per_shard)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ValueError(f"directory: expected a new or an empty one, got {directory}")
    x, y = (np.asanyarray(array) for array in data)
    m = len(x) if x.ndim else 0
    parts = [slice(begin, begin + rows_per_shard) for begin in range(0, m, rows_per_shard)]
    for part in parts or [...]:  # not all at once: the check takes memory of its own
        check_features("data.x", x[part])
    check_targets("data.y", y, m)
    for name, array in (("x", x), ("y", y)):
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"data.{name}: expected a dtype of NumPy's own, got {array.dtype}; convert with "
                f"astype(np.float32)"
            )
    directory.mkdir(parents=True, exist_ok=True)
    for number, part in reversed(list(enumerate(parts))):
        for name, array in (("y", y), ("x", x)):
            _write(directory / f"{name}-{number:05d}.npy", np.ascontiguousarray(array[part]))


def _write(path: Path, array: np.ndarray) -> None:
    beside = path.with_name(path.name + ".tmp")
    try:
        with beside.open("wb") as file:
            np.save(file, array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise OSError(f"{path}: cannot be written ({_line(error)})") from error
