"""The section about the data: counts, samples, rejected files, leaks, labels that look wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

from svertka.messages.translator import Translator
from svertka.report.thumbnails import Thumbnail, thumbnails
from svertka.schema import SPLIT_NAMES, LabelDoubt, Leak, Rejection, RunRecord

_CLASSES_WITH_SAMPLES = 12
_SAMPLES_A_CLASS = 6
_SAMPLE_PX = 128
_DOUBTS_SHOWN = 12
_ROWS_SHOWN = 50
_CLASS_ROWS_SHOWN = 200
_BALANCED = 1.5


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSection:
    """All that the section shows. Lists are cut to what a person reads; the counts are whole."""

    balance: str
    classes: Sequence[tuple[str, Sequence[int]]]
    """Name and images by split, in the order train, val, test."""
    longest: int
    """Images of the largest class, which has the longest bar."""
    classes_left_out: int
    totals: Sequence[int]
    samples: Sequence[tuple[str, int, Sequence[Thumbnail]]]
    """Class, how many images it has, and some of them."""
    samples_note: str
    rejected: Sequence[Rejection]
    rejected_more: int
    leaks: Sequence[Leak]
    leaks_more: int
    doubts: Sequence[tuple[LabelDoubt, Thumbnail]]
    """Labels that look wrong."""
    doubts_more: int


def make_data_section(tr: Translator, run: RunRecord) -> DataSection:
    """Builds the section; reads sample images from disk."""
    rows = class_counts(run)
    most = tr.shown_of(len(rows), _CLASS_ROWS_SHOWN)
    pairs = (*run.split.leaks, *run.split.conflicts)
    files, leaks = (tr.shown_of(len(each), _ROWS_SHOWN) for each in (run.catalog.rejected, pairs))
    sampled = len(rows) if len(rows) <= _CLASSES_WITH_SAMPLES else _CLASSES_WITH_SAMPLES
    return DataSection(
        balance=_balance(tr, {name: sum(counts) for name, counts in rows}),
        classes=rows[:most],
        longest=max((sum(counts) for _, counts in rows), default=0) or 1,
        classes_left_out=len(rows) - most,
        totals=[len(run.split.of(part)) for part in SPLIT_NAMES],
        samples=_samples(tr, run, sampled),
        samples_note="" if sampled == len(rows) else tr("data.samples.cut", n=len(rows), shown=sampled),
        rejected=run.catalog.rejected[:files],
        rejected_more=len(run.catalog.rejected) - files,
        leaks=pairs[:leaks],
        leaks_more=len(pairs) - leaks,
        doubts=_doubts(tr, run),
        doubts_more=max(0, len(run.doubts) - _DOUBTS_SHOWN),
    )


def class_counts(run: RunRecord) -> list[tuple[str, list[int]]]:
    """Every class with its images by split, in the order train, val, test."""
    counts = [[0] * len(SPLIT_NAMES) for _ in run.catalog.class_names]
    for column, name in enumerate(SPLIT_NAMES):
        for index in run.split.of(name):
            counts[run.catalog.records[index].label][column] += 1
    return list(zip(run.catalog.class_names, counts, strict=True))


def _balance(tr: Translator, totals: dict[str, int]) -> str:
    if not totals:
        return ""
    large, small = max(totals, key=totals.__getitem__), min(totals, key=totals.__getitem__)
    if not totals[small]:
        return tr("data.balance.empty", small=tr.quoted(small))
    ratio = totals[large] / totals[small]
    if ratio < _BALANCED:
        return tr("data.balance.even")
    return tr("data.balance.uneven", large=tr.quoted(large), small=tr.quoted(small), ratio=ratio)


def _samples(tr: Translator, run: RunRecord, classes: int) -> list[tuple[str, int, tuple[Thumbnail, ...]]]:
    """Images at even distances through each of the first classes, in file order: the same ones every time."""
    catalog = run.catalog
    members: list[list[str]] = [[] for _ in catalog.class_names]
    for record in catalog.records:
        members[record.label].append(record.path)
    rows = []
    for name, paths in list(zip(catalog.class_names, members, strict=True))[:classes]:
        files = [(catalog.root / path, tr("data.samples.alt", name=name, path=path)) for path in _evenly(paths)]
        pictures = thumbnails(files, _SAMPLE_PX, run.config.max_megapixels, catalog.ranges)
        rows.append((name, len(paths), pictures))
    return rows


def _evenly(paths: Sequence[str]) -> Sequence[str]:
    if len(paths) <= _SAMPLES_A_CLASS:
        return paths
    step = len(paths) / _SAMPLES_A_CLASS
    return [paths[int(step * (place + 0.5))] for place in range(_SAMPLES_A_CLASS)]


def _doubts(tr: Translator, run: RunRecord) -> list[tuple[LabelDoubt, Thumbnail]]:
    shown = run.doubts[:_DOUBTS_SHOWN]
    files = [
        (run.catalog.root / doubt.path, tr("data.samples.alt", name=doubt.label, path=doubt.path)) for doubt in shown
    ]
    pictures = thumbnails(files, _SAMPLE_PX, run.config.max_megapixels, run.catalog.ranges)
    return list(zip(shown, pictures, strict=True))
