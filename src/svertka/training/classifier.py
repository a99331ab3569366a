"""The classifier as a torch module: a backbone's features and a linear head; parameter groups. Imports torch.

Imports torch.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from svertka.architectures.small import Whitening
from svertka.backbones.feature_net import FeatureNet
from svertka.backbones.load import Backbone
from svertka.backbones.tensors import normalise, to_input
from svertka.data.loader import ImageSource
from svertka.features.linear_head import LinearHead
from svertka.schema import Preprocess
from svertka.training.strategies import Phase, Strategy


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
        return self.classify(self.features(x))

    def classify(self, features_ND: Tensor) -> Tensor:
        """Logits [N, K] of features."""
        logits: Tensor = self.linear((features_ND - self.mean) / self.scale)
        return logits

    def head(self) -> LinearHead:
        """The head as NumPy arrays."""
        return LinearHead(
            self.mean.numpy().copy(),
            self.scale.numpy().copy(),
            self.linear.weight.detach().numpy().copy(),
            self.linear.bias.detach().numpy().copy(),
        )


def starting_head(probe: LinearHead, strategy: Strategy, *, random: bool) -> LinearHead:
    """What the head of a strategy starts from: the probe, less sure of itself, or nothing.

    Args:
        probe: fitted to features of the training images.
        strategy: that will train it.
        random: whether the network's weights are.
    """
    if strategy.head == "probe":
        return probe.scaled(strategy.settings.head_scale)
    return fresh_head(probe, standardised=not random)


def fresh_head(head: LinearHead, *, standardised: bool) -> LinearHead:
    """A head of the same shape that knows nothing: zeros, so that all classes are equally likely.

    Args:
        head: whose shape, and whose standardisation of features, is kept.
        standardised: whether the features are; those of random weights will change beyond recognition.
    """
    mean_D, scale_D = head.mean_D, head.scale_D
    if not standardised:
        mean_D, scale_D = np.zeros_like(mean_D), np.ones_like(scale_D)
    return LinearHead(mean_D, scale_D, np.zeros_like(head.weight_KD), np.zeros_like(head.bias_K))


def fit_whitening(model: Classifier, source: ImageSource, preprocess: Preprocess, seed: int, count: int = 256) -> None:
    """Computes the whitening layer, where a network has one, from some training images (always the same ones)."""
    layers = [module for module in model.modules() if isinstance(module, Whitening)]
    if layers:
        rows = np.random.default_rng([seed, 3]).permutation(len(source))[:count]
        x = normalise(to_input(source.read(rows)), preprocess)
        for layer in layers:
            layer.fit(x)


def parameter_groups(
    model: Classifier, backbone: Backbone, strategy: Strategy, phase: Phase
) -> list[dict[str, object]]:
    """Freezes what the phase doesn't train and groups the rest for the optimizer, one rate a stage.

    Biases and normalisation don't decay. Each group carries its ``peak`` rate, which the schedule scales.
    """
    settings, body = strategy.settings, dict(model.features.body.named_parameters())
    norm_biases = {id(module.bias) for module in model.modules() if _is_batch_norm(module) and module.bias is not None}
    sets = [
        ([body[name] for name in stage.parameters], rate)
        for stage, rate in zip(backbone.stages, phase.stage_rates, strict=True)
    ]
    sets.append((list(model.linear.parameters()), phase.head_rate))
    groups: list[dict[str, object]] = []
    for parameters, rate in sets:
        for parameter in parameters:
            parameter.requires_grad_(rate > 0)
            parameter.grad = None
        if rate == 0:
            continue
        kinds: dict[tuple[float, float], list[nn.Parameter]] = {}
        for parameter in parameters:
            factor = settings.norm_bias_factor if id(parameter) in norm_biases else 1.0
            kinds.setdefault((settings.weight_decay if _is_kernel(parameter) else 0.0, factor), []).append(parameter)
        for (decay, factor), members in kinds.items():
            groups.append({"params": members, "lr": 0.0, "peak": rate * factor, "weight_decay": decay})
    return groups


def eval_modules(model: Classifier, backbone: Backbone, phase: Phase) -> tuple[nn.Module, ...]:
    """Modules that stay in evaluation mode while the phase trains.

    These are all of a frozen stage (its BatchNorm, dropout and stochastic depth), so that a frozen stage is one fixed
    function and not a bit of it changes; with frozen BatchNorm also the BatchNorm layers of stages that train.
    """
    stage_of = {name: number for number, stage in enumerate(backbone.stages) for name in stage.parameters}
    in_eval_mode, current = [], 0
    for path, module in model.features.body.named_modules():
        owned = {stage_of[f"{path}.{name}" if path else name] for name, _ in module.named_parameters()}
        is_leaf = next(module.children(), None) is None
        if is_leaf:  # one without parameters belongs with what is defined before it
            current = max(owned, default=current)
            owned = owned or {current}
        frozen = bool(owned) and owned <= phase.frozen
        if frozen or (phase.batch_norm == "frozen" and _is_batch_norm(module)):
            in_eval_mode.append(module)
    return tuple(in_eval_mode)


def set_mode(model: Classifier, in_eval_mode: Iterable[nn.Module]) -> None:
    """Training mode, but for ``eval_modules``."""
    model.train()
    for module in in_eval_mode:
        module.training = False


def _is_kernel(parameter: nn.Parameter) -> bool:
    """Whether it is more than one number a channel, which is also how some layers' scales [C, 1, 1] look."""
    return sum(size > 1 for size in parameter.shape) > 1


def _is_batch_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._BatchNorm)
