"""What comes from the cache is verified before it is believed: one changed bit, and it is made anew, and told."""

import hashlib
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import torch

from svertka.backbones.pretrained import checked_by_name
from svertka.config import RunConfig
from svertka.data.loader import ImageSource
from svertka.data.pixels import PixelStore
from svertka.data.scan import scan
from svertka.errors import DataError, WeightsError
from svertka.features.extractor import CARD, GRAPH, WEIGHTS, open_extractor
from svertka.features.feature_table import extract
from svertka.schema import Notice, Preprocess
from svertka.training.checkpoint import load_state, save_state
from svertka.util.atomic_files import read_sealed_json, write_sealed_json

CONFIG = RunConfig(data="-", backbone="lenet5", weights="none", size_px=32, strategy="probe")


def flip(path: Path, at: int, bit: int = 0) -> None:
    """Changes one bit of a file."""
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 1 << bit
    path.write_bytes(content)


def codes(events: list[object]) -> list[str]:
    return [event.code for event in events if isinstance(event, Notice)]


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", [GRAPH, WEIGHTS, CARD])
def test_a_damaged_backbone_is_built_anew_and_what_it_computed_is_dropped(tmp_path, images, name):
    extractor = open_extractor(CONFIG, tmp_path)
    truth, card = extractor(images), read_sealed_json(extractor.folder / CARD)
    derived = tmp_path / "features" / extractor.key
    size = (extractor.folder / name).stat().st_size
    for at in np.random.default_rng(1).integers(0, size, 4).tolist():
        derived.mkdir(parents=True)
        flip(extractor.folder / name, at, at % 8)
        events: list[object] = []
        again = open_extractor(CONFIG, tmp_path, on_event=events.append)
        assert codes(events) == ["cached_backbone_damaged"]
        assert not derived.exists()
        assert (again(images) == truth).all()
        assert read_sealed_json(again.folder / CARD) == card
    events = []
    open_extractor(CONFIG, tmp_path, on_event=events.append)
    assert not events


def test_a_backbone_without_one_of_its_files_is_built_anew(tmp_path):
    extractor = open_extractor(CONFIG, tmp_path)
    for name in (GRAPH, WEIGHTS, CARD):
        (extractor.folder / name).unlink()
        events: list[object] = []
        open_extractor(CONFIG, tmp_path, on_event=events.append)
        assert codes(events) == ["cached_backbone_damaged"]
        assert (extractor.folder / name).is_file()


@pytest.mark.parametrize("name", [GRAPH, WEIGHTS])
def test_a_backbone_that_changes_after_it_was_opened_is_not_used(tmp_path, images, name):
    extractor = open_extractor(CONFIG, tmp_path)
    flip(extractor.folder / name, 1000)
    with pytest.raises(DataError, match=r"has changed since it was opened .* Run the same command again"):
        extractor.weights() if name == WEIGHTS else extractor(images)


def test_any_changed_bit_of_a_checkpoint_is_found(tmp_path):
    path = tmp_path / "last.safetensors"
    tensors = {"weight": torch.arange(6.0).reshape(2, 3), "steps": torch.tensor(7)}
    save_state(path, tensors, {"epoch": 3})
    good = path.read_bytes()
    loaded, facts = load_state(path)
    assert facts == {"epoch": 3}
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())
    for at in range(len(good)):
        path.write_bytes(good)
        flip(path, at, at % 7)
        try:
            found = load_state(path)
        except DataError as error:
            assert "is damaged" in str(error)
        else:  # a space of the header became another one
            assert found[1] == facts and all(torch.equal(found[0][name], tensor) for name, tensor in tensors.items())


class Brightness:
    """One feature: the brightness, which is the image's name."""

    widths, batch_size = (1,), 4

    def __init__(self, key: str = "brightness") -> None:
        self.key = key

    def __call__(self, images_NHWC):
        return images_NHWC[:, 0, 0, :1].astype(np.float32)


class Store:
    def read(self, files_and_hashes, max_pixels):
        return np.stack([np.full((2, 2, 3), int(name), np.uint8) for _, name in files_and_hashes])


def numbers(count: int) -> ImageSource:
    names = [str(number) for number in range(count)]
    return ImageSource(Store(), names, names, np.zeros(count, np.int64))


def test_any_changed_bit_of_cached_features_is_found(tmp_path):
    extract(Brightness(), numbers(20), tmp_path)
    (shard,) = tmp_path.rglob("*.npz")
    for at in range(0, shard.stat().st_size, 37):
        flip(shard, at, at % 8)
        events: list[object] = []
        table = extract(Brightness(), numbers(20), tmp_path, events.append)
        assert codes(events) == ["cached_features_damaged"]
        assert table.read()[:, 0].tolist() == list(range(20))


def test_features_of_another_network_are_not_taken(tmp_path):
    extract(Brightness("one"), numbers(20), tmp_path)
    (tmp_path / "features" / "one").rename(tmp_path / "features" / "two")
    events: list[object] = []
    extract(Brightness("two"), numbers(20), tmp_path, events.append)
    assert codes(events) == ["cached_features_damaged"]


@pytest.mark.parametrize("column", ["path", "stamp", "value", "sha256"])
def test_a_damaged_row_of_the_scan_is_read_anew(tmp_path, shapes_folder, column):
    """One digit of an image's hash used to stop the folder for good."""
    folder, cache = shapes_folder(tmp_path / "shapes", 6), tmp_path / "cache"
    first = scan(folder, cache=cache)
    (index,) = cache.rglob("*.sqlite3")
    with sqlite3.connect(index) as database:
        ((cell, number),) = database.execute(f"SELECT {column}, rowid FROM known LIMIT 1")
        text = cell if isinstance(cell, str) else cell.decode()
        middle = len(text) // 2
        changed = text[:middle] + chr(ord(text[middle]) ^ 1) + text[middle + 1 :]
        value = changed if isinstance(cell, str) else changed.encode()
        database.execute(f"UPDATE known SET {column} = ? WHERE rowid = ?", (value, number))
    database.close()
    events: list[object] = []
    second = scan(folder, cache=cache, on_event=events.append)
    assert codes(events) == ["scan_index_damaged"]
    assert (second.records, second.decoded) == (first.records, 1)
    events.clear()
    scan(folder, cache=cache, on_event=events.append)
    assert not codes(events)  # told once


def test_pixels_of_another_image_are_not_taken(tmp_path, images):
    store = PixelStore(tmp_path, Preprocess(size_px=32))
    for name, image in zip(("aa11", "aa22"), images, strict=False):
        store.put(name, image)
    first, second = (next(tmp_path.rglob(name)) for name in ("11", "22"))
    second.replace(first)
    assert store.get("aa11") is None
    assert store.damaged == 1


def test_an_image_that_is_gone_is_named_with_what_to_do(tmp_path):
    store = PixelStore(tmp_path / "cache", Preprocess(size_px=32))
    with pytest.raises(DataError, match=r"gone\.png could be read when .* but no longer can .*--resume"):
        store.read([(tmp_path / "gone.png", "0" * 32)])


@pytest.mark.parametrize("value", [{"a": (1, 2.5), "b": "ж"}, [], {"1": None}])
def test_sealed_json(tmp_path, value):
    path = tmp_path / "sealed.json"
    write_sealed_json(path, value)
    assert read_sealed_json(path) == ({"a": [1, 2.5], "b": "ж"} if value and "a" in value else value)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"value"', '"valve"'), encoding="utf-8")
    with pytest.raises(ValueError, match="is not what was written"):
        read_sealed_json(path)


def test_published_weights_are_held_to_the_hash_in_their_name(tmp_path):
    content = b"weights"
    digits = hashlib.sha256(content).hexdigest()[:8]
    good, bad = tmp_path / f"net-{digits}.pth", tmp_path / f"net2-{digits}.pth"
    good.write_bytes(content)
    bad.write_bytes(b"wEights")
    assert checked_by_name(good) == good
    assert checked_by_name(tmp_path / "net-0123abcd.pth").name == "net-0123abcd.pth"  # not fetched yet
    with pytest.raises(WeightsError, match=f"is damaged: its SHA-256 begins with .*, expected {digits}"):
        checked_by_name(bad)
