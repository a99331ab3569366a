"""Puts a verdict into lines for a terminal, in the reader's language; matrices stand side by side."""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from svertka.course.findings import Cells, Finding, Part, TaskVerdict
from svertka.course.passed_tasks import Passed
from svertka.course.task_list import TASKS
from svertka.messages import shown
from svertka.messages.translator import Translator
from svertka.schema import Estimate

_WIDTH = 78
_GAP = "    "
_INDENT = "      "
_MOST_ROWS, _MOST_COLUMNS = 16, 16


def verdict_lines(verdict: TaskVerdict, tr: Translator) -> Iterator[str]:
    """The verdict first, then each thing that was checked, then what to do."""
    yield tr("course.passed" if verdict.passed else "course.not_yet", name=verdict.task)
    yield ""
    for finding in verdict.findings:
        yield from finding_lines(finding, tr)
    if verdict.unlimited:
        yield ""
        words = [tr(f"course.limit.{what}") for what in verdict.unlimited]
        yield from _wrapped(tr("course.unlimited", what=", ".join(words)), "")


def finding_lines(finding: Finding, tr: Translator) -> Iterator[str]:
    """A sentence with its mark, and the counterexample under it."""
    yield from _wrapped(sentence(finding, tr), "  ✓ " if finding.right else "  ✗ ")
    if finding.example:
        yield ""
        yield from example_lines(finding.example, tr)
        yield ""


def sentence(finding: Finding, tr: Translator) -> str:
    """What a finding says."""
    line = finding.values.get("line")
    values = {name: shown(value) if isinstance(value, str) else value for name, value in finding.values.items()}
    where = tr("course.line", line=line) if line else ""
    return tr(f"course.{'right' if finding.right else 'wrong'}.{finding.code}", **values | {"where": where})


def example_lines(parts: Sequence[Part], tr: Translator) -> Iterator[str]:
    """Numbers and words line by line, matrices side by side; cells that differ from what is right stand in brackets."""
    named = [(shown(tr.known("course.part", part.label)), part) for part in parts]
    numbers = [f"{name} = {_scalar(part.value, tr)}" for name, part in named if isinstance(part.value, int | float)]
    if numbers:
        yield from _wrapped(", ".join(numbers), _INDENT)
    for name, part in named:
        if isinstance(part.value, str):
            yield from _wrapped(f"{name}: {shown(tr.known(f'course.{part.label}', part.value))}", _INDENT)
        elif isinstance(part.value, Estimate):
            value, low, high = (tr.decimal(each) for each in (part.value.value, part.value.low, part.value.high))
            yield from _wrapped(f"{name}: {value} ({low} … {high})", _INDENT)
    right = next((part.value for part in parts if part.label == "expected" and isinstance(part.value, tuple)), None)
    blocks = [
        [name, *matrix_lines(part.value, right if part.label == "got" else None)]
        for name, part in named if isinstance(part.value, tuple)
    ]  # fmt: skip
    yield from _side_by_side(blocks)


def matrix_lines(cells: Cells, right: Cells | None = None) -> list[str]:
    """A matrix, a line a row; with ``right`` of the same shape, cells that differ from it stand in brackets."""
    alike = right is not None and [len(row) for row in right] == [len(row) for row in cells]
    written = []
    for place, row in enumerate(cells[:_MOST_ROWS]):
        texts = []
        for column, value in enumerate(row[:_MOST_COLUMNS]):
            off = alike and right is not None and not abs(value - right[place][column]) <= 1e-9 + 1e-9 * abs(value)
            texts.append(f"[{_number(value)}]" if off else f" {_number(value)} ")
        written.append([*texts, " … "] if len(row) > _MOST_COLUMNS else texts)
    widths = [max(map(len, column)) for column in zip(*written, strict=True)]
    lines = ["".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in written]
    return [*lines, " …"] if len(cells) > _MOST_ROWS else lines or ["–"]


def task_lines(passed: dict[str, Passed], tr: Translator) -> Iterator[str]:
    """All tasks by chapter, with a mark at those that are passed."""
    width = max(len(task.name) for task in TASKS)
    chapter = ""
    for task in TASKS:
        if task.chapter != chapter:
            yield from ([""] if chapter else [])
            chapter = task.chapter
            yield tr(f"course.chapter.{chapter.replace('.', '_')}")
        mark = "✓" if task.name in passed else " "
        lead = f" {mark} {task.name:<{width}}  "
        yield from _wrapped(tr(f"course.task.{task.key}.title"), lead)
    yield ""
    yield tr("course.count", n=sum(task.name in passed for task in TASKS), of=len(TASKS))
    yield from (tr("course.begin"), tr("course.check"))


def _scalar(value: float, tr: Translator) -> str:
    """A number among words."""
    return str(value) if isinstance(value, int) else tr.formatted(value, ".5g")


def _number(value: float) -> str:
    return str(int(value)) if value == value and abs(value) < 1e15 and value == int(value) else f"{value:.5g}"


def _side_by_side(blocks: list[list[str]]) -> Iterator[str]:
    """Blocks in rows as wide as the terminal."""
    rows: list[list[list[str]]] = []
    room = 0
    for block in blocks:
        wide = max(map(len, block))
        if not rows or wide > room:
            rows.append([])
            room = _WIDTH - len(_INDENT)
        rows[-1].append(block)
        room -= wide + len(_GAP)
    for number, row in enumerate(rows):
        yield from [""] if number else []
        widths = [max(map(len, block)) for block in row]
        for cells in zip_longest(*row, fillvalue=""):
            yield (_INDENT + _GAP.join(map(str.ljust, cells, widths))).rstrip()


def _wrapped(text: str, lead: str) -> list[str]:
    """Lines that begin with ``lead`` and go on below its end."""
    return textwrap.wrap(
        text, _WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead), break_on_hyphens=False
    ) or [lead]
