"""Answers as JSON: the records that page and clients read (``web/model/api.ts`` has the same as types)."""

from typing import Any

from svertka.bundle.predictor import FilePrediction
from svertka.errors import ImageRejected
from svertka.messages import Translator


def answer_json(class_names: tuple[str, ...], found: FilePrediction) -> dict[str, Any]:
    """One image's answer.

    Raises:
        ValueError: the prediction has no probabilities.
    """
    if found.probabilities_K is None:
        raise ValueError("an answer needs probabilities")
    p_K = found.probabilities_K.tolist()
    return {
        "label": found.label,
        "probability": max(p_K),
        "probabilities": dict(zip(class_names, p_K, strict=True)),
        "answer": None if found.possible is None else "unsure" if found.is_unsure else "answered",
        "possible": None if found.possible is None else list(found.possible),
        "distance": found.distance,
        "distance_percentile": found.distance_percentile,
        "out_of_distribution": found.out_of_distribution,
        "notes": list(found.notes),
    }


def rejection_json(rejected: ImageRejected, language: str) -> dict[str, str]:
    """Why an image could not be used. What was found in it is told in English alone, as in ``rejected.csv``."""
    why = Translator(language).known("reject", rejected.reason)
    return {"reason": rejected.reason, "detail": f"{why}: {rejected.detail}" if language == "en" else why}
