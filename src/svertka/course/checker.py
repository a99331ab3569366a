"""Checks a solution of a task, and says what this system cannot hold one to."""

from pathlib import Path

from svertka.course.findings import TaskVerdict
from svertka.course.sandbox import held_by_system
from svertka.course.task_list import CourseTask
from svertka.errors import ConfigError, NotFoundError


def check(task: CourseTask, path: Path) -> TaskVerdict:
    """Checks what was handed in.

    Raises:
        NotFoundError: there is no such file or folder.
        ConfigError: it is a folder where a file is wanted.
        DataError: it cannot be read.
        MissingExtraError: the check needs what isn't installed.
    """
    if not path.exists():
        raise NotFoundError(
            f"{path} does not exist; expected what you hand in for {task.name}. To begin: svertka course start "
            f"{task.name}"
        )
    if path.is_dir() and not task.folder:
        raise ConfigError(f"{path} is a folder; expected the file {task.file} as 'svertka course start' writes it.")
    findings = tuple(task.findings(path))
    return TaskVerdict(task=task.name, findings=findings, unlimited=unlimited() if task.is_code else ())


def unlimited() -> tuple[str, ...]:
    """What this system cannot hold a hostile solution to (codes): where Python's own guard is all there is."""
    held = held_by_system()
    return tuple(what for what in ("files", "network", "processes", "memory") if what not in held)
