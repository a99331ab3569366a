"""The process of a command: standard streams, SIGTERM, and errors in one line."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from svertka.cli.extras import extra_of


class Stop:
    """Makes SIGTERM, as ``kill``, systemd and schedulers send it, what Ctrl-C is: results are kept, files tidied up.

    Attributes:
        code: with which the process then ends, 143 as shells count; 0 while no signal has come.
    """

    def __init__(self) -> None:
        self.code = 0
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, number: int, _: object) -> None:
        self.code = 128 + number
        raise KeyboardInterrupt


@contextmanager
def streams() -> Iterator[None]:
    """Standard streams on which names cannot act, and that stand for themselves even where the caller closed them."""
    from svertka.cli.output import TerminalStream

    while (spare := os.open(os.devnull, os.O_RDWR)) < 3:  # or the next file that is opened would be taken for one
        pass
    os.close(spare)
    before = sys.stdout, sys.stderr
    if sys.stderr is None:  # print(file=None) would mix what is said into the answers
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a name that the terminal cannot show costs no result
    sys.stdout, sys.stderr = sys.stdout and TerminalStream(sys.stdout), TerminalStream(sys.stderr)
    try:
        yield
    finally:
        if isinstance(sys.stderr, TerminalStream):  # unless a reader has gone, and something else keeps that quiet
            sys.stdout, sys.stderr = before


def one_message(error: Exception) -> str | None:
    """What is said of an error; None where only a traceback helps."""
    from svertka.errors import SvertkaError

    if isinstance(error, SvertkaError):
        return str(error)
    if isinstance(error, ImportError) and (extra := extra_of(error)):
        return f"this needs {error.name}, not installed here; run: pip install 'svertka[{extra}]'"
    if isinstance(error, OSError) and error.filename is not None:
        from svertka.cli.output import phrase

        return phrase("kept.system", path=str(error.filename), why=str(error.strerror))
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG):
        from svertka.data.pixels import cache_dir

        return (
            f"a file could not be written ({error.strerror}). Free some space, or name another disk: --out for "
            f"results, the variable SVERTKA_CACHE for the cache, which is {cache_dir()} now."
        )
    return None
