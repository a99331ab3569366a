"""The most confident mistakes."""

from dataclasses import dataclass

import numpy as np

from svertka.evaluate.predictions import predicted_labels, probabilities
from svertka.messages.translator import Translator
from svertka.report.thumbnails import Thumbnail, thumbnails
from svertka.schema import RunRecord

_MISTAKES_SHOWN = 12
_MISTAKE_PX = 160
_SURE = 0.9


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """A wrong answer on a test image, with its calibrated confidence."""

    path: str
    true: str
    said: str
    confidence: float


def surest_mistakes(run: RunRecord) -> list[Mistake]:
    """The wrong answers on the test images, surest first."""
    predicted_N, names = predicted_labels(run.test), run.test.class_names
    confidence_N = probabilities(run.test, run.evaluation.temperature)[np.arange(len(predicted_N)), predicted_N]
    wrong = np.flatnonzero(predicted_N != run.test.labels_N)
    return [
        Mistake(
            path=run.test.paths[row],
            true=names[run.test.labels_N[row]],
            said=names[predicted_N[row]],
            confidence=float(confidence_N[row]),
        )
        for row in wrong[np.argsort(-confidence_N[wrong], kind="stable")]
    ]


def make_mistakes(tr: Translator, run: RunRecord) -> tuple[str, list[tuple[Mistake, Thumbnail]]]:
    """How many wrong answers there are and how many of them were sure; the surest with their images, read from disk."""
    wrong = surest_mistakes(run)
    if not wrong:
        return tr("mistakes.none"), []
    sure = sum(mistake.confidence > _SURE for mistake in wrong)
    finding = tr("mistakes.finding", n=len(wrong), total=len(run.test), sure=sure, limit=_SURE)
    shown = wrong[:_MISTAKES_SHOWN]
    files = [
        (run.catalog.root / one.path, tr("mistakes.alt", path=one.path, true=one.true, said=one.said)) for one in shown
    ]
    pictures = thumbnails(files, _MISTAKE_PX, run.config.max_megapixels, run.catalog.ranges)
    return finding, list(zip(shown, pictures, strict=True))
