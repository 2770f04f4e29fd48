"""An expression as data: built into the object it describes, and written as the text that does.

The optimizer and the code shown for it come from one `Call`, so that they cannot part.
"""

from collections.abc import Callable
from typing import Any, NamedTuple


class Call(NamedTuple):
    """function(*arguments, **keywords), not yet called; arguments may be calls themselves."""

    function: Callable
    arguments: tuple = ()
    keywords: dict[str, Any] = {}  # noqa: RUF012 (never written to)


def call(function: Callable, *arguments: Any, **keywords: Any) -> Call:
    """The call function(*arguments, **keywords), as data.

    >>> text(call(max, 1, call(min, 2, 3)))
    'builtins.max(1, builtins.min(2, 3))'
    """
    return Call(function, arguments, keywords)


def build(value: Any) -> Any:
    """What the expression evaluates to: calls called, innermost first; all else as it is."""
    if isinstance(value, Call):
        arguments = [build(argument) for argument in value.arguments]
        keywords = {name: build(argument) for name, argument in value.keywords.items()}
        return value.function(*arguments, **keywords)
    if isinstance(value, dict):
        return {name: build(item) for name, item in value.items()}
    return value


def _name(function: Callable) -> str:
    # optax defines its functions in private modules and shows them at its top.
    module = function.__module__
    home = "optax" if module.startswith("optax") else module.rpartition(".")[2]
    return f"{home}.{function.__name__}"


def text(value: Any) -> str:
    """The expression as Python; `optax.`, `schedules.`, `rates.` and so on name the modules."""
    if isinstance(value, Call):
        arguments = [text(argument) for argument in value.arguments]
        keywords = [f"{name}={text(argument)}" for name, argument in value.keywords.items()]
        return f"{_name(value.function)}({', '.join(arguments + keywords)})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name!r}: {text(item)}" for name, item in value.items()) + "}"
    if callable(value):
        return _name(value)
    return repr(value)
