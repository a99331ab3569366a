"""Do altered copies go unnoticed? Copies of solar cells are planted among all 2,624 cells; what is found is counted.

Twelve kinds, ten cells each, drawn at random. A pair of cells that nobody planted and that is found all the same
counts as false here, which is unkind: most of them are one cell photographed twice, or wafers cut from one block, as a
look at a sample shows. Cells look alike, and the plain ones have nothing that tells them apart, so this is a hard set.
"""

import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
from common import Row, Side, arguments, load, public_split, scratch, write_result
from PIL import Image, ImageOps

from svertka.config import RunConfig
from svertka.data.altered import altered_pairs
from svertka.data.duplicates import comparable, exact_pairs, near_pairs
from svertka.data.scan import scan

TURNS = Image.Transpose
EACH = 10
Alter = Callable[[Image.Image], Image.Image]


def turned(how: Image.Transpose) -> Alter:
    return lambda image: image.transpose(how)


def cropped(*parts: float) -> Alter:
    """Takes off these parts of the width and the height: left, top, right, bottom."""

    def crop(image: Image.Image) -> Image.Image:
        left, top, right, bottom = parts
        box = (left * image.width, top * image.height, (1 - right) * image.width, (1 - bottom) * image.height)
        return image.crop(tuple(round(edge) for edge in box))

    return crop


def noisy(deviation: float) -> Alter:
    """Adds normal noise, in gray levels."""
    rng = np.random.default_rng(1)

    def add(image: Image.Image) -> Image.Image:
        pixels = np.asarray(image, np.float64)
        return Image.fromarray(np.clip(pixels + rng.normal(0, deviation, pixels.shape), 0, 255).astype(np.uint8))

    return add


def framed(share: float, gray: int) -> Alter:
    return lambda image: ImageOps.expand(image, round(share * image.width), gray)


KINDS: dict[str, Alter] = {
    "mirrored": turned(TURNS.FLIP_LEFT_RIGHT),
    "upside down": turned(TURNS.FLIP_TOP_BOTTOM),
    "turned by 90°": turned(TURNS.ROTATE_90),
    "turned by 180°": turned(TURNS.ROTATE_180),
    "turned by 270°": turned(TURNS.ROTATE_270),
    "mirrored and turned": turned(TURNS.TRANSPOSE),
    "5 % cut off at each edge": cropped(0.05, 0.05, 0.05, 0.05),
    "5 % cut off at two edges": cropped(0.05, 0, 0, 0.05),
    "black border of 5 %": framed(0.05, 0),
    "white border of 8 %": framed(0.08, 255),
    "noise of 8 gray levels": noisy(8),
    "noise of 16 gray levels": noisy(16),
}


def plant(cells: list[Path], folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Links all cells into a folder and adds copies; for each kind the names of originals and copies."""
    rng = np.random.default_rng(0)
    planted: dict[str, list[tuple[str, str]]] = {}
    for cell in cells:
        link = folder / cell.parent.name / cell.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(cell.resolve())
    for kind, alter in KINDS.items():
        planted[kind] = []
        for cell in (cells[row] for row in rng.choice(len(cells), min(EACH, len(cells)), replace=False)):
            copy = f"{cell.stem}, {kind}.png"
            alter(Image.open(cell).convert("L")).save(folder / cell.parent.name / copy)
            planted[kind].append((cell.name, copy))
    return planted


def main() -> None:
    options = arguments(__doc__, rounds=1).parse_args()
    busy = load()
    cells = sorted(public_split().glob("*/*/*.png"))[:: 12 if options.tiny else 1]
    with scratch() as folder:
        planted = plant(cells, folder / "cells")
        records = scan(folder / "cells", cache=folder / "cache").records
        names = [Path(record.path).name for record in records]
        config = RunConfig(data="x")
        started = time.process_time()
        altered = altered_pairs(records, comparable(records))
        seconds = time.process_time() - started
        pairs = [*exact_pairs(records), *near_pairs(records, config.near_duplicate_bits), *altered]
    found = {frozenset((names[a], names[b])) for a, b in pairs}
    hits = {kind: sum(frozenset(pair) in found for pair in made) for kind, made in planted.items()}
    own = {cell.name for cell in cells}
    unplanted = [pair for pair in found if pair <= own]
    shares = {kind: 100 * hits[kind] / len(planted[kind]) for kind in hits}
    false = 100 * len(unplanted) / len(list(combinations(own, 2)))
    write_result(
        "leaks",
        "Altered copies among solar cells",
        sides={kind: Side(unit="%", samples=[share], figures={"found": hits[kind]}) for kind, share in shares.items()}
        | {"search for altered copies": Side(unit="ms an image", samples=[1000 * seconds / len(records)])},
        rows=[
            Row(
                what="planted copies that are found, all kinds",
                against=f"{sum(map(len, planted.values()))} planted",
                measured=100 * sum(hits.values()) / sum(map(len, planted.values())),
                target=95,
                unit="%",
                note=", ".join(f"{kind}: {hits[kind]}" for kind in hits),
            ),
            Row(
                what="pairs of cells that are found though nobody planted them",
                against=f"{len(own)} cells",
                measured=false,
                target=0.1,
                better="at most",
                unit="%",
                note=f"{len(unplanted)} pairs, most of them one cell twice or wafers of one block",
            ),
        ],
        config={"cells": len(own), "copies a kind": EACH, "kinds": list(KINDS)},
        threads=2,
        warm_up="none: what is found doesn't depend on it; processor time of the search is given for orientation",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
