"""Forward and backward of convolutions in torch, eager; prints seconds a layer as JSON.

Usage: torch_conv2d.py LAYERS REPEATS THREADS nchw|channels_last
(LAYERS: JSON, name to [batch, in, out, side, kernel, stride, padding])
"""

import json
import statistics
import sys
import time

import torch
from torch.nn import functional as F


def measure(shape: list[int], repeats: int, memory: torch.memory_format) -> float:
    batch, channels, outputs, side, kernel, stride, padding = shape
    torch.manual_seed(0)
    x = torch.randn(batch, channels, side, side).contiguous(memory_format=memory).requires_grad_()
    w = (torch.randn(outputs, channels, kernel, kernel) / (channels * kernel * kernel) ** 0.5).contiguous(
        memory_format=memory
    )
    w.requires_grad_()
    b = torch.zeros(outputs, requires_grad=True)
    dy = torch.randn(F.conv2d(x, w, b, stride, padding).shape).contiguous(memory_format=memory)
    seconds = []
    for _ in range(repeats + 1):
        x.grad = w.grad = b.grad = None
        start = time.perf_counter()
        F.conv2d(x, w, b, stride, padding).backward(dy)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def main() -> None:
    layers, repeats = json.loads(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(int(sys.argv[3]))
    memory = torch.channels_last if sys.argv[4] == "channels_last" else torch.contiguous_format
    print(json.dumps({name: measure(shape, repeats, memory) for name, shape in layers.items()}))


if __name__ == "__main__":
    main()
