"""An ONNX graph of a convolutional network, opened to be run by NumPy alone."""

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from svertka.engine.fast.threads import Team
from svertka.errors import GraphError, NotFoundError, ShapeError, did_you_mean
from svertka.inference.numpy_backend.arguments import window_of
from svertka.inference.numpy_backend.execution_plan import make_plan
from svertka.inference.numpy_backend.kernels.convolution import costs
from svertka.inference.numpy_backend.passes import optimise
from svertka.inference.numpy_backend.program import Program
from svertka.inference.numpy_backend.shape_inference import sized
from svertka.inference.numpy_backend.shape_rules import Sizes
from svertka.onnx_graph.graph import F32, Array, Graph
from svertka.onnx_graph.reader import read

_KEPT = 2  # programs: one for whole batches, one for the rest at the end


class NumpySession:
    """A convolutional network that NumPy alone runs.

    Calling it with an array gives the graph's first output (a classifier bundle's is ``logits``). The plan for a size
    of the input is made at the first call with that size, and the memory stays for the next.

    Attributes:
        graph: optimised: BatchNorm folded, activations and shortcuts fused.
        tensors: names of all tensors that can be asked for, in the order in which they are computed.
        threads: that share each step.
    """

    def __init__(self, load: Callable[[], Graph], threads: int = 1) -> None:
        """Reads a graph; it is read again when a tensor is asked for that was fused away, instead of kept beside."""
        if threads < 1:
            raise ShapeError(f"threads is {threads}; expected 1 or more.")
        graph = load()
        if len(graph.inputs) != 1:
            names = [port.name for port in graph.inputs]
            raise GraphError(f"The graph has the inputs {names}; expected one.")
        self.threads = threads
        self._load, self.tensors = load, tuple(graph.tensors())
        self.graph = optimise(graph, graph.outputs)
        self._packs: dict[str, F32] = {}
        self._begin()
        _twins.add(self)

    def _begin(self) -> None:
        """Threads, programs and locks: what a forked child can't use any more, because it has none of the threads."""
        self._team = Team(self.threads)
        self._programs: OrderedDict[tuple[Any, ...], Program] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def from_onnx(cls, source: Path | str | bytes, threads: int = 1) -> "NumpySession":
        """Reads a graph.

        Args:
            source: an ``.onnx`` file, or its content.
            threads: that share each step.

        Raises:
            NotFoundError: there is no such file.
            GraphError: it is no ONNX model, or holds an operator that the twin doesn't know (the message names it).
        """
        return cls(partial(read, source if isinstance(source, bytes) else Path(source)), threads)

    @overload
    def __call__(self, x: ArrayLike, outputs: None = None) -> Array: ...

    @overload
    def __call__(self, x: ArrayLike, outputs: Sequence[str]) -> dict[str, Array]: ...

    def __call__(self, x: ArrayLike, outputs: Sequence[str] | None = None) -> Array | dict[str, Array]:
        """Runs the network.

        Args:
            x: what the graph takes: float32 [N, C, H, W], or a bundle's uint8 [N, S, S, 3]. A network that takes floats
                accepts any real numbers.
            outputs: names of tensors anywhere in the graph; what would be fused away is then computed by itself.

        Returns:
            The graph's first output, or the named tensors by name. Later calls don't touch them.

        Raises:
            ShapeError: x doesn't fit the graph.
            NotFoundError: there is no tensor of that name.
        """
        names = tuple(outputs) if outputs is not None else self.graph.outputs[:1]
        array = self._checked(np.asarray(x))
        results = self._program(array, names).run({self.graph.inputs[0].name: array})
        return results if outputs is not None else results[names[0]]

    def program(self, shape: tuple[int, ...]) -> Program:
        """What runs for inputs of one size; for measuring its steps and memory."""
        return self._program(np.broadcast_to(np.zeros((), self.graph.inputs[0].dtype), shape), self.graph.outputs[:1])

    def work_left(self, shape: tuple[int, ...]) -> float:
        """Cost of the convolutions by the quickest method each, as a share of the cost by plain windows.

        Returns:
            From 0 to 1, for inputs of one size: about 0.3 for VGG at 224 px, 0.5 for ResNet-18, 0.8 for ResNet-50, 1
            without 3×3 convolutions.

        Raises:
            ShapeError: sizes don't fit each other.
        """
        port = self.graph.inputs[0]
        graph, sizes, constants = sized(self.graph, {port.name: Sizes(shape, port.dtype)})
        quickest = plain = 0.0
        for node in graph.nodes:
            if node.op == "Conv" and node.inputs[1] in constants:
                weight = constants[node.inputs[1]].shape
                window = window_of(node, weight[2:], sizes[node.inputs[0]].shape[2:])
                cost = costs(weight, window, sizes[node.outputs[0]].shape, workers=1)
                quickest += cost[0] if node.get("group", 1) > 1 else min(cost.values())
                plain += cost[0]
        return quickest / plain if plain else 1.0

    def _checked(self, x: Array) -> Array:
        port = self.graph.inputs[0]
        expected = [size if size is not None else "any" for size in port.shape]
        fits = len(x.shape) == len(port.shape) and all(
            size in (None, given) for size, given in zip(port.shape, x.shape, strict=True)
        )
        if not fits or 0 in x.shape:
            raise ShapeError(
                f"{port.name!r} is an array of sizes {list(x.shape)}; expected {expected}, none of them 0. Prepare "
                "images as the network was trained on them."
            )
        if x.dtype != port.dtype and not (port.dtype.kind == "f" and x.dtype.kind in "fiub"):
            raise ShapeError(f"{port.name!r} holds {x.dtype} numbers; expected {port.dtype}. Convert them first.")
        return x

    def _program(self, x: Array, names: tuple[str, ...]) -> Program:
        key = (x.shape, names)
        with self._lock:
            if key not in self._programs:
                self._programs[key] = self._build(x, names)
                if len(self._programs) > _KEPT:
                    self._programs.popitem(last=False)
            self._programs.move_to_end(key)
            return self._programs[key]

    def _build(self, x: Array, names: tuple[str, ...]) -> Program:
        usual = set(names) <= set(self.graph.outputs)
        graph = self.graph if usual else optimise(self._load(), self._known(names))
        port = graph.inputs[0]
        sizes = {port.name: Sizes(x.shape, port.dtype)}
        return Program(make_plan(graph, sizes, self.threads, self._packs if usual else {}), self._team)

    def _known(self, names: Iterable[str]) -> list[str]:
        known = set(self.tensors)
        for name in names:
            if name not in known:
                raise NotFoundError(f"The graph has no tensor {name!r}.{did_you_mean(name, known)}")
        return list(names)


_twins: "weakref.WeakSet[NumpySession]" = weakref.WeakSet()


def _begin_anew() -> None:
    for twin in _twins:
        twin._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
