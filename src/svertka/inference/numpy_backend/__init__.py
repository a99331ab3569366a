"""The NumPy backend: an ONNX graph of a convolutional network, run without torch and without ONNX Runtime.

A graph is held to the standard, folded and fused (``passes``), planned for one size of its input (``execution_plan``),
and run by threads (``program``), with kernels for what costs time (``kernels``) and plain NumPy for the rest
(``operators``).
"""

from svertka.inference.numpy_backend.backend import NumpySession

__all__ = ["NumpySession"]
