"""Graph optimisation: rewrites that save work and leave the results as they are.

After these passes a graph may hold operators of our own beside ONNX's:

===========  =====================================================================================================
operator     meaning
===========  =====================================================================================================
``Conv``     as in ONNX; ``activation`` and ``residual`` (its last input is added first; names of its own result and
             of the sum) may be noted on it, and ``pre``: factor and shift [C] and an activation that its input goes
             through first
``Linear``   x[…, C] @ W[C, O] + bias[O], with the same notes; with ``rows``, x has two axes
``Affine``   x · factor[C] + shift[C] per channel, with an activation
``Act``      an activation alone
===========  =====================================================================================================
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from svertka.inference.numpy_backend.kernels.activations import Activation
from svertka.inference.numpy_backend.operators import ACTIVATIONS, batch_norm_as_affine, check_evaluation
from svertka.inference.numpy_backend.shape_inference import Folding, fold_sizes
from svertka.inference.numpy_backend.shape_rules import budget
from svertka.onnx_graph.graph import Array, Graph, Node, needed
from svertka.onnx_graph.standard import checked

_WINDOWS = {"Conv", "MaxPool", "AveragePool"}
"""Operators that have a kernel but no plain form in ``operators``."""


def optimise(graph: Graph, outputs: Iterable[str]) -> Graph:
    """Folds and fuses all that leads to some tensors; a tensor that is asked for is never fused away.

    Raises:
        GraphError: a node that is needed asks for what the twin doesn't know.
    """
    graph = checked(needed(graph, outputs))
    graph = needed(fold_sizes(fold_constants(graph)), graph.outputs)
    forms = (
        _drop_identities,
        _name_activations,
        _name_linear,
        _find_silu,
        _find_gelu,
        _merge_padding,
        _fold_batch_norm,
    )
    fusions = (_fuse_bias, _fuse_activations, _fuse_residuals, _fuse_activations, _fuse_input_affine)
    for one_pass in forms + fusions:
        graph = one_pass(graph)
    return needed(graph, graph.outputs)


def fold_constants(graph: Graph) -> Graph:
    """Runs every node whose inputs are all constant."""
    folding, nodes = Folding(graph.constants, budget()), []
    for node in graph.nodes:
        if node.op not in _WINDOWS and all(name in folding.constants or not name for name in node.inputs):
            folding.fold(node)
        else:
            nodes.append(node)
    return replace(graph, constants=folding.constants, nodes=tuple(nodes))


class _Editor:
    """A graph under change: nodes by what they produce, and how often each tensor is read."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.uses = graph, graph.uses()
        self.constants = dict(graph.constants)
        self.makers = {name: node for node in graph.nodes for name in node.outputs}
        self.order = {name: place for place, node in enumerate(graph.nodes) for name in node.outputs}
        self.gone: set[str] = set()

    def maker(self, name: str, *ops: str) -> Node | None:
        """The node that makes a tensor which nobody else reads, if it has one of these operators."""
        node = self.makers.get(name)
        return node if node and node.op in ops and self.uses.get(name) == 1 else None

    def constant(self, name: str) -> Array | None:
        return self.constants.get(name)

    def scalar(self, name: str) -> float | None:
        value = self.constants.get(name)
        return float(value.item()) if value is not None and value.size == 1 and value.ndim < 2 else None

    def add_constant(self, beside: str, value: Array) -> str:
        """Keeps a new constant under a name derived from a tensor's."""
        name = beside
        while name in self.constants or name in self.makers:
            name += "'"
        self.constants[name] = value
        return name

    def put(self, node: Node, instead_of: Iterable[Node]) -> None:
        """Places a node where the last of some nodes stands; they go."""
        for old in instead_of:
            self.gone.add(old.outputs[0])
            for name in old.inputs:
                self.uses[name] -= 1
        self.gone.discard(node.outputs[0])
        for name in node.inputs:
            self.uses[name] = self.uses.get(name, 0) + 1
        self.makers[node.outputs[0]] = node

    def done(self) -> Graph:
        nodes = [self.makers[node.outputs[0]] for node in self.graph.nodes if node.outputs[0] not in self.gone]
        return replace(self.graph, nodes=tuple(nodes), constants=self.constants)


def _each(*ops: str) -> Callable[[Callable[[_Editor, Node], None]], Callable[[Graph], Graph]]:
    """Makes a pass of a function: it looks at the nodes with some operators, in order, and edits around each."""

    def as_pass(visit: Callable[[_Editor, Node], None]) -> Callable[[Graph], Graph]:
        def run(graph: Graph) -> Graph:
            editor = _Editor(graph)
            for node in graph.nodes:
                name = node.outputs[0]
                if name not in editor.gone and editor.makers[name].op in ops:
                    visit(editor, editor.makers[name])
            return editor.done()

        return run

    return as_pass


def _drop_identities(graph: Graph) -> Graph:
    """Readers of Identity and Dropout read what these read."""
    same: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        node = replace(node, inputs=tuple(same.get(name, name) for name in node.inputs))
        if node.op == "Dropout":
            _check_evaluation(node, graph.constants)
        if node.op in ("Identity", "Dropout") and node.outputs[0] not in graph.outputs:
            same[node.outputs[0]] = node.inputs[0]
        else:
            nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _check_evaluation(node: Node, constants: Mapping[str, Array]) -> None:
    """Raises GraphError for a Dropout that leaves out numbers at random, or may."""
    ratio, mode = [*node.inputs[1:], "", ""][:2]
    if any(name and name not in constants for name in (ratio, mode)):
        raise node.error("computes whether it is in training mode; expected a constant")
    check_evaluation(node, constants.get(ratio), constants.get(mode))


@_each("Clip", "Gelu", "Relu", *ACTIVATIONS)
def _name_activations(editor: _Editor, node: Node) -> None:
    """Activations with constant parameters become Act."""
    if node.op == "Clip":
        parameters = [node.get("min", -np.inf), node.get("max", np.inf)]
        for place, name in enumerate(node.inputs[1:]):
            value = editor.scalar(name) if name else parameters[place]
            if value is None or (name and editor.constants[name].dtype == np.float64):
                return
            parameters[place] = value
        activation: Activation = ("clip", tuple(parameters))
    elif node.op == "Gelu" and node.get("approximate", "none") != "none":
        return
    else:
        activation = ACTIVATIONS[node.op](node) if node.op in ACTIVATIONS else (node.op.lower(), ())
    editor.put(Node("Act", node.name, node.inputs[:1], node.outputs, {"activation": activation}), [node])


@_each("MatMul", "Gemm")
def _name_linear(editor: _Editor, node: Node) -> None:
    """Gemm and MatMul with constant weights become Linear."""
    weight = editor.constant(node.inputs[1])
    if weight is None or weight.ndim != 2 or weight.dtype != np.float32 or node.get("transA", 0):
        return
    if node.get("alpha", 1.0) != 1 or node.get("beta", 1.0) != 1:
        return
    weight = weight.T if node.get("transB", 0) else weight
    bias = editor.constant(node.inputs[2]) if len(node.inputs) > 2 else np.zeros(weight.shape[1], np.float32)
    if bias is None or bias.shape not in ((weight.shape[1],), (1, weight.shape[1])):
        return
    names = (
        editor.add_constant(f"{node.outputs[0]}.weight", weight),
        editor.add_constant(f"{node.outputs[0]}.bias", bias.reshape(-1)),
    )
    notes = {"rows": 1} if node.op == "Gemm" else {}
    editor.put(Node("Linear", node.name, (node.inputs[0], *names), node.outputs, notes), [node])


@_each("Mul")
def _find_silu(editor: _Editor, node: Node) -> None:
    """X · sigmoid(x), and x · hard_sigmoid(x) with ONNX's own slope of HardSwish."""
    for x, gate in (node.inputs, node.inputs[::-1]):
        maker = editor.maker(gate, "Act")
        if maker is None or maker.inputs[0] != x:
            continue
        name, parameters = maker.attributes["activation"]
        hard = name == "hard_sigmoid" and np.allclose(parameters, (1 / 6, 0.5))
        if name == "sigmoid" or hard:
            activation = ("hard_swish" if hard else "silu", ())
            editor.put(Node("Act", node.name, (x,), node.outputs, {"activation": activation}), [maker, node])
            return


@_each("Mul")
def _find_gelu(editor: _Editor, node: Node) -> None:
    """0.5 · (x · (1 + erf(x / √2))), as the TorchScript exporter spells it."""
    for product, half in (node.inputs, node.inputs[::-1]):
        mul = editor.maker(product, "Mul") if editor.scalar(half) == 0.5 else None
        for x, plus_one in (mul.inputs, mul.inputs[::-1]) if mul else ():
            add = editor.maker(plus_one, "Add")
            erf = next((e for name in add.inputs if (e := editor.maker(name, "Erf"))), None) if add else None
            div = editor.maker(erf.inputs[0], "Div", "Mul") if erf else None
            if mul is None or add is None or erf is None or div is None or div.inputs[0] != x:
                continue
            factor = editor.scalar(div.inputs[1]) or np.nan
            one = [editor.scalar(name) for name in add.inputs]
            if 1.0 in one and abs((1 / factor if div.op == "Div" else factor) - np.sqrt(0.5)) < 1e-6:
                act = Node("Act", node.name, (x,), node.outputs, {"activation": ("gelu", ())})
                editor.put(act, [div, erf, add, mul, node])
                return


@_each("Conv")
def _merge_padding(editor: _Editor, node: Node) -> None:
    """A Pad with zeros before a convolution is part of it."""
    pad = editor.maker(node.inputs[0], "Pad")
    if pad is None or pad.get("mode", "constant") != "constant" or len(pad.inputs) > 3:
        return
    amounts = pad.get("pads", None) if len(pad.inputs) < 2 else editor.constant(pad.inputs[1])
    zero = pad.get("value", 0.0) if len(pad.inputs) < 3 or not pad.inputs[2] else editor.scalar(pad.inputs[2])
    if amounts is None or len(amounts) != 8 or zero != 0 or node.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return
    more = [int(value) for value in amounts]
    if any(value < 0 for value in more) or any(more[axis] for axis in (0, 1, 4, 5)):
        return
    now = node.get("pads", (0, 0, 0, 0)) if node.get("auto_pad", "NOTSET") == "NOTSET" else (0, 0, 0, 0)
    pads = tuple(a + b for a, b in zip(now, (*more[2:4], *more[6:8]), strict=True))
    merged = node.with_attributes(pads=pads, auto_pad="NOTSET")
    editor.put(replace(merged, inputs=(pad.inputs[0], *node.inputs[1:])), [pad, node])


@_each("BatchNormalization")
def _fold_batch_norm(editor: _Editor, node: Node) -> None:
    """Into the convolution before it (Jacob et al. 2017, section 3.2), else into a product and a sum."""
    parameters = [editor.constant(name) for name in node.inputs[1:]]
    if any(value is None for value in parameters):
        return
    factor, shift = batch_norm_as_affine(node, *parameters)  # type: ignore[arg-type]
    conv = editor.maker(node.inputs[0], "Conv")
    weight = editor.constant(conv.inputs[1]) if conv else None
    bias = editor.constant(conv.inputs[2]) if conv and len(conv.inputs) > 2 else np.float32(0)
    if conv is None or weight is None or bias is None or factor.shape != weight.shape[:1] or weight.ndim != 4:
        names = (
            editor.add_constant(f"{node.outputs[0]}.factor", factor),
            editor.add_constant(f"{node.outputs[0]}.shift", shift),
        )
        editor.put(Node("Affine", node.name, (node.inputs[0], *names), node.outputs), [node])
        return
    inputs = (
        conv.inputs[0],
        editor.add_constant(conv.inputs[1], weight * factor.reshape(-1, 1, 1, 1)),
        editor.add_constant(f"{conv.outputs[0]}.bias", bias * factor + shift),
    )
    editor.put(replace(conv, inputs=inputs, outputs=node.outputs), [conv, node])


@_each("Add")
def _fuse_bias(editor: _Editor, node: Node) -> None:
    """A constant vector that is added after Linear is its bias."""
    for result, added in (node.inputs, node.inputs[::-1]):
        linear, vector = editor.maker(result, "Linear"), editor.constant(added)
        if linear and vector is not None and vector.shape == editor.constants[linear.inputs[2]].shape:
            bias = editor.add_constant(f"{node.outputs[0]}.bias", editor.constants[linear.inputs[2]] + vector)
            editor.put(replace(linear, inputs=(*linear.inputs[:2], bias), outputs=node.outputs), [linear, node])
            return


@_each("Act")
def _fuse_activations(editor: _Editor, node: Node) -> None:
    maker = editor.maker(node.inputs[0], "Conv", "Linear", "Affine")
    if maker and "activation" not in maker.attributes:
        fused = maker.with_attributes(activation=node.attributes["activation"])
        editor.put(replace(fused, outputs=node.outputs), [maker, node])


@_each("Add")
def _fuse_residuals(editor: _Editor, node: Node) -> None:
    """The addition of a shortcut joins the convolution whose result comes last, where the shortcut is ready.

    Sizes aren't known here: ``shape_inference.sized`` takes out again what has to be broadcast.
    """
    if any(name in editor.constants for name in node.inputs) or len(set(node.inputs)) < 2:
        return
    first, last = sorted(node.inputs, key=lambda name: editor.order.get(name, -1))
    conv = editor.maker(last, "Conv")
    if conv and not conv.attributes.keys() & {"activation", "residual"}:
        weight = editor.constant(conv.inputs[1])
        if weight is None:
            return
        bias = conv.inputs[2] if len(conv.inputs) > 2 else None
        bias = bias or editor.add_constant(f"{node.outputs[0]}.bias", np.zeros(len(weight), np.float32))
        fused = conv.with_attributes(residual=(conv.outputs[0], node.outputs[0]))
        editor.put(replace(fused, inputs=(*conv.inputs[:2], bias, first), outputs=node.outputs), [conv, node])


@_each("Conv")
def _fuse_input_affine(editor: _Editor, node: Node) -> None:
    """BatchNorm and ReLU before a 1×1 convolution (DenseNet) work on the block that it is about to read."""
    weight = editor.constant(node.inputs[1])
    affine = editor.maker(node.inputs[0], "Affine")
    if affine is None or weight is None or weight.shape[2:] != (1, 1) or any(node.get("pads", ())):
        return
    if node.get("group", 1) != 1 or any(step != 1 for step in node.get("strides", ())):
        return
    factor, shift = (editor.constants[name] for name in affine.inputs[1:])
    fused = node.with_attributes(pre=(factor, shift, affine.get("activation", None)))
    editor.put(replace(fused, inputs=(affine.inputs[0], *node.inputs[1:])), [affine, node])
