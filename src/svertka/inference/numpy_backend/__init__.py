"""The NumPy backend: an ONNX graph of a convolutional network, run without torch and without ONNX Runtime.

===============  ================================================================================================
file             what it holds
===============  ================================================================================================
``onnx_file``    reads the file
``graph``        the graph as records
``standard``     what may be asked of each operator: inputs, attributes and types, by operator set; all else is refused
``arguments``    what attributes mean for the sizes at hand: axes, targets, cuts, pads, windows
``rules``        sizes of each operator's results, and the budget of memory
``operators``    what small operators mean, in plain NumPy
``passes``       folding and fusing: a smaller graph that gives the same
``shapes``       sizes of all tensors for one size of the input
``layout``       where tensors lie, and which may share memory
``plan``         which kernel computes what
``kernels/``     Winograd, matrix products, depthwise, pooling, elementwise
``program``      a plan with memory, shared by threads
``saving``       how much arithmetic Winograd's method saves in a network
``network``      ``Twin``
===============  ================================================================================================
"""

from svertka.inference.numpy_backend.backend import Twin

__all__ = ["Twin"]
