"""Receptive fields of a graph's tensors, from the arithmetic of the layers alone.

Branches that have seen the whole image (squeeze-and-excitation scales a channel by its mean) are left out, as is usual:
a field says where the map's number sits, not all that could change it. The field that matters in practice is smaller
than the arithmetic one, and densest in its middle (Luo et al. 2016, arXiv 1701.04128).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from svertka.engine.geometry import Pair, ReceptiveField
from svertka.onnx_graph.graph import Graph, Node


@dataclass(frozen=True, slots=True)
class MapField:
    """What a number of a map sees, along rows and along columns."""

    rows: ReceptiveField
    columns: ReceptiveField

    @property
    def side_px(self) -> int:
        """Of the square around what it sees."""
        return max(self.rows.size_px, self.columns.size_px)

    def window(self, row: int, column: int, side_px: int) -> tuple[int, int, int, int]:
        """Top, left, bottom, right of what the number at a place sees, within an image of a side."""
        (top, bottom), (left, right) = self.rows.within(row, side_px), self.columns.within(column, side_px)
        return top, left, bottom, right


def receptive_fields(graph: Graph) -> dict[str, MapField]:
    """The field of each tensor that is laid out like the image; what sees all of it has none."""
    fields = {graph.inputs[0].name: MapField(ReceptiveField(), ReceptiveField())}
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


def _through(node: Node, inputs: Sequence[MapField], constants: Mapping[str, np.ndarray]) -> MapField | None:
    """The field behind an operation, None where it sees the whole image or is no map."""
    attention = node.op == "MatMul" and len(inputs) > 1
    over_space = node.op == "ReduceMean" and len(node.get("axes", ())) > 1
    if not inputs or node.op in _EVERYTHING or attention or over_space:
        return None
    rows, columns = _union([field.rows for field in inputs]), _union([field.columns for field in inputs])
    if node.op in {"Conv", "MaxPool", "AveragePool"}:
        kernel = node.get("kernel_shape", None) or constants[node.inputs[1]].shape[2:]
        dilations, strides = node.get("dilations", (1, 1)), node.get("strides", (1, 1))
        before = _padding(node, kernel, dilations)
        rows, columns = (
            field.through(*(int(values[axis]) for values in (kernel, strides, before, dilations)))
            for axis, field in enumerate((rows, columns))
        )
    elif node.op == "Pad" and (pads := constants.get(node.inputs[1])) is not None and pads.size == 8:
        rows, columns = (
            replace(field, start_px=field.start_px - int(before) * field.stride_px)  # below zero it cuts off
            for field, before in ((rows, pads[2]), (columns, pads[3]))
        )
    return MapField(rows, columns)


_EVERYTHING = frozenset({"GlobalAveragePool", "GlobalMaxPool", "Gemm", "Resize", "Flatten", "Shape"})


def _union(fields: Sequence[ReceptiveField]) -> ReceptiveField:
    """Of tensors that are added, multiplied or joined."""
    start, end = min(f.start_px for f in fields), max(f.start_px + f.size_px for f in fields)
    return ReceptiveField(end - start, max(f.stride_px for f in fields), start)


def _padding(node: Node, kernel: Sequence[int], dilations: Sequence[int]) -> Pair:
    """Rows above and columns to the left of the map that are made up."""
    if node.get("auto_pad", "NOTSET") in {"SAME_UPPER", "SAME_LOWER"}:
        return (kernel[0] - 1) * dilations[0] // 2, (kernel[1] - 1) * dilations[1] // 2
    pads = node.get("pads", (0, 0, 0, 0))
    return int(pads[0]), int(pads[1])
