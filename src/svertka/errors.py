"""Every error that svertka raises on purpose.

SvertkaError
├── DataError (ValueError)            the folder or table cannot be used as it is
│   └── ImageRejected                 one file cannot be used; the scan notes it and goes on
├── ShapeError (ValueError)           an array or tensor has a shape that cannot be used
├── ConfigError (ValueError)          an option or a configuration file is wrong
├── NotFoundError (FileNotFoundError) a file, folder, backbone or run that was named does not exist
├── WeightsError (ValueError)         weights are missing, damaged or do not fit the network
├── TrainingError (ValueError)        training came to nothing
├── BundleError (ValueError)          a bundle is damaged, or its two engines disagree
├── UnfinishedError (RuntimeError)    a run was judged, but something that comes after failed
├── GraphError (ValueError)           the twin cannot run an ONNX graph: it says which operator, and why
├── RemoteError (ConnectionError)     a service elsewhere refuses, or cannot be reached
└── MissingExtraError (ImportError)   an optional part is not installed

A message says what went wrong, what was received, what was expected, and what to do next. The command line
prints it as one line and exits with code 2.
"""

import difflib
from collections.abc import Collection, Iterable, Sequence


class SvertkaError(Exception):
    """The root: catch this to catch everything that svertka raises on purpose."""


class DataError(SvertkaError, ValueError):
    """The folder or table of images cannot be used as it is."""


class ImageRejected(DataError):
    """One image file cannot be used.

    Attributes:
        reason: a short stable code such as ``"truncated"`` (see ``data.decode``).
        detail: what was found in the file, for a person.
        pixels: that it has by its header, where these are too many; else 0.
        most_pixels: that are allowed of such a file, where it has more; else 0.
    """

    def __init__(self, reason: str, detail: str, *, pixels: int = 0, most_pixels: int = 0) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.pixels = pixels
        self.most_pixels = most_pixels


class ShapeError(SvertkaError, ValueError):
    """An array or tensor has a shape that cannot be used, or sizes don't fit together."""


class ConfigError(SvertkaError, ValueError):
    """An option or a configuration file is wrong."""


class NotFoundError(SvertkaError, FileNotFoundError):
    """A file, folder, backbone or run that was named does not exist."""


class WeightsError(SvertkaError, ValueError):
    """Weights are missing, damaged or do not fit the network."""


class TrainingError(SvertkaError, ValueError):
    """Training came to nothing: the loss grew beyond all bounds before one epoch was good."""


class BundleError(SvertkaError, ValueError):
    """A bundle is damaged, or its two engines disagree."""


class UnfinishedError(SvertkaError, RuntimeError):
    """A run has learnt and was judged, and its figures are kept, but a step that comes after failed."""


class GraphError(SvertkaError, ValueError):
    """The twin cannot run an ONNX graph: it says which operator, and why."""


class RemoteError(SvertkaError, ConnectionError):
    """A service elsewhere refuses, or cannot be reached."""


class MissingExtraError(SvertkaError, ImportError):
    """An optional part of svertka is not installed."""


def one_line(error: BaseException, most: int = 300) -> str:
    """What an error says, on one line, without full stops at its end; its kind where it says nothing."""
    return (" ".join(str(error).split()) or type(error).__name__)[:most].rstrip(".")


def first_of(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def check_known(what: str, name: str, known: Collection[str], earlier: Collection[str] = ()) -> None:
    """Refuses a name that nobody knows.

    Args:
        what: the name stands for.
        name: to look for.
        known: names.
        earlier: names that are taken too; a misspelt one is recognised.

    Raises:
        ConfigError: it lists what is known.
    """
    if name not in known:
        expected = f"{' or '.join(known)}" if len(known) < 3 else f"one of {', '.join(known)}"
        raise ConfigError(f"{what} is {name!r}; expected {expected}.{did_you_mean(str(name), [*known, *earlier])}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns ``" Did you mean a, b?"`` for close matches of ``name``, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=3)
    return f" Did you mean {', '.join(close)}?" if close else ""
