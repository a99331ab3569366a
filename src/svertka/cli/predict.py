"""``svertka predict``: predicts image files with a bundle and writes a CSV. No torch; few imports, to start fast."""

import csv
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from svertka.bundle.predictor import AUTO, open_predictor
from svertka.cli.answers import Answers
from svertka.cli.inputs import find_inputs
from svertka.cli.options import Bundle, Language, Paths, TableConfig, Threads
from svertka.cli.output import begins, excel_rows, may_write, phrase, say, table_to
from svertka.errors import ConfigError
from svertka.evaluate.predictions import figure
from svertka.schema import Bundle as BundleRecord

_COLUMNS = ("path", "label", "confidence")  # of every table, first


def predict(
    bundle: Bundle,
    paths: Paths,
    out: Annotated[str, typer.Option(help="CSV file [default: standard output].")] = "",
    threads: Threads = 0,
    engine: Annotated[str, typer.Option(help="onnx (ONNX Runtime), numpy (the NumPy twin), auto: the quicker.")] = AUTO,
    sample_submission: Annotated[str, typer.Option(help="A competition's sample: write a submission like it.")] = "",
    wanted: Annotated[str, typer.Option(help="labels, or a class [default: as the sample shows].")] = "",
    top_k: Annotated[
        int, typer.Option(help="Only the so many likeliest classes [default: all].", show_default=False)
    ] = 0,
    excel: Annotated[
        bool, typer.Option("--excel", help="For a double click: BOM, semicolons, decimal commas.")
    ] = False,
    config_file: TableConfig = "",
    language: Language = "",
) -> int:
    """Writes one row a file, in the order of the files: path, label, confidence, every class's probability, error.

    Where the bundle has thresholds, the column ``answer`` follows the confidence: the label, or "unsure" with the
    classes that are possible. Where it remembers its training images there are two more columns before the error:
    ``unlike_training`` (yes or no), and ``distance_percentile``, the share of validation images that are nearer to the
    training images. A file that cannot be read is a row with its error; the job goes on. With ``top_k`` the so many
    likeliest classes stand instead of every class's probability.

    Rows appear on standard output as they come; a file is complete or isn't there. Cells are written as they are, as
    pandas and R write them; where ``excel`` is set, a spreadsheet takes none of them for a formula.

    Returns:
        The exit code: 0 if at least one file was read, 2 if none was (the rows say why).

    Raises:
        NotFoundError: a path means no file, or ``out`` lies in no folder.
        ConfigError: ``out`` is one of the inputs, a folder, or a file that no earlier call wrote; there is no such
            engine, or there are not so many classes.
        BundleError: the bundle is damaged.
    """
    out = "" if out == "-" else out  # as many tools name standard output
    if sample_submission or wanted:
        from svertka.cli.submission import submit

        if top_k or excel:
            option = "--top-k" if top_k else "--excel"
            raise ConfigError(
                f"{option} changes the columns, which --sample-submission decides; leave one of them out."
            )
        return submit(bundle, paths, sample_submission, out, wanted, threads, engine, config_file)
    predictor = open_predictor(bundle, threads, engine)
    classes = len(predictor.bundle.class_names)
    if not 0 <= top_k <= classes:
        raise ConfigError(f"--top-k is {top_k}; expected 1 to {classes}, the number of classes.")
    inputs = find_inputs(paths, config_file)
    if out:
        may_write(Path(out), [*paths, *(one.file for one in inputs)], begins(_COLUMNS))
    answers = Answers(predictor, inputs)
    whole = _write_table(out, predictor.bundle, answers, top_k, excel=excel)
    return _say_count(answers, len(inputs), out) if whole else 0


def _say_count(answers: Answers, files: int, out: str) -> int:
    """Says how many files were read and what is doubtful about them; returns the exit code."""
    say(phrase("predicted_to" if out else "predicted", n=answers.read, files=files, path=out))
    if answers.read < files:
        say(phrase("unread", n=files - answers.read))
    answers.say_doubts()
    return 0 if answers.read else 2


def _write_table(out: str, bundle: BundleRecord, answers: Answers, top_k: int, *, excel: bool) -> bool:
    """Whether the table was written to its end: a reader (head, less) may have seen enough."""
    try:
        with table_to(out) as stream:
            write = excel_rows(stream) if excel else csv.writer(stream, lineterminator="\n").writerow
            _write_rows(write, bundle, answers, top_k, "," if excel else ".")
            stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at exit
        return False
    return True


def _write_rows(
    write: Callable[[Sequence[object]], object], bundle: BundleRecord, answers: Answers, top_k: int, mark: str
) -> None:
    """Writes the table; ``mark`` stands before decimals."""
    class_names = bundle.class_names
    columns = [*_COLUMNS[1:], *(["answer"] if bundle.conformal else [])]
    likeliest = [f"{column}_{rank}" for rank in range(2, top_k + 1) for column in _COLUMNS[1:]]
    columns += likeliest if top_k else [f"p:{name}" for name in class_names]
    columns += ["unlike_training", "distance_percentile"] if bundle.novelty else []
    write([*_COLUMNS[:1], *columns, "error"])
    for found, result in answers:
        if result.probabilities_K is None:
            write([found.name, *("" for _ in columns), found.why_not or result.error])
            continue
        figures = [figure(p).replace(".", mark) for p in result.probabilities_K.tolist()]
        best, *others = np.argsort(-result.probabilities_K, kind="stable").tolist()
        cells = [found.name, result.label, figures[best], *([result.answer] if bundle.conformal else [])]
        second = [cell for place in others[: top_k - 1] for cell in (class_names[place], figures[place])]
        cells += second if top_k else figures
        if result.distance_percentile is not None:
            cells += ["yes" if result.out_of_distribution else "no"]
            cells += [f"{result.distance_percentile:.1f}".replace(".", mark)]
        write([*cells, ""])
