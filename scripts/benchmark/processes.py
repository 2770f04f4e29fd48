"""A fresh process for each workload. Here, because a new process cannot look into `__main__`."""

import importlib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any


def measure(workload: str, rounds: int) -> tuple[list[dict[str, Any]], str]:
    """Rows of one workload and the devices it ran on; to be called in a fresh process."""
    rows = importlib.import_module(f"scripts.benchmark.{workload}").rows(rounds)
    import jax

    return rows, f"{jax.local_device_count()} × {jax.devices()[0].device_kind}"


def in_own_process(workload: str, rounds: int) -> tuple[list[dict[str, Any]], str]:
    """`measure` in a new process, which inherits nothing and ends with it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, workload, rounds).result()
