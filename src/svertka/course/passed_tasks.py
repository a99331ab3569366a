"""Which tasks were passed, when, and with which file: one JSON file among the user's own data, not in the cache."""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from svertka.course.task_list import TASKS, CourseTask
from svertka.errors import DataError
from svertka.util.atomic_files import read_file, sha256, write_json
from svertka.util.from_dict import from_dict
from svertka.util.version import __version__

_LARGEST = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Passed:
    """A task that was passed.

    Attributes:
        when: of the first time, ISO 8601 with time zone.
        svertka: the version that checked it then.
        file: its name.
        sha256: of the file; of a folder that of its figures' names and content.
    """

    when: str
    svertka: str
    file: str
    sha256: str


def progress_file() -> Path:
    """Where it lies: ``$SVERTKA_DATA``, else the platform's place for data of programs."""
    if named := os.environ.get("SVERTKA_DATA"):
        return Path(named).expanduser() / "course.json"
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "svertka" / "course.json"


def read_passed(file: Path | None = None) -> dict[str, Passed]:
    """Passed tasks by name; what isn't understood is passed over, and no file means that nothing was passed."""
    tasks = _content(file or progress_file()).get("tasks")
    found: dict[str, Passed] = {}
    for name, value in tasks.items() if isinstance(tasks, dict) else ():
        with suppress(TypeError):
            found[str(name)] = from_dict(Passed, value, newer=True)
    return found


def note_passed(task: CourseTask, path: Path, file: Path | None = None) -> None:
    """Notes that a task was passed; the first time counts, and what others have written into the file stays.

    Raises:
        DataError: the file cannot be written.
    """
    place = file or progress_file()
    if task.name in read_passed(place):
        return
    when = datetime.now().astimezone().isoformat(timespec="seconds")
    new = Passed(when=when, svertka=__version__, file=path.name, sha256=digest(path))
    content = _content(place)
    tasks = content.get("tasks")
    content["tasks"] = (tasks if isinstance(tasks, dict) else {}) | {task.name: asdict(new)}
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_json(place, content)
    except OSError as error:
        raise DataError(
            f"{task.name} is passed, but {place} cannot be written ({error.strerror}); name another folder by the "
            "variable SVERTKA_DATA."
        ) from None


def progress(passed: Mapping[str, Passed]) -> dict[str, Any]:
    """What a teacher reads: every task with when it was passed, or null."""
    return {
        "svertka": __version__,
        "passed": sum(task.name in passed for task in TASKS),
        "of": len(TASKS),
        "tasks": {task.name: asdict(passed[task.name]) if task.name in passed else None for task in TASKS},
    }


def digest(path: Path) -> str:
    """Hex digest of a file; of a folder, of its metrics and predictions, which are what was judged."""
    files = [path] if path.is_file() else [path / name for name in ("metrics.json", "predictions.csv", "split.csv")]
    return sha256(b"\0".join(read_file(each) for each in files if each.is_file()))


def _content(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_file(file, _LARGEST).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
