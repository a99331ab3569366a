"""Detects the format of a file by its first bytes, whatever its name. Nothing is decoded.

A format is read if Pillow reads it without the help of another program (EPS needs Ghostscript, WMF needs Windows).
Formats with a long signature are known by it alone. Those with a short one or none (BMP, PCX, Targa, SPIDER …) are
known by a header whose numbers make sense together; of Targa, which any zeros resemble, the suffix or the footer of
version 2 must speak too. So text and random bytes are no images.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from svertka.util.atomic_files import open_regular

# Files with these names are meant to be images: what is wrong with them is told one by one.
READABLE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .gif .bmp .dib .tif .tiff .webp .ppm .pgm .pbm .pnm .jp2 .j2k .avif "
    ".apng .mpo .avifs .j2c .jpc .jpf .jpx .pfm .psd .tga .icb .vda .vst .ico .icns .dds .qoi .pcx .sgi .xpm".split()
)
RAW_SUFFIXES = frozenset(".cr2 .cr3 .nef .arw .dng .orf .rw2 .raf .pef .srw .raw".split())
UNSUPPORTED_SUFFIXES = RAW_SUFFIXES | frozenset(".svg .svgz .heic .heif .xcf .jxl .eps .exr .hdr .dcm".split())
IMAGE_SUFFIXES = READABLE_SUFFIXES | UNSUPPORTED_SUFFIXES
_TARGA_SUFFIXES = frozenset({".tga", ".icb", ".vda", ".vst"})

_HEAD_BYTES = 4096
_TARGA_FOOTER = b"TRUEVISION-XFILE.\0"


@dataclass(frozen=True, slots=True)
class Format:
    """One format of files.

    Attributes:
        name: as people call it.
        plugin: Pillow's name of its reader; empty where Pillow has none that works alone.
        advice: what may be done with a file that is not read.
        is_image: false for videos, documents and archives.
        is_sure: whether its signature leaves no doubt; else a file that its reader refuses is something else.
    """

    name: str
    plugin: str = ""
    advice: str = "export it as PNG, TIFF or JPEG"
    is_image: bool = True
    is_sure: bool = True


RAW = Format("a camera's raw file", advice="export it as TIFF, PNG or JPEG")
HEIF = Format("HEIC/HEIF", "HEIF", "save it as JPEG or PNG")
AVIF = Format("AVIF", "AVIF", "save it as JPEG or PNG, or install a Pillow that reads AVIF (11.3 or later)")
JPEG = Format("JPEG", "JPEG")
TIFF = Format("TIFF", "TIFF", "save it as 8 or 16 bit, gray or RGB")
WEBP = Format("WebP", "WEBP")
SVG = Format("SVG, a drawing without pixels", advice="export it as PNG")
_EPS = Format("EPS, which only another program (Ghostscript) can draw", advice="export it as PNG")
_METAFILE = Format("a Windows metafile, a drawing without pixels", advice="export it as PNG")
_TARGA = Format("Targa", "TGA")


def _no_image(name: str) -> Format:
    return Format(name, is_image=False)


# Offset, bytes, format; the first that fits.
_SIGNATURES: tuple[tuple[int, bytes, Format], ...] = (
    (0, b"\xff\xd8\xff", JPEG),
    (0, b"\x89PNG", Format("PNG", "PNG")),
    (0, b"GIF87a", Format("GIF", "GIF")),
    (0, b"GIF89a", Format("GIF", "GIF")),
    (8, b"CR\x02\0", RAW),
    (0, b"II*\0", TIFF),
    (0, b"MM\0*", TIFF),
    (0, b"II+\0", TIFF),
    (0, b"MM\0+", TIFF),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", Format("JPEG 2000", "JPEG2000")),
    (0, b"\xff\x4f\xff\x51", Format("JPEG 2000", "JPEG2000")),
    (0, b"8BPS\0\x01", Format("PSD", "PSD")),
    (0, b"8BPS\0\x02", Format("PSB, Photoshop's format of large files")),
    (0, b"8BPS", Format("PSD", "PSD")),
    (0, b"DDS ", Format("DDS", "DDS")),
    (0, b"qoif", Format("QOI", "QOI")),
    (0, b"icns", Format("ICNS", "ICNS")),
    (0, b"SIMPLE  =", Format("FITS", "FITS")),
    (0, b"/* XPM */", Format("XPM", "XPM")),
    (0, b"DanM", Format("MSP", "MSP")),
    (0, b"LinS", Format("MSP", "MSP")),
    (0, b"\x59\xa6\x6a\x95", Format("Sun raster", "SUN")),
    (0, b"\xb1\x68\xde\x3a", Format("DCX", "DCX")),
    (0, b"BLP1", Format("BLP", "BLP")),
    (0, b"BLP2", Format("BLP", "BLP")),
    (0, b"FTEX", Format("FTEX", "FTEX")),
    (20, b"GIMP", Format("GIMP brush", "GBR", is_sure=False)),
    (0, b"P7 332", Format("XV thumbnail", "XVTHUMB")),
    (2048, b"PCD_", Format("Photo CD", "PCD")),
    (0, b"\0\0\0\0\0\0\0\x04", Format("McIdas", "MCIDAS", is_sure=False)),
    (0, b"\x80\xe8\0\0", Format("PIXAR", "PIXAR", is_sure=False)),
    (0, b"%!PS", _EPS),
    (0, b"\xc5\xd0\xd3\xc6", _EPS),
    (0, b"\xd7\xcd\xc6\x9a\0\0", _METAFILE),
    (40, b" EMF", _METAFILE),
    (0, b"gimp xcf", Format("XCF, GIMP's own format")),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", Format("JPEG XL")),
    (0, b"II\xbc\x01", Format("JPEG XR")),
    (0, b"BPG\xfb", Format("BPG")),
    (0, b"FLIF", Format("FLIF")),
    (0, b"\x8aMNG", Format("MNG")),
    (0, b"\xabKTX ", Format("KTX")),
    (0, b"VTF\0", Format("VTF")),
    (0, b"\x76\x2f\x31\x01", Format("OpenEXR")),
    (0, b"#?RADIANCE", Format("Radiance HDR")),
    (0, b"#?RGBE", Format("Radiance HDR")),
    (128, b"DICM", Format("DICOM", advice="export its frames as PNG or TIFF of 16 bits")),
    (0, b"NRRD000", Format("NRRD", advice="export its slices as PNG or TIFF of 16 bits")),
    (344, b"n+1\0", Format("NIfTI", advice="export its slices as PNG or TIFF of 16 bits")),
    (0, b"P7\n", Format("PAM")),
    (0, b"AT&TFORM", Format("DjVu")),
    (0, b"FUJIFILMCCD-RAW", RAW),
    (0, b"IIRO", RAW),
    (0, b"IIRS", RAW),
    (0, b"MMOR", RAW),
    (0, b"IIU\0", RAW),
    (0, b"FOVb", RAW),
    (0, b"\0MRM", RAW),
    (0, b"GRIB", Format("GRIB, weather data")),
    (0, b"BUFR", Format("BUFR, weather data")),
    (0, b"\x89HDF\r\n\x1a\n", Format("HDF5")),
    (0, b"%PDF", _no_image("a PDF document")),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _no_image("an OLE document (Office, FlashPix …)")),
    (0, b"\0\0\x01\xba", _no_image("a video (MPEG)")),
    (0, b"\0\0\x01\xb3", _no_image("a video (MPEG)")),
    (0, b"\x1a\x45\xdf\xa3", _no_image("a video (Matroska or WebM)")),
    (0, b"FLV\x01", _no_image("a video (FLV)")),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _no_image("a video (WMV)")),
    (0, b"OggS", _no_image("a sound file (Ogg)")),
    (0, b"fLaC", _no_image("a sound file (FLAC)")),
    (0, b"ID3", _no_image("a sound file (MP3)")),
    (0, b"PK\x03\x04", _no_image("an archive (ZIP, or what is packed so: Office, Krita …)")),
    (0, b"\x1f\x8b\x08", _no_image("an archive (gzip)")),
    (0, b"BZh", _no_image("an archive (bzip2)")),
    (0, b"\xfd7zXZ\0", _no_image("an archive (xz)")),
    (0, b"7z\xbc\xaf\x27\x1c", _no_image("an archive (7-Zip)")),
    (0, b"Rar!\x1a\x07", _no_image("an archive (RAR)")),
    (257, b"ustar", _no_image("an archive (tar)")),
    (0, b"SQLite format 3\0", _no_image("an SQLite database")),
    (0, b"\x7fELF", _no_image("a program")),
    (1, b"NUMPY", _no_image("a NumPy array")),
)  # fmt: skip


def identify(stream: BinaryIO, suffix: str = "") -> Format | None:
    """Names the format of an open file; None where it is none that is known.

    Args:
        stream: seekable; where it stands afterwards is not said.
        suffix: of its name, in lower case; asked only where the bytes alone can't tell.
    """
    stream.seek(0)
    head = stream.read(_HEAD_BYTES)
    for offset, magic, found in _SIGNATURES:
        if head.startswith(magic, offset):
            return RAW if found is TIFF and suffix in RAW_SUFFIXES else found
    if head.startswith(b"RIFF"):
        return {b"WEBP": WEBP, b"AVI ": _no_image("a video (AVI)"), b"WAVE": _no_image("a sound file (WAV)")}.get(
            head[8:12]
        )
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if _is_targa(head) and (suffix in _TARGA_SUFFIXES or _has_targa_footer(stream)):
        return _TARGA
    for looks_so, found in _BY_HEADER:
        if len(head) >= 16 and looks_so(head):
            return found
    if _is_svg(head) or suffix == ".svgz":
        return SVG
    return None


def is_image(path: Path) -> bool:
    """Whether a file is meant to be an image, by its name, or is one, by its first bytes. Never opens a pipe."""
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return True
    try:
        with open_regular(path) as stream:
            found = identify(stream, suffix)
            stream.seek(0)
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return False
    if found is None or not found.is_image:
        return False
    in_bytes = found.plugin in ("PPM", "QOI") and head[:2] not in (b"P1", b"P2", b"P3")
    return not (in_bytes and _is_text(head))


def _is_text(head: bytes) -> bool:
    """Whether these bytes are words for people: a note that begins as an image does is none."""
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # not only a letter that is cut in two
            return False
        text = head[: error.start].decode()
    return all(letter.isprintable() or letter in "\t\n\r\f" for letter in text)


def _iso_media(head: bytes) -> Format:
    """By the brands of ISO/IEC 14496-12: one container for AVIF, HEIC, raw files of Canon, and videos."""
    (size,) = struct.unpack(">I", head[:4])
    brands = {head[8:12]} | {head[at : at + 4] for at in range(16, min(size, len(head)) - 3, 4)}
    if brands & {b"avif", b"avis"}:
        return AVIF
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}:
        return HEIF
    if b"crx " in brands:
        return RAW
    return _no_image("a video (MP4, MOV or 3GP)")


def _is_svg(head: bytes) -> bool:
    """Whether the first element is a drawing; a page or a note that speaks of one is none."""
    rest = head.lower().lstrip(b"\xef\xbb\xbf \t\r\n")
    while rest.startswith((b"<?", b"<!")):
        _, closed, rest = rest.partition(b"-->" if rest.startswith(b"<!--") else b">")
        rest = rest.lstrip()
        if not closed:
            return False
    return rest.startswith(b"<svg")


def _is_bmp(head: bytes) -> bool:
    """Besides two letters: a known size of what follows, or four zeros and a possible place of the pixels."""
    placed = head[6:10] == b"\0\0\0\0" and 14 < int.from_bytes(head[10:14], "little") < 1 << 16
    return head.startswith(b"BM") and (placed or head[14:18] in _DIB_SIZES)


def _is_dib(head: bytes) -> bool:
    """A bitmap without the header of a file: a known size, one plane, a possible number of bits."""
    planes, bits = struct.unpack("<HH", head[8:12] if head[0] == 12 else head[12:16])
    return head[:4] in _DIB_SIZES and planes == 1 and bits in (1, 4, 8, 16, 24, 32)


def _is_ico(head: bytes, magic: bytes = b"\0\0\1\0") -> bool:
    """A list of pictures; those of the first have a length and lie behind the list."""
    if not head.startswith(magic) or len(head) < 22:
        return False
    (count,) = struct.unpack("<H", head[4:6])
    size, offset = struct.unpack("<II", head[14:22])
    return bool(count and size) and offset >= 6 + 16 * count and head[9] in (0, 255)


def _is_pcx(head: bytes) -> bool:
    version, encoding, bits, left, top, right, bottom = struct.unpack("<BBBHHHH", head[1:12])
    planes = head[65] if len(head) > 65 else 1
    known = head[0] == 10 and version in (0, 2, 3, 4, 5) and encoding in (0, 1) and bits in (1, 2, 4, 8)
    return known and left <= right and top <= bottom and planes in (1, 2, 3, 4) and not any(head[64:65])


def _is_sgi(head: bytes) -> bool:
    storage, depth, dimensions = struct.unpack(">BBH", head[2:6])
    return head.startswith(b"\x01\xda") and storage in (0, 1) and depth in (1, 2) and dimensions in (1, 2, 3)


def _is_fli(head: bytes) -> bool:
    return head[4:6] in (b"\x11\xaf", b"\x12\xaf") and head[14:16] in (b"\0\0", b"\3\0")


def _is_gimp_brush_1(head: bytes) -> bool:
    size, version, width, height = struct.unpack(">IIII", head[:16])
    return size >= 20 and version == 1 and 0 < width < 65536 > height > 0 and head[16:20] in (b"\0\0\0\1", b"\0\0\0\4")


def _is_netpbm(head: bytes) -> bool:
    """Width and height follow, and in all but bitmaps a third number; comments between them."""
    between = rb"\s+(#[^\r\n]*[\r\n]\s*)*"
    forms = (rb"P[14](%b\d+){2}\s", rb"P[2356](%b\d+){3}\s", rb"Pf(%b\d+){2}%b[-+\d.e]+\s")
    return any(re.match(form.replace(b"%b", between), head) for form in forms)


def _is_colour_pfm(head: bytes) -> bool:
    return re.match(rb"PF\s+\d+\s+\d+\s+[-+.\d]", head) is not None


def _is_xbm(head: bytes) -> bool:
    comment = rb"/\*([^*]|\*(?!/))*\*/"
    return re.match(rb"\s*(%b\s*)*#define\s+\S*width\s+\d+\s" % comment, head) is not None


def _is_im(head: bytes) -> bool:
    """Lines of "name: value" that end with a control character; the kind of image is among them."""
    end = min((at for at in (head.find(b"\0"), head.find(b"\x1a")) if at >= 0), default=0)
    lines = re.split(rb"[\r\n]+", head[:end].strip())
    return all(re.match(rb"[A-Za-z][^:]*:", line) for line in lines) and any(b"Image type:" in line for line in lines)


def _is_imt(head: bytes) -> bool:
    lines = head.partition(b"\x0c")[0].strip().split(b"\n") if b"\x0c" in head[:1024] else []
    return {b"width", b"height", b"pixel"} <= {line.partition(b" ")[0] for line in lines}


def _is_iptc(head: bytes) -> bool:
    """Numbered fields; width and kind of compression are among them."""
    return head[0] == 0x1C and head[1] in range(1, 10) and b"\x1c\x03\x14" in head and b"\x1c\x03\x78" in head


def _is_spider(head: bytes) -> bool:
    """Floating-point numbers that must be whole and agree on the header's length."""
    places = {"slices": 0, "rows": 1, "kind": 4, "columns": 11, "records": 12, "header": 21, "record": 22}
    for order in "><" if len(head) >= 108 else "":
        numbers = struct.unpack(f"{order}27f", head[:108])
        at = {name: numbers[place] for name, place in places.items()}
        if not all(number.is_integer() for number in at.values()):
            continue
        if at["kind"] in (1, 3, -11, -12, -21, -22) and min(at["slices"], at["rows"], at["columns"], at["record"]) > 0:
            return bool(at["header"] == at["records"] * at["record"])
    return False


def _is_targa(head: bytes) -> bool:
    """Nothing but numbers that are possible together."""
    if len(head) < 18:
        return False
    colour_map, kind, depth, flags = head[1], head[2], head[16], head[17]
    width, height = struct.unpack("<HH", head[12:16])
    possible = colour_map in (0, 1) and kind in (1, 2, 3, 9, 10, 11) and depth in (1, 8, 15, 16, 24, 32)
    return possible and width > 0 and height > 0 and not flags & 0xC0


def _has_targa_footer(stream: BinaryIO) -> bool:
    length = stream.seek(0, 2)
    stream.seek(max(0, length - len(_TARGA_FOOTER)))
    return stream.read() == _TARGA_FOOTER


_DIB_SIZES = frozenset(struct.pack("<I", size) for size in (12, 40, 52, 56, 64, 108, 124))
_BY_HEADER: tuple[tuple[Callable[[bytes], bool], Format], ...] = (
    (_is_bmp, Format("BMP", "BMP")),
    (_is_netpbm, Format("PNM", "PPM")),
    (_is_colour_pfm, Format("PFM in colour")),
    (_is_ico, Format("ICO", "ICO")),
    (partial(_is_ico, magic=b"\0\0\2\0"), Format("CUR", "CUR")),
    (_is_sgi, Format("SGI", "SGI")),
    (_is_pcx, Format("PCX", "PCX")),
    (_is_fli, Format("FLI", "FLI")),
    (_is_xbm, Format("XBM", "XBM")),
    (_is_dib, Format("DIB", "DIB", is_sure=False)),
    (_is_gimp_brush_1, Format("GIMP brush", "GBR", is_sure=False)),
    (_is_im, Format("IM", "IM", is_sure=False)),
    (_is_imt, Format("IMT", "IMT", is_sure=False)),
    (_is_iptc, Format("IPTC", "IPTC", is_sure=False)),
    (_is_spider, Format("SPIDER", "SPIDER", is_sure=False)),
)
