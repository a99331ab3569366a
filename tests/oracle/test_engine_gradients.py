"""Every layer's gradients against central differences in float64."""

import numpy as np
import pytest

from svertka.engine import layers as L
from svertka.engine.lenet import digit_codes, lenet5, lenet5_1998
from svertka.engine.network import Network, Sequential

STEP = 1e-6


def build(name):
    r = np.random.default_rng(1)
    return {
        "conv": lambda: L.Conv2d(2, 3, 3, r, stride=2, padding=1),
        "conv, groups, no bias": lambda: L.Conv2d(2, 4, (2, 3), r, groups=2, bias=False),
        "table conv": lambda: L.ConnectionTableConv2d(((0,), (0, 1)), 3, r),
        "max pool": lambda: L.MaxPool2d(2),
        "max pool, overlapping": lambda: L.MaxPool2d(3, 2, 1),
        "average pool": lambda: L.AvgPool2d(3, 2, 1),
        "subsample": lambda: L.Subsample2d(2, r),
        "batch norm": lambda: L.BatchNorm2d(2),
        "response norm": lambda: L.LocalResponseNorm(3, alpha=0.5),
        "dropout": lambda: L.Dropout(0.4),
        **{name: lambda name=name: L.Activation(name) for name in L._ACTIVATIONS},
        "linear": lambda: Sequential(L.Flatten(), L.Linear(60, 4, r)),
        "radial": lambda: Sequential(L.Flatten(), L.Linear(60, 84, r), L.Rbf(np.array(digit_codes()))),
    }[name]()


NAMES = [
    *("conv", "conv, groups, no bias", "table conv", "max pool", "max pool, overlapping", "average pool"),
    *("subsample", "batch norm", "response norm", "dropout", *L._ACTIVATIONS),
    *("linear", "radial"),
]


def check(layer, x, tolerance=1e-6):
    """Compares each parameter's and the input's gradient of Σ weights · output, along three random directions."""
    rng = np.random.default_rng(0)  # of its own: on a kink of relu or max pooling differences say nothing
    network = Network(layer)
    for _, inner in layer.layers():
        inner.needs_input_gradient = True
    for parameter in network.parameters().values():
        parameter.value = parameter.value.astype(np.float64) + 0.1 * rng.normal(size=parameter.value.shape)

    def forward():
        network.set_training(True, np.random.default_rng(5))  # the same dropout mask every time
        return layer.forward(x)

    weights = rng.normal(size=forward().shape)
    dx = layer.backward(weights)
    arrays = {name: (p.value, p.gradient) for name, p in network.parameters().items()} | {"input": (x, dx)}
    for name, (array, gradient) in arrays.items():
        assert gradient.shape == array.shape, name
        for _ in range(3):
            direction = rng.normal(size=array.shape)
            array += STEP * direction
            above = (weights * forward()).sum()
            array -= 2 * STEP * direction
            below = (weights * forward()).sum()
            array += STEP * direction
            expected = (above - below) / (2 * STEP)
            assert (gradient * direction).sum() == pytest.approx(expected, rel=tolerance, abs=tolerance), name


@pytest.mark.parametrize("name", NAMES)
def test_layer(name):
    check(build(name), np.random.default_rng(1).normal(size=(3, 2, 5, 6)) * 3)


def test_winograd_layer():
    check(
        L.Conv2d(16, 16, 3, np.random.default_rng(1), padding=1), np.random.default_rng(1).normal(size=(6, 16, 9, 10))
    )


@pytest.mark.parametrize(("network", "shape"), [(lenet5(), (2, 1, 28, 28)), (lenet5_1998(), (2, 1, 32, 32))])
def test_both_lenets_as_a_whole(network, shape):
    check(network.body, np.random.default_rng(1).normal(size=shape), tolerance=1e-5)
