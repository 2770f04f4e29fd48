"""What the subcommands share: their mistakes and failures, options, and where they print."""

import sys
from typing import Any

DEBUG = "Show where a mistake or a failure arises, with a traceback."


class Mistake(Exception):
    """Something that the user can put right: one line, exit status 2."""


class Failed(Exception):
    """A run that was given rightly and did not come to its end: one line, exit status 1."""


def option(metavar: str | None, about: str) -> Any:
    """An option's help. Empty means all or none, which the text says; a default of '' would not."""
    import tyro

    return tyro.conf.arg(metavar=metavar, help=about, help_behavior_hint="")


def names(listed: str) -> tuple[str, ...]:
    """The parts of a list with commas, without the empty ones.

    >>> names("jax, torch,")
    ('jax', 'torch')
    """
    return tuple(name for name in (part.strip() for part in listed.split(",")) if name)


def console(width: int | None = None) -> Any:
    """Colour on a terminal, plain elsewhere and under NO_COLOR; rich looks at both.

    width: of what is no terminal, where nothing says how wide a line may be.
    """
    from rich.console import Console

    plain = not sys.stdout.isatty()
    return Console(markup=False, highlight=False, width=width if plain else None)
