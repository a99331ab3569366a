"""Small labelled images for experiments: CIFAR-10, 5,000 digits, or any folder at 32 px."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svertka.config import RunConfig
from svertka.data.digits import load_digits
from svertka.data.loader import ImageSource
from svertka.data.pixels import PixelStore, cache_dir
from svertka.data.ranges import decide
from svertka.data.scan import scan
from svertka.data.split import make_split
from svertka.errors import ConfigError, DataError, NotFoundError, did_you_mean
from svertka.schema import EventSink, Preprocess, ignore_events

SIDE_PX = 32
CIFAR10, DIGITS = "cifar10", "digits"
_CIFAR10_FOLDER = "cifar-10-batches-py"
_CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Images:
    """Square images to train on, and held-out ones to evaluate on."""

    name: str
    """What they are, to stand in a sentence."""
    class_names: tuple[str, ...]
    train: NDArray[np.uint8]
    """Uint8 [N, S, S, C]."""
    train_labels: NDArray[np.int64]
    """Int64 [N]."""
    held_out: NDArray[np.uint8]
    """Uint8 [M, S, S, C]; nothing is learnt from them."""
    held_out_labels: NDArray[np.int64]
    """Int64 [M]."""

    @property
    def side_px(self) -> int:
        """Height and width."""
        return int(self.train.shape[1])

    @property
    def channels(self) -> int:
        """1 for gray, 3 for colour."""
        return int(self.train.shape[3])

    def sample(self, train: int, held_out: int, seed: int) -> "Images":
        """At most so many of each part, drawn at random; 0 takes all.

        Raises:
            ConfigError: a number is negative.
        """
        if min(train, held_out) < 0:
            raise ConfigError(f"{min(train, held_out)} images were asked for; expected 1 or more, or 0 for all.")
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(self.train))[: train or None]
        others = rng.permutation(len(self.held_out))[: held_out or None]
        return replace(
            self,
            train=self.train[rows],
            train_labels=self.train_labels[rows],
            held_out=self.held_out[others],
            held_out_labels=self.held_out_labels[others],
        )

    def halved(self) -> "Images":
        """Each 2 × 2 pixels averaged into one: a quarter of the work."""
        return replace(self, train=_halve(self.train), held_out=_halve(self.held_out))


def _halve(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    count, side, _, channels = images.shape
    blocks = images.reshape(count, side // 2, 2, side // 2, 2, channels)
    halves: NDArray[np.uint8] = np.rint(blocks.mean(axis=(2, 4))).astype(np.uint8)
    return halves


def load_images(data: str = "", *, download: bool = False, on_event: EventSink = ignore_events) -> Images:
    """Images of 32 px by name or from a folder.

    Args:
        data: ``"cifar10"``, ``"digits"``, a folder of images or a table as ``svertka train`` takes them, or a folder
            with CIFAR-10's ``cifar-10-batches-py``. Empty: CIFAR-10 if it was fetched before, else the digits.
        download: fetch CIFAR-10 (163 MB) if it isn't there.
        on_event: hears how far the scan of a folder is.

    Raises:
        NotFoundError: there is no such folder, or CIFAR-10 isn't here.
        DataError: the folder cannot be used, or the download failed.
        MissingExtraError: the digits' package isn't installed.
    """
    home = cache_dir() / "data"
    if data == CIFAR10 or (not data and (download or (home / _CIFAR10_FOLDER).is_dir())):
        return _cifar10(home, download)
    if data in ("", DIGITS):
        return _digits()
    if (Path(data).expanduser() / _CIFAR10_FOLDER).is_dir():
        return _cifar10(Path(data).expanduser(), download)
    if not Path(data).expanduser().exists():
        raise NotFoundError(
            f"{data} does not exist; expected {CIFAR10}, {DIGITS}, elpv, or a folder of images."
            f"{did_you_mean(data, (CIFAR10, DIGITS, 'elpv'))}"
        )
    return _folder(data, on_event)


def _digits() -> Images:
    """The digits keep their size: two rows and columns of background on each side make 28 px 32."""
    digits = load_digits()
    edge = ((0, 0), (2, 2), (2, 2))
    return Images(
        name=digits.name,
        class_names=tuple(map(str, range(10))),
        train=np.pad(digits.train_images, edge)[..., None],
        train_labels=digits.train_labels,
        held_out=np.pad(digits.test_images, edge)[..., None],
        held_out_labels=digits.test_labels,
    )


def _cifar10(home: Path, download: bool) -> Images:
    """CIFAR-10 through torchvision's loader, which checks the files.

    Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images.
    """
    from torchvision.datasets import CIFAR10 as Loader

    if not download and not (home / _CIFAR10_FOLDER).is_dir():
        raise NotFoundError(
            f"CIFAR-10 is not in {home}; fetch it with svertka lab race resnet18 --download, or unpack {_CIFAR10_URL} "
            f"there by hand, so that {home / _CIFAR10_FOLDER} exists."
        )
    try:
        train, test = (Loader(home, train=part, download=download) for part in (True, False))
    except Exception as error:  # urllib's errors, torchvision's RuntimeError and pickle's for damaged files
        raise DataError(
            f"CIFAR-10 in {home} cannot be used ({type(error).__name__}: {error}). Unpack {_CIFAR10_URL} there by "
            f"hand, so that {home / _CIFAR10_FOLDER} holds its batches."
        ) from error
    return Images(
        name="CIFAR-10",
        class_names=tuple(train.classes),
        train=train.data,
        train_labels=np.array(train.targets, np.int64),
        held_out=test.data,
        held_out_labels=np.array(test.targets, np.int64),
    )


def _folder(data: str, on_event: EventSink) -> Images:
    """Training and validation images of the split that ``svertka train`` makes; the test images stay unseen."""
    preprocess, cache = Preprocess(size_px=SIDE_PX), cache_dir()
    config = RunConfig(data=data)
    catalog = scan(data, config=config, preprocess=preprocess, cache=cache, on_event=on_event)
    split = make_split(catalog, config)
    scanned, catalog = catalog, decide(catalog, (*split.train, *split.val), config)
    for notice in catalog.notices[len(scanned.notices) :]:
        on_event(notice)
    store = PixelStore(cache, replace(preprocess, ranges=catalog.ranges))
    train, held_out = (ImageSource.of(catalog, part, store) for part in (split.train, split.val))
    return Images(
        name=Path(data).resolve().name,
        class_names=catalog.class_names,
        train=train.read(np.arange(len(train))),
        train_labels=train.labels,
        held_out=held_out.read(np.arange(len(held_out))),
        held_out_labels=held_out.labels,
    )
