"""A strategy becomes a candidate: a trained classifier, ready to be judged and handed over.

A candidate is features (by ONNX Runtime), a linear head, and a temperature fitted on validation. What is judged on
validation and test is thus the graph that is handed over, not the torch module that it came from.
"""

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from svertka.config import StrategyName
from svertka.data.folds import make_folds
from svertka.data.loader import ImageSource, batches
from svertka.evaluate import fit_temperature, predicted_labels, probabilities
from svertka.features.experiment import Experiment
from svertka.features.extractor import TorchExtractor, torch_features
from svertka.features.feature_table import FeatureTable, count_unknown, extract
from svertka.features.linear_head import LinearHead
from svertka.features.linear_probe import ENOUGH, Probe, fit_probe
from svertka.features.ood import POINTS
from svertka.features.probe_ensemble import fit_folds, joined
from svertka.runs import folder as run_folder
from svertka.schema import (
    SPLIT_NAMES,
    EpochRow,
    Event,
    EventSink,
    Notice,
    PhaseRow,
    Predictions,
    SplitName,
    StepStarted,
    TrainingPlanned,
)
from svertka.training import budget_plan
from svertka.training.budget import AIM, Allowance
from svertka.training.budget_plan import Planned
from svertka.training.strategies import Strategy, describe, make_strategy
from svertka.training.tta import mean_over_views
from svertka.util import runtime
from svertka.util.atomic_files import write_json

if TYPE_CHECKING:
    import onnx

    from svertka.training.classifier import Classifier
    from svertka.training.task import Task


@dataclass(frozen=True, kw_only=True)
class TrainedClassifier:
    """A trained classifier, ready to be judged and handed over.

    Attributes:
        strategy: that made it.
        head: on the features.
        val: predictions on the validation images.
        temperature: fitted on them, and on what else was judged by a model that hadn't seen it.
        features: of a source's images, in blocks [n, D].
        reference: logits of a source's images [N, K] by torch, for the parity check.
        graph: of the features.
        weights: parameters by name, the head's included.
        history: learning curve.
        phases: what trained when.
        notices: what went otherwise than planned.
        out_of_fold: of a probe: what it says of validation images and its folds of training images, each image once.
        members: networks whose logits these are the mean of; () for one network.
    """

    strategy: StrategyName
    head: LinearHead
    val: Predictions
    temperature: float
    features: Callable[[ImageSource], Iterator[NDArray[np.float32]]]
    reference: Callable[[ImageSource], NDArray[np.float32]]
    graph: Callable[[], "onnx.ModelProto"]
    weights: Callable[[], dict[str, NDArray[Any]]]
    history: tuple[EpochRow, ...] = ()
    phases: tuple[PhaseRow, ...] = ()
    notices: tuple[Notice, ...] = ()
    members: tuple["Member", ...] = ()
    out_of_fold: tuple[Predictions, ...] = ()

    def logits(self, source: ImageSource) -> NDArray[np.float32]:
        """Logits of a source's images, [N, K]."""
        return np.concatenate([self.head.logits(x_ND) for x_ND in self.features(source)])

    def predict(self, source: ImageSource, class_names: tuple[str, ...], paths: tuple[str, ...]) -> Predictions:
        """Logits of labelled images."""
        return Predictions(
            logits_NK=self.logits(source),
            labels_N=source.labels,
            paths=paths,
            class_names=class_names,
        )

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


@dataclass(frozen=True, kw_only=True)
class Member:
    """One of several networks that are averaged, and the images that it learnt from and was chosen on."""

    candidate: TrainedClassifier
    experiment: Experiment


LEARNT: tuple[SplitName, ...] = ("train", "val")
"""Parts of a split that learning looks at."""


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """What every strategy starts from.

    Attributes:
        experiment: network, images, and who trains and chooses.
        tables: features of the untouched backbone, of the parts that are learnt from.
        folder: where training keeps its plan and state; one strategy a folder.
        started: monotonic time at which the budget began.
        explaining_passes: images that the network is shown to explain it; the budget pays for that too.
    """

    experiment: Experiment
    tables: dict[SplitName, FeatureTable]
    folder: Path
    started: float
    explaining_passes: int = 0

    @property
    def judging(self) -> tuple[int, ...]:
        """Records that choices are made on; with folds all that is learnt from, each judged by what hasn't seen it."""
        split = self.experiment.split
        return (*split.train, *split.val) if self.experiment.config.folds else split.val


def probe(job: TrainingJob) -> TrainedClassifier:
    """Feature extraction: a linear head on the untouched backbone's features."""
    engine, cache = job.experiment.engine, job.experiment.cache
    head, val, others = _mean_of_folds(job) if job.experiment.config.folds else _single(job)
    return TrainedClassifier(
        strategy="probe",
        head=head,
        val=val,
        temperature=fit_temperature(val, *others),
        features=lambda source: (x_ND for _, x_ND in extract(engine, source, cache).blocks()),
        reference=lambda source: _logits(head, extract(TorchExtractor(engine), source, cache)),
        graph=engine.graph,
        weights=lambda: engine.weights() | head_weights(head),
        out_of_fold=(val, *others),
    )


def _single(job: TrainingJob) -> tuple[LinearHead, Predictions, list[Predictions]]:
    """A probe of the training images, what it says of the validation images, and its folds of the training images."""
    experiment, table = job.experiment, job.tables["train"]
    names, units_N = experiment.catalog.class_names, np.array(experiment.split.units)[list(experiment.split.train)]
    fitted = fit_probe(table, len(names), experiment.config.seed, units_N)
    val = Predictions(
        logits_NK=_logits(fitted.head, job.tables["val"]),
        labels_N=job.tables["val"].y_N,
        paths=experiment.paths("val"),
        class_names=names,
    )
    return fitted.head, val, unseen(fitted, table, experiment.paths("train"), names)


def unseen(
    fitted: Probe, table: FeatureTable, paths: tuple[str, ...], class_names: tuple[str, ...]
) -> list[Predictions]:
    """What cross-validation said of the images that a probe was fitted to; nothing where classes were too small."""
    if not len(fitted.judged_n):
        return []
    return [
        Predictions(
            logits_NK=fitted.unseen_nK,
            labels_N=table.y_N[fitted.judged_n],
            paths=tuple(paths[row] for row in fitted.judged_n),
            class_names=class_names,
        )
    ]


def _mean_of_folds(job: TrainingJob) -> tuple[LinearHead, Predictions, list[Predictions]]:
    """The mean of a probe a fold; training and validation images are judged by the probe that hasn't seen them."""
    catalog, split, config = job.experiment.catalog, job.experiment.split, job.experiment.config
    indices = job.judging
    row = {index: number for number, index in enumerate(indices)}
    folds = make_folds(catalog, split, config.folds, config.val_fraction)
    held = [np.array([row[index] for index in fold.test], np.int64) for fold in folds]
    table, units_N = joined(job.tables["train"], job.tables["val"]), np.array(split.units)[list(indices)]
    head, unseen_NK = fit_folds(table, held, len(catalog.class_names), config.seed, units_N)
    val = Predictions(
        logits_NK=unseen_NK,
        labels_N=table.y_N,
        paths=(*job.experiment.paths("train"), *job.experiment.paths("val")),
        class_names=catalog.class_names,
    )
    return head, val, []  # these are all images already


def _logits(head: LinearHead, table: FeatureTable) -> NDArray[np.float32]:
    return np.concatenate([head.logits(x_ND) for _, x_ND in table.blocks()])


def head_weights(head: LinearHead) -> dict[str, NDArray[Any]]:
    """A head's numbers as a bundle names them."""
    return {f"head.{name}": value for name, value in asdict(head).items()}


# --- what the budget allows --------------------------------------------------------------------------------------


def plan(job: TrainingJob, probe: TrainedClassifier, name: StrategyName, *, insist: bool, networks: int = 1) -> Planned:
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
    path, config, engine = job.folder / run_folder.PLAN, job.experiment.config, job.experiment.engine
    asked = make_strategy(name, config.training, len(engine.stages))
    if not path.exists():
        write_json(path, asdict(budget_plan.measure(_situation(job, probe, asked, networks), insist=insist)))
    return budget_plan.allowed(
        budget_plan.read_plan(path, asked), asked, config.minutes, len(job.experiment.split.train)
    )


def _situation(job: TrainingJob, probe: TrainedClassifier, asked: Strategy, networks: int) -> budget_plan.Situation:
    """What a plan starts from: what there is to do, and how quickly this machine does it."""
    engine, val = job.experiment.engine, job.experiment.sources["val"]
    batch = val.read(np.arange(min(engine.batch_size, len(val))))
    pass_s, busy = budget_plan.pass_speed(engine, batch)
    models: list[Classifier] = []

    def step_s(strategy: Strategy, within_s: float) -> tuple[float, ...]:
        runtime.import_torch()
        from svertka.training import loop

        if not models:
            models.append(_classifier(job, probe, strategy))
        return loop.measure_steps(models[0], _task(job, strategy), within_s=within_s)

    def forward() -> float:
        from svertka.training.bf16_gradients import wants_bf16

        return 1 / 2 if wants_bf16(asked.settings) else 1 / 3

    return budget_plan.Situation(
        asked=asked,
        images=len(job.experiment.split.train),
        val=val,
        networks=networks,
        left_s=lambda: AIM * 60 * job.experiment.config.minutes - (time.monotonic() - job.started),
        pass_s=pass_s,
        busy=busy,
        passes=_passes(job),
        told=job.explaining_passes > 0,
        logits=lambda images: probe.head.logits(engine(images)),
        step_s=step_s,
        forward=forward,
    )


def _passes(job: TrainingJob) -> int:
    """Images that are looked at once training is over: to judge, to remember what images were like, to explain."""
    train, val, test = (len(job.experiment.split.of(part)) for part in SPLIT_NAMES)
    probed = count_unknown(job.experiment.engine, job.experiment.sources["test"], job.experiment.cache)
    return val + test + min(train, POINTS) + probed + job.explaining_passes


# --- training ----------------------------------------------------------------------------------------------------


def train(job: TrainingJob, probe: TrainedClassifier, planned: Planned, on_event: EventSink) -> TrainedClassifier:
    """Trains a copy of the backbone as planned; goes on where an earlier call in this folder was stopped.

    Args:
        job: what is learnt from, and where training keeps its state.
        probe: that it starts from.
        planned: a strategy, and the time that it has.
        on_event: hears what happens.

    Raises:
        TrainingError: training diverged before one epoch was good.
    """
    from svertka.backbones.onnx_export import export_features
    from svertka.inference.onnxruntime_session import FEATURES, open_session, run_in_batches
    from svertka.training import loop
    from svertka.training.bf16_gradients import check_precision, wants_bf16

    strategy = planned.strategy
    assert strategy is not None
    engine, settings = job.experiment.engine, strategy.settings
    check_precision(settings)
    model, task = _classifier(job, probe, strategy), _task(job, strategy, planned.allowance)
    body = dict(model.features.body.named_parameters())
    stages = [(s.name, sum(body[name].numel() for name in s.parameters)) for s in task.backbone.stages]
    phases = describe(strategy, stages, sum(p.numel() for p in model.linear.parameters()))
    on_event(TrainingPlanned(strategy.name, phases))
    on_event(StepStarted("train", strategy.epochs * task.epoch_images))
    told: list[Notice] = list(planned.notices)

    def hear(event: Event) -> None:
        if isinstance(event, Notice):
            told.append(event)
        on_event(event)

    if wants_bf16(settings):
        hear(Notice("gradients_in_bf16"))
    history = loop.train(model, task, job.folder / run_folder.CHECKPOINTS, hear)
    module = mean_over_views(model.features, settings).eval()
    graph = export_features(module, engine.preprocess)
    session = open_session(graph.SerializeToString(), engine.threads)
    head = model.head()

    known: dict[tuple[str, ...], NDArray[np.float32]] = {}  # of the validation images, which are asked for twice

    def by_onnx(source: ImageSource) -> Iterator[NDArray[np.float32]]:
        name = tuple(source.hashes)
        if name in known:
            yield known[name]
            return
        for _, images in batches(source, np.arange(len(source)), 32):
            yield run_in_batches(session, images, [FEATURES])[0]

    def by_torch(source: ImageSource) -> NDArray[np.float32]:
        parts = batches(source, np.arange(len(source)), 32)
        return np.concatenate([head.logits(torch_features(module, engine.preprocess, images)) for _, images in parts])

    candidate = TrainedClassifier(
        strategy=strategy.name,
        head=head,
        val=probe.val,
        temperature=1.0,
        features=by_onnx,
        reference=by_torch,
        graph=lambda: graph,
        weights=lambda: {k: v.numpy() for k, v in model.features.state_dict().items()} | head_weights(head),
        history=history,
        phases=phases,
        notices=tuple(told),
    )
    judges = job.experiment.sources["val"]
    x_ND = np.concatenate(list(by_onnx(judges)))
    if len(judges) <= ENOUGH:
        known[tuple(judges.hashes)] = x_ND
    val = replace(probe.val, logits_NK=head.logits(x_ND))
    return replace(candidate, val=val, temperature=fit_temperature(val))


def _classifier(job: TrainingJob, probe: TrainedClassifier, strategy: Strategy) -> "Classifier":
    """A copy of the backbone (the untouched one stays the probe's reference) with the head to start from."""
    from svertka.training.classifier import Classifier, fit_whitening, starting_head

    head = starting_head(probe.head, strategy, random=job.experiment.config.weights == "none")
    model = Classifier(copy.deepcopy(job.experiment.engine.backbone.module), head)
    fit_whitening(model, job.experiment.sources["train"], job.experiment.engine.preprocess, job.experiment.config.seed)
    return model


def _task(job: TrainingJob, strategy: Strategy, allowance: Allowance | None = None) -> "Task":
    from svertka.training.task import Task

    return Task(
        backbone=job.experiment.engine.backbone,
        strategy=strategy,
        train=job.experiment.sources["train"],
        val=job.experiment.sources["val"],
        seed=job.experiment.config.seed,
        features=(job.tables["train"], job.tables["val"]),
        allowance=allowance,
    )
