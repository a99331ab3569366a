"""One fine-tuning epoch of svertka's own loop. Prints one line of JSON: seconds (training and validation), losses.

As in a run, images were decoded by the scan before; the loop, its augmentation, weight averaging, validation and
checkpoint are those of ``svertka train --strategy lp-ft``. The head starts at zero; its values cost no time.

Usage: svertka_epoch.py FOLDER
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from svertka.util import runtime

runtime.setup(threads=1)  # as the pipeline does: before torch makes its first large allocation

from svertka.backbones.load import load_backbone  # noqa: E402
from svertka.config import FineTune, RunConfig  # noqa: E402
from svertka.data.loader import ImageSource  # noqa: E402
from svertka.data.pixels import PixelStore, cache_dir  # noqa: E402
from svertka.data.scan import scan  # noqa: E402
from svertka.data.split import make_split  # noqa: E402
from svertka.features.linear_head import LinearHead  # noqa: E402
from svertka.training import loop  # noqa: E402
from svertka.training.classifier import Classifier  # noqa: E402
from svertka.training.strategies import make_strategy  # noqa: E402
from svertka.training.task import Task  # noqa: E402


def main() -> None:
    config = RunConfig(data=sys.argv[1], threads=1)
    backbone, cache = load_backbone(), cache_dir()
    catalog = scan(config.data, config=config, preprocess=backbone.preprocess, cache=cache)
    split, store = make_split(catalog, config), PixelStore(cache, backbone.preprocess)
    classes, width = len(catalog.class_names), sum(backbone.widths)
    head = LinearHead(
        np.zeros(width, np.float32),
        np.ones(width, np.float32),
        np.zeros((classes, width), np.float32),
        np.zeros(classes, np.float32),
    )
    task = Task(
        backbone=backbone,
        strategy=make_strategy("lp-ft", FineTune(max_epochs=1), len(backbone.stages)),
        train=ImageSource.of(catalog, split.train, store),
        val=ImageSource.of(catalog, split.val, store),
        seed=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        (row,) = loop.train(Classifier(backbone.module, head), task, Path(folder))
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "train_loss": row.train_loss, "val_loss": row.val_loss}))


if __name__ == "__main__":
    main()
