"""What all benchmarks share: running a side as its own process, alternating sides, and writing the result.

A *side* is one of the things compared (svertka, or a peer). Each is a process of its own, started afresh with a
fresh cache folder, so neither profits from what the other left behind. Sides alternate round by round, forward and
backward, so a slow drift of the machine hits all of them.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).resolve().parent
RESULTS, PEERS, OURS, WORK = HERE / "results", HERE / "peers", HERE / "ours", HERE / ".work"

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
# Tells glibc to keep freed memory instead of returning it to the system after every layer. It changes no result.
# svertka does it for its users; a peer's user would have to know these three variables.
ALLOCATOR_KEPT = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "268435456",
}
_PACKAGES = ("numpy", "pillow", "torch", "torchvision", "timm", "onnxruntime", "scikit-learn", "svertka")


# --- running -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finished:
    """What a process cost and said: wall and processor seconds, peak resident memory, its standard output."""

    seconds: float
    cpu_seconds: float
    peak_memory_mb: float
    stdout: str

    def last_json(self) -> dict[str, Any]:
        """The last line of the output, which our peer scripts print as JSON."""
        value: dict[str, Any] = json.loads(self.stdout.strip().splitlines()[-1])
        return value


def run(command: Sequence[str | Path], env: Mapping[str, str] | None = None, *, one_core: bool = True) -> Finished:
    """Runs a process to its end.

    Args:
        command: program and arguments.
        env: added to the environment.
        one_core: one compute thread, and (on Linux) all of the process's threads on one core.

    Raises:
        SystemExit: it failed; its last lines are shown.
    """
    pin = _one_core if one_core and hasattr(os, "sched_setaffinity") else None
    env = {**os.environ, **(ONE_THREAD if one_core else {}), **(env or {})}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, tempfile.TemporaryFile("w+", encoding="utf-8") as err:
        start = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=err, env=env, preexec_fn=pin)
        _, status, usage = os.wait4(process.pid, 0)  # unlike Popen.wait it tells what this very process used
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        stdout, stderr = out.read(), err.read()
    if process.returncode:
        tail = "\n".join((stdout + stderr).splitlines()[-15:])
        raise SystemExit(f"{' '.join(map(str, command))}\nended with code {process.returncode}:\n{tail}")
    megabyte = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Finished(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / megabyte, stdout)


def _one_core() -> None:
    """Keeps the child on the last core that we may use."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def python(script: Path, *arguments: object, env: Mapping[str, str] | None = None, one_core: bool = True) -> Finished:
    """Runs one of our scripts with this interpreter, on one core unless said otherwise."""
    return run([sys.executable, script, *map(str, arguments)], env, one_core=one_core)


def svertka(*arguments: object, cache: Path | None = None, one_core: bool = True) -> Finished:
    """Runs the installed ``svertka`` command, with its cache in the given folder."""
    env = {"SVERTKA_CACHE": str(cache)} if cache else {}
    return run([Path(sys.executable).parent / "svertka", *map(str, arguments)], env, one_core=one_core)


def train_probe(data: Path, folder: Path, *, cache: Path, threads: int = 1) -> Finished:
    """``svertka train --strategy probe`` on one core, into a run folder."""
    config = folder.with_name(folder.name + ".toml")
    config.write_text(f"threads = {threads}\n", encoding="utf-8")
    return svertka("train", data, "--out", folder, "--strategy", "probe", "--config", config, cache=cache)


def test_metrics(run_folder: Path) -> dict[str, float]:
    """Metrics on the test images from a run folder, name to value."""
    metrics = json.loads((run_folder / "metrics.json").read_text(encoding="utf-8"))["metrics"]
    return {name: estimate["value"] for name, estimate in metrics.items()}


def step_seconds(run_folder: Path) -> dict[str, float]:
    """Seconds of each step of a run."""
    costs = json.loads((run_folder / "run.json").read_text(encoding="utf-8"))["costs"]
    return {cost["step"]: cost["seconds"] for cost in costs}


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards; on the same disk as the work, so that its speed is the same for all."""
    WORK.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=WORK))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def public_split() -> Path:
    """The ELPV folder of the benchmarks, laid out on the first call."""
    from elpv_folder import lay_out

    folder = WORK / "elpv"
    return folder if folder.is_dir() else lay_out(folder)


def subset(folder: Path, out: Path, every: int) -> Path:
    """Links to every n-th image of each class of each split: a smaller folder with the same proportions."""
    for classes in sorted(path for path in folder.glob("*/*") if path.is_dir()):
        target = out / classes.relative_to(folder)
        target.mkdir(parents=True, exist_ok=True)
        for image in sorted(classes.iterdir())[::every]:
            (target / image.name).symlink_to(image.resolve())
    return out


def alternate(sides: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[Any]]:
    """Runs all sides in turn, ``rounds`` times, every other round backwards; says what it does on standard error."""
    samples: dict[str, list[Any]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides) if number % 2 == 0 else list(reversed(sides)):
            print(f"  round {number + 1} of {rounds}: {name} …", file=sys.stderr, flush=True)
            samples[name].append(sides[name]())
    return samples


# --- results -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """Measurements of one side.

    Attributes:
        unit: of the samples.
        samples: one a round, in order.
        note: how it was measured, where that isn't plain.
        figures: other measured numbers (accuracy …).
    """

    unit: str
    samples: Sequence[float]
    note: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    def to_json(self) -> dict[str, Any]:
        low, high = min(self.samples), max(self.samples)
        return {**asdict(self), "n": len(self.samples), "median": self.median, "low": low, "high": high}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the table: a claim, its target, and what was measured.

    Attributes:
        what: is measured.
        against: whom or what.
        measured: the figure.
        target: that it should reach.
        better: ``"at least"`` or ``"at most"`` the target.
        unit: after the figure (``"times faster"``).
        note: what a reader must know to judge it.
    """

    what: str
    against: str
    measured: float
    target: float
    better: Literal["at least", "at most"] = "at least"
    unit: str = "times faster"
    note: str = ""

    @property
    def hit(self) -> bool:
        return self.measured >= self.target if self.better == "at least" else self.measured <= self.target

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "hit": self.hit}


def arguments(description: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """The options that all benchmarks have: how many rounds, and a tiny run that only shows that the script works."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="how often each side runs")
    parser.add_argument("--tiny", action="store_true", help="a few images only, to try the script; writes no result")
    return parser


def write_result(
    name: str,
    title: str,
    *,
    sides: Mapping[str, Side],
    rows: Sequence[Row],
    config: Mapping[str, Any],
    threads: int,
    warm_up: str,
    started_load: float,
    tiny: bool,
    versions: Mapping[str, str] | None = None,
) -> None:
    """Writes ``results/<name>.json`` (a tiny run only prints it)."""
    result = {
        "name": name,
        "title": title,
        "script": f"benchmarks/{Path(sys.argv[0]).name}",
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()) + " UTC",
        "commit": commit(),
        "hardware": hardware(),
        "load_at_start": round(started_load, 2),
        "threads": threads,
        "versions": {"python": platform.python_version(), **_versions(), **(versions or {})},
        "config": dict(config),
        "warm_up": warm_up,
        "sides": {key: side.to_json() for key, side in sides.items()},
        "rows": [row.to_json() for row in rows],
    }
    text = json.dumps(result, indent=2, ensure_ascii=False)
    if tiny:
        print(text)
        return
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    for row in rows:
        print(
            f"{row.what}, against {row.against}: {row.measured:.3g} {row.unit} ({row.better} {row.target:g}) "
            f"{'hit' if row.hit else 'MISS'}"
        )


def load() -> float:
    """How busy the machine was during the last minute (processes that wanted to run)."""
    return os.getloadavg()[0]


def commit() -> str:
    """The commit that was measured, with a plus sign where source files differ from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "../src", "../pyproject.toml")
    return (git("rev-parse", "--short=12", "HEAD") or "none") + ("+" if changed else "")


def hardware() -> dict[str, Any]:
    """The machine in words."""
    processor, flags, pages = platform.processor(), "", os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                processor = value.strip()
            elif key.strip() == "flags":
                flags = value
    wide = [
        name for name in ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_tile") if f" {name} " in f"{flags} "
    ]
    return {
        "processor": processor,
        "vector_instructions": wide,
        "cores": os.cpu_count(),
        "memory_gb": round(pages / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
