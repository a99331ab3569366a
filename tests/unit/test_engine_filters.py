"""The bank of kernels, and the three ways to apply one, against SciPy."""

import numpy as np
import pytest
from scipy import ndimage, signal

from svertka.engine import filters
from svertka.errors import NotFoundError, ShapeError

rng = np.random.default_rng(0)
IMAGE = rng.normal(size=(70, 90))


def test_the_bank_has_what_the_course_and_the_field_name():
    bank = filters.bank()
    expected = "vertical_edge horizontal_edge blur sharpen sobel_x sobel_y scharr_x scharr_y prewitt_x prewitt_y "
    expected += (
        "laplacian gaussian emboss motion_blur gabor_0 gabor_45 gabor_90 gabor_135 difference_of_gaussians identity"
    )
    assert set(expected.split()) == set(bank)
    np.testing.assert_array_equal(bank["vertical_edge"].kernel, [[1, 0, -1]] * 3)
    np.testing.assert_array_equal(bank["horizontal_edge"].kernel, [[1] * 3, [0] * 3, [-1] * 3])
    np.testing.assert_allclose(bank["blur"].kernel, np.full((3, 3), 1 / 9))
    np.testing.assert_array_equal(bank["sharpen"].kernel, [[0, -1, 0], [-1, 5, -1], [0, -1, 0]])


@pytest.mark.parametrize("name", filters.bank())
def test_each_kernel_keeps_or_drops_an_even_surface(name):
    answer = filters.correlate(np.full((20, 20), 7.0), filters.named(name).kernel)
    assert np.allclose(answer, 0, atol=1e-9) or np.allclose(answer, 7), "a kernel sums to 0 or to 1"


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("sobel_x", lambda x: ndimage.sobel(x, axis=1)),
        ("sobel_y", lambda x: ndimage.sobel(x, axis=0)),
        ("prewitt_x", lambda x: ndimage.prewitt(x, axis=1)),
        ("laplacian", ndimage.laplace),
        ("gaussian", lambda x: ndimage.gaussian_filter(x, 1.5, radius=4)),
    ],
)
def test_kernels_that_scipy_has_too(name, theirs):
    mine = filters.correlate(IMAGE, filters.named(name).kernel, padding_mode="replicate")
    inside = np.s_[6:-6, 6:-6]  # borders differ by convention
    np.testing.assert_allclose(mine[inside], theirs(IMAGE)[inside], atol=1e-9)


@pytest.mark.parametrize("angle", [0, 45, 90, 135])
def test_a_gabor_filter_answers_most_to_its_own_stripes(angle):
    y, x = np.mgrid[:60, :60]
    energy = {}
    for stripes in (0, 45, 90, 135):
        across = x * np.sin(np.deg2rad(stripes)) + y * np.cos(np.deg2rad(stripes))
        answer = filters.correlate(np.cos(2 * np.pi * across / 6), filters.named(f"gabor_{angle}").kernel)
        energy[stripes] = float((answer**2).mean())
    assert max(energy, key=energy.get) == angle


@pytest.mark.parametrize(
    "kernel",
    [
        rng.normal(size=(1, 1)),
        rng.normal(size=(3, 4)),
        np.outer(rng.normal(size=9), rng.normal(size=5)),
        rng.normal(size=(7, 7)),
        rng.normal(size=(31, 20)),
        np.zeros((3, 3)),
        np.eye(9),
    ],
    ids=["one number", "small", "separable", "by Fourier along rows", "by Fourier", "zeros", "sparse"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_ways_equal_scipy(kernel, dtype):
    image = IMAGE.astype(dtype)
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-10}
    correlated = filters.correlate(image, kernel, padding="valid")
    assert correlated.dtype == dtype
    np.testing.assert_allclose(correlated, signal.correlate2d(IMAGE, kernel, mode="valid"), **tolerance)
    convolved = filters.convolve(image, kernel, padding="valid")
    np.testing.assert_allclose(convolved, signal.convolve2d(IMAGE, kernel, mode="valid"), **tolerance)


@pytest.mark.parametrize("shape", [(9, 11), (15, 4)], ids=["rows", "both axes"])
def test_fourier_tiles_meet_without_a_seam(shape):
    image, kernel = rng.normal(size=(600, 530)), rng.normal(size=shape)
    expected = signal.convolve2d(image, kernel, mode="valid")
    np.testing.assert_allclose(filters.convolve(image, kernel, padding="valid"), expected, rtol=1e-9, atol=1e-9)


def test_stride_padding_and_colours():
    colour, kernel = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8), rng.normal(size=(3, 3))
    y = filters.correlate(colour, kernel, stride=2, padding=1, padding_mode="zeros")
    assert y.shape == (10, 15, 3)
    assert y.dtype == np.float32
    full = signal.correlate2d(colour[:, :, 1].astype(float), kernel, mode="same")
    np.testing.assert_allclose(y[:, :, 1], full[::2, ::2], rtol=1e-4, atol=1e-3)
    assert filters.correlate(colour[:, :, 0], np.ones((4, 5))).shape == (20, 30)


def test_a_nan_reaches_only_its_windows():
    image = IMAGE.copy()
    image[30, 30] = np.nan
    y = filters.correlate(image, rng.normal(size=(7, 7)))
    assert np.isnan(y).sum() == 49


def test_factors():
    assert filters.factors(np.array([[1.0, 0], [0, 1]])) is None
    column, row = filters.factors(filters.named("sobel_x").kernel)
    np.testing.assert_allclose(column * row, filters.named("sobel_x").kernel, atol=1e-12)


@pytest.mark.parametrize("padding", [0, 1, "same"])
def test_the_explained_pixel_is_the_pixel(padding):
    kernel = filters.named("emboss").kernel
    how = {"stride": 2, "padding": padding, "padding_mode": "zeros"}
    y = filters.correlate(IMAGE, kernel, **how)
    for at in ((0, 0), (3, 4), (y.shape[0] - 1, y.shape[1] - 1)):
        found = filters.explain(IMAGE, kernel, at, **how)
        assert found.total == pytest.approx(y[at])
        np.testing.assert_allclose(found.products, found.window * found.kernel)
    rows, columns = (
        filters.explain(IMAGE, kernel, (3, 4), **how).rows,
        filters.explain(IMAGE, kernel, (3, 4), **how).columns,
    )
    seen = filters.explain(IMAGE, kernel, (3, 4), **how).window
    np.testing.assert_array_equal(seen, IMAGE[slice(*rows), slice(*columns)])


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: filters.named("sobelx"), NotFoundError, "Did you mean sobel_x"),
        (lambda: filters.correlate(IMAGE[0], np.ones((3, 3))), ShapeError, r"expected \[H, W\] or \[H, W, C\]"),
        (lambda: filters.correlate(IMAGE, np.ones(3)), ShapeError, "kernel has shape"),
        (lambda: filters.correlate(IMAGE, np.ones((80, 3)), padding=0), ShapeError, "spans 80 pixels"),
        (
            lambda: filters.explain(IMAGE, np.ones((3, 3)), (70, 0)),
            ShapeError,
            "no output pixel 70,0; expected rows 0 to 69",
        ),
        (lambda: filters.gaussian(0), ShapeError, "sigma_px is 0"),
    ],
)
def test_errors(call, error, said):
    with pytest.raises(error, match=said):
        call()
