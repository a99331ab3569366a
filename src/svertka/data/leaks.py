"""What stands on two sides of a split that should stand on one, and what bears two labels."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from svertka.schema import Catalog, ImageRecord, Leak, SplitName

_STRICTNESS: dict[SplitName, int] = {"train": 0, "val": 1, "test": 2}


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
        for a in alike:
            for part_b, b in _first_of_each_part(others, part_of).items():
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


def _first_of_each_part(indices: list[int], part_of: dict[int, SplitName]) -> dict[SplitName, int]:
    return {part_of[index]: index for index in reversed(indices)}


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
