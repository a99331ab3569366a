"""Groups the layers of a traced network into blocks that are small enough to draw."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from svertka.model_summary.summary import describe

if TYPE_CHECKING:
    from torch import nn

    from svertka.model_summary.trace import LayerCall

_SHORT = {
    "BatchNorm2d": "BN", "BatchNormAct2d": "BN", "LayerNorm": "LN", "LayerNorm2d": "LN", "TowerNorm": "LRN",
    "LocalResponseNorm": "LRN", "AdaptiveAvgPool2d": "Average pool", "SelectAdaptivePool2d": "Average pool",
    "AvgPool2d": "Average pool", "MaxPool2d": "Max pool", "Conv2d": "Conv", "SameConv2d": "Conv", "Conv2dSame": "Conv",
    "TableConv2d": "Conv by table", "Add": "+", "Concat": "concat", "Multiply": "× scale", "ScaledTanh": "scaled tanh",
    "Tanh": "tanh", "PaddedShortcut": "every 2nd pixel, zeros", "RadialBasis": "Distances",
}  # fmt: skip
_CONTAINERS = ("Sequential", "ModuleList", "ModuleDict", "DenseBlock")


@dataclass(slots=True)
class LayerBox:
    """One box: a layer with what surrounds it, or a join."""

    kind: str
    """``conv``, ``depthwise``, ``pool``, ``linear``, ``join`` or ``other``."""
    block: str
    """Name of the module that it is part of, such as a residual block; empty if of none."""
    text: str = ""
    """The layer."""
    before: list[str] = field(default_factory=list)
    """What happens before the layer proper, such as ``BN · ReLU``."""
    after: list[str] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    """Numbers of the boxes that it reads; -1 is the image."""
    output: tuple[int, ...] = ()
    """Shape."""
    last_output: tuple[int, ...] = ()
    """Shape of its last repetition."""

    @property
    def signature(self) -> tuple[object, ...]:
        """Equal boxes are drawn alike."""
        spread = self.output[1:] if self.kind == "join" else self.output
        return self.kind, self.text, tuple(self.before), tuple(self.after), spread


@dataclass(frozen=True, slots=True)
class Sketch:
    """Boxes in the order of computation, how often each block stands in a row, and which read all before them."""

    nodes: list[LayerBox]
    repeats: dict[str, int]
    dense: set[str]


def sketch(network: "nn.Module", steps: Sequence["LayerCall"]) -> Sketch:
    """Joins layers to boxes and leaves out repetitions."""
    blocks = _blocks(network)
    nodes = _fuse(steps, [_block_of(step.name, blocks) for step in steps])
    return _fold(nodes)


def _blocks(network: "nn.Module") -> set[str]:
    """Names of the modules nearest to the root that hold layers and are no plain container."""
    found: set[str] = set()

    def look(module: "nn.Module", name: str) -> None:
        for child_name, child in module.named_children():
            place = f"{name}.{child_name}" if name else child_name
            if type(child).__name__ in _CONTAINERS:
                look(child, place)
            elif next(child.children(), None) is not None:
                found.add(place)

    look(network, "")
    return found


def _block_of(name: str, blocks: set[str]) -> str:
    parts = name.split(".")
    return next((p for p in (".".join(parts[:i]) for i in range(1, len(parts) + 1)) if p in blocks), "")


# --- layers to boxes -----------------------------------------------------------------------------------------------


def _fuse(steps: Sequence["LayerCall"], blocks: Sequence[str]) -> list[LayerBox]:
    """A layer takes along the normalisation and activation around it, where nobody else reads what is between."""
    readers: dict[int, int] = {}
    for step in steps:
        for maker in step.inputs:
            readers[maker] = readers.get(maker, 0) + 1
    nodes: list[LayerBox] = []
    home: dict[int, int] = {-1: -1}
    for number, (step, block) in enumerate(zip(steps, blocks, strict=True)):
        kind, text = _kind(step), _text(step)
        only = step.inputs[0] if len(step.inputs) == 1 else -1
        previous = nodes[home[only]] if only >= 0 and readers[only] == 1 else None
        if previous is not None and previous.block == block and (kind == "other" or not previous.text):
            if kind == "other":
                (previous.after if previous.text else previous.before).append(text)
            else:
                previous.kind, previous.text = kind, text
            home[number] = home[only]
        elif kind == "join" and len(step.inputs) < 2 and previous is not None and previous.block == block:
            home[number] = home[only]  # one map joined with nothing
        else:
            node = LayerBox(kind, block, "" if kind == "other" else text, [text] if kind == "other" else [])
            node.inputs = list(dict.fromkeys(home[maker] for maker in step.inputs))
            nodes.append(node)
            home[number] = len(nodes) - 1
        nodes[home[number]].output = nodes[home[number]].last_output = step.output
    for node in nodes:
        if not node.text:  # nothing but normalisation and activation
            node.text, node.before = " · ".join(node.before), []
    return nodes


def _kind(step: "LayerCall") -> str:
    if step.kind in ("Add", "Concat"):
        return "join"
    if step.module is None:
        return "other"
    name = type(step.module).__name__
    if "Conv" in name:
        return "depthwise" if describe(step.module, name).endswith("depthwise") else "conv"
    if "Pool" in name or name == "Subsampling":
        return "pool"
    return "linear" if name in ("Linear", "RadialBasis") else "other"


def _text(step: "LayerCall") -> str:
    name = step.kind
    text = _SHORT.get(name, name)
    if step.module is None:
        return text
    shown = describe(step.module, name).removeprefix(name)
    if shown.endswith(" depthwise"):
        return f"Depthwise{shown.removesuffix(' depthwise')}"
    kind = _kind(step)
    if kind in ("conv", "linear"):
        channels = step.output[0] if len(step.output) == 3 and kind == "conv" else step.output[-1]
        return f"{text}{shown}, {channels}"
    return f"{text}{shown}"


# --- repetitions ---------------------------------------------------------------------------------------------------


def _fold(nodes: list[LayerBox]) -> Sketch:
    """Shows a block once where equal ones stand in a row."""
    runs = list(runs_of_blocks(nodes))
    shown: dict[int, int] = {-1: -1}
    kept: list[LayerBox] = []
    repeats: dict[str, int] = {}
    dense: set[str] = set()
    last: list[int] = []  # numbers in ``kept`` of the block that was shown last
    for run in runs:
        block = nodes[run[0]].block
        same = (
            block
            and len(last) == len(run)
            and block.rpartition(".")[0] == kept[last[0]].block.rpartition(".")[0]
            and all(nodes[i].signature == kept[j].signature for i, j in zip(run, last, strict=True))
        )
        if same:
            for i, j in zip(run, last, strict=True):
                shown[i] = j
                kept[j].last_output = nodes[i].output
                if sum(shown[maker] in last for maker in nodes[i].inputs) > 1 and nodes[i].kind == "join":
                    dense |= {kept[j].block} if not any(maker in run for maker in nodes[i].inputs) else set()
                kept[j].inputs += [shown[maker] for maker in nodes[i].inputs]
            repeats[kept[last[0]].block] = repeats.get(kept[last[0]].block, 1) + 1
            continue
        last = []
        for i in run:
            node = nodes[i]
            node.inputs = [shown[maker] for maker in node.inputs]
            shown[i] = len(kept)
            last.append(len(kept))
            kept.append(node)
    for number, node in enumerate(kept):
        node.inputs = [maker for maker in dict.fromkeys(node.inputs) if maker < number]
    return Sketch(kept, repeats, dense)


def runs_of_blocks(nodes: Sequence[LayerBox]) -> Iterator[list[int]]:
    """Numbers of neighbours in the same block; a box of no block stands alone."""
    run: list[int] = []
    for number, node in enumerate(nodes):
        if run and (not node.block or node.block != nodes[run[-1]].block):
            yield run
            run = []
        run.append(number)
    if run:
        yield run
