"""Reads and validates ``manifest.json``, the description of a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Required, TypedDict

from svertka.errors import BundleError, ConfigError
from svertka.inference.backends import ENGINES, ONNX
from svertka.inference.onnxruntime_session import DISTANCE, IMAGE, LOGITS, PROBABILITIES
from svertka.schema import Bundle, Conformal, Estimate, Novelty, Parity, Preprocess, Source
from svertka.util.atomic_files import json_digest, parse_json, read_file
from svertka.util.from_dict import from_dict
from svertka.util.version import __version__

FORMAT = 2
"""Version of the bundle's layout. Raise it when an older svertka could misread a newer bundle.

1 has no distance to the training images; it is still read.
"""

MANIFEST, MODEL, WEIGHTS, TRAINING_HASHES = "manifest.json", "model.onnx", "weights.safetensors", "training_hashes.txt"
HASHED_FILES = (MODEL, WEIGHTS, TRAINING_HASHES)
_LARGEST_MANIFEST_BYTES = 16 << 20
_MOST_CLASSES = 100_000


class ModelFacts(TypedDict, total=False):
    """What a manifest says of a model."""

    class_names: Required[Sequence[str]]
    """In the order of the probabilities."""
    preprocess: Required[Preprocess]
    """How files become the graph's input."""
    temperature: Required[float]
    """As it stands in the graph."""
    novelty: Novelty | None
    """Which of the graph's distances are far; None where it gives none."""
    conformal: Conformal | None
    """When to say "unsure"; None: never."""
    positive: str
    """Of two classes the one to be found; empty says nothing of it."""
    metrics: Mapping[str, Estimate]
    """On the test images."""
    sources: Sequence[Source]
    """Of weights and data, with licences."""
    data_hash: str
    """``Catalog.hash``."""
    versions: Mapping[str, str]
    """Of packages and machine, see ``runtime.versions``."""


def manifest_fields(facts: ModelFacts, parity: Parity, engine: str) -> dict[str, object]:
    """The manifest as JSON, without its ``files``."""
    preprocess, novelty, conformal = facts["preprocess"], facts.get("novelty"), facts.get("conformal")
    return {
        "format": FORMAT,
        "svertka": __version__,
        "class_names": list(facts["class_names"]),
        "preprocess": preprocess.as_fields(),
        "preprocess_hash": preprocess.hash,
        "temperature": float(facts["temperature"]),
        **_ports(preprocess.size_px, remembers=novelty is not None),
        "novelty": asdict(novelty) if novelty else None,
        "positive": facts.get("positive", ""),
        "parity": asdict(parity),
        "engine": engine,
        "metrics": {name: asdict(estimate) for name, estimate in facts.get("metrics", {}).items()},
        "sources": [asdict(source) for source in facts.get("sources", ())],
        "data_hash": facts.get("data_hash", ""),
        "versions": dict(facts.get("versions", {})),
        **({"conformal": asdict(conformal)} if conformal else {}),
    }


def _ports(size_px: int, *, remembers: bool) -> dict[str, object]:
    """What the graph takes and gives; ``remembers`` the training images."""
    image = {"name": IMAGE, "kind": "uint8 RGB", "shape": ["N", size_px, size_px, 3]}
    return {"input": image, "outputs": [LOGITS, PROBABILITIES, *([DISTANCE] if remembers else [])]}


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Figure:
    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Manifest:
    """Types of the fields; those with a default are missing in older bundles, others may be there in newer ones."""

    format: int
    class_names: list[str]
    preprocess: dict[str, Any]
    preprocess_hash: str
    temperature: float
    parity: Parity
    files: dict[str, _File]
    novelty: Novelty | None = None
    conformal: Conformal | None = None
    positive: object = ""
    engine: object = ONNX
    metrics: dict[str, _Figure] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    data_hash: str = ""
    svertka: str = ""


def read_manifest(directory: Path) -> Bundle:
    """Reads and checks the manifest alone; the files that it names aren't touched.

    Raises:
        BundleError: it is missing, damaged, of a newer format, or contradicts itself.
    """
    path = directory / MANIFEST
    manifest = _read(path)
    _check_format(manifest, path)
    try:
        found = from_dict(_Manifest, manifest, "", newer=True)
    except TypeError as error:
        raise BundleError(f"{path}: {error}. The manifest is damaged.") from None
    preprocess = _preprocess(found.preprocess, found.preprocess_hash, path)
    _check(found, manifest, path)
    for name, expected in _ports(preprocess.size_px, remembers=found.novelty is not None).items():
        if manifest.get(name, expected) != expected:
            raise BundleError(
                f"{path}: {name} is {manifest[name]!r:.200}; expected {expected}. Write the bundle again."
            )
    return Bundle(
        directory=directory,
        class_names=tuple(found.class_names),
        preprocess=preprocess,
        temperature=found.temperature,
        parity=found.parity,
        manifest=manifest,
        conformal=found.conformal,
        novelty=found.novelty,
        engine=str(found.engine),
    )


def file_facts(bundle: Bundle, name: str) -> tuple[int, str]:
    """Size in bytes and SHA-256 that the manifest states for one of ``HASHED_FILES``.

    Raises:
        BundleError: it states none.
    """
    files: Any = bundle.manifest["files"]
    if name not in files:
        raise BundleError(f"{bundle.directory / MANIFEST}: {name} is missing; expected dict. The manifest is damaged.")
    return files[name]["bytes"], files[name]["sha256"]


def _read(path: Path) -> dict[str, Any]:
    try:
        manifest = parse_json(read_file(path, _LARGEST_MANIFEST_BYTES).decode())
    except FileNotFoundError:
        raise BundleError(f"{path} is missing; expected a bundle folder (or a run folder that holds one).") from None
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}). Copy the whole bundle again.") from None
    except ValueError as error:
        raise BundleError(f"{path} cannot be read as JSON ({error}). Write the bundle again.") from None
    if not isinstance(manifest, dict):
        raise BundleError(f"{path} holds a {type(manifest).__name__}; expected a JSON object.")
    return manifest


def _check_format(manifest: Mapping[str, Any], path: Path) -> None:
    """Before all else: in a newer format every other field may be another."""
    version = manifest.get("format")
    if type(version) is int and version > FORMAT:
        raise BundleError(
            f"{path} is of format {version}, written by svertka {manifest.get('svertka', 'of unknown version')!s:.80}; "
            f"this svertka reads up to format {FORMAT}. Install a newer svertka."
        )
    if type(version) is int and version < 1:
        raise BundleError(f"{path} is of format {version}; expected 1 to {FORMAT}. Write the bundle again.")


def _preprocess(stated: Mapping[str, Any], stated_hash: str, path: Path) -> Preprocess:
    resize, interpolation = stated.get("resize"), stated.get("interpolation")
    if resize not in ("squash", "crop", "pad") or interpolation not in ("bilinear", "bicubic"):
        raise BundleError(
            f"{path}: preprocess has resize {resize!r:.80} and interpolation {interpolation!r:.80}; this svertka knows "
            "squash, crop, pad and bilinear, bicubic."
        )
    try:
        preprocess = from_dict(Preprocess, stated, "preprocess")
    except (TypeError, ConfigError) as error:
        raise BundleError(
            f"{path}: preprocess cannot be understood ({error!s:.200}). Write the bundle again."
        ) from None
    if not all(0 <= m <= 1 for m in preprocess.mean) or not all(s > 0 for s in preprocess.std):
        raise BundleError(
            f"{path}: preprocess has mean {preprocess.mean} and std {preprocess.std}; expected three numbers from 0 to "
            "1, and three above 0."
        )
    actual = preprocess.hash
    if stated_hash not in (actual, json_digest(stated)):  # 0 and 0.0 are one number, but not one text
        raise BundleError(
            f"{path}: preprocess has hash {actual}, but {stated_hash:.40} is written beside it: one of them "
            "was changed, and images would reach the model differently than in training. Write the bundle again."
        )
    return preprocess


def _check(found: _Manifest, manifest: Mapping[str, Any], path: Path) -> None:
    """What no type says of the fields."""

    def need(holds: bool, name: str, expected: str, value: object = None) -> None:
        if not holds:
            shown = manifest[name] if value is None else value
            raise BundleError(f"{path}: {name} is {shown!r:.200}; expected {expected}. Write the bundle again.")

    names, parity, novelty, conformal = found.class_names, found.parity, found.novelty, found.conformal
    different = 2 <= len(names) <= _MOST_CLASSES and len(set(names)) == len(names)
    need(different, "class_names", "a list of two or more different names")
    need(0 < found.temperature < float("inf"), "temperature", "a finite number above 0")
    one_of_two = found.positive == "" or (len(names) == 2 and found.positive in names)
    need(one_of_two, "positive", "one of two class names, or nothing")
    need(found.engine in ENGINES, "engine", f"one of {', '.join(ENGINES)}")
    counted = 0 <= parity.same_labels <= parity.n > 0 and 0 <= parity.max_probability_difference <= 1
    need(counted, "parity", "counts and a difference from 0 to 1")
    need(all(file.bytes >= 0 for file in found.files.values()), "files", "0 bytes or more in each")
    if novelty:
        rising = len(novelty.quantiles) > 1 and sorted(novelty.quantiles) == list(novelty.quantiles)
        need(rising, "novelty", "two or more rising numbers as quantiles")
        need(novelty.n > 0, "novelty", "an n of 1 or more")
    need(conformal is not None or "conformal" not in manifest, "conformal", "dict")
    if conformal:
        k, stated, thresholds, counts = len(names), manifest["conformal"], conformal.thresholds, conformal.counts
        shares = len(thresholds) == k and all(0 <= share <= 1 for share in thresholds)
        need(shares, "thresholds", f"{k} numbers from 0 to 1", stated["thresholds"])
        need(len(counts) == k and min(counts) >= 0, "counts", f"{k} whole numbers, 0 or more", stated["counts"])
        need(0 < conformal.target < 1, "target", "a number between 0 and 1", stated["target"])
