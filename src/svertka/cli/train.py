"""``svertka train``: options become a ``RunConfig``, the pipeline runs, the result is told."""

import shlex
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from svertka import run_folder
from svertka.cli.extras import need_training
from svertka.cli.progress import Progress
from svertka.config import RunConfig
from svertka.errors import ConfigError
from svertka.messages import sentences, word
from svertka.recipes import recipe
from svertka.report.alerts import make_alerts
from svertka.report.voice import Voice
from svertka.schema import RunRecord


def train(given: dict[str, Any], config_file: str, resume: str, recipe_name: str = "") -> None:
    """Trains, or goes on with a run.

    Args:
        given: fields of the configuration that stand on the command line.
        config_file: TOML file with further fields; the command line wins.
        resume: run folder to go on with.
        recipe_name: of ``recipes.RECIPES``; file and command line win.

    Raises:
        SvertkaError: with what is wrong and what to do.
    """
    need_training()
    if resume:
        if given or config_file or recipe_name:
            names = ", ".join(sorted(given)) or ("--config" if config_file else "--recipe")
            raise ConfigError(f"--resume goes on with a run as it was started; it takes no other option, got {names}.")
        config = run_folder.load_config(Path(resume))
    else:
        config = make_config(given, config_file, recipe_name=recipe_name)
    tell(run(config, resume))


def make_config(
    given: dict[str, Any], config_file: str, verb: str = "train", recipe_name: str = "", **defaults: Any
) -> RunConfig:
    """The configuration from the verb's defaults, a recipe, a file and the command line; the later win."""
    values = defaults | recipe(recipe_name)
    if config_file:
        values |= run_folder.config_fields(Path(config_file), RunConfig(data="-", **values))
    values |= given
    if not values.get("data"):
        raise ConfigError(f"no data were named; expected a folder of images or a table: svertka {verb} FOLDER")
    return RunConfig(**{field.name: values[field.name] for field in fields(RunConfig) if field.name in values})


def run(config: RunConfig, resume: str = "", command: str = "") -> RunRecord:
    """Runs the pipeline with progress on the terminal. Ctrl-C keeps what is done."""
    command = command or shlex.join(["svertka", *sys.argv[1:]])
    with Progress() as progress:
        try:
            from svertka.pipeline import run as pipeline

            return pipeline(config, progress, command=command, resume=resume)
        except KeyboardInterrupt:
            where = resume or progress.folder or "RUN"
            progress.say(f"Stopped; what is done is kept. Go on with: svertka train --resume {where}")
            sys.exit(130)


_PLAIN_SPACES = str.maketrans("\u00a0\u202f", "  ")  # not every terminal has the others


def tell(record: RunRecord) -> None:
    """Prints the headline and where things are."""
    accuracy = record.evaluation.metrics["accuracy"]
    auc = record.evaluation.metrics.get("roc_auc")
    folder = Path(record.config.out) if record.config.out else Path("runs") / record.name
    print(
        f"\nAccuracy {accuracy.value:.1%} (95 % interval {accuracy.low:.1%} to {accuracy.high:.1%}, n = {accuracy.n})",
        end="",
    )
    print(f", ROC AUC {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})" if auc else "")
    kept = word("strategy", record.decision.strategy)
    print(f"Kept: {kept}. {sentences(*record.decision.reasons)}")
    for alert in make_alerts(Voice("en"), record):
        if alert.level == "warning":
            said = ". ".join(filter(None, (alert.title, alert.body)))
            print(f"Warning: {said.translate(_PLAIN_SPACES)}")
    print(f"Report: {folder / run_folder.REPORT}")
    print(f"Bundle: {folder / run_folder.BUNDLE}")
