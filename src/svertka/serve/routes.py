"""The routes: predict, explain, what the models are, health, metrics, and the page."""

import io
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from importlib import resources
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from svertka.bundle.predictor import predict_content, predict_prepared
from svertka.data.decode import load_content
from svertka.errors import ImageRejected, first_of
from svertka.explain.cam import GRID, evidence
from svertka.explain.opened_bundle import OpenedBundle
from svertka.serve.answer_json import answer_json, rejection_json
from svertka.serve.bodies import SentImage, is_multipart, read_body, split_images
from svertka.serve.guard import Guard
from svertka.serve.page_response import homepage
from svertka.serve.problems import Problem, preferred_language
from svertka.serve.served_model import ServedModel, choose
from svertka.serve.service import Service
from svertka.viz.heatmap import overlay

JSON = dict[str, Any]


async def _predict(service: Service, request: Request) -> Response:
    """Answers one image, or up to 16 that came as a form."""
    model = choose(service.models, request.query_params.get("model"))
    language = preferred_language(request.headers.get("accept-language", ""))
    service.check_room()
    content = await read_body(request.receive, request.headers, service.limits, service.held)
    try:
        if not is_multipart(request.headers):
            answers = [await service.work(partial(_answer, service, model, SentImage(content)))]
        else:
            images = split_images(content, request.headers, service.limits.images)
            answers = await service.work(partial(_answers, service, model, images, language))
    except ImageRejected as rejected:
        raise _rejected(service, rejected, language) from None
    finally:
        service.held.taken -= len(content)
    return JSONResponse({"model": model.identity, "predictions": answers})


def _answer(service: Service, model: ServedModel, image: SentImage) -> JSON:
    """One image, in a worker."""
    found = predict_content(model.predictor, image.content, suffix=image.suffix, max_pixels=service.limits.pixels)
    service.meters.predicted(model.name)
    return {"file": image.name} | answer_json(model.predictor.bundle.class_names, found)


def _answers(service: Service, model: ServedModel, images: list[SentImage], language: str) -> list[JSON]:
    """Several images, one after the other in one worker; one that cannot be used is an answer too."""
    answers: list[JSON] = []
    for image in images:
        try:
            answers.append(_answer(service, model, image))
        except ImageRejected as rejected:
            service.meters.rejected(rejected.reason)
            answers.append({"file": image.name, "error": rejection_json(rejected, language)})
    return answers


def _rejected(service: Service, rejected: ImageRejected, language: str) -> Problem:
    service.meters.rejected(rejected.reason)
    said = rejection_json(rejected, language)
    return Problem(422, "image-rejected", members={"reason": said["reason"]}, why=said["detail"])


async def _explain(service: Service, request: Request) -> Response:
    """The class activation map of one image, as numbers or drawn over the image."""
    model = choose(service.models, request.query_params.get("model"))
    if model.network is None:
        raise Problem(422, "no-map")
    names, label = model.predictor.bundle.class_names, request.query_params.get("label")
    if label is not None and label not in names:
        raise Problem(422, "no-such-class", known=first_of(names))
    service.check_room()
    content = await read_body(request.receive, request.headers, service.limits, service.held)
    accepted = request.headers.get("accept", "")
    is_picture = "image/png" in accepted and "json" not in accepted
    try:
        image = SentImage(content)
        if is_multipart(request.headers):
            (image,) = split_images(content, request.headers, 1)
        return await service.work(partial(_explained, service, model, model.network, image, label, is_picture))
    except ImageRejected as rejected:
        language = preferred_language(request.headers.get("accept-language", ""))
        raise _rejected(service, rejected, language) from None
    finally:
        service.held.taken -= len(content)


def _explained(
    service: Service, model: ServedModel, network: OpenedBundle, image: SentImage, label: str | None, is_picture: bool
) -> Response:
    """One image explained, in a worker."""
    bundle = model.predictor.bundle
    image_SSC, notes = load_content(
        image.content, bundle.preprocess, suffix=image.suffix, max_pixels=service.limits.pixels
    )
    found = predict_prepared(model.predictor, image_SSC, notes)
    service.meters.predicted(model.name)
    label = found.label if label is None else label
    map_GG = evidence(network, network.look(image_SSC), bundle.class_names.index(label))
    if is_picture:
        picture = io.BytesIO()
        overlay(image_SSC, map_GG, float(map_GG.max())).save(picture, "PNG")
        return Response(picture.getvalue(), media_type="image/png")
    return JSONResponse(
        {
            "model": model.identity,
            "label": label,
            "grid": GRID,
            "evidence": [[round(value, 4) for value in row] for row in map_GG.tolist()],
            "answer": answer_json(bundle.class_names, found),
        }
    )


async def _model(service: Service, request: Request) -> Response:
    """What one model is."""
    return JSONResponse(choose(service.models, request.query_params.get("model")).facts)


async def _models(service: Service, request: Request) -> Response:
    """What all models are; the first is the one that answers where none is named."""
    return JSONResponse({"models": [model.facts for model in service.models.values()]})


async def _healthy(service: Service, request: Request) -> Response:
    """Whether the process answers at all."""
    return JSONResponse({"status": "ok"})


async def _ready(service: Service, request: Request) -> Response:
    """Whether new requests should come here."""
    if not service.is_ready:
        raise Problem(503, "stopping")
    return JSONResponse({"status": "ok"})


async def _metrics(service: Service, request: Request) -> Response:
    """Prometheus' text format."""
    content = service.meters.written(service.in_flight, len(service.connections))
    return Response(content, headers={"Content-Type": service.meters.content_type})


async def _openapi(service: Service, request: Request) -> Response:
    """The description of this interface."""
    return Response(openapi(), media_type="application/json")


@cache
def openapi() -> bytes:
    """The OpenAPI description, as it is written in the file beside."""
    return resources.files("svertka.serve").joinpath("openapi.json").read_bytes()


Endpoint = Callable[[Service, Request], Awaitable[Response]]

ENDPOINTS: Mapping[str, tuple[Endpoint, str]] = {
    "/": (homepage, "GET"),
    "/v1/predict": (_predict, "POST"),
    "/v1/explain": (_explain, "POST"),
    "/v1/model": (_model, "GET"),
    "/v1/models": (_models, "GET"),
    "/healthz": (_healthy, "GET"),
    "/readyz": (_ready, "GET"),
    "/metrics": (_metrics, "GET"),
    "/openapi.json": (_openapi, "GET"),
}
"""What answers at each address, and by which method."""


def make_app(service: Service) -> ASGIApp:
    """The ASGI application of one server."""
    routes = [
        Route(path, partial(endpoint, service), methods=[method]) for path, (endpoint, method) in ENDPOINTS.items()
    ]
    return Guard(Router(routes, redirect_slashes=False), service, frozenset(ENDPOINTS))
