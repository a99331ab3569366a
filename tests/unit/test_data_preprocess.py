"""The one implementation of Preprocess, and the disk cache of what it makes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from svertka.config import RunConfig
from svertka.data import pixels
from svertka.data.decode import decode, load
from svertka.data.fingerprint import fingerprint, pixel_hash
from svertka.data.pixels import PixelStore, cache_dir
from svertka.data.preprocess import apply
from svertka.errors import ConfigError, DataError
from svertka.schema import Preprocess
from svertka.util.from_dict import from_dict


def photo(height: int = 90, width: int = 130, seed: int = 0) -> np.ndarray:
    """Smooth colours with some texture."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 13, 3), dtype=np.uint8)).resize((width, height))
    return np.asarray(coarse)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("kind", ["rgb.png", "gray.png", "photo.jpg"])
def test_squash_equals_torchvision_v1(tmp_path: Path, interpolation: str, kind: str) -> None:
    from torchvision import transforms

    image = Image.fromarray(photo(301, 299))
    path = tmp_path / kind
    (image.convert("L") if kind.startswith("gray") else image).save(path)
    mode = transforms.InterpolationMode(interpolation)
    with Image.open(path) as opened:
        expected = np.asarray(transforms.Resize((224, 224), interpolation=mode)(opened.convert("RGB")))
    preprocess = Preprocess(interpolation=interpolation)
    assert (load(path, preprocess) == expected).all()
    assert (apply(preprocess, np.asarray(decode(path).image.convert("RGB"))) == expected).all()


def test_crop_takes_the_centre() -> None:
    rgb = np.zeros((20, 60, 3), np.uint8)
    rgb[:, 20:40] = (10, 20, 30)
    square = apply(Preprocess(size_px=20, resize="crop"), rgb)
    assert (square == (10, 20, 30)).all()
    tall = apply(Preprocess(size_px=20, resize="crop"), rgb.transpose(1, 0, 2))
    assert (tall == (10, 20, 30)).all()


@pytest.mark.parametrize("crop_pct", [0.875, 0.95, 0.77])
@pytest.mark.parametrize("shape", [(299, 301), (480, 640), (1200, 333), (100, 80), (224, 224)])
def test_crop_equals_the_evaluation_of_timm(shape: tuple[int, int], crop_pct: float) -> None:
    from timm.data import create_transform

    rgb = photo(*shape)
    prepare = create_transform(
        224, is_training=False, interpolation="bicubic", crop_pct=crop_pct, normalize=False, crop_mode="center"
    )
    expected = prepare(Image.fromarray(rgb)).numpy().transpose(1, 2, 0).astype(int)
    found = apply(Preprocess(resize="crop", crop_pct=crop_pct), rgb)
    assert found.shape == expected.shape == (224, 224, 3)
    assert np.abs(found - expected).max() <= 2  # each of the two passes rounds
    assert (found == expected).mean() > 0.98


def test_only_what_crops_has_a_share_to_crop() -> None:
    for crop_pct in (0.0, 1.1, float("nan")):
        with pytest.raises(ConfigError, match=r"crop_pct is .*; expected 0\.1 to 1"):
            Preprocess(resize="crop", crop_pct=crop_pct)
    with pytest.raises(ConfigError, match="resize is 'squash'; expected resize = 'crop'"):
        Preprocess(crop_pct=0.9)
    with pytest.raises(ConfigError, match="resize is 'pad'"):
        RunConfig(data="x", resize="pad", crop_pct=0.9)


def test_a_share_to_crop_changes_the_hash_and_none_keeps_that_of_older_versions() -> None:
    plain, cropped = Preprocess(resize="crop"), Preprocess(resize="crop", crop_pct=0.9)
    assert (Preprocess().hash, plain.hash) == ("525e601ba9d1733e", "ed9ef421fa358f50")
    assert (Preprocess().pixels_hash, plain.pixels_hash) == ("1fe047b9079ebc29", "182b1f96f599c1e8")
    assert cropped.hash != plain.hash and cropped.pixels_hash != plain.pixels_hash
    assert "crop_pct" not in plain.as_fields() and from_dict(Preprocess, cropped.as_fields()) == cropped


def test_pad_keeps_everything_and_fills_with_the_mean() -> None:
    rgb = np.full((20, 40, 3), 200, np.uint8)
    square = apply(Preprocess(size_px=40, resize="pad", mean=(0.1, 0.2, 0.4)), rgb)
    assert (square[10:30] == 200).all()
    assert (square[:10] == (26, 51, 102)).all()
    assert (square[30:] == (26, 51, 102)).all()


def test_pad_of_gray_equals_pad_of_rgb(tmp_path: Path) -> None:
    gray = Image.fromarray(photo()).convert("L")
    gray.save(tmp_path / "gray.png")
    gray.convert("RGB").save(tmp_path / "rgb.png")
    for mean in ((0.5, 0.5, 0.5), (0.1, 0.2, 0.3)):
        preprocess = Preprocess(size_px=64, resize="pad", mean=mean)
        assert (load(tmp_path / "gray.png", preprocess) == load(tmp_path / "rgb.png", preprocess)).all()


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_odd_shapes(resize: str, shape: tuple[int, int]) -> None:
    square = apply(Preprocess(size_px=32, resize=resize), np.full((*shape, 3), 7, np.uint8))
    assert square.shape == (32, 32, 3)
    assert (square == 7).all(axis=-1).any()


def test_decode_and_store_do_not_need_torch() -> None:
    code = (
        "import sys; sys.modules.update(torch=None, torchvision=None);"
        "import svertka.data.decode, svertka.data.pixels, svertka.data.scan, svertka.data.split"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_store_gives_back_what_was_put(tmp_path: Path) -> None:
    store = PixelStore(tmp_path, Preprocess(size_px=64))
    colour = photo(64, 64)
    gray = np.repeat(colour[:, :, :1], 3, axis=2)
    assert store.get("aa11") is None
    assert store.put("aa11", colour)
    assert store.put("bb22", gray)
    assert (store.get("aa11") == colour).all()
    assert (store.get("bb22") == gray).all()
    sizes = sorted(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert sizes == [64 * 64 + 37, 3 * 64 * 64 + 37]
    assert "aa11" in store
    assert PixelStore(tmp_path, Preprocess(size_px=65)).get("aa11") is None


@pytest.mark.parametrize("harm", ["short", "flipped", "empty", "magic"])
def test_damaged_entry_is_no_entry(tmp_path: Path, harm: str) -> None:
    store = PixelStore(tmp_path, Preprocess(size_px=64))
    store.put("aa11", photo(64, 64))
    entry = next(path for path in tmp_path.rglob("*") if path.is_file())
    data = bytearray(entry.read_bytes())
    if harm == "flipped":
        data[500] ^= 1
    elif harm == "magic":
        data[0] ^= 1
    entry.write_bytes({"short": data[:-1], "empty": b""}.get(harm, bytes(data)))
    assert store.get("aa11") is None


def test_read_decodes_what_is_not_stored_and_stores_it(tmp_path: Path) -> None:
    preprocess = Preprocess(size_px=32)
    files = []
    for number in range(3):
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(photo(seed=number)).save(files[-1])
    wanted = [(file, pixel_hash(decode(file).image)) for file in files]
    store = PixelStore(tmp_path / "cache", preprocess)
    batch = store.read(wanted)
    assert (batch == np.stack([load(file, preprocess) for file in files])).all()
    for file in files:
        file.unlink()
    assert (store.read(wanted) == batch).all()


def test_read_refuses_a_file_that_changed(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(photo()).save(file)
    store = PixelStore(tmp_path / "cache", Preprocess(size_px=32))
    with pytest.raises(DataError, match=r"a\.png has other pixels now .* or start a new one"):
        store.read([(file, "0" * 32)])
    assert "0" * 32 not in store


@pytest.mark.parametrize(("free", "stored"), [(1 * 1024**3, False), (2 * 1024**3 + 100, False), (9 * 1024**3, True)])
def test_store_keeps_the_disk_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, stored: bool) -> None:
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(pixels.shutil, "disk_usage", lambda _: usage)
    store = PixelStore(tmp_path, Preprocess(size_px=32))
    assert store.put("aa11", photo(32, 32)) is stored
    assert (store.get("aa11") is not None) is stored


def test_store_takes_at_most_half_of_what_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 10 * 1024**3})
    monkeypatch.setattr(pixels.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(pixels, "_folder_bytes", lambda _: 5 * 1024**3)
    assert not PixelStore(tmp_path, Preprocess(size_px=32)).put("aa11", photo(32, 32))


def test_store_that_cannot_be_written_is_only_slow(tmp_path: Path) -> None:
    (tmp_path / "pixels").write_text("a file where the folder should be")
    assert not PixelStore(tmp_path, Preprocess(size_px=32)).put("aa11", photo(32, 32))


def test_cache_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SVERTKA_CACHE", str(tmp_path / "mine"))
    assert cache_dir() == tmp_path / "mine"
    monkeypatch.delenv("SVERTKA_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for platform, expected in (
        ("linux", tmp_path / ".cache" / "svertka"),
        ("darwin", tmp_path / "Library" / "Caches" / "svertka"),
    ):
        monkeypatch.setattr(sys, "platform", platform)
        assert cache_dir() == expected


def test_pixel_hash_is_of_what_is_seen(tmp_path: Path) -> None:
    gray = Image.fromarray(photo()).convert("L")
    assert pixel_hash(gray) == pixel_hash(gray.convert("RGB"))
    colour = gray.convert("RGB")
    colour.putpixel((5, 5), (1, 2, 3))
    assert pixel_hash(colour) != pixel_hash(gray)
    assert pixel_hash(Image.new("L", (4, 6))) != pixel_hash(Image.new("L", (6, 4)))


def test_fingerprint_survives_reencoding_and_scaling(tmp_path: Path) -> None:
    image = Image.fromarray(photo(600, 800))
    image.save(tmp_path / "a.jpg", quality=75)
    original = fingerprint(image)
    for other in (decode(tmp_path / "a.jpg").image, image.resize((400, 300)), image.convert("L")):
        copy = fingerprint(other)
        assert (original.perceptual ^ copy.perceptual).bit_count() <= 3
        assert (original.detail ^ copy.detail).bit_count() <= 32
    stranger = fingerprint(Image.fromarray(photo(600, 800, seed=1)))
    assert (original.perceptual ^ stranger.perceptual).bit_count() > 16
    assert (original.detail ^ stranger.detail).bit_count() > 80
