"""Inference of the architectures: a bundle's engine (ONNX Runtime) against torchvision in eager mode, all cores.

Both begin with the same random weights and end with logits; the clock runs from uint8 images. The peer sets nothing,
as users do, and once more keeps freed memory. The first two passes of each process warm up.
"""

import math
import os
import statistics
from pathlib import Path

import numpy as np
from common import ALLOCATOR_KEPT, OURS, PEERS, Row, Side, alternate, arguments, load, python, scratch, write_result

NETWORKS = {"resnet18": 224, "resnet50": 224, "vgg16_bn": 224, "densenet121": 224, "resnet18_small": 32}
BATCHES = (1, 16)
WARM_UP, PASSES = 2, {1: 22, 16: 7}


def measure(
    name: str, batch: int, size_px: int, passes: int, rounds: int, folder: Path
) -> tuple[dict[str, list[float]], float]:
    """Seconds of the passes that count by side, and the largest difference of logits over the largest logit."""
    weights, plain = folder / f"{name}.safetensors", PEERS / "torch_logits.py"
    if not weights.exists():
        python(PEERS / "torch_step.py", "weights", name, weights)
    words = (name, weights, batch, size_px, passes)
    found = {side: folder / f"{side}.npy" for side in ("ours", "theirs", "kept")}
    samples = alternate(
        {
            "svertka": lambda: python(OURS / "svertka_logits.py", *words, found["ours"], one_core=False),
            "torchvision": lambda: python(plain, *words, found["theirs"], one_core=False),
            "torchvision, allocator kept": lambda: python(
                plain, *words, found["kept"], env=ALLOCATOR_KEPT, one_core=False
            ),
        },
        rounds,
    )
    ours, theirs = np.load(found["ours"]), np.load(found["theirs"])
    seconds = {
        side: [seconds for done in runs for seconds in done.last_json()["seconds"][WARM_UP:]]
        for side, runs in samples.items()
    }
    return seconds, float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    options = parser.parse_args()
    busy, sides, agreements, ratios, kept = load(), {}, [], [], []
    networks = ["resnet18_small"] if options.tiny else options.networks
    with scratch() as folder:
        for name in networks:
            size_px = NETWORKS[name]
            for batch in BATCHES:
                passes = WARM_UP + 1 if options.tiny else PASSES[batch]
                seconds, difference = measure(name, batch, size_px, passes, options.rounds, folder)
                what = f"{name}, {size_px} px, batch {batch}"
                sides |= {f"{what}: {side}": Side(unit="s", samples=values) for side, values in seconds.items()}
                ours, plain, keeping = map(statistics.median, seconds.values())
                ratios.append(plain / ours)
                kept.append(keeping / ours)
                agreements.append(
                    Row(
                        what=f"{what}: logits",
                        against="torchvision",
                        measured=difference,
                        target=1e-4,
                        better="at most",
                        unit="largest relative difference",
                        note=f"{plain / ours:.2f} times as fast, {keeping / ours:.2f} with the allocator kept",
                    )
                )
            (folder / f"{name}.safetensors").unlink()
    mean = math.prod(ratios) ** (1 / len(ratios))
    write_result(
        "inference",
        "Inference of the architectures",
        sides=sides,
        rows=[
            Row(
                what=f"inference, geometric mean of {len(networks)} networks at batch 1 and 16",
                against="torchvision's module in eager mode",
                measured=mean,
                target=2,
                note=f"with the allocator kept {math.prod(kept) ** (1 / len(kept)):.2f} times",
            ),
            *agreements,
        ],
        config={"images": "random uint8; float32 on both sides", "torch": "eager, inference_mode, NCHW"},
        threads=os.cpu_count() or 1,
        warm_up=f"{WARM_UP} passes in each process",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
