"""The task of a competition: a submission has the ids, columns and order of the sample, and is filled in."""

from collections.abc import Iterator
from pathlib import Path

from svertka.course.answer_sheets import read_sheet
from svertka.course.findings import Finding, Part, right, wrong
from svertka.data.rows import Table, read_table
from svertka.errors import SvertkaError


def kaggle(file: Path) -> Iterator[Finding]:
    """A sheet: ``submission`` and ``sample``, two CSV files."""
    sheet = read_sheet(file, {"submission": str, "sample": str})
    tables: list[Table] = []
    for name in ("sample", "submission"):
        path = file.parent / Path(sheet[name]).expanduser()
        try:
            tables.append(read_table(path))
        except (SvertkaError, OSError):
            yield wrong("no_table", path=str(path), name=name)
            return
    sample, own = tables
    for look in (_columns, _ids, _filled, _values):
        found = look(sample, own)
        yield found
        if not found.right:
            return


def _columns(sample: Table, own: Table) -> Finding:
    if own.header == sample.header:
        return right("columns", names=own.header)
    return wrong("columns", Part("expected", ", ".join(sample.header)), Part("got", ", ".join(own.header)))


def _ids(sample: Table, own: Table) -> Finding:
    """Every id of the sample, each once, in its order; the first row that differs is shown."""
    wanted, got = ([row[0].strip() if row else "" for row in table.rows.values()] for table in (sample, own))
    twice = next((name for name in got if got.count(name) > 1), None) if len(set(got)) < len(got) else None
    if twice is not None:
        return wrong("id_twice", name=twice)
    missing = [name for name in wanted if name not in set(got)]
    if missing:
        return wrong("id_missing", name=missing[0], n=len(missing))
    strange = [name for name in got if name not in set(wanted)]
    if strange:
        return wrong("id_strange", name=strange[0], n=len(strange))
    off = next((place for place, (a, b) in enumerate(zip(wanted, got, strict=True)) if a != b), None)
    if off is not None:
        return wrong("id_order", Part("expected", wanted[off]), Part("got", got[off]), n=off + 2)
    return right("ids", n=len(got))


def _filled(sample: Table, own: Table) -> Finding:
    for number, row in own.rows.items():
        if len(row) != len(own.header) or not all(cell.strip() for cell in row):
            return wrong("row_empty", n=number)
    if list(own.rows.values()) == list(sample.rows.values()):
        return wrong("only_the_sample")
    return right("filled")


def _values(sample: Table, own: Table) -> Finding:
    """Numbers where the sample has numbers, shares where it has shares, words where it has words."""
    for column, name in enumerate(own.header[1:], 1):
        example = [_number(row[column]) for row in sample.rows.values() if column < len(row)]
        numeric = bool(example) and None not in example
        whole = numeric and all(each is not None and each == int(each) for each in example)
        shares = numeric and all(each is not None and 0 <= each <= 1 for each in example)
        for number, row in own.rows.items():
            value = _number(row[column])
            shown = Part("row", number), Part(name, row[column])
            if numeric and value is None:
                return wrong("not_a_number", *shown, name=name)
            if numeric and value is not None and (shares and not whole) and not 0 <= value <= 1:
                return wrong("no_share", *shown, name=name)
            if not numeric and value is not None:
                return wrong("no_word", *shown, name=name)
    return right("values")


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
