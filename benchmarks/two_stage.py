"""Two-stage training, 10 + 10 epochs of EfficientNet-Lite0: svertka against the course's very loop. One core each.

The course runs the frozen network over all images in each of its first ten epochs; svertka once. All epochs of a stage
do the same work, so with ``--extrapolate`` one epoch of each of the course's stages is measured and multiplied by ten;
its test figures then need a complete run. ``--every N`` takes each N-th image only, for a busy machine: both sides
see the same images.

Compared is learning: of the course its 20 epochs without imports and model building, of svertka the steps scan, split,
features and learn, decoding and the one-off preparation of the network included. The whole process (with imports,
test, bundle and report) stands beside it.
"""

import statistics
from functools import partial
from pathlib import Path

from common import (
    ALLOCATOR_KEPT,
    PEERS,
    Row,
    Side,
    alternate,
    arguments,
    load,
    public_split,
    python,
    scratch,
    step_seconds,
    subset,
    svertka,
    test_metrics,
    write_result,
)

EPOCHS = 10  # of each stage
LEARNING_STEPS = ("backbone", "scan", "split", "features", "learn")


def ours(data: Path) -> dict[str, object]:
    """One ``svertka train --strategy two-stage`` with an empty cache and time for all epochs."""
    with scratch() as fresh:
        config = fresh / "settings.toml"
        config.write_text(f"threads = 1\n[finetune]\nhead_epochs = {EPOCHS}\nsecond_epochs = {EPOCHS}\n")
        options = ("--strategy", "two-stage", "--minutes", 600, "--config", config)
        done = svertka("train", data, "--out", fresh / "run", *options, cache=fresh / "cache")
        steps = step_seconds(fresh / "run")
        return {"whole": done.seconds, "steps": steps, "test": test_metrics(fresh / "run")}


def course(data: Path, epochs: int, env: dict[str, str]) -> dict[str, object]:
    """The course's loop; seconds of 10 + 10 epochs, multiplied up where fewer were run."""
    result = python(PEERS / "two_stage_loop.py", data, "--epochs", epochs, epochs, env=env).last_json()
    return {"stages": [statistics.fmean(stage) * EPOCHS for stage in result["seconds"]], "test": result["test"]}


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--extrapolate", action="store_true", help="one epoch of each of the course's stages")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each N-th image only")
    options = parser.parse_args()
    busy, every = load(), 24 if options.tiny else options.every
    epochs = 1 if options.extrapolate or options.tiny else EPOCHS
    with scratch() as folder:
        data = subset(public_split(), folder / "some", every) if every > 1 else public_split()
        samples = alternate(
            {
                "svertka": partial(ours, data),
                "course": partial(course, data, epochs, {}),
                "course, allocator kept": partial(course, data, epochs, ALLOCATOR_KEPT),
            },
            options.rounds,
        )
    complete = epochs == EPOCHS
    sides, rows = summarise(samples, complete, whole_data=every == 1)
    write_result(
        "two_stage",
        "Two-stage training",
        sides=sides,
        rows=rows,
        config={
            "data": "elpv-dataset, public split: 1,672 train, 296 validation, 656 test images"
            + (f", each {every}th" if every > 1 else ""),
            "network": "EfficientNet-Lite0, ImageNet weights, 224 px",
            "course": f"batch 32, Adam 1e-3 then 1e-4, {epochs} + {epochs} of {EPOCHS} + {EPOCHS} epochs measured",
            "svertka": "svertka train --strategy two-stage, 10 + 10 epochs at most, early stop on validation",
        },
        threads=1,
        warm_up="none: every sample is a process of its own with an empty cache; files are in the system's page cache",
        started_load=busy,
        tiny=options.tiny,
    )


def summarise(samples: dict[str, list[dict]], complete: bool, whole_data: bool) -> tuple[dict[str, Side], list[Row]]:
    """Sides and rows of the result."""
    runs, note = samples["svertka"], "" if complete else f"one epoch of each stage measured, times {EPOCHS}"
    sides = {
        "svertka, learning steps": Side(
            unit="s",
            samples=[sum(run["steps"][name] for name in LEARNING_STEPS) for run in runs],
            note="network's preparation, scan, split, features, training; other steps: see figures",
            figures={"steps": runs[0]["steps"]},
        ),
        "svertka train --strategy two-stage": Side(
            unit="s", samples=[run["whole"] for run in runs], note="whole process", figures=runs[0]["test"]
        ),
    }
    for name in ("course", "course, allocator kept"):
        sides[name] = Side(
            unit="s",
            samples=[sum(run["stages"]) for run in samples[name]],
            note=note,
            figures={"stages": samples[name][0]["stages"]} | (samples[name][0]["test"] if complete else {}),
        )
    learning, whole = (side.median for side in list(sides.values())[:2])
    course, kept = sides["course"].median, sides["course, allocator kept"].median
    against = f"the course's loop, {EPOCHS} + {EPOCHS} epochs"
    rows = [
        Row(what="two-stage training", against=against, measured=course / learning, target=5, note=note),
        Row(
            what="two-stage training", against="the same, allocator kept", measured=kept / learning, target=2, note=note
        ),
        Row(what="whole `svertka train`", against=against, measured=course / whole, target=5, note=note),
    ]
    if complete and whole_data:
        for metric in ("accuracy", "roc_auc"):
            ours, theirs = (
                statistics.fmean(run["test"][metric] for run in samples[name]) for name in ("svertka", "course")
            )
            what = f"test {metric.replace('roc_auc', 'ROC AUC')}"
            rows.append(Row(what=what, against=against, measured=ours, target=theirs, unit=""))
    return sides, rows


if __name__ == "__main__":
    main()
