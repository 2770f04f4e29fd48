"""`python -m scripts.benchmark [--only small,population,gradcheck] [--json FILE] [--plot FILE]`.

Every workload runs in a process of its own: each sets up its devices as it needs them, and none
finds the caches, threads and memory of another. A peer that is not installed is a row that says so.
"""

import argparse
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from scripts.benchmark.processes import in_own_process

WORKLOADS = ("small", "population", "gradcheck")
PACKAGES = ("jax", "jaxlib", "optax", "numpy", "torch", "scikit-learn")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _print_table(rows: list[dict[str, Any]]) -> None:
    print(f"{'workload':<10} {'system':<34} {'median':>12} {'ratio':>7} {'accuracy':>9}  detail")
    for row in rows:
        median = "-" if row["median"] is None else f"{1e3 * row['median']:,.1f} ms"
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
        accuracy = "-" if row["accuracy"] is None else f"{row['accuracy']:.3g}"
        print(
            f"{row['workload']:<10} {row['system']:<34} {median:>12} {ratio:>7} {accuracy:>9}  "
            f"{row['detail']}"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="jaxnet beside its peers, in turn.")
    parser.add_argument("--only", default=",".join(WORKLOADS), help="workloads, comma-separated")
    parser.add_argument(
        "--rounds", type=int, default=9, help="measurements of each (default 9; population: half)"
    )
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument(
        "--plot", type=Path, help="a figure of the population's cost per model; beside --json else"
    )
    arguments = parser.parse_args()
    arguments.only = arguments.only.split(",")
    unknown = [name for name in arguments.only if name not in WORKLOADS]
    if unknown:
        parser.error(f"--only: expected {', '.join(WORKLOADS)}, got {', '.join(unknown)}")
    if arguments.rounds < 1:
        parser.error(f"--rounds: expected a whole number ≥ 1, got {arguments.rounds}")
    if arguments.plot is None and arguments.json is not None:
        arguments.plot = arguments.json.with_suffix(".png")
    return arguments


def main() -> None:
    arguments = _arguments()
    rows, devices = [], {}
    for workload in arguments.only:
        found, devices[workload] = in_own_process(workload, arguments.rounds)
        rows += found
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print(", ".join(f"{name} on {device}" for name, device in devices.items()))
    print(", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    _print_table(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")
    if arguments.plot and "population" in arguments.only:
        from scripts.benchmark.cost_per_model import draw

        draw(rows, arguments.plot)


if __name__ == "__main__":
    main()
