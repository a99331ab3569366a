"""The linear head: standardised features to logits. NumPy only, so that judging needs no torch."""

from dataclasses import dataclass, replace

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

    @property
    def scaled_weight_KD(self) -> NDArray[np.float32]:
        """Weight that acts on ``x - mean``. The mean stays apart: large terms that cancel would cost digits."""
        return self.weight_KD / self.scale_D

    def scaled(self, factor: float) -> "LinearHead":
        """The same answers, surer or less sure: all logits times ``factor``."""
        return replace(self, weight_KD=factor * self.weight_KD, bias_K=factor * self.bias_K)

    def logits(self, x_ND: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits [N, K] of raw features [N, D]."""
        centred_ND: NDArray[np.float32] = np.subtract(x_ND, self.mean_D)
        return centred_ND @ self.scaled_weight_KD.T + self.bias_K
