"""Tasks whose solution is a network: a VGG block in torch, a CNN in NumPy. The truth is the engine's, or a difference.

Shapes: N batch, C/O channels in/out, H/W in, P/Q out.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from svertka.course.array_tasks import begun
from svertka.course.counterexample import mishap, stop
from svertka.course.findings import Barred, Finding, part, right, size_text, wrong
from svertka.course.sandbox import Stopped, Student, StudentLimits
from svertka.data.digits import load_digits
from svertka.engine.convolution import conv2d
from svertka.engine.pooling import max_pool2d
from svertka.errors import MissingExtraError
from svertka.evaluate.intervals import share
from svertka.util.from_dict import from_dict

Array = NDArray[Any]
Facts = TypeVar("Facts")


class Block(NamedTuple):
    """Arguments of ``vgg_block``, and the image that goes through it."""

    in_channels: int
    out_channels: int
    convolutions: int
    height: int
    width: int


BLOCKS = (Block(1, 1, 1, 2, 2), Block(1, 2, 1, 4, 4), Block(2, 3, 2, 4, 6), Block(3, 4, 3, 7, 5), Block(3, 8, 2, 8, 8))
_TORCH = StudentLimits(seconds=30, memory_bytes=6 << 30)


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockFacts:
    """What ``probes.vgg_block`` says; parameters and output are arrays if all is well."""

    kind: str
    parameters: list[tuple[str, Any]] = field(default_factory=list)
    output: Any = None
    gradients: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class GradientFacts:
    """What ``probes.cnn_gradients`` says; an entry: parameter, index, gradient, difference quotient."""

    loss: float
    shapes: dict[str, list[int]]
    missing: list[str]
    misshapen: list[tuple[str, list[int]]]
    entries: list[tuple[str, list[int], float, float]]


def _believed(kind: type[Facts], value: object) -> Facts:
    """What the solution's process says, as a record, if it is one."""
    try:
        return from_dict(kind, value)
    except TypeError:
        raise Barred(stop(Stopped("garbage"))) from None


# --- a VGG block ---------------------------------------------------------------------------------------------------


def vgg_block(file: Path) -> Iterator[Finding]:
    """``vgg_block(in_channels, out_channels, convolutions)``: 3×3 convolutions with padding and ReLU, then max pooling.

    Raises:
        MissingExtraError: torch isn't installed.
    """
    if find_spec("torch") is None:
        raise MissingExtraError("the task vgg-block needs torch, not installed here; run: pip install 'svertka[train]'")
    with Student(file, _TORCH) as student:
        yield begun(student, "vgg_block")
        for positive in (True, False):  # with positive numbers every gradient flows; with both signs ReLU shows
            for seed, block in enumerate(BLOCKS):
                found = _block(student, block, positive, seed)
                if found is not None:
                    yield found
                    return
        yield from (right(f"block_{what}", n=len(BLOCKS)) for what in ("parameters", "shapes", "numbers", "gradients"))


def _block(student: Student, block: Block, positive: bool, seed: int) -> Finding | None:
    """What is wrong with a block; None if nothing is."""
    rng = np.random.default_rng(seed)
    x = rng.integers(1 if positive else -3, 4, (1, block.in_channels, block.height, block.width)).astype(np.float64)
    asked = f"vgg_block({block.in_channels}, {block.out_channels}, {block.convolutions})"
    how = {"image": x, "positive": positive, "seed": seed}
    sizes = {"in_channels": block.in_channels, "out_channels": block.out_channels, "convolutions": block.convolutions}
    try:
        answer = student.probe("vgg_block", **sizes, **how)
    except Stopped as stopped:
        return stop(stopped, part("call", asked))
    if (found := mishap(answer)) is not None:
        return wrong(found.code, part("call", asked), part("input", x), function="vgg_block", **found.values)
    facts = _believed(BlockFacts, answer.value)
    if not isinstance(facts.output, np.ndarray):
        return wrong("no_module", part("call", asked), kind=facts.kind)
    return _judged(block, asked, x, facts)


def _judged(block: Block, asked: str, x: Array, facts: BlockFacts) -> Finding | None:
    shapes = _parameter_shapes(block)
    arrays = [value for _, value in facts.parameters]
    if not all(isinstance(array, np.ndarray) for array in arrays):
        return stop(Stopped("garbage"))
    count, expected_count = sum(array.size for array in arrays), sum(int(np.prod(shape)) for shape in shapes)
    if count != expected_count or [array.shape for array in arrays] != shapes:
        own = ", ".join(f"{name} {'×'.join(map(str, array.shape))}" for name, array in facts.parameters) or "–"
        return wrong("block_parameters", part("call", asked), part("expected", expected_count), part("got", count),
                     part("parameters", own[:200]))  # fmt: skip
    expected, output = _through_block(x, arrays), facts.output
    if output.shape != expected.shape:
        sizes = [
            (label, size_text(each.shape)) for label, each in (("input", x), ("expected", expected), ("got", output))
        ]
        return wrong("block_shape", part("call", asked), *(part(label, size) for label, size in sizes))
    if not np.allclose(output, expected, rtol=1e-6, atol=1e-6):
        place = tuple(np.argwhere(~np.isclose(output, expected, rtol=1e-6, atol=1e-6))[0])[1]
        planes = part("input", x[0, 0]), part("expected", expected[0, place]), part("got", output[0, place])
        weights = (part("weight", arrays[0][0, 0]), part("bias", float(arrays[1][0]))) if block == BLOCKS[0] else ()
        return wrong("block_numbers", part("call", asked), planes[0], *weights, *planes[1:])
    if (x > 0).all():
        dead = next((name for name, largest in facts.gradients.items() if not largest), None)
        if dead is not None:
            return wrong("block_gradient", part("call", asked), name=dead)
    return None


def _parameter_shapes(block: Block) -> list[tuple[int, ...]]:
    inputs = [block.in_channels] + [block.out_channels] * (block.convolutions - 1)
    return [shape for each in inputs for shape in ((block.out_channels, each, 3, 3), (block.out_channels,))]


def _through_block(x_NCHW: Array, arrays: list[Array]) -> Array:
    """The engine's output of the block with these parameters."""
    for weight_OCKL, bias_O in zip(arrays[::2], arrays[1::2], strict=True):
        x_NCHW = np.maximum(conv2d(x_NCHW, weight_OCKL, bias_O, padding=1), 0)
    return max_pool2d(x_NCHW, 2)


# --- a CNN in NumPy ------------------------------------------------------------------------------------------------

ENOUGH = 0.9
"""Share of the test digits that is wanted."""

_SIDE_PX, _TRAIN_N, _TEST_N, _SECONDS = 14, 1000, 500, 120.0
_FUNCTIONS = ("initialise", "loss_and_gradients", "train", "predict")


def numpy_cnn(file: Path) -> Iterator[Finding]:
    """``initialise(seed)``, ``loss_and_gradients(parameters, images, labels)``, ``train`` and ``predict``.

    Raises:
        MissingExtraError: the digits aren't installed.
    """
    train_NHW, train_N, test_NHW, test_N = _digits()
    with Student(file, StudentLimits(seconds=_SECONDS, memory_bytes=3 << 30)) as student:
        yield begun(student, *_FUNCTIONS)
        for count in (1, 5):  # one image makes the smaller counterexample
            found = _gradients(student, train_NHW[:count], train_N[:count])
            if found is not None:
                yield found
                return
        yield right("gradients")
        yield _accuracy(student, train_NHW, train_N, test_NHW, test_N)


def _digits() -> tuple[Array, Array, Array, Array]:
    """A thousand digits to learn and five hundred to be judged by, 14 px, ink from 0 to 1, in mixed order."""
    digits = load_digits()
    rng = np.random.default_rng(0)
    parts: list[Array] = []
    for images, labels, count in (
        (digits.train_images, digits.train_labels, _TRAIN_N),
        (digits.test_images, digits.test_labels, _TEST_N),
    ):
        chosen = rng.permutation(len(labels))[:count]
        halves = images[chosen].reshape(-1, _SIDE_PX, 2, _SIDE_PX, 2).mean(axis=(2, 4)) / 255
        parts += [np.round(halves, 4), labels[chosen]]
    return parts[0], parts[1], parts[2], parts[3]


def _gradients(student: Student, images: Array, labels: Array) -> Finding | None:
    """What is wrong with the gradients; None if nothing is."""
    try:
        answer = student.probe("cnn_gradients", images=images, labels=labels, seed=0)
    except Stopped as stopped:
        return stop(stopped)
    if (found := mishap(answer)) is not None:
        return wrong(found.code, function="loss_and_gradients", **found.values)
    facts = _believed(GradientFacts, answer.value)
    if not np.isfinite(facts.loss):
        return wrong("loss_not_finite")
    if not any(len(shape) == 4 for shape in facts.shapes.values()):
        return wrong("no_convolution", names=list(facts.shapes))
    if facts.missing:
        return wrong("no_gradient", name=facts.missing[0])
    if facts.misshapen:
        name, shape = facts.misshapen[0]
        both = part("expected", size_text(facts.shapes[name])), part("got", size_text(shape))
        return wrong("gradient_shape", *both, name=name)
    return _worst(facts, len(images)) or _useless(facts)


def _worst(facts: GradientFacts, count: int) -> Finding | None:
    """The entry whose gradient differs most from the difference quotient, if any does."""
    off = [(_off(entry[2], entry[3]), *entry) for entry in facts.entries]
    wrong_ones = [each for each in off if each[0] > 1e-3]
    if not wrong_ones:
        return None
    _, name, place, gradient, slope = max(wrong_ones)
    shown = part("images", count), part("entry", f"{name}[{', '.join(map(str, place))}]")
    return wrong("gradient", *shown, part("by_differences", slope), part("got", gradient), name=name)


def _off(gradient: float, slope: float) -> float:
    return abs(gradient - slope) / max(abs(gradient) + abs(slope), 1e-4) if np.isfinite(gradient) else np.inf


def _useless(facts: GradientFacts) -> Finding | None:
    """A kernel on which the loss doesn't hang."""
    for name, shape in facts.shapes.items():
        own = [slope for each, _, _, slope in facts.entries if each == name]
        if len(shape) == 4 and own and not any(own):
            return wrong("kernel_unused", name=name)
    return None


def _accuracy(student: Student, train_NHW: Array, train_N: Array, test_NHW: Array, test_N: Array) -> Finding:
    try:
        answer = student.probe("cnn_answers", images=train_NHW, labels=train_N, test_images=test_NHW)
    except Stopped as stopped:
        return stop(stopped)
    if (found := mishap(answer)) is not None:
        return wrong(found.code, function="train", **found.values)
    said = answer.value
    if not isinstance(said, np.ndarray) or said.shape != test_N.shape:
        return wrong("no_labels", n=len(test_N))
    hits = np.asarray(said == test_N)
    accuracy = share(int(hits.sum()), len(hits))
    values: dict[str, Any] = asdict(accuracy) | {"wanted": ENOUGH}
    if accuracy.value >= ENOUGH:
        return right("accuracy", **values)
    worst = int(np.argmin([hits[test_N == digit].mean() for digit in range(10)]))
    first = int(np.flatnonzero(~hits & (test_N == worst))[0])
    example = part("digit", np.round(9 * test_NHW[first])), part("expected", worst), part("got", float(said[first]))
    return wrong("accuracy", *example, **values)
