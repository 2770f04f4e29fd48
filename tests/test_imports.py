"""Who may import whom: the project's table of import rules, read from the sources by `ast`.

                 beside the standard library and itself
reference_numpy  numpy
jaxnet           jax, optax, numpy, jaxtyping; and only from a lower layer of itself:
                 types, validation → leaves → layers, data → widths → models → gradcheck,
                 diagnostics → training → populations → crosscheck → cli
  data           and, inside functions, scikit-learn, scikit-image, grain
  training,
  populations    and, inside functions, orbax, grain, rich
  crosscheck     and reference_numpy, scipy, mpmath; inside functions the compared frameworks
  cli            everything
scripts          jaxnet, reference_numpy, what draws and what an experiment shows; an
                 experiment never imports another (mutants is no section: mutation_score's own)
"""

import ast
import graphlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("reference_numpy", "jaxnet", "scripts")

ARRAYS = {"jax", "jaxlib", "optax", "numpy", "jaxtyping"}
FRAMEWORKS = {"torch", "keras", "sklearn", "flax", "equinox", "chex", "tensorflow"}
FIGURES = {"matplotlib", "cycler", "jinja2", "scipy", "skimage", "mpmath"}

# The name to install, where it is not the name to import.
DISTRIBUTIONS = {
    "cycler": "matplotlib",
    "orbax": "orbax-checkpoint",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
}

LAYERS = [
    {"types", "validation"},
    {"activations", "initializers", "losses", "regularizers", "schedules", "optimizers"}
    | {"averages"},
    {"layers", "data"},
    {"widths"},
    {"models"},
    {"gradcheck", "diagnostics"},
    {"training"},
    {"populations"},
    {"crosscheck"},
    {"cli"},
    {"__main__"},
]
HEIGHT = {name: height for height, names in enumerate(LAYERS) for name in names}

# What each part may import inside functions only, beside what it may import anywhere.
DEFERRED = {
    "data": {"sklearn", "skimage", "grain"},
    "training": {"orbax", "grain", "rich"},
    "populations": {"orbax", "grain", "rich"},
    "crosscheck": FRAMEWORKS,
}


class Import(NamedTuple):
    """An import of `target` in `module`, inside a function or not."""

    module: str
    target: str
    deferred: bool
    line: int


def imports(module: str, source: str, known: set[str]) -> Iterator[Import]:
    """Every import in a source. `from a import b` means a.b where that is a module."""
    package = module if f"{module}.__init__" in known else module.rpartition(".")[0]

    def visit(node: ast.AST, deferred: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, deferred, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield Import(module, full if full in known else base, deferred, node.lineno)
        inside = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    yield from visit(ast.parse(source), False)


def complaint(found: Import) -> str | None:
    """What is wrong with one import, or None."""
    parts, target = found.module.split("."), found.target.split(".")
    ours, theirs = parts[0], target[0]
    if theirs in sys.stdlib_module_names:
        return None
    if ours == "reference_numpy":
        allowed = theirs in {"reference_numpy", "numpy"}
        return None if allowed else "the reference imports NumPy and nothing else"
    if ours == "scripts":
        return _complaint_of_scripts(parts, target)
    return _complaint_of_core(parts, target, found.deferred)


def _complaint_of_scripts(parts: list[str], target: list[str]) -> str | None:
    if target[0] == "scripts":
        section = target[1] if len(target) > 1 else ""
        private = target[-1].startswith("_") and target[:2] == parts[:2]
        if target == ["scripts", "mutants", "planting"]:  # who plants bugs plants them this way
            return None
        if section in {"harness", ""} or private or target == parts[:2]:
            return None
        if parts[1] in {"reproduce", "benchmark"} or section == "mutants" == parts[1]:
            return None
        if parts[1] == "mutation_score" and section == "mutants":
            return None
        return "an experiment imports another, or another section's helper"
    allowed = {"jaxnet", "reference_numpy"} | ARRAYS | FIGURES
    if parts[1].startswith("benchmark"):
        allowed |= FRAMEWORKS
    return None if target[0] in allowed else "not among what scripts may import"


def _complaint_of_core(parts: list[str], target: list[str], deferred: bool) -> str | None:
    if len(parts) == 1:  # jaxnet itself, which gathers the rest
        bad = target[:2] in (["jaxnet", "crosscheck"], ["jaxnet", "cli"])
        outside = target[0] not in {"jaxnet"} | ARRAYS
        return "the package must import without its optional parts" if bad or outside else None
    part = parts[1]
    if part not in HEIGHT:
        return f"{part} has no place among the layers: give it one in this test"
    if part == "cli":
        return None
    if target[0] == "jaxnet":
        if len(target) == 1:
            return "the core imports its parts, not the package that gathers them"
        if target[1] not in HEIGHT:
            return f"{target[1]} has no place among the layers: give it one in this test"
        same_package = target[1] == part or (HEIGHT[part] == 0 == HEIGHT[target[1]])
        lower = HEIGHT[target[1]] < HEIGHT[part]
        return None if same_package or lower else "imports point downwards only"
    if target[0] in ARRAYS:
        return None
    if part == "crosscheck" and target[0] in {"reference_numpy", "scipy", "mpmath"}:
        return None
    if target[0] in DEFERRED.get(part, set()):
        return None if deferred else "an optional package, to be imported inside a function"
    return "not among what this part of the core may import"


def violations(sources: dict[str, str]) -> list[str]:
    """All that is against the rules. sources: module ↦ text; packages as "a.b.__init__"."""
    modules = {name.removesuffix(".__init__") for name in sources}
    known = modules | set(sources)
    found = [
        one
        for name, source in sources.items()
        for one in imports(name.removesuffix(".__init__"), source, known)
    ]
    wrong = [
        f"{one.module}:{one.line}: {one.target}: {why}"
        for one in found
        if (why := complaint(one)) is not None
    ]
    graph: dict[str, set[str]] = {}
    for one in found:
        if one.target in modules and one.target != one.module:
            graph.setdefault(one.module, set()).add(one.target)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        wrong.append(f"cycle: {' → '.join(reversed(error.args[1]))}")
    return wrong


def project_sources() -> dict[str, str]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text()
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def test_the_project_keeps_the_rules():
    sources = project_sources()
    assert len(sources) > 40 and all(
        any(name.startswith(package) for name in sources) for package in PACKAGES
    )
    assert violations(sources) == []


def test_every_package_that_is_imported_can_be_installed():
    """By the core requirements for the core's plain imports, by some extra for the others."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[^\w-]", one)[0].lower() for one in requirements}

    core = names(project["dependencies"])
    optional = core.union(*map(names, project["optional-dependencies"].values()))
    sources = project_sources()
    known = set(sources) | {name.removesuffix(".__init__") for name in sources}
    for name, source in sources.items():
        module = name.removesuffix(".__init__")
        for one in imports(module, source, known):
            top = one.target.split(".")[0]
            if top in sys.stdlib_module_names or top in PACKAGES:
                continue
            plain = not one.deferred and not module.startswith(("scripts", "jaxnet.cli"))
            plain &= not module.startswith("jaxnet.crosscheck")
            needed = DISTRIBUTIONS.get(top, top)
            assert needed in (core if plain else optional), f"{module}:{one.line}: {top}"


PLANTED = {
    "reference sees jax": ("reference_numpy.mlp", "import jax", "NumPy and nothing else"),
    "reference sees scipy": ("reference_numpy.losses", "from scipy import special", "nothing else"),
    "reference sees the core": ("reference_numpy.mlp", "from jaxnet import losses", "nothing else"),
    "deferred in the reference": ("reference_numpy.mlp", "def f():\n    import jax", "nothing"),
    "core sees the reference": ("jaxnet.losses", "import reference_numpy", "may import"),
    "core sees scipy": ("jaxnet.losses", "import scipy.special", "may import"),
    "core sees matplotlib": ("jaxnet.training.fit", "import matplotlib.pyplot", "may import"),
    "deferred matplotlib": ("jaxnet.data.splits", "def f():\n    import matplotlib", "may import"),
    "core sees scripts": ("jaxnet.models", "from scripts import harness", "may import"),
    "leaf sees models": ("jaxnet.losses", "from jaxnet import models", "downwards"),
    "leaf sees leaf": ("jaxnet.losses", "from jaxnet import optimizers", "downwards"),
    "models see training": ("jaxnet.models", "def f():\n    import jaxnet.training", "downwards"),
    "data see models": ("jaxnet.data.splits", "from jaxnet.models import mlp", "downwards"),
    "training sees crosscheck": ("jaxnet.training.run", "from jaxnet import crosscheck", "downw"),
    "relative and upwards": ("jaxnet.data.splits", "from .. import training", "downwards"),
    "the whole package": ("jaxnet.training.run", "import jaxnet", "not the package"),
    "scikit-learn too early": ("jaxnet.data.datasets", "import sklearn", "inside a function"),
    "torch too early": ("jaxnet.crosscheck.layout", "import torch", "inside a function"),
    "torch in training": ("jaxnet.training.run", "def f():\n    import torch", "may import"),
    "a new part": ("jaxnet.novelty", "import jax", "no place among the layers"),
    "package with crosscheck": ("jaxnet.__init__", "from jaxnet import crosscheck", "optional"),
    "experiment sees another": (
        "scripts.deep.depth",
        "from scripts.deep import hyperparameters",
        "another",
    ),
    "experiment of another section": (
        "scripts.deep.depth",
        "import scripts.intro.applications",
        "another",
    ),
    "another section's helper": ("scripts.deep.depth", "from scripts.intro import _x", "another"),
    "experiment sees a mutant": ("scripts.deep.depth", "import scripts.mutants.x", "another"),
    "mutant sees an experiment": ("scripts.mutants.x", "import scripts.deep.depth", "another"),
    "experiment sees torch": ("scripts.deep.depth", "import torch", "scripts may import"),
    "cycle": ("jaxnet.types", "from jaxnet import validation", "cycle"),
}

FAKE = {
    "jaxnet.__init__": "from jaxnet import models",
    "jaxnet.types": "",
    "jaxnet.validation": "from jaxnet.types import Scalar",
    "jaxnet.losses": "from jaxnet.validation import check_labels",
    "jaxnet.optimizers": "import jax, optax",
    "jaxnet.layers": "",
    "jaxnet.models": "from jaxnet.layers import dense",
    "jaxnet.data.__init__": "from jaxnet.data import splits",
    "jaxnet.data.splits": "from .types import Dataset",
    "jaxnet.data.types": "",
    "jaxnet.data.datasets": "def f():\n    from sklearn import datasets",
    "jaxnet.training.__init__": "",
    "jaxnet.training.run": "from jaxnet import data, losses, models",
    "jaxnet.training.fit": "from jaxnet.training.run import make_train",
    "jaxnet.crosscheck.__init__": "",
    "jaxnet.crosscheck.layout": "import reference_numpy, mpmath\ndef f():\n    import torch",
    "jaxnet.cli.__init__": "from jaxnet.cli import sweep",
    "jaxnet.cli.sweep": "import matplotlib, tyro",
    "reference_numpy.mlp": "import numpy as np\nfrom reference_numpy import losses",
    "reference_numpy.losses": "import math",
    "scripts.harness.__init__": "import matplotlib",
    "scripts.deep.depth": "from scripts.deep._helper import f\nfrom scripts.harness import Claim",
    "scripts.deep._helper": "",
    "scripts.deep.hyperparameters": "import jaxnet, scipy",
    "scripts.intro.applications": "",
    "scripts.mutants.x": "",
    "scripts.mutants.y": "from scripts.mutants import x",
    "scripts.mutation_score": "from scripts.mutants import y",
    "scripts.intro._x": "",
}


def test_the_checker_accepts_what_is_right():
    assert violations(FAKE) == []


@pytest.mark.parametrize("name", PLANTED)
def test_the_checker_catches(name):
    module, line, why = PLANTED[name]
    planted = FAKE | {module: FAKE.get(module, "") + "\n" + line}
    wrong = violations(planted)
    assert wrong and any(why in one for one in wrong), wrong
