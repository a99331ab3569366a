"""``svertka lab trace``: the arithmetic of one number inside a trained network, as text."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
import typer

from svertka.bundle.bundle import open_bundle
from svertka.bundle.manifest import MODEL
from svertka.cli.lab.words import size_text
from svertka.cli.options import Bundle, ImageFile
from svertka.cli.output import say_samples
from svertka.data import decode
from svertka.errors import ConfigError, DataError, ImageRejected
from svertka.inference.backends import as_graph_error, open_numpy, run_numpy
from svertka.inference.numpy_backend.unit_trace import Trace, TracedLayer, layers
from svertka.inference.numpy_backend.unit_trace import trace as take_apart
from svertka.inference.outputs import check_finite, check_outputs, output_names

_IN_FULL = 3  # input channels whose window, kernel and products are printed
_SUMS_SHOWN = 12


def trace(
    bundle: Bundle,
    image: ImageFile,
    layer: Annotated[str, typer.Option(help="Name of a layer [default: list them all].")] = "",
    at: Annotated[str, typer.Option(help="CHANNEL,ROW,COLUMN in its output, or FEATURE.")] = "",
) -> None:
    """Prints how one number came about, or the layers that there are.

    Raises:
        ConfigError: ``at`` is missing or no list of numbers.
        NotFoundError: there is no such bundle or layer.
        BundleError: the bundle is damaged, or its graph gives what no classifier gives.
        DataError: the image cannot be read.
        ShapeError: the layer has no such place.
    """
    opened, model = open_bundle(bundle)
    twin = open_numpy(model)
    try:
        pixels_SSC, notes = decode.load_noted(image, opened.preprocess)
    except ImageRejected as rejected:
        raise DataError(f"{image} cannot be used: {rejected}") from rejected
    say_samples([(str(image), notes)])
    pixels = pixels_SSC[None]
    names, where = output_names(opened), str(opened.directory / MODEL)
    check_outputs(run_numpy(twin, pixels, names), names, 1, len(opened.class_names), where)
    with as_graph_error("cannot be taken apart"):
        if not layer:
            print("\n".join(_list(layers(twin, pixels.shape))))
            return
        found = take_apart(twin, pixels, layer, _place(at))
    check_finite(np.array([found.result, found.computed]), layer, where)
    print("\n".join(_explain(found)))


def _place(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        given = f"--at is {text!r}" if text else "--at is missing"
        raise ConfigError(f"{given}; expected CHANNEL,ROW,COLUMN such as 5,10,20 (a linear layer: FEATURE).") from None


def _list(found: Sequence[TracedLayer]) -> Iterator[str]:
    width = max((len(layer.name) for layer in found), default=0)
    yield f"{'layer':<{width}}  {'weights':<20}  input → output"
    for layer in found:
        sizes = f"{size_text(layer.input_shape)} → {size_text(layer.output_shape)}"
        yield f"{layer.name:<{width}}  {size_text(layer.kernel_shape):<20}  {sizes}"
    yield "Choose a number with --layer NAME --at CHANNEL,ROW,COLUMN (a linear layer: --at FEATURE)."


def _explain(found: Trace) -> Iterator[str]:
    layer, (channels, height, width) = found.layer, found.kernel_CKL.shape
    yield f"{layer.name}: {size_text(layer.input_shape)} → {size_text(layer.output_shape)}"
    if layer.op == "Conv":
        channel, row, column = found.place
        top, left = found.corner
        bottom, right = (
            first + (size - 1) * step
            for first, size, step in zip(found.corner, (height, width), found.dilations, strict=True)
        )
        yield (
            f"The number at channel {channel}, row {row}, column {column} sees rows {top} to {bottom} and columns "
            f"{left} to {right} of {channels} input channels (outside the map: zeros)."
        )
    else:
        yield f"Feature {found.place[-1]} sees all {channels} numbers of the layer before."
    order = np.argsort(-np.abs(found.sums_C), kind="stable").tolist()
    if height * width > 1:
        yield from _windows(found, order[:_IN_FULL])
    yield from _sums(found, order)
    yield from _end(found)


def _windows(found: Trace, channels: Sequence[int]) -> Iterator[str]:
    """Window, kernel and products of the input channels that add most."""
    for channel in channels:
        yield ""
        parts = [found.window_CKL[channel], found.kernel_CKL[channel], found.products_CKL[channel]]
        titles = ("window", "kernel", "products")
        columns = parts[0].shape[1] * 10
        yield f"input channel {found.first_channel + channel}"
        yield "   ".join(f"{title:<{columns}}" for title in titles).rstrip()
        for row in range(parts[0].shape[0]):
            yield "   ".join("".join(f"{value:>10.4f}" for value in part[row]) for part in parts)


def _sums(found: Trace, order: Sequence[int]) -> Iterator[str]:
    yield ""
    yield "what each input channel adds, the largest first"
    for channel in order[:_SUMS_SHOWN]:
        detail = ""
        if found.kernel_CKL[0].size == 1:
            detail = f"  = {found.window_CKL[channel, 0, 0]:.6f} × {found.kernel_CKL[channel, 0, 0]:.6f}"
        yield f"{found.first_channel + channel:>10}  {found.sums_C[channel]:>14.6f}{detail}"
    if left := len(order) - _SUMS_SHOWN:
        if left > 0:
            yield f"{left:>4} others  {found.sums_C[order[_SUMS_SHOWN:]].sum():>14.6f}"


def _end(found: Trace) -> Iterator[str]:
    yield ""
    yield f"sum over {len(found.sums_C)} input channels  {found.sums_C.sum():>14.6f}"
    yield f"bias (BatchNorm folded in)  {found.bias:>14.6f}"
    if found.shortcut is not None:
        yield f"shortcut of the block       {found.shortcut:>14.6f}"
    if found.activation:
        yield f"before the activation       {found.before_activation:>14.6f}"
    yield f"{found.activation or 'result':<26}  {found.result:>14.6f}"
    yield f"the network computed        {found.computed:>14.6f}  (difference {abs(found.result - found.computed):.1e})"
