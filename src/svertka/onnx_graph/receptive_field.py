"""Receptive fields: which square of the image one number of a map depends on, from the arithmetic of the layers alone.

Araujo, Norris and Sim 2019, Computing Receptive Fields of Convolutional Neural Networks, Distill. Branches that have
seen the whole image (squeeze-and-excitation scales a channel by its mean) are left out, as is usual: what is told is
where the map's number sits, not all that could change it. The field that matters in practice is smaller than the
arithmetic one, and densest in its middle (Luo et al. 2016, arXiv 1701.04128).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from svertka.onnx_graph.graph import Graph, Node

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """Rows and columns: how large the window is, by how much it moves from one number to the next, where it begins."""

    size_px: Pair
    step_px: Pair
    start_px: Pair

    def window(self, row: int, column: int, side_px: int) -> tuple[int, int, int, int]:
        """Top, left, bottom, right of what the number at a place sees, within an image of a side."""
        at = [
            start + step * index for start, step, index in zip(self.start_px, self.step_px, (row, column), strict=True)
        ]
        ends = [low + size for low, size in zip(at, self.size_px, strict=True)]
        top, left = (min(max(0, value), side_px - 1) for value in at)
        bottom, right = (max(1, min(side_px, value)) for value in ends)
        return top, left, max(bottom, top + 1), max(right, left + 1)


def receptive_fields(graph: Graph) -> dict[str, ReceptiveField]:
    """The field of each tensor that is laid out like the image; what sees all of it has none."""
    fields = {graph.inputs[0].name: ReceptiveField((1, 1), (1, 1), (0, 0))}
    constants = dict(graph.constants) | {
        node.outputs[0]: node.attributes["value"]
        for node in graph.nodes
        if node.op == "Constant" and "value" in node.attributes
    }
    for node in graph.nodes:
        found = _through(node, [fields[name] for name in node.inputs if name in fields], constants)
        if found is not None:
            fields |= dict.fromkeys(node.outputs, found)
    return fields


def _through(
    node: Node, inputs: Sequence[ReceptiveField], constants: Mapping[str, np.ndarray]
) -> ReceptiveField | None:
    """The field behind an operation, None where it sees the whole image or is no map."""
    attention = node.op == "MatMul" and len(inputs) > 1
    over_space = node.op == "ReduceMean" and len(node.get("axes", ())) > 1
    if not inputs or node.op in _EVERYTHING or attention or over_space:
        return None
    field = _union(inputs)
    if node.op in {"Conv", "MaxPool", "AveragePool"}:
        kernel = node.get("kernel_shape", None) or constants[node.inputs[1]].shape[2:]
        dilations, strides = node.get("dilations", (1, 1)), node.get("strides", (1, 1))
        return _windowed(field, kernel, strides, dilations, _padding(node, kernel, dilations))
    if node.op == "Pad":
        pads = constants.get(node.inputs[1])
        before = (0, 0) if pads is None or pads.size != 8 else (int(pads[2]), int(pads[3]))
        return _windowed(field, (1, 1), (1, 1), (1, 1), before)
    return field


_EVERYTHING = frozenset({"GlobalAveragePool", "GlobalMaxPool", "Gemm", "Resize", "Flatten", "Shape"})


def _union(fields: Sequence[ReceptiveField]) -> ReceptiveField:
    """Of tensors that are added, multiplied or joined."""
    starts = [tuple(field.start_px) for field in fields]
    ends = [(f.start_px[0] + f.size_px[0], f.start_px[1] + f.size_px[1]) for f in fields]
    start = min(s[0] for s in starts), min(s[1] for s in starts)
    end = max(e[0] for e in ends), max(e[1] for e in ends)
    step = max(f.step_px[0] for f in fields), max(f.step_px[1] for f in fields)
    return ReceptiveField((end[0] - start[0], end[1] - start[1]), step, start)


def _windowed(
    field: ReceptiveField, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], pads: Pair
) -> ReceptiveField:
    axes = range(2)
    return ReceptiveField(
        size_px=_pair(field.size_px[a] + (kernel[a] - 1) * dilations[a] * field.step_px[a] for a in axes),
        step_px=_pair(field.step_px[a] * strides[a] for a in axes),
        start_px=_pair(field.start_px[a] - pads[a] * field.step_px[a] for a in axes),
    )


def _pair(values: Iterable[int]) -> Pair:
    rows, columns = values
    return int(rows), int(columns)


def _padding(node: Node, kernel: Sequence[int], dilations: Sequence[int]) -> Pair:
    """Rows above and columns to the left of the map that are made up."""
    if node.get("auto_pad", "NOTSET") in {"SAME_UPPER", "SAME_LOWER"}:
        return _pair((kernel[a] - 1) * dilations[a] // 2 for a in range(2))
    pads = node.get("pads", (0, 0, 0, 0))
    return int(pads[0]), int(pads[1])
