"""``manifest.json``: what a bundle says of itself, and every check of that before anything is believed."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from svertka.errors import BundleError, ConfigError
from svertka.inference.backends import ENGINES, ONNX
from svertka.inference.onnxruntime_session import DISTANCE, IMAGE, LOGITS, PROBABILITIES
from svertka.schema import Bundle, Conformal, Novelty, Parity, Preprocess, ValueRange
from svertka.util.atomic_files import parse_json, read_file

FORMAT = 2
"""Version of the bundle's layout. Raise it when an older svertka could misread a newer bundle.

1 has no distance to the training images; it is still read.
"""

MANIFEST, MODEL, WEIGHTS, TRAINING_HASHES = "manifest.json", "model.onnx", "weights.safetensors", "training_hashes.txt"
HASHED_FILES = (MODEL, WEIGHTS, TRAINING_HASHES)
_LARGEST_MANIFEST_BYTES = 16 << 20
_MOST_CLASSES = 100_000


def read_manifest(directory: Path) -> Bundle:
    """Reads and checks the manifest alone; the files that it names aren't touched.

    Raises:
        BundleError: it is missing, damaged, of a newer format, or contradicts itself.
    """
    path = directory / MANIFEST
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
    _check_format(manifest, path)
    temperature = _field(manifest, "temperature", (int, float), path)
    if not 0 < temperature < float("inf"):
        raise BundleError(f"{path}: temperature is {temperature}; expected a finite number above 0.")
    _check_what_is_told(manifest, path)
    names, positive = _class_names(manifest, path), manifest.get("positive", "")
    if positive != "" and (len(names) != 2 or positive not in names):
        raise BundleError(
            f"{path}: positive is {positive!r:.80}; expected one of two class names, or nothing. "
            "Write the bundle again."
        )
    preprocess, novelty = _preprocess(manifest, path), _novelty(manifest, path)
    for name, expected in port_fields(preprocess.size_px, remembers=novelty is not None).items():
        if manifest.get(name, expected) != expected:
            raise BundleError(
                f"{path}: {name} is {manifest[name]!r:.200}; expected {expected}. Write the bundle again."
            )
    return Bundle(
        directory=directory,
        class_names=names,
        preprocess=preprocess,
        temperature=float(temperature),
        parity=_parity(manifest, path),
        manifest=manifest,
        conformal=_conformal(manifest, path) if "conformal" in manifest else None,
        novelty=novelty,
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
    size, sha256 = _field(facts, "bytes", int, path), _field(facts, "sha256", str, path)
    if size < 0:
        raise BundleError(f"{path}: {name} has {size} bytes; expected 0 or more. The manifest is damaged.")
    return size, sha256


def port_fields(size_px: int, *, remembers: bool) -> dict[str, object]:
    """What the graph takes and gives; ``remembers`` the training images."""
    image = {"name": IMAGE, "kind": "uint8 RGB", "shape": ["N", size_px, size_px, 3]}
    return {"input": image, "outputs": [LOGITS, PROBABILITIES, *([DISTANCE] if remembers else [])]}


def preprocess_fields(preprocess: Preprocess) -> dict[str, object]:
    """The preprocessing as JSON, with its hash beside it."""
    return {"preprocess": preprocess.as_fields(), "preprocess_hash": preprocess.hash}


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
    if not 2 <= len(names) <= _MOST_CLASSES or not _are(str, names) or len(set(names)) != len(names):
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
            f"{path}: preprocess has resize {fields.get('resize')!r:.80} and interpolation "
            f"{fields.get('interpolation')!r:.80}; this svertka knows squash, crop, pad and bilinear, bicubic."
        )
    try:
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
        }
        if "ranges" in values:
            values["ranges"] = tuple(ValueRange(**known) for known in values["ranges"])
        preprocess = Preprocess(**values)
        actual = preprocess.hash
    except (TypeError, ConfigError) as error:
        raise BundleError(
            f"{path}: preprocess cannot be understood ({error!s:.200}). Write the bundle again."
        ) from None
    sound = type(preprocess.size_px) is int and all(
        isinstance(three, tuple) and len(three) == 3 and _are((int, float), three)
        for three in (preprocess.mean, preprocess.std)
    )
    if not sound or not all(0 <= m <= 1 for m in preprocess.mean) or not all(s > 0 for s in preprocess.std):
        raise BundleError(
            f"{path}: preprocess has size_px {preprocess.size_px!r:.40}, mean {preprocess.mean!r:.80} and std "
            f"{preprocess.std!r:.80}; expected a whole number, three numbers from 0 to 1, and three above 0."
        )
    if actual != stated:
        raise BundleError(
            f"{path}: preprocess has hash {actual}, but {stated:.40} is written beside it: one of them was changed, "
            "and images would reach the model differently than in training. Write the bundle again."
        )
    return preprocess


def _parity(manifest: Mapping[str, object], path: Path) -> Parity:
    fields = _field(manifest, "parity", dict, path)
    n, same = _field(fields, "n", int, path), _field(fields, "same_labels", int, path)
    difference = _field(fields, "max_probability_difference", (int, float), path)
    if not 0 <= same <= n or n < 1 or not 0 <= difference <= 1:
        raise BundleError(f"{path}: parity is {dict(fields)!r:.200}; expected counts and a difference from 0 to 1.")
    return Parity(n=n, max_probability_difference=float(difference), same_labels=same)


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
    if len(thresholds) != classes or not _are((int, float), thresholds) or not all(0 <= t <= 1 for t in thresholds):
        raise BundleError(f"{path}: thresholds is {thresholds!r:.200}; expected {classes} numbers from 0 to 1.")
    if len(counts) != classes or not _are(int, counts) or min(counts) < 0:
        raise BundleError(f"{path}: counts is {counts!r:.200}; expected {classes} whole numbers, 0 or more.")
    target = _field(fields, "target", (int, float), path)
    if not 0 < target < 1:
        raise BundleError(f"{path}: target is {target}; expected a number between 0 and 1.")
    return Conformal(target=float(target), thresholds=tuple(map(float, thresholds)), counts=tuple(counts))


def _novelty(manifest: Mapping[str, object], path: Path) -> Novelty | None:
    if manifest.get("novelty") is None:
        return None
    fields = _field(manifest, "novelty", dict, path)
    quantiles = _field(fields, "quantiles", list, path)
    if len(quantiles) < 2 or not _are((int, float), quantiles) or sorted(quantiles) != quantiles:
        raise BundleError(f"{path}: novelty has quantiles {quantiles!r:.100}; expected two or more rising numbers.")
    n = _field(fields, "n", int, path)
    if n < 1:
        raise BundleError(f"{path}: novelty has n {n}; expected 1 or more.")
    return Novelty(
        threshold=float(_field(fields, "threshold", (int, float), path)), quantiles=tuple(map(float, quantiles)), n=n
    )


def _check_what_is_told(manifest: Mapping[str, object], path: Path) -> None:
    """Fields that nothing is computed with, but that people and programs read; older bundles may lack them."""
    _each(manifest, "metrics", dict, path, "value, low, high and n of each", _is_estimate)
    _each(manifest, "sources", list, path, "name, origin and licence of each", _is_source)
    _each(manifest, "versions", dict, path, "a text for each", lambda value: isinstance(value, str))
    for name in ("data_hash", "svertka"):
        if name in manifest:
            _field(manifest, name, str, path)


def _each(
    manifest: Mapping[str, object], name: str, kind: type, path: Path, expected: str, holds: Callable[[object], bool]
) -> None:
    found = _field(manifest, name, kind, path) if name in manifest else ()
    wrong = [value for value in (found.values() if isinstance(found, dict) else found) if not holds(value)]
    if wrong:
        raise BundleError(f"{path}: {name} has {wrong[0]!r:.100}; expected {expected}. The manifest is damaged.")


def _is_estimate(value: object) -> bool:
    if not isinstance(value, dict) or not {"value", "low", "high", "n"} <= value.keys():
        return False
    limits = [limit for limit in (value["low"], value["high"]) if limit is not None]
    return _are((int, float), [value["value"], *limits]) and _are(int, [value["n"]])


def _is_source(value: object) -> bool:
    return isinstance(value, dict) and _are(str, [value.get(name) for name in ("name", "origin", "licence")])


def _are(kind: type | tuple[type, ...], values: Iterable[object]) -> bool:
    """Whether all are of a kind (``True`` is no number)."""
    return all(isinstance(value, kind) and not isinstance(value, bool) for value in values)


def _field(mapping: Mapping[str, object], name: str, kind: type | tuple[type, ...], path: Path) -> Any:
    """The value of a field that must be there and be of a kind (``True`` is no number)."""
    value = mapping.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        received = "is missing" if name not in mapping else f"is {value!r:.100}"
        expected = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise BundleError(f"{path}: {name} {received}; expected {expected}. The manifest is damaged.")
    return value
