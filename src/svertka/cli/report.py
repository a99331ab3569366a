"""``svertka report``: the report again, from the files of a run folder."""

from pathlib import Path

from svertka import run_folder


def report(run: str) -> None:
    """Builds ``report.html`` from a finished run; writes the model card where there is none.

    A card that is there stays: people fill it in by hand.

    Raises:
        NotFoundError: no run, or one that isn't finished.
        DataError: a file of it is damaged.
    """
    from svertka.report import build_report, write_card

    folder = Path(run)
    record = run_folder.load_run(folder)
    print(f"Report: {build_report(record, folder / run_folder.REPORT)}")
    if not (folder / run_folder.CARD).exists():
        print(f"Model card: {write_card(record, folder / run_folder.CARD)}")
