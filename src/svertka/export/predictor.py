"""A bundle and image files become probabilities, with decoding running ahead of the network. No torch."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svertka import runtime
from svertka.data import decode
from svertka.errors import BundleError, ConfigError, ImageRejected, did_you_mean
from svertka.export.bundle import read_checked
from svertka.export.engines import ENGINES, NUMPY, ONNX, run_twin
from svertka.export.manifest import MODEL
from svertka.export.protobuf import check_self_contained
from svertka.export.session import BATCH, DISTANCE, IMAGE, LOGITS, PROBABILITIES, open_session, run_in_batches
from svertka.schema import Bundle, Preprocess

# Images that may wait, decoded, for the network: enough that neither side starves, 150 kB each at 224 px.
_AHEAD = 8 * BATCH

AUTO = "auto"
"""The engine that the bundle names."""

Images = NDArray[np.uint8]
Infer = Callable[[Images], tuple[NDArray[np.float32], ...]]


@dataclass(frozen=True, slots=True)
class FilePrediction:
    """What the model said of one file, or why the file couldn't be read.

    Attributes:
        path: of the file.
        logits_K: before temperature.
        probabilities_K: one a class.
        distance: to the nearest training image (see ``Bundle.novelty``); None where the bundle remembers none.
        error: empty where the file was read.
    """

    path: Path
    logits_K: NDArray[np.float32] | None = None
    probabilities_K: NDArray[np.float32] | None = None
    distance: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Predictor:
    """A bundle whose graph is open.

    Attributes:
        bundle: it.
        infer: prepared images (uint8 [N, S, S, 3]) to logits (before temperature) and probabilities, both [N, K], and
            distances [N] where the bundle has them.
        threads: for decoding and for the network.
    """

    bundle: Bundle
    infer: Infer
    threads: int


def open_predictor(bundle: Bundle, threads: int = 0, engine: str = AUTO) -> Predictor:
    """Opens a bundle's graph.

    Args:
        bundle: from ``load_bundle``.
        threads: for decoding and for the network; 0 means all processors that this process may use.
        engine: ``"onnx"`` for ONNX Runtime, ``"numpy"`` for the NumPy twin, ``"auto"`` for that of them which the
            bundle names as the quicker one; probabilities agree to 1e-4.

    Raises:
        ConfigError: threads is below 0, or there is no such engine.
        BundleError: the graph has changed since the bundle was loaded, cannot be opened, or doesn't fit the manifest.
        GraphError: the NumPy twin doesn't know one of the graph's operators.
    """
    if threads < 0:
        raise ConfigError(f"threads is {threads}; expected 0 (all processors) or more.")
    known = (AUTO, *ENGINES)
    if engine not in known:
        raise ConfigError(f"engine is {engine!r}; expected one of {', '.join(known)}.{did_you_mean(engine, known)}")
    content = read_checked(bundle, MODEL)
    check_self_contained(content, str(bundle.directory / MODEL))
    threads = runtime.compute_threads(threads)
    opened = {ONNX: _onnx_runtime, NUMPY: _numpy_twin}[bundle.engine if engine == AUTO else engine]
    return Predictor(bundle, opened(content, threads, bundle), threads)


def _onnx_runtime(content: bytes, threads: int, bundle: Bundle) -> Infer:
    session = open_session(content, threads)
    inputs = [(tensor.name, tensor.type, list(tensor.shape[1:])) for tensor in session.get_inputs()]
    _check_fits(inputs, {tensor.name: list(tensor.shape[1:]) for tensor in session.get_outputs()}, bundle)

    return lambda images_NSSC: run_in_batches(session, images_NSSC, _outputs(bundle))


def _numpy_twin(content: bytes, threads: int, bundle: Bundle) -> Infer:
    from svertka.engine.twin import Twin

    twin = Twin.from_onnx(content, threads)
    side = bundle.preprocess.size_px
    port = twin.graph.inputs[0]
    blank = np.zeros((1, *(size or side for size in port.shape[1:])), port.dtype)
    outputs = {name: list(value.shape[1:]) for name, value in twin(blank, twin.graph.outputs).items()}
    _check_fits([(port.name, f"tensor({port.dtype})", [size or side for size in port.shape[1:]])], outputs, bundle)

    return lambda images_NSSC: run_twin(twin, images_NSSC, _outputs(bundle))


def predict_files(
    predictor: Predictor, paths: Iterable[Path], *, max_pixels: int = decode.DEFAULT_MAX_PIXELS
) -> Iterator[FilePrediction]:
    """Predicts files in the order in which they come.

    Memory stays bounded: at most ``_AHEAD`` prepared images wait, however many paths there are.

    Args:
        predictor: an open bundle.
        paths: of image files.
        max_pixels: larger images are refused by their header.

    Yields:
        One result a path; a file that cannot be read gives its error, and the rest goes on.
    """
    preprocess = predictor.bundle.preprocess
    with ThreadPoolExecutor(predictor.threads, thread_name_prefix="svertka-decode") as pool:
        try:
            for batch in _batches(_decoded_ahead(pool, paths, preprocess, max_pixels)):
                yield from _predict_batch(predictor, batch)
        finally:
            pool.shutdown(cancel_futures=True)  # a caller who stops early waits for no more than what is running


Prepared = tuple[Path, Images | ImageRejected]


def _decoded_ahead(
    pool: ThreadPoolExecutor, paths: Iterable[Path], preprocess: Preprocess, max_pixels: int
) -> Iterator[Prepared]:
    """Prepared images in order, while the pool works on those that come next."""

    def prepare(path: Path) -> Prepared:
        try:
            return path, decode.load(path, preprocess, max_pixels=max_pixels)
        except ImageRejected as rejected:
            return path, rejected

    coming = iter(paths)
    waiting: deque[Future[Prepared]] = deque(pool.submit(prepare, path) for path in itertools.islice(coming, _AHEAD))
    while waiting:
        yield waiting.popleft().result()
        waiting.extend(pool.submit(prepare, path) for path in itertools.islice(coming, 1))


def _batches(prepared: Iterator[Prepared]) -> Iterator[list[Prepared]]:
    while batch := list(itertools.islice(prepared, BATCH)):
        yield batch


def _predict_batch(predictor: Predictor, batch: list[Prepared]) -> Iterator[FilePrediction]:
    images = [image for _, image in batch if not isinstance(image, ImageRejected)]
    answers = iter(zip(*predictor.infer(np.stack(images)), strict=True) if images else ())
    for path, image in batch:
        if isinstance(image, ImageRejected):
            yield FilePrediction(path, error=str(image))
        else:
            logits_K, probabilities_K, *distance = next(answers)
            yield FilePrediction(path, logits_K, probabilities_K, float(distance[0]) if distance else None)


def _outputs(bundle: Bundle) -> tuple[str, ...]:
    return (LOGITS, PROBABILITIES, DISTANCE) if bundle.novelty else (LOGITS, PROBABILITIES)


def _check_fits(inputs: list[tuple[str, str, list[int]]], outputs: dict[str, list[int]], bundle: Bundle) -> None:
    """Compares the graph's ports (sizes without N) with the manifest."""
    side, classes = bundle.preprocess.size_px, len(bundle.class_names)
    if inputs != [(IMAGE, "tensor(uint8)", [side, side, 3])]:
        raise BundleError(
            f"{bundle.directory / MODEL} takes {inputs}; expected one input, {IMAGE!r}, uint8 [N, {side}, {side}, 3], "
            "as the manifest's preprocess says. The files belong to different bundles."
        )
    if outputs != {name: [] if name == DISTANCE else [classes] for name in _outputs(bundle)}:
        raise BundleError(
            f"{bundle.directory / MODEL} gives {outputs}; expected {', '.join(_outputs(bundle))} for the manifest's "
            f"{classes} classes. The files belong to different bundles."
        )
