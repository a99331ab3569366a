"""The page at ``/``: put together once for the models that are served."""

import asyncio
import gzip
import json
from dataclasses import dataclass
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response

from svertka.page.page_html import served_page
from svertka.serve.accept_header import weighted
from svertka.serve.service import Service


@dataclass(frozen=True, slots=True)
class _Built:
    html: bytes
    zipped: bytes
    headers: dict[str, str]


async def homepage(service: Service, request: Request) -> Response:
    """Answers ``GET /``."""
    built = await asyncio.to_thread(_build, json.dumps([model.facts for model in service.models.values()]))
    zipped = any(name == "gzip" and weight for name, weight in weighted(request.headers.get("accept-encoding", "")))
    headers = built.headers | ({"Content-Encoding": "gzip"} if zipped else {})
    return Response(built.zipped if zipped else built.html, headers=headers, media_type="text/html")


@lru_cache(maxsize=4)
def _build(facts: str) -> _Built:
    """Known by what it says: known by its models, it would keep those in memory that a new bundle has replaced."""
    page = served_page(json.loads(facts))
    headers = {
        "Content-Security-Policy": page.policy,
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
        "X-Frame-Options": "DENY",
        "Cache-Control": "no-cache",
        "Vary": "Accept-Encoding",
    }
    content = page.html.encode()
    return _Built(content, gzip.compress(content, mtime=0), headers)
