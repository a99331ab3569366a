"""What the peers' servers share: the bundle's graph in ONNX Runtime, and an image as Pillow decodes it.

One thread a session, so that the threads of a server don't fight: better for each peer than the default.
"""

import io
import json
import os
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image


class Model:
    """The classifier of the folder that the variable BUNDLE names."""

    def __init__(self) -> None:
        folder = Path(os.environ["BUNDLE"])
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(folder / "model.onnx"), settings)
        self.names = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["class_names"]
        self.side = self.session.get_inputs()[0].shape[1]

    def predict(self, content: bytes) -> dict[str, object]:
        """Label and probabilities of an image file."""
        size = (self.side, self.side)
        image = Image.open(io.BytesIO(content)).convert("RGB").resize(size, Image.Resampling.BICUBIC)
        (p_NK,) = self.session.run(["probabilities"], {"image": np.asarray(image)[None]})
        return {
            "label": self.names[int(p_NK[0].argmax())],
            "probabilities": dict(zip(self.names, p_NK[0].tolist(), strict=True)),
        }
