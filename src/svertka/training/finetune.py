"""Fine-tuning: a strategy that changes the backbone's weights, planned by what the budget allows, then trained.

Torch is imported when something trains: where the budget is too small, none is needed.
"""

import copy
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from svertka.config import StrategyName
from svertka.data.loader import ImageSource, batches
from svertka.evaluate import fit_temperature
from svertka.features.extractor import torch_features
from svertka.features.feature_table import count_unknown
from svertka.features.linear_probe import ENOUGH
from svertka.features.ood import POINTS
from svertka.inference.onnxruntime_session import FEATURES, open_session, run_in_batches
from svertka.runs import folder as run_folder
from svertka.schema import SPLIT_NAMES, Event, EventSink, Notice, PhaseRow, Preprocess, StepStarted, TrainingPlanned
from svertka.training import budget_plan
from svertka.training.budget import AIM, Allowance
from svertka.training.budget_plan import BudgetDecision
from svertka.training.job import TrainingJob
from svertka.training.probe import ProbeClassifier
from svertka.training.strategies import Strategy, describe, make_strategy
from svertka.training.trained_classifier import TrainedClassifier
from svertka.training.tta import mean_over_views
from svertka.util import runtime
from svertka.util.atomic_files import write_json

if TYPE_CHECKING:
    import onnx
    import onnxruntime
    from torch import nn

    from svertka.training.classifier import Classifier
    from svertka.training.task import Task


@dataclass(frozen=True, kw_only=True)
class FineTuned(TrainedClassifier):
    """A network whose weights were trained, exported once; its features are the exported graph's."""

    module: "nn.Module"
    """Prepared images to features, the mean over views included."""

    parameters: dict[str, NDArray[Any]]
    """Of the network, by their torch names."""

    exported: "onnx.ModelProto"
    """The same module as a graph."""

    session: "onnxruntime.InferenceSession"
    """That runs the graph."""

    preprocess: Preprocess
    """Of its images."""

    kept: dict[tuple[str, ...], NDArray[np.float32]]
    """Features of the validation images, which are asked for twice, by the hashes of the images."""

    def features(self, source: ImageSource) -> Iterator[NDArray[np.float32]]:
        """Features of a source's images, in blocks [n, D]."""
        known = self.kept.get(tuple(source.hashes))
        return _features(self.session, source) if known is None else iter([known])

    def reference(self, source: ImageSource) -> NDArray[np.float32]:
        """Logits of a source's images [N, K] by torch, for the parity check."""
        parts = batches(source, np.arange(len(source)), 32)
        return np.concatenate(
            [self.head.logits(torch_features(self.module, self.preprocess, images)) for _, images in parts]
        )

    def graph(self) -> "onnx.ModelProto":
        """The graph of the features."""
        return self.exported

    def weights(self) -> dict[str, NDArray[Any]]:
        """Parameters by name, the head's included."""
        return self.parameters | self.head_weights()


def _features(session: "onnxruntime.InferenceSession", source: ImageSource) -> Iterator[NDArray[np.float32]]:
    return (run_in_batches(session, images, [FEATURES])[0] for _, images in batches(source, np.arange(len(source)), 32))


# --- what the budget allows --------------------------------------------------------------------------------------


def plan(
    job: TrainingJob, probe: ProbeClassifier, name: StrategyName, *, insist: bool, networks: int = 1
) -> BudgetDecision:
    """The strategy as budget and data allow it, decided once and written down, so that a resumed run obeys.

    Args:
        job: with the budget (``config.minutes`` from ``started`` on).
        probe: a fitted probe, which tells what flips keep the meaning.
        name: of a strategy that trains weights.
        insist: train a few steps even where there is no time for them.
        networks: that are trained so, one after the other; the plan's seconds are of all of them.

    Raises:
        DataError: what was written down is damaged.
    """
    path, config, extractor = job.folder / run_folder.PLAN, job.experiment.config, job.experiment.extractor
    asked = make_strategy(name, config.training, len(extractor.stages))
    if not path.exists():
        write_json(path, asdict(budget_plan.make_plan(_plan_inputs(job, probe, asked, networks), insist=insist)))
    return budget_plan.allowed(
        budget_plan.read_plan(path, asked), asked, config.minutes, len(job.experiment.split.train)
    )


def _plan_inputs(job: TrainingJob, probe: ProbeClassifier, asked: Strategy, networks: int) -> budget_plan.PlanInputs:
    """What a plan starts from: what there is to do, and how quickly this machine does it."""
    extractor, val = job.experiment.extractor, job.experiment.sources["val"]
    batch = val.read(np.arange(min(extractor.batch_size, len(val))))
    pass_s, busy = budget_plan.pass_speed(extractor, batch)
    models: list[Classifier] = []

    def step_s(strategy: Strategy, within_s: float) -> tuple[float, ...]:
        runtime.import_torch()
        from svertka.training.measure import measure_steps

        if not models:
            models.append(_classifier(job, probe, strategy))
        return measure_steps(models[0], _task(job, strategy), within_s=within_s)

    def forward() -> float:
        from svertka.training.bf16_gradients import wants_bf16

        return 1 / 2 if wants_bf16(asked.settings) else 1 / 3

    return budget_plan.PlanInputs(
        asked=asked,
        images=len(job.experiment.split.train),
        val=val,
        networks=networks,
        left_s=lambda: AIM * 60 * job.experiment.config.minutes - (time.monotonic() - job.started),
        pass_s=pass_s,
        busy=busy,
        passes=_passes(job),
        delivers=job.explaining_passes > 0,
        logits=lambda images: probe.head.logits(extractor(images)),
        step_s=step_s,
        forward=forward,
    )


def _passes(job: TrainingJob) -> int:
    """Images that are looked at once training is over: to judge, to remember what images were like, to explain."""
    train, val, test = (len(job.experiment.split.of(part)) for part in SPLIT_NAMES)
    probed = count_unknown(job.experiment.extractor, job.experiment.sources["test"], job.experiment.cache)
    return val + test + min(train, POINTS) + probed + job.explaining_passes


# --- training ----------------------------------------------------------------------------------------------------


def train(job: TrainingJob, probe: ProbeClassifier, planned: BudgetDecision, on_event: EventSink) -> FineTuned:
    """Trains a copy of the backbone as planned; goes on where an earlier call in this folder was stopped.

    Args:
        job: what is learnt from, and where training keeps its state.
        probe: that it starts from.
        planned: a strategy, and the time that it has.
        on_event: hears what happens.

    Raises:
        TrainingError: training diverged before one epoch was good.
    """
    from svertka.training import loop
    from svertka.training.bf16_gradients import check_precision, wants_bf16

    strategy = planned.strategy
    assert strategy is not None
    check_precision(strategy.settings)
    model, task = _classifier(job, probe, strategy), _task(job, strategy, planned.allowance)
    phases, notices = _phase_rows(model, task), list(planned.notices)
    on_event(TrainingPlanned(strategy.name, phases))
    on_event(StepStarted("train", strategy.epochs * task.epoch_images))

    def hear(event: Event) -> None:
        if isinstance(event, Notice):
            notices.append(event)
        on_event(event)

    if wants_bf16(strategy.settings):
        hear(Notice("gradients_in_bf16"))
    history = loop.train(model, task, job.folder / run_folder.CHECKPOINTS, hear)
    trained = _exported(job, model, strategy, probe)
    return replace(trained, history=history, phases=phases, notices=tuple(notices))


def _exported(job: TrainingJob, model: "Classifier", strategy: Strategy, probe: ProbeClassifier) -> FineTuned:
    """The trained network as a graph, judged on the validation images by it."""
    from svertka.backbones.onnx_export import export_features

    extractor, source, head = job.experiment.extractor, job.experiment.sources["val"], model.head()
    module = mean_over_views(model.features, strategy.settings).eval()
    graph = export_features(module, extractor.preprocess)
    session = open_session(graph.SerializeToString(), extractor.threads)
    x_ND = np.concatenate(list(_features(session, source)))
    val = replace(probe.val, logits_NK=head.logits(x_ND))
    return FineTuned(
        strategy=strategy.name,
        head=head,
        val=val,
        temperature=fit_temperature(val),
        module=module,
        parameters={name: tensor.numpy() for name, tensor in model.features.state_dict().items()},
        exported=graph,
        session=session,
        preprocess=extractor.preprocess,
        kept={tuple(source.hashes): x_ND} if len(source) <= ENOUGH else {},
    )


def _phase_rows(model: "Classifier", task: "Task") -> tuple[PhaseRow, ...]:
    """What trains when, as a table."""
    body = dict(model.features.body.named_parameters())
    stages = [(s.name, sum(body[name].numel() for name in s.parameters)) for s in task.backbone.stages]
    return describe(task.strategy, stages, sum(p.numel() for p in model.linear.parameters()))


def _classifier(job: TrainingJob, probe: ProbeClassifier, strategy: Strategy) -> "Classifier":
    """A copy of the backbone (the untouched one stays the probe's reference) with the head to start from."""
    from svertka.training.classifier import Classifier, fit_whitening, starting_head

    head = starting_head(probe.head, strategy, random=job.experiment.config.weights == "none")
    model = Classifier(copy.deepcopy(job.experiment.extractor.backbone.module), head)
    fit_whitening(
        model, job.experiment.sources["train"], job.experiment.extractor.preprocess, job.experiment.config.seed
    )
    return model


def _task(job: TrainingJob, strategy: Strategy, allowance: Allowance | None = None) -> "Task":
    from svertka.training.task import Task

    return Task(
        backbone=job.experiment.extractor.backbone,
        strategy=strategy,
        train=job.experiment.sources["train"],
        val=job.experiment.sources["val"],
        seed=job.experiment.config.seed,
        features=(job.tables["train"], job.tables["val"]),
        allowance=allowance,
    )
