"""Suggests the setting for an option that doesn't exist, such as those of other tools."""

import json
from dataclasses import fields

from svertka.config import FineTune, RunConfig

ELSEWHERE = {
    "size": "size_px",
    "imgsz": "size_px",
    "img_size": "size_px",
    "image_size": "size_px",
    "resolution": "size_px",
    "epochs": "finetune.max_epochs",
    "num_epochs": "finetune.max_epochs",
    "batch": "finetune.batch_size",
    "bs": "finetune.batch_size",
    "lr": "finetune.stage_rate",
    "lr0": "finetune.stage_rate",
    "learning_rate": "finetune.stage_rate",
    "wd": "finetune.weight_decay",
    "test_size": "test_fraction",
    "val_split": "val_fraction",
    "val_size": "val_fraction",
    "validation_split": "val_fraction",
}
"""Names that other tools use for fields of the configuration."""

_OPTIONS = {
    "model": "--backbone",
    "arch": "--backbone",
    "pretrained": "--weights",
    "output": "--out",
    "project": "--out",
    "time": "--minutes",
    "lang": "--language",
    "pos_label": "--positive",
    "positive_class": "--positive",
    "workers": "--threads",
    "num_workers": "--threads",
    "jobs": "--threads",
    "k": "--top-k",
    "verbose": "--debug",
}
_NO_DEVICE = "svertka computes on the processor; --threads says on how many cores"
_SAYINGS = {"device": _NO_DEVICE, "gpu": _NO_DEVICE, "gpus": _NO_DEVICE, "cuda": _NO_DEVICE, "cpu": _NO_DEVICE}


def hint(option: str, options: set[str]) -> str:
    """What to do instead of an option that a verb lacks; "" if nobody knows.

    Args:
        option: as it was given, such as ``--epochs``.
        options: that the verb has.
    """
    name = option.lstrip("-").replace("-", "_").lower()
    if said := _SAYINGS.get(name):
        return f"{said}."
    if (known := _OPTIONS.get(name, "")) in options:
        return f"The option is {known}."
    place = ELSEWHERE.get(name, name)
    places = {field.name: field.default for field in fields(RunConfig)} | {
        f"finetune.{field.name}": field.default for field in fields(FineTune)
    }
    found = next((each for each in (place, f"finetune.{place}") if each in places), None)
    if found is None or "--config" not in options:
        return ""
    example = {"size_px": 224}.get(found, places[found])
    written = json.dumps(example) if isinstance(example, str | int | float) and example != "" else "…"
    return (
        f"It is a setting: write {found} = {written} into a file such as settings.toml, and add --config settings.toml."
    )
