"""The section about the data: counts, samples, rejected files, leaks, labels that look wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

from svertka.messages.translator import Translator
from svertka.report.thumbnails import Thumbnail, thumbnails
from svertka.schema import SPLIT_NAMES, Catalog, Leak, Rejection, RunRecord

_CLASSES_WITH_SAMPLES = 12
_SAMPLES_A_CLASS = 6
_SAMPLE_PX = 128
_DOUBTS_SHOWN = 12
_ROWS_SHOWN = 50
_CLASS_ROWS_SHOWN = 200
_BALANCED = 1.5


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassRow:
    """Images of one class: counts by split in the order train, val, test, and the bar's parts in percent."""

    name: str
    counts: tuple[int, ...]
    total: int
    starts: tuple[float, ...]
    widths: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One picture of a gallery."""

    picture: Thumbnail
    alt: str
    problem: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleRow:
    """Sample images of one class."""

    name: str
    count: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class DoubtView:
    """A label that looks wrong: the image, its label, and the class that it looks like, how surely."""

    sample: Sample
    path: str
    label: str
    likely: str
    probability: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSection:
    """All that the section shows. Lists are cut to what a person reads; the counts are whole."""

    summary: str
    balance: str
    classes: tuple[ClassRow, ...]
    classes_left_out: int
    totals: tuple[int, ...]
    samples: tuple[SampleRow, ...]
    samples_note: str
    rejected: tuple[tuple[str, str, str], ...]
    rejected_more: int
    leaks: tuple[Leak, ...]
    leaks_more: int
    doubts: tuple[DoubtView, ...]
    doubts_more: int


def make_data_section(tr: Translator, run: RunRecord) -> DataSection:
    """Builds the section; reads sample images from disk."""
    rows, totals = _class_rows(run)
    most = tr.shown_of(len(rows), _CLASS_ROWS_SHOWN)
    shown, note = _sampled_classes(tr, run.catalog)
    pairs = (*run.split.leaks, *run.split.conflicts)
    files, leaks = (tr.shown_of(len(each), _ROWS_SHOWN) for each in (run.catalog.rejected, pairs))
    return DataSection(
        summary=tr(
            "data.summary",
            n=len(run.catalog.records),
            classes=tr("data.classes", n=len(run.catalog.class_names)),
            layout=tr(f"data.layout.{run.catalog.layout.replace(' ', '_')}"),
        ),
        balance=_balance(tr, rows),
        classes=rows[:most],
        classes_left_out=len(rows) - most,
        totals=totals,
        samples=_sample_rows(tr, run, shown),
        samples_note=note,
        rejected=tuple(_rejection(tr, file) for file in run.catalog.rejected[:files]),
        rejected_more=len(run.catalog.rejected) - files,
        leaks=pairs[:leaks],
        leaks_more=len(pairs) - leaks,
        doubts=_doubts(tr, run),
        doubts_more=max(0, len(run.doubts) - _DOUBTS_SHOWN),
    )


def _doubts(tr: Translator, run: RunRecord) -> tuple[DoubtView, ...]:
    shown = run.doubts[:_DOUBTS_SHOWN]
    files = [run.catalog.root / doubt.path for doubt in shown]
    return tuple(
        DoubtView(
            sample=Sample(
                picture=picture,
                alt=tr("data.samples.alt", name=doubt.label, path=doubt.path),
                problem=picture_problem(tr, picture),
            ),
            path=doubt.path,
            label=doubt.label,
            likely=doubt.likely,
            probability=tr.percent(doubt.probability),
        )
        for doubt, picture in zip(shown, thumbnails(files, _SAMPLE_PX, run.config.max_megapixels), strict=True)
    )


def _class_rows(run: RunRecord) -> tuple[tuple[ClassRow, ...], tuple[int, ...]]:
    counts = [[0] * len(SPLIT_NAMES) for _ in run.catalog.class_names]
    for column, name in enumerate(SPLIT_NAMES):
        for index in run.split.of(name):
            counts[run.catalog.records[index].label][column] += 1
    longest = max((sum(row) for row in counts), default=0) or 1
    rows = tuple(
        ClassRow(
            name=name,
            counts=tuple(row),
            total=sum(row),
            starts=tuple(round(100 * sum(row[:column]) / longest, 2) for column in range(len(row))),
            widths=tuple(round(100 * part / longest, 2) for part in row),
        )
        for name, row in zip(run.catalog.class_names, counts, strict=True)
    )
    return rows, tuple(sum(row[column] for row in counts) for column in range(len(SPLIT_NAMES)))


def _balance(tr: Translator, rows: Sequence[ClassRow]) -> str:
    if not rows:
        return ""
    large, small = max(rows, key=lambda row: row.total), min(rows, key=lambda row: row.total)
    if not small.total:
        return tr("data.balance.empty", small=tr.quoted(small.name))
    ratio = large.total / small.total
    if ratio < _BALANCED:
        return tr("data.balance.even")
    return tr(
        "data.balance.uneven",
        large=tr.quoted(large.name),
        small=tr.quoted(small.name),
        ratio=tr.decimal(ratio, 1),
    )


def _sampled_classes(tr: Translator, catalog: Catalog) -> tuple[tuple[int, ...], str]:
    """Labels of the classes to show: all, or the first ones with a note that says so."""
    total = len(catalog.class_names)
    if total <= _CLASSES_WITH_SAMPLES:
        return tuple(range(total)), ""
    return tuple(range(_CLASSES_WITH_SAMPLES)), tr("data.samples.cut", n=total, shown=_CLASSES_WITH_SAMPLES)


def _sample_rows(tr: Translator, run: RunRecord, labels: Sequence[int]) -> tuple[SampleRow, ...]:
    """Images at even distances through each class, in file order: the same ones every time."""
    catalog = run.catalog
    members: dict[int, list[int]] = {label: [] for label in labels}
    for index, record in enumerate(catalog.records):
        if record.label in members:
            members[record.label].append(index)
    chosen = {label: [catalog.records[index] for index in _evenly(found)] for label, found in members.items()}
    files = [catalog.file(record) for label in labels for record in chosen[label]]
    pictures = iter(thumbnails(files, _SAMPLE_PX, run.config.max_megapixels, catalog.ranges))
    return tuple(
        SampleRow(
            name=catalog.class_names[label],
            count=tr("data.images", n=len(members[label])),
            samples=tuple(
                Sample(
                    picture=(picture := next(pictures)),
                    alt=tr("data.samples.alt", name=catalog.class_names[label], path=record.path),
                    problem=picture_problem(tr, picture),
                )
                for record in chosen[label]
            ),
        )
        for label in labels
    )


def _evenly(indices: Sequence[int]) -> list[int]:
    if len(indices) <= _SAMPLES_A_CLASS:
        return list(indices)
    step = len(indices) / _SAMPLES_A_CLASS
    return [indices[int(step * (place + 0.5))] for place in range(_SAMPLES_A_CLASS)]


def picture_problem(tr: Translator, picture: Thumbnail) -> str:
    """Words for the tile of an image that cannot be shown; empty where it can."""
    return tr.known("picture", picture.reason, tr("picture.unreadable")) if picture.reason else ""


def _rejection(tr: Translator, file: Rejection) -> tuple[str, str, str]:
    return file.path, tr.known("reject", file.reason), file.detail
