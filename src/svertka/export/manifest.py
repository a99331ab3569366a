"""``manifest.json``: what a bundle says of itself, and every check of that before anything is believed."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from svertka.errors import BundleError, ConfigError
from svertka.export.engines import ENGINES, ONNX
from svertka.schema import Bundle, Conformal, Novelty, Parity, Preprocess

FORMAT = 2
"""Version of the bundle's layout. Raise it when an older svertka could misread a newer bundle.

1 has no distance to the training images; it is still read.
"""

MANIFEST, MODEL, WEIGHTS, TRAINING_HASHES = "manifest.json", "model.onnx", "weights.safetensors", "training_hashes.txt"
HASHED_FILES = (MODEL, WEIGHTS, TRAINING_HASHES)
_LARGEST_MANIFEST_BYTES = 16 << 20


def read_manifest(directory: Path) -> Bundle:
    """Reads and checks the manifest alone; the files that it names aren't touched.

    Raises:
        BundleError: it is missing, damaged, of a newer format, or contradicts itself.
    """
    path = directory / MANIFEST
    try:
        if path.stat().st_size > _LARGEST_MANIFEST_BYTES:
            raise BundleError(f"{path} has {path.stat().st_size} bytes; expected at most {_LARGEST_MANIFEST_BYTES}.")
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{path} is missing; expected a bundle folder (or a run folder that holds one).") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path} cannot be read as JSON ({error}). Write the bundle again.") from None
    if not isinstance(manifest, dict):
        raise BundleError(f"{path} holds a {type(manifest).__name__}; expected a JSON object.")
    _check_format(manifest, path)
    temperature = _field(manifest, "temperature", (int, float), path)
    if not 0 < temperature < float("inf"):
        raise BundleError(f"{path}: temperature is {temperature}; expected a finite number above 0.")
    return Bundle(
        directory=directory,
        class_names=_class_names(manifest, path),
        preprocess=_preprocess(manifest, path),
        temperature=float(temperature),
        parity=_parity(manifest, path),
        manifest=manifest,
        conformal=_conformal(manifest, path) if "conformal" in manifest else None,
        novelty=_novelty(manifest, path),
        engine=_engine(manifest, path),
    )


def file_facts(bundle: Bundle, name: str) -> tuple[int, str]:
    """Size in bytes and SHA-256 that the manifest states for one of ``HASHED_FILES``.

    Raises:
        BundleError: it states none.
    """
    path = bundle.directory / MANIFEST
    files = _field(bundle.manifest, "files", dict, path)
    facts = _field(files, name, dict, path)
    return _field(facts, "bytes", int, path), _field(facts, "sha256", str, path)


def preprocess_fields(preprocess: Preprocess) -> dict[str, object]:
    """The preprocessing as JSON, with its hash beside it."""
    return {"preprocess": asdict(preprocess), "preprocess_hash": preprocess.hash}


def _check_format(manifest: Mapping[str, object], path: Path) -> None:
    version = _field(manifest, "format", int, path)
    if version > FORMAT:
        raise BundleError(
            f"{path} is of format {version}, written by svertka {manifest.get('svertka', 'of unknown version')}; "
            f"this svertka reads up to format {FORMAT}. Install a newer svertka."
        )
    if version < 1:
        raise BundleError(f"{path} is of format {version}; expected 1 to {FORMAT}. Write the bundle again.")


def _class_names(manifest: Mapping[str, object], path: Path) -> tuple[str, ...]:
    names = _field(manifest, "class_names", list, path)
    if len(names) < 2 or not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise BundleError(f"{path}: class_names is {names!r:.200}; expected a list of two or more different names.")
    return tuple(names)


def _preprocess(manifest: Mapping[str, object], path: Path) -> Preprocess:
    fields = _field(manifest, "preprocess", dict, path)
    stated = _field(manifest, "preprocess_hash", str, path)
    if fields.get("resize") not in ("squash", "crop", "pad") or fields.get("interpolation") not in (
        "bilinear",
        "bicubic",
    ):
        raise BundleError(
            f"{path}: preprocess has resize {fields.get('resize')!r} and interpolation "
            f"{fields.get('interpolation')!r}; this svertka knows squash, crop, pad and bilinear, bicubic."
        )
    try:
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
        }
        preprocess = Preprocess(**values)
        actual = preprocess.hash
    except (TypeError, ConfigError) as error:
        raise BundleError(f"{path}: preprocess cannot be understood ({error}). Write the bundle again.") from None
    if actual != stated:
        raise BundleError(
            f"{path}: preprocess has hash {actual}, but {stated} is written beside it: one of them was changed, and "
            "images would reach the model differently than in training. Write the bundle again."
        )
    return preprocess


def _parity(manifest: Mapping[str, object], path: Path) -> Parity:
    fields = _field(manifest, "parity", dict, path)
    return Parity(
        n=_field(fields, "n", int, path),
        max_probability_difference=float(_field(fields, "max_probability_difference", (int, float), path)),
        same_labels=_field(fields, "same_labels", int, path),
    )


def _engine(manifest: Mapping[str, object], path: Path) -> str:
    """The engine that suits; older bundles name none."""
    engine = manifest.get("engine", ONNX)
    if engine not in ENGINES:
        raise BundleError(f"{path}: engine is {engine!r:.100}; expected one of {', '.join(ENGINES)}.")
    return str(engine)


def _conformal(manifest: Mapping[str, object], path: Path) -> Conformal:
    fields = _field(manifest, "conformal", dict, path)
    thresholds, counts = _field(fields, "thresholds", list, path), _field(fields, "counts", list, path)
    classes = len(_class_names(manifest, path))
    if len(thresholds) != classes or not all(isinstance(t, int | float) and 0 <= t <= 1 for t in thresholds):
        raise BundleError(f"{path}: thresholds is {thresholds!r:.200}; expected {classes} numbers from 0 to 1.")
    return Conformal(
        target=float(_field(fields, "target", (int, float), path)), thresholds=tuple(thresholds), counts=tuple(counts)
    )


def _novelty(manifest: Mapping[str, object], path: Path) -> Novelty | None:
    if manifest.get("novelty") is None:
        return None
    fields = _field(manifest, "novelty", dict, path)
    quantiles = _field(fields, "quantiles", list, path)
    if len(quantiles) < 2 or not all(type(q) in (int, float) for q in quantiles) or sorted(quantiles) != quantiles:
        raise BundleError(f"{path}: novelty has quantiles {quantiles!r:.100}; expected two or more rising numbers.")
    return Novelty(
        threshold=float(_field(fields, "threshold", (int, float), path)),
        quantiles=tuple(map(float, quantiles)),
        n=_field(fields, "n", int, path),
    )


def _field(mapping: Mapping[str, object], name: str, kind: type | tuple[type, ...], path: Path) -> Any:
    """The value of a field that must be there and be of a kind (``True`` is no number)."""
    value = mapping.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        received = "is missing" if name not in mapping else f"is {value!r:.100}"
        expected = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise BundleError(f"{path}: {name} {received}; expected {expected}. The manifest is damaged.")
    return value
