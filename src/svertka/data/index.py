"""Caches scan results on disk, so that an unchanged file is never decoded again.

One SQLite file a root and a decoder's settings. A row is trusted only while the file's size, times of change and inode
are as they were, and only if its SHA-256 is right. Rows are written in small transactions, so what a killed scan has
learnt survives it; several scans may write at once. A damaged or locked index is only slow, never wrong: a damaged row
is learnt anew, a damaged file is set aside and learnt anew.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from svertka.data.decode import DECODE_VERSION
from svertka.schema import ValueSpan
from svertka.util.atomic_files import sha256
from svertka.util.from_dict import from_dict

_INDEX_VERSION = 5
_SECONDS_TO_WAIT = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CachedScan:
    """What one file turned out to be. ``reason`` is empty for a usable image."""

    reason: str = ""
    detail: str = ""
    width_px: int = 0
    height_px: int = 0
    mode: str = ""
    pixel_hash: str = ""
    perceptual_hash: int = 0
    detail_hash: int = 0
    sketch: str = ""
    notes: tuple[str, ...] = ()
    span: ValueSpan | None = None


Stamp = tuple[int, int, int, int]


def stamp(path: Path) -> Stamp | None:
    """Size, times of change of content and of file (ns), and inode; None where they cannot be asked."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


class ScanIndex:
    """A dictionary on disk from path and stamp to ``CachedScan``. Used by one thread; open it with ``with``.

    Attributes:
        damaged: rows that were not what was written, or 1 for a file that could not be read at all.
    """

    def __init__(self, cache: Path, root: Path, max_pixels: int) -> None:
        settings = (_INDEX_VERSION, DECODE_VERSION, max_pixels, os.fsencode(root).hex())
        name = hashlib.blake2b(repr(settings).encode(), digest_size=12).hexdigest()
        self._file = cache / "scans" / f"{name}.sqlite3"
        self._database: sqlite3.Connection | None = None
        self.damaged = 0

    def __enter__(self) -> "ScanIndex":
        for _ in range(2):
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._database = sqlite3.connect(self._file, timeout=_SECONDS_TO_WAIT, isolation_level=None)
                self._database.execute("PRAGMA journal_mode=WAL")
                self._database.execute("PRAGMA synchronous=NORMAL")
                self._database.execute(
                    "CREATE TABLE IF NOT EXISTS known (path BLOB PRIMARY KEY, stamp TEXT, value TEXT, sha256 TEXT)"
                )
                break
            except sqlite3.OperationalError:  # locked or not writable: go without
                self._close()
                break
            except (sqlite3.DatabaseError, OSError):
                self._set_aside()
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def recall(self) -> dict[str, tuple[Stamp, CachedScan]]:
        """Everything that is known about this root; rows that are not what was written are left out and counted."""
        if self._database is None:
            return {}
        try:
            rows = self._database.execute("SELECT path, stamp, value, sha256 FROM known").fetchall()
            whole = [row[:3] for row in rows if _digest(*row[:3]) == row[3]]
            if len(whole) < len(rows):
                self.damaged += len(rows) - len(whole)
                good = {row[0] for row in whole}
                bad = [(row[0],) for row in rows if row[0] not in good]
                self._database.executemany("DELETE FROM known WHERE path IS ?", bad)
            return {
                os.fsdecode(path): (_stamp_of(when), from_dict(CachedScan, json.loads(value)))
                for path, when, value in whole
            }
        except sqlite3.OperationalError:  # busy, not damaged: another scan may be at work in it
            return {}
        except (sqlite3.DatabaseError, ValueError, TypeError, KeyError):
            self._set_aside()
            self.__enter__()
            return {}

    def remember(self, found: Iterable[tuple[str, Stamp, CachedScan]]) -> None:
        """Writes down what was learnt, in one transaction."""
        if self._database is None:
            return
        facts = [(os.fsencode(path), json.dumps(when), json.dumps(asdict(known))) for path, when, known in found]
        rows = [(*row, _digest(*row)) for row in facts]
        with contextlib.suppress(sqlite3.DatabaseError):  # on a full disk the next scan decodes again
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?)", rows)
            self._database.execute("COMMIT")

    def _set_aside(self) -> None:
        self.damaged += 1
        self._close()
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                self._file.with_name(self._file.name + suffix).unlink()

    def _close(self) -> None:
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
            self._database = None


def _digest(path: object, when: object, value: object) -> str:
    """Of all that a row says; of a damaged one the cells may be of any type."""
    return sha256(repr((path, when, value)).encode(errors="surrogatepass"))


def _stamp_of(text: str) -> Stamp:
    size, content_changed, file_changed, inode = json.loads(text)
    return int(size), int(content_changed), int(file_changed), int(inode)
