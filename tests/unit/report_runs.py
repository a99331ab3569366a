"""Synthetic runs for the tests of the report: real images on disk, plausible logits, the real evaluation."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from svertka.config import RunConfig
from svertka.evaluate import evaluate
from svertka.schema import (
    AttributionMap,
    Catalog,
    Decision,
    EpochRow,
    Estimate,
    Explanation,
    FeatureMap,
    ImageRecord,
    Insight,
    Notice,
    OrderCheck,
    Parity,
    Patch,
    Predictions,
    Preprocess,
    RunRecord,
    SanityCheck,
    ShortcutProbe,
    Source,
    Split,
    StagePatches,
    StepCost,
)

TEMPERATURE = 1.7


def image_file(path: Path, *, size_px: int = 40, seed: int = 0) -> None:
    """Writes an image of pure noise, the hardest to compress."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size_px, size_px, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def make_run(
    root: Path, class_names=("cat", "dog"), per_class=60, *, size_px=40, images=True, separation=2.5, language="en"
) -> RunRecord:
    """A run of a fine-tuned model; a third of each class is test. Without ``images`` the files don't exist."""
    records = []
    for label in range(len(class_names)):
        for number in range(per_class):
            path = f"class{label}/image{number:03d}.png"
            if images and not (root / path).exists():
                image_file(root / path, size_px=size_px, seed=len(records))
            records.append(image_record(path, label))
    order = np.arange(len(records))
    test = tuple(int(i) for i in order[order % 3 == 0])
    val = tuple(int(i) for i in order[order % 6 == 1])
    train = tuple(int(i) for i in order if i not in set(test) | set(val))
    catalog = Catalog(root=root, layout="class folders", class_names=tuple(class_names), records=tuple(records))
    predictions = predict(catalog, test, separation)
    probe = replace(predictions, logits_NK=predict(catalog, test, 0.8 * separation).logits_NK)
    return RunRecord(
        name="pets-1",
        command="svertka train pets --minutes 5",
        started="2026-03-01T10:30:00+03:00",
        config=RunConfig(data="pets", minutes=5, language=language),
        catalog=catalog,
        split=Split(train=train, val=val, test=test, seed=7, units=tuple(range(len(train + val + test)))),
        history=HISTORY,
        decision=Decision(
            strategy="lp-ft",
            reasons=(
                Notice("gain_shown", {"strategy": "lp-ft", "n": 20, "gain": 0.05, "error": 0.02}),
                Notice("epochs_all", {"n": 4}),
            ),
            val_scores={
                "lp-ft": {"log_loss": 0.31, "accuracy": 0.875},
                "probe": {"log_loss": 0.42, "accuracy": 0.812},
            },
        ),
        evaluation=evaluate(predictions, temperature=TEMPERATURE, baselines={"probe": probe}, majority_class=0),
        test=predictions,
        order=OrderCheck(0.901, 0.895, 0.02, suspicious=False),
        parity=Parity(n=32, max_probability_difference=3e-6, same_labels=32),
        costs=(
            StepCost(step="scan", seconds=2.0, peak_memory_mb=300),
            StepCost(step="learn", seconds=118.0, peak_memory_mb=1500),
            StepCost(step="hand over", seconds=5.0, peak_memory_mb=1500),
        ),
        sources=(Source(name="Lite0 weights", origin="a package", licence="Apache-2.0"),),
        versions={"svertka": "0.1.0", "torch": "2.14.1"},
        notices=(),
    )


def image_record(path: str, label: int) -> ImageRecord:
    """A record of an image file."""
    return ImageRecord(
        path=path,
        label=label,
        split=None,
        group=None,
        width_px=40,
        height_px=40,
        mode="RGB",
        pixel_hash=hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:32],
        perceptual_hash=0,
    )


def predict(catalog: Catalog, test: tuple[int, ...], separation: float) -> Predictions:
    """Logits with noise; the true class stands out by ``separation``."""
    labels_N = catalog.labels()[list(test)]
    logits_NK = np.random.default_rng(3).normal(size=(len(test), len(catalog.class_names))).astype(np.float32)
    logits_NK[np.arange(len(test)), labels_N] += separation
    return Predictions(
        logits_NK=TEMPERATURE * logits_NK,
        labels_N=labels_N,
        paths=tuple(catalog.records[index].path for index in test),
        class_names=catalog.class_names,
    )


def _epoch(epoch: int, train_loss: float, val_loss: float, val_accuracy: float) -> EpochRow:
    return EpochRow(
        phase="fine-tune",
        epoch=epoch,
        train_loss=train_loss,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        learning_rate=1e-3,
        seconds=20.0,
    )


HISTORY = (
    _epoch(1, 0.70, 0.60, 0.70),
    _epoch(2, 0.50, 0.45, 0.80),
    _epoch(3, 0.30, 0.31, 0.875),
    _epoch(4, 0.20, 0.38, 0.86),
)

INSIGHT = Insight(
    preprocess=Preprocess(size_px=32),
    examples=(
        Explanation(
            path="class0/image000.png",
            why="wrong",
            truth=1,
            probabilities=(0.7, 0.3),
            heats=(
                AttributionMap(method="grad_cam", label=0, rows=((0.1, -0.2), (2.0, 0.0))),
                AttributionMap(method="occlusion", label=1, rows=((0.0, 0.5), (0.5, 0.1)), left=0.1),
            ),
        ),
    ),
    patches=(
        StagePatches(
            stage=0,
            level="first",
            size=16,
            field_px=7,
            channels={3: (Patch(path="class0/image000.png", box=(0, 1, 7, 8), value=2.5),)},
        ),
    ),
    feature_map=FeatureMap(
        x=(0.0, 1.0),
        y=(1.0, 0.0),
        labels=(0, 1),
        predicted=(0, 0),
        paths=("class0/image000.png", "class1/image000.png"),
        trustworthiness=0.9,
    ),
    sanity=(
        SanityCheck(method="grad_cam", shuffled="all", correlation=0.1, standard_error=0.05, n=8, passed=True),
        SanityCheck(method="occlusion", shuffled="head", correlation=0.8, standard_error=0.05, n=3, passed=False),
    ),
    shortcuts=(
        ShortcutProbe(
            name="border",
            verdict="near the model",
            accuracy=Estimate(0.8, 0.7, 0.9, 60),
            roc_auc=Estimate(0.85, 0.8, 0.9, 60),
        ),
        ShortcutProbe(name="size", verdict="nothing to learn", accuracy=None, roc_auc=None),
    ),
)
