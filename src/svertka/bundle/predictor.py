"""Predicts image files with a bundle; images are decoded ahead of the network. No torch."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from svertka.bundle.bundle import open_bundle
from svertka.bundle.manifest import MODEL
from svertka.data import decode
from svertka.errors import ImageRejected, check_known
from svertka.evaluate.conformal import possible_classes
from svertka.inference.backends import ENGINES, Run, open_graph
from svertka.inference.onnxruntime_session import batch_size
from svertka.inference.outputs import check_outputs, output_names
from svertka.schema import Bundle, Preprocess
from svertka.util import runtime

# Calls of the network for which images may wait, decoded: enough that neither side starves, 150 kB each at 224 px.
_AHEAD = 8

AUTO = "auto"
"""The engine that the bundle names."""

Images = NDArray[np.uint8]
Infer = Callable[[Images], tuple[NDArray[np.float32], ...]]


@dataclass(frozen=True, slots=True)
class FilePrediction:
    """What the model said of one file, or why the file couldn't be read: the cells of ``svertka predict``'s table."""

    path: Path
    logits_K: NDArray[np.float32] | None = None
    """Before temperature."""
    probabilities_K: NDArray[np.float32] | None = None
    """Calibrated, in the order of ``Bundle.class_names``."""
    label: str = ""
    """The most probable class; of equal ones the first."""
    possible: tuple[str, ...] | None = None
    """Classes that cannot be excluded at the coverage that the bundle promises (``evaluate.conformal``); None where
    the bundle has no thresholds."""
    distance: float | None = None
    """To the nearest training image (``Bundle.novelty``); None where the bundle remembers none."""
    distance_percentile: float | None = None
    """Which share of the validation images is nearer to the training images, 0 to 100."""
    out_of_distribution: bool | None = None
    """Whether the image is unlike the training images; None where the bundle remembers none."""
    error: str = ""
    """Empty where the file was read."""
    notes: tuple[str, ...] = ()
    """How it was read, as codes; see ``decode.Decoded``."""

    @property
    def is_unsure(self) -> bool:
        """Whether something else than the label alone is possible. Not the same as a low confidence."""
        return self.possible is not None and self.possible != (self.label,)

    @property
    def answer(self) -> str:
        """The label, or ``unsure`` and why: ``unsure: cat | dog`` are possible. ``""`` where nothing tells."""
        if not self.is_unsure:
            return "" if self.possible is None else self.label
        return f"unsure: {' | '.join(self.possible)}" if self.possible else "unsure (no class is possible)"


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


def open_predictor(bundle: Bundle | Path | str, threads: int = 0, engine: str = AUTO) -> Predictor:
    """Opens a bundle's graph.

    Args:
        bundle: from ``load_bundle``, or the folder of a bundle or run.
        threads: for decoding and for the network; 0 means all processors that this process may use.
        engine: ``"onnx"`` for ONNX Runtime, ``"numpy"`` for the NumPy twin, ``"auto"`` for that of them which the
            bundle names as the quicker one; probabilities agree to 1e-4.

    Raises:
        ConfigError: threads is below 0, or there is no such engine.
        BundleError: the graph has changed since the bundle was loaded, cannot be opened, or doesn't fit the manifest.
        GraphError: the NumPy twin doesn't know one of the graph's operators.
    """
    threads = runtime.compute_threads(threads)
    known = (AUTO, *ENGINES)
    check_known("engine", engine, known)
    return predictor_of(*open_bundle(bundle), threads, engine)


def predictor_of(bundle: Bundle, model: bytes, threads: int = 0, engine: str = AUTO) -> Predictor:
    """The same for a bundle and its graph as ``open_bundle`` returns them.

    Raises:
        BundleError: the graph cannot be opened.
        GraphError: as in ``open_predictor``.
    """
    threads = runtime.compute_threads(threads)
    run = open_graph(model, bundle.engine if engine == AUTO else engine, threads)
    return Predictor(bundle, _checked(run, bundle), threads)


def _checked(run: Run, bundle: Bundle) -> Infer:
    """Every batch is looked at before anybody sees it."""
    names, classes, where = output_names(bundle), len(bundle.class_names), str(bundle.directory / MODEL)

    def infer(images_NSSC: Images) -> tuple[NDArray[np.float32], ...]:
        outputs = run(images_NSSC, names)
        check_outputs(outputs, names, len(images_NSSC), classes, where)
        return outputs

    return infer


def predict_files(
    predictor: Predictor, paths: Iterable[Path | str], *, max_pixels: int = decode.DEFAULT_MAX_PIXELS
) -> Iterator[FilePrediction]:
    """Predicts files in the order in which they come.

    Memory stays bounded: prepared images wait for at most ``_AHEAD`` calls, however many paths there are.

    Args:
        predictor: an open bundle.
        paths: of image files; one path alone is one file.
        max_pixels: larger images are refused by their header.

    Yields:
        One result a path; a file that cannot be read gives its error, and the rest goes on.
    """
    preprocess = predictor.bundle.preprocess
    files = map(Path, [paths] if isinstance(paths, str | Path) else paths)
    with ThreadPoolExecutor(predictor.threads, thread_name_prefix="svertka-decode") as pool:
        try:
            decoded = _decoded_ahead(pool, files, preprocess, max_pixels)
            for batch in _batches(decoded, batch_size(preprocess.size_px)):
                yield from _predict_batch(predictor, batch)
        finally:
            pool.shutdown(cancel_futures=True)  # a caller who stops early waits for no more than what is running


def predict_content(
    predictor: Predictor, content: bytes, *, suffix: str = "", max_pixels: int = decode.DEFAULT_MAX_PIXELS
) -> FilePrediction:
    """Predicts one image that came as bytes, with the answer that ``predict_files`` gives for a file of them.

    Decodes and computes in the thread that calls; its path is empty.

    Args:
        predictor: an open bundle.
        content: of an image file.
        suffix: of its name, see ``decode.load_content``.
        max_pixels: larger images are refused by their header.

    Raises:
        ImageRejected: it cannot be read.
        BundleError: the graph gives numbers that no classifier gives.
    """
    image_SSC, notes = decode.load_content(content, predictor.bundle.preprocess, suffix=suffix, max_pixels=max_pixels)
    return predict_prepared(predictor, image_SSC, notes)


def predict_prepared(predictor: Predictor, image_SSC: Images, notes: tuple[str, ...] = ()) -> FilePrediction:
    """Predicts one prepared image, uint8 [S, S, 3].

    Raises:
        BundleError: as in ``predict_content``.
    """
    outputs = predictor.infer(image_SSC[None])
    return _predicted(predictor.bundle, Path(), *(output_N[0] for output_N in outputs), notes=notes)


Prepared = tuple[Path, tuple[Images, tuple[str, ...]] | ImageRejected]


def _decoded_ahead(
    pool: ThreadPoolExecutor, paths: Iterable[Path], preprocess: Preprocess, max_pixels: int
) -> Iterator[Prepared]:
    """Prepared images in order, while the pool works on those that come next."""

    def prepare(path: Path) -> Prepared:
        try:
            return path, decode.load_noted(path, preprocess, max_pixels=max_pixels)
        except ImageRejected as rejected:
            return path, rejected

    coming = iter(paths)
    ahead = _AHEAD * batch_size(preprocess.size_px)
    waiting: deque[Future[Prepared]] = deque(pool.submit(prepare, path) for path in itertools.islice(coming, ahead))
    while waiting:
        yield waiting.popleft().result()
        waiting.extend(pool.submit(prepare, path) for path in itertools.islice(coming, 1))


def _batches(prepared: Iterator[Prepared], size: int) -> Iterator[list[Prepared]]:
    while batch := list(itertools.islice(prepared, size)):
        yield batch


def _predict_batch(predictor: Predictor, batch: list[Prepared]) -> Iterator[FilePrediction]:
    images = [found[0] for _, found in batch if not isinstance(found, ImageRejected)]
    answers = iter(zip(*predictor.infer(np.stack(images)), strict=True) if images else ())
    for path, found in batch:
        if isinstance(found, ImageRejected):
            yield FilePrediction(path, error=str(found))
        else:
            yield _predicted(predictor.bundle, path, *next(answers), notes=found[1])


def _predicted(
    bundle: Bundle,
    path: Path,
    logits_K: NDArray[np.float32],
    probabilities_K: NDArray[np.float32],
    distance: np.float32 | None = None,
    *,
    notes: tuple[str, ...],
) -> FilePrediction:
    """What the numbers of one image mean: label, possible classes, and whether it is out of distribution."""
    names, conformal, novelty = bundle.class_names, bundle.conformal, bundle.novelty
    found = FilePrediction(path, logits_K, probabilities_K, names[int(probabilities_K.argmax())], notes=notes)
    if conformal:
        (inside_K,) = possible_classes(logits_K[None], conformal)
        found = replace(found, possible=tuple(name for name, inside in zip(names, inside_K, strict=True) if inside))
    if novelty and distance is not None:
        far = float(distance)
        found = replace(
            found,
            distance=far,
            distance_percentile=novelty.percentile(far),
            out_of_distribution=novelty.is_out_of_distribution(far),
        )
    return found
