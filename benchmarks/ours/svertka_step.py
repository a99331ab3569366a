"""Twenty training steps of svertka's network, set up as `svertka lab race` does. Prints seconds and losses as JSON.

Usage: svertka_step.py NETWORK FILE BATCH SIZE_PX STEPS    (FILE: start weights with torchvision's names)
"""

import json
import sys
import time

from svertka.util import runtime

runtime.setup()  # before torch makes its first large allocation

import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from svertka.architectures import build  # noqa: E402
from svertka.backbones.state_dicts import load_state  # noqa: E402
from svertka.lab.training_loop import sgd, train_step  # noqa: E402

SMALL = "_small"


def main() -> None:
    name, file, *numbers = sys.argv[1:]
    batch, size_px, steps = map(int, numbers)
    network = build(name.removesuffix(SMALL), small_images=name.endswith(SMALL))
    load_state(network, load_file(file), file)
    network = network.to(memory_format=torch.channels_last).train()
    optimizer = sgd(network.parameters(), lr=1e-4)
    seconds, losses = [], []
    for step in range(steps):
        torch.manual_seed(step)
        x, labels = torch.randn(batch, 3, size_px, size_px), torch.randint(1000, (batch,))
        start = time.perf_counter()
        loss, _ = train_step(network, optimizer, x.contiguous(memory_format=torch.channels_last), labels)
        seconds.append(time.perf_counter() - start)
        losses.append(loss)
    print(json.dumps({"seconds": seconds, "losses": losses}))


if __name__ == "__main__":
    main()
