"""Convolution for few channels (a gray or colour image, LeNet-5): the batch innermost in memory.

With few channels the other layouts copy in pieces of a few numbers. With the batch innermost, the same kernel column
over one row of the input is a single piece of Q·N numbers. Each input row is copied once for each kernel column, not
for each kernel element: the K rows below each other that an output row sees are then one matrix as they lie, and the
next output row's matrix begins a stride further.

Shapes: N batch, C/O channels in/out, H/W in (padded), P/Q out, K/L kernel, R rows of a block, D = K·C·L, B = C·L,
M = Q·N.
"""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from svertka.engine.arrays import Array
from svertka.engine.fast.threads import runs, share, total
from svertka.engine.geometry import Pair, Window
from svertka.engine.padding import Pads, crop

AXES = (1, 2, 3, 0)
"""From the axes N, C, H, W to how this path lays them in memory."""
_MATRIX_BYTES, _BLOCK_BYTES = 1 << 20, 4 << 20
"""Of what one output row sees, which is read again for every channel out; and of a block of rows."""

Part = tuple[slice, slice]
"""Rows and columns of the output."""


def forward(x_CHWN: Array, w_OCKL: Array, window: Window) -> Array:
    """Returns [O, P, Q, N]; ``x_CHWN`` is already padded."""
    P, Q = window.output_size(x_CHWN.shape[1:3])
    O, N = len(w_OCKL), x_CHWN.shape[3]
    w_OD = w_OCKL.transpose(0, 2, 1, 3).reshape(O, -1)
    y_OPQN = np.empty((O, P, Q, N), x_CHWN.dtype)

    def some_rows(rows: slice) -> None:
        for part in _parts(rows, Q, window, len(x_CHWN) * N * x_CHWN.itemsize):
            np.matmul(w_OD, _matrices(x_CHWN, window, part), out=_as_matrices(y_OPQN, part))

    share(some_rows, runs(P, y_OPQN.size))
    return y_OPQN


def input_gradient(dy_OPQN: Array, w_OCKL: Array, window: Window, size: Pair, pads: Pads) -> Array:
    """Returns [C, H, W, N], the gradient of the input that was padded by ``pads`` to ``size``.

    The way back: each output row gives a matrix for the K input rows that it saw, these are added up, and then the L
    kernel columns are added, each at its place.
    """
    O, P, Q, N = dy_OPQN.shape
    C, K, L = w_OCKL.shape[1:]
    (down, across), (deep, wide) = window.stride, window.dilation
    w_DO = w_OCKL.transpose(2, 1, 3, 0).reshape(-1, O)
    dx_CHWN = np.zeros((C, *size, N), dy_OPQN.dtype)
    pixel_bytes = C * N * dx_CHWN.itemsize

    def some_rows(rows: slice) -> Array:
        """Fills the first rows of dx in place; later rows overlap with them, so they come in an array of their own."""
        height = window.span(0, rows.stop - rows.start)
        below = np.zeros((C, height, size[1], N), dx_CHWN.dtype) if rows.start else dx_CHWN[:, :height]
        for here, columns in _parts(rows, Q, window, pixel_bytes):
            breadth, top = columns.stop - columns.start, (here.start - rows.start) * down
            lines = np.zeros((window.span(0, here.stop - here.start), C * L, breadth * N), dx_CHWN.dtype)
            high = max(1, _MATRIX_BYTES // (K * L * breadth * pixel_bytes))
            for start in range(here.start, here.stop, high):
                part = slice(start, min(start + high, here.stop)), columns
                d_RKBM = (w_DO @ _as_matrices(dy_OPQN, part)).reshape(-1, K, *lines.shape[1:])
                for k in range(K):
                    first = (start - here.start) * down + k * deep
                    lines[first : first + (len(d_RKBM) - 1) * down + 1 : down] += d_RKBM[:, k]
            d_CLHQN = lines.reshape(len(lines), C, L, breadth, N).transpose(1, 2, 0, 3, 4)
            for l in range(L):
                left = columns.start * across + l * wide
                below[:, top : top + len(lines), left : left + (breadth - 1) * across + 1 : across] += d_CLHQN[:, l]
        return below

    every = runs(P, dy_OPQN.size)
    for rows, below in list(zip(every, share(some_rows, every), strict=True))[1:]:
        dx_CHWN[:, rows.start * down : rows.start * down + below.shape[1]] += below
    return crop(dx_CHWN, pads)


def weight_gradient(dy_OPQN: Array, x_CHWN: Array, window: Window) -> Array:
    """Returns [O, C, K, L]; ``x_CHWN`` is already padded."""
    O, P, Q, N = dy_OPQN.shape
    C, (K, L) = len(x_CHWN), window.kernel
    high = max(1, _BLOCK_BYTES // (O * K * C * L * x_CHWN.itemsize))

    def some_rows(rows: slice) -> Array:
        dw_OD = np.zeros((O, K * C * L), dy_OPQN.dtype)
        for part in _parts(rows, Q, window, C * N * x_CHWN.itemsize):
            seen_RDM, dy_ROM = _matrices(x_CHWN, window, part), _as_matrices(dy_OPQN, part)
            for start in range(0, len(seen_RDM), high):
                some = slice(start, start + high)
                dw_OD += (dy_ROM[some] @ seen_RDM[some].swapaxes(1, 2)).sum(axis=0)
        return dw_OD

    dw_OD = total(share(some_rows, runs(P, dy_OPQN.size)))
    return np.ascontiguousarray(dw_OD.reshape(O, K, C, L).transpose(0, 2, 1, 3))


def _matrices(x_CHWN: Array, window: Window, part: Part) -> Array:
    """What each row of a part of the output sees, [R, D, M]; without dilation the rows share their memory."""
    (down, across), (deep, wide), (K, L) = window.stride, window.dilation, window.kernel
    rows, columns = (range(places.start, places.stop) for places in part)
    C, N = len(x_CHWN), x_CHWN.shape[3]
    c, h, w, n = x_CHWN.strides
    first = x_CHWN[:, rows.start * down :, columns.start * across :]
    if deep > 1 or down > K:  # rows that nobody sees lie between those that an output row sees
        apart = (h * down, h * deep, c, w * wide, w * across, n)
        every = as_strided(first, (len(rows), K, C, L, len(columns), N), apart, writeable=False)
        return every.reshape(len(rows), K * C * L, -1)
    lines = as_strided(
        first,
        (window.span(0, len(rows)), C, L, len(columns), N),
        (h, c, w * wide, w * across, n),
        writeable=False,
    )
    copied = np.ascontiguousarray(lines).reshape(len(lines), C * L, -1)
    line, *inner = copied.strides
    shape = (len(rows), K, *copied.shape[1:])
    seen = as_strided(copied, shape, (line * down, line, *inner), writeable=False)
    return seen.reshape(len(rows), -1, copied.shape[2])


def _as_matrices(y_OPQN: Array, part: Part) -> Array:
    """A part of an output as [R, O, M], without a copy: neighbouring columns are neighbours in memory."""
    rows, columns = part
    here = y_OPQN[:, rows, columns]
    return here.reshape(*here.shape[:2], -1).swapaxes(0, 1)


def _parts(rows: slice, columns: int, window: Window, pixel_bytes: int) -> Iterator[Part]:
    """Cuts rows of the output into blocks: mostly of whole rows; of parts of them where the kernel is large.

    ``pixel_bytes`` are those of one pixel of the input, all channels and images.
    """
    K, L = window.kernel
    breadth = min(columns, max(1, _MATRIX_BYTES // (K * L * pixel_bytes)))
    high = max(1, _BLOCK_BYTES // (window.stride[0] * L * breadth * pixel_bytes))
    for left in range(0, columns, breadth):
        for top in range(rows.start, rows.stop, high):
            yield slice(top, min(top + high, rows.stop)), slice(left, min(left + breadth, columns))
