"""A bundle's graph opened for inspection: features, the maps behind them, and the linear head.

Shapes: N images, S side in pixels, D features, K classes, C channels of a stage, H/W rows and columns of its map.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svertka.bundle.bundle import open_bundle
from svertka.bundle.manifest import MODEL
from svertka.bundle.parity import LARGEST_ALLOWED
from svertka.errors import BundleError, SvertkaError
from svertka.evaluate.predictions import softmax
from svertka.explain.anatomy import Anatomy, dissect
from svertka.features.linear_head import LinearHead
from svertka.inference.onnxruntime_session import (
    FEATURES,
    LOGITS,
    PROBABILITIES,
    ShrinkingSession,
    open_session,
    run_in_batches,
)
from svertka.inference.outputs import check_finite, check_outputs, output_names
from svertka.onnx_graph.edit import rewired
from svertka.schema import Bundle, Preprocess

F32 = NDArray[np.float32]
Image = NDArray[np.uint8]

FLIPS: tuple[tuple[int, ...], ...] = ((), (1,), (0,), (0, 1))
"""Axes of an image [S, S, 3] that a view may flip."""

_EXACT = 1e-3  # features and the means of their maps: float32 in another order, relative to the largest


@dataclass(frozen=True)
class OpenedBundle:
    """An open classifier.

    Attributes:
        model: the serialised graph.
        anatomy: what is in it.
        preprocess: of its images.
        class_names: order of the logits.
        threads: for compute; 0 means all processors.
        flips: axes of the image that each view flips; () where the stages cannot be looked at.
        outputs: of the graph.
        where: its name, for messages.
        changed: whether weights were, on purpose: what comes out is then not checked.
    """

    model: bytes
    anatomy: Anatomy
    preprocess: Preprocess
    class_names: tuple[str, ...]
    threads: int = 0
    flips: tuple[tuple[int, ...], ...] = ()
    outputs: tuple[str, ...] = (LOGITS, PROBABILITIES)
    where: str = "the bundle"
    changed: bool = False

    @cached_property
    def _session(self) -> Any:
        maps = dict.fromkeys(name for view in self.anatomy.stages for name in view)
        return open_session(rewired(self.model, [FEATURES, *self.outputs, *maps]), self.threads)

    @property
    def head(self) -> LinearHead:
        """On the features."""
        return self.anatomy.head

    def features(self, images_NSSC: Image) -> F32:
        """Features [N, D] of prepared images."""
        return self._ask(images_NSSC, [])[0]

    def probabilities(self, features_ND: F32) -> NDArray[np.float64]:
        """Calibrated probabilities [N, K] of features."""
        return softmax(self.head.logits(features_ND).astype(np.float64) / self.anatomy.temperature)

    @property
    def stages(self) -> int:
        """How many stages can be looked at; where networks are averaged, those of the first."""
        return len(self.anatomy.stages[0]) // self.anatomy.networks if self.flips else 0

    def look(self, image_SSC: Image) -> "Look":
        """What the network makes of one prepared image."""
        features_D, maps = self.run(image_SSC)
        return Look(image_SSC, features_D, tuple(maps) if self.flips else ())

    def run(self, image_SSC: Image) -> tuple[F32, list[list[F32]]]:
        """Features [D] and the maps of each view, whether or not they are what they seem to be."""
        features_ND, maps = self._ask(image_SSC[None], [name for view in self.anatomy.stages for name in view])
        found = iter(maps)
        return features_ND[0], [[next(found)[0] for _ in view] for view in self.anatomy.stages]

    def _ask(self, images_NSSC: Image, names: Sequence[str]) -> tuple[F32, Sequence[F32]]:
        """Features and some maps of prepared images, with what ``predict`` would read beside them, to be checked."""
        outputs = () if self.changed else self.outputs
        features_ND, *others = run_in_batches(self._session, images_NSSC, [FEATURES, *outputs, *names])
        maps = others[len(outputs) :]
        if not self.changed:
            self._check(features_ND, others[: len(outputs)], len(images_NSSC))
            for name, array in zip(names, maps, strict=True):
                check_finite(array, name, self.where)
        return features_ND, maps

    def with_weights(self, head: LinearHead, constants: Mapping[str, F32]) -> "OpenedBundle":
        """The same network with another head, and other numbers in some of its weights."""
        names = {"head.mean": head.mean_D, "head.weight": head.weight_KD, "head.bias": head.bias_K}
        outputs = ["logits", "probabilities"]
        model = rewired(self.model, outputs, {**constants, **names}) if constants else self.model
        return replace(self, model=model, anatomy=replace(self.anatomy, head=head), changed=True)

    def sealed(self) -> "OpenedBundle":
        """The same network, open, for a process that runs long and has little memory.

        It comes without the copies of its weights that only ``with_weights`` needs.
        """
        parts = {each.name: np.copy(getattr(self.head, each.name)) for each in fields(self.head)}  # no views of them
        anatomy = replace(self.anatomy, head=LinearHead(**parts), first_filters_OCKL=None, constants={})
        network = replace(self, model=b"", anatomy=anatomy)
        network.__dict__["_session"] = ShrinkingSession(self._session)
        return network

    def _check(self, features_ND: Any, outputs: Sequence[Any], images: int) -> None:
        """What is explained follows from features and head; ``predict`` reads the graph's outputs. They must agree.

        Raises:
            BundleError: they don't, or are no numbers that a classifier gives.
        """
        width = self.head.weight_KD.shape[1]
        if features_ND.shape != (images, width):
            raise BundleError(
                f"{self.where}: the graph gives features {list(features_ND.shape)}; expected {[images, width]}, as its "
                "head takes them. Write the bundle again."
            )
        check_finite(features_ND, FEATURES, self.where)
        check_outputs(outputs, self.outputs, images, len(self.class_names), self.where)
        given_NK = outputs[self.outputs.index(PROBABILITIES)]
        difference = float(np.abs(self.probabilities(features_ND) - given_NK).max(initial=0))
        if not difference <= LARGEST_ALLOWED:
            raise BundleError(
                f"{self.where}: the graph's probabilities differ by {difference:.2g} from those of its head on its "
                f"features; expected at most {LARGEST_ALLOWED:g}. What would be explained isn't what it predicts."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One image inside the network.

    Attributes:
        image_SSC: prepared.
        features_D: of it.
        maps: for each view, for each stage [C, H, W]; where networks are averaged, those of one after those of the
            other. Empty where the network has no such stages.
    """

    image_SSC: Image
    features_D: F32
    maps: tuple[Sequence[F32], ...]


def open_network(bundle: Bundle | Path | str, threads: int = 0) -> OpenedBundle:
    """Opens a bundle for looking inside.

    Raises:
        BundleError: it is damaged, or no bundle of svertka's.
        GraphError: its model is no ONNX model.
    """
    return network_of(*open_bundle(bundle), threads)


def network_of(bundle: Bundle, model: bytes, threads: int = 0) -> OpenedBundle:
    """The same for a bundle and its graph as ``open_bundle`` returns them.

    Raises:
        BundleError: it is no bundle of svertka's.
        GraphError: its model is no ONNX model.
    """
    where = str(bundle.directory / MODEL)
    try:
        anatomy = dissect(model)
    except SvertkaError:
        raise
    except Exception as error:  # a graph that isn't ours may be of any form
        raise BundleError(f"{where} isn't laid out as svertka's bundles are ({error!r:.200}).") from error
    _check_head(anatomy, len(bundle.class_names), where)
    outputs = output_names(bundle)
    network = OpenedBundle(model, anatomy, bundle.preprocess, bundle.class_names, threads, outputs=outputs, where=where)
    return replace(network, flips=_find_flips(network))


def _check_head(anatomy: Anatomy, classes: int, where: str) -> None:
    head = anatomy.head
    shapes = (head.mean_D.shape, head.weight_KD.shape, head.bias_K.shape)
    width = head.mean_D.size
    sound = all(
        part.dtype == np.float32 and np.isfinite(part).all() for part in (head.mean_D, head.weight_KD, head.bias_K)
    )
    if shapes != ((width,), (classes, width), (classes,)) or not sound or not 0 < anatomy.temperature < np.inf:
        raise BundleError(
            f"{where} has a head of sizes {[list(shape) for shape in shapes]} and temperature {anatomy.temperature:g}; "
            f"expected finite numbers [D], [{classes}, D], [{classes}], and a temperature above 0. Write it again."
        )


def _find_flips(network: OpenedBundle) -> tuple[tuple[int, ...], ...]:
    """Which axes each view flips, found by flipping an image.

    Nothing where the network isn't what ``anatomy`` believes: then nothing is claimed of its maps.
    """
    if not network.anatomy.stages:
        return ()
    side = network.preprocess.size_px
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    features_D, maps = network.run(image)
    if not _is_mean_of(features_D, maps):
        return ()
    first = [view[0] for view in maps]
    if len(first) == 1:
        return FLIPS[:1]
    plain = {axes: network.run(np.ascontiguousarray(np.flip(image, axes)))[1][0][0] for axes in FLIPS}
    found = [axes for one in first for axes in FLIPS if np.allclose(plain[axes], one, atol=1e-4)]
    return tuple(found) if len(found) == len(first) else ()


def _is_mean_of(features_D: F32, maps: Sequence[Sequence[F32]]) -> bool:
    """Whether features are the means of the maps over space, and over views."""
    if any(one.ndim != 3 for view in maps for one in view):
        return False
    means = [np.concatenate([one.mean(axis=(1, 2), dtype=np.float64) for one in view]) for view in maps]
    if any(mean.shape != features_D.shape for mean in means):
        return False
    return bool(np.abs(np.mean(means, axis=0) - features_D).max() <= _EXACT * max(1e-6, np.abs(features_D).max()))
