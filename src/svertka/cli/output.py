"""Where a verb's answers go: a file, whole or absent, or standard output. What is said goes to standard error."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from svertka.errors import ConfigError, NotFoundError

# File names that are no valid Unicode travel as surrogates; the file system's own rule writes their true bytes.
ENCODING_ERRORS = sys.getfilesystemencodeerrors()


def refuse_inputs(out: str | None, inputs: Sequence[Path]) -> None:
    """Raises ConfigError where ``out`` is one of the files that are read."""
    if out and Path(out).resolve() in {path.resolve() for path in inputs}:
        raise ConfigError(f"--out {out} is one of the inputs and would be overwritten; name another file.")


def say_unlike(names: Sequence[str]) -> None:
    """A line about images that are unlike the training images, if there are any."""
    if names:
        say(
            f"{len(names)} {'is' if len(names) == 1 else 'are'} unlike the training images (the first: {names[0]}): "
            "don't rely on what is said of them."
        )


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Standard output, able to write any file name."""
    stream = sys.stdout
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(encoding="utf-8", errors=ENCODING_ERRORS)
    yield stream


@contextmanager
def written_whole(path: Path) -> Iterator[TextIO]:
    """A file that appears under its name only once it is complete.

    Raises:
        NotFoundError: its folder isn't there, or it is a folder itself.
    """
    if not path.parent.is_dir():
        raise NotFoundError(
            f"{path.parent} does not exist; expected a folder to write {path.name} into. Create it first."
        )
    if path.is_dir():
        raise NotFoundError(f"{path} is a folder; expected the name of a CSV file to write.")
    beside = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8", errors=ENCODING_ERRORS, newline="") as stream:
            yield stream
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def say(message: str) -> None:
    """A line for the person; standard output is for the answers."""
    print(message, file=sys.stderr)
