"""The section about what the network looks at, and the reasons to doubt it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from svertka.data import decode
from svertka.errors import ImageRejected
from svertka.messages.translator import Translator
from svertka.report.charts import Chart, LegendEntry
from svertka.report.dataset import Sample, picture_problem
from svertka.report.explained import ExplainedView, make_explained
from svertka.report.thumbnails import Thumbnail
from svertka.schema import FeatureMap, Patch, Preprocess, RunRecord, SanityCheck, ShortcutProbe, StagePatches
from svertka.viz.drawing import AMBER, BLUE, GREEN, LINE, ORANGE, PINK
from svertka.viz.heatmap import bar_style, data_address
from svertka.viz.line_chart import Dot, Line, Panel

_PATCH_PX = 112
_CLASS_COLOURS = (BLUE, GREEN, PINK, AMBER)  # orange is kept for wrong answers
_PAIRS_SHOWN = 5

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchesView:
    """One stage: its level and what that is, how much of the image a number sees, and rows of patches by channel."""

    title: str
    body: str
    rows: tuple[tuple[str, tuple[Sample, ...]], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShortcutView:
    """One probe: what it sees, its two figures each with an interval, images behind them, what that means, pairs."""

    sees: str
    accuracy: tuple[str, str]
    roc_auc: tuple[str, str]
    n: str
    verdict: str
    near: bool
    pairs: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Seeing:
    """All that the section shows."""

    examples: tuple[ExplainedView, ...]
    patches: tuple[PatchesView, ...]
    map: Chart | None
    sanity: tuple[tuple[str, str, str, str, bool], ...]
    sanity_finding: str
    shortcuts: tuple[ShortcutView, ...]
    bar: str


@dataclass(slots=True)
class _Images:
    """Prepared images of a run, read once; one that is gone or damaged is a reason."""

    root: Path
    preprocess: Preprocess
    max_pixels: int
    known: dict[str, Pixels | str] = field(default_factory=dict)

    def of(self, path: str) -> Pixels | str:
        if path not in self.known:
            try:
                file = self.root / path
                here = file.is_file()
                self.known[path] = decode.load(file, self.preprocess, max_pixels=self.max_pixels) if here else "missing"
            except ImageRejected as rejected:
                self.known[path] = rejected.reason
        return self.known[path]


def make_seeing(tr: Translator, run: RunRecord) -> Seeing | None:
    """Builds the section; reads its images from disk. None for a run without an insight."""
    insight = run.insight
    if insight is None:
        return None
    images = _Images(run.catalog.root, insight.preprocess, round(run.config.max_megapixels * 1e6))
    names = run.catalog.class_names
    examples = []
    for one in insight.examples:
        image = images.of(one.path)
        gone = image if isinstance(image, str) else ""
        problem = picture_problem(tr, Thumbnail(source="", reason=gone))
        examples.append(make_explained(tr, one, names, None if isinstance(image, str) else image, problem))
    return Seeing(
        examples=tuple(examples),
        patches=tuple(_patches(tr, stage, images) for stage in insight.patches),
        map=_map(tr, insight.feature_map, names) if insight.feature_map else None,
        sanity=tuple(_sanity_row(tr, check) for check in insight.sanity),
        sanity_finding=_sanity_finding(tr, insight.sanity),
        shortcuts=tuple(_shortcut_row(tr, probe) for probe in insight.shortcuts),
        bar=bar_style(),
    )


def _patches(tr: Translator, stage: StagePatches, images: _Images) -> PatchesView:
    sees = (
        tr("seeing.patches.whole")
        if not stage.field_px or stage.field_px >= images.preprocess.size_px
        else tr("seeing.patches.part", n=stage.field_px)
    )
    return PatchesView(
        title=tr(f"level.{stage.level}.title"),
        body=f"{tr(f'level.{stage.level}.body')} {sees}",
        rows=tuple(
            (
                tr("seeing.patches.channel", channel=str(channel)),
                tuple(_patch(tr, one, images) for one in patches),
            )
            for channel, patches in stage.channels.items()
        ),
    )


def _patch(tr: Translator, patch: Patch, images: _Images) -> Sample:
    image = images.of(patch.path)
    alt = tr("seeing.patches.alt", path=patch.path)
    if isinstance(image, str):
        thumbnail = Thumbnail(source="", reason=image)
        return Sample(picture=thumbnail, alt=alt, problem=picture_problem(tr, thumbnail))
    top, left, bottom, right = patch.box
    crop = Image.fromarray(image[top:bottom, left:right]).resize((_PATCH_PX, _PATCH_PX), Image.Resampling.BICUBIC)
    return Sample(picture=Thumbnail(source=data_address(crop)), alt=alt, problem="")


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
        reading=tr("seeing.map.reading", value=tr.decimal(found.trustworthiness, 2)),
        panel=Panel(lines=list(lines.values()), x_label="", y_label="", x_ticks=(), y_ticks=()),
        legend=legend,
    )


# --- doubts -----------------------------------------------------------------------------------------------------


def _sanity_row(tr: Translator, check: SanityCheck) -> tuple[str, str, str, str, bool]:
    return (
        tr(f"explain.method.{check.method}"),
        tr(f"seeing.sanity.{check.shuffled}"),
        f"{tr.decimal(check.correlation, 2)} ± {tr.decimal(2 * check.standard_error, 2)}",
        tr.count(check.n),
        check.passed,
    )


def _sanity_finding(tr: Translator, checks: Sequence[SanityCheck]) -> str:
    failed = sorted({tr(f"explain.method.{check.method}") for check in checks if not check.passed})
    return tr("seeing.sanity.failed", names=failed) if failed else tr("seeing.sanity.passed")


def _shortcut_row(tr: Translator, probe: ShortcutProbe) -> ShortcutView:
    accuracy, auc = (
        ("–", "") if one is None else (tr.metric(name, one.value), tr.interval(name, one))
        for name, one in (("accuracy", probe.accuracy), ("roc_auc", probe.roc_auc))
    )
    return ShortcutView(
        sees=tr(f"shortcut.{probe.name}"),
        accuracy=accuracy,
        roc_auc=auc,
        n="–" if probe.accuracy is None else tr.count(probe.accuracy.n),
        verdict=tr.known("shortcut_verdict", probe.verdict),
        near=probe.verdict == "near the model",
        pairs="; ".join(
            tr(
                "seeing.shortcuts.pair",
                first=tr.quoted(pair.first),
                second=tr.quoted(pair.second),
                value=tr.decimal(pair.roc_auc.value),
            )
            for pair in probe.pairs[:_PAIRS_SHOWN]
        )
        + (" …" if len(probe.pairs) > _PAIRS_SHOWN else ""),
    )
