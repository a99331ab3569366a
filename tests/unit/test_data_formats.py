"""Whatever Pillow reads alone is read by its content; the rest is named by its true format; nothing else leaves."""

import io
import random
import struct
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from svertka.data.decode import decode
from svertka.data.formats import identify, is_image
from svertka.data.scan import scan
from svertka.errors import ImageRejected
from svertka.report.thumbnails import thumbnails


def photo(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Smooth shapes, so that a lossy format keeps them roughly."""
    x, y = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    rgb = np.dstack([x, y, 255 - x]).astype(np.uint8)
    return Image.fromarray(rgb).convert(mode)


def noise() -> Image.Image:
    """No part of it follows from another."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))


def saved(kind: str, mode: str = "RGB", size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    stream = io.BytesIO()
    photo(mode, size).save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def spider(size: tuple[int, int] = (64, 48)) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.linspace(0, 1, size[0] * size[1], dtype=np.float32).reshape(size[::-1])).save(stream, "SPIDER")
    return stream.getvalue()


def psd() -> bytes:
    """A flat picture of three channels, uncompressed: the merged image that Photoshop keeps for other programs."""
    channels = np.asarray(photo()).transpose(2, 0, 1).tobytes()
    return b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 48, 64, 8, 3) + bytes(12) + b"\0\0" + channels


def fits() -> bytes:
    cards = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    2",
             "NAXIS1  =                   64", "NAXIS2  =                   48", "END"]  # fmt: skip
    header = "".join(card.ljust(80) for card in cards).ljust(2880)
    return header.encode() + np.asarray(photo("L"))[::-1].tobytes().ljust(2880, b"\0")


def qoi() -> bytes:
    """Every pixel as QOI_OP_RGB (https://qoiformat.org/qoi-specification.pdf)."""
    pixels = b"".join(b"\xfe" + pixel for pixel in np.asarray(photo()).reshape(-1, 3).view("V3").ravel().tolist())
    return b"qoif" + struct.pack(">IIBB", 64, 48, 3, 0) + pixels + bytes(7) + b"\1"


def ftex() -> bytes:
    """One uncompressed level; Pillow's reader closes the file as soon as it has opened it."""
    head = struct.pack("<4sIIIIIIII", b"FTEX", 0, 64, 48, 1, 1, 1, 32, 64 * 48 * 3)
    return head + photo().tobytes()


def sun() -> bytes:
    return struct.pack(">8I", 0x59A66A95, 64, 48, 24, 64 * 48 * 3, 3, 0, 0) + photo().tobytes()


def xpm() -> bytes:
    rows = b",\n".join(b'"' + b"ab" * 32 + b'"' for _ in range(48))
    return b'/* XPM */\nstatic char *p[] = {\n"64 48 2 1",\n"a c #000000",\n"b c #FFFFFF",\n' + rows + b"};\n"


def cursor() -> bytes:
    """An icon of one bitmap with the type of a cursor."""
    icon = bytearray(saved("ICO", "RGBA", (64, 48), sizes=[(64, 48)], bitmap_format="bmp"))
    icon[2] = 2
    return bytes(icon)


def fli() -> bytes:
    """One frame of 320 × 200, one colour: a palette and run lengths."""
    palette = struct.pack("<IHHBB", 4 + 2 + 2 + 2 + 768, 4, 1, 0, 0) + bytes(range(256)) * 3
    lines = b"".join(b"\3\x7f\x40\x7f\x40\x42\x40" for _ in range(200))
    brun = struct.pack("<IH", 6 + len(lines), 15) + lines
    frame = struct.pack("<IHH8x", 16 + len(palette) + len(brun), 0xF1FA, 2) + palette + brun
    head = struct.pack("<IHHHHHHI", 128 + len(frame), 0xAF12, 1, 320, 200, 8, 0, 70)
    return head.ljust(128, b"\0") + frame


READ: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: saved("JPEG"),
    "MPO": lambda: saved("MPO", save_all=True, append_images=[photo()]),
    "PNG": lambda: saved("PNG"),
    "GIF": lambda: saved("GIF"),
    "BMP": lambda: saved("BMP"),
    "DIB": lambda: saved("DIB"),
    "TIFF": lambda: saved("TIFF"),
    "BigTIFF": lambda: saved("TIFF", big_tiff=True),
    "WebP": lambda: saved("WEBP"),
    "AVIF": lambda: saved("AVIF"),
    "JPEG 2000": lambda: saved("JPEG2000"),
    "JPEG 2000 codestream": lambda: saved("JPEG2000", no_jp2=True),
    "PPM": lambda: saved("PPM"),
    "PGM": lambda: saved("PPM", "L"),
    "PBM": lambda: saved("PPM", "1"),
    "plain PGM": lambda: b"P2 # a comment\n64 48 255\n" + b" ".join(b"%d" % v for v in photo("L").tobytes()),
    "PFM": lambda: saved("PPM", "F"),
    "PSD": psd,
    "DDS": lambda: saved("DDS"),
    "QOI": qoi,
    "ICO": lambda: saved("ICO", sizes=[(16, 16), (64, 48)]),
    "CUR": cursor,
    "ICNS": lambda: saved("ICNS", size=(64, 64)),
    "PCX": lambda: saved("PCX"),
    "SGI": lambda: saved("SGI"),
    "FITS": fits,
    "XBM": lambda: saved("XBM", "1"),
    "XPM": xpm,
    "MSP": lambda: saved("MSP", "1"),
    "Sun raster": sun,
    "BLP": lambda: saved("BLP", "P"),
    "FLI": fli,
    "FTEX": ftex,
    "SPIDER": spider,
    "IM": lambda: b"Image type: Greyscale image\r\nImage size (x*y): 64*48\r\n".ljust(511, b"\0")
    + b"\x1a"
    + photo("L").tobytes(),
    "Targa 2": lambda: saved("TGA"),
    "Targa": lambda: saved("TGA")[:-26],
    "Targa RLE": lambda: saved("TGA", "L", compression="tga_rle")[:-26],
}  # fmt: skip

NAMED = {
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unsupported", "EPS, .*Ghostscript"),
    "eps_preview": (b"\xc5\xd0\xd3\xc6" + bytes(64), "unsupported", "EPS, .*Ghostscript"),
    "wmf": (b"\xd7\xcd\xc6\x9a\0\0" + bytes(64), "unsupported", "Windows metafile"),
    "emf": (b"\1\0\0\0".ljust(40, b"\0") + b" EMF" + bytes(64), "unsupported", "Windows metafile"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), "unsupported", "HEIC"),
    "jxl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(64), "unsupported", "JPEG XL"),
    "exr": (b"\x76\x2f\x31\x01" + bytes(64), "unsupported", "OpenEXR"),
    "hdr": (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", "unsupported", "Radiance"),
    "dcm": (bytes(128) + b"DICM" + bytes(64), "unsupported", "DICOM"),
    "xcf": (b"gimp xcf v011\0" + bytes(64), "unsupported", "XCF"),
    "psb": (b"8BPS\0\2" + bytes(64), "unsupported", "PSB"),
    "cr2": (b"II*\0\x10\0\0\0CR\2\0" + bytes(64), "unsupported", "camera's raw file"),
    "cr3": (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(64), "unsupported", "camera's raw file"),
    "raf": (b"FUJIFILMCCD-RAW " + bytes(64), "unsupported", "camera's raw file"),
    "svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported", "SVG"),
    "grib": (b"GRIB\0\0\0\1" + bytes(64), "unsupported", "GRIB"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(64), "unsupported", "HDF5"),
    "nii": (bytes(344) + b"n+1\0", "unsupported", "NIfTI"),
    "pdf": (b"%PDF-1.7\n" + bytes(64), "not_an_image", "a PDF document"),
    "mp4": (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(64), "not_an_image", "a video"),
    "webm": (b"\x1a\x45\xdf\xa3" + bytes(64), "not_an_image", "a video"),
    "avi": (b"RIFF\x40\0\0\0AVI LIST" + bytes(64), "not_an_image", "a video"),
    "wav": (b"RIFF\x40\0\0\0WAVEfmt " + bytes(64), "not_an_image", "a sound"),
    "zip": (b"PK\3\4" + bytes(64), "not_an_image", "an archive"),
    "npy": (b"\x93NUMPY\1\0" + bytes(64), "not_an_image", "a NumPy array"),
    "html": (b"<!doctype html><html><body><svg/></body></html>", "not_an_image", "text"),
    "mail": (b"Date: today\nName: me\nComment: not IFUNC\n\nImage type: none\n", "not_an_image", "text"),
    "c": (b"#define WIDTH_LIMIT (3)\n/* width */ int main() {}\n", "not_an_image", "text"),
    "prose": (b"P5 is the name of a play; BMW, P1 and GIF are words.", "not_an_image", "text"),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".png", ".jpg_large", ""])
@pytest.mark.parametrize("name", READ)
def test_read_whatever_its_name(name: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(READ[name]())
    if name in ("Targa", "Targa RLE"):  # zeros look like Targa: without version 2's footer only the suffix can tell
        assert is_image(path) == (suffix == ".png")
        path = path.rename(tmp_path / "picture.tga")
    assert is_image(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with Image.open(path) as expected:
            expected.load()
    decoded = decode(path)
    assert (decoded.image.width, decoded.image.height) == expected.size
    assert decoded.image.width in (64, 320, 1024)
    if expected.mode in ("1", "L", "P", "RGB"):
        assert np.array_equal(np.asarray(decoded.image.convert("RGB")), np.asarray(expected.convert("RGB")))


@pytest.mark.parametrize("suffix", [".jpg", ""])
@pytest.mark.parametrize("name", NAMED)
def test_named_by_its_true_format(name: str, suffix: str, tmp_path: Path) -> None:
    content, reason, detail = NAMED[name]
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(ImageRejected, match=detail) as caught:
        decode(path)
    assert caught.value.reason == reason
    assert is_image(path) == (suffix == ".jpg" or reason == "unsupported")


def test_random_bytes_and_text_are_no_images() -> None:
    rng = np.random.default_rng(0)
    words = [b"the", b"P5", b"BM", b"12px", b"width", b"#", b"Name:", b"\n", b"GIF", b"0.5", b"image"]
    found = [identify(io.BytesIO(rng.bytes(int(rng.integers(1, 5000))))) for _ in range(3000)]
    found += [identify(io.BytesIO(b" ".join(words[at] for at in rng.integers(0, 11, 200)))) for _ in range(3000)]
    found += [identify(io.BytesIO(bytes(length))) for length in range(300)]
    assert [each for each in found if each is not None and each.is_image] == []


@pytest.mark.parametrize("start", [b"P5 ", b"#define ", b"/*", b"\x1c\x02", b"A: ", b"* "])
@pytest.mark.parametrize("piece", [b"# ", b"#\n", b"/**/", b"/* ", b"\x1c\x03\x14", b"A:\n", b" ", b"9 "])
def test_a_look_takes_no_time_whatever_is_there(start: bytes, piece: bytes) -> None:
    begun = time.process_time()
    identify(io.BytesIO((start + piece * 4096)[:4096]))
    assert time.process_time() - begun < 0.5


def test_a_preview_inside_a_raw_file_is_not_taken_for_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "renamed.tif"
    photo().save(path, tiffinfo={50706: b"\1\4\0\0"})  # DNGVersion
    with pytest.raises(ImageRejected, match="camera's raw file"):
        decode(path)


@pytest.mark.parametrize(
    "kind", ["WEBP", "AVIF", "JPEG2000", "PNG", "GIF", "BMP", "TIFF", "JPEG", "SGI", "QOI", "PSD", "FTEX"]
)
def test_a_file_cut_in_half_is_called_truncated(kind: str, tmp_path: Path) -> None:
    stream = io.BytesIO()
    if kind not in ("QOI", "PSD", "FTEX"):
        noise().save(stream, kind)
    whole = {"QOI": qoi, "PSD": psd, "FTEX": ftex}.get(kind, stream.getvalue)()
    for share in (0.5, 0.9):
        path = tmp_path / f"{share}"
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ImageRejected) as caught:
            decode(path)
        assert caught.value.reason == "truncated", caught.value


@pytest.mark.parametrize(
    "error", [RuntimeError, SystemError, RecursionError, UnicodeDecodeError, Exception, AssertionError]
)
@pytest.mark.parametrize("where", ["_open", "load", "getexif", "convert"])
def test_whatever_a_reader_raises_is_a_rejection(
    error: type[Exception], where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "odd.png"
    photo("P").save(path)
    arguments = ("utf-8", b"", 0, 1, "bad") if error is UnicodeDecodeError else ("odd",)

    def fail(*_: object, **__: object) -> None:
        raise error(*arguments)

    monkeypatch.setattr(PngImagePlugin.PngImageFile, where, fail)
    if where == "getexif":  # the pixels are good
        assert decode(path).image.width == 64
        return
    with pytest.raises(ImageRejected, match=r"cannot be (decoded|converted)") as caught:
        decode(path)
    assert caught.value.reason in ("damaged", "unsupported")


@pytest.mark.parametrize("where", ["_open", "load", "convert"])
def test_only_interruptions_leave(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "odd.png"
    photo("P").save(path)

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PngImagePlugin.PngImageFile, where, fail)
    with pytest.raises(KeyboardInterrupt):
        decode(path)


def test_a_damaged_avif_ends_no_scan(tmp_path: Path) -> None:
    whole = saved("AVIF")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "good.avif").write_bytes(whole)
        for share in (0.2, 0.5, 0.98):
            (tmp_path / name / f"{share}.avif").write_bytes(whole[: int(share * len(whole))])
    catalog = scan(tmp_path, cache=tmp_path / "cache", for_training=False)
    assert [record.path for record in catalog.records] == ["a/good.avif", "b/good.avif"]
    assert {rejection.reason for rejection in catalog.rejected} == {"truncated"}
    assert thumbnails([(tmp_path / "a" / "0.5.avif", "")], 64, 100)[0].reason == "truncated"


class TestEndMarkerOfJpeg:
    """A JPEG that lacks nothing but its last marker has all its pixels."""

    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 3}])
    @pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
    @pytest.mark.parametrize("cut", [1, 2])
    def test_read_with_a_note(self, options: dict[str, object], mode: str, cut: int, tmp_path: Path) -> None:
        whole = saved("JPEG", mode, **options)
        (tmp_path / "whole.jpg").write_bytes(whole)
        (tmp_path / "cut.jpg").write_bytes(whole[:-cut])
        decoded = decode(tmp_path / "cut.jpg")
        assert "end_marker_missing" in decoded.notes
        assert np.array_equal(
            np.asarray(decoded.image.convert("RGB")), np.asarray(decode(tmp_path / "whole.jpg").image.convert("RGB"))
        )

    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"progressive": True, "quality": 95}])
    def test_not_where_pixels_are_missing(self, options: dict[str, object], tmp_path: Path) -> None:
        noise().save(tmp_path / "whole.jpg", **options)  # type: ignore[arg-type]
        whole = (tmp_path / "whole.jpg").read_bytes()
        for kept in [*range(700, len(whole) - 8, 97), len(whole) - 6, len(whole) - 8, len(whole) - 12]:
            (tmp_path / "cut.jpg").write_bytes(whole[:kept])
            with pytest.raises(ImageRejected, match="truncated"):
                decode(tmp_path / "cut.jpg")

    def test_not_where_whole_scans_are_missing(self, tmp_path: Path) -> None:
        whole = saved("JPEG", progressive=True)
        last_scan = whole.rindex(b"\xff\xda")
        tables = whole.rindex(b"\xff\xc4", 0, last_scan)
        for end in (last_scan, tables):
            (tmp_path / "cut.jpg").write_bytes(whole[:end])
            with pytest.raises(ImageRejected, match="truncated"):
                decode(tmp_path / "cut.jpg")


class TestHostile:
    """What is small on disk and vast in memory or time is refused by its header."""

    def test_a_thousand_scans(self, tmp_path: Path) -> None:
        whole = saved("JPEG", progressive=True)
        scan = whole[whole.rindex(b"\xff\xda") : -2]
        path = tmp_path / "scans.jpg"
        path.write_bytes(whole[:-2] + scan * 1000 + whole[-2:])
        with pytest.raises(ImageRejected, match="more than 100 scans"):
            decode(path)

    def test_twenty_scans_of_a_large_picture(self, tmp_path: Path) -> None:
        whole = bytearray(saved("JPEG", progressive=True))
        scan = whole[whole.rindex(b"\xff\xda") : -2]
        frame = whole.index(b"\xff\xc2")
        whole[frame + 5 : frame + 9] = struct.pack(">HH", 9000, 11000)
        path = tmp_path / "scans.jpg"
        path.write_bytes(whole[:-2] + scan * 20 + whole[-2:])
        with pytest.raises(ImageRejected, match=r"too_large: a JPEG of \d\d scans, as no encoder writes it"):
            decode(path)

    def test_runs_that_are_decoded_in_python(self, tmp_path: Path) -> None:
        path = tmp_path / "runs.qoi"
        path.write_bytes(b"qoif" + struct.pack(">IIBB", 9000, 9000, 3, 0) + b"\xfd" * 1000)
        with pytest.raises(ImageRejected, match=r"81\.0 megapixels in 1014 bytes, .* at most 4\.0 are read"):
            decode(path)

    def test_a_video_behind_a_photograph_counts_no_scans(self, tmp_path: Path) -> None:
        path = tmp_path / "motion.jpg"
        path.write_bytes(saved("JPEG", progressive=True) + b"\xff\xda\0\x08" * 1000)
        assert decode(path).image.width == 64

    def test_many_tiles(self, tmp_path: Path) -> None:
        tags = [(256, 4, 1, 2000), (257, 4, 1, 1000), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
                (322, 4, 1, 1), (323, 4, 1, 1), (324, 4, 2_000_000, 8)]  # fmt: skip
        entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
        path = tmp_path / "tiles.tif"
        path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + bytes(8_000_000))
        with pytest.raises(ImageRejected, match="2000000 strips or tiles"):
            decode(path)

    def test_a_large_picture_in_an_icon(self, tmp_path: Path) -> None:
        header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
        chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0"))]
        png = b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
        path = tmp_path / "bomb.ico"
        path.write_bytes(struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(png), 22) + png)
        with pytest.raises(ImageRejected, match=r"too_large: .*3600000000 pixels"):
            decode(path)


FUZZED = {
    "PNG": lambda: saved("PNG"),
    "PNG 16 bit": lambda: deep_png(),
    "JPEG": lambda: saved("JPEG"),
    "progressive JPEG": lambda: saved("JPEG", progressive=True),
    "WEBP": lambda: saved("WEBP"),
    "AVIF": lambda: saved("AVIF"),
    "JPEG2000": lambda: saved("JPEG2000"),
    "TIFF": lambda: saved("TIFF"),
    "TIFF deflate": lambda: saved("TIFF", compression="tiff_adobe_deflate"),
    "GIF": lambda: saved("GIF", save_all=True, append_images=[photo().rotate(90)]),
    "BMP": lambda: saved("BMP", "P"),
    "PPM": lambda: saved("PPM"),
    "ICO": lambda: saved("ICO", sizes=[(16, 16), (32, 24)]),
}
_MUTANTS = 5_000


def deep_png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)).save(stream, "PNG")
    return stream.getvalue()


def mutated(whole: bytes, rng: random.Random) -> bytes:
    """One to three of: bits flipped (half the time near the header), a cut, a piece moved, doubled, or zeroed."""
    data = bytearray(whole)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(min(len(data), 200) if rng.random() < 0.5 else len(data))
        length = rng.randint(1, max(1, len(data) // 4))
        match rng.randrange(6):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
            case 2:
                data[at : at + 4] = rng.choice((bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", rng.randbytes(4)))
            case 3:
                del data[max(1, at) :]
            case 4:
                data[at:at] = data[at : at + length]
            case 5:
                del data[at : at + length]
        if not data:
            data = bytearray(b"\0")
    return bytes(data)


@pytest.mark.parametrize("name", FUZZED)
def test_mutated_files_are_read_or_rejected(name: str, tmp_path: Path) -> None:
    whole, rng = FUZZED[name](), random.Random(name)
    path = tmp_path / f"mutant.{name.split()[0].lower()}"
    slowest = 0.0
    for _ in range(-(-_MUTANTS // len(FUZZED))):
        path.write_bytes(mutated(whole, rng))
        begun = time.process_time()
        try:
            decoded = decode(path, max_pixels=1_000_000)
            assert decoded.image.mode in ("L", "RGB")
        except ImageRejected as rejected:
            assert rejected.reason in {"truncated", "damaged", "not_an_image", "unsupported", "too_large"}, rejected
        slowest = max(slowest, time.process_time() - begun)
    assert slowest < 5, f"the slowest of {name} took {slowest:.1f} s"


@pytest.mark.parametrize(
    "text",
    ["# Notes\nDraw it as <svg width=3> and so on.", "P5 2024 12 31 was a rainy day\n", "qoif is a format\n" * 3],
)
def test_a_note_that_speaks_of_images_is_none(tmp_path, text):
    (tmp_path / "README").write_text(text, encoding="utf-8")
    assert not is_image(tmp_path / "README")
