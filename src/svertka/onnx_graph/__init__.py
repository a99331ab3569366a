"""ONNX files as bytes and as records, read, checked and edited without the ``onnx`` package."""
