"""Runs the server: one process, one event loop, a clean start and a clean end.

Signals: SIGTERM and SIGINT end it without losing a request, a second one at once; SIGHUP reads the bundles again, or
ends it where it comes because the terminal that the server was started from is gone.
"""

import asyncio
import contextlib
import ctypes
import errno
import logging
import math
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

import uvicorn

from svertka.data.decoding_limits import BUDGET
from svertka.errors import ConfigError
from svertka.serve.connections import bounded_protocol, is_readable
from svertka.serve.routes import make_app
from svertka.serve.service import Service

_BACKLOG = 256
_TICK_SECONDS = 1.0
_STEP_SECONDS = 0.02
_SO_ATTACH_FILTER = 26  # from asm-generic/socket.h
_NO_SYN = (  # code, jump if true, jump if false, operand; codes from linux/bpf_common.h
    (0x30, 0, 0, 13),  # load the byte of the TCP header that holds its flags
    (0x45, 0, 1, 0x02),  # is SYN set?
    (0x06, 0, 0, 0),  # keep nothing
    (0x06, 0, 0, 0xFFFFFFFF),  # keep all
)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigError: the address is none of this machine's, or its port is taken or reserved.
    """
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, OverflowError, UnicodeError):
        raise ConfigError(f"--host is {host!r:.100}; expected a name or an address of this machine.") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} of {host} is taken by another program; name another one, such as --port {port + 1}, or 0 "
                "for any that is free."
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise ConfigError(f"port {port} needs more rights than you have; name one above 1023.") from None
        raise ConfigError(f"{host} is no address of this machine ({error.strerror}).") from None
    listener.setblocking(False)
    return listener


@contextlib.contextmanager
def hangups_wait() -> Iterator[list[int]]:
    """Lets a SIGHUP wait until the server heeds it: it would end a process that is still opening its bundles.

    Yields:
        The signals that have come.
    """
    came: list[int] = []
    if not hasattr(signal, "SIGHUP") or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        yield came
        return
    before = signal.signal(signal.SIGHUP, lambda number, _: came.append(number))
    try:
        yield came
    finally:
        signal.signal(signal.SIGHUP, before)


def _has_terminal() -> bool:
    """Whether the process belongs to a terminal that is there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def serve(
    service: Service, listener: socket.socket, started: Callable[[], object], hangups: Sequence[int] = ()
) -> None:
    """Serves until a signal ends it; everything that was accepted by then is answered.

    Args:
        service: what is served.
        listener: of ``listen``.
        started: called once signals are heeded.
        hangups: of ``hangups_wait``.
    """
    BUDGET.limit(service.limits.decoding_bytes)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it writes a line, with a byte, of each bad form
    server = GracefulServer(service, started, hangups)
    try:
        server.run([listener])
    finally:
        service.close()


class GracefulServer(uvicorn.Server):
    """uvicorn with our connections, signals, and end."""

    def __init__(self, service: Service, started: Callable[[], object] = bool, hangups: Sequence[int] = ()) -> None:
        limits = service.limits
        super().__init__(
            uvicorn.Config(
                make_app(service),
                loop="asyncio",
                http=bounded_protocol(limits),
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=math.ceil(limits.idle_seconds),
                h11_max_incomplete_event_size=limits.head_bytes,
            )
        )
        self._service = service
        self._started = started
        self._hangups = hangups
        self._had_terminal = _has_terminal()
        self._exchanges: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()

    async def main_loop(self) -> None:
        """Until the end begins: keeps the date and sweeps connections; then for a while only says that it isn't ready.

        Meanwhile a load balancer finds out, and clients that keep a connection are told to open another one.
        """
        self._service.connections = self.server_state.connections
        self._started()
        if self._hangups:
            self.hang_up()
        while not self.should_exit:
            await self.on_tick(0)
            self._sweep()
            await self._pause(_TICK_SECONDS)
        self._service.is_ready = False
        self._service.tell("stopping")
        self._ended.clear()
        if not self.force_exit:
            await self._pause(self._service.limits.grace_seconds)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts what already waits, nothing after it, and closes each connection once it is answered."""
        for each in sockets or []:
            _take_no_more(each)
        await asyncio.sleep(_STEP_SECONDS)  # for handshakes that are half done
        while not self.force_exit and any(map(is_readable, sockets or [])):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        connections = self.server_state.connections
        while connections and not self.force_exit:
            await asyncio.sleep(_STEP_SECONDS)  # bytes that have arrived are read first
            for connection in list(connections):
                connection.shutdown()
            self._sweep()
        for connection in list(connections):
            connection.transport.abort()

    async def _pause(self, seconds: float) -> None:
        """Waits so long, or until somebody wants the end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            connection.sweep(now)  # type: ignore[union-attr]

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Hands signals to the event loop while it runs; they reach the main thread alone."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        calls = {signal.SIGINT: self.end, signal.SIGTERM: self.end}
        if hasattr(signal, "SIGHUP"):
            calls[signal.SIGHUP] = self.hang_up
            if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # by nohup
                self._had_terminal = False
        before = {
            number: signal.signal(number, lambda number, _: loop.call_soon_threadsafe(calls[signal.Signals(number)]))
            for number in calls
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def end(self) -> None:
        """Begins the end; called again, it ends at once."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._ended.set()

    def hang_up(self) -> None:
        """Reads the bundles again, or begins the end: without its terminal nobody would know that it still runs."""
        if self._had_terminal and not _has_terminal():
            self.end()
        else:
            self.exchange()

    def exchange(self) -> None:
        """Begins to read the bundles again."""
        task = asyncio.get_running_loop().create_task(self._service.exchange_models())
        self._exchanges.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._exchanges.discard)


def _take_no_more(listener: socket.socket) -> None:
    """Lets the kernel drop what asks for a new connection; those that it has made can still be accepted.

    A socket that is closed resets the connections that nobody has accepted yet, whose clients believe that they were,
    and between the last look and the close there is always time for another one. A filter of packets
    (https://docs.kernel.org/networking/filter.html) leaves none; the client asks again and is refused. Elsewhere than
    on Linux that short time remains.
    """
    if sys.platform == "linux":
        instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in _NO_SYN))
        program = struct.pack("HP", len(_NO_SYN), ctypes.addressof(instructions))
        with contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
