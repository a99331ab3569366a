"""``svertka report``: the report again, from the files of a run folder."""

from dataclasses import replace
from pathlib import Path

from svertka.cli.output import phrase, speak, spoken
from svertka.runs import folder as run_folder


def report(run: str, language: str = "") -> None:
    """Builds ``report.html`` from a finished run; writes the model card where there is none.

    A card that is there stays: people fill it in by hand.

    Args:
        run: folder of a run.
        language: of the report; "" means that of the run.

    Raises:
        NotFoundError: no run, or one that isn't finished.
        DataError: a file of it is damaged.
    """
    from svertka.report import build_report, write_card

    folder = Path(run)
    record = run_folder.load_run(folder)
    if language:
        record = replace(record, config=replace(record.config, language=spoken()))
    speak(record.config.language)
    print(phrase("report", path=build_report(record, folder / run_folder.REPORT)))
    if not (folder / run_folder.CARD).exists():
        print(phrase("card", path=write_card(record, folder / run_folder.CARD)))
