"""``svertka``: the verbs and their options. A verb's work is imported when it is called, so ``--help`` is quick."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from svertka.cli.lab import app as lab
from svertka.cli.process import Stop, one_message, streams
from svertka.config import STRATEGY_NAMES
from svertka.errors import ConfigError


class Verbs(TyperGroup):
    """A group of verbs whose usage errors are one line, as every error here is."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the options before the verb; errors as in ``invoke``."""
        with _one_line():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Calls the verb.

        Raises:
            ConfigError: the verb or its options are not used as they are meant.
        """
        with _one_line():
            return super().invoke(ctx)


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Typer's usage errors have their say here; their class is not public
        if not hasattr(error, "format_message") or type(error).__name__ == "NoArgsIsHelpError":
            raise
        path = getattr(getattr(error, "ctx", None), "command_path", "svertka")
        said = error.format_message().rstrip(".")
        option, command = getattr(error, "option_name", None), getattr(getattr(error, "ctx", None), "command", None)
        if option and command is not None:
            from svertka.cli.hints import hint

            options = {name for parameter in command.params for name in parameter.opts}
            if instead := hint(option, options):
                raise ConfigError(f"no such option: {option}. {instead} See: {path} --help") from error
        raise ConfigError(f"{said}{'' if said.endswith('?') else '.'} See: {path} --help") from error


app = typer.Typer(
    cls=Verbs,
    name="svertka",
    help="A folder of images in; a tested, explained, portable classifier out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(lab, name="lab")
kaggle = typer.Typer(help="Competitions: get the files, send a submission.", no_args_is_help=True)
app.add_typer(kaggle, name="kaggle")


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    """Options that stand before the verb."""
    if version:
        from svertka.util.version import __version__

        typer.echo(f"svertka {__version__}")
        raise typer.Exit


def _speak(language: str) -> str:
    from svertka.cli.output import speak

    return speak(language)


_LANGUAGE = typer.Option(help="Of what is said and written: en or ru.", callback=_speak)
_THREADS = typer.Option(help="For compute; 0: one a core.", show_default=False)


@app.command()
def train(
    data: Annotated[str, typer.Argument(help="Folder of images, or a CSV/TSV table.")] = "",
    out: Annotated[str, typer.Option(help="Run folder [default: runs/<name>-<n>].")] = "",
    strategy: Annotated[str, typer.Option(help=f"{', '.join(STRATEGY_NAMES)}.")] = "",
    folds: Annotated[int | None, typer.Option(help="Average so many, each taught without one fold.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Budget of the run [default: 10].")] = None,
    backbone: Annotated[str, typer.Option(help="Network by name [default: efficientnet_lite0].")] = "",
    weights: Annotated[str, typer.Option(help="default, none, a weights name, or a file.")] = "",
    recipe: Annotated[str, typer.Option(help="small, or small-aligned: from scratch on images of 28 to 64 px.")] = "",
    seed: Annotated[int | None, typer.Option(help="Of split, order and augmentation [default: 0].")] = None,
    group_column: Annotated[str, typer.Option(help="Table column: equal values stay on one side.")] = "",
    group_regex: Annotated[str, typer.Option(help="The same from the file name: what it captures.")] = "",
    positive: Annotated[str, typer.Option(help="Of two classes the one to be found [default: the rarer].")] = "",
    drop_leaks: Annotated[bool, typer.Option("--drop-leaks", help="Take leaked images out of training.")] = False,
    min_images: Annotated[int | None, typer.Option(help="Leave out classes with fewer images [default: 0].")] = None,
    threads: Annotated[int | None, _THREADS] = None,
    language: Annotated[str, _LANGUAGE] = "",
    config: Annotated[str, typer.Option(help="TOML file with any field of the configuration.")] = "",
    resume: Annotated[str, typer.Option(help="Run folder to go on with; takes no other option.")] = "",
) -> None:
    """Train on a folder of images; leaves a run folder with metrics, report and bundle."""
    from svertka.cli.train import train as verb

    given = {
        "data": data,
        "out": out,
        "strategy": strategy,
        "folds": folds,
        "minutes": minutes,
        "backbone": backbone,
        "weights": weights,
        "seed": seed,
        "group_column": group_column,
        "group_regex": group_regex,
        "positive": positive,
        "drop_leaks": drop_leaks,
        "min_images": min_images,
        "threads": threads,
        "language": language,
    }
    verb(_set(given), config, resume, recipe)


@app.command()
def predict(
    bundle: Annotated[str, typer.Argument(help="Bundle, or run folder with one.")],
    paths: Annotated[list[str], typer.Argument(help="Files, folders, quoted globs, or a CSV with paths.")],
    out: Annotated[str, typer.Option(help="CSV file [default: standard output].")] = "",
    threads: Annotated[int, _THREADS] = 0,
    language: Annotated[str, _LANGUAGE] = "",
    engine: Annotated[
        str, typer.Option(help="onnx (ONNX Runtime), numpy (the NumPy twin), auto: the quicker.")
    ] = "auto",
    sample_submission: Annotated[str, typer.Option(help="A competition's sample: write a submission like it.")] = "",
    wanted: Annotated[str, typer.Option(help="labels, or a class [default: as the sample shows].")] = "",
    top_k: Annotated[
        int, typer.Option(help="Only the so many likeliest classes [default: all].", show_default=False)
    ] = 0,
    excel: Annotated[
        bool, typer.Option("--excel", help="For a double click: BOM, semicolons, decimal commas.")
    ] = False,
    config: Annotated[str, typer.Option(help="TOML file: path_column, encoding and the like of a table.")] = "",
) -> None:
    """Predict images with a bundle, as CSV; needs no torch."""
    out = "" if out == "-" else out  # as many tools name standard output
    if sample_submission or wanted:
        from svertka.cli.submission import submit

        if top_k or excel:
            option = "--top-k" if top_k else "--excel"
            raise ConfigError(
                f"{option} changes the columns, which --sample-submission decides; leave one of them out."
            )
        raise typer.Exit(submit(bundle, paths, sample_submission, out or None, wanted, threads, engine, config))
    from svertka.cli.predict import predict as verb

    raise typer.Exit(verb(bundle, paths, out or None, threads, engine, config, top_k, excel))


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="Bundle, or run folder with one.")],
    data: Annotated[str, typer.Argument(help="Labelled folder or table.")],
    out: Annotated[str, typer.Option(help="Folder for metrics.json and predictions.csv.")] = "",
    config: Annotated[str, typer.Option(help="TOML file: label_column, images and the like of a table.")] = "",
    positive: Annotated[str, typer.Option(help="Of two classes the one to be found [default: the bundle's].")] = "",
    threads: Annotated[int, _THREADS] = 0,
    language: Annotated[str, _LANGUAGE] = "",
) -> None:
    """Judge a bundle on new labelled images: every figure with its interval."""
    from svertka.cli.evaluate import evaluate as verb

    raise typer.Exit(verb(model, data, out or None, config, threads, positive))


@app.command()
def advise(
    data: Annotated[str, typer.Argument(help="Folder of images, or a CSV/TSV table.")],
    backbone: Annotated[str, typer.Option(help="Network by name [default: efficientnet_lite0].")] = "",
    group_column: Annotated[str, typer.Option(help="Table column: equal values stay on one side.")] = "",
    group_regex: Annotated[str, typer.Option(help="The same from the file name: what it captures.")] = "",
    seed: Annotated[int | None, typer.Option(help="Of split and folds [default: 0].")] = None,
    threads: Annotated[int | None, _THREADS] = None,
    language: Annotated[str, _LANGUAGE] = "",
    config: Annotated[str, typer.Option(help="TOML file with any field of the configuration.")] = "",
    format: Annotated[str, typer.Option(help="text or json.")] = "text",
) -> None:
    """Say which strategy suits the data, and why; trains nothing."""
    from svertka.cli.advise import advise as verb

    given = {
        "data": data,
        "backbone": backbone,
        "group_column": group_column,
        "group_regex": group_regex,
        "seed": seed,
        "threads": threads,
        "language": language,
    }
    verb(_set(given), config, format)


@app.command()
def compare(
    data: Annotated[str, typer.Argument(help="Folder of images, or a CSV/TSV table.")],
    strategies: Annotated[
        str, typer.Option(help="all, or names: probe,lp-ft [default: all; of several backbones: probe].")
    ] = "",
    backbones: Annotated[str, typer.Option(help="Networks by name: a,b,c [default: efficientnet_lite0].")] = "",
    folds: Annotated[int, typer.Option(help="Every image but the test images is judged once.")] = 5,
    minutes: Annotated[float | None, typer.Option(help="Budget for learning [default: 30].")] = None,
    out: Annotated[str, typer.Option(help="Folder for table, figures and picture [default: runs/<name>-<n>].")] = "",
    group_column: Annotated[str, typer.Option(help="Table column: equal values stay on one side.")] = "",
    group_regex: Annotated[str, typer.Option(help="The same from the file name: what it captures.")] = "",
    seed: Annotated[int | None, typer.Option(help="Of split, folds and learning [default: 0].")] = None,
    threads: Annotated[int | None, _THREADS] = None,
    config: Annotated[str, typer.Option(help="TOML file with any field of the configuration.")] = "",
) -> None:
    """Compare strategies or networks on the same folds: differences with a verdict."""
    from svertka.cli.compare import compare as verb

    given = {
        "data": data,
        "minutes": minutes,
        "out": out,
        "group_column": group_column,
        "group_regex": group_regex,
        "seed": seed,
        "threads": threads,
    }
    verb(_set(given), config, strategies, backbones, folds)


@app.command()
def explain(
    bundle: Annotated[str, typer.Argument(help="Bundle, or run folder with one.")],
    paths: Annotated[list[str], typer.Argument(help="Files, folders, quoted globs, or a CSV with paths.")],
    out: Annotated[str, typer.Option(help="Folder for the page and its pictures.")] = "explained",
    language: Annotated[str, _LANGUAGE] = "",
    threads: Annotated[int, _THREADS] = 0,
    config: Annotated[str, typer.Option(help="TOML file: path_column, encoding and the like of a table.")] = "",
) -> None:
    """Show what a bundle sees in images: Grad-CAM, occlusion, features; needs no torch."""
    from svertka.cli.explain import explain as verb

    raise typer.Exit(verb(bundle, paths, out, language or "en", threads, config))


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="Run folder.")],
    language: Annotated[str, _LANGUAGE] = "",
) -> None:
    """Build a run's report.html again from its files."""
    from svertka.cli.report import report as verb

    verb(run, language)


@app.command()
def demo(
    out: Annotated[str, typer.Option(help="Run folder [default: runs/demo-<n>].")] = "",
    minutes: Annotated[float, typer.Option(help="Budget for learning.")] = 4.0,
    threads: Annotated[int, _THREADS] = 0,
    language: Annotated[str, _LANGUAGE] = "",
) -> None:
    """Train on 2,624 real images of solar cells, which come with a package."""
    from svertka.cli.demo import demo as verb

    verb(out, minutes, threads)


@app.command()
def models(
    names: Annotated[list[str] | None, typer.Argument(help="A network, or: compare NAME NAME …")] = None,
    format: Annotated[str, typer.Option(help="table, csv, md or json.")] = "table",
    input: Annotated[str, typer.Option(help="Channels,height,width, or one side [default: as published].")] = "",
    small: Annotated[
        bool, typer.Option("--small", help="With the stem for images of 28 to 64 px; shown at 32.")
    ] = False,
    diagram: Annotated[str, typer.Option(help="SVG or PNG file to draw the network into.")] = "",
    measure: Annotated[bool, typer.Option("--measure", help="Compare time and memory here.")] = False,
    out: Annotated[str, typer.Option(help="Folder for the pictures of a comparison.")] = "",
) -> None:
    """List networks; show every layer of one; compare several."""
    from svertka.cli.models import models as verb

    verb(names or [], format, input, small, diagram, measure, out)


@kaggle.command()
def download(
    competition: Annotated[str, typer.Argument(help="Its name, as in its address.")],
    out: Annotated[str, typer.Option(help="A new folder [default: the competition's name].")] = "",
) -> None:
    """Download and unpack a competition's files; nothing is overwritten."""
    from svertka.cli.kaggle import download as verb

    verb(competition, out)


@kaggle.command()
def submit(
    competition: Annotated[str, typer.Argument(help="Its name, as in its address.")],
    file: Annotated[str, typer.Argument(help="What predict --sample-submission wrote.")],
    message: Annotated[str, typer.Option(help="Shown beside it in the list of submissions.")] = "made with svertka",
) -> None:
    """Send a submission."""
    from svertka.cli.kaggle import submit as verb

    verb(competition, file, message)


def _set(given: dict[str, Any]) -> dict[str, Any]:
    """Fields of the configuration that stand on the command line."""
    return {name: value for name, value in given.items() if value not in (None, "") and value is not False}


def main() -> None:
    """Runs the command line: an error of ours is one line and exit code 2."""
    debug = "--debug" in sys.argv  # people add it at the end of the line that failed
    if debug:
        sys.argv.remove("--debug")
    stop = Stop()
    with streams():
        try:
            app(standalone_mode=True)
        except SystemExit as ended:
            sys.exit(stop.code or ended.code)
        except Exception as error:
            from svertka.messages import shortened

            message = None if debug else one_message(error)
            if message is None:
                raise
            print(f"svertka: {shortened(' '.join(message.split()))}", file=sys.stderr)
            sys.exit(2)
