"""One explained image: its classes with probabilities, and the attribution maps of the best two."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from svertka.messages.translator import Translator
from svertka.report.thumbnails import Thumbnail
from svertka.schema import AttributionMap, Explanation
from svertka.viz.heatmap import data_address, overlay

Pixels = NDArray[np.uint8]
CLASSES_SHOWN = 3
_HARDLY = 0.01  # of probability


@dataclass(frozen=True, kw_only=True, slots=True)
class MapView:
    """An attribution map over the image."""

    method: str
    label: str
    """The class that the map is of."""
    top: str
    """Of the colour bar."""
    sentence: str
    picture: Thumbnail


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainedView:
    """An image with its maps."""

    title: str
    """Why it is shown, or its name."""
    path: str
    truth: str
    """Its true class, or ""."""
    wrong: bool
    """The answer isn't the true class."""
    classes: Sequence[tuple[str, float]]
    """The most probable classes, the best first."""
    picture: Thumbnail
    """The image as the network saw it."""
    heats: Sequence[MapView]


def make_explained(
    tr: Translator, explanation: Explanation, names: tuple[str, ...], image_SSC: Pixels | str
) -> ExplainedView:
    """Builds the view of one image: of its pixels as prepared, or the code of the reason why it cannot be read."""
    order = sorted(range(len(names)), key=lambda k: -explanation.probabilities[k])
    truth = "" if explanation.truth is None else names[explanation.truth]
    return ExplainedView(
        title=tr(f"explain.why.{explanation.why}"),
        path=explanation.path,
        truth=truth,
        wrong=bool(truth) and truth != names[order[0]],
        classes=[(names[k], explanation.probabilities[k]) for k in order[:CLASSES_SHOWN]],
        picture=_picture(
            image_SSC if isinstance(image_SSC, str) else Image.fromarray(image_SSC),
            tr("explain.image.alt", path=explanation.path),
        ),
        heats=[_map(tr, explanation, heat, names[heat.label], image_SSC) for heat in explanation.heats],
    )


def top_of(explanation: Explanation, method: str) -> float:
    """The value of the brightest colour: one scale for all maps of a method, or a weak one would look strong."""
    return max(max(map(max, heat.rows)) for heat in explanation.heats if heat.method == method)


def drawn(explanation: Explanation, heat: AttributionMap, image_SSC: Pixels) -> Image.Image:
    """The image under a map."""
    return overlay(image_SSC, np.array(heat.rows), top_of(explanation, heat.method))


def _map(
    tr: Translator, explanation: Explanation, heat: AttributionMap, label: str, image_SSC: Pixels | str
) -> MapView:
    name = tr.quoted(label)
    method = tr(f"explain.method.{heat.method}")
    return MapView(
        method=method,
        label=label,
        top=tr.decimal(max(0.0, top_of(explanation, heat.method)), 1),
        sentence=_sentence(tr, explanation, heat, name),
        picture=_picture(
            image_SSC if isinstance(image_SSC, str) else drawn(explanation, heat, image_SSC),
            tr("explain.heat.alt", method=method, name=name, path=explanation.path),
        ),
    )


def _sentence(tr: Translator, explanation: Explanation, heat: AttributionMap, name: str) -> str:
    plane = np.array(heat.rows)
    if plane.max() <= 0:
        return tr(f"explain.{heat.method}.nothing", name=name)
    if heat.left is not None:
        before = explanation.probabilities[heat.label]
        if before - heat.left < _HARDLY:
            return tr("explain.occlusion.steady", name=name, before=before)
        return tr("explain.occlusion.falls", name=name, before=before, after=heat.left)
    return tr("explain.grad_cam.share", name=name, share=float((plane > 0).mean()))


def _picture(picture: Image.Image | str, alt: str) -> Thumbnail:
    if isinstance(picture, str):
        return Thumbnail(alt=alt, reason=picture)
    return Thumbnail(alt=alt, source=data_address(picture))
