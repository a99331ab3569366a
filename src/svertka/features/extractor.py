"""The feature extractor: the frozen backbone as an ONNX graph, cached, so that a later run needs no torch.

A backbone's folder in the cache holds ``features.onnx`` (pixels in, features out), ``weights.safetensors`` and
``card.json`` (what it is). Its name digests everything that could change it, so it is never stale. The card keeps the
SHA-256 of the other two and of itself: a folder in which a bit has changed is made anew.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from svertka.config import RunConfig
from svertka.errors import DataError, NotFoundError
from svertka.inference.backends import Run, open_graph, suitable
from svertka.inference.onnxruntime_session import BATCH, FEATURES
from svertka.schema import EventSink, Notice, Preprocess, Source, ValueRange, ignore_events
from svertka.util.atomic_files import json_digest, read_sealed_json, sha256, write_sealed_json
from svertka.util.runtime import import_torch

if TYPE_CHECKING:
    import onnx

    from svertka.backbones.load import Backbone

_FORMAT = 5
GRAPH, WEIGHTS, CARD = "features.onnx", "weights.safetensors", "card.json"
_TORCH = "torch-"  # before the key of features by torch


@dataclass(frozen=True)
class FeatureExtractor:
    """Prepared uint8 images [N, S, S, 3] to features [N, D] by the quicker engine; see ``feature_table.Embed``.

    Attributes:
        folder: in the cache.
        config: that asked for it.
        preprocess: of its images.
        source: of its weights.
        widths: features from each tap; they add up to D.
        stages: names of its stages, input to output.
        weights_hash: of its weights.
        files: SHA-256 of the graph's and the weights' file.
        runs_on: the quicker engine for it, see ``engines``.
        threads: for compute.
    """

    folder: Path
    config: RunConfig
    preprocess: Preprocess
    source: Source
    widths: tuple[int, ...]
    stages: tuple[str, ...]
    weights_hash: str
    files: Mapping[str, str]
    runs_on: str
    threads: int
    batch_size: int = BATCH

    @property
    def key(self) -> str:
        """Names weights and preprocessing in the feature cache."""
        name = _key(self.config, self.folder)
        return f"{name}-{self.preprocess.hash}" if self.preprocess.ranges else name

    def seeing(self, ranges: tuple[ValueRange, ...]) -> "FeatureExtractor":
        """The same network for images whose deep samples are scaled by these ranges."""
        return replace(self, preprocess=replace(self.preprocess, ranges=ranges))

    @cached_property
    def _run(self) -> Run:
        return open_graph(self._content(GRAPH), self.runs_on, self.threads)

    def __call__(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features [N, D] of prepared images [N, S, S, 3]."""
        return self._run(images_NHWC, [FEATURES])[0]

    def graph(self) -> "onnx.ModelProto":
        """The features graph."""
        import onnx

        return onnx.load_from_string(self._content(GRAPH))

    def weights(self) -> dict[str, NDArray[Any]]:
        """Parameters and buffers by their torch names."""
        from safetensors.numpy import load

        tensors: dict[str, NDArray[Any]] = load(self._content(WEIGHTS))
        return tensors

    def _content(self, name: str) -> bytes:
        """A file of the folder, if it is still what was written; ``open_extractor`` has looked once already."""
        content = (self.folder / name).read_bytes()
        if sha256(content) != self.files[name]:
            raise DataError(
                f"{self.folder / name} has changed since it was opened (its SHA-256 differs). Run the same command "
                "again: it is made anew."
            )
        return content

    @cached_property
    def backbone(self) -> "Backbone":
        """The same network as a torch module (imports torch)."""
        return _load(self.config)


@dataclass(frozen=True)
class TorchExtractor:
    """The same features by torch: the reference that ONNX Runtime is compared with."""

    extractor: FeatureExtractor
    batch_size: int = 16

    @property
    def key(self) -> str:
        """Apart from the ONNX features in the cache."""
        return f"{_TORCH}{self.extractor.key}"

    @property
    def widths(self) -> tuple[int, ...]:
        """Features from each tap; they add up to D."""
        return self.extractor.widths

    def __call__(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features [N, D] of prepared images [N, S, S, 3]."""
        return torch_features(self.extractor.backbone.module, self.extractor.preprocess, images_NHWC)


def torch_features(module: Any, preprocess: Preprocess, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Features [N, D] of prepared images by a torch module in evaluation mode."""
    import torch

    from svertka.backbones.tensors import normalise, to_input

    with torch.inference_mode():
        features: NDArray[np.float32] = module(normalise(to_input(images_NHWC), preprocess)).numpy()
    return features


def open_extractor(
    config: RunConfig, cache: Path, threads: int = 0, on_event: EventSink = ignore_events
) -> FeatureExtractor:
    """Opens the backbone that a configuration names; builds and exports it the first time.

    What the cache holds is believed only if its SHA-256 is right; else it is built anew, and the features that came
    from it are dropped. Cost: about a millisecond for each megabyte.

    Args:
        config: names the backbone.
        cache: folder of all that can be computed again.
        threads: for compute; 0 means all processors.
        on_event: hears a notice if something damaged was made anew.

    Raises:
        NotFoundError: no such backbone or weights.
        WeightsError: the weights cannot be fetched or do not fit.
        BundleError: ONNX Runtime and torch disagree on it.
    """
    folder = cache / "backbones" / _spec_hash(config)
    try:
        card = _read_card(folder)
    except FileNotFoundError:
        if folder.is_dir():  # without one of its files
            _discard(config, folder, cache, on_event)
        card = _build(config, folder)
    except (OSError, ValueError):
        _discard(config, folder, cache, on_event)
        card = _build(config, folder)
    fields = card["preprocess"] | {name: tuple(card["preprocess"][name]) for name in ("mean", "std")}
    return FeatureExtractor(
        folder=folder,
        config=config,
        preprocess=Preprocess(**fields),
        source=Source(**card["source"]),
        widths=tuple(card["widths"]),
        stages=tuple(card["stages"]),
        weights_hash=card["weights_hash"],
        files=card["files"],
        runs_on=card["runs_on"],
        threads=threads,
    )


def _key(config: RunConfig, folder: Path) -> str:
    """Names a backbone's weights and preprocessing in the feature cache."""
    return f"{config.backbone.replace(':', '-')}-{folder.name}"


def _read_card(folder: Path) -> dict[str, Any]:
    """The card, if it and the files that it names are what was written.

    Raises:
        OSError: a file is missing or cannot be read.
        ValueError: a file is damaged.
    """
    card: dict[str, Any] = read_sealed_json(folder / CARD)
    for name, expected in card["files"].items():
        if sha256((folder / name).read_bytes()) != expected:
            raise ValueError(f"{folder / name} is not what was written (its SHA-256 differs)")
    return card


def _discard(config: RunConfig, folder: Path, cache: Path, on_event: EventSink) -> None:
    """Takes a damaged backbone away, with the features that were computed by it or beside it."""
    on_event(Notice("cached_backbone_damaged", {"name": config.backbone, "folder": str(folder)}, level="warning"))
    # Names of features begin with the key; what follows tells the ranges of deep samples, if there are any.
    features = [
        found for prefix in ("", _TORCH) for found in (cache / "features").glob(f"{prefix}{_key(config, folder)}*")
    ]
    for derived in (folder, *features):
        shutil.rmtree(derived, ignore_errors=True)


def _load(config: RunConfig) -> "Backbone":
    import_torch()
    from svertka.backbones.load import load_backbone

    return load_backbone(
        config.backbone,
        config.weights,
        size_px=config.size_px,
        resize=config.resize,
        crop_pct=config.crop_pct,
        seed=config.seed,
        from_scratch=config.from_scratch,
    )


def _build(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Writes a backbone's folder beside and renames it: two runs at once, or a crash, leave a whole one or none.

    Returns:
        Its card.
    """
    import_torch()
    import onnx
    from safetensors.torch import save_file

    from svertka.backbones.onnx_export import export_features

    backbone = _load(config)
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        graph = export_features(backbone.module, backbone.preprocess)
        onnx.save(graph, beside / GRAPH)
        state = {name: tensor.contiguous() for name, tensor in backbone.module.state_dict().items()}
        save_file(state, beside / WEIGHTS)
        card = {
            "preprocess": backbone.preprocess.as_fields(),
            "source": asdict(backbone.source),
            "widths": backbone.widths,
            "weights_hash": backbone.weights_hash,
            "stages": [stage.name for stage in backbone.stages],
            "runs_on": suitable(graph.SerializeToString(), backbone.preprocess.size_px),
            "files": {name: sha256((beside / name).read_bytes()) for name in (GRAPH, WEIGHTS)},
        }
        write_sealed_json(beside / CARD, card)
        with contextlib.suppress(OSError):  # another run was quicker
            beside.rename(folder)
        try:
            return _read_card(folder)
        except (OSError, ValueError) as error:
            raise NotFoundError(
                f"{folder} could not be written ({error}); check the disk, or set SVERTKA_CACHE to another folder."
            ) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _spec_hash(config: RunConfig) -> str:
    """Digest of all that decides a backbone: what was asked for, which file, which library versions."""
    spec: dict[str, object] = {
        "format": _FORMAT,
        "backbone": config.backbone,
        "weights": config.weights,
        "size_px": config.size_px,
        "resize": config.resize,
        "versions": [metadata.version(name) for name in ("torch", "torchvision", "timm", "onnx")],
    }
    if config.weights == "none":
        spec |= {"seed": config.seed, "from_scratch": config.from_scratch}
    if config.crop_pct != 1:
        spec["crop_pct"] = config.crop_pct
    path = Path(config.weights).expanduser()
    if path.is_file():
        spec["file"] = [os.path.abspath(path), path.stat().st_size, path.stat().st_mtime_ns]  # noqa: PTH100
    return json_digest(spec)
