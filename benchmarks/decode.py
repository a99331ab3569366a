"""Decode and resize to 224 px, identical pixels: svertka against ImageFolder + PIL + torchvision's v1 transforms.

Two kinds of files: 3-megapixel JPEGs (made here: noise with a natural image's spectrum, quality 90) and the 300 px PNGs
of the ELPV test images. The peer is measured twice: to bytes, the same product as ours, which is what the table
judges; and to floats with ToTensor, as in the course. svertka is measured twice too: on one core, as the peer, and on
all cores, as its scan works unless told otherwise, while ImageFolder reads one file after the other. All pixels of all
images are compared.
"""

from functools import partial
from pathlib import Path

import numpy as np
from common import OURS, PEERS, Row, Side, alternate, arguments, load, public_split, python, scratch, write_result
from PIL import Image

TARGETS = {"3-megapixel JPEG": 2.2, "300 px PNG": 1.8}
ALL_CORES = "svertka, all cores"
JPEG_WIDTH_PX, JPEG_HEIGHT_PX = 2048, 1536


def make_photographs(folder: Path, count: int) -> Path:
    """JPEGs with detail at every scale, as photographs have: noise whose amplitude falls as one over frequency."""
    (folder / "photographs").mkdir(parents=True)
    rng = np.random.default_rng(0)
    fy = np.fft.fftfreq(JPEG_HEIGHT_PX)[:, None]
    fx = np.fft.rfftfreq(JPEG_WIDTH_PX)[None, :]
    amplitude = 1 / np.maximum(np.hypot(fy, fx), 1 / JPEG_WIDTH_PX)
    for number in range(count):
        channels = []
        for _ in range(3):
            phase = np.exp(2j * np.pi * rng.random(amplitude.shape))
            plane = np.fft.irfft2(amplitude * phase, s=(JPEG_HEIGHT_PX, JPEG_WIDTH_PX))
            channels.append(128 + 48 * plane / plane.std())
        pixels = np.stack(channels, axis=2)
        pixels = 0.8 * pixels.mean(axis=2, keepdims=True) + 0.2 * pixels  # colours vary less than brightness
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        image.save(folder / "photographs" / f"{number:03}.jpg", quality=90)
    return folder


def compare(kind: str, folder: Path, rounds: int) -> tuple[dict[str, Side], list[Row]]:
    """Measures the sides on one folder; stops if a single pixel differs."""
    samples = alternate(
        {
            "svertka": lambda: python(OURS / "svertka_decode.py", folder).last_json(),
            ALL_CORES: lambda: python(OURS / "svertka_decode.py", folder, 0, one_core=False).last_json(),
            "ImageFolder, to bytes": lambda: python(PEERS / "imagefolder_decode.py", folder).last_json(),
            "ImageFolder, to floats": lambda: python(PEERS / "imagefolder_decode.py", folder, "--float").last_json(),
        },
        rounds,
    )
    first = samples["svertka"][0]["digests"]
    for name, results in samples.items():
        if any(result["digests"] != first for result in results):
            raise SystemExit(f"{kind}: the pixels of {name} differ from svertka's.")
    sides = {
        f"{kind}: {name}": Side(unit="images/s", samples=[result["images_per_second"] for result in results])
        for name, results in samples.items()
    }
    ours, all_cores, to_bytes, to_floats = (side.median for side in sides.values())
    rows = [
        Row(
            what=f"decode + resize, {kind}, identical pixels, {cores}",
            against="ImageFolder + PIL + torchvision v1",
            measured=rate / to_bytes,
            target=TARGETS[kind],
            note=f"{rate / to_floats:.2f} times against the course's transforms, which end in floats",
        )
        for cores, rate in (("one core each", ours), ("as both work unless told otherwise", all_cores))
    ]
    return sides, rows


def main() -> None:
    options = arguments(__doc__, rounds=5).parse_args()
    busy = load()
    with scratch() as folder:
        photographs = make_photographs(folder / "jpeg", 2 if options.tiny else 32)
        cells = folder / "png"
        for image in sorted(public_split().glob("test/*/*.png"))[:: 60 if options.tiny else 1]:
            link = cells / image.parent.name / image.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(image.resolve())
        parts = {"3-megapixel JPEG": photographs, "300 px PNG": cells}
        measure = partial(compare, rounds=options.rounds)
        results = [measure(kind, data) for kind, data in parts.items()]
        size_kb = max(path.stat().st_size for path in photographs.rglob("*.jpg")) / 1000
    write_result(
        "decode",
        "Decoding and resizing",
        sides={name: side for sides, _ in results for name, side in sides.items()},
        rows=[row for _, rows in results for row in rows],
        config={
            "jpeg": f"32 images, {JPEG_WIDTH_PX} × {JPEG_HEIGHT_PX} px, quality 90, up to {size_kb:.0f} kB",
            "png": "656 ELPV test images, 300 × 300 px, grayscale",
            "resize": "both sides scaled to 224 px, bilinear with antialiasing",
        },
        threads=1,  # of every side but "all cores"
        warm_up="8 images in each process",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
