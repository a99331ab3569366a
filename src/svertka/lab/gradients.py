"""Gradient norms by layer, in plain and residual networks, shallow and deep. Imports torch.

The networks are the CIFAR family of He et al. 2015 (arXiv 1512.03385, section 4.2) and the same without shortcuts. By
the chain rule the gradient at a layer is a product of as many factors as layers follow; its norm shrinks or grows
exponentially unless the factors are near one (Hochreiter 1991; Glorot and Bengio 2010, AISTATS). Three remedies are
told apart: initial weights of the right size (He et al. 2015, arXiv 1502.01852), BatchNorm, and shortcuts.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from svertka.architectures.resnet import ResNet
from svertka.errors import ConfigError
from svertka.lab.small_images import Images
from svertka.lab.training_loop import Scale, TrainingSettings, cifar_net, train
from svertka.schema import Advanced, EventSink, StepStarted, ignore_events
from svertka.viz.drawing import Drawing
from svertka.viz.line_chart import Line, Panel, chart, write_power

_BATCH = 32
DEEPEST = 1202
"""Layers of the deepest network of the paper (section 4.2); a depth beyond is a slip of the keyboard."""
# From the shallowest to the deepest: dark to light in print, and apart for every kind of colour vision.
_DEPTH_COLOURS = ("#b8860b", "#1f9e89", "#31688e", "#440154")


@dataclass(frozen=True, slots=True)
class Setting:
    """What is done against vanishing, besides shortcuts."""

    name: str
    batch_norm: bool
    he: bool


SETTINGS = (
    Setting("torch's default weights", batch_norm=False, he=False),
    Setting("He's weights", batch_norm=False, he=True),
    Setting("He's weights, BatchNorm", batch_norm=True, he=True),
)
KINDS = ("plain", "residual")


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerGradient:
    """Norms of the gradient of the mean loss of one batch, at one layer of one network."""

    setting: str
    kind: str
    depth: int
    """Layers with weights in the network."""
    steps: int
    """Of training that went before."""
    loss: float
    layer: int
    """From 1 at the input to ``depth``."""
    name: str
    at_output: float
    """Norm of the gradient with respect to the layer's output."""
    at_weights: float
    """Norm of the gradient with respect to its weights."""


def parse_depths(text: str) -> tuple[int, ...]:
    """Depths of the CIFAR family from ``"8,20,56"``, in rising order.

    Raises:
        ConfigError: one isn't 6 n + 2, or deeper than the paper's deepest.
    """
    parts = [int(part) if part.strip().isdecimal() else 0 for part in text.split(",")]
    if not all(8 <= depth <= DEEPEST and depth % 6 == 2 for depth in parts):
        raise ConfigError(
            f"depths are {text!r}; expected numbers 6 n + 2 up to {DEEPEST} with commas, such as 8,20,56,110."
        )
    return tuple(sorted(set(parts)))


def measure(
    images: Images, depths: Sequence[int], steps: int, seed: int = 0, on_event: EventSink = ignore_events
) -> Iterator[LayerGradient]:
    """Every setting, kind and depth: at the start and after ``steps`` steps of Adam.

    Raises:
        ConfigError: ``steps`` is below 1.
    """
    if steps < 1:
        raise ConfigError(f"steps is {steps}; expected 1 or more.")
    batch, train_images = images.sample(_BATCH, 1, seed), images.sample(steps * _BATCH, 1, seed)
    on_event(StepStarted("gradients", len(SETTINGS) * len(KINDS) * sum(depths)))
    done = 0
    for setting in SETTINGS:
        for kind in KINDS:
            for depth in depths:
                network = build(setting, kind, depth, images, seed)
                for trained in (False, True):
                    taken = _train(network, train_images, steps, seed) if trained else 0
                    for layer, (name, loss, at_output, at_weights) in enumerate(norms(network, batch), 1):
                        yield LayerGradient(
                            setting=setting.name, kind=kind, depth=depth, steps=taken, loss=loss, layer=layer,
                            name=name, at_output=at_output, at_weights=at_weights,
                        )  # fmt: skip
                done += depth
                on_event(Advanced(done))


def build(setting: Setting, kind: str, depth: int, images: Images, seed: int) -> ResNet:
    """The network with its initial weights."""
    network = cifar_net(kind, depth, images, seed, batch_norm=setting.batch_norm)
    if not setting.he:
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.reset_parameters()
    return network


def norms(network: nn.Module, images: Images) -> list[tuple[str, float, float, float]]:
    """For each weighted layer in the order of computing: name, loss, gradient norm at its output and at its weights.

    The training part of ``images`` is the batch; the network is measured in training mode, and left as it is.
    Everything is computed in float64: float32 has no numbers below 1e-45, and a gradient that has vanished does.
    """
    twin = copy.deepcopy(network).double().train()
    layers: dict[nn.Module, str] = {
        module: name for name, module in twin.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)
    }
    order: list[nn.Module] = []
    at_output: dict[nn.Module, float] = {}
    hooks = [layer.register_forward_hook(_note_gradient(order, at_output)) for layer in layers]
    x = Scale.of(images.train)(images.train).double()
    loss = F.cross_entropy(twin(x), torch.from_numpy(images.train_labels))
    loss.backward()  # type: ignore[no-untyped-call]
    for hook in hooks:
        hook.remove()
    return [
        (layers[layer], float(loss.detach()), at_output[layer], float(layer.weight.grad.norm()))  # type: ignore[union-attr,operator]
        for layer in order
    ]


def _note_gradient(order: list[nn.Module], at_output: dict[nn.Module, float]) -> Callable[..., None]:
    def forward(module: nn.Module, _: object, output: Tensor) -> None:
        def backward(gradient: Tensor) -> None:
            at_output[module] = float(gradient.norm())

        order.append(module)
        # A hook on the tensor as it is now: an activation that later overwrites it doesn't change what is heard.
        output.register_hook(backward)  # type: ignore[no-untyped-call]

    return forward


def _train(network: nn.Module, images: Images, steps: int, seed: int) -> int:
    """Adam, whose steps are of one size however small or large the gradient is. Returns the steps taken."""
    size = min(_BATCH, len(images.train))
    epochs = -(-steps // (len(images.train) // size))
    for _ in train(network, images, TrainingSettings(epochs=epochs, batch_size=size, seed=seed)):
        pass
    return epochs * (len(images.train) // size)


# --- picture and sentences ---------------------------------------------------------------------------------------


def picture(rows: Sequence[LayerGradient], data: str) -> Drawing:
    """A panel for each setting (across) and for each kind, at the start and after training (down)."""
    depths = sorted({row.depth for row in rows})
    panels = []
    for steps, when in ((0, "at the start"), (max(row.steps for row in rows), f"after {_steps(rows)} steps")):
        for kind in KINDS:
            for setting in (each.name for each in SETTINGS):
                # One scale for a column: what differs down it is what the shortcuts and the training do.
                column = [row.at_output for row in rows if row.setting == setting and 0 < row.at_output < math.inf]
                shown = [row for row in rows if (row.setting, row.kind, row.steps) == (setting, kind, steps)]
                panels.append(
                    Panel(
                        title=f"{kind.capitalize()} {when}: {setting}",
                        x_label="layer, from the input",
                        y_label="norm of ∂loss/∂output",
                        lines=[_line(shown, depth, depths) for depth in depths],
                        log_y=True,
                        y_span=(min(column), max(column)) if column else None,
                    )
                )
    subtitle = (
        "How large the gradient of the loss is when it reaches each layer on its way from the last one to the first; "
        "a line for each depth.",
        f"Networks of the CIFAR family on {_BATCH} images of 16 px ({data}), float64. Mind the scales: each column "
        "has its own.",
    )
    return chart("Gradients by depth", subtitle, panels, columns=len(SETTINGS), panel_px=(270, 150))


def _line(rows: Sequence[LayerGradient], depth: int, depths: Sequence[int]) -> Line:
    colour = _DEPTH_COLOURS[round(depths.index(depth) * (len(_DEPTH_COLOURS) - 1) / max(1, len(depths) - 1))]
    points = [(float(row.layer), row.at_output) for row in rows if row.depth == depth]
    return Line(name=str(depth), points=points, colour=colour, width=1.8)


def sentences(rows: Sequence[LayerGradient]) -> tuple[str, str]:
    """What the deepest nets show: one sentence without shortcuts, one with them and after training."""
    deepest = max(row.depth for row in rows)

    def ways(kind: str) -> str:
        return ", ".join(f"{_way(rows, setting.name, kind, deepest)} ({setting.name})" for setting in SETTINGS)

    plain = (
        f"At the start, on its way from the last convolution to the first of {deepest - 1}, the gradient in a plain "
        f"net {ways('plain')}."
    )
    shortcuts = f"With shortcuts it {ways('residual')}; after {_steps(rows)} steps of Adam {_learnt(rows, deepest)}."
    return plain, shortcuts


def _way(rows: Sequence[LayerGradient], setting: str, kind: str, depth: int) -> str:
    """``shrinks by a factor of 10⁴⁴``, by measured norms of the first and the last convolution."""
    chosen = [r for r in rows if (r.setting, r.kind, r.depth, r.steps) == (setting, kind, depth, 0)]
    first, last = chosen[0].at_output, chosen[-2].at_output  # the very last layer is the classifier
    if not (math.isfinite(first) and math.isfinite(last)):
        return "overflows"
    if first == 0 or last == 0:
        return "becomes zero"
    ratio = max(first / last, last / first)
    word = "grows" if first > last else "shrinks"
    if ratio < 10:
        return f"{word} {ratio:.1f} times"
    how = f"{ratio:.0f}" if ratio < 1000 else f"about {write_power(round(math.log10(ratio)))}"
    return f"{word} {how} times"


def _learnt(rows: Sequence[LayerGradient], depth: int) -> str:
    """Which of the deepest networks learnt, by the loss of the measured batch."""
    loss = {(row.kind, row.setting, row.steps > 0): row.loss for row in rows if row.depth == depth and row.layer == 1}
    found = [(kind, setting.name) for kind in KINDS for setting in SETTINGS]
    learnt = [f"{kind} with {name}" for kind, name in found if loss[kind, name, True] < 0.5 * loss[kind, name, False]]
    guess = "of the deepest nets"
    if not learnt:
        return f"the loss has halved in none {guess}"
    if len(learnt) == len(found):
        return f"the loss has halved in all {guess}"
    return f"the loss has halved in {len(learnt)} of {len(found)} {guess}: {'; '.join(learnt)}"


def _steps(rows: Sequence[LayerGradient]) -> int:
    return max(row.steps for row in rows)
