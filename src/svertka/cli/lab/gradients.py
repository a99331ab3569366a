"""``svertka lab gradients``: does the gradient of a deep network reach its first layers?"""

from svertka.cli.extras import need_training
from svertka.cli.progress import Progress
from svertka.util import runtime


def gradients(data: str, depths: str, steps: int, seed: int, out: str) -> None:
    """Measures gradients by depth, draws them, and says what they show.

    Args:
        data: see ``lab.small_images.load_images``.
        depths: numbers with commas.
        steps: of training before the second measurement.
        seed: of weights, batch and order.
        out: folder.

    Raises:
        SvertkaError: with what is wrong and what to do.
    """
    need_training()
    runtime.setup()
    from svertka.cli.lab.experiment import collect, files, load, tell
    from svertka.lab import gradients as lab
    from svertka.viz.drawing import save

    layers = lab.parse_depths(depths)
    drawn, csv = files(out, "gradients.svg", lab.LayerGradient, [data])
    with Progress() as progress:
        images = load(data, progress).halved()
        rows = collect(lab.measure(images, layers, steps, seed, progress), csv, progress)
    tell(lab.sentences(rows), save(lab.picture(rows, images.name), drawn), csv)
