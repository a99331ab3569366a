"""``svertka course``: its pages, its tasks, begun and checked on this computer, and what was passed."""

import json
import locale
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from svertka.cli.options import Language
from svertka.cli.output import PLAIN_SPACES, in_a_folder, phrase, speak, terminal
from svertka.errors import ConfigError

TaskName = Annotated[str, typer.Argument(help="Its name; svertka course tasks lists all.")]


def open(language: Language = "") -> None:
    """Writes the pages into the cache and opens them in the default browser.

    Raises:
        DataError: the cache cannot be written.
    """
    import webbrowser

    from svertka.course.site import address, write_site
    from svertka.data.pixels import cache_dir

    _speak(language)
    page = write_site(cache_dir() / "course")
    is_open = webbrowser.open(address(page, language))
    print(terminal()(f"course.page.{'opened' if is_open else 'to_open'}", path=page))


def build(
    out: Annotated[str, typer.Argument(metavar="OUT", help="Folder to write the pages into.")],
    language: Language = "",
) -> None:
    """Writes the pages into a folder; an older course in it is replaced, other files never are.

    Raises:
        ConfigError: the folder holds something else.
        NotFoundError: the folder that it lies in doesn't exist.
    """
    from svertka.course.site import write_site

    _speak(language)
    page = write_site(in_a_folder(Path(out).expanduser()))
    print(terminal()("course.page.built", path=page, size=page.stat().st_size / 1e6))


def tasks(language: Language = "") -> None:
    """Lists the tasks by chapter; those that were passed have a mark."""
    from svertka.course.passed_tasks import read_passed
    from svertka.course.wording import task_lines

    _speak(language)
    _print(task_lines(read_passed(), terminal()))


def start(
    task: TaskName,
    out: Annotated[str, typer.Option(help="File to write [default: named after the task].")] = "",
    language: Language = "",
) -> None:
    """Writes the file with which a task begins: what is asked, and the bare form of the answer.

    Raises:
        ConfigError: there is no such task, or the file is there already.
        NotFoundError: its folder doesn't exist.
    """
    from svertka.course.starters import starter
    from svertka.course.task_list import find_task
    from svertka.util.atomic_files import write_text

    spoken = _speak(language)
    chosen = find_task(task)
    path = in_a_folder(Path(out or chosen.file).expanduser())
    if os.path.lexists(path):
        raise ConfigError(f"{path} is there already and is not overwritten; name another file with --out.")
    write_text(path, starter(chosen, spoken))
    print(phrase("written", path=path))
    print(terminal()("course.to_check", name=chosen.name, file=path))


def check(
    task: TaskName,
    path: Annotated[str, typer.Argument(metavar="FILE|RUN", help="Your solution.")],
    language: Language = "",
) -> int:
    """Checks a solution here, code in a process of its own with limits; a wrong one is met with a counterexample.

    Returns:
        The exit code: 0 if the task is passed, 1 if not yet.

    Raises:
        ConfigError: there is no such task.
        NotFoundError: there is no such file.
        MissingExtraError: the check needs a package that isn't installed.
    """
    from svertka.course.checker import check as check_solution
    from svertka.course.passed_tasks import note_passed
    from svertka.course.task_list import find_task
    from svertka.course.wording import verdict_lines

    _speak(language)
    chosen, file = find_task(task), Path(path).expanduser()
    verdict = check_solution(chosen, file)
    _print(verdict_lines(verdict, terminal()))
    if not verdict.passed:
        return 1
    note_passed(chosen, file)
    return 0


def progress() -> None:
    """Prints as JSON which tasks were passed, when, and with which file, for a teacher."""
    from svertka.course import passed_tasks

    print(json.dumps(passed_tasks.progress(passed_tasks.read_passed()), ensure_ascii=False, indent=2))


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line.translate(PLAIN_SPACES))


def _speak(language: str) -> str:
    """Makes the terminal speak the language that was asked for, else that of the locale."""
    return speak(language or locale_language())


def locale_language() -> str:
    """``"ru"`` where the user's environment speaks Russian, else ``"en"``."""
    names = (os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    named = next(filter(None, names), "") or locale.getlocale()[0] or ""
    return "ru" if named.casefold().startswith("ru") else "en"
