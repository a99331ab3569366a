"""Test accuracy of ``svertka train --strategy lp-ft`` on the public ELPV split: mean of three seeds, all cores.

The comparison is the VGG-19 that the data set's authors fine-tuned (Deitsch et al. 2019, arXiv 1807.02894): accuracy
0.884 and ROC AUC 0.944 with 140 million parameters on their own 75/25 split. Our split is another one of the same
proportions, and a cell counts as defective above a probability of 0.5; with 656 test images the standard error of one
accuracy is 1.2 points. Budget: 30 minutes a run.

``--runs FOLDER FOLDER …`` takes finished run folders instead, such as runs made one after the other on one core.
"""

import json
import os
import statistics
import tomllib
from pathlib import Path

from common import Row, Side, arguments, load, public_split, scratch, subset, svertka, test_metrics, write_result

MINUTES = 30


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--runs", nargs="+", type=Path, help="finished run folders on the public split")
    options = parser.parse_args()
    busy, results, minutes = load(), [], []
    command = f"svertka train DATA --strategy lp-ft --minutes {options.minutes:g} --seed 0, 1, 2"
    for run_folder in options.runs or ():
        results.append(test_metrics(run_folder))
        costs = json.loads((run_folder / "run.json").read_text(encoding="utf-8"))["costs"]
        minutes.append(sum(cost["seconds"] for cost in costs) / 60)
        config = tomllib.loads((run_folder / "config.toml").read_text(encoding="utf-8"))
        command = f"svertka train DATA --strategy lp-ft --config (size_px = {config['size_px']}), seeds 0, 1, 2"
    with scratch() as folder:
        data = subset(public_split(), folder / "tiny", 20) if options.tiny else public_split()
        for seed in () if options.runs else range(1 if options.tiny else options.rounds):
            run_folder = folder / f"seed-{seed}"
            done = svertka(
                "train",
                data,
                *("--out", run_folder, "--strategy", "lp-ft", "--minutes", options.minutes, "--seed", seed),
                cache=folder / "cache",
                one_core=False,
            )
            results.append(test_metrics(run_folder))
            minutes.append(done.seconds / 60)
    sides = {
        name: Side(unit="", samples=[result[name] for result in results], note="one sample a seed")
        for name in ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "average_precision", "log_loss")
    }
    sides["time of a run"] = Side(unit="min", samples=minutes, note="whole process")
    mean = {name: statistics.fmean(result[name] for result in results) for name in ("accuracy", "roc_auc")}
    paper = "VGG-19 fine-tuned by the data set's authors"
    write_result(
        "finetune_accuracy",
        "Fine-tuning: how good the classifier is",
        sides=sides,
        rows=[
            *(
                Row(
                    what=f"test {what}, mean of {len(results)} seeds",
                    against=peer,
                    measured=mean[key],
                    target=target,
                    unit="",
                )
                for what, key, peer, target in (
                    ("accuracy", "accuracy", f"{paper}: 0.884 (their split)", 0.885),
                    ("ROC AUC", "roc_auc", f"{paper}: 0.944 (their split)", 0.945),
                    ("accuracy", "accuracy", "the best published on such a split: 0.9013, ResNet-152", 0.905),
                    ("ROC AUC", "roc_auc", "what we want of it", 0.955),
                )
            ),
            Row(
                what="longest of these runs",
                against="the budget",
                measured=max(minutes),
                target=MINUTES,
                better="at most",
                unit="min",
            ),
        ],
        config={
            "data": "elpv-dataset, public split: 1,672 train, 296 validation, 656 test images",
            "command": command,
        },
        threads=1 if options.runs else os.cpu_count() or 1,
        warm_up="none",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
