"""What all requests of one server share: models, limits, workers, and what is going on."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from svertka.serve.access import Access
from svertka.serve.bodies import Held
from svertka.serve.limits import Limits
from svertka.serve.meters import Meters
from svertka.serve.problems import busy
from svertka.serve.served_model import Models, reopened

Result = TypeVar("Result")
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
    _exchanging: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.held = Held(self.limits.held_bytes)
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="svertka-serve")

    def check_room(self) -> None:
        """Refuses a request for which there is no room.

        Raises:
            Problem: too many are in flight (503).
        """
        if self.in_flight >= self.limits.in_flight:
            raise busy()

    async def work(self, job: Callable[[], Result]) -> Result:
        """Runs a job in a worker; raises what it raises.

        Raises:
            Problem: too many are in flight (503).
        """
        self.check_room()
        self.in_flight += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, job)
        finally:
            self.in_flight -= 1

    async def exchange_models(self) -> None:
        """Reads all bundles again from their places, beside the workers, and takes over those that can be opened."""
        async with self._exchanging:  # two signals in a row: the second finds the latest files
            self.models = await asyncio.to_thread(reopened, self.models, self.tell)

    def close(self) -> None:
        """Ends the workers."""
        self._pool.shutdown(cancel_futures=True)
