"""What is said of a command line that cannot be read, in the language that it asks for."""

import re
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

from svertka.cli.hints import hint
from svertka.cli.output import phrase, speak
from svertka.messages import LANGUAGES


def usage_error(error: Any, arguments: list[str]) -> str:
    """One line on what is wrong, and where to read on.

    Args:
        error: a usage error of Typer's.
        arguments: of the process; ``--language`` is looked for there, since nothing was read.
    """
    for option, value in [*pairwise(arguments), *(argument.split("=", 1) for argument in arguments if "=" in argument)]:
        if option == "--language" and value in LANGUAGES:
            speak(value)
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "svertka")
    return f"{_said(error, getattr(context, 'command', None))} {phrase('usage.see', path=path)}"


def _said(error: Any, command: Any) -> str:
    said = error.format_message()
    name, close, *_ = [*re.findall(r"'([^']*)'", said), "", ""]
    option = str(getattr(error, "option_name", ""))
    match type(error).__name__:
        case "NoSuchOption":
            options = {name for parameter in command.params for name in parameter.opts}
            if instead := hint(option, options):
                return f"{phrase('usage.no_option', option=option, close='')} {instead}"
            return phrase("usage.no_option", option=option, close=_close(*get_close_matches(option, options, n=1)))
        case "BadOptionUsage":
            return phrase("usage.no_value", option=option)
        case "MissingParameter":
            return phrase("usage.missing", name=name)
        case "BadParameter":
            return phrase("usage.bad", name=name, why=error.message.rstrip("."))
    if found := re.search(r"unexpected extra argument.* \((.*)\)", said):
        return phrase("usage.extra", name=found[1])
    if "No such command" in said:
        return phrase("usage.no_verb", name=name, close=_close(*filter(None, [close])))
    return said if said.endswith(("?", ".")) else f"{said}."


def _close(*names: str) -> str:
    return phrase("usage.close", name=names[0]) if names else ""
