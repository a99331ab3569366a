"""``svertka``: calls a verb. It is imported only then; its options are the parameters of its function."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from svertka.cli import COURSE, KAGGLE, LAB, VERBS
from svertka.cli.process import Stop, one_message, streams
from svertka.errors import ConfigError

_GROUPS = {
    "svertka": ("svertka.cli.{}", {name: line for verbs in VERBS.values() for name, line in verbs.items()}),
    "kaggle": ("svertka.cli.kaggle", KAGGLE),
    "lab": ("svertka.cli.lab.{}", LAB),
    "course": ("svertka.cli.course", COURSE),
}
"""Where the verbs of a group are written, and what each does."""
_USUAL = {"course": "open"}
"""The verb of a group that is meant where none is named."""
_NEGATIVE = re.compile(r"-[\d.][-+\d.,;/eE\s]*")
"""A number or a matrix of numbers that begins with a minus."""


class Commands(Mapping[str, Any]):
    """Typer's commands of a group's verbs; a verb's module is imported when its command is asked for."""

    def __init__(self, group: str) -> None:
        self._place, self._lines = _GROUPS[group]

    def __getitem__(self, name: str) -> Any:
        line = self._lines[name]
        if name in _GROUPS:
            return Verbs(name=name, help=line, no_args_is_help=True, rich_markup_mode=None)
        function = name.replace("-", "_")
        single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        single.command(name, help=line, cls=Verb)(getattr(import_module(self._place.format(function)), function))
        return typer.main.get_command(single)

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


class Verb(TyperCommand):
    """A verb, for which a negative number is a value and never an option: no option is called ``-1``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads its options and arguments; those that are numbers get a space before their minus."""
        return super().parse_args(ctx, [f" {arg}" if _NEGATIVE.fullmatch(arg) else arg for arg in args])


class Verbs(TyperGroup):
    """A group of verbs whose usage errors are one line, as every error here is."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: Any = Commands(settings["name"])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the options before the verb; errors as in ``invoke``."""
        usual = _USUAL.get(str(self.name))
        if usual and (not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)):
            args = [usual, *args]
        with _one_line():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Calls the verb; what it returns, if anything, is the exit code.

        Raises:
            ConfigError: the verb or its options are not used as they are meant.
        """
        with _one_line():
            code = super().invoke(ctx)
        if code:
            raise typer.Exit(code)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Lists the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_GROUPS[str(self.name)][1].items()))


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Typer's usage errors have their say here; their class is not public
        if not hasattr(error, "format_message") or type(error).__name__ == "NoArgsIsHelpError":
            raise
        from svertka.cli.usage import usage_error

        raise ConfigError(usage_error(error, sys.argv)) from error


app = typer.Typer(
    cls=Verbs,
    name="svertka",
    help="A folder of images in; a tested, explained, portable classifier out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    """Options that stand before the verb."""
    if version:
        from svertka.util.version import __version__

        typer.echo(f"svertka {__version__}")
        raise typer.Exit


def main() -> None:
    """Runs the command line: an error of ours is one line and exit code 2."""
    debug = "--debug" in sys.argv  # people add it at the end of the line that failed
    if debug:
        sys.argv.remove("--debug")
    stop = Stop()
    with streams():
        try:
            app(standalone_mode=True)
        except SystemExit as ended:
            sys.exit(stop.code or ended.code)
        except Exception as error:
            from svertka.messages import shortened

            message = None if debug else one_message(error)
            if message is None:
                raise
            print(f"svertka: {shortened(' '.join(message.split()))}", file=sys.stderr)
            sys.exit(2)
