"""What all requests of one server share: models, limits, workers, and what is going on."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from svertka.data.decode import load_content, pixels_of
from svertka.schema import Preprocess
from svertka.serve.access import Access
from svertka.serve.bodies import Held, SentImage
from svertka.serve.limits import Limits
from svertka.serve.meters import Meters
from svertka.serve.problems import Problem, busy
from svertka.serve.served_model import Models, reopened

Result = TypeVar("Result")
Images = NDArray[np.uint8]
Compute = Callable[[Images, tuple[str, ...]], Result]
"""Takes a prepared image [S, S, 3], and how it was read."""

Tell = Callable[..., object]
"""Takes a key of the catalogue's section ``serve`` and values for its placeholders."""


def _silent(key: str, **values: object) -> None:
    """Tells nobody."""


@dataclass(slots=True, eq=False, kw_only=True)
class Service:
    """One server's state; it is changed in the event loop alone.

    Attributes:
        models: by name; replaced as a whole.
        threads: workers, each of which decodes and computes one image at a time.
        tell: where events go.
        is_ready: whether ``/readyz`` says so, and connections are kept for another request.
        in_flight: requests that are computed or wait for it.
        connections: that are open; the protocol keeps the set.
    """

    models: Models
    access: Access = field(default_factory=Access)
    limits: Limits = field(default_factory=Limits)
    threads: int = 1
    tell: Tell = _silent
    is_ready: bool = True
    in_flight: int = 0
    connections: set[Any] = field(default_factory=set)
    meters: Meters = field(default_factory=Meters)
    held: Held = field(init=False)
    _pool: ThreadPoolExecutor = field(init=False)
    _large_pool: ThreadPoolExecutor = field(init=False)
    _large: int = 0
    _exchanging: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.held = Held(self.limits.held_bytes)
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="svertka-serve")
        self._large_pool = ThreadPoolExecutor(1, thread_name_prefix="svertka-serve-large")

    def check_room(self) -> None:
        """Refuses a request for which there is no room.

        Raises:
            Problem: too many are in flight (503).
        """
        if self.in_flight >= self.limits.in_flight:
            raise busy()

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Counts one request as in flight.

        Raises:
            Problem: too many are (503).
        """
        self.check_room()
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    async def work(self, image: SentImage, preprocess: Preprocess, compute: Compute[Result]) -> Result:
        """Prepares an image and computes, in a worker; large images are prepared one at a time, beside the others.

        Raises:
            ImageRejected: the image cannot be used.
            Problem: too many large images are in flight (503).
        """
        loop = asyncio.get_running_loop()

        def unless_large() -> tuple[Result] | None:
            is_large = self.pixels(image) > self.limits.large_pixels
            return None if is_large else (compute(*self._prepared(image, preprocess)),)

        done = await loop.run_in_executor(self._pool, unless_large)
        if done is not None:
            return done[0]
        if self._large >= self.limits.large_in_flight:
            raise busy()
        self._large += 1
        try:
            prepared = await loop.run_in_executor(self._large_pool, self._prepared, image, preprocess)
        finally:
            self._large -= 1
        return await loop.run_in_executor(self._pool, compute, *prepared)

    def _prepared(self, image: SentImage, preprocess: Preprocess) -> tuple[Images, tuple[str, ...]]:
        return load_content(
            image.content,
            preprocess,
            suffix=image.suffix,
            max_pixels=self.limits.pixels,
            max_bytes=self.limits.decoding_bytes,
        )

    def pixels(self, image: SentImage) -> int:
        """Of an image by its header."""
        return pixels_of(image.content, image.suffix, self.limits.pixels + 1)

    async def check_form(self, images: Sequence[SentImage]) -> None:
        """Refuses images that are too much for one request.

        Raises:
            Problem: they have too many pixels together (413).
        """
        loop = asyncio.get_running_loop()
        total = await loop.run_in_executor(self._pool, lambda: sum(map(self.pixels, images)))
        if total > self.limits.form_pixels:
            raise Problem(413, "too-many-pixels", most=self.limits.form_pixels / 1e6)

    async def exchange_models(self) -> None:
        """Reads all bundles again from their places, beside the workers, and takes over those that can be opened."""
        async with self._exchanging:  # two signals in a row: the second finds the latest files
            self.models = await asyncio.to_thread(reopened, self.models, self.tell)

    def close(self) -> None:
        """Ends the workers."""
        self._pool.shutdown(cancel_futures=True)
        self._large_pool.shutdown(cancel_futures=True)
