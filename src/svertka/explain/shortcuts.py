"""Shortcut probes: classifiers that see only the border, the size or the file of an image, and should fail.

Where one of them does well, the classes differ in something beside what is shown (another camera, a ruler, a hospital's
frame), and a network may have learnt that instead: Geirhos et al. 2020, Shortcut Learning in Deep Neural Networks
(arXiv 2004.07780). They are fitted on training images and judged on the test images; nothing is chosen by them.

A mean over classes hides what gives only two of them away, so of three or more classes each pair is judged too. Many
pairs are many chances to be fooled: one counts if the probability of its ranks, times the number of all pairs of all
probes (Bonferroni), is at most ``RISK``, and if it is nearly always told apart. By content alone borders and files tell
classes apart better than chance, which is no cause for alarm.

Shapes: N images, S side in pixels, D features, K classes.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from svertka.data.loader import ImageSource, batches
from svertka.data.pillow import quiet_pillow
from svertka.evaluate import evaluate
from svertka.evaluate.clusters import roc_auc
from svertka.schema import (
    Catalog,
    ClassPair,
    Estimate,
    ImageRecord,
    Predictions,
    ShortcutProbe,
    ShortcutVerdict,
    Split,
    SplitName,
)

MOST = 1_000
"""Images of a part; more change little and cost time."""

NEAR = 0.5
"""Share of the model's lead over guessing (ROC AUC above 1/2) from which a probe counts as near the model."""

CLEAR = 0.9
"""ROC AUC from which two classes are nearly always told apart."""

RISK = 0.01
"""Probability that a run names any pair by chance."""

_PARTS: tuple[SplitName, SplitName] = ("train", "test")
_KINDS = ("border", "size", "file")
_CELLS = 16  # a side; the outermost of them are the border
_STRENGTH = 0.03  # inverse regularisation of the border's logistic regression on standardised columns
_TAGS = {"make": 0x010F, "model": 0x0110, "software": 0x0131, "date": 0x0132}

Columns = NDArray[np.float64]


def probe_shortcuts(
    catalog: Catalog, split: Split, sources: Mapping[SplitName, ImageSource], model: Estimate | None, seed: int
) -> tuple[ShortcutProbe, ...]:
    """Fits and judges every probe on prepared images of ``"train"`` and ``"test"``.

    ``model`` is the model's ROC AUC on the test images; the seed is that of the choice of images and of the probes.
    """
    parts = [_Part.of(catalog, split, name, sources[name], seed) for name in _PARTS]
    codes: dict[str, int] = defaultdict(count().__next__)  # a number for each word, in the order in which they come
    makers: tuple[Callable[[_Part], Columns], ...] = (
        lambda part: _borders(part.source),
        lambda part: np.array([_size(r.width_px, r.height_px) for r in part.records], np.float64),
        lambda part: np.array([_file(catalog.file(r), r, codes) for r in part.records], np.float64),
    )
    found = []
    for name, make in zip(_KINDS, makers, strict=True):
        train, test = parts
        answers = _fit(name, make(train), train.source.labels, make(test), len(catalog.class_names), seed)
        found.append(_judge(name, answers, test, catalog.class_names, model))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Part:
    """Some images of one part of the split: what is known of their files, which belong together, and their pixels."""

    records: list[ImageRecord]
    units_N: NDArray[np.int64]
    source: ImageSource

    @classmethod
    def of(cls, catalog: Catalog, split: Split, name: SplitName, source: ImageSource, seed: int) -> "_Part":
        rows = np.arange(len(source))
        if len(source) > MOST:
            rows = np.sort(np.random.default_rng(seed).permutation(len(source))[:MOST])
        indices = np.array(split.of(name), np.int64)[rows]
        units_N = np.array(split.units, np.int64)[indices] if split.units else indices
        return cls([catalog.records[index] for index in indices], units_N, source.rows(rows))


def _borders(source: ImageSource) -> Columns:
    """Mean and spread of each colour in each cell of the outermost ring."""
    ring = np.zeros((_CELLS, _CELLS), bool)
    ring[[0, -1], :] = ring[:, [0, -1]] = True
    parts = []
    for _, whole_NSSC in batches(source, np.arange(len(source)), 32):
        step = 2 if whole_NSSC.shape[1] >= 2 * _CELLS else 1  # a quarter of the pixels says the same
        images_NSSC = whole_NSSC[:, ::step, ::step]
        edges = np.linspace(0, images_NSSC.shape[1], _CELLS + 1).round().astype(int)
        cells = [
            images_NSSC[:, edges[row] : edges[row + 1], edges[column] : edges[column + 1]].astype(np.float32)
            for row, column in zip(*np.nonzero(ring), strict=True)
        ]
        parts.append(
            np.concatenate([figure(cell, axis=(1, 2)) for cell in cells for figure in (np.mean, np.std)], axis=1)
        )
    return np.concatenate(parts).astype(np.float64)


def _size(width_px: int, height_px: int) -> tuple[float, ...]:
    return width_px, height_px, width_px / height_px, width_px * height_px


def _file(file: Path, record: ImageRecord, codes: Mapping[str, int]) -> tuple[float, ...]:
    """Size in bytes, bytes a pixel, kind, and what the camera has noted."""
    try:
        size = file.stat().st_size
        with quiet_pillow(), Image.open(file) as image:
            exif = _exif(image)
    except Exception:
        size, exif = 0, {}
    tags = [codes[f"{name}:{exif.get(tag, '')}"] for name, tag in _TAGS.items()]
    kind = codes[f"mode:{record.mode}"], codes[f"suffix:{file.suffix.lower()}"]
    return size, size / (record.width_px * record.height_px), *kind, len(exif), *tags


def _exif(image: Image.Image) -> dict[int, object]:
    """What the header holds. Pillow would decode a whole PNG to look behind its pixels as well."""
    if image.format != "PNG":
        return dict(image.getexif())
    found = Image.Exif()
    found.load(image.info.get("exif", b""))
    return dict(found)


def _fit(
    name: str, x_ND: Columns, y_N: NDArray[np.int64], x_test_ND: Columns, classes: int, seed: int
) -> NDArray[np.float32] | None:
    """Logits [N, K] of the test images; None where no column differs between the training images."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    varies = np.ptp(x_ND, axis=0) > 0
    if not varies.any() or len(np.unique(y_N)) < 2:
        return None
    x_ND, x_test_ND = x_ND[:, varies], x_test_ND[:, varies]
    if name == "border":
        mean, spread = x_ND.mean(axis=0), x_ND.std(axis=0)
        model: Any = LogisticRegression(C=_STRENGTH, max_iter=300, tol=1e-3)
        x_ND, x_test_ND = (x_ND - mean) / spread, (x_test_ND - mean) / spread
    else:
        model = RandomForestClassifier(50, min_samples_leaf=3, random_state=seed, n_jobs=1)
    model.fit(x_ND, y_N)
    p_NK = np.full((len(x_test_ND), classes), 1e-4)
    p_NK[:, model.classes_] = np.maximum(model.predict_proba(x_test_ND), 1e-4)
    logits_NK: NDArray[np.float32] = np.log(p_NK).astype(np.float32)
    return logits_NK


def _judge(
    name: str,
    logits_NK: NDArray[np.float32] | None,
    test: _Part,
    class_names: Sequence[str],
    model: Estimate | None,
) -> ShortcutProbe:
    if logits_NK is None:
        return ShortcutProbe(name=name, verdict="nothing to learn", accuracy=None, roc_auc=None)
    said = Predictions(
        logits_NK=logits_NK,
        labels_N=test.source.labels,
        paths=("",) * len(logits_NK),
        class_names=tuple(class_names),
    )
    metrics = evaluate(said, groups_N=test.units_N).metrics
    auc = metrics.get("roc_auc")
    return ShortcutProbe(
        name=name,
        verdict=verdict(auc, model),
        accuracy=metrics["accuracy"],
        roc_auc=auc,
        pairs=clear_pairs(said, test.units_N),
    )


def clear_pairs(said: Predictions, units_N: NDArray[np.int64]) -> tuple[ClassPair, ...]:
    """Of three or more classes the pairs that a probe tells apart nearly always, and not by luck; the surest first.

    Images with equal numbers in ``units_N`` belong together and count as one.
    """
    labels = np.unique(said.labels_N).tolist()
    chances = len(_KINDS) * len(said.class_names) * (len(said.class_names) - 1) // 2
    found = []
    for first, second in combinations(labels, 2) if len(said.class_names) > 2 else ():
        rows = np.isin(said.labels_N, (first, second))
        score_n = said.logits_NK[rows, second] - said.logits_NK[rows, first]
        second_n, units_n = said.labels_N[rows] == second, units_N[rows]
        auc = roc_auc(score_n, second_n, units_n)
        if auc.value >= CLEAR and chances * _by_luck(score_n, second_n, units_n) <= RISK:
            found.append(ClassPair(first=said.class_names[first], second=said.class_names[second], roc_auc=auc))
    return tuple(sorted(found, key=lambda pair: -pair.roc_auc.value))


def _by_luck(score_n: NDArray[np.float32], second_n: NDArray[np.bool_], units_n: NDArray[np.int64]) -> float:
    """Probability that scores without meaning would rank the second class so high (Mann and Whitney 1947)."""
    from scipy.stats import mannwhitneyu

    first, second = (
        [float(score_n[of & (units_n == unit)].mean()) for unit in np.unique(units_n[of])]
        for of in (~second_n, second_n)
    )
    return float(mannwhitneyu(second, first, alternative="greater").pvalue)


def verdict(probe: Estimate | None, model: Estimate | None) -> ShortcutVerdict:
    """What a probe's ROC AUC says: no better than guessing, better than it, or near the model."""
    if probe is None or probe.low <= 0.5:
        return "chance"
    near = model is not None and probe.value - 0.5 >= NEAR * (model.value - 0.5)
    return "near the model" if near else "better than chance"
