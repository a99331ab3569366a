import contextlib

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from svertka.errors import BundleError
from svertka.onnx_graph.self_contained import check_self_contained


def model_of(nodes, initializers=(), functions=(), domains=("",)):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        list(initializers),
    )
    opsets = [helper.make_opsetid(domain, 17) for domain in domains]
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions))


def external_tensor():
    tensor = numpy_helper.from_array(np.ones(1, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    return tensor


def branch(node):
    output = helper.make_tensor_value_info("z", TensorProto.FLOAT, [1])
    return helper.make_graph([node], "branch", [], [output])


def test_a_standard_model_passes(mean_colour_graph):
    check_self_contained(mean_colour_graph.SerializeToString())


@pytest.mark.parametrize(
    "model",
    [
        model_of([helper.make_node("Add", ["x", "w"], ["y"])], [external_tensor()]),
        model_of([helper.make_node("Constant", [], ["y"], value=external_tensor())]),
        model_of(
            [
                helper.make_node(
                    "If",
                    ["x"],
                    ["y"],
                    then_branch=branch(helper.make_node("Constant", [], ["z"], value=external_tensor())),
                    else_branch=branch(helper.make_node("Constant", [], ["z"], value_float=1.0)),
                )
            ]
        ),
        model_of([helper.make_node("Relu", ["x"], ["y"], weights=[external_tensor(), external_tensor()])]),
        model_of(
            [
                helper.make_node(
                    "Relu",
                    ["x"],
                    ["y"],
                    bodies=[branch(helper.make_node("Constant", [], ["z"], value=external_tensor()))],
                )
            ]
        ),
    ],
    ids=["initializer", "constant", "inside a branch", "in a list", "inside a list of graphs"],
)
def test_weights_in_other_files_are_refused(model):
    with pytest.raises(BundleError, match=r"keeps weights in other files; expected all of them inside"):
        check_self_contained(model.SerializeToString())


def test_a_location_without_the_external_mark_is_refused_too():
    tensor = external_tensor()
    tensor.ClearField("data_location")
    model = model_of([helper.make_node("Add", ["x", "w"], ["y"])], [tensor])
    with pytest.raises(BundleError, match="keeps weights in other files"):
        check_self_contained(model.SerializeToString())


@pytest.mark.parametrize(
    "model",
    [
        model_of([helper.make_node("Relu", ["x"], ["y"], domain="evil.example")]),
        model_of([helper.make_node("Relu", ["x"], ["y"])], domains=("", "evil.example")),
        model_of(
            [helper.make_node("Relu", ["x"], ["y"])],
            functions=[helper.make_function("evil.example", "F", ["a"], ["b"], [], [helper.make_opsetid("", 17)])],
        ),
    ],
    ids=["node", "import", "function"],
)
def test_operators_from_outside_the_standard_are_refused(model):
    with pytest.raises(
        BundleError, match=r"m\.onnx asks for operators from 'evil\.example'; expected the ONNX standard"
    ):
        check_self_contained(model.SerializeToString(), "m.onnx")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no graph"),
        (b"\x3a", "it ends within a field"),
        (b"\x3a\x7f\x01", "reaches past the end"),
        (b"\x3f", "wire type 7"),
        (b"\xff" * 12, "longer than ten bytes"),
        (b"\x38\x01", "field 7 of a model is a number"),
    ],
)
def test_what_is_no_model_is_refused(content, message):
    with pytest.raises(BundleError, match=message):
        check_self_contained(content)


def test_nesting_without_end_is_refused():
    message = b""
    for _ in range(40):
        for key in (b"\x32", b"\x2a", b"\x0a"):  # graph <- attribute.g <- node.attribute <- graph.node
            size = len(message)
            message = key + bytes([size & 0x7F | 0x80, size >> 7]) + message
    message = b"\x3a" + bytes([len(message) & 0x7F | 0x80, len(message) >> 7]) + message
    with pytest.raises(BundleError, match="nested more than 32 deep"):
        check_self_contained(message)


@given(st.binary(max_size=200))
def test_any_bytes_are_judged_without_another_error(content):
    with contextlib.suppress(BundleError):
        check_self_contained(content)


@given(at=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_changed_byte_never_gives_another_error(at, value):
    content = bytearray(model_of([helper.make_node("Relu", ["x"], ["y"])]).SerializeToString())
    content[at % len(content)] = value
    with contextlib.suppress(BundleError):
        check_self_contained(bytes(content))


def test_field_numbers_are_those_of_onnx():
    names = {
        onnx.ModelProto: {7: "graph", 8: "opset_import", 20: "training_info", 25: "functions"},
        onnx.TrainingInfoProto: {1: "initialization", 2: "algorithm"},
        onnx.OperatorSetIdProto: {1: "domain"},
        onnx.FunctionProto: {7: "node", 9: "opset_import", 10: "domain", 11: "attribute_proto"},
        onnx.GraphProto: {1: "node", 5: "initializer", 15: "sparse_initializer"},
        onnx.NodeProto: {5: "attribute", 7: "domain"},
        onnx.AttributeProto: {5: "t", 6: "g", 10: "tensors", 11: "graphs", 22: "sparse_tensor", 23: "sparse_tensors"},
        onnx.SparseTensorProto: {1: "values", 2: "indices"},
        onnx.TensorProto: {13: "external_data", 14: "data_location"},
    }
    for message, fields in names.items():
        assert {n: message.DESCRIPTOR.fields_by_number[n].name for n in fields} == fields
