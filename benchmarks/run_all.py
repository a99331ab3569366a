"""Runs all benchmarks one after the other and writes docs/benchmarks.md. Takes about three hours on two cores.

Usage: python benchmarks/run_all.py [NAME …] [--tiny]    (names of scripts, without .py; all if none is given)
"""

import argparse
import subprocess
import sys
import time

import tables
from common import HERE

SCRIPTS = (
    "startup",
    "serve",
    "decode",
    "predict",
    "second_train",
    "learning",
    "finetune_epoch",
    "memory --large",
    "finetune_accuracy",
    "two_stage",
    "from_scratch",
    "training_step",
    "inference",
    "twin",
    "conv2d",
    "lenet",
    "true_convolution",
    "strategies",
    "splits",
    "abstention",
    "coverage",
    "temperature",
    "unlike",
    "budget",
    "browser",
    "leaks",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [line.split()[0] for line in SCRIPTS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--tiny", action="store_true", help="try every script on a few images; writes no result")
    options = parser.parse_args()
    if unknown := set(options.names) - set(known):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; expected {', '.join(known)}")
    failed = []
    for line in SCRIPTS:
        name, *extra = line.split()
        if options.names and name not in options.names:
            continue
        start = time.perf_counter()
        print(f"{name} …", flush=True)
        arguments = ["--tiny", "--rounds", "1"] if options.tiny else extra
        done = subprocess.run([sys.executable, HERE / f"{name}.py", *arguments], check=False)
        print(
            f"{name}: {'done' if done.returncode == 0 else 'FAILED'}, {(time.perf_counter() - start) / 60:.1f} minutes"
        )
        failed += [name] * (done.returncode != 0)
    if not options.tiny:
        print(tables.write())
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
