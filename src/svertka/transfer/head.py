"""The linear head: standardised features to logits. NumPy only, so that judging needs no torch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LinearHead:
    """``logits = ((x - mean) / scale) @ weight.T + bias``.

    Attributes:
        mean_D: of the training features.
        scale_D: see ``probe.standardisation``; all above 0.
        weight_KD: one row a class.
        bias_K: likewise.
    """

    mean_D: NDArray[np.float32]
    scale_D: NDArray[np.float32]
    weight_KD: NDArray[np.float32]
    bias_K: NDArray[np.float32]

    def folded(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight [K, D] and bias [K] that act on raw features: the standardisation is folded in."""
        weight_KD = self.weight_KD.astype(np.float64) / self.scale_D
        bias_K = self.bias_K - weight_KD @ self.mean_D.astype(np.float64)
        return weight_KD.astype(np.float32), bias_K.astype(np.float32)

    def logits(self, x_ND: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits [N, K] of raw features [N, D]."""
        weight_KD, bias_K = self.folded()
        return x_ND @ weight_KD.T + bias_K
