"""The main job: every experiment, its figure and its claims, and one report of them all.

    python -m scripts.reproduce [--only ID[,ID…]] [--quick] [--seed S] [--out DIR] [--jobs N]

Writes <section>/<name>.png and .json for each experiment, report.json and index.html.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.harness.discovery import Experiment, discover, select
from scripts.harness.output import OutputError, claim_directory, write_bytes, write_json
from scripts.harness.pool import map_isolated
from scripts.harness.records import judged, unexpected
from scripts.harness.report import cores, machine, page, versions
from scripts.harness.running import Task, add_arguments, new_record, run_experiment

EPILOG = """
Every experiment's numbers depend on --seed and its own id alone, not on what else runs.

DIR may be new, empty, or the results of an earlier run. There, the files of the experiments
that run now, report.json and index.html are written anew; the report lists only what ran in
this call, and other files, earlier figures included, are left as they are.

Exit code: 0 when every experiment ran and every judged verdict is the expected one (timings and
claims that are not run do not count), 1 when not, 2 for bad input, 130 when interrupted.
"""


def reproduce(
    experiments: Sequence[Experiment],
    *,
    seed: int,
    quick: bool,
    out: Path,
    jobs: int,
    show: Callable[[str], None],
) -> dict[str, Any]:
    """Run the experiments, write their results under `out`, and return the report.

    The experiments that only time things run alone, one at a time, after the rest.
    show: called with one line of text per experiment, as it finishes.
    Raises OutputError, with nothing written, when `out` cannot be used.
    """
    start = time.perf_counter()
    planned = [f"{e.id}{suffix}" for e in experiments for suffix in (".png", ".json")]
    claim_directory(out, [*planned, "report.json", "index.html"])

    records = {}
    for record in _run_all(experiments, seed=seed, quick=quick, out=out, jobs=jobs):
        records[record["id"]] = record
        show(f"[{len(records):>3}/{len(experiments)}] {_line(record)}")

    report = {
        "versions": versions(),
        "machine": machine(),
        "quick": quick,
        "seed": seed,
        "seconds": time.perf_counter() - start,
        "experiments": [records[experiment.id] for experiment in experiments],
    }
    write_json(out / "report.json", report)
    write_bytes(out / "index.html", page(report).encode())
    return report


def _run_all(
    experiments: Sequence[Experiment], *, seed: int, quick: bool, out: Path, jobs: int
) -> Iterator[dict[str, Any]]:
    """Records of the experiments, in the order in which they finish."""
    timed = [experiment for experiment in experiments if experiment.timing]
    rest = [experiment for experiment in experiments if not experiment.timing]
    by_id = {experiment.id: experiment for experiment in experiments}
    for group, workers in ((rest, jobs), (timed, 1)):
        tasks = [Task(e.id, e.module, seed, quick, out) for e in group]
        with _shared_machine(min(workers, len(tasks))):
            for outcome in map_isolated(run_experiment, tasks, jobs=workers):
                yield outcome.value or _lost(by_id[outcome.item.id], outcome.error, out)


@contextmanager
def _shared_machine(workers: int) -> Iterator[None]:
    """Environment in which several workers can share one GPU, restored afterwards.

    Each JAX process would otherwise claim three quarters of its memory. CPU threads are left
    alone: with one worker per core, limiting them saved no processor time.
    """
    name = "XLA_PYTHON_CLIENT_PREALLOCATE"
    if workers < 2 or name in os.environ:
        yield
        return
    os.environ[name] = "false"
    try:
        yield
    finally:
        del os.environ[name]


def _lost(experiment: Experiment, error: str | None, out: Path) -> dict[str, Any]:
    """Record of an experiment whose worker died, written in its place."""
    record = new_record(experiment.id) | {
        "title": experiment.title,
        "notes_section": experiment.notes_section,
        "notes_figures": list(experiment.notes_figures),
        "error": error,
    }
    write_json(out / f"{experiment.id}.json", record)
    return record


def failed(report: dict[str, Any]) -> bool:
    """Whether an experiment did not run or a judged verdict is not the expected one."""
    return any(record["error"] or unexpected(record) for record in report["experiments"])


def _line(record: dict[str, Any]) -> str:
    """One experiment's outcome for the progress display."""
    wrong = unexpected(record)
    if record["error"]:
        outcome = f"ERROR: {record['error'].strip().splitlines()[-1]}"
    elif wrong:
        outcome = "UNEXPECTED: " + "; ".join(
            f"{claim['verdict']}, expected {claim['expected']}: {claim['text']}" for claim in wrong
        )
    else:
        count = sum(judged(claim) for claim in record["claims"])
        outcome = f"{count} of {len(record['claims'])} claims judged, as expected"
    return f"{record['id']:<32} {record['seconds']:6.1f} s  {outcome}"


def _summary(report: dict[str, Any], out: Path) -> str:
    records = report["experiments"]
    errors = sum(bool(record["error"]) for record in records)
    wrong = sum(len(unexpected(record)) for record in records)
    count = sum(judged(claim) for record in records for claim in record["claims"])
    return (
        f"experiments: {len(records)}, failed: {errors}; claims judged: {count}, "
        f"unexpected: {wrong}; {report['seconds']:.0f} s; see {out / 'index.html'}"
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, got {text!r}")
    return int(text)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None, *, package: str = "scripts") -> int:
    """The command line; package: where the experiments are looked for."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.reproduce",
        description="Run the experiments, write their figures and claims, and judge the claims.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    parser.add_argument("--only", metavar="ID[,ID…]", help="experiments or sections to run")
    parser.add_argument("--list", action="store_true", help="list the experiments and stop")
    parser.add_argument(
        "--jobs", type=_positive, default=cores(), help="processes (default: the cores)"
    )
    options = parser.parse_args(arguments)
    try:
        experiments = select(discover(package), options.only)
    except ValueError as error:
        parser.error(str(error))
    if options.list:
        for experiment in experiments:
            print(f"{experiment.id:<32} {experiment.title}")
        return 0
    if not experiments:
        parser.error(f"no experiments found in {package}")
    try:
        report = reproduce(
            experiments,
            seed=options.seed,
            quick=options.quick,
            out=options.out,
            jobs=options.jobs,
            show=_say,
        )
    except OutputError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        _say("interrupted; the experiments that finished are written, the report is not")
        return 130
    _say(_summary(report, options.out))
    return int(failed(report))


if __name__ == "__main__":
    sys.exit(main())
