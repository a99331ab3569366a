"""BentoML: one service, threads for each processor.

Usage: BUNDLE=… bentoml serve serve_bentoml:Classifier --port PORT
"""

import os
from pathlib import Path

import bentoml
from serve_model import Model


@bentoml.service(threads=len(os.sched_getaffinity(0)), metrics={"enabled": False})
class Classifier:
    def __init__(self) -> None:
        self.model = Model()

    @bentoml.api(route="/predict")
    def predict(self, file: Path) -> dict:
        return self.model.predict(file.read_bytes())
