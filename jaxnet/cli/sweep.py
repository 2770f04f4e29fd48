"""`jaxnet sweep`: many variants of a network trained at once, ranked and drawn."""

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from jaxnet.cli.terminal import DEBUG, Failed, Mistake, console, option

SHOWN = 10
"""Members of the leaderboard."""

MANIFEST = "sweep.json"
"""Says what was asked for; the population's own store, in `members`, says what was trained."""


def command() -> Callable[..., int]:
    """The function whose parameters are the options of `jaxnet sweep`."""
    import tyro

    off = tyro.conf.FlagCreatePairsOff[bool]

    def sweep(
        *,
        dataset: Annotated[
            str,
            option("NAME", "digits, breast_cancer, diabetes, moons, circles, spirals or flower."),
        ],
        space: Annotated[Path, option("FILE.toml", "The hyperparameters and their ranges.")],
        out: Annotated[Path, option("DIR", "Where tables and pictures go; new or empty.")],
        hidden: Annotated[
            str,
            option("N,N", "Sizes of the hidden layers; 64 unless the space gives a width."),
        ] = "",
        members: Annotated[
            int, option("N", "Networks to train; for a search, what it may cost. (default: 64)")
        ] = 64,
        epochs: Annotated[int, option("N", "Passes over the training data. (default: 20)")] = 20,
        batch_size: Annotated[int, option("N", "Examples in a mini-batch. (default: 64)")] = 64,
        strategy: Annotated[
            str, option("NAME", "random, coarse_to_fine, halving or grid. (default: random)")
        ] = "random",
        points_per_axis: Annotated[
            int | None, option("N", "With grid: values of each range, its ends included.")
        ] = None,
        seed: Annotated[int, option("N", "Decides everything random. (default: 0)")] = 0,
        resume: Annotated[
            off, option(None, "Go on with the run that DIR holds, after its last finished chunk.")
        ] = False,
        debug: Annotated[off, option(None, DEBUG)] = False,
    ) -> int:
        """Train many variants of a network at once, on all cores, and rank them by dev error.

        A space file has a line for each hyperparameter:

          learning_rate = { log_uniform = [1e-4, 1e-1] }
          b1 = { one_minus_log_uniform = [0.5, 0.99] }
          width = { integers = [8, 64] }
          activation = { choice = ["relu", "tanh"] }

        It may name learning_rate, decay_rate, optimizer (gradient_descent, momentum, rmsprop,
        adam) and its beta, b1, b2, eps; l2, l1, keep_prob; init_scale, initializer, activation,
        batch_norm, width, depth; batch_size, seed. One choice is a value for all. Numbers and
        widths vary within one program; every combination of the words, depths and batch sizes is
        compiled by itself, so give few of those.

        random takes independent points, grid evenly spaced ones (some of them at random where
        there are more than members); coarse_to_fine and halving search, at the cost of so many
        members trained in full. DIR gets table.csv and table.jsonl, search.png (dev error against
        each hyperparameter) and curves.png (dev error against the epoch).

        Exit status: 0 done, 1 the run failed, 2 the command was given wrongly.
        """
        del debug  # `main` looks for it
        given = {
            "dataset": dataset,
            "hidden": hidden,
            "members": members,
            "epochs": epochs,
            "batch_size": batch_size,
            "strategy": strategy,
            "points_per_axis": points_per_axis,
            "seed": seed,
        }
        return run(given, space, out, resume=resume)

    return sweep


def run(given: Mapping[str, Any], space: Path, out: Path, *, resume: bool) -> int:
    """Check everything, train, and write tables and pictures; returns 0.

    given: the options of those names. Raises Mistake before anything is trained or written, Failed
    for what happens afterwards.
    """
    from jaxnet.populations import use_all_cores
    from jaxnet.populations.store import claim

    try:
        use_all_cores()  # before anything below asks JAX for a device
    except RuntimeError as error:
        raise Failed(str(error)) from error
    try:
        # Pictures are drawn last, but a matplotlib that is missing should be told of first.
        from jaxnet.cli import pictures  # noqa: F401
        from jaxnet.cli.plan import prepare, read_request, request_as_dict

        plan = prepare(read_request(given, space))
    except ImportError as missing:
        raise Mistake(_needed(missing)) from missing
    except OSError as error:
        raise Mistake(f"{error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise Mistake(str(error)) from error
    try:
        resumed = claim(out / MANIFEST, request_as_dict(plan.request), resume=resume)
    except OSError as error:
        raise Mistake(f"--out {out}: {error.strerror}") from error
    except ValueError as error:
        said = str(error).replace("out: ", "--out ", 1).replace("by resume", "by --resume", 1)
        raise Mistake(said) from error
    try:
        finish(plan, out, resumed=resumed)
    except KeyboardInterrupt as stop:
        raise Failed(f"stopped; the same command with --resume goes on in {out}") from stop
    except (ValueError, RuntimeError, MemoryError, OSError) as error:
        raise Failed(str(error)) from error
    return 0


def _needed(missing: ImportError) -> str:
    # What jaxnet itself raises names the extra already.
    if "jaxnet-suite[" in str(missing):
        return str(missing)
    return f"the command needs {missing.name}: pip install 'jaxnet-suite[train]'"


def finish(plan: Any, out: Path, *, resumed: bool) -> None:
    """Train, or go on where the directory says, print the leaderboard, write tables and pictures.

    Raises ValueError when no member is finite, once the tables are written.
    """
    from jaxnet.cli import pictures
    from jaxnet.cli.leaderboard import leaderboard, verdict
    from jaxnet.cli.task import in_target_unit
    from jaxnet.populations import write_table

    begun = time.monotonic()
    with progress(plan.task) as on_progress:
        population = train(plan, out / "members", on_progress)
    seconds = time.monotonic() - begun
    population = in_target_unit(population, plan.task.scale)
    rows = population.table()
    written = list(write_table(rows, out))
    terminal = console(width=250)
    best = population.best()
    terminal.print(_counted(population, seconds, resumed))
    terminal.print(leaderboard(rows[:SHOWN], list(plan.request.space), plan.task))
    for name, draw in (("search.png", pictures.search), ("curves.png", pictures.curves)):
        written.append(out / name)
        pictures.save(draw(population, plan.request.space, plan.task), out / name)
    terminal.print(verdict(population, best, plan.build, plan.task), soft_wrap=True)
    terminal.print(f"written: {', '.join(map(str, written))}", soft_wrap=True)


def _counted(population: Any, seconds: float, resumed: bool) -> str:
    members, failed = len(population.scores), int((~population.finite).sum())
    said = f"{members} members in {seconds:.1f} s"
    # Of those that were read from the directory nobody knows how long they took.
    said += ", with those found there" if resumed else f", {members / seconds:.3g} a second"
    return said + (f"; {failed} met a number that is not finite" if failed else "")


def train(plan: Any, directory: Path, on_progress: Callable[[Any], None] | None = None) -> Any:
    """The population of a plan; what the directory holds of it already is not trained again."""
    import jax

    from jaxnet.populations import search, sweep

    request, data = plan.request, plan.task.data
    shared = {
        "key": jax.random.key(request.seed),
        "batch_size": request.batch_size,
        "epochs": request.epochs,
        "dev": data.dev,
        "out": directory,
        "resume": True,  # `claim` has decided
        "on_progress": on_progress,
    }
    if plan.points is not None:
        return sweep(plan.build, plan.points, data.train, **shared)
    return search(
        plan.build,
        request.space,
        data.train,
        budget=request.members,
        strategy=request.strategy,
        **shared,
    )


@contextmanager
def progress(task: Any) -> Iterator[Callable[[Any], None] | None]:
    """A bar on standard error, with members per second and the best so far; none on no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = ("members", BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[said]}"))
    columns = tuple(TextColumn(one) if isinstance(one, str) else one for one in columns)
    first: list[tuple[float, int]] = []
    with Progress(*columns, console=Console(stderr=True)) as bar:
        shown = bar.add_task("", total=None, said="compiling")

        def on_progress(now: Any) -> None:
            said = "" if math.isnan(now.best) else f"best {task.said(task.scale * now.best)}"
            first.append((time.monotonic(), now.done))
            # Since the first chunk: before it a program was compiled, or members were read.
            (began, had), (at, has) = first[0], first[-1]
            if at > began:
                said = f"{(has - had) / (at - began):.3g} members/s  {said}"
            bar.update(shown, completed=now.done, total=now.members, said=said)

        yield on_progress
