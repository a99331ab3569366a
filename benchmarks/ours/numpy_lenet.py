"""LeNet-5 trained in svertka's engine; prints seconds an epoch and test accuracy as JSON.

Usage: numpy_lenet.py DIGITS.npz EPOCHS SEED
"""

import json
import statistics
import sys
import time

import numpy as np

from svertka.engine.dense import cross_entropy
from svertka.engine.lenet import lenet5
from svertka.engine.optim import SGD

BATCH, RATE, MOMENTUM = 64, 0.02, 0.9


def main() -> None:
    data, epochs, seed = np.load(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    x, labels = data["x"], data["labels"]
    network, optimiser = lenet5(seed), SGD(rate=RATE, momentum=MOMENTUM)
    parameters = network.parameters()
    state, rng, seconds = optimiser.begin(parameters), np.random.default_rng(seed), []
    for _ in range(epochs):
        network.set_training(True, rng)
        start = time.perf_counter()
        order = rng.permutation(len(x))
        for first in range(0, len(x), BATCH):
            rows = order[first : first + BATCH]
            loss = cross_entropy(network.body.forward(x[rows]), labels[rows])
            network.body.backward(loss.gradient)
            optimiser.step(parameters, state, 1.0)
        seconds.append(time.perf_counter() - start)
    accuracy = float((network(data["test_x"]).argmax(axis=1) == data["test_labels"]).mean())
    print(json.dumps({"epoch_s": statistics.median(seconds[1:]), "accuracy": accuracy}))


if __name__ == "__main__":
    main()
