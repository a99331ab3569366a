"""The servers that ``serve.py`` compares: started, measured and stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import PEERS, WORK
from serve_load import Load, request_of

PACKAGES = ("fastapi", "uvicorn[standard]", "python-multipart", "litserve", "bentoml", "pillow", "numpy", "onnxruntime")
CLIENTS = 4


@dataclass(frozen=True, slots=True)
class Server:
    """A server at work."""

    process: subprocess.Popen[str]
    port: int
    request: bytes

    def pids(self) -> list[int]:
        """Of its process and all below."""
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                todo += map(int, task.read_text("ascii").split())
        return found

    def cpu_seconds(self) -> float:
        """That it has used."""
        ticks = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mb(self, field: str = "VmRSS") -> float:
        """Resident now (VmRSS), or at most so far (VmHWM), of all its processes."""
        total = 0
        for pid in self.pids():
            lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
            total += next((int(line.split()[1]) for line in lines if line.startswith(field)), 0)
        return total / 1024

    def load(self, seconds: float, rate: float = 0.0) -> Load:
        """Clients for so long."""
        return Load(self.port, self.request, CLIENTS, seconds, rate).run()


@contextmanager
def served(
    command: Sequence[object], port: int, request: Callable[[int], bytes], env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Starts a server and waits until it answers."""
    process = subprocess.Popen(
        [str(word) for word in command],
        env={**os.environ, **(env or {})},
        cwd=PEERS,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    server = Server(process, port, request(port))
    try:
        until = time.monotonic() + 60
        while not (first := Load(port, server.request, 1, 0.01).run()).statuses and time.monotonic() < until:
            time.sleep(0.2)
        if process.poll() is not None:  # another program at its port may have answered
            raise SystemExit(f"{command} has ended: {process.communicate()[1]:.500}")
        if set(first.statuses) != {200}:
            raise SystemExit(f"{command} doesn't answer: {first.statuses} {first.lost}")
        yield server
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)  # the group that it was started with
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


class Sides:
    """The servers that are compared, over one bundle and one image."""

    def __init__(self, bundle: Path, image: Path, peers: Path | None) -> None:
        self.bundle, self.image, self.peers = bundle, image, peers
        self._port = 18200

    def svertka(self, *arguments: object) -> Any:
        """``svertka serve``."""
        port = self._next_port()
        command = [Path(sys.executable).parent / "svertka", "serve", *(arguments or [self.bundle]), "--port", port]
        return served(command, port, lambda port: request_of("/v1/predict", port, self.image.read_bytes()))

    def peer(self, name: str) -> Any:
        """FastAPI, LitServe or BentoML."""
        assert self.peers is not None
        port = self._next_port()
        command: list[object] = [self.peers, f"serve_{name}.py", port]
        if name == "bentoml":
            command = [self.peers.parent / "bentoml", "serve", "serve_bentoml:Classifier", "--port", port]
        field = "request" if name == "litserve" else "file"
        return served(
            command,
            port,
            lambda port: request_of("/predict", port, self.image.read_bytes(), field),
            {"BUNDLE": str(self.bundle), "BENTOML_DO_NOT_TRACK": "true", "PYTHONPATH": str(PEERS)},
        )

    def floor(self, seconds: float) -> dict[str, float]:
        """Decoding and network alone, in this machine's processors."""
        command = [sys.executable, PEERS / "serve_floor.py", self.bundle, self.image, "--seconds", str(seconds)]
        command += ["--threads", str(len(os.sched_getaffinity(0)))]
        found: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return found

    def _next_port(self) -> int:
        self._port += 1
        return self._port


def peer_interpreter(given: str) -> Path | None:
    """The interpreter of an environment with the peers; None where there is none and none can be made."""
    if given:
        return Path(given).absolute()
    home = WORK / "serve-peers"
    python = home / "bin" / "python"
    if not (home / "installed").exists():
        WORK.mkdir(exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        done = subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=False)
        if done.returncode:
            return None
        (home / "installed").touch()
    return python


def available_peers(python: Path | None) -> list[str]:
    """Names of the peers that are installed."""
    found = []
    for name in ("fastapi", "litserve", "bentoml"):
        if (
            python
            and subprocess.run([python, "-c", f"import {name}"], capture_output=True, check=False).returncode == 0
        ):
            found.append(name)
        else:
            print(f"{name} is left out: it is not installed.", file=sys.stderr)
    return found
