"""Sentences and numbers of the verbs about one convolution, in the language of the terminal."""

import math
import shutil
import textwrap
from collections.abc import Iterable, Sequence

import numpy as np

from svertka.cli.output import terminal
from svertka.engine.arrays import Array
from svertka.engine.geometry import Pair

_LABEL = 9
_DIGITS = 4
_MOST_PLAIN = 1e9  # beyond it and below half of the last digit, powers of ten


def words(key: str, /, **values: object) -> str:
    """A sentence of the laboratory."""
    return terminal()(f"lab.{key}", **values)


def number(value: float) -> str:
    """Up to four digits after the decimal sign, none that say nothing; the minus can be pasted anywhere."""
    if value and math.isfinite(value) and not 0.5 * 10**-_DIGITS <= abs(value) < _MOST_PLAIN:
        mantissa, exponent = f"{value:.2e}".split("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    else:
        text = f"{value:.{_DIGITS}f}".rstrip("0").rstrip(".")
    text = "0" if text == "-0" else text
    return text.replace(".", ",") if terminal().language == "ru" else text


def listed(numbers: Sequence[str]) -> str:
    """One after the other, apart by semicolons where commas are decimal signs."""
    return ("; " if terminal().language == "ru" else ", ").join(numbers)


def tidy(numbers: Array, largest: float) -> Array:
    """The numbers without what rounding left of a zero, where ``largest`` is the size of what was added up."""
    return np.where(np.abs(numbers) <= 1e-12 * largest, 0.0, numbers) if numbers.dtype == np.float64 else numbers


def size_text(size: Sequence[int]) -> str:
    """Rows × columns."""
    return " × ".join(map(str, size))


def sides_text(sides: Pair) -> str:
    """One number where rows and columns are alike, else rows × columns."""
    return str(sides[0]) if sides[0] == sides[1] else size_text(sides)


def labelled(label: str, *lines: str) -> str:
    """Lines under one label of the catalogue, in a column of their own as wide as the terminal lets it be."""
    room = terminal_width() - _LABEL
    told = [
        part for line in lines for part in textwrap.wrap(line, room, break_long_words=False, break_on_hyphens=False)
    ]
    heads = [words(f"label.{label}")] + [""] * len(told)
    return "\n".join(f"{head:<{_LABEL}}{line}" for head, line in zip(heads, told, strict=False))


def added(terms: list[float]) -> str:
    """A sum as people write it: ``1 + 0 - 2``."""
    first, *others = terms
    return number(first) + "".join(f" {'-' if term < 0 else '+'} {number(abs(term))}" for term in others)


def wrapped(text: str) -> list[str]:
    """Lines as wide as the terminal."""
    return textwrap.wrap(text, terminal_width(), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def print_paragraph(lines: Iterable[str]) -> None:
    """Prints lines after an empty one; nothing where there are none."""
    if told := list(lines):
        print("\n".join(["", *told]))


def terminal_width() -> int:
    """Letters in a line; 80 where there is no terminal."""
    return max(40, shutil.get_terminal_size().columns)
