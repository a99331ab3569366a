"""From scratch as a tutorial does it: Adam 1e-3, cross-entropy, shuffled batches, the weights of the last epoch.

All images lie in memory before the clock starts, so no time goes into decoding. Prints accuracy and, for two classes,
ROC AUC on the test images, epochs and seconds as one line of JSON.

Usage: torch_scratch.py DATA.npz NETWORK SEED --epochs N | --seconds S    (NETWORK: lenet5 or small_cnn)
"""

import argparse
import json
import time

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

BATCH, RATE = 64, 1e-3


def lenet5() -> nn.Module:
    """As taught: ReLU, maximum pooling; gray 28 px images."""
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def same_network(x: torch.Tensor, classes: int) -> nn.Module:
    """The network of svertka's small recipe, whitened by the same number of images."""
    from svertka.architectures.small import small_cnn

    network = small_cnn(num_classes=classes)
    network.whiten.fit(x[torch.randperm(len(x))[:256]])
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("network", choices=("lenet5", "small_cnn"))
    parser.add_argument("seed", type=int)
    parser.add_argument("--epochs", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    data = np.load(options.data)
    x, test_x = (torch.from_numpy(data[name]).permute(0, 3, 1, 2).float() / 127.5 - 1 for name in ("x", "test_x"))
    labels = torch.from_numpy(data["labels"])
    if options.network == "lenet5":
        x, test_x, network = x[:, :1], test_x[:, :1], lenet5()
    else:
        network = same_network(x, int(labels.max()) + 1)
    optimizer, criterion = torch.optim.Adam(network.parameters(), RATE), nn.CrossEntropyLoss()
    start, epochs = time.perf_counter(), 0
    while epochs < options.epochs and time.perf_counter() - start < options.seconds:
        network.train()
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            criterion(network(x[rows]), labels[rows]).backward()
            optimizer.step()
        epochs += 1
    seconds = time.perf_counter() - start
    network.eval()
    with torch.no_grad():
        p = torch.cat([network(part).softmax(1) for part in test_x.split(64)]).numpy()
    result = {"accuracy": float((p.argmax(1) == data["test_labels"]).mean()), "epochs": epochs, "seconds": seconds}
    if p.shape[1] == 2:
        result["roc_auc"] = float(roc_auc_score(data["test_labels"], p[:, 1]))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
