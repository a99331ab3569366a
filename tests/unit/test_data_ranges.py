"""One range a mode for a set of deep images: what decides it, what it does to pixels, and what is told."""

import json
import struct
import zlib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from svertka.bundle.manifest import _preprocess
from svertka.config import RunConfig
from svertka.data import ranges, scan
from svertka.data.decode import decode, load, load_noted
from svertka.data.fingerprint import fingerprint
from svertka.data.pixels import PixelStore
from svertka.errors import BundleError, ConfigError
from svertka.messages import sentences
from svertka.runs.folder import _span_of, _span_text, config_fields
from svertka.schema import Catalog, ImageRecord, Preprocess, ValueRange, ValueSpan

CONFIG = RunConfig(data="-")


def catalog(*spans: ValueSpan | None, notes: tuple[str, ...] = ()) -> Catalog:
    records = tuple(
        ImageRecord(
            path=f"{number}.tif",
            label=0,
            split=None,
            group=None,
            width_px=9,
            height_px=9,
            mode="F",
            pixel_hash=str(number),
            perceptual_hash=0,
            notes=notes,
            span=span,
        )
        for number, span in enumerate(spans)
    )
    return Catalog(root=Path(), layout="table", class_names=("a",), records=records)


def spans(mode: str, *ends: tuple[float, float], declared: tuple[float, float] | None = None) -> list[ValueSpan]:
    return [ValueSpan(mode=mode, low=low, high=high, declared=declared) for low, high in ends]  # type: ignore[arg-type]


def decided(found: list[ValueSpan], config: RunConfig = CONFIG) -> tuple[list[tuple[float, float]], list[str]]:
    """Ranges, and codes of the notices."""
    whole = ranges.decide(catalog(*found), range(len(found)), config)
    codes = [str(notice.values.get("what", notice.code)) for notice in whole.notices]
    return [(known.low, known.high) for known in whole.ranges], [code for code in codes if code != "value_range"]


@pytest.mark.parametrize(
    ("found", "range_"),
    [
        (spans("I;16", (0, 200), (3, 90)), (0, 255)),
        (spans("I;16", (0, 900), (3, 90)), (0, 1023)),
        (spans("I;16", (5, 4095), (0, 1100)), (0, 4095)),
        (spans("I;16", (5, 4096)), (0, 16383)),
        (spans("I;16", (900, 64000), (0, 20000)), (0, 65535)),
        (spans("RGB;16", (0, 4000)), (0, 4095)),
        (spans("I", (0, 4000)), (0, 4095)),
        (spans("I", (-1024, 3071), (-1000, 500)), (-1024, 3071)),  # Hounsfield units
        (spans("I", (0, 1_000_000)), (0, 1_000_000)),
        (spans("I;16", (0, 7)), (0, 7)),  # 8 levels would all be black between 0 and 255
        (spans("I;16", (40_000, 41_000)), (40_000, 41_000)),
        (spans("F", (0, 1), (0.2, 0.4)), (0, 1)),
        (spans("F", (0, 1), (0, 250)), (0, 255)),
        (spans("F", (0, 3000)), (0, 4095)),
        (spans("F", (0, 1e-4)), (0, 1e-4)),
        (spans("F", (273.0, 310.0), (280.0, 290.0)), (273, 310)),  # kelvins
        (spans("F", (-0.5, 1.0)), (-0.5, 1.0)),
        (spans("I;16", (50, 50)), (0, 255)),  # constant
        (spans("F", (-2, -2)), (-2, -1)),
        (spans("I;16", (10, 20), (0, 500), declared=(0, 1000)), (0, 1000)),
        (spans("I;16", (10, 20), declared=(10, 20)) + spans("I;16", (0, 500), declared=(0, 500)), (0, 1023)),
    ],
)
def test_smallest_range_that_holds_all(found: list[ValueSpan], range_: tuple[float, float]) -> None:
    assert decided(found)[0] == [range_]


def test_each_mode_has_its_own() -> None:
    found = spans("F", (0, 1)) + spans("I;16", (0, 60_000)) + spans("I", (-5, 5))
    assert decided(found)[0] == [(0, 65535), (-5, 5), (0, 1)]
    assert decided([])[0] == []
    eight_bits = catalog(None, None)
    assert ranges.decide(eight_bits, [0, 1], CONFIG) == eight_bits


def test_only_those_that_are_learnt_from_decide() -> None:
    """A test image is like any to come: scaled by what others decided, and told about where it leaves that."""
    found = catalog(*spans("I;16", (0, 4000), (0, 3900), (0, 60_000)), *spans("F", (0, 1)))
    whole = ranges.decide(found, [0, 1], CONFIG)
    assert whole.ranges == (ValueRange(mode="I;16", low=0, high=4095),)
    told = [sentences(notice) for notice in whole.notices]
    assert told[0] == "Images of unsigned 16-bit integers: 2. In all of them 0 becomes black and 4095 white."
    assert "are cut to its end: black or white. Images: 1 (the first: 2.tif)." in told[1]
    assert "The model has no range for images of this kind" in told[2] and "3.tif" in told[2]
    assert len(told) == 3


@pytest.mark.parametrize(
    ("found", "codes"),
    [
        (spans("I;16", *[(0, 4000)] * 10, *[(0, 60_000)] * 10), ["value_range_mixed"]),
        (spans("F", *[(0, 1)] * 10, *[(0, 250)] * 10), ["value_range_mixed"]),
        (spans("F", *[(0, 1)] * 1, *[(0, 250)] * 99), ["value_range_mixed"]),  # it would be all black
        (spans("I;16", *[(0, 4000)] * 1, *[(0, 60_000)] * 99), []),  # one of a hundred may be dark
        (spans("I;16", *[(0, 4000)] * 40, (0, 65535)), ["value_range_outliers"]),
        (spans("I;16", *[(0, 30_000)] * 10, *[(0, 60_000)] * 10), []),
        (spans("I;16", *[(7, 7)] * 10, *[(0, 60_000)] * 10), []),  # constant images may be black
        (spans("I;16", *[(0, 4000)] * 10, *[(0, 60_000)] * 10, declared=(0, 65535)), []),
    ],
)
def test_what_cannot_be_decided_is_told(found: list[ValueSpan], codes: list[str]) -> None:
    assert decided(found)[1] == codes


def test_sentences_name_the_doubt() -> None:
    mixed = ranges.decide(catalog(*spans("F", (0, 1), (0, 1), (0, 250), (0, 200))), range(4), CONFIG).notices[1]
    assert sentences(mixed).startswith(
        "Images of floating-point numbers that stay at or below 15.94: 2 of 4 (the first"
    )
    assert "«числа с плавающей точкой», которые не поднимаются выше 15,94: 2 из 4" in sentences(mixed, language="ru")
    one = ranges.decide(catalog(*spans("I;16", *[(0, 4000)] * 40, (0, 65535))), range(41), CONFIG).notices[1]
    assert "rise above 4096: 1 of 41 (the first: 40.tif). Because of them 65535 is white" in sentences(one)


def test_a_range_may_be_set(tmp_path: Path) -> None:
    config = replace(CONFIG, value_range=(-160.0, 240.0))
    found = catalog(*spans("I", (-1024, 3071), (-1000, 500), (-1024, 2000)))
    whole = ranges.decide(found, [0, 1], config)
    assert whole.ranges == (ValueRange(mode="I", low=-160, high=240, window=True),)
    assert [notice.code for notice in whole.notices] == ["value_range"]  # to cut off is what a window is for
    with pytest.raises(ConfigError, match=r"value_range is \[-160\.0, 240\.0\], but no image has samples deeper"):
        ranges.decide(catalog(None), [0], config)
    toml = tmp_path / "config.toml"
    toml.write_text("value_range = [-160, 240]  # soft tissue")
    assert RunConfig(data="-", **config_fields(toml)) == config
    for wrong in ((1.0,), (2.0, 1.0), (0.0, float("nan")), (0.0, float("inf"))):
        with pytest.raises(ConfigError, match=r"value_range is .* expected two numbers"):
            RunConfig(data="-", value_range=wrong)


# --- pixels -------------------------------------------------------------------------------------------------------


def save(path: Path, values: object, kind: object) -> Path:
    Image.fromarray(np.tile(np.array(values, dtype=kind), (16, 4))).save(path)  # type: ignore[call-overload]
    return path


def test_pixels_follow_the_range_not_the_image(tmp_path: Path) -> None:
    known = (ValueRange(mode="I;16", low=0, high=65535), ValueRange(mode="I", low=-1024, high=3071))
    dim = save(tmp_path / "dim.png", [0, 2570, 0, 257], np.uint16)
    assert np.asarray(decode(dim, ranges=known).image.convert("RGB"))[0, :, 0].tolist()[:4] == [0, 10, 0, 1]
    assert np.asarray(decode(dim).image.convert("RGB"))[0, 1, 0] == 160  # by its own guess, 12 bits
    assert decode(dim, ranges=known).scaling == ()
    assert decode(dim).scaling == ("scaled_12bit", "no_range")
    ct = save(tmp_path / "ct.tif", [-1024, 3071, 1023, 5000], np.int32)
    assert np.asarray(decode(ct, ranges=known).image.convert("RGB"))[0, :4, 0].tolist() == [0, 255, 127, 255]
    assert decode(ct, ranges=known).scaling == ("clipped_to_range",)
    unit = save(tmp_path / "unit.tif", [0.0, 1.0, 0.5, 0.2], np.float32)
    wide = (ValueRange(mode="F", low=0, high=255),)
    assert load_noted(unit, Preprocess(size_px=16, ranges=wide))[1] == ("lost_in_range",)
    assert load(unit, Preprocess(size_px=16, ranges=(ValueRange(mode="F", low=0, high=1),))).max() == 255


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_bands_give_what_the_whole_gives(kind: object, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-3000, 3000, (700, 500)).astype(kind)  # type: ignore[call-overload]
    path = tmp_path / "large.tif"
    Image.fromarray(values).save(path)
    found = decode(
        path, ranges=[ValueRange(mode="I", low=-1024, high=3071), ValueRange(mode="F", low=-1024, high=3071)]
    )
    wanted = np.rint(255 * ((values.astype(float) + 1024) / 4095).clip(0, 1))
    assert (np.asarray(found.image) == wanted).all()


def test_unsigned_32_bits_are_not_negative(tmp_path: Path) -> None:
    path = tmp_path / "u32.tif"
    Image.fromarray(np.array([[0, 2**31 - 1]] * 2, np.int32)).save(path)
    data = bytearray(path.read_bytes())
    with Image.open(path) as image:
        assert image.tag_v2.get(339) == (2,)  # type: ignore[attr-defined]  # signed, as Pillow writes it
    entry = data.index(struct.pack("<HH", 339, 3))
    data[entry + 8 : entry + 10] = struct.pack("<H", 1)
    pixels = data.index(struct.pack("<I", 2**31 - 1))
    data[pixels : pixels + 4] = struct.pack("<I", 2**32 - 1)
    path.write_bytes(bytes(data))
    span = decode(path).samples.span  # type: ignore[union-attr]
    assert (span.low, span.high) == (0, 2**32 - 1)


def test_what_files_declare(tmp_path: Path) -> None:
    """Pillow brings PGM and JPEG 2000 to 16 bits from what their headers state: a dark one isn't one of 12 bits."""
    dark = np.full((16, 16), 2570, np.uint16)
    Image.fromarray(dark).save(tmp_path / "dark.jp2", irreversible=False)
    (tmp_path / "dark.pgm").write_bytes(b"P5 2 1 1023\n" + struct.pack(">2H", 40, 40))
    for name in ("dark.jp2", "dark.pgm"):
        found = decode(tmp_path / name)
        assert found.samples is not None and found.samples.span.declared == (0, 65535)
        assert np.asarray(found.image.convert("RGB"))[0, 0, 0] == 10
    packed = np.packbits(np.unpackbits(np.array([[0x0A, 0x00, 0x0A, 0x0F]], ">u1"))).tobytes()[:3]  # 160 and 10, packed
    tags = [(256, 4, 1, 2), (257, 4, 1, 1), (258, 4, 1, 12), (259, 4, 1, 1), (262, 4, 1, 1), (273, 4, 1, 300),
            (277, 4, 1, 1), (278, 4, 1, 1), (279, 4, 1, 3)]  # fmt: skip
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    (tmp_path / "packed.tif").write_bytes(head.ljust(300, b"\0") + packed)
    span = decode(tmp_path / "packed.tif").samples.span  # type: ignore[union-attr]
    assert (span.mode, span.high, span.declared) == ("I;16", 160, (0, 4095))


def png_16(values: np.ndarray) -> bytes:
    """A 16-bit PNG of gray with opacity, colours, or both, which Pillow doesn't write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff_16(values: np.ndarray, order: str, deflated: bool) -> bytes:
    height, width, channels = values.shape
    data = values.astype(order + "u2").tobytes()
    data = zlib.compress(data) if deflated else data
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, 300), (259, 3, 1, 8 if deflated else 1),
            (262, 3, 1, 2), (273, 4, 1, 400), (277, 3, 1, channels), (278, 4, 1, height), (279, 4, 1, len(data)),
            (338, 3, 1, 2)][: 10 if channels == 4 else 9]  # fmt: skip
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
    for tag, kind, count, value in tags:
        short = kind == 3 and count == 1
        head += struct.pack(
            order + ("HHIHH" if short else "HHII"), tag, kind, count, *([value, 0] if short else [value])
        )
    return head.ljust(300, b"\0") + struct.pack(f"{order}{channels}H", *[16] * channels).ljust(100, b"\0") + data


COLOURS = np.random.default_rng(0).integers(0, 4096, (5, 7, 4), dtype=np.uint16)  # 12 bits in 16


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("kind", ["png", "<raw", "<deflated", ">raw", ">deflated"])
def test_16_bit_colours_keep_their_bits(kind: str, channels: int, tmp_path: Path) -> None:
    values = COLOURS[:, :, :channels].copy()
    values[:, :, 3:] = 65535
    path = tmp_path / "colours.img.tif"
    path.write_bytes(png_16(values) if kind == "png" else tiff_16(values, kind[0], kind.endswith("deflated")))
    found = decode(path, ranges=[ValueRange(mode="RGB;16", low=0, high=4095)])
    assert found.mode == "RGB;16"
    assert found.samples is not None and (found.samples.values == values[:, :, :3]).all()
    assert (np.asarray(found.image.convert("RGB")) == np.rint(values[:, :, :3] / 4095 * 255)).all()
    assert (
        np.asarray(decode(path).image.convert("RGB")) == np.rint(values[:, :, :3] / 257)
    ).all()  # as the format has it, where nothing is known
    assert np.abs(np.asarray(decode(path).image.convert("RGB")).astype(int) - (values[:, :, :3] >> 8)).max() <= 1


def test_16_bit_gray_with_opacity_is_told(tmp_path: Path) -> None:
    path = tmp_path / "gray_alpha.png"
    path.write_bytes(png_16(np.full((4, 4, 2), 65535, np.uint16)))
    found = decode(path)
    assert found.notes == ("reduced_to_8bit", "alpha_composited")
    (notice,) = ranges.misread(catalog(None, notes=found.notes).records)
    assert sentences(notice).startswith("Of 16 bits in a channel the upper 8 alone were read")


def test_identity_does_not_depend_on_the_range(tmp_path: Path) -> None:
    """Hashes are of the samples, so that a set may decide after all its images have been seen."""
    rng = np.random.default_rng(0)
    path, copy, other = tmp_path / "a.png", tmp_path / "b.tif", tmp_path / "c.png"
    values = rng.integers(1000, 1255, (64, 64), dtype=np.uint16)  # a guess by 12 or 16 bits would leave few grays
    Image.fromarray(values).save(path)
    Image.fromarray(values).save(copy)
    Image.fromarray(16 * values).save(other)
    digests = [
        fingerprint(found.image, found.samples)
        for found in (decode(path), decode(path, ranges=[ValueRange(mode="I;16", low=0, high=65535)]), decode(copy))
    ]
    assert digests[0] == digests[1] == digests[2]
    brighter = decode(other)
    third = fingerprint(brighter.image, brighter.samples)
    assert third.pixels != digests[0].pixels
    assert (third.perceptual, third.detail) == (digests[0].perceptual, digests[0].detail)


def test_store_keeps_ranges_apart(tmp_path: Path) -> None:
    path = save(tmp_path / "dim.png", [0, 2570, 0, 257], np.uint16)
    wanted = fingerprint(decode(path).image, decode(path).samples).pixels
    seen = []
    for high in (65535.0, 4095.0, 65535.0):
        preprocess = Preprocess(size_px=16, ranges=(ValueRange(mode="I;16", low=0, high=high),))
        seen.append(PixelStore(tmp_path / "cache", preprocess).read([(path, wanted)]).max())
    assert seen[0] == seen[2] < seen[1]


def test_scan_remembers_what_samples_span(tmp_path: Path) -> None:
    for name, top in (("a", 4000), ("b", 60_000)):
        for number in range(5):
            folder = tmp_path / "data" / name
            folder.mkdir(parents=True, exist_ok=True)
            save(folder / f"{number}.png", [number, top, 0, 7], np.uint16)
    first, again = (scan.scan(tmp_path / "data", cache=tmp_path / "cache") for _ in range(2))
    assert (first.decoded, again.decoded) == (10, 0)
    assert first.records == again.records
    assert {record.span for record in again.records} == set(spans("I;16", (0, 4000), (0, 60_000)))
    assert all(record.notes == () for record in again.records)


def test_spans_read_back_from_a_run_folder() -> None:
    for span in (None, *spans("I;16", (0, 4000)), *spans("F", (-1.5e-7, 0.1), declared=(-1, 3))):
        assert _span_of(_span_text(span)) == span


# --- the bundle's manifest ------------------------------------------------------------------------------------------


def test_what_knows_8_bits_only_keeps_its_hash() -> None:
    assert (Preprocess().hash, Preprocess().pixels_hash) == ("525e601ba9d1733e", "1fe047b9079ebc29")
    assert "ranges" not in Preprocess().as_fields()


def test_manifest_keeps_ranges() -> None:
    preprocess = Preprocess(ranges=(ValueRange(mode="I", low=-160, high=240, window=True),))
    assert preprocess.hash != Preprocess().hash
    fields = json.loads(json.dumps(preprocess.as_fields()))
    assert _preprocess(fields, preprocess.hash, Path("manifest.json")) == preprocess


@pytest.mark.parametrize(
    "wrong",
    [
        [{"mode": "L", "low": 0, "high": 1}],
        [{"mode": "I", "low": 1, "high": 1}],
        [{"mode": "I", "low": 0, "high": float("nan")}],
        [{"mode": "I", "low": 0, "high": 10**400}],
        [{"mode": "I", "low": "0", "high": 1}],
        [{"mode": "I", "low": True, "high": 2}],
        [{"mode": "I", "low": 0, "high": 1, "window": 3}],
        [{"mode": "I", "low": 0}],
        [{"mode": ["I"], "low": 0, "high": 1}],
        [7],
        7,
        "I",
        [{"mode": "I", "low": 0, "high": 1}, {"mode": "I", "low": 0, "high": 2}],
    ],
)
def test_manifest_refuses_wrong_ranges(wrong: object) -> None:
    fields = asdict(Preprocess()) | {"ranges": wrong}
    fields = json.loads(json.dumps(fields | {"mean": [0.5] * 3, "std": [0.5] * 3}))
    with pytest.raises(BundleError, match=r"manifest\.json: preprocess cannot be understood"):
        _preprocess(fields, "?", Path("manifest.json"))
