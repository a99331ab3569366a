"""Writes cases that hold the course's pages to the engine: ``python -m svertka.course.site_golden FILE``.

They are committed as ``web/test/course/golden.json``. Numbers of the inputs come from a generator that the browser has
too (``web/model/chance.ts``), so a case holds its seed and what the engine makes of it.

Shapes: H/W input, K/L kernel, P/Q output, C channels, O filters.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svertka.engine import filters, geometry, pooling
from svertka.engine.convolution import conv2d, conv2d_backward
from svertka.errors import ShapeError
from svertka.page.golden import noise

Case = dict[str, Any]
Matrix = NDArray[np.float64]


def site_cases() -> dict[str, list[Case]]:
    """All cases by their kind."""
    makers: dict[str, Callable[[], Iterator[Case]]] = {
        "convolution": _convolutions,
        "sizes": _sizes,
        "pooling": _poolings,
        "learning": _steps,
        "channels": _channels,
        "planes": _planes,
    }
    return {name: list(make()) for name, make in makers.items()}


def main(out: Path) -> None:
    """Writes the cases into one JSON file."""
    text = json.dumps(site_cases(), separators=(",", ":"), allow_nan=False)
    out.write_text(text + "\n", encoding="utf-8")


def drawn(rows: int, columns: int, seed: int, low: int = -4, high: int = 9) -> Matrix:
    """Whole numbers [rows, columns] from ``low`` to ``high``, as ``Chance.whole`` draws them row by row."""
    found: Matrix = low + noise(rows, columns, 1, seed)[:, :, 0].astype(np.float64) % (high - low + 1)
    return found


def _convolutions() -> Iterator[Case]:
    """Sizes, strides, paddings, turned kernels; and how one output comes about."""
    shapes = ((5, 5, 3, 3), (4, 4, 2, 2), (6, 7, 3, 2), (3, 9, 1, 5), (7, 7, 5, 5))
    seed = 0
    for height, width, rows, columns in shapes:
        for padding in (0, 1, 2):
            for stride in (1, 2, 3):
                for turn in (False, True):
                    for _ in range(5):
                        seed += 1
                        yield _convolution((height, width, rows, columns), padding, stride, turn, seed)


def _convolution(shape: tuple[int, int, int, int], padding: int, stride: int, turn: bool, seed: int) -> Case:
    image, kernel = drawn(*shape[:2], seed), drawn(*shape[2:], seed + 10_000)
    how: Any = {"stride": stride, "padding": padding, "padding_mode": "zeros"}
    output = (filters.convolve if turn else filters.correlate)(image, kernel, **how)
    at = (seed % output.shape[0], seed // 3 % output.shape[1])
    parts = filters.explain(image, kernel[::-1, ::-1] if turn else kernel, at, **how)
    return {
        "shape": shape, "padding": padding, "stride": stride, "turn": turn, "seed": seed, "output": _whole(output),
        "at": at, "top": parts.rows[0], "left": parts.columns[0], "window": _whole(parts.window),
        "products": _whole(parts.products),
    }  # fmt: skip


def _sizes() -> Iterator[Case]:
    """Output sizes; 0 where no window fits."""
    for size in (*range(1, 18), 28, 32, 128, 224, 227, 512):
        for kernel in (1, 2, 3, 5, 7, 11):
            for padding in (0, 1, 2, 3):
                for stride in (1, 2, 4):
                    try:
                        output = geometry.output_size(size, kernel, stride, padding)
                    except ShapeError:
                        output = 0
                    yield {"of": [size, kernel, padding, stride], "output": output}


def _poolings() -> Iterator[Case]:
    seed = 0
    for height, width in ((4, 4), (6, 6), (5, 7)):
        for side in (1, 2, 3):
            for stride in (1, 2, 3):
                for kind in ("max", "mean"):
                    for _ in range(6):
                        seed += 1
                        yield _pooling(height, width, side, stride, kind, seed)


def _pooling(height: int, width: int, side: int, stride: int, kind: Any, seed: int) -> Case:
    image = drawn(height, width, seed)
    pool = pooling.max_pool2d if kind == "max" else pooling.avg_pool2d
    output = pool(image[None, None], side, stride=stride)[0, 0]
    at = (seed % output.shape[0], seed // 3 % output.shape[1])
    parts = pooling.explain(image, side, at, stride=stride, kind=kind)
    return {
        "size": [height, width], "side": side, "stride": stride, "kind": kind, "seed": seed,
        "output": output.tolist(), "at": at, "winner": parts.winner, "ties": parts.ties, "value": parts.value,
    }  # fmt: skip


def _steps() -> Iterator[Case]:
    """One convolution that learns: the loss is the mean of the squared errors."""
    for seed in range(1, 151):
        size, side = (4, 3, 5)[seed % 3], (2, 2, 3)[seed % 3]
        outputs = size - side + 1
        image, kernel = drawn(size, size, seed), drawn(side, side, seed + 10_000, -2, 2)
        target = drawn(outputs, outputs, seed + 20_000)
        x, w = image[None, None], kernel[None, None]
        output = conv2d(x, w)
        error = output - target
        gradients = conv2d_backward(2 * error / error.size, x, w)
        stepped = w - 0.05 * gradients.w
        yield {
            "size": size, "side": side, "seed": seed, "output": _whole(output[0, 0]),
            "loss": float((error**2).mean()), "gradient": gradients.w[0, 0].tolist(),
            "after": float(((conv2d(x, stepped) - target) ** 2).mean()),
        }  # fmt: skip


def _channels() -> Iterator[Case]:
    """One output of a filter of three channels."""
    for seed in range(1, 121):
        height, width, side = 4 + seed % 3, 5, (1, 3)[seed % 2]
        x = np.stack([drawn(height, width, seed + 1000 * channel) for channel in range(3)])
        w = np.stack([drawn(side, side, seed + 5000 + 1000 * channel, -2, 2) for channel in range(3)])
        yield {"size": [height, width], "side": side, "seed": seed, "output": _whole(conv2d(x[None], w[None])[0, 0])}


def _planes() -> Iterator[Case]:
    """Every named kernel on a photograph's plane, zeros beyond the border, the result as large as the plane."""
    for seed, (name, one) in enumerate(filters.bank().items(), 1):
        for height, width in ((9, 12), (20, 17)):
            plane = noise(height, width, 1, seed)[:, :, 0].astype(np.float64)
            output = filters.correlate(plane, one.kernel, padding="same", padding_mode="zeros")
            yield {
                "name": name, "kernel": one.kernel.tolist(), "size": [height, width], "seed": seed,
                "output": np.round(output, 6).tolist(),
            }  # fmt: skip


def _whole(values: NDArray[Any]) -> Any:
    """Numbers that are whole, as such."""
    return np.rint(values).astype(int).tolist()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
