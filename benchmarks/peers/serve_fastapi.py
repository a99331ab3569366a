"""FastAPI with the usual handler: an uploaded file, Pillow, ONNX Runtime; a plain ``def``, which runs in threads.

Usage: BUNDLE=… python serve_fastapi.py PORT
"""

import sys

import uvicorn
from fastapi import FastAPI, UploadFile
from serve_model import Model

app = FastAPI()
model = Model()


@app.post("/predict")
def predict(file: UploadFile) -> dict[str, object]:
    return model.predict(file.file.read())


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
