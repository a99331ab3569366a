"""Every operation of the engine, forward and every gradient, against torch in float64 on drawn shapes."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from svertka.engine import activations, convolution, dense, filters, loops, normalisation, pooling
from svertka.engine.fast import winograd

EXACT = {"rtol": 1e-9, "atol": 1e-9}
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


def torch_side(operation, *arrays, seed=1):
    """Output of a torch operation, a random gradient of it, and the gradients of all its arrays."""
    leaves = [torch.tensor(array, requires_grad=True) for array in arrays]
    y = operation(*leaves)
    dy = np.random.default_rng(seed).normal(size=tuple(y.shape))
    y.backward(torch.tensor(dy))
    return y.detach().numpy(), dy, [leaf.grad.numpy() for leaf in leaves]


def equal(ours_, theirs):
    assert ours_.shape == theirs.shape
    np.testing.assert_allclose(ours_, theirs, **EXACT)


@st.composite
def convolutions(draw):
    kernel, dilation = draw(pairs), draw(pairs)
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels = groups * draw(st.sampled_from([1, 2, 9]))
    outputs = groups * draw(st.sampled_from([1, 3]))
    size = [gap * (length - 1) + draw(st.integers(1, 7)) for gap, length in zip(dilation, kernel, strict=True)]
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.normal(size=(draw(st.integers(1, 3)), channels, *size))
    w = rng.normal(size=(outputs, channels // groups, *kernel))
    options = {
        "stride": draw(pairs),
        "padding": draw(st.tuples(st.integers(0, 2), st.integers(0, 2))),
        "dilation": dilation,
        "groups": groups,
    }
    return x, w, rng.normal(size=outputs), options


@few
@given(convolutions())
def test_conv2d(drawn):
    x, w, b, options = drawn
    y, dy, gradients = torch_side(lambda x, w, b: F.conv2d(x, w, b, **options), x, w, b)
    equal(convolution.conv2d(x, w, b, **options), y)
    for mine, theirs in zip(convolution.conv2d_backward(dy, x, w, **options), gradients, strict=True):
        equal(mine, theirs)


@few
@given(
    st.tuples(st.just(6), st.sampled_from([16, 17, 24]), st.integers(8, 11), st.integers(8, 11)),
    st.sampled_from([16, 19]),
    st.integers(0, 2),
)
def test_conv2d_by_winograd(shape, outputs, padding):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=shape), rng.normal(size=(outputs, shape[1], 3, 3))
    y, dy, gradients = torch_side(lambda x, w: F.conv2d(x, w, padding=padding), x, w)
    equal(convolution.conv2d(x, w, padding=padding), y)
    for mine, theirs in zip(convolution.conv2d_backward(dy, x, w, padding=padding)[:2], gradients, strict=True):
        equal(mine, theirs)


def test_winograd_in_float32_is_as_exact_as_it_says(monkeypatch):
    """2.2e-6 of the largest result in the worst place, and a third of what the points of the paper give."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 64, 28, 28)).astype(np.float32)
    w = (rng.normal(size=(64, 64, 3, 3)) / 24).astype(np.float32)
    truth = F.conv2d(torch.tensor(x).double(), torch.tensor(w).double(), padding=1).numpy()

    def errors():
        y = convolution.conv2d(x, w, padding=1)
        assert y.dtype == np.float32
        return abs(y - truth).max() / abs(truth).max()

    found = errors()
    assert found < 4e-6
    for name, matrix in zip(("B_T", "G", "A_T"), winograd._transforms((0, 1, -1, 2, -2)), strict=True):
        monkeypatch.setattr(winograd, name, matrix)
    assert found < 0.6 * errors()


@few
@given(convolutions(), st.sampled_from(["reflect", "replicate", "circular"]))
def test_conv2d_border_modes(drawn, mode):
    x, w, b, options = drawn
    padding = tuple(min(pad, length - 1) for pad, length in zip(options.pop("padding"), x.shape[2:], strict=True))

    def operation(x, w, b):
        around = (padding[1], padding[1], padding[0], padding[0])
        return F.conv2d(F.pad(x, around, mode=mode), w, b, **options)

    y, dy, gradients = torch_side(operation, x, w, b)
    equal(convolution.conv2d(x, w, b, padding=padding, padding_mode=mode, **options), y)
    backward = convolution.conv2d_backward(dy, x, w, padding=padding, padding_mode=mode, **options)
    for mine, theirs in zip(backward, gradients, strict=True):
        equal(mine, theirs)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@few
@given(st.tuples(st.integers(1, 4), st.integers(1, 4)), pairs)
def test_conv2d_same_and_valid(kernel, dilation):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 13, 12)), rng.normal(size=(4, 3, *kernel))
    for padding in ("same", "valid"):
        y, dy, gradients = torch_side(lambda x, w, p=padding: F.conv2d(x, w, padding=p, dilation=dilation), x, w)
        equal(convolution.conv2d(x, w, padding=padding, dilation=dilation), y)
        backward = convolution.conv2d_backward(dy, x, w, padding=padding, dilation=dilation)
        equal(backward.x, gradients[0])
        equal(backward.w, gradients[1])


@st.composite
def poolings(draw):
    kernel = draw(pairs)
    options = {"kernel": kernel, "stride": draw(pairs), "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel)}
    shape = draw(st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(5, 9), st.integers(5, 9)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return np.round(rng.normal(size=shape), draw(st.sampled_from([0, 6]))), options  # rounded: many ties


@few
@given(poolings(), st.tuples(st.integers(1, 2), st.integers(1, 2)))
def test_max_pool2d(drawn, dilation):
    x, options = drawn
    y, dy, (dx,) = torch_side(lambda x: F.max_pool2d(x, *options.values(), dilation=dilation), x)
    mine = pooling.max_pool2d(x, **options, dilation=dilation)
    equal(mine, y)
    equal(pooling.max_pool2d_backward(dy, x, mine, **options, dilation=dilation), dx)


@few
@given(poolings())
def test_avg_pool2d(drawn):
    x, options = drawn
    y, dy, (dx,) = torch_side(lambda x: F.avg_pool2d(x, *options.values()), x)
    equal(pooling.avg_pool2d(x, **options), y)
    equal(pooling.avg_pool2d_backward(dy, x.shape[2:], **options), dx)


def test_subsample2d_is_a_grouped_convolution_of_equal_weights():
    rng = np.random.default_rng(0)
    x, coefficient, bias = rng.normal(size=(2, 3, 6, 8)), rng.normal(size=3), rng.normal(size=3)

    def operation(x, coefficient, bias):
        return F.conv2d(x, coefficient[:, None, None, None].expand(3, 1, 2, 2), bias, stride=2, groups=3)

    y, dy, gradients = torch_side(operation, x, coefficient, bias)
    equal(pooling.subsample2d(x, coefficient, bias), y)
    for mine, theirs in zip(pooling.subsample2d_backward(dy, x, coefficient), gradients, strict=True):
        equal(mine, theirs)


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("relu", F.relu),
        ("relu6", F.relu6),
        ("tanh", torch.tanh),
        ("scaled_tanh", lambda x: 1.7159 * torch.tanh(2 * x / 3)),
        ("sigmoid", torch.sigmoid),
        ("softmax", lambda x: torch.softmax(x, -1)),
    ],
)
def test_activations(name, operation):
    x = np.concatenate([np.random.default_rng(0).normal(size=(6, 7)) * 4, np.array([[-800, 800, 0, 6, 7, -1, 1.0]])])
    y, dy, (dx,) = torch_side(operation, x)
    mine = getattr(activations, name)(x)
    equal(mine, y)
    equal(getattr(activations, f"{name}_backward")(dy, mine), dx)


def test_batch_norm():
    rng = np.random.default_rng(0)
    x, gamma, beta = rng.normal(3, 2, size=(4, 3, 5, 6)), rng.normal(size=3), rng.normal(size=3)
    y, dy, gradients = torch_side(lambda *a: F.batch_norm(a[0], None, None, a[1], a[2], training=True), x, gamma, beta)
    mean, var = normalisation.batch_statistics(x)
    equal(normalisation.batch_norm(x, gamma, beta, mean, var), y)
    for mine, theirs in zip(normalisation.batch_norm_backward(dy, x, gamma, mean, var), gradients, strict=True):
        equal(mine, theirs)


def test_batch_norm_with_fixed_statistics():
    rng = np.random.default_rng(0)
    x, gamma, beta = rng.normal(3, 2, size=(4, 3, 5, 6)), rng.normal(size=3), rng.normal(size=3)
    mean, var = rng.normal(3, size=3), rng.uniform(1, 5, size=3)

    def operation(x, gamma, beta):
        return F.batch_norm(x, torch.tensor(mean), torch.tensor(var), gamma, beta, training=False)

    y, dy, gradients = torch_side(operation, x, gamma, beta)
    equal(normalisation.batch_norm(x, gamma, beta, mean, var), y)
    for mine, theirs in zip(
        normalisation.batch_norm_backward(dy, x, gamma, mean, var, of_batch=False), gradients, strict=True
    ):
        equal(mine, theirs)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (1, 2, 3, 0)], ids=["NCHW", "NHWC", "CHWN"])
def test_sums_of_many_pixels_are_exact_in_float32(order):
    """NumPy's own, over 800,000 pixels a channel with channels innermost, are off by 1e-5, the variance by 2e-4."""
    rng = np.random.default_rng(0)
    shape = (16, 4, 224, 224)
    memory = rng.normal(3, 1, size=[shape[axis] for axis in order]).astype(np.float32)
    x = memory.transpose(np.argsort(order))
    exact = x.astype(np.float64)

    def close(received, expected):
        assert received.dtype == np.float32
        np.testing.assert_allclose(received, expected, rtol=1e-6)

    mean, var = normalisation.batch_statistics(x)
    close(mean, exact.mean(axis=(0, 2, 3)))
    close(var, exact.var(axis=(0, 2, 3)))
    one, zero = np.ones(4, np.float32), np.zeros(4, np.float32)
    gradients = normalisation.batch_norm_backward(x, x, one, zero, one, epsilon=0.0, of_batch=False)
    close(gradients.b, exact.sum(axis=(0, 2, 3)))
    close(gradients.w, np.square(exact).sum(axis=(0, 2, 3)))
    close(convolution.conv2d_backward(x, x[:, :1], np.ones((4, 1, 1, 1), np.float32)).b, exact.sum(axis=(0, 2, 3)))


def test_linear_and_rbf():
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(5, 7)), rng.normal(size=(3, 7)), rng.normal(size=3)
    y, dy, gradients = torch_side(F.linear, x, w, b)
    equal(dense.linear(x, w, b), y)
    for mine, theirs in zip(dense.linear_backward(dy, x, w), gradients, strict=True):
        equal(mine, theirs)
    y, dy, gradients = torch_side(lambda x, w: torch.cdist(x, w) ** 2, x, w)
    equal(dense.rbf(x, w), y)
    equal(dense.rbf_backward(dy, x, w), gradients[0])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy(smoothing):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(6, 4)) * 30, rng.integers(0, 4, 6)
    leaf = torch.tensor(logits, requires_grad=True)
    loss = F.cross_entropy(leaf, torch.tensor(labels), label_smoothing=smoothing)
    loss.backward()
    mine = dense.cross_entropy(logits, labels, smoothing)
    assert mine.value == pytest.approx(loss.item(), rel=1e-12)
    equal(mine.gradient, leaf.grad.numpy())


def test_the_1998_criterion_is_equation_9():
    rng = np.random.default_rng(0)
    distances, labels = rng.uniform(0, 20, size=(6, 10)), rng.integers(0, 10, 6)
    leaf = torch.tensor(distances, requires_grad=True)
    right = leaf[torch.arange(6), torch.tensor(labels)]
    loss = (right + torch.log(math.exp(-3) + torch.exp(-leaf).sum(1))).mean()
    loss.backward()
    mine = dense.map_criterion(-distances, labels, rubbish=3.0)
    assert mine.value == pytest.approx(loss.item(), rel=1e-12)
    equal(-mine.gradient, leaf.grad.numpy())


@few
@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2))
def test_the_loops_agree_with_the_fast_ways(kernel, stride, padding, dilation):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 7, 6)), rng.normal(size=(2, 3, kernel, kernel))
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    equal(convolution.conv2d(x, w, **options), loops.conv2d(x, w, **options))
    equal(pooling.max_pool2d(x, kernel, stride), loops.max_pool2d(x, kernel, stride))
    equal(pooling.avg_pool2d(x, kernel, stride), loops.avg_pool2d(x, kernel, stride))


def test_true_convolution_and_cross_correlation_against_scipy():
    from scipy import signal

    rng = np.random.default_rng(0)
    plane, kernel = rng.normal(size=(9, 8)), rng.normal(size=(3, 4))
    equal(filters.convolve(plane, kernel, padding="valid"), signal.convolve2d(plane, kernel, mode="valid"))
    equal(
        filters.convolve(plane, kernel, padding=(2, 3), padding_mode="zeros"),
        signal.convolve2d(plane, kernel, mode="full"),
    )
    equal(filters.correlate(plane, kernel, padding="valid"), signal.correlate2d(plane, kernel, mode="valid"))


@few
@given(st.integers(1, 7), st.integers(1, 8))
def test_local_response_norm(size, channels):
    x = np.random.default_rng(0).normal(size=(2, channels, 3, 4))
    options = {"size": size, "alpha": 0.3, "beta": 0.75, "k": 2.0}
    y, dy, (dx,) = torch_side(lambda x: F.local_response_norm(x, **options), x)
    equal(normalisation.local_response_norm(x, **options), y)
    equal(normalisation.local_response_norm_backward(dy, x, **options), dx)
