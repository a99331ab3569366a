"""Batches of prepared images, read one batch ahead of the network.

Whatever the number of images, only two batches are in memory.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svertka.data.decode import DEFAULT_MAX_PIXELS
from svertka.data.pixels import PixelStore
from svertka.schema import Catalog


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Some of a catalog's images, as the network wants them.

    Attributes:
        files: absolute paths.
        hashes: pixel hashes, one a file.
        max_pixels: larger images are refused, as in the scan.
        weights: how much each image counts in learning [N], None where all count alike.
    """

    store: PixelStore
    files: Sequence[Path]
    hashes: Sequence[str]
    labels: NDArray[np.int64]
    max_pixels: int = DEFAULT_MAX_PIXELS
    weights: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.files)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Prepared images [N, S, S, 3] of the given rows."""
        return self.store.read([(self.files[row], self.hashes[row]) for row in rows], max_pixels=self.max_pixels)

    def rows(self, rows: NDArray[np.int64]) -> "ImageSource":
        """Some of the images, as a source of their own."""
        return replace(
            self,
            files=[self.files[row] for row in rows],
            hashes=[self.hashes[row] for row in rows],
            labels=self.labels[rows],
            weights=None if self.weights is None else self.weights[rows],
        )

    @classmethod
    def of(
        cls, catalog: Catalog, indices: Sequence[int], store: PixelStore, max_pixels: int = DEFAULT_MAX_PIXELS
    ) -> "ImageSource":
        """The images of some records."""
        records = [catalog.records[index] for index in indices]
        return cls(
            store,
            [catalog.file(record) for record in records],
            [record.pixel_hash for record in records],
            np.array([record.label for record in records], dtype=np.int64),
            max_pixels,
        )


def batches(
    source: ImageSource, rows: NDArray[np.int64], size: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Yields (rows, images [n, S, S, 3]) in order; the next batch is read while this one is used."""
    chunks = [rows[start : start + size] for start in range(0, len(rows), size)]
    if not chunks:
        return
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
        ahead = pool.submit(source.read, chunks[0])
        for chunk, following in zip(chunks, [*chunks[1:], None], strict=True):
            images = ahead.result()
            if following is not None:
                ahead = pool.submit(source.read, following)
            yield chunk, images
