"""What a check found: records without words, which ``wording`` puts into a language and a page can draw."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from svertka.schema import Estimate

Cells = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a counterexample.

    Attributes:
        label: a code, ``course.part.<label>`` of the catalogue, or a name of the solution's own as it is.
        value: a matrix as rows of numbers, a number, a share with its interval, or text.
    """

    label: str
    value: Cells | float | int | str | Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was checked.

    Attributes:
        code: ``course.right.<code>`` of the catalogue where it is right, else ``course.wrong.<code>``.
        values: what fills the sentence.
        example: the smallest counterexample that was found; empty where there is none to show.
    """

    right: bool
    code: str
    values: Mapping[str, object] = field(default_factory=dict)
    example: tuple[Part, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskVerdict:
    """All that was found of one solution, and what the system doesn't limit here while it runs (codes)."""

    task: str
    findings: tuple[Finding, ...]
    unlimited: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether everything is right."""
        return bool(self.findings) and all(finding.right for finding in self.findings)


class Barred(Exception):
    """What was found bars the way to all other checks of a solution."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


def right(code: str, **values: object) -> Finding:
    """A finding of something that is as it should be."""
    return Finding(right=True, code=code, values=values)


def wrong(code: str, *example: Part, **values: object) -> Finding:
    """A finding of something that isn't."""
    return Finding(right=False, code=code, values=values, example=example)


def size_text(shape: Iterable[int]) -> str:
    """The lengths of an array's axes, such as ``3 × 3``."""
    return " × ".join(map(str, shape))


def part(label: str, value: Any) -> Part:
    """A part of a counterexample; an array of up to two dimensions becomes rows of numbers, another its shape."""
    if isinstance(value, np.ndarray):
        if value.ndim > 2:
            return Part(label, size_text(value.shape))
        rows = np.atleast_2d(value).astype(np.float64)
        return Part(label, tuple(tuple(float(number) for number in row) for row in rows))
    return Part(label, value if isinstance(value, int | float | str | Estimate) else str(value))
