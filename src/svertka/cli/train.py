"""``svertka train``: options become a ``RunConfig``, the pipeline runs, the result is told."""

import shlex
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from svertka.cli.extras import need_training
from svertka.cli.output import PLAIN_SPACES, phrase, speak, spoken
from svertka.cli.progress import Progress
from svertka.config import RunConfig
from svertka.config.fine_tuning import recipe
from svertka.errors import ConfigError
from svertka.messages.translator import Translator
from svertka.report.alerts import SHOWN, make_alerts
from svertka.runs import folder as run_folder
from svertka.schema import RunRecord

_HEADLINE = ("accuracy", "roc_auc")


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
    """Runs the pipeline with progress on the terminal, in the run's language. Ctrl-C keeps what is done."""
    speak(config.language)
    command = command or shlex.join(["svertka", *sys.argv[1:]])
    with Progress() as progress:
        try:
            from svertka.pipeline import run as pipeline

            return pipeline(config, progress, command=command, resume=resume)
        except KeyboardInterrupt:
            where = resume or progress.folder or "RUN"
            progress.say(phrase("stopped", command=f"svertka train --resume {where}"))
            sys.exit(130)


def tell(record: RunRecord) -> None:
    """Prints the headline, the weightiest warnings, and where things are, in the language of the run."""
    speak(record.config.language)
    tr, metrics = Translator(spoken()), record.evaluation.metrics
    folder = Path(record.config.out) if record.config.out else Path("runs") / record.name
    known = {name: metrics[name] for name in _HEADLINE if name in metrics}
    headline = ", ".join(
        f"{tr(f'metric.{name}.name')} {tr.metric(name, each.value)} ({tr.evidence(name, each)})"
        for name, each in known.items()
    )
    kept = tr("decision.kept", strategy=tr.known("strategy", record.decision.strategy))
    lines = [headline[:1].upper() + headline[1:], f"{kept} {tr.sentences(*record.decision.reasons)}"]
    warnings = [alert.said for alert in make_alerts(tr, record) if alert.level == "warning"]
    has_report = (folder / run_folder.REPORT).is_file()
    shown = warnings[:SHOWN] if has_report else warnings
    lines += [phrase("warning", what=said) for said in shown]
    if len(shown) < len(warnings):
        lines.append(phrase("more_in_report", n=len(warnings) - len(shown)))
    lines += [phrase("report", path=folder / run_folder.REPORT)] if has_report else []
    bundle = folder / run_folder.BUNDLE
    lines += [phrase("bundle", path=bundle)] if bundle.is_dir() else []
    print("\n" + "\n".join(lines).translate(PLAIN_SPACES))
