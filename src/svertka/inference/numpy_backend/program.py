"""Runs an execution plan: allocates its memory, and shares its steps among threads."""

import threading
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.lib.array_utils import byte_bounds

from svertka.engine.fast.threads import Job, Stage, Team, deal
from svertka.inference.numpy_backend.execution_plan import ExecutionPlan
from svertka.inference.numpy_backend.kernels.kernel import Piece, Run
from svertka.inference.numpy_backend.layout import Layout, aligned, place
from svertka.inference.numpy_backend.shape_rules import check_budget
from svertka.onnx_graph.graph import Array


class Program:
    """A plan bound to one block of memory, in which tensors that don't live at the same time share places.

    Attributes:
        bytes: of that memory, scratch included.
        stages: between them the threads wait for each other.

    Raises:
        GraphError: that memory is beyond the plan's budget.
    """

    def __init__(self, plan: ExecutionPlan, team: Team) -> None:
        self._team, self._lock = team, threading.Lock()
        starts, total = place(plan.buffers)
        floats = max((step.kernel.scratch for step in plan.steps), default=0)
        self.bytes = total + team.count * 4 * floats
        check_budget("What is alive at the same time in the graph", self.bytes, plan.budget)
        memory = aligned(total)
        scratch = [aligned(4 * floats).view(np.float32) for _ in range(team.count)]

        def array(tensor: Layout | Array) -> Array:
            return tensor.view(memory, starts[tensor.buffer]) if isinstance(tensor, Layout) else tensor

        self._inputs = {name: array(layout) for name, layout in plan.inputs.items()}
        self._outputs = {name: array(layout) for name, layout in plan.outputs.items()}
        steps = [step.kernel.bind([array(x) for x in step.inputs], array(step.output), scratch) for step in plan.steps]
        self.stages = [[[_quietly(runs)] for runs in stage] for stage in stages(steps, team.count)]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs all steps; the results are arrays of their own."""
        with self._lock:
            for name, value in inputs.items():
                np.copyto(self._inputs[name], value, casting="unsafe")
            self._team.run(self.stages)
            return {name: np.array(value, order="C") for name, value in self._outputs.items()}


def _quietly(runs: Sequence[Job]) -> Run:
    """All of them, without NumPy's warnings: a division of floats by zero is infinite, as in ONNX."""

    def run(worker: int) -> None:
        with np.errstate(all="ignore"):
            for each in runs:
                each(worker)

    return run


def stages(steps: Sequence[Sequence[Piece]], workers: int) -> Sequence[Stage]:
    """Deals the blocks of each step out, and begins a new stage only where workers would meet in memory.

    Two workers meet if one writes where the other has read or written since the last stage began. With several images
    each worker mostly stays among its own; with one image, only kernels wider than a pixel look at the neighbour's.
    """
    found: list[list[list[Run]]] = [[[] for _ in range(workers)]]
    reads: list[_Ranges] = [[] for _ in range(workers)]
    writes: list[_Ranges] = [[] for _ in range(workers)]
    for blocks in steps:
        hands = deal(blocks, workers)
        will_read = [_merged(byte_bounds(x) for block in hand for x in block.reads if x.size) for hand in hands]
        will_write = [_merged(byte_bounds(block.writes) for block in hand if block.writes.size) for hand in hands]
        if any(
            _meet(will_write[w], reads[v]) or _meet(will_write[w], writes[v]) or _meet(will_read[w], writes[v])
            for w in range(workers)
            for v in range(workers)
            if w != v
        ):
            found.append([[] for _ in range(workers)])
            reads, writes = will_read, will_write
        else:
            reads = [_merged([*a, *b]) for a, b in zip(reads, will_read, strict=True)]
            writes = [_merged([*a, *b]) for a, b in zip(writes, will_write, strict=True)]
        for worker, hand in enumerate(hands):
            found[-1][worker] += [block.run for block in hand]
    return found


_Ranges = list[tuple[int, int]]
"""Runs of addresses, sorted and merged."""


def _meet(some: _Ranges, others: _Ranges) -> bool:
    """Whether any address is in both."""
    return any(a < d and c < b for a, b in some for c, d in others)


def _merged(ranges: Iterable[tuple[int, int]]) -> _Ranges:
    merged: _Ranges = []
    for begin, end in sorted(ranges):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return merged
