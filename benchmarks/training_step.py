"""Training steps of svertka's networks against torchvision's in a plain eager loop, from the same weights; all cores.

svertka's side is what `svertka lab race` sets up: freed memory is kept, images and weights are channels_last. The peer
sets nothing, as users do, and once more keeps freed memory. The first three of twenty steps warm up.
"""

import math
import os
import statistics
from pathlib import Path

from common import ALLOCATOR_KEPT, OURS, PEERS, Row, Side, alternate, arguments, load, python, scratch, write_result

NETWORKS = {
    "resnet18": (16, 224),
    "resnet50": (16, 224),
    "vgg16_bn": (16, 224),
    "densenet121": (16, 224),
    "resnet18_small": (128, 32),
}
WARM_UP, STEPS = 3, 20


def measure(name: str, batch: int, size_px: int, steps: int, rounds: int, folder: Path) -> dict[str, dict[str, list]]:
    """Seconds of the steps that count, from all rounds, and losses of all steps, by side."""
    file = folder / f"{name}.safetensors"
    python(PEERS / "torch_step.py", "weights", name, file)
    words = (name, file, batch, size_px, steps)
    plain = PEERS / "torch_step.py"
    samples = alternate(
        {
            "svertka": lambda: python(OURS / "svertka_step.py", *words, one_core=False).last_json(),
            "torchvision": lambda: python(plain, "train", *words, one_core=False).last_json(),
            "torchvision, allocator kept": lambda: python(
                plain, "train", *words, env=ALLOCATOR_KEPT, one_core=False
            ).last_json(),
        },
        rounds,
    )
    file.unlink()
    return {
        side: {
            "seconds": [seconds for result in results for seconds in result["seconds"][min(WARM_UP, steps - 1) :]],
            "losses": results[0]["losses"],
        }
        for side, results in samples.items()
    }


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    options = parser.parse_args()
    busy, sides, rows, ratios, kept = load(), {}, [], [], []
    networks = ["resnet18_small"] if options.tiny else options.networks
    with scratch() as folder:
        for name in networks:
            batch, size_px = (4, 32) if options.tiny else NETWORKS[name]
            found = measure(name, batch, size_px, 3 if options.tiny else STEPS, options.rounds, folder)
            what = f"{name}, {size_px} px, batch {batch}"
            for side, values in found.items():
                sides[f"{what}: {side}"] = Side(
                    unit="s", samples=values["seconds"], figures={"losses": values["losses"]}
                )
            ours, plain, keeping = (statistics.median(values["seconds"]) for values in found.values())
            ratios.append(plain / ours)
            kept.append(keeping / ours)
            difference = max(
                abs(a - b) for a, b in zip(found["svertka"]["losses"], found["torchvision"]["losses"], strict=True)
            )
            rows.append(
                Row(
                    what=f"{what}: largest difference of losses over {len(found['svertka']['losses'])} steps",
                    against="torchvision",
                    measured=difference,
                    target=1e-4,
                    better="at most",
                    unit="",
                    note=f"a step {plain / ours:.2f} times as fast, {keeping / ours:.2f} with the allocator kept",
                )
            )
    rows.insert(
        0,
        Row(
            what=f"training step, geometric mean of {len(networks)} networks",
            against="torchvision's module in a plain eager loop",
            measured=math.prod(ratios) ** (1 / len(ratios)),
            target=1.8,
            note=f"with the allocator kept {math.prod(kept) ** (1 / len(kept)):.2f} times",
        ),
    )
    write_result(
        "training_step",
        "Training steps of the architectures",
        sides=sides,
        rows=rows,
        config={
            "precision": "float32, but svertka's gradients of convolutions: bfloat16 where the processor has AMX",
            "images": "random, the same on both sides",
            "optimizer": "SGD, rate 0.0001, momentum 0.9, weight decay 0.0001; BatchNorm learns",
            "samples": f"seconds of steps {WARM_UP + 1} to {STEPS} of each process",
        },
        threads=os.cpu_count() or 1,
        warm_up=f"{WARM_UP} steps in each process",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
