"""Traces one number inside a network: its window, its kernel, the products and what follows.

Shapes: C channels in that the kernel sees, O channels out, K/L kernel.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from svertka.errors import NotFoundError, ShapeError, did_you_mean
from svertka.inference.numpy_backend.arguments import window_of
from svertka.inference.numpy_backend.backend import NumpySession
from svertka.inference.numpy_backend.kernels.activations import in_place
from svertka.inference.numpy_backend.shape_inference import sized
from svertka.inference.numpy_backend.shape_rules import Sizes
from svertka.onnx_graph.graph import Array, Node

LAYERS = ("Conv", "Linear")
"""Operators whose numbers can be traced: those with weights."""


@dataclass(frozen=True, slots=True)
class TracedLayer:
    """A layer with weights, for one image: sizes without N, kernel as its weights are stored.

    ``name`` is short, as torch names modules (``blocks.3.depthwise.0``); ``node`` is the graph's name for it.
    """

    name: str
    node: str
    op: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    kernel_shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """One number and all that it is made of; sums are float64.

    Attributes:
        layer: that computed it.
        place: (channel, row, column), or (feature,) behind a linear layer.
        first_channel: of the input, where the window begins (groups see a part of the channels).
        corner: row and column of the window's first element on the input; negative in the padding.
        window_CKL: what the kernel saw, zero in the padding.
        kernel_CKL: its weights, BatchNorm folded in.
        bias: is added.
        shortcut: of a residual block, added before the activation; None without.
        activation: by name, or ``""``.
        result: after the activation.
        computed: the same number from a run of the whole network in float32.
        dilations: steps within the window.
    """

    layer: TracedLayer
    place: tuple[int, ...]
    first_channel: int
    corner: tuple[int, int]
    window_CKL: NDArray[np.float64]
    kernel_CKL: NDArray[np.float64]
    bias: float
    shortcut: float | None
    activation: str
    result: float
    computed: float
    dilations: tuple[int, int] = (1, 1)

    @property
    def products_CKL(self) -> NDArray[np.float64]:
        """Window times kernel, place by place."""
        return self.window_CKL * self.kernel_CKL

    @property
    def sums_C(self) -> NDArray[np.float64]:
        """What each input channel adds."""
        sums: NDArray[np.float64] = self.products_CKL.sum(axis=(1, 2))
        return sums

    @property
    def before_activation(self) -> float:
        """Sum, bias and shortcut."""
        return float(self.sums_C.sum()) + self.bias + (self.shortcut or 0.0)


def layers(twin: NumpySession, shape: tuple[int, ...]) -> list[TracedLayer]:
    """The layers with weights, in order, for inputs of one size."""
    return [layer for layer, _ in _layers(twin, shape)]


def trace(twin: NumpySession, x: Array, layer: str, place: Sequence[int]) -> Trace:
    """Takes one number of the first image apart.

    Args:
        twin: the network.
        x: its input; N is 1.
        layer: name of a layer, see ``layers``, short or as the graph has it.
        place: (channel, row, column) in the layer's output, or (feature,) for a linear layer.

    Raises:
        NotFoundError: there is no layer of that name.
        ShapeError: the layer's output has no such place.
    """
    what, node = _named(layer, _layers(twin, x.shape))
    place = tuple(int(index) for index in place)
    if len(place) != len(what.output_shape) or any(
        not 0 <= index < size for index, size in zip(place, what.output_shape, strict=True)
    ):
        axes = "channel, row, column" if len(what.output_shape) == 3 else "feature"
        raise ShapeError(
            f"{layer} has no number at {','.join(map(str, place))}; expected {axes} below {list(what.output_shape)}."
        )
    constants = twin.graph.constants
    seen = [node.inputs[0], node.outputs[0], *node.inputs[3:]]
    source = twin.graph.inputs[0].name  # an input can't be asked for
    values = {source: np.asarray(x), **twin(x, [name for name in dict.fromkeys(seen) if name != source])}
    window_CKL, kernel_CKL, first, corner, dilations = (_of_convolution if node.op == "Conv" else _of_linear)(
        node, values[node.inputs[0]][0].astype(np.float64), constants[node.inputs[1]], place
    )
    bias = (
        float(constants[node.inputs[2]][place[0] if node.op == "Conv" else place[-1]]) if len(node.inputs) > 2 else 0.0
    )
    shortcut = float(values[node.inputs[3]][0][place]) if len(node.inputs) > 3 else None
    total = float((window_CKL * kernel_CKL).sum()) + bias + (shortcut or 0.0)
    activation = node.get("activation", None)
    result = np.array([total], np.float32)
    if act := in_place(activation):
        act(result)
    return Trace(
        layer=what,
        place=place,
        first_channel=first,
        corner=corner,
        window_CKL=window_CKL,
        kernel_CKL=kernel_CKL,
        bias=bias,
        shortcut=shortcut,
        activation=activation[0] if activation else "",
        result=float(result[0]) if activation else total,
        computed=float(values[node.outputs[0]][0][place]),
        dilations=dilations,
    )


def _named(name: str, known: Sequence[tuple[TracedLayer, Node]]) -> tuple[TracedLayer, Node]:
    for layer, node in known:
        if name in (layer.name, layer.node):
            return layer, node
    names = [layer.name for layer, _ in known]
    inside = [each for each in names if name and name in each][:3]
    close = f" Did you mean {', '.join(inside)}?" if inside else did_you_mean(name, names)
    first = f" It has {', '.join(names[:3])} …"
    raise NotFoundError(f"The network has no layer {name!r}.{close or first}")


_WRAPPERS = ("module", "body")  # what svertka's exporter puts around every network


def short_names(nodes: Sequence[str]) -> list[str]:
    """Names of modules out of the paths that torch's exporter gives to nodes; the paths where two would be one.

    ``/module/body/blocks/blocks.3/project/project.0/Conv`` becomes ``blocks.3.project.0``: wrappers go, the operator,
    and each container whose name its member repeats.
    """
    short = [_short(node) for node in nodes]
    count = Counter(short)
    return [name if name and count[name] == 1 else node for name, node in zip(short, nodes, strict=True)]


def _short(node: str) -> str:
    path = [part for part in node.split("/") if part and part not in _WRAPPERS]
    path = [part for part, after in pairwise([*path, ""]) if not after.startswith(f"{part}.")]
    return ".".join(path[:-1] if len(path) > 1 and path[-1][0].isupper() else path)


def _layers(twin: NumpySession, shape: tuple[int, ...]) -> list[tuple[TracedLayer, Node]]:
    port = twin.graph.inputs[0]
    graph, sizes, constants = sized(twin.graph, {port.name: Sizes(shape, port.dtype)})
    nodes = [node for node in graph.nodes if node.op in LAYERS]
    return [
        (
            TracedLayer(
                name,
                node.name,
                node.op,
                sizes[node.inputs[0]].shape[1:],
                sizes[node.outputs[0]].shape[1:],
                constants[node.inputs[1]].shape,
            ),
            node,
        )
        for name, node in zip(short_names([node.name for node in nodes]), nodes, strict=True)
    ]


_Parts = tuple[NDArray[np.float64], NDArray[np.float64], int, tuple[int, int], tuple[int, int]]


def _of_convolution(node: Node, x_CHW: NDArray[np.float64], weight: Array, place: tuple[int, ...]) -> _Parts:
    """Window, kernel, first channel, corner and dilation."""
    channel, row, column = place
    window = window_of(node, weight.shape[2:], x_CHW.shape[1:])
    per_group = weight.shape[1]
    first = channel // (len(weight) // node.get("group", 1)) * per_group
    if "pre" in node.attributes:
        factor, shift, activation = node.attributes["pre"]
        x_CHW = x_CHW * factor[:, None, None] + shift[:, None, None]
        if act := in_place(activation):
            act(x_CHW)
    top, left = (at * step - pad for at, step, pad in zip((row, column), window.stride, window.before, strict=True))
    seen = np.zeros((per_group, *window.kernel))
    for k, y in enumerate(range(top, top + window.kernel[0] * window.dilation[0], window.dilation[0])):
        for j, z in enumerate(range(left, left + window.kernel[1] * window.dilation[1], window.dilation[1])):
            if 0 <= y < x_CHW.shape[1] and 0 <= z < x_CHW.shape[2]:
                seen[:, k, j] = x_CHW[first : first + per_group, y, z]
    return seen, weight[channel].astype(np.float64), first, (top, left), window.dilation


def _of_linear(node: Node, x: NDArray[np.float64], weight_CO: Array, place: tuple[int, ...]) -> _Parts:
    row = x[place[:-1]] if len(place) > 1 else x
    kernel = weight_CO[:, place[-1]].astype(np.float64)
    return row.reshape(-1, 1, 1), kernel.reshape(-1, 1, 1), 0, (0, 0), (1, 1)
