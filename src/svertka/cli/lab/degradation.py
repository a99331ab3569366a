"""``svertka lab degradation``: does a deeper network learn worse?"""

from svertka.cli.extras import need_training
from svertka.cli.lab.experiment import Count, Epochs, Folder, Seed, SmallImages, collect, files, load, print_findings
from svertka.cli.progress import TerminalProgress, duration
from svertka.util import runtime

_HELD_OUT = 500


def degradation(
    data: SmallImages = "",
    images: Count = 1000,
    epochs: Epochs = 12,
    seed: Seed = 0,
    out: Folder = "degradation",
) -> None:
    """Trains plain and residual nets of 20 and 56 layers, draws their training errors, and says what they show."""
    need_training()
    runtime.setup()
    from svertka.lab import degradation as lab
    from svertka.viz.drawing import save

    drawn, csv = files(out, "degradation.svg", lab.DegradationEpoch, [data])
    with TerminalProgress() as progress:
        small = load(data, progress).sample(images, _HELD_OUT, seed).halved()
        progress.say(_forecast(lab.estimate_s(small, epochs), len(small.train), epochs))
        rows = collect(lab.measure(small, epochs, seed, progress), csv, progress)
    print(*lab.differences(rows, small.name))
    print_findings(lab.sentences(rows), save(lab.picture(rows, small.name), drawn), csv)


def _forecast(seconds: float, images: int, epochs: int) -> str:
    trained = "1 epoch" if epochs == 1 else f"{epochs} epochs"
    return (
        f"About {duration(seconds)} here: 4 networks, {images:,} images, {trained} each. "
        "For less, give --images or --epochs a smaller number."
    )
