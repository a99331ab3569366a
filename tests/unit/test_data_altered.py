"""Altered copies: what is found among textures, and what is not called a copy."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps
from scipy.ndimage import gaussian_filter

from svertka.config import RunConfig
from svertka.data.altered import altered_pairs
from svertka.data.fingerprint import SKETCH_SIDE, cosines, fingerprint, read_sketches
from svertka.data.split import hold_out, make_split
from svertka.schema import SPLIT_NAMES, Catalog, ImageRecord

TURNS = Image.Transpose
SIDE = 160
Alter = Callable[[Image.Image], Image.Image]


def texture(seed: int, size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    """Clouds of several sizes on a frame and bars that all images share."""
    rng = np.random.default_rng(seed)
    noise = [gaussian_filter(rng.normal(size=size[::-1]), sigma) * sigma for sigma in (2, 5, 12)]
    image = Image.fromarray(np.clip(128 + 60 * sum(noise), 0, 255).astype(np.uint8))
    ImageDraw.Draw(image).rectangle((0, 0, size[0] - 1, size[1] - 1), outline=0, width=4)
    ImageDraw.Draw(image).line((0, size[1] // 3, size[0], size[1] // 3), fill=20, width=5)
    return image


def cropped(left: float, top: float, right: float, bottom: float) -> Alter:
    def crop(image: Image.Image) -> Image.Image:
        box = (left * image.width, top * image.height, (1 - right) * image.width, (1 - bottom) * image.height)
        return image.crop(tuple(map(round, box)))  # type: ignore[arg-type]

    return crop


def noisy(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image) + np.random.default_rng(9).normal(0, 12, (image.height, image.width))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


KINDS: dict[str, Alter] = {
    **{turn.name.lower(): (lambda image, turn=turn: image.transpose(turn)) for turn in TURNS},
    "negative": ImageOps.invert,
    "cropped by 5 %": cropped(0.05, 0.05, 0.05, 0.05),
    "cropped at two edges": cropped(0.05, 0, 0, 0.05),
    "cropped at one edge": cropped(0, 0, 0.05, 0),
    "black border": lambda image: ImageOps.expand(image, 8, 0),
    "wide white border": lambda image: ImageOps.expand(image, 16, 255),
    "noise": noisy,
    "mirrored and cropped": lambda image: cropped(0.05, 0.05, 0.05, 0.05)(ImageOps.mirror(image)),
    "turned, half the size": lambda image: image.transpose(TURNS.ROTATE_90).resize((SIDE // 2, SIDE // 2)),
}


def record(number: int, image: Image.Image, split: str | None = None) -> ImageRecord:
    found = fingerprint(image)
    return ImageRecord(
        path=f"class{number % 2}/{number:03}.png", label=number % 2, split=split, group=None, width_px=image.width,
        height_px=image.height, mode="L", pixel_hash=found.pixels, perceptual_hash=found.perceptual,
        detail_hash=found.detail, sketch=found.sketch,
    )  # type: ignore[arg-type]  # fmt: skip


def catalog_of(records: list[ImageRecord]) -> Catalog:
    return Catalog(root=Path("/data"), layout="class folders", class_names=("a", "b"), records=tuple(records))


@pytest.fixture(scope="module")
def plain() -> list[ImageRecord]:
    return [record(number, texture(number)) for number in range(80)]


def test_each_kind_of_copy_is_found_and_nothing_else(plain: list[ImageRecord]) -> None:
    copies = [record(80 + number, alter(texture(number))) for number, alter in enumerate(KINDS.values())]
    found = altered_pairs([*plain, *copies], range(80 + len(copies)))
    assert found == [(number, 80 + number) for number in range(len(copies))], dict(enumerate(KINDS))


def test_images_that_are_no_squares_turn_too(plain: list[ImageRecord]) -> None:
    wide = [record(100 + number, texture(100 + number, (240, 120))) for number in range(20)]
    turned = record(120, texture(103, (240, 120)).transpose(TURNS.ROTATE_270))
    assert altered_pairs([*plain, *wide, turned], range(101)) == [(83, 100)]


def test_what_looks_alike_is_no_copy() -> None:
    """One plain object that all images show, a little different in each: of their pairs hardly any is called a copy."""

    def look_alike(seed: int) -> Image.Image:
        rng = np.random.default_rng(seed)
        image = Image.new("L", (SIDE, SIDE), 200)
        shift = rng.uniform(-2, 2, 4)
        ImageDraw.Draw(image).ellipse((*(30 + shift[:2]), *(120 + shift[2:])), fill=int(rng.integers(40, 90)))
        ImageDraw.Draw(image).polygon([(0, 0), (25 + shift[0], 0), (0, 25 + shift[1])], fill=0)
        return Image.fromarray(np.clip(np.asarray(image) + rng.normal(0, 3, (SIDE, SIDE)), 0, 255).astype(np.uint8))

    alike = [record(number, look_alike(number)) for number in range(60)]
    assert len(altered_pairs(alike, range(60))) <= 0.01 * 60 * 59 / 2


@pytest.mark.parametrize("picture", [lambda n: Image.new("L", (90, 90), n), lambda n: Image.linear_gradient("L")])
def test_images_without_structure_are_never_copies(picture: Callable[[int], Image.Image]) -> None:
    records = [replace(record(number, picture(number)), pixel_hash=str(number)) for number in range(30)]
    assert altered_pairs(records, range(30)) == []


def test_few_images() -> None:
    one, other = record(0, texture(0)), record(1, ImageOps.mirror(texture(0)))
    assert altered_pairs([], []) == altered_pairs([one], [0]) == []
    assert altered_pairs([one, other], [0, 1]) == [(0, 1)]
    assert altered_pairs([one, replace(other, sketch="")], [0, 1]) == []  # of an older scan


def test_sketches_are_cosine_transforms() -> None:
    """A picture of one product of waves has one coefficient, whose unit is the picture's spread in gray levels."""
    waves = cosines(5)
    pixels = 128 + 40 * SKETCH_SIDE * np.outer(waves[2], waves[4])
    image = Image.fromarray(pixels.astype(np.float32)).resize((256, 256), Image.Resampling.NEAREST).convert("L")
    (sketch,) = read_sketches([fingerprint(image).sketch])
    assert sketch[2, 4] == pytest.approx(40, rel=0.015)
    sketch[2, 4] = 0
    assert np.abs(sketch).max() < 0.5


def test_altered_copies_stay_on_one_side(plain: list[ImageRecord]) -> None:
    mirrored = [record(80 + number, ImageOps.mirror(texture(number))) for number in range(20)]
    catalog = catalog_of([*plain, *mirrored])
    config = RunConfig(data="x")
    split = make_split(catalog, config)
    part_of = {index: name for name in SPLIT_NAMES for index in split.of(name)}
    assert all(part_of[number] == part_of[80 + number] for number in range(20))
    assert split.notices[0].values == {"exact": 0, "near": 0, "altered": 20, "torn": 0}
    held = hold_out(catalog, 0.3, config)
    assert all((number in held.train) == (80 + number in held.train) for number in range(20))


def test_altered_copies_across_a_split_are_leaks(plain: list[ImageRecord]) -> None:
    splits = ["train"] * 50 + ["val"] * 15 + ["test"] * 15
    records = [replace(one, split=split) for one, split in zip(plain, splits, strict=True)]
    records.append(record(80, texture(70).transpose(TURNS.ROTATE_90), split="train"))
    split = make_split(catalog_of(records), RunConfig(data="x", drop_leaks=True))
    (leak,) = split.leaks
    assert (leak.kind, leak.path_a, leak.where_b) == ("altered", "class0/080.png", "test")
    assert split.dropped == (80,)


def test_more_images_than_can_be_searched_are_told(plain: list[ImageRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    records = [*plain, replace(plain[0], path="again.png", pixel_hash="ff")]
    assert altered_pairs(records, range(len(records)))
    for module in ("altered", "split"):
        monkeypatch.setattr(f"svertka.data.{module}.MOST", len(records) - 1)
    assert not altered_pairs(records, range(len(records)))
    codes = [notice.code for notice in make_split(catalog_of(records), RunConfig(data="x")).notices]
    assert "altered_not_searched" in codes
