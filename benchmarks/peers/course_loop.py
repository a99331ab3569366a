"""Transfer learning as courses teach it: the frozen backbone runs over every image again in every epoch.

PIL ImageFolder, torchvision's v1 transforms, DataLoader in the same process, batch 32, Adam 1e-3 on the new head,
train and validation each epoch. ``model.train()`` is called as in the course, so BatchNorm uses batch statistics.
Prints one line of JSON: seconds of each epoch, and test figures (not timed).

Usage: course_loop.py FOLDER [--epochs 10]
"""

import argparse
import json
import time
from pathlib import Path

import torch
from network import MEAN, SIZE_PX, STD, efficientnet_lite0, test_figures
from torch import nn, optim
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


def train_epoch(model, loader, optimizer, criterion):
    model.train()
    total_loss, correct, total = 0.0, 0, 0
    for inputs, labels in loader:
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        total_loss += loss.item() * len(labels)
        correct += (outputs.argmax(1) == labels).sum().item()
        total += len(labels)
    return total_loss / total, correct / total


def validate(model, loader, criterion):
    model.eval()
    total_loss, correct, total = 0.0, 0, 0
    with torch.no_grad():
        for inputs, labels in loader:
            outputs = model(inputs)
            total_loss += criterion(outputs, labels).item() * len(labels)
            correct += (outputs.argmax(1) == labels).sum().item()
            total += len(labels)
    return total_loss / total, correct / total


def test(model, loader):
    model.eval()
    with torch.no_grad():
        pairs = [(model(inputs).softmax(1), labels) for inputs, labels in loader]
    probabilities, labels = (torch.cat(parts).numpy() for parts in zip(*pairs, strict=True))
    return test_figures(labels, probabilities)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    torch.manual_seed(0)
    transform = transforms.Compose(
        [transforms.Resize((SIZE_PX, SIZE_PX)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    )
    parts = {name: datasets.ImageFolder(options.folder / name, transform) for name in ("train", "val", "test")}
    loaders = {name: DataLoader(part, batch_size=32, shuffle=name == "train") for name, part in parts.items()}
    model = efficientnet_lite0(len(parts["train"].classes))
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith("classifier")
    optimizer = optim.Adam((p for p in model.parameters() if p.requires_grad), lr=0.001)
    criterion = nn.CrossEntropyLoss()

    epochs = []
    for _ in range(options.epochs):
        start = time.perf_counter()
        train_loss, _ = train_epoch(model, loaders["train"], optimizer, criterion)
        val_loss, val_accuracy = validate(model, loaders["val"], criterion)
        epochs.append(
            {
                "seconds": time.perf_counter() - start,
                "train_loss": train_loss,
                "val_loss": val_loss,
                "val_accuracy": val_accuracy,
            }
        )
    print(json.dumps({"epochs": epochs, "test": test(model, loaders["test"])}))


if __name__ == "__main__":
    main()
