"""Logits of random images through torchvision's network in eager mode, as a user writes it.

The clock runs from uint8 images to logits. Prints one line of JSON: seconds of each pass; logits go to a file.

Usage: torch_logits.py NETWORK WEIGHTS BATCH SIZE_PX PASSES LOGITS
"""

import json
import sys
import time

import numpy as np
import torch
from network import MEAN, STD
from safetensors.torch import load_file
from torch_step import build


def main() -> None:
    name, weights, *numbers, logits = sys.argv[1:]
    batch, size_px, passes = map(int, numbers)
    network = build(name)
    network.load_state_dict(load_file(weights))
    network.eval()
    images = np.random.default_rng(0).integers(0, 256, (batch, size_px, size_px, 3), np.uint8)
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    seconds = []
    with torch.inference_mode():
        for _ in range(passes):
            start = time.perf_counter()
            x = (torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float() / 255 - mean) / std
            found = network(x).numpy()
            seconds.append(time.perf_counter() - start)
    np.save(logits, found)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
