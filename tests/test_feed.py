"""The feed gives the batches of memory, from any place on, and reads only a little ahead."""

import gc
import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.data import Dataset, minibatches, shards
from jaxnet.data.feed import AHEAD, feed

HostDataset: Any = Dataset  # of NumPy arrays
RNG = np.random.default_rng(0)
M, BATCH, EPOCHS = 23, 4, 3
X, Y = RNG.normal(size=(M, 3)).astype(np.float32), RNG.integers(0, 5, M).astype(np.int32)
KEY = jax.random.key(7)
ORDERS = [np.asarray(minibatches.permutation(jax.random.fold_in(KEY, e), M)) for e in range(EPOCHS)]


def order(epoch):
    return ORDERS[epoch]


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shards")
    shards.write_shards(directory, HostDataset(X, Y), 9)
    return shards.open_shards(directory)


def threads_alive():
    return [one for one in threading.enumerate() if one.name.startswith("grain-prefetch")]


@pytest.fixture(autouse=True)
def no_thread_outlives_its_test():
    yield
    gc.collect()
    end = time.monotonic() + 5
    while threads_alive() and time.monotonic() < end:
        time.sleep(0.01)
    assert threads_alive() == []


def batches(chunks):
    """Every batch by its (epoch, step)."""
    return {
        (chunk.epoch, chunk.step + number): (x, y)
        for chunk in chunks
        for number, (x, y) in enumerate(zip(*chunk.data, strict=True))
    }


def in_memory(drop_last):
    """As the scan over `epoch_indices` takes them."""
    found = {}
    for epoch in range(EPOCHS):
        full, rest = minibatches.epoch_indices(jax.random.fold_in(KEY, epoch), M, BATCH)
        parts = [*np.asarray(full), *([] if drop_last else [np.asarray(rest)])]
        found |= {(epoch, step): (X[part], Y[part]) for step, part in enumerate(parts)}
    return found


def assert_same(got, expected):
    assert list(got) == list(expected)
    for place, (x, y) in expected.items():
        assert np.array_equal(got[place][0], x) and got[place][0].dtype == np.float32
        assert np.array_equal(got[place][1], y) and got[place][1].dtype == np.int32


@pytest.mark.parametrize("threads", [0, 1, 2])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("chunk_steps", [1, 2, 5, 100])
def test_the_batches_of_memory(opened, chunk_steps, drop_last, threads):
    chunks = list(
        feed(
            opened,
            order,
            BATCH,
            drop_last,
            epochs=EPOCHS,
            chunk_steps=chunk_steps,
            threads=threads,
        )
    )
    assert_same(batches(chunks), in_memory(drop_last))
    for chunk in chunks:
        k, size, width = chunk.data.x.shape
        assert (k <= chunk_steps and size == BATCH) or (k, size) == (1, M % BATCH)
        assert width == 3 and chunk.data.y.shape == (k, size)
    per_epoch = -(-(M // BATCH) // chunk_steps) + (not drop_last)
    assert len(chunks) == EPOCHS * per_epoch


@pytest.mark.parametrize("batch_size", [1, 23, 12])
def test_batches_that_divide_and_all_at_once(opened, batch_size):
    chunks = feed(opened, order, batch_size, epochs=1, chunk_steps=3)
    x = np.concatenate([chunk.data.x.reshape(-1, 3) for chunk in chunks])
    assert np.array_equal(x, X[ORDERS[0]])


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("chunk_steps", [1, 2, 5])
def test_goes_on_at_every_place(opened, chunk_steps, drop_last):
    whole = {
        (chunk.epoch, chunk.step): chunk
        for chunk in feed(opened, order, BATCH, drop_last, epochs=EPOCHS, chunk_steps=chunk_steps)
    }
    expected = in_memory(drop_last)
    steps = len(expected) // EPOCHS
    for epoch, step in itertools.product(range(EPOCHS), range(steps + 1)):
        rest = list(
            feed(
                opened,
                order,
                BATCH,
                drop_last,
                epochs=EPOCHS,
                chunk_steps=chunk_steps,
                first=(epoch, step),
            )
        )
        assert_same(batches(rest), {at: one for at, one in expected.items() if at >= (epoch, step)})
        # All but the first are the chunks of the whole, cut at the same places.
        for chunk in rest[1:]:
            assert np.array_equal(chunk.data.x, whole[chunk.epoch, chunk.step].data.x)
    assert list(feed(opened, order, BATCH, epochs=EPOCHS, chunk_steps=2, first=(EPOCHS, 0))) == []


def test_orders_are_asked_for_when_their_epoch_comes(opened):
    asked = []

    def counting(epoch):
        asked.append(epoch)
        return ORDERS[epoch]

    list(feed(opened, counting, BATCH, epochs=3, chunk_steps=2, first=(1, 2), threads=2))
    assert asked == [1, 2]


def test_each_process_reads_its_rows(tmp_path):
    """Two halves are the batch; what the other process wants is not even looked at."""
    directory = tmp_path / "halves"
    x = X.copy()
    x[ORDERS[0][:BATCH][2:]] = np.nan  # rows of the second half of the first batch
    directory.mkdir()
    np.save(directory / "x-00000.npy", x)
    np.save(directory / "y-00000.npy", Y)
    poisoned = shards.open_shards(directory)

    def part(process):
        return lambda size: slice(size * process // 2, size * (process + 1) // 2)

    chunk = next(feed(poisoned, order, BATCH, epochs=1, chunk_steps=1, take=part(0)))
    assert np.array_equal(chunk.data.x, x[ORDERS[0][:2]][None])
    with pytest.raises(ValueError, match=r"x-00000\.npy.*nan"):
        next(feed(poisoned, order, BATCH, epochs=1, chunk_steps=1, take=part(1)))


def test_two_halves_are_the_whole(opened):
    whole, *halves = (
        list(feed(opened, order, BATCH, epochs=2, chunk_steps=2, take=take))
        for take in (None, lambda size: slice(size // 2), lambda size: slice(size // 2, size))
    )
    for chunk, *parts in zip(whole, *halves, strict=True):
        assert np.array_equal(chunk.data.x, np.concatenate([part.data.x for part in parts], axis=1))
    assert halves[0][-1].data.x.shape == (1, 1, 3)  # of the smaller last batch of three


@pytest.mark.parametrize("threads", [1, 2])
def test_reads_no_more_than_said_ahead(opened, threads):
    asked = []
    chunks = feed(
        opened,
        lambda epoch: asked.append(epoch) or np.arange(M),
        M,
        epochs=50,
        chunk_steps=1,
        threads=threads,
    )
    for taken in range(1, 20):
        next(chunks)
        end = time.monotonic() + 5
        while len(asked) < taken + AHEAD and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(0.01)
        assert len(asked) == taken + AHEAD
    chunks.close()


def test_without_threads_nothing_is_read_ahead(opened):
    asked = []
    chunks = feed(
        opened,
        lambda epoch: asked.append(epoch) or np.arange(M),
        M,
        epochs=50,
        chunk_steps=1,
        threads=0,
    )
    assert asked == []
    next(chunks)
    assert asked == [0]
    assert threads_alive() == []


@pytest.mark.f64
@pytest.mark.parametrize("threads", [0, 1])
def test_64_bits_reach_the_thread_that_reads(tmp_path, threads):
    """JAX's setting belongs to a thread; another one would see float32, and another order."""
    x = RNG.random((M, 3))
    shards.write_shards(tmp_path / "d", HostDataset(x, Y), 9)
    seen = []

    def drawn(epoch):
        seen.append(jnp.zeros(()).dtype)
        return np.arange(M)

    chunks = feed(
        shards.open_shards(tmp_path / "d"), drawn, M, epochs=1, chunk_steps=1, threads=threads
    )
    (chunk,) = chunks
    assert np.array_equal(chunk.data.x[0], x)
    assert seen == [np.float64]


@pytest.mark.parametrize("threads", [0, 1])
def test_errors_of_the_background_arrive(tmp_path, threads):
    def fresh(name):
        shards.write_shards(tmp_path / name, HostDataset(X, Y), 9)
        return shards.open_shards(tmp_path / name)

    def consume(opened, order=order):
        return list(feed(opened, order, BATCH, epochs=1, chunk_steps=1, threads=threads))

    gone = fresh("gone")
    Path(str(gone.x[1].filename)).unlink()
    with pytest.raises(ValueError, match=r"x-00001\.npy: cannot be read any more"):
        consume(gone)
    cut = fresh("cut")
    os.truncate(str(cut.y[2].filename), 130)
    with pytest.raises(ValueError, match=r"y-00002\.npy: is cut off"):
        consume(cut)
    directory = tmp_path / "nan"
    directory.mkdir()
    np.save(directory / "x-00000.npy", np.where(np.arange(M)[:, None] == 21, np.inf, X))
    np.save(directory / "y-00000.npy", Y)
    chunks = feed(
        shards.open_shards(directory),
        lambda e: np.arange(M),
        BATCH,
        epochs=1,
        chunk_steps=1,
        threads=threads,
    )
    assert [next(chunks).step for _ in range(5)] == [0, 1, 2, 3, 4]  # what is good comes first
    with pytest.raises(ValueError, match=r"x-00000\.npy: .*inf in row 21, column 0"):
        next(chunks)
    assert list(chunks) == []
    good = fresh("good")
    for wrong, named in (
        (np.arange(M - 1), r"order: expected the numbers 0 … 22 .*\(22,\)"),
        (np.arange(M) * 1.0, r"order: .*float64"),
        (np.arange(M) + 1, r"indices: expected numbers in 0 … 22, got 23"),
    ):
        with pytest.raises(ValueError, match=named):
            consume(good, lambda epoch, wrong=wrong: wrong)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 24}, "batch_size: .*23"),
        ({"drop_last": "no"}, "drop_last"),
        ({"epochs": -1}, "epochs"),
        ({"chunk_steps": 0}, "chunk_steps"),
        ({"threads": -1}, "threads"),
        ({"first": (0, 7)}, "first: .*2 epochs of 6 steps, got epoch 0, step 7"),
        ({"first": (2, 1)}, "first: .*epoch 2, step 1"),
        ({"first": (3, 0)}, "first: .*epoch 3"),
        ({"first": (-1, 0)}, r"first\[0\]"),
        ({"first": (0, -1)}, r"first\[1\]"),
    ],
)
def test_refuses_at_once(opened, changed, named):
    given: Any = {"batch_size": BATCH, "epochs": 2, "chunk_steps": 2} | changed
    with pytest.raises((ValueError, TypeError), match=named):
        feed(opened, order, **given)


def test_without_grain(opened, monkeypatch):
    monkeypatch.setitem(sys.modules, "grain", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxnet-suite\[train\]'"):
        feed(opened, order, BATCH, epochs=1, chunk_steps=1)


def test_threads_end_when_the_feed_is_left(opened):
    """Closed, left in a loop and forgotten, and ended by an error in its user."""
    chunks = feed(opened, order, BATCH, epochs=3, chunk_steps=1, threads=2)
    assert threads_alive() == []  # nothing before the first is asked for
    next(chunks)
    assert threads_alive()
    chunks.close()
    for chunk in feed(opened, order, BATCH, epochs=3, chunk_steps=1):
        if chunk.step == 2:
            break
    with pytest.raises(ZeroDivisionError):
        for chunk in feed(opened, order, BATCH, epochs=3, chunk_steps=1):
            _ = 1 // chunk.epoch


def test_closing_gives_up_what_waits(opened):
    asked, go_on = [], threading.Event()

    def slow(epoch):
        asked.append(epoch)
        assert epoch == 0 or go_on.wait(10)
        return np.arange(M)

    chunks = feed(opened, slow, M, epochs=9, chunk_steps=1)
    next(chunks)
    while len(asked) < 2:
        time.sleep(0.001)
    chunks.close()  # epoch 1 is being read, epoch 2 waits for the thread
    go_on.set()
    while threads_alive():
        time.sleep(0.001)
    assert asked == [0, 1]


ABANDONED = """
import sys, time
import numpy as np
from jaxnet.data import shards
from jaxnet.data.feed import feed
opened = shards.open_shards(sys.argv[1])
def slow(epoch):
    time.sleep(0.3 if epoch else 0)
    return np.arange(opened.m)
chunks = feed(opened, slow, opened.m, epochs=1000, chunk_steps=1, threads=int(sys.argv[2]))
next(chunks)
print("done", flush=True)
if sys.argv[2] == "2":
    raise SystemExit(3)
"""


@pytest.mark.parametrize("threads", ["1", "2"])
def test_an_interpreter_exits_while_threads_read(opened, threads):
    directory = Path(str(opened.x[0].filename)).parent
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ABANDONED, directory, threads],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (3 * (threads == "2"), "done\n", "")
