"""LeNet-5 to ConvNeXt: each network in a small file that reads like its paper; ``build`` makes one by name.

This package imports no torch until a network is built.
"""

from svertka.architectures.registry import ARCHITECTURES, Accuracy, Architecture, Paper, build, find

__all__ = ["ARCHITECTURES", "Accuracy", "Architecture", "Paper", "build", "find"]
