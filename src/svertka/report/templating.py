"""Fills templates: strictly, in one language, with strangers' text escaped."""

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from svertka.messages import shown
from svertka.messages.translator import Translator
from svertka.viz.heatmap import bar_style

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def make_environment(tr: Translator, *, html: bool) -> "Environment":
    """Templates of the report room; ``t`` in them is the translator. With ``html`` all that is put in is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("svertka.report"),
        autoescape=html,  # file and class names are other people's text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=not html,
    )
    environment.globals |= {"t": tr, "colour_bar": bar_style()}
    environment.filters["code"] = _code
    return environment


def _code(sentence: str) -> "Markup":
    """Escapes a sentence, then sets what stands between backticks as code."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(sentence))))


def write_page(text: str, path: Path | str) -> Path:
    """Writes a page or card; names in it that would reorder lines, or are no text, are written out."""
    path = Path(path).expanduser()
    path.write_bytes(shown(text, keep="\n\t").encode())
    return path


def minute(started: str) -> str:
    """A time as date and minute, or as it was given where it is no ISO 8601 time."""
    try:
        return datetime.fromisoformat(started).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return started
