"""A plan with memory behind it, and the threads that run it."""

import itertools
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

from svertka.engine.twin.blas import one_thread
from svertka.engine.twin.graph import Array
from svertka.engine.twin.kernels.base import Block
from svertka.engine.twin.layout import Layout, aligned, place
from svertka.engine.twin.plan import Plan


class Workers:
    """Threads that share blocks; the caller is one of them."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count - 1, thread_name_prefix="svertka-twin") if count > 1 else None

    def run(self, blocks: Sequence[Block]) -> None:
        """Runs all blocks, each once, and returns when the last is done."""
        if self._pool is None or len(blocks) == 1:
            for block in blocks:
                block(0)
            return
        coming = itertools.count()  # next() on it is atomic: whoever is free takes the next block

        def work(worker: int) -> None:
            while (number := next(coming)) < len(blocks):
                blocks[number](worker)

        helpers = [self._pool.submit(work, worker) for worker in range(1, min(self.count, len(blocks)))]
        try:
            work(0)
        finally:
            wait(helpers)  # whatever happened: nobody may still write when the next call begins
        for helper in helpers:
            helper.result()


class Program:
    """A plan bound to one block of memory, in which tensors that don't live at the same time share places.

    Attributes:
        bytes: of that memory, scratch included.
    """

    def __init__(self, plan: Plan, workers: Workers) -> None:
        self._workers, self._lock = workers, threading.Lock()
        starts, total = place(plan.buffers)
        floats = max((step.kernel.scratch for step in plan.steps), default=0)
        self.bytes = total + workers.count * 4 * floats
        memory = aligned(total)
        scratch = [aligned(4 * floats).view(np.float32) for _ in range(workers.count)]

        def array(tensor: Layout | Array) -> Array:
            return tensor.view(memory, starts[tensor.buffer]) if isinstance(tensor, Layout) else tensor

        self._inputs = {name: array(layout) for name, layout in plan.inputs.items()}
        self._outputs = {name: array(layout) for name, layout in plan.outputs.items()}
        self.steps = [
            (step.name, step.kernel.bind([array(x) for x in step.inputs], array(step.output), scratch))
            for step in plan.steps
        ]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs all steps; the results are arrays of their own."""
        with self._lock, one_thread():
            for name, value in inputs.items():
                np.copyto(self._inputs[name], value, casting="unsafe")
            for _, blocks in self.steps:
                self._workers.run(blocks)
            return {name: np.array(value, order="C") for name, value in self._outputs.items()}
