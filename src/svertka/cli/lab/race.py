"""``svertka lab race``: which network learns sooner, and at what cost."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from svertka.cli.extras import need_training
from svertka.cli.lab.experiment import Count, Epochs, Folder, Seed, SmallImages, collect, files, load, print_findings
from svertka.cli.progress import TerminalProgress
from svertka.errors import ConfigError
from svertka.util import runtime

if TYPE_CHECKING:
    from svertka.lab.race import Result

_HELD_OUT = 1000
_SHIFT_PX = 2


def race(
    networks: Annotated[list[str], typer.Argument(help="Names; svertka models lists them.")],
    data: SmallImages = "",
    images: Count = 1000,
    epochs: Epochs = 6,
    target: Annotated[float | None, typer.Option(help="Accuracy to time, such as 0.9 [default: all reach it].")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch CIFAR-10 (163 MB) and race on it.")] = False,
    seed: Seed = 0,
    out: Folder = "race",
) -> None:
    """Trains networks one after another on the same images and prints time, accuracy and memory of each."""
    need_training()
    runtime.setup()
    if target is not None and not 0 < target <= 1:
        raise ConfigError(f"--target is {target:g}; expected an accuracy above 0, at most 1, such as 0.9.")
    from svertka.lab import race as lab
    from svertka.lab.training_loop import TrainingSettings
    from svertka.viz.drawing import save

    entries, recipe = lab.enter(networks), TrainingSettings(epochs=epochs, shift_px=_SHIFT_PX, seed=seed)
    drawn, csv = files(out, "race.svg", lab.Lap, [data])
    with TerminalProgress() as progress:
        chosen = load(data, progress, download=download).sample(images, _HELD_OUT, seed)
        laps = collect(lab.race(entries, chosen, recipe, progress), csv, progress)
    target = lab.common_target(laps) if target is None else target
    found = lab.results(laps, target)
    trained = "1 epoch" if epochs == 1 else f"{epochs} epochs"
    sizes = f"{len(chosen.train):,} images to learn, {len(chosen.held_out):,} held out, {trained}"
    print(f"{chosen.name}: {sizes}.{lab.learning_rate_note(networks)}\n")
    print(_table(found, target) + "\n")
    guessing = max(Counter(chosen.held_out_labels.tolist()).values()) / len(chosen.held_out)
    print_findings(
        lab.sentences(found, target, guessing),
        save(lab.picture(laps, target, chosen.name, len(chosen.train)), drawn),
        csv,
    )


def _table(found: "Sequence[Result]", target: float) -> str:
    from svertka.lab.race import write_accuracy
    from svertka.model_summary.summary import write_table

    header = ("network", "parameters", "s/epoch", "accuracy at the end", f"s to {target:.0%}", "peak MB")
    rows = [
        (
            result.network,
            f"{result.parameters:,}",
            f"{result.epoch_s:.1f}",
            write_accuracy(result.accuracy),
            "never" if result.to_target_s is None else f"{result.to_target_s:.1f}",
            f"{result.peak_memory_mb:,.0f}",
        )
        for result in found
    ]
    return write_table(header, rows, "table", right={1, 2, 4, 5})
