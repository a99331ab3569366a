"""Holds NumPy's BLAS to one thread while threads of our own share the work: each calls it on its own blocks."""

import ctypes
import os
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

# OpenBLAS as NumPy's wheels name it, then as distributions do.
_SYMBOLS = [f"{prefix}openblas_{{}}_num_threads{suffix}" for prefix in ("scipy_", "") for suffix in ("64_", "_64", "")]

_lock, _holders, _before = threading.Lock(), 0, 1


class one_thread:
    """One BLAS thread for each caller. Nested and parallel uses count; the last one out restores what was set before.

    Small products enter it thousands of times a second, so it is no generator.

    Where BLAS isn't OpenBLAS (Accelerate on a Mac, MKL), nothing is changed: these share their threads by themselves.
    """

    def __enter__(self) -> None:
        global _holders, _before
        if (library := _openblas()) is None:
            return
        with _lock:
            if _holders == 0:
                _before = library[0]()
                if _before != 1:
                    library[1](1)
            _holders += 1

    def __exit__(self, *_: object) -> None:
        global _holders
        if (library := _openblas()) is None:
            return
        with _lock:
            _holders = max(0, _holders - 1)  # a child that was forked in here had its holders forgotten
            if _holders == 0 and _before != 1:
                library[1](_before)


def threads() -> int:
    """Threads that BLAS may use at the moment; 1 where that can't be told."""
    library = _openblas()
    return 1 if library is None else int(library[0]())


def _forget_holders() -> None:
    """In a forked child, which has none of the parent's other threads: they would hold BLAS, or the lock, for ever."""
    global _lock, _holders
    library = _openblas()
    if library is not None and _holders:
        library[1](_before)
    _lock, _holders = threading.Lock(), 0


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
