"""What a window sees of its input, and how the output's size comes about with the numbers in it."""

from collections.abc import Iterator

from svertka.cli.lab.words import number, size_text, words
from svertka.engine.arrays import Array
from svertka.engine.geometry import Pair, Window, output_size
from svertka.errors import ConfigError


def size_of_plane(plane: Array) -> Pair:
    """Rows and columns of [H, W] or [H, W, C]."""
    rows, columns = plane.shape[:2]
    return rows, columns


def is_uneven(window: Window) -> bool:
    """Whether there is more padding on one side than on the other."""
    return any(before != after for before, after in window.pads)


def check_half(window: Window, padding: str) -> None:
    """Refuses a pooling a window of which could hold nothing but padding.

    Args:
        window: of the pooling.
        padding: as it was given, for the message.

    Raises:
        ConfigError: the padding is more than half of the window.
    """
    if any(2 * max(pads) > length for pads, length in zip(window.pads, window.kernel, strict=True)):
        raise ConfigError(words("error.half", text=padding, window=size_text(window.kernel)))


def checked_output(window: Window, size: Pair) -> Pair:
    """Rows and columns of the output.

    Raises:
        ConfigError: the window is larger than the padded input.
    """
    padded = window.padded_size(size)
    for axis, word in enumerate(("rows", "columns")):
        covered = window.span(axis, 1)
        if covered > padded[axis]:
            told = {"covered": str(covered), "padded": str(padded[axis]), "axis": words(word)}
            raise ConfigError(words("error.too_small", **told))
    return window.output_size(size)


def size_lines(size: Pair, window: Window, formula: str = "") -> Iterator[str]:
    """The formula with the numbers of rows and columns; one line where both have the same.

    Args:
        size: of the input.
        window: that moves over it.
        formula: in letters, to stand above; "" for none.
    """
    of_rows, of_columns = (_with_numbers(size[axis], window, axis) for axis in (0, 1))
    head = f"{words('size_is')} = " if formula else ""
    if formula:
        yield head + formula
    if of_rows == of_columns:
        yield f"{'= ':>{len(head)}}{of_rows}" if formula else of_rows
    else:
        width = max(len(words("rows")), len(words("columns"))) + 1
        yield f"{words('rows') + ':':<{width}} {of_rows}"
        yield f"{words('columns') + ':':<{width}} {of_columns}"


def _with_numbers(size: int, window: Window, axis: int) -> str:
    """Such as ``(128 + 2·0 - 3) / 2 + 1 = 63.5 → 63``; a dilated kernel is as large as what it covers."""
    (before, after), stride = window.pads[axis], window.stride[axis]
    pads = f"2·{before}" if before == after else f"{before} + {after}"
    covered = window.span(axis, 1)
    exact = (size + before + after - covered) / stride + 1
    formula = f"({size} + {pads} - {covered}) / {stride} + 1"
    output = output_size(size, window.kernel[axis], stride, (before, after), window.dilation[axis])
    if exact == output:
        return f"{formula} = {output}"
    sign = "=" if float(f"{exact:.2f}") == exact else "≈"
    return f"{formula} {sign} {number(round(exact, 2))} → {output}"


def unseen(size: Pair, window: Window) -> Pair:
    """Rows below and columns to the right, padding included, that no window reaches."""
    (rows, columns), (P, Q) = window.padded_size(size), window.output_size(size)
    return rows - window.span(0, P), columns - window.span(1, Q)


def marks(window: Window, spot: Pair | None) -> set[Pair]:
    """Cells of the padded input that one output sees."""
    if spot is None:
        return set()
    rows, columns = (range(start := spot[n] * window.stride[n], start + window.kernel[n]) for n in (0, 1))
    return {(row, column) for row in rows for column in columns}


def seen_by(spot: Pair, window: Window, letter: str) -> str:
    """Which rows and columns of the input one output sees."""
    top, left = (spot[axis] * window.stride[axis] - window.before[axis] for axis in (0, 1))
    bottom, right = top + window.kernel[0] - 1, left + window.kernel[1] - 1
    rows, columns = (words("from_to", first=f"{a}", last=f"{b}") for a, b in ((top, bottom), (left, right)))
    where = f"({spot[0]}, {spot[1]}){f' {letter}' if letter else ''}"
    return words("seen_by", where=where, rows=rows, columns=columns)
