"""The process in which a solution runs: limits first, then requests, one line of JSON each, and as many answers.

Started by ``sandbox``, never imported by it. What the solution prints goes nowhere; what it may not do is told by an
audit hook, which cannot be taken off again, in one message after which the process ends. The hook is for the words, the
kernel (see ``kernel_limits``) for the strength, where there is one that can.
"""

import builtins
import json
import os
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from svertka.course.kernel_limits import limit_process

_FILES = frozenset({
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "os.utime", "os.setxattr", "os.removexattr", "shutil.rmtree", "shutil.move", "shutil.copyfile",
})  # fmt: skip
_PROCESSES = frozenset({
    "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system", "os.spawn", "os.startfile", "os.kill",
    "os.killpg", "subprocess.Popen", "pty.spawn", "_winapi.CreateProcess", "_winapi.TerminateProcess",
})  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_LIBRARIES = frozenset({"ctypes.dlopen", "ctypes.dlsym"})
_LONGEST = 300
REFUSED_CODE = 77
"""With which the process ends after it has said what was refused."""


class Conversation:
    """Lines to and from svertka, on descriptors of their own: the standard ones lead nowhere from here on."""

    def __init__(self) -> None:
        self._requests = os.fdopen(os.dup(0), "rb")
        self._answers = os.dup(1)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nowhere, standard)
        os.close(nowhere)

    def requests(self) -> Iterator[dict[str, Any]]:
        """What svertka asks, until it has gone."""
        for line in self._requests:
            yield json.loads(line)

    def answer(self, value: dict[str, Any]) -> None:
        """Says one thing."""
        rest = memoryview(json.dumps(value).encode() + b"\n")
        while rest:
            rest = rest[os.write(self._answers, rest) :]


class AuditGuard:
    """The audit hook: says what a solution tries that it may not, with the line of its file, and ends the process.

    What a library tries while it is imported is refused without a word: many look for programs, or write caches. It may
    load native libraries of its own.
    """

    def __init__(self, folder: str, say: Callable[[dict[str, Any]], None]) -> None:
        self.file = ""
        self._folder = os.path.realpath(folder)
        self._say = say

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Hears of everything that Python does."""
        what = self._refused(event, arguments)
        if what is None:
            return
        line, importing = self._where()
        if importing and what == "libraries":
            return
        if importing:
            raise PermissionError(f"{event} of {_detail(arguments)!r} is not allowed here")
        self._say({"refused": what, "event": event, "line": line, "detail": _detail(arguments)})
        os._exit(REFUSED_CODE)

    def _refused(self, event: str, arguments: tuple[Any, ...]) -> str | None:
        if event == "open":
            path, mode, flags = arguments
            writes = any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(flags & _WRITING)
            return "files" if writes and not self._inside(path) else None
        if event in _FILES:
            return None if all(map(self._inside, arguments[: 2 if len(arguments) > 1 else 1])) else "files"
        if event in _PROCESSES:
            return "processes"
        if event.startswith("socket."):
            return "network"
        return "libraries" if event in _LIBRARIES else None

    def _inside(self, path: Any) -> bool:
        if isinstance(path, int):  # opened before, so looked at before; or a number among the arguments
            return True
        try:
            real = os.path.realpath(os.fsdecode(path))
        except (TypeError, ValueError):
            return True  # no path, or one that cannot be
        return real in (self._folder, os.path.realpath(os.devnull)) or real.startswith(self._folder + os.sep)

    def _where(self) -> tuple[int, bool]:
        """The line of the solution that is running, 0 where it isn't known, and whether a library is being imported."""
        frame: types.FrameType | None = sys._getframe(2)
        while frame is not None:
            name = frame.f_code.co_filename
            if self.file and name == self.file:
                return frame.f_lineno, False
            if name.startswith("<frozen importlib"):
                return 0, True
            frame = frame.f_back
        return 0, False


def _detail(arguments: tuple[Any, ...]) -> str:
    first = next((each for each in arguments if isinstance(each, str | bytes)), "")
    return os.fsdecode(first)[:_LONGEST]


def main() -> None:
    """Answers requests until there are no more."""
    conversation = Conversation()
    requests = conversation.requests()
    start = next(requests)
    folder = start["folder"]
    os.chdir(folder)
    limited = _limit_resources(start["limits"])
    limited += limit_process(folder)
    guard = AuditGuard(folder, conversation.answer)
    sys.addaudithook(guard)
    conversation.answer({"ready": limited})
    solution = Solution(guard)
    for request in requests:
        conversation.answer(solution.reply(request))
    os._exit(0)


def _limit_resources(limits: dict[str, int]) -> tuple[str, ...]:
    """Sets limits of this process; returns what the system keeps to."""
    try:
        import resource
    except ImportError:  # Windows
        return ()
    wanted = {
        "RLIMIT_CPU": limits["cpu_s"],
        "RLIMIT_AS": limits["memory_bytes"],
        "RLIMIT_FSIZE": limits["file_bytes"],
        "RLIMIT_CORE": 0,
    }
    for name, value in wanted.items():
        with suppress(ValueError, OSError, AttributeError):
            resource.setrlimit(getattr(resource, name), (value, value))
    return ("memory",) if sys.platform == "linux" else ()


class Solution:
    """The student's file, loaded once, whose functions are called; whatever they raise is an answer, too."""

    def __init__(self, guard: AuditGuard) -> None:
        self._guard = guard
        self._names: dict[str, Any] = {}

    def reply(self, request: dict[str, Any]) -> dict[str, Any]:
        """Does what is asked."""
        try:
            return getattr(self, f"_{request.pop('do')}")(**request)  # type: ignore[no-any-return]
        except BaseException as error:
            return {"raised": self._raised(error)}

    def _load(self, source: str, file: str) -> dict[str, Any]:
        self._guard.file = file
        module = types.ModuleType("solution")
        module.__dict__["__builtins__"] = builtins
        module.__file__ = file
        sys.modules["solution"] = module
        exec(compile(source, file, "exec"), module.__dict__)
        self._names = module.__dict__
        return {"value": sorted(name for name, value in self._names.items() if callable(value))}

    def _get(self, name: str) -> dict[str, Any]:
        from svertka.course.plain_values import to_plain

        return {"value": to_plain(self._names.get(name))}

    def _call(self, function: str, arguments: Any) -> dict[str, Any]:
        """Calls a function; tells which array arguments it has changed."""
        from svertka.course.plain_values import from_plain, to_plain

        given = from_plain(arguments)
        before = json.dumps(to_plain(given))
        value = to_plain(self._names[function](**given))
        after = to_plain(given)
        changed = [
            name for (name, old), (_, new) in zip(json.loads(before)["dict"], after["dict"], strict=True)
            if json.dumps(old) != json.dumps(new)
        ]  # fmt: skip
        return {"value": value, "changed": changed}

    def _probe(self, probe: str, settings: Any) -> dict[str, Any]:
        """Runs one of the longer looks of ``probes`` at the solution, which would take too many calls from outside."""
        from svertka.course import probes
        from svertka.course.plain_values import from_plain, to_plain

        return {"value": to_plain(getattr(probes, probe)(self._names, **from_plain(settings)))}

    def _raised(self, error: BaseException) -> dict[str, Any]:
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == self._guard.file
        ]
        line = lines[-1] if lines else getattr(error, "lineno", None) if isinstance(error, SyntaxError) else 0
        try:
            text = str(error)[:_LONGEST]
        except BaseException:
            text = ""
        return {"kind": type(error).__name__[:100], "text": text, "line": line or 0}
