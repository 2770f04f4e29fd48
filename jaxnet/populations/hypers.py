"""Hyperparameters of a population: checked, told apart into numbers and program, and grouped."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.training import Setup

RUN_NAMES = ("seed", "batch_size")
"""Names that `sweep` itself reads: which key a member gets, and the size of its mini-batches. Build
need not read them; it may read the batch size."""


class Group(NamedTuple):
    """Members that share a program.

    static: what is compiled in, as pairs of name and value. members: their places. traced: name ↦
    array of their values, inputs of the program.
    """

    static: tuple[tuple[str, Any], ...]
    members: np.ndarray
    traced: dict[str, np.ndarray]


class _Recorder(Mapping):
    """A mapping that remembers which of its names were read, be it by `get`, `in` or `**`.

    No dict, whose `**` would go past this class.
    """

    def __init__(self, values: Mapping[str, Any]):
        self.values_of, self.read = dict(values), set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return self.values_of[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_of)

    def __len__(self) -> int:
        return len(self.values_of)


def as_columns(hypers: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Hyperparameters as NumPy arrays of one length: numbers in JAX's dtypes, others as objects.

    Raises ValueError for none, other lengths, other ranks, and numbers that are not finite or that
    the dtype cannot hold.
    """
    if not isinstance(hypers, Mapping) or not hypers:
        raise ValueError(f"hypers: expected a dict name ↦ array with at least one, got {hypers!r}")
    columns = {}
    for name, values in hypers.items():
        column = np.asarray(values)
        given = column
        if column.ndim != 1 or len(column) == 0:
            raise ValueError(
                f"hypers[{name!r}]: expected an array (members,) with at least one, got shape "
                f"{column.shape}"
            )
        if column.dtype.kind == "f":
            with np.errstate(over="ignore"):
                column = column.astype(jnp.result_type(float))
            held = np.isfinite(column)
        elif column.dtype.kind in "iu":
            column = column.astype(np.int32)
            held = column == given
        else:
            column, held = column.astype(object), np.array(True)
        if not held.all():
            raise ValueError(
                f"hypers[{name!r}]: expected finite numbers that {column.dtype} can hold, got "
                f"{given}"
            )
        columns[name] = column
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"hypers: expected arrays of one length, got {lengths}")
    return columns


def row(columns: Mapping[str, np.ndarray], member: SupportsIndex) -> dict[str, Any]:
    """One member's hyperparameters as plain values."""
    return {
        name: column[member] if column.dtype == object else column[member].item()
        for name, column in columns.items()
    }


def _built(build: Callable[[Any], Setup], values: Mapping[str, Any], traced: set[str]) -> set[str]:
    """Trace build with some names as tracers; returns the names that it read. Computes nothing."""
    read: set[str] = set()

    def start(given):
        seen = _Recorder({**values, **given})
        setup = build(seen)
        read.update(seen.read)
        params, _ = setup.model.init(jax.random.key(0))
        return setup.optimizer.init(params)

    jax.eval_shape(start, {name: jnp.asarray(values[name]) for name in traced})
    return read


def split_names(
    build: Callable[[Any], Setup], columns: Mapping[str, np.ndarray]
) -> tuple[list[str], list[str]]:
    """Names that may be traced, and names that decide the program.

    Floats are always traced. What is no number is always compiled in; so is an integer that build
    cannot be traced with, such as a number of layers.
    Raises ValueError for a name that build does not read, KeyError's message made plain for one
    that it reads and does not get, and whatever else build raises on the first member.
    """
    names = [name for name in columns if name not in RUN_NAMES]
    own = {name: columns[name] for name in names}
    numbers = {name for name in names if own[name].dtype != object}
    whole = {name for name in numbers if own[name].dtype.kind == "i"}
    read: set[str] = set()
    for member in _first_of_each({name: own[name] for name in names if name not in numbers}):
        try:
            given = row({n: c for n, c in columns.items() if n != "seed"}, member)
            read |= _built(build, given, numbers - whole)
        except KeyError as missing:
            raise ValueError(
                f"hypers: build reads {missing.args[0]!r}, which is not among {sorted(columns)}"
            ) from missing
    unread = sorted(set(names) - read)
    if unread:
        raise ValueError(
            f"hypers: expected names that the training function takes "
            f"({sorted(read - set(RUN_NAMES))}, and "
            f"{' and '.join(RUN_NAMES)}), got {', '.join(map(repr, unread))}, which build does "
            f"not read"
        )
    first = row({name: column for name, column in columns.items() if name != "seed"}, 0)
    static = [name for name in names if name not in numbers]
    static += [
        name for name in sorted(whole) if not _traceable(build, first, numbers - whole, name)
    ]
    traced = [name for name in names if name not in static]
    return traced, static


def _first_of_each(words: Mapping[str, np.ndarray]) -> list[int]:
    """The first member of each combination of what is no number; member 0 where all are numbers.

    One option may read a name that another does not: β of momentum where Adam is the other choice.
    """
    found: dict[str, int] = {}
    for member in range(len(next(iter(words.values()), [0]))):
        found.setdefault(repr(row(words, member)), member)
    return list(found.values())


def _traceable(build: Callable[[Any], Setup], own: dict[str, Any], also: set[str], name: str):
    try:
        _built(build, own, also | {name})
    except Exception:  # concrete it worked: whatever this is, it comes from the tracer
        return False
    return True


def groups(build: Callable[[Any], Setup], columns: Mapping[str, np.ndarray]) -> Iterator[Group]:
    """Members that share all that is compiled in, in order of their first member."""
    traced, static = split_names(build, columns)
    if "batch_size" in columns:
        static = [*static, "batch_size"]
    places: dict[tuple[Any, ...], list[int]] = {}
    for member in range(len(next(iter(columns.values())))):
        values = row({name: columns[name] for name in static}, member)
        places.setdefault(tuple(values.items()), []).append(member)
    for fixed, members in places.items():
        chosen = np.array(members)
        yield Group(fixed, chosen, {name: columns[name][chosen] for name in traced})
