"""LitServe with a worker for each processor.

Usage: BUNDLE=… python serve_litserve.py PORT
"""

import os
import sys

import litserve
from fastapi import UploadFile
from serve_model import Model


class Classifier(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = Model()

    def decode_request(self, request: UploadFile) -> bytes:
        return request.file.read()

    def predict(self, content: bytes) -> dict[str, object]:
        return self.model.predict(content)

    def encode_response(self, output: dict[str, object]) -> dict[str, object]:
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Classifier(), accelerator="cpu", workers_per_device=len(os.sched_getaffinity(0)))
    server.run(port=int(sys.argv[1]), log_level="warning", generate_client_file=False)
