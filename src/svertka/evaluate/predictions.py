"""Predictions as probabilities, and as a file.

``predictions.csv`` holds the logits at full precision, so every figure of a run rebuilds from it exactly, without
torch and without the images.
"""

import csv
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svertka.errors import DataError, NotFoundError
from svertka.schema import Predictions
from svertka.util.atomic_files import read_file, write_table

COLUMNS = ("path", "label", "predicted", "confidence")
_PROBABILITY, _LOGIT = "p:", "logit:"


def check(predictions: Predictions) -> None:
    """Refuses predictions that cannot be judged.

    Raises:
        DataError: there are no images, fewer than two classes, arrays of unequal length, a label that is no
            column, or logits that are not numbers (the network diverged).
    """
    logits_NK, labels_N = predictions.logits_NK, predictions.labels_N
    rows, classes = len(labels_N), len(predictions.class_names)
    if logits_NK.shape != (rows, classes) or len(predictions.paths) != rows:
        raise DataError(
            f"predictions have logits {list(logits_NK.shape)}, {rows} labels, {len(predictions.paths)} paths and "
            f"{classes} classes; expected logits of shape [images, classes] and one label and path an image."
        )
    if rows == 0:
        raise DataError("There are no predictions to judge; expected at least one labelled image. Check the test part.")
    if classes < 2:
        raise DataError(f"predictions have {classes} class(es); expected at least 2.")
    if labels_N.min() < 0 or labels_N.max() >= classes:
        raise DataError(f"labels run from {labels_N.min()} to {labels_N.max()}; expected 0 to {classes - 1}.")
    bad_N = np.isnan(logits_NK).any(axis=1)
    if bad_N.any():
        first = predictions.paths[int(np.argmax(bad_N))]
        raise DataError(
            f"{int(bad_N.sum())} of {rows} images have logits that are not numbers (the first: {first}). "
            "The network has diverged; train it again with a lower learning rate."
        )


def scaled_logits(predictions: Predictions, temperature: float = 1.0) -> NDArray[np.float64]:
    """Logits over the temperature, with the largest of each row moved to 0: shape [N, K].

    Infinite logits stand for the largest float32, which gives softmax its limit.

    Raises:
        DataError: the temperature is not above 0.
    """
    if not (np.isfinite(temperature) and temperature > 0):
        raise DataError(f"temperature is {temperature}; expected a finite number above 0.")
    largest = float(np.finfo(np.float32).max)
    logits_NK = np.clip(predictions.logits_NK, -largest, largest)
    # Shifted before it is divided: rows that differ by a constant then stay equal to the bit, and tie in a ranking.
    scaled_NK: NDArray[np.float64] = _shifted(logits_NK) / temperature
    return scaled_NK


def softmax(logits_NK: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities of the classes, shape [N, K]."""
    powers_NK = np.exp(_shifted(logits_NK))
    probabilities_NK: NDArray[np.float64] = powers_NK / powers_NK.sum(axis=1, keepdims=True)
    return probabilities_NK


def cross_entropy(logits_NK: NDArray[np.floating], labels_N: NDArray[np.integer]) -> NDArray[np.float64]:
    """Minus the log of the true class's probability, in nats, shape [N]; never clipped."""
    shifted_NK = _shifted(logits_NK)
    losses_N: NDArray[np.float64] = (
        np.log(np.exp(shifted_NK).sum(axis=1)) - shifted_NK[np.arange(len(labels_N)), labels_N]
    )
    return losses_N


def _shifted(logits_NK: NDArray[np.floating]) -> NDArray[np.float64]:
    """In float64, the largest of each row moved to 0, so that no exponential overflows."""
    wide_NK = logits_NK.astype(np.float64)
    shifted_NK: NDArray[np.float64] = wide_NK - wide_NK.max(axis=1, keepdims=True)
    return shifted_NK


def probabilities(predictions: Predictions, temperature: float = 1.0) -> NDArray[np.float64]:
    """Probability of every class for every image, shape [N, K]; rows sum to 1."""
    return softmax(scaled_logits(predictions, temperature))


def figure(probability: float) -> str:
    """A probability as a table shows it: six decimals, more than images can tell apart."""
    return f"{probability:.6f}"


def log_probabilities(predictions: Predictions, temperature: float = 1.0) -> NDArray[np.float64]:
    """Natural logarithm of ``probabilities``, [N, K], also of those that are too small for a number of their own."""
    shifted_NK = scaled_logits(predictions, temperature)
    logs_NK: NDArray[np.float64] = shifted_NK - np.log(np.exp(shifted_NK).sum(axis=1, keepdims=True))
    return logs_NK


def predicted_labels(predictions: Predictions) -> NDArray[np.int64]:
    """The class with the largest logit, shape [N]; of equal ones the first in ``class_names``."""
    labels_N: NDArray[np.int64] = predictions.logits_NK.argmax(axis=1).astype(np.int64)
    return labels_N


def save_predictions(predictions: Predictions, path_csv: Path | str, temperature: float = 1.0) -> None:
    """Writes one row an image: path, true and predicted label, confidence, every class's probability and logit.

    Probabilities are for people (six decimals, with the temperature); logits are exact and are what
    ``load_predictions`` reads.

    Raises:
        DataError: the predictions cannot be judged, see ``check``.
    """
    check(predictions)
    names = predictions.class_names
    probabilities_NK = probabilities(predictions, temperature)
    predicted_N = predicted_labels(predictions)
    header = [*COLUMNS, *(_PROBABILITY + name for name in names), *(_LOGIT + name for name in names)]
    rows = (
        [
            path,
            names[int(predictions.labels_N[row])],
            names[int(predicted_N[row])],
            figure(probabilities_NK[row, predicted_N[row]]),
            *map(figure, probabilities_NK[row].tolist()),
            # str of a float32 is the shortest text that reads back as the same float32.
            *map(str, predictions.logits_NK[row].astype(np.float32)),
        ]
        for row, path in enumerate(predictions.paths)
    )
    write_table(Path(path_csv), header, rows)


def load_predictions(path_csv: Path | str) -> Predictions:
    """Reads what ``save_predictions`` wrote; paths, labels and logits come back exactly.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is no file of predictions, or a row is damaged (the message names the row).
    """
    try:
        text = read_file(path_csv).decode("utf-8", "surrogateescape")
        header, *rows = list(csv.reader(io.StringIO(text, newline=""))) or [[]]
    except FileNotFoundError:
        raise NotFoundError(f"{path_csv} does not exist; expected the predictions.csv of a run folder.") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path_csv} cannot be read as CSV ({error}); expected the predictions.csv of a run.") from None
    except OSError as error:
        why = error.strerror
        raise DataError(f"{path_csv} cannot be read ({why}); expected the predictions.csv of a run.") from None
    names = tuple(column.removeprefix(_LOGIT) for column in header if column.startswith(_LOGIT))
    expected = [*COLUMNS, *(_PROBABILITY + name for name in names), *(_LOGIT + name for name in names)]
    if header != expected or not names:
        raise DataError(
            f"{path_csv} has the columns {', '.join(header[:8])}; expected {', '.join(COLUMNS)}, then p:<class> and "
            "logit:<class> for every class. Use the predictions.csv of a run folder."
        )
    label_of = {name: label for label, name in enumerate(names)}
    logits_NK = np.empty((len(rows), len(names)), dtype=np.float32)
    labels_N = np.empty(len(rows), dtype=np.int64)
    for number, row in enumerate(rows):
        try:
            if len(row) != len(header):
                raise ValueError(f"{len(row)} fields")
            logits_NK[number] = [np.float32(text) for text in row[-len(names) :]]
            labels_N[number] = label_of[row[1]]
        except (ValueError, KeyError) as error:
            raise DataError(
                f"{path_csv}, row {number + 2}: {error}; expected {len(header)} fields, a label that is one of "
                f"{', '.join(names[:8])}, and numbers as logits. The file is damaged; evaluate the model again."
            ) from None
    return Predictions(logits_NK=logits_NK, labels_N=labels_N, paths=tuple(row[0] for row in rows), class_names=names)
