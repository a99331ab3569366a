"""``svertka lab``: experiments with convolution itself. As in ``cli.main``, a verb's work is imported when called."""

from typing import Annotated, Any

import typer

app = typer.Typer(help="Experiments: look inside a convolution, and at whole networks.", no_args_is_help=True)

_IMAGE = typer.Argument(help="An image file of any kind.")
_MOST_SEED = 2**32 - 1  # as in the configuration of a run


def _checked_seed(seed: int) -> int:
    """NumPy's and torch's generators would each raise an error of their own; typer's own check takes several lines."""
    if not 0 <= seed <= _MOST_SEED:
        from svertka.errors import ConfigError

        raise ConfigError(f"seed is {seed}; expected 0 to {_MOST_SEED}.")
    return seed


def _seed(of: str) -> Any:
    return typer.Option(help=of, callback=_checked_seed)


@app.command()
def conv(
    image: Annotated[str, _IMAGE],
    filter: Annotated[str, typer.Option(help="Kernel by name; svertka lab filters shows all.")] = "sobel_x",
    stride: Annotated[int, typer.Option(help="Pixels from one output to the next.")] = 1,
    padding: Annotated[str, typer.Option(help="Pixels of zeros on each side, or same, or valid.")] = "same",
    flip: Annotated[bool, typer.Option("--flip", help="Turn the kernel: true convolution.")] = False,
    at: Annotated[str, typer.Option(help="ROW,COL of an output pixel: show its arithmetic.")] = "",
    out: Annotated[str, typer.Option(help="PNG file to write.")] = "",
) -> None:
    """Convolve an image with one kernel: the sizes, and how one pixel comes about."""
    from svertka.cli.lab.conv import conv as verb

    verb(image, filter, stride, padding, flip=flip, at=at, out=out)


@app.command()
def filters(
    image: Annotated[str, _IMAGE],
    out: Annotated[str, typer.Option(help="PNG file to write.")] = "filters.png",
) -> None:
    """Draw an image through every named kernel."""
    from svertka.cli.lab.filters import filters as verb

    verb(image, out)


@app.command()
def feature_maps(
    image: Annotated[str, _IMAGE],
    weights: Annotated[str, typer.Option(help="Bundle, run folder or weights file [default: ImageNet's].")] = "",
    seed: Annotated[int, _seed("Of the random filters.")] = 0,
    out: Annotated[str, typer.Option(help="PNG file to write.")] = "feature_maps.png",
) -> None:
    """Draw 32 feature maps of an image: from random and from trained first-layer filters."""
    from svertka.cli.lab.feature_maps import feature_maps as verb

    verb(image, weights, seed, out)


@app.command()
def scratch(
    out: Annotated[str, typer.Option(help="Folder for pictures and weights.")] = "scratch",
    network: Annotated[str, typer.Option(help="lenet5 (as today) or lenet5_1998.")] = "lenet5",
    data: Annotated[str, typer.Option(help="Folder with MNIST's four files [default: 5,000 digits].")] = "",
    epochs: Annotated[int, typer.Option(help="Passes over the training digits.")] = 25,
    seed: Annotated[int, _seed("Of weights, order and augmentation.")] = 0,
) -> None:
    """Train LeNet-5 on handwritten digits in NumPy alone."""
    from svertka.util import runtime

    runtime.setup(threads=1)  # before NumPy is imported; the matrices are too small for more threads
    from svertka.cli.lab.scratch import scratch as verb

    verb(out, network, data, epochs, seed)


@app.command()
def trace(
    bundle: Annotated[str, typer.Argument(help="Bundle, or run folder with one.")],
    image: Annotated[str, typer.Argument(help="Image file.")],
    layer: Annotated[str, typer.Option(help="Name of a layer [default: list them all].")] = "",
    at: Annotated[str, typer.Option(help="CHANNEL,ROW,COLUMN in its output, or FEATURE.")] = "",
) -> None:
    """Show the arithmetic of one number inside your own trained network."""
    from svertka.cli.lab.trace import trace as verb

    verb(bundle, image, layer, at)


_IMAGES = typer.Option(help="cifar10, digits, elpv, or a folder [default: CIFAR-10 if fetched, else digits].")
_SEED = _seed("Of weights, images and their order.")
_FOLDER = typer.Option(help="Folder for the picture and the CSV.")


@app.command()
def gradients(
    data: Annotated[str, _IMAGES] = "",
    depths: Annotated[str, typer.Option(help="Layers of the networks: 6 n + 2, with commas.")] = "8,20,56,110",
    steps: Annotated[int, typer.Option(help="Of training before the second measurement.")] = 40,
    seed: Annotated[int, _SEED] = 0,
    out: Annotated[str, _FOLDER] = "gradients",
) -> None:
    """Measure the gradient at each layer of plain and residual nets: does it vanish?"""
    from svertka.cli.lab.gradients import gradients as verb

    verb(data, depths, steps, seed, out)


@app.command()
def degradation(
    data: Annotated[str, _IMAGES] = "",
    images: Annotated[int, typer.Option(help="To train on; 0 for all.")] = 1000,
    epochs: Annotated[int, typer.Option(help="Of each network.")] = 12,
    seed: Annotated[int, _SEED] = 0,
    out: Annotated[str, _FOLDER] = "degradation",
) -> None:
    """Train plain and residual nets of 20 and 56 layers: does the deeper one learn worse?"""
    from svertka.cli.lab.degradation import degradation as verb

    verb(data, images, epochs, seed, out)


@app.command()
def race(
    networks: Annotated[list[str], typer.Argument(help="Names; svertka models lists them.")],
    data: Annotated[str, _IMAGES] = "",
    images: Annotated[int, typer.Option(help="To train on; 0 for all.")] = 1000,
    epochs: Annotated[int, typer.Option(help="Of each network.")] = 6,
    target: Annotated[float | None, typer.Option(help="Accuracy to time, such as 0.9 [default: all reach it].")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch CIFAR-10 (163 MB) and race on it.")] = False,
    seed: Annotated[int, _SEED] = 0,
    out: Annotated[str, _FOLDER] = "race",
) -> None:
    """Train networks on the same small images: time, accuracy and memory of each."""
    from svertka.cli.lab.race import race as verb

    verb(networks, data, images, epochs, target, seed, out, download=download)


@app.command()
def first_layer(
    network: Annotated[str, typer.Argument(help="Name of a network, or a bundle or run folder.")],
    weights: Annotated[str, typer.Option(help="default (published), none (random), or a file.")] = "default",
    data: Annotated[str, typer.Option(help="Images: a folder, file or CSV [default: two photographs].")] = "",
    seed: Annotated[int, _seed("Of random weights, and of which 64 images are taken.")] = 0,
    out: Annotated[str, _FOLDER] = "first_layer",
) -> None:
    """Draw a network's first filters beside the patches they answer to most."""
    from svertka.cli.lab.first_layer import first_layer as verb

    verb(network, weights, data, seed, out)
