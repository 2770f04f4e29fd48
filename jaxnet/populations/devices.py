"""Where members run: the devices of this process, and the other processes of a distributed run."""

import os
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxnet.validation import check_count

AXIS = "members"

UNKNOWN_HOST = 2 * 2**30
"""Bytes taken where the host does not say how many it has."""


def use_all_cores(count: int | None = None) -> int:
    """One CPU device for each core this process may use, so that a population uses them all.

    On a CPU the small matrix products of a member run on one core, whatever XLA is told; members
    have to be spread over devices instead. To be called before anything asks JAX for a device: the
    first array is too late. Nothing happens on other platforms.

    count: number of devices instead of the number of cores, at least 1. Returns the number.
    Raises ValueError for a count below 1, RuntimeError when JAX has started already with another
    number: a run on fewer cores would look the same, only slower.
    """
    if count is None:
        here = hasattr(os, "sched_getaffinity")
        count = len(os.sched_getaffinity(0)) if here else os.cpu_count() or 1
    check_count("count", count)
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:
        raise RuntimeError(
            f"use_all_cores: JAX has started already, with {jax.local_device_count()} device(s) "
            f"instead of {count}; call it right after the imports, before the first array or key"
        ) from None
    return count


def local_mesh() -> Mesh:
    """The devices of this process as a mesh of one axis, over which members are spread."""
    return Mesh(np.array(jax.local_devices()), (AXIS,))


def memory_limit(device: Any) -> int:
    """Bytes that one device may fill: what an accelerator says is free, a share of host memory.

    Four fifths of an accelerator's free memory; half the host's, divided among the CPU devices.
    """
    stats = device.memory_stats() or {}
    if "bytes_limit" in stats:
        return int(0.8 * (stats["bytes_limit"] - stats.get("bytes_in_use", 0)))
    if not hasattr(os, "sysconf"):  # Windows does not say without another package
        return UNKNOWN_HOST // jax.local_device_count()
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return host // (2 * jax.local_device_count())


def share(members: int) -> np.ndarray:
    """Which members this process trains: every P-th of them, P being the number of processes."""
    return np.arange(jax.process_index(), members, jax.process_count())


def gather(results: Any, members: int) -> Any:
    """All members' results on every process, in order, from each process' share.

    results: a pytree of NumPy arrays whose leading axis is the share of this process. Processes
    need as many devices each, which is what JAX's own gathering asks for.
    """
    processes = jax.process_count()
    if processes == 1:
        return results
    from jax.experimental import multihost_utils

    longest = -(-members // processes)

    def join(leaf: np.ndarray) -> np.ndarray:
        short = longest - len(leaf)
        padded = np.concatenate([leaf, np.zeros((short, *leaf.shape[1:]), leaf.dtype)])
        parts = np.asarray(multihost_utils.process_allgather(padded))  # (P, longest, ...)
        return np.swapaxes(parts, 0, 1).reshape(-1, *leaf.shape[1:])[:members]

    return jax.tree.map(join, results)
