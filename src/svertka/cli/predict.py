"""``svertka predict``: a bundle and images in, a CSV out. Needs no torch; keeps its imports few to start fast."""

import csv
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np

from svertka.cli.inputs import Input, find_inputs
from svertka.errors import ConfigError, NotFoundError
from svertka.evaluate.conformal import is_answer, possible_classes
from svertka.export.bundle import load_bundle
from svertka.export.predictor import FilePrediction, open_predictor, predict_files
from svertka.schema import Bundle, Conformal

# File names that are no valid Unicode travel as surrogates; the file system's own rule writes their true bytes.
_ENCODING_ERRORS = sys.getfilesystemencodeerrors()


def predict(bundle: str, paths: Sequence[str], out: str | None = None, threads: int = 0, engine: str = "onnx") -> int:
    """Writes one row a file, in the order of the files: path, label, confidence, every class's probability, error.

    Where the bundle has thresholds, the column ``answer`` follows the confidence: the label, or "unsure" with the
    classes that are possible. A file that cannot be read is a row with its error; the job goes on.

    Args:
        bundle: a bundle folder or a run folder.
        paths: files, folders, quoted globs, or tables with a column of paths.
        out: the CSV to write, complete or not at all; None writes rows to standard output as they come.
        threads: 0 means all processors.
        engine: ``"onnx"`` or ``"numpy"``, see ``open_predictor``.

    Returns:
        The exit code: 0 if at least one file was read, 2 if none was (the rows say why).

    Raises:
        NotFoundError: a path means no file, or ``out`` lies in no folder.
        ConfigError: ``out`` is one of the inputs.
        BundleError: the bundle is damaged.
        ConfigError: there is no such engine.
    """
    predictor = open_predictor(load_bundle(bundle), threads, engine)
    inputs = find_inputs(paths)
    if out and Path(out).resolve() in {path.resolve() for path in (*map(Path, paths), *(one.file for one in inputs))}:
        raise ConfigError(f"--out {out} is one of the inputs and would be overwritten; name another file.")
    results = predict_files(predictor, (found.file for found in inputs))
    try:
        with _written_whole(Path(out)) if out else _standard_output() as stream:
            read = _write_rows(stream, predictor.bundle, inputs, results)
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    _say(f"{read} of {len(inputs)} files predicted{f', written to {out}' if out else ''}.")
    if read < len(inputs):
        _say(f"{len(inputs) - read} could not be read; the column 'error' says why.")
    return 0 if read else 2


def _write_rows(stream: TextIO, bundle: Bundle, inputs: Sequence[Input], results: Iterator[FilePrediction]) -> int:
    """Writes the table; returns how many files were read."""
    class_names = bundle.class_names
    abstains = ["answer"] if bundle.conformal else []
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(["path", "label", "confidence", *abstains, *(f"p:{name}" for name in class_names), "error"])
    read = 0
    for found, result in zip(inputs, results, strict=True):
        if result.probabilities_K is None:
            rows.writerow([found.name, "", "", *("" for _ in (*abstains, *class_names)), result.error])
            continue
        read += 1
        probabilities = result.probabilities_K.tolist()
        best = max(range(len(probabilities)), key=probabilities.__getitem__)
        figures = [f"{p:.7g}" for p in probabilities]
        answer = [_answer(bundle.conformal, class_names, result, best)] if bundle.conformal else []
        rows.writerow([found.name, class_names[best], figures[best], *answer, *figures, ""])
    stream.flush()
    return read


def _answer(conformal: Conformal, class_names: Sequence[str], result: FilePrediction, best: int) -> str:
    """The label where no other class is possible, else ``unsure`` and what is: ``unsure: cat | dog``."""
    assert result.logits_K is not None
    possible_NK = possible_classes(result.logits_K[None], conformal)
    if is_answer(possible_NK, np.array([best]))[0]:
        return class_names[best]
    possible = [name for name, inside in zip(class_names, possible_NK[0], strict=True) if inside]
    return f"unsure: {' | '.join(possible)}" if possible else "unsure"


@contextmanager
def _standard_output() -> Iterator[TextIO]:
    stream = sys.stdout
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(encoding="utf-8", errors=_ENCODING_ERRORS)
    yield stream


@contextmanager
def _written_whole(path: Path) -> Iterator[TextIO]:
    """A file that appears under its name only once it is complete."""
    if not path.parent.is_dir():
        raise NotFoundError(
            f"{path.parent} does not exist; expected a folder to write {path.name} into. Create it first."
        )
    if path.is_dir():
        raise NotFoundError(f"{path} is a folder; expected the name of a CSV file to write.")
    beside = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8", errors=_ENCODING_ERRORS, newline="") as stream:
            yield stream
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _say(message: str) -> None:
    print(message, file=sys.stderr)
