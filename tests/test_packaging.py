"""What is installed: both packages whole, typed, of one version, with extras that exist."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

import jaxnet

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
INSTALLED = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def name_of(requirement: str) -> str:
    matched = re.match(r"[A-Za-z0-9_.-]+", requirement)
    assert matched, requirement
    return matched[0].lower()


def test_both_packages_are_installed_with_their_types():
    assert INSTALLED == ["jaxnet", "reference_numpy"]
    for package in INSTALLED:
        assert (ROOT / package / "__init__.py").is_file()
        assert (ROOT / package / "py.typed").is_file()
    assert "Typing :: Typed" in PROJECT["classifiers"]


@pytest.mark.parametrize("package", INSTALLED)
def test_every_directory_with_code_is_a_package(package):
    for source in (ROOT / package).rglob("*.py"):
        assert (source.parent / "__init__.py").is_file(), source


def test_no_build_rule_leaves_out_data_files():
    """hatchling ships every file below a package, unless a rule or .gitignore excludes it."""
    wheel = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(wheel) == {"packages"}
    ignored = (ROOT / ".gitignore").read_text().split()
    data = [
        path
        for package in [*INSTALLED, "scripts"]
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    ]
    assert data
    for path in data:
        assert not any(path.match(pattern.rstrip("/")) for pattern in ignored), path


def test_source_distribution_holds_what_the_tests_need():
    included = PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    for path in ("/jaxnet", "/reference_numpy", "/scripts", "/tests", "/README.md", "/LICENSE"):
        assert path in included
    for path in included:
        assert (ROOT / path.lstrip("/")).exists(), path
    assert (ROOT / PROJECT["readme"]).is_file()
    assert all((ROOT / name).is_file() for name in PROJECT["license-files"])


def test_there_is_one_version():
    assert PROJECT["dynamic"] == ["version"] and "version" not in PROJECT
    assert PYPROJECT["tool"]["hatch"]["version"]["path"] == "jaxnet/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", jaxnet.__version__)
    try:
        installed = importlib.metadata.version(PROJECT["name"])
    except importlib.metadata.PackageNotFoundError:
        return
    assert installed == jaxnet.__version__


def test_pythons_agree():
    least = PROJECT["requires-python"].removeprefix(">=")
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{least.replace('.', '')}"
    assert PYPROJECT["tool"]["pyright"]["pythonVersion"] == least


def test_extras_name_no_unknown_extra_of_ours():
    for requirements in EXTRAS.values():
        for requirement in requirements:
            if name_of(requirement) == PROJECT["name"]:
                inner = requirement[requirement.index("[") + 1 : requirement.index("]")]
                assert set(inner.split(",")) <= set(EXTRAS)


def test_compared_frameworks_are_pinned_exactly():
    compared = {name_of(one): one for one in EXTRAS["compare"]}
    for framework in ("torch", "keras", "scikit-learn", "flax", "equinox", "chex"):
        assert re.fullmatch(r"[a-z-]+==[\d.]+", compared[framework])


def test_messages_about_missing_packages_name_real_extras():
    named = set()
    for package in [*INSTALLED, "scripts"]:
        for path in (ROOT / package).rglob("*.py"):
            named |= set(re.findall(rf"{PROJECT['name']}\[([a-z,]+)\]", path.read_text()))
    assert named
    assert {name for names in named for name in names.split(",")} <= set(EXTRAS)
