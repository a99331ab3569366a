"""Explanations: what the network looks at, and the reasons to doubt it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from svertka.data import decode
from svertka.errors import ImageRejected
from svertka.messages.translator import Translator
from svertka.report.charts import Chart, LegendEntry
from svertka.report.explained import ExplainedView, make_explained
from svertka.report.thumbnails import Thumbnail
from svertka.schema import FeatureMap, Patch, Preprocess, RunRecord, SanityCheck, ShortcutProbe, StagePatches
from svertka.viz.drawing import AMBER, BLUE, GREEN, LINE, ORANGE, PINK
from svertka.viz.heatmap import data_address
from svertka.viz.line_chart import Dot, Line, Panel

_PATCH_PX = 112
_CLASS_COLOURS = (BLUE, GREEN, PINK, AMBER)  # orange is kept for wrong answers
_PAIRS_SHOWN = 5

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class Seeing:
    """All that the section shows beside the insight's own figures."""

    examples: Sequence[ExplainedView]
    patches: Sequence[tuple[StagePatches, str, Mapping[int, Sequence[Thumbnail]]]]
    """Stage, how much of the image one number sees, and its patches by channel."""
    map: Chart | None
    sanity_finding: str
    shortcuts: Sequence[tuple[ShortcutProbe, str]]
    """Probes with the pairs of classes that they tell apart."""


def make_seeing(tr: Translator, run: RunRecord) -> Seeing | None:
    """Builds the section; reads its images from disk. None for a run without an insight."""
    insight = run.insight
    if insight is None:
        return None
    names = run.catalog.class_names

    @cache
    def prepared(path: str) -> Pixels | str:
        """An image as the network sees it, or the reason why it is gone or damaged."""
        file = run.catalog.root / path
        try:
            max_pixels = round(run.config.max_megapixels * 1e6)
            return decode.load(file, insight.preprocess, max_pixels=max_pixels) if file.is_file() else "missing"
        except ImageRejected as rejected:
            return rejected.reason

    return Seeing(
        examples=[make_explained(tr, one, names, prepared(one.path)) for one in insight.examples],
        patches=[
            (
                stage,
                _seen(tr, stage, insight.preprocess),
                {
                    channel: [_patch(tr, one, prepared(one.path)) for one in found]
                    for channel, found in stage.channels.items()
                },
            )
            for stage in insight.patches
        ],
        map=_map(tr, insight.feature_map, names) if insight.feature_map else None,
        sanity_finding=_sanity_finding(tr, insight.sanity),
        shortcuts=[(probe, _pairs(tr, probe)) for probe in insight.shortcuts],
    )


def _seen(tr: Translator, stage: StagePatches, preprocess: Preprocess) -> str:
    whole = not stage.field_px or stage.field_px >= preprocess.size_px
    return tr("seeing.patches.whole") if whole else tr("seeing.patches.part", n=stage.field_px)


def _patch(tr: Translator, patch: Patch, image: Pixels | str) -> Thumbnail:
    alt = tr("seeing.patches.alt", path=patch.path)
    if isinstance(image, str):
        return Thumbnail(alt=alt, reason=image)
    top, left, bottom, right = patch.box
    crop = Image.fromarray(image[top:bottom, left:right]).resize((_PATCH_PX, _PATCH_PX), Image.Resampling.BICUBIC)
    return Thumbnail(alt=alt, source=data_address(crop))


# --- the map of the features ------------------------------------------------------------------------------------


def _map(tr: Translator, found: FeatureMap, names: Sequence[str]) -> Chart:
    """Every test image as a dot: coloured by class where there are few, and those that are named wrongly on top."""
    few = len(names) <= len(_CLASS_COLOURS)
    colours = _CLASS_COLOURS[: len(names)] if few else (LINE,) * len(names)
    dots: dict[str, list[Dot]] = {colour: [] for colour in [*colours, ORANGE]}
    for x, y, label, said, path in zip(found.x, found.y, found.labels, found.predicted, found.paths, strict=True):
        wrong = label != said
        title = f"{path}: {names[label]}" + (f" → {names[said]}" if wrong else "")
        dots[ORANGE if wrong else colours[label]].append(
            Dot(x=x, y=y, radius=3.6 if wrong else 2.6, title=title, edge=wrong)
        )
    wrong_count = len(dots[ORANGE])
    lines = {
        colour: Line(name="", points=[(dot.x, dot.y) for dot in members], colour=colour, width=0, dots=members)
        for colour, members in dots.items()
    }
    legend = [LegendEntry(line=lines[colour], name=name, value="") for colour, name in zip(colours, names, strict=True)]
    if not few:
        legend = [LegendEntry(line=lines[LINE], name=tr("seeing.map.right"), value="")]
    legend.append(LegendEntry(line=lines[ORANGE], name=tr("seeing.map.wrong"), value=tr.count(wrong_count)))
    return Chart(
        id="feature-map",
        title=tr("seeing.map.title"),
        finding=tr("seeing.map.finding", n=len(found.x), wrong=wrong_count),
        reading=tr("seeing.map.reading", value=found.trustworthiness),
        panel=Panel(lines=list(lines.values()), x_label="", y_label="", x_ticks=(), y_ticks=()),
        legend=legend,
    )


# --- doubts -----------------------------------------------------------------------------------------------------


def _sanity_finding(tr: Translator, checks: Sequence[SanityCheck]) -> str:
    failed = sorted({tr(f"explain.method.{check.method}") for check in checks if not check.passed})
    return tr("seeing.sanity.failed", names=failed) if failed else tr("seeing.sanity.passed")


def _pairs(tr: Translator, probe: ShortcutProbe) -> str:
    """The pairs of classes that a probe tells apart, the first of many."""
    shown = [
        tr(
            "seeing.shortcuts.pair",
            first=tr.quoted(pair.first),
            second=tr.quoted(pair.second),
            value=pair.roc_auc.value,
        )
        for pair in probe.pairs[:_PAIRS_SHOWN]
    ]
    return "; ".join(shown) + (" …" if len(probe.pairs) > _PAIRS_SHOWN else "")
