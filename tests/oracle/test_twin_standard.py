"""What the twin takes of the ONNX standard, against the standard itself and, on random small graphs, ONNX Runtime."""

import numpy as np
import pytest
from onnx import AttributeProto, TensorProto, defs, helper

from svertka.errors import GraphError, SvertkaError
from svertka.inference.numpy_backend import NumpySession
from svertka.onnx_graph.reader import NEWEST_SET, OLDEST_SET
from svertka.onnx_graph.standard import STANDARD
from twin_graphs import by_onnx_runtime, model_of


def schemas(op):
    """Of each operator set from the oldest known on."""
    for operator_set in range(OLDEST_SET, NEWEST_SET + 1):
        try:
            yield operator_set, defs.get_schema(op, operator_set, "")
        except defs.SchemaError:
            continue


@pytest.mark.parametrize("op", STANDARD)
def test_nothing_is_known_that_the_standard_lacks(op):
    versions = STANDARD[op].versions
    assert min(versions) == next(iter(schemas(op)))[0]
    for operator_set, schema in schemas(op):
        inputs, attributes = versions[max(since for since in versions if since <= operator_set)]
        letters = inputs.replace("?", "").replace("*", "")
        assert {name.rstrip("!") for name in attributes.split()} <= set(schema.attributes)
        required = {name for name, attribute in schema.attributes.items() if attribute.required}
        assert {name.rstrip("!") for name in attributes.split() if name.endswith("!")} >= required
        assert len(letters) <= schema.max_input
        assert (inputs.index("?") if "?" in inputs else len(letters)) == schema.min_input


VALUES = {
    AttributeProto.INT: 3,
    AttributeProto.INTS: [1, 1],
    AttributeProto.FLOAT: 0.25,
    AttributeProto.FLOATS: [0.5],
    AttributeProto.STRING: "other",
    AttributeProto.STRINGS: ["other"],
}


@pytest.mark.parametrize("op", sorted(STANDARD))
def test_every_attribute_that_is_not_known_is_refused(op):
    """Attributes of other versions of an operator, and ones that no version has."""
    names = {name: each.type for _, schema in schemas(op) for name, each in schema.attributes.items()}
    names |= {"my_own": AttributeProto.INT}
    for operator_set in {*STANDARD[op].versions, 17} - set(range(min(STANDARD[op].versions))):
        versions = STANDARD[op].versions
        inputs, known = versions[max(since for since in versions if since <= operator_set)]
        needs = {name[:-1] for name in known.split() if name.endswith("!")}
        for name in names.keys() - {each.rstrip("!") for each in known.split()}:
            if names[name] not in VALUES or needs:
                continue
            count = inputs.index("?") if "?" in inputs else len(inputs.replace("*", ""))
            node = helper.make_node(op, ["x"] * count, ["y"], name="odd", **{name: VALUES[names[name]]})
            with pytest.raises(GraphError, match=rf"'odd', a {op}, has the attribute '{name}'.* operator set"):
                NumpySession.from_onnx(model_of([node], [2, 3], opset=operator_set))


# --- random graphs ---------------------------------------------------------------------------------------------------

TYPES = {TensorProto.FLOAT: np.float32, TensorProto.INT64: np.int64, TensorProto.DOUBLE: np.float64}


class Random:
    """One random node: its attributes and constants may make no sense."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.shape = [int(n) for n in self.rng.choice([1, 2, 3, 5], self.rng.integers(1, 5))]
        self.opset = int(self.rng.integers(7, 22))
        self.attributes, self.constants, self.inputs = {}, {}, []
        self.type = int(self.rng.choice([TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64, TensorProto.DOUBLE]))
        self.op = str(self.rng.choice(list(GENERATORS)))
        self.outputs = ["y"]
        GENERATORS[self.op](self)

    def pick(self, *values):
        return values[int(self.rng.integers(len(values)))]

    def some(self, low, high, count):
        return [int(n) for n in self.rng.integers(low, high + 1, count)]

    def axis(self):
        return self.some(-len(self.shape) - 1, len(self.shape), 1)[0]

    def maybe(self, name, value, chance=0.6):
        if self.rng.random() < chance:
            self.attributes[name] = value

    def takes(self, name, value, dtype=np.int64):
        self.constants[name] = np.asarray(value, dtype)
        self.inputs.append(name)

    def like(self, name, *shape):
        self.takes(name, self.rng.integers(-3, 4, shape), TYPES[self.type])

    def images(self):
        self.shape = [self.pick(1, 2), self.pick(1, 2, 4), *self.some(1, 9, 2)]
        self.type = TensorProto.FLOAT

    def model(self):
        nodes = [helper.make_node("Cast", ["x"], ["t"], to=self.type)]
        node = helper.make_node(
            self.op, ["t", *self.inputs], self.outputs, **{k: v for k, v in self.attributes.items() if v != []}
        )
        node.attribute.extend(
            helper.make_attribute(k, [], attr_type=AttributeProto.INTS) for k, v in self.attributes.items() if v == []
        )
        return model_of([*nodes, node], self.shape, self.constants, outputs=self.outputs, opset=self.opset)

    def __str__(self):
        return f"{self.op} in set {self.opset}, {self.attributes}, {self.constants}, {self.shape} of type {self.type}"


def a_slice(g):
    n = g.pick(1, 2)
    lists = {
        "starts": [g.pick(-100, -2, -1, 0, 1, 2, 100) for _ in range(n)],
        "ends": [g.pick(-100, -3, -1, 0, 1, 5, 2**31 - 1, 2**63 - 1, -(2**63)) for _ in range(n)],
        "axes": [g.axis() for _ in range(n)],
        "steps": [g.pick(1, 1, 2, -1, -2) for _ in range(n)],
    }
    if g.opset < 10:
        g.attributes |= {name: lists[name] for name in ("starts", "ends", "axes")}
    else:
        for name in list(lists)[: g.pick(2, 3, 4)]:
            g.takes(name, lists[name])


def a_pad(g):
    g.maybe("mode", g.pick("constant", "reflect", "edge", "wrap"))
    pads = [g.pick(0, 0, 1, 2, -1, 3) for _ in range(2 * len(g.shape))]
    if g.opset < 11:
        g.attributes["pads"] = pads
        g.maybe("value", 1.5)
    elif g.opset >= 18 and g.rng.random() < 0.5:
        g.takes("pads", pads[:2])
        g.inputs.append("")
        g.takes("axes", [g.axis()])
    else:
        g.takes("pads", pads)


def axes_or_input(g, since, most=2):
    axes = sorted({g.axis() for _ in range(g.pick(*range(most + 1)))})
    if g.opset < since:
        g.maybe("axes", axes, 0.8)
    elif g.rng.random() < 0.8:
        g.takes("axes", axes)


def a_reduction(g):
    g.op = g.pick("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL2")
    since = 13 if g.op == "ReduceSum" else 18
    g.maybe("keepdims", g.pick(0, 1))
    axes_or_input(g, since)
    if g.opset >= since and g.op != "ReduceL2":  # of which ONNX Runtime takes no magnitude there
        g.maybe("noop_with_empty_axes", g.pick(0, 1), 0.4)


def a_window(g):
    g.images()
    kernel = g.some(1, 3, 2)
    g.op = g.pick("MaxPool", "AveragePool", "Conv")
    g.maybe("strides", g.some(1, 3, 2))
    g.maybe("dilations", g.some(1, 2, 2), 0.4)
    if g.rng.random() < 0.4:
        g.attributes["auto_pad"] = g.pick("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")
    else:
        g.maybe("pads", g.some(0, 2, 4))
    if g.op == "Conv":
        groups = g.pick(1, 1, 2, g.shape[1])
        g.maybe("group", groups)
        g.maybe("kernel_shape", kernel, 0.5)
        g.like("w", g.pick(2, 3, 4), max(1, g.shape[1] // g.attributes.get("group", 1)), *kernel)
    else:
        g.attributes["kernel_shape"] = kernel
        g.maybe("ceil_mode", g.pick(0, 1), 0.5)
        if g.op == "AveragePool":
            g.maybe("count_include_pad", g.pick(0, 1))


def a_split(g):
    g.maybe("axis", g.axis())
    count, axis = g.pick(1, 2, 3), g.attributes.get("axis", 0)
    length = g.shape[axis] if -len(g.shape) <= axis < len(g.shape) else 2
    g.outputs = ["y", "z", "w"][:count]
    parts = [1] * (count - 1) + [length - count + 1]
    if g.opset < 13:
        g.maybe("split", parts)
    elif g.rng.random() < 0.5:
        g.takes("split", parts)
    elif g.opset >= 18:
        g.attributes["num_outputs"] = count


def arithmetic(g):
    g.op = g.pick("Add", "Sub", "Mul", "Div", "Min", "Max", "Mod", "Pow", "Equal", "Less", "Greater", "PRelu")
    if g.op == "Mod":
        g.maybe("fmod", g.pick(0, 1))
    g.like("c", *g.pick((), (1,), tuple(g.shape), g.shape[-1:], (2, 1), (3, 3)))


def a_gemm(g):
    g.shape = [g.pick(2, 3), g.pick(2, 3)]
    for name in ("transA", "transB"):
        g.maybe(name, g.pick(0, 1))
    g.maybe("alpha", 0.5, 0.3)
    g.maybe("beta", 2.0, 0.3)
    g.like("w", g.pick(2, 3), g.pick(2, 3))
    if g.rng.random() < 0.7:
        g.like("c", *g.pick((), (1,), (2,), (3,), (1, 3), (2, 1), (2, 2), (2, 3)))


def a_clip(g):
    g.type = TensorProto.FLOAT
    if g.opset < 11:
        g.maybe("min", -0.5)
        g.maybe("max", 0.5)
    else:
        g.takes("low", g.pick(-1, 0), np.float32)
        g.takes("high", g.pick(1, -2), np.float32)
        g.inputs = g.pick(["low"], ["low", "high"], ["", "high"], [])


def an_activation(g):
    g.op = g.pick(
        "Relu", "LeakyRelu", "Elu", "HardSigmoid", "HardSwish", "Softplus", "Exp", "Floor", "Erf", "Gelu", "Neg"
    )
    if g.op in ("LeakyRelu", "Elu", "HardSigmoid"):
        g.maybe("alpha", g.pick(0.3, 2.0, -0.5))
    if g.op == "Gelu":
        g.maybe("approximate", g.pick("none", "tanh"))


def a_norm(g):
    g.type, count = TensorProto.FLOAT, g.pick(g.shape[min(1, len(g.shape) - 1)], 1, g.shape[0])
    for name in ("scale", "shift", "mean", "variance"):
        g.takes(name, g.rng.random(count) + 0.1, np.float32)
    g.maybe("epsilon", 0.01, 0.3)
    g.maybe("training_mode", g.pick(0, 1), 0.1)
    g.maybe("spatial", g.pick(0, 1), 0.1)


def a_softmax(g):
    g.op = g.pick("Softmax", "LogSoftmax", "Flatten", "Concat")
    g.maybe("axis", g.axis(), 0.8)


def a_dropout(g):
    if g.opset < 12:
        g.maybe("ratio", 0.3)
    else:
        g.takes("ratio", g.pick(0.0, 0.5), np.float32)
        g.takes("training", g.rng.random() < 0.3, bool)
        g.inputs = g.pick([], ["ratio"], ["ratio", "training"])


def sizes(low, high):
    def generate(g):
        g.takes("sizes", g.some(low, high, g.pick(1, 2, 3)))
        if g.op == "Reshape" and g.opset >= 14:
            g.maybe("allowzero", g.pick(0, 1), 0.3)

    return generate


GENERATORS = {
    **{"Slice": a_slice, "Pad": a_pad, "MaxPool": a_window, "Split": a_split, "Add": arithmetic, "Gemm": a_gemm},
    **{"ReduceSum": a_reduction, "Clip": a_clip, "Relu": an_activation, "BatchNormalization": a_norm},
    **{"Softmax": a_softmax, "Dropout": a_dropout, "Reshape": sizes(-1, 6), "Expand": sizes(1, 5), "Tile": sizes(0, 3)},
    "MatMul": lambda g: g.like("w", *g.pick((2,), (3,), (2, 3), (1, 2, 3), (2, 2, 3), (2, 1, 3, 2), (5, 5), (1, 1))),
    "Squeeze": lambda g: axes_or_input(g, 13),
    "Unsqueeze": lambda g: axes_or_input(g, 13),
    "Transpose": lambda g: g.maybe("perm", [int(n) for n in g.rng.permutation(len(g.shape))]),
    "Cast": lambda g: g.attributes.update(to=g.pick(1, 2, 3, 6, 7, 9, 10, 11)),
    "Shape": lambda g: g.maybe("start", g.axis(), 0.5),
    "Gather": lambda g: (g.takes("indices", np.reshape(g.some(-3, 3, 4), (2, 2))), g.maybe("axis", g.axis())),
    "LRN": lambda g: g.attributes.update(size=g.pick(1, 3, 5), bias=2.0),
}


def test_random_nodes_give_what_onnx_runtime_gives_or_are_refused():
    """Whatever attributes and inputs say: an answer is the same, and where there is none, it is refused in words."""
    right = 0
    for seed in range(1500):
        graph = Random(seed)
        model, x = graph.model(), graph.rng.normal(0, 2, graph.shape).astype(np.float32)
        try:
            received = NumpySession.from_onnx(model, threads=1 + seed % 2)(x, graph.outputs)
        except SvertkaError:
            continue
        try:
            expected = by_onnx_runtime(model, x)
        except Exception:  # it knows fewer types, and old versions of operators by the letter
            continue
        for name, value in zip(graph.outputs, expected, strict=True):
            assert (received[name].dtype, received[name].shape) == (value.dtype, value.shape), str(graph)
            tolerance = 2e-3 if value.dtype == np.float16 else 1e-5
            np.testing.assert_allclose(received[name], value, tolerance, 1e-5, err_msg=str(graph))
        right += 1
    assert right >= 400
