"""``svertka advise``: recommends a strategy for a data set, with the reason and the measurements behind it."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, get_args

import typer

from svertka.cli.extras import need_training
from svertka.cli.options import Backbone, Config, Data, GroupColumn, GroupRegex, Language, ThreadsOfRun, given
from svertka.cli.output import PLAIN_SPACES
from svertka.cli.progress import TerminalProgress
from svertka.cli.train import make_config
from svertka.errors import check_known
from svertka.messages import sentences, text
from svertka.messages.translator import Translator
from svertka.schema import Advice, Estimate, FeatureScore, Size

_FORMATS = ("text", "json")
_SIZES: tuple[Size, ...] = get_args(Size)


def advise(
    data: Data,
    backbone: Backbone = "",
    group_column: GroupColumn = "",
    group_regex: GroupRegex = "",
    seed: Annotated[int | None, typer.Option(help="Of split and folds [default: 0].")] = None,
    threads: ThreadsOfRun = None,
    language: Language = "",
    config_file: Config = "",
    format: Annotated[str, typer.Option(help=f"{' or '.join(_FORMATS)}.")] = "text",
) -> None:
    """Prints the advice."""
    options = given(locals())
    check_known("format", format, _FORMATS)
    need_training()
    config = make_config(options, config_file, verb="advise")
    from svertka.model_selection.advise import advise as measure

    started = time.monotonic()
    with TerminalProgress() as progress:
        advice = measure(config, progress)
    if format == "json":
        reasons = [sentences(reason, language=config.language) for reason in advice.reasons]
        print(json.dumps(asdict(advice) | {"reasons": reasons}, ensure_ascii=False, indent=1))
        return
    print("\n".join(lines(advice, config.language)).translate(PLAIN_SPACES))
    print("\n" + text("advice.cost", config.language, n=advice.whole.probe.n, seconds=time.monotonic() - started))
    print(text("advice.next", config.language) + f"\n  svertka train {config.data} --strategy {advice.strategy}")
    rivals = ",".join((advice.strategy, *advice.rivals))
    print(f"  svertka compare {config.data} --strategies {rivals}")


def lines(advice: Advice, language: str = "en") -> Iterator[str]:
    """The advice as a person reads it in a terminal."""
    tr = Translator(language)
    points = tr("unit.points")
    yield from _matrix(advice, tr)
    yield ""
    yield tr("advice.strategy", strategy=tr.known("strategy", advice.strategy), name=advice.strategy)
    yield from map(tr.sentences, advice.reasons)
    yield ""
    yield tr("advice.numbers")
    names = [tr("advice.tap", number=number) for number in range(1, len(advice.taps) + 1)]
    rows = dict(zip(names, advice.taps, strict=True))
    rows |= {tr("advice.whole"): advice.whole, tr("advice.random"): advice.random}
    width = max(map(len, rows))
    head = (tr("advice.probe"), tr("advice.neighbours"))
    yield f"  {'':<{width}}  {tr('advice.width'):>9}  {head[0]:<22}  {head[1]}"
    yield from (f"  {name:<{width}}  {_scores(score, tr)}" for name, score in rows.items())
    yield ""
    yield tr("advice.gain", interval=tr.points(advice.gain, points), share=100 * advice.errors_removed)
    yield tr("advice.late", interval=tr.points(advice.late, points))


def _matrix(advice: Advice, tr: Translator) -> Iterator[str]:
    """The matrix with the data's own cell marked; between little and much stands a column of its own."""
    from svertka.model_selection.advisor import strategies_of

    header = ["", *(tr.known("amount", size) for size in _SIZES)]
    table = [header]
    for similarity in ("similar", "different"):
        row = [tr.known("advice", similarity)]
        for size in _SIZES:
            name = strategies_of(size, similarity)[0]
            here = (size, similarity) == (advice.size, advice.similarity)
            row.append(f"[{name}]" if here else f" {name} ")
        table.append(row)
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        yield "  " + "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _scores(score: FeatureScore, tr: Translator) -> str:
    return f"{score.width:>9}  {_percent(score.probe, tr):<22}  {_percent(score.neighbours, tr)}"


def _percent(estimate: Estimate, tr: Translator) -> str:
    return f"{tr.percent(estimate.value):>7}  {tr.interval('accuracy', estimate)}"
