"""Writes, checks and loads a bundle, the folder of a trained classifier. No torch, and loading runs no code.

==========================  ==================================================================================
file                        what it holds
==========================  ==================================================================================
``model.onnx``              uint8 RGB images in; logits, probabilities and the distance to the nearest known image out
                            (normalisation and temperature inside)
``weights.safetensors``     the same network's parameters under their torch names, to go on training from; those of
                            averaged networks under ``networkN.``
``training_hashes.txt``     16 hex digits for each image that the model learnt from: finds leaks, tells nothing else
``manifest.json``           class names, preprocessing, versions, licences, metrics, parity; size and hash of the rest
==========================  ==================================================================================
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import NDArray

from svertka.bundle.classifier_graph import head_of
from svertka.bundle.manifest import (
    HASHED_FILES,
    MANIFEST,
    MODEL,
    TRAINING_HASHES,
    WEIGHTS,
    ModelFacts,
    file_facts,
    manifest_fields,
    read_manifest,
)
from svertka.bundle.parity import compare, tolerance
from svertka.errors import BundleError, NotFoundError
from svertka.inference.backends import ONNX, open_graph, suitable
from svertka.inference.check_graph import check_graph
from svertka.inference.onnxruntime_session import DISTANCE, PROBABILITIES
from svertka.inference.outputs import output_names
from svertka.schema import Bundle, Parity, Preprocess
from svertka.util.atomic_files import open_regular
from svertka.util.version import __version__

if TYPE_CHECKING:
    import onnx

_LARGEST = {MODEL: 1 << 31, WEIGHTS: 1 << 32, TRAINING_HASHES: 1 << 28}
"""Bytes of a file: what ONNX holds, the same for several networks that are averaged, 15 million images."""

_HASH_DIGITS = 16


def write_bundle(
    directory: Path,
    *,
    graph: "onnx.ModelProto",
    weights: Mapping[str, NDArray[np.generic]],
    check_images_NSSC: NDArray[np.uint8],
    reference_NK: NDArray[np.floating],
    training_hashes: Iterable[str] = (),
    threads: int = 0,
    **facts: Unpack[ModelFacts],
) -> Bundle:
    """Writes a bundle after comparing its graph with the network that it was made from.

    Everything is written and checked in a folder beside; an existing bundle is replaced only by one that passed.

    Args:
        directory: of the bundle.
        graph: the classifier graph, see ``classifier_graph.attach_head`` and ``attach_distance``.
        weights: parameters by name.
        check_images_NSSC: the user's own test images, prepared: uint8 [N, S, S, 3], N at least 1.
        reference_NK: the network's own probabilities of them (temperature applied).
        training_hashes: ``ImageRecord.pixel_hash`` of every image that the model was fitted to or chosen on.
        threads: for the comparison; 0 means all processors.
        facts: what the manifest says of the model, see ``ModelFacts``.

    Returns:
        The bundle, as it was read back and checked.

    Raises:
        BundleError: the two engines disagree, or the graph doesn't fit class names or preprocessing.
    """
    model = _with_metadata(graph, facts["class_names"], facts["preprocess"])
    allowed_N = tolerance(model, head_of(graph), check_images_NSSC, threads)
    parity, engine = _compared(model, check_images_NSSC, reference_NK, allowed_N, threads)
    beside = _clear_beside(directory)
    try:
        (beside / MODEL).write_bytes(model)
        (beside / WEIGHTS).write_bytes(_safetensors(weights))
        hashes = sorted({value[:_HASH_DIGITS] for value in training_hashes})
        (beside / TRAINING_HASHES).write_text("".join(f"{value}\n" for value in hashes), encoding="ascii")
        manifest = manifest_fields(facts, parity, engine) | {
            "files": {name: _facts(beside / name) for name in HASHED_FILES}
        }
        text = json.dumps(manifest, ensure_ascii=False, indent=2, allow_nan=False)
        (beside / MANIFEST).write_text(text + "\n", encoding="utf-8")
        bundle = load_bundle(beside)
        _replace_folder(beside, directory)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return replace(bundle, directory=directory)


def load_bundle(path: Path | str) -> Bundle:
    """Opens a bundle and checks that it is whole.

    Args:
        path: a bundle folder, or a run folder that holds ``bundle/``.

    Raises:
        NotFoundError: there is no such folder.
        BundleError: a file is missing or damaged, the format is newer than this svertka, the preprocessing doesn't
            match its hash, or the model is more than a classifier needs (see ``check_graph``). Cost: hashing all files
            and working out all sizes, about 50 ms.
    """
    return open_bundle(path)[0]


def open_bundle(bundle: Bundle | Path | str) -> tuple[Bundle, bytes]:
    """A bundle and its graph, serialised: what was checked is what is returned, as each file is read once.

    Takes what ``load_bundle`` takes, or a bundle from it.

    Raises:
        NotFoundError: there is no such folder.
        BundleError: see ``load_bundle``; or the graph has changed since the bundle was loaded.
    """
    if isinstance(bundle, Bundle):
        return bundle, read_checked(bundle, MODEL)
    path = Path(bundle).expanduser()
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise NotFoundError(f"{path} {what}; expected a bundle folder, or a run folder that holds bundle/.")
    inner = path / "bundle"
    bundle = read_manifest(inner if not (path / MANIFEST).exists() and inner.is_dir() else path)
    model = read_checked(bundle, MODEL)
    _check_model(bundle, model)
    for name in (WEIGHTS, TRAINING_HASHES):
        read_checked(bundle, name, keep=False)
    return bundle, model


def read_checked(bundle: Bundle, name: str, *, keep: bool = True) -> bytes:
    """The content of one of the bundle's files, if it is what was written.

    It is b"" unless it is to be kept: weights are large, and most verbs only want to know that they are whole.

    Raises:
        BundleError: it is missing, or its size or hash isn't the manifest's.
    """
    path = bundle.directory / name
    size, sha256 = file_facts(bundle, name)
    if size > _LARGEST[name]:
        raise BundleError(f"{path} has {size} bytes by the manifest; expected at most {_LARGEST[name]}.")
    try:
        with open_regular(path) as file:
            found = os.fstat(file.fileno()).st_size
            if found != size:
                raise BundleError(
                    f"{path} has {found} bytes; the manifest expects {size}. It is damaged: copy it again."
                )
            content = file.read(size) if keep else b""
            digest = hashlib.sha256(content) if keep else hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}). Copy the whole bundle again.") from None
    if digest.hexdigest() != sha256:
        raise BundleError(f"{path} is not the file that was written (its SHA-256 differs). Copy the bundle again.")
    return content


def _check_model(bundle: Bundle, content: bytes) -> None:
    """Whether the graph is one that may be run (see ``check_graph``), and gives what the manifest says."""
    path, classes = bundle.directory / MODEL, len(bundle.class_names)
    sizes = check_graph(content, bundle.preprocess.size_px, str(path))
    given = {name: list(shape[1:]) for name, shape in sizes.items()}
    expected = output_names(bundle)
    if given != {name: [] if name == DISTANCE else [classes] for name in expected}:
        raise BundleError(
            f"{path} gives {given!r:.200}; expected {', '.join(expected)} for the manifest's {classes} classes. "
            "The files belong to different bundles."
        )


def training_hashes(bundle: Bundle) -> frozenset[str]:
    """First 16 digits of ``ImageRecord.pixel_hash`` of every image that the model learnt from."""
    return frozenset(read_checked(bundle, TRAINING_HASHES).decode("ascii", "replace").split())


def was_trained_on(pixel_hash: str, hashes: frozenset[str]) -> bool:
    """Whether an image is among those of ``training_hashes``."""
    return pixel_hash[:_HASH_DIGITS] in hashes


def _compared(
    model: bytes,
    images_NSSC: NDArray[np.uint8],
    reference_NK: NDArray[np.floating],
    allowed_N: NDArray[np.float64],
    threads: int,
) -> tuple[Parity, str]:
    """How closely ONNX Runtime agrees with the network, and the quicker engine, if it agrees as well."""
    parity = compare(open_graph(model, ONNX, threads), images_NSSC, reference_NK, allowed_N)
    engine = suitable(model, images_NSSC.shape[1])
    if engine != ONNX:
        try:
            compare(open_graph(model, engine, threads), images_NSSC, reference_NK, allowed_N)
        except BundleError:
            engine = ONNX
    return parity, engine


def _with_metadata(graph: "onnx.ModelProto", class_names: Sequence[str], preprocess: Preprocess) -> bytes:
    """The graph, serialised, with what a person needs who meets ``model.onnx`` alone."""
    import onnx

    outputs = {output.name: output.type.tensor_type.shape.dim for output in graph.graph.output}
    classes = outputs[PROBABILITIES][-1].dim_value if PROBABILITIES in outputs else None
    if classes != len(class_names):
        raise BundleError(
            f"The graph gives {classes} probabilities for {len(class_names)} class names; expected one each. "
            "Attach the head of this model."
        )
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    properties = {
        "class_names": json.dumps(list(class_names), ensure_ascii=False),
        "preprocess": json.dumps(preprocess.as_fields()),
        "preprocess_hash": preprocess.hash,
        "svertka_version": __version__,
    }
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _safetensors(weights: Mapping[str, NDArray[np.generic]]) -> bytes:
    from safetensors.numpy import save

    return bytes(save({name: np.asarray(value, order="C") for name, value in sorted(weights.items())}))


def _facts(path: Path) -> dict[str, object]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _clear_beside(directory: Path) -> Path:
    """An empty folder beside, after tidying up what a write that was killed has left there."""
    aside, beside = _aside(directory), directory.with_name(f".{directory.name}-new")
    if aside.exists() and not directory.exists():  # killed between the two renames
        aside.replace(directory)
    for folder in (aside, beside):
        shutil.rmtree(folder, ignore_errors=True)
    beside.mkdir(parents=True)
    return beside


def _replace_folder(new: Path, old: Path) -> None:
    """Renames ``new`` to ``old``. No system swaps folders in one portable step, so the old one steps aside first."""
    aside = _aside(old)
    if old.exists():
        old.replace(aside)
    try:
        new.replace(old)
    except OSError:
        if aside.exists():
            aside.replace(old)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _aside(directory: Path) -> Path:
    return directory.with_name(f".{directory.name}-old")
