"""One explained image as the pages show it: its classes with probabilities, and the maps of the best two."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from svertka.messages.translator import Translator
from svertka.report.dataset import Sample
from svertka.report.thumbnails import Thumbnail
from svertka.schema import AttributionMap, Explanation
from svertka.viz.heatmap import data_address, overlay

Pixels = NDArray[np.uint8]
CLASSES_SHOWN = 3
_HARDLY = 0.01  # of probability


@dataclass(frozen=True, kw_only=True, slots=True)
class HeatView:
    """A map over the image: which method and class, the colour bar's top, a sentence, the picture."""

    method: str
    label: str
    top: str
    sentence: str
    sample: Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainedView:
    """An image with its maps.

    Attributes:
        title: why it is shown, or its name.
        path: of the file.
        truth: its true class, or "".
        wrong: the answer isn't the true class.
        classes: name, probability in words, and in percent for the bar; the best first.
        sample: the image as the network saw it.
        heats: the maps.
    """

    title: str
    path: str
    truth: str
    wrong: bool
    classes: tuple[tuple[str, str, float], ...]
    sample: Sample
    heats: tuple[HeatView, ...]


def make_explained(
    tr: Translator, explanation: Explanation, names: tuple[str, ...], image_SSC: Pixels | None, problem: str = ""
) -> ExplainedView:
    """Builds the view of one image.

    Args:
        tr: of the page.
        explanation: what was found.
        names: of the classes.
        image_SSC: the prepared image; None where it can no longer be read.
        problem: then, why not.
    """
    order = sorted(range(len(names)), key=lambda k: -explanation.probabilities[k])
    said = names[order[0]]
    truth = "" if explanation.truth is None else names[explanation.truth]
    alt = tr("explain.image.alt", path=explanation.path)
    return ExplainedView(
        title=tr(f"explain.why.{explanation.why}"),
        path=explanation.path,
        truth=truth,
        wrong=bool(truth) and truth != said,
        classes=tuple(
            (names[k], tr.percent(explanation.probabilities[k]), round(100 * explanation.probabilities[k], 1))
            for k in order[:CLASSES_SHOWN]
        ),
        sample=_sample(None if image_SSC is None else Image.fromarray(image_SSC), alt, problem),
        heats=tuple(_heat(tr, explanation, heat, names, image_SSC, problem) for heat in explanation.heats),
    )


def top_of(explanation: Explanation, method: str) -> float:
    """The value of the brightest colour: one scale for all maps of a method, or a weak one would look strong."""
    return max(max(map(max, heat.rows)) for heat in explanation.heats if heat.method == method)


def drawn(explanation: Explanation, heat: AttributionMap, image_SSC: Pixels) -> Image.Image:
    """The image under a map."""
    return overlay(image_SSC, np.array(heat.rows), top_of(explanation, heat.method))


def _heat(
    tr: Translator,
    explanation: Explanation,
    heat: AttributionMap,
    names: tuple[str, ...],
    image_SSC: Pixels | None,
    problem: str,
) -> HeatView:
    name = tr.quoted(names[heat.label])
    method = tr(f"explain.method.{heat.method}")
    picture = None if image_SSC is None else drawn(explanation, heat, image_SSC)
    return HeatView(
        method=method,
        label=names[heat.label],
        top=tr.decimal(max(0.0, top_of(explanation, heat.method)), 1),
        sentence=_sentence(tr, explanation, heat, name),
        sample=_sample(picture, tr("explain.heat.alt", method=method, name=name, path=explanation.path), problem),
    )


def _sentence(tr: Translator, explanation: Explanation, heat: AttributionMap, name: str) -> str:
    plane = np.array(heat.rows)
    if plane.max() <= 0:
        return tr(f"explain.{heat.method}.nothing", name=name)
    if heat.left is not None:
        before = tr.percent(explanation.probabilities[heat.label])
        if explanation.probabilities[heat.label] - heat.left < _HARDLY:
            return tr("explain.occlusion.steady", name=name, before=before)
        return tr("explain.occlusion.falls", name=name, before=before, after=tr.percent(heat.left))
    return tr("explain.grad_cam.share", name=name, share=tr.percent(float((plane > 0).mean()), 0))


def _sample(picture: Image.Image | None, alt: str, problem: str) -> Sample:
    source = "" if picture is None else data_address(picture)
    return Sample(picture=Thumbnail(source=source), alt=alt, problem=problem)
