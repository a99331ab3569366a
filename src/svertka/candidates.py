"""A strategy becomes a candidate: a trained classifier, ready to be judged and handed over.

A candidate is features (by ONNX Runtime), a linear head, and a temperature fitted on validation. What is judged on
validation and test is thus the graph that is handed over, not the torch module that it came from.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from svertka import run_folder
from svertka.config import StrategyName
from svertka.data.folds import make_folds
from svertka.data.loader import ImageSource, batches
from svertka.evaluate import fit_temperature, predicted_labels, probabilities
from svertka.explain.insight import looks
from svertka.export.engine import FeatureEngine, TorchEngine, torch_features
from svertka.materials import Materials
from svertka.runtime import import_torch
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
from svertka.transfer.features import FeatureTable, extract
from svertka.transfer.folded import fit_folds, joined
from svertka.transfer.head import LinearHead
from svertka.transfer.novelty import POINTS
from svertka.transfer.probe import ENOUGH, Probe, fit_probe
from svertka.transfer.strategies import Strategy, describe, make_strategy
from svertka.transfer.views import count_views, mean_over_views, measure_flips
from svertka.whole_files import read_json, write_json

if TYPE_CHECKING:
    import onnx

    from svertka.transfer.loop import Task
    from svertka.transfer.network import Classifier


@dataclass(frozen=True, kw_only=True)
class Candidate:
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

    candidate: Candidate
    materials: Materials


LEARNT: tuple[SplitName, ...] = ("train", "val")
"""Parts of a split that learning looks at."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What every strategy starts from.

    Attributes:
        materials: network, images, and who trains and chooses.
        tables: features of the untouched backbone, of the parts that are learnt from.
        folder: where training keeps its plan and state; one strategy a folder.
        started: monotonic time at which the budget began.
        explained: whether the classifier will be looked into; the budget pays for that too.
    """

    materials: Materials
    tables: dict[SplitName, FeatureTable]
    folder: Path
    started: float
    explained: bool = False

    @property
    def judging(self) -> tuple[int, ...]:
        """Records that choices are made on; with folds all that is learnt from, each judged by what hasn't seen it."""
        split = self.materials.split
        return (*split.train, *split.val) if self.materials.config.folds else split.val


def probe(lesson: Lesson) -> Candidate:
    """Feature extraction: a linear head on the untouched backbone's features."""
    engine, cache = lesson.materials.engine, lesson.materials.cache
    head, val, others = _mean_of_folds(lesson) if lesson.materials.config.folds else _single(lesson)
    return Candidate(
        strategy="probe",
        head=head,
        val=val,
        temperature=fit_temperature(val, *others),
        features=lambda source: (x_ND for _, x_ND in extract(engine, source, cache).blocks()),
        reference=lambda source: _logits(head, extract(TorchEngine(engine), source, cache)),
        graph=engine.graph,
        weights=lambda: engine.weights() | head_weights(head),
    )


def _single(lesson: Lesson) -> tuple[LinearHead, Predictions, list[Predictions]]:
    """A probe of the training images, what it says of the validation images, and its folds of the training images."""
    materials, table = lesson.materials, lesson.tables["train"]
    names, units_N = materials.catalog.class_names, np.array(materials.split.units)[list(materials.split.train)]
    fitted = fit_probe(table, len(names), materials.config.seed, units_N)
    val = Predictions(
        logits_NK=_logits(fitted.head, lesson.tables["val"]),
        labels_N=lesson.tables["val"].y_N,
        paths=materials.paths("val"),
        class_names=names,
    )
    return fitted.head, val, unseen(fitted, table, materials.paths("train"), names)


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


def _mean_of_folds(lesson: Lesson) -> tuple[LinearHead, Predictions, list[Predictions]]:
    """The mean of a probe a fold; training and validation images are judged by the probe that hasn't seen them."""
    catalog, split, config = lesson.materials.catalog, lesson.materials.split, lesson.materials.config
    indices = lesson.judging
    row = {index: number for number, index in enumerate(indices)}
    folds = make_folds(catalog, split, config.folds, config.val_fraction)
    held = [np.array([row[index] for index in fold.test], np.int64) for fold in folds]
    table, units_N = joined(lesson.tables["train"], lesson.tables["val"]), np.array(split.units)[list(indices)]
    head, unseen_NK = fit_folds(table, held, len(catalog.class_names), config.seed, units_N)
    val = Predictions(
        logits_NK=unseen_NK,
        labels_N=table.y_N,
        paths=(*lesson.materials.paths("train"), *lesson.materials.paths("val")),
        class_names=catalog.class_names,
    )
    return head, val, []  # these are all images already


def _logits(head: LinearHead, table: FeatureTable) -> NDArray[np.float32]:
    return np.concatenate([head.logits(x_ND) for _, x_ND in table.blocks()])


def head_weights(head: LinearHead) -> dict[str, NDArray[Any]]:
    """A head's numbers as a bundle names them."""
    return {f"head.{name}": value for name, value in asdict(head).items()}


# --- what the budget allows --------------------------------------------------------------------------------------


def plan(
    lesson: Lesson, probe: Candidate, name: StrategyName, *, insist: bool, networks: int = 1
) -> tuple[Strategy | None, Notice]:
    """The strategy as budget and data allow it, decided once and written down, so that a resumed run obeys.

    Args:
        lesson: with the budget (``config.minutes`` from ``started`` on).
        probe: a fitted probe, which tells what flips keep the meaning.
        name: of a strategy that trains weights.
        insist: train the fewest epochs that are worth while even where there is no time for them.
        networks: that are trained so, one after the other; the plan's seconds are of all of them.

    Returns:
        The strategy, None where the budget is too small; and the reason.
    """
    path = lesson.folder / run_folder.PLAN
    asked = make_strategy(name, lesson.materials.config.training, len(lesson.materials.engine.stages))
    if not path.exists():
        write_json(path, _measure(lesson, probe, asked, insist=insist, networks=networks))
    return allowed(read_json(path), asked, lesson.materials.config.minutes)


def allowed(plan: Mapping[str, Any], asked: Strategy, minutes: float) -> tuple[Strategy | None, Notice]:
    """The strategy that a plan allows (None: the budget is too small), and the reason for the decision."""
    settings, epoch_s, left_s = asked.settings, plan["epoch_s"], max(0.0, plan["left_s"])
    if not plan["epochs"]:
        least = min(settings.min_epochs, asked.epochs)
        other_s, train_s = 60 * minutes - plan["left_s"], epoch_s * least
        enough = math.ceil((other_s + train_s) / 60)
        return None, Notice(
            "fine_tuning_needs_more",
            {
                "least": least,
                "train_s": train_s,
                "other_s": other_s,
                "minutes": minutes,
                "enough": enough,
            },
        )
    augment = replace(settings.augment, mirror=plan["mirror"], upside_down=plan["upside_down"])
    strategy = replace(asked.within(plan["epochs"]), settings=replace(settings, augment=augment))
    if plan["forced"]:
        return strategy, Notice(
            "epochs_forced", {"epoch_s": epoch_s, "minutes": minutes, "left_s": left_s, "n": strategy.epochs}
        )
    if strategy.epochs < asked.epochs:
        return strategy, Notice(
            "epochs_cut",
            {
                "epoch_s": epoch_s,
                "minutes": minutes,
                "left_s": left_s,
                "epochs": strategy.epochs,
                "asked": asked.epochs,
            },
        )
    return strategy, Notice("epochs_all", {"n": strategy.epochs})


def _measure(lesson: Lesson, probe: Candidate, asked: Strategy, *, insist: bool, networks: int) -> dict[str, Any]:
    """What the data and this machine allow: flips that keep the meaning, and epochs within the budget."""
    import_torch()
    from svertka.transfer import loop
    from svertka.transfer.bf16_gradients import wants_bf16

    engine, augment = lesson.materials.engine, asked.settings.augment
    if asked.settings.measure_flips:
        augment = measure_flips(
            lambda images: probe.head.logits(engine(images)), lesson.materials.sources["val"], augment
        )
    image_s = [networks * s for s in loop.measure_steps(_classifier(lesson, probe, asked), _task(lesson, asked))]
    forward_s = max(image_s) / (2 if wants_bf16(asked.settings) else 3)
    epoch_s = [
        s and s * len(lesson.materials.split.train) + forward_s * len(lesson.materials.split.val) for s in image_s
    ]
    costly = sum(phase.epochs for phase, s in zip(asked.phases, epoch_s, strict=True) if s)
    whole_s = sum(phase.epochs * s for phase, s in zip(asked.phases, epoch_s, strict=True))
    train, val, test = (len(lesson.materials.split.of(part)) for part in SPLIT_NAMES)
    passes = val + test + min(train, POINTS) + min(val, ENOUGH)  # to judge, and to remember what images were like
    passes += looks(test) if lesson.explained else 0
    view_s = networks * _pass_seconds(engine, lesson.materials.sources["val"])
    afterwards_s = view_s * count_views(asked.settings, augment) * passes
    left_s = lesson.materials.config.minutes * 60 - (time.monotonic() - lesson.started) - afterwards_s
    share, fewest = min(1.0, left_s / whole_s), min(asked.settings.min_epochs, costly) / costly
    forced = share < fewest
    epochs = [phase.epochs for phase in asked.scaled(max(share, fewest)).phases]
    return {
        "strategy": asked.name,
        "epochs": epochs if insist or not forced else [],
        "forced": forced and insist,
        "epoch_s": round(whole_s / costly, 1),
        "left_s": round(left_s, 1),
        "mirror": augment.mirror,
        "upside_down": augment.upside_down,
    }


def _pass_seconds(engine: FeatureEngine, source: ImageSource) -> float:
    """Seconds that an image takes the frozen network, and about as many the network that it becomes."""
    images = source.read(np.arange(min(engine.batch_size, len(source))))
    engine(images[:1])  # opens it
    started = time.perf_counter()
    engine(images)
    return (time.perf_counter() - started) / len(images)


# --- training ----------------------------------------------------------------------------------------------------


def train(lesson: Lesson, probe: Candidate, strategy: Strategy, on_event: EventSink) -> Candidate:
    """Trains a copy of the backbone as the strategy says; goes on where an earlier call in this folder was stopped.

    Raises:
        TrainingError: training diverged before one epoch was good.
    """
    from svertka.export.onnx_writer import export_features
    from svertka.export.session import FEATURES, open_session, run_in_batches
    from svertka.transfer import loop
    from svertka.transfer.bf16_gradients import check_precision, wants_bf16

    engine, settings = lesson.materials.engine, strategy.settings
    check_precision(settings)
    model, task = _classifier(lesson, probe, strategy), _task(lesson, strategy)
    body = dict(model.features.body.named_parameters())
    stages = [(s.name, sum(body[name].numel() for name in s.parameters)) for s in task.backbone.stages]
    phases = describe(strategy, stages, sum(p.numel() for p in model.linear.parameters()))
    on_event(TrainingPlanned(strategy.name, phases))
    on_event(StepStarted("train", strategy.epochs * len(task.train)))
    told: list[Notice] = []

    def hear(event: Event) -> None:
        if isinstance(event, Notice):
            told.append(event)
        on_event(event)

    if wants_bf16(settings):
        hear(Notice("gradients_in_bf16"))
    history = loop.train(model, task, lesson.folder / run_folder.CHECKPOINTS, hear)
    module = mean_over_views(model.features, settings).eval()
    graph = export_features(module, engine.preprocess)
    session = open_session(graph.SerializeToString(), engine.threads)
    head = model.head()

    def by_onnx(source: ImageSource) -> Iterator[NDArray[np.float32]]:
        for _, images in batches(source, np.arange(len(source)), 32):
            yield run_in_batches(session, images, [FEATURES])[0]

    def by_torch(source: ImageSource) -> NDArray[np.float32]:
        parts = batches(source, np.arange(len(source)), 32)
        return np.concatenate([head.logits(torch_features(module, engine.preprocess, images)) for _, images in parts])

    candidate = Candidate(
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
    val = replace(probe.val, logits_NK=candidate.logits(lesson.materials.sources["val"]))
    return replace(candidate, val=val, temperature=fit_temperature(val))


def _classifier(lesson: Lesson, probe: Candidate, strategy: Strategy) -> "Classifier":
    """A copy of the backbone (the untouched one stays the probe's reference) with the head to start from."""
    from svertka.transfer.network import Classifier, fit_whitening, starting_head

    head = starting_head(probe.head, strategy, random=lesson.materials.config.weights == "none")
    model = Classifier(copy.deepcopy(lesson.materials.engine.backbone.module), head)
    fit_whitening(
        model, lesson.materials.sources["train"], lesson.materials.engine.preprocess, lesson.materials.config.seed
    )
    return model


def _task(lesson: Lesson, strategy: Strategy) -> "Task":
    from svertka.transfer import loop

    return loop.Task(
        backbone=lesson.materials.engine.backbone,
        strategy=strategy,
        train=lesson.materials.sources["train"],
        val=lesson.materials.sources["val"],
        seed=lesson.materials.config.seed,
        features=(lesson.tables["train"], lesson.tables["val"]),
    )
