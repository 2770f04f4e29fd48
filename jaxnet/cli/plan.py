"""What a sweep is asked for, checked before anything is trained."""

import math
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxnet.cli.hyperparameters import check_effect, check_names, make_build
from jaxnet.cli.task import Task, read_task
from jaxnet.cli.terminal import names
from jaxnet.populations import Space, read_space, samplers
from jaxnet.populations.search import ROUNDS
from jaxnet.training import Setup
from jaxnet.validation import check_choice, check_count

STRATEGIES = ("random", "coarse_to_fine", "halving", "grid")

LARGEST_GRID = 1_000_000
"""Points of which a subset is still taken by listing them all."""


class Request(NamedTuple):
    """All that decides the table, as the command line and the space file have it."""

    dataset: str
    space: Space
    hidden: tuple[int, ...]
    members: int
    epochs: int
    batch_size: int
    strategy: str
    points_per_axis: int | None
    seed: int


def request_as_dict(request: Request) -> dict[str, Any]:
    """A request as a flat dict, hyperparameters one by one, and the version that carries it out."""
    plain = {name: value for name, value in request._asdict().items() if name != "space"}
    space = {f"space.{name}": dimension for name, dimension in request.space.items()}
    return plain | space | {"jax": version("jax")}


class Plan(NamedTuple):
    """A request that was found right, and what is made of it. points: of a grid, else None."""

    request: Request
    task: Task
    build: Callable[[Any], Setup]
    points: Mapping[str, Any] | None


def prepare(request: Request) -> Plan:
    """What is needed to train. Raises ValueError for what the request has wrong, ImportError."""
    for name in ("members", "epochs", "batch_size"):
        check_count(_flag(name), getattr(request, name))
    check_count("--seed", request.seed, least=0)
    check_choice("--strategy", request.strategy, STRATEGIES)
    if request.strategy == "coarse_to_fine" and request.members < ROUNDS:
        raise ValueError(f"--members: expected at least the {ROUNDS} rounds of coarse_to_fine")
    on_a_grid = request.strategy == "grid"
    if on_a_grid != (request.points_per_axis is not None):
        raise ValueError("--points-per-axis and --strategy grid go together")
    if request.points_per_axis is not None:
        check_count("--points-per-axis", request.points_per_axis)
    task = read_task(request.dataset)
    build = make_build(task, request.space, request.hidden, request.batch_size)
    check_effect(build, request.space)
    return Plan(request, task, build, grid_points(request) if on_a_grid else None)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def read_request(given: Mapping[str, Any], file: Path) -> Request:
    """The request of some options and a space file.

    Raises ValueError for a space or sizes that are none, OSError for a file that cannot be read.
    """
    space = read_space(file)
    try:
        space = check_names(space)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    return Request(space=space, **{**given, "hidden": _sizes(given["hidden"])})


def _sizes(hidden: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(size) for size in names(hidden))
    except ValueError:
        raise ValueError(f"--hidden: expected sizes such as 64,32, got {hidden!r}") from None
    if any(size < 1 for size in sizes):
        raise ValueError(f"--hidden: expected sizes of at least 1, got {hidden!r}")
    return sizes


def grid_points(request: Request) -> dict[str, Any]:
    """The points of a grid, or as many of them as there are members, chosen by the seed.

    Raises ValueError for more members than points, and for more points than can be looked at.
    """
    each = request.points_per_axis or 1
    sides = [len(one[1]) if one[0] == "choice" else each for one in request.space.values()]
    points = math.prod(sides)
    if points < request.members:
        raise ValueError(
            f"--members {request.members}: the grid has {points} points, "
            f"{' × '.join(map(str, sides))}; give at most {points}, or more --points-per-axis"
        )
    if points > LARGEST_GRID:
        raise ValueError(
            f"--points-per-axis {each}: {points:,} points, more than {LARGEST_GRID:,}; take "
            f"fewer, or --strategy random"
        )
    chosen = samplers.grid(request.space, each)
    if points == request.members:
        return chosen
    subset = jax.random.fold_in(jax.random.key(request.seed), points)
    places = np.sort(np.asarray(jax.random.permutation(subset, points))[: request.members])
    return {name: np.asarray(values)[places] for name, values in chosen.items()}
