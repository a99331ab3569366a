"""Generates ``docs/architectures.md``: ``python -m svertka.model_summary.docs_page docs``."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from svertka.architectures.registry import ARCHITECTURES, Architecture, find
from svertka.model_summary.comparison_table import compare, write_comparison
from svertka.model_summary.diagram import draw
from svertka.model_summary.figures import accuracy_picture, timeline
from svertka.model_summary.summary import by_times, card, write_card, write_table
from svertka.viz.drawing import save

if TYPE_CHECKING:
    from torch import nn

COMPARED = ("lenet5", "alexnet", "vgg16", "vgg19", "resnet50", "resnet152", "densenet121", "mobilenet_v2",
            "efficientnet_lite0", "efficientnet_lite2", "convnext_tiny")  # fmt: skip
DRAWN = ("lenet5_1998", "alexnet_2012", "vgg16", "resnet50", "densenet121", "mobilenet_v2", "convnext_tiny")


def sections() -> dict[str, str]:
    """Generated text by the name of its place in the page."""
    writers: dict[str, Callable[[], str]] = {
        "networks": _networks,
        "comparison": lambda: write_comparison(compare(COMPARED), "md"),
        "alexnet": lambda: _card("alexnet_single_tower"),
        "resnet18": lambda: _card("resnet18"),
    }
    return {name: write() for name, write in writers.items()}


def fill(page: str, written: dict[str, str]) -> str:
    """Puts each text between its marks, ``<!-- generated: NAME -->`` and ``<!-- end -->``."""
    for name, text in written.items():
        start, end = f"<!-- generated: {name} -->", "<!-- end -->"
        before, _, rest = page.partition(start)
        page = f"{before}{start}\n\n{text}\n\n{end}{rest.partition(end)[2]}"
    return page


def _networks() -> str:
    header = ("name", "network", "year", "depth", "parameters", "input", "what sets it apart")
    rows = [
        (f"`{each.name}`", f"[{each.title}]({each.paper.url})", str(each.paper.year), str(each.depth),
         f"{each.parameters:,}", by_times(each.input_CHW), each.note)
        for each in ARCHITECTURES.values()
    ]  # fmt: skip
    return write_table(header, rows, "md", right={2, 3, 4})


def _card(name: str) -> str:
    architecture, network = _without_memory(name)
    return write_card(card(network, architecture.title, architecture.input_CHW), "md")


def _without_memory(name: str) -> "tuple[Architecture, nn.Module]":
    import torch

    architecture = find(name)
    with torch.device("meta"):
        return architecture, architecture.build()


def _pictures(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    entries = compare(COMPARED)
    save(accuracy_picture(entries), folder / "accuracy.svg")
    save(timeline(entries), folder / "timeline.svg")
    for name in DRAWN:
        architecture, network = _without_memory(name)
        save(draw(network, architecture.title, architecture.input_CHW), folder / f"{name}.svg")


def main(docs: Path) -> None:
    """Writes page and pictures."""
    page = docs / "architectures.md"
    page.write_text(fill(page.read_text(encoding="utf-8"), sections()), encoding="utf-8")
    _pictures(docs / "architectures")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
