"""Servers for tests, in a thread or as a process of their own, and small clients: http.client and bare sockets."""

import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from svertka.serve.access import Access
from svertka.serve.limits import Limits
from svertka.serve.run_server import GracefulServer, listen
from svertka.serve.served_model import open_model
from svertka.serve.service import Service

OWN = "127.0.0.1"


@dataclass
class Answered:
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """Its code."""
        assert self.headers["content-type"] == "application/problem+json", (self.status, self.body)
        content = self.json
        assert content["status"] == self.status
        assert content["title"] and content["detail"]
        return content["type"].removeprefix("urn:svertka:")


@dataclass
class Running:
    """A server in a thread."""

    port: int
    service: Service
    server: GracefulServer
    told: list[tuple[str, dict[str, object]]]
    thread: threading.Thread = field(repr=False)
    loop: Any = field(repr=False)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answered:
        return ask(self.port, method, path, body, headers)

    def predict(self, body: Any, query: str = "", **headers: str) -> Answered:
        return self.ask("POST", f"/v1/predict{query}", body, headers)

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.server.end)

    def exchange(self) -> None:
        self.loop.call_soon_threadsafe(self.server.exchange)


@contextmanager
def running(
    bundles: dict[str, Path], *, limits: Limits | None = None, access: Access | None = None, threads: int = 2
) -> Iterator[Running]:
    """Serves bundles in a thread; at the end it must stop by itself."""
    import asyncio

    told: list[tuple[str, dict[str, object]]] = []
    models = {name: open_model(name, path) for name, path in bundles.items()}
    limits = limits or Limits(grace_seconds=0.0)
    service = Service(
        models=models,
        limits=limits,
        access=access or Access(),
        threads=threads,
        tell=lambda key, **values: told.append((key, values)),
    )
    listener = listen(OWN, 0)
    server = GracefulServer(service)
    loops: list[Any] = []
    begun = threading.Event()

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        begun.set()
        await server.serve([listener])

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    begun.wait(10)
    found = Running(listener.getsockname()[1], service, server, told, thread, loops[0])
    try:
        yield found
    finally:
        if thread.is_alive():
            found.end()
        thread.join(20)
        listener.close()
        service.close()
        assert not thread.is_alive(), "the server did not stop"


def ask(port: int, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answered:
    connection = http.client.HTTPConnection(OWN, port, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        return read(connection)
    finally:
        connection.close()


def read(connection: http.client.HTTPConnection) -> Answered:
    response = connection.getresponse()
    content = response.read()
    return Answered(response.status, {name.lower(): value for name, value in response.getheaders()}, content)


def exchange(port: int, content: bytes, timeout: float = 20) -> bytes:
    """Sends bytes and reads until the server closes."""
    with socket.create_connection((OWN, port), timeout=timeout) as stream:
        stream.sendall(content)
        return read_all(stream)


def read_all(stream: socket.socket) -> bytes:
    found = b""
    while part := stream.recv(1 << 16):
        found += part
    return found


def head(path: str = "/v1/predict", *more: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *more, "", ""]).encode()


def form(images: list[tuple[str | None, bytes]], boundary: str = "limit") -> tuple[bytes, dict[str, str]]:
    """A multipart body and its headers."""
    parts = []
    for name, content in images:
        named = "" if name is None else f'; filename="{name}"'
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="image"{named}\r\n\r\n'.encode() + content)
    body = b"\r\n".join([*parts, f"--{boundary}--\r\n".encode()])
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def picture(colour: tuple[int, int, int] = (220, 30, 20), size: tuple[int, int] = (40, 30), kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, kind)
    return stream.getvalue()


def noise(side: int = 300, seed: int = 0) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side // 10, side // 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC).save(stream, "PNG")
    return stream.getvalue()


class Process:
    """``svertka serve`` as a process; it must say where it is."""

    def __init__(self, *arguments: str, environment: dict[str, str] | None = None) -> None:
        code = "import sys; from svertka.cli import main; sys.argv[0] = 'svertka'; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "serve", *arguments, "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=os.environ | (environment or {}),
        )
        self.lines: list[str] = []
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            if "Ctrl+C" in line:
                break
        found = re.search(r":(\d+)/", self.lines[0]) if self.lines else None
        assert found, self.lines
        self.port = int(found[1])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Waits for the end; its exit code."""
        _, errors = self.process.communicate(timeout=30)
        self.lines += errors.splitlines()
        return self.process.returncode

    def wait_for(self, words: str) -> str:
        """Reads what it says up to a line with these words."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            if words in line:
                return line
        raise AssertionError(f"it never said {words!r}: {self.lines}")


@contextmanager
def process(*arguments: str, environment: dict[str, str] | None = None) -> Iterator[Process]:
    found = Process(*arguments, environment=environment)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.process.kill()
            found.process.communicate()
        for stream in (found.process.stdout, found.process.stderr):
            if stream is not None:
                stream.close()
