"""``svertka predict``: a bundle and images in, a CSV out. Needs no torch; keeps its imports few to start fast."""

import csv
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from svertka.cli.inputs import Input, find_inputs
from svertka.cli.output import begins, may_write, say, say_unlike, standard_output, written_whole
from svertka.evaluate.conformal import is_answer, possible_classes
from svertka.export.bundle import load_bundle
from svertka.export.predictor import FilePrediction, open_predictor, predict_files
from svertka.schema import Bundle, Conformal

_COLUMNS = ("path", "label", "confidence")  # of every table, first


def predict(bundle: str, paths: Sequence[str], out: str | None = None, threads: int = 0, engine: str = "auto") -> int:
    """Writes one row a file, in the order of the files: path, label, confidence, every class's probability, error.

    Where the bundle has thresholds, the column ``answer`` follows the confidence: the label, or "unsure" with the
    classes that are possible. Where it remembers its training images there are two more columns before the error:
    ``unlike_training`` (yes or no), and ``distance_percentile``, the share of validation images that are nearer to the
    training images. A file that cannot be read is a row with its error; the job goes on.

    Args:
        bundle: a bundle folder or a run folder.
        paths: files, folders, quoted globs, or tables with a column of paths.
        out: the CSV to write, complete or not at all; None writes rows to standard output as they come.
        threads: 0 means all processors.
        engine: ``"auto"``, ``"onnx"`` or ``"numpy"``, see ``open_predictor``.

    Returns:
        The exit code: 0 if at least one file was read, 2 if none was (the rows say why).

    Raises:
        NotFoundError: a path means no file, or ``out`` lies in no folder.
        ConfigError: ``out`` is one of the inputs, a folder, or a file that no earlier call wrote.
        BundleError: the bundle is damaged.
        ConfigError: there is no such engine.
    """
    predictor = open_predictor(load_bundle(bundle), threads, engine)
    inputs = find_inputs(paths)
    if out:
        may_write(Path(out), [*paths, *(one.file for one in inputs)], begins(_COLUMNS))
    results = predict_files(predictor, (found.file for found in inputs))
    try:
        with written_whole(Path(out)) if out else standard_output() as stream:
            read, unlike = _write_rows(stream, predictor.bundle, inputs, results)
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    say(f"{read} of {len(inputs)} files predicted{f', written to {out}' if out else ''}.")
    if read < len(inputs):
        say(f"{len(inputs) - read} could not be read; the column 'error' says why.")
    say_unlike(unlike)
    return 0 if read else 2


def _write_rows(
    stream: TextIO, bundle: Bundle, inputs: Sequence[Input], results: Iterator[FilePrediction]
) -> tuple[int, list[str]]:
    """Writes the table; returns how many files were read, and the names of those unlike the training images."""
    rows, novelty, class_names = csv.writer(stream, lineterminator="\n"), bundle.novelty, bundle.class_names
    answers = ["answer"] if bundle.conformal else []
    columns = [*_COLUMNS[1:], *answers, *(f"p:{name}" for name in class_names)]
    columns += ["unlike_training", "distance_percentile"] if novelty else []
    rows.writerow([*_COLUMNS[:1], *columns, "error"])
    read, unlike = 0, []
    for found, result in zip(inputs, results, strict=True):
        if result.probabilities_K is None:
            rows.writerow([found.name, *("" for _ in columns), result.error])
            continue
        read += 1
        probabilities = result.probabilities_K.tolist()
        best = max(range(len(probabilities)), key=probabilities.__getitem__)
        figures = [f"{p:.7g}" for p in probabilities]
        answer = [_answer(bundle.conformal, class_names, result, best)] if bundle.conformal else []
        cells = [found.name, class_names[best], figures[best], *answer, *figures]
        if novelty and result.distance is not None:
            far = novelty.is_unlike(result.distance)
            cells += ["yes" if far else "no", f"{novelty.percentile(result.distance):.1f}"]
            unlike += [found.name] * far
        rows.writerow([*cells, ""])
    stream.flush()
    return read, unlike


def _answer(conformal: Conformal, class_names: Sequence[str], result: FilePrediction, best: int) -> str:
    """The label where no other class is possible, else ``unsure`` and what is: ``unsure: cat | dog``."""
    assert result.logits_K is not None
    possible_NK = possible_classes(result.logits_K[None], conformal)
    if is_answer(possible_NK, np.array([best]))[0]:
        return class_names[best]
    possible = [name for name, inside in zip(class_names, possible_NK[0], strict=True) if inside]
    return f"unsure: {' | '.join(possible)}" if possible else "unsure"
