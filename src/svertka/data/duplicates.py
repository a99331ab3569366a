"""Finds records that show the same image, exactly or nearly (re-encoded, scaled, brightened), and leaks across a split.

Near means both: the 64-bit difference hashes differ in few bits, and so do the 256-bit detail hashes (see
``fingerprint``). Images without enough structure to be told apart (flat, or a plain gradient: nearly all bits of the
difference hash alike) are never near: otherwise one chain would tie all of them together. For the same reason images
of at most ``SMALL_PX`` are compared for equality only.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from svertka.schema import Catalog, ImageRecord, Leak, SplitName

SMALL_PX = 32
"""Up to this shorter side, one cell of the detail hash is two pixels at most, and what looks alike need not be the
same: among MNIST's digits, 5,000 of them, 18,931 pairs would count as one image."""
DETAIL_BITS = 32  # of 256; the valley between same and look-alike, see ``fingerprint``
_MIN_BITS_EITHER_WAY = 6  # of 64
_CHUNK_PAIRS = 1_000_000  # 8 MB of XORs at once
_STRICTNESS: dict[SplitName, int] = {"train": 0, "val": 1, "test": 2}


def exact_pairs(records: Sequence[ImageRecord]) -> list[tuple[int, int]]:
    """Pairs (first, other) of records with equal pixels: n equal images make n - 1 pairs."""
    first: dict[str, int] = {}
    pairs = []
    for index, record in enumerate(records):
        known = first.setdefault(record.pixel_hash, index)
        if known != index:
            pairs.append((known, index))
    return pairs


def near_pairs(records: Sequence[ImageRecord], max_bits: int) -> list[tuple[int, int]]:
    """All pairs i < j of different images that look the same. Cost: 26,000 images take about a second.

    Exact copies stand for each other, so only the first of them is compared.
    """
    candidates = np.array(
        [index for index in comparable(records) if _has_structure(records[index].perceptual_hash)], dtype=np.int64
    )
    if len(candidates) < 2:
        return []
    hashes = np.array([records[index].perceptual_hash for index in candidates], dtype=np.uint64)
    pairs = []
    for rows, columns in _close_rows(hashes, max_bits):
        for i, j in zip(candidates[rows].tolist(), candidates[columns].tolist(), strict=True):
            if (records[i].detail_hash ^ records[j].detail_hash).bit_count() <= DETAIL_BITS:
                pairs.append((i, j))
    return pairs


def comparable(records: Sequence[ImageRecord]) -> list[int]:
    """Images to compare for more than equality: of exact copies the first, and no small ones."""
    firsts = {record.pixel_hash: index for index, record in reversed(list(enumerate(records)))}.values()
    return sorted(index for index in firsts if not is_small(records[index]))


def is_small(record: ImageRecord) -> bool:
    """Whether an image is too small for its hashes to tell it from others of its kind."""
    return min(record.width_px, record.height_px) <= SMALL_PX


def _has_structure(perceptual_hash: int) -> bool:
    return _MIN_BITS_EITHER_WAY <= perceptual_hash.bit_count() <= 64 - _MIN_BITS_EITHER_WAY


def _close_rows(hashes: NDArray[np.uint64], max_bits: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yields index arrays (i, j), i < j, of hashes within ``max_bits``, a chunk of rows at a time."""
    count = len(hashes)
    rows_at_once = max(1, _CHUNK_PAIRS // count)
    for start in range(0, count, rows_at_once):
        stop = min(start + rows_at_once, count)
        distance = np.bitwise_count(hashes[start:stop, None] ^ hashes[None, start:])
        i, j = np.nonzero(distance <= max_bits)
        after = i < j
        yield i[after] + start, j[after] + start


def find_leaks(
    records: Sequence[ImageRecord],
    parts: dict[SplitName, list[int]],
    exact: list[tuple[int, int]],
    near: list[tuple[int, int]],
    altered: list[tuple[int, int]],
    groups: Sequence[str | None],
) -> tuple[Leak, ...]:
    """Lists each image that has its like in a stricter part (train < val < test), once for each such part.

    ``path_a`` is the image in the laxer part (the one that ``drop_leaks`` takes out), ``path_b`` its like. Exact
    copies are named before near ones, these before altered ones, and these before groups; an image's leak is listed by
    its strongest kind.
    """
    part_of = {index: name for name, indices in parts.items() for index in indices}
    found: dict[tuple[int, SplitName], Leak] = {}

    def note(kind: Literal["exact", "near", "altered", "group"], alike: list[int], others: list[int]) -> None:
        first_of_each_part = {part_of[index]: index for index in reversed(others)}
        for a in alike:
            for part_b, b in first_of_each_part.items():
                if _STRICTNESS[part_of[a]] < _STRICTNESS[part_b] and (a, part_b) not in found:
                    found[a, part_b] = Leak(
                        kind=kind, path_a=records[a].path, where_a=part_of[a], path_b=records[b].path, where_b=part_b
                    )

    copies: dict[str, list[int]] = defaultdict(list)
    for index in sorted({index for pair in (*exact, *near, *altered) for index in pair}):
        copies[records[index].pixel_hash].append(index)
    for same in copies.values():
        note("exact", same, same)
    kinds: tuple[tuple[Literal["near", "altered"], list[tuple[int, int]]], ...] = (("near", near), ("altered", altered))
    for kind, pairs in kinds:
        for a, b in pairs:
            ones, others = copies[records[a].pixel_hash], copies[records[b].pixel_hash]
            note(kind, ones, others)
            note(kind, others, ones)
    members: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        if group is not None:
            members[group].append(index)
    for together in members.values():
        note("group", together, together)
    return tuple(found.values())


def find_conflicts(catalog: Catalog, exact: list[tuple[int, int]]) -> tuple[Leak, ...]:
    """Lists pairs of the same image under two labels; ``where_a`` and ``where_b`` are the classes."""
    records, names = catalog.records, catalog.class_names
    return tuple(
        Leak(
            kind="label conflict",
            path_a=records[a].path,
            where_a=names[records[a].label],
            path_b=records[b].path,
            where_b=names[records[b].label],
        )
        for a, b in exact
        if records[a].label != records[b].label
    )
