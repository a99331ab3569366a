"""``svertka report``: the report again, from the files of a run folder."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from svertka.cli.options import Language
from svertka.cli.output import phrase, speak
from svertka.runs import folder as run_folder


def report(run: Annotated[str, typer.Argument(help="Run folder.")], language: Language = "") -> None:
    """Builds ``report.html`` from a finished run, in the run's language if none is given.

    A model card is written where there is none: people fill it in by hand.

    Raises:
        NotFoundError: no run, or one that isn't finished.
        DataError: a file of it is damaged.
    """
    from svertka.report import build_report, write_card

    folder = Path(run)
    record = run_folder.load_run(folder)
    if language:
        record = replace(record, config=replace(record.config, language="ru" if language == "ru" else "en"))
    speak(record.config.language)
    print(phrase("report", path=build_report(record, folder / run_folder.REPORT)))
    if not (folder / run_folder.CARD).exists():
        print(phrase("card", path=write_card(record, folder / run_folder.CARD)))
