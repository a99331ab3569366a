"""One network by the NumPy twin and by torch eager, in one process or, for memory, in one each.

Usage:
    svertka_twin.py export NETWORK FILE
    svertka_twin.py time NETWORK FILE BATCH THREADS ROUNDS
    svertka_twin.py agree NETWORK FILE FOLDER THREADS
    svertka_twin.py memory-twin|memory-torch NETWORK FILE BATCH

torchvision's networks have random weights and random BatchNorm statistics (weights=None): speed and agreement don't
depend on what a network has learnt. EfficientNet-Lite0 is svertka's own backbone with its ImageNet weights.
"""

import json
import sys
import time
import warnings
from pathlib import Path

from svertka.util import runtime

SIZE_PX = 224


def network(name: str):
    import torch
    import torchvision

    torch.manual_seed(0)
    if name == "efficientnet_lite0":
        from svertka.backbones.load import load_backbone

        return load_backbone().module.eval()
    module = getattr(torchvision.models, name)(weights=None)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.75, 1.25)
            part.weight.data.uniform_(0.75, 1.25)
            part.bias.data.normal_(0, 0.1)
    return module.eval()


def export(name: str, file: str) -> None:
    import torch

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        example = torch.zeros(2, 3, SIZE_PX, SIZE_PX)
        free = {"x": {0: "N"}, "y": {0: "N"}}
        torch.onnx.export(
            network(name), (example,), file, dynamo=False, opset_version=17,
            input_names=["x"], output_names=["y"], dynamic_axes=free,
        )  # fmt: skip


def random_images(batch: int):
    import numpy as np

    return np.random.default_rng(0).standard_normal((batch, 3, SIZE_PX, SIZE_PX), dtype=np.float32)


def measure(name: str, file: str, batch: str, threads: str, rounds: str) -> dict:
    """Seconds of each side, in turn, every other round backwards; the first round warms up."""
    import torch

    from svertka.inference.numpy_backend import NumpySession

    torch.set_num_threads(int(threads))
    twin, x = NumpySession.from_onnx(file, int(threads)), random_images(int(batch))
    x_torch = torch.from_numpy(x)
    x_last = x_torch.to(memory_format=torch.channels_last)
    eager, last = network(name), network(name).to(memory_format=torch.channels_last)
    sides = {"twin": lambda: twin(x), "torch": lambda: eager(x_torch), "torch channels_last": lambda: last(x_last)}
    # One thread: processor time, which other processes on the machine don't disturb. Two: the clock on the wall.
    clock = time.process_time if threads == "1" else time.perf_counter
    samples = {side: [] for side in sides}
    with torch.inference_mode():
        for number in range(int(rounds) + 1):
            for side in list(sides) if number % 2 else list(reversed(sides)):
                start = clock()
                sides[side]()
                if number:
                    samples[side].append(clock() - start)
    return samples


def agree(name: str, file: str, folder: str, threads: str) -> dict:
    """Largest difference of logits over the largest logit, and equal first places, on real images."""
    import numpy as np
    import torch

    from svertka.data import decode
    from svertka.inference.numpy_backend import NumpySession
    from svertka.schema import Preprocess

    torch.set_num_threads(int(threads))
    preprocess = Preprocess(size_px=SIZE_PX, interpolation="bilinear")
    twin, eager = NumpySession.from_onnx(file, int(threads)), network(name)
    differences, same, labels, count = [], 0, set(), 0
    files = sorted(Path(folder).rglob("*.png"))
    for start in range(0, len(files), 8):
        pixels = np.stack([decode.load(path, preprocess) for path in files[start : start + 8]])
        x = np.ascontiguousarray((pixels.transpose(0, 3, 1, 2) / np.float32(127.5) - 1), np.float32)
        with torch.inference_mode():
            expected = eager(torch.from_numpy(x)).numpy()
        received = twin(x)
        differences.append(float(np.abs(received - expected).max() / np.abs(expected).max()))
        same += int((received.argmax(axis=1) == expected.argmax(axis=1)).sum())
        labels.update(expected.argmax(axis=1).tolist())
        count += len(x)
    return {"images": count, "relative_error": max(differences), "same_top1": same, "different_top1": len(labels)}


def memory(side: str, name: str, file: str, batch: str) -> dict:
    """Peak resident memory of a process with this side alone, after three forward passes."""
    x = random_images(int(batch))
    if side == "memory-twin":
        from svertka.inference.numpy_backend import NumpySession

        imported = runtime.peak_memory_mb()
        twin = NumpySession.from_onnx(file)
        for _ in range(3):
            twin(x)
    else:
        import torch
        import torchvision  # noqa: F401

        imported = runtime.peak_memory_mb()
        torch.set_num_threads(1)
        eager = network(name)
        with torch.inference_mode():
            for _ in range(3):
                eager(torch.from_numpy(x))
    return {"peak_mb": runtime.peak_memory_mb(), "after_imports_mb": imported}


def main() -> None:
    mode, *arguments = sys.argv[1:]
    runtime.setup(int(arguments[3]) if mode in ("time", "agree") else 1)
    if mode == "export":
        export(*arguments)
    elif mode == "time":
        print(json.dumps(measure(*arguments)))
    elif mode == "agree":
        print(json.dumps(agree(*arguments)))
    else:
        print(json.dumps(memory(mode, *arguments)))


if __name__ == "__main__":
    main()
