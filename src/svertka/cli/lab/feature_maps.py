"""``svertka lab feature-maps``: what 32 filters make of one colour image, random filters beside trained ones."""

from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray

from svertka.bundle.bundle import load_bundle
from svertka.bundle.manifest import WEIGHTS
from svertka.cli import output
from svertka.cli.extras import need_training
from svertka.cli.lab.picture import Tile, as_light, in_corner, read_image, sheet, size_of
from svertka.cli.options import ImageFile, seed_option
from svertka.engine.arrays import Array
from svertka.engine.convolution import conv2d
from svertka.engine.network import read_arrays
from svertka.errors import NotFoundError, WeightsError
from svertka.schema import Preprocess
from svertka.viz.drawing import save_png
from svertka.viz.heatmap import Pixels, diverging

_MAPS, _COLUMNS = 32, 8


def feature_maps(
    image: ImageFile,
    weights: Annotated[str, typer.Option(help="Bundle, run folder or weights file [default: ImageNet's].")] = "",
    seed: Annotated[int, seed_option("Of the random filters.")] = 0,
    out: Annotated[str, typer.Option(help="PNG file to write.")] = "feature_maps.png",
) -> None:
    """Draws each filter in the corner of its feature map: random ones, then as many trained ones, up to 32."""
    target = output.picture_to(out, [image, weights])
    pixels = read_image(image)
    rgb = np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels
    found = _first_filters(weights)
    x = ((rgb / 255 - found.preprocess.mean) / found.preprocess.std).astype(np.float32).transpose(2, 0, 1)[None]
    trained = found.kernels_O3KL[:_MAPS]
    random = np.random.default_rng(seed).normal(size=trained.shape).astype(np.float32)
    random -= random.mean(axis=(1, 2, 3), keepdims=True)
    sections = {"Image": [Tile(as_light(pixels), Path(image).name, size_of(pixels))]}
    K, L = trained.shape[2:]
    for heading, w in ((f"Random filters (seed {seed})", random), (f"Trained filters ({found.name})", trained)):
        y = conv2d(x, w, padding=((K - 1) // 2, (L - 1) // 2))[0]
        maps = (in_corner(diverging(plane), _patch(kernel)) for plane, kernel in zip(y, w, strict=True))
        sections[heading] = [Tile(one, str(number)) for number, one in enumerate(maps, 1)]
    kernel_size = f"{K} × {L} × 3"
    title = f"{len(trained)} feature maps of {Path(image).name}"
    subtitle = f"Filters of {kernel_size} stand in the corners; maps {size_of(y[0])}, blue below 0, red above"
    height = round(150 * min(1.3, pixels.shape[0] / pixels.shape[1]))
    save_png(sheet(title, subtitle, sections, columns=_COLUMNS, box_px=(150, height)), target)
    print(
        f"Trained filters: {found.name}, {len(found.kernels_O3KL)} of {kernel_size}; random ones of the same size, "
        f"seed {seed}"
    )
    print(f"Pixels: (value / 255 - mean) / std, {_scaling(found.preprocess)}, {found.whose_scaling}")
    print(f"Picture {target}")


def _patch(w_3KL: Array) -> Pixels:
    """A filter as colours, its lowest number black and its highest white."""
    patch = w_3KL.transpose(1, 2, 0)
    return as_light(255 * (patch - patch.min()) / max(float(np.ptp(patch)), 1e-12))


def _scaling(preprocess: Preprocess) -> str:
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (preprocess.mean, preprocess.std))
    return f"mean {mean}, std {std}"


class _Filters(NamedTuple):
    """The first convolution over colours: whose it is, its filters [O, 3, K, L], and how pixels are scaled for it."""

    name: str
    kernels_O3KL: NDArray[np.float32]
    preprocess: Preprocess
    whose_scaling: str


def _first_filters(weights: str) -> _Filters:
    """Of a bundle, a file, or (empty) the embedded weights.

    Raises:
        NotFoundError: there are no such weights.
        WeightsError: they hold no such convolution.
        BundleError: the bundle is damaged.
    """
    path, preprocess, whose = Path(weights).expanduser(), Preprocess(), "since a file of weights doesn't tell its own"
    if not weights:
        need_training()
        from svertka.backbones.pretrained import embedded_weights

        path, whose = embedded_weights("efficientnet_lite0"), "as these weights expect"
    elif path.is_dir():
        bundle = load_bundle(path)
        path, preprocess, whose = bundle.directory / WEIGHTS, bundle.preprocess, "as the bundle tells"
    name, kernels_O3KL = _of_file(path)
    name = f"{path.name}, {name}" if weights else "EfficientNet-Lite0, ImageNet-1k"
    return _Filters(name, kernels_O3KL, preprocess, whose)


def _of_file(path: Path) -> tuple[str, NDArray[np.float32]]:
    """Name and filters [O, 3, K, L]."""
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist; expected a bundle, a run folder, a .safetensors or a .pth file.")
    if path.suffix == ".safetensors":
        arrays = read_arrays(path)
    else:
        need_training()
        from svertka.backbones.pretrained import read_state

        arrays = {name: tensor.float().numpy() for name, tensor in read_state(path).items()}
    found = [(name, w) for name, w in arrays.items() if w.ndim == 4 and w.shape[1] == 3 and w.shape[2] > 1]
    if not found:
        raise WeightsError(f"{path} holds no convolution over 3 colours; expected a network for colour images.")
    return found[0]
