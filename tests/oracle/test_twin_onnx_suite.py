"""The NumPy twin on the tests that ONNX has for its backends: every answer is right, and what is unknown is refused.

The suite has a model of one operator, or of what an operator is made of ("expanded"), with inputs and what has to come
out. A twin has one input, so the first is given to it, and the others become initialisers.
"""

import re
import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from svertka.errors import SvertkaError
from svertka.inference.numpy_backend import NumpySession

RIGHT, RIGHT_OF_FLOAT_BATCHES = 564, 358
"""At least so many: the first of all models, the second of those from float32 [N, …] to float32."""

SAID = re.compile(
    r"Node '.*' (is a|applies|moves|convolves|multiplies) |Node '.*', an? \w+, |node '.*' is \w+ of 'ai\.onnx\.|"
    r"operator set \d+; expected|A tensor has ONNX type|the input '.*' is no tensor|expected one|none of them 0"
)
"""What a refusal says: which operator and what of it, or what of the file."""


@dataclass(frozen=True, eq=False)
class Case:
    name: str
    model: bytes
    x: np.ndarray
    outputs: tuple[str, ...]
    expected: tuple[np.ndarray, ...]
    tolerance: tuple[float, float]
    is_float_batch: bool


def cases():
    """All that a network with one input can be asked; those with strings, sequences and 4-bit numbers are left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of onnx's own, about the numbers that it tests with
        from onnx.backend.test.loader import load_model_tests

        found = load_model_tests(kind="node")
    for case in found:
        inputs, expected = case.data_sets[0]
        numbers = (*inputs, *expected)
        if not inputs or not all(isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "fiub" for x in numbers):
            continue
        model, names = onnx.ModelProto(), [port.name for port in case.model.graph.input]
        model.CopyFrom(case.model)
        try:
            model.graph.initializer.extend(
                numpy_helper.from_array(np.asarray(x), name) for name, x in zip(names[1:], inputs[1:], strict=True)
            )
        except (NotImplementedError, ValueError):  # types that NumPy lacks
            continue
        x = np.asarray(inputs[0])
        yield Case(
            case.name,
            model.SerializeToString(),
            x,
            tuple(port.name for port in case.model.graph.output),
            tuple(np.asarray(value) for value in expected),
            (case.rtol, max(case.atol, 1e-6)),
            all(isinstance(each, np.ndarray) for each in (*inputs, expected[0]))
            and x.ndim > 1
            and x.dtype == np.float32 == expected[0].dtype,
        )


def verdict(case):
    try:
        received = NumpySession.from_onnx(case.model)(case.x, case.outputs)
    except SvertkaError as error:
        return "refused", str(error)
    relative, absolute = case.tolerance
    for name, expected in zip(case.outputs, case.expected, strict=True):
        value = received[name]
        if value.dtype != expected.dtype or value.shape != expected.shape:
            return "wrong", f"{value.dtype} {value.shape} instead of {expected.dtype} {expected.shape}"
        if not np.allclose(value, expected, relative, absolute, equal_nan=True):
            return "wrong", f"{value} instead of {expected}"
    return "right", ""


def test_no_answer_is_wrong_and_what_is_unknown_is_refused_by_name():
    verdicts = {case: verdict(case) for case in cases()}
    assert {case.name: why for case, (kind, why) in verdicts.items() if kind == "wrong"} == {}
    reasons = {case.name: why for case, (kind, why) in verdicts.items() if kind == "refused"}
    assert {name: why for name, why in reasons.items() if not SAID.search(why)} == {}
    count = Counter(kind for kind, _ in verdicts.values())
    count_of_float_batches = Counter(kind for case, (kind, _) in verdicts.items() if case.is_float_batch)
    assert count_of_float_batches.total() >= 949
    assert count["right"] >= RIGHT
    assert count_of_float_batches["right"] >= RIGHT_OF_FLOAT_BATCHES
