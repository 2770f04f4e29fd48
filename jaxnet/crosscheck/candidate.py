"""A user's own function, from a file."""

import difflib
import importlib.util
import itertools
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

_number = itertools.count()


class CandidateError(ValueError):
    """A file or function that cannot be taken; the message is one line that says why."""


def load(spec: str) -> Callable[..., Any]:
    """The function that "FILE.py:FUNCTION" names; the file is run, and nothing else.

    The file's own directory is where its imports look first, as when it is run by `python FILE.py`.
    Raises CandidateError where the file is missing, cannot be read or raises (the message has the
    exception and the line), has no such function (the message lists those it has), or has something
    of the name that cannot be called.
    """
    file, colon, name = spec.rpartition(":")
    if not colon or not file or not name.isidentifier():
        raise CandidateError(f"candidate: expected FILE.py:FUNCTION, got {spec!r}")
    path = Path(file)
    if not path.is_file():
        what = "a directory" if path.is_dir() else "no such file"
        raise CandidateError(f"candidate: expected a Python file, {file} is {what}")
    module = _imported(path)
    if not hasattr(module, name):
        raise CandidateError(f"candidate: {file} has no {name}; {_has(module, name)}")
    function = getattr(module, name)
    if not callable(function):
        kind = type(function).__name__
        raise CandidateError(f"candidate: expected a function, {name} in {file} is of type {kind}")
    return function


def _imported(path: Path) -> ModuleType:
    # A name of its own for each load: a file called numpy.py must not become numpy.
    spec = importlib.util.spec_from_file_location(f"jaxnet_candidate_{next(_number)}", path)
    if spec is None or spec.loader is None:
        raise CandidateError(f"candidate: expected a Python file that ends in .py, got {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look a module up by its name
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise CandidateError(
            f"candidate: {path} does not import: {_said(error)}{_line_of(error, path)}"
        ) from error
    finally:
        sys.path.remove(str(path.parent.resolve()))
    return module


def _said(error: BaseException) -> str:
    text = str(error).splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def _line_of(error: BaseException, path: Path) -> str:
    if isinstance(error, SyntaxError):
        return "" if "line" in str(error) else f" (line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [one.lineno for one in frames if Path(one.filename).name == path.name]
    return f" (line {lines[-1]})" if lines else ""


def _has(module: ModuleType, name: str) -> str:
    own = [
        key
        for key, one in vars(module).items()
        if callable(one)
        and not key.startswith("_")
        and getattr(one, "__module__", module.__name__) == module.__name__
    ]
    if not own:
        return "it defines no function"
    near = difflib.get_close_matches(name, own, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"it has {', '.join(own)}{meant}"
