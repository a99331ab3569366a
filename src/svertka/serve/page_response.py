"""The page at ``/``: put together once for the models that are served."""

import asyncio
import gzip
from dataclasses import dataclass
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response

from svertka.page.page_html import served_page
from svertka.serve.served_model import ServedModel
from svertka.serve.service import Service


@dataclass(frozen=True, slots=True)
class _Built:
    html: bytes
    zipped: bytes
    headers: dict[str, str]


async def homepage(service: Service, request: Request) -> Response:
    """Answers ``GET /``."""
    built = await asyncio.to_thread(_build, *service.models.values())
    zipped = "gzip" in request.headers.get("accept-encoding", "")
    headers = built.headers | ({"Content-Encoding": "gzip"} if zipped else {})
    return Response(built.zipped if zipped else built.html, headers=headers, media_type="text/html")


@lru_cache(maxsize=4)
def _build(*models: ServedModel) -> _Built:
    page = served_page([model.facts for model in models])
    headers = {
        "Content-Security-Policy": page.policy,
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
        "X-Frame-Options": "DENY",
        "Cache-Control": "no-cache",
        "Vary": "Accept-Encoding",
    }
    content = page.html.encode()
    return _Built(content, gzip.compress(content, mtime=0), headers)
