"""The summary of a network: output, parameters, work, memory and receptive field of each layer, in four text formats.

The formats need no torch; ``card`` imports it when it looks at a network.
"""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from svertka.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

    from svertka.model_summary.trace import LayerCall


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """One layer, or one operation between layers."""

    name: str
    """Its place in the network."""
    kind: str
    """Class, with kernel and stride."""
    output: tuple[int, ...]
    """Shape for one image, without the batch."""
    parameters: int
    """Trained ones; a layer that is called again has them where it was called first."""
    formula: str
    """How they come about, such as ``3·3·64·128``: kernel, input and output channels, then the bias."""
    multiply_adds: int
    """For one image, of convolutions and matrix products."""
    output_bytes: int
    """New memory for the output in float32; 0 where the layer overwrites its input."""
    receptive_field_px: int
    """Side of the square of the image that one output sees, counted over the edges; 0: all of it."""


@dataclass(frozen=True, slots=True)
class Card:
    """All layers of a network for one size of image."""

    name: str
    input_CHW: tuple[int, int, int]
    rows: tuple[LayerSummary, ...]

    @property
    def parameters(self) -> int:
        """Trained parameters."""
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """For one image."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def output_bytes(self) -> int:
        """All outputs together. Training keeps most of them, and where a layer needs more for its gradient, more."""
        return sum(row.output_bytes for row in self.rows)


def card(network: "nn.Module", name: str, input_CHW: tuple[int, int, int]) -> Card:
    """Reads a network that lies on torch's device ``meta``, for one image of a shape.

    Raises:
        ShapeError: the network cannot take such an image.
    """
    from svertka.model_summary.trace import trace

    steps = trace(network, input_CHW)
    rows, counted = [], set[int]()
    stray = _stray_parameters(network, steps)
    for step in steps:
        parent = step.name.rpartition(".")[0]
        own = [p for p in step.module.parameters() if id(p) not in counted] if step.module else stray.pop(parent, [])
        counted |= {id(parameter) for parameter in own}
        rows.append(
            LayerSummary(
                name=step.name,
                kind=describe(step.module, step.kind),
                output=step.output,
                parameters=sum(parameter.numel() for parameter in own),
                formula=_formula(own),
                multiply_adds=step.multiply_adds,
                output_bytes=step.output_bytes,
                receptive_field_px=step.field.size_px if step.field else 0,
            )
        )
    for parent, parameters in stray.items():
        shape = tuple(parameters[0].shape)
        count = sum(parameter.numel() for parameter in parameters)
        rows.append(LayerSummary(parent or "(network)", "Parameter", shape, count, _formula(parameters), 0, 0, 0))
    return Card(name, input_CHW, tuple(rows))


def _stray_parameters(network: "nn.Module", steps: Sequence["LayerCall"]) -> dict[str, list[Any]]:
    """Parameters that belong to no layer but to a module with layers in it, such as ConvNeXt's scale."""
    layers = {id(step.module) for step in steps}
    owners = {name: list(module.parameters(recurse=False)) for name, module in network.named_modules()
              if id(module) not in layers}  # fmt: skip
    return {name: parameters for name, parameters in owners.items() if parameters}


def describe(module: "nn.Module | None", kind: str) -> str:
    """A layer's class with kernel, stride and groups: ``Conv2d 3×3/2``."""
    kernel = _first(getattr(module, "kernel_size", None))
    if not kernel:
        return kind
    stride = _first(getattr(module, "stride", None)) or 1
    groups = getattr(module, "groups", 1)
    kind += f" {kernel}×{kernel}" + (f"/{stride}" if stride > 1 else "")
    if groups > 1:
        kind += " depthwise" if groups == getattr(module, "in_channels", 0) else f" in {groups} groups"
    return kind


def _first(value: Any) -> int:
    return int(value[0]) if isinstance(value, tuple) else int(value or 0)


def _formula(parameters: Sequence[Any]) -> str:
    """Equal terms are written once: BatchNorm's scale and shift are ``2·64``."""
    terms: dict[str, int] = {}
    for parameter in parameters:
        shape = tuple(parameter.shape)
        dims = shape[::-1] if len(shape) in (2, 4) else [side for side in shape[::-1] if side > 1] or [1]
        term = "·".join(map(str, dims))
        terms[term] = terms.get(term, 0) + 1
    return " + ".join(term if number == 1 else f"{number}·{term}" for term, number in terms.items())


# --- formats -------------------------------------------------------------------------------------------------------


def write_card(found: Card, format: str, notes: Sequence[str] = ()) -> str:
    """A card as ``table``, ``csv``, ``md`` or ``json``; ``notes`` are lines under the heading of a table.

    Numbers in csv and json are plain, with units in their names.

    Raises:
        ConfigError: there is no such format.
    """
    if format == "json":
        totals = {"parameters": found.parameters, "multiply_adds": found.multiply_adds}
        return json.dumps(
            {"name": found.name, "input_CHW": found.input_CHW, **totals, "output_bytes": found.output_bytes,
             "layers": [_record(row) for row in found.rows]},
            ensure_ascii=False, indent=1,
        )  # fmt: skip
    if format == "csv":
        records = [_record(row) for row in found.rows]
        rows = [[by_times(v) if isinstance(v, tuple) else v for v in record.values()] for record in records]
        return write_csv(list(records[0]), rows)
    header = ("layer", "type", "output", "parameters", "how", "multiply-adds", "memory", "sees")
    body = [
        (
            row.name, row.kind, by_times(row.output), f"{row.parameters:,}" if row.parameters else "", row.formula,
            f"{row.multiply_adds:,}" if row.multiply_adds else "", _kib(row.output_bytes),
            f"{row.receptive_field_px} px" if row.receptive_field_px else "all",
        )
        for row in found.rows
    ]  # fmt: skip
    total = ("total", "", "", f"{found.parameters:,}", "", f"{found.multiply_adds:,}", _kib(found.output_bytes), "")
    heading = f"{found.name}, input {by_times(found.input_CHW)}"
    return write_table(header, [*body, total], format, (heading, *notes), right={3, 5, 6, 7}, rule_before_last=True)


def _record(row: LayerSummary) -> dict[str, Any]:
    """A row by name; where all of the image is seen, there is no number (empty in csv, null in json)."""
    return asdict(row) | {"receptive_field_px": row.receptive_field_px or None}


def write_csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Comma-separated text with a header."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([header, *rows])
    return stream.getvalue().rstrip("\n")


def write_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], format: str, heading: Sequence[str] = (), *,
    right: set[int] = frozenset(), rule_before_last: bool = False,  # type: ignore[assignment]
) -> str:  # fmt: skip
    """Aligned text (``table``) or a Markdown table (``md``).

    The first line of the ``heading`` is the title; columns whose numbers are in ``right`` are flush right.

    Raises:
        ConfigError: there is no such format.
    """
    if format == "md":
        title, table = [f"### {line}" for line in heading[:1]] + ["", *heading[1:], ""], _markdown(header, rows, right)
    elif format == "table":
        title, table = [*heading, ""], _aligned(header, rows, right, rule_before_last)
    else:
        known = ("table", "csv", "md", "json")
        raise ConfigError(f"format is {format!r}; expected {', '.join(known)}.{did_you_mean(format, known)}")
    return "\n".join([*(title if heading else []), *table])


def _aligned(
    header: Sequence[str], rows: Sequence[Sequence[str]], right: set[int], rule_before_last: bool
) -> list[str]:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = (c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True)))
        return "  ".join(padded).rstrip()

    rule = "─" * (sum(widths) + 2 * len(widths) - 2)
    body = [line(row) for row in rows]
    if rule_before_last:
        body.insert(-1, rule)
    return [line(header), rule, *body]


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]], right: set[int]) -> list[str]:
    marks = ["---:" if i in right else "---" for i in range(len(header))]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in [header, marks, *rows]]


def by_times(shape: Sequence[int]) -> str:
    """``(3, 224, 224)`` as ``3×224×224``."""
    return "×".join(map(str, shape))


def _kib(number: int) -> str:
    return f"{number / 1024:,.0f} KiB" if number >= 1024 else f"{number} B" if number else ""
