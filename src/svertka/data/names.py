"""Suggests groups from file names: ``module3_cell12.png`` and ``module3_cell13.png`` are probably of one module.

A word with a number (``patient12``, ``scene-04``), or a number in front of another (``12_0034``), names a group if many
files share it. Nothing is grouped by it; the pattern is proposed to who knows what the names mean.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from svertka.schema import ImageRecord, Notice

_LOOKED_AT = 300  # names from which patterns are made
_COVERED = 0.95  # of the names
_SHARED = 0.8  # of the images are in groups of several
_LARGEST = 0.5  # of the images in one group
_FEWEST = 4
_IN_EACH_CLASS = 3  # or else the number says the class
_RUNNING = frozenset(
    "cell copy crop dsc dscn file frame image img n no nr num part patch photo pic picture sample tile v x y z".split()
)
"""Words before running numbers, places and versions."""

_NUMBERED = re.compile(r"([^\W\d_]*)([-_ .]?)(\d+)")


def suggest_groups(records: Sequence[ImageRecord]) -> Notice | None:
    """The first pattern, from the left of the names, that splits the files into groups of several."""
    names = [PurePosixPath(record.path).name for record in records]
    labels = [record.label for record in records]
    for pattern in _patterns(names):
        found = _groups(re.compile(pattern), names, labels)
        if found:
            return Notice(
                "groups_suggested",
                {"regex": pattern, "groups": len(found), "images": len(names), "example": next(iter(found))},
                level="warning",
            )
    return None


def _patterns(names: Sequence[str]) -> Iterable[str]:
    """Patterns that the names suggest, those at their beginning first."""
    places: dict[str, list[int]] = defaultdict(list)
    for name in names[:: max(1, len(names) // _LOOKED_AT)]:
        stem = PurePosixPath(name).stem
        for place, match in enumerate(_NUMBERED.finditer(stem)):
            word, between, _ = match.groups()
            if word and word.lower() not in _RUNNING:
                anchor = "^" if match.start() == 0 else r"(?<![^\W\d_])"
                places[rf"{anchor}({re.escape(word)}{re.escape(between)}\d+)"].append(place)
            elif match.start() == 0 and not word and re.fullmatch(r"\d+[-_ ]\D*\d+\D*", stem):
                places[rf"^(\d+){re.escape(stem[match.end()])}"].append(place)
    return sorted(places, key=lambda pattern: (sum(places[pattern]) / len(places[pattern]), -len(places[pattern])))


def _groups(pattern: re.Pattern[str], names: Sequence[str], labels: Sequence[int]) -> Counter[str] | None:
    """Images of each group, or None where these are no groups."""
    matches = [pattern.search(name) for name in names]
    groups = Counter(match.group(1) for match in matches if match)
    covered = groups.total()
    shared = sum(count for count in groups.values() if count > 1)
    if covered < _COVERED * len(names) or len(groups) < _FEWEST or covered < 2 * len(groups):
        return None
    if shared < _SHARED * covered or max(groups.values()) > _LARGEST * covered:
        return None
    of_class: dict[int, set[str]] = defaultdict(set)
    for match, label in zip(matches, labels, strict=True):
        if match:
            of_class[label].add(match.group(1))
    return groups if all(len(found) >= _IN_EACH_CLASS for found in of_class.values()) else None
