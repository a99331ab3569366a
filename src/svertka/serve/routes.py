"""The routes: predict, explain, what the models are, health, metrics, and the page."""

import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache, partial
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from svertka.bundle.predictor import predict_prepared
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
    async with _received(service, request, service.limits.images) as images:
        if is_multipart(request.headers):
            await service.check_form(images)
            answers = [await _answer_or_why_not(service, model, image, language) for image in images]
        else:
            (image,) = images
            answers = [await _answer(service, model, image)]
    return JSONResponse({"model": model.identity, "predictions": answers})


@asynccontextmanager
async def _received(service: Service, request: Request, most: int) -> AsyncIterator[list[SentImage]]:
    """The images of a request, which is in flight from here on; one that cannot be used becomes a problem.

    Raises:
        Problem: as in ``read_body`` and ``split_images``; too many requests are in flight (503); 422.
    """
    service.check_room()
    content = await read_body(request.receive, request.headers, service.limits, service.held)
    size = len(content)
    try:
        images = split_images(content, request.headers, most) if is_multipart(request.headers) else [SentImage(content)]
        del content  # a form's images are copies
        with service.admitted():
            yield images
    except ImageRejected as rejected:
        service.meters.rejected(rejected.reason)
        said = rejection_json(rejected, preferred_language(request.headers.get("accept-language", "")))
        why = said.pop("detail")
        raise Problem(422, "image-rejected", members=said, why=why) from None
    finally:
        service.held.taken -= size


async def _answer(service: Service, model: ServedModel, image: SentImage) -> JSON:
    """One image's answer."""
    bundle = model.predictor.bundle
    found = await service.work(image, bundle.preprocess, partial(predict_prepared, model.predictor))
    service.meters.predicted(model.name)
    return {"file": image.name} | answer_json(bundle.class_names, found)


async def _answer_or_why_not(service: Service, model: ServedModel, image: SentImage, language: str) -> JSON:
    """One image of several: that it cannot be used is an answer too."""
    try:
        return await _answer(service, model, image)
    except ImageRejected as rejected:
        service.meters.rejected(rejected.reason)
        return {"file": image.name, "error": rejection_json(rejected, language)}


async def _explain(service: Service, request: Request) -> Response:
    """The class activation map of one image, as numbers or drawn over the image."""
    model = choose(service.models, request.query_params.get("model"))
    if model.network is None:
        raise Problem(422, "no-map")
    names, label = model.predictor.bundle.class_names, request.query_params.get("label")
    if label is not None and label not in names:
        raise Problem(422, "no-such-class", known=first_of(names))
    accepted = request.headers.get("accept", "")
    is_picture = "image/png" in accepted and "json" not in accepted
    async with _received(service, request, 1) as (image,):
        explain = partial(_explained, model, model.network, label, is_picture)
        response = await service.work(image, model.predictor.bundle.preprocess, explain)
    service.meters.predicted(model.name)
    return response


def _explained(
    model: ServedModel,
    network: OpenedBundle,
    label: str | None,
    is_picture: bool,
    image_SSC: NDArray[np.uint8],
    notes: tuple[str, ...],
) -> Response:
    """One prepared image explained, in a worker."""
    bundle = model.predictor.bundle
    found = predict_prepared(model.predictor, image_SSC, notes)
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
