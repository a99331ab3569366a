"""Reads a request's body: bytes and seconds are counted while it comes, before any parser sees it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.types import Receive

from svertka.serve.limits import Limits
from svertka.serve.problems import Disconnected, Problem, busy

_MULTIPART = "multipart/form-data"


@dataclass(slots=True)
class Held:
    """Bytes of bodies that are held at a time."""

    capacity: int
    taken: int = 0


@dataclass(frozen=True, slots=True)
class SentImage:
    """One image of a request."""

    content: bytes
    name: str | None = None
    """As the client calls it; never written anywhere but into its own answer."""

    @property
    def suffix(self) -> str:
        """Of its name, in lower case."""
        return PurePosixPath(self.name or "").suffix.lower()


async def read_body(receive: Receive, headers: Mapping[str, str], limits: Limits, held: Held) -> bytes:
    """The whole body. Its size is added to ``held.taken``: whoever calls subtracts it once the request is answered.

    Raises:
        Problem: it is larger (413), or takes longer (408), than is allowed; too many bytes are held already (503).
        Disconnected: the client has gone.
    """
    announced = headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 18 or int(announced) > limits.body_bytes):
        raise _too_large(limits)
    # Of one size from the start, which the system fills page by page: what grows leaves holes in memory.
    body = memoryview(np.empty(int(announced) if announced.isdecimal() else limits.body_bytes, np.uint8))  # type: ignore[arg-type]
    size, complete = 0, False
    try:
        async with asyncio.timeout(limits.body_seconds):
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise Disconnected
                part, more = message.get("body", b""), message.get("more_body", False)
                if size + len(part) > len(body):
                    raise _too_large(limits)
                body[size : size + len(part)] = part
                size += len(part)
                held.taken += len(part)
                if held.taken > held.capacity:
                    raise busy()
        content = bytes(body[:size])
        complete = True
        return content
    except TimeoutError:
        raise Problem(408, "too-slow", seconds=limits.body_seconds) from None
    finally:
        held.taken -= 0 if complete else size
        del body  # at once: an error on its way to the client would hold on to it


def _too_large(limits: Limits) -> Problem:
    return Problem(413, "too-large", members={"most_bytes": limits.body_bytes}, most=limits.body_bytes / 1e6)


def is_multipart(headers: Mapping[str, str]) -> bool:
    """Whether a body holds several images."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == _MULTIPART


def split_images(content: bytes, headers: Mapping[str, str], most: int) -> list[SentImage]:
    """The images of a ``multipart/form-data`` body (RFC 7578); each part is one.

    Raises:
        Problem: the body is no such form or holds no image (400), or more than ``most`` images (413).
    """
    parts = _Parts(most)
    try:
        parser = MultipartParser(
            parse_options_header(headers.get("content-type"))[1].get(b"boundary", b""),
            {
                "on_part_begin": parts.begin,
                "on_header_field": parts.add_field,
                "on_header_value": parts.add_value,
                "on_header_end": parts.end_header,
                "on_part_data": parts.add_data,
                "on_part_end": parts.end,
                "on_end": parts.finish,
            },
        )
        parser.write(content)
        parser.finalize()
    except FormParserError:
        raise Problem(400, "bad-form") from None
    if not parts.images or not parts.is_complete:
        raise Problem(400, "bad-form")
    return parts.images


@dataclass(slots=True)
class _Parts:
    """What the parser has found so far."""

    most: int
    images: list[SentImage] = field(default_factory=list)
    is_complete: bool = False
    _field: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _name: str | None = None
    _data: list[bytes] = field(default_factory=list)

    def begin(self) -> None:
        if len(self.images) == self.most:
            raise Problem(413, "too-many-images", most=self.most)
        self._name = None
        self._data = []

    def add_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def end_header(self) -> None:
        if bytes(self._field).lower() == b"content-disposition":
            name = parse_options_header(bytes(self._value))[1].get(b"filename")
            self._name = None if name is None else name.decode("utf-8", "replace")
        self._field.clear()
        self._value.clear()

    def add_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def end(self) -> None:
        self.images.append(SentImage(b"".join(self._data), self._name))

    def finish(self) -> None:
        self.is_complete = True
