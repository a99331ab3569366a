"""The bundle: a model as it is handed over, and where its parts come from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from svertka.schema.evaluation import Conformal
from svertka.schema.images import Preprocess


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where weights or data come from, and under which licence."""

    name: str
    origin: str
    licence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    """How closely ONNX Runtime and torch agree on the user's own test images."""

    n: int
    max_probability_difference: float
    same_labels: int


_ENGINES_APART = 1e-5
"""Distances that ONNX Runtime and the NumPy twin compute for one image differ by less."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Novelty:
    """From which distance on an image is unlike the training images; see ``features.ood``.

    Attributes:
        quantiles: of the validation images' distances, 0 to 100 %, in equal steps.
        n: validation images behind both.
    """

    threshold: float
    quantiles: tuple[float, ...]
    n: int

    def is_out_of_distribution(self, distance: float) -> bool:
        """Whether a distance is flagged; one at the threshold isn't, whichever engine computed it."""
        return bool(distance > self.threshold + _ENGINES_APART)

    def percentile(self, distance: float) -> float:
        """Which share of the validation images is nearer, 0 to 100."""
        return float(np.interp(distance, self.quantiles, np.linspace(0, 100, len(self.quantiles))))


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """A model as it is handed over: a folder with ``model.onnx``, ``weights.safetensors`` and ``manifest.json``.

    Attributes:
        class_names: order of the probabilities.
        preprocess: how files become the graph's uint8 input.
        temperature: already inside the graph.
        parity: measured when it was written.
        conformal: when to say "unsure"; None where there were too few validation images, and in older bundles.
        novelty: which distances are far; None where the graph gives none.
        engine: ``"onnx"`` or ``"numpy"``, whichever runs it more quickly; see ``inference.backends``.
    """

    directory: Path
    class_names: tuple[str, ...]
    preprocess: Preprocess
    temperature: float
    parity: Parity
    manifest: dict[str, object]
    conformal: Conformal | None = None
    novelty: Novelty | None = None
    engine: str = "onnx"
