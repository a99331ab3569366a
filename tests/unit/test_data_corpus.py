"""A corpus of bad and odd files, made here, each with its expected fate and, where it is read, a pixel's value."""

import io
import os
import struct
import sys
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from svertka.data.decode import decode, load
from svertka.errors import ImageRejected
from svertka.schema import Preprocess

RED, GREEN, WHITE = (254, 0, 0), (0, 255, 1), (255, 255, 255)


@dataclass(frozen=True)
class Case:
    """``make`` writes the file; then either ``reason`` or the pixel at (row, column) with the given notes."""

    name: str
    make: Callable[[Path], object]
    reason: str = ""
    detail: str = ""
    at: tuple[int, int] = (0, 0)
    pixel: tuple[int, int, int] = (0, 0, 0)
    tolerance: int = 0
    mode: str = ""
    notes: tuple[str, ...] = ()
    size: tuple[int, int] = (20, 10)  # width, height


def solid(mode: str, colour: object, size: tuple[int, int] = (20, 10)) -> Image.Image:
    return Image.new(mode, size, colour)  # type: ignore[arg-type]


def save(mode: str, colour: object, **options: object) -> Callable[[Path], object]:
    return lambda path: solid(mode, colour).save(path, **options)


def write(data: bytes | Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data if isinstance(data, bytes) else data())


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise(size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def half(kind: str) -> Callable[[Path], object]:
    def cut() -> bytes:
        whole = encoded(noise(), kind)
        return whole[: len(whole) // 2]

    return write(cut)


def left_red(orientation: int) -> Callable[[Path], object]:
    """20 × 10, left half red, right half green, to be shown turned."""

    def make(path: Path) -> None:
        image = solid("RGB", GREEN)
        image.paste(RED, (0, 0, 10, 10))
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(path, exif=exif, **({"quality": 100, "subsampling": 0} if path.suffix == ".jpg" else {}))

    return make


def palette(transparent: bool) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        image = solid("P", 1)
        image.putpalette([*RED, *GREEN])
        image.putpixel((0, 0), 0)
        image.save(path, **({"transparency": 0} if transparent else {}))

    return make


def deep(values: list[float], kind: object, **options: object) -> Callable[[Path], object]:
    """A 20 × 10 image of deep samples: the values in the first row, then zeros (or the first value if negative)."""

    def make(path: Path) -> None:
        samples = np.zeros((10, 20), dtype=kind)  # type: ignore[call-overload]
        samples[:] = min(values)
        samples[0, : len(values)] = values
        Image.fromarray(samples).save(path, **options)

    return make


def frames(kind: str) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        first, second = solid("RGB", RED), solid("RGB", GREEN)
        first.save(path, kind, save_all=True, append_images=[second], **({"lossless": True} if kind == "WEBP" else {}))

    return make


def white_is_zero(path: Path) -> None:
    image = Image.fromarray(np.full((10, 20), 65535, np.uint16))
    image.save(path, tiffinfo={262: 0})
    data = path.read_bytes()
    assert Image.open(io.BytesIO(data)).tag_v2[262] == 0  # type: ignore[attr-defined]


def huge_png(width: int, height: int) -> bytes:
    """A PNG whose header promises much; there are no pixels behind it, so decoding would fail otherwise."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data = b"IDAT" + zlib.compress(b"\0")
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


def float_rgb_tiff() -> bytes:
    """A TIFF of three floats a pixel: whole, but nothing that Pillow reads."""
    tags = [
        (256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 1, 32), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 200),
        (277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, 12), (339, 3, 1, 3),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    data = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0)
    return data.ljust(200, b"\0") + struct.pack("<3f", 0, 0.5, 1)


def gray_tiff(samples: bytes, bits: int, tags: list[tuple[int, int, int, int]], order: str = "<") -> bytes:
    """An uncompressed one-row TIFF with tags of our own, in either byte order."""
    width = len(samples) * 8 // bits
    base = [(256, 4, 1, width), (257, 4, 1, 1), (258, 4, 1, bits), (259, 4, 1, 1), (262, 4, 1, 1), (273, 4, 1, 300),
            (277, 4, 1, 1), (278, 4, 1, 1), (279, 4, 1, len(samples))]  # fmt: skip
    entries = b"".join(struct.pack(order + "HHII", *tag) for tag in sorted(base + tags))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(base) + len(tags))
    return (head + entries + struct.pack(order + "I", 0)).ljust(300, b"\0") + samples


CUT = "the file ends before its pixels do|cut off"
CASES = [
    # --- rejected, each with its reason ---
    Case("empty.jpg", write(b""), "empty", "zero bytes"),
    Case("cut.jpg", half("JPEG"), "truncated", CUT),
    Case("cut.png", half("PNG"), "truncated", CUT),
    Case("cut.gif", half("GIF"), "truncated", CUT),
    Case("cut.webp", half("WEBP"), "(truncated|damaged)", "ends before|cannot be decoded|cut off"),
    Case("cut.bmp", half("BMP"), "truncated", CUT),
    Case("cut.tiff", half("TIFF"), "truncated", CUT),
    Case("header_only.jpg", write(b"\xff\xd8\xff\xe0\x00\x10JFIF"), "truncated", CUT),
    Case("header_only.png", write(b"\x89PNG\r\n\x1a\n"), "truncated", "PNG file whose header is cut off"),
    Case("text.jpg", write("Привет, это не картинка".encode()), "not_an_image", "text: 'Привет"),
    Case("page.png", write(b"<!doctype html><html><body>404</body></html>"), "not_an_image", "text: '<!doctype"),
    Case("random.jpg", write(bytes(range(255, -1, -1))), "not_an_image", "no known image format"),
    Case("drawing.svg", write(b'<svg xmlns="http://www.w3.org/2000/svg"/>'), "unsupported", "SVG"),
    Case("svg_inside.png", write(b'<?xml version="1.0"?><svg/>'), "unsupported", "SVG"),
    Case("phone.heic", write(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)), "unsupported", "HEIC"),
    Case("phone_renamed.jpg", write(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)), "unsupported", "HEIC"),
    Case("layers.psd", write(b"8BPS\0\x01" + bytes(30)), "unsupported", "PSD"),
    Case("camera.dng", lambda path: solid("RGB", RED).save(path, "TIFF"), "unsupported", "raw file"),
    Case("float_rgb.tif", write(float_rgb_tiff), "unsupported", "kind of pixels"),
    Case("huge.png", write(huge_png(20_000, 20_000)), "too_large", "400.0 megapixels by its header; at most 100"),
    Case("bomb.png", write(huge_png(60_000, 60_000)), "too_large", "3600.0 megapixels"),
    Case("folder.jpg", lambda path: path.mkdir(), "unreadable", "a folder with the name of an image"),
    Case("dangling.jpg", lambda path: path.symlink_to(path.parent / "gone.jpg"), "unreadable", "a link to a file"),
    Case("loop.jpg", lambda path: path.symlink_to(path), "unreadable", "cannot read it"),
    Case("pipe.jpg", lambda path: os.mkfifo(path), "unreadable", "it is a FIFO; expected a regular file"),
    Case("all_nan.tif", deep([np.nan], np.float32), "unsupported", "no sample is a finite number"),
    # --- read ---
    Case("plain.png", save("RGB", RED), pixel=RED, mode="RGB"),
    Case("plain.bmp", save("RGB", RED), pixel=RED, mode="RGB"),
    Case("plain.tiff", save("RGB", RED), pixel=RED, mode="RGB"),
    Case("plain.webp", save("RGB", RED, lossless=True), pixel=RED, mode="RGB"),
    Case("plain.jpg", save("RGB", RED, quality=100, subsampling=0), pixel=RED, tolerance=1, mode="RGB"),
    Case("one_pixel.png", lambda path: solid("RGB", RED, (1, 1)).save(path), pixel=RED, size=(1, 1)),
    Case("wrong_suffix.png", lambda path: solid("L", 77).save(path, "GIF"), pixel=(77, 77, 77)),
    Case("garbage_after.jpg", write(lambda: encoded(solid("L", 77), "JPEG") + b"\xff\xd9junk" * 50),
         pixel=(77, 77, 77), tolerance=1, notes=("grayscale",)),
    Case("gray.png", save("L", 77), pixel=(77, 77, 77), mode="L", notes=("grayscale",)),
    Case("gray_alpha.png", save("LA", (0, 128)), pixel=(127, 127, 127), mode="LA", notes=("alpha_composited",)),
    Case("gray_key.png", save("L", 77, transparency=77), pixel=WHITE, notes=("alpha_composited",)),
    Case("bilevel.png", save("1", 1), pixel=WHITE, mode="1", notes=("bilevel",)),
    Case("palette.png", palette(False), at=(1, 1), pixel=GREEN, mode="P", notes=("palette",)),
    Case("palette_key.png", palette(True), pixel=WHITE, mode="P", notes=("alpha_composited",)),
    Case("rgba.png", save("RGBA", (0, 0, 0, 0)), pixel=WHITE, mode="RGBA", notes=("alpha_composited",)),
    Case("rgba_half.png", save("RGBA", (255, 0, 0, 128)), pixel=(255, 127, 127), notes=("alpha_composited",)),
    Case("cmyk.jpg", save("CMYK", (0, 255, 255, 0), quality=100), pixel=(255, 0, 0), tolerance=3, mode="CMYK",
         notes=("cmyk_converted",)),
    Case("ycbcr.tif", save("YCbCr", (77, 128, 128)), pixel=(77, 77, 77), tolerance=1, mode="YCbCr",
         notes=("colour_converted",)),
    Case("sixteen.png", deep([65535, 32768, 257], np.uint16), at=(0, 1), pixel=(128,) * 3, mode="I;16",
         notes=("scaled_16bit",)),
    Case("sixteen_not_white.png", deep([40000, 5140], np.uint16), at=(0, 1), pixel=(20,) * 3,
         notes=("scaled_16bit",)),
    Case("sixteen_big_endian.tif", write(gray_tiff(struct.pack(">4H", 65535, 257, 0, 0), 16, [], ">")), at=(0, 1),
         pixel=(1,) * 3, mode="I;16B", notes=("scaled_16bit",), size=(4, 1)),
    Case("twelve_in_sixteen.png", deep([4095, 2048], np.uint16), at=(0, 1), pixel=(128,) * 3,
         notes=("scaled_12bit",)),
    Case("declared.tif", write(gray_tiff(struct.pack("<4H", 1000, 500, 0, 0), 16, [(281, 4, 1, 1000)])), at=(0, 1),
         pixel=(128,) * 3, notes=("scaled_declared",), size=(4, 1)),
    Case("white_is_zero.tif", white_is_zero, pixel=(0, 0, 0), notes=("scaled_16bit",)),
    Case("int32.tif", deep([65535, 257], np.int32), at=(0, 1), pixel=(1,) * 3, mode="I", notes=("scaled_16bit",)),
    Case("int32_signed.tif", deep([-100, 100, 0], np.int32), at=(0, 2), pixel=(128,) * 3,
         notes=("scaled_by_own_range",)),
    Case("deep.pgm", write(b"P5 2 1 1023\n" + struct.pack(">2H", 1023, 512)), at=(0, 1), pixel=(128,) * 3,
         notes=("scaled_declared",), size=(2, 1)),
    Case("float_unit.tif", deep([0.0, 0.5, 1.0], np.float32), pixel=(128,) * 3, at=(0, 1), mode="F",
         notes=("scaled_unit_float",)),
    Case("float_255.tif", deep([0.0, 200.0], np.float32), at=(0, 1), pixel=(200,) * 3, notes=("scaled_8bit_float",)),
    Case("float_wide.tif", deep([-1.0, 1e6], np.float32), at=(0, 1), pixel=WHITE, notes=("scaled_by_own_range",)),
    Case("float_declared.tif",
         write(gray_tiff(struct.pack("<4f", -1, 0, 1, 0.5), 32,
                         [(339, 4, 1, 3), (340, 11, 1, struct.unpack("<I", struct.pack("<f", -1))[0]),
                          (341, 11, 1, struct.unpack("<I", struct.pack("<f", 3))[0])])),
         at=(0, 2), pixel=(128,) * 3, notes=("scaled_declared",), size=(4, 1)),
    Case("nan.tif", write(gray_tiff(struct.pack("<4f", float("nan"), 0.2, 1, 0.5), 32, [(339, 4, 1, 3)])),
         pixel=(51,) * 3, notes=("not_finite_replaced", "scaled_unit_float"), size=(4, 1)),
    Case("animated.gif", frames("GIF"), pixel=RED, tolerance=1, notes=("first_frame",)),
    Case("animated.webp", frames("WEBP"), pixel=RED, notes=("first_frame",)),
    Case("pages.tif", frames("TIFF"), pixel=RED, notes=("first_frame",)),
    Case("turned_6.jpg", left_red(6), at=(0, 0), pixel=RED, tolerance=2, notes=("exif_rotated",), size=(10, 20)),
    Case("turned_8.jpg", left_red(8), at=(19, 0), pixel=RED, tolerance=2, notes=("exif_rotated",), size=(10, 20)),
    Case("turned_3.png", left_red(3), at=(0, 19), pixel=RED, notes=("exif_rotated",)),
    Case("turned_6.tif", left_red(6), at=(19, 0), pixel=GREEN, notes=("exif_rotated",), size=(10, 20)),
    Case("mirrored_2.webp", left_red(2), at=(0, 19), pixel=RED, tolerance=30,
         notes=("exif_rotated",)),
    Case("кошка на окне, №1.png", save("RGB", RED), pixel=RED),
    Case("x" * 240 + ".png", save("RGB", RED), pixel=RED),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name[:40] for case in CASES])
def test_fate(case: Case, tmp_path: Path) -> None:
    if sys.platform == "win32" and case.name in {"dangling.jpg", "loop.jpg", "pipe.jpg"}:
        pytest.skip("needs POSIX links and pipes")
    path = tmp_path / case.name
    case.make(path)
    if case.reason:
        with pytest.raises(ImageRejected, match=case.detail) as caught:
            decode(path)
        assert caught.value.reason == case.reason or caught.value.reason in case.reason.strip("()").split("|")
        return
    decoded = decode(path)
    assert (decoded.image.width, decoded.image.height) == case.size
    assert np.asarray(decoded.image.convert("RGB")).shape == (case.size[1], case.size[0], 3)
    assert np.asarray(decoded.image.convert("RGB")).dtype == np.uint8
    found = np.asarray(decoded.image.convert("RGB"))[case.at].astype(int)
    assert np.abs(found - case.pixel).max() <= case.tolerance, found
    assert set(case.notes) <= {*decoded.notes, *decoded.scaling}
    if not case.notes:
        assert "exif_rotated" not in decoded.notes
        assert "first_frame" not in decoded.notes
    if case.mode:
        assert decoded.mode == case.mode
    assert load(path, Preprocess(size_px=32)).shape == (32, 32, 3)


def test_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.png"
    solid("RGB", RED).save(path)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # chmod would not stop root, who runs many a container
    with pytest.raises(ImageRejected, match="no permission") as caught:
        decode(path)
    assert caught.value.reason == "unreadable"


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageRejected, match="does not exist") as caught:
        decode(tmp_path / "nowhere.png")
    assert caught.value.reason == "unreadable"


def test_limit_is_ours_and_pillow_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    solid("RGB", RED).save(path)
    with pytest.raises(ImageRejected, match=r"20 × 10 = 0.0 megapixels") as caught:
        decode(path, max_pixels=199)
    assert caught.value.reason == "too_large"
    assert decode(path, max_pixels=200).image.width == 20
    before, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    Image.MAX_IMAGE_PIXELS = 50
    try:
        assert decode(path).image.width == 20  # 200 pixels are more than twice Pillow's limit
        assert Image.MAX_IMAGE_PIXELS == 50
    finally:
        Image.MAX_IMAGE_PIXELS = before
    assert list(warnings.filters) == filters


def test_files_are_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    left_red(6)(path)
    before = path.read_bytes(), path.stat().st_mtime_ns
    decode(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_corpus_is_as_wide_as_promised() -> None:
    assert sum(bool(case.reason) for case in CASES) >= 25
    assert len({case.name for case in CASES}) == len(CASES)
