"""A disk cache of prepared pixels, so that each image is decoded only once.

Entries are named by the content of the image and by how it was prepared, so moved, renamed and copied files are
found again, and nothing has to be thrown away when a folder changes. Files are read plainly, not mapped into
memory: mapped pages would count as resident, and memory would grow with the folder. Each carries the SHA-256 of its
name and pixels; one that isn't what was written, or another image's, counts as missing and is decoded anew.
"""

import contextlib
import hashlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svertka.data.decode import DECODE_VERSION, DEFAULT_MAX_PIXELS, decoding
from svertka.data.fingerprint import pixel_hash
from svertka.data.preprocess import apply_to_image, gray_to_rgb
from svertka.errors import DataError, ImageRejected
from svertka.schema import Preprocess
from svertka.util.atomic_files import written_beside

_MAGIC = b"svp2"
_HEADER_BYTES = len(_MAGIC) + 1 + hashlib.sha256().digest_size  # magic, channels, digest of name and pixels
_KEEP_FREE_BYTES = 2 * 1024**3
_RECHECK_BYTES = 256 * 1024**2
_LOOK_AGAIN_S = 60.0


def cache_dir() -> Path:
    """Where svertka keeps what it can compute again: ``$SVERTKA_CACHE``, else the platform's place for caches."""
    if named := os.environ.get("SVERTKA_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "svertka" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "svertka"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "svertka"


class PixelStore:
    """Prepared pixels by ``ImageRecord.pixel_hash``. Threads and processes may share one folder.

    Attributes:
        damaged: entries met so far that were not what was written.
    """

    def __init__(self, cache: Path, preprocess: Preprocess) -> None:
        self.preprocess = preprocess
        self.damaged = 0
        self._all_stores = cache / "pixels"
        self._folder = self._all_stores / f"{preprocess.pixels_hash}-{DECODE_VERSION}"
        self._lock = threading.Lock()
        self._allowance = 0  # bytes that may be written before free space is looked at again
        self._look_again = 0.0  # not before this time: looking walks through all that is stored

    def put(self, pixel_hash: str, rgb_SS3: NDArray[np.uint8]) -> bool:
        """Stores one image; returns False where it could not (disk too full or not writable). Never raises for that.

        Written beside and renamed, so a reader or a crash never meets half an entry.
        """
        red, green, blue = (rgb_SS3[:, :, channel] for channel in range(3))
        gray = np.array_equal(red, green) and np.array_equal(red, blue)
        pixels = np.ascontiguousarray(red if gray else rgb_SS3).tobytes()
        if not self._allows(_HEADER_BYTES + len(pixels)):
            return False
        target = self._file(pixel_hash)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with written_beside(target, shared=True) as part:
                part.write_bytes(_MAGIC + bytes([1 if gray else 3]) + _digest(pixel_hash, pixels) + pixels)
        except OSError:
            return False
        return True

    def get(self, pixel_hash: str) -> NDArray[np.uint8] | None:
        """Returns uint8 ``[S, S, 3]``, or None where there is no whole entry."""
        try:
            entry = self._file(pixel_hash).read_bytes()
        except OSError:
            return None
        side, pixels = self.preprocess.size_px, entry[_HEADER_BYTES:]
        channels = entry[len(_MAGIC)] if len(entry) > _HEADER_BYTES else 0
        whole = entry.startswith(_MAGIC) and channels in (1, 3) and len(pixels) == side * side * channels
        if not whole or _digest(pixel_hash, pixels) != entry[len(_MAGIC) + 1 : _HEADER_BYTES]:
            self.damaged += 1
            return None
        stored = np.frombuffer(pixels, np.uint8).reshape(side, side, channels)
        return gray_to_rgb(stored[:, :, 0]) if channels == 1 else stored

    def __contains__(self, pixel_hash: str) -> bool:
        return self._file(pixel_hash).is_file()

    def read(
        self, files_and_hashes: Sequence[tuple[Path, str]], *, max_pixels: int = DEFAULT_MAX_PIXELS
    ) -> NDArray[np.uint8]:
        """Pixels of many images, uint8 ``[N, S, S, 3]``; what isn't stored is decoded and then stored.

        Raises:
            DataError: a file has changed since it was hashed, or can no longer be read.
        """
        side = self.preprocess.size_px
        batch = np.empty((len(files_and_hashes), side, side, 3), np.uint8)
        for row, (file, wanted) in enumerate(files_and_hashes):
            stored = self.get(wanted)
            batch[row] = self._decode(file, wanted, max_pixels) if stored is None else stored
        return batch

    def _decode(self, file: Path, wanted: str, max_pixels: int) -> NDArray[np.uint8]:
        try:
            with decoding(file, ranges=self.preprocess.ranges, max_pixels=max_pixels) as decoded:
                found = pixel_hash(decoded.image, decoded.samples)
                prepared = apply_to_image(self.preprocess, decoded.image)
        except ImageRejected as rejected:
            raise DataError(
                f"{file} could be read when the images were scanned, but no longer can ({rejected.reason}: "
                f"{rejected.detail}). Put it back and go on with the run (--resume), or start a new one without it."
            ) from rejected
        if found != wanted:
            raise DataError(
                f"{file} has other pixels now than when it was scanned. Put the old file back and go on with the run "
                "(--resume), or start a new one."
            )
        self.put(wanted, prepared)
        return prepared

    def _file(self, pixel_hash: str) -> Path:
        return self._folder / pixel_hash[:2] / pixel_hash[2:]

    def _allows(self, size: int) -> bool:
        """Keeps 2 GB of the disk free and takes no more than half of what is free for all stores together."""
        with self._lock:
            if self._allowance < size and time.monotonic() > self._look_again:
                self._allowance = self._look_at_disk()
                self._look_again = time.monotonic() + _LOOK_AGAIN_S if self._allowance < size else 0.0
            if self._allowance < size:
                return False
            self._allowance -= size
            return True

    def _look_at_disk(self) -> int:
        try:
            self._all_stores.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._all_stores).free
        except OSError:
            return 0
        room = min(free - _KEEP_FREE_BYTES, free // 2 - _folder_bytes(self._all_stores))
        return max(0, min(room, _RECHECK_BYTES))


def _digest(pixel_hash: str, pixels: bytes) -> bytes:
    return hashlib.sha256(pixel_hash.encode() + pixels).digest()


def _folder_bytes(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(parent) / name).stat().st_size
    return total
