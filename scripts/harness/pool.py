"""A function over items in worker processes, where the death of a worker costs one item."""

import multiprocessing
import queue
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple


class Outcome(NamedTuple):
    """What became of an item: its value, or else an error."""

    item: Any
    value: Any
    error: str | None


def map_isolated(
    function: Callable[[Any], Any], items: Sequence[Any], *, jobs: int
) -> Iterator[Outcome]:
    """Outcomes of function(item) in the order in which they finish.

    jobs workers, each a fresh interpreter that serves many items, so that imports are paid
    once per worker. When one dies, the item that it was at fails, a new worker takes its
    place, and the rest go on. (One pool of many workers would fail all that were running.)
    """
    pending = deque(items)
    finished: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    slots = [
        threading.Thread(target=_serve, args=(function, pending, finished))
        for _ in range(min(jobs, len(items)))
    ]
    for slot in slots:
        slot.start()
    try:
        for _ in items:
            yield finished.get()
    finally:
        pending.clear()
        for slot in slots:
            slot.join()


def _serve(function: Callable[[Any], Any], pending: deque, finished: queue.SimpleQueue) -> None:
    """Take items until none is left, with one worker process at a time."""
    pool = _worker()
    while pending:
        try:
            item = pending.popleft()
        except IndexError:
            break
        value, error = None, None
        try:
            value = pool.submit(function, item).result()
        except BrokenProcessPool:
            error = "The worker process died: killed, out of memory, or it called os._exit."
            pool.shutdown(wait=False)
            pool = _worker()
        except BaseException:
            error = traceback.format_exc()
        finished.put(Outcome(item, value, error))
    pool.shutdown()


def _worker() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
