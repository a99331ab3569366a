"""``svertka predict``: a bundle and images in, a CSV out. Needs no torch; keeps its imports few to start fast."""

import csv
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from svertka.bundle.predictor import FilePrediction, open_predictor, predict_files
from svertka.cli.inputs import Input, find_inputs
from svertka.cli.output import (
    begins,
    excel_rows,
    may_write,
    phrase,
    say,
    say_samples,
    say_unlike,
    standard_output,
    written_whole,
)
from svertka.cli.progress import counted
from svertka.errors import ConfigError
from svertka.evaluate.predictions import figure
from svertka.schema import Bundle

_COLUMNS = ("path", "label", "confidence")  # of every table, first


def predict(
    bundle: str,
    paths: Sequence[str],
    out: str | None = None,
    threads: int = 0,
    engine: str = "auto",
    config_file: str = "",
    top_k: int = 0,
    excel: bool = False,
) -> int:
    """Writes one row a file, in the order of the files: path, label, confidence, every class's probability, error.

    Where the bundle has thresholds, the column ``answer`` follows the confidence: the label, or "unsure" with the
    classes that are possible. Where it remembers its training images there are two more columns before the error:
    ``unlike_training`` (yes or no), and ``distance_percentile``, the share of validation images that are nearer to the
    training images. A file that cannot be read is a row with its error; the job goes on.

    Cells are written as they are, as pandas and R write them; where ``excel`` is set, a spreadsheet takes none of them
    for a formula.

    Args:
        bundle: a bundle folder or a run folder.
        paths: files, folders, quoted globs, or tables with a column of paths.
        out: the CSV to write, complete or not at all; None writes rows to standard output as they come.
        threads: 0 means all processors.
        engine: ``"auto"``, ``"onnx"`` or ``"numpy"``, see ``open_predictor``.
        config_file: TOML file that says how to read tables; "" means none.
        top_k: instead of every class's probability, the so many likeliest classes with theirs; 0 means every class's.
        excel: write what a double click opens rightly in a spreadsheet, see ``Excel``.

    Returns:
        The exit code: 0 if at least one file was read, 2 if none was (the rows say why).

    Raises:
        NotFoundError: a path means no file, or ``out`` lies in no folder.
        ConfigError: ``out`` is one of the inputs, a folder, or a file that no earlier call wrote.
        BundleError: the bundle is damaged.
        ConfigError: there is no such engine, or there are not so many classes.
    """
    predictor = open_predictor(bundle, threads, engine)
    classes = len(predictor.bundle.class_names)
    if not 0 <= top_k <= classes:
        raise ConfigError(f"--top-k is {top_k}; expected 1 to {classes}, the number of classes.")
    inputs = find_inputs(paths, config_file)
    if out:
        may_write(Path(out), [*paths, *(one.file for one in inputs)], begins(_COLUMNS))
    results = counted("predict", len(inputs), predict_files(predictor, (found.file for found in inputs)))
    try:
        with written_whole(Path(out)) if out else standard_output() as stream:
            write = excel_rows(stream) if excel else csv.writer(stream, lineterminator="\n").writerow
            read, unlike, notes = _write_rows(write, predictor.bundle, inputs, results, top_k, "," if excel else ".")
            stream.flush()
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    say(phrase("predicted_to" if out else "predicted", n=read, files=len(inputs), path=out))
    if read < len(inputs):
        say(phrase("unread", n=len(inputs) - read))
    say_samples(notes)
    say_unlike(unlike)
    return 0 if read else 2


def _write_rows(
    write: Callable[[Sequence[object]], object],
    bundle: Bundle,
    inputs: Sequence[Input],
    results: Iterator[FilePrediction],
    top_k: int,
    mark: str,
) -> tuple[int, list[str], list[tuple[str, tuple[str, ...]]]]:
    """Writes the table; returns how many files were read, the names of those unlike the training images, and notes."""
    class_names = bundle.class_names
    answers = ["answer"] if bundle.conformal else []
    likeliest = [f"{column}_{rank}" for rank in range(2, top_k + 1) for column in _COLUMNS[1:]]
    columns = [*_COLUMNS[1:], *answers, *(likeliest if top_k else (f"p:{name}" for name in class_names))]
    columns += ["unlike_training", "distance_percentile"] if bundle.novelty else []
    write([*_COLUMNS[:1], *columns, "error"])
    read, unlike, notes = 0, [], []
    for found, result in zip(inputs, results, strict=True):
        if result.probabilities_K is None:
            write([found.name, *("" for _ in columns), found.why_not or result.error])
            continue
        read += 1
        notes += [(found.name, result.notes)] if result.notes else []
        figures = [figure(p).replace(".", mark) for p in result.probabilities_K.tolist()]
        best, *others = np.argsort(-result.probabilities_K, kind="stable").tolist()
        answer = [result.answer] if bundle.conformal else []
        second = [cell for place in others[: top_k - 1] for cell in (class_names[place], figures[place])]
        cells = [found.name, result.label, figures[best], *answer, *(second if top_k else figures)]
        if result.distance_percentile is not None:
            cells += ["yes" if result.out_of_distribution else "no"]
            cells += [f"{result.distance_percentile:.1f}".replace(".", mark)]
        unlike += [found.name] if result.out_of_distribution else []
        write([*cells, ""])
    return read, unlike, notes
