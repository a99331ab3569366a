"""Compares networks in a table: published facts, computed figures, and time and memory on this machine."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from svertka.architectures.registry import RETRAINED, SMALL_HW, Accuracy, Architecture, find
from svertka.errors import ConfigError, SvertkaError
from svertka.model_summary.summary import by_times, card, write_csv, write_table

_MIN_RUNS, _SECONDS = 5, 2.0  # of timing one network


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What one image takes here."""

    latency_ms: float
    """Median of a forward pass of one image."""
    memory_mib: float
    """What the process grew by at most, weights included; 0 where the system doesn't tell."""
    threads: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedNetwork:
    """One network of a comparison."""

    architecture: Architecture
    input_CHW: tuple[int, int, int]
    small_images: bool = False
    """Whether it has the stem for small images."""
    parameters: int
    multiply_adds: int
    measured: Measured | None = None

    @property
    def accuracy(self) -> Accuracy | None:
        """The published figure to show: for weights that anybody can load, else the paper's.

        None where nobody has published one of this network: at another input, or with another stem.
        """
        known = self.architecture.accuracy
        return known[0] if known and self.as_published else None

    @property
    def as_published(self) -> bool:
        """Whether input and stem are those of the publication."""
        small = self.small_images and self.architecture.has_small_form
        return self.input_CHW == self.architecture.input_CHW and not small


def compare(
    names: Sequence[str],
    input_CHW: tuple[int, int, int] | None = None,
    *,
    small_images: bool = False,
    measured: bool = False,
) -> list[ComparedNetwork]:
    """Reads networks by name.

    Args:
        names: of our architectures; one that comes twice counts once.
        input_CHW: of one image; None means what each was designed for, for small images ``SMALL_HW``.
        small_images: with the stem for small images, where a network has one.
        measured: time and memory as well, each network in a process of its own (some seconds each).

    Raises:
        NotFoundError: a name is unknown.
        ConfigError: a network is another library's.
        ShapeError: a network cannot take such an image.
        SvertkaError: a network could not be measured.
    """
    import torch

    entries = []
    for architecture in {found.name: found for found in map(_ours, names)}.values():
        own = architecture.input_CHW
        shape = input_CHW or ((own[0], *SMALL_HW) if small_images else own)
        with torch.device("meta"):
            network = architecture.build(in_channels=shape[0], small_images=small_images)
        found = card(network, architecture.title, shape)
        entries.append(
            ComparedNetwork(
                architecture=architecture,
                input_CHW=shape,
                small_images=small_images,
                parameters=found.parameters,
                multiply_adds=found.multiply_adds,
                measured=_measure_apart(architecture.name, shape, small_images) if measured else None,
            )
        )
    return entries


# --- time and memory -----------------------------------------------------------------------------------------------


_APART = """
import json, sys
from svertka.model_summary.comparison_table import measure
print(json.dumps(measure(*json.loads(sys.argv[1]))))
"""


def _ours(name: str) -> Architecture:
    library, _, bare = name.rpartition(":")
    if library in ("torchvision", "timm"):
        raise ConfigError(
            f"{name} cannot be compared: year, depth and accuracy are known of svertka's networks only. "
            f"'svertka models' lists them; 'svertka models {name}' shows every layer of this one."
        )
    return find(bare if library == "svertka" else name)


def _measure_apart(name: str, shape: tuple[int, int, int], small_images: bool) -> Measured:
    """In a process of its own: memory that others have used doesn't count.

    Raises:
        SvertkaError: the process came to an end before it had measured.
    """
    command = [sys.executable, "-c", _APART, json.dumps([name, shape, small_images])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise SvertkaError(
            f"{name} could not be measured: its process ended with exit code {done.returncode} (-9: the system had no "
            f"memory left; {said}). Compare without --measure, or give a smaller --input."
        )
    return Measured(**json.loads(done.stdout))


def measure(name: str, input_CHW: Sequence[int], small_images: bool = False) -> dict[str, float]:
    """Builds a network and times it on one random image; fields of ``Measured``. Best in a fresh process."""
    import torch

    from svertka.util.runtime import peak_memory_mb

    torch.nn.functional.conv2d(torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3, 3))  # what torch sets up at first use
    before = peak_memory_mb()
    network = find(name).build(in_channels=input_CHW[0], small_images=small_images).eval()
    image = torch.randn(1, *input_CHW)
    times: list[float] = []
    with torch.inference_mode():
        network(image)
        while len(times) < _MIN_RUNS or (sum(times) < _SECONDS and len(times) < 200):
            start = time.perf_counter()
            network(image)
            times.append(time.perf_counter() - start)
    return {
        "latency_ms": round(statistics.median(times) * 1000, 3),
        "memory_mib": round(peak_memory_mb() - before, 1),
        "threads": torch.get_num_threads(),
    }


# --- text ----------------------------------------------------------------------------------------------------------


def write_comparison(entries: Sequence[ComparedNetwork], format: str) -> str:
    """A comparison as ``table``, ``csv``, ``md`` or ``json``; every accuracy with its source and weights.

    Raises:
        ConfigError: there is no such format.
    """
    if format in ("csv", "json"):
        records = [_record(entry) for entry in entries]
        if format == "json":
            return json.dumps(records, ensure_ascii=False, indent=1)
        return write_csv(list(records[0]), [list(record.values()) for record in records])
    timed = any(entry.measured for entry in entries)
    header = ["network", "year", "depth", "parameters", "multiply-adds", "top-1 %", "whose weights, on what", "brought"]
    if timed:
        header[5:5] = ["ms here", "MiB here"]
    rows = [_cells(entry, timed) for entry in entries]
    text = write_table(header, rows, format, right={1, 2, 3, 4, 5, 6, 7} if timed else {1, 2, 3, 4, 5})
    unusual = _titles((_input(entry), entry) for entry in entries if not entry.as_published)
    lines = [f"Input of {what} ({names}); nobody has published accuracies for it." for what, names in unusual.items()]
    lines += [text, ""]
    sources = _titles((entry.accuracy.source, entry) for entry in entries if entry.accuracy)
    lines += [f"Source of the top-1 of {names}: {source}." for source, names in sources.items()]
    newer = [
        f"{entry.architecture.title} {RETRAINED[entry.architecture.name]:.1f}"
        for entry in entries
        if entry.accuracy and entry.architecture.name in RETRAINED
    ]
    if newer:
        lines.append(f"'train' loads newer weights of torchvision, of a longer recipe: {', '.join(newer)}.")
    if timed:
        threads = next(entry.measured.threads for entry in entries if entry.measured)
        lines.append(f"Time and memory: one image in float32, torch as it comes, threads: {threads}.")
    return "\n".join(lines).rstrip()


def _titles(pairs: Iterable[tuple[str, ComparedNetwork]]) -> dict[str, str]:
    """Titles of the networks by what they share, with commas."""
    found: dict[str, list[str]] = {}
    for shared, entry in pairs:
        found.setdefault(shared, []).append(entry.architecture.title)
    return {shared: ", ".join(titles) for shared, titles in found.items()}


def _input(entry: ComparedNetwork) -> str:
    stem = ", stem for small images" if entry.small_images and entry.architecture.has_small_form else ""
    return f"{by_times(entry.input_CHW)}{stem}"


def _cells(entry: ComparedNetwork, timed: bool) -> list[str]:
    architecture, accuracy = entry.architecture, entry.accuracy
    cells = [
        architecture.title, str(architecture.paper.year), str(architecture.depth), f"{entry.parameters:,}",
        f"{entry.multiply_adds:,}", f"{accuracy.top1_percent:.1f}" if accuracy else "–",
        f"{whose(accuracy)}, {accuracy.data}" if accuracy else "none published", architecture.paper.brought,
    ]  # fmt: skip
    if timed:
        measured = entry.measured
        cells[5:5] = [f"{measured.latency_ms:.1f}", f"{measured.memory_mib:.0f}"] if measured else ["", ""]
    return cells


def whose(accuracy: Accuracy) -> str:
    """Whose weights, by name; of a paper's figure, how it was measured."""
    owner = {"torchvision": "torchvision", "paper": "paper's:", "authors": "authors':"}[accuracy.kind]
    return f"{owner} {accuracy.weights}"


def accuracy_record(accuracy: Accuracy | None) -> dict[str, float | str | None]:
    """A published accuracy for csv and json; every value is None where there is none."""
    if accuracy is None:
        return dict.fromkeys(("top1_percent", "weights", "data", "source"))
    return {
        "top1_percent": accuracy.top1_percent,
        "weights": whose(accuracy),
        "data": accuracy.data,
        "source": accuracy.source,
    }


def _record(entry: ComparedNetwork) -> dict[str, object]:
    architecture, accuracy, measured = entry.architecture, entry.accuracy, entry.measured
    record: dict[str, object] = {
        "name": architecture.name,
        "year": architecture.paper.year,
        "depth": architecture.depth,
        "input": by_times(entry.input_CHW),
        "small_images": entry.small_images,
        "parameters": entry.parameters,
        "multiply_adds": entry.multiply_adds,
        **accuracy_record(accuracy),
        "brought": architecture.paper.brought,
    }
    return record | (asdict(measured) if measured else {})
