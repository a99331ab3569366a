"""Holds NumPy's BLAS to one thread while our own threads share the work."""

import ctypes
import os
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

# OpenBLAS as NumPy's wheels name it, then as distributions do.
_SYMBOLS = [f"{prefix}openblas_{{}}_num_threads{suffix}" for prefix in ("scipy_", "") for suffix in ("64_", "_64", "")]

_lock, _holders, _before, _local = threading.RLock(), 0, 1, threading.local()


class one_thread:
    """One BLAS thread for each caller. Nested and parallel uses count; the last one out restores what was set before.

    Small products enter it thousands of times a second, so it is no generator. An interrupt that comes between entering
    and leaving must not hold BLAS back for ever, so what is lost gives its hold back when it is deleted.

    Where BLAS isn't OpenBLAS (Accelerate on a Mac, MKL), nothing is changed: these share their threads by themselves.
    """

    _thread: "dict[str, int] | None" = None  # of the thread that holds, while it does

    def __enter__(self) -> None:
        global _holders, _before
        if (library := _openblas()) is None:
            return
        with _lock:
            if _holders == 0:
                _before = int(library[0]())
                if _before != 1:
                    library[1](1)
            thread = _local.__dict__
            depth = thread.get("depth", 0)
            _holders, self._thread, thread["depth"] = _holders + 1, thread, depth + 1

    def __exit__(self, *_: object) -> None:
        self._release()

    def __del__(self) -> None:
        if self._thread is not None:
            self._release()

    def _release(self) -> None:
        global _holders
        if (library := _openblas()) is None or (thread := self._thread) is None:
            return
        with _lock:
            depth = max(0, thread["depth"] - 1)
            left = max(0, _holders - 1)  # a child that was forked in here had its holders forgotten
            _holders, self._thread, thread["depth"] = left, None, depth
            if _holders == 0 and _before != 1:
                library[1](_before)


def threads() -> int:
    """How many threads the caller may share work among: BLAS's; 1 inside of shared work, or where nothing tells."""
    library = _openblas()
    if library is None or _local.__dict__.get("depth", 0):
        return 1
    return _before if _holders else int(library[0]())


def _forget_holders() -> None:
    """In a forked child, which has none of the parent's other threads: they would hold BLAS, or the lock, for ever."""
    global _lock, _holders, _local
    library = _openblas()
    if library is not None and _holders:
        library[1](_before)
    _lock, _holders, _local = threading.RLock(), 0, threading.local()


@cache
def _openblas() -> tuple[Any, Any] | None:
    """Functions of the OpenBLAS that NumPy has loaded: how many threads it uses, and how many it shall use."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):
        for file in sorted(folder.glob("*openblas*")) if folder.is_dir() else ():
            try:
                library = ctypes.CDLL(str(file))  # already loaded: this gives the same one
            except OSError:
                continue
            for symbol in _SYMBOLS:
                if hasattr(library, symbol.format("get")):
                    return getattr(library, symbol.format("get")), getattr(library, symbol.format("set"))
    return None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_holders)
