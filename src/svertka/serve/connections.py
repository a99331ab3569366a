"""HTTP/1.1 connections with bounds: how many, how long idle, how large a head, how slowly read.

uvicorn times only what lies between two requests: a connection that sends nothing, or half a head, would stay for
ever, and so would a client that doesn't read its answer. One sweep a second over all connections sees to both; that is
cheaper than a timer for each.
"""

import asyncio
import selectors
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from svertka.serve.limits import Limits
from svertka.serve.problems import PROBLEM, Problem, problem_body

_READ_BYTES = 1 << 16
"""Each connection may hold some times as many before they are counted; asyncio would read 256 kB."""

_SPARE = 64
"""Connections above the limit that are told so; more are closed without a word."""


def bounded_protocol(limits: Limits) -> type["BoundedProtocol"]:
    """The protocol of one server, as uvicorn takes it."""
    return type("ServedProtocol", (BoundedProtocol,), {"limits": limits})


class BoundedProtocol(H11Protocol):
    """One connection.

    Attributes:
        limits: of the server.
        since: time of the event loop from which it waits for a request's head.
        stalled: time from which its client doesn't read, or doesn't take what is left at the end; 0 while it does.
    """

    limits: Limits
    since = 0.0
    stalled = 0.0
    _head_begun = False

    @property
    def is_waiting(self) -> bool:
        """For a request, or for the rest of a request's head."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Makes room for itself: the connection that waits longest gives way; where none waits, this one is refused."""
        self.since = self.loop.time()
        transport.max_size = _READ_BYTES  # type: ignore[attr-defined]  # of asyncio's own transports: bytes of one read
        super().connection_made(transport)
        over = len(self.connections) - self.limits.connections
        if over > 0:
            waiting = sorted((one for one in self._others() if one.is_waiting), key=lambda one: one.since)
            longest = next((one for one in waiting if not one.has_unread()), None)
            if longest is not None:
                longest.transport.abort()
                self.connections.discard(longest)  # at once: the next one must not choose it again
            elif over > _SPARE:
                transport.abort()
            else:
                self.app_state = {**self.app_state, "refused": True}

    def _others(self) -> Iterator["BoundedProtocol"]:
        return (one for one in self.connections if one is not self and isinstance(one, BoundedProtocol))

    def has_unread(self) -> bool:
        """Whether bytes have arrived that nobody has looked at."""
        return is_readable(self.transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        """Hands bytes on; a head's time runs from its first one."""
        if self.is_waiting and not self._head_begun:
            self._head_begun, self.since = True, self.loop.time()
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        self._head_begun, self.since = False, self.loop.time()
        super().on_response_complete()

    def sweep(self, now: float) -> None:
        """Closes the connection if its client takes too long."""
        if not self.flow.write_paused and not self.transport.is_closing():  # closing waits for the last byte, for ever
            self.stalled = 0.0
        elif not self.stalled:
            self.stalled = now
        waited = now - self.since if self.is_waiting else 0.0
        if self.stalled and now - self.stalled > self.limits.stalled_seconds:
            self.transport.abort()
        elif waited > self.limits.idle_seconds and not self.transport.is_closing():
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP, or has too large a head (431)."""
        hint = getattr(sys.exception() if sys.version_info >= (3, 12) else sys.exc_info()[1], "error_status_hint", 400)
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            status, code = (431, "large-head") if hint == 431 else (400, "no-http")
            content = problem_body(Problem(status, code, most=self.limits.head_bytes), "en")
            headers = [("Content-Type", PROBLEM), ("Content-Length", str(len(content))), ("Connection", "close")]
            events: Iterable[Any] = (
                h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status]),
                h11.Data(data=content),
                h11.EndOfMessage(),
            )
            self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
        self.transport.close()

    def shutdown(self) -> None:
        """Ends after the answer that is due; a connection with a request on its way isn't waiting."""
        if self.cycle is not None:
            self.cycle.keep_alive = False
        if self.is_waiting and not self._head_begun and not self.has_unread():
            self.transport.close()


def is_readable(stream: Any) -> bool:
    """Whether something waits in a socket."""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return bool(selector.select(0))
