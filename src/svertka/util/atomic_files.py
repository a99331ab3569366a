"""Small files written atomically, and files read up to a limit.

Whatever a command opens may come from a stranger: a FIFO that never answers, a device that never ends, a file that
claims to be empty. ``open_regular`` and ``read_file`` are how every such file is opened.
"""

import csv
import errno
import hashlib
import io
import json
import math
import os
import stat
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

Record = TypeVar("Record")

LARGEST_TEXT = 1 << 28
"""Bytes of a table or another text: a million images' predictions of twenty classes."""

_PIECE = 1 << 20
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
LARGEST_INTEGER = 2**63  # what a JSON reader in another language holds, too


def open_regular(path: Path | str) -> io.BufferedReader:
    """Opens a regular file for reading; whatever else bears the name is refused without waiting for it.

    Raises:
        OSError: there is no such file, it cannot be read, or it is a FIFO, a socket, a device or a folder.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except ValueError as error:  # a NUL byte or half a surrogate pair
        raise OSError(errno.EINVAL, f"no file can have this name: {error}", str(path)) from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        what = _KINDS.get(stat.S_IFMT(mode), "of another kind")
        raise OSError(errno.EINVAL, f"it is {what}; expected a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_file(path: Path | str, limit: int = LARGEST_TEXT) -> bytes:
    """The content of a regular file.

    Args:
        path: of the file.
        limit: in bytes, whatever size the file claims to have.

    Raises:
        OSError: as ``open_regular``, or it is larger.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(size + 1) if size <= limit else b""
        if len(content) > size:  # it claims less than it holds, as files under /proc do, or it is growing
            pieces = [content]
            while sum(map(len, pieces)) <= limit and (piece := file.read(_PIECE)):
                pieces.append(piece)
            content = b"".join(pieces)
    if max(size, len(content)) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes", str(path))
    return content


def read_head(path: Path | str, count: int) -> bytes:
    """The first bytes of a regular file.

    Raises:
        OSError: as ``open_regular``.
    """
    with open_regular(path) as file:
        return file.read(count)


def parse_json(text: str) -> Any:
    """JSON from a stranger: names that stand once, finite numbers, text that UTF-8 can write.

    Raises:
        ValueError: it is none, says what.
    """
    try:
        value = json.loads(
            text,
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_integer,
            object_pairs_hook=_each_name_once,
        )
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{error.object[error.start : error.end]!r} is half a character") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no finite number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(f"{text:.40}")


def _integer(text: str) -> int:
    if len(text) > 20 or abs(value := int(text)) >= LARGEST_INTEGER:
        raise ValueError(f"{text:.20}… is larger than 64 bits hold")
    return value


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"{twice!r:.80} stands there twice")
    return found


@contextmanager
def written_beside(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """A path to write to, which replaces the file at the end, or is removed if that fails.

    Args:
        path: of the file.
        shared: whether several threads or processes may write the file at the same moment.
    """
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part" if shared else f"{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    with written_beside(path) as part:
        part.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_json(path: Path, value: Any) -> None:
    """Writes JSON whole or not at all; records among the values become dictionaries, paths become text."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else asdict(value)


def read_json(path: Path) -> Any:
    """Reads JSON that ``write_json`` wrote.

    Raises:
        OSError: as ``read_file``.
        ValueError: it is no JSON.
    """
    try:
        return json.loads(read_file(path).decode("utf-8", "surrogateescape"))
    except RecursionError:
        raise ValueError(f"{path.name} is nested too deeply") from None


def sha256(content: bytes | memoryview) -> str:
    """Hex digest of a file's content."""
    return hashlib.sha256(content).hexdigest()


def json_digest(value: Any) -> str:
    """Hex digest of 64 bits that names plain values in caches and manifests; the order of names doesn't count."""
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=8).hexdigest()


def write_sealed_json(path: Path, value: Any) -> None:
    """Writes JSON together with its SHA-256, for a file that must not be believed when a bit of it has changed."""
    plain = json.loads(json.dumps(value))  # as it will be read: tuples are lists, keys are text
    write_json(path, {"sha256": _seal(plain), "value": plain})


def read_sealed_json(path: Path) -> Any:
    """Reads JSON that ``write_sealed_json`` wrote.

    Raises:
        OSError: it cannot be read.
        ValueError: it isn't what was written.
    """
    sealed = read_json(path)
    if (
        not isinstance(sealed, dict)
        or sealed.keys() != {"sha256", "value"}
        or _seal(sealed["value"]) != sealed["sha256"]
    ):
        raise ValueError(f"{path} is not what was written (its SHA-256 differs)")
    return sealed["value"]


def _seal(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode())


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes a CSV table whole or not at all."""
    with written_beside(path) as part, part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def read_table(path: Path) -> list[dict[str, str]]:
    """Reads a CSV table that ``write_table`` wrote.

    Raises:
        OSError: as ``read_file``.
        ValueError: it is no CSV, or a row has more or fewer cells than the header.
    """
    lines = io.StringIO(read_file(path).decode("utf-8", "surrogateescape"), newline="")
    try:
        rows = list(csv.DictReader(lines, strict=True))
    except csv.Error as error:
        raise ValueError(f"{path.name} is no CSV: {error}") from None
    if any(None in row or None in row.values() for row in rows):
        raise ValueError(f"{path.name} has a row with more or fewer cells than its header")
    return rows


def save_rows(path: Path, kind: type[Any], rows: Iterable[Any]) -> None:
    """Writes records of one kind as a table, a column a field."""
    columns = [field.name for field in fields(kind)]
    write_table(path, columns, ([getattr(row, name) for name in columns] for row in rows))


def load_rows(path: Path, kind: type[Record]) -> tuple[Record, ...]:
    """Reads records that ``save_rows`` wrote; a column that isn't there takes its field's default."""
    types = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]
    return tuple(kind(**{name: types[name](value) for name, value in row.items()}) for row in read_table(path))  # type: ignore[operator]
