"""The NumPy twin against torch eager: VGG, ResNet, DenseNet and EfficientNet-Lite0, 224 px, one and two threads.

Torch runs in inference mode, as NCHW and as channels_last; the better one counts. Both sides keep freed memory (see
``svertka.util.runtime``). With one thread the processor's time is measured, with two the time on the wall: run the
latter on a machine that has nothing else to do.
"""

import itertools
import statistics
import sys
from pathlib import Path

from common import OURS, Row, Side, arguments, load, public_split, run, scratch, subset, write_result

SCRIPT = OURS / "svertka_twin.py"
TARGETS = {
    "vgg16": 0.60,
    "resnet18": 0.80,
    "resnet34": 0.80,
    "resnet50": 0.95,
    "densenet121": 0.95,
    "efficientnet_lite0": 1.2,
}
BATCHES, THREADS = (1, 8), (1, 2)
IMAGES = 200


def call(mode: str, *values: object, threads: int = 1):
    """Runs the script in a process of its own."""
    env = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    done = run([sys.executable, SCRIPT, mode, *map(str, values)], env, one_core=threads == 1)
    return done.last_json() if mode != "export" else None


def timing(name: str, file: Path, batch: int, threads: int, rounds: int) -> tuple[dict[str, Side], Row]:
    samples = call("time", name, file, batch, threads, rounds, threads=threads)
    what = f"{name}, batch {batch}, {threads} {'thread' if threads == 1 else 'threads'}"
    sides = {f"{what}: {side}": Side(unit="s", samples=values) for side, values in samples.items()}
    median = {side: statistics.median(values) for side, values in samples.items()}
    best = min(("torch", "torch channels_last"), key=median.__getitem__)
    ours = median["twin"] * 1000 / batch
    row = Row(
        what=what,
        against="torch eager, the better of NCHW and channels_last",
        measured=median["twin"] / median[best],
        target=TARGETS[name],
        better="at most",
        unit="of its time",
        note=f"{ours:.1f} ms an image; the better one was {best}",
    )
    return sides, row


def agreement(name: str, file: Path, images: Path) -> list[Row]:
    found = call("agree", name, file, images, 1)
    learnt = "" if name == "efficientnet_lite0" else f"random weights: {found['different_top1']} different first places"
    return [
        Row(
            what=f"{name}, logits of {found['images']} real images",
            against="torch",
            measured=found["relative_error"],
            target=1e-4,
            better="at most",
            unit="largest relative error",
        ),
        Row(
            what=f"{name}, same first place",
            against="torch",
            measured=found["same_top1"],
            target=found["images"],
            unit=f"of {found['images']} images",
            note=learnt,
        ),
    ]


def memory(name: str, file: Path, batch: int) -> tuple[dict[str, Side], Row]:
    peaks = {side: call(f"memory-{side}", name, file, batch) for side in ("twin", "torch")}
    what = f"{name}, batch {batch}: peak memory"
    sides = {
        f"{what}, {side}": Side(
            unit="MB", samples=[peak["peak_mb"]], figures={"after_imports_mb": peak["after_imports_mb"]}
        )
        for side, peak in peaks.items()
    }
    own = {side: peak["peak_mb"] - peak["after_imports_mb"] for side, peak in peaks.items()}
    row = Row(
        what=what,
        against="torch eager, whole process",
        measured=peaks["twin"]["peak_mb"] / peaks["torch"]["peak_mb"],
        target=1.0,
        better="at most",
        unit="of its memory",
        note=f"without the imports {own['twin'] / own['torch']:.2f}",
    )
    return sides, row


def main() -> None:
    parser = arguments(__doc__, rounds=15)
    parser.add_argument("--networks", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--threads", nargs="+", type=int, default=list(THREADS))
    options = parser.parse_args()
    busy, sides, rows = load(), {}, []
    networks, batches = (["resnet18"], (1,)) if options.tiny else (options.networks, BATCHES)
    with scratch() as folder:
        images = subset(public_split(), folder / "images", 200 if options.tiny else 1)
        chosen = folder / "chosen"
        chosen.mkdir()
        for path in sorted(images.rglob("*.png"))[:: max(1, len(list(images.rglob("*.png"))) // IMAGES)][:IMAGES]:
            (chosen / path.name).symlink_to(path.resolve())
        for name in networks:
            file = folder / f"{name}.onnx"
            call("export", name, file)
            for batch, threads in itertools.product(batches, options.threads):
                more, row = timing(name, file, batch, threads, 2 if options.tiny else options.rounds)
                sides |= more
                rows.append(row)
            rows += agreement(name, file, chosen)
            for batch in batches:
                more, row = memory(name, file, batch)
                sides |= more
                rows.append(row)
            file.unlink()
    write_result(
        "twin",
        "The NumPy twin",
        sides=sides,
        rows=rows,
        config={
            "input": "float32 [N, 3, 224, 224]",
            "weights": "torchvision: random, with random BatchNorm statistics; EfficientNet-Lite0: ImageNet",
            "torch": "eager, inference_mode, float32, allocator kept",
            "clock": "process time with one thread, wall with two",
        },
        threads=max(options.threads),
        warm_up="one pass of each side",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
