"""The appendix: how to repeat and use the run. Costs, configuration, versions, sources, commands, methods."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

from svertka.config import RunConfig
from svertka.messages.translator import Translator
from svertka.schema import RunRecord, Split, StepCost


def costs_finding(tr: Translator, costs: Sequence[StepCost]) -> str:
    """The time of all steps, the share of the slowest, and the peak of memory."""
    total = sum(cost.seconds for cost in costs)
    slowest = max(costs, key=lambda cost: cost.seconds)
    return tr(
        "costs.finding",
        total=tr.seconds(total),
        step=tr.quoted(tr.known("step", slowest.step)),
        share=slowest.seconds / total if total else 0.0,
        peak=tr.memory(max(cost.peak_memory_mb for cost in costs) or 1.0),
    )


class ConfigRow(NamedTuple):
    """One setting; ``changed`` where it is not the default."""

    name: str
    value: str
    changed: bool


def make_config_rows(config: RunConfig) -> tuple[ConfigRow, ...]:
    """Every setting that the run used, in the order of ``RunConfig``; those of a table by dotted names, as in TOML."""
    default = dict(_settings(asdict(RunConfig(data=config.data))))
    unused = unused_table(config)
    return tuple(
        ConfigRow(name=name, value=_written(value), changed=value != default[name])
        for name, value in _settings(asdict(config))
        if not name.startswith(f"{unused}.")
    )


def unused_table(config: RunConfig) -> str:
    """The table that took no part: a run trains pretrained weights or random ones."""
    return "finetune" if config.from_scratch else "scratch"


def _settings(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _written(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def make_commands(run: RunRecord) -> tuple[str, ...]:
    """Three commands that use the bundle: one image, a folder into a table, judging new labelled images.

    None where there is no bundle.
    """
    if run.parity is None:
        return ()
    folder = run.config.out.rstrip("/") or f"runs/{run.name}"
    bundle = shlex.quote(f"{folder}/bundle")
    return (
        f"svertka predict {bundle} photo.jpg",
        f"svertka predict {bundle} new_images/ --out predictions.csv",
        f"svertka evaluate {bundle} new_labelled_images/",
    )


def _groups(split: Split) -> str:
    if not split.grouped:
        return "unknown"
    return "torn" if any(leak.kind == "group" for leak in split.leaks) else "known"


def make_methods(tr: Translator, run: RunRecord) -> tuple[str, ...]:
    """What stands behind the figures, and what they don't say."""
    split = run.split
    sizes = {"train": len(split.train), "val": len(split.val), "test": len(split.test)}
    folds = run.config.folds
    parts = tr("decision.intro_folds", folds=folds, **sizes) if folds else tr("methods.parts", **sizes)
    checked = tr("methods.order.named" if split.grouped else "methods.order.unmeasured")
    if run.order:
        checked = tr("methods.order.measured", order=run.order)
    calibrated = tr("methods.temperature", value=run.evaluation.temperature)
    parity = tr("methods.no_parity")
    if run.parity:
        parity = tr(
            "methods.parity",
            n=run.parity.n,
            same=run.parity.same_labels,
            difference=tr.tiny(run.parity.max_probability_difference),
        )
    return (
        f"{tr(f'methods.split.{split.origin}', seed=str(split.seed))} {parts}",
        tr(f"methods.groups.{_groups(split)}"),
        tr("methods.copies"),
        tr("methods.once"),
        tr("methods.intervals"),
        checked,
        f"{calibrated} {parity}",
        tr("methods.limits"),
    )
