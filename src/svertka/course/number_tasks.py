"""Tasks whose solution is numbers: the sizes of chapter 3.1, the parameters of ResNet-18."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from svertka.course.answer_sheets import as_numbers, read_sheet
from svertka.course.findings import Finding, part, right, wrong
from svertka.course.sandbox import source_of
from svertka.engine.geometry import output_size


@dataclass(frozen=True, slots=True)
class SizeQuestion:
    """How large is the output along one axis?"""

    field: str
    size: int
    kernel: int
    padding: int
    stride: int


SIZES = (SizeQuestion("first", 224, 5, 2, 1), SizeQuestion("second", 128, 3, 0, 2))


def sizes(file: Path) -> Iterator[Finding]:
    """A sheet with the two sizes of homework 1 of chapter 3.1."""
    sheet = read_sheet(file, {each.field: float for each in SIZES})
    for question in SIZES:
        yield _size(question, sheet[question.field])


def _size(asked: SizeQuestion, got: float) -> Finding:
    """A wrong size is met with the window that doesn't fit, or that would still fit."""
    expected = output_size(asked.size, asked.kernel, asked.stride, asked.padding)
    shown = {"size": asked.size, "kernel": asked.kernel, "padding": asked.padding, "stride": asked.stride}
    if got == expected:
        return right("size", n=expected, **shown)
    if got != int(got) or got < 1:
        return wrong("size_not_whole", got=got, **shown)
    window = int(got) if got > expected else int(got) + 1  # the last one that is claimed, or the next one
    first = (window - 1) * asked.stride
    last, edge = first + asked.kernel - 1, asked.size + 2 * asked.padding - 1
    parts = (part("window", window), part("covers", f"{first} … {last}"), part("last_column", edge))
    return wrong("size_too_large" if got > expected else "size_too_small", *parts, got=got, **shown)


# --- the parameters of ResNet-18 -----------------------------------------------------------------------------------

RESNET18 = 11_689_512


@dataclass(frozen=True, slots=True)
class Counted:
    """A layer with parameters: a convolution, a batch normalisation or the linear layer."""

    name: str
    kind: str
    kernel: int
    inputs: int
    outputs: int

    @property
    def parameters(self) -> int:
        """Weights, and where the layer has them, biases."""
        if self.kind == "batch_norm":
            return 2 * self.outputs
        biases = self.outputs if self.kind == "linear" else 0
        return self.kernel**2 * self.inputs * self.outputs + biases


def resnet18_layers() -> tuple[Counted, ...]:
    """Table 1 of He et al. 2015 (arXiv 1512.03385), column 18-layer, with names as torchvision has them."""

    def convolution(name: str, norm: str, kernel: int, inputs: int, outputs: int) -> Iterator[Counted]:
        yield Counted(name, "convolution", kernel, inputs, outputs)
        yield Counted(norm, "batch_norm", 1, outputs, outputs)

    layers = [*convolution("conv1", "bn1", 7, 3, 64)]
    inputs = 64
    for stage, outputs in enumerate((64, 128, 256, 512), 1):
        for block in range(2):
            place = f"layer{stage}.{block}"
            layers += convolution(f"{place}.conv1", f"{place}.bn1", 3, inputs, outputs)
            layers += convolution(f"{place}.conv2", f"{place}.bn2", 3, outputs, outputs)
            if inputs != outputs:
                layers += convolution(f"{place}.downsample.0", f"{place}.downsample.1", 1, inputs, outputs)
            inputs = outputs
    return *layers, Counted("fc", "linear", 1, 512, 1000)


def resnet18_parameters(file: Path) -> Iterator[Finding]:
    """A table of layer and parameters, a row a layer, and the total; spaces or commas may group thousands."""
    rows = _rows(source_of(file))
    layers = resnet18_layers()
    known = {layer.name for layer in layers} | {"total"}
    strange = next((name for name in rows if name not in known), None)
    if strange is not None or not rows:
        yield wrong("no_layer", name=strange or "")
        return
    done = 0
    for layer in sorted(layers, key=lambda layer: layer.parameters):  # the smallest numbers first
        got = rows.get(layer.name)
        if got != layer.parameters:
            yield _layer(layer, got)
            return
        done += 1
    yield right("layers", n=done)
    total = rows.get("total")
    yield (
        right("total", n=RESNET18)
        if total == RESNET18
        else wrong("total", part("got", "–" if total is None else total))
    )


def _layer(layer: Counted, got: int | None) -> Finding:
    parts = [part("kind", layer.kind), part("kernel_size", f"{layer.kernel} × {layer.kernel}")]
    parts = parts if layer.kind == "convolution" else parts[:1]
    parts += [part("channels", f"{layer.inputs} → {layer.outputs}"), part("expected", layer.parameters)]
    if got is not None:
        return wrong(f"layer_{layer.kind}", *parts, part("got", got), name=layer.name)
    return wrong("layer_missing", *parts[:-1], name=layer.name)


def _rows(text: str) -> dict[str, int | None]:
    """Layer to number; None where there is none that could be read."""
    delimiter = max(",;\t", key=lambda mark: text[:2000].count(mark))
    found: dict[str, int | None] = {}
    for row in csv.reader(io.StringIO(text), delimiter=delimiter):
        cells = [cell.strip() for cell in row if cell.strip()]
        if not cells or cells[0].lower() in ("layer", "слой") or cells[0].startswith("#"):
            continue
        written = "".join(cells[1:]).replace(" ", "").replace("\u00a0", "").replace("\u202f", "").replace(",", "")
        numbers = as_numbers(written)
        whole = len(numbers) == 1 and numbers[0] == int(numbers[0])
        found[cells[0]] = int(numbers[0]) if whole else None
    return found
