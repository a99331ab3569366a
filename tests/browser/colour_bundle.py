"""A bundle small enough for any test that has all that a page may show: sets, distances, class activation maps."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from svertka.schema import Bundle, Conformal, Estimate, Novelty, Preprocess, Source

SIDE_PX = 32
CLASSES = ("red", "green", "blue")
_TEMPERATURE = 2.0


def write_colour_bundle(
    directory: Path,
    class_names: Sequence[str] = CLASSES,
    *,
    preprocess: Preprocess | None = None,
    doubts: bool = True,
    metrics: dict[str, Estimate] | None = None,
) -> Bundle:
    """Writes a bundle whose class k likes the colour k mod 3 most: its features are means of the image's colours.

    Args:
        directory: of the bundle.
        class_names: two or more.
        preprocess: of ``SIDE_PX``; None squashes.
        doubts: whether it has sets of possible classes and distances.
        metrics: that its manifest states; None: some.
    """
    from svertka.bundle.bundle import write_bundle
    from svertka.bundle.classifier_graph import attach_distance, attach_head
    from svertka.features.linear_head import LinearHead
    from svertka.features.ood import Neighbourhood

    count = len(class_names)
    weight_KD = 8 * np.eye(3, dtype=np.float32)[np.arange(count) % 3]
    weight_KD *= np.linspace(1, 0.5, count, dtype=np.float32)[:, None]
    head = LinearHead(np.zeros(3, np.float32), np.ones(3, np.float32), weight_KD, np.zeros(count, np.float32))
    graph = attach_head(_colours(), head, _TEMPERATURE)
    if doubts:
        known = Neighbourhood(
            mean_D=np.full(3, 0.5, np.float32),
            scale_D=np.ones(3, np.float32),
            axes_DA=np.eye(3, dtype=np.float32),
            points_RA=np.eye(3, dtype=np.float32),
        )
        graph = attach_distance(graph, known)
    images = np.random.default_rng(0).integers(0, 256, (5, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    z_NK = (images / 255).mean(axis=(1, 2)) @ weight_KD.T / _TEMPERATURE
    p_NK = np.exp(z_NK - z_NK.max(axis=1, keepdims=True))
    return write_bundle(
        directory,
        graph=graph,
        weights={"head.weight": weight_KD},
        class_names=tuple(class_names),
        preprocess=preprocess or Preprocess(size_px=SIDE_PX, interpolation="bilinear"),
        temperature=_TEMPERATURE,
        check_images_NSSC=images,
        reference_NK=p_NK / p_NK.sum(axis=1, keepdims=True),
        conformal=Conformal(target=0.9, thresholds=(0.7,) * count, counts=(30,) * count) if doubts else None,
        novelty=Novelty(threshold=0.5, quantiles=(0.0, 0.1, 0.2, 0.4, 0.6), n=40) if doubts else None,
        metrics=metrics or {"accuracy": Estimate(0.9, 0.8, 0.95, 1040), "roc_auc": Estimate(1.0, 1.0, 1.0, 1040)},
        sources=[Source(name="Colours", origin="a test", licence="Apache-2.0")],
        threads=1,
    )


def _colours():
    """A features graph: the mean red, green and blue of an image in 0..1, by way of maps [N, 3, S, S]."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "largest"], ["unit"]),
        helper.make_node("Transpose", ["unit"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Relu", ["planes"], ["maps"]),
        helper.make_node("ReduceMean", ["maps"], ["features"], axes=[2, 3], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIDE_PX, SIDE_PX, 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor("largest", TensorProto.FLOAT, [], [255.0])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
