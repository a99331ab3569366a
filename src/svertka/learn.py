"""Learning: the strategies that a configuration allows become candidates, and validation chooses one.

A candidate is features (by ONNX Runtime), a linear head, and a temperature fitted on validation. What is judged on
validation and test is thus the graph that is handed over, not the torch module that it came from.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from svertka import run_folder
from svertka.config import FineTune, RunConfig, StrategyName
from svertka.data.folds import make_folds
from svertka.data.loader import ImageSource, batches
from svertka.errors import TrainingError
from svertka.evaluate import fit_temperature, predicted_labels, probabilities
from svertka.export.engine import FeatureEngine, TorchEngine, torch_features
from svertka.schema import Catalog, Decision, EpochRow, EventSink, Notice, Predictions, Split, SplitName, StepStarted
from svertka.transfer.choice import paired_gain
from svertka.transfer.features import FeatureTable, extract
from svertka.transfer.folded import fit_folds, joined
from svertka.transfer.head import LinearHead
from svertka.transfer.probe import fit_probe
from svertka.transfer.views import mean_over_views, measure_flips

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A trained classifier, ready to be judged and handed over.

    Attributes:
        strategy: that made it.
        head: on the features.
        val: predictions on the validation images.
        temperature: fitted on them.
        features: of a source's images, in blocks [n, D].
        reference: the same by torch, for the parity check.
        graph: of the features.
        weights: parameters by name, the head's included.
        history: learning curve.
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

    def logits(self, source: ImageSource) -> NDArray[np.float32]:
        """Logits of a source's images, [N, K]."""
        return np.concatenate([self.head.logits(x_ND) for x_ND in self.features(source)])

    def scores(self) -> dict[str, float]:
        """Log loss (at the fitted temperature) and accuracy on validation."""
        return {
            "log_loss": float(self.losses().mean()),
            "accuracy": float((predicted_labels(self.val) == self.val.labels_N).mean()),
        }


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What learning came to: the candidate that was kept, the probe beside it, the reason."""

    chosen: Candidate
    probe: Candidate
    decision: Decision
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What every strategy starts from."""

    config: RunConfig
    engine: FeatureEngine
    catalog: Catalog
    split: Split
    sources: dict[SplitName, ImageSource]
    tables: dict[SplitName, FeatureTable]
    folder: Path
    cache: Path
    started: float

    def paths(self, part: SplitName) -> tuple[str, ...]:
        """Paths of one part of the split."""
        return tuple(self.catalog.records[index].path for index in self.split.of(part))


def learn(lesson: Lesson, on_event: EventSink) -> Learned:
    """Fits the probe; fine-tunes from it if the strategy and the budget allow; keeps the better on validation."""
    on_event(StepStarted("probe"))
    probe = _probe(lesson)
    if lesson.config.strategy == "probe":
        folds, n = lesson.config.folds, len(probe.val)
        averaged = (Notice("folds_averaged", {"folds": folds, "n": n}),) if folds else ()
        return Learned(chosen=probe, probe=probe, decision=_decide((probe,), Notice("probe_asked"), *averaged))
    strategy, why = _plan(lesson, probe)
    if strategy is None:
        return Learned(chosen=probe, probe=probe, decision=_decide((probe,), why), notices=(why,))
    on_event(StepStarted("fine-tune", strategy.max_epochs * len(lesson.sources["train"])))
    try:
        tuned = _fine_tune(lesson, probe, strategy, on_event)
    except TrainingError as error:
        if lesson.config.strategy == "finetune":
            raise
        why = Notice("fine_tuning_failed", {"error": str(error)}, level="warning")
        return Learned(chosen=probe, probe=probe, decision=_decide((probe,), why), notices=(why,))
    if lesson.config.strategy == "finetune":
        decision = _decide((tuned, probe), Notice("fine_tuning_asked"), why)
        return Learned(chosen=tuned, probe=probe, decision=decision)
    better, shown = choose(probe, tuned, np.array(lesson.split.units)[list(lesson.split.val)])
    return Learned(chosen=better, probe=probe, decision=_decide((better, probe, tuned), shown, why))


def choose(cheap: Candidate, costly: Candidate, units_N: NDArray[np.int64]) -> tuple[Candidate, Notice]:
    """The costlier one only if it lowers the log loss, in pairs, by more than one standard error; and the reason.

    Args:
        cheap: usually the probe.
        costly: judged on the same validation images.
        units_N: of these images; see ``Split.units``.
    """
    gain = paired_gain(-cheap.losses(), -costly.losses(), units_N)
    strategy, error = costly.strategy, gain.standard_error
    if gain.worth_it:
        return costly, Notice("gain_shown", {"strategy": strategy, "n": gain.n, "gain": gain.mean, "error": error})
    return cheap, Notice("gain_not_shown", {"strategy": strategy, "n": gain.n, "gain": gain.mean, "error": error})


def _decide(candidates: tuple[Candidate, ...], *reasons: Notice) -> Decision:
    """The first candidate is the one that was kept."""
    return Decision(
        strategy=candidates[0].strategy,
        reasons=reasons,
        val_scores={
            candidate.strategy: candidate.scores() for candidate in sorted(candidates, key=attrgetter("strategy"))
        },
    )


# --- the probe ---------------------------------------------------------------------------------------------------


def _probe(lesson: Lesson) -> Candidate:
    engine, cache = lesson.engine, lesson.cache
    head, val = _averaged(lesson) if lesson.config.folds else _single(lesson)
    return Candidate(
        strategy="probe",
        head=head,
        val=val,
        temperature=fit_temperature(val),
        features=lambda source: (x_ND for _, x_ND in extract(engine, source, cache).blocks()),
        reference=lambda source: _logits(head, extract(TorchEngine(engine), source, cache)),
        graph=engine.graph,
        weights=lambda: engine.weights() | _head_weights(head),
    )


def _single(lesson: Lesson) -> tuple[LinearHead, Predictions]:
    """A probe of the training images, and what it says of the validation images."""
    units_N = np.array(lesson.split.units)[list(lesson.split.train)]
    head = fit_probe(lesson.tables["train"], len(lesson.catalog.class_names), lesson.config.seed, units_N).head
    return head, Predictions(
        logits_NK=_logits(head, lesson.tables["val"]),
        labels_N=lesson.tables["val"].y_N,
        paths=lesson.paths("val"),
        class_names=lesson.catalog.class_names,
    )


def _averaged(lesson: Lesson) -> tuple[LinearHead, Predictions]:
    """The mean of a probe a fold; training and validation images are judged by the probe that hasn't seen them."""
    catalog, split, config = lesson.catalog, lesson.split, lesson.config
    indices = (*split.train, *split.val)
    row = {index: number for number, index in enumerate(indices)}
    folds = make_folds(catalog, split, config.folds, config.val_fraction)
    held = [np.array([row[index] for index in fold.test], np.int64) for fold in folds]
    table, units_N = joined(lesson.tables["train"], lesson.tables["val"]), np.array(split.units)[list(indices)]
    head, unseen_NK = fit_folds(table, held, len(catalog.class_names), config.seed, units_N)
    return head, Predictions(
        logits_NK=unseen_NK,
        labels_N=table.y_N,
        paths=(*lesson.paths("train"), *lesson.paths("val")),
        class_names=catalog.class_names,
    )


def _logits(head: LinearHead, table: FeatureTable) -> NDArray[np.float32]:
    return np.concatenate([head.logits(x_ND) for _, x_ND in table.blocks()])


def _head_weights(head: LinearHead) -> dict[str, NDArray[Any]]:
    return {f"head.{name}": value for name, value in asdict(head).items()}


# --- fine-tuning -------------------------------------------------------------------------------------------------


def _plan(lesson: Lesson, probe: Candidate) -> tuple[FineTune | None, Notice]:
    """The strategy as the budget and the data allow it; decided once and written down, so that a resumed run obeys."""
    path = lesson.folder / run_folder.PLAN
    if not path.exists():
        run_folder.write_json(path, _measure(lesson, probe))
    return allowed(run_folder.read_json(path), lesson.config)


def allowed(plan: Mapping[str, Any], config: RunConfig) -> tuple[FineTune | None, Notice]:
    """The strategy that a plan allows (None: the budget is too small), and the reason for the decision."""
    asked, epoch_s, minutes = config.finetune, plan["epoch_s"], config.minutes
    if plan["epochs"] == 0:
        return None, Notice("no_fine_tuning", {"epoch_s": epoch_s, "minutes": minutes, "least": asked.min_epochs})
    augment = replace(asked.augment, mirror=plan["mirror"], upside_down=plan["upside_down"])
    strategy = replace(asked, augment=augment).with_epochs(plan["epochs"])
    if plan["forced"]:
        return strategy, Notice("epochs_forced", {"epoch_s": epoch_s, "minutes": minutes, "n": strategy.max_epochs})
    if strategy.max_epochs < asked.max_epochs:
        return strategy, Notice(
            "epochs_cut",
            {"epoch_s": epoch_s, "minutes": minutes, "epochs": strategy.max_epochs, "asked": asked.max_epochs},
        )
    return strategy, Notice("epochs_all", {"n": strategy.max_epochs})


def _measure(lesson: Lesson, probe: Candidate) -> dict[str, float | bool]:
    """What the data and this machine allow: flips that keep the meaning, and epochs within the budget."""
    from svertka.transfer import loop
    from svertka.transfer.network import Classifier

    strategy, engine = lesson.config.finetune, lesson.engine
    augment = strategy.augment
    if strategy.measure_flips:
        augment = measure_flips(lambda images: probe.head.logits(engine(images)), lesson.sources["val"], augment)
    task = _task(lesson, strategy)
    image_s = loop.measure_step(Classifier(engine.backbone.module, probe.head), task)
    epoch_s = image_s * (len(task.train) + len(task.val) / 3)
    views = 2 ** (augment.mirror + augment.upside_down) if strategy.average_views else 1
    afterwards_s = image_s / 6 * views * (len(task.val) + len(lesson.split.test))
    left_s = lesson.config.minutes * 60 - (time.monotonic() - lesson.started) - afterwards_s
    epochs = min(strategy.max_epochs, math.floor(left_s / epoch_s))
    fewest = min(strategy.min_epochs, strategy.max_epochs)
    too_few, asked_for = epochs < fewest, lesson.config.strategy == "finetune"
    if too_few:
        epochs = fewest if asked_for else 0
    return {
        "epochs": epochs,
        "forced": too_few and asked_for,
        "epoch_s": round(epoch_s, 1),
        "left_s": round(left_s, 1),
        "mirror": augment.mirror,
        "upside_down": augment.upside_down,
    }


def _task(lesson: Lesson, strategy: FineTune) -> Any:
    from svertka.transfer import loop

    return loop.Task(
        backbone=lesson.engine.backbone,
        strategy=strategy,
        train=lesson.sources["train"],
        val=lesson.sources["val"],
        seed=lesson.config.seed,
    )


def _fine_tune(lesson: Lesson, probe: Candidate, strategy: FineTune, on_event: EventSink) -> Candidate:
    from svertka.export.onnx_writer import export_features
    from svertka.export.session import FEATURES, open_session, run_in_batches
    from svertka.transfer import loop
    from svertka.transfer.network import Classifier

    engine = lesson.engine
    model = Classifier(copy.deepcopy(engine.backbone.module), probe.head)  # the frozen one stays the probe's reference
    history = loop.train(model, _task(lesson, strategy), lesson.folder / run_folder.CHECKPOINTS, on_event)
    module = mean_over_views(model.features, strategy.augment) if strategy.average_views else model.features
    graph = export_features(module.eval(), engine.preprocess)
    session = open_session(graph.SerializeToString(), engine.threads)
    head = model.head()

    def by_onnx(source: ImageSource) -> Iterator[NDArray[np.float32]]:
        for _, images in batches(source, np.arange(len(source)), 32):
            yield run_in_batches(session, images, [FEATURES])[0]

    def by_torch(source: ImageSource) -> NDArray[np.float32]:
        parts = batches(source, np.arange(len(source)), 32)
        return np.concatenate([head.logits(torch_features(module, engine.preprocess, images)) for _, images in parts])

    candidate = Candidate(
        strategy="finetune",
        head=head,
        val=probe.val,
        temperature=1.0,
        features=by_onnx,
        reference=by_torch,
        graph=lambda: graph,
        weights=lambda: {k: v.numpy() for k, v in model.features.state_dict().items()} | _head_weights(head),
        history=history,
    )
    val = replace(probe.val, logits_NK=candidate.logits(lesson.sources["val"]))
    return replace(candidate, val=val, temperature=fit_temperature(val))
