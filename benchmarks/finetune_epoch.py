"""One fine-tuning epoch, same arithmetic: svertka's loop against a plain torch loop. One core each.

All layers train, float32, batch 32, AdamW, frozen BatchNorm statistics, flips, crops and mild colour changes.
Training and validation count, imports and model building don't. Whole epochs on purpose: the first step of a process
costs several more, because its memory is touched for the first time. ``--every 3`` takes a third of images and time.
"""

from common import (
    ALLOCATOR_KEPT,
    OURS,
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
    write_result,
)


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--every", type=int, default=1, help="take every n-th image")
    options = parser.parse_args()
    busy = load()
    every = 16 if options.tiny else options.every
    with scratch() as folder:
        data = subset(public_split(), folder / "data", every)
        counts = {part: len(list((data / part).glob("*/*.png"))) for part in ("train", "val")}
        ours, plain = OURS / "svertka_epoch.py", PEERS / "torch_epoch.py"
        samples = alternate(
            {
                "svertka": lambda: python(ours, data, env={"SVERTKA_CACHE": str(folder / "cache")}).last_json(),
                "torch": lambda: python(plain, data).last_json(),
                "torch, allocator kept": lambda: python(plain, data, env=ALLOCATOR_KEPT).last_json(),
            },
            options.rounds,
        )
    sides = {
        name: Side(
            unit="s",
            samples=[result["seconds"] for result in results],
            figures={key: results[0][key] for key in ("train_loss", "val_loss")},
        )
        for name, results in samples.items()
    }
    median = {name: side.median for name, side in sides.items()}
    what = "one fine-tuning epoch, same arithmetic"
    write_result(
        "finetune_epoch",
        "Fine-tuning: how long an epoch takes",
        sides=sides,
        rows=[
            Row(
                what=what,
                against="a plain torch loop",
                measured=median["torch"] / median["svertka"],
                target=3,
            ),
            Row(
                what=what,
                against="the same, allocator kept",
                measured=median["torch, allocator kept"] / median["svertka"],
                target=1.2,
            ),
        ],
        config={
            "data": f"elpv-dataset, every {every}th image: {counts['train']} train, {counts['val']} validation",
            "network": "EfficientNet-Lite0, 224 px, all layers, float32, batch 32, AdamW, BatchNorm statistics frozen",
            "svertka": "pixels decoded by the scan beforehand; weight averaging and checkpoint included",
        },
        threads=1,
        warm_up="none inside the epoch; each sample is a process of its own",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
