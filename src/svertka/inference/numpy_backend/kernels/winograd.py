"""3×3 convolution by Winograd's minimal filtering; Lavin and Gray 2015, arXiv 1509.09308.

An output tile of m×m numbers needs t×t multiplications a channel pair (t = m + 2) instead of 9·m²: 36 instead of 144
with m = 4, 16 instead of 36 with m = 2.

    Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A

Three things make it quick in NumPy. Columns are sorted by their place in a tile when the input is copied with its
padding, so both halves of each transform are products of a small matrix with a wide one, which take BLAS 0.25 ns a
number (elementwise arithmetic: 0.6 to 1). Products over channels are t² ordinary matrix products. And a block's
transforms fit into the cache next to the core.

A NaN or an infinity in the input spreads over all outputs of its tile and of the tiles that overlap with it, up to
m + 1 pixels away, where a direct sum would keep it within the kernel's reach. Looking for one would cost a pass over
every map, so the twin doesn't; ``engine.convolution`` does, and takes another way.

Shapes: N batch, C/O channels in/out, H/W in, P/Q out, T tiles, m outputs and t inputs of a tile along an axis.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from svertka.engine.fast.winograd import A_T, B_T, G
from svertka.inference.numpy_backend.kernels.activations import Activation, in_place
from svertka.inference.numpy_backend.kernels.kernel import (
    Carver,
    Convolution,
    Kernel,
    Piece,
    cuts,
    image_cuts,
    nhwc,
    output_cuts,
    round_up,
    shares_outputs,
    size_of,
)
from svertka.onnx_graph.graph import F32, Array


@dataclass(frozen=True, slots=True)
class Transforms:
    """The three matrices for output tiles of m×m."""

    input_tt: F32
    kernel_t3: F32
    output_mt: F32

    @property
    def m(self) -> int:
        """Outputs of a tile along an axis."""
        return len(self.output_mt)

    @property
    def t(self) -> int:
        """Inputs of a tile along an axis."""
        return len(self.input_tt)


def _matrix(*rows: Sequence[float]) -> F32:
    return np.array(rows, np.float32)


# m = 2: Lavin and Gray, section 4.1.
TRANSFORMS = {
    2: Transforms(
        _matrix((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
        _matrix((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
        _matrix((1, 1, 1, 0), (0, 1, -1, -1)),
    ),
    4: Transforms(_matrix(*B_T), _matrix(*G), _matrix(*A_T)),
}

_BLOCK = 1 << 18  # float32 numbers of one of a block's two halves of scratch memory
_PAIRS = 1 << 12  # of channels, whose kernels are transformed together: 1.3 MB in float64


def transform_kernels(weight_OC33: F32, m: int) -> F32:
    """G g Gᵀ of every kernel, as [t², C, O]; computed in float64."""
    g = TRANSFORMS[m].kernel_t3.astype(np.float64)
    both_t9 = np.kron(g, g)  # of the 9 numbers of a kernel in a row
    out_channels, channels = weight_OC33.shape[:2]
    kernels_9P = np.ascontiguousarray(weight_OC33.transpose(2, 3, 1, 0)).reshape(9, -1)  # P: pairs of channels
    transformed_tP = np.empty((len(both_t9), kernels_9P.shape[1]), np.float32)
    for start in range(0, kernels_9P.shape[1], _PAIRS):
        pairs = slice(start, start + _PAIRS)
        transformed_tP[:, pairs] = both_t9 @ kernels_9P[:, pairs].astype(np.float64)
    return transformed_tP.reshape(-1, channels, out_channels)


def winograd(conv: Convolution, kernels_tCO: F32) -> Kernel:
    """A 3×3 convolution with steps of 1; its kernels come from ``transform_kernels``."""
    n, out_channels, rows, columns = conv.out_shape
    before, workers = conv.window.before, conv.workers
    m = {16: 2, 36: 4}[len(kernels_tCO)]
    t, channels = m + 2, kernels_tCO.shape[1]
    down, across = -(-rows // m), -(-columns // m)
    by_outputs = shares_outputs(n * down * across, out_channels, workers)
    numbers = across * t * t * max(channels, out_channels)
    pieces, images = _split(n, down, numbers, 1 if by_outputs else workers, kernels_tCO.nbytes)
    outputs = output_cuts(out_channels, workers) if by_outputs else [(0, out_channels)]
    most = max((d - c) * (b - a) for a, b, c, d in pieces) * across
    half = max(
        t * t * most * max(channels, out_channels),
        images * (m * max(d - c for _, _, c, d in pieces) + 2) * t * across * channels,
    )

    def bind(inputs: Sequence[Array], out: Array, scratch: Sequence[F32]) -> list[Piece]:
        x_NHWC, out_NPQO = nhwc(inputs[0]), nhwc(out)
        residual = nhwc(inputs[1]) if len(inputs) > 1 else None
        shared: dict[tuple[int, int, int], list[_Tiles]] = {}
        blocks = []
        for (o, p), (a, b, c, d) in itertools.product(outputs, pieces):
            size = (b - a, d - c, o)
            if size not in shared:
                weights, bias_O = kernels_tCO[:, :, o:p], conv.bias_O[o:p]
                shared[size] = [
                    _Tiles(memory, half, b - a, d - c, across, weights, bias_O, conv.activation) for memory in scratch
                ]
            place = out_NPQO[a:b, c * m : d * m, :, o:p]
            shortcut = None if residual is None else residual[a:b, c * m : d * m, :, o:p]
            blocks.append(_block(shared[size], x_NHWC[a:b], place, shortcut, c * m - before[0], -before[1]))
        return blocks

    return Kernel(2 * round_up(half), bind)


def _split(
    n: int, down: int, numbers: int, workers: int, weight_bytes: int
) -> tuple[list[tuple[int, int, int, int]], int]:
    """Blocks (first and last image, first and last row of tiles) that fit the cache, and the most images of one.

    Where weights are larger than a core's cache, they have to come from afar for every block, so blocks are larger.
    """
    budget = max(_BLOCK, weight_bytes // 8)
    rows = max(1, budget // numbers)
    if rows < down or n == 1:
        return [(i, i + 1, *cut) for i in range(n) for cut in image_cuts(n, down, rows, workers)], 1
    images = cuts(n, max(1, rows // down), workers)
    return [(a, b, 0, down) for a, b in images], max(b - a for a, b in images)


class _Tiles:
    """Scratch memory of one worker for blocks of one size, and the arithmetic on it.

    Two halves of the memory take turns: each step reads one and writes the other.
    """

    def __init__(
        self,
        memory: F32,
        half: int,
        n: int,
        down: int,
        across: int,
        kernels_tCO: F32,
        bias_O: F32,
        activation: Activation | None,
    ) -> None:
        m = {16: 2, 36: 4}[len(kernels_tCO)]
        self.transforms, self.kernels_tCO = TRANSFORMS[m], kernels_tCO
        self.bias_O = bias_O if bias_O.any() else None
        self.act = in_place(activation)
        t, (channels, out_channels) = self.transforms.t, kernels_tCO.shape[1:]
        carver = Carver(memory)
        one, two = carver.take(half), carver.take(half)
        tiles = n * down * across

        def cut(memory: F32, *shape: int) -> F32:
            return memory[: size_of(*shape)].reshape(shape)

        # [image, row of the strip, place in the tile, tile, channel]: rows of neighbouring tiles overlap
        self.strip = cut(one, n, m * down + 2, t, across, channels)
        image, row, _, _, _ = self.strip.strides
        self.overlapping = np.lib.stride_tricks.as_strided(
            self.strip, (n, down, t, t * across * channels), (image, m * row, row, self.strip.itemsize)
        )
        self.half_in = cut(two, n, down, t, t * across * channels)
        self.half_in_tiles = self.half_in.reshape(n, down, t, t, across * channels)
        by_place = cut(one, t, t, n, down, across * channels)
        self.seen = by_place.transpose(2, 3, 0, 1, 4)
        self.seen_tTC = by_place.reshape(t * t, tiles, channels)
        self.product_tTO = cut(two, t * t, tiles, out_channels)
        self.half_out = cut(one, m, t * tiles * out_channels)
        self.product = self.product_tTO.reshape(t, t * tiles * out_channels)
        self.half_out_tiles = self.half_out.reshape(m, t, tiles * out_channels)
        self.result = cut(two, m, m, tiles * out_channels)
        self.places = self.result.reshape(m, m, n, down, across, out_channels)

    def run(self) -> None:
        """From the filled strip to ``places``: [m, m, image, row, column, O], without shortcut."""
        b, a = self.transforms.input_tt, self.transforms.output_mt
        np.matmul(b, self.overlapping, out=self.half_in)
        np.matmul(b, self.half_in_tiles, out=self.seen)
        np.matmul(self.seen_tTC, self.kernels_tCO, out=self.product_tTO)
        if self.bias_O is not None:
            # A bias of the product at (1, 1) reaches every output of its tile once: column 1 of Aᵀ is all ones.
            centre = self.product_tTO[len(b) + 1]
            np.add(centre, self.bias_O, out=centre)
        np.matmul(a, self.product, out=self.half_out)
        np.matmul(a, self.half_out_tiles, out=self.result)


def _block(workers: list[_Tiles], x_NHWC: Array, out: Array, residual: Array | None, top: int, left: int) -> Piece:
    m, act = workers[0].transforms.m, workers[0].act
    height, strip_rows = x_NHWC.shape[1], workers[0].strip.shape[1]
    first = min(max(0, -top), strip_rows)
    last = max(first, min(strip_rows, height - top))  # a strip may lie in the padding altogether
    seen_rows = x_NHWC[:, max(top + first, 0) : max(top + last, 0)]
    fills = [_fill(tiles.strip, seen_rows, slice(first, last), m, left) for tiles in workers]
    places = [
        (corner, _tiles_of(out, m, *corner), None if residual is None else _tiles_of(residual, m, *corner))
        for corner in itertools.product(_tile_runs(out.shape[1], m), _tile_runs(out.shape[2], m))
    ]

    def run(worker: int) -> None:
        tiles = workers[worker]
        for target, source in fills[worker]:
            target[...] = source
        tiles.run()
        if act and residual is None:
            act(tiles.result)
        for ((p, down), (q, across)), target, shortcut in places:
            value = tiles.places[:p, :q, :, down, across]
            if shortcut is None:
                target[...] = value
            else:
                np.add(value, shortcut, out=target)
        if act and residual is not None:
            act(out)

    return Piece(run, [seen_rows] if residual is None else [seen_rows, residual], out)


def _fill(strip: F32, seen_rows: Array, inside: slice, m: int, left: int) -> list[tuple[Array, Array | float]]:
    """The copies (to, from) that fill a strip from the rows of the map that it sees, zeros around them included.

    As few as can be: between two calls a thread holds the interpreter, and another that needs it has to be woken.
    """
    _, _, t, across, _ = strip.shape
    width = seen_rows.shape[2]
    rows = strip[:, inside]
    whole = range(max(0, -(left // m)), max(0, min(across, (width - left - t) // m + 1)))  # tiles that lie on the map
    copies: list[tuple[Array, Array | float]] = [(strip[:, : inside.start], 0), (strip[:, inside.stop :], 0)]
    if whole:
        n, row, column, channel = seen_rows.strides
        shape = (*rows.shape[:3], len(whole), rows.shape[4])
        tiles = np.lib.stride_tricks.as_strided(
            seen_rows[:, :, left + m * whole.start :], shape, (n, row, column, m * column, channel), writeable=False
        )
        copies.append((rows[:, :, :, whole.start : whole.stop], tiles))
    for tile in set(range(across)) - set(whole):
        start = left + m * tile
        begin, end = min(max(0, -start), t), max(min(t, width - start), 0)
        copies += [(rows[:, :, :begin, tile], 0), (rows[:, :, max(begin, end) :, tile], 0)]
        if begin < end:
            copies.append((rows[:, :, begin:end, tile], seen_rows[:, :, start + begin : start + end]))
    return [(target, source) for target, source in copies if target.size]


def _tile_runs(length: int, m: int) -> list[tuple[int, slice]]:
    """Along an axis, how many outputs of a tile lie on the map, and for which tiles: all but the last have all m."""
    whole, rest = divmod(length, m)
    every = [(m, slice(0, whole)), (rest, slice(whole, whole + 1))]
    return [(count, tiles) for count, tiles in every if count and tiles.stop]


def _tiles_of(map_NPQO: Array, m: int, rows: tuple[int, slice], columns: tuple[int, slice]) -> Array:
    """A view of some tiles of a map, [p, q, N, tile down, tile across, O]."""
    (p, down), (q, across) = rows, columns
    n, row, column, channel = map_NPQO.strides
    shape = (p, q, len(map_NPQO), down.stop - down.start, across.stop - across.start, map_NPQO.shape[3])
    strides = (row, column, n, m * row, m * column, channel)
    return np.lib.stride_tricks.as_strided(map_NPQO[:, m * down.start :, m * across.start :], shape, strides)
