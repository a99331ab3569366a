"""Small bundles with all that networks may have (flips, several networks, distances), and what Python says with them.

Shapes: N images, S side in pixels, D features, K classes.
"""

import base64
import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from svertka.bundle.bundle import load_bundle
from svertka.bundle.classifier_graph import attach_distance, attach_head, join_features
from svertka.bundle.manifest import HASHED_FILES, MANIFEST, MODEL, manifest_fields
from svertka.bundle.predictor import FilePrediction, open_predictor, predict_files
from svertka.data.decode import load
from svertka.explain.cam import evidence
from svertka.explain.opened_bundle import FLIPS, open_network
from svertka.features.linear_head import LinearHead
from svertka.features.ood import Neighbourhood
from svertka.inference.backends import ONNX
from svertka.onnx_graph.edit import rewired
from svertka.page.file_kinds import kinds
from svertka.schema import Bundle, Conformal, Novelty, Parity, Preprocess

if TYPE_CHECKING:
    import onnx

SIDE_PX = 24
CLASSES = ("apple", "pear", "plum")
FILES = ("png", "png_rgba", "png_16_gray")
_FEATURES = 7
_EVERY = 7  # of the rows and columns of a map of evidence


def network_cases() -> list[dict[str, object]]:
    """Of each bundle its manifest and graph, and what Python makes of some files."""
    return [
        _case(_flipped(), Preprocess(size_px=SIDE_PX), remembers=True),
        _case(_averaged(), Preprocess(size_px=SIDE_PX, resize="pad", interpolation="bilinear"), remembers=False),
    ]


def write_golden_bundle(directory: Path, graph: bytes, preprocess: Preprocess, *, remembers: bool) -> Bundle:
    """A bundle in which nothing stands that differs from one machine, or one version, to the next."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MODEL).write_bytes(graph)
    for name in HASHED_FILES:
        if name != MODEL:
            (directory / name).write_bytes(b"")
    novelty = Novelty(threshold=0.02, quantiles=(0.0, 0.005, 0.01, 0.03, 0.1), n=50) if remembers else None
    conformal = Conformal(target=0.9, thresholds=(0.7, 0.6, 0.95), counts=(20, 20, 20)) if remembers else None
    fields = manifest_fields(
        {
            "class_names": CLASSES,
            "preprocess": preprocess,
            "temperature": 1.5,
            "novelty": novelty,
            "conformal": conformal,
        },
        Parity(n=1, max_probability_difference=0.0, same_labels=1),
        ONNX,
    )
    files = {}
    for name in HASHED_FILES:
        content = (directory / name).read_bytes()
        files[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    text = json.dumps(fields | {"svertka": "0", "files": files})
    (directory / MANIFEST).write_text(text, encoding="utf-8")
    return load_bundle(directory)


def _case(graph: "onnx.ModelProto", preprocess: Preprocess, *, remembers: bool) -> dict[str, object]:
    model = _with_head(graph, remembers=remembers)
    with tempfile.TemporaryDirectory() as folder:
        bundle = write_golden_bundle(Path(folder) / "bundle", model, preprocess, remembers=remembers)
        opened = open_network(bundle, 1)
        names = [name for view in opened.anatomy.stages for name in view]
        return {
            "manifest": (bundle.directory / MANIFEST).read_text(encoding="utf-8"),
            "model": base64.b64encode(model).decode(),
            "rewired": hashlib.sha256(rewired(model, ["features", *names])).hexdigest(),
            "stages": [list(view) for view in opened.anatomy.stages],
            "networks": opened.anatomy.networks,
            "temperature": opened.anatomy.temperature,
            "flips": [list(axes) for axes in opened.flips],
            "answers": list(_answers(bundle, opened, Path(folder))),
        }


def _answers(bundle: Bundle, opened: Any, folder: Path) -> Iterator[dict[str, object]]:
    makers = kinds(31, 22)
    predictor = open_predictor(bundle, 1)
    for name in FILES:
        path = folder / name
        path.write_bytes(makers[name]())
        (found,) = predict_files(predictor, [path])
        look = opened.look(load(path, bundle.preprocess))
        joint = evidence(opened, look, 1)[::_EVERY, ::_EVERY]
        file = base64.b64encode(path.read_bytes()).decode()
        yield {"file": file, "answer": answer_fields(found, bundle.class_names), "evidence": joint.tolist()}


def answer_fields(found: FilePrediction, names: Sequence[str]) -> dict[str, object]:
    """A prediction as the API's JSON has it."""
    assert found.probabilities_K is not None
    values = dict(zip(names, map(float, found.probabilities_K), strict=True))
    told = None if found.possible is None else ("unsure" if found.is_unsure else "answered")
    return {
        "label": found.label,
        "probability": values[found.label],
        "probabilities": values,
        "answer": told,
        "possible": None if found.possible is None else list(found.possible),
        "distance": found.distance,
        "distance_percentile": found.distance_percentile,
        "out_of_distribution": found.out_of_distribution,
        "notes": list(found.notes),
    }


def _with_head(graph: "onnx.ModelProto", *, remembers: bool) -> bytes:
    width = graph.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    rng = np.random.default_rng(7)
    mean_D, weight_KD = rng.uniform(0, 0.5, width), rng.normal(0, 3, (len(CLASSES), width))
    bias_K = np.array([0.2, 0.0, -0.2], np.float32)
    head = LinearHead(mean_D.astype(np.float32), np.ones(width, np.float32), weight_KD.astype(np.float32), bias_K)
    model = attach_head(graph, head, 1.5)
    if remembers:
        points_RA = rng.normal(size=(5, 3))
        known = Neighbourhood(
            mean_D=head.mean_D,
            scale_D=np.ones(width, np.float32),
            axes_DA=np.linalg.qr(rng.normal(size=(width, 3)))[0].astype(np.float32),
            points_RA=(points_RA / np.linalg.norm(points_RA, axis=1, keepdims=True)).astype(np.float32),
        )
        model = attach_distance(model, known)
    return bytes(model.SerializeToString(deterministic=True))


def _flipped() -> "onnx.ModelProto":
    """A network that judges an image and its three mirror images."""
    return _network(FLIPS, seed=1)


def _averaged() -> "onnx.ModelProto":
    return join_features([_network(FLIPS[:1], seed=2), _network(FLIPS[:1], seed=3)])


def _network(flips: Sequence[Sequence[int]], seed: int) -> "onnx.ModelProto":
    """Two convolutional layers; features are the means of both maps, over the views."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)
    constants = {
        "largest": np.array(255, np.float32),
        "first": rng.normal(0, 0.4, (3, 3, 3, 3)).astype(np.float32),
        "second": rng.normal(0, 0.4, (_FEATURES - 3, 3, 3, 3)).astype(np.float32),
        "axis": np.array([0], np.int64),
        "back": np.arange(SIDE_PX - 1, -1, -1, dtype=np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "largest"], ["unit"]),
        helper.make_node("Transpose", ["unit"], ["view0"], perm=[0, 3, 1, 2]),
    ]
    for number, axes in enumerate(flips):
        name = f"view{number}"
        for step, axis in enumerate(axes):
            source = "view0" if step == 0 else f"{name}.0"
            target = name if step == len(axes) - 1 else f"{name}.0"
            nodes.append(helper.make_node("Gather", [source, "back"], [target], axis=axis + 2))
        nodes += _layers(helper, name)
    if len(flips) == 1:
        nodes.append(helper.make_node("Identity", ["view0.joined"], ["features"]))
    else:
        stacked = [f"view{number}.row" for number in range(len(flips))]
        for row in stacked:
            nodes.append(helper.make_node("Unsqueeze", [row.replace("row", "joined"), "axis"], [row]))
        nodes.append(helper.make_node("Concat", stacked, ["stack"], axis=0))
        nodes.append(helper.make_node("ReduceMean", ["stack"], ["features"], axes=[0], keepdims=0))
    graph = helper.make_graph(
        nodes,
        "golden",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIDE_PX, SIDE_PX, 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", _FEATURES])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model: onnx.ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="golden"
    )
    return model


def _layers(helper: Any, view: str) -> list["onnx.NodeProto"]:
    one, two = f"{view}.one", f"{view}.two"
    conv = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    return [
        helper.make_node("Conv", [view, "first"], [f"{one}.raw"], **conv),
        helper.make_node("Relu", [f"{one}.raw"], [one]),
        helper.make_node("Conv", [one, "second"], [f"{two}.raw"], **conv),
        helper.make_node("Relu", [f"{two}.raw"], [two]),
        helper.make_node("GlobalAveragePool", [one], [f"{one}.mean"]),
        helper.make_node("GlobalAveragePool", [two], [f"{two}.mean"]),
        helper.make_node("Concat", [f"{one}.mean", f"{two}.mean"], [f"{view}.joint"], axis=1),
        helper.make_node("Flatten", [f"{view}.joint"], [f"{view}.joined"]),
    ]
