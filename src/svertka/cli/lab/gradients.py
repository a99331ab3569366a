"""``svertka lab gradients``: does the gradient of a deep network reach its first layers?"""

from typing import Annotated

import typer

from svertka.cli.extras import need_training
from svertka.cli.lab.experiment import Folder, Seed, SmallImages, collect, files, load, print_findings
from svertka.cli.progress import TerminalProgress
from svertka.util import runtime


def gradients(
    data: SmallImages = "",
    depths: Annotated[str, typer.Option(help="Layers of the networks: 6 n + 2, with commas.")] = "8,20,56,110",
    steps: Annotated[int, typer.Option(help="Of training before the second measurement.")] = 40,
    seed: Seed = 0,
    out: Folder = "gradients",
) -> None:
    """Measures gradients by depth, draws them, and says what they show."""
    need_training()
    runtime.setup()
    from svertka.lab import gradients as lab
    from svertka.viz.drawing import save

    layers = lab.parse_depths(depths)
    drawn, csv = files(out, "gradients.svg", lab.LayerGradient, [data])
    with TerminalProgress() as progress:
        images = load(data, progress).halved()
        rows = collect(lab.measure(images, layers, steps, seed, progress), csv, progress)
    print_findings(lab.sentences(rows), save(lab.picture(rows, images.name), drawn), csv)
