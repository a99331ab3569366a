"""Running an ONNX graph: by ONNX Runtime or by NumPy alone, after a check of what it asks for."""
