"""Exports a torch backbone to an ONNX graph. Imports torch and onnx, so import it only where a network is exported.

The exporter is the TorchScript one (``dynamo=False``): EfficientNet-Lite0 takes it 2 s, where the newer exporter
takes 27 s and needs another package; ``simplify.fold_shape_arithmetic`` makes the result just as fast to run.
"""

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, local_response_norm, pad
from torch.overrides import TorchFunctionMode

from svertka.errors import BundleError
from svertka.inference.check_graph import check_graph
from svertka.inference.onnxruntime_session import FEATURES, IMAGE, open_session, run_in_batches
from svertka.inference.simplify import OPSET, Batch, fold_shape_arithmetic, share_initializers
from svertka.schema import Preprocess
from svertka.util.runtime import interrupts_wait

if TYPE_CHECKING:
    import onnx

# Largest difference of features between the engines, relative to the largest feature. Float32 and another order of
# summation give about 1e-6 in shallow and 1e-5 in deep networks; a graph that is wrong is off by far more.
_TOLERANCE = 1e-3
_TRACED, _OTHERS = 2, (1, 3)  # batch sizes: of the trace, and those that the graph must generalise to


def export_features(module: torch.nn.Module, preprocess: Preprocess) -> "onnx.ModelProto":
    """Exports a backbone with its normalisation: ``image`` (uint8 RGB, [N, S, S, 3]) to ``features`` ([N, D]).

    The module may use forward hooks. It is exported as in evaluation (stored BatchNorm statistics, no dropout) and
    left in the mode, and on the device, in which it came. Cost: about 2 s for EfficientNet-Lite0.

    Args:
        module: maps normalised float32 images [N, 3, S, S] to features [N, D].
        preprocess: its size, mean and std go into the graph.

    Returns:
        The features graph: N is free, everything else fixed; checked by onnx and against torch at other N.

    Raises:
        BundleError: ONNX has no operator for a part of it, it is more than a bundle may hold (``check_graph``), or ONNX
            Runtime and torch disagree on random images.
    """
    import onnx

    device = next((tensor.device for tensor in module.state_dict().values()), torch.device("cpu"))
    pixels = _FromPixels(module, preprocess).to(device)
    with _as_in_evaluation(pixels):
        model = _trace(pixels, preprocess.size_px, device)
        batches: list[Batch] = [{IMAGE: _random_images(n, preprocess.size_px)} for n in _OTHERS]
        fold_shape_arithmetic(model, batches)
        share_initializers(model)
        onnx.checker.check_model(model)
        check_graph(model.SerializeToString(), preprocess.size_px, "The exported backbone")  # as whoever opens it will
        _compare(model, pixels, batches, device)
    return model


class _FromPixels(torch.nn.Module):
    """Pixels as files hold them, uint8 [N, S, S, 3], to the module's features."""

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, module: torch.nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.module = module
        # (pixel / 255 - mean) / std as one subtraction and one multiplication
        shift = np.array(preprocess.mean) * 255
        scale = 1 / (np.array(preprocess.std) * 255)
        self.register_buffer("shift", torch.tensor(shift, dtype=torch.float32).reshape(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32).reshape(1, 3, 1, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = (image.permute(0, 3, 1, 2).float() - self.shift) * self.scale
        features: torch.Tensor = self.module(x)
        return features


@contextmanager
def _as_in_evaluation(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards each part has its own mode again (frozen BatchNorm stays so)."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in modes:
            part.training = training


class _AsOnnxHasThem(TorchFunctionMode):
    """Two functions by others: ONNX knows only averages over cells of one size, and a bundle has no branches."""

    def __torch_function__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        by_others: dict[Any, Any] = {adaptive_avg_pool2d: _pool, local_response_norm: _local_response_norm}
        return by_others.get(call, call)(*args, **(kwargs or {}))


def _local_response_norm(
    x_NCHW: torch.Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> torch.Tensor:
    """As torch's, whose removal of an axis becomes a branch where the exporter doesn't know that its size is 1."""
    squares = x_NCHW.square().flatten(2)[:, None]
    means = avg_pool2d(pad(squares, (0, 0, size // 2, (size - 1) // 2)), (size, 1), stride=1)
    return x_NCHW / (k + alpha * means.reshape(x_NCHW.shape)).pow(beta)


def _pool(map_NCHW: torch.Tensor, output_size: int | Sequence[int | None]) -> torch.Tensor:
    grid = [output_size] * 2 if isinstance(output_size, int) else output_size
    height, width = int(map_NCHW.shape[2]), int(map_NCHW.shape[3])
    rows, columns = grid[0] or height, grid[1] or width
    if height % rows == 0 and width % columns == 0:
        return adaptive_avg_pool2d(map_NCHW, (rows, columns))
    by_columns_NCQH = (map_NCHW @ _cells(width, columns).to(map_NCHW)).transpose(2, 3)
    return (by_columns_NCQH @ _cells(height, rows).to(map_NCHW)).transpose(2, 3)


def _cells(size: int, cells: int) -> torch.Tensor:
    """What each place of an axis adds to each cell's mean, [size, cells]; torch's cells may overlap by one place."""
    shares = torch.zeros(size, cells)
    for cell in range(cells):
        first, end = cell * size // cells, -(-(cell + 1) * size // cells)
        shares[first:end, cell] = 1 / (end - first)
    return shares


def _trace(pixels: torch.nn.Module, size_px: int, device: torch.device) -> "onnx.ModelProto":
    import onnx

    example = torch.from_numpy(_random_images(_TRACED, size_px)).to(device)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), interrupts_wait(), _AsOnnxHasThem():
        path = Path(folder) / "features.onnx"
        # Two notes that this exporter is the older one, which we know, and notes that Python values were traced as
        # constants: whether they were rightly so, `_compare` finds out.
        warnings.filterwarnings("ignore", "You are using the legacy TorchScript-based ONNX export", DeprecationWarning)
        warnings.filterwarnings("ignore", "The feature will be removed", DeprecationWarning)
        # Padding on one side leaves arithmetic that the exporter can't fold; `fold_shape_arithmetic` does.
        warnings.filterwarnings("ignore", "Constant folding - Only steps=1", UserWarning)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        try:
            torch.onnx.export(
                pixels,
                (example,),
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=[IMAGE],
                output_names=[FEATURES],
                dynamic_axes={IMAGE: {0: "N"}, FEATURES: {0: "N"}},
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise BundleError(
                f"ONNX cannot express this network at {size_px} px: {str(error).split('  [')[0].splitlines()[0]} "
                "Choose another backbone."
            ) from error
        return onnx.load(path)


def _random_images(n: int, size_px: int) -> NDArray[np.uint8]:
    return np.random.default_rng(n).integers(0, 256, (n, size_px, size_px, 3), dtype=np.uint8)


def _compare(
    model: "onnx.ModelProto",
    pixels: torch.nn.Module,
    batches: Sequence[Batch],
    device: torch.device,
) -> None:
    """Raises BundleError where ONNX Runtime's features aren't torch's."""
    session = open_session(model.SerializeToString(), threads=1)
    for batch in batches:
        expected_ND = pixels(torch.from_numpy(batch[IMAGE]).to(device)).cpu().numpy()
        (received_ND,) = run_in_batches(session, batch[IMAGE], [FEATURES])
        if received_ND.shape != expected_ND.shape or expected_ND.ndim != 2:
            raise BundleError(
                f"The exported backbone gives features of shape {list(received_ND.shape)}, torch "
                f"{list(expected_ND.shape)}; expected [N, D] from both. Choose another backbone."
            )
        difference = float(np.abs(received_ND - expected_ND).max() / max(np.abs(expected_ND).max(), 1e-12))
        if not difference <= _TOLERANCE:
            raise BundleError(
                f"The exported backbone differs from torch by {difference:.2g} of the largest feature at batch size "
                f"{len(expected_ND)}; expected at most {_TOLERANCE:g}. Choose another backbone."
            )
