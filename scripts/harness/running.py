"""Running one experiment: measure, judge, draw, and keep what came of it."""

import argparse
import importlib
import io
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

import jax
from matplotlib.figure import Figure

from scripts.harness.claims import MIN_SEEDS, Claim
from scripts.harness.output import OutputError, claim_directory, write_bytes, write_json
from scripts.harness.records import claim_record, table, unexpected
from scripts.harness.seeds import check_seed, experiment_key
from scripts.harness.style import look

LOWERING = "/jax/core/compile/jaxpr_to_mlir_module_duration"
COMPILING = "/jax/core/compile/backend_compile_duration"


class Task(NamedTuple):
    """One experiment to run, as it is sent to a worker process.

    out: directory that receives <id>.png and <id>.json.
    """

    id: str
    module: str
    seed: int
    quick: bool
    out: Path


def run_experiment(task: Task) -> dict[str, Any]:
    """Run one experiment, write its PNG and JSON, and return its record.

    Whatever the experiment raises becomes the record's "error" with its traceback; what was
    reached before it, such as the claims when the drawing failed, is kept.
    """
    record = new_record(task.id)
    start = time.perf_counter()
    try:
        module = importlib.import_module(task.module)
        record["title"] = module.TITLE
        record["notes_section"] = module.NOTES_SECTION
        record["notes_figures"] = list(module.NOTES_FIGURES)
        png = _run(module, task, record)
        write_bytes(task.out / f"{task.id}.png", png)
        record["figures"] = [f"{task.id}.png"]
    except (Exception, SystemExit):
        record["error"] = traceback.format_exc()
    record["seconds"] = time.perf_counter() - start
    write_json(task.out / f"{task.id}.json", record)
    return record


def new_record(experiment_id: str) -> dict[str, Any]:
    """Record of an experiment of which nothing is known yet but its id."""
    return {
        "id": experiment_id,
        "title": experiment_id,
        "notes_section": "",
        "notes_figures": [],
        "seconds": 0.0,
        "measure_seconds": None,
        "compile_seconds": None,
        "programs": None,
        "draw_seconds": None,
        "figures": [],
        "claims": [],
        "error": None,
    }


def _run(module: ModuleType, task: Task, record: dict[str, Any]) -> bytes:
    """Fill the record with seconds and claims; return the figure as PNG."""
    start = time.perf_counter()
    with compilations() as compiled:
        measurements = module.measure(experiment_key(task.seed, task.id), task.quick)
    record["measure_seconds"] = time.perf_counter() - start
    record["compile_seconds"] = sum(seconds for _, seconds in compiled)
    record["programs"] = sum(event == COMPILING for event, _ in compiled)

    claims = module.claims(measurements)
    _check_claims(claims)
    record["claims"] = [claim_record(claim) for claim in claims]
    if not task.quick:
        _check_seeds(claims)

    start = time.perf_counter()
    with look():
        figure = module.draw(measurements)
        if not isinstance(figure, Figure):
            raise TypeError(f"draw: expected a matplotlib Figure, got {type(figure).__name__}")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
    record["draw_seconds"] = time.perf_counter() - start
    return buffer.getvalue()


@contextmanager
def compilations() -> Iterator[list[tuple[str, float]]]:
    """The (event, seconds) of every program lowered or compiled meanwhile, as they happen."""
    compiled: list[tuple[str, float]] = []

    def listen(event: str, duration_secs: float, **_: Any) -> None:
        if event in (LOWERING, COMPILING):
            compiled.append((event, duration_secs))

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield compiled
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def _check_claims(claims: Any) -> None:
    if not isinstance(claims, list) or not all(isinstance(claim, Claim) for claim in claims):
        raise TypeError(f"claims: expected a list of Claim, got {claims!r}")
    if not claims:
        raise ValueError("claims: expected at least one claim, got none")
    texts = [claim.text for claim in claims]
    twice = sorted({text for text in texts if texts.count(text) > 1})
    if twice:
        raise ValueError(f"claims: expected distinct sentences, got more than once: {twice}")


def _check_seeds(claims: list[Claim]) -> None:
    for claim in claims:
        if claim.kind == "statistical" and 0 < claim.seeds < MIN_SEEDS:
            raise ValueError(
                f"claims: expected at least {MIN_SEEDS} seeds in a full run, "
                f"got {claim.seeds} for {claim.text!r}"
            )


def run_alone(file: str) -> NoReturn:
    """Run the experiment of this file from the command line, print its claims, and exit.

    Writes <id>.png and <id>.json in alone/ under --out, apart from the results of
    scripts.reproduce, so that its report keeps matching its figures. Exit code: 0 when all is
    as expected, 1 when a verdict is not or the experiment raised, 2 for bad input.
    """
    path = Path(file).resolve()
    section, name = path.parent.name, path.stem
    module = f"{path.parents[1].name}.{section}.{name}"
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    add_arguments(parser)
    arguments = parser.parse_args()
    out = arguments.out / "alone"
    experiment_id = f"{section}/{name}"
    try:
        planned = [f"alone/{experiment_id}{suffix}" for suffix in (".png", ".json")]
        claim_directory(arguments.out, planned)
    except OutputError as error:
        parser.error(str(error))
    record = run_experiment(Task(experiment_id, module, arguments.seed, arguments.quick, out))
    print(table(record))
    print(timings(record))
    for figure in record["figures"]:
        print(out / figure)
    sys.exit(1 if record["error"] or unexpected(record) else 0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that one experiment and all of them share."""
    parser.add_argument(
        "--quick", action="store_true", help="3 seeds and small settings; statistics not judged"
    )
    parser.add_argument("--seed", type=check_seed, default=0, help="root seed (default 0)")
    parser.add_argument(
        "--out", type=Path, default=Path("results"), help="output directory (default results/)"
    )


def timings(record: dict[str, Any]) -> str:
    """Where the seconds of an experiment went, for the terminal."""
    if record["draw_seconds"] is None:
        return f"{record['seconds']:.1f} s"
    return (
        f"{record['seconds']:.1f} s: measuring {record['measure_seconds']:.1f} "
        f"({record['programs']} programs, {record['compile_seconds']:.1f} compiling), "
        f"drawing {record['draw_seconds']:.1f}"
    )
