"""Plans the execution of a graph: which kernel computes each step, and where every tensor lies in memory.

Views (Transpose, Reshape, Split …) take no step where strides can express them. The inputs of a concatenation of
channels are written where the concatenation will be read, so it takes no step either.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from svertka.errors import GraphError
from svertka.inference.numpy_backend.arguments import axis_of, permutation, split_sizes, window_of
from svertka.inference.numpy_backend.kernels import elementwise
from svertka.inference.numpy_backend.kernels.convolution import convolution
from svertka.inference.numpy_backend.kernels.gemm import rows_by_matrix
from svertka.inference.numpy_backend.kernels.kernel import Convolution, Kernel
from svertka.inference.numpy_backend.kernels.pooling import average_pool, max_pool
from svertka.inference.numpy_backend.layout import Buffer, Layout
from svertka.inference.numpy_backend.operators import evaluate
from svertka.inference.numpy_backend.shape_inference import sized
from svertka.inference.numpy_backend.shape_rules import Sizes, budget
from svertka.onnx_graph.graph import F32, Array, Graph, Node

_UFUNCS = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}
_VIEWS = {"Reshape", "Flatten", "Squeeze", "Unsqueeze"}


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One kernel at work: inputs are tensors of the plan or constants."""

    name: str
    kernel: Kernel
    inputs: tuple[Layout | Array, ...]
    output: Layout


@dataclass(frozen=True, slots=True)
class ExecutionPlan:
    """What runs, in order, and what memory it needs.

    Attributes:
        steps: in order.
        buffers: by the numbers that layouts name.
        inputs: where each input of the graph goes.
        outputs: where each output lies, or its value if it is constant.
        budget: bytes that the buffers may take at the same time.
    """

    steps: tuple[PlanStep, ...]
    buffers: tuple[Buffer, ...]
    inputs: Mapping[str, Layout]
    outputs: Mapping[str, Layout | Array]
    budget: int


def make_plan(graph: Graph, inputs: Mapping[str, Sizes], workers: int, packs: dict[str, F32]) -> ExecutionPlan:
    """Plans a graph from ``passes.optimise`` for one size of its input; ``packs`` keeps weights in other forms.

    Raises:
        ShapeError: sizes don't fit each other.
        GraphError: a node asks for what its kernel doesn't do.
    """
    return _Planner(graph, inputs, workers, packs).plan()


class _Planner:
    def __init__(self, graph: Graph, inputs: Mapping[str, Sizes], workers: int, packs: dict[str, F32]) -> None:
        self.graph, self.sizes, self.constants = sized(graph, inputs)
        self.workers, self.packs = workers, packs
        self.given, self.budget = inputs, budget(inputs.values())
        self.layouts: dict[str, Layout] = {}
        self.bytes: list[int] = []
        self.steps: list[PlanStep] = []
        self.homes: dict[str, tuple[str, int]] = {}
        self.roots: dict[str, Layout] = {}

    def plan(self) -> ExecutionPlan:
        self._house_concatenations()
        for name, sizes in self.given.items():
            self.layouts[name] = self._new(sizes, range(len(sizes.shape)))
        for node in self.graph.nodes:
            if all(name in self.constants for name in node.outputs):
                continue
            self._lower(node)
        outputs = {name: self._tensor(name) for name in self.graph.outputs}
        return ExecutionPlan(
            tuple(self.steps),
            tuple(self._lifetimes(outputs)),
            {name: self.layouts[name] for name in self.given},
            outputs,
            self.budget,
        )

    # --- memory ------------------------------------------------------------------------------------------------------

    def _new(self, sizes: Sizes, order: Sequence[int]) -> Layout:
        self.bytes.append(sizes.bytes)
        return Layout.new(len(self.bytes) - 1, sizes.shape, sizes.dtype, order)

    def _lifetimes(self, outputs: Mapping[str, object]) -> list[Buffer]:
        buffers = [Buffer(size, len(self.steps), -1) for size in self.bytes]
        for number, step in enumerate(self.steps):
            for layout in (*step.inputs, step.output):
                if isinstance(layout, Layout):
                    buffer = buffers[layout.buffer]
                    buffer.first, buffer.last = min(buffer.first, number), max(buffer.last, number)
        for name in self.given:
            buffers[self.layouts[name].buffer].first = -1
        for output in outputs.values():
            if isinstance(output, Layout):
                buffers[output.buffer].last = len(self.steps)
        return buffers

    def _house_concatenations(self) -> None:
        """Decides which tensors are written straight to their place in a concatenation of channels.

        From the last node back: in a dense block the last concatenation holds all the others, and these become views.
        """
        makers = {name: node.op for node in self.graph.nodes for name in node.outputs}
        for node in reversed(self.graph.nodes):
            if not self._joins_channels(node):
                continue
            root, start = self.homes.get(node.outputs[0], (node.outputs[0], 0))
            if any(name in self.homes or name in self.constants for name in node.inputs) or len(set(node.inputs)) < len(
                node.inputs
            ):
                continue
            if any(makers.get(name, "Transpose") in _VIEWS | {"Transpose", "Split"} for name in node.inputs):
                continue
            for name in node.inputs:
                self.homes[name] = (root, start)
                start += self.sizes[name].shape[1]

    def _joins_channels(self, node: Node) -> bool:
        output = self.sizes.get(node.outputs[0])
        return (
            node.op == "Concat" and output is not None and len(output.shape) == 4 and node.attributes["axis"] % 4 == 1
        )

    def _output(self, name: str, order: Sequence[int] | None = None) -> Layout:
        """Where a step writes a tensor: a part of a concatenation, or a buffer of its own (maps: channels last)."""
        sizes = self.sizes[name]
        if name in self.homes:
            root, start = self.homes[name]
            return self._root(root).part(1, start, sizes.shape[1])
        if order is None:
            order = (0, 2, 3, 1) if len(sizes.shape) == 4 else range(len(sizes.shape))
        return self._new(sizes, order)

    def _root(self, name: str) -> Layout:
        if name not in self.roots:
            self.roots[name] = self._new(self.sizes[name], (0, 2, 3, 1))
        return self.roots[name]

    # --- steps -------------------------------------------------------------------------------------------------------

    def _add(self, name: str, kernel: Kernel, inputs: Sequence[Layout | Array], output: Layout) -> None:
        self.steps.append(PlanStep(name, kernel, tuple(inputs), output))

    def _tensor(self, name: str) -> Layout | Array:
        return self.constants[name] if name in self.constants else self.layouts[name]

    def _channels_last(self, name: str, step: str) -> Layout:
        """A map whose channels are neighbours in memory and whose pixels follow with one stride; copied if need be."""
        layout = self._tensor(name)
        if not isinstance(layout, Layout):
            raise GraphError(f"Node {step!r} works on the constant {name!r}; expected a tensor that is computed.")
        if layout.dtype != np.float32:
            raise GraphError(f"Node {step!r} works on {layout.dtype} numbers; expected float32.")
        if len(layout.shape) != 4:
            axes = len(layout.shape) - 2
            raise GraphError(f"Node {step!r} moves a window over {axes} axes; expected 2 (rows and columns).")
        n, c, h, w = layout.shape
        pixel = layout.strides[3] if w > 1 else layout.strides[2]
        expected = (h * w * pixel, 1, w * pixel, pixel)
        fits = all(size == 1 or a == b for size, a, b in zip((n, c, h, w), layout.strides, expected, strict=True))
        if fits and (pixel >= c or n * h * w == 1):
            return layout
        return self._copied(layout, self._new(Sizes(layout.shape, layout.dtype), (0, 2, 3, 1)), step)

    def _contiguous(self, layout: Layout, step: str) -> Layout:
        if layout.contiguous:
            return layout
        return self._copied(layout, self._new(Sizes(layout.shape, layout.dtype), range(len(layout.shape))), step)

    def _copied(self, layout: Layout, to: Layout, step: str) -> Layout:
        self._add(step, elementwise.copy(self.workers), [layout], to)
        return to

    def _lower(self, node: Node) -> None:
        name, x = node.outputs[0], self._tensor(node.inputs[0]) if node.inputs[0] else None
        if isinstance(x, Layout) and node.op == "Transpose":
            self._define(name, x.transposed(permutation(node, len(x.shape))), node)
        elif isinstance(x, Layout) and node.op in _VIEWS:
            seen = self._contiguous(x, node.name).reshaped(self.sizes[name].shape)
            assert seen is not None
            self._define(name, seen, node)
        elif isinstance(x, Layout) and node.op == "Split":
            axis, start = axis_of(node.get("axis", 0), len(x.shape)), 0
            sizes = self.constants[node.inputs[1]] if len(node.inputs) > 1 else None
            for part, size in zip(node.outputs, split_sizes(node, x.shape[axis], sizes), strict=True):
                if part:
                    self._define(part, x.part(axis, start, size), node)
                start += size
        elif node.op in ("Conv", "MaxPool", "AveragePool") or (
            node.op == "GlobalAveragePool" and len(self.sizes[name].shape) == 4
        ):
            self._lower_window(node)
        elif node.op == "Linear":
            self._lower_linear(node)
        elif self._joins_channels(node):
            self._lower_concat(node)
        else:
            self._lower_elementwise(node)

    def _define(self, name: str, layout: Layout, node: Node) -> None:
        """Names a view; where the tensor has a home in a concatenation, it is copied there."""
        if name in self.homes:
            layout = self._copied(layout, self._output(name), node.name)
        self.layouts[name] = layout

    def _lower_window(self, node: Node) -> None:
        name, x = node.outputs[0], self._channels_last(node.inputs[0], node.name)
        out, workers = self.sizes[name].shape, self.workers
        inputs = [x]
        if node.op == "GlobalAveragePool":
            kernel = elementwise.spatial_mean(workers)
        elif node.op == "Conv":
            weight, bias = self._weights(node)
            if "residual" in node.attributes:
                inputs.append(self._channels_last(node.inputs[3], node.name))
            window, activation = window_of(node, weight.shape[2:], x.shape[2:]), node.get("activation", None)
            kernel = convolution(
                Convolution(weight, bias, window, out, activation, workers), node, partial(self._pack, node)
            )
        elif node.op == "MaxPool":
            kernel = max_pool(window_of(node, node.attributes["kernel_shape"], x.shape[2:]), x.shape, out, workers)
        else:
            window = window_of(node, node.attributes["kernel_shape"], x.shape[2:])
            exact = window_of(node.with_attributes(ceil_mode=0), window.kernel, x.shape[2:])
            includes = bool(node.get("count_include_pad", 0))
            kernel = average_pool(window, x.shape, out, workers, includes, (exact.pads[0][1], exact.pads[1][1]))
        self.layouts[name] = self._output(name)
        self._add(node.name, kernel, inputs, self.layouts[name])

    def _weights(self, node: Node) -> tuple[F32, F32]:
        if any(name and name not in self.constants for name in node.inputs[1:3]):
            raise node.error("computes its weights; expected constant ones")
        weight = self.constants[node.inputs[1]]
        has_bias = len(node.inputs) > 2 and bool(node.inputs[2])
        out_channels = weight.shape[0] if node.op == "Conv" else weight.shape[1]
        return weight, self.constants[node.inputs[2]] if has_bias else np.zeros(out_channels, np.float32)

    def _pack(self, node: Node, form: str, make: Callable[[], F32]) -> F32:
        """Weights in another form, made once."""
        key = f"{node.outputs[0]} {form}"
        if key not in self.packs:
            self.packs[key] = make()
        return self.packs[key]

    def _lower_linear(self, node: Node) -> None:
        name, x = node.outputs[0], self.layouts[node.inputs[0]]
        weight, bias = self._weights(node)
        kernel = rows_by_matrix(weight, bias, node.get("activation", None), self.workers)
        self.layouts[name] = self._output(name, range(len(self.sizes[name].shape)))
        target = self.layouts[name]
        if name in self.homes:  # rows are pixels here only by accident: compute apart, then copy
            target = self._new(self.sizes[name], range(len(self.sizes[name].shape)))
        self._add(node.name, kernel, [self._contiguous(x, node.name)], target)
        if target is not self.layouts[name]:
            self._copied(target, self.layouts[name], node.name)

    def _lower_concat(self, node: Node) -> None:
        """Nothing to do where the inputs already lie side by side."""
        name = node.outputs[0]
        homes = [self.homes.get(x) for x in node.inputs]
        first = homes[0]
        if first is not None and None not in homes:
            root, start = first
            at, fits = start, name not in self.homes or self.homes[name] == first
            for x, home in zip(node.inputs, homes, strict=True):
                fits, at = fits and home == (root, at), at + self.sizes[x].shape[1]
            if fits:
                self.layouts[name] = self._root(root).part(1, start, at - start)
                return
        self.layouts[name] = self._output(name)
        parts = [self._tensor(x) for x in node.inputs]
        self._add(node.name, elementwise.copy_parts(1, self.workers), parts, self.layouts[name])

    def _lower_elementwise(self, node: Node) -> None:
        inputs = [self._tensor(name) if name else None for name in node.inputs]
        sizes = self.sizes[node.outputs[0]]
        like = next((x for x in inputs if isinstance(x, Layout) and x.shape == sizes.shape), None)
        order = like.order if like else range(len(sizes.shape))
        same_type = all(x is None or x.dtype == sizes.dtype for x in inputs)
        if node.op == "Act":
            activation = node.attributes["activation"]
            if sizes.dtype.kind != "f":
                raise node.error(f"applies {activation[0]} to {sizes.dtype} numbers; expected floats", elsewhere=True)
            self._compute(node, elementwise.activation_alone(activation, self.workers), inputs, order)
        elif node.op == "Affine":
            rank = len(sizes.shape)
            factor, shift = (x.reshape(-1, *(1,) * (rank - 2)) for x in inputs[1:])  # type: ignore[union-attr]
            kernel = elementwise.affine(node.get("activation", None), self.workers)
            self._compute(node, kernel, [inputs[0], factor, shift], order)
        elif node.op in _UFUNCS and same_type and sizes.dtype == np.float32:
            self._compute(node, elementwise.ufunc(_UFUNCS[node.op], self.workers), inputs, order)
        else:
            self._lower_plain(node, inputs, order)

    def _compute(
        self, node: Node, kernel: Kernel, inputs: Sequence[Layout | Array | None], order: Sequence[int]
    ) -> None:
        name = node.outputs[0]
        self.layouts[name] = self._output(name, order)
        self._add(node.name, kernel, [x for x in inputs if x is not None], self.layouts[name])

    def _lower_plain(self, node: Node, inputs: Sequence[Layout | Array | None], order: Sequence[int]) -> None:
        """The operator as ``operators`` has it, once for each of its outputs."""
        present = [x is not None for x in inputs]
        for place, name in enumerate(node.outputs):
            if not name or name not in self.sizes:
                continue

            def run(arrays: Sequence[Array], place: int = place) -> Array:
                left = iter(arrays)
                return evaluate(node, [next(left) if here else None for here in present], self.budget)[place]

            output = self._output(name, order if len(order) == len(self.sizes[name].shape) else None)
            self.layouts[name] = output
            self._add(node.name, elementwise.plain(run), [x for x in inputs if x is not None], output)
