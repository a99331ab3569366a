"""Tasks answered by an experiment and the sentence that it supports: a race, strategies compared, activations.

A sentence is free; it must hold the figures that it rests on. What it claims stands in fields of the sheet, and is held
to the intervals.
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from svertka.course.answer_sheets import names_all, read_sheet
from svertka.course.findings import Barred, Finding, Part, part, right, wrong
from svertka.evaluate.intervals import share
from svertka.explain.patches import level_of
from svertka.messages import LANGUAGES, catalogue
from svertka.report.explain_page import PAGE, is_explanation
from svertka.schema import Comparison, Estimate, LeaderboardRow, Versus
from svertka.util.atomic_files import read_file, read_head, read_json
from svertka.util.from_dict import from_dict

NOT_SHOWN = ("not shown", "не показано", "no difference shown")
_POINT = 0.15
"""Percentage points to which a sentence writes an accuracy."""

# --- a race of ResNet-18 and VGG-16 --------------------------------------------------------------------------------

RACERS = ("resnet18", "vgg16")
LAP_COLUMNS = (
    "network", "parameters", "epoch", "epoch_s", "elapsed_s", "train_loss", "right", "held_out_n", "peak_memory_mb",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RaceRow:
    """One epoch of one network, as ``lab race`` writes it."""

    network: str
    epoch: int
    epoch_s: float
    elapsed_s: float
    right: int
    held_out_n: int


def race(file: Path) -> Iterator[Finding]:
    """A sheet: ``csv``, ``quicker``, ``times``, ``better`` and ``sentence``."""
    sheet = read_sheet(file, {"csv": str, "quicker": str, "times": float, "better": str, "sentence": str})
    laps = read_race(file.parent / Path(sheet["csv"]).expanduser())
    yield right("race_table", n=len(laps), names=list(RACERS))
    seconds = {name: median(lap.epoch_s for lap in laps if lap.network == name) for name in RACERS}
    yield _quicker(seconds, sheet["quicker"], sheet["times"])
    last = {name: [lap for lap in laps if lap.network == name][-1] for name in RACERS}
    accuracy = {name: share(lap.right, lap.held_out_n) for name, lap in last.items()}
    yield _better(accuracy, sheet["better"])
    yield _race_sentence(sheet["sentence"], {name: 100 * each.value for name, each in accuracy.items()})


def read_race(path: Path) -> list[RaceRow]:
    """The epochs of a table of ``lab race``.

    Raises:
        Barred: it is none, or a network isn't there, or they ran differently.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(read_file(path).decode("utf-8"))))
    except (OSError, UnicodeDecodeError, csv.Error):
        raise Barred(wrong("no_race", path=str(path))) from None
    if not rows or tuple(rows[0]) != LAP_COLUMNS:
        raise Barred(wrong("no_race", path=str(path)))
    laps = []
    for number, row in enumerate(rows, 2):
        try:
            lap = RaceRow(row["network"], int(row["epoch"]), float(row["epoch_s"]), float(row["elapsed_s"]),
                          int(row["right"]), int(row["held_out_n"]))  # fmt: skip
        except (TypeError, ValueError):
            raise Barred(wrong("race_row", n=number, path=path.name)) from None
        if not (0 <= lap.right <= lap.held_out_n and lap.held_out_n and 0 < lap.epoch_s <= 1.001 * lap.elapsed_s < 1e9):
            raise Barred(wrong("race_row", n=number, path=path.name))
        laps.append(lap)
    _check_whole(laps, path)
    return laps


def _check_whole(laps: list[RaceRow], path: Path) -> None:
    """Refuses a race in which something is missing."""
    epochs = {name: [lap.epoch for lap in laps if lap.network == name] for name in RACERS}
    for name in RACERS:
        if not epochs[name]:
            raise Barred(wrong("race_without", name=name, path=path.name))
    if len({lap.held_out_n for lap in laps}) > 1 or len({tuple(each) for each in epochs.values()}) > 1:
        raise Barred(
            wrong("race_unequal", part(RACERS[0], len(epochs[RACERS[0]])), part(RACERS[1], len(epochs[RACERS[1]])))
        )
    if epochs[RACERS[0]] != list(range(1, len(epochs[RACERS[0]]) + 1)):
        raise Barred(wrong("race_unequal"))


def _quicker(seconds: Mapping[str, float], said: str, times: float) -> Finding:
    quick, slow = sorted(RACERS, key=lambda name: seconds[name])
    ratio = seconds[slow] / seconds[quick]
    parts = [part(name, round(seconds[name], 2)) for name in RACERS]
    if plain(said) != quick:
        return wrong("quicker", *parts, name=said)
    if not math.isclose(times, ratio, rel_tol=0.05):
        return wrong("times", *parts, part("got", times), name=quick)
    return right("quicker", name=quick, times=ratio)


def _better(accuracy: Mapping[str, Estimate], said: str) -> Finding:
    """Intervals that overlap show no difference; a value that both allow is the counterexample."""
    worse, best = sorted(RACERS, key=lambda name: accuracy[name].value)
    shown = accuracy[best].low > accuracy[worse].high
    parts = [Part(name, accuracy[name]) for name in RACERS]
    if shown:
        return right("better", name=best) if plain(said) == best else wrong("better", *parts, name=best)
    if said.strip().casefold() in NOT_SHOWN:
        return right("none_better")
    both = (max(each.low for each in accuracy.values()) + min(each.high for each in accuracy.values())) / 2
    return wrong("none_better", *parts, name=said, value=both)


def _race_sentence(sentence: str, figures: Mapping[str, float]) -> Finding:
    said = plain(sentence)
    unnamed = next((name for name in RACERS if name not in said), None)
    if unnamed:
        return wrong("sentence_name", name=unnamed)
    return _sentence(sentence, figures)


def _sentence(sentence: str, figures: Mapping[str, float]) -> Finding:
    missing = names_all(sentence, figures, _POINT)
    if missing:
        return wrong("sentence_figure", part("expected", round(figures[missing], 1)), name=missing)
    return right("sentence")


def plain(name: str) -> str:
    """A name without case, spaces and dashes: ResNet-18 is resnet18."""
    return re.sub(r"[\W_]", "", name).casefold()


# --- strategies ----------------------------------------------------------------------------------------------------

_VERDICTS = {
    "better": "better",
    "лучше": "better",
    "worse": "worse",
    "хуже": "worse",
    **dict.fromkeys(NOT_SHOWN, "none"),
}


def strategies(file: Path) -> Iterator[Finding]:
    """A sheet: ``folder`` of ``svertka compare``, ``verdict`` on fine-tuning against the probe, ``sentence``."""
    sheet = read_sheet(file, {"folder": str, "verdict": str, "sentence": str})
    folder = file.parent / Path(sheet["folder"]).expanduser()
    try:
        comparison = from_dict(Comparison, read_json(folder / "comparison.json"), newer=True)
    except (OSError, ValueError, TypeError, RecursionError):
        yield wrong("no_comparison", path=str(folder))
        return
    probe, tuned, versus = _pair(comparison)
    yield right("comparison", first=probe.name, second=tuned.name, n=versus.difference.n)
    yield _verdict(versus, sheet["verdict"], tuned.name)
    rows = [(row.name, row.accuracy) for row in (probe, tuned)]
    yield _sentence(sheet["sentence"], {name: 100 * each.value for name, each in rows if each is not None})


def _pair(comparison: Comparison) -> tuple[LeaderboardRow, LeaderboardRow, Versus]:
    """The probe, a fine-tuned network, and the difference between them on the same images."""
    judged = [row for row in comparison.standings if row.accuracy is not None and len(row.folds) == comparison.folds]
    probes = [row for row in judged if row.strategy == "probe"]
    tuned = [row for row in judged if row.strategy not in ("probe", "scratch")]
    if not probes or not tuned:
        raise Barred(wrong("no_pair", names=[row.name for row in comparison.standings]))
    if comparison.set_aside < 1:
        raise Barred(wrong("no_test_set"))
    for row in tuned:
        for other in probes:
            if row.versus_cheapest is not None and row.versus_cheapest.other == other.name:
                return other, row, row.versus_cheapest
    raise Barred(wrong("no_pair", names=[row.name for row in comparison.standings]))


def _verdict(versus: Versus, said: str, name: str) -> Finding:
    """What the figures say, by the interval and not by the word that stands beside it."""
    low, high = versus.difference.low, versus.difference.high
    truth = "better" if low > 0 else "worse" if high < 0 else "none"
    claim = _VERDICTS.get(said.strip().casefold())
    if claim is None:
        return wrong("verdict_word", text=said)
    if claim == truth:
        return right(f"verdict_{truth}", name=name)
    return wrong(f"verdict_{truth}", Part("difference", versus.difference), name=name)


# --- activations ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StageLine:
    """What a page of ``explain`` says of a stage: its number and receptive field, 0 where it is the whole image."""

    number: int
    field_px: int


def activations(file: Path) -> Iterator[Finding]:
    """A sheet: ``folder`` of ``svertka explain``, ``sees_px`` (one a stage), ``edges`` and ``objects`` (a stage)."""
    sheet = read_sheet(file, {"folder": str, "sees_px": list, "edges": float, "objects": float})
    folder = file.parent / Path(sheet["folder"]).expanduser()
    stages = read_stages(folder)
    yield right("explained", n=len(stages))
    yield _fields(stages, sheet["sees_px"])
    for field, level in (("edges", "first"), ("objects", "last")):
        said = sheet[field]
        fits = said in [stage.number for stage in stages] and level_of(int(said) - 1, len(stages)) == level
        yield right(f"stage_{field}", n=int(said)) if fits else wrong(f"stage_{field}", got=said, n=len(stages))


def read_stages(folder: Path) -> list[StageLine]:
    """The stages of the first image of a page.

    Raises:
        Barred: it is no such page, has too few stages, or a picture isn't there.
    """
    if not is_explanation(folder):
        raise Barred(wrong("no_explanation", path=str(folder)))
    html = read_file(folder / PAGE).decode("utf-8", "replace")
    stages: dict[int, StageLine] = {}
    for language in LANGUAGES:
        for found in _stage_lines(language).finditer(html):
            number, sees = int(found["number"]), re.sub(r"\D", "", found["n"] or "")
            stages.setdefault(number, StageLine(number, int(sees or 0)))
    if len(stages) < 2:
        raise Barred(wrong("few_stages", n=len(stages)))
    lines = [stages[number] for number in sorted(stages)]
    for stage in lines:
        pictures = list(folder.glob(f"*-stage{stage.number}.png"))
        if not pictures or not read_head(pictures[0], 8).startswith(b"\x89PNG"):
            raise Barred(wrong("no_stage_picture", n=stage.number))
    return lines


def _stage_lines(language: str) -> re.Pattern[str]:
    """A line of the page on a stage, from the sentences that it is made of."""

    def pattern(key: str, **groups: str) -> str:
        sentence = catalogue(language)[f"explain.stages.{key}"]
        assert isinstance(sentence, str)
        pieces = re.split(r"\{(\w+)\}", sentence)
        seen: set[str] = set()
        made = ""
        for place, piece in enumerate(pieces):
            if place % 2 == 0:
                made += re.escape(piece)
            elif piece in groups and piece not in seen:
                made += f"(?P<{piece}>{groups[piece]})"
                seen.add(piece)
            else:
                made += r"[\d\s.,]+"
        return made

    stage, sees, whole = pattern("stage", number=r"\d+"), pattern("sees", n=r"[\d\s.,]+"), pattern("whole")
    return re.compile(f"{stage}; (?:{sees}|{whole})")


def _fields(stages: list[StageLine], said: list[float]) -> Finding:
    if len(said) != len(stages):
        return wrong("fields_count", n=len(stages), got=len(said))
    for stage, number in zip(stages, said, strict=True):
        if number != stage.field_px:
            return wrong("field", part("expected", stage.field_px), part("got", number), n=stage.number)
    return right("fields")
