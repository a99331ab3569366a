"""What an operation does with arrays and arguments that aren't as it would like them."""

import tracemalloc

import numpy as np
import pytest

from svertka.engine import convolution, dense, normalisation, pooling
from svertka.engine.fast import blas
from svertka.engine.geometry import ReceptiveField, output_size, receptive_field
from svertka.errors import ShapeError

rng = np.random.default_rng(0)
X, W = rng.normal(size=(2, 3, 6, 7)), rng.normal(size=(4, 3, 3, 3))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"w_OCKL": np.ones((4, 3, 9, 9))}, r"spans 9 pixels, but the input has 6"),
        ({"w_OCKL": np.ones((4, 3, 3, 3)), "dilation": 3}, r"dilation 3 spans 7 pixels"),
        ({"stride": 0}, r"stride is 0; expected at least 1"),
        ({"stride": (1, -2)}, r"stride is \(1, -2\)"),
        ({"stride": 1.5}, r"stride is 1\.5; expected a whole number"),
        ({"padding": -1}, r"padding is -1; expected at least 0"),
        ({"padding": "sam"}, r"padding is 'sam'"),
        ({"padding": "same", "stride": 2}, r'"same" with stride 2'),
        ({"padding": 6, "padding_mode": "reflect"}, r"on 6 rows; padding_mode 'reflect' reaches at most 5"),
        ({"padding_mode": "mirror"}, r"padding_mode is 'mirror'"),
        ({"dilation": 0}, r"dilation is 0"),
        ({"groups": 2}, r"x has 3 channels and w has 4 kernels of 3 in 2 groups"),
        ({"groups": 0}, r"groups is 0; expected a whole number, at least 1"),
        ({"groups": 1.0}, r"groups is 1\.0; expected a whole number"),
        ({"stride": np.array([1, -2])}, r"stride is \[1, -2\]; expected at least 1"),
        ({"x_NCHW": np.ones((2, 5, 6, 7))}, r"x has 5 channels"),
        ({"x_NCHW": np.ones((3, 6, 7))}, r"x has shape \[3, 6, 7\]; expected 4 axes"),
        ({"x_NCHW": np.ones((2, 3, 0, 7))}, r"expected no empty axis"),
        ({"x_NCHW": np.ones((2, 3, 6, 7), complex)}, r"x holds complex128"),
        ({"x_NCHW": np.full((2, 3, 6, 7), "a")}, r"expected real numbers"),
        ({"b_O": np.ones(3)}, r"b has shape \[3\]; expected \[4\]"),
    ],
)
def test_conv2d_says_what_does_not_fit(arguments, said):
    with pytest.raises(ShapeError, match=said):
        convolution.conv2d(**{"x_NCHW": X, "w_OCKL": W} | arguments)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: pooling.max_pool2d(X, 9), r"spans 9 pixels"),
        (lambda: pooling.max_pool2d(X, 2, padding=2), r"at most half of the kernel"),
        (lambda: pooling.avg_pool2d(X, 2, 0), r"stride is 0"),
        (lambda: pooling.avg_pool2d_backward(X, (6, 7), 2), r"dy has shape \[2, 3, 6, 7\]; expected \[2, 3, 3, 3\]"),
        (lambda: pooling.subsample2d(X, np.ones(2), np.ones(3)), r"coefficient has shape \[2\]; expected \[3\]"),
        (lambda: convolution.conv2d_backward(X, X, W), r"dy has shape \[2, 3, 6, 7\]; expected \[2, 4, 4, 5\]"),
        (lambda: dense.linear(np.ones((2, 3)), np.ones((4, 5))), r"x has 3 features and the weights are for 5"),
        (lambda: normalisation.batch_norm(X, *[np.ones(2)] * 4), r"gamma has shape \[2\]; expected \[3\]"),
        (lambda: normalisation.batch_statistics(X[:0]), r"expected at least one image"),
        (lambda: normalisation.dropout(X, 1.0, rng), r"rate is 1\.0"),
        (lambda: dense.cross_entropy(np.ones((2, 3)), [0, 3]), r"labels run from 0 to 3; expected 0 to 2"),
        (lambda: dense.cross_entropy(np.ones((2, 3)), [0.0, 1.0]), r"labels have type float64"),
        (lambda: dense.cross_entropy(np.ones((0, 3)), np.zeros(0, int)), r"batch is empty"),
        (lambda: dense.cross_entropy(np.ones((1, 3)), [0], 1.5), r"label_smoothing is 1\.5"),
        (lambda: output_size(5, 0), r"kernel is 0"),
        (lambda: receptive_field([(3, 0, 1)]), r"stride is 0"),
        (lambda: receptive_field([(3, 1, 1, -4)]), r"dilation is -4; expected at least 1"),
    ],
)
def test_others_say_it_too(call, said):
    with pytest.raises(ShapeError, match=said):
        call()


def test_a_shape_error_is_a_value_error():
    with pytest.raises(ValueError, match="stride is 0"):
        convolution.conv2d(X, W, stride=0)


UNUSUAL = {
    "big-endian": lambda a: a.astype(">f8"),
    "non-contiguous": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: np.ascontiguousarray(a[..., ::-1])[..., ::-1],
    "Fortran order": np.asfortranarray,
    "read-only": lambda a: np.frombuffer(a.tobytes()).reshape(a.shape),
    "broadcast": lambda a: np.broadcast_to(a, a.shape),
}


@pytest.mark.parametrize("kind", UNUSUAL)
@pytest.mark.parametrize("channels", [3, 16])
def test_unusual_memory_gives_the_same_numbers(kind, channels):
    x, w = rng.normal(size=(12, channels, 6, 7)), rng.normal(size=(16, channels, 3, 3))
    x2, w2 = (UNUSUAL[kind](array) for array in (x, w))
    y = convolution.conv2d(x, w, padding=1)
    np.testing.assert_allclose(convolution.conv2d(x2, w2, padding=1), y, rtol=1e-12, atol=1e-12)
    dy = rng.normal(size=y.shape)
    for mine, usual in zip(
        convolution.conv2d_backward(UNUSUAL[kind](dy), x2, w2, padding=1),
        convolution.conv2d_backward(dy, x, w, padding=1),
        strict=True,
    ):
        np.testing.assert_allclose(mine, usual, rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(pooling.max_pool2d(x2, 2), pooling.max_pool2d(x, 2))


@pytest.mark.parametrize(
    ("x_type", "w_type", "y_type"),
    [
        (np.uint8, np.float32, np.float32),
        (np.int64, np.float32, np.float64),
        (np.float16, np.float16, np.float32),
        (bool, np.float32, np.float32),
        (np.float32, np.float64, np.float64),
        (np.longdouble, np.float32, np.float64),
    ],
)
def test_types_follow_numpys_promotion(x_type, w_type, y_type):
    x, w = np.arange(16).reshape(1, 1, 4, 4).astype(x_type), np.ones((1, 1, 2, 2), w_type)
    y = convolution.conv2d(x, w)
    assert y.dtype == y_type
    np.testing.assert_array_equal(y, convolution.conv2d(x.astype(np.float64), w.astype(np.float64)))


def test_inputs_are_never_changed():
    x, w, b = X.copy(), W.copy(), np.ones(4)
    y = convolution.conv2d(x, w, b, padding=1)
    convolution.conv2d_backward(y, x, w, padding=1)
    pooled = pooling.max_pool2d(x, 2)
    pooling.max_pool2d_backward(pooled, x, pooled, 2)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(w, W)
    np.testing.assert_array_equal(b, np.ones(4))
    assert not np.shares_memory(pooling.max_pool2d(x, 1), x)


def test_an_empty_batch_gives_an_empty_output_and_no_gradient():
    empty = X[:0]
    y = convolution.conv2d(empty, W, np.ones(4), padding=1)
    assert y.shape == (0, 4, 6, 7)
    gradients = convolution.conv2d_backward(y, empty, W, padding=1)
    assert gradients.x.shape == empty.shape
    assert not gradients.w.any()
    assert not gradients.b.any()
    assert pooling.max_pool2d(empty, 2).shape == pooling.avg_pool2d(empty, 2).shape == (0, 3, 3, 3)


@pytest.mark.parametrize("channels", [1, 9, 16], ids=["batch last", "channels last", "Winograd"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_reaches_only_the_windows_that_hold_it(channels, value):
    x, w = np.ones((4, channels, 12, 12)), np.ones((channels, channels, 3, 3))
    x[0, 0, 5, 5] = value
    y = convolution.conv2d(x, w, padding=1)
    assert not np.isfinite(y[0, :, 4:7, 4:7]).any()
    y[0, :, 4:7, 4:7] = 0
    assert np.isfinite(y).all()


def test_max_pooling_shows_a_nan_and_gives_it_the_gradient():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    x[0, 0, 0, 0] = np.nan
    y = pooling.max_pool2d(x, 2)
    assert np.isnan(y[0, 0, 0, 0])
    assert np.isfinite(y.ravel()[1:]).all()
    assert pooling.max_pool2d_backward(np.ones_like(y), x, y, 2)[0, 0, 0, 0] == 1


def test_receptive_fields_of_known_networks():
    alexnet_conv5 = [(11, 4, 2), (3, 2, 0), (5, 1, 2), (3, 2, 0), (3, 1, 1), (3, 1, 1), (3, 1, 1)]
    assert receptive_field(alexnet_conv5) == ReceptiveField(size_px=163, stride_px=16, start_px=-66)
    assert receptive_field([]) == ReceptiveField(1, 1, 0)
    assert receptive_field([(3, 1, 2, 2)]).size_px == 5


def test_the_receptive_field_is_what_can_change_a_number():
    layers = [(3, 2, 1), (2, 2, 0), (3, 1, 1)]
    field = receptive_field(layers)
    sensitivity = np.zeros((1, 1, 1, 8))
    sensitivity[..., 4] = 1
    lengths = [32, 16, 8]
    for (kernel, stride, padding), length in zip(reversed(layers), reversed(lengths), strict=True):
        x, w = np.ones((1, 1, 1, length)), np.ones((1, 1, 1, kernel))
        sensitivity = convolution.conv2d_backward(sensitivity, x, w, stride=(1, stride), padding=(0, padding)).x
    reached = np.flatnonzero(sensitivity)
    first = field.start_px + 4 * field.stride_px
    assert reached.tolist() == list(range(first, first + field.size_px))


def test_what_was_right_before_does_not_make_a_wrong_number_right():
    x, w = np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 2, 2))
    convolution.conv2d(x, w, stride=(2, 1))
    pooling.max_pool2d(x, (1, 1))
    with pytest.raises(ShapeError, match="stride"):
        convolution.conv2d(x, w, stride=(2.0, 1))
    with pytest.raises(ShapeError, match="kernel"):
        pooling.max_pool2d(x, (True, True))
    assert convolution.conv2d(x, w, stride=[2, 1]).shape == (1, 1, 2, 3)


def test_gradients_of_a_long_thin_image_take_little_memory():
    x, w = np.ones((1, 1, 20_000, 1), np.float32), np.ones((32, 1, 9, 1), np.float32)
    dy = np.ones((1, 32, 19_992, 1), np.float32)
    tracemalloc.start()
    gradients = convolution.conv2d_backward(dy, x, w)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16e6  # not a set of kernel gradients for each of the 19,992 rows
    np.testing.assert_array_equal(gradients.w, np.full_like(w, 19_992))
    assert gradients.x.max() == 32 * 9


@pytest.mark.skipif(blas._openblas() is None, reason="NumPy's BLAS is not OpenBLAS")
def test_an_interrupt_does_not_leave_blas_with_one_thread():
    before = blas.threads()
    blas.one_thread().__enter__()  # and nobody is there any more to leave
    assert blas.threads() == before
