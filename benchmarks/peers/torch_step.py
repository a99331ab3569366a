"""Twenty training steps of torchvision's network in a plain eager loop. Prints one line of JSON: seconds, losses.

Nothing is set that a user wouldn't set: NCHW, float32, all cores, the system's allocator. Start weights are written to
a file first, so that the other side can begin with the same ones.

Usage:
    torch_step.py weights NETWORK FILE
    torch_step.py train NETWORK FILE BATCH SIZE_PX STEPS
"""

import json
import sys
import time

import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn

SMALL = "_small"
"""After a network's name: the stem for small images, as everybody writes it who trains a ResNet on CIFAR-10."""


def build(name: str) -> nn.Module:
    network = getattr(torchvision.models, name.removesuffix(SMALL))(weights=None)
    if name.endswith(SMALL):
        network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        network.maxpool = nn.Identity()
    return network


def main() -> None:
    mode, name, file, *numbers = sys.argv[1:]
    torch.manual_seed(0)
    network = build(name)
    if mode == "weights":
        save_file(network.state_dict(), file)
        return
    network.load_state_dict(load_file(file))
    batch, size_px, steps = map(int, numbers)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)
    criterion = nn.CrossEntropyLoss()
    network.train()
    seconds, losses = [], []
    for step in range(steps):
        torch.manual_seed(step)
        inputs, labels = torch.randn(batch, 3, size_px, size_px), torch.randint(1000, (batch,))
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = criterion(network(inputs), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "losses": losses}))


if __name__ == "__main__":
    main()
