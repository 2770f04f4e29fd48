"""Finished chunks on disk, so that a sweep or a search that was killed goes on where it was.

A directory holds `run.json`, what the run is, and `chunks/`, a NumPy archive for every finished
chunk. Files are written beside and renamed: a kill leaves whole files only. Nothing is unpickled.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.populations.arguments import Training
from jaxnet.populations.program import plain, to_host
from jaxnet.training import Run

MANIFEST = "run.json"


def _digest(tree: Any) -> str:
    """Sixteen hexadecimal digits that tell one pytree of arrays from another."""
    state = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        array = np.asarray(leaf)
        content = repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
        state.update(f"{array.dtype} {array.shape}".encode() + content)
    return state.hexdigest()[:16]


def describe(training: Training, key: Any, **more: Any) -> dict[str, Any]:
    """What has to be equal for a run to go on: data, key, numbers, versions, and `more`.

    What build computes cannot be told by looking at it; the shapes of its results are compared
    when chunks are read.
    """
    return {
        "data": _digest(training.data),
        "dev": None if training.dev is None else _digest(training.dev),
        "key": to_host(key).tolist(),
        "batch_size": training.batch_size,
        "epochs": training.epochs,
        "drop_last": training.drop_last,
        "float": str(jnp.result_type(float)),
        "jax": version("jax"),
        **{name: _plain(value) for name, value in more.items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping) and any(isinstance(one, np.ndarray) for one in value.values()):
        return {name: _digest(column) for name, column in value.items()}
    return json.loads(json.dumps(value, default=str))


class Store(NamedTuple):
    """Where chunks of one stage of a run lie; stage tells the rungs of a search apart."""

    directory: Path
    stage: str = "sweep"

    @staticmethod
    def open(directory: str | Path, configuration: Mapping[str, Any], *, resume: bool) -> "Store":
        """The store in a directory, made if there is none.

        Raises ValueError, and changes nothing, where the directory holds a run and resume is not
        set, holds another run (naming what differs), or holds something else.
        """
        directory = Path(directory)
        claim(directory / MANIFEST, configuration, resume=resume)
        return Store(directory)

    def save(self, members: np.ndarray, runs: Run) -> None:
        """Write a finished chunk."""
        (self.directory / "chunks").mkdir(exist_ok=True)
        path = self.directory / "chunks" / f"{self.stage}-{members[0]:06d}-{members[-1]:06d}.npz"
        beside = path.with_suffix(".tmp")
        leaves = {f"leaf{number}": leaf for number, leaf in enumerate(jax.tree.leaves(runs))}
        with beside.open("wb") as file:
            np.savez(file, members=members, **leaves)
        beside.replace(path)

    def load(self, members: np.ndarray, shapes: Run) -> dict[int, Run]:
        """Runs of the members that are here, of those asked for.

        Raises ValueError for a file that cannot be read, or is of a network of other shapes.
        """
        expected, structure = jax.tree.flatten(plain(shapes))
        wanted, found = set(members.tolist()), {}
        for path in sorted((self.directory / "chunks").glob(f"{self.stage}-*.npz")):
            try:
                with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                    here = archive["members"].tolist()
                    if wanted.isdisjoint(here):
                        continue
                    leaves = [archive[f"leaf{n}"] for n in range(len(archive.files) - 1)]
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                raise ValueError(
                    f"{path}: cannot be read ({error}); delete it and its members are trained anew"
                ) from error
            got = [(leaf.shape[1:], leaf.dtype) for leaf in leaves]
            if got != [(one.shape, one.dtype) for one in expected]:
                raise ValueError(
                    f"{path}: holds members of other shapes than build makes now; give another "
                    f"directory"
                )
            for place, member in enumerate(here):
                if member in wanted:
                    rows = [leaf[place] for leaf in leaves]
                    found[member] = jax.tree.unflatten(structure, rows)
        return dict(sorted(found.items()))


def claim(manifest: Path, configuration: Mapping[str, Any], *, resume: bool) -> bool:
    """Note in a directory which run it holds, so that none is mixed with or lost to another.

    manifest: the file that says so; its directory is made if there is none. Returns whether it held
    this run already.
    Raises ValueError, and changes nothing, where it holds this run and resume is not set, another
    run (naming what differs), or something else.
    """
    directory, beside = manifest.parent, manifest.with_suffix(".tmp")
    wanted = json.loads(json.dumps(configuration))
    held = manifest.exists()
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"out: {directory} is a file; give a directory")
    if held:
        _check_same(manifest, wanted, resume)
    elif directory.is_dir() and any(path != beside for path in directory.iterdir()):
        raise ValueError(f"out: {directory} is not empty and holds no run; give another name")
    _everyone_looked()
    if jax.process_index() == 0 and not held:
        directory.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
        beside.replace(manifest)
    _everyone_looked()
    return held


def _check_same(manifest: Path, wanted: Mapping[str, Any], resume: bool) -> None:
    try:
        there = json.loads(manifest.read_text(encoding="utf-8"))
        if not isinstance(there, dict):
            raise ValueError("it is no run's")
    except ValueError as error:
        raise ValueError(f"out: {manifest} cannot be read ({error}); give another name") from None
    differing = [
        f"{name}: {there.get(name, 'nothing')!r} there, {wanted.get(name, 'nothing')!r} now"
        for name in dict.fromkeys([*there, *wanted])
        if there.get(name) != wanted.get(name)
    ]
    if differing:
        raise ValueError(
            f"out: {manifest.parent} holds another run; give another name. It differs in "
            + "; ".join(differing)
        )
    if not resume:
        raise ValueError(
            f"out: {manifest.parent} holds this very run; go on with it by resume, or give another "
            f"name"
        )


def _everyone_looked() -> None:
    """Wait for the other processes: none may find the files that another one has just made."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices("store")
