"""Arguments and options that several verbs take, each declared once."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any

import typer

from svertka.cli.output import speak
from svertka.config import RunConfig
from svertka.errors import ConfigError
from svertka.messages import LANGUAGES

MOST_SEED = 2**32 - 1  # as in the configuration of a run


def _checked_seed(seed: int) -> int:
    """NumPy's and torch's generators would each raise an error of their own; Typer's own check takes several lines."""
    if not 0 <= seed <= MOST_SEED:
        raise ConfigError(f"seed is {seed}; expected 0 to {MOST_SEED}.")
    return seed


def seed_option(of: str) -> Any:
    """The option ``--seed`` of a lab verb, which says what is random."""
    return typer.Option(help=of, callback=_checked_seed)


At = Annotated[str, typer.Option(metavar="ROW,COL", help="Of an output, counted from 0: show its arithmetic.")]
Backbone = Annotated[str, typer.Option(help="Network by name [default: efficientnet_lite0].")]
Bundle = Annotated[str, typer.Argument(help="Bundle, or run folder with one.")]
Config = Annotated[str, typer.Option("--config", help="TOML file with any field of the configuration.")]
Data = Annotated[str, typer.Argument(help="Folder of images, or a CSV/TSV table.")]
GroupColumn = Annotated[str, typer.Option(help="Table column: equal values stay on one side.")]
GroupRegex = Annotated[str, typer.Option(help="The same from the file name: what it captures.")]
ImageFile = Annotated[str, typer.Argument(help="An image file of any kind.")]
Input = Annotated[
    str, typer.Argument(metavar="MATRIX|IMAGE", help='Numbers such as "1,2,3;4,5,6", a CSV file of them, or an image.')
]
Language = Annotated[str, typer.Option(help=f"Of what is said and written: {' or '.join(LANGUAGES)}.", callback=speak)]
Padding = Annotated[str, typer.Option(metavar="N", help="Zeros on each side, in pixels; or same, or valid.")]
Paths = Annotated[list[str], typer.Argument(help="Files, folders, quoted globs, or a CSV with paths.")]
PictureFile = Annotated[str, typer.Option(metavar="FILE", help="PNG file to write.")]
Stride = Annotated[str, typer.Option(metavar="N", help="Pixels from one output to the next.")]
TableConfig = Annotated[str, typer.Option("--config", help="TOML file: path_column, encoding and the like of a table.")]
THREADS = typer.Option(help="For compute; 0: one a core.", show_default=False)
Threads = Annotated[int, THREADS]
ThreadsOfRun = Annotated[int | None, THREADS]
"""None: as the configuration says."""


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the configuration that stand on the command line."""
    named = {field.name: options.get(field.name) for field in fields(RunConfig)}
    return {name: value for name, value in named.items() if value not in (None, "") and value is not False}
