"""The gallery of the surest mistakes."""

from dataclasses import dataclass

import numpy as np

from svertka.evaluate.predictions import predicted_labels, probabilities
from svertka.messages.translator import Translator
from svertka.report.dataset import Sample, picture_problem
from svertka.report.thumbnails import thumbnails
from svertka.schema import RunRecord

_MISTAKES_SHOWN = 12
_MISTAKE_PX = 160
_SURE = 0.9


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """A wrong answer with its picture."""

    sample: Sample
    path: str
    true: str
    said: str
    confidence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistakes:
    """The surest wrong answers."""

    finding: str
    shown: tuple[Mistake, ...]


def surest_mistakes(run: RunRecord, count: int) -> list[tuple[int, float]]:
    """Rows of the wrong answers on the test images and their calibrated confidence, surest first."""
    predicted_N = predicted_labels(run.test)
    confidence_N = probabilities(run.test, run.evaluation.temperature)[np.arange(len(predicted_N)), predicted_N]
    wrong = np.flatnonzero(predicted_N != run.test.labels_N)
    surest = wrong[np.argsort(-confidence_N[wrong], kind="stable")][:count]
    return [(int(row), float(confidence_N[row])) for row in surest]


def make_mistakes(tr: Translator, run: RunRecord) -> Mistakes:
    """Finds the wrong answers with the highest calibrated confidence; reads their images from disk."""
    predicted_N = predicted_labels(run.test)
    wrong = surest_mistakes(run, len(run.test))
    if not wrong:
        return Mistakes(finding=tr("mistakes.none"), shown=())
    surest = wrong[:_MISTAKES_SHOWN]
    names = run.test.class_names
    files = [run.catalog.root / run.test.paths[row] for row, _ in surest]
    pictures = thumbnails(files, _MISTAKE_PX, run.config.max_megapixels, run.catalog.ranges)
    shown = []
    for (row, confidence), picture in zip(surest, pictures, strict=True):
        true, said = names[int(run.test.labels_N[row])], names[int(predicted_N[row])]
        alt = tr("mistakes.alt", path=run.test.paths[row], true=true, said=said)
        shown.append(
            Mistake(
                sample=Sample(picture=picture, alt=alt, problem=picture_problem(tr, picture)),
                path=run.test.paths[row],
                true=true,
                said=said,
                confidence=tr.percent(confidence),
            )
        )
    finding = tr(
        "mistakes.finding",
        n=len(wrong),
        total=len(run.test),
        sure=sum(confidence > _SURE for _, confidence in wrong),
        limit=tr.percent(_SURE, 0),
    )
    return Mistakes(finding=finding, shown=tuple(shown))
