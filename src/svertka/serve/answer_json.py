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


def rejection_json(rejected: ImageRejected, language: str) -> dict[str, Any]:
    """Why an image could not be used.

    What was found in it is told in English alone, as in ``rejected.csv``; elsewhere what to do, as on the page.
    """
    translate = Translator(language)
    why = translate.known("reject", rejected.reason)
    told = f"{why}: {rejected.detail}" if language == "en" else f"{why}. {_advice(rejected, translate)}".rstrip(". ")
    counted = {"pixels": rejected.pixels, "most_pixels": rejected.most_pixels} if rejected.most_pixels else {}
    return {"reason": rejected.reason, "detail": told, **counted}


def _advice(rejected: ImageRejected, translate: Translator) -> str:
    """The page's sentence for a reason (``web/page/words.ts``)."""
    if rejected.most_pixels:
        found, most = (count / 1e6 for count in (rejected.pixels, rejected.most_pixels))
        return translate("web.rejected.too_large", found=translate.decimal(found, 1), most=_short(translate, most))
    if rejected.reason == "unreadable":  # there it is the browser's fault
        return ""
    reason = "too_costly" if rejected.reason == "too_large" else rejected.reason
    return translate.known("web.rejected", reason, otherwise="")


def _short(translate: Translator, megapixels: float) -> str:
    """25, or 19.4."""
    return translate.formatted(megapixels, ".1f").removesuffix(".0").removesuffix(",0")
