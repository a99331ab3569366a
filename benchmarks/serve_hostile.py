"""Requests that mean harm, for the benchmark of ``svertka serve``: what they are; many at once, good ones beside.

A slow kind (half a body waits for ten seconds, half a head for five) makes up a small share, so that thousands of
requests take minutes; up to 64 are under way at a time, beside 200 connections that say nothing.
"""

import io
import random
import socket
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from PIL import Image
from serve_load import receive

OWN, TIMEOUT = "127.0.0.1", 40.0
AT_ONCE, IDLE = 64, 200
Kind = Callable[[int], str]


def attack(port: int, good_request: bytes, requests: int) -> dict[str, Any]:
    """Sends so many; returns how they ended by status, how many hung, and how good requests fared meanwhile."""
    kinds = hostile_kinds()
    rng = random.Random(0)
    chosen = rng.choices(list(kinds), [share for share, _ in kinds.values()], k=requests)
    statuses: Counter[str] = Counter()
    by_kind: Counter[str] = Counter()
    done = threading.Event()
    good: list[tuple[int, float]] = []
    others = [
        threading.Thread(target=_good, args=(port, good_request, done, good)),
        threading.Thread(target=_idle, args=(port, done)),
    ]
    for each in others:
        each.start()
    began = time.monotonic()

    def one(name: str) -> None:
        try:
            status = kinds[name][1](port)
        except TimeoutError:
            status = "hung"
        except OSError:
            status = "closed"
        statuses[status] += 1
        by_kind[f"{name}: {status}"] += 1

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, chosen))
    seconds = time.monotonic() - began
    done.set()
    for each in others:
        each.join()
    return {
        "requests": requests,
        "statuses": dict(sorted(statuses.items())),
        "by_kind": dict(sorted(by_kind.items())),
        "hung": statuses["hung"],
        "seconds": round(seconds, 1),
        "good": {
            "asked": len(good),
            "answered": sum(status == 200 for status, _ in good),
            "longest_s": round(max((wait for _, wait in good), default=0.0), 2),
        },
    }


def _good(port: int, request: bytes, done: threading.Event, found: list[tuple[int, float]]) -> None:
    """A client that asks ten times a second, and again a little later when it is told to."""
    while not done.wait(0.1):
        began = time.monotonic()
        try:
            with socket.create_connection((OWN, port), timeout=TIMEOUT) as stream:
                stream.sendall(request)
                found.append((receive(stream)[0], time.monotonic() - began))
        except OSError:
            found.append((0, time.monotonic() - began))


def _idle(port: int, done: threading.Event) -> None:
    """Connections that say nothing; those that are closed are opened again."""
    streams: list[socket.socket] = []
    while not done.is_set():
        with suppress(OSError):
            while len(streams) < IDLE:
                streams.append(socket.create_connection((OWN, port), timeout=TIMEOUT))
        done.wait(2.0)
        for stream in streams:
            stream.setblocking(False)
        streams = [stream for stream in streams if _is_open(stream)]
    for stream in streams:
        stream.close()


def _is_open(stream: socket.socket) -> bool:
    try:
        if stream.recv(1) == b"":
            stream.close()
            return False
    except BlockingIOError:
        return True
    except OSError:
        stream.close()
        return False
    return True


def hostile_kinds() -> dict[str, tuple[float, Kind]]:
    """By name: its share, and what sends it and tells the answer's status."""
    stream = io.BytesIO()
    Image.effect_noise((300, 300), 60).save(stream, "PNG")
    image = stream.getvalue()
    many = _form([_png(4900, 4900)] * 16)
    return {
        "no image": (20, _post(b"words " * 1000)),
        "truncated": (15, _post(image[: len(image) // 2])),
        "wrong type": (10, _post(image, "application/json")),
        "a form that is none": (5, _post(image, "multipart/form-data; boundary=x")),
        "a path": (10, _raw(b"GET /../../../etc/passwd%00 HTTP/1.1\r\nHost: localhost\r\n\r\n")),
        "another host": (5, _raw(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")),
        "nonsense": (5, _raw(b"\0\xff" * 1000 + b"\r\n\r\n")),
        "a large head": (5, _raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 60_000 + b"\r\n\r\n")),
        "a flood of headers": (1, _flood),
        "49 megapixels": (8, _post(_png(7000, 7000))),
        "24 megapixels": (2, _post(_png(4900, 4900))),
        "24 megapixels, see-through": (1, _post(_see_through(4900))),
        "16 × 24 megapixels": (0.1, _post(many, "multipart/form-data; boundary=limit")),
        "100 MB announced": (3, _announced),
        "100 MB in chunks": (1, _chunks),
        "9.9 MB of nothing": (2, _post(bytes(9_900_000))),
        "half a body": (
            1,
            _raw(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\n" + b"x"),
        ),
        "half a head": (2, _raw(b"POST /v1/predict HTTP/1.1\r\nHost: loc")),
        "good ones, all at once": (4, _post(image)),
    }


def _open(port: int) -> socket.socket:
    return socket.create_connection((OWN, port), timeout=TIMEOUT)


def _status(stream: socket.socket) -> str:
    """Of the answer; "closed" where there is none."""
    return str(receive(stream)[0])


def _raw(content: bytes) -> Kind:
    def send(port: int) -> str:
        with _open(port) as stream:
            stream.sendall(content)
            return _status(stream)

    return send


def _post(content: bytes, kind: str = "image/png") -> Kind:
    fields = f"Host: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
    head = f"POST /v1/predict HTTP/1.1\r\n{fields}\r\n"

    def send(port: int) -> str:
        with _open(port) as stream:
            with suppress(BrokenPipeError, ConnectionResetError):  # the answer may be there before all is sent
                stream.sendall(head.encode() + content)
            return _status(stream)

    return send


def _announced(port: int) -> str:
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n"
    with _open(port) as stream:
        with suppress(BrokenPipeError, ConnectionResetError):
            stream.sendall(head)
            for _ in range(100):
                stream.sendall(bytes(1_000_000))
        return _status(stream)


def _chunks(port: int) -> str:
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with _open(port) as stream:
        with suppress(BrokenPipeError, ConnectionResetError):
            stream.sendall(head)
            for _ in range(100):
                stream.sendall(b"f4240\r\n" + bytes(1_000_000) + b"\r\n")
        return _status(stream)


def _flood(port: int) -> str:
    with _open(port) as stream:
        with suppress(BrokenPipeError, ConnectionResetError):
            stream.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
            for number in range(20_000):
                stream.sendall(f"X{number}: {number}\r\n".encode())
        return _status(stream)


def _form(images: list[bytes]) -> bytes:
    parts = [b'--limit\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\n' + each for each in images]
    return b"\r\n".join([*parts, b"--limit--\r\n"])


def _png(width: int, height: int) -> bytes:
    """Black pixels: a thousandth of their size."""
    row = bytes(1 + 3 * width)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _see_through(side: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGBA", (side, side), (1, 2, 3, 4)).save(stream, "PNG")
    return stream.getvalue()
