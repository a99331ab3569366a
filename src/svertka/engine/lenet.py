"""LeNet-5 as it is usually taught, and as it was published in 1998.

Source: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition", Proceedings of the
IEEE 86(11), 1998, section II.B, table I, appendix A.
"""

from functools import partial

import numpy as np

from svertka.engine.arrays import Array
from svertka.engine.dense import map_criterion
from svertka.engine.layers import (
    Activation,
    ConnectionTableConv2d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    Rbf,
    Subsample2d,
)
from svertka.engine.network import Network, Sequential

CLASSES = 10
criterion_1998 = partial(map_criterion, rubbish=1.0)
"""The loss of the 1998 network."""


def lenet5(seed: int = 0) -> Network:
    """LeNet-5 as usual today: every map sees every map, ReLU, max pooling, logits. 61,706 parameters.

    Takes [N, 1, 28, 28]; the first convolution pads by 2, so its maps are those of a 32 × 32 input.
    """
    rng = np.random.default_rng(seed)
    return Network(
        Sequential(
            Conv2d(1, 6, 5, rng, padding=2),
            Activation("relu"),
            MaxPool2d(2),
            Conv2d(6, 16, 5, rng),
            Activation("relu"),
            MaxPool2d(2),
            Flatten(),
            Linear(16 * 5 * 5, 120, rng),
            Activation("relu"),
            Linear(120, 84, rng),
            Activation("relu"),
            Linear(84, CLASSES, rng),
        )
    )


def lenet5_1998(seed: int = 0) -> Network:
    """LeNet-5 as in 1998: C3's connection table, trainable subsampling, scaled tanh, radial output. 60,000 parameters.

    Takes [N, 1, 32, 32] with background -0.1 and ink 1.175 (``scale_1998``).
    """
    rng = np.random.default_rng(seed)
    return Network(
        Sequential(
            _uniform(Conv2d(1, 6, 5, rng), 25, rng),
            Activation("scaled_tanh"),
            Subsample2d(6, rng),
            Activation("scaled_tanh"),
            ConnectionTableConv2d(C3_TABLE, 5, rng),
            Activation("scaled_tanh"),
            Subsample2d(16, rng),
            Activation("scaled_tanh"),
            _uniform(Conv2d(16, 120, 5, rng), 400, rng),
            Activation("scaled_tanh"),
            Flatten(),
            _uniform(Linear(120, 84, rng), 120, rng),
            Activation("scaled_tanh"),
            Rbf(np.array(digit_codes(), np.float32)),
        )
    )


def scale_1998(ink_NHW: Array) -> Array:
    """Digits with ink from 0 to 1, [N, 28, 28], to the input of 1998: [N, 1, 32, 32], background -0.1, ink 1.175.

    Mean is then about 0 and variance about 1 (section II.B).
    """
    padded = np.pad(ink_NHW.astype(np.float32), ((0, 0), (2, 2), (2, 2)))
    return (padded * np.float32(1.275) - np.float32(0.1))[:, None]


def _uniform(layer: Layer, fan_in: int, rng: np.random.Generator) -> Layer:
    """Weights uniform within ±2.4/fan-in, biases 0 (appendix A)."""
    weight = layer.parameters["weight"].value
    weight[...] = rng.uniform(-2.4 / fan_in, 2.4 / fan_in, weight.shape)
    return layer


C3_TABLE = tuple(
    tuple(map(int, row))
    for row in "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345".split()
)
"""Which of the six maps of S2 each of the sixteen maps of C3 sees (table I): 60 connections instead of 96."""


def digit_codes() -> list[list[float]]:
    """The targets of the radial output: each digit drawn on 7 × 12 pixels, +1 for ink and -1 beside it; [10, 84].

    The drawings are ours, in the spirit of the paper's figure 3: alike digits get alike codes.
    """
    rows = [line.split() for line in _DRAWINGS.strip().splitlines()]
    return [[1.0 if pixel == "#" else -1.0 for row in rows for pixel in row[digit]] for digit in range(10)]


_DRAWINGS = """
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
..###.. ...##.. ..###.. #######  #....## ####### ..####. ####### ..###.. ..####.
.##.##. ..###.. .#...#. ....##. #....## #...... .##.... ##...## .##.##. .##..##
.#...#. .####.. ##...## ...##.. #....## #...... ##..... ....##. .#...#. ##...##
##...## ...##.. .....## ..###.. #....## ###.... #...... ....##. ##...## ##...##
##...## ...##.. ....##. ....##. ##...## ..####. #.####. ...###. .##.##. .#..###
##...## ...##.. ...##.. .....## .###### .....## ##...## ..####. ..###.. ..####.
##...## ...##.. ..##... .....## .....## .....## ##...## ...##.. .##.##. .....##
.#...#. ...##.. .##.... .....## .....## .....## ##...## ..##... ##...## .....##
.##.##. ...##.. ##..... ##...## .....## ##...## .#...#. ..##... ##...## ....##.
..###.. .####.. ####### .#####. .....## .#####. ..###.. ..##... .#####. ..###..
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
"""
