"""Unpacks archives safely: nothing leaves the folder, nothing is overwritten, all of it or nothing."""

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from svertka.errors import ConfigError, DataError

_DEPTH = 3  # archives in archives, as competitions pack them


def unzip(archive: Path, folder: Path) -> int:
    """Unpacks an archive and the archives in it into a new folder.

    An inner ``train.zip`` becomes the folder ``train``; where it holds that folder or a single file, these lie beside.

    Args:
        archive: a ZIP file; it is kept.
        folder: that doesn't exist yet, or is empty.

    Returns:
        How many files lie in the folder.

    Raises:
        ConfigError: the folder isn't empty.
        DataError: the archive is damaged, would write elsewhere or over its own files, or is larger than the disk.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already and is not overwritten; name another folder, or move it away.")
    beside = folder.with_name(f".{folder.name}-unpacking")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        _extract(archive, beside)
        for _ in range(_DEPTH):
            for inner in sorted(beside.rglob("*.zip")):
                _extract(inner, _home(inner))
                inner.unlink()
        if folder.exists():
            folder.rmdir()
        beside.replace(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return sum(path.is_file() for path in folder.rglob("*"))


def _home(archive: Path) -> Path:
    """Where an inner archive unpacks to."""
    names = [_parts(archive, entry) for entry in _entries(archive) if not entry.is_dir()]
    bare = len(names) == 1 or {parts[0] for parts in names} == {archive.stem}
    return archive.parent if bare else archive.with_suffix("")


def _entries(archive: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.infolist()
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{archive.name} is no ZIP archive that can be read ({error}); download it again.") from None


def _extract(archive: Path, folder: Path) -> None:
    entries = _entries(archive)
    places = [folder.joinpath(*_parts(archive, entry)) for entry in entries]
    needed, free = sum(entry.file_size for entry in entries), shutil.disk_usage(archive.parent).free
    if needed > free:
        raise DataError(f"{archive.name} unpacks to {needed / 1e9:.1f} GB, but the disk has {free / 1e9:.1f} GB free.")
    try:
        with zipfile.ZipFile(archive) as opened:
            for entry, place in zip(entries, places, strict=True):
                if entry.is_dir():
                    place.mkdir(parents=True, exist_ok=True)
                    continue
                place.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(entry) as packed, place.open("xb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
    except FileExistsError as error:
        raise DataError(f"{archive.name} would write over {error.filename}; it holds that name twice.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DataError(f"{archive.name} is damaged ({error}); download it again.") from None


def _parts(archive: Path, entry: zipfile.ZipInfo) -> tuple[str, ...]:
    """The path of an entry below its folder.

    Raises:
        DataError: it leads elsewhere, is a link, or is encrypted.
    """
    name = entry.filename.replace("\\", "/")
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or ":" in parts[0]:
        raise DataError(f"{archive.name} holds the path {entry.filename!r}, which leads elsewhere; it is not unpacked.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise DataError(f"{archive.name} holds the link {entry.filename!r}; links are not unpacked.")
    if entry.flag_bits & 1:
        raise DataError(f"{archive.name} is encrypted; unpack it yourself with its password.")
    return parts
