"""The run folder: plain files that a person can open, from which every record is read back.

``runs/<name>/``: ``config.toml``, ``catalog.csv``, ``split.csv``, ``rejected.csv``, ``run.json``, ``metrics.json``,
``phases.csv``, ``history.csv``, ``doubtful_labels.csv``, ``predictions.csv``, ``explain.json``, ``start.json``,
``plan.json``, ``checkpoints/``, ``bundle/``, ``report.html``, ``model_card.md``, ``log.txt``. Averaged networks have
``plan.json`` and ``checkpoints/`` each in ``fold-N/``. One file, although long: what writes and what reads a file back
stand together.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from svertka.config import RunConfig, strategy_name
from svertka.errors import ConfigError, DataError, NotFoundError, did_you_mean
from svertka.evaluate import load_predictions
from svertka.schema import (
    SPLIT_NAMES,
    Catalog,
    EpochRow,
    ImageRecord,
    LabelDoubt,
    PhaseRow,
    RunRecord,
    Split,
    ValueSpan,
)
from svertka.util.atomic_files import (
    LARGEST_INTEGER,
    load_rows,
    read_file,
    read_json,
    read_table,
    save_rows,
    write_json,
    write_table,
    write_text,
)
from svertka.util.from_dict import from_dict

CONFIG, CATALOG, SPLIT, REJECTED = "config.toml", "catalog.csv", "split.csv", "rejected.csv"
RUN, METRICS, HISTORY, PREDICTIONS = "run.json", "metrics.json", "history.csv", "predictions.csv"
PHASES, EXPLAIN, DOUBTS = "phases.csv", "explain.json", "doubtful_labels.csv"
LOCK, START, PLAN, CHECKPOINTS = ".lock", "start.json", "plan.json", "checkpoints"
BUNDLE, REPORT, CARD, LOG = "bundle", "report.html", "model_card.md", "log.txt"

WHOLE = (METRICS, BUNDLE, REPORT, CARD)
"""What a finished run has; one that could not be handed over, or whose report could not be drawn, can go on."""


_LARGEST_CONFIG = 1 << 20

# --- making and finding ------------------------------------------------------------------------------------------


def new_run_folder(config: RunConfig) -> Path:
    """Makes the folder of a new run.

    Raises:
        ConfigError: the folder that was asked for holds something already.
    """
    if config.out:
        folder = Path(config.out).expanduser()
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"run folder {folder} is a file; expected a new or empty folder as --out.")
        if folder.exists() and any(folder.iterdir()):
            raise ConfigError(
                f"run folder {folder} is there already and not empty; choose another --out, "
                f"or go on with it: svertka train --resume {folder}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    name = Path(config.data).expanduser().resolve().stem or "run"
    for number in range(1, 10_000):
        folder = Path("runs") / f"{name}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise ConfigError(f"runs/{name}-1 to runs/{name}-9999 are all taken; name a folder with --out.")


def discard_unbegun(folder: Path, config: RunConfig) -> None:
    """Clears away what a run has left that failed before ``begin``: there is nothing in it to go on with."""
    if (folder / START).exists():
        return
    with suppress(OSError):  # a file that is in use or not ours stays
        for name in (CONFIG, LOG, LOCK):
            (folder / name).unlink(missing_ok=True)
        if not config.out:
            folder.rmdir()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Inside, no other process works in this run folder; a killed one leaves no lock behind.

    Raises:
        ConfigError: another process does.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ConfigError(f"run {folder} is being worked on by another process; wait for it, or end it.") from None
    try:
        yield
    finally:
        lock.release()


# --- configuration -----------------------------------------------------------------------------------------------


def config_to_toml(config: RunConfig) -> str:
    """The configuration as TOML, every field with its value, and 60 minutes as the 60.0 that is read back."""
    return _table(asdict(from_dict(RunConfig, asdict(config))), "")


def _table(values: dict[str, Any], name: str) -> str:
    plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
    text = (f"\n[{name}]\n" if name else "") + "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in plain.items()
    )
    inner = ((key, value) for key, value in values.items() if isinstance(value, dict))
    return text + "".join(_table(value, f"{name}.{key}" if name else key) for key, value in inner)


def config_fields(path: Path | str, base: RunConfig | None = None) -> dict[str, Any]:
    """Fields of a configuration file; tables such as ``[finetune]`` arrive as records.

    Args:
        path: a TOML file.
        base: whose tables a file's tables change; the defaults if there is none.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it is no TOML, or names a field that doesn't exist or has another type.
    """
    path = Path(path).expanduser()
    if path.is_dir() or not path.exists():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise NotFoundError(f"configuration {path} {what}; expected a TOML file with fields such as seed = 1.")
    try:
        values = tomllib.loads(read_file(path, _LARGEST_CONFIG).decode("utf-8", "surrogateescape"))
    except OSError as error:
        raise ConfigError(f"configuration {path} cannot be read ({error.strerror}); expected a TOML file.") from None
    except RecursionError:
        raise ConfigError(f"configuration {path} is not valid TOML: it is nested too deeply.") from None
    except ValueError as error:  # also of an integer with thousands of digits
        raise ConfigError(f"configuration {path} is not valid TOML: {error}.") from error
    return _checked(values, base or RunConfig(data="-"), f"configuration {path}")


def _checked(values: dict[str, Any], default: Any, where: str) -> dict[str, Any]:
    """Values whose names and types fit the fields of a record; tables become records themselves."""
    known = {field.name: getattr(default, field.name) for field in fields(default)}
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise ConfigError(f"{where}: field {name!r:.80} is unknown.{did_you_mean(name, known)}")
        expected = type(known[name])
        if is_dataclass(expected) and isinstance(value, dict):
            inner = _checked(value, known[name], f"{where}, [{name}]")
            checked[name] = replace(known[name], **inner)
        elif is_dataclass(expected) and isinstance(value, str) and hasattr(expected, "named"):
            checked[name] = expected.named(value)
        elif type(value) is int and abs(value) >= LARGEST_INTEGER:
            raise ConfigError(f"{where}: {name} has {len(str(value))} digits; expected a number of 64 bits.")
        elif expected is float and type(value) is int:
            checked[name] = float(value)
        elif expected is tuple and isinstance(value, list) and all(type(item) in (int, float) for item in value):
            checked[name] = tuple(float(item) for item in value)
        elif type(value) is expected:
            checked[name] = value
        else:
            wanted = {"tuple": "a list of numbers"}.get(expected.__name__, expected.__name__)
            raise ConfigError(f"{where}: {name} is {value!r:.200}; expected {wanted}.")
    return checked


def load_config(folder: Path | str) -> RunConfig:
    """The configuration that a run was started with.

    Raises:
        NotFoundError: the folder holds no run.
    """
    folder = Path(folder).expanduser()
    if not (folder / CONFIG).is_file():
        raise NotFoundError(f"{folder} is no run folder; expected one that `svertka train` made, with {CONFIG}.")
    return RunConfig(**config_fields(folder / CONFIG))


# --- tables ------------------------------------------------------------------------------------------------------


def save_catalog(folder: Path, catalog: Catalog) -> None:
    """Writes ``catalog.csv`` and ``rejected.csv``."""
    names = catalog.class_names
    write_table(
        folder / CATALOG,
        [field.name for field in fields(ImageRecord) if field.name != "sketch"],  # large, and a scan knows it
        (
            (
                r.path,
                names[r.label],
                r.split or "",
                "" if r.group is None else r.group,
                r.width_px,
                r.height_px,
                r.mode,
                r.pixel_hash,
                f"{r.perceptual_hash:016x}",
                " ".join(r.notes),
                f"{r.detail_hash:064x}",
                _span_text(r.span),
            )
            for r in catalog.records
        ),
    )
    write_table(
        folder / REJECTED, ("path", "reason", "detail"), ((r.path, r.reason, r.detail) for r in catalog.rejected)
    )


def load_catalog(folder: Path, facts: dict[str, Any]) -> Catalog:
    """Reads back what ``save_catalog`` wrote; ``facts`` is the ``catalog`` part of ``run.json``."""
    numbers = {name: number for number, name in enumerate(facts["class_names"])}
    records = tuple(
        ImageRecord(
            path=row["path"],
            label=numbers[row["label"]],
            split=row["split"] or None,  # type: ignore[arg-type]
            group=row["group"] or None,
            width_px=int(row["width_px"]),
            height_px=int(row["height_px"]),
            mode=row["mode"],
            pixel_hash=row["pixel_hash"],
            perceptual_hash=int(row["perceptual_hash"], 16),
            detail_hash=int(row["detail_hash"], 16),
            notes=tuple(row["notes"].split()),
            span=_span_of(row.get("span", "")),
        )
        for row in read_table(folder / CATALOG)
    )
    rejected = read_table(folder / REJECTED)
    return from_dict(Catalog, facts | {"records": records, "rejected": rejected}, newer=True)


def _span_text(span: ValueSpan | None) -> str:
    """Mode, smallest and largest sample, and what the file declares; empty for 8 bits."""
    return "" if span is None else " ".join(map(str, (span.mode, span.low, span.high, *(span.declared or ()))))


def _span_of(text: str) -> ValueSpan | None:
    if not text:
        return None
    mode, low, high, *declared = text.split()
    ends = (float(declared[0]), float(declared[1])) if declared else None
    return ValueSpan(mode=mode, low=float(low), high=float(high), declared=ends)  # type: ignore[arg-type]


def save_split(folder: Path, catalog: Catalog, split: Split) -> None:
    """Writes ``split.csv``: one line an image of the catalog, in its order."""
    where = dict.fromkeys(split.dropped, "dropped")
    for name in SPLIT_NAMES:
        where |= dict.fromkeys(split.of(name), name)
    rows = ((record.path, where.get(index, ""), split.units[index]) for index, record in enumerate(catalog.records))
    write_table(folder / SPLIT, ("path", "split", "unit"), rows)


def load_split(folder: Path, facts: dict[str, Any]) -> Split:
    """Reads back what ``save_split`` wrote; ``facts`` is the ``split`` part of ``run.json``."""
    rows = read_table(folder / SPLIT)
    where = [row["split"] for row in rows]
    parts = {
        name: tuple(index for index, part in enumerate(where) if part == name)
        for name in ("train", "val", "test", "dropped")
    }
    return from_dict(Split, facts | parts | {"units": [int(row["unit"]) for row in rows]}, newer=True)


def begin(
    folder: Path, config: RunConfig, catalog: Catalog, split: Split, command: str, started: str
) -> tuple[str, str]:
    """Notes how a run began, or, when it goes on, checks that it is still the same.

    Returns:
        The command and the time with which it began.

    Raises:
        ConfigError: images, labels, split or settings are no longer those that the checkpoints were made with.
    """
    parts = {index: name for name in SPLIT_NAMES for index in split.of(name)}
    rows = [(r.path, r.pixel_hash, r.label, parts.get(index)) for index, r in enumerate(catalog.records)]
    text = _settings_of(folder, replace(config, out="")) + json.dumps([catalog.class_names, rows])
    digest = hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=16).hexdigest()
    if not (folder / START).exists():
        write_json(folder / START, {"command": command, "started": started, "digest": digest})
    first = read_json(folder / START)
    if first["digest"] != digest:
        raise ConfigError(
            f"the images, labels or settings of {folder} have changed since it was started, so what it has learnt no "
            "longer fits the split; start a new run: svertka train DATA"
        )
    return first["command"], first["started"]


def _settings_of(folder: Path, config: RunConfig) -> str:
    """The settings that the run's ``config.toml`` names, as TOML: an older svertka knew fewer than there are now."""
    values = asdict(from_dict(RunConfig, asdict(config)))
    named = tomllib.loads(read_file(folder / CONFIG).decode("utf-8", "surrogateescape"))
    if strategy_name(named["strategy"]) == config.strategy:
        values["strategy"] = named["strategy"]  # as it was called when the run began

    def some(values: dict[str, Any], named: dict[str, Any]) -> dict[str, Any]:
        return {
            name: some(values[name], inner) if isinstance(inner, dict) else values[name]
            for name, inner in named.items()
            if name in values
        }

    return _table(some(values, named), "")


# --- the whole run -----------------------------------------------------------------------------------------------


def save_run(folder: Path, run: RunRecord) -> None:
    """Writes what a finished run adds; settings, catalogue, split and predictions are there since their steps ended."""
    save_rows(folder / HISTORY, EpochRow, run.history)
    save_rows(folder / PHASES, PhaseRow, run.phases)
    save_rows(folder / DOUBTS, LabelDoubt, run.doubts)
    facts = {
        **_some(run, "name command started"),
        "catalog": _some(run.catalog, "root layout class_names notices decoded ranges"),
        "split": _some(run.split, "seed origin grouped leaks conflicts notices"),
        **_some(run, "decision order parity costs sources versions notices"),
    }
    write_json(folder / RUN, facts)
    if run.insight is not None:
        write_text(folder / EXPLAIN, json.dumps(asdict(run.insight), ensure_ascii=False) + "\n")
    write_json(folder / METRICS, run.evaluation)  # last: with it the run can be read


def load_run(folder: Path | str) -> RunRecord:
    """Reads a finished run back, so that its report can be built again without torch.

    Raises:
        NotFoundError: no run, or one that isn't finished.
        DataError: a file of it is damaged.
    """
    folder = Path(folder).expanduser()
    config = load_config(folder)
    if not (folder / METRICS).is_file():
        raise NotFoundError(f"run {folder} is not finished; go on with it: svertka train --resume {folder}")
    try:
        facts = read_json(folder / RUN)
        decision = facts["decision"]
        decision["strategy"] = strategy_name(decision["strategy"])
        decision["val_scores"] = {strategy_name(name): scores for name, scores in decision["val_scores"].items()}
        return from_dict(
            RunRecord,
            facts
            | {
                "config": config,
                "catalog": load_catalog(folder, facts["catalog"]),
                "split": load_split(folder, facts["split"]),
                "history": load_rows(folder / HISTORY, EpochRow),
                "phases": load_rows(folder / PHASES, PhaseRow) if (folder / PHASES).is_file() else (),
                "doubts": load_rows(folder / DOUBTS, LabelDoubt) if (folder / DOUBTS).is_file() else (),
                "evaluation": read_json(folder / METRICS),
                "test": load_predictions(folder / PREDICTIONS),
                "insight": read_json(folder / EXPLAIN) if (folder / EXPLAIN).is_file() else None,
            },
            newer=True,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise DataError(f"run {folder} is damaged ({type(error).__name__}: {error!s:.300}); train again.") from error


def _some(record: object, names: str) -> dict[str, Any]:
    """Some fields of a record, by name."""
    return {name: getattr(record, name) for name in names.split()}
