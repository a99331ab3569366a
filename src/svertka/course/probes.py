"""Longer looks at a solution, inside its process: a VGG block's numbers, gradients by finite differences, an accuracy.

What they return goes to svertka, which knows the truth and judges; here nothing is judged.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Names = dict[str, Any]
_EPSILON = 1e-5
_ENTRIES = 6


def vgg_block(
    names: Names, in_channels: int, out_channels: int, convolutions: int, image: NDArray[Any], positive: bool, seed: int
) -> dict[str, Any]:
    """Builds a block, gives its parameters values, and runs an image through it, there and back.

    Returns:
        ``kind`` (of what the function made), ``parameters`` (in order: name and array), ``output``, and ``gradients``
        (name to the largest absolute value, None where none arrives).
    """
    import torch

    block = names["vgg_block"](in_channels, out_channels, convolutions)
    if not isinstance(block, torch.nn.Module):
        return {"kind": type(block).__name__}
    block = block.double().train()
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in block.parameters():
            values = rng.integers(1 if positive else -2, 3, tuple(parameter.shape)) / 2
            parameter.copy_(torch.from_numpy(values))
    output = block(torch.from_numpy(np.asarray(image, np.float64)))
    if not isinstance(output, torch.Tensor):
        return {"kind": f"a module that returns {type(output).__name__}"}
    parameters = [[name, parameter.detach().numpy()] for name, parameter in block.named_parameters()]
    gradients: dict[str, float | None] = {name: None for name, _ in block.named_parameters()}
    if output.requires_grad:
        output.sum().backward()  # type: ignore[no-untyped-call]
        for name, parameter in block.named_parameters():
            if parameter.grad is not None:
                gradients[name] = float(parameter.grad.abs().max())
    return {"kind": "module", "parameters": parameters, "output": output.detach().numpy(), "gradients": gradients}


def cnn_gradients(names: Names, images: NDArray[Any], labels: NDArray[Any], seed: int) -> dict[str, Any]:
    """The gradients of ``loss_and_gradients`` beside central differences of its loss, at some entries of each array.

    Entries where the loss has a kink (the two one-sided differences disagree) are passed over.

    Returns:
        ``loss``, ``shapes`` (parameter to shape), ``missing`` (parameters without a gradient), ``misshapen`` (name,
        shape), ``entries`` (parameter, index, gradient, difference).
    """
    parameters = {str(name): np.array(value, np.float64) for name, value in dict(names["initialise"](seed)).items()}
    loss_of = names["loss_and_gradients"]
    loss, gradients = loss_of(parameters, images, labels)
    gradients = {str(name): np.array(value, np.float64) for name, value in dict(gradients).items()}
    found: dict[str, Any] = {"loss": float(loss), "shapes": {}, "missing": [], "misshapen": [], "entries": []}
    rng = np.random.default_rng(seed)
    for name, values in parameters.items():
        found["shapes"][name] = list(values.shape)
        if name not in gradients:
            found["missing"].append(name)
        elif gradients[name].shape != values.shape:
            found["misshapen"].append([name, list(gradients[name].shape)])
        else:
            for place in _places(gradients[name], rng):
                slope = _slope(loss_of, parameters, name, place, images, labels, float(loss))
                if slope is not None:
                    found["entries"].append([name, list(map(int, place)), float(gradients[name][place]), slope])
    return found


def _places(gradient: NDArray[Any], rng: np.random.Generator) -> list[tuple[int, ...]]:
    """The entry with the largest gradient, and some at random."""
    size = gradient.size
    flat = {int(np.abs(gradient).argmax()), *map(int, rng.integers(0, size, min(size, _ENTRIES)))} if size else set()
    return [tuple(map(int, np.unravel_index(place, gradient.shape))) for place in sorted(flat)]


def _slope(
    loss_of: Any, parameters: dict[str, Any], name: str, place: tuple[int, ...], images: Any, labels: Any, loss: float
) -> float | None:
    def moved(by: float) -> float:
        changed = {each: value.copy() for each, value in parameters.items()}
        changed[name][place] += by
        return float(loss_of(changed, images, labels)[0])

    before, after = (loss - moved(-_EPSILON)) / _EPSILON, (moved(_EPSILON) - loss) / _EPSILON
    if abs(before - after) > 1e-3 * (abs(before) + abs(after)) + 1e-4:
        return None
    return (before + after) / 2


def cnn_answers(names: Names, images: NDArray[Any], labels: NDArray[Any], test_images: NDArray[Any]) -> NDArray[Any]:
    """Trains, and says the classes of images whose labels this process doesn't know."""
    parameters = names["train"](images, labels)
    return np.asarray(names["predict"](parameters, test_images))
