"""Do 95 % intervals hold the truth in 95 % of test sets? Synthetic classifiers whose true figures are known.

A classifier's logits are normal around its classes' means, so as many test sets as one likes can be drawn from it; its
true figures are those of 100,000 images. For each number of images and classes, and each of five classifiers, an
interval either holds the true figure or doesn't. Per-class figures count once for each class that has images behind
it. The peer is the usual percentile bootstrap (and the binned calibration error as it is usually computed).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from common import Row, Side, arguments, load, write_result
from numpy.typing import NDArray
from weighted_metrics import all_metrics

from svertka.evaluate import evaluate
from svertka.evaluate.calibration import NUM_BINS, Confidences
from svertka.evaluate.metrics import score
from svertka.schema import Conformal, Estimate, Evaluation, Predictions

IMAGES, CLASSES = (50, 200, 600), (2, 4, 8)
TRUTH, RESAMPLES, PEER_DRAWS = 100_000, 400, 50
LOWEST, HIGHEST = 0.93, 0.97


@dataclass(frozen=True, kw_only=True, slots=True)
class Classifier:
    """How far classes lie apart in standard deviations, how sure it is beyond what is true, and how rare classes are.

    Attributes:
        apart: distance of a class's logit mean, also the spread's inverse.
        sharpness: 1 is calibrated, 2 twice too sure.
        skew: class k has a share of ``(k + 1) ** -skew`` of the images.
    """

    apart: float
    sharpness: float = 1.0
    skew: float = 0.0

    def draw(self, n: int, classes: int, rng: np.random.Generator) -> Predictions:
        shares_K = np.arange(1.0, classes + 1) ** -self.skew
        shares_K /= shares_K.sum()
        labels_N = rng.choice(classes, n, p=shares_K)
        logits_NK = self.apart * rng.normal(size=(n, classes)) + self.apart**2 * np.eye(classes)[labels_N]
        return Predictions(
            logits_NK=(self.sharpness * (logits_NK + np.log(shares_K))).astype(np.float32),
            labels_N=labels_N,
            paths=("",) * n,
            class_names=tuple(map(str, range(classes))),
        )


CLASSIFIERS = {
    "middling": Classifier(apart=1.6),
    "good": Classifier(apart=2.2),
    "too sure": Classifier(apart=1.9, sharpness=2.0),
    "rare classes": Classifier(apart=2.0, sharpness=1.3, skew=1.0),
    "too modest": Classifier(apart=1.8, sharpness=0.6),
}
PER_CLASS = ("precision", "recall", "f1")


def figures(evaluation: Evaluation) -> Iterator[tuple[str, int, Estimate]]:
    """Every figure that a report prints: name, class (0 where it is of all), estimate."""
    for name, estimate in evaluation.metrics.items():
        if not name.endswith("_uncalibrated"):  # the same at temperature 1
            yield name, 0, estimate
    for label, scores in enumerate(evaluation.per_class):
        for name in PER_CLASS:
            yield f"{name} of a class", label, getattr(scores, name)
    if evaluation.abstention:
        for name in ("coverage", "answered", "accuracy"):
            yield (
                f"{name} of sets" if name != "accuracy" else "accuracy of answers",
                0,
                getattr(evaluation.abstention, name),
            )


def measure(kind: Classifier, n: int, classes: int, draws: int, rng: np.random.Generator) -> dict[str, list[bool]]:
    """For each figure whether each draw's interval held the truth."""
    sets = Conformal(target=0.9, thresholds=(0.6,) * classes, counts=(0,) * classes)
    truth = {
        (name, label): estimate.value
        for name, label, estimate in figures(evaluate(kind.draw(TRUTH, classes, rng), conformal=sets))
    }
    held: dict[str, list[bool]] = {}
    for _ in range(draws):
        for name, label, found in figures(evaluate(kind.draw(n, classes, rng), conformal=sets)):
            if found.n:
                held.setdefault(name, []).append(
                    found.low <= truth[name, label] + 1e-9 and truth[name, label] <= found.high
                )
    return held


# --- the peer -----------------------------------------------------------------------------------------------------


def usual_error(confidences: Confidences, weights_NB: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected calibration error in bins, luck included."""
    gap_N = confidences.right_N - confidences.confidence_N
    gap_bN = np.where(confidences.bin_N == np.arange(NUM_BINS)[:, None], gap_N, 0.0)
    error_B: NDArray[np.float64] = np.abs(gap_bN @ weights_NB).sum(axis=0) / weights_NB.sum(axis=0)
    return error_B


def peer(kind: Classifier, n: int, classes: int, draws: int, rng: np.random.Generator) -> dict[str, list[bool]]:
    """The same by the percentile bootstrap."""

    def values(predictions: Predictions, weights_NB: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        judged = score(predictions)
        found = {name: np.asarray(value_B, np.float64) for name, value_B in all_metrics(judged, weights_NB)[0].items()}
        found["calibration_error"] = usual_error(judged.calibrated, weights_NB)
        return found

    truth = values(kind.draw(TRUTH, classes, rng), np.ones((TRUTH, 1)))
    held: dict[str, list[bool]] = {}
    for _ in range(draws):
        weights_NB = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).T.astype(np.float64)
        for name, drawn_B in values(kind.draw(n, classes, rng), weights_NB).items():
            if name.endswith("_uncalibrated") or np.isnan(drawn_B).all():
                continue
            low, high = np.nanquantile(drawn_B, [0.025, 0.975])
            held.setdefault(name, []).append(bool(low <= truth[name][0] <= high))
    return held


def main() -> None:
    parser = arguments(__doc__, rounds=400)
    options = parser.parse_args()
    busy, draws = load(), 20 if options.tiny else options.rounds
    cells: dict[str, dict[str, float]] = {}
    whole: dict[str, dict[str, list[bool]]] = {"svertka": {}, "bootstrap": {}}
    for classes in CLASSES:
        for n in IMAGES:
            pooled: dict[str, list[bool]] = {}
            for number, (name, kind) in enumerate(CLASSIFIERS.items()):
                seed = [number, n, classes]
                found = measure(kind, n, classes, draws, np.random.default_rng(seed))
                cells[f"{name}, {n} images, {classes} classes"] = {
                    figure: round(float(np.mean(held)), 4) for figure, held in found.items()
                }
                for figure, held in found.items():
                    pooled.setdefault(figure, []).extend(held)
                if name == "good":
                    for figure, held in peer(
                        kind, n, classes, min(draws, PEER_DRAWS), np.random.default_rng(seed)
                    ).items():
                        whole["bootstrap"].setdefault(f"{figure}|{n}|{classes}", []).extend(held)
            for figure, held in pooled.items():
                whole["svertka"][f"{figure}|{n}|{classes}"] = held
            print(
                classes,
                n,
                {figure: round(100 * float(np.mean(held)), 1) for figure, held in pooled.items()},
                flush=True,
            )
    names = list(dict.fromkeys(key.split("|")[0] for key in whole["svertka"]))
    sides, rows = {}, []
    for side, held in whole.items():
        for name in names:
            of_figure = {
                key.partition("|")[2].replace("|", " images, ") + " classes": float(np.mean(value))
                for key, value in held.items()
                if key.split("|")[0] == name
            }
            if of_figure:
                alone = [cell[name] for cell in cells.values()] if side == "svertka" else []
                sides[f"{name}, {side}"] = Side(
                    unit="",
                    samples=list(of_figure.values()),
                    figures=of_figure
                    | ({"one classifier alone": f"{min(alone):.3f} to {max(alone):.3f}"} if alone else {}),
                )
    for name in names:
        ours, theirs = sides[f"{name}, svertka"], sides.get(f"{name}, bootstrap")
        note = f"the bootstrap's: {min(theirs.samples):.3f} to {max(theirs.samples):.3f}" if theirs else ""
        what = f"{name.replace('_', ' ')}: share of test sets whose interval holds the truth"
        against = f"{len(IMAGES) * len(CLASSES)} cells, "
        rows.append(
            Row(
                what=what, against=against + "the lowest", measured=min(ours.samples), target=LOWEST, unit="", note=note
            )
        )
        rows.append(
            Row(
                what=what,
                against=against + "the highest",
                measured=max(ours.samples),
                target=HIGHEST,
                better="at most",
                unit="",
            )
        )
    write_result(
        "coverage",
        "Intervals: how often they hold the truth",
        sides=sides,
        rows=rows,
        config={
            "classifiers": {name: f"{kind}" for name, kind in CLASSIFIERS.items()},
            "draws": f"{draws} of each classifier in each cell; {min(draws, PEER_DRAWS)} for the bootstrap",
        },
        threads=1,
        warm_up="none",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
