"""Runs a student's file in a process of its own, with limits, and asks it questions. The truth stays on this side.

Limits: wall and processor time, memory, size of files, a working folder that is deleted afterwards, an environment
without the user's variables; on Linux the kernel itself refuses other processes, the network and foreign files (see
``kernel_limits``). Elsewhere Python's audit hook refuses the same, which hostile native code could go past, and memory
has no limit. Answers are JSON of limited size; none is believed before it is checked.
"""

import json
import os
import queue
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

from svertka.course.plain_values import from_plain, to_plain
from svertka.course.student_process import REFUSED_CODE
from svertka.errors import DataError, NotFoundError
from svertka.util.atomic_files import read_file

LARGEST_SOURCE = 1 << 20
_LARGEST_ANSWER = 32 << 20
_LARGEST_FOLDER = 64 << 20
_LOOK_S = 0.1
_LINES_WAITING = 4
_PREFIX = "svertka-course-"
_ABANDONED_S = 3600.0
_BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from svertka.course.student_process import main; main()"
)
_KEPT_VARIABLES = ("PATH", "SYSTEMROOT", "WINDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")

Why = Literal["time", "memory", "files", "network", "processes", "libraries", "disk", "ended", "garbage"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StudentLimits:
    """What a solution may use: the whole of it, not each call."""

    seconds: float = 20.0
    """From the first call to the last, wall time; starting Python isn't counted."""
    start_seconds: float = 60.0
    memory_bytes: int = 2 << 30
    file_bytes: int = 16 << 20


class Stopped(Exception):
    """A solution was stopped, or its process has ended.

    Attributes:
        why: a code.
        line: of its file, 0 where it isn't known.
        detail: a path or an exit code, for a person.
    """

    def __init__(self, why: Why, line: int = 0, detail: str = "") -> None:
        super().__init__(why)
        self.why: Why = why
        self.line = line
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Raised:
    """What a solution raised, and in which line of its file (0: not known)."""

    kind: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to.

    Attributes:
        value: an array, a plain value, or ``Unreadable``; None where something was raised.
        changed: names of the arguments that the call has changed.
    """

    value: Any = None
    changed: tuple[str, ...] = ()
    raised: Raised | None = None


@dataclass
class Student:
    """A student's file in its process. Use it in a ``with`` statement: afterwards the process is gone, and its folder.

    Attributes:
        refused_by_kernel: ``"files"``, ``"network"``, ``"processes"``, ``"memory"``: what the system itself holds.
    """

    file: Path
    limits: StudentLimits = field(default_factory=StudentLimits)
    refused_by_kernel: tuple[str, ...] = ()

    def __enter__(self) -> "Student":
        """Starts the process.

        Raises:
            Stopped: it doesn't come up.
        """
        self._source = source_of(self.file)
        _sweep()
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lines: queue.Queue[bytes] = queue.Queue(_LINES_WAITING)
        self._requests: queue.Queue[bytes] = queue.Queue()
        self._left_s = self.limits.seconds
        paths = [str(Path(each).absolute()) for each in sys.path if each]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", _BOOT, json.dumps(paths)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=self._folder,
            env=_environment(str(self._folder)), start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self._threads = (
            threading.Thread(target=_read, args=(self._process.stdout, self._lines), daemon=True),
            threading.Thread(target=_write, args=(self._process.stdin, self._requests), daemon=True),
        )
        for thread in self._threads:
            thread.start()
        try:
            self._begin()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Ends the process and all that it has started, and deletes its folder."""
        self._end()

    def load(self) -> Answer:
        """Runs the file, as an import does; the value is the list of names that can be called.

        Raises:
            Stopped: see there.
        """
        return self._ask({"do": "load", "source": self._source, "file": self.file.name}, self.limits.start_seconds)

    def get(self, name: str) -> Any:
        """The value of a variable of the file, None if there is none."""
        return self._ask({"do": "get", "name": name}).value

    def call(self, function: str, **arguments: Any) -> Answer:
        """Calls a function of the file.

        Raises:
            Stopped: see there.
        """
        return self._ask({"do": "call", "function": function, "arguments": to_plain(arguments)})

    def probe(self, name: str, **settings: Any) -> Answer:
        """Runs a function of ``probes`` in the process of the file.

        Raises:
            Stopped: see there.
        """
        return self._ask({"do": "probe", "probe": name, "settings": to_plain(settings)})

    # --- the conversation ------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        limits = {
            "cpu_s": int(self.limits.seconds + self.limits.start_seconds) + 1,
            "memory_bytes": self.limits.memory_bytes,
            "file_bytes": self.limits.file_bytes,
        }
        self._send({"folder": str(self._folder), "limits": limits})
        answer = self._receive(self.limits.start_seconds)
        self.refused_by_kernel = tuple(map(str, answer.get("ready", ())))

    def _ask(self, request: dict[str, Any], seconds: float | None = None) -> Answer:
        self._send(request)
        asked = time.monotonic()
        answer = self._receive(self._left_s if seconds is None else seconds)
        if seconds is None:
            self._left_s -= time.monotonic() - asked
        return _checked(answer)

    def _send(self, request: dict[str, Any]) -> None:
        self._requests.put(json.dumps(request).encode() + b"\n")

    def _receive(self, seconds: float) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=_LOOK_S)
                break
            except queue.Empty:
                if time.monotonic() > until:
                    raise Stopped("time", detail=f"{seconds:.0f}") from None
                if _size(self._folder) > _LARGEST_FOLDER:
                    raise Stopped("disk") from None
        if not line:
            raise self._ended()
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            raise Stopped("garbage") from None
        if not isinstance(answer, dict):
            raise Stopped("garbage")
        if "refused" in answer:
            raise _refusal(answer)
        return answer

    def _ended(self) -> Stopped:
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:  # it has closed its end, or said too much
            return Stopped("garbage")
        if code == -getattr(signal, "SIGXCPU", 1000):
            return Stopped("time")
        if code == -getattr(signal, "SIGXFSZ", 1000):
            return Stopped("disk")
        if code == -getattr(signal, "SIGKILL", 1000):  # as the system does it that has no memory left
            return Stopped("memory")
        return Stopped("garbage") if code == REFUSED_CODE else Stopped("ended", detail=str(code))

    def _end(self) -> None:
        """Kills the process's group, which is its session's, too."""
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._requests.put(b"")
        while self._threads[0].is_alive():  # what it still had to say, or its reader would wait for ever
            with suppress(queue.Empty):
                self._lines.get(timeout=0.01)
        for thread, stream in zip(self._threads, (self._process.stdout, self._process.stdin), strict=True):
            assert stream is not None
            thread.join()
            with suppress(OSError):
                stream.close()
        _delete(self._folder)


def source_of(file: Path) -> str:
    """The text of a student's file.

    Raises:
        NotFoundError: there is no such file.
        DataError: it cannot be read, is larger than a megabyte, or is no UTF-8.
    """
    if not file.exists():
        raise NotFoundError(f"{file} does not exist; expected your solution. 'svertka course start' writes a file.")
    try:
        return read_file(file, LARGEST_SOURCE).decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}); expected your solution, a text file.") from None
    except UnicodeDecodeError:
        raise DataError(f"{file} is no UTF-8 text; expected your solution. Save it as UTF-8.") from None


def _environment(folder: str) -> dict[str, str]:
    """Nothing of the user's but where programs and libraries are."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    here = (
        "HOME USERPROFILE APPDATA LOCALAPPDATA TMPDIR TEMP TMP XDG_CACHE_HOME XDG_CONFIG_HOME MPLCONFIGDIR TORCH_HOME"
    )
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return kept | dict.fromkeys(here.split(), folder) | one | {"PYTHONUTF8": "1", "MPLBACKEND": "agg"}


def _read(stream: IO[bytes], lines: "queue.Queue[bytes]") -> None:
    """Passes lines on; an empty one ends it, and so does one that is too long."""
    with suppress(OSError, ValueError):  # closed meanwhile
        while (line := stream.readline(_LARGEST_ANSWER)).endswith(b"\n"):
            lines.put(line)
    lines.put(b"")


def _write(stream: IO[bytes], requests: "queue.Queue[bytes]") -> None:
    """Passes requests on until an empty one: who doesn't read them keeps this thread waiting, and nobody else."""
    with suppress(OSError, ValueError):  # it has ended; the answer that doesn't come says why
        while request := requests.get():
            stream.write(request)
            stream.flush()


def _size(folder: Path) -> int:
    """Bytes in a folder, at least a page for each name, as far as paths can be followed."""
    total, folders = 0, [str(folder)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                total += max(4096, entry.stat(follow_symlinks=False).st_size)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
    return total


def _delete(folder: Path) -> None:
    """Deletes a folder, however deep; what lies deeper than paths reach comes up first."""
    number = 0
    with suppress(OSError):
        while entries := list(os.scandir(folder)):
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    Path(entry.path).unlink()
                    continue
                Path(entry.path).chmod(0o700)
                for inner in list(os.scandir(entry.path)):
                    number += 1
                    Path(inner.path).rename(folder / f"{number}-{uuid.uuid4().hex}")
                Path(entry.path).rmdir()
    shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """Deletes what checks have left that were killed themselves, an hour ago or longer."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            found = folder.lstat()
            own = stat.S_ISDIR(found.st_mode) and found.st_uid == getattr(os, "getuid", lambda: 0)()
            if own and time.time() - found.st_mtime > _ABANDONED_S:
                _delete(folder)


def held_by_system() -> tuple[str, ...]:
    """What the system itself refuses a solution here, as a process that has asked for it says."""
    with tempfile.NamedTemporaryFile(suffix=".py") as empty, Student(Path(empty.name)) as student:
        return student.refused_by_kernel


def _refusal(answer: dict[str, Any]) -> Stopped:
    why, line, detail = answer["refused"], answer.get("line"), answer.get("detail")
    known = why in ("files", "network", "processes", "libraries")
    return Stopped(
        why if known else "garbage", line if isinstance(line, int) else 0, detail if isinstance(detail, str) else ""
    )


def _checked(answer: dict[str, Any]) -> Answer:
    """An answer as a record.

    Raises:
        Stopped: it is none, or memory was not enough.
    """
    try:
        if "raised" in answer:
            kind, text, line = (answer["raised"][name] for name in ("kind", "text", "line"))
            if kind == "MemoryError":
                raise Stopped("memory", int(line))
            return Answer(raised=Raised(str(kind), str(text), int(line)))
        return Answer(from_plain(answer["value"]), tuple(map(str, answer.get("changed", ()))))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise Stopped("garbage") from None
