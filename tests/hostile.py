"""Bundles as someone would make them who means harm: a legal one, and what can be wrong with it, by name."""

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

SIDE, CLASSES = 32, ("blue", "green", "red")
FILES = ("manifest.json", "model.onnx", "weights.safetensors", "training_hashes.txt")
Change = Callable[[ModelProto], bytes | None]


def features_graph() -> ModelProto:
    """A convolution, its mean: [N, 4] features without torch."""
    kernels = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32) / 300
    nodes = [
        helper.make_node("Transpose", ["image"], ["moved"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["moved"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["pixels", "kernels"], ["map"], pads=[1, 1, 1, 1], name="conv"),
        helper.make_node("Relu", ["map"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
    ]
    graph = helper.make_graph(
        nodes,
        "features",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 4])],
        [numpy_helper.from_array(kernels, "kernels")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def rewrite(directory: Path, content: bytes) -> None:
    """Puts another model into a bundle and makes the manifest agree with it."""
    (directory / "model.onnx").write_bytes(content)
    manifest = json.loads((directory / "manifest.json").read_text("utf-8"))
    manifest["files"]["model.onnx"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (directory / "manifest.json").write_text(json.dumps(manifest), "utf-8")


# --- graphs ------------------------------------------------------------------------------------------------------


def constant(model: ModelProto, name: str, value: object) -> str:
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def before_output(model: ModelProto, name: str, *nodes, **constants: object) -> None:
    """The graph's output becomes ``own``, and nodes make the output from it."""
    for node in model.graph.node:
        node.output[:] = ["own" if one == name else one for one in node.output]
        node.input[:] = ["own" if one == name else one for one in node.input]
    for key, value in constants.items():
        constant(model, key, value)
    model.graph.node.extend(nodes)


def output(name: str, *nodes, **constants: object) -> Change:
    return lambda model: before_output(model, name, *nodes, **constants)


def unused(*nodes, first: bool = False, **constants: object) -> Change:
    """Nodes whose results nobody needs."""

    def change(model: ModelProto) -> None:
        for key, value in constants.items():
            constant(model, key, value)
        if first:
            rest = list(model.graph.node)
            del model.graph.node[:]
            model.graph.node.extend([*nodes, *rest])
        else:
            model.graph.node.extend(nodes)

    return change


def _n(op: str, inputs: list[str], outputs: list[str] | None = None, **attributes: object):
    return helper.make_node(op, inputs, outputs or ["probabilities"], **attributes)


def _wrong_numbers() -> Iterator[tuple[str, Change]]:
    f = np.float32
    for name in ("logits", "probabilities"):
        for what, value in (("NaN", np.nan), ("infinite", np.inf)):
            yield f"{name} that are {what}", output(name, _n("Add", ["own", "c"], [name]), c=f(value))
    yield (
        "logits that overflow",
        output("logits", _n("Mul", ["own", "c"], ["l"]), _n("Exp", ["l"], ["logits"]), c=f(1e9)),
    )
    yield "NaN in one class", output("probabilities", _n("Add", ["own", "c"]), c=np.array([0, np.nan, 0], f))
    yield "roots of negative pixels", output("probabilities", _n("Sub", ["own", "c"], ["s"]), _n("Sqrt", ["s"]), c=f(1))
    yield "0 / 0", output("probabilities", _n("Sub", ["own", "own"], ["z"]), _n("Div", ["z", "z"]))
    yield "eight times as sure", output("probabilities", _n("Mul", ["own", "c"]), c=f(8.387))
    yield "probabilities below 0", output("probabilities", _n("Sub", ["own", "c"]), c=np.array([0.7, -0.7, 0], f))
    yield "a sum of 0.9", output("probabilities", _n("Mul", ["own", "c"]), c=f(0.9))
    yield "a sum of 1.1", output("probabilities", _n("Add", ["own", "c"]), c=f(0.1 / 3))
    yield "all zeros", output("probabilities", _n("Mul", ["own", "c"]), c=f(0))
    yield "all ones", output("probabilities", _n("Pow", ["own", "c"]), c=f(0))
    yield "logits for probabilities", output("probabilities", _n("Identity", ["logits"]))
    yield "twice the rows", output("probabilities", _n("Concat", ["own", "own"], axis=0))
    yield "one row for all", output("probabilities", _n("ReduceMean", ["own"], axes=[0], keepdims=1))
    yield "no rows", output("probabilities", _n("Slice", ["own", "a", "a"]), a=np.array([0]))
    yield "twice the classes", output("probabilities", _n("Concat", ["own", "own"], axis=1))
    yield "one number", output("probabilities", _n("ReduceMean", ["own"], keepdims=0))
    yield "one axis more", output("probabilities", _n("Unsqueeze", ["own", "a"]), a=np.array([2]))
    yield "sides exchanged", output("probabilities", _n("Transpose", ["own"], perm=[1, 0]))
    for kind in ("INT64", "DOUBLE", "BOOL", "FLOAT16", "UINT8", "STRING", "BFLOAT16"):
        yield f"probabilities of {kind}", output("probabilities", _n("Cast", ["own"], to=getattr(TensorProto, kind)))
    yield "a cast to nothing known", output("probabilities", _n("Cast", ["own"], to=99))


def _programs() -> Iterator[tuple[str, Change]]:
    value = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    body = helper.make_graph([helper.make_node("Constant", [], ["z"], value_float=1.0)], "b", [], [value])
    yes, few = np.array(True), np.array(9)
    yield "If", unused(_n("If", ["yes"], ["q"], then_branch=body, else_branch=body), yes=yes)
    yield "Loop", unused(_n("Loop", ["few", "yes"], ["q"], body=body), few=few, yes=yes)
    yield "Scan", unused(_n("Scan", ["logits"], ["q"], body=body, num_scan_inputs=1))
    yield "a graph in Relu", unused(_n("Relu", ["logits"], ["q"], body=body))
    yield "SequenceMap", unused(_n("SequenceMap", ["logits"], ["q"], body=body))
    for op, inputs in {
        "SequenceConstruct": ["logits", "logits"],
        "SequenceEmpty": [],
        "SplitToSequence": ["logits"],
        "ConcatFromSequence": ["logits"],
        "Optional": ["logits"],
        "StringNormalizer": ["logits"],
        "StringConcat": ["logits", "logits"],
        "RegexFullMatch": ["logits"],
        "TfIdfVectorizer": ["logits"],
        "RandomUniformLike": ["logits"],
        "RandomNormal": [],
        "Bernoulli": ["logits"],
        "Multinomial": ["logits"],
        "NonZero": ["logits"],
        "Unique": ["logits"],
        "Compress": ["logits", "logits"],
        "NonMaxSuppression": ["logits", "logits"],
        "ConvTranspose": ["map", "kernels"],
        "EyeLike": ["logits"],
        "LSTM": ["map", "kernels", "kernels"],
        "ImageDecoder": ["logits"],
        "Nothing": ["logits"],
    }.items():
        yield op, unused(_n(op, inputs, ["q"]))

    def functions(model: ModelProto) -> None:
        node = helper.make_node("Relu", ["a"], ["b"])
        model.functions.append(helper.make_function("", "F", ["a"], ["b"], [node], [helper.make_opsetid("", 17)]))

    def training(model: ModelProto) -> None:
        model.training_info.add().algorithm.CopyFrom(body)

    def sparse(model: ModelProto) -> None:
        tensor = model.graph.sparse_initializer.add()
        tensor.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "s"))
        tensor.indices.CopyFrom(numpy_helper.from_array(np.zeros(1, np.int64), "i"))
        tensor.dims.extend([10**6, 10**6])

    def outside(model: ModelProto) -> None:
        entry = model.graph.initializer[0].external_data.add()
        entry.key, entry.value = "location", "/etc/hostname"

    def foreign(model: ModelProto) -> None:
        model.graph.node[3].domain = "com.microsoft"

    def strings(model: ModelProto) -> None:
        model.graph.initializer.append(helper.make_tensor("s", TensorProto.STRING, [1], [b"x"]))

    yield from {"a function": functions, "training": training, "a sparse tensor": sparse}.items()
    yield from {"weights elsewhere": outside, "a foreign operator": foreign, "a tensor of strings": strings}.items()


def _disorder() -> Iterator[tuple[str, Change]]:
    def without_output(model: ModelProto) -> None:
        model.graph.output[0].name = "nothing"

    def without_nodes(model: ModelProto) -> None:
        del model.graph.node[:]

    def backwards(model: ModelProto) -> None:
        nodes = list(model.graph.node)[::-1]
        del model.graph.node[:]
        model.graph.node.extend(nodes)

    def ports(change: Callable[[ModelProto], object]) -> Change:
        return lambda model: (change(model), None)[1]

    def port(name: str, kind: int, shape: list[object]) -> Change:
        def change(model: ModelProto) -> None:
            model.graph.input[0].CopyFrom(helper.make_tensor_value_info(name, kind, shape))

        return change

    yield "a circle of two", unused(_n("Add", ["q", "logits"], ["r"]), _n("Relu", ["r"], ["q"]))
    yield "a node that takes its own result", unused(_n("Add", ["q", "logits"], ["q"]))
    yield "a circle through the output", output("probabilities", _n("Add", ["own", "probabilities"]))
    yield "a tensor that nobody makes", unused(_n("Relu", ["nowhere"], ["q"]))
    yield "a tensor made twice", unused(_n("Relu", ["logits"], ["map"]))
    yield "a weight that is computed, too", unused(_n("Relu", ["logits"], ["kernels"]))
    yield "an image that is computed", unused(_n("Relu", ["logits"], ["image"]))
    yield "a node without a result", unused(_n("Relu", ["logits"], [""]))
    yield "an output that isn't there", without_output
    yield "no nodes", without_nodes
    yield "nodes backwards", backwards
    yield "20,001 nodes", unused(*(_n("Relu", ["logits"], [f"q{i}"]) for i in range(20_001)))
    yield (
        "100,000 nodes in a row",
        unused(*(_n("Relu", [f"q{i}" if i else "logits"], [f"q{i + 1}"]) for i in range(100_000))),
    )
    two = helper.make_tensor_value_info("second", TensorProto.UINT8, [1])
    yield "two inputs", ports(lambda model: model.graph.input.append(two))
    yield "no input", ports(lambda model: model.graph.ClearField("input"))
    yield "an input of floats", port("image", TensorProto.FLOAT, ["N", SIDE, SIDE, 3])
    yield "an input of another name", port("picture", TensorProto.UINT8, ["N", SIDE, SIDE, 3])
    yield "an input of five axes", port("image", TensorProto.UINT8, ["N", SIDE, SIDE, 3, 1])
    yield "an input of another size", port("image", TensorProto.UINT8, ["N", SIDE, SIDE + 1, 3])
    yield "a call of a million images", port("image", TensorProto.UINT8, [10**6, SIDE, SIDE, 3])
    yield "a call of -1 images", port("image", TensorProto.UINT8, [-1, SIDE, SIDE, 3])
    yield "an output more", ports(lambda model: model.graph.output.add().CopyFrom(model.graph.output[0]))


def _sizes() -> Iterator[tuple[str, Change]]:
    f, i = np.float32, np.int64
    for size in (10**9, 10**12, 2**62, -5):
        yield f"ConstantOfShape of {size}", unused(_n("ConstantOfShape", ["c"], ["q"]), c=np.array([size]))
    yield "ConstantOfShape of a million axes", unused(_n("ConstantOfShape", ["c"], ["q"]), c=np.ones(10**6, i))
    yield "ConstantOfShape of 60 axes", unused(_n("ConstantOfShape", ["c"], ["q"]), c=np.full(60, 2))
    yield (
        "ConstantOfShape of pixels",
        unused(
            _n("ReduceMax", ["pixels"], ["m"], keepdims=0, axes=[0, 1, 2]),
            _n("Cast", ["m"], ["c"], to=7),
            _n("ConstantOfShape", ["c"], ["q"]),
        ),
    )
    yield (
        "large for one image alone",
        unused(
            _n("Shape", ["image"], ["s"]),
            _n("Slice", ["s", "zero", "one"], ["n"]),
            _n("Equal", ["n", "one"], ["e"]),
            _n("Where", ["e", "large", "one"], ["w"]),
            _n("ConstantOfShape", ["w"], ["q"]),
            **{"zero": np.array([0]), "one": np.array([1]), "large": np.array([10**10])},
        ),
    )
    yield (
        "large for three images alone",
        unused(
            _n("Shape", ["image"], ["s"]),
            _n("Slice", ["s", "zero", "one"], ["n"]),
            _n("Equal", ["n", "three"], ["e"]),
            _n("Where", ["e", "large", "one"], ["w"]),
            _n("ConstantOfShape", ["w"], ["q"]),
            **{"zero": np.array([0]), "one": np.array([1]), "three": np.array([3]), "large": np.array([10**10])},
        ),
    )
    yield "Expand", unused(_n("Expand", ["c", "s"], ["q"]), c=f(1), s=np.array([10**5, 10**5]))
    yield "Expand below 0", unused(_n("Expand", ["c", "s"], ["q"]), c=f(1), s=np.array([-2, 3]))
    yield "Tile", unused(_n("Tile", ["logits", "c"], ["q"]), c=np.array([10**5, 10**5]))
    yield "Tile below 0", unused(_n("Tile", ["logits", "c"], ["q"]), c=np.array([-1, 2]))
    yield "Range", unused(_n("Range", ["a", "b", "c"], ["q"]), a=i(0), b=i(10**11), c=i(1))
    yield "Range of floats", unused(_n("Range", ["a", "b", "c"], ["q"]), a=f(0), b=f(1e9), c=f(1e-9))
    yield "Range in no steps", unused(_n("Range", ["a", "b", "c"], ["q"]), a=i(0), b=i(5), c=i(0))
    yield "Range to NaN", unused(_n("Range", ["a", "b", "c"], ["q"]), a=f(0), b=f(np.nan), c=f(1))
    yield "Pad", unused(_n("Pad", ["logits", "c"], ["q"]), c=np.array([0, 0, 10**5, 10**6]))
    yield "Pad of 2⁶²", unused(_n("Pad", ["logits", "c"], ["q"]), c=np.array([0, 2**62, 0, 2**62]))
    yield "Pad below 0", unused(_n("Pad", ["logits", "c"], ["q"]), c=np.array([0, -9, 0, -9]))
    yield "too few pads", unused(_n("Pad", ["logits", "c"], ["q"]), c=np.array([0, 1, 2]))
    yield "Resize by scales", unused(_n("Resize", ["map", "", "c"], ["q"]), c=np.array([1, 1, 1e4, 1e4], f))
    yield "Resize by sizes", unused(_n("Resize", ["map", "", "", "c"], ["q"]), c=np.array([1, 4, 10**5, 10**5]))
    for scale in (np.nan, np.inf, -1, 0):
        yield f"Resize by {scale}", unused(_n("Resize", ["map", "", "c"], ["q"]), c=np.array([1, 1, scale, 1], f))
    for pad in (20_000, 2**31, 2**62, -40):
        yield f"Conv with pads of {pad}", unused(_n("Conv", ["pixels", "kernels"], ["q"], pads=[pad] * 4))
    for name, wrong in {
        "strides 0": {"strides": [0, 0]},
        "strides below 0": {"strides": [-1, -1]},
        "dilations 0": {"dilations": [0, 0]},
        "dilations of 2⁴⁰": {"dilations": [2**40, 2**40]},
        "group 0": {"group": 0},
        "group 2": {"group": 2},
        "group -1": {"group": -1},
        "one pad": {"pads": [1]},
        "another kernel": {"kernel_shape": [5, 5]},
        "strides of floats": {"strides": [1.5, 1.5]},
        "strides of text": {"strides": ["a", "b"]},
    }.items():
        yield f"Conv with {name}", unused(_n("Conv", ["pixels", "kernels"], ["q"], **wrong))
    yield "pools over a kernel 0", unused(_n("MaxPool", ["map"], ["q"], kernel_shape=[0, 0]))
    yield "pools in strides 0", unused(_n("AveragePool", ["map"], ["q"], kernel_shape=[2, 2], strides=[0, 0]))
    yield "pools with huge padding", unused(_n("MaxPool", ["map"], ["q"], kernel_shape=[99_999] * 2, pads=[99_998] * 4))
    yield (
        "OneHot",
        unused(
            _n("ArgMax", ["logits"], ["a"]), _n("OneHot", ["a", "d", "v"], ["q"]), d=i(10**10), v=np.array([0, 1], f)
        ),
    )
    yield "an outer product", unused(_n("Mul", ["a", "b"], ["q"]), a=np.ones((20_000, 1), f), b=np.ones(20_000, f))
    yield (
        "an outer product of matrices",
        unused(_n("MatMul", ["a", "b"], ["q"]), a=np.ones((20_000, 1), f), b=np.ones((1, 20_000), f)),
    )
    yield (
        "Einsum",
        unused(_n("Einsum", ["a", "b"], ["q"], equation="a,b->ab"), a=np.ones(30_000, f), b=np.ones(30_000, f)),
    )
    yield (
        "joined 40 times over",
        unused(*(_n("Concat", [f"q{k}" if k else "logits"] * 2, [f"q{k + 1}"], axis=1) for k in range(40))),
    )
    yield (
        "many large ones at once",
        unused(
            *(_n("Expand", ["c", "s"], [f"q{k}"]) for k in range(9)),
            _n("Sum", [f"q{k}" for k in range(9)], ["q"]),
            c=f(1),
            s=np.array([6000, 6000]),
        ),
    )
    yield (
        "years of arithmetic",
        unused(
            _n("Expand", ["c", "s"], ["q0"]),
            *(_n("MatMul", [f"q{k}"] * 2, [f"q{k + 1}"]) for k in range(200)),
            c=f(1),
            s=np.array([4000, 4000]),
        ),
    )
    yield "a window as wide as the map", unused(
        _n("Expand", ["c", "s"], ["w"]), _n("Conv", ["b", "w"], ["q"], pads=[999] * 4),
        c=f(1), s=np.array([1, 1, 1000, 1000]), b=np.ones((1, 1, 1000, 1000), f),
    )  # fmt: skip
    yield "normalised over 10⁹ channels", unused(_n("LRN", ["map"], ["q"], size=10**14 + 1))
    yield "TopK of more than there are", unused(_n("TopK", ["logits", "k"], ["q", "j"]), k=np.array([10**9]))
    yield "Split into others", unused(_n("Split", ["logits", "c"], ["q", "r"]), c=np.array([1, 10**9]))
    yield "Gather out of range", output("probabilities", _n("Gather", ["own", "c"], axis=1), c=np.array([0, 1, 3]))
    yield (
        "Gather far out of range",
        output("probabilities", _n("Gather", ["own", "c"], axis=1), c=np.array([0, 1, 2**62])),
    )
    yield "Gather by what is computed", output(
        "probabilities", _n("ArgMax", ["own"], ["a"], axis=1, keepdims=0), _n("Add", ["a", "c"], ["b"]),
        _n("Gather", ["own", "b"], axis=1), c=np.array(10**9),
    )  # fmt: skip
    yield "Gather along axis 7", unused(_n("Gather", ["logits", "c"], ["q"], axis=7), c=np.array([0]))
    yield "Reshape to another count", unused(_n("Reshape", ["logits", "c"], ["q"]), c=np.array([7, 11]))
    yield "Reshape to two free sizes", unused(_n("Reshape", ["logits", "c"], ["q"]), c=np.array([-1, -1]))
    yield "Reshape by floats", unused(_n("Reshape", ["logits", "c"], ["q"]), c=np.array([1.5, 2], f))
    yield "Transpose twice along one axis", unused(_n("Transpose", ["logits"], ["q"], perm=[0, 0]))
    yield "Concat of different sizes", unused(_n("Concat", ["logits", "map"], ["q"], axis=0))
    yield (
        "Softmax along axis 9",
        unused(_n("Softmax", ["logits"], ["q"], axis=9), _n("ReduceMax", ["q"], ["r"], axes=[9])),
    )
    yield "blocks of 0", unused(_n("DepthToSpace", ["map"], ["q"], blocksize=0))
    yield "no inputs to Add", unused(_n("Add", [], ["q"]))
    yield "matrices that don't fit", unused(_n("MatMul", ["logits", "map"], ["q"]))
    for divisor in (0, -1):
        yield f"whole numbers by {divisor}", unused(
            _n("Cast", ["pixels"], ["p"], to=6), _n("Sub", ["p", "low"], ["l"]), _n("Div", ["l", "c"], ["q"]),
            c=np.int32(divisor), low=np.int32(2**31 - 1),
        )  # fmt: skip
    yield "whole numbers by pixels", unused(_n("Cast", ["pixels"], ["p"], to=6), _n("Mod", ["p", "p"], ["q"]))

    def claims(dims: list[int]) -> Change:
        def change(model: ModelProto) -> None:
            model.graph.initializer.add(name="t", data_type=1, dims=dims, raw_data=b"\0" * 8)

        return change

    for dims in ([10**6, 10**6], [-1], [-2, -1], [2**62, 4], [0, 2**62], [3]):
        yield f"8 bytes that claim {dims}", claims(dims)


def _broken_bytes() -> Iterator[tuple[str, Change]]:
    def message(number: int, content: bytes) -> bytes:
        size, head = len(content), bytes([number << 3 | 2]) if number < 16 else bytes([number << 3 & 0x7F | 0x82, 1])
        varint = bytearray()
        while size >= 0x80:
            varint.append(size & 0x7F | 0x80)
            size >>= 7
        return head + bytes(varint) + bytes([size]) + content

    def with_more(more: Callable[[ModelProto], bytes]) -> Change:
        return lambda model: model.SerializeToString() + more(model)

    large = _n("ConstantOfShape", ["c"], ["q"]).SerializeToString()
    yield "a second graph", with_more(lambda model: message(7, message(1, large)))
    yield "no bytes", lambda model: b""
    yield "zeros", lambda model: b"\0" * 100_000
    yield "text", lambda model: b"this is no model " * 100
    yield "a ZIP archive", lambda model: b"PK\3\4" + b"\0" * 100
    yield "half of it", lambda model: model.SerializeToString()[: model.ByteSize() // 2]
    yield "without its last byte", lambda model: model.SerializeToString()[:-1]
    yield "a group", with_more(lambda model: b"\x0b\x0c")
    yield "field 0", with_more(lambda model: b"\x00\x01")
    yield "an endless number", with_more(lambda model: b"\x08" + b"\xff" * 11)
    yield "a number of 70 bits", with_more(lambda model: b"\x08" + b"\xff" * 9 + b"\x7f")
    yield "a million fields", with_more(lambda model: b"\x10\x01" * 1_000_001)
    yield "nested 100 deep", with_more(lambda model: _nested(100))
    yield "a graph that is a number", lambda model: b"\x38\x01"
    yield "names of 33 MB", with_more(lambda model: message(7, message(1, message(3, b"n" * (33 << 20)))))
    yield "text that is no UTF-8", with_more(lambda model: message(8, message(1, b"\xff\xfe")))

    def operators(model: ModelProto) -> None:
        model.graph.node[3].op_type = ""

    def set_1(model: ModelProto) -> None:
        model.opset_import[0].version = 1

    def set_9999(model: ModelProto) -> None:
        model.opset_import[0].version = 9999

    def no_set(model: ModelProto) -> None:
        model.ClearField("opset_import")

    yield from {"an operator without a name": operators, "operator set 1": set_1}.items()
    yield from {"operator set 9999": set_9999, "no operator set": no_set}.items()


def _nested(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        for key in (0x32, 0x2A, 0x0A):  # a graph in an attribute in a node
            size = len(content)
            head = bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7])
            content = bytes([key]) + head + content
    size = len(content)
    return b"\x3a" + (bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7])) + content


def graphs() -> dict[str, Change]:
    """Changes to the legal bundle's graph, by name."""
    kinds = (_wrong_numbers, _programs, _disorder, _sizes, _broken_bytes)
    return {name: change for kind in kinds for name, change in kind()}


# --- manifests ---------------------------------------------------------------------------------------------------

_RAW = {
    "null": "null", "true": "true", "text": '"x"', "-1": "-1", "0": "0", "1.5": "1.5", "400 digits": "9" * 400,
    "5,000 digits": "9" * 5000, "NaN": "NaN", "Infinity": "-Infinity", "1e999": "1e999", "an empty list": "[]",
    "an empty object": "{}", "a list in a list": "[[1]]", "an object": '{"a": [null]}',
    "half a character": '"\\ud800"', "1e300": "1e300",
}  # fmt: skip

# What a field may well be: a figure, a name or a list that nothing is computed with, or one of several right values.
_LEGAL = {
    "svertka": {"text"},
    "data_hash": {"text"},
    "class_names.0": {"text"},
    "sources.0.name": {"text"},
    "sources.0.origin": {"text"},
    "sources.0.licence": {"text"},
    "conformal.thresholds.0": {"0"},
    "conformal.counts.0": {"0"},
    "metrics": {"an empty object"},
    "versions": {"an empty object"},
    "sources": {"an empty list"},
    "novelty": {"null"},
    "parity.max_probability_difference": {"0"},
    "parity.same_labels": {"0"},
    "metrics.accuracy.value": {"-1", "0", "1.5", "1e300"},
    "metrics.accuracy.low": {"-1", "0", "1.5", "1e300", "null"},
    "metrics.accuracy.high": {"-1", "0", "1.5", "1e300", "null"},
    "metrics.accuracy.n": {"-1", "0"},
    "versions.python": {"text"},
    "temperature": {"1.5", "1e300"},
}


def manifests(text: str) -> Iterator[tuple[str, bytes]]:
    """Every field of a manifest with every wrong value, and texts that are none."""
    manifest = json.loads(text)
    for path in _paths(manifest):
        legal = _LEGAL.get(".".join(map(str, path)), set())
        for name, raw in _RAW.items():
            if name not in legal:
                yield f"{'.'.join(map(str, path))}: {name}", _with(manifest, path, raw).encode()
    for name in ("format", "class_names", "preprocess", "preprocess_hash", "temperature", "parity", "files"):
        yield f"without {name}", json.dumps({k: v for k, v in manifest.items() if k != name}).encode()
    whole = text.strip()
    yield "a field twice", (whole[:-1] + ', "temperature": 2.0}').encode()
    yield "100,000 lists", (whole[:-1] + ', "more": ' + "[" * 100_000 + "]" * 100_000 + "}").encode()
    yield "NaN where nobody looks", (whole[:-1] + ', "more": {"deep": [NaN]}}').encode()
    yield "1e999 where nobody looks", (whole[:-1] + ', "more": {"deep": [1e999]}}').encode()
    yield "half a character in a name", (whole[:-1] + ', "\\udc00": 1}').encode()
    yield "no UTF-8", b'{"format": "\xff\xfe"}'
    yield "UTF-16", text.encode("utf-16")
    yield "17 MB", (whole[:-1] + ', "more": "' + "x" * (17 << 20) + '"}').encode()
    yield "a zero byte", whole.encode() + b"\0"
    yield "nothing", b""


def _paths(value: object, before: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if isinstance(value, list) and key > 0:  # one of a kind
            continue
        yield (*before, key)
        yield from _paths(inner, (*before, key))


def _with(manifest: dict[str, object], path: tuple[object, ...], raw: str) -> str:
    copy = json.loads(json.dumps(manifest))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = "put here"
    return json.dumps(copy).replace('"put here"', raw)


# --- files -------------------------------------------------------------------------------------------------------


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        before = Path.cwd()
        os.chdir(path.parent)  # a socket's name may have 107 bytes
        opened.bind(path.name)
        os.chdir(before)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(50 << 30)


SUBSTITUTES: dict[str, Callable[[Path], None]] = {
    "a FIFO": _fifo,
    "a socket": _socket,
    "/dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "/dev/tty": lambda path: path.symlink_to("/dev/tty"),
    "/dev/random": lambda path: path.symlink_to("/dev/random"),
    "a file that claims to be empty": lambda path: path.symlink_to("/proc/self/maps"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a folder": Path.mkdir,
    "nothing": lambda path: None,
    "an empty file": lambda path: path.write_bytes(b"") and None,
    "50 GB of nothing": _sparse,
}
"""What may stand where a file is expected."""
