"""Data sets from files that these tests write: the right numbers, or an error naming the file."""

import gzip
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from jaxnet.data import Dataset, files, shards, splits
from jaxnet.data.idx import read_idx

HostDataset: Any = Dataset  # of NumPy arrays
RNG = np.random.default_rng(0)
CODES = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}

IMAGES, LABELS = RNG.integers(0, 256, (60, 3, 2), np.uint8), (np.arange(60) % 5).astype(np.uint8)
TEST_IMAGES, TEST_LABELS = IMAGES[:7] ^ 255, LABELS[:7]
NAMES = {
    "train-images-idx3-ubyte": IMAGES,
    "train-labels-idx1-ubyte": LABELS,
    "t10k-images-idx3-ubyte": TEST_IMAGES,
    "t10k-labels-idx1-ubyte": TEST_LABELS,
}


def idx(array: np.ndarray, code: int = 8) -> bytes:
    return struct.pack(f">2xBB{array.ndim}I", code, array.ndim, *array.shape) + array.tobytes()


def mnist(directory: Path, ending: str = "", mark: str = "-") -> Path:
    directory.mkdir(exist_ok=True)
    pack = gzip.compress if ending else bytes
    for name, array in NAMES.items():
        (directory / (name.replace("-idx", f"{mark}idx") + ending)).write_bytes(pack(idx(array)))
    return directory


def by_row(*parts: Dataset):
    """All the examples, sorted: which there are, whatever their order."""
    rows = np.concatenate([np.column_stack([part.x, part.y]) for part in parts])
    return rows[np.lexsort(rows.T)]


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("mark", ["-", "."])
def test_mnist(tmp_path, ending, mark):
    directory = mnist(tmp_path / "mnist", ending, mark)
    assert files.kind_of(directory) == "idx"
    split = jax.tree.map(np.asarray, files.read(directory))
    assert [part.x.shape for part in split] == [(50, 6), (10, 6), (7, 6)]
    assert [part.x.dtype for part in split] == [np.float32] * 3
    assert [part.y.dtype for part in split] == [np.int32] * 3
    scaled = IMAGES.reshape(60, 6).astype(np.float32) / np.float32(255)
    assert np.array_equal(by_row(split.train, split.dev), by_row(HostDataset(scaled, LABELS)))
    assert np.array_equal(split.test.x, TEST_IMAGES.reshape(7, 6) / np.float32(255))
    assert np.array_equal(split.test.y, TEST_LABELS)


def test_what_is_cut_from_train_depends_on_the_key_alone(tmp_path):
    directory = mnist(tmp_path / "mnist")
    first, again = files.read(directory), files.read(str(directory), key=jax.random.key(0))
    assert jax.tree.all(jax.tree.map(np.array_equal, first, again))
    other = files.read(directory, key=jax.random.key(1))
    assert not np.array_equal(first.dev.x, other.dev.x)
    assert np.array_equal(first.test.x, other.test.x)


@pytest.mark.f64
def test_pixels_in_64_bits(tmp_path):
    x = files.read(mnist(tmp_path / "mnist")).test.x
    assert x.dtype == np.float64
    assert np.array_equal(x, TEST_IMAGES.reshape(7, 6) / 255)


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("shape", [(5,), (3, 2), (2, 3, 4), (0, 2)])
def test_every_dtype_of_idx(tmp_path, dtype, shape):
    array = (RNG.normal(size=shape) * 100).astype(np.int8).astype(dtype)
    (tmp_path / "a").write_bytes(idx(array, CODES[dtype]))
    got = read_idx(tmp_path / "a")
    assert np.array_equal(got, array)
    assert got.dtype == array.dtype.newbyteorder("=") and got.dtype.isnative


HEADER = struct.pack(">2xBBII", 8, 2, 3, 2)
BAD_IDX = {
    "empty": (b"", "expected an IDX file"),
    "three bytes": (b"\0\0\x08", "expected an IDX file"),
    "text": (b"P5 28 28", "expected an IDX file"),
    "unknown dtype": (b"\0\0\x0a" + HEADER[3:] + bytes(6), "expected an IDX file"),
    "little-endian": (struct.pack("<I", 0x802) + HEADER[4:] + bytes(6), "expected an IDX file"),
    "no axes": (b"\0\0\x08\0" + bytes(1), "expected an IDX file"),
    "header cut off": (HEADER[:-1], "cut off in its header"),
    "no data": (HEADER, r"cut off: shape \(3, 2\) of uint8 is 6 bytes, it has 0"),
    "cut off": (HEADER + bytes(5), "cut off: .* 6 bytes, it has 5"),
    "too long": (HEADER + bytes(7), "goes on after its array: .* 6 bytes, it has more"),
    "2^96 bytes": (struct.pack(">2xBB3I", 8, 3, *[2**32 - 1] * 3) + bytes(9), "cut off"),
    "255 axes": (b"\0\0\x08\xff" + b"\xff\xff\xff\xff" * 255 + bytes(9), "cut off"),
}


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("name", BAD_IDX)
def test_refuses_idx(tmp_path, name, ending):
    content, named = BAD_IDX[name]
    path = tmp_path / f"images{ending}"
    path.write_bytes(gzip.compress(content) if ending else content)
    with pytest.raises(ValueError, match=rf"images{ending}: .*{named}"):
        read_idx(path)


def test_refuses_what_cannot_be_unpacked(tmp_path):
    whole = gzip.compress(idx(IMAGES))
    path = tmp_path / "images.gz"
    refused = 0
    for content in (idx(IMAGES), whole[:-1], whole[:40], whole[:5], b"\x1f\x8b", whole + b"rest"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"images\.gz: "):
            read_idx(path)
    for place in range(0, len(whole), 3):  # a wrong bit anywhere: found, or where nothing depends
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        try:
            assert np.array_equal(read_idx(path), IMAGES)
        except ValueError as error:
            assert "images.gz: " in str(error)
            refused += 1
    assert refused > 50
    with pytest.raises(ValueError, match=r"nowhere: cannot be read"):
        read_idx(tmp_path / "nowhere")


def test_a_gzip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    """No more is read than the header says, and one byte."""
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(HEADER + bytes(2**22), 9))
    read = []
    whole = gzip.GzipFile.read

    def counting(self, size=-1):
        read.append(size)
        return whole(self, size)

    monkeypatch.setattr(gzip.GzipFile, "read", counting)
    with pytest.raises(ValueError, match="goes on"):
        read_idx(path)
    assert max(read) <= 8 and min(read) >= 0


MNIST_BREAKS = {
    "labels missing": (lambda d: (d / "train-labels-idx1-ubyte").unlink(), "train-labels.*none"),
    "test missing": (lambda d: (d / "t10k-images-idx3-ubyte").unlink(), "t10k-images.*none"),
    "twice": (
        lambda d: (d / "t10k-images.idx3-ubyte.gz").write_bytes(b""),
        r"one file t10k-images.*got t10k-images-idx3-ubyte, t10k-images\.idx3-ubyte\.gz",
    ),
    "another number of labels": (
        lambda d: (d / "train-labels-idx1-ubyte").write_bytes(idx(LABELS[:59])),
        r"train-labels-idx1-ubyte: expected 60 targets.*\(59,\)",
    ),
    "labels for images": (
        lambda d: (d / "train-images-idx3-ubyte").write_bytes(idx(LABELS)),
        r"train-images-idx3-ubyte: expected shape \(batch",
    ),
    "other images in test": (
        lambda d: (d / "t10k-images-idx3-ubyte").write_bytes(idx(TEST_IMAGES[:, :2])),
        r"test: expected examples as in train, .*\(6,\).* got .*\(4,\)",
    ),
    "no images": (
        lambda d: (d / "t10k-images-idx3-ubyte").write_bytes(idx(TEST_IMAGES[:0])),
        "t10k-images-idx3-ubyte: expected at least one example",
    ),
    "cut off": (
        lambda d: (d / "t10k-images-idx3-ubyte").write_bytes(idx(TEST_IMAGES)[:-1]),
        "t10k-images-idx3-ubyte: is cut off",
    ),
    "NaN": (
        lambda d: (d / "train-images-idx3-ubyte").write_bytes(
            idx(np.where(IMAGES > 200, np.nan, IMAGES).astype(">f4"), 13)
        ),
        "train-images-idx3-ubyte: expected finite numbers.*NaN",
    ),
}


@pytest.mark.parametrize("name", MNIST_BREAKS)
def test_refuses_mnist(tmp_path, name):
    change, named = MNIST_BREAKS[name]
    directory = mnist(tmp_path / "mnist")
    change(directory)
    with pytest.raises(ValueError, match=named):
        files.read(directory)


def savez(directory: Path, **arrays) -> Path:
    np.savez(directory / "data.npz", **arrays)
    return directory / "data.npz"


X, Y = RNG.normal(size=(60, 6)), np.arange(60) % 5


@pytest.mark.parametrize("y", [Y, Y.astype(np.uint8), Y > 2], ids=["int64", "uint8", "bool"])
def test_x_y_with_classes_are_cut_stratified(tmp_path, y):
    path = savez(tmp_path, x=X, y=y, feature_names=np.array(["a", "b"]))
    assert files.kind_of(path) == "npz"
    split = files.read(path)
    assert [part.y.dtype for part in split] == [np.int32] * 3
    for part, share in zip(split, (0.6, 0.2, 0.2), strict=True):
        assert np.abs(np.bincount(part.y) - np.bincount(y) * share).max() < 1
    whole = HostDataset(X.astype(np.float32), y.astype(np.int32))
    assert np.array_equal(by_row(*split), by_row(whole))
    same = splits.train_dev_test(jax.random.key(0), jax.device_put(whole), stratify=True)
    assert jax.tree.all(jax.tree.map(np.array_equal, split, same))


def test_x_y_for_regression(tmp_path):
    split = files.read(savez(tmp_path, x=X, y=X[:, :2] * 2))
    assert [part.y.shape for part in split] == [(36, 2), (12, 2), (12, 2)]
    for part in split:
        assert part.x.dtype == part.y.dtype == np.float32
        assert np.array_equal(part.y, part.x[:, :2] * 2)  # rows stayed together


def test_keras_names(tmp_path):
    arrays = {"x_train": IMAGES, "y_train": LABELS, "x_test": TEST_IMAGES, "y_test": TEST_LABELS}
    split, of_idx = files.read(savez(tmp_path, **arrays)), files.read(mnist(tmp_path / "mnist"))
    assert jax.tree.all(jax.tree.map(np.array_equal, split, of_idx))
    for name in ("dev", "val"):
        more = arrays | {f"x_{name}": IMAGES[5:9], f"y_{name}": LABELS[5:9]}
        split = files.read(savez(tmp_path, **more))
        assert np.array_equal(split.train.x, IMAGES.reshape(60, 6) / np.float32(255))
        assert np.array_equal(split.dev.x, split.train.x[5:9])
        assert np.array_equal(split.dev.y, LABELS[5:9])


def test_only_8_bit_pixels_are_scaled(tmp_path):
    for x in (IMAGES.astype(np.int16), IMAGES.astype(np.float64)):
        got = files.read(savez(tmp_path, x=x, y=LABELS))
        expected = HostDataset(x.reshape(60, 6).astype(np.float32), LABELS)
        assert np.array_equal(by_row(*got), by_row(expected))


def bad(**changed):
    arrays = {"x_train": X, "y_train": Y, "x_test": X[:7], "y_test": Y[:7]} | changed
    return {name: array for name, array in arrays.items() if array is not None}


def at(array, place, value):
    array = np.array(array, np.result_type(array, type(value)))
    array[place] = value
    return array


BAD_NPZ = {
    "nothing": ({}, "expected arrays x, y, or .* got none"),
    "other names": ({"a": X, "b": Y}, "expected arrays x, y, or .* got a, b"),
    "no y": ({"x": X}, "got x"),
    "no test": (bad(x_test=None, y_test=None), "got x_train, y_train"),
    "no y_test": (bad(y_test=None), "expected arrays"),
    "no y_dev": (bad(x_dev=X), "expected arrays"),
    "dev and val": (bad(x_dev=X, y_dev=Y, x_val=X, y_val=Y), "expected arrays"),
    "both kinds": (bad(x=X, y=Y), "expected arrays"),
    "objects": (bad(x_train=X.astype(object)), r"x_train: cannot be read \(Object arrays"),
    "strings": (bad(y_test=Y[:7].astype(str)), "y_test: expected real numbers, got dtype <U21"),
    "complex": (bad(x_test=X[:7] * 1j), "x_test: expected real numbers, got dtype complex128"),
    "fields": (bad(x_test=np.zeros((7, 6), "f4,f4")), "x_test: expected real numbers"),
    "rank 1": (bad(x_test=Y[:7]), r"x_test: expected shape \(batch, n_in\).*\(7,\)"),
    "rank 0": ({"x": np.float32(1), "y": Y}, r"x: expected shape .*\(\)"),
    "no rows": (bad(x_test=X[:0], y_test=Y[:0]), "x_test: expected at least one example"),
    "lengths": (bad(y_test=Y[:6]), r"y_test: expected 7 targets.*\(6,\)"),
    "a column": (bad(y_test=Y[:7, None]), r"y_test: expected shape \(7,\)"),
    "NaN": (bad(x_test=at(X[:7], (3, 2), np.nan)), r"x_test: .*index \(3, 2\)"),
    "NaN in y": (bad(y_train=at(Y, 4, np.inf)), r"y_train: .*index \(4,\)"),
    "too large": (bad(x_train=at(X, (5, 1), 1e300)), r"x_train: .*float32 .*1e\+300.*\(5, 1\)"),
    "2^32": (bad(y_train=at(Y, 3, 2**32)), r"y_train: .*int32.*4294967296 at index \(3,\)"),
    "widths": (bad(x_test=X[:7, :5]), r"test: expected examples as in train.*\(6,\).*got.*\(5,\)"),
    "kinds of y": (bad(y_test=X[:7, 0]), "test: .*whole numbers, got .*real numbers"),
    "too few": (
        {"x_train": X[:5], "y_train": Y[:5], "x_test": X[:5], "y_test": Y[:5]},
        "expected 6 examples of train or more to cut dev from: 5",
    ),
    "a lone class": ({"x": X, "y": at(Y, 3, 9)}, "cannot be cut in three .*1 of class 9"),
}


@pytest.mark.parametrize("name", BAD_NPZ)
def test_refuses_npz(tmp_path, name):
    arrays, named = BAD_NPZ[name]
    with pytest.raises(ValueError, match=rf"data\.npz: .*{named}"):
        files.read(savez(tmp_path, **arrays))


def test_refuses_what_is_no_npz(tmp_path):
    path = savez(tmp_path, x=X, y=Y)
    whole = path.read_bytes()
    single = tmp_path / "single.npy"
    np.save(single, X)
    for content in (b"", b"PK", whole[:-1], whole[:200], single.read_bytes(), pickle.dumps(X)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"data\.npz: is no \.npz archive, or is cut off"):
            files.read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "1,2,3")
        archive.writestr("y", "1,2,3")
    with pytest.raises(ValueError, match=r"data\.npz: x: cannot be read"):
        files.read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", single.read_bytes() + b"0")
        archive.writestr("y.npy", single.read_bytes())
    with pytest.raises(ValueError, match=r"data\.npz: x: cannot be read \(it goes on"):
        files.read(path)
    huge = {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2)}
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("x.npy", "y.npy"):
            with archive.open(name, "w") as member:
                np.lib.format.write_array_header_1_0(member, huge)
    with pytest.raises(ValueError, match=r"data\.npz: x: cannot be read"):
        files.read(path)


def test_a_wrong_byte_in_an_npz_is_an_error_that_names_it(tmp_path):
    """zip's checksums see what NumPy does not; where nothing depends on the byte, it is read."""
    path = savez(tmp_path, x_train=X[:6], y_train=Y[:6], x_test=X[:2], y_test=Y[:2])
    whole, expected, refused = path.read_bytes(), files.read(path), 0
    for place in range(0, len(whole), 23):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
        try:
            assert jax.tree.all(jax.tree.map(np.array_equal, files.read(path), expected))
        except ValueError as error:
            assert "data.npz" in str(error)
            refused += 1
    assert refused > 45  # of 63


def write(directory: Path, m: int, width: int = 3, kind: Any = int) -> shards.Shards:
    x = RNG.normal(size=(m, width))
    shards.write_shards(directory, HostDataset(x, np.arange(m).astype(kind)), 4)
    return shards.open_shards(directory)


def test_shards(tmp_path):
    write(tmp_path / "flat", 10)
    (tmp_path / "flat" / "dev").mkdir()  # nothing of ours without train
    assert files.kind_of(tmp_path / "flat") == "shards"
    train, dev, test = files.open_split(tmp_path / "flat")
    assert (train.m, dev, test) == (10, None, None)
    for name, m in (("train", 9), ("test", 5)):
        write(tmp_path / "parts" / name, m)
    assert files.kind_of(tmp_path / "parts") == "shards"
    train, dev, test = files.open_split(tmp_path / "parts")
    assert test is not None and (train.m, dev, test.m) == (9, None, 5)
    write(tmp_path / "parts" / "dev", 2)
    dev = files.open_split(tmp_path / "parts").dev
    assert dev is not None and dev.m == 2


def test_refuses_shards(tmp_path):
    write(tmp_path / "train", 9)
    with pytest.raises(ValueError, match=r"holds shards, .*open_split"):
        files.read(tmp_path)
    (tmp_path / "dev").mkdir()
    with pytest.raises(ValueError, match=r"dev: expected files x-00000\.npy"):
        files.open_split(tmp_path)
    write(tmp_path / "dev", 9, width=2)
    with pytest.raises(ValueError, match=r"dev: expected examples as in train.*\(3,\).*\(2,\)"):
        files.open_split(tmp_path)
    (tmp_path / "dev").rename(tmp_path / "spare")
    write(tmp_path / "test", 9, kind=float)
    with pytest.raises(ValueError, match=r"test: expected .*whole numbers, got .*real numbers"):
        files.open_split(tmp_path)
    np.save(tmp_path / "x-00000.npy", X)
    with pytest.raises(ValueError, match="beside those in train"):
        files.open_split(tmp_path)
    mnist(tmp_path)
    with pytest.raises(ValueError, match="got a directory of both"):
        files.kind_of(tmp_path)
    with pytest.raises(ValueError, match="expected shards, got another data set; use read"):
        files.open_split(mnist(tmp_path / "mnist"))


def test_what_is_not_understood(tmp_path):
    (tmp_path / "table.csv").write_text("1,2\n")
    (tmp_path / "empty").mkdir()
    for path, got in (
        (tmp_path, r"got a directory of empty, table\.csv"),
        (tmp_path / "table.csv", r"got a file named table\.csv"),
        (tmp_path / "empty", "got a directory of nothing"),
        (tmp_path / "nowhere", "does not exist"),
    ):
        for function in (files.kind_of, files.read, files.open_split):
            with pytest.raises(ValueError, match=got) as caught:
                function(path)
            message = str(caught.value)
            assert all(word in message for word in ("IDX", ".npz", "x_train", "shards"))
            assert str(path) in message
