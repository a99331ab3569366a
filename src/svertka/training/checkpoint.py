"""Checkpoints: one safetensors file, written whole or not at all. Imports torch.

A file holds tensors by name, one JSON text and the SHA-256 of both; it is no pickle, and reading it runs no code.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from svertka.errors import DataError
from svertka.util.atomic_files import open_regular


def save_state(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Writes tensors and JSON-able facts; an interrupted write leaves the old file as it was."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".part")
    whole, text = {name: tensor.contiguous() for name, tensor in tensors.items()}, json.dumps(facts)
    save_file(whole, fresh, {"facts": text, "sha256": _digest(whole, text)})
    fresh.replace(path)


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what ``save_state`` wrote.

    Raises:
        DataError: the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        open_regular(path).close()
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            metadata = file.metadata()
        if metadata.keys() != {"facts"} and metadata["sha256"] != _digest(
            tensors, metadata["facts"]
        ):  # older: no digest
            raise ValueError("its SHA-256 differs")
        facts = json.loads(metadata["facts"])
    except (SafetensorError, OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"checkpoint {path} is damaged ({error}); delete it and resume: training starts again."
        ) from error
    return tensors, facts


def _digest(tensors: dict[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as named tensors (``optimizer.<parameter number>.<what>``)."""
    state = optimizer.state_dict()["state"]
    return {f"optimizer.{number}.{name}": value for number, entry in state.items() for name, value in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Puts back what ``optimizer_tensors`` took, in the memory format of a fresh state: same loops, same bits."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, number, name = key.split(".", 2)
            in_format = value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
            state.setdefault(int(number), {})[name] = in_format
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
