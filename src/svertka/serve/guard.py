"""Stands before every route: who may ask, errors as problems, security headers, counting, and a clean end of bodies.

Plain ASGI, because it runs on every request: a stack of middlewares would cost more than all that it does.
"""

import asyncio
import time
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from svertka.serve.access import Access
from svertka.serve.problems import Disconnected, Problem, busy, preferred_language, problem_response
from svertka.serve.service import Service

_GONE = 499
"""Counted where the client has gone before it was answered, as nginx does."""

_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_CLOSE = (b"connection", b"close")


class Guard:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, service: Service, routes: frozenset[str]) -> None:
        self._app = app
        self._service = service
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        began, service = time.perf_counter(), self._service
        scope["app"] = self  # so that Starlette raises what we answer
        headers = Headers(scope=scope)
        exchange = _Exchange(scope, headers, receive, send, service)
        path = scope["path"]
        try:
            if scope.get("state", {}).get("refused"):
                exchange.closes = True  # the next request may find room, on a connection of its own
                raise busy()
            if "transfer-encoding" in headers and "content-length" in headers:  # a proxy may have believed the other
                exchange.closes = True
                raise Problem(400, "no-http")
            if _head_bytes(scope) > service.limits.head_bytes:  # h11 looks at it only while it is incomplete
                raise Problem(431, "large-head", most=service.limits.head_bytes)
            service.access.check(scope["method"], path, headers)
            app = self._app if scope["method"] != "OPTIONS" else preflight(service.access, headers) or self._app
            await app(scope, exchange.receive, exchange.send)
        except Disconnected:
            exchange.status = _GONE
        except Exception as error:
            if exchange.status:  # half of an answer is out: nothing can be added to it
                service.tell("failed", route=self._route(path), kind=type(error).__name__)
                raise
            response = self._problem(error, path, headers)
            await response(scope, exchange.receive, exchange.send)
        finally:
            service.meters.answered(self._route(path), exchange.status, time.perf_counter() - began)

    def _route(self, path: str) -> str:
        return path if path in self._routes else "other"

    def _problem(self, error: Exception, path: str, headers: Mapping[str, str]) -> Response:
        if isinstance(error, HTTPException):
            code = {404: "no-such-page", 405: "wrong-method"}.get(error.status_code, "failed")
            error = Problem(error.status_code, code, headers=error.headers)
        if not isinstance(error, Problem):
            self._service.tell("failed", route=self._route(path), kind=type(error).__name__)
            error = Problem(500, "failed")
        return problem_response(error, preferred_language(headers.get("accept-language", "")))


def _head_bytes(scope: Scope) -> int:
    """Of request line and headers, about."""
    target = len(scope["raw_path"]) + len(scope["query_string"])
    return target + sum(len(name) + len(value) + 4 for name, value in scope["headers"])


def preflight(access: Access, headers: Headers) -> Response | None:
    """Tells a browser that another origin's page may ask (https://fetch.spec.whatwg.org, 3.3.5); None if it may not."""
    if headers.get("origin") not in access.origins:
        return None
    allowed = {
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "Accept-Language, Authorization, Content-Type",
        "Access-Control-Max-Age": "600",
    }
    return Response(status_code=204, headers=allowed)


class _Exchange:
    """One request and its answer.

    Attributes:
        status: of the answer, once it has begun.
        closes: whether the connection ends with it, whatever is left of the body.
    """

    def __init__(self, scope: Scope, headers: Headers, receive: Receive, send: Send, service: Service) -> None:
        self.status = 0
        self.closes = False
        self._scope, self._headers = scope, headers
        self._receive, self._send = receive, send
        self._service = service
        self._body_left = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._body_left = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            more = [*_HEADERS]
            more += [
                (name.lower().encode(), value.encode("latin-1"))
                for name, value in self._service.access.cors_headers(self._headers).items()
            ]
            if self.closes or self._body_left or not self._service.is_ready:
                more.append(_CLOSE)
            message["headers"] = [*message["headers"], *more]
        elif self._body_left and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _linger(self) -> None:
        """Reads on for a while: a connection that is closed with unread bytes is reset, and the answer lost with it."""
        if self._headers.get("expect", "").lower() == "100-continue":
            return  # whoever waits for leave has sent nothing
        try:
            async with asyncio.timeout(self._service.limits.linger_seconds):
                while self._body_left:
                    await self.receive()
        except TimeoutError:
            pass
