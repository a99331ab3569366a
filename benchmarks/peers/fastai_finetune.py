"""fastai's ``vision_learner(...).fine_tune(3)`` with the same network and weights, as its documentation shows it.

One epoch with the body frozen, then three with all layers, batch 64 (fastai's default), no worker processes.
Prints one line of JSON: seconds of every epoch and of the whole training, and test figures (not timed).

``--extrapolate`` trains one frozen and one full epoch only and multiplies the full one by three; the output says so.

Usage: fastai_finetune.py FOLDER [--extrapolate]    (with the interpreter of fastai_environment.py)
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

FULL_EPOCHS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--extrapolate", action="store_true")
    options = parser.parse_args()
    start = time.perf_counter()
    warnings.filterwarnings("ignore", category=FutureWarning)  # fastcore uses torch.jit.script
    from fastai.vision.all import (
        Callback,
        ImageDataLoaders,
        Normalize,
        Resize,
        ResizeMethod,
        get_image_files,
        set_seed,
        vision_learner,
    )
    from network import MEAN, SIZE_PX, STD, efficientnet_lite0, test_figures

    class EpochClock(Callback):
        """Notes how long each epoch takes, validation included."""

        seconds: list[float] = []  # noqa: RUF012  (fastai copies callbacks; one list for all is what we want)

        def before_epoch(self) -> None:
            self.began = time.perf_counter()

        def after_epoch(self) -> None:
            self.seconds.append(time.perf_counter() - self.began)

    set_seed(0)
    imported = time.perf_counter() - start
    loaders = ImageDataLoaders.from_folder(
        options.folder,
        train="train",
        valid="val",
        item_tfms=Resize(SIZE_PX, ResizeMethod.Squish),
        batch_tfms=Normalize.from_stats(MEAN, STD, cuda=False),
        num_workers=0,
    )
    learner = vision_learner(
        loaders, lambda pretrained: efficientnet_lite0(1000), normalize=False, cut=-2, cbs=EpochClock()
    )
    began = time.perf_counter()
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(1 if options.extrapolate else FULL_EPOCHS)
    training = time.perf_counter() - began
    epochs = list(EpochClock.seconds)
    if options.extrapolate:
        training += (FULL_EPOCHS - 1) * epochs[-1]
    files = get_image_files(options.folder / "test")
    with learner.no_bar():
        probabilities, _ = learner.get_preds(dl=loaders.test_dl(files))
    vocabulary = list(loaders.vocab)
    labels = [vocabulary.index(file.parent.name) for file in files]
    result = {
        "import_seconds": imported,
        "epoch_seconds": epochs,
        "training_seconds": training,
        "extrapolated": options.extrapolate,
        "test": test_figures(labels, probabilities.numpy()),
        "fastai": sys.modules["fastai"].__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
