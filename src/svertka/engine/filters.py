"""Named kernels, and applying a kernel to an image in whichever way is fastest.

Three ways give the same numbers: a kernel that is a column times a row runs as two short passes; a small one as one
multiplication and addition for each element; a large one through the Fourier transform, tile by tile.

Shapes: H/W image, P/Q result, K/L kernel; images are [H, W] or [H, W, C].
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from svertka.engine.arrays import Array, floats, is_finite
from svertka.engine.geometry import Padding, PaddingMode, Pair, Window, check_mode
from svertka.engine.padding import Pads, pad
from svertka.errors import NotFoundError, ShapeError, did_you_mean

_STRIP_BYTES = 256 << 10
_FFT_FROM_TAPS = 15
"""Multiplications a pixel from which a Fourier transform is faster: 3 × 3 isn't, 4 × 4 is (12 megapixels, one core)."""
_ROW_FFT_UP_TO = 9
"""Kernel rows up to which it pays to transform rows only and to sum over the kernel's rows one by one."""
_TILE, _TILE_ROWS = 256, 128


@dataclass(frozen=True, eq=False, slots=True)
class Filter:
    """A named kernel."""

    name: str
    """As the command line knows it."""
    kernel: Array
    """[K, L], float64."""


# --- the bank -----------------------------------------------------------------------------------------------------


@cache
def bank() -> dict[str, Filter]:
    """All named kernels, in the order of a gallery. Signed ones answer with 0 on an even surface.

    What each brings out stands in the catalogue of sentences, under ``lab.filter``.
    """
    smooth, third, scharr, slope = (np.array(row) for row in ([1, 2, 1], [1, 1, 1], [3, 10, 3], [-1, 0, 1]))
    narrow, wide = gaussian(1.0), gaussian(1.6)
    difference = np.pad(narrow, (len(wide) - len(narrow)) // 2) - wide
    kernels = {
        "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
        "vertical_edge": np.outer(third, -slope),
        "horizontal_edge": np.outer(-slope, third),
        "blur": np.full((3, 3), 1 / 9),
        "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
        "sobel_x": np.outer(smooth, slope),
        "sobel_y": np.outer(slope, smooth),
        "scharr_x": np.outer(scharr, slope),
        "scharr_y": np.outer(slope, scharr),
        "prewitt_x": np.outer(third, slope),
        "prewitt_y": np.outer(slope, third),
        "laplacian": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
        "gaussian": gaussian(1.5),
        "emboss": [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]],
        "motion_blur": np.eye(9) / 9,
        **{f"gabor_{angle}": gabor(angle) for angle in (0, 45, 90, 135)},
        "difference_of_gaussians": difference,
    }
    return {name: Filter(name, np.asarray(kernel, np.float64)) for name, kernel in kernels.items()}


def named(name: str) -> Filter:
    """A filter of the bank.

    Raises:
        NotFoundError: there is none of that name; close ones are named.
    """
    filters = bank()
    if name not in filters:
        close = did_you_mean(name, filters)
        raise NotFoundError(f"no filter is called {name!r}; expected one of {', '.join(filters)}.{close}")
    return filters[name]


def gaussian(sigma_px: float) -> Array:
    """A Gaussian that sums to 1, cut at three sigma."""
    if not 0 < sigma_px < np.inf:
        raise ShapeError(f"sigma_px is {sigma_px}; expected a number above 0.")
    reach = max(1, round(3 * sigma_px))
    row = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    kernel: Array = np.outer(row, row) / row.sum() ** 2
    return kernel


def gabor(degrees: float, wavelength_px: float = 6.0, sigma_px: float = 2.5, size_px: int = 15) -> Array:
    """A wave under a Gaussian, with the mean taken off; it answers to stripes that run at this angle from horizontal.

    Source: Daugman, "Uncertainty relation for resolution in space, spatial frequency, and orientation", 1985.
    """
    reach = size_px // 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    across = x * np.sin(np.deg2rad(degrees)) + y * np.cos(np.deg2rad(degrees))
    envelope = np.exp(-(x * x + y * y) / (2 * sigma_px**2))
    wave = envelope * np.cos(2 * np.pi * across / wavelength_px)
    wave -= envelope * (wave.sum() / envelope.sum())
    kernel: Array = wave / np.abs(wave).sum()
    return kernel


# --- applying -----------------------------------------------------------------------------------------------------


def correlate(
    image: ArrayLike,
    kernel_KL: ArrayLike,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
    padding_mode: PaddingMode = "reflect",
) -> Array:
    """Lays the kernel on every window of an image as it is (cross-correlation); each colour by itself.

    Args:
        image: [H, W] or [H, W, C], any real type.
        kernel_KL: the kernel.
        stride: pixels from one result to the next.
        padding: a number, a pair, ``"valid"``, or ``"same"`` for half the kernel on each side.
        padding_mode: what lies beyond the border. The default mirrors the image, as image processing does, so that an
            edge filter finds no edge there; layers of a network, and all of ``svertka lab``, take ``"zeros"``.

    Returns:
        [P, Q] or [P, Q, C], float32 or float64.

    Raises:
        ShapeError: sizes don't fit, or an argument is out of range.
    """
    pixels, kernel = _operands(image, kernel_KL)
    if pixels.ndim == 3:
        how = {"stride": stride, "padding": padding, "padding_mode": padding_mode}
        planes = [correlate(pixels[:, :, c], kernel, **how) for c in range(pixels.shape[2])]  # type: ignore[arg-type]
        return np.stack(planes, axis=2)
    if pixels.ndim != 2:
        raise ShapeError(f"image has shape {list(pixels.shape)}; expected [H, W] or [H, W, C].")
    padded, window, _ = _prepared(pixels, kernel, stride, padding, padding_mode)
    return np.ascontiguousarray(_valid(padded, kernel)[:: window.stride[0], :: window.stride[1]])


def convolve(
    image: ArrayLike,
    kernel_KL: ArrayLike,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
    padding_mode: PaddingMode = "reflect",
) -> Array:
    """True convolution: ``correlate`` with the kernel turned by 180 degrees."""
    kernel = np.asarray(kernel_KL)
    turned = kernel[::-1, ::-1] if kernel.ndim == 2 else kernel
    return correlate(image, turned, stride=stride, padding=padding, padding_mode=padding_mode)


def _operands(image: ArrayLike, kernel_KL: ArrayLike) -> tuple[Array, Array]:
    """Both in the floating type of the image: that of a kernel says nothing about pixels."""
    (pixels,) = floats(image=(image, np.ndim(image)))
    (kernel,) = floats(kernel=(kernel_KL, 2))
    return pixels, kernel.astype(pixels.dtype)


def _prepared(
    plane_HW: Array, kernel_KL: Array, stride: int | Sequence[int], padding: Padding, padding_mode: PaddingMode
) -> tuple[Array, Window, Pads]:
    """The padded plane, how the kernel moves over it, and the pads; checked: at least one window fits."""
    check_mode(padding_mode)
    pads, window = Window.of(kernel_KL.shape, 1, padding).pads, Window.of(kernel_KL.shape, stride)
    padded = pad(plane_HW[None, None], pads, padding_mode)[0, 0]
    window.output_size(padded.shape)
    return padded, window, pads


def factors(kernel_KL: Array) -> tuple[Array, Array] | None:
    """Column and row whose outer product is the kernel, or None if it isn't separable."""
    u, s, v = np.linalg.svd(kernel_KL.astype(np.float64))
    if s[0] == 0 or (len(s) > 1 and s[1] > 1e-7 * s[0]):
        return None
    root = np.sqrt(s[0])
    return (u[:, :1] * root).astype(kernel_KL.dtype), (v[:1] * root).astype(kernel_KL.dtype)


def _valid(x_HW: Array, kernel_KL: Array) -> Array:
    """Cross-correlation where the kernel lies inside."""
    taps = np.count_nonzero(kernel_KL)
    if taps > sum(kernel_KL.shape) and is_finite(kernel_KL) and (parts := factors(kernel_KL)):
        return _direct(_direct(x_HW, parts[0]), parts[1])
    if taps < _FFT_FROM_TAPS or not is_finite(x_HW, kernel_KL):  # a NaN would spread over its whole tile
        return _direct(x_HW, kernel_KL)
    return (_by_row_fft if len(kernel_KL) <= _ROW_FFT_UP_TO else _by_fft)(x_HW, kernel_KL)


def _direct(x_HW: Array, kernel_KL: Array) -> Array:
    """One multiplication and one addition for each element that isn't zero, in strips that stay in the cache."""
    (K, L), (H, W) = kernel_KL.shape, x_HW.shape
    P, Q = H - K + 1, W - L + 1
    taps = list(zip(*np.nonzero(kernel_KL), strict=True)) or [(0, 0)]
    y_PQ = np.empty((P, Q), x_HW.dtype)
    rows = max(1, _STRIP_BYTES // (Q * x_HW.itemsize))
    product = np.empty((rows, Q), x_HW.dtype)
    for top in range(0, P, rows):
        strip = y_PQ[top : top + rows]
        part = product[: len(strip)]
        for number, (k, l) in enumerate(taps):
            seen = x_HW[top + k : top + k + len(strip), l : l + Q]
            if number == 0:
                np.multiply(seen, kernel_KL[k, l], out=strip)
            else:
                strip += np.multiply(seen, kernel_KL[k, l], out=part)
    return y_PQ


def _by_row_fft(x_HW: Array, kernel_KL: Array) -> Array:
    """Overlap-save along rows; over the few rows of the kernel, spectra are multiplied and summed directly."""
    (K, L), (H, W) = kernel_KL.shape, x_HW.shape
    y_PQ = np.empty((H - K + 1, W - L + 1), x_HW.dtype)
    size = _tile(y_PQ.shape[1], L)
    across = size - L + 1
    spectra = np.conj(np.fft.rfft(kernel_KL, size))
    for top in range(0, len(y_PQ), _TILE_ROWS):
        for left in range(0, y_PQ.shape[1], across):
            target = y_PQ[top : top + _TILE_ROWS, left : left + across]
            rows = np.fft.rfft(x_HW[top : top + len(target) + K - 1, left : left + size], size)
            total = rows[: len(target)] * spectra[0]
            product = np.empty_like(total)
            for k in range(1, K):
                total += np.multiply(rows[k : k + len(target)], spectra[k], out=product)
            target[...] = np.fft.irfft(total, size)[:, : target.shape[1]]
    return y_PQ


def _by_fft(x_HW: Array, kernel_KL: Array) -> Array:
    """Overlap-save (Stockham 1966): circular convolutions of tiles, of which the part that didn't wrap is kept."""
    (K, L), (H, W) = kernel_KL.shape, x_HW.shape
    y_PQ = np.empty((H - K + 1, W - L + 1), x_HW.dtype)
    size = _tile(H - K + 1, K), _tile(W - L + 1, L)
    spectrum = np.conj(np.fft.rfft2(kernel_KL, s=size))  # the conjugate correlates instead of convolving
    down, across = size[0] - K + 1, size[1] - L + 1
    for top in range(0, len(y_PQ), down):
        for left in range(0, y_PQ.shape[1], across):
            tile = np.fft.rfft2(x_HW[top : top + size[0], left : left + size[1]], s=size)
            tile *= spectrum
            target = y_PQ[top : top + down, left : left + across]
            target[...] = np.fft.irfft2(tile, s=size)[: target.shape[0], : target.shape[1]]
    return y_PQ


def _tile(outputs: int, kernel: int) -> int:
    """Side of a tile: about 256, or 12 kernels; equal tiles, so that the last isn't mostly empty; 2ᵃ3ᵇ5ᶜ."""
    count = -(-outputs // max(_TILE - kernel + 1, 11 * kernel))
    side = -(-outputs // count) + kernel - 1
    return next(length for length in itertools.count(side) if _is_fast(length))


def _is_fast(length: int) -> bool:
    for factor in (2, 3, 5):
        while length % factor == 0:
            length //= factor
    return length == 1


# --- explaining ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class Arithmetic:
    """How one output pixel comes about."""

    rows: Pair
    """Of the input that the window covers, from, to (exclusive); negative in the padding."""
    columns: Pair
    window: Array
    """[K, L] pixels, padding included."""
    kernel: Array
    """[K, L] as laid on the window."""
    products: Array
    """Window × kernel."""
    total: float
    """Their sum."""


def explain(
    plane_HW: ArrayLike,
    kernel_KL: ArrayLike,
    at: Pair,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
    padding_mode: PaddingMode = "reflect",
) -> Arithmetic:
    """The window, the kernel, their products and the sum behind one pixel of ``correlate``.

    Raises:
        ShapeError: the output has no such pixel.
    """
    (plane,) = floats(plane=(plane_HW, 2))
    plane, kernel = _operands(plane, kernel_KL)
    padded, window, pads = _prepared(plane, kernel, stride, padding, padding_mode)
    P, Q = window.output_size(padded.shape)
    if not (0 <= at[0] < P and 0 <= at[1] < Q):
        raise ShapeError(f"there is no output pixel {at[0]},{at[1]}; expected rows 0 to {P - 1}, columns 0 to {Q - 1}.")
    (top, left), (K, L) = (at[0] * window.stride[0], at[1] * window.stride[1]), kernel.shape
    seen = padded[top : top + K, left : left + L]
    row, column = top - pads[0][0], left - pads[1][0]
    products = seen * kernel
    return Arithmetic((row, row + K), (column, column + L), seen, kernel, products, float(products.sum()))
