"""Features of images, computed once and cached on disk by content.

The key of a cached row is (weights, preprocessing, pixels): another run, another split, or a renamed file finds it
again. Rows lie in shards that are written whole or not at all, so a killed extraction goes on where it stopped. A shard
is named by the SHA-256 of its content and believed only if that is right.
"""

import contextlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from svertka.data.loader import ImageSource, batches
from svertka.errors import DataError
from svertka.schema import Advanced, EventSink, Notice, ignore_events
from svertka.util.atomic_files import sha256, written_beside

SHARD_ROWS = 256
_DAMAGED = (OSError, ValueError, KeyError, IndexError, EOFError, zlib.error, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Features of the frozen backbone, one row an image; the rows stay on disk until they are read.

    Attributes:
        places: shard and row of each image.
        y_N: labels, int64.
        widths: features from each tap; they add up to D.
        key: names the weights and the preprocessing that made them.
        weights_N: how much each image counts in learning, None where all count alike.
    """

    places: list[tuple[Path, int]]
    y_N: NDArray[np.int64]
    widths: tuple[int, ...]
    key: str
    weights_N: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.y_N)

    def rows(self, rows: Sequence[int]) -> "FeatureTable":
        """Some of the images, as a table of their own."""
        weights_N = None if self.weights_N is None else self.weights_N[list(rows)]
        return replace(self, places=[self.places[row] for row in rows], y_N=self.y_N[list(rows)], weights_N=weights_N)

    def read(self, rows: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Features [n, D] of some rows (all by default), one shard in memory at a time.

        Raises:
            DataError: a shard is damaged; it is taken away, so that the next run computes it anew.
        """
        chosen = np.arange(len(self)) if rows is None else rows
        x_ND = np.empty((len(chosen), sum(self.widths)), dtype=np.float32)
        wanted: dict[Path, list[tuple[int, int]]] = {}
        for row, index in enumerate(chosen):
            path, position = self.places[index]
            wanted.setdefault(path, []).append((row, position))
        for path, pairs in wanted.items():
            into, positions = np.array(pairs).T
            try:
                x_ND[into] = _read_shard(path, self.key)["x_ND"][positions]
            except _DAMAGED as error:
                path.unlink(missing_ok=True)
                raise DataError(
                    f"cached features in {path} were damaged ({type(error).__name__}); the file was removed. Run the "
                    "same command again: they are computed anew."
                ) from error
        return x_ND

    def blocks(self, size: int = 1024) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """All rows in blocks: (which, features [n, D])."""
        for start in range(0, len(self), size):
            block = np.arange(start, min(start + size, len(self)))
            yield slice(start, start + len(block)), self.read(block)


class Embed(Protocol):
    """Something that turns prepared uint8 images [N, S, S, 3] into features [N, D]."""

    @property
    def key(self) -> str:
        """Names weights and preprocessing."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Features from each tap; they add up to D."""

    @property
    def batch_size(self) -> int:
        """Images a call."""

    def __call__(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features [N, D]."""


def extract(embed: Embed, source: ImageSource, cache: Path, on_event: EventSink = ignore_events) -> FeatureTable:
    """Features of every image of ``source``, in its order; each distinct image is computed once in its life.

    Args:
        embed: the frozen backbone.
        source: prepared images.
        cache: folder of all cached features.
        on_event: hears ``Advanced`` (images done, cached ones included), and a notice if cached rows were damaged.
    """
    folder = cache / "features" / embed.key
    where, damaged = _index(folder, embed.key, frozenset(source.hashes))
    if damaged:
        on_event(Notice("cached_features_damaged", {"n": damaged}, level="warning"))
    missing = [row for row, name in enumerate(source.hashes) if name not in where]
    fresh = np.array(_first_of_each(missing, source), dtype=np.int64)
    done = len(source) - len(fresh)
    on_event(Advanced(done))
    for start in range(0, len(fresh), SHARD_ROWS):
        rows = fresh[start : start + SHARD_ROWS]
        x = np.concatenate([embed(images) for _, images in batches(source, rows, embed.batch_size)])
        names = [source.hashes[row] for row in rows]
        path = write_shard(folder, embed.key, names, x)
        where |= {name: (path, number) for number, name in enumerate(names)}
        done += len(rows)
        on_event(Advanced(done))
    places = [where[name] for name in source.hashes]
    return FeatureTable(places, source.labels, embed.widths, embed.key, source.weights)


def count_unknown(embed: Embed, source: ImageSource, cache: Path) -> int:
    """How many images ``extract`` would have to compute, by the names of the cached rows alone."""
    unknown = set(source.hashes)
    for path in (cache / "features" / embed.key).glob("*.npz"):
        with contextlib.suppress(*_DAMAGED):
            unknown.difference_update(_names(path))
    return len(unknown)


def _first_of_each(rows: list[int], source: ImageSource) -> list[int]:
    """Rows with a pixel hash that no earlier row has."""
    seen: dict[str, int] = {}
    for row in rows:
        seen.setdefault(source.hashes[row], row)
    return list(seen.values())


def _index(folder: Path, key: str, wanted: frozenset[str]) -> tuple[dict[str, tuple[Path, int]], int]:
    """Where each wanted row lies, pixel hash to (shard, row), and how many damaged shards were taken away.

    Only shards that hold wanted rows are read and verified as a whole; of the others, of other images, only the names.
    """
    where: dict[str, tuple[Path, int]] = {}
    damaged = 0
    for path in sorted(folder.glob("*.npz")):
        try:
            if wanted.isdisjoint(_names(path)):
                continue
            names = [str(name) for name in _read_shard(path, key)["pixel_hash"]]
        except _DAMAGED:
            path.unlink(missing_ok=True)
            damaged += 1
            continue
        where |= {name: (path, row) for row, name in enumerate(names)}
    return where, damaged


def _names(path: Path) -> list[str]:
    """Whose rows a shard says that it holds; nothing else of it is read, or verified."""
    with np.load(path, allow_pickle=False) as shard:
        return [str(name) for name in shard["pixel_hash"]]


def _read_shard(path: Path, key: str) -> dict[str, NDArray[np.generic]]:
    """The arrays of a shard, if it is what was written, and for this key.

    Raises:
        OSError, ValueError and the like (``_DAMAGED``): it isn't.
    """
    content = path.read_bytes()
    if sha256(content) != path.stem:
        raise ValueError(f"{path} is not what was written")
    with np.load(io.BytesIO(content), allow_pickle=False) as shard:
        arrays = {name: shard[name] for name in ("key", "pixel_hash", "x_ND")}
    if str(arrays["key"]) != key or len(arrays["pixel_hash"]) != len(arrays["x_ND"]):
        raise ValueError(f"{path} holds features of another network")
    return arrays


def write_shard(folder: Path, key: str, names: list[str], x_ND: NDArray[np.float32]) -> Path:
    """Writes a shard under the SHA-256 of its content: another run may write other images at the same moment."""
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, key=np.array(key), pixel_hash=np.array(names), x_ND=x_ND)
    path = folder / f"{sha256(buffer.getbuffer())}.npz"
    with written_beside(path, shared=True) as part:
        part.write_bytes(buffer.getbuffer())
    return path
