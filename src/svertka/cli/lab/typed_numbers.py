"""Numbers that a person types, or keeps in a file: a matrix, a kernel, the settings of a window.

Numbers of a row are apart by commas or spaces, rows by semicolons or line breaks. A comma is the decimal sign where
spaces, tabs or (in a file of several lines) semicolons separate the numbers, as spreadsheets write it in Russian.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from svertka.cli.lab.picture import read_image, size_of
from svertka.cli.lab.words import labelled, number, size_text, words
from svertka.engine import filters
from svertka.engine.arrays import Array
from svertka.engine.geometry import Pair, Window
from svertka.errors import ConfigError, DataError, NotFoundError
from svertka.util.atomic_files import read_file

MOST_KERNEL, MOST_MATRIX = 101, 1024
_MOST_BYTES = 32 << 20
_MOST_NUMBER = 1e9
_FILES_OF_NUMBERS = (".csv", ".tsv", ".txt", ".dat")
_SIGNS = str.maketrans({"\u2212": "-", "\u2013": "-", "\u00a0": " ", "\u202f": " ", "\ufeff": None})
_REAL = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_NUMBER = re.compile(f"({_REAL})(?:/({_REAL}))?")
_DECIMAL_COMMA = re.compile(_REAL.replace(r"\.", "[.,]"))
_TYPED = re.compile(r"[-+\d.,;/eE\s\[\]()]*\d[-+\d.,;/eE\s\[\]()]*|[;,\s\[\]()]*")
_SUFFIX = re.compile(r"\.[A-Za-z]\w*$")


@dataclass(frozen=True, eq=False, slots=True)
class Plane:
    """What a verb works on."""

    name: str
    pixels: Array
    """[H, W], or [H, W, 3] of an image in colour."""
    is_image: bool

    def planes(self) -> list[tuple[str, Array]]:
        """Each colour by itself, with its letter; "" where there is one plane."""
        if self.pixels.ndim == 2:
            return [("", self.pixels)]
        return [(letter, self.pixels[:, :, n]) for n, letter in enumerate("RGB")]

    def size(self, of: Array) -> str:
        """Of itself or of what it became: pixels of an image, rows and columns of a matrix."""
        return size_of(of) if self.is_image else size_text(of.shape)

    def about(self) -> str:
        """A line: the name and the size."""
        if not self.is_image:
            return labelled("input", f"{self.name}, {size_text(self.pixels.shape)}")
        colour = words("gray" if self.pixels.ndim == 2 else "colours")
        return labelled("input", f"{self.name}: {size_of(self.pixels)}, {colour}")


@dataclass(frozen=True, eq=False, slots=True)
class GivenKernel:
    """A kernel by its name, or the user's own."""

    name: str
    array: Array
    is_own: bool

    def about(self) -> str:
        """What it brings out; of the user's own the sum of its elements."""
        if self.is_own:
            return words("sum_of_kernel", total=number(float(self.array.sum())))
        return words(f"filter.{self.name}")


def read_plane(text: str) -> Plane:
    """A matrix as it is typed, or of a file of numbers, or an image.

    Raises:
        ConfigError: nothing is given, or what is typed is no matrix.
        DataError: the file holds no matrix, or no image.
        NotFoundError: there is no such file.
    """
    if not text.strip():
        raise ConfigError(words("error.no_input"))
    path = Path(text).expanduser()
    if not _is_file(path) and _is_typed(text):
        return Plane(words("what.matrix"), parse(text, words("what.matrix"), MOST_MATRIX), False)
    if path.suffix.lower() in _FILES_OF_NUMBERS:
        return Plane(path.name, _read_file(path, MOST_MATRIX), False)
    if not path.exists():
        raise NotFoundError(words("error.no_file", path=str(path)))
    return Plane(path.name, read_image(str(path)), True)


def read_kernel(text: str) -> GivenKernel:
    """A kernel of the bank by its name, of a file, or as it is typed.

    Raises:
        ConfigError: it is none of these.
        DataError: the file holds no kernel.
        NotFoundError: there is no such kernel or file.
    """
    bank, path = filters.bank(), Path(text).expanduser()
    if text in bank:
        return GivenKernel(text, bank[text].kernel, False)
    if _is_file(path) or path.suffix.lower() in _FILES_OF_NUMBERS:
        return GivenKernel(path.stem, _read_file(path, MOST_KERNEL), True)
    if _is_typed(text):
        return GivenKernel(words("own_kernel"), parse(text, words("what.kernel"), MOST_KERNEL), True)
    close = ", ".join(get_close_matches(text, bank, n=3))
    raise NotFoundError(words("error.no_kernel", text=text, close=close and words("error.close", names=close)))


def _is_typed(text: str) -> bool:
    """Whether someone meant numbers, if perhaps with a mistake in them, and no name of a file."""
    return bool(_TYPED.fullmatch(text.translate(_SIGNS)) or (set(text) & set(",;") and not _SUFFIX.search(text)))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a matrix may be too long to be a name
        return False


def _read_file(path: Path, most: int) -> Array:
    if not path.is_file():
        raise NotFoundError(words("error.no_numbers", path=str(path)))
    if path.stat().st_size > _MOST_BYTES:
        raise DataError(words("error.too_long", what=path.name, most=_MOST_BYTES >> 20))
    raw = read_file(path, _MOST_BYTES)
    text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", errors="replace")
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return parse("\n".join(lines), path.name, most)


def parse(text: str, what: str, most: int) -> Array:
    """The matrix that a text writes.

    Args:
        text: such as ``1,0,-1;1,0,-1``, ``0,5 0,25; 1 1/9`` or ``[[1, 0], [0, 1]]``.
        what: the text is, for messages.
        most: rows, and columns, that are taken.

    Returns:
        [H, W], float64, finite.

    Raises:
        DataError: it isn't a matrix of finite numbers, or has too many.
    """
    rows = _rows(text, what)
    if not any(rows):
        raise DataError(words("error.empty", what=what))
    if max(len(rows), *map(len, rows)) > most:
        raise DataError(words("error.too_many", what=what, size=f"{len(rows)} × {max(map(len, rows))}", most=str(most)))
    for n, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise DataError(words("error.ragged", what=what, first=str(len(rows[0])), row=str(n + 1), n=len(row)))
    return np.array([[_real(cell, what, r, c) for c, cell in enumerate(row, 1)] for r, row in enumerate(rows, 1)])


def _rows(text: str, what: str) -> list[list[str]]:
    """The cells of each row, with decimal points."""
    text = re.sub(r"[\])]\s*[,;]?\s*[\[(]", ";", text.translate(_SIGNS)).strip().strip("[]()")
    lines = [line.strip().rstrip(";").strip() for line in text.splitlines() if line.strip(" ;\t\r")]
    if len(lines) > 1 and any(";" in line for line in lines):
        return [[cell.strip().replace(",", ".") for cell in line.split(";")] for line in lines]
    lines = [part.strip() for line in lines for part in line.split(";")]
    spaced = any(re.search(r"[^\s,]\s+[^\s,]", line) for line in lines)
    loose = [re.split(r"\s*,\s+|\s+,\s*", line) for line in lines]
    apart = any(len(cells) > 1 for cells in loose)
    if spaced and not apart:
        return [[cell.replace(",", ".") for cell in line.split()] for line in lines]
    # A comma with a space separates; is one without it the decimal sign, or a separator too? Nobody can know.
    mixed = any("," in cell for cells in loose for cell in cells)
    if apart and (spaced or (mixed and all(_DECIMAL_COMMA.fullmatch(cell) for cells in loose for cell in cells))):
        raise DataError(words("error.commas", what=what))
    return [[cell.strip() for cell in line.split(",")] if "," in line else line.split() for line in lines]


def _real(cell: str, what: str, row: int, column: int) -> float:
    where = {"what": what, "cell": cell, "row": str(row), "column": str(column)}
    if not (found := _NUMBER.fullmatch(cell)):
        known = re.fullmatch(r"[+-]?(nan|inf|infinity)", cell, re.IGNORECASE)
        raise DataError(words("error.not_finite" if known else "error.no_number" if cell else "error.hole", **where))
    over, under = float(found[1]), float(found[2] or 1)
    if not under or not abs(over) <= _MOST_NUMBER * abs(under):
        raise DataError(words("error.too_large", most=number(_MOST_NUMBER), **where))
    return over / under


def whole_pair(text: str, option: str, least: int, most: int = 1_000_000) -> Pair:
    """One whole number for rows and columns, or two such as 3x5.

    Raises:
        ConfigError: it is neither, or out of range.
    """
    parts = re.split(r"\s*[x×хХX*,]\s*", text.strip())  # Latin and Cyrillic
    if len(parts) > 2 or not all(re.fullmatch(r"[+-]?\d{1,12}", part) for part in parts):
        raise ConfigError(words("error.no_whole", option=option, text=text))
    rows, columns = int(parts[0]), int(parts[-1])
    if not least <= min(rows, columns) <= max(rows, columns) <= most:
        raise ConfigError(words("error.range", option=option, text=text, least=str(least), most=str(most)))
    return rows, columns


def window_of(
    kernel: Pair, stride: str, padding: str, dilation: str = "1", *, most_padding: int = MOST_KERNEL
) -> Window:
    """How a kernel moves, with the padding in pixels, or as ``same`` (half the kernel) or ``valid`` (none).

    Raises:
        ConfigError: a setting is no such thing, or out of range.
    """
    steps, gaps = whole_pair(stride, "--stride", 1), whole_pair(dilation, "--dilation", 1)
    word = padding.strip().lower()
    if word == "same":
        return Window(kernel, steps, gaps, Window.of(kernel, 1, "same", gaps).pads)
    if word != "valid" and not re.match(r"\s*[+-]?\d", padding):
        raise ConfigError(words("error.padding", text=padding))
    pads = (0, 0) if word == "valid" else whole_pair(padding, "--padding", 0, most_padding)
    return Window.of(kernel, steps, pads, gaps)


def place(text: str, output: Pair) -> Pair:
    """The row and the column of ``--at``, counted from 0.

    Raises:
        ConfigError: it is no such thing, or the output has no such place.
    """
    if not (found := re.fullmatch(r"\s*(\d{1,9})\s*[,; ]\s*(\d{1,9})\s*", text)):
        raise ConfigError(words("error.no_place", text=text))
    row, column = int(found[1]), int(found[2])
    if row >= output[0] or column >= output[1]:
        last = {"rows": str(output[0] - 1), "columns": str(output[1] - 1)}
        raise ConfigError(words("error.place_outside", text=f"{row},{column}", **last))
    return row, column
