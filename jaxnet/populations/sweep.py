"""`sweep`: the training run over many members at once."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.data import Dataset
from jaxnet.populations import devices, program
from jaxnet.populations.arguments import Training, check_training
from jaxnet.populations.hypers import Group, as_columns, groups, row
from jaxnet.populations.population import Part, Population, assemble, judge
from jaxnet.populations.store import Store, describe
from jaxnet.training import Run, Setup
from jaxnet.training.boundary import check_outputs
from jaxnet.types import PRNGKey
from jaxnet.validation import check_batch_size, check_flag


class Progress(NamedTuple):
    """Where a sweep is: members done of those of this process, and the best score so far.

    best: NaN before the first finite member.
    """

    done: int
    members: int
    best: float


@jax.jit
def _fold(key: PRNGKey, numbers: Any) -> Any:
    return jax.vmap(lambda number: jax.random.fold_in(key, number))(numbers)


def member_keys(key: PRNGKey, columns: Mapping[str, np.ndarray], first: int = 0) -> Any:
    """fold_in(key, seed) of each member, or fold_in(key, i) where no hyperparameter is "seed"."""
    members = len(next(iter(columns.values())))
    numbers = columns.get("seed", first + np.arange(members))
    return _fold(key, jnp.asarray(numbers, jnp.uint32))


def check_members(training: Training, columns: Mapping[str, np.ndarray]) -> list[Group]:
    """The groups of a population; each one's first member is tried on the data, as shapes only."""
    if "seed" in columns and (columns["seed"].dtype.kind != "i" or (columns["seed"] < 0).any()):
        raise ValueError(f"hypers['seed']: expected whole numbers ≥ 0, got {columns['seed']}")
    for batch_size in set(columns.get("batch_size", ())):
        check_batch_size("hypers['batch_size']", int(batch_size), training.data.x.shape[0])
    found = list(groups(training.build, columns))
    for group in found:
        setup = training.build(row(columns, int(group.members[0])))
        params, state = jax.eval_shape(setup.model.init, jax.random.key(0))
        for name, part in (("data", training.data), ("dev", training.dev)):
            if part is not None:
                check_outputs(name, setup.model, params, state, part, setup.loss)
    return found


def _plan(training: Training, group: Group) -> program.Plan:
    batch_size = dict(group.static).get("batch_size", training.batch_size)
    mesh = devices.local_mesh()
    return program.Plan(
        training.build,
        group.static,
        batch_size,
        training.epochs,
        training.drop_last,
        training.dev is not None,
        mesh,
        program.block_size(mesh, len(group.members)),
        0,
    )


def train_members(
    training: Training,
    columns: Mapping[str, np.ndarray],
    keys: Any,
    *,
    after: tuple[Part, ...] | None = None,
    first_epoch: int = 0,
    store: Store | None = None,
    on_chunk: Callable[[int, Run], None] = lambda members, runs: None,
    checked: list[Group] | None = None,
) -> tuple[Part, ...]:
    """Train all members for `training.epochs` epochs, group by group, chunk by chunk.

    checked: what check_members returned, if it was asked before; it takes a few milliseconds.
    after: parts, grouped as here, to go on from. store: where finished chunks are kept and taken
    from. on_chunk: called with the number of members of a chunk and their runs.
    Every process of a distributed run trains its share and returns all members.
    """
    parts = []
    found = check_members(training, columns) if checked is None else checked
    for number, group in enumerate(found):
        mine = devices.share(len(group.members))
        traced = {name: column[mine] for name, column in group.traced.items()}
        members = group.members[mine]
        before = None if after is None else _rows(after[number].runs._replace(history={}), mine)
        inputs = program.Inputs(keys[members], traced, before, first_epoch)
        runs = _train_group(training, group, members, inputs, store, on_chunk)
        parts.append(Part(group.members, devices.gather(runs, len(group.members))))
    return tuple(parts)


def _train_group(
    training: Training,
    group: Group,
    members: np.ndarray,
    inputs: program.Inputs,
    store: Store | None,
    on_chunk: Callable[[int, Run], None],
) -> Run:
    plan = _plan(training, group)
    shapes = program.result_shapes(plan, inputs, training.data, training.dev)
    done: dict[int, Run] = {} if store is None else store.load(members, shapes)
    if done:
        on_chunk(len(done), _stack(list(done.values())))
    if inputs.after is not None:
        after = program.from_host(shapes._replace(history={}), inputs.after)
        inputs = inputs._replace(after=after)
    left = np.array([place for place, member in enumerate(members) if member not in done], int)
    # Written into one array as they come: parts joined afterwards would hold the results twice.
    results = jax.tree.map(
        lambda one: np.empty((len(members), *one.shape), one.dtype), program.plain(shapes)
    )
    for place, member in enumerate(members):
        if member in done:
            _put(results, place, done[member])
    if left.size:
        data, dev = jax.device_put((training.data, training.dev), program.everywhere(plan))
        plan = program.fit_memory(plan, _take(inputs, left[:1]), data, dev, training.chunk)
        size = plan.mesh.size * plan.per_device
        for start in range(0, left.size, size):
            places = left[start : start + size]
            runs = program.train_chunk(plan, _take(inputs, places), data, dev)
            if store is not None:
                store.save(members[places], runs)
            on_chunk(len(places), runs)
            _put(results, places, runs)
    return results


def _put(results: Run, places: Any, runs: Run) -> None:
    """Write runs into their places of the results."""

    def write(into: np.ndarray, leaf: Any) -> None:
        into[places] = leaf

    jax.tree.map(write, results, runs)


def _take(inputs: program.Inputs, places: np.ndarray) -> program.Inputs:
    keys, hyper, after = _rows((inputs.keys, inputs.hypers, inputs.after), places)
    return program.Inputs(keys, hyper, after, inputs.first_epoch)


def _rows(tree: Any, places: np.ndarray) -> Any:
    return jax.tree.map(lambda leaf: leaf[places], tree)


def _stack(runs: list[Run]) -> Run:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *runs)


def sweep(
    build: Callable[[Any], Setup],
    hypers: Mapping[str, Any],
    data: Dataset,
    *,
    key: PRNGKey,
    batch_size: int | None,
    epochs: int,
    dev: Dataset | None = None,
    drop_last: bool = False,
    chunk: int | str = "auto",
    out: str | Path | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Population:
    """Train a population: the run of `make_train` for every row of hyperparameters.

    build: hyper ↦ Setup, called inside the trace with a dict of one member's hyperparameters, as
    for `make_train`. Keep it one function object: another one compiles again, other numbers do not.
    hypers: name ↦ array (N,), such as `samplers.random` returns. "seed" and "batch_size" are read
    here: members of equal seed have the same randomness; without it member i has that of
    fold_in(key, i). Numbers are inputs of the program. Words, other objects, batch sizes, and whole
    numbers that build cannot take as a traced one (a number of layers) are compiled in, one program
    for each combination; widths need not be (`mlp(…, widths=…)`).
    data, dev, batch_size, epochs, drop_last: as for `fit`; batch_size is also the default where
    "batch_size" is among the hypers.
    chunk: how many members are trained between two looks at the progress and held by the devices;
    "auto" asks the devices for their memory. It changes no number on a CPU.
    out: a directory in which finished chunks are kept; with resume, members found there are not
    trained again. on_progress: called after every chunk.

    The score of a member is its lowest dev error (that of classes, or the root mean squared error)
    over the epochs, and its best parameters are those of that epoch; a choice among many epochs and
    members is optimistic, so judge the winner on a test set. Without a dev set the score is the
    training cost of the last epoch. Members that meet NaN or infinity are marked, have no score and
    never win; they do not touch the others.

    Members are spread over all devices of this process (on a CPU call `use_all_cores()` first), and
    over all processes after `jax.distributed.initialize()`, each training its share; every process
    returns the whole population.

    Raises ValueError or TypeError before any compute for data or numbers that do not fit and names
    that build does not read; ValueError for an `out` that holds another run.
    Source: notes §7, training many models in parallel (fig. 78).

    >>> import jaxnet
    >>> moons = jaxnet.data.datasets.moons(jax.random.key(0), 200, noise=0.1)
    >>> build = lambda h: jaxnet.Setup(jaxnet.mlp((2, 8, 2)), jaxnet.optimizers.adam(h["alpha"]))
    >>> population = sweep(build, {"alpha": [1e-4, 0.03]}, moons, dev=moons, batch_size=50,
    ...                    epochs=20, key=jax.random.key(1))
    >>> population.best(), population.params[0].w.shape
    (1, (2, 2, 8))
    """
    columns = as_columns(hypers)
    training = check_training(build, data, dev, key, batch_size, epochs, drop_last, chunk)
    check_flag("resume", resume)
    found = check_members(training, columns)
    store = None
    if out is not None:
        store = Store.open(out, describe(training, key, hypers=columns), resume=resume)
    mine = sum(len(devices.share(len(group.members))) for group in found)
    watch = watcher(mine, on_progress)
    keys = member_keys(key, columns)
    parts = train_members(training, columns, keys, store=store, on_chunk=watch, checked=found)
    return assemble(columns, keys, parts)


def watcher(
    members: int, on_progress: Callable[[Progress], None] | None
) -> Callable[[int, Run], None]:
    """What counts members and keeps the best score, for `train_members` to call."""
    done, best = 0, np.nan

    def watch(count: int, runs: Run) -> None:
        nonlocal done, best
        done += count
        best = np.fmin(best, np.fmin.reduce(judge(runs)[0], initial=np.nan))
        if on_progress is not None:
            on_progress(Progress(done, members, float(best)))

    return watch
