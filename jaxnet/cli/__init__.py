"""The command `jaxnet`: a module for each subcommand, whose parameters are the options.

Nothing but the standard library is imported here until a subcommand runs.
"""

import sys
from collections.abc import Sequence

from jaxnet.cli import crosscheck, sweep
from jaxnet.cli.terminal import Failed, Mistake

__all__ = ["Failed", "Mistake", "app", "main"]

HELP = """Deep-learning algorithms on JAX, each proved against a NumPy reference.

jaxnet COMMAND --help says what a command does and takes."""

COMMANDS = {"crosscheck": crosscheck, "sweep": sweep}

EXTRAS = {"crosscheck": "compare", "sweep": "train"}
"""What to install for a command; either one is enough for the help of all."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `jaxnet`, with the command line's arguments unless others are given.

    Exits with 0; 1 if a check found a disagreement or a run failed; 2 if the command was given
    wrongly.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = app(given)
    except (Mistake, Failed) as error:
        if "--debug" in given:
            raise
        # The libraries below may have put an array into their message.
        print(f"jaxnet: {' '.join(str(error).split())}", file=sys.stderr)
        status = 2 if isinstance(error, Mistake) else 1
    sys.exit(status)


def app(arguments: list[str]) -> int:
    """Parse the arguments and run the subcommand; returns its exit status.

    Raises Mistake and Failed, and SystemExit for options that do not parse, and after a help text.
    """
    try:
        import rich  # noqa: F401
        import tyro
    except ImportError as missing:
        extra = EXTRAS.get(next(iter(arguments), ""), "train")
        raise Mistake(
            f"the command needs {missing.name}: pip install 'jaxnet-suite[{extra}]'"
        ) from missing
    commands = tyro.extras.SubcommandApp()
    for name, module in COMMANDS.items():
        commands.command(module.command(), name=name)
    return commands.cli(prog="jaxnet", description=HELP, args=arguments)
