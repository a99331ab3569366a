"""``svertka lab feature-maps``: what 32 filters make of one colour image, random filters beside trained ones."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svertka.cli.lab.picture import Pixels, Tile, as_light, as_signed, in_corner, read_image, save, sheet, size_of
from svertka.engine.arrays import Array
from svertka.engine.functional import conv2d
from svertka.errors import NotFoundError, WeightsError

_MAPS, _COLUMNS = 32, 8


def feature_maps(image: str, weights: str, seed: int, out: str) -> None:
    """Draws each filter in the corner of its feature map: 32 random ones, then 32 trained ones.

    Args:
        image: file.
        weights: bundle, run folder, ``.safetensors`` or ``.pth``; empty: EfficientNet-Lite0's, trained on ImageNet.
        seed: of the random filters.
        out: PNG to write.

    Raises:
        SvertkaError: with what is wrong and what to do.
    """
    pixels = read_image(image)
    rgb = np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels
    x = (rgb / np.float32(127.5) - 1).transpose(2, 0, 1)[None]
    name, trained = _first_layer(weights)
    random = np.random.default_rng(seed).normal(size=(_MAPS, *trained.shape[1:])).astype(np.float32)
    random -= random.mean(axis=(1, 2, 3), keepdims=True)
    sections = {"Image": [Tile(as_light(pixels), Path(image).name, size_of(pixels))]}
    for heading, w in ((f"Random filters (seed {seed})", random), (f"Trained filters ({name})", trained[:_MAPS])):
        y = conv2d(x, w, padding=w.shape[2] // 2)[0]
        maps = (in_corner(as_signed(plane), _patch(kernel)) for plane, kernel in zip(y, w, strict=True))
        sections[heading] = [Tile(one, str(number)) for number, one in enumerate(maps, 1)]
    kernel_size = f"{trained.shape[2]} × {trained.shape[3]} × 3"
    title = f"{len(trained[:_MAPS])} feature maps of {Path(image).name}"
    subtitle = f"Filters of {kernel_size} stand in the corners; maps {size_of(pixels)}, blue below 0, red above"
    height = round(150 * min(1.3, pixels.shape[0] / pixels.shape[1]))
    save(sheet(title, subtitle, sections, columns=_COLUMNS, box_px=(150, height)), out)
    print(f"Trained filters: {name}, {len(trained)} of {kernel_size}; random ones of the same size, seed {seed}")
    print(f"Picture {out}")


def _patch(w_3KL: Array) -> Pixels:
    """A filter as colours, its lowest number black and its highest white."""
    patch = w_3KL.transpose(1, 2, 0)
    return as_light(255 * (patch - patch.min()) / max(float(np.ptp(patch)), 1e-12))


def _first_layer(weights: str) -> tuple[str, NDArray[np.float32]]:
    """Name and filters [O, 3, K, L] of the first convolution over colours.

    Raises:
        NotFoundError: there are no such weights.
        WeightsError: they hold no such convolution.
    """
    path = _find(weights)
    if path.suffix == ".safetensors":
        from svertka.engine.network import read_arrays

        arrays = read_arrays(path)
    else:
        from svertka.cli.extras import need_training

        need_training()
        from svertka.pretrained import read_state

        arrays = {name: tensor.float().numpy() for name, tensor in read_state(path).items()}
    found = [(name, w) for name, w in arrays.items() if w.ndim == 4 and w.shape[1] == 3 and w.shape[2] > 1]
    if not found:
        raise WeightsError(f"{path} holds no convolution over 3 colours; expected a network for colour images.")
    return (f"{path.name}, {found[0][0]}" if weights else "EfficientNet-Lite0, ImageNet-1k"), found[0][1]


def _find(weights: str) -> Path:
    if not weights:
        from svertka.cli.extras import need_training

        need_training()
        from svertka.pretrained import embedded_weights

        return embedded_weights()
    path = Path(weights)
    if path.is_dir():
        inside = [path / "weights.safetensors", path / "bundle" / "weights.safetensors"]
        path = next((place for place in inside if place.is_file()), inside[0])
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist; expected a bundle, a run folder, a .safetensors or a .pth file.")
    return path
