"""The state of one phase: networks, optimizer, batches, and modules in eval mode. Imports torch."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from svertka.backbones.tensors import predict
from svertka.training import checkpoint
from svertka.training.batches import Batches, FeatureBatches, ImageBatches
from svertka.training.bf16_gradients import wants_bf16
from svertka.training.classifier import Classifier, eval_modules, parameter_groups, set_mode
from svertka.training.fold_batchnorm import FoldedNorms
from svertka.training.strategies import Phase
from svertka.training.task import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseState:
    """A phase in progress.

    Attributes:
        model: that is trained.
        average: of its weights.
        phase: what trains and how.
        optimizer: over what trains.
        in_eval_mode: modules that stay in evaluation mode.
        batches: its data.
        folded: the network runs forward inside it.
        class_weights: of the loss [K], None where all images count alike.
    """

    model: Classifier
    average: Classifier
    phase: Phase
    optimizer: torch.optim.Optimizer
    in_eval_mode: tuple[nn.Module, ...]
    batches: Batches
    folded: AbstractContextManager[object]
    class_weights: Tensor | None

    def tensors(self) -> dict[str, Tensor]:
        """Weights of both networks by name."""
        pairs = (("model", self.model), ("average", self.average))
        return {f"{prefix}.{name}": value for prefix, module in pairs for name, value in module.state_dict().items()}


def open_phase(model: Classifier, average: Classifier, task: Task, number: int, saved: dict[str, Tensor]) -> PhaseState:
    """Begins phase ``number``, or goes on with it from saved tensors."""
    strategy, phase = task.strategy, task.strategy.phases[number]
    optimizer = torch.optim.AdamW(parameter_groups(model, task.backbone, strategy, phase))
    if saved:
        for module, prefix in ((model, "model."), (average, "average.")):
            module.load_state_dict({k.removeprefix(prefix): v for k, v in saved.items() if k.startswith(prefix)})
        checkpoint.restore_optimizer(optimizer, saved)
    in_eval_mode = eval_modules(model, task.backbone, phase)
    set_mode(model, in_eval_mode)
    batches = (
        _feature_batches(model, task, number)
        if phase.cached
        else _image_batches(task, phase, model.linear.out_features)
    )
    class_weights = None
    if strategy.settings.balance == "weights":
        counts_K = torch.bincount(torch.from_numpy(task.train.labels), minlength=model.linear.out_features)
        class_weights = len(task.train) / (model.linear.out_features * counts_K.clamp(min=1).float())
    return PhaseState(
        model=model,
        average=average,
        phase=phase,
        optimizer=optimizer,
        in_eval_mode=in_eval_mode,
        batches=batches,
        folded=nullcontext() if phase.cached else _folded(model, task),
        class_weights=class_weights,
    )


def _folded(model: Classifier, task: Task) -> FoldedNorms:
    bf16 = wants_bf16(task.strategy.settings)
    return FoldedNorms(model, task.backbone.preprocess.size_px, bf16_gradients=bf16)


def _image_batches(task: Task, phase: Phase, classes: int) -> ImageBatches:
    return ImageBatches(
        train=task.train,
        val=task.val,
        preprocess=task.backbone.preprocess,
        augment=task.strategy.settings.augment if phase.augmented else None,
        classes=classes,
        seed=task.seed,
        parts=task.parts,
    )


def _feature_batches(model: Classifier, task: Task, number: int) -> FeatureBatches:
    """Features that are known already if no phase has trained a stage; else the network gives them, once."""
    untouched = all(len(phase.frozen) == len(phase.stage_rates) for phase in task.strategy.phases[:number])
    if task.features is not None and untouched:
        train, val = (torch.from_numpy(table.read()) for table in task.features)
    else:
        model.eval()
        train, val = (
            torch.from_numpy(predict(model.features, source, task.backbone.preprocess))
            for source in (task.train, task.val)
        )
        set_mode(model, eval_modules(model, task.backbone, task.strategy.phases[number]))
    return FeatureBatches(train=train, val=val, labels=torch.from_numpy(task.train.labels.astype(np.int64)))
