"""Writes what Python computes as cases that hold the browser's code to it: ``python -m svertka.page.golden OUT``.

The cases are small: pixels come from a generator that both sides have, large results stand as their SHA-256.

Shapes: H/W rows and columns, C channels, K classes.
"""

import base64
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from svertka.data import decode
from svertka.data.preprocess import apply_to_image
from svertka.evaluate.conformal import possible_classes
from svertka.explain.anatomy import Anatomy
from svertka.explain.cam import evidence
from svertka.explain.opened_bundle import FLIPS, Look, OpenedBundle
from svertka.features.linear_head import LinearHead
from svertka.page.file_kinds import kinds
from svertka.page.golden_bundle import network_cases
from svertka.schema import Conformal, Novelty, Preprocess, ValueRange

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC, "box": Image.Resampling.BOX}
_RANGES = (ValueRange(mode="I;16", low=100, high=60000), ValueRange(mode="RGB;16", low=900, high=50000, window=True))


def noise(height: int, width: int, channels: int, seed: int) -> NDArray[np.uint8]:
    """Bytes [H, W, C] of a linear congruential generator (constants of Numerical Recipes), the same everywhere."""
    found, state = bytearray(), seed
    for _ in range(height * width * channels):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        found.append(state >> 24)
    return np.frombuffer(bytes(found), np.uint8).reshape(height, width, channels)


def cases() -> dict[str, object]:
    """All cases by the name of their file."""
    makers: dict[str, Callable[[], object]] = {
        "resize": lambda: list(_resize_cases()),
        "preprocess": lambda: list(_preprocess_cases()),
        "files": lambda: list(_file_cases()),
        "numbers": _number_cases,
        "cam": lambda: list(_cam_cases()),
        "network": network_cases,
    }
    return {name: make() for name, make in makers.items()}


def main(out: Path) -> None:
    """Writes one JSON file for each kind of case."""
    out.mkdir(parents=True, exist_ok=True)
    for name, found in cases().items():
        text = json.dumps(found, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        (out / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _image(height: int, width: int, channels: int, seed: int) -> Image.Image:
    pixels = noise(height, width, channels, seed)
    return Image.fromarray(pixels if channels == 3 else pixels[:, :, 0])


def _digest(pixels: NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _resize_cases() -> Iterator[dict[str, object]]:
    sizes = (
        (7, 5, 3, 4),
        (5, 7, 13, 11),
        (40, 30, 8, 9),
        (1, 1, 6, 3),
        (3, 50, 9, 9),
        (200, 3, 17, 2),
        (31, 17, 31, 9),
    )
    more = ((320, 240, 24, 24), (240, 320, 24, 24), (9, 9, 9, 9))
    for seed, (width, height, to_width, to_height) in enumerate((*sizes, *more), 1):
        for name in ("bilinear", "bicubic", "box"):
            for box in (None, (0.4, 0.2, width - 0.3, height - 0.1), (0.5, 0.0, width, height)):
                channels = 3 if seed % 2 else 1
                image = _image(height, width, channels, seed)
                found = np.asarray(image.resize((to_width, to_height), _FILTERS[name], box=box))
                yield {
                    "size": [width, height, channels, seed],
                    "to": [to_width, to_height],
                    "filter": name,
                    "box": box,
                    "sha256": _digest(found),
                }


def _preprocess_cases() -> Iterator[dict[str, object]]:
    mean = (0.485, 0.456, 0.406)
    settings = [
        *(Preprocess(size_px=24, resize=how, interpolation="bicubic", mean=mean) for how in ("squash", "crop", "pad")),
        Preprocess(size_px=25, resize="crop", crop_pct=0.875, interpolation="bilinear"),
        Preprocess(size_px=24, resize="crop", crop_pct=0.9),
        Preprocess(size_px=17, resize="pad", interpolation="bilinear"),
        Preprocess(size_px=224),
    ]
    for setting in settings:
        for width, height in ((30, 20), (20, 31), (50, 3), (1, 40), (24, 24), (101, 67)):
            for channels in (1, 3):
                found = apply_to_image(setting, _image(height, width, channels, width))
                fields = setting.as_fields()
                yield {"preprocess": fields, "size": [width, height, channels, width], "sha256": _digest(found)}


def _file_cases() -> Iterator[dict[str, object]]:
    """Files that the browser's code decodes by itself."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        for name, make in kinds(13, 9).items():
            if name.startswith(("png", "tiff")):
                path.write_bytes(make())
                for ranges in ((), _RANGES) if "16" in name else ((),):
                    found = decode.decode(path, ranges=ranges)
                    yield {
                        "name": name,
                        "file": base64.b64encode(path.read_bytes()).decode(),
                        "ranges": [{"mode": r.mode, "low": r.low, "high": r.high, "window": r.window} for r in ranges],
                        "size": list(found.image.size),
                        "mode": found.image.mode,
                        "pixels": base64.b64encode(np.asarray(found.image).tobytes()).decode(),
                        "notes": [*found.notes, *found.scaling],
                    }


def _number_cases() -> dict[str, object]:
    rng = np.random.default_rng(0)
    value, alpha = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    rgba = np.dstack([value, value, value, alpha]).astype(np.uint8)
    white = Image.new("RGBA", (256, 256), "white")
    on_white = np.asarray(Image.alpha_composite(white, Image.fromarray(rgba)))[:, :, 0]
    mask = Image.fromarray(rgba[:, :, 3].copy())
    pasted = Image.composite(Image.fromarray(rgba[:, :, 0].copy()), Image.new("L", (256, 256), "white"), mask)
    novelty = Novelty(threshold=0.4, quantiles=(0.1, 0.2, 0.2, 0.35, 0.5), n=9)
    distances = [0.0, 0.1, 0.15, 0.2, 0.3, 0.400009, 0.40002, 0.5, 0.7]
    conformal = Conformal(target=0.9, thresholds=(0.8, 0.3, 0.55), counts=(20, 30, 40))
    logits_NK = rng.normal(0, 2, (12, 3)).astype(np.float32)
    return {
        "on_white": _digest(on_white),
        "pasted": _digest(np.asarray(pasted)),
        "halves": [[number / 2, round(number / 2)] for number in range(-5, 9)],
        "novelty": {"threshold": novelty.threshold, "quantiles": list(novelty.quantiles)},
        "distances": [[d, novelty.percentile(d), novelty.is_out_of_distribution(d)] for d in distances],
        "thresholds": list(conformal.thresholds),
        "logits": logits_NK.tolist(),
        "possible": possible_classes(logits_NK, conformal).tolist(),
    }


def _cam_cases() -> Iterator[dict[str, object]]:
    rng = np.random.default_rng(1)
    for views, sizes in ((1, ((3, 4, 5),)), (4, ((2, 60, 60), (3, 7, 7), (2, 1, 1)))):
        width = sum(channels for channels, _, _ in sizes)
        weight, mean, bias = (rng.normal(size=shape).astype(np.float32) for shape in ((3, width), width, 3))
        head = LinearHead(mean, np.ones(width, np.float32), weight, bias)
        network = OpenedBundle(
            b"",
            Anatomy((), 1, (), head, 1.0, None, (), {}),
            Preprocess(size_px=16),
            ("a", "b", "c"),
            flips=FLIPS[:views],
        )
        seeds = rng.integers(1, 1000, (views, len(sizes))).tolist()
        maps = tuple([_map(shape, seed) for shape, seed in zip(sizes, row, strict=True)] for row in seeds)
        look = Look(np.zeros((16, 16, 3), np.uint8), mean, maps)
        yield {
            "head": {"mean": mean.tolist(), "weight": weight.reshape(-1).tolist(), "bias": bias.tolist()},
            "sizes": sizes,
            "seeds": seeds,
            "label": 1,
            "evidence": evidence(network, look, 1)[::5, ::5].tolist(),
        }


def _map(shape: tuple[int, int, int], seed: int) -> NDArray[np.float32]:
    """A map [C, H, W] that both sides can make."""
    return noise(*shape, seed).astype(np.float32) - 128


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m svertka.page.golden OUT")
    main(Path(sys.argv[1]))
