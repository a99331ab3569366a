"""Turns paths or arrays of images into a catalogue: read, hashed and cached as ``train`` does.

Shapes: N images, H height, W width, S side of the network's input.
"""

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from svertka.config import RunConfig
from svertka.data.fingerprint import fingerprint
from svertka.data.listing import Entry, Listing
from svertka.data.loader import ImageSource
from svertka.data.pixels import PixelStore
from svertka.data.preprocess import apply
from svertka.data.ranges import misread, outside
from svertka.data.scan import scan_listing
from svertka.errors import DataError, ShapeError
from svertka.messages import sentences
from svertka.schema import Catalog, ImageRecord, Notice, Preprocess

Images = Sequence[Path] | Sequence[NDArray[np.uint8]]

EXPECTED = "expected a list of paths, or an array [N, H, W] or [N, H, W, 3] of uint8 or of floats from 0 to 1"


class ArrayStore(PixelStore):
    """A pixel store whose images are in memory rather than in files."""

    def __init__(self, cache: Path, preprocess: Preprocess, images: dict[str, NDArray[np.uint8]]) -> None:
        super().__init__(cache, preprocess)
        self._images = images

    def _decode(self, file: Path, wanted: str, max_pixels: int) -> NDArray[np.uint8]:
        prepared = apply(self.preprocess, self._images[wanted])
        self.put(wanted, prepared)
        return prepared


def as_images(X: Any) -> Images:
    """Checks and takes in what a caller gave.

    Args:
        X: paths (``str`` or ``Path``) in any sequence or column; or one array of images, or a sequence of arrays
            of different sizes.

    Returns:
        Absolute paths, or arrays uint8 [H, W] or [H, W, 3].

    Raises:
        DataError: there are no images, or pixels are not in the range of their type.
        ShapeError: an array is no image.
    """
    if isinstance(X, str | os.PathLike):
        raise DataError(f"X is one path ({X}); {EXPECTED}. Put it into a list: [{str(X)!r}].")
    if not hasattr(X, "__len__") or hasattr(X, "tocsr"):
        raise DataError(f"X is a {type(X).__name__} (sparse or without a length); {EXPECTED}.")
    if len(X) == 0:
        raise DataError(f"X has 0 sample(s), no image at all; {EXPECTED}.")
    column = np.asarray(X) if hasattr(X, "__array__") else None
    if column is not None and column.dtype.kind in "OUS" and column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]  # one column of a table
    items: Sequence[Any] = X if column is None else list(column)
    if all(isinstance(item, str | os.PathLike) for item in items):
        return [Path(os.path.abspath(Path(item).expanduser())) for item in items]  # noqa: PTH100 (keeps links)
    arrays = [np.asarray(item) for item in items]
    if len({(array.shape, array.dtype) for array in arrays}) == 1:
        return list(_pixels(np.stack(arrays), "X"))
    return [_pixels(array[None], f"X[{number}]")[0] for number, array in enumerate(arrays)]


def _pixels(images_N: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Images uint8 [N, H, W] or [N, H, W, 3] from an array of either type."""
    kind, shape = images_N.dtype.kind, list(images_N.shape)
    if kind == "c":
        raise DataError(f"{name} has dtype {images_N.dtype}. Complex data not supported; {EXPECTED}.")
    if images_N.dtype != np.uint8 and kind != "f":
        raise DataError(f"{name} has dtype {images_N.dtype}; {EXPECTED}.")
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 3) or 0 in shape:
        hint = " Channels come last: X.transpose(0, 2, 3, 1)." if len(shape) == 4 and shape[1] == 3 else ""
        hint = " Reshape your data: an image has rows and columns." if len(shape) < 3 else hint
        raise ShapeError(f"{name} has shape {shape}; {EXPECTED}.{hint}")
    if images_N.dtype == np.uint8:
        return images_N
    low, high = float(images_N.min()), float(images_N.max())
    if not (0 <= low and high <= 1):  # also where one of them is NaN
        raise DataError(
            f"{name} holds floats from {low:g} to {high:g}; expected 0 to 1, without NaN or inf. "
            "Divide by the largest value that a pixel can have."
        )
    pixels_N: NDArray[np.uint8] = np.rint(255 * images_N).astype(np.uint8)
    return pixels_N


def is_paths(images: Images) -> TypeGuard[Sequence[Path]]:
    """Whether images are files."""
    return isinstance(images[0], Path)


def catalog_of(
    images: Images,
    config: RunConfig,
    preprocess: Preprocess,
    cache: Path,
    *,
    labels_N: NDArray[np.int64] | None = None,
    groups: Sequence[str] | None = None,
) -> tuple[Catalog, PixelStore]:
    """A catalogue with one record an image, in their order, and the store that holds their prepared pixels.

    Args:
        images: from ``as_images``.
        config: its ``max_megapixels`` and ``threads`` count.
        preprocess: of the network.
        cache: folder of all that can be computed again.
        labels_N: class numbers 0 to K - 1, each of which occurs; None: all images count as of one class.
        groups: of each image; None means that every image stands alone.

    Raises:
        DataError: a file can't be read; the message names it.
    """
    labels = [0] * len(images) if labels_N is None else labels_N.tolist()
    names = [None] * len(images) if groups is None else groups
    if is_paths(images):
        root = _common_folder(images)
        entries = tuple(
            Entry(path=_below(root, path), label=str(label), group=group)
            for path, label, group in zip(images, labels, names, strict=True)
        )
        listing = Listing(root=root, layout="table", entries=entries)
        catalog = scan_listing(listing, config, preprocess=preprocess, cache=cache)
        if catalog.rejected:
            first = catalog.rejected[0]
            raise DataError(
                f"{len(catalog.rejected)} of {len(images)} files can't be used; the first is "
                f"{root / first.path}: {first.reason}, {first.detail}. Take them out of X."
            )
        return catalog, PixelStore(cache, preprocess)
    held: dict[str, NDArray[np.uint8]] = {}
    records = []
    arrays = cast(Sequence[NDArray[np.uint8]], images)
    for array, label, group in zip(arrays, labels, names, strict=True):
        record = _record(array, label, group)
        records.append(record)
        held[record.pixel_hash] = array
    classes = tuple(str(label) for label in range(max(labels) + 1))
    catalog = Catalog(root=Path(), layout="table", class_names=classes, records=tuple(records))
    return catalog, ArrayStore(cache, preprocess, held)


def source_of(images: Images, config: RunConfig, preprocess: Preprocess, cache: Path) -> ImageSource:
    """Images without labels, as the network wants them."""
    catalog, store = catalog_of(images, config, preprocess, cache)
    warn([*misread(catalog.records), *outside(catalog.records, preprocess.ranges)])
    return ImageSource.of(catalog, range(len(images)), store, int(config.max_megapixels * 1e6))


def warn(notices: Iterable[Notice]) -> None:
    """Python's warnings are where a library's caller looks: one for each notice that is loud."""
    for notice in notices:
        if notice.level == "warning":
            warnings.warn(sentences(notice), UserWarning, stacklevel=3)


def _record(array: NDArray[np.uint8], label: int, group: str | None) -> ImageRecord:
    image = Image.fromarray(array)
    digests = fingerprint(image)
    return ImageRecord(
        path=digests.pixels,  # the split then depends on the images, not on their order
        label=label,
        split=None,
        group=group,
        width_px=image.width,
        height_px=image.height,
        mode=image.mode,
        pixel_hash=digests.pixels,
        perceptual_hash=digests.perceptual,
        detail_hash=digests.detail,
        sketch=digests.sketch,
    )


def _common_folder(paths: Sequence[Path]) -> Path:
    try:
        return Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError:  # several drives
        return Path(paths[0].anchor)


def _below(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
