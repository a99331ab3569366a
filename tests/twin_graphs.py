"""Small ONNX models for tests of the NumPy twin."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def model_of(nodes, shape, constants=(), outputs=("y",), opset=17, dtype=TensorProto.FLOAT) -> bytes:
    """A model with the input ``x``."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in dict(constants).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return model.SerializeToString()


def by_onnx_runtime(model: bytes, x, outputs=None):
    """What ONNX Runtime computes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(outputs, {session.get_inputs()[0].name: x})


def exported(module, x, **changes) -> bytes:
    """What torch's TorchScript exporter writes, with a free N."""
    import io
    import warnings

    import torch

    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        settings = {"dynamic_axes": {"x": {0: "N"}, "y": {0: "N"}}, "opset_version": 17, "dynamo": False} | changes
        torch.onnx.export(module.eval(), (x,), file, input_names=["x"], output_names=["y"], **settings)
    return file.getvalue()


def relative_error(received, expected) -> float:
    """Largest difference over the largest number."""
    assert received.shape == expected.shape
    return float(np.abs(received - expected).max() / max(np.abs(expected).max(), 1e-6))


__all__ = ["by_onnx_runtime", "exported", "model_of", "onnx", "relative_error"]
