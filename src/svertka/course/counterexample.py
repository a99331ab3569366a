"""Finds the smallest case in which a solution's function differs from the truth: small cases first, then shrinking.

As QuickCheck does it (Claessen, Hughes 2000): a failing case gives way to a smaller one that fails too, until none
does.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svertka.course.findings import Finding, Part, part, right, size_text, wrong
from svertka.course.plain_values import Unreadable
from svertka.course.sandbox import Answer, Stopped, Student
from svertka.errors import ShapeError

Case = dict[str, Any]
"""Arguments by name: arrays and whole numbers."""

Truth = Callable[[Case], NDArray[Any]]
"""What is right for a case; raises ShapeError for one that cannot be."""

_MOST_TRIES = 150


@dataclass(frozen=True, slots=True)
class Trouble:
    """How an answer differs from the truth: a code, what fills its sentence, and what was got, if it can be shown."""

    code: str
    values: dict[str, object]
    got: NDArray[Any] | None = None


def compared(student: Student, function: str, truth: Truth, cases: Iterable[Case]) -> Finding:
    """Calls a function with every case, small ones first, and reports the smallest that differs, or that none does."""
    ordered = sorted(cases, key=_weight)
    for case in ordered:
        try:
            found = trouble(student.call(function, **case), truth(case))
        except Stopped as stopped:
            return stop(stopped, *_shown(case))
        if found is not None:
            case, found = _shrunk(student, function, truth, case, found)
            return wrong(found.code, *_shown(case), *_outcome(truth(case), found), function=function, **found.values)
    return right("cases", function=function, n=len(ordered))


def stop(stopped: Stopped, *example: Part) -> Finding:
    """The finding that a solution was stopped, or that it ended."""
    return wrong(f"stopped_{stopped.why}", *example, line=stopped.line, detail=stopped.detail)


def mishap(answer: Answer) -> Trouble | None:
    """That a call raised something, or changed what it was given; None if it did neither."""
    if answer.raised is not None:
        return Trouble("raised", asdict(answer.raised))
    return Trouble("changed", {"name": answer.changed[0]}) if answer.changed else None


def trouble(answer: Answer, expected: NDArray[Any]) -> Trouble | None:
    """What is wrong with an answer; None if nothing is. Numbers agree to nine digits."""
    if (found := mishap(answer)) is not None:
        return found
    value = answer.value
    if isinstance(value, list):
        try:
            value = np.asarray(value, np.float64)
        except (ValueError, TypeError):
            value = Unreadable("list")
    if isinstance(value, int | float) and expected.ndim == 0:
        value = np.asarray(value)
    if not isinstance(value, np.ndarray):
        name = value.type_name if isinstance(value, Unreadable) else type(value).__name__
        return Trouble("no_array", {"kind": name})
    if value.shape != expected.shape:
        return Trouble("shape", {"expected": _size(expected), "got": _size(value)}, value)
    if not np.isfinite(value.astype(np.float64)).all():
        return Trouble("not_finite", {}, value)
    differ = ~np.isclose(value.astype(np.float64), expected, rtol=1e-9, atol=1e-9)
    if not differ.any():
        return None
    rounded = np.issubdtype(value.dtype, np.integer) and not np.allclose(expected, np.round(expected))
    return Trouble("rounded" if rounded else "values", {"n": int(differ.sum()), "of": int(differ.size)}, value)


def _size(array: NDArray[Any]) -> str:
    return size_text(array.shape) or "1"


def _outcome(expected: NDArray[Any], found: Trouble) -> tuple[Part, ...]:
    got = () if found.got is None else (part("got", found.got),)
    return part("expected", expected), *got


def _shown(case: Case) -> tuple[Part, ...]:
    return tuple(part(name, value) for name, value in case.items() if value is not None)


def _weight(case: Case) -> tuple[int, int]:
    """What makes a case large for a reader: numbers to look at, then how large they are."""
    arrays = [value for value in case.values() if isinstance(value, np.ndarray)]
    numbers = [value for value in case.values() if isinstance(value, int)]
    return sum(array.size for array in arrays), sum(numbers) + len(numbers)


def _shrunk(student: Student, function: str, truth: Truth, case: Case, found: Trouble) -> tuple[Case, Trouble]:
    """The smallest failing case that is reached by steps that all fail in the same way."""
    tries, smaller = 0, _smaller(case)
    while tries < _MOST_TRIES and (candidate := next(smaller, None)) is not None:
        try:
            expected = truth(candidate)
        except ShapeError:
            continue
        tries += 1
        try:
            still = trouble(student.call(function, **candidate), expected)
        except Stopped:
            break  # what was found before is shown
        if still is not None and still.code == found.code:
            case, found, smaller = candidate, still, _smaller(candidate)
    return case, found


def _smaller(case: Case) -> Iterator[Case]:
    """Cases a step smaller: without a row or column, a number less, an entry simpler."""
    for name, value in case.items():
        if isinstance(value, np.ndarray) and value.ndim == 2:
            if value.shape[0] > 1:
                yield case | {name: value[:-1]}
                yield case | {name: value[1:]}
            if value.shape[1] > 1:
                yield case | {name: value[:, :-1]}
                yield case | {name: value[:, 1:]}
        elif isinstance(value, int) and value > 0:
            yield case | {name: value - 1}
    for name, value in case.items():
        if isinstance(value, np.ndarray):
            yield from (case | {name: simpler} for simpler in _simpler(value))


def _simpler(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for place in np.ndindex(array.shape):
        entry = array[place]
        for simple in (0, 1, -1):
            if entry == simple:
                break
            changed = array.copy()
            changed[place] = simple
            yield changed
