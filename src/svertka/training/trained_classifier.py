"""A trained classifier: features, a linear head on them, and a temperature fitted on validation.

What is judged on validation and test is the graph that is handed over, not the torch module that it came from.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from svertka.config import StrategyName
from svertka.data.loader import ImageSource
from svertka.evaluate import predicted_labels, probabilities
from svertka.features.linear_head import LinearHead
from svertka.schema import EpochRow, Notice, PhaseRow, Predictions

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, kw_only=True)
class TrainedClassifier(ABC):
    """What a strategy makes: a probe, a fine-tuned network, or an ensemble of networks."""

    strategy: StrategyName
    """That made it."""

    head: LinearHead
    """On the features."""

    val: Predictions
    """On the validation images."""

    temperature: float
    """Fitted on ``val``, and on what else was judged by a model that hadn't seen it."""

    history: tuple[EpochRow, ...] = ()
    """The learning curve."""

    phases: tuple[PhaseRow, ...] = ()
    """What trained when."""

    notices: tuple[Notice, ...] = ()
    """What went otherwise than planned."""

    @abstractmethod
    def features(self, source: ImageSource) -> Iterator[NDArray[np.float32]]:
        """Features of a source's images, in blocks [n, D]."""

    @abstractmethod
    def reference(self, source: ImageSource) -> NDArray[np.float32]:
        """Logits of a source's images [N, K] by torch, for the parity check."""

    @abstractmethod
    def graph(self) -> "onnx.ModelProto":
        """The graph of the features."""

    @abstractmethod
    def weights(self) -> dict[str, NDArray[Any]]:
        """Parameters by name, the head's included."""

    def head_weights(self) -> dict[str, NDArray[Any]]:
        """The head's numbers as a bundle names them."""
        return {f"head.{name}": value for name, value in asdict(self.head).items()}

    def logits(self, source: ImageSource) -> NDArray[np.float32]:
        """Logits of a source's images, [N, K]."""
        return np.concatenate([self.head.logits(x_ND) for x_ND in self.features(source)])

    def predict(self, source: ImageSource, class_names: tuple[str, ...], paths: tuple[str, ...]) -> Predictions:
        """Logits of labelled images."""
        return Predictions(logits_NK=self.logits(source), labels_N=source.labels, paths=paths, class_names=class_names)

    def losses(self) -> NDArray[np.float64]:
        """Log loss of each validation image at the fitted temperature, [N]."""
        p_NK = probabilities(self.val, self.temperature)
        losses_N: NDArray[np.float64] = -np.log(np.maximum(p_NK[np.arange(len(self.val)), self.val.labels_N], 1e-12))
        return losses_N

    def scores(self) -> dict[str, float]:
        """Log loss (at the fitted temperature) and accuracy on validation."""
        return {
            "log_loss": float(self.losses().mean()),
            "accuracy": float((predicted_labels(self.val) == self.val.labels_N).mean()),
        }
