"""The report of a run: versions, the machine, and a page that shows every figure and claim."""

import os
import platform
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Any

import jax
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scripts.harness import records

DISTRIBUTIONS = (
    "jaxnet-suite",
    "jax",
    "jaxlib",
    "optax",
    "numpy",
    "scipy",
    "matplotlib",
    "mpmath",
    "scikit-learn",
    "scikit-image",
    "torch",
    "keras",
    "flax",
)


def versions() -> dict[str, str | None]:
    """Python's version and those of the packages that results rest on; None if not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def machine() -> dict[str, Any]:
    """The machine that timings were taken on."""
    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "device": jax.devices()[0].device_kind,
    }


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def page(report: dict[str, Any]) -> str:
    """The report as one HTML page; figures are referred to by their relative paths."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["measured"] = records.measured
    environment.filters["verdict"] = records.verdict
    experiments = report["experiments"]
    judged = [claim for e in experiments for claim in e["claims"] if records.judged(claim)]
    unexpected = {e["id"]: records.unexpected(e) for e in experiments}
    return environment.get_template("report.html").render(
        report=report,
        sections=[
            (name, list(members))
            for name, members in groupby(experiments, lambda e: e["id"].split("/")[0])
        ],
        judged=len(judged),
        unexpected=unexpected,
        unexpected_count=sum(map(len, unexpected.values())),
        errors=[e["id"] for e in experiments if e["error"]],
    )
