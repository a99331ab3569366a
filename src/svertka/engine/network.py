"""Networks: layers in a row, saving and loading.

A network is itself a layer, so networks nest.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from svertka.engine.arrays import Array, floats
from svertka.engine.layers import Layer, Parameter
from svertka.errors import NotFoundError, WeightsError


class Sequential(Layer):
    """Layers one after the other."""

    def __init__(self, *children: Layer) -> None:
        super().__init__()
        self._children = children

    def forward(self, x: Array) -> Array:
        """Through all layers."""
        for child in self._children:
            x = child.forward(x)
        return x

    def backward(self, dy: Array) -> Array | None:
        """Back through all layers, down to the first that needs nothing below it."""
        gradient: Array | None = dy
        for child in reversed(self._children):
            if gradient is None:
                break
            gradient = child.backward(gradient)
        return gradient

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """All layers inside, with dotted names."""
        for number, child in enumerate(self._children):
            for inner, layer in child.layers():
                yield f"{number}.{inner}".rstrip("."), layer


class Network:
    """A stack of layers as one thing, the last of which gives logits: it predicts, trains, and is saved."""

    def __init__(self, body: Layer) -> None:
        self.body = body
        self._layers = dict(body.layers())
        first = next((layer for layer in self._layers.values() if layer.parameters), None)
        if first is not None:  # nothing below it learns
            first.needs_input_gradient = False

    def __call__(self, x: ArrayLike, batch: int = 256) -> Array:
        """Logits of a whole set of images [N, C, H, W], batch by batch, as after training."""
        (images,) = floats(x=(x, np.ndim(x)))
        self.set_training(False)
        parts = [self.body.forward(images[start : start + batch]) for start in range(0, max(1, len(images)), batch)]
        return np.concatenate(parts)

    def set_training(self, training: bool, rng: np.random.Generator | None = None) -> None:
        """Puts dropout and batch statistics in or out of force."""
        for layer in self._layers.values():
            layer.training = training
            if rng is not None:
                layer.rng = rng

    def parameters(self) -> dict[str, Parameter]:
        """All parameters by dotted name, such as ``0.weight``."""
        return {
            f"{name}.{key}": parameter
            for name, layer in self._layers.items()
            for key, parameter in layer.parameters.items()
        }

    def state(self) -> dict[str, Array]:
        """Copies of all numbers that make up the network: parameters and running statistics."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Puts the numbers of ``state`` in.

        Raises:
            WeightsError: names or shapes differ from the network's.
        """
        mine = self._arrays()
        if missing := mine.keys() - state.keys():
            raise WeightsError(f"The weights lack {', '.join(sorted(missing))}; expected all of {len(mine)} arrays.")
        if unknown := state.keys() - mine.keys():
            raise WeightsError(f"The weights hold {', '.join(sorted(unknown))}, which this network doesn't have.")
        for name, array in mine.items():
            if state[name].shape != array.shape:
                raise WeightsError(
                    f"{name} has shape {list(state[name].shape)} in the weights; expected {list(array.shape)}."
                )
            array[...] = state[name]

    def save(self, path: Path | str) -> None:
        """Writes a safetensors file, whole or not at all."""
        write_arrays(Path(path), self.state())

    def load(self, path: Path | str) -> None:
        """Reads a file that ``save`` wrote for a network of the same layers.

        Raises:
            NotFoundError: there is no such file.
            WeightsError: the file is damaged, or names or shapes differ.
        """
        self.load_state(read_arrays(Path(path)))

    def _arrays(self) -> dict[str, Array]:
        arrays = {name: parameter.value for name, parameter in self.parameters().items()}
        for name, layer in self._layers.items():
            arrays |= {f"{name}.{key}": buffer for key, buffer in layer.buffers.items()}
        return arrays


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Writes a safetensors file beside and renames it, so that a crash leaves the old one."""
    from safetensors.numpy import save_file

    beside = path.with_name(f".{path.name}.part")
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, beside)
    beside.replace(path)


def read_arrays(path: Path) -> dict[str, Array]:
    """Reads a safetensors file.

    Raises:
        NotFoundError: there is no such file.
        WeightsError: the file is damaged, or its numbers are of a kind that NumPy lacks.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.is_file():
        what = "is no regular file" if path.exists() else "does not exist"
        raise NotFoundError(f"{path} {what}; expected a safetensors file.")
    try:
        return dict(load_file(path))
    except TypeError as error:
        raise WeightsError(
            f"{path} holds numbers of a kind that NumPy lacks ({error}); convert the weights to float32."
        ) from error
    except (SafetensorError, OSError) as error:  # also of a file that cannot be mapped into memory
        raise WeightsError(
            f"{path} cannot be read as safetensors ({error}); it is damaged or of another kind."
        ) from error
