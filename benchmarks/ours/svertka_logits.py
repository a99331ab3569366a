"""Logits of random images through a bundle's engine: the whole network exported, run by the engine that suits it.

The clock runs from uint8 images to logits. Prints one line of JSON: seconds of each pass; logits go to a file.

Usage: svertka_logits.py NETWORK WEIGHTS BATCH SIZE_PX PASSES LOGITS    (WEIGHTS: with torchvision's names)
"""

import json
import sys
import time

import numpy as np

from svertka.util import runtime

runtime.setup()

from safetensors.torch import load_file  # noqa: E402

from svertka.architectures import build  # noqa: E402
from svertka.backbones.onnx_export import export_features  # noqa: E402
from svertka.backbones.state_dicts import load_state  # noqa: E402
from svertka.inference.backends import open_graph, suitable  # noqa: E402
from svertka.inference.onnxruntime_session import FEATURES  # noqa: E402
from svertka.schema import Preprocess  # noqa: E402

SMALL = "_small"


def main() -> None:
    name, weights, *numbers, logits = sys.argv[1:]
    batch, size_px, passes = map(int, numbers)
    network = build(name.removesuffix(SMALL), small_images=name.endswith(SMALL))
    load_state(network, load_file(weights), weights)
    graph = export_features(network, Preprocess(size_px=size_px)).SerializeToString()
    run = open_graph(graph, suitable(graph, size_px))
    images = np.random.default_rng(0).integers(0, 256, (batch, size_px, size_px, 3), np.uint8)
    seconds = []
    for _ in range(passes):
        start = time.perf_counter()
        (found,) = run(images, [FEATURES])
        seconds.append(time.perf_counter() - start)
    np.save(logits, found)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
