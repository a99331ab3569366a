"""Forward and backward of convolutions in svertka's engine; prints seconds a layer as JSON.

Usage: numpy_conv2d.py LAYERS REPEATS own|nchw
(LAYERS: JSON, name to [batch, in, out, side, kernel, stride, padding])
"""

import json
import statistics
import sys
import time

import numpy as np

from svertka.engine.convolution import conv2d, conv2d_backward


def measure(shape: list[int], repeats: int, memory: str) -> float:
    batch, channels, outputs, side, kernel, stride, padding = shape
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, channels, side, side), np.float32)
    w = rng.standard_normal((outputs, channels, kernel, kernel), np.float32)
    w /= np.float32(np.sqrt(channels * kernel * kernel))
    b = np.zeros(outputs, np.float32)
    dy = rng.standard_normal(conv2d(x, w, b, stride=stride, padding=padding).shape, np.float32)
    if memory == "own" and channels > 8:  # as the layer before would hand it on: channels innermost
        x, dy = (np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for array in (x, dy))
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        conv2d(x, w, b, stride=stride, padding=padding)
        conv2d_backward(dy, x, w, stride=stride, padding=padding)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def main() -> None:
    layers, repeats, memory = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    print(json.dumps({name: measure(shape, repeats, memory) for name, shape in layers.items()}))


if __name__ == "__main__":
    main()
