"""Resolves the image files of a command line: files, folders, quoted globs, and tables with a column of paths."""

import glob
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from svertka.cli.output import say, terminal
from svertka.config import RunConfig
from svertka.data.image_table import list_paths
from svertka.data.listing import TABLE_SUFFIXES, natural_key, others_skipped, sort_out, walk
from svertka.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Input:
    """One file: the name under which the user knows it, where it is, and why it cannot be one of several."""

    name: str
    file: Path
    why_not: str = ""


def find_inputs(arguments: Sequence[str], config_file: str = "") -> list[Input]:
    """Lists the files that arguments mean, in their order; inside a folder or glob in natural order (2 before 10).

    A folder is searched through all levels, without hidden files and folders; what is no image there is counted and
    said. A file that is named itself is taken whatever it is. A table's names are found as ``train`` finds them: beside
    the table or in the usual folders, with or without suffix.

    Args:
        arguments: of the command line.
        config_file: TOML file that says how to read tables; "" means none.

    Raises:
        NotFoundError: an argument means no file.
        DataError: a table has no column of paths, or cannot be read.
        ConfigError: the configuration names a column that isn't there, or another encoding.
    """
    config = table_config(config_file)
    skipped: Counter[str] = Counter()
    found = [each for argument in arguments for each in _find(argument, config, skipped)]
    if skipped:
        say(terminal().sentences(others_skipped(skipped)))
    return found


def table_config(file: str) -> RunConfig | None:
    """A configuration file that says how tables are to be read; None for "".

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it is none.
    """
    if not file:
        return None
    from svertka.runs.folder import config_fields  # most calls name none, and predict is to start fast

    return RunConfig(**({"data": "-"} | config_fields(Path(file))))


def _find(argument: str, config: RunConfig | None, skipped: Counter[str]) -> list[Input]:
    path = Path(argument)
    if path.is_dir():
        found, others = _in_folder(path)
        if not found:
            raise NotFoundError(f"{argument} holds no image file{_kinds(others)}; expected images in it or below.")
        skipped += others
        return found
    if path.suffix.lower() in TABLE_SUFFIXES and path.is_file():
        return _from_table(path, config)
    if path.exists() or path.is_symlink():
        return [Input(argument, path)]
    found, others = _in_glob(argument)
    skipped += others
    if not found:
        what = f"matches no image file{_kinds(others)}" if glob.has_magic(argument) else "does not exist"
        raise NotFoundError(f"{argument} {what}; expected an image, a folder, a quoted glob such as '*.png', or a CSV.")
    return found


def _in_folder(folder: Path) -> tuple[list[Input], Counter[str]]:
    images, others = sort_out(walk(folder))
    return [Input(str(path), path) for path in sorted(images, key=lambda path: natural_key(str(path)))], others


def _in_glob(pattern: str) -> tuple[list[Input], Counter[str]]:
    matches = sorted(glob.glob(_literal_start(pattern), recursive=True), key=natural_key)  # noqa: PTH207 (may be absolute)
    if "**" in pattern:  # this matches folders as well as all that is in them
        matches = [match for match in matches if not Path(match).is_dir()]
    found: list[Input] = []
    skipped: Counter[str] = Counter()
    for path in map(Path, matches):
        if path.is_dir():
            here, others = _in_folder(path)
            found += here
        else:
            images, others = sort_out([path])
            found += [Input(str(image), image) for image in images]
        skipped += others
    return found, skipped


def _kinds(others: Counter[str]) -> str:
    """Behind the statement that there are no images: what there is instead."""
    listed = ", ".join(f"{kind if kind != 'none' else 'no extension'}: {n}" for kind, n in sorted(others.items()))
    return f" (other files: {listed})" if listed else ""


def _literal_start(pattern: str) -> str:
    """The pattern with its leading folders taken as they are, brackets and all, as long as there are such folders."""
    parts = Path(pattern).parts
    there = 0
    while there < len(parts) and Path(*parts[: there + 1]).is_dir():
        there += 1
    return str(Path(glob.escape(str(Path(*parts[:there]))), *parts[there:])) if there else pattern


def _from_table(table: Path, config: RunConfig | None) -> list[Input]:
    named, notices = list_paths(table, config)
    found = [Input(*each) for each in named]
    for notice in notices:
        say(terminal().sentences(notice))
    if not found:
        raise NotFoundError(f"{table} names no file; expected at least one path.")
    return found
