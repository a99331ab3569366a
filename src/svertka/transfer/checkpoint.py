"""Training state on disk: one safetensors file, written whole or not at all. Torch by nature.

A file holds tensors by name and one JSON text; it is no pickle, and reading it runs no code.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from svertka.errors import DataError


def save_state(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Writes tensors and JSON-able facts; an interrupted write leaves the old file as it was."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".part")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, fresh, {"facts": json.dumps(facts)})
    fresh.replace(path)


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what ``save_state`` wrote.

    Raises:
        DataError: the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            facts = json.loads(file.metadata()["facts"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"checkpoint {path} is damaged ({error}); delete it and resume: training starts again."
        ) from error
    return tensors, facts


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
