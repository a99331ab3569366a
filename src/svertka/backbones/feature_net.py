"""Splits a network into stages, and pools the feature maps of each stage into features. Imports torch.

Nothing here knows a network by name: an empty image is sent through once, and the shapes that come out tell.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d


@dataclass(frozen=True, slots=True)
class Stage:
    """Consecutive modules whose output has one resolution; ``parameters`` are names in the body's state dict."""

    name: str
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One module was called in the trial run and gave a tensor of this shape."""

    name: str
    shape: tuple[int, ...]

    @property
    def is_map(self) -> bool:
        """A feature map [N, C, H, H]; channels-last transformers give [N, H, H, C], which isn't one here."""
        return len(self.shape) == 4 and self.shape[2] == self.shape[3] > 1


class FeatureNet(nn.Module):
    """A network without its classifier: normalised images [N, 3, S, S] in, one feature vector an image out.

    With taps, names of modules of the body from early to late, the vector joins the means over space of their outputs
    [N, C, H, W]; without, it is the body's own output.
    """

    def __init__(self, body: nn.Module, taps: tuple[str, ...]) -> None:
        super().__init__()
        self.body = body
        self.taps = taps
        self._seen: dict[str, Tensor] = {}
        for name in taps:
            body.get_submodule(name).register_forward_hook(_Keep(self, name))

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, D] of normalised images [N, 3, S, S]."""
        final: Tensor = self.body(x)
        if not self.taps:
            return final.flatten(1)
        features = torch.cat([self._seen.pop(name) for name in self.taps], dim=1)
        return features


class _Keep:
    """Keeps the pooled output of a tap; a module that is called twice keeps its last."""

    def __init__(self, net: FeatureNet, name: str) -> None:
        self.net, self.name = net, name

    def __call__(self, module: nn.Module, args: Any, output: Tensor) -> None:
        self.net._seen[self.name] = _mean_over_space(output)


def _mean_over_space(map_NCHW: Tensor) -> Tensor:
    """Means [N, C]. For ONNX along the rows and then along the columns, which is as fast.

    ONNX Runtime adds up a whole map number after number; over 112 × 112 of them float32 loses two digits.
    """
    if not torch.onnx.is_in_onnx_export():
        means: Tensor = _Mean.apply(map_NCHW)
        return means
    height, width = int(map_NCHW.shape[2]), int(map_NCHW.shape[3])
    return avg_pool2d(avg_pool2d(map_NCHW, (1, width)), (height, 1)).flatten(1)


class _Mean(torch.autograd.Function):
    """The mean over space; its gradient is one number a map, and never written out over the map."""

    @staticmethod
    def forward(ctx: Any, map_NCHW: Tensor) -> Tensor:
        ctx.shape = map_NCHW.shape
        return adaptive_avg_pool2d(map_NCHW, 1).flatten(1)

    @staticmethod
    def backward(ctx: Any, g_NC: Tensor) -> Tensor:
        share_NC = g_NC / (ctx.shape[2] * ctx.shape[3])
        gradient_NCHW: Tensor = share_NC[:, :, None, None].expand(ctx.shape)
        return gradient_NCHW


def trial_run(body: nn.Module, size_px: int) -> list[Call]:
    """Sends an empty image through and notes every module's output, in the order of completion."""
    calls: list[Call] = []

    def note(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                calls.append(Call(name, tuple(output.shape)))

        return hook

    hooks = [module.register_forward_hook(note(name)) for name, module in body.named_modules() if name]
    with torch.inference_mode():
        body(torch.zeros(1, 3, size_px, size_px))
    for hook in hooks:
        hook.remove()
    return calls


def units(body: nn.Module) -> dict[str, nn.Module]:
    """The modules directly under the root, and in place of plain containers what is in them."""
    found: dict[str, nn.Module] = {}
    for name, child in body.named_children():
        if isinstance(child, nn.Sequential | nn.ModuleList):
            found |= {f"{name}.{inner}": module for inner, module in child.named_children()}
        else:
            found[name] = child
    return found


def find_stages(body: nn.Module, calls: list[Call]) -> tuple[Stage, ...]:
    """Cuts a network where the resolution of its feature maps changes, as the papers do.

    What has no output map (classifier, stray parameters such as position embeddings) joins the stage before, at the
    front the first one. Together the stages own every parameter once.
    """
    members = units(body)
    runs: list[set[str]] = [set()]
    resolution: tuple[int, ...] = ()
    for call in (call for call in calls if call.name in members):
        if call.is_map and call.shape[2:] != resolution and _learns(runs[-1], members):
            runs.append(set())
        if call.is_map:
            resolution = call.shape[2:]
        runs[-1].add(call.name)
    if len(runs) > 1 and not _learns(runs[-1], members):
        runs.pop()
    owner = {unit: number for number, run in enumerate(runs) for unit in run}
    names: list[list[str]] = [[] for _ in runs]
    for name, _ in body.named_parameters():
        unit = next((prefix for prefix in _prefixes(name) if prefix in owner), "")
        names[owner.get(unit, 0)].append(name)
    return tuple(Stage(f"stage{number}", tuple(group)) for number, group in enumerate(names))


def find_taps(body: nn.Module, calls: list[Call]) -> tuple[str, ...]:
    """One module for each run of units with equal channels and resolution: the last of its widest tensors.

    In a block that widens inside (MobileNet, EfficientNet) that is the activation behind the depthwise convolution,
    which holds more than the narrow output of the block; in a plain or residual block it is the output. A neck, the
    1×1 convolution before a classifier, is left out: it mixes channels for the old classes and sees nothing new.
    """
    members = units(body)
    groups: dict[tuple[int, ...], list[str]] = {}
    for call in calls:
        if call.name in members and call.is_map:
            groups.setdefault(call.shape[1:], []).append(call.name)
    kept = {shape: names for shape, names in groups.items() if _learns(names, members)}
    if len(kept) > 1 and _is_neck([members[name] for name in list(kept.values())[-1]]):
        kept.popitem()
    taps = []
    for shape, names in kept.items():
        inside = [call for call in calls if names[-1] in _prefixes(call.name)]
        inside = [call for call in inside if call.is_map and call.shape[2:] == shape[1:]]
        widest = max(call.shape[1] for call in inside)
        taps.append([call.name for call in inside if call.shape[1] == widest][-1])
    order = {call.name: position for position, call in enumerate(calls)}
    found = tuple(sorted(set(taps), key=lambda name: order[name]))
    return found if len(found) > 1 else ()


def cut_tail(body: nn.Module, calls: list[Call], taps: tuple[str, ...]) -> None:
    """Takes away, in place, the units that run after the last tap: nobody looks at their output."""
    members = units(body)
    sequence = [call.name for call in calls if call.name in members]
    last = next(name for name in _prefixes(taps[-1]) if name in members)
    for name in sequence[len(sequence) - sequence[::-1].index(last) :]:
        if name not in sequence[: sequence.index(last)]:
            body.set_submodule(name, nn.Identity())


def _is_neck(modules: list[nn.Module]) -> bool:
    """Nothing but pointwise convolutions (and what has no kernel)."""
    convolutions = [layer for module in modules for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    return bool(convolutions) and all(layer.kernel_size == (1, 1) for layer in convolutions)


def _learns(names: Iterable[str], members: dict[str, nn.Module]) -> bool:
    return any(next(members[name].parameters(), None) is not None for name in names)


def _prefixes(name: str) -> list[str]:
    """``a.b.c`` gives ``a``, ``a.b``, ``a.b.c``."""
    parts = name.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]
