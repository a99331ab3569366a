"""``svertka lab first-layer``: a network's first filters, each beside the patches that it answers to most."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from svertka.cli.extras import need_training
from svertka.cli.inputs import Input, find_inputs
from svertka.cli.lab.experiment import Folder, collect, files, print_findings
from svertka.cli.lab.picture import Tile, as_light, sheet
from svertka.cli.options import seed_option
from svertka.cli.progress import TerminalProgress
from svertka.data.decode import load
from svertka.errors import DataError, ImageRejected
from svertka.lab import first_layer as lab
from svertka.schema import Advanced, StepStarted
from svertka.util import runtime
from svertka.viz.drawing import save_png
from svertka.viz.heatmap import Pixels

_MOST_IMAGES = 64
_MOST_FILTERS = 64
_SHOWN = 6  # patches beside a filter, in two rows
_BETWEEN = 205  # gray: white patches end somewhere
_TILE_PX = 42  # side of one patch on the sheet


def first_layer(
    network: Annotated[str, typer.Argument(help="Name of a network, or a bundle or run folder.")],
    weights: Annotated[str, typer.Option(help="default (published), none (random), or a file.")] = "default",
    data: Annotated[str, typer.Option(help="Images: a folder, file or CSV [default: two photographs].")] = "",
    seed: Annotated[int, seed_option("Of random weights, and of which 64 images are taken.")] = 0,
    out: Folder = "first_layer",
) -> None:
    """Finds the patches, draws them beside the filters, and says what they show."""
    runtime.setup()
    inputs = find_inputs([data]) if data else []
    drawn, csv = files(
        out, "first_layer.png", lab.FilterPatch, [network, weights, data, *(each.file for each in inputs)]
    )
    if Path(network).expanduser().is_dir():
        first = lab.of_bundle(network)
    else:
        need_training()
        first = lab.of_backbone(network, weights, seed)
    with TerminalProgress() as progress:
        images, about = _read(data, inputs, first, seed, progress)
        patches, count = lab.best_patches(first, images)
        collect(patches, csv, progress)
    of_filter: dict[int, list[lab.FilterPatch]] = defaultdict(list)
    for patch in patches:
        of_filter[patch.filter].append(patch)
    heard = lab.loud(first)
    alike = [lab.resemblance(first, number, _seen(first, images, of_filter[number])) for number in heard]
    _draw(first, images, {number: of_filter[number] for number in heard}, network, about, drawn)
    print_findings(lab.sentences(first, patches, count, about, alike), drawn, csv)


def _read(
    data: str, inputs: list[Input], first: lab.FirstLayer, seed: int, progress: TerminalProgress
) -> tuple[list[Pixels], str]:
    """The network's pixels of each image, and what they are."""
    if not data:
        return _photographs(first), "scikit-learn's 2 photographs"
    if len(inputs) > _MOST_IMAGES:
        chosen = np.random.default_rng(seed).choice(len(inputs), _MOST_IMAGES, replace=False)
        inputs = [inputs[index] for index in sorted(chosen)]
    progress(StepStarted("images", len(inputs)))
    images = []
    for number, each in enumerate(inputs, 1):
        try:
            images.append(load(each.file, first.preprocess))
        except ImageRejected as error:
            progress.say(f"{each.name} is left out: {error}")
        progress(Advanced(number))
    if not images:
        raise DataError(f"{data} holds no image that can be used; expected at least one.")
    return images, f"{len(images)} images of {data}"


def _photographs(first: lab.FirstLayer) -> list[Pixels]:
    need_training()
    from sklearn.datasets import load_sample_images

    from svertka.data.preprocess import apply

    return [apply(first.preprocess, rgb) for rgb in load_sample_images().images]


def _seen(first: lab.FirstLayer, images: Sequence[Pixels], patches: Sequence[lab.FilterPatch]) -> list[lab.F32]:
    height, width = first.kernels_OCKL.shape[2:]
    return [first.see(images[p.image - 1])[:, p.row : p.row + height, p.column : p.column + width] for p in patches]


def _draw(
    first: lab.FirstLayer,
    images: Sequence[Pixels],
    patches: dict[int, list[lab.FilterPatch]],
    name: str,
    about: str,
    path: Path,
) -> None:
    filters, channels, height, width = first.kernels_OCKL.shape
    shown = list(patches)[:_MOST_FILTERS]
    tiles = [
        Tile(
            _beside(first.kernels_OCKL[number - 1], [_cut(images, patch, height, width) for patch in patches[number]]),
            str(number),
            f"best: {patches[number][0].deviations:.1f} deviations above mean",
        )
        for number in shown
    ]
    title = f"{len(shown)} of {filters} first filters of {name}"
    subtitle = (
        f"Left: the filter, {height} × {width} × {channels}, gray where it is 0. Right: the {_SHOWN} patches with the "
        f"strongest answers, of {about}"
    )
    columns = 4
    save_png(sheet(title, subtitle, {"": tiles}, columns=columns, box_px=tiles[0].pixels.shape[1::-1]), path)


def _cut(images: Sequence[Pixels], patch: lab.FilterPatch, height: int, width: int) -> Pixels:
    return images[patch.image - 1][patch.row : patch.row + height, patch.column : patch.column + width]


def _beside(kernel_CKL: lab.F32, patches: Sequence[Pixels]) -> Pixels:
    """The filter, twice as large, left of its patches."""
    peak = float(np.abs(kernel_CKL).max()) or 1.0
    light = as_light(127.5 + 127.5 * kernel_CKL.transpose(1, 2, 0) / peak)
    gap = 4
    side = 2 * _TILE_PX + gap
    columns = _SHOWN // 2
    strip = np.full((side, side + 2 * gap + columns * (_TILE_PX + gap) - gap, 3), _BETWEEN, np.uint8)
    strip[:, :side] = _enlarge(light if light.shape[2] == 3 else light[:, :, :1].repeat(3, axis=2), side)
    for index, patch in enumerate(patches[:_SHOWN]):
        top = index // columns * (_TILE_PX + gap)
        left = side + 2 * gap + index % columns * (_TILE_PX + gap)
        strip[top : top + _TILE_PX, left : left + _TILE_PX] = _enlarge(patch, _TILE_PX)
    return strip


def _enlarge(pixels: Pixels, side_px: int) -> Pixels:
    """With hard edges: single pixels are what there is to see."""
    return np.asarray(Image.fromarray(pixels).resize((side_px, side_px), Image.Resampling.NEAREST))
