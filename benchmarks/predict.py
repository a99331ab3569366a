"""``svertka predict`` on the 656 ELPV test images against a torch eager script with the same model. Whole processes."""

import csv
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
    subset,
    svertka,
    train_probe,
    write_result,
)


def labels(path: Path) -> dict[str, str]:
    """File name to predicted label."""
    with path.open(encoding="utf-8", newline="") as file:
        return {Path(row["path"]).name: row["label"] for row in csv.DictReader(file)}


def main() -> None:
    options = arguments(__doc__, rounds=5).parse_args()
    busy = load()
    with scratch() as folder:
        data = subset(public_split(), folder / "tiny", 12) if options.tiny else public_split()
        train_probe(data, folder / "run", cache=folder / "cache")
        bundle, images = folder / "run" / "bundle", data / "test"
        outs = {name: folder / f"{name}.csv" for name in ("svertka", "torch", "kept")}
        script = PEERS / "torch_predict.py"
        samples = alternate(
            {
                "svertka": lambda: svertka("predict", bundle, images, "--out", outs["svertka"], "--threads", 1),
                "torch": lambda: python(script, bundle, images, outs["torch"]),
                "kept": lambda: python(script, bundle, images, outs["kept"], env=ALLOCATOR_KEPT),
            },
            options.rounds,
        )
        ours, theirs = labels(outs["svertka"]), labels(outs["torch"])
    if ours.keys() != theirs.keys():
        raise SystemExit("The two sides predicted different files.")
    different = sum(ours[name] != theirs[name] for name in ours)
    names = {"svertka": "svertka predict", "torch": "torch eager", "kept": "torch eager, allocator kept"}
    sides = {
        names[key]: Side(
            unit="s",
            samples=[done.seconds for done in runs],
            figures={"peak_memory_mb": round(max(done.peak_memory_mb for done in runs))},
        )
        for key, runs in samples.items()
    }
    median = {key: sides[name].median for key, name in names.items()}
    what = f"`svertka predict` on {len(ours)} files, whole process"
    write_result(
        "predict",
        "Predicting with a bundle",
        sides=sides,
        rows=[
            Row(
                what=what,
                against="a torch eager script, same model",
                measured=median["torch"] / median["svertka"],
                target=4,
                note=f"with the allocator kept {median['kept'] / median['svertka']:.2f} times",
            ),
            Row(
                what="labels that differ between the two",
                against="",
                measured=different,
                target=0,
                better="at most",
                unit=f"of {len(ours)}",
            ),
        ],
        config={"images": f"{len(ours)} ELPV test images, 300 px PNG", "torch": "batch 32, float32, no_grad"},
        threads=1,
        warm_up="none: whole processes; the order of sides alternates and files are in the system's page cache",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
