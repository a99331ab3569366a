"""Traces a network layer by layer on the meta device, without allocating memory. Imports torch.

Nothing is computed: on torch's device ``meta`` tensors have shapes and no numbers, so VGG-19 takes a moment. Operations
are watched below the modules, where torch dispatches them, so networks of other libraries can be read as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from svertka.architectures.base import as_shape_error, tensors_in
from svertka.engine.geometry import ReceptiveField

# Operations that only look at numbers in another way; what comes after them belongs to the layer before.
_VIEWS = frozenset(
    "view _unsafe_view reshape permute transpose t flatten slice select unsqueeze squeeze expand detach alias split "
    "chunk unbind split_with_sizes _to_copy clone contiguous as_strided".split()
)
_POOLS = ("max_pool2d_with_indices", "avg_pool2d")
_JOINS = {"add": "Add", "add_": "Add", "cat": "Concat", "mul": "Multiply", "mul_": "Multiply"}


@dataclass(slots=True)
class LayerCall:
    """One layer's work, or one operation between layers; filled while the image goes through."""

    name: str
    """The module's place in the network; an operation's is its module's and its own."""
    module: nn.Module | None
    """The layer, None for an operation between layers."""
    kind: str
    """The layer's class, or what the operation does."""
    inputs: list[int] = field(default_factory=list)
    """Numbers of those whose outputs it reads; -1 is the image."""
    output: tuple[int, ...] = ()
    multiply_adds: int = 0
    """For one image."""
    output_bytes: int = 0
    """New memory that its output takes; 0 where it overwrites its input or looks at it anew."""
    field: ReceptiveField | None = None
    """What one output pixel sees, were the image endless; None means the whole image."""


def trace(network: nn.Module, input_CHW: Sequence[int]) -> list[LayerCall]:
    """Notes every layer's work, in the order of computation, for one image of a shape.

    The network lies on the device ``meta`` (``with torch.device("meta"): …``); it is left in the mode in which it came.

    Raises:
        ShapeError: the network cannot take such an image.
    """
    watch = _Watch()
    image = torch.zeros(1, *input_CHW, device="meta")
    watch.born(image, -1, ReceptiveField())
    training = network.training
    size, other = "×".join(map(str, input_CHW)), "expected another size or number of channels. Give another --input."
    hooks = []
    for name, module in network.named_modules():  # so the watch knows in which module the network is
        hooks.append(module.register_forward_pre_hook(partial(watch.enter, name)))
        hooks.append(module.register_forward_hook(watch.leave))
    try:
        with as_shape_error(type(network).__name__, size, other), torch.no_grad(), watch:
            network.eval()(image)
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return watch.steps


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees each operation: whose outputs it reads, what it costs, and what its output sees of the image."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.steps: list[LayerCall] = []
        self.places: list[tuple[str, nn.Module]] = []
        self._call: LayerCall | None = None  # of the layer in which we are
        self._makers: dict[int, tuple[Tensor, int, ReceptiveField | None]] = {}  # kept alive, so that ids stay theirs

    def born(self, tensor: Tensor, maker: int, seen: ReceptiveField | None) -> None:
        """Notes whose output a tensor is."""
        self._makers[id(tensor)] = (tensor, maker, seen)

    def enter(self, name: str, module: nn.Module, args: Any) -> None:
        """A module begins."""
        self.places.append((name, module))

    def leave(self, *_: Any) -> None:
        """A module is done; the next call of the same layer is another step."""
        self.places.pop()
        self._call = None

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        known = [self._makers[id(t)] for t in tensors_in((*args, *kwargs.values())) if id(t) in self._makers]
        outputs = list(tensors_in([output]))
        if not known or not outputs:
            return output
        kind = func.overloadpacket.__name__
        seen = _field(kind, args, outputs[0], known)
        makers = list(dict.fromkeys(maker for _, maker, _ in known))
        maker = makers[0]
        if kind not in _VIEWS:
            maker = self._note(kind, makers, outputs[0], func, args, kwargs)
            self.steps[maker].field = seen
        elif self._call is not None and self.steps[maker] is self._call:
            self._call.output = tuple(outputs[0].shape[1:])  # a layer that turns its own output round
        for tensor in outputs:
            self.born(tensor, maker, seen)
        return output

    def _note(
        self, kind: str, makers: list[int], output: Tensor, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> int:
        name, module = self.places[-1] if self.places else ("", nn.Module())
        is_layer = next(module.children(), None) is None
        if not is_layer or self._call is None:
            shown = type(module).__name__ if is_layer else _JOINS.get(kind, kind.strip("_"))
            place = name if is_layer else ".".join(filter(None, (name, shown.lower())))
            self.steps.append(LayerCall(place, module if is_layer else None, shown))
            if is_layer:
                self._call = self.steps[-1]
        number = len(self.steps) - 1
        step = self.steps[number]
        step.inputs += [maker for maker in makers if maker != number and maker not in step.inputs]
        step.output = tuple(output.shape[1:])
        if formula := flop_registry.get(func.overloadpacket):
            step.multiply_adds += formula(*args, **kwargs, out_val=output) // 2
        reused = any(tensor.untyped_storage()._cdata == output.untyped_storage()._cdata for tensor in tensors_in(args))
        step.output_bytes = step.output_bytes if reused else output.numel() * output.element_size()
        return number


def _field(
    kind: str, args: Sequence[Any], output: Tensor, known: Sequence[tuple[Tensor, int, ReceptiveField | None]]
) -> ReceptiveField | None:
    """The field of an operation's output, from those of its inputs."""
    fields = [seen for _, _, seen in known if seen is not None]
    if len(fields) < len(known):
        return None
    before = ReceptiveField(max(each.size_px for each in fields), max(each.stride_px for each in fields))
    x = known[0][0]
    if kind == "convolution":
        weight, stride, dilation = args[1], args[3], args[5]
        return before.through(weight.shape[-1], stride[-1], dilation=dilation[-1])
    if kind in _POOLS:
        kernel = args[1][-1]
        return before.through(kernel, args[2][-1] if len(args) > 2 and args[2] else kernel)
    if kind in ("mean", "amax"):  # over all pixels
        return before if max(x.shape[-2:]) == 1 else None
    if kind in ("_adaptive_avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"):
        size, cells = x.shape[-1], output.shape[-1]
        if cells == 1 < size:
            return None
        widest = max(-(-(cell + 1) * size // cells) - cell * size // cells for cell in range(cells))
        return before.through(widest, max(1, size // cells))
    if kind in ("bmm", "baddbmm") and len(known) > 1:  # attention: everything looks at everything
        return None
    if kind in ("addmm", "mm", "linear"):
        return None if prod(output.shape[:-1]) == 1 else before
    return before
