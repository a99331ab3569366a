"""How much of a network's arithmetic Winograd's method saves: where it is most, the twin is the quickest engine."""

from svertka.inference.numpy_backend.arguments import window_of
from svertka.inference.numpy_backend.kernels.convolution import costs
from svertka.inference.numpy_backend.shape_inference import sized
from svertka.inference.numpy_backend.shape_rules import Sizes
from svertka.onnx_graph.graph import Graph


def work_left(graph: Graph, given: Sizes) -> float:
    """Cost of a network's convolutions by the quickest method each, as a share of the cost by plain windows.

    Args:
        graph: from ``passes.optimise``, with one input.
        given: sizes of its input.

    Returns:
        From 0 to 1: about 0.3 for VGG at 224 px, 0.5 for ResNet-18, 0.8 for ResNet-50, 1 without 3×3 convolutions.

    Raises:
        ShapeError: sizes don't fit each other.
        GraphError: it holds an operator that the twin doesn't know.
    """
    graph, sizes, constants = sized(graph, {graph.inputs[0].name: given})
    quickest = plain = 0.0
    for node in graph.nodes:
        if node.op == "Conv" and node.inputs[1] in constants:
            weight = constants[node.inputs[1]].shape
            window = window_of(node, weight[2:], sizes[node.inputs[0]].shape[2:])
            cost = costs(weight, window, sizes[node.outputs[0]].shape, workers=1)
            quickest += cost[0] if node.get("group", 1) > 1 else min(cost.values())
            plain += cost[0]
    return quickest / plain if plain else 1.0
