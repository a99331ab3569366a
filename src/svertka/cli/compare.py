"""``svertka compare``: cross-validates strategies or networks on the same folds; a table, figures and a plot."""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from svertka.cli.extras import need_training
from svertka.cli.options import Config, Data, GroupColumn, GroupRegex, ThreadsOfRun, given
from svertka.cli.output import PLAIN_SPACES
from svertka.cli.progress import TerminalProgress
from svertka.cli.train import make_config
from svertka.errors import ConfigError
from svertka.messages.translator import Translator
from svertka.schema import Comparison, Estimate, Event, EventSink, LeaderboardRow, Notice, Versus

MINUTES = 30.0
"""Budget where neither the command line nor a file names one."""

_ENGLISH = Translator("en")
TABLE, FIGURES, PICTURE = "comparison.csv", "comparison.json", "comparison"


def compare(
    data: Data,
    strategies: Annotated[
        str, typer.Option(help="all, or names: probe,lp-ft [default: all; of several backbones: probe].")
    ] = "",
    backbones: Annotated[str, typer.Option(help="Networks by name: a,b,c [default: efficientnet_lite0].")] = "",
    folds: Annotated[int, typer.Option(help="Every image but the test images is judged once.")] = 5,
    minutes: Annotated[float | None, typer.Option(help="Budget for learning [default: 30].")] = None,
    out: Annotated[str, typer.Option(help="Folder for table, figures and picture [default: runs/<name>-<n>].")] = "",
    group_column: GroupColumn = "",
    group_regex: GroupRegex = "",
    seed: Annotated[int | None, typer.Option(help="Of split, folds and learning [default: 0].")] = None,
    threads: ThreadsOfRun = None,
    config_file: Config = "",
) -> None:
    """Compares, prints how the contenders stand, and leaves a folder with the figures."""
    options = given(locals())
    del options["folds"]  # of the comparison, not of each contender
    need_training()
    config = make_config(options, config_file, verb="compare", minutes=MINUTES)
    if folds < 2:
        raise ConfigError(f"folds is {folds}; expected 2 or more.")
    from svertka.data.files import list_files
    from svertka.model_selection.compare import compare as race
    from svertka.model_selection.contenders import make_contenders
    from svertka.runs import folder as run_folder

    contenders = make_contenders(strategies, backbones, config.backbone)
    list_files(config.data, config)  # a wrong path fails here, before anything is made
    folder = run_folder.new_run_folder(config)
    kept: list[Comparison] = []

    def keep(comparison: Comparison) -> None:
        kept[:] = [comparison]
        save(comparison, folder, Path(config.data).name)

    stopped = False
    with TerminalProgress() as progress, tempfile.TemporaryDirectory(prefix=".work-", dir=folder) as work:
        try:
            keep(race(replace(config, out="", folds=0), contenders, folds, Path(work), _worth_a_line(progress), keep))
        except KeyboardInterrupt:
            stopped = True
    if kept:
        print("\n".join(lines(kept[0])).translate(PLAIN_SPACES))
        print(f"\nTable: {folder / TABLE}\nFigures: {folder / FIGURES}\nPicture: {folder / PICTURE}.svg, .png")
    if stopped:
        print("Stopped; what had been judged is kept." if kept else "Stopped before anything was judged.")
        sys.exit(130)


def _worth_a_line(progress: TerminalProgress) -> EventSink:
    """Passes on what is worth a line; the epochs of dozens of runs are not."""
    from svertka.messages import sentences
    from svertka.schema import EpochEnded

    def pass_on(event: Event) -> None:
        match event:
            case EpochEnded():
                return
            case Notice("trial"):
                progress.say(sentences(event))
            case _:
                progress(event)

    return pass_on


def save(comparison: Comparison, folder: Path, name: str) -> None:
    """Writes the table, all figures, and the picture as SVG and PNG."""
    from svertka.model_selection.leaderboard_figure import picture
    from svertka.util.atomic_files import write_json, write_table
    from svertka.viz.drawing import save as save_drawing

    write_json(folder / FIGURES, asdict(comparison))
    rows = [_record(standing, comparison) for standing in comparison.standings]
    write_table(folder / TABLE, list(rows[0]), [list(row.values()) for row in rows])
    drawing = picture(comparison, f"Ways of learning compared: {name}")
    for end in (".svg", ".png"):
        save_drawing(drawing, folder / f"{PICTURE}{end}")


def _record(standing: LeaderboardRow, comparison: Comparison) -> dict[str, object]:
    record: dict[str, object] = {
        "name": standing.name,
        "backbone": standing.backbone,
        "strategy": standing.strategy,
        "folds": len(standing.folds),
        "of_folds": comparison.folds,
    }
    for name, estimate in (("accuracy", standing.accuracy), ("log_loss", standing.log_loss)):
        record |= _spread(name, estimate)
    record |= {"n": standing.accuracy.n if standing.accuracy else 0, "seconds_a_fold": round(standing.seconds, 3)}
    record |= {"fewest_epochs": standing.epochs[0], "most_epochs": standing.epochs[1]}
    for name, versus in (("cheapest", standing.versus_cheapest), ("best", standing.versus_best)):
        record |= {f"versus_{name}": versus.other if versus else ""}
        record |= _spread(f"difference_from_{name}", versus.difference if versus else None)
        record |= {f"verdict_against_{name}": versus.verdict if versus else ""}
    return record | {"error": standing.error}


def _spread(name: str, estimate: Estimate | None) -> dict[str, object]:
    values = (estimate.value, estimate.low, estimate.high) if estimate else ("", "", "")
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def lines(comparison: Comparison) -> Iterator[str]:
    """The result as a person reads it in a terminal."""
    from svertka.model_summary.summary import write_table

    rows = comparison.standings
    named = next((row.versus_cheapest.other for row in rows if row.versus_cheapest), "")
    best = next((row.versus_best.other for row in rows if row.versus_best), "")
    header = ["", "folds", "accuracy", "95 %", "log loss", "time a fold"]
    header += [f"from {named}, points"] if named else []
    header += [f"from {best}, points"] if best and best != named else []
    cells = []
    for row in rows:
        cells.append([row.name, f"{len(row.folds)}/{comparison.folds}", *_figures(row)])
        if named:
            cells[-1].append(_difference(row.versus_cheapest))
        if best and best != named:
            cells[-1].append(_difference(row.versus_best))
    yield ""
    yield write_table(header, cells, "table", right={1, 2, 4, 5})
    yield ""
    yield (
        f"{comparison.images} images in {comparison.folds} folds, seed {comparison.seed}; the {comparison.set_aside} "
        "test images took no part. Differences are in pairs, with 95 % intervals."
    )
    yield from _left_out(comparison)


def _left_out(comparison: Comparison) -> Iterator[str]:
    """What was not run, and why."""
    for row in comparison.standings:
        if row.error:
            yield f"{row.name} failed: {row.error}"
    short = [row for row in comparison.standings if len(row.folds) < comparison.folds and not row.error]
    if short:
        what = ", ".join(
            f"{row.name} ({comparison.folds - len(row.folds)} of {comparison.folds} folds)" for row in short
        )
        yield f"Not run within {comparison.minutes:g} min: {what}. Give more with --minutes."


def _figures(row: LeaderboardRow) -> tuple[str, str, str, str]:
    if row.accuracy is None or row.log_loss is None:
        return "–", "failed" if row.error else "not run", "–", "–"
    accuracy, interval = _ENGLISH.percent(row.accuracy.value), _ENGLISH.interval("accuracy", row.accuracy)
    return accuracy, interval, f"{row.log_loss.value:.3f}", f"{row.seconds:.1f} s"


def _difference(versus: Versus | None) -> str:
    if versus is None:
        return "–"
    return f"{_ENGLISH.points(versus.difference)}: {versus.verdict}"
