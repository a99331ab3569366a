"""Tasks whose solution is a function of arrays: convolution, max pooling, filters. The truth is the engine's.

Shapes: H/W image, K/L kernel, P/Q result.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from svertka.course.counterexample import Case, compared, mishap, stop
from svertka.course.findings import Barred, Finding, part, right, size_text, wrong
from svertka.course.sandbox import Stopped, Student, StudentLimits
from svertka.data.decode import decode
from svertka.engine.filters import bank, correlate
from svertka.engine.pooling import max_pool2d
from svertka.errors import ImageRejected, ShapeError

CASES = 60
COURSE_FILTERS = ("vertical_edge", "horizontal_edge", "blur", "sharpen")
OWN_FILTERS = 5
_OWN_IMAGE_PX = 48

Array = NDArray[Any]
_CHECKERBOARD = np.indices((5, 5)).sum(axis=0) % 2 == 0


def begun(student: Student, *functions: str) -> Finding:
    """Loads the file and looks whether it has the functions.

    Raises:
        Barred: it cannot be loaded, or lacks one.
    """
    try:
        answer = student.load()
    except Stopped as stopped:
        raise Barred(stop(stopped)) from None
    if answer.raised is not None:
        raise Barred(wrong("load", **asdict(answer.raised)))
    if not isinstance(answer.value, list):
        raise Barred(stop(Stopped("garbage")))
    missing = [name for name in functions if name not in answer.value]
    if missing:
        raise Barred(wrong("missing", function=missing[0]))
    return right("loads", functions=", ".join(functions))


# --- convolution and pooling ---------------------------------------------------------------------------------------


def convolution2d(file: Path) -> Iterator[Finding]:
    """``convolution2d(image, kernel, padding=0, stride=1)``: zeros around, the kernel as it is."""
    with Student(file) as student:
        yield begun(student, "convolution2d")
        yield compared(student, "convolution2d", convolved, convolution_cases())


def convolved(case: Case) -> Array:
    """The truth of a case of ``convolution2d``."""
    how = {"padding": case.get("padding") or 0, "stride": _stride(case, 1)}
    return correlate(np.asarray(case["image"], np.float64), case["kernel"], padding_mode="zeros", **how)


def convolution_cases(seed: int = 0) -> list[Case]:
    """Sixty random cases, of them some of the defaults, some with fractions; and the example of the course."""
    rng = np.random.default_rng(seed)
    cases: list[Case] = [{"image": _CHECKERBOARD.astype(np.int64), "kernel": bank()["vertical_edge"].kernel}]
    while len(cases) <= CASES:
        number = len(cases)
        case: Case = {"image": _image(rng, number), "kernel": _numbers(rng, rng.integers(1, 5, 2))}
        if number % 6 == 0:
            case["kernel"] = case["kernel"] / 4
        if number % 5:
            case |= {"padding": int(rng.integers(0, 3)), "stride": int(rng.integers(1, 4))}
        if _possible(convolved, case):
            cases.append(case)
    return cases


def max_pooling(file: Path) -> Iterator[Finding]:
    """``max_pooling2d(image, size=2, stride=None, padding=0)``: padding never wins."""
    with Student(file) as student:
        yield begun(student, "max_pooling2d")
        yield compared(student, "max_pooling2d", pooled, pooling_cases())


def pooled(case: Case) -> Array:
    """The truth of a case of ``max_pooling2d``."""
    x_NCHW = np.asarray(case["image"], np.float64)[None, None]
    size = _at_least_one(case, "size", 2)
    y_PQ: Array = max_pool2d(x_NCHW, size, _stride(case, size), case.get("padding") or 0)[0, 0]
    return y_PQ


def pooling_cases(seed: int = 0) -> list[Case]:
    """Sixty random cases, a third of them all negative, and the example of the course."""
    rng = np.random.default_rng(seed)
    cases: list[Case] = [{"image": np.array([[1, 3, 2, 4], [5, 6, 7, 8], [1, 2, 3, 4], [5, 6, 7, 8]])}]
    while len(cases) <= CASES:
        number = len(cases)
        image = _image(rng, number)
        case: Case = {"image": -np.abs(image) - 1 if number % 3 == 0 else image}
        if number % 5:
            size = int(rng.integers(1, 5))
            case |= {"size": size, "stride": int(rng.integers(1, 4)), "padding": int(rng.integers(0, size // 2 + 1))}
        if _possible(pooled, case):
            cases.append(case)
    return cases


def _image(rng: np.random.Generator, number: int) -> Array:
    """Odd and even sides, whole numbers; every fourth with halves and quarters."""
    image = _numbers(rng, rng.integers(1, 8, 2))
    return image / 4 if number % 4 == 0 else image


def _numbers(rng: np.random.Generator, shape: Array) -> Array:
    return rng.integers(-5, 6, tuple(shape))


def _stride(case: Case, default: int) -> int:
    return _at_least_one(case, "stride", default)


def _at_least_one(case: Case, name: str, default: int) -> int:
    value = case.get(name, default)
    if value < 1:
        raise ShapeError(f"{name} is {value}; expected at least 1.")
    return int(value)


def _possible(truth: Any, case: Case) -> bool:
    try:
        truth(case)
    except ShapeError:
        return False
    return True


# --- filters -------------------------------------------------------------------------------------------------------


def filters(file: Path) -> Iterator[Finding]:
    """``create_filters()``: the four kernels of the course by name."""
    with Student(file) as student:
        yield begun(student, "create_filters")
        kernels = _dictionary(student, "create_filters")
        for name in COURSE_FILTERS:
            yield _named_kernel(name, kernels)


def _named_kernel(name: str, kernels: dict[str, Any]) -> Finding:
    expected, got = bank()[name].kernel, _matrix(kernels.get(name))
    if name not in kernels:
        return wrong("no_filter", name=name, names=list(kernels))
    if got is None:
        return wrong("no_kernel", name=name)
    if got.shape != expected.shape:
        sizes = {"expected": size_text(expected.shape), "got": size_text(got.shape)}
        return wrong("kernel_size", part("kernel", got), name=name, **sizes)
    if np.allclose(got, expected, atol=1e-6):
        return right("filter", name=name)
    place = tuple(np.argwhere(~np.isclose(got, expected, atol=1e-6))[0])
    image = np.zeros_like(expected)
    image[place] = 1  # the smallest image that tells the two apart
    answers = part("expected", np.array([[expected[place]]])), part("got", np.array([[got[place]]]))
    return wrong("kernel", part("kernel", got), part("image", image), *answers, name=name)


def five_filters(file: Path) -> Iterator[Finding]:
    """``my_filters()``: five kernels by name; ``apply_filters(image)``: their results; ``IMAGE``: one's own file."""
    with Student(file, StudentLimits(seconds=30)) as student:
        yield begun(student, "my_filters", "apply_filters")
        kernels = _dictionary(student, "my_filters")
        found = list(_five_kernels(kernels))
        yield from found
        if all(finding.right for finding in found):
            matrices = {name: matrix for name, value in kernels.items() if (matrix := _matrix(value)) is not None}
            yield from _applied(student, matrices, file.parent)


def _five_kernels(kernels: dict[str, Any]) -> Iterator[Finding]:
    if len(kernels) < OWN_FILTERS:
        yield wrong("few_filters", n=len(kernels), expected=OWN_FILTERS)
        return
    seen: dict[str, Array] = {}
    for name, value in kernels.items():
        kernel = _matrix(value)
        if kernel is None or kernel.size > 31 * 31 or not kernel.size:
            yield wrong("no_kernel", name=name)
            return
        if not kernel.any():
            yield wrong("zero_kernel", part("kernel", kernel), name=name)
            return
        twin = next((other for other, known in seen.items() if _alike(known, kernel)), None)
        if twin is not None:
            yield wrong("same_kernels", part(twin, seen[twin]), part(name, kernel), first=twin, second=name)
            return
        seen[name] = kernel
    yield right("five_filters", n=len(kernels))


def _alike(a: Array, b: Array) -> bool:
    """Whether one is the other times a number above 0: their pictures are the same."""
    if a.shape != b.shape:
        return False
    return bool(np.allclose(a / np.abs(a).max(), b / np.abs(b).max()))


def _applied(student: Student, kernels: dict[str, Array], folder: Path) -> Iterator[Finding]:
    """First on a small image, for a small counterexample, then on the student's own."""
    side = max(max(kernel.shape) for kernel in kernels.values())
    small = np.random.default_rng(1).integers(0, 10, (side + 1, side))
    found = _results(student, kernels, small)
    if found is not None:
        yield found
        return
    yield right("applied", n=len(kernels))
    yield _results(student, kernels, _own_image(student, folder), show=False) or right("own_image")


def _results(student: Student, kernels: dict[str, Array], image: Array, show: bool = True) -> Finding | None:
    """What is wrong with the results of ``apply_filters``; None if nothing is."""
    results = _dictionary(student, "apply_filters", image=image)
    for name, kernel in sorted(kernels.items(), key=lambda item: item[1].size):
        expected, got = correlate(image.astype(np.float64), kernel, padding="valid"), _matrix(results.get(name))
        if got is None:
            return wrong("no_result", name=name)
        differs = got.shape != expected.shape or not np.allclose(got, expected, rtol=1e-6, atol=1e-6)
        if differs:
            parts = (part("image", image), part("kernel", kernel), part("expected", expected), part("got", got))
            return wrong("result", *(parts if show else ()), name=name)
    return None


def _own_image(student: Student, folder: Path) -> Array:
    """The image that ``IMAGE`` names, gray, 0 to 1, at most 48 px: loops in Python are slow."""
    try:
        name = student.get("IMAGE")
    except Stopped as stopped:
        raise Barred(stop(stopped)) from None
    if not isinstance(name, str) or not name.strip():
        raise Barred(wrong("no_image_name"))
    path = folder / Path(name).expanduser()
    if not path.exists():
        raise Barred(wrong("image_unreadable", name=name, reason="missing"))
    try:
        image = decode(path).image
    except ImageRejected as rejected:
        raise Barred(wrong("image_unreadable", name=name, reason=rejected.reason)) from None
    gray = image.convert("L")
    gray.thumbnail((_OWN_IMAGE_PX, _OWN_IMAGE_PX), Image.Resampling.BILINEAR)
    pixels = np.asarray(gray, np.float64) / 255
    if np.ptp(pixels) == 0:
        raise Barred(wrong("image_even", name=name))
    return pixels


def _dictionary(student: Student, function: str, **arguments: Any) -> dict[str, Any]:
    """What a function returns, if it is a dictionary."""
    try:
        answer = student.call(function, **arguments)
    except Stopped as stopped:
        raise Barred(stop(stopped)) from None
    if (found := mishap(answer)) is not None:
        raise Barred(wrong(found.code, function=function, **found.values))
    if not isinstance(answer.value, dict):
        kind = getattr(answer.value, "type_name", type(answer.value).__name__)
        raise Barred(wrong("no_dictionary", function=function, kind=kind))
    return answer.value


def _matrix(value: Any) -> Array | None:
    """A matrix of finite numbers, or None if it is none."""
    try:
        array = np.asarray(value, np.float64)
    except (ValueError, TypeError):
        return None
    return array if array.ndim == 2 and np.isfinite(array).all() else None
