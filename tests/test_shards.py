"""Shards on disk: the same numbers as in memory, and every bad file refused by name."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.data import Dataset, shards
from jaxnet.training.boundary import as_dataset

RNG = np.random.default_rng(0)
HostDataset: Any = Dataset  # of NumPy arrays
X: Any = RNG.normal(size=(11, 3)).astype(np.float32)
Y: Any = np.arange(11) % 4


def save(directory: Path, **arrays) -> Path:
    """x0=…, y0=… as x-00000.npy, y-00000.npy."""
    directory.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(directory / f"{name[0]}-{int(name[1:]):05d}.npy", array)
    return directory


@pytest.fixture
def opened(tmp_path):
    shards.write_shards(tmp_path / "d", HostDataset(X, Y), 4)
    return shards.open_shards(tmp_path / "d")


def test_the_rows_asked_for_in_that_order(opened):
    assert (opened.m, opened.n_in, opened.starts) == (11, 3, (0, 4, 8, 11))
    for indices in ([10, 0, 3, 4, 7, 8, 3], [5], np.arange(11)[::-1], np.zeros(0, np.uint64)):
        got = shards.rows(opened, indices)
        indices = np.asarray(indices, int)
        assert np.array_equal(got.x, X[indices])
        assert np.array_equal(got.y, Y[indices])
        assert (got.x.dtype, got.y.dtype) == (np.float32, np.int32)
        assert type(got.x) is np.ndarray and got.x.flags.c_contiguous and got.x.flags.owndata


@pytest.mark.parametrize("rows_per_shard", [1, 5, 11, 40])
def test_any_cut_is_the_same_data(tmp_path, rows_per_shard):
    shards.write_shards(tmp_path, HostDataset(X, Y), rows_per_shard)
    cut = shards.open_shards(tmp_path)
    assert len(cut.x) == -(-11 // rows_per_shard)
    order = RNG.permutation(11).astype(np.int32)
    assert np.array_equal(shards.rows(cut, order).x, X[order])


X_DTYPES = [">f4", "f8", "f2", "u1", "i8", "?", "g"]


@pytest.mark.parametrize("dtype", X_DTYPES)
def test_x_becomes_what_it_becomes_in_memory(tmp_path, dtype):
    x = (RNG.random((7, 3)) * 200).astype(dtype)
    check_like_memory(tmp_path, x, np.arange(7))


@pytest.mark.parametrize("dtype", X_DTYPES)
@pytest.mark.f64
def test_x_becomes_what_it_becomes_in_memory_in_64_bits(tmp_path, dtype):
    x = (RNG.random((7, 3)) * 200).astype(dtype)
    check_like_memory(tmp_path, x, RNG.random(7).astype(np.float32))


@pytest.mark.parametrize(
    "y",
    [
        np.arange(7, dtype=np.uint8),
        np.arange(7, dtype=">i8"),
        np.arange(7) > 3,
        RNG.random(7),
        RNG.random((7, 2)).astype(np.float16),
        np.eye(7, dtype=np.int64),
    ],
    ids=lambda y: f"{y.dtype}-{y.ndim}",
)
def test_y_becomes_what_it_becomes_in_memory(tmp_path, y):
    check_like_memory(tmp_path, X[:7], y)


def check_like_memory(tmp_path, x: Any, y: Any):
    save(tmp_path, x0=x[:5], y0=y[:5], x1=x[5:], y1=y[5:])
    opened = shards.open_shards(tmp_path)
    got, expected = shards.rows(opened, np.arange(7)), as_dataset("data", HostDataset(x, y))
    for mine, theirs, spec in zip(got, expected, shards.specs(opened, 7), strict=True):
        assert mine.dtype == theirs.dtype == spec.dtype
        assert mine.shape == theirs.shape == spec.shape
        assert mine.tobytes() == np.asarray(theirs).tobytes()


def test_images_keep_their_shape(tmp_path):
    images = RNG.integers(0, 256, (5, 4, 3), np.uint8)
    shards.write_shards(tmp_path, HostDataset(images, np.arange(5)), 2)
    assert np.load(tmp_path / "x-00001.npy").dtype == np.uint8  # in the dtype given
    assert np.array_equal(shards.rows(shards.open_shards(tmp_path), [4, 1]).x, images[[4, 1]])


def test_what_write_shards_takes(tmp_path):
    np.save(tmp_path / "all.npy", X)
    mapped = np.load(tmp_path / "all.npy", mmap_mode="r")
    shards.write_shards(tmp_path / "mapped", HostDataset(mapped, jnp.asarray(Y)), 4)
    (tmp_path / "empty").mkdir()
    shards.write_shards(tmp_path / "empty", HostDataset(np.asfortranarray(X), Y), 4)
    for name in ("mapped", "empty"):
        assert np.array_equal(shards.rows(shards.open_shards(tmp_path / name), np.arange(11)).x, X)
        assert len(list((tmp_path / name).iterdir())) == 6


@pytest.mark.parametrize(
    ("x", "y", "per_shard", "error", "named"),
    [
        (X, Y, 0, ValueError, "rows_per_shard: .* got 0"),
        (X[:, 0], Y, 4, ValueError, r"data\.x: expected shape"),
        (np.float32(1), Y, 4, ValueError, r"data\.x: expected shape"),
        (X[:0], Y[:0], 4, ValueError, r"data\.x: expected at least one example"),
        (X * 1j, Y, 4, TypeError, r"data\.x: expected real numbers"),
        (np.where(np.isclose(X, X[9, 0]), np.nan, X), Y, 4, ValueError, r"data\.x: .*NaN"),
        (X, Y[:5], 4, ValueError, r"data\.y: expected 11 targets"),
        (X, Y[:, None], 4, ValueError, r"data\.y: .*drop the second axis"),
        (X, Y.astype(str), 4, TypeError, r"data\.y: expected real numbers"),
        (jnp.asarray(X, jnp.bfloat16), Y, 4, TypeError, r"data\.x: .*bfloat16.*astype"),
    ],
)
def test_write_shards_refuses(tmp_path, x, y, per_shard, error, named):
    with pytest.raises(error, match=named):
        shards.write_shards(tmp_path / "d", HostDataset(x, y), per_shard)
    assert not (tmp_path / "d").exists()


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(ValueError, match="directory: expected a new or an empty one"):
            shards.write_shards(place, HostDataset(X, Y), 4)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("failing", range(6))
def test_an_interrupted_write_is_not_taken_for_data(tmp_path, monkeypatch, failing):
    """Whichever of the six files the disk is full at."""
    calls, save_whole = iter(range(6)), np.save

    def full(file, array, **options):
        if next(calls) == failing:
            file.write(b"\x93NUMPY")
            raise OSError(28, "No space left on device")
        save_whole(file, array, **options)

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match=r"[xy]-0000\d\.npy: cannot be written .*No space left"):
        shards.write_shards(tmp_path / "d", HostDataset(X, Y), 4)
    with pytest.raises(ValueError, match=r"missing|found none"):
        shards.open_shards(tmp_path / "d")


def broken(directory: Path, change) -> Path:
    shards.write_shards(directory, HostDataset(X, Y), 4)
    change(directory)
    return directory


def cut_off(path: Path, by: int) -> None:
    os.truncate(path, path.stat().st_size - by)


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("unpickled",))


BREAKS = {
    "nothing there": (lambda d: [p.unlink() for p in d.iterdir()], "d: expected files x-00000"),
    "no y at all": (lambda d: [p.unlink() for p in d.glob("y*")], "d: expected files y-00000"),
    "y missing": (lambda d: (d / "y-00002.npy").unlink(), r"x-00002\.npy: .* file of y"),
    "x missing": (lambda d: (d / "x-00002.npy").unlink(), r"y-00002\.npy: .* file of x"),
    "a gap": (lambda d: (d / "x-00001.npy").unlink(), "d: .*x numbered.*number 1 is missing"),
    "a name": (lambda d: save(d, x3=X).joinpath("x-00003.npy").rename(d / "x-a.npy"), r"x-a\.npy"),
    "two of a number": (lambda d: np.save(d / "x-1.npy", X), r"x-1\.npy.*x-00001\.npy too"),
    "cut off": (lambda d: cut_off(d / "x-00001.npy", 1), r"x-00001\.npy: is cut off"),
    "cut off in y": (lambda d: cut_off(d / "y-00002.npy", 8), r"y-00002\.npy: is cut off"),
    "header cut off": (lambda d: os.truncate(d / "x-00001.npy", 50), r"x-00001\.npy: cannot be"),
    "empty": (lambda d: os.truncate(d / "x-00001.npy", 0), r"x-00001\.npy: cannot be read"),
    "too long": (lambda d: cut_off(d / "x-00001.npy", -1), r"x-00001\.npy: goes on"),
    "text": (lambda d: (d / "x-00001.npy").write_text("1,2,3\n"), r"x-00001\.npy: cannot be read"),
    "a directory": (
        lambda d: ((d / "x-00001.npy").unlink(), (d / "x-00001.npy").mkdir()),
        r"x-00001\.npy: cannot be read",
    ),
    "a version of the future": (
        lambda d: (d / "x-00001.npy").write_bytes(b"\x93NUMPY\x09\x00" + bytes(120)),
        r"x-00001\.npy: cannot be read as \.npy \(\(9, 0\)\)",
    ),
    "a pickle": (
        lambda d: (d / "x-00001.npy").write_bytes(pickle.dumps(Evil())),
        r"x-00001\.npy: cannot be read",
    ),
    "objects": (
        lambda d: save(d, x1=np.array([[Evil()]] * 4, object)),
        r"x-00001\.npy: expected real numbers, got dtype object",
    ),
    "strings": (lambda d: save(d, y1=Y[:4].astype(str)), r"y-00001\.npy: .*got dtype <U"),
    "complex": (lambda d: save(d, x1=X[:4] * 1j), r"x-00001\.npy: .*got dtype complex"),
    "dates": (lambda d: save(d, x1=X[:4].astype("M8[s]")), r"x-00001\.npy: .*datetime64"),
    "fields": (lambda d: save(d, x1=np.zeros((4, 3), "f4,f4")), r"x-00001\.npy: .*f0"),
    "rank 1": (lambda d: save(d, x1=X[:4, 0]), r"x-00001\.npy: .*\(rows, n_in\).*\(4,\)"),
    "rank 0": (lambda d: save(d, y1=np.float32(0)), r"y-00001\.npy: expected rows"),
    "a column": (lambda d: save(d, y1=Y[:4, None]), r"y-00001\.npy: .*save y\[:, 0\]"),
    "Fortran": (lambda d: save(d, x1=np.asfortranarray(X[:4])), r"x-00001\.npy: .*Fortran"),
    "no rows": (lambda d: save(d, x1=X[:0], y1=Y[:0]), r"x-00001\.npy: .*\(0, 3\)"),
    "no columns": (lambda d: save(d, x1=X[:4, :0]), r"x-00001\.npy: .*\(4, 0\)"),
    "another width": (lambda d: save(d, x1=X[:4, :2]), r"x-00001\.npy: .*\(3,\) as in x-00000"),
    "float64 beside float32": (
        lambda d: save(d, x1=X[:4].astype(float)),
        r"x-00001\.npy: expected dtype float32 as in x-00000\.npy, got float64",
    ),
    "y of another dtype": (lambda d: save(d, y2=Y[:3] * 1.0), r"y-00002\.npy: expected dtype int"),
    "y too short": (lambda d: save(d, y1=Y[:3]), r"y-00001\.npy: expected 4 targets.*got 3"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_refuses(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    change, named = BREAKS[name]
    directory = broken(tmp_path / "d", change)
    with pytest.raises(ValueError, match=named) as caught:
        shards.open_shards(directory)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "unpickled").exists()


def test_refuses_what_is_no_directory(tmp_path):
    with pytest.raises(ValueError, match="nowhere: expected a directory"):
        shards.open_shards(tmp_path / "nowhere")


def test_any_byte_of_a_header_may_be_wrong(tmp_path):
    """An error of ours or an array, never another exception: each byte of the header in turn."""
    shards.write_shards(tmp_path / "d", HostDataset(X, Y), 4)
    path = tmp_path / "d" / "x-00001.npy"
    whole, refused = path.read_bytes(), 0
    for place in range(100):
        for wrong in (0, ord("9"), ord("-"), 0xFF):
            path.write_bytes(whole[:place] + bytes([wrong]) + whole[place + 1 :])
            try:
                shards.open_shards(tmp_path / "d")
            except ValueError as error:
                assert str(path) in str(error)
                refused += 1
    assert refused > 200


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_numbers_that_cannot_be_held_are_found_when_read(tmp_path, bad):
    x = X.astype(float)
    x[6, 1] = bad
    save(tmp_path, x0=x[:4], y0=Y[:4], x1=x[4:], y1=Y[4:])
    opened = shards.open_shards(tmp_path)
    assert len(shards.rows(opened, [0, 5, 7, 10]).x) == 4
    with pytest.raises(ValueError, match=r"x-00001\.npy: .*float32.* in row 2, column 1"):
        shards.rows(opened, [10, 6, 0])


def test_targets_that_cannot_be_held_are_found_when_read(tmp_path):
    for y, named in (
        (np.where(Y == 3, 2**32, Y), r"y-00000\.npy: .*int32.*4294967296 in row 3;"),
        (np.where(Y == 3, np.nan, Y), r"y-00000\.npy: .*nan in row 3;"),
    ):
        opened = shards.open_shards(save(tmp_path / y.dtype.name, x0=X, y0=y))
        shards.rows(opened, [0, 1])
        with pytest.raises(ValueError, match=named):
            shards.rows(opened, [4, 3])
        with pytest.raises(ValueError, match=named):
            shards.y_extremes(opened)


@pytest.mark.parametrize(
    ("indices", "named"),
    [
        ([0, 11], r"0 … 10, got 11"),
        ([-1, 3], r"0 … 10, got -1"),
        ([[0]], r"shape \(1, 1\)"),
        ([0.0], "whole numbers"),
        (np.ones(11, bool), "whole numbers"),
    ],
)
def test_refuses_indices(opened, indices, named):
    with pytest.raises(ValueError, match=f"indices: .*{named}"):
        shards.rows(opened, indices)


def test_extremes_of_y(tmp_path):
    y = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5])
    shards.write_shards(tmp_path / "a", HostDataset(X, y), 4)
    least, greatest = shards.y_extremes(shards.open_shards(tmp_path / "a"))
    assert least == (1, tmp_path / "a/y-00000.npy", 1)
    assert greatest == (9, tmp_path / "a/y-00001.npy", 1)
    assert type(least.value) is int
    targets = np.array([[0.5, 1.5], [2.5, -1.25], [0, 0]])
    shards.write_shards(tmp_path / "b", HostDataset(X[:3], targets), 2)
    least, greatest = shards.y_extremes(shards.open_shards(tmp_path / "b"))
    assert least == (-1.25, tmp_path / "b/y-00000.npy", 1)
    assert greatest == (2.5, tmp_path / "b/y-00000.npy", 1)


def test_a_file_that_changes_while_it_is_open(opened):
    """Reading a mapping past the end of its file would kill the process (SIGBUS)."""
    second = Path(str(opened.x[1].filename))
    cut_off(second, 20)
    shards.rows(opened, [0, 9])
    with pytest.raises(ValueError, match=r"x-00001\.npy: is cut off"):
        shards.rows(opened, [0, 5])
    second.unlink()
    with pytest.raises(ValueError, match=r"x-00001\.npy: cannot be read any more"):
        shards.rows(opened, [5])
    cut_off(Path(str(opened.y[0].filename)), 20)
    with pytest.raises(ValueError, match=r"y-00000\.npy: is cut off"):
        shards.y_extremes(opened)


MEMORY = """
import resource, sys
import numpy as np
from jaxnet.data import shards
opened = shards.open_shards(sys.argv[1])
shards.rows(opened, [0])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
shards.rows(opened, np.arange(8) * 1000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kB on Linux")
def test_only_what_is_asked_for_is_read(tmp_path):
    """Eight rows of 64 MB: less than 8 MB come into memory."""
    save(tmp_path, x0=np.zeros((8000, 2000), np.float32), y0=np.zeros(8000, int))
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 8000


def test_jax_takes_what_is_read(opened):
    got = shards.rows(opened, [3, 1])
    assert jax.device_put(got).x.dtype == jnp.float32
