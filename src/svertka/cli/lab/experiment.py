"""What the experiments with whole networks share: their output folder, their CSV, their last lines."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from svertka.cli import output
from svertka.cli.options import seed_option
from svertka.cli.progress import TerminalProgress
from svertka.errors import ConfigError, NotFoundError
from svertka.lab.growing_csv import kept
from svertka.lab.small_images import DIGITS, Images, load_images

Row = TypeVar("Row")

SmallImages = Annotated[
    str, typer.Option(help="cifar10, digits, elpv, or a folder [default: CIFAR-10 if fetched, else digits].")
]
Count = Annotated[int, typer.Option(help="To train on; 0 for all.")]
Epochs = Annotated[int, typer.Option(help="Of each network.")]
Seed = Annotated[int, seed_option("Of weights, images and their order.")]
Folder = Annotated[str, typer.Option(help="Folder for the picture and the CSV.")]

SOLAR_CELLS = "elpv"


def load(data: str, progress: TerminalProgress, *, download: bool = False) -> Images:
    """Small images by name or from a folder; the demo's solar cells have a name too."""
    if download and data in (DIGITS, SOLAR_CELLS):
        raise ConfigError(f"--download fetches CIFAR-10, but --data is {data!r}; leave one of them out.")
    if data == SOLAR_CELLS:
        from svertka.cli.demo import ABOUT, solar_cells
        from svertka.data.pixels import cache_dir

        progress.say(ABOUT)
        data = str(solar_cells(cache_dir() / "demo" / "solar-cells"))
    if download:
        progress.say("Fetching CIFAR-10 if it isn't here (163 MB) …")
    return load_images(data, download=download, on_event=progress)


def folder(out: str) -> Path:
    """The folder of an experiment; ``collect`` makes it.

    Raises:
        NotFoundError: its parent doesn't exist.
        ConfigError: it is a file.
    """
    path = Path(out).expanduser()
    if not path.parent.is_dir():
        raise NotFoundError(f"{path.parent} does not exist; expected a folder to make {path.name} in.")
    if path.is_file():
        raise ConfigError(f"--out is the file {path}; expected a folder.")
    return path


def files(out: str, picture: str, kind: type[Any], reads: Iterable[str | Path]) -> tuple[Path, Path]:
    """Where an experiment draws, and where it keeps its records; known before it starts.

    Args:
        out: folder.
        picture: file name; the table has the same with ``.csv``.
        kind: of the records.
        reads: what the experiment reads.

    Raises:
        NotFoundError: the folder's parent doesn't exist.
        ConfigError: a file of the user's is in the way.
    """
    drawn = folder(out) / picture
    reads = list(reads)
    return (
        output.may_write(drawn, reads),
        output.may_write(drawn.with_suffix(".csv"), reads, output.table_of(kind)),
    )


def collect(rows: Iterable[Row], csv: Path, progress: TerminalProgress) -> list[Row]:
    """All rows of an experiment, each kept in the CSV as it comes; Ctrl-C leaves those that came, and exits."""
    csv.parent.mkdir(exist_ok=True)
    found: list[Row] = []
    try:
        for row in kept(rows, csv):
            found.append(row)
    except KeyboardInterrupt:
        kept_in = f"what was measured is in {csv}: {len(found)} rows" if found else "nothing was measured or written"
        progress.say(f"Stopped; {kept_in}.")
        sys.exit(130)
    return found


def print_findings(sentences: Iterable[str], *files: Path) -> None:
    """Prints what an experiment shows and where it is."""
    print("\n".join(sentences))
    print(f"\nPicture {files[0]}; numbers {', '.join(str(file) for file in files[1:])}")
