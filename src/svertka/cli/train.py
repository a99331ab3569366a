"""``svertka train``: options become a ``RunConfig``, the pipeline runs, the result is printed."""

import shlex
import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from svertka.cli.extras import need_training
from svertka.cli.options import Backbone, Config, GroupColumn, GroupRegex, Language, ThreadsOfRun, given
from svertka.cli.output import PLAIN_SPACES, phrase, speak, terminal
from svertka.cli.progress import TerminalProgress
from svertka.config import STRATEGY_NAMES, RunConfig
from svertka.config.fine_tuning import RECIPES
from svertka.config.fine_tuning import recipe as fields_of
from svertka.errors import ConfigError
from svertka.report.alerts import SHOWN, make_alerts
from svertka.runs import folder as run_folder
from svertka.schema import RunRecord

_HEADLINE = ("accuracy", "roc_auc")


def train(
    data: Annotated[str, typer.Argument(help="Folder of images, or a CSV/TSV table.")] = "",
    out: Annotated[str, typer.Option(help="Run folder [default: runs/<name>-<n>].")] = "",
    strategy: Annotated[str, typer.Option(help=f"{', '.join(STRATEGY_NAMES)}.")] = "",
    folds: Annotated[int | None, typer.Option(help="Average so many, each taught without one fold.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Budget of the run [default: 10].")] = None,
    backbone: Backbone = "",
    weights: Annotated[str, typer.Option(help="default, none, a weights name, or a file.")] = "",
    recipe: Annotated[str, typer.Option(help=f"{', or '.join(RECIPES)}: from scratch on images of 28 to 64 px.")] = "",
    seed: Annotated[int | None, typer.Option(help="Of split, order and augmentation [default: 0].")] = None,
    group_column: GroupColumn = "",
    group_regex: GroupRegex = "",
    positive: Annotated[str, typer.Option(help="Of two classes the one to be found [default: the rarer].")] = "",
    drop_leaks: Annotated[bool, typer.Option("--drop-leaks", help="Take leaked images out of training.")] = False,
    min_images: Annotated[int | None, typer.Option(help="Leave out classes with fewer images [default: 0].")] = None,
    threads: ThreadsOfRun = None,
    language: Language = "",
    config_file: Config = "",
    resume: Annotated[str, typer.Option(help="Run folder to go on with; takes no other option.")] = "",
) -> None:
    """Trains, or goes on with a run. Of recipe, configuration file and command line the later win."""
    options = given(locals())
    need_training()
    if resume:
        if options or config_file or recipe:
            names = ", ".join(sorted(options)) or ("--config" if config_file else "--recipe")
            raise ConfigError(f"--resume goes on with a run as it was started; it takes no other option, got {names}.")
        config = run_folder.load_config(Path(resume))
    else:
        config = make_config(options, config_file, recipe_name=recipe)
    print_result(run(config, resume))


def make_config(
    options: dict[str, Any], config_file: str, verb: str = "train", recipe_name: str = "", **defaults: Any
) -> RunConfig:
    """The configuration from the verb's defaults, a recipe, a file and the command line; the later win."""
    values = defaults | fields_of(recipe_name)
    if config_file:
        values |= run_folder.config_fields(Path(config_file), RunConfig(data="-", **values))
    values |= options
    if not values.get("data"):
        raise ConfigError(f"no data were named; expected a folder of images or a table: svertka {verb} FOLDER")
    return RunConfig(**{field.name: values[field.name] for field in fields(RunConfig) if field.name in values})


def run(config: RunConfig, resume: str = "", command: str = "") -> RunRecord:
    """Runs the pipeline with progress on the terminal, in the run's language. Ctrl-C keeps what is done."""
    speak(config.language)
    command = command or shlex.join(["svertka", *sys.argv[1:]])
    with TerminalProgress() as progress:
        try:
            from svertka.pipeline import run as pipeline

            return pipeline(config, progress, command=command, resume=resume)
        except KeyboardInterrupt:
            where = resume or progress.folder or "RUN"
            progress.say(phrase("stopped", command=f"svertka train --resume {where}"))
            sys.exit(130)


def print_result(record: RunRecord) -> None:
    """Prints the headline, the weightiest warnings, and where things are, in the language of the run."""
    speak(record.config.language)
    tr, metrics = terminal(), record.evaluation.metrics
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
