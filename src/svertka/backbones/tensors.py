"""Turns prepared uint8 pixels into a network's input tensor. Imports torch."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from svertka.data.loader import ImageSource, batches
from svertka.schema import Preprocess


def to_input(images_NHWC: NDArray[np.uint8]) -> Tensor:
    """Uint8 images to floats in 0..1, [N, 3, S, S] in channels-last memory, without moving a pixel."""
    return torch.from_numpy(images_NHWC).permute(0, 3, 1, 2).float().div_(255)


def normalise(x: Tensor, preprocess: Preprocess) -> Tensor:
    """``(x - mean) / std`` a channel."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocess.mean, preprocess.std))
    return (x - mean) / std


def predict(model: Callable[[Tensor], Tensor], source: ImageSource, preprocess: Preprocess) -> NDArray[np.float32]:
    """Outputs of ``model`` [N, …] for every image of a source, in its order."""
    outputs = []
    with torch.inference_mode():
        for _, images in batches(source, np.arange(len(source)), 32):
            outputs.append(model(normalise(to_input(images), preprocess)).float().numpy())
    return np.concatenate(outputs)
