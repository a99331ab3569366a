"""Learning on a frozen backbone: svertka against the course's loop and against fastai. One core each.

The course's loop runs the frozen backbone over all images in each of 10 epochs; every epoch does the same work, so one
is measured and multiplied by 10 (``--complete`` runs all ten). It and fastai run as users run them, and once more with
an allocator that keeps freed memory, which their users would have to know about; svertka sets it itself.

What is compared: the course's loop without imports and model building, fastai's training with its import, and of
svertka both the steps that learn (scan, split, features, head) and the whole process (with imports, preparation of the
network, test, calibration, bundle, parity check and report).
"""

import statistics
from functools import partial
from pathlib import Path

from common import (
    ALLOCATOR_KEPT,
    PEERS,
    WORK,
    Row,
    Side,
    alternate,
    arguments,
    load,
    public_split,
    python,
    run,
    scratch,
    step_seconds,
    subset,
    test_metrics,
    train_probe,
    write_result,
)
from peers.fastai_environment import FASTAI, fastai_python

COURSE_EPOCHS = 10
LEARNING_STEPS = ("scan", "split", "features", "learn")
# Test figures of complete runs of the course's loop, 10 epochs (this script with --complete measures them again).
COURSE_BALANCED_ACCURACY = 0.773


def ours(data: Path) -> dict[str, object]:
    """One ``svertka train`` with an empty cache."""
    with scratch() as fresh:
        done = train_probe(data, fresh / "run", cache=fresh / "cache")
        steps = step_seconds(fresh / "run")
        return {"whole": done.seconds, "steps": steps, "test": test_metrics(fresh / "run")}


def course(data: Path, epochs: int, env: dict[str, str]) -> dict[str, object]:
    """The course's loop; seconds of 10 epochs, multiplied up where fewer were run."""
    result = python(PEERS / "course_loop.py", data, "--epochs", epochs, env=env).last_json()
    seconds = [epoch["seconds"] for epoch in result["epochs"]]
    return {"seconds": statistics.fmean(seconds) * COURSE_EPOCHS, "test": result["test"]}


def fastai(data: Path, extrapolate: bool, env: dict[str, str]) -> dict[str, object]:
    """fastai's fine_tune(3)."""
    options = ["--extrapolate"] if extrapolate else []
    return run([fastai_python(WORK), PEERS / "fastai_finetune.py", data, *options], env).last_json()


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--complete", action="store_true", help="run all 10 epochs of the course's loop")
    parser.add_argument(
        "--quick-fastai", action="store_true", help="two epochs of fastai instead of four, multiplied up"
    )
    options = parser.parse_args()
    busy = load()
    with scratch() as folder:
        data = subset(public_split(), folder / "tiny", 24) if options.tiny else public_split()
        epochs = COURSE_EPOCHS if options.complete else 1
        samples = alternate(
            {
                "svertka": partial(ours, data),
                "course": partial(course, data, epochs, {}),
                "course, allocator kept": partial(course, data, epochs, ALLOCATOR_KEPT),
            },
            options.rounds,
        )
        samples |= alternate(
            {
                "fastai": partial(fastai, data, options.quick_fastai or options.tiny, {}),
                "fastai, allocator kept": partial(fastai, data, True, ALLOCATOR_KEPT),
            },
            1,
        )
    sides, rows = summarise(samples, epochs)
    write_result(
        "learning",
        "Learning on a frozen backbone",
        sides=sides,
        rows=rows,
        config={
            "data": "elpv-dataset, public split: 1,672 train, 296 validation, 656 test images",
            "network": "EfficientNet-Lite0, ImageNet weights, 224 px",
            "course": f"batch 32, Adam 1e-3, {epochs} epoch(s) measured, {COURSE_EPOCHS} counted",
            "fastai": "fine_tune(3), batch 64",
        },
        threads=1,
        warm_up="none: every sample is a process of its own with an empty cache; files are in the system's page cache",
        started_load=busy,
        tiny=options.tiny,
        versions={"fastai": FASTAI.partition("==")[2]},
    )


def summarise(samples: dict[str, list[dict]], epochs: int) -> tuple[dict[str, Side], list[Row]]:
    """Sides and rows of the result."""
    runs, probe = samples["svertka"], samples["svertka"][0]["test"]
    multiplied = "" if epochs == COURSE_EPOCHS else f"{epochs} epoch measured, times {COURSE_EPOCHS}"
    sides = {
        "svertka, learning steps": Side(
            unit="s",
            samples=[sum(r["steps"][name] for name in LEARNING_STEPS) for r in runs],
            note="scan, split, features and head; other steps: see figures",
            figures={"steps": runs[0]["steps"]},
        ),
        "svertka train --strategy probe": Side(
            unit="s",
            samples=[r["whole"] for r in runs],
            note="whole process, with test, bundle and report",
            figures=probe,
        ),
    }
    for name in ("course", "course, allocator kept"):
        figures = samples[name][0]["test"] if epochs == COURSE_EPOCHS else {}
        sides[name] = Side(unit="s", samples=[r["seconds"] for r in samples[name]], note=multiplied, figures=figures)
    for name in ("fastai", "fastai, allocator kept"):
        (result,) = samples[name]
        note = "one frozen and one full epoch measured, the full one times 3" if result["extrapolated"] else ""
        sides[name] = Side(
            unit="s",
            samples=[result["import_seconds"] + result["training_seconds"]],
            note=note,
            figures={"epoch_seconds": result["epoch_seconds"]} | ({} if note else result["test"]),
        )
    learning, whole = (sides[n].median for n in ("svertka, learning steps", "svertka train --strategy probe"))
    course, kept = sides["course"].median, sides["course, allocator kept"].median
    seen = sides["course"].figures.get("balanced_accuracy", COURSE_BALANCED_ACCURACY)
    prepared = course / (learning + runs[0]["steps"]["backbone"])
    frozen, train = "frozen-backbone learning", "whole `svertka train --strategy probe`"
    rows = [
        Row(
            what=frozen,
            against="the course's loop, 10 epochs",
            measured=course / learning,
            target=45,
            note=f"{multiplied or 'all epochs run'}; {prepared:.3g} times with the network's one-off preparation",
        ),
        Row(what=frozen, against="the same, allocator kept", measured=kept / learning, target=16, note=multiplied),
        Row(
            what="test balanced accuracy of the probe",
            against="the course's loop, 10 epochs",
            measured=probe["balanced_accuracy"],
            target=seen,
            unit="",
        ),
        Row(what=train, against="the course's loop, 10 epochs", measured=course / whole, target=25, note=multiplied),
        Row(
            what=train,
            against="fastai `fine_tune(3)`",
            measured=sides["fastai"].median / whole,
            target=20,
            note=sides["fastai"].note,
        ),
        Row(
            what="test ROC AUC of the probe",
            against="fastai `fine_tune(3)`"
            + (f": {sides['fastai'].figures['roc_auc']:.3f}" if "roc_auc" in sides["fastai"].figures else ""),
            measured=probe["roc_auc"],
            target=0.90,
            unit="",
        ),
    ]
    return sides, rows


if __name__ == "__main__":
    main()
