"""Process-wide settings: set once at start-up, reported in every run.

Two things decide how fast a convolutional network runs on an ordinary processor, and neither changes a result:
how many threads compute, and whether the C library gives memory back to the system after every layer.
"""

import ctypes
import os
import platform
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module, metadata

from svertka.errors import ConfigError

# Parameters of mallopt(3), from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -3, -4, -8
_TOP_PAD_BYTES = 64 << 20
_MAPPED_BYTES = 1 << 19


@dataclass(frozen=True, slots=True)
class Runtime:
    """What was set: compute threads, and whether freed memory stays with the process."""

    threads: int
    allocator_kept: bool


def setup(threads: int = 0) -> Runtime:
    """Sets threads and allocator; call it before the first large allocation, best before torch is imported.

    Args:
        threads: for compute, see ``compute_threads``; 0 means ``OMP_NUM_THREADS`` first.
    """
    threads = compute_threads(threads or _threads_of_environment())
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)  # torch reads it when it is imported
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    return Runtime(threads=threads, allocator_kept=keep_freed_memory())


def _threads_of_environment() -> int:
    """The first number of ``OMP_NUM_THREADS``, 0 where it is none: OpenMP passes over it too."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() else 0


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Inside, Ctrl-C and SIGTERM take effect at the end: C++ that calls back into Python aborts on or loses them."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    waiting = {number: handler for number, handler in handlers.items() if callable(handler)}  # what is ignored stays so
    came: list[int] = []
    for number in waiting:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in waiting.items():
            signal.signal(number, handler)
    if came:
        waiting[signal.Signals(came[0])](came[0], None)


def import_torch() -> None:
    """Imports torch, with Ctrl-C held back: interrupted while its C++ starts, the process aborts."""
    with interrupts_wait():
        import_module("torch")  # by name: a module that doesn't call this stays free of torch


def compute_threads(asked: int) -> int:
    """Threads that compute: as many as asked for, at most one for each processor that this process may use; 0: all.

    Raises:
        ConfigError: fewer than 0 are asked for.
    """
    if asked < 0:
        raise ConfigError(f"threads is {asked}; expected 0 (all processors) or more.")
    return min(asked or available_cores(), available_cores())


def available_cores() -> int:
    """Processors that this process may run on (its affinity mask where the system has one)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def give_back_memory() -> bool:
    """Tells glibc to return large blocks to the system as they are freed; the opposite of ``keep_freed_memory``.

    For a process that runs for weeks: by default the limit above which a block is mapped for itself grows with what is
    freed, up to 32 MB, so each thread would hold on to the memory of the largest image that it has decoded.

    Returns:
        As ``keep_freed_memory``.
    """
    return _tell_malloc({_M_MMAP_THRESHOLD: _MAPPED_BYTES, _M_ARENA_MAX: 2})


def trim_memory() -> None:
    """Gives what is free now back to the system: worth it after something large that happens rarely."""
    with suppress(OSError, AttributeError, TypeError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)


def keep_freed_memory() -> bool:
    """Tells glibc to keep freed blocks instead of returning them to the system.

    By default glibc maps every block above 32 MB afresh, and the kernel then hands out and clears its pages one by
    one: in an eager forward pass at batch 32 that is more than half of the time. With one arena and no mapping,
    a layer reuses the block that the last layer freed.

    Returns:
        True if the allocator was set, False where there is no glibc (macOS, Windows, musl).
    """
    return _tell_malloc({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1, _M_TOP_PAD: _TOP_PAD_BYTES, _M_ARENA_MAX: 1})


def _tell_malloc(settings: Mapping[int, int]) -> bool:
    try:
        mallopt = ctypes.CDLL(None).mallopt
        ctypes.CDLL(None).gnu_get_libc_version  # noqa: B018 (musl has a mallopt that does nothing, but not this)
    except (OSError, AttributeError, TypeError):
        return False
    return all(mallopt(name, value) == 1 for name, value in settings.items())


def peak_memory_mb() -> float:
    """Peak resident memory of this process so far, in megabytes (0.0 where the system doesn't tell)."""
    try:
        # Linux hands the parent's peak in getrusage on to a child; this one starts anew.
        with open("/proc/self/status", encoding="utf-8") as lines:  # noqa: PTH123 (a device file, read line by line)
            return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / (1 << 10)
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Versions of Python, of the named packages that are installed, and what machine this is."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    found["machine"] = f"{platform.system()} {platform.machine()}, {processor_name()}"
    return found


def processor_name() -> str:
    """The processor as the system names it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 (a device file, read line by line)
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown processor"
