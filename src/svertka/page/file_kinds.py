"""Files of many kinds, made on the fly: what people drop on a page."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Make = Callable[[], bytes]

BY_BROWSER = frozenset({"avif_alpha", "avif_alpha_444", "avif_animated", "avif_animated_444"})
"""Kinds that browsers read differently: Chromium 150 as Pillow does; Chromium 156 takes an AVIF's opacity, and all
samples of an animation, for numbers of 16 to 235 and stretches them."""


def photo(width: int = 261, height: int = 187, seed: int = 1) -> Image.Image:
    """Smooth colours with some grain: what is coded as photographs are."""
    y, x = np.mgrid[0:height, 0:width]
    smooth = np.stack([255 * x / width, 255 * y / height, 128 + 100 * np.sin(x / 5 + y / 7)], axis=2)
    grain = np.random.default_rng(seed).normal(0, 6, smooth.shape)
    return Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The file's bytes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def kinds(width: int = 261, height: int = 187) -> dict[str, Make]:
    """Name to maker of the file, of an image of so many pixels; a name says what is special in it."""
    image = photo(width, height)
    other = photo(width, height, seed=2)
    return dict([*_jpegs(image), *_pngs(image, other), *_others(image, other), *_tiffs(image, other)])


def _jpegs(image: Image.Image) -> Iterator[tuple[str, Make]]:
    for name, sampling in (("444", "4:4:4"), ("422", "4:2:2"), ("420", "4:2:0")):
        yield f"jpeg_{name}", partial(encoded, image, "JPEG", quality=90, subsampling=sampling)
    yield "jpeg_progressive", lambda: encoded(image, "JPEG", quality=85, progressive=True)
    yield "jpeg_gray", lambda: encoded(image.convert("L"), "JPEG", quality=90)
    yield "jpeg_cmyk", lambda: encoded(image.convert("CMYK"), "JPEG", quality=90)
    srgb = _srgb()
    yield "jpeg_srgb", lambda: encoded(image, "JPEG", quality=90, icc_profile=srgb)
    yield "jpeg_other_profile", lambda: encoded(image, "JPEG", quality=90, icc_profile=_swapped(srgb))
    for way in range(1, 9):
        yield f"jpeg_turned_{way}", partial(encoded, image, "JPEG", quality=90, exif=_exif(way))
    yield "jpeg_rgb", lambda: encoded(image, "JPEG", quality=90, keep_rgb=True)
    yield "jpeg_restarts", lambda: encoded(image, "JPEG", quality=90, restart_marker_rows=1)
    yield "jpeg_xmp_turned", lambda: encoded(image, "JPEG", quality=90, xmp=b'<x tiff:Orientation="6"/>')
    yield "jpeg_cmyk_turned", lambda: encoded(image.convert("CMYK"), "JPEG", quality=90, exif=_exif(5))
    yield "jpeg_coarse", lambda: encoded(image, "JPEG", quality=8)
    yield "jpeg_turned_444", lambda: encoded(image, "JPEG", quality=90, subsampling="4:4:4", exif=_exif(6))


def _srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _swapped(profile: bytes) -> bytes:
    """A profile whose red and green are exchanged: whoever applies it changes all colours."""
    return profile.replace(b"rXYZ", b"tXYZ").replace(b"gXYZ", b"rXYZ").replace(b"tXYZ", b"gXYZ")


def _exif(way: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = way
    return exif


def _pngs(image: Image.Image, other: Image.Image) -> Iterator[tuple[str, Make]]:
    gray, colours = image.convert("L"), image.quantize(60)
    alpha = Image.fromarray(np.asarray(other)[:, :, 0])
    yield "png", lambda: encoded(image, "PNG")
    yield "png_gray", lambda: encoded(gray, "PNG")
    yield "png_1_bit", lambda: encoded(image.convert("1"), "PNG")
    yield "png_palette", lambda: encoded(colours, "PNG")
    yield "png_palette_16", lambda: encoded(image.quantize(13), "PNG", bits=4)
    yield "png_palette_trns", lambda: encoded(colours, "PNG", transparency=bytes(range(0, 240, 4)))
    yield "png_rgba", lambda: encoded(_with_alpha(image, alpha), "PNG")
    yield "png_la", lambda: encoded(_with_alpha(gray, alpha), "PNG")
    yield "png_trns", lambda: encoded(image.quantize(5).convert("RGB"), "PNG", transparency=_a_colour(image))
    yield "png_gray_trns", lambda: encoded(gray, "PNG", transparency=130)
    yield "png_turned", lambda: encoded(image, "PNG", exif=_exif(8))
    yield "png_profile", lambda: encoded(image, "PNG", icc_profile=_swapped(_srgb()))
    yield "png_gamma", lambda: _chunk_added(encoded(image, "PNG"), b"gAMA", struct.pack(">I", 100000))
    deep = np.asarray(image).astype(np.uint16) * 257 + 3
    yield "png_16_gray", lambda: png(deep[:, :, :1])
    yield "png_12_of_16_gray", lambda: png(deep[:, :, :1] >> 4)
    yield "png_16_rgb", lambda: png(deep)
    yield "png_16_rgba", lambda: png(np.dstack([deep, deep[:, :, 1] ^ 0x55AA]))
    yield "png_16_la", lambda: png(np.dstack([deep[:, :, 0], deep[:, :, 1]]))
    yield "png_interlaced", lambda: png(np.asarray(image), interlaced=True)
    yield "png_interlaced_16", lambda: png(deep, interlaced=True)
    yield "png_interlaced_4_bit", lambda: png(np.asarray(gray)[:, :, None] >> 4, bits=4, interlaced=True)
    few = np.asarray(gray)[:, :, None] >> 5
    ramp = bytes(range(0, 240, 10))
    yield "png_interlaced_palette", lambda: png(few, bits=4, interlaced=True, palette=ramp, opacity=ramp[:8])
    yield "png_interlaced_8_palette", lambda: png(few, interlaced=True, palette=ramp, opacity=ramp[3:8])
    yield "png_animated", lambda: encoded(image, "PNG", save_all=True, append_images=[other])


def _a_colour(image: Image.Image) -> tuple[int, ...]:
    """One of those that it has."""
    return tuple(np.asarray(image.quantize(5).convert("RGB"))[5, 5].tolist())


def _with_alpha(image: Image.Image, alpha: Image.Image) -> Image.Image:
    image = image.copy()
    image.putalpha(alpha)
    return image


def _chunk_added(file: bytes, name: bytes, content: bytes) -> bytes:
    return file[:33] + _chunk(name, content) + file[33:]


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png(
    samples_HWC: NDArray[Any], *, bits: int = 0, interlaced: bool = False, palette: bytes = b"", opacity: bytes = b""
) -> bytes:
    """A PNG of kinds that Pillow doesn't write: 16 bits a channel, interlaced; filter types change row by row."""
    height, width, channels = samples_HWC.shape
    bits = bits or 8 * samples_HWC.itemsize
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    rows = b"".join(_filtered(samples_HWC[y::dy, x::dx], bits) for x, y, dx, dy in passes)
    colour = 3 if palette else {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    parts = {b"IHDR": header, b"PLTE": palette, b"tRNS": opacity, b"IDAT": zlib.compress(rows)}
    chunks = [_chunk(name, content) for name, content in parts.items() if content]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + _chunk(b"IEND", b"")


def _filtered(samples_HWC: NDArray[Any], bits: int) -> bytes:
    """Rows with filters 0, 1 and 2 in turn (section 9 of the standard)."""
    height, width, channels = samples_HWC.shape
    if not width:
        return b""
    step = max(1, bits * channels // 8)
    found, above = [], None
    for y in range(height):
        row = _packed(samples_HWC[y], bits)
        left = np.concatenate([np.zeros(step, np.uint8), row[:-step]])
        kind = y % 3
        before = {0: np.zeros_like(row), 1: left, 2: np.zeros_like(row) if above is None else above}[kind]
        found.append(bytes([kind]) + (row - before).tobytes())
        above = row
    return b"".join(found)


def _packed(row_WC: NDArray[Any], bits: int) -> NDArray[Any]:
    if bits == 16:
        return np.frombuffer(row_WC.astype(">u2").tobytes(), np.uint8)
    if bits == 8:
        return row_WC.astype(np.uint8).reshape(-1)
    wide = np.unpackbits(row_WC.astype(np.uint8).reshape(-1, 1), axis=1)[:, 8 - bits :]
    return np.packbits(wide.reshape(-1))


def _others(image: Image.Image, other: Image.Image) -> Iterator[tuple[str, Make]]:
    alpha = Image.fromarray(np.asarray(other)[:, :, 0])
    yield "webp_lossy", lambda: encoded(image, "WEBP", quality=85)
    yield "webp_lossless", lambda: encoded(image, "WEBP", lossless=True)
    yield "webp_alpha", lambda: encoded(_with_alpha(image, alpha), "WEBP", lossless=True, exact=True)
    yield "webp_lossy_alpha", lambda: encoded(_with_alpha(image, alpha), "WEBP", quality=80)
    yield "webp_animated", lambda: encoded(image, "WEBP", save_all=True, append_images=[other])
    yield (
        "webp_animated_alpha",
        lambda: encoded(_with_alpha(image, alpha), "WEBP", save_all=True, append_images=[other], lossless=True),
    )
    yield "webp_turned", lambda: encoded(image, "WEBP", lossless=True, exif=_exif(6))
    yield "avif", lambda: encoded(image, "AVIF", quality=80)
    yield "avif_444", lambda: encoded(image, "AVIF", quality=80, subsampling="4:4:4")
    whole = {"quality": 90, "subsampling": "4:4:4"}
    yield "avif_alpha_444", lambda: encoded(_with_alpha(image, alpha), "AVIF", **whole)
    yield "avif_animated_444", lambda: encoded(image, "AVIF", save_all=True, append_images=[other], **whole)
    yield "avif_alpha", lambda: encoded(_with_alpha(image, alpha), "AVIF", quality=90)
    yield "avif_animated", lambda: encoded(image, "AVIF", save_all=True, append_images=[other])
    yield "avif_gray", lambda: encoded(image.convert("L"), "AVIF", quality=80)
    yield "avif_turned_mirrored", lambda: encoded(image, "AVIF", quality=80, exif=_exif(5))
    yield "avif_turned", lambda: encoded(image, "AVIF", quality=80, exif=_exif(6))
    yield "gif", lambda: encoded(image.quantize(200), "GIF")
    yield "gif_transparent", lambda: encoded(image.quantize(60), "GIF", transparency=7)
    yield "gif_gray", lambda: encoded(image.convert("L"), "GIF")
    yield "gif_ramp", lambda: _with_ramp(encoded(image.convert("L"), "GIF", optimize=False))
    yield "gif_animated", lambda: encoded(image, "GIF", save_all=True, append_images=[other])
    yield "bmp", lambda: encoded(image, "BMP")
    yield "bmp_palette", lambda: encoded(image.quantize(60), "BMP")
    yield "bmp_gray", lambda: encoded(image.convert("L"), "BMP")
    yield "bmp_32_bit", lambda: encoded(_with_alpha(image, alpha), "BMP")
    yield "bmp_1_bit", lambda: encoded(image.convert("1"), "BMP")


def _with_ramp(file: bytes) -> bytes:
    """A GIF whose colours are all the grays in order: Pillow takes it as gray."""
    ramp = bytes(value for value in range(256) for _ in range(3))
    return file[:10] + bytes([file[10] | 7]) + file[11:13] + ramp + file[13 + (3 << ((file[10] & 7) + 1)) :]


def _tiffs(image: Image.Image, other: Image.Image) -> Iterator[tuple[str, Make]]:
    gray = image.convert("L")
    deep = np.asarray(gray).astype(np.uint16) * 255 + 7
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield f"tiff_{compression}", partial(encoded, image, "TIFF", compression=compression)
    yield "tiff_predictor", lambda: encoded(image, "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    yield "tiff_gray", lambda: encoded(gray, "TIFF")
    yield "tiff_1_bit", lambda: encoded(image.convert("1"), "TIFF")
    yield "tiff_palette", lambda: encoded(image.quantize(60), "TIFF")
    yield "tiff_rgba", lambda: encoded(_with_alpha(image, gray), "TIFF")
    yield "tiff_la", lambda: encoded(_with_alpha(gray, gray), "TIFF")
    yield "tiff_cmyk", lambda: encoded(image.convert("CMYK"), "TIFF")
    yield "tiff_turned", lambda: encoded(image, "TIFF", tiffinfo={274: 6})
    yield "tiff_16", lambda: encoded(Image.fromarray(deep), "TIFF")
    yield (
        "tiff_12_of_16",
        lambda: encoded(Image.fromarray(deep >> 4), "TIFF", compression="tiff_lzw", tiffinfo={317: 2}),
    )
    yield "tiff_16_declared", lambda: encoded(Image.fromarray(deep), "TIFF", tiffinfo={281: 65000})
    yield "tiff_32_integers", lambda: encoded(Image.fromarray(deep.astype(np.int32) - 9000), "TIFF")
    yield "tiff_floats", lambda: encoded(Image.fromarray((deep / 65535).astype(np.float32)), "TIFF")
    yield "tiff_floats_nan", lambda: encoded(Image.fromarray(_with_nan(deep)), "TIFF")
    yield (
        "tiff_floats_predictor",
        partial(
            encoded,
            Image.fromarray((deep / 65535).astype(np.float32)),
            "TIFF",
            compression="tiff_adobe_deflate",
            tiffinfo={317: 3},
        ),
    )
    colours = np.asarray(image)
    yield "tiff_tiles", lambda: tiff(colours, tile_px=16)
    yield "tiff_planes", lambda: tiff(colours, apart=True)
    yield "tiff_big_endian", lambda: tiff(colours, order=">")
    yield "tiff_16_big_endian", lambda: tiff(deep[:, :, None], order=">")
    yield "tiff_16_rgb", lambda: tiff(colours.astype(np.uint16) * 257 + 5)
    yield "tiff_16_tiles", lambda: tiff(deep[:, :, None], tile_px=16)
    yield "tiff_white_is_zero", lambda: tiff(np.asarray(gray)[:, :, None], photometric=0)
    yield "tiff_16_white_is_zero", lambda: tiff(deep[:, :, None], photometric=0)
    yield "tiff_pages", lambda: encoded(image, "TIFF", save_all=True, append_images=[other])


def _with_nan(values: NDArray[Any]) -> NDArray[Any]:
    found = values.astype(np.float32)
    found[5, 7:20] = np.nan
    found[8, 3] = np.inf
    return found


def tiff(
    samples_HWC: NDArray[Any],
    *,
    order: Literal["<", ">"] = "<",
    tile_px: int = 0,
    apart: bool = False,
    photometric: int | None = None,
) -> bytes:
    """An uncompressed TIFF of kinds that Pillow doesn't write: of either byte order, in tiles, planes apart."""
    height, width, channels = samples_HWC.shape
    stored = samples_HWC.astype(samples_HWC.dtype.newbyteorder(order))
    planes = [stored[:, :, at : at + 1] for at in range(channels)] if apart else [stored]
    pieces = [piece for plane in planes for piece in (_tiles(plane, tile_px) if tile_px else [plane.tobytes()])]
    offsets, body = [], b""
    for piece in pieces:
        offsets.append(8 + len(body))
        body += piece
    kind = photometric if photometric is not None else 2 if channels == 3 else 1
    short, long = ("H", 3), ("I", 4)
    tags: list[tuple[int, tuple[str, int], list[int]]] = [
        (256, short, [width]),
        (257, short, [height]),
        (258, short, [8 * samples_HWC.itemsize] * channels),
        (259, short, [1]),
        (262, short, [kind]),
        (277, short, [channels]),
        (284, short, [2 if apart else 1]),
    ]
    sizes = [len(piece) for piece in pieces]
    if tile_px:
        tags += [(322, short, [tile_px]), (323, short, [tile_px]), (324, long, offsets), (325, long, sizes)]
    else:
        tags += [(273, long, offsets), (278, short, [height]), (279, long, sizes)]
    directory = struct.pack(f"{order}H", len(tags))
    extra, after = b"", 8 + len(body) + 2 + 12 * len(tags) + 4
    for tag, (letter, code), values in sorted(tags):
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(packed) > 4:
            packed, extra = struct.pack(f"{order}I", after + len(extra)), extra + packed
        directory += struct.pack(f"{order}HHI", tag, code, len(values)) + packed.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(body))
    return head + body + directory + bytes(4) + extra


def _tiles(plane_HWC: NDArray[Any], side: int) -> Iterator[bytes]:
    height, width, _ = plane_HWC.shape
    padded = np.pad(plane_HWC, ((0, -height % side), (0, -width % side), (0, 0)))
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield padded[top : top + side, left : left + side].tobytes()
