"""Tasks that are answered by a run: parts disjoint, test images judged once, intervals there.

A run folder of svertka is read whole; of a script of one's own, the table of all images and the figures that it states.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from svertka.course.answer_sheets import read_sheet
from svertka.course.findings import Barred, Finding, Part, part, right, wrong
from svertka.data.rows import read_table
from svertka.errors import SvertkaError
from svertka.evaluate.intervals import share
from svertka.runs.folder import load_run
from svertka.schema import SPLIT_NAMES, Estimate, RunRecord

COLUMNS = ("split", "path", "label", "predicted")
_CLOSE = 0.001


def pipeline(path: Path) -> Iterator[Finding]:
    """A run folder, or a sheet: ``csv`` with split, path, label, predicted; ``accuracy``, ``low``, ``high``."""
    if path.is_dir():
        yield from _run(_loaded(path))
        return
    findings, _ = _own_script(path)
    yield from findings


def classifier(path: Path) -> Iterator[Finding]:
    """The same, and it is better than the commonest class; a run folder must be of a pretrained network."""
    if path.is_dir():
        run = _loaded(path)
        yield from _run(run)
        yield _transferred(run)
        accuracy, rates = run.evaluation.metrics["accuracy"], np.bincount(run.test.labels_N) / len(run.test)
        yield _better_than_commonest(accuracy, float(rates.max()))
        return
    findings, found = _own_script(path)
    yield from findings
    if found is not None:
        yield _better_than_commonest(*found)


def _better_than_commonest(accuracy: Estimate, commonest: float) -> Finding:
    if accuracy.low > commonest:
        return right("above_commonest", low=accuracy.low, value=commonest)
    return wrong("above_commonest", low=accuracy.low, value=commonest)


# --- a run folder --------------------------------------------------------------------------------------------------


def _loaded(folder: Path) -> RunRecord:
    try:
        return load_run(folder)
    except SvertkaError as error:
        raise Barred(wrong("no_run", text=str(error))) from None


def _run(run: RunRecord) -> Iterator[Finding]:
    yield _disjoint(run)
    yield _no_leaks(run)
    found = _judged_once(run)
    yield found
    if found.right:
        yield _figures(run)


def _disjoint(run: RunRecord) -> Finding:
    """No image, and no two that show the same or are of one group, stand in two parts."""
    where: dict[object, tuple[str, str]] = {}
    for name in SPLIT_NAMES:
        for index in run.split.of(name):
            record = run.catalog.records[index]
            names: list[object] = [("pixels", record.pixel_hash)]
            names += [("unit", run.split.units[index])] if run.split.units and run.split.origin == "made" else []
            for each in names:
                other, path = where.setdefault(each, (name, record.path))
                if other != name:
                    return wrong("same_image", Part(other, path), Part(name, record.path))
    return _parts_apart({name: len(run.split.of(name)) for name in SPLIT_NAMES})


def _parts_apart(sizes: Mapping[str, int]) -> Finding:
    """Parts without a common image are right if each has some."""
    empty = next((name for name, count in sizes.items() if not count), None)
    return wrong("part_empty", name=empty) if empty else right("disjoint", **sizes)


def _no_leaks(run: RunRecord) -> Finding:
    leaks = [leak for leak in run.split.leaks if leak.kind != "label conflict"]
    dropped = {run.catalog.records[index].path for index in run.split.dropped}
    left = [leak for leak in leaks if not {leak.path_a, leak.path_b} & dropped]
    if not left:
        return right("no_leaks")
    return wrong("leaks", Part(left[0].where_a, left[0].path_a), Part(left[0].where_b, left[0].path_b), n=len(left))


def _judged_once(run: RunRecord) -> Finding:
    """The predictions are of the test images, all of them, each once."""
    wanted = sorted(run.catalog.records[index].path for index in run.split.test)
    judged = sorted(run.test.paths)
    twice = next((a for a, b in pairwise(judged) if a == b), None)
    if twice is not None:
        return wrong("judged_twice", path=twice)
    strange = sorted(set(judged) - set(wanted))
    if strange:
        parts = {run.catalog.records[i].path: name for name in SPLIT_NAMES for i in run.split.of(name)}
        return wrong("judged_other", path=strange[0], name=parts.get(strange[0], "–"))
    if len(judged) < len(wanted):
        return wrong("judged_few", path=sorted(set(wanted) - set(judged))[0], n=len(wanted) - len(judged))
    return right("judged_once", n=len(judged))


def _figures(run: RunRecord) -> Finding:
    """The accuracy is that of the predictions, and has its interval."""
    stated = run.evaluation.metrics.get("accuracy")
    if stated is None:
        return wrong("no_accuracy")
    hits = int((run.test.logits_NK.argmax(axis=1) == run.test.labels_N).sum())
    return _stated(stated.value, stated.low, stated.high, share(hits, len(run.test)), exact=True)


def _stated(value: float, low: float, high: float, truth: Estimate, exact: bool = False) -> Finding:
    """Figures as they are stated, beside those of the predictions.

    Intervals of other methods than Wilson's differ a little, where images come in groups they are wider.
    """
    if not math.isclose(value, truth.value, abs_tol=_CLOSE if not exact else 1e-6):
        return wrong("accuracy_other", part("expected", round(truth.value, 4)), part("got", round(value, 4)))
    interval = Part("expected", truth), Part("got", Estimate(value, low, high, truth.n))
    width, wanted = high - low, truth.high - truth.low
    if not (0 <= low <= value <= high <= 1) or width < 0.7 * wanted or (not exact and width > 2 * wanted):
        return wrong("no_interval", *interval, n=truth.n)
    return right("interval", value=value, low=low, high=high, n=truth.n)


def _transferred(run: RunRecord) -> Finding:
    weights = str(getattr(run.config, "weights", ""))
    random = run.decision.strategy == "scratch" or weights == "none"
    return wrong("from_scratch") if random else right("transferred", name=run.config.backbone)


# --- a script of one's own -----------------------------------------------------------------------------------------


def _own_script(file: Path) -> tuple[list[Finding], tuple[Estimate, float] | None]:
    """Findings, and the accuracy of the predictions beside the share of the commonest class, if it came so far."""
    sheet = read_sheet(file, {"csv": str, "accuracy": float, "low": float, "high": float})
    rows = _rows(file.parent / Path(sheet["csv"]).expanduser())
    findings = [_rows_disjoint(rows)]
    test = [row for row in rows if row["split"] == "test"]
    findings.append(_rows_judged(rows, test))
    if not all(finding.right for finding in findings):
        return findings, None
    truth = share(sum(row["label"] == row["predicted"] for row in test), len(test))
    whole = 100 if sheet["accuracy"] > 1 or sheet["high"] > 1 else 1  # per cent, or shares
    value, low, high = (sheet[name] / whole for name in ("accuracy", "low", "high"))
    findings.append(_stated(value, low, high, truth))
    labels = [row["label"] for row in test]
    return findings, (truth, max(map(labels.count, set(labels))) / len(labels))


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        table = read_table(path)
    except (SvertkaError, OSError):
        raise Barred(wrong("no_predictions", path=str(path))) from None
    names = [name.strip().casefold() for name in table.header]
    missing = [name for name in COLUMNS if name not in names]
    if missing or not table.rows:
        raise Barred(wrong("no_column", name=missing[0] if missing else "", names=list(COLUMNS)))
    rows = []
    for number, cells in table.rows.items():
        row = dict(zip(names, (cell.strip() for cell in cells), strict=False))
        row = {name: row.get(name, "") for name in COLUMNS}
        row["split"] = {"validation": "val", "valid": "val", "training": "train"}.get(row["split"], row["split"])
        if row["split"] not in SPLIT_NAMES or not row["path"] or not row["label"]:
            raise Barred(wrong("bad_row", n=number, path=path.name))
        rows.append(row)
    return rows


def _rows_disjoint(rows: list[dict[str, Any]]) -> Finding:
    where: dict[str, str] = {}
    for row in rows:
        path = row["path"].replace("\\", "/").removeprefix("./")
        other = where.setdefault(path, row["split"])
        if other != row["split"]:
            return wrong("same_image", Part(other, row["path"]), Part(row["split"], row["path"]))
    return _parts_apart({name: sum(part == name for part in where.values()) for name in SPLIT_NAMES})


def _rows_judged(rows: list[dict[str, Any]], test: list[dict[str, Any]]) -> Finding:
    labels = {row["label"] for row in rows}
    seen: set[str] = set()
    for row in test:
        if row["path"] in seen:
            return wrong("judged_twice", path=row["path"])
        seen.add(row["path"])
        if not row["predicted"]:
            return wrong("judged_few", path=row["path"], n=sum(not each["predicted"] for each in test))
        if row["predicted"] not in labels:
            return wrong("unknown_class", path=row["path"], name=row["predicted"])
    return right("judged_once", n=len(test))
