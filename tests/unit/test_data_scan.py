"""Scans: every file decoded once in its life, whatever happens in between."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from svertka.config import RunConfig
from svertka.data import scan as scan_module
from svertka.data.decode import Decoded, decoding, load
from svertka.data.pixels import PixelStore
from svertka.data.scan import scan
from svertka.errors import ConfigError, DataError, NotFoundError
from svertka.messages import sentences
from svertka.schema import Advanced, Catalog, Event, Preprocess


def save_image(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for number in range(6):
        save_image(root / "cats" / f"{number}.png", number)
        save_image(root / "dogs" / f"{number}.png", 100 + number)
    (root / "dogs" / "bad.jpg").write_text("no image")
    (root / "dogs" / "empty.jpg").write_bytes(b"")
    return root


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def without_count(catalog: Catalog) -> tuple[object, ...]:
    return catalog.root, catalog.class_names, catalog.records, catalog.rejected, catalog.notices


def test_first_scan(folder: Path, cache: Path) -> None:
    events: list[Event] = []
    catalog = scan(folder, cache=cache, on_event=events.append)
    assert catalog.class_names == ("cats", "dogs")
    assert catalog.layout == "class folders"
    assert [record.path for record in catalog.records[:2]] == ["cats/0.png", "cats/1.png"]
    assert catalog.labels().tolist() == [0] * 6 + [1] * 6
    assert {(r.path, r.reason) for r in catalog.rejected} == {("dogs/bad.jpg", "not_an_image"),
                                                             ("dogs/empty.jpg", "empty")}  # fmt: skip
    assert catalog.decoded == 14
    assert [sentences(notice) for notice in catalog.notices] == [
        "Files that were left out: 2 of 14 (empty file: 1, not an image: 1)."
    ]
    assert events[-1] == Advanced(14)
    record = catalog.records[0]
    assert (record.width_px, record.height_px, record.mode) == (32, 24, "RGB")
    assert len({r.pixel_hash for r in catalog.records}) == 12


def test_second_scan_decodes_nothing(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scan(folder, cache=cache)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(scan_module, "decoding", refuse)
    second = scan(folder, cache=cache)
    assert second.decoded == 0
    assert without_count(second) == without_count(first)


def test_only_what_changed_is_decoded(folder: Path, cache: Path) -> None:
    first = scan(folder, cache=cache)
    save_image(folder / "cats" / "3.png", 999)
    save_image(folder / "cats" / "new.png", 1000)
    (folder / "dogs" / "0.png").unlink()
    second = scan(folder, cache=cache)
    assert second.decoded == 2
    assert len(second.records) == 12
    hashes = {r.path: r.pixel_hash for r in first.records}
    changed = [r.path for r in second.records if hashes.get(r.path) != r.pixel_hash]
    assert changed == ["cats/3.png", "cats/new.png"]


def test_same_size_and_time_but_another_file(folder: Path, cache: Path) -> None:
    scan(folder, cache=cache)
    target, other = folder / "cats" / "0.png", folder / "copy.png"
    before = target.stat()
    Image.new("RGB", (8, 8), "red").save(other)
    other.write_bytes(other.read_bytes().ljust(before.st_size, b"\0"))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(target)
    assert scan(folder, cache=cache).decoded == 1


def test_same_size_and_times_but_other_content(folder: Path, cache: Path) -> None:
    scan(folder, cache=cache)
    target = folder / "cats" / "0.png"
    before = target.stat()
    image = Image.new("RGB", (8, 8), "red")
    with target.open("r+b") as file:
        image.save(file, "png")
        assert file.tell() <= before.st_size
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (target.stat().st_size, target.stat().st_ino) == (before.st_size, before.st_ino)
    assert scan(folder, cache=cache).decoded == 1


def test_limit_of_pixels_is_part_of_what_is_remembered(folder: Path, cache: Path) -> None:
    scan(folder, cache=cache)
    config = RunConfig(data=str(folder), max_megapixels=0.0005)
    with pytest.raises(
        DataError, match=r"Nothing to learn from .* cats/0\.png: too_large, .* allowed \(max_megapixels\)"
    ):
        scan(folder, cache=cache, config=config)
    assert scan(folder, cache=cache).decoded == 0


@pytest.mark.parametrize("harm", ["garbage", "truncated", "bad rows", "empty"])
def test_damaged_index_is_learnt_anew(folder: Path, cache: Path, harm: str) -> None:
    first = scan(folder, cache=cache)
    index = next(cache.rglob("*.sqlite3"))
    if harm == "bad rows":
        with sqlite3.connect(index) as database:
            database.execute("UPDATE known SET value = '{'")
        database.close()
    else:
        data = index.read_bytes()
        index.write_bytes({"garbage": b"x" * 5000, "truncated": data[: len(data) // 2], "empty": b""}[harm])
    second = scan(folder, cache=cache)
    assert without_count(second) == without_count(first)
    assert scan(folder, cache=cache).decoded == 0


def test_cache_that_cannot_be_written_is_only_slow(folder: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    catalog = scan(folder, cache=blocked, preprocess=Preprocess(size_px=32))
    assert len(catalog.records) == 12


def test_interrupted_scan_keeps_what_is_done(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = 0

    def interrupt(path: Path, *, max_pixels: int) -> object:
        nonlocal done
        done += 1
        if done == 9:
            raise KeyboardInterrupt
        return decoding(path, max_pixels=max_pixels)

    monkeypatch.setattr(scan_module, "decoding", interrupt)
    one_thread = RunConfig(data=str(folder), threads=1)
    with pytest.raises(KeyboardInterrupt):
        scan(folder, cache=cache, config=one_thread)
    monkeypatch.undo()
    assert scan(folder, cache=cache).decoded <= 14 - 7


def test_killed_scan_keeps_what_is_done(folder: Path, cache: Path) -> None:
    code = f"""
import os
from pathlib import Path
from svertka.data import scan as module
from svertka.config import RunConfig
module._REMEMBER_EVERY = 2
whole = module.decoding
def die(path, **options):
    if path.name == "4.png" and "dogs" in str(path):
        os.kill(os.getpid(), 9)
    return whole(path, **options)
module.decoding = die
module.scan({str(folder)!r}, cache=Path({str(cache)!r}), config=RunConfig(data="x", threads=1))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    catalog = scan(folder, cache=cache)
    assert 2 <= catalog.decoded <= 8
    assert len(catalog.records) == 12


def test_concurrent_scans(folder: Path, cache: Path) -> None:
    catalogs: list[Catalog] = []
    threads = [threading.Thread(target=lambda: catalogs.append(scan(folder, cache=cache))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [without_count(catalog) for catalog in catalogs] == [without_count(catalogs[0])] * 4
    assert len(catalogs) == 4
    assert scan(folder, cache=cache).decoded == 0


def test_prepared_pixels_are_stored_in_the_same_pass(folder: Path, cache: Path) -> None:
    preprocess = Preprocess(size_px=32)
    catalog = scan(folder, cache=cache, preprocess=preprocess)
    store = PixelStore(cache, preprocess)
    for record in catalog.records:
        stored = store.get(record.pixel_hash)
        assert stored is not None
        assert (stored == load(catalog.file(record), preprocess)).all()


@pytest.mark.parametrize("threads", [1, 3])
def test_few_images_are_in_flight(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    lock, now, most = threading.Lock(), 0, 0

    @contextmanager
    def count(path: Path, *, max_pixels: int) -> Iterator[Decoded]:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        try:
            with decoding(path, max_pixels=max_pixels) as decoded:
                yield decoded
        finally:
            with lock:
                now -= 1

    monkeypatch.setattr(scan_module, "decoding", count)
    scan(folder, cache=cache, config=RunConfig(data=str(folder), threads=threads))
    assert 1 <= most <= threads


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text exist on Linux only")
def test_names_that_are_no_text(folder: Path, cache: Path) -> None:
    odd = os.fsencode(folder / "cats") + b"/\xff\xfe.png"
    save_image(folder / "cats" / "odd.png", 77)
    os.rename(folder / "cats" / "odd.png", odd)  # noqa: PTH104  # bytes are the point
    assert len(scan(folder, cache=cache).records) == 13
    catalog = scan(folder, cache=cache)
    assert catalog.decoded == 0
    assert any(os.fsencode(record.path).endswith(b"\xff\xfe.png") for record in catalog.records)


def test_original_files_are_untouched(folder: Path, cache: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}
    scan(folder, cache=cache, preprocess=Preprocess(size_px=32))
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}
    assert after == before


def test_one_clear_error(folder: Path, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no"):
        scan(tmp_path / "nowhere", cache=cache)
    few = tmp_path / "few"
    shutil.copytree(folder, few)
    for number in range(2):
        (few / "cats" / f"{number}.png").unlink()
        shutil.copy(few / "cats" / "5.png", few / "cats" / f"copy{number}.png")
    with pytest.raises(DataError, match=r"Too few different images in cats \(4\); at least 5 a class"):
        scan(few, cache=cache)
    assert len(scan(few, cache=cache, for_training=False).records) == 12
    one = tmp_path / "one"
    shutil.copytree(folder / "cats", one / "cats")
    with pytest.raises(DataError, match=r"one class only \(cats\); a classifier needs at least two"):
        scan(one, cache=cache)
    (one / "dogs").mkdir()
    with pytest.raises(DataError, match=r"one class only \(cats, for dogs holds no images\); a classifier needs"):
        scan(one, cache=cache)
    nothing = tmp_path / "nothing"
    (nothing / "cats").mkdir(parents=True)
    (nothing / "cats" / "a.jpg").write_text("text")
    with pytest.raises(DataError, match=r"none of 1 files can be used; cats/a\.jpg: not_an_image"):
        scan(nothing, cache=cache, for_training=False)
    (nothing / "cats" / "a.jpg").rename(nothing / "cats" / "a.txt")
    with pytest.raises(DataError, match="there is no image in it"):
        scan(nothing, cache=cache)


def small_classes(root: Path, **counts: int) -> Path:
    """Class folders with so many different images each."""
    for label, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            save_image(root / name / f"{number}.png", seed=100 * label + number)
    return root


def test_small_classes_are_left_out_when_asked_and_told(tmp_path: Path, cache: Path) -> None:
    root = small_classes(tmp_path / "set", cats=3, dogs=6, eels=5, fish=7)
    with pytest.raises(DataError, match=r"Too few different images in cats \(3\); .*: --min-images 5, or min"):
        scan(root, cache=cache)
    catalog = scan(root, config=RunConfig(data=str(root), min_images=6), cache=cache)
    assert catalog.class_names == ("dogs", "fish")
    assert {(record.path.split("/")[0], record.label) for record in catalog.records} == {("dogs", 0), ("fish", 1)}
    (notice,) = (notice for notice in catalog.notices if notice.code == "classes_left_out")
    assert sentences(notice) == (
        "Classes with fewer than 6 different images were left out (class: images): cats: 3, eels: 5. The model will "
        "not know them."
    )
    assert notice.level == "warning"


def test_copies_do_not_make_a_class_large_enough(tmp_path: Path, cache: Path) -> None:
    root = small_classes(tmp_path / "set", cats=3, dogs=5, fish=5)
    for number in range(5):
        shutil.copy(root / "cats" / "0.png", root / "cats" / f"copy{number}.png")
    catalog = scan(root, config=RunConfig(data=str(root), min_images=5), cache=cache)
    assert catalog.class_names == ("dogs", "fish")


def test_leaving_out_has_an_end(tmp_path: Path, cache: Path) -> None:
    root = small_classes(tmp_path / "set", cats=3, dogs=6)
    with pytest.raises(DataError, match=r"min_images is 6, which leaves one class only \(dogs\) of 2; .*: cats \(3\)"):
        scan(root, config=RunConfig(data=str(root), min_images=6), cache=cache)
    with pytest.raises(ConfigError, match=r"min_images is 3; expected at least 5, .* or 0 to leave none out"):
        RunConfig(data=str(root), min_images=3)
    assert len(scan(root, config=RunConfig(data="x", min_images=6), cache=cache, for_training=False).class_names) == 2
