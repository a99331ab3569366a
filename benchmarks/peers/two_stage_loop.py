"""Two-stage training as the course has it (``two_stage_training`` of its chapter on transfer learning).

Stage 1: the new classifier alone, Adam 1e-3; stage 2: everything, Adam 1e-4. PIL ImageFolder, v1 transforms,
DataLoader in the same process, batch 32, train and validation each epoch; ``model.train()`` throughout, so BatchNorm
uses and updates batch statistics even where everything is frozen. The weights of the last epoch are kept.
Prints one line of JSON: seconds of each epoch by stage, and test figures (not timed).

Usage: two_stage_loop.py FOLDER [--epochs 10 10]
"""

import argparse
import json
import time
from pathlib import Path

import torch
from course_loop import test, train_epoch, validate
from network import MEAN, SIZE_PX, STD, efficientnet_lite0
from torch import nn, optim
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, nargs=2, default=(10, 10), metavar=("FIRST", "SECOND"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    transform = transforms.Compose(
        [transforms.Resize((SIZE_PX, SIZE_PX)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    )
    parts = {name: datasets.ImageFolder(options.folder / name, transform) for name in ("train", "val", "test")}
    loaders = {name: DataLoader(part, batch_size=32, shuffle=name == "train") for name, part in parts.items()}
    model = efficientnet_lite0(len(parts["train"].classes))
    criterion = nn.CrossEntropyLoss()

    seconds: list[list[float]] = []
    for stage, (epochs, rate) in enumerate(zip(options.epochs, (0.001, 0.0001), strict=True)):
        for name, parameter in model.named_parameters():
            parameter.requires_grad = stage == 1 or name.startswith("classifier")
        optimizer = optim.Adam((p for p in model.parameters() if p.requires_grad), lr=rate)
        seconds.append([])
        for _ in range(epochs):
            start = time.perf_counter()
            train_epoch(model, loaders["train"], optimizer, criterion)
            validate(model, loaders["val"], criterion)
            seconds[-1].append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "test": test(model, loaders["test"])}))


if __name__ == "__main__":
    main()
