"""LeNet-5 trained in torch, eager; prints seconds an epoch and test accuracy as JSON.

The same network, initialisation, optimiser, order of work and data as svertka's side.

Usage: torch_lenet.py DIGITS.npz EPOCHS SEED THREADS
"""

import json
import statistics
import sys
import time

import numpy as np
import torch
from torch import nn

BATCH, RATE, MOMENTUM = 64, 0.02, 0.9


def main() -> None:
    data, epochs, seed = np.load(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(int(sys.argv[4]))
    torch.manual_seed(seed)
    x, labels = torch.from_numpy(data["x"]), torch.from_numpy(data["labels"])
    network = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    optimizer, criterion = torch.optim.SGD(network.parameters(), RATE, MOMENTUM), nn.CrossEntropyLoss()
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        order = torch.randperm(len(x))
        for rows in order.split(BATCH):
            optimizer.zero_grad()
            loss = criterion(network(x[rows]), labels[rows])
            loss.backward()
            optimizer.step()
        seconds.append(time.perf_counter() - start)
    with torch.no_grad():
        answers = network(torch.from_numpy(data["test_x"])).argmax(dim=1).numpy()
    accuracy = float((answers == data["test_labels"]).mean())
    print(json.dumps({"epoch_s": statistics.median(seconds[1:]), "accuracy": accuracy}))


if __name__ == "__main__":
    main()
