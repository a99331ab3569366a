"""Matrices as boxes of text, the cells that matter in brackets, side by side as far as the terminal is wide."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from svertka.cli.lab.words import number, size_text, terminal_width, words
from svertka.engine.arrays import Array
from svertka.engine.geometry import NO_PADS, Pair

BEYOND = "·"
"""Stands for a cell of the padding."""
_GAP = "   "
_MOST_ROWS = 40


@dataclass(frozen=True, slots=True)
class Box:
    """A matrix to be printed."""

    title: str
    cells: Sequence[Sequence[str]]
    """Alike in width, see ``cells_of``."""
    marked: Collection[Pair] = ()
    """Rows and columns of the cells in brackets."""
    lines: tuple[Collection[int], Collection[int]] = ((), ())
    """Rows above which, and columns left of which, a line is drawn."""

    def rows(self) -> list[str]:
        """The lines of text, all of one width: a title, a frame, a line for each row."""
        width = len(self.cells[0][0]) + 2
        edges = [0, *sorted(self.lines[1]), len(self.cells[0])]
        parts = ["─" * (width * (right - left)) for left, right in pairwise(edges)]
        drawn = [f"┌{'┬'.join(parts)}┐"]
        for r, row in enumerate(self.cells):
            if r in self.lines[0]:
                drawn.append(f"├{'┼'.join(parts)}┤")
            shown = (f"[{cell}]" if (r, c) in self.marked else f" {cell} " for c, cell in enumerate(row))
            line = "".join(f"│{cell}" if c in self.lines[1] else cell for c, cell in enumerate(shown))
            drawn.append(f"│{line}│")
        drawn.append(f"└{'┴'.join(parts)}┘")
        whole = max(len(self.title), len(drawn[0]))
        return [line.ljust(whole) for line in (self.title, *drawn)]

    @property
    def width(self) -> int:
        """In letters."""
        return max(len(self.title), len(self.cells[0]) * (len(self.cells[0][0]) + 2) + 2 + len(self.lines[1]))


def titled(title: str, letter: str, size: Pair, padded: Pair | None = None) -> str:
    """Over a box: what it is, of which colour, its size, and that with padding."""
    told = [f"{words(title)}{f' ({letter})' if letter else ''}", size_text(size)]
    if padded and padded != size:
        told.append(words("padded", size=size_text(padded)))
    return ", ".join(told)


def cells_of(matrix_HW: Array, pads: tuple[Pair, Pair] = NO_PADS) -> list[list[str]]:
    """Numbers as texts of one width, the decimal signs below each other, with a border of the padding's sign."""
    texts = [[number(value) for value in row] for row in matrix_HW.tolist()]
    sign = next((sign for sign in ",." if any(sign in text for row in texts for text in row)), ".")
    split = [[text.partition(sign) for text in row] for row in texts]
    before = max(len(whole) for row in split for whole, _, _ in row)
    after = max(len(point + rest) for row in split for _, point, rest in row)
    (top, bottom), (left, right) = pads
    beyond = BEYOND.rjust(before) + " " * after
    rows = [
        [beyond] * left
        + [whole.rjust(before) + (point + rest).ljust(after) for whole, point, rest in row]
        + [beyond] * right
        for row in split
    ]
    empty = [beyond] * len(rows[0])
    return [*([empty] * top), *rows, *([empty] * bottom)]


def fits(size: Pair) -> bool:
    """Whether a matrix may be small enough to be printed: then its cells are worth writing."""
    rows, columns = size
    return rows <= _MOST_ROWS and 3 * columns + 2 <= terminal_width()


def printable(boxes: Iterable[Box | None]) -> list[Box]:
    """Those that are there and no wider than the terminal."""
    return [box for box in boxes if box and box.width <= terminal_width()]


def beside(boxes: Sequence[Box], signs: Sequence[str] = ()) -> Iterator[str]:
    """Boxes next to each other, or below where the line is full.

    Args:
        boxes: none wider than the terminal, or it is printed so nevertheless.
        signs: between one box and the next, on the middle row.
    """
    rows: list[list[tuple[str, Box]]] = [[]] if boxes else []
    left = terminal_width()
    for n, box in enumerate(boxes):
        gap = f"{_GAP[1:]}{signs[n - 1]}{_GAP[1:]}" if signs and n else _GAP
        if rows[-1] and box.width + len(gap) > left:
            rows.append([])
            left = terminal_width()
        left -= box.width + (len(gap) if rows[-1] else 0)
        rows[-1].append((gap, box))
    for n, row in enumerate(rows):
        if n:
            yield ""
        yield from _row(row)


def _row(row: Sequence[tuple[str, Box]]) -> Iterator[str]:
    drawn = [(gap, box.rows(), box.width) for gap, box in row]
    middle = 2 + len(drawn[0][1][2:-1]) // 2  # below title and frame
    for line in range(max(len(lines) for _, lines, _ in drawn)):
        text = ""
        for n, (gap, lines, width) in enumerate(drawn):
            between = gap if line == middle else " " * len(gap)
            text += (between if n else "") + (lines[line] if line < len(lines) else " " * width)
        yield text.rstrip()
