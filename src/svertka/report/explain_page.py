"""The page of ``svertka explain``: maps over images, the hierarchy of features, the first filters."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from svertka.messages.translator import Translator
from svertka.report.explained import drawn, make_explained, top_of
from svertka.report.templating import make_environment, write_page
from svertka.report.thumbnails import Thumbnail
from svertka.schema import Explanation, FeatureLevel
from svertka.util.atomic_files import read_head
from svertka.viz.heatmap import data_address, feature_tile, filter_tile, tile_sheet, with_bar

_TILES, _TILE_PX = 8, 112
_FILTER_PX, _FILTER_COLUMNS = 40, 16

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]

PAGE, FILTERS = "index.html", "first-layer-filters.png"
GENERATOR = "svertka explain"
"""By which a folder that an earlier call has made is known again."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Activations:
    """The most active channels of one stage for one image: [C, H, W] and their numbers; 0 px sees the whole image."""

    stage: int
    level: FeatureLevel
    channels: int
    field_px: int
    numbers: tuple[int, ...]
    maps_CHW: Plane


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Explained:
    """One image, all that was found in it, and the name of its pictures."""

    name: str
    image_SSC: Pixels
    explanation: Explanation
    stages: tuple[Activations, ...]


def write_explanation(
    folder: Path,
    images: Sequence[Explained],
    *,
    class_names: tuple[str, ...],
    bundle: str,
    filters_OCKL: Plane | None,
    networks: int = 1,
    skipped: Sequence[tuple[str, str]] = (),
    language: str = "en",
) -> Path:
    """Writes the page and its pictures into a folder that exists.

    Args:
        folder: of the page; files of an earlier call are overwritten.
        images: in the order of the page.
        class_names: of the model.
        bundle: its name.
        filters_OCKL: of the first convolution, if it sees three colours.
        networks: that the model is the mean of; stages and filters are of the first.
        skipped: files that could not be read: path and reason code.
        language: ``"en"`` or ``"ru"``.

    Returns:
        The path of the page.
    """
    tr = Translator(language)
    shown = []
    for one in images:
        _save_maps(folder, one)
        view = make_explained(tr, one.explanation, class_names, one.image_SSC)
        shown.append((view, [_stage(tr, folder, one, stage) for stage in one.stages]))
    html = (
        make_environment(tr, html=True)
        .get_template("explanation.html.j2")
        .render(
            images=shown,
            bundle=bundle,
            networks=networks,
            filters=None if filters_OCKL is None else _filters(tr, folder, filters_OCKL),
            n_filters=0 if filters_OCKL is None else len(filters_OCKL),
            skipped=skipped,
            generator=GENERATOR,
        )
    )
    return write_page(html, folder / PAGE)


def is_explanation(folder: Path) -> bool:
    """Whether a folder holds a page that ``write_explanation`` made."""
    try:
        return GENERATOR.encode() in read_head(folder / PAGE, 1000)
    except OSError:
        return False


def _save_maps(folder: Path, one: Explained) -> None:
    Image.fromarray(one.image_SSC).save(folder / f"{one.name}.png")
    ranks: dict[str, int] = {}
    for heat in one.explanation.heats:
        rank = ranks[heat.method] = ranks.get(heat.method, 0) + 1
        top = f"{max(0.0, top_of(one.explanation, heat.method)):.1f}"
        method = heat.method.replace("_", "-")
        with_bar(drawn(one.explanation, heat, one.image_SSC), top).save(folder / f"{one.name}-{method}-{rank}.png")


def _stage(tr: Translator, folder: Path, one: Explained, stage: Activations) -> tuple[str, str, Thumbnail]:
    """Of one stage for one image: its level, a line of words, and the strip of its most active channels."""
    strip = tile_sheet([feature_tile(plane) for plane in stage.maps_CHW], _TILES, _TILE_PX)
    strip.save(folder / f"{one.name}-stage{stage.stage}.png", optimize=True)
    sees = tr("explain.stages.sees", n=stage.field_px) if stage.field_px else tr("explain.stages.whole")
    line = tr(
        "explain.stages.stage", number=str(stage.stage), channels=stage.channels, size=str(stage.maps_CHW.shape[1])
    )
    alt = tr(
        "explain.stages.alt",
        channels=", ".join(map(str, stage.numbers)),
        number=str(stage.stage),
        path=one.explanation.path,
    )
    return stage.level, f"{line}; {sees}.", Thumbnail(alt=alt, source=data_address(strip))


def _filters(tr: Translator, folder: Path, filters_OCKL: Plane) -> Thumbnail:
    sheet = tile_sheet([filter_tile(one) for one in filters_OCKL], _FILTER_COLUMNS, _FILTER_PX)
    sheet.save(folder / FILTERS, optimize=True)
    return Thumbnail(alt=tr("explain.filters.alt"), source=data_address(sheet, "PNG"))
