"""Finding the experiments of a package without importing them."""

import ast
import difflib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

SECTIONS = (
    "intro",
    "basics",
    "shallow",
    "deep",
    "practice",
    "optimization",
    "tuning",
    "batch_norm",
)
PARTS = ("measure", "draw", "claims")


class Experiment(NamedTuple):
    """An experiment as its source declares it; timing: to be run alone, after the rest."""

    id: str
    module: str
    title: str
    notes_section: str
    notes_figures: tuple[int, ...]
    timing: bool


def discover(package: str = "scripts") -> list[Experiment]:
    """The experiments of a package, sections in the notes' order, names in alphabetical order.

    A module of a section is an experiment when it defines any of measure, draw and claims, or
    cannot be parsed: a broken one is to be reported when it runs, not passed over.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"package: expected an importable package, got {package!r}")
    root = Path(next(iter(spec.submodule_search_locations)))
    return [
        experiment
        for section in SECTIONS
        for path in sorted((root / section).glob("[!_]*.py"))
        if (experiment := _read(path, f"{package}.{section}.{path.stem}")) is not None
    ]


def _read(path: Path, module: str) -> Experiment | None:
    experiment_id = f"{path.parent.name}/{path.stem}"
    try:
        body = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError):
        return Experiment(experiment_id, module, experiment_id, "", (), False)
    if not any(isinstance(node, ast.FunctionDef) and node.name in PARTS for node in body):
        return None
    declared = _literals(body)
    return Experiment(
        id=experiment_id,
        module=module,
        title=declared.get("TITLE", experiment_id),
        notes_section=declared.get("NOTES_SECTION", ""),
        notes_figures=tuple(declared.get("NOTES_FIGURES", ())),
        timing=bool(declared.get("TIMING", False)),
    )


def _literals(body: list[ast.stmt]) -> dict[str, Any]:
    """Module-level NAME = literal."""
    found = {}
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found


def select(experiments: Sequence[Experiment], only: str | None) -> list[Experiment]:
    """The experiments named by a comma-separated list of ids and sections; None means all.

    Raises ValueError, naming the nearest, for a name that is neither.
    """
    if only is None:
        return list(experiments)
    ids = [experiment.id for experiment in experiments]
    sections = list(dict.fromkeys(name.split("/")[0] for name in ids))
    wanted = set()
    for name in only.split(","):
        chosen = {i for i in ids if name.strip() in (i, i.split("/")[0])}
        if not chosen:
            near = difflib.get_close_matches(name.strip(), [*ids, *sections], n=3, cutoff=0.4)
            hint = f"did you mean {' or '.join(near)}?" if near else "--list shows all"
            raise ValueError(f"--only: no experiment or section {name.strip()!r}; {hint}")
        wanted |= chosen
    return [experiment for experiment in experiments if experiment.id in wanted]
