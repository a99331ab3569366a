"""3 × 3 convolution with a quarter of the multiplications: Winograd's minimal filtering F(4 × 4, 3 × 3).

A tile of 4 × 4 outputs comes from 6 × 6 inputs. Transformed, the tile's convolution is an elementwise product, so over
all tiles and channels it is 36 matrix products: ``y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A``. The transforms are matrix products
as well, applied along columns and then along rows, on views wherever BLAS can read them in place.

Source: Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, section 4.2, with other
points. In float32 its largest error is 1.5e-6 to 5e-6 of the largest result (32 to 256 channels), about half of what
the paper's points give.

Shapes: N batch, C/O channels in/out, H/W in (padded), P/Q out; tiles: I/J rows and columns of tiles, T = N·I·J,
i/j position in an input tile (6 × 6), p/q in an output tile (4 × 4).
"""

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike

from svertka.engine.arrays import Array
from svertka.engine.fast.cache_blocks import blocks
from svertka.engine.fast.channels_last import AXES
from svertka.engine.fast.threads import hands, matmul, runs, share, share_copy, total
from svertka.engine.geometry import Pair, Window
from svertka.engine.padding import Pads, crop

__all__ = ["AXES", "A_T", "B_T", "G", "forward", "input_gradient", "suits", "weight_gradient"]

Block = tuple[slice, slice]
"""Images, and rows of their tiles."""
_OUT, _IN = 4, 6  # side of an output tile and of the input tile that it needs
_BLOCK_BYTES, _BLOCK_TILES = 4 << 20, 256
_MIN_CHANNELS, _MIN_TILES = 16, 24

_POINTS = (0, 1, -0.5, 1.75, -1.25)
"""Where the polynomials are evaluated, besides infinity. The usual 0, ±1, ±2 round twice as much for the same work:
what matters is the size of the numbers on the way (Barabasz et al. 2018, arXiv 1803.10986). These came out best among
small binary fractions, in which the transforms are exact; with 1 among them, a bias is added in one place of a tile."""


def _transforms(points: Sequence[float]) -> tuple[Array, Array, Array]:
    """Bᵀ, G and Aᵀ of the construction by Cook and Toom, for these points and infinity."""
    others = [[other for other in points if other != point] for point in points]
    from_input = [[*np.poly(roots)[::-1], 0] for roots in others] + [np.poly(points)[::-1]]
    scale = [np.prod(np.subtract(point, roots)) for point, roots in zip(points, others, strict=True)]
    powers = np.array(points)[:, None] ** np.arange(_OUT)
    from_kernel = np.vstack([powers[:, :3] / np.array(scale)[:, None], [0, 0, 1]])
    return np.array(from_input), from_kernel, np.column_stack([powers.T, [0, 0, 0, 1]])


B_T, G, A_T = _transforms(_POINTS)


def suits(channels: Pair, window: Window, images: int, output: Pair) -> bool:
    """Whether this path can do a convolution, and pays: enough channels, and enough tiles to transform kernels for."""
    plain = window.kernel == (3, 3) and window.stride == window.dilation == (1, 1)
    tiles = images * (output[0] / _OUT) * (output[1] / _OUT)  # as many as the outputs would fill
    return plain and min(channels) >= _MIN_CHANNELS and tiles >= _MIN_TILES


def forward(x_NHWC: Array, w_OCKL: Array, window: Window) -> Array:
    """Returns [N, P, Q, O]; ``x_NHWC`` is already padded."""
    P, Q = window.output_size(x_NHWC.shape[1:3])
    x_NHWC = _fill_tiles(x_NHWC, (_whole(P) + 2, _whole(Q) + 2))
    return _convolve(x_NHWC, w_OCKL.swapaxes(0, 1), (P, Q))


def input_gradient(dy_NPQO: Array, w_OCKL: Array, window: Window, size: Pair, pads: Pads) -> Array:
    """Returns [N, H, W, C]: a convolution of the padded gradient with the kernels turned by 180 degrees."""
    N, P, Q, O = dy_NPQO.shape
    (top, bottom), (left, right) = ((min(2, before), min(2, after)) for before, after in pads)
    H, W = size[0] - top - bottom, size[1] - left - right
    padded = np.zeros((N, _whole(H) + 2, _whole(W) + 2, O), dy_NPQO.dtype)
    share_copy(padded[:, 2 - top : 2 - top + P, 2 - left : 2 - left + Q], dy_NPQO)
    dx_NHWC = _convolve(padded, w_OCKL[:, :, ::-1, ::-1], (H, W))
    return crop(dx_NHWC, ((pads[0][0] - top, pads[0][1] - bottom), (pads[1][0] - left, pads[1][1] - right)))


def weight_gradient(dy_NPQO: Array, x_NHWC: Array, window: Window) -> Array:
    """Returns [O, C, 3, 3]: the transpose of ``forward`` in the kernels, ``Gᵀ [(A dy Aᵀ)ᵀ (Bᵀ d B)] G``."""
    P, Q, O = dy_NPQO.shape[1:]
    C = x_NHWC.shape[3]
    x_NHWC = _fill_tiles(x_NHWC, (_whole(P) + 2, _whole(Q) + 2))
    dy_NPQO = _fill_tiles(dy_NPQO, (_whole(P), _whole(Q)))

    def gradient(parts: Sequence[Block], kernels: slice) -> Array:
        dw_jiOC = np.zeros((_IN, _IN, len(range(O)[kernels]), C), dy_NPQO.dtype)
        for images, tiles in parts:
            d_jiTC = _transform_inputs(_rows_of(x_NHWC[images], tiles)).reshape(_IN, _IN, -1, C)
            rows = slice(tiles.start * _OUT, tiles.stop * _OUT)
            dy_jiNIJO = _transform_gradients(dy_NPQO[images, rows, :, kernels])
            dy_jiTO = dy_jiNIJO.reshape(_IN, _IN, -1, dy_jiNIJO.shape[-1])
            dw_jiOC += np.matmul(dy_jiTO.swapaxes(2, 3), d_jiTC)
        dw_MK: Array = dw_jiOC.reshape(_IN * _IN, -1).T @ _kernel_transform(dw_jiOC.dtype)
        return dw_MK.reshape(-1, C, 3, 3)

    every = _blocks(len(x_NHWC), _whole(P) // _OUT, _whole(Q) // _OUT, C + O, x_NHWC.itemsize)
    some_kernels = runs(O, _IN * _IN * C * O)
    if len(every) < len(some_kernels):  # as in _convolve
        return np.concatenate(share(lambda kernels: gradient(every, kernels), some_kernels))
    return total(share(lambda parts: gradient(parts, slice(None)), hands(every)))


def _convolve(x_NHWC: Array, w_COKL: Array, output: Pair) -> Array:
    """Convolves inputs that fill whole tiles; [N, P, Q, O] of the ``output`` size."""
    N, H, W, C = x_NHWC.shape
    O = w_COKL.shape[1]
    y_NPQO = np.empty((N, *output, O), x_NHWC.dtype)

    def block(part: Block, w_jiCO: Array, kernels: slice) -> None:
        images, tiles = part
        d_jiTC = _transform_inputs(_rows_of(x_NHWC[images], tiles))
        products = np.matmul(d_jiTC.reshape(_IN, _IN, -1, C), w_jiCO)
        rows = slice(tiles.start * _OUT, tiles.stop * _OUT)
        _transform_outputs(products.reshape(*d_jiTC.shape[:-1], -1), y_NPQO[images, rows, :, kernels])

    def some_kernels(kernels: slice) -> None:
        w_jiCO = _transform_kernels(w_COKL[:, kernels])
        for part in every:
            block(part, w_jiCO, kernels)

    every = _blocks(N, H // _OUT, W // _OUT, C + O, x_NHWC.itemsize)
    parts = runs(O, _IN * _IN * C * O)
    if len(every) < len(parts):  # few tiles and many kernels: threads share these
        share(some_kernels, parts)
    else:
        w_jiCO = _transform_kernels(w_COKL)
        share(lambda part: block(part, w_jiCO, slice(None)), every)
    return y_NPQO


def _whole(length: int) -> int:
    """Rounded up to whole output tiles."""
    return -(-length // _OUT) * _OUT


def _rows_of(x_NHWC: Array, tiles: slice) -> Array:
    return x_NHWC[:, tiles.start * _OUT : tiles.stop * _OUT + 2]


def _blocks(N: int, I: int, J: int, channels: int, itemsize: int) -> list[Block]:
    """Rows of tiles that fit into the cache, but enough tiles to make each pass over the kernels worth its while."""
    tile_bytes = _IN * _IN * channels * itemsize
    return list(blocks(N, I, J * tile_bytes, max(_BLOCK_BYTES, _BLOCK_TILES * tile_bytes)))


def _fill_tiles(x_NHWC: Array, size: Pair) -> Array:
    """Zeros below and right, up to whole tiles."""
    N, H, W, C = x_NHWC.shape
    if (H, W) == size:
        return x_NHWC
    filled = np.zeros((N, *size, C), x_NHWC.dtype)
    share_copy(filled[:, :H, :W], x_NHWC)
    return filled


def _kernel_transform(dtype: DTypeLike) -> Array:
    """``g -> G g Gᵀ`` as one matrix over the flattened 3 × 3 kernel, [36, 9]: columns first, as everywhere here."""
    matrix: Array = np.einsum("jl,ik->jikl", G, G).reshape(_IN * _IN, 9).astype(dtype)
    return matrix


def _transform_kernels(w_MNKL: Array) -> Array:
    """``G g Gᵀ`` of every kernel, [j, i, M, N] for two axes of channels M and N."""
    w_jiMN = matmul(_kernel_transform(w_MNKL.dtype), w_MNKL.reshape(-1, 9).T)
    return w_jiMN.reshape(_IN, _IN, *w_MNKL.shape[:2])


def _transform_inputs(x_NHWC: Array) -> Array:
    """``Bᵀ d B`` of every tile, [j, i, N, I, J, C]."""
    return _transform(x_NHWC, B_T, _IN)


def _transform_gradients(dy_NPQO: Array) -> Array:
    """``A dy Aᵀ`` of every tile, [j, i, N, I, J, O]: the transpose of ``_transform_outputs``."""
    return _transform(dy_NPQO, A_T.T, _OUT)


def _transform(x_NHWC: Array, matrix: Array, side: int) -> Array:
    """Applies a matrix to the columns and then to the rows of all tiles of ``side``, which stand 4 pixels apart."""
    matrix = matrix.astype(x_NHWC.dtype)
    N, H, W, C = x_NHWC.shape
    I, J = (H - side) // _OUT + 1, (W - side) // _OUT + 1
    n, h, w, c = x_NHWC.strides
    columns = as_strided(x_NHWC, (side, N, H, J, C), (w, n, h, _OUT * w, c), writeable=False)
    half = (matrix @ columns.reshape(side, -1)).reshape(_IN, N, H, J * C)
    j, n, h, c = half.strides
    rows = as_strided(half, (_IN, N, I, side, J * C), (j, n, _OUT * h, h, c), writeable=False)
    done = np.empty((_IN, _IN, N, I, J * C), x_NHWC.dtype)
    np.matmul(matrix, rows, out=done.transpose(0, 2, 3, 1, 4))
    return done.reshape(_IN, _IN, N, I, J, C)


def _transform_outputs(products_jiNIJO: Array, y_NPQO: Array) -> None:
    """Writes ``Aᵀ m A`` of every tile; what stands out below and right of the output is dropped."""
    _, _, N, I, J, O = products_jiNIJO.shape
    P = y_NPQO.shape[1]
    matrix = A_T.astype(y_NPQO.dtype)
    rows = products_jiNIJO.reshape(_IN, _IN, N, I, J * O).transpose(0, 2, 3, 1, 4)
    half = np.matmul(matrix, rows)  # [j, N, I, p, J·O]
    done = (matrix @ half.reshape(_IN, -1)).reshape(_OUT, N, I * _OUT, J, O)
    for q in range(_OUT):
        column = y_NPQO[:, :, q::_OUT]
        column[...] = done[q, :, :P, : column.shape[2]]
