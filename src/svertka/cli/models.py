"""``svertka models``: what networks there are, what one is made of, how several compare."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from svertka.architectures.registry import ARCHITECTURES, SMALL_HW
from svertka.cli.extras import need_training
from svertka.cli.output import may_write
from svertka.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

_MOST = 1 << 16  # channels or pixels: sizes of larger maps overflow


def models(
    names: Annotated[list[str] | None, typer.Argument(help="A network, or: compare NAME NAME …")] = None,
    format: Annotated[str, typer.Option(help="table, csv, md or json.")] = "table",
    input_: Annotated[
        str, typer.Option("--input", help="Channels,height,width, or one side [default: as published].")
    ] = "",
    small: Annotated[
        bool, typer.Option("--small", help="With the stem for images of 28 to 64 px; shown at 32.")
    ] = False,
    diagram: Annotated[str, typer.Option(help="SVG or PNG file to draw the network into.")] = "",
    measure: Annotated[bool, typer.Option("--measure", help="Compare time and memory here.")] = False,
    out: Annotated[str, typer.Option(help="Folder for the pictures of a comparison.")] = "",
) -> None:
    """Prints the list, a card, or (after ``compare``) a comparison."""
    names = [name.removeprefix("svertka:") for name in names or []]
    comparing = names[:1] == ["compare"]
    if not comparing and (measure or out):
        raise ConfigError("--measure and --out belong to a comparison: svertka models compare NAME NAME …")
    if comparing and diagram:
        raise ConfigError("--diagram draws one network: svertka models NAME --diagram FILE.svg")
    if not names and (diagram or small or input_):
        raise ConfigError("--input, --small and --diagram are about one network or a comparison: svertka models NAME …")
    if diagram and format != "table":
        raise ConfigError(f"--diagram draws and prints no table, but --format is {format!r}; give one of them.")
    if not names:
        print(list_models(format))
        return
    need_training()
    if comparing:
        print(_compare(names[1:], format, input_, small, measure, out))
        return
    if len(names) > 1:
        raise ConfigError(f"one network has a card, got {', '.join(names)}; for several: svertka models compare …")
    _show(names[0], format, input_, small, diagram)


def list_models(format: str) -> str:
    """All our networks; needs no torch."""
    from svertka.model_summary.comparison_table import accuracy_record
    from svertka.model_summary.summary import by_times, write_csv, write_table

    records: list[dict[str, Any]] = []
    for each in ARCHITECTURES.values():
        records.append(
            {
                "name": each.name,
                "title": each.title,
                "year": each.paper.year,
                "depth": each.depth,
                "parameters": each.parameters,
                "input": by_times(each.input_CHW),
                **accuracy_record(each.accuracy[0] if each.accuracy else None),
                "note": each.note,
            }
        )
    if format == "json":
        import json

        return json.dumps(records, ensure_ascii=False, indent=1)
    if format == "csv":
        return write_csv(list(records[0]), [["" if v is None else v for v in one.values()] for one in records])
    header = ("name", "title", "year", "depth", "parameters", "input", "top-1 %", "whose weights, on what", "note")
    rows = [
        (one["name"], one["title"], str(one["year"]), str(one["depth"]), f"{one['parameters']:,}", one["input"],
         f"{one['top1_percent']:.1f}" if one["weights"] else "",
         f"{one['weights'].split(',')[0]}, {one['data'].split()[0]}" if one["weights"] else "", one["note"])
        for one in records
    ]  # fmt: skip
    table = write_table(header, rows, format, right={2, 3, 4, 6})
    sources = dict.fromkeys(one["source"] for one in records if one["source"])
    return f"{table}\n\nSources of top-1: {'; '.join(sources)}.\nOthers by name: torchvision:NAME and timm:NAME."


def _show(name: str, format: str, input_: str, small: bool, diagram: str) -> None:
    from svertka.model_summary.summary import card, write_card

    shape, target = _shape(name, input_, small), may_write(Path(diagram).expanduser()) if diagram else Path()
    network = _without_memory(name, shape[0], small)
    if diagram:
        from svertka.model_summary.diagram import draw
        from svertka.viz.drawing import save

        path = save(draw(network, _title(name), shape), target)
        print(f"Drawn: {path}")
        return
    print(write_card(card(network, _title(name), shape), format, _notes(name, small)))


def _compare(names: list[str], format: str, input_: str, small: bool, measure: bool, out: str) -> str:
    from svertka.model_summary.comparison_table import compare, write_comparison
    from svertka.model_summary.figures import FILES, pictures

    if not names:
        raise ConfigError("no networks were named; expected: svertka models compare lenet5 alexnet vgg16 resnet50")
    folder = Path(out).expanduser()
    if out and folder.is_file():
        raise ConfigError(f"--out is {out}, a file; expected a folder for the pictures.")
    for name in FILES if out else ():
        may_write(folder / name)
    shape = _parse(input_, 3) if input_ else None
    entries = compare(names, shape, small_images=small, measured=measure)
    text = write_comparison(entries, format)
    if out:
        text += "".join(f"\nDrawn: {path}" for path in pictures(entries, folder))
    return text


def _without_memory(name: str, in_channels: int, small: bool) -> "nn.Module":
    import torch

    from svertka.backbones.load import build_network

    build = partial(build_network, name, in_channels=in_channels, small_images=small)
    try:
        with torch.device("meta"):
            return build()
    except NotImplementedError:  # torchvision's RegNets look at their weights while they are built
        return build().to("meta")


def _shape(name: str, input_: str, small: bool) -> tuple[int, int, int]:
    own = ARCHITECTURES[name].input_CHW if name in ARCHITECTURES else (3, 224, 224)
    if input_:
        return _parse(input_, own[0])
    return (own[0], *SMALL_HW) if small else own


def _parse(input_: str, channels: int) -> tuple[int, int, int]:
    parts: list[Any] = [int(part) if part.strip().isdecimal() else 0 for part in input_.replace("×", ",").split(",")]
    if len(parts) == 1:
        parts = [channels, parts[0], parts[0]]
    if len(parts) != 3 or min(parts) < 1 or max(parts) > _MOST:
        raise ConfigError(
            f"--input is {input_!r}; expected channels, height and width such as 3,64,64, or one side such as 64, "
            f"each from 1 to {_MOST}."
        )
    return parts[0], parts[1], parts[2]


def _title(name: str) -> str:
    return ARCHITECTURES[name].title if name in ARCHITECTURES else name


def _notes(name: str, small: bool) -> list[str]:
    """What stands under the heading of a card."""
    if name not in ARCHITECTURES:
        return []
    known = ARCHITECTURES[name]
    lines = [f"{known.paper.authors}: {known.paper.title}, {known.paper.year}. {known.paper.url}"]
    lines += [f"Variant: {known.note}."] if known.note else []
    lines += ["Stem for small images."] if small and known.has_small_form else []
    return lines
