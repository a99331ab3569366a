"""``svertka report``: the report again, from the files of a run folder."""

from pathlib import Path

from svertka import run_folder


def report(run: str) -> None:
    """Builds ``report.html`` from a finished run.

    Raises:
        NotFoundError: no run, or one that isn't finished.
        DataError: a file of it is damaged.
    """
    from svertka.report import build_report

    folder = Path(run)
    print(f"Report: {build_report(run_folder.load_run(folder), folder / run_folder.REPORT)}")
