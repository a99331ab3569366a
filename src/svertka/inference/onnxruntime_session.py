"""Opens ONNX Runtime in one way everywhere: the same threads and batches, so the same numbers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from svertka.errors import BundleError, one_line
from svertka.util import runtime

if TYPE_CHECKING:
    import onnxruntime

IMAGE, FEATURES, LOGITS, PROBABILITIES, DISTANCE = "image", "features", "logits", "probabilities", "distance"
"""Names of the graphs' input and outputs."""

BATCH = 4
"""Images a call. One EfficientNet-Lite0 image takes 9.2 ms of one core alone, 9.0 at 2 to 4, 9.5 at 8 and 9.6 at 32
(its layers fall out of the cache): four keeps the best rate, little memory, and lets decoding run ahead."""

_FULL_BATCH_PX = 512  # a side, up to which memory is no concern


def batch_size(side_px: int) -> int:
    """Images a call: ``BATCH``, fewer where they are so large that memory counts."""
    return max(1, min(BATCH, BATCH * _FULL_BATCH_PX**2 // side_px**2))


def open_session(graph: bytes, threads: int = 0) -> "onnxruntime.InferenceSession":
    """Opens a serialised graph on the processor; 0 threads means one for each processor that this process may use.

    Raises:
        BundleError: ONNX Runtime cannot read or run the graph.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = runtime.compute_threads(threads)
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # nothing on standard error: what matters arrives as an exception
    # Threads that wait for work sleep instead of spinning: the same processors decode the next images meanwhile.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")  # what ``self_contained`` has looked through
    if share_memory.cache_info().currsize:
        options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        session._model_bytes = None  # a copy for providers that fail and fall back, of which there are none here
        return session
    except Exception as error:  # ONNX Runtime raises many kinds, which share no other base
        raise BundleError(f"ONNX Runtime {onnxruntime.__version__} cannot open the graph: {one_line(error)}") from error


@cache
def share_memory() -> None:
    """Lets all sessions that are opened from here on use the same memory, which grows by no more than they ask for.

    For a process that holds several open and runs them in several threads: a bundle of EfficientNet-Lite0, opened for
    prediction and for class activation maps and run by two threads, then takes 40 MB less, at the same speed.
    """
    import onnxruntime

    where = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    exactly_as_asked = 1
    onnxruntime.create_and_register_allocator(where, onnxruntime.OrtArenaCfg(0, exactly_as_asked, -1, -1))


class ShrinkingSession:
    """A session that gives its working memory back after each run, and with it all free memory that it shares."""

    def __init__(self, session: "onnxruntime.InferenceSession") -> None:
        import onnxruntime

        self.get_inputs = session.get_inputs
        self._session = session
        self._options = onnxruntime.RunOptions()
        self._options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def run(self, outputs: list[str], feed: dict[str, NDArray[np.generic]]) -> Any:
        """As the session itself does it."""
        return self._session.run(outputs, feed, self._options)


def run(
    session: "onnxruntime.InferenceSession", outputs: Sequence[str], feed: Mapping[str, NDArray[np.generic]]
) -> list[NDArray[np.generic]]:
    """Runs a graph once.

    Raises:
        BundleError: it fails on this input.
    """
    try:
        results: list[NDArray[np.generic]] = session.run(list(outputs), dict(feed))
    except Exception as error:  # as above
        sizes = {name: list(value.shape) for name, value in feed.items()}
        raise BundleError(f"The graph fails on an input of {sizes}: {one_line(error)}") from error
    return results


def run_in_batches(
    session: "onnxruntime.InferenceSession", images_NSSC: NDArray[np.uint8], outputs: Sequence[str]
) -> tuple[NDArray[np.float32], ...]:
    """Runs prepared images, uint8 [N, S, S, 3], through a graph, ``batch_size`` at a time: one array [N, …] an output.

    Raises:
        BundleError: the images don't fit the graph.
    """
    expected = session.get_inputs()[0].shape
    sizes_fit = images_NSSC.ndim == 4 and list(images_NSSC.shape[1:]) == list(expected[1:])
    if images_NSSC.dtype != np.uint8 or not sizes_fit:
        raise BundleError(
            f"Images are {images_NSSC.dtype} {list(images_NSSC.shape)}; expected uint8 {expected}. "
            "Prepare them with svertka.data.preprocess."
        )
    return in_batches(lambda some: run(session, outputs, {IMAGE: np.ascontiguousarray(some)}), images_NSSC)


def in_batches(
    call: Callable[[NDArray[np.uint8]], Iterable[NDArray[Any]]], images_NSSC: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], ...]:
    """The arrays that an engine's calls give for ``batch_size`` images at a time, joined."""
    n, step = len(images_NSSC), batch_size(images_NSSC.shape[1])
    some = images_NSSC if n else np.zeros((1, *images_NSSC.shape[1:]), np.uint8)  # for the sizes of the outputs
    parts = [call(some[start : start + step]) for start in range(0, len(some), step)]
    return tuple(np.concatenate(arrays)[:n] for arrays in zip(*parts, strict=True))
