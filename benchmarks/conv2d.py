"""Convolution alone, forward and backward: svertka's NumPy engine against torch, on 12 layers of VGG-16 and ResNet-50.

All three gradients (input, kernels, bias), float32, batch 8. Torch is measured in both memory formats, and the better
sum counts for each layer. svertka is measured as its layers hand arrays on (channels innermost in memory), which the
table judges, and from plain NCHW memory.
"""

import json
import math
import statistics
import sys
from typing import Any

from common import ALLOCATOR_KEPT, OURS, PEERS, Row, Side, alternate, arguments, load, run, write_result

BATCH = 8
LAYERS = {  # in, out, side, kernel, stride, padding
    "VGG-16 conv1_1": (3, 64, 224, 3, 1, 1),
    "VGG-16 conv1_2": (64, 64, 224, 3, 1, 1),
    "VGG-16 conv2_2": (128, 128, 112, 3, 1, 1),
    "VGG-16 conv3_2": (256, 256, 56, 3, 1, 1),
    "VGG-16 conv4_2": (512, 512, 28, 3, 1, 1),
    "VGG-16 conv5_2": (512, 512, 14, 3, 1, 1),
    "ResNet-50 conv1": (3, 64, 224, 7, 2, 3),
    "ResNet-50 conv2, 1 × 1 wider": (64, 256, 56, 1, 1, 0),
    "ResNet-50 conv2, 1 × 1 narrower": (256, 64, 56, 1, 1, 0),
    "ResNet-50 conv3, 3 × 3 stride 2": (128, 128, 56, 3, 2, 1),
    "ResNet-50 conv4, shortcut": (512, 1024, 28, 1, 2, 0),
    "ResNet-50 conv5, 3 × 3": (512, 512, 7, 3, 1, 1),
}
TARGET = 1.1


def compare(threads: int, rounds: int, tiny: bool) -> tuple[dict[str, Side], Row]:
    """Measures both sides with so many threads."""
    names = list(LAYERS)[-2:] if tiny else list(LAYERS)
    layers = json.dumps({name: (1 if tiny else BATCH, *LAYERS[name]) for name in names})
    env = ALLOCATOR_KEPT | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))

    def side(script: Any, *words: object) -> dict[str, float]:
        command = [sys.executable, script, layers, 3, *words]
        return run([str(part) for part in command], env, one_core=threads == 1).last_json()

    samples = alternate(
        {
            "svertka": lambda: side(OURS / "numpy_conv2d.py", "own"),
            "svertka, NCHW memory": lambda: side(OURS / "numpy_conv2d.py", "nchw"),
            "torch, NCHW": lambda: side(PEERS / "torch_conv2d.py", threads, "nchw"),
            "torch, channels_last": lambda: side(PEERS / "torch_conv2d.py", threads, "channels_last"),
        },
        rounds,
    )
    median = {key: {name: statistics.median(r[name] for r in runs) for name in names} for key, runs in samples.items()}
    best = {name: min(median["torch, NCHW"][name], median["torch, channels_last"][name]) for name in names}
    ratios = {
        key: {name: median[key][name] / best[name] for name in names} for key in ("svertka", "svertka, NCHW memory")
    }
    sides = {
        f"{key}, threads {threads}": Side(
            unit="s",
            samples=[sum(result.values()) for result in runs],
            note="all layers",
            figures={"ratio": {name: round(ratio, 2) for name, ratio in ratios[key].items()}} if key in ratios else {},
        )
        for key, runs in samples.items()
    }
    row = Row(
        what=f"Convolution forward and backward, geometric mean of {len(names)} layers, threads: {threads}",
        against="torch eager, better of NCHW and channels_last",
        measured=geometric_mean(ratios["svertka"].values()),
        target=TARGET,
        better="at most",
        unit="of its time",
        note=f"from plain NCHW memory {geometric_mean(ratios['svertka, NCHW memory'].values()):.2f}",
    )
    return sides, row


def geometric_mean(values: Any) -> float:
    return math.exp(statistics.fmean(math.log(value) for value in values))


def main() -> None:
    options = arguments(__doc__, rounds=3).parse_args()
    busy = load()
    results = [compare(threads, options.rounds, options.tiny) for threads in (1, 2)]
    write_result(
        "conv2d",
        "Convolution in NumPy",
        sides={name: side for sides, _ in results for name, side in sides.items()},
        rows=[row for _, row in results],
        config={"layers": f"{len(LAYERS)}, batch {BATCH}, float32, with bias; median of 3 passes a layer and round"},
        threads=2,
        warm_up="one pass a layer in each process",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
