"""One fine-tuning epoch as a torch user writes it: all layers train, float32, batch 32, AdamW.

PIL ImageFolder, torchvision's v1 transforms with the same kinds of augmentation as svertka's, DataLoader in the same
process; BatchNorm keeps its stored statistics, as svertka's does. Prints one line of JSON: seconds of the epoch
(training and validation), its losses.

Usage: torch_epoch.py FOLDER
"""

import json
import sys
import time
from pathlib import Path

import torch
from network import MEAN, SIZE_PX, STD, efficientnet_lite0
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


def main() -> None:
    folder = Path(sys.argv[1])
    torch.manual_seed(0)
    end = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    augmented = transforms.Compose(
        [
            transforms.RandomResizedCrop(SIZE_PX, scale=(0.7, 1.0), ratio=(1.0, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.ColorJitter(brightness=0.1, contrast=0.1),
            *end,
        ]
    )
    plain = transforms.Compose([transforms.Resize((SIZE_PX, SIZE_PX)), *end])
    train = DataLoader(datasets.ImageFolder(folder / "train", augmented), batch_size=32, shuffle=True)
    val = DataLoader(datasets.ImageFolder(folder / "val", plain), batch_size=32)
    model = efficientnet_lite0(len(train.dataset.classes))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)

    start = time.perf_counter()
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    train_loss = val_loss = 0.0
    for inputs, labels in train:
        optimizer.zero_grad()
        loss = criterion(model(inputs), labels)
        loss.backward()
        optimizer.step()
        train_loss += loss.item() * len(labels)
    model.eval()
    with torch.no_grad():
        for inputs, labels in val:
            val_loss += criterion(model(inputs), labels).item() * len(labels)
    seconds = time.perf_counter() - start
    losses = {"train_loss": train_loss / len(train.dataset), "val_loss": val_loss / len(val.dataset)}
    print(json.dumps({"seconds": seconds, **losses}))


if __name__ == "__main__":
    main()
