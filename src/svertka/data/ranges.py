"""Chooses black and white for samples deeper than 8 bits, one value range for each mode of a set of images.

It is decided on the images that are learnt from and chosen on. Test images take no part: like any image to come, they
are scaled by what the others have decided, and notices_of about where they leave it. The range of a mode is

1. ``RunConfig.value_range``, where it is set;
2. what its images declare, where all of them declare the same;
3. else the smallest usual range (0 to 1 of floats, 0 to 255, 10, 12, 14 and 16 bits) that holds all of them, if they
   span a fifth of it;
4. else, as with Hounsfield units or kelvins, from their smallest sample to their largest.

A dark image of 16 bits and a bright one of 12 look alike; nothing in them tells which they are. So where many images
keep to a small part of the range, or a few alone make it large, that is notices_of.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import get_args

from svertka.config import RunConfig
from svertka.data.samples import NOTICED, doubts, range_of
from svertka.errors import ConfigError
from svertka.schema import Catalog, DeepMode, ImageRecord, Notice, ValueRange, ValueSpan

_INTEGERS = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
_USUAL: dict[DeepMode, tuple[float, ...]] = {
    "I;16": _INTEGERS,
    "I": _INTEGERS,
    "F": (1.0, *_INTEGERS),
    "RGB;16": _INTEGERS,
}
_LEAST_SPAN = 1 / 5  # of a usual range; ranges of bits follow each other by a factor of 4
_SMALL_PART = 1 / 16  # of the range: what 12 bits are of 16
_FEW = 0.05  # of the images of a mode

_Deep = tuple[str, ValueSpan]
"""Path of an image of deep samples, and what they span."""


def decide(catalog: Catalog, indices: Sequence[int], config: RunConfig) -> Catalog:
    """The catalogue with its ranges, and with notices on them.

    Args:
        catalog: of all images.
        indices: of the records that decide: those that are learnt from and chosen on.
        config: its ``value_range`` goes before what the images say.

    Raises:
        ConfigError: ``value_range`` is set, but no image has samples deeper than 8 bits.
    """
    chosen = _deep(catalog.records[index] for index in indices)
    deep = {mode: found for mode in get_args(DeepMode) if (found := [one for one in chosen if one[1].mode == mode])}
    if config.value_range and not deep:
        raise ConfigError(
            f"value_range is {list(config.value_range)}, but no image has samples deeper than 8 bits, for which alone "
            "it is meant; leave it out."
        )
    ranges, notices = [], []
    for mode, found in deep.items():
        known = _configured(mode, config) or _decided(mode, [span for _, span in found])
        ranges.append(known)
        notices.append(Notice("value_range", {"n": len(found), "mode": mode, "low": known.low, "high": known.high}))
        notices += _doubted(found, known)
    kept = set(indices)
    others = [record for index, record in enumerate(catalog.records) if index not in kept]
    notices += [*misread(catalog.records), *outside(others, ranges)]
    return replace(catalog, ranges=tuple(ranges), notices=(*catalog.notices, *notices))


def outside(records: Sequence[ImageRecord], ranges: Sequence[ValueRange]) -> list[Notice]:
    """What is wrong with scaling images by ranges that others have decided."""
    return notices_of((path, doubts(span, range_of(span, ranges))) for path, span in _deep(records))


def misread(records: Sequence[ImageRecord]) -> list[Notice]:
    """What could not be read as it is stored, whatever the range."""
    return notices_of((record.path, record.notes) for record in records)


def notices_of(notes: Iterable[tuple[str, Sequence[str]]]) -> list[Notice]:
    """What a person should know of images, from their notes (of ``decode``): one notice a kind, the first image named.

    Args:
        notes: of each image, with its path.
    """
    found: dict[str, list[str]] = {code: [] for code in NOTICED}
    for path, codes in notes:
        for code in codes:
            if code in found:
                found[code].append(path)
    return [
        Notice("samples", {"n": len(paths), "first": paths[0], "what": code}, level="warning")
        for code, paths in found.items()
        if paths
    ]


def _deep(records: Iterable[ImageRecord]) -> list[_Deep]:
    return [(one.path, one.span) for one in records if one.span is not None]


def _configured(mode: DeepMode, config: RunConfig) -> ValueRange | None:
    if not config.value_range:
        return None
    low, high = config.value_range
    return ValueRange(mode=mode, low=low, high=high, window=True)


def _decided(mode: DeepMode, spans: Sequence[ValueSpan]) -> ValueRange:
    agreed = spans[0].declared
    if agreed is not None and all(span.declared == agreed for span in spans):
        return ValueRange(mode=mode, low=agreed[0], high=agreed[1])
    low, high = min(span.low for span in spans), max(span.high for span in spans)
    usual = next((top for top in _USUAL[mode] if low >= 0 and high <= top), None)
    if usual is not None and (high - low >= _LEAST_SPAN * usual or high == low):
        return ValueRange(mode=mode, low=0.0, high=usual)
    return ValueRange(mode=mode, low=low, high=high if high > low else low + 1.0)


def _doubted(found: Sequence[_Deep], known: ValueRange) -> list[Notice]:
    """Whether images of different scales seem to have come together, or next to nothing is left of some."""
    part = known.low + _SMALL_PART * (known.high - known.low)
    small = [path for path, span in found if span.low < span.high <= part]
    large = [path for path, span in found if span.high > part]
    notes = [(path, doubts(span, known)) for path, span in found]
    lost = any("lost_in_range" in codes for _, codes in notes)

    if known.window or any(span.declared == (known.low, known.high) for _, span in found):
        return notices_of(notes)
    if small and len(large) <= max(1, _FEW * len(found)) and len(large) < len(small):
        return [
            Notice(
                "value_range_outliers",
                {
                    "n": len(large),
                    "images": len(found),
                    "mode": known.mode,
                    "first": large[0],
                    "part": part,
                    "high": known.high,
                },
                level="warning",
            )
        ]
    if small and (lost or len(small) > _FEW * len(found)):
        return [
            Notice(
                "value_range_mixed",
                {
                    "n": len(small),
                    "images": len(found),
                    "mode": known.mode,
                    "first": small[0],
                    "part": part,
                    "low": known.low,
                    "high": known.high,
                },
                level="warning",
            )
        ]
    return notices_of(notes)
