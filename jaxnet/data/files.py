"""Data sets from files of the user's own; nothing is downloaded and nothing unpickled.

What is understood:

MNIST's IDX files      a directory of train-images-idx3-ubyte, train-labels-idx1-ubyte,
                       t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each plain or .gz, also
                       written train-images.idx3-ubyte
.npz with x, y         cut 60/20/20 into train, dev and test, like `datasets.load`
.npz with x_train, y_train, x_test, y_test
                       and perhaps x_dev, y_dev or x_val, y_val: Keras' names
shards                 a directory of x-00000.npy, y-00000.npy, … (`data.shards`) or of directories
                       train, and perhaps dev and test, of such: larger than memory

Without a dev part a sixth of the training examples, drawn at random, becomes one (MNIST: 10,000).
Images of 8-bit pixels (uint8) are divided by 255, and examples of more than one axis become rows.
"""

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.data.conversion import convert
from jaxnet.data.idx import read_idx
from jaxnet.data.shards import Shards, open_shards
from jaxnet.data.splits import cut, train_dev_test
from jaxnet.data.types import Dataset, Split
from jaxnet.types import PRNGKey
from jaxnet.validation import check_features, check_targets

_IDX = {
    "x_train": ("train-images", "idx3-ubyte"),
    "y_train": ("train-labels", "idx1-ubyte"),
    "x_test": ("t10k-images", "idx3-ubyte"),
    "y_test": ("t10k-labels", "idx1-ubyte"),
}
_UNDERSTOOD = (
    "expected a directory of MNIST's IDX files (train-images-idx3-ubyte, …, plain or .gz), an .npz "
    "file with x, y or x_train, y_train, x_test, y_test, or a directory of shards (x-00000.npy, "
    "y-00000.npy, …, or such in train/)"
)


class ShardedSplit(NamedTuple):
    """Parts of a data set larger than memory; dev and test are None where there are none."""

    train: Shards
    dev: Shards | None
    test: Shards | None


def kind_of(path: str | Path) -> str:
    """Which of the understood a path is: "idx", "npz" or "shards". Only names are looked at.

    Raises ValueError, listing what is understood and what was found, for anything else.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path}: does not exist; {_UNDERSTOOD}")
    if path.is_file():
        if path.suffix == ".npz":
            return "npz"
        raise ValueError(f"{path}: {_UNDERSTOOD}; got a file named {path.name}")
    kinds = []
    if any(_candidates(path, *names) for names in _IDX.values()):
        kinds.append("idx")
    if _has_shards(path) or _has_shards(path / "train"):
        kinds.append("shards")
    if len(kinds) != 1:
        found = ", ".join(sorted(one.name for one in path.iterdir())[:8]) or "nothing"
        raise ValueError(f"{path}: {_UNDERSTOOD}; got a directory of {'both' if kinds else found}")
    return kinds[0]


def _candidates(directory: Path, stem: str, ending: str) -> list[Path]:
    names = [f"{stem}{mark}{ending}{packed}" for mark in "-." for packed in ("", ".gz")]
    return [directory / name for name in names if (directory / name).exists()]


def _has_shards(directory: Path) -> bool:
    return any(directory.glob("[xy]-*.npy"))


def read(path: str | Path, *, key: PRNGKey | None = None) -> Split:
    """The data set of MNIST's IDX files in a directory, or of an .npz file.

    path: see the head of this module. key: decides what is cut from what; without one
    jax.random.key(0). Whole-number y of x, y are cut stratified.
    Returns Split(train, dev, test) of Dataset(x, y): x (m, n) in JAX's default float dtype, y
    int32, or that float for real numbers.
    Raises ValueError, naming the file and the array, for what is missing, cut off, too long, of
    another kind or rank, not finite, or does not match; for shards, which `open_split` opens; and
    for what is not understood.
    """
    path, kind = Path(path), kind_of(path)
    if kind == "shards":
        raise ValueError(f"{path}: holds shards, which are not read into memory; use open_split")
    key = jax.random.key(0) if key is None else key
    parts = _idx_parts(path) if kind == "idx" else _npz_parts(path)
    if "all" in parts:
        y = parts["all"].y
        classes = y.ndim == 1 and jnp.issubdtype(y.dtype, jnp.integer)
        try:
            return train_dev_test(key, parts["all"], stratify=classes)
        except ValueError as error:
            raise ValueError(
                f"{path}: cannot be cut in three ({error}); store x_train, y_train, x_test, y_test"
            ) from error
    train = parts["train"]
    for name, part in parts.items():
        if _row(part.x, part.y) != _row(train.x, train.y):
            raise ValueError(
                f"{path}: {name}: expected examples as in train, {_row(train.x, train.y)}, got "
                f"{_row(part.x, part.y)}"
            )
    dev = parts.get("dev", parts.get("val"))
    if dev is None:
        m = len(train.x)
        if m < 6:
            raise ValueError(f"{path}: expected 6 examples of train or more to cut dev from: {m}")
        train, dev = cut(key, train, (m - m // 6,))
    return Split(train, dev, parts["test"])


def _row(x: Any, y: Any) -> str:
    """An example, in words that differ where examples cannot go through one model."""
    kind = "real numbers" if y.dtype.kind == "f" else "whole numbers"
    return f"x of shape {x.shape[1:]} and y of shape {y.shape[1:]}, {kind}"


def _idx_parts(directory: Path) -> dict[str, Dataset]:
    files = {}
    for name, (stem, ending) in _IDX.items():
        found = _candidates(directory, stem, ending)
        if len(found) != 1:
            got = ", ".join(path.name for path in found) or "none"
            raise ValueError(f"{directory}: expected one file {stem}-{ending}[.gz], got {got}")
        files[name] = found[0]
    return {
        part: _dataset(
            *((str(path), read_idx(path)) for path in (files[f"x_{part}"], files[f"y_{part}"]))
        )
        for part in ("train", "test")
    }


def _npz_parts(path: Path) -> dict[str, Dataset]:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path}: is no .npz archive, or is cut off ({' '.join(str(error).split())})"
        ) from error
    with archive:
        names = _npz_names(path, [one.removesuffix(".npy") for one in archive.namelist()])
        return {
            part: _dataset(*((f"{path}: {one}", _member(path, archive, one)) for one in pair))
            for part, pair in names.items()
        }


def _npz_names(path: Path, found: list[str]) -> dict[str, tuple[str, str]]:
    """The parts that an archive holds, and the names of their x and y."""
    pairs = {part: (f"x_{part}", f"y_{part}") for part in ("train", "dev", "val", "test")}
    pairs["all"] = ("x", "y")
    here = {part for part, pair in pairs.items() if not set(pair).isdisjoint(found)}
    missing = [name for part in here for name in pairs[part] if name not in found]
    right = here == {"all"} or (here >= {"train", "test"} and not here >= {"dev", "val"})
    if missing or not right or ("all" in here and len(here) > 1):
        raise ValueError(
            f"{path}: expected arrays x, y, or x_train, y_train, x_test, y_test and perhaps x_dev, "
            f"y_dev (or x_val, y_val), got {', '.join(sorted(found)) or 'none'}"
        )
    return {part: pairs[part] for part in sorted(here)}


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    try:
        with archive.open(f"{name}.npy") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
            if file.read(1):  # at the end the checksum is compared
                raise ValueError("it goes on after its array")
            return array
    except Exception as error:  # of zipfile, zlib and NumPy's parsing of the header: any kind
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: {name}: cannot be read ({reason})") from error


def _dataset(x: tuple[str, np.ndarray], y: tuple[str, np.ndarray]) -> Dataset:
    """Checked, scaled and in JAX's dtypes; each array comes with its name."""
    for name, array in (x, y):
        if array.dtype.kind not in "fiub":
            raise ValueError(f"{name}: expected real numbers, got dtype {array.dtype}")
    (x_name, images), (y_name, targets) = x, y
    check_features(x_name, images)
    check_targets(y_name, targets, len(images))
    floats = np.dtype(jnp.result_type(float))
    features = _converted(x_name, images.reshape(len(images), -1), floats)
    if images.dtype == np.uint8:
        features = features / floats.type(255)
    kind = floats if targets.dtype.kind == "f" else np.int32
    return Dataset(*jax.device_put((features, _converted(y_name, targets, kind))))


def _converted(name: str, numbers: np.ndarray, dtype: Any) -> np.ndarray:
    held, place = convert(numbers, dtype)
    if place is not None:
        raise ValueError(
            f"{name}: expected numbers that {held.dtype} can hold, got {numbers[place]} at index "
            f"{place}"
        )
    return held


def open_split(path: str | Path) -> ShardedSplit:
    """The shards of a directory: of train/, dev/ and test/ in it, or all as the training part.

    Raises what `open_shards` raises, and ValueError where there are shards both in the directory
    and in train/, or where the parts differ in width or in the kind of y.
    """
    path = Path(path)
    if kind_of(path) != "shards":
        raise ValueError(f"{path}: expected shards, got another data set; use read")
    if not _has_shards(path / "train"):
        return ShardedSplit(open_shards(path), None, None)
    if _has_shards(path):
        raise ValueError(f"{path}: holds shards beside those in train; move or delete them")
    parts = {
        name: open_shards(path / name) if (path / name).exists() else None
        for name in ("train", "dev", "test")
    }
    train = parts["train"]
    assert train is not None
    expected = _row(train.x[0], train.y[0])
    for name, part in parts.items():
        if part is not None and (got := _row(part.x[0], part.y[0])) != expected:
            raise ValueError(f"{path / name}: expected examples as in train, {expected}, got {got}")
    return ShardedSplit(train, parts["dev"], parts["test"])
