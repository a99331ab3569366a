"""The classifier as a torch module: features of a backbone, then the linear head. Torch by nature."""

import torch
from torch import Tensor, nn

from svertka.backbones import Backbone
from svertka.config import FineTune
from svertka.stages import FeatureNet
from svertka.transfer.head import LinearHead


class Classifier(nn.Module):
    """Normalised images [N, 3, S, S] to logits [N, K]."""

    mean: Tensor
    scale: Tensor

    def __init__(self, features: FeatureNet, head: LinearHead) -> None:
        super().__init__()
        self.features = features
        self.register_buffer("mean", torch.from_numpy(head.mean_D.copy()))
        self.register_buffer("scale", torch.from_numpy(head.scale_D.copy()))
        self.linear = nn.Linear(head.weight_KD.shape[1], head.weight_KD.shape[0])
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(head.weight_KD))
            self.linear.bias.copy_(torch.from_numpy(head.bias_K))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, K]."""
        logits: Tensor = self.linear((self.features(x) - self.mean) / self.scale)
        return logits

    def head(self) -> LinearHead:
        """The head as NumPy arrays."""
        return LinearHead(
            self.mean.numpy().copy(),
            self.scale.numpy().copy(),
            self.linear.weight.detach().numpy().copy(),
            self.linear.bias.detach().numpy().copy(),
        )


def parameter_groups(model: Classifier, backbone: Backbone, strategy: FineTune) -> list[dict[str, object]]:
    """Optimizer groups: one rate a stage, growing toward the head; no decay on biases and normalisation.

    Each group carries its ``peak`` rate, which the schedule scales.
    """
    body = dict(model.features.body.named_parameters())
    rates = strategy.stage_rates(len(backbone.stages))
    sets = [
        ([body[name] for name in stage.parameters], rate) for stage, rate in zip(backbone.stages, rates, strict=True)
    ]
    sets.append((list(model.linear.parameters()), strategy.head_rate))
    groups: list[dict[str, object]] = []
    for parameters, rate in sets:
        for decay, members in (
            (strategy.weight_decay, [p for p in parameters if p.ndim > 1]),
            (0.0, [p for p in parameters if p.ndim <= 1]),
        ):
            if members:
                groups.append({"params": members, "lr": 0.0, "peak": rate, "weight_decay": decay})
    return groups


def set_mode(model: Classifier, strategy: FineTune) -> None:
    """Training mode; with frozen BatchNorm its layers stay in evaluation mode, statistics untouched."""
    model.train()
    if strategy.batch_norm == "frozen":
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
