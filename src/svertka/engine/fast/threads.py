"""Threads that share work: NumPy releases the interpreter lock while it computes.

Work is dealt out beforehand, so that numbers are the same from run to run and every thread finds in its core's cache
what it wrote before. BLAS is held to one thread meanwhile: each thread calls it on its own part.
"""

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

import numpy as np

from svertka.engine.arrays import Array
from svertka.engine.fast import blas
from svertka.util.runtime import interrupts_wait

Job = Callable[[int], object]
"""A piece of work; it is told which worker does it."""
Stage = Sequence[Sequence[Job]]
"""For each worker its jobs, in order. No job of a stage needs another worker's job of the same stage."""

_WORTH_SHARING = 1 << 20
"""Numbers to pass over: in a fifth of a millisecond, twice of what it takes to wake a thread and to wait for it."""

PRODUCTS = 8
"""Multiplications of a matrix product that take as long as one number of a pass."""

_T = TypeVar("_T")
_R = TypeVar("_R")


class Team:
    """Threads that go through stages side by side and wait for each other in between; the caller is one of them."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count - 1, thread_name_prefix="svertka-engine") if count > 1 else None
        self._lock = threading.Lock()

    def run(self, stages: Sequence[Stage]) -> None:
        """Does everything, and returns when the last worker is done; an error of any of them is raised."""
        with blas.one_thread():
            if self._pool is None:
                for stage in stages:
                    for job in stage[0]:
                        job(0)
                return
            # One at a time: two walks that each hold some of the threads would wait for each other for ever. And an
            # interrupted caller must not leave before the others, who may still write.
            with self._lock, interrupts_wait():
                gates = _Gates(self.count)
                helpers = [self._pool.submit(_walk, stages, worker, gates) for worker in range(1, self.count)]
                try:
                    _walk(stages, 0, gates)
                finally:
                    wait(helpers)
            for helper in helpers:
                helper.result()


class _Gates:
    """Lets nobody through until all have come; ``threading.Barrier`` does the same in ten times as many steps."""

    def __init__(self, count: int) -> None:
        self._count, self._arrivals = count, itertools.count(1)  # next() on it is atomic
        self._gates = [threading.Lock() for _ in range(count)]
        for gate in self._gates:
            gate.acquire()

    def wait(self, worker: int) -> None:
        """Returns once all workers have called it as often as this one."""
        if next(self._arrivals) % self._count:
            self._gates[worker].acquire()
            return
        for other, gate in enumerate(self._gates):
            if other != worker:
                gate.release()


def _walk(stages: Sequence[Stage], worker: int, gates: _Gates) -> None:
    """One worker's way. After an error it does no more, but meets the others, so that they don't wait for ever."""
    error: Exception | None = None
    with blas.one_thread():
        for number, stage in enumerate(stages):
            if number:
                gates.wait(worker)
            try:
                for job in stage[worker] if error is None else ():
                    job(worker)
            except Exception as problem:
                error = problem
    if error is not None:
        raise error


# --- work of the operations ---------------------------------------------------------------------------------------


def share(run: Callable[[_T], _R], parts: Sequence[_T]) -> list[_R]:
    """``run`` of every part, in order, shared by as many threads as NumPy's BLAS may use.

    Inside of shared work, and where BLAS has one thread, everything runs in the calling thread. BLAS's own threads do
    nothing of it: after each product they wait in a loop for the next, and that costs a core.
    """
    workers = min(blas.threads(), len(parts))
    if workers <= 1:
        with blas.one_thread():
            return [run(part) for part in parts]
    results: dict[int, _R] = {}

    def job(number: int) -> Job:
        return lambda _: results.__setitem__(number, run(parts[number]))

    hands = deal([job(number) for number in range(len(parts))], workers)
    _team(workers).run([hands])
    return [results[number] for number in range(len(parts))]


def total(parts: Sequence[Array]) -> Array:
    """The sum of parts that nobody else needs."""
    first, *others = parts
    for other in others:
        first += other
    return first


def hands(parts: Sequence[_T]) -> list[Sequence[_T]]:
    """Runs of neighbouring parts, one for each thread."""
    return [hand for hand in deal(parts, blas.threads()) if len(hand)]


def runs(places: int, numbers: int) -> list[slice]:
    """Places for each thread, of a pass over so many numbers; all at once if it is quick anyway."""
    workers = blas.threads() if numbers >= _WORTH_SHARING else 1
    if workers == 1:
        return [slice(0, places)] if places else []
    return [slice(hand[0], hand[-1] + 1) for hand in deal(range(places), workers) if len(hand)]


def matmul(a_RM: Array, b_MN: Array) -> Array:
    """``a @ b``; threads share the rows or, if there are more, the columns of a large product."""
    (rows, depth), columns = a_RM.shape, b_MN.shape[1]
    work = max(a_RM.size, b_MN.size, rows * columns, rows * columns * depth // PRODUCTS)
    if work < _WORTH_SHARING:
        with blas.one_thread():
            small: Array = a_RM @ b_MN
            return small
    product = np.empty((rows, columns), np.result_type(a_RM, b_MN))

    def some_rows(part: slice) -> None:
        np.matmul(a_RM[part], b_MN, out=product[part])

    def some_columns(part: slice) -> None:
        np.matmul(a_RM, b_MN[:, part], out=product[:, part])

    if rows >= columns:
        share(some_rows, runs(rows, work))
    else:
        share(some_columns, runs(columns, work))
    return product


def share_copy(target: Array, source: Array) -> None:
    """Copies [N, …] to [N, …], images shared."""

    def copy(images: slice) -> None:
        target[images] = source[images]

    share(copy, runs(len(source), source.size))


def deal(jobs: Sequence[_T], workers: int) -> list[Sequence[_T]]:
    """Neighbouring jobs for each worker, the first ones for the first."""
    edges = [-(-len(jobs) * worker // workers) for worker in range(workers + 1)]
    return [jobs[a:b] for a, b in itertools.pairwise(edges)]


_team = cache(Team)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_team.cache_clear)  # a child has none of its parent's threads
