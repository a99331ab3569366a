"""``svertka serve`` against raw decoding and ONNX Runtime, and against FastAPI, LitServe and BentoML; and its limits.

Usage: python serve.py [ROW …] [--tiny] [--bundle FOLDER] [--peers PYTHON]

Rows: rate, latency, memory, hostile, stop, exchange; all if none is named. Servers and clients share the processors,
so the rate is what is left beside the clients; the servers' processor time a prediction stands beside it. The peers
are installed into a virtual environment of their own under benchmarks/.work, or taken from the one whose interpreter is
given; one that cannot be installed is left out and named.
"""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import Row, Side, alternate, arguments, load, public_split, scratch, train_probe, write_result
from serve_hostile import attack
from serve_load import Load
from serve_servers import CLIENTS, Server, Sides, available_peers, peer_interpreter

ROWS = ("rate", "latency", "memory", "hostile", "stop", "exchange")
RESULTS = {
    "serve": ("Serving a bundle", ("rate", "latency")),
    "serve_limits": ("A server under load and attack", ("memory", "hostile", "stop", "exchange")),
}
"""Result files: what they are called, and their rows."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    seconds: float = 15.0
    warm_up: float = 4.0
    requests: int = 20_000
    hostile: int = 10_000
    times: int = 50


TINY = Scale(seconds=2.0, warm_up=1.0, requests=200, hostile=200, times=3)


def measured(server: Server, scale: Scale) -> dict[str, float]:
    """Rate, processor time and memory under load."""
    server.load(scale.warm_up)
    before = server.cpu_seconds()
    done = server.load(scale.seconds)
    answers = len(done.milliseconds)
    if set(done.statuses) != {200} or done.lost:
        raise SystemExit(f"not all were answered: {done.statuses} {done.lost[:3]}")
    return {
        "rate": answers / scale.seconds,
        "cpu_ms": 1000 * (server.cpu_seconds() - before) / answers,
        "memory_mb": server.memory_mb(),
    }


def rate(sides: Sides, scale: Scale, rounds: int) -> tuple[dict[str, Side], list[Row]]:
    """Predictions a second, against the floor and each peer."""
    peers = available_peers(sides.peers)

    def of(opened: Any) -> dict[str, float]:
        with opened as server:
            return measured(server, scale)

    calls: dict[str, Callable[[], dict[str, float]]] = {
        "raw": lambda: sides.floor(scale.seconds),
        "svertka": lambda: of(sides.svertka()),
    }
    calls |= {name: lambda name=name: of(sides.peer(name)) for name in peers}  # type: ignore[misc]
    samples = alternate(calls, rounds)
    titles = {"raw": "decoding and ONNX Runtime alone", "svertka": "svertka serve", "fastapi": "FastAPI"}
    titles |= {"litserve": "LitServe", "bentoml": "BentoML"}
    found = {
        titles[name]: Side(
            unit="1/s",
            samples=[each["rate"] for each in runs],
            figures={key: round(statistics.median(each[key] for each in runs), 2) for key in runs[0] if key != "rate"},
        )
        for name, runs in samples.items()
    }
    ours = found["svertka serve"].median
    what = f"predictions a second, {CLIENTS} clients, keep-alive, 300 px PNG"
    rows = [Row(what=what, against=titles["raw"], measured=ours / found[titles["raw"]].median, target=0.85,
                unit="of that rate", note="the clients run on the same processors")]  # fmt: skip
    rows += [
        Row(what=what, against=titles[name], measured=ours / found[titles[name]].median, target=1, unit="times")
        for name in peers
    ]
    return found, rows


def latency(sides: Sides, scale: Scale, rounds: int) -> tuple[dict[str, Side], list[Row]]:
    """Times of answers at half of the highest rate."""
    found = []
    with sides.svertka() as server:
        highest = measured(server, scale)["rate"]
        for _ in range(rounds):
            found.append(server.load(2 * scale.seconds, highest / 2).to_json())
    ratio = statistics.median(float(each["p99_ms"]) / float(each["median_ms"]) for each in found)
    side = Side(
        unit="ms",
        samples=[float(each["median_ms"]) for each in found],
        note=f"at half load, {highest / 2:.0f} requests a second",
        figures={"p99_ms": statistics.median(float(each["p99_ms"]) for each in found)},
    )
    row = Row(what="99th percentile at half load", against="the median", measured=ratio, target=3, better="at most",
              unit="times")  # fmt: skip
    return {"svertka serve, an answer": side}, [row]


def memory(sides: Sides, scale: Scale, rounds: int) -> tuple[dict[str, Side], list[Row]]:
    """Memory after many requests."""
    with sides.svertka() as server:
        server.load(scale.warm_up)
        before, done = server.memory_mb(), 0
        while done < scale.requests:
            done += len(server.load(min(scale.seconds, 15)).milliseconds)
        after = server.memory_mb()
    side = Side(unit="MB", samples=[before, after], note=f"after the warm-up, and after {done:,} more requests")
    row = Row(what=f"memory after {done:,} requests", against="after the warm-up", measured=100 * (after / before - 1),
              target=5, better="at most", unit="% more")  # fmt: skip
    return {"svertka serve, memory": side}, [row]


def hostile(sides: Sides, scale: Scale, rounds: int) -> tuple[dict[str, Side], list[Row]]:
    """Requests that mean harm, with good ones beside them."""
    with sides.svertka() as server:
        server.load(scale.warm_up)
        found = attack(server.port, server.request, scale.hostile)
        peak = server.memory_mb("VmHWM")
        alive = server.process.poll() is None and server.load(1.0).statuses.keys() == {200}
    good = found["good"]
    side = Side(
        unit="MB",
        samples=[peak],
        note="the most that was held",
        figures={"requests": found["requests"], "statuses": found["statuses"], "seconds": found["seconds"], **good},
    )
    wrong = sum(count for status, count in found["statuses"].items() if status.startswith("5") and status != "503")
    what = f"{found['requests']:,} hostile requests"
    rows = [
        Row(what=f"{what}: 5xx but 503, and connections that hung", against="–", measured=wrong + found["hung"],
            target=0, better="at most", unit=""),
        Row(what=f"{what}: most memory", against="–", measured=peak, target=400, better="at most", unit="MB"),
        Row(what=f"{what}: good requests answered meanwhile", against="–", unit="%", target=80,
            measured=100 * alive * good["answered"] / good["asked"],
            note=f"{good['asked']} were sent, the rest was told to come again; the longest took {good['longest_s']} s"),
    ]  # fmt: skip
    return {"svertka serve, attacked": side}, rows


def stop(sides: Sides, scale: Scale, rounds: int) -> tuple[dict[str, Side], list[Row]]:
    """SIGTERM under load."""
    lost, seconds, answers = 0, [], 0
    for _ in range(scale.times):
        with sides.svertka() as server:
            clients = Load(server.port, server.request, CLIENTS, 30)
            done = _in_background(clients)
            time.sleep(0.7)
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            code = server.process.wait(30)
            seconds.append(time.monotonic() - began)
            done()
        lost += len(clients.lost) + sum(clients.statuses.values()) - clients.statuses[200] + (code != 0)
        answers += clients.statuses[200]
    row = Row(what=f"requests lost in {scale.times} ends by SIGTERM under load", against="–", measured=lost, target=0,
              better="at most", unit=f"of {answers:,}")  # fmt: skip
    return {"svertka serve, the end": Side(unit="s", samples=seconds, note="from SIGTERM to exit")}, [row]


def exchange(sides: Sides, scale: Scale, rounds: int) -> tuple[dict[str, Side], list[Row]]:
    """SIGHUP under load."""
    seconds = []
    with scratch() as folder:
        place = folder / "bundle"
        shutil.copytree(sides.bundle, place)
        with sides.svertka(place) as server:
            assert server.process.stderr is not None
            clients = Load(server.port, server.request, CLIENTS, 3600)
            done = _in_background(clients)
            for _ in range(scale.times):
                new, old = folder / "new", folder / "old"
                shutil.copytree(sides.bundle, new)
                place.rename(old)
                new.rename(place)
                shutil.rmtree(old)
                began = time.monotonic()
                server.process.send_signal(signal.SIGHUP)
                while "Read again" not in server.process.stderr.readline():
                    pass
                seconds.append(time.monotonic() - began)
                time.sleep(0.2)
            clients.until = time.monotonic()
            done()
    lost = len(clients.lost) + sum(clients.statuses.values()) - clients.statuses[200]
    row = Row(what=f"requests lost in {scale.times} exchanges of the bundle under load", against="–", measured=lost,
              target=0, better="at most", unit=f"of {clients.statuses[200]:,}")  # fmt: skip
    return {"svertka serve, an exchange": Side(unit="s", samples=seconds, note="from SIGHUP to the new bundle")}, [row]


def _in_background(clients: Load) -> Callable[[], object]:
    import threading

    thread = threading.Thread(target=clients.run)
    thread.start()
    return thread.join


MEASURES = {"rate": rate, "latency": latency, "memory": memory, "hostile": hostile, "stop": stop, "exchange": exchange}


def main() -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("rows", nargs="*", metavar="ROW", choices=[[], *ROWS], help=", ".join(ROWS))
    parser.add_argument("--bundle", type=Path, help="a bundle [default: a probe is trained]")
    parser.add_argument("--peers", default="", help="interpreter of an environment with the peers")
    options = parser.parse_args()
    wanted = options.rows or list(ROWS)
    with scratch() as folder:
        bundle = options.bundle.absolute() if options.bundle else trained(folder)
        for result, (title, rows) in RESULTS.items():
            if chosen := [row for row in wanted if row in rows]:
                measure(result, title, chosen, bundle, options)


def measure(result: str, title: str, names: Sequence[str], bundle: Path, options: Namespace) -> None:
    """Measures some rows and writes them as one result."""
    busy, scale = load(), TINY if options.tiny else Scale()
    rows: list[Row] = []
    found: dict[str, Side] = {}
    image = sorted((public_split() / "test").rglob("*.png"))[0]
    peers = peer_interpreter(options.peers) if "rate" in names else None
    sides = Sides(bundle, image, peers)
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        more, lines = MEASURES[name](sides, scale, options.rounds)
        found |= more
        rows += lines
    write_result(
        result,
        title,
        sides=found,
        rows=rows,
        config={
            "rows": list(names),
            "image": f"{image.stat().st_size // 1000} kB PNG of 300 px",
            "clients": CLIENTS,
            "seconds": scale.seconds,
        },
        threads=len(os.sched_getaffinity(0)),
        warm_up=f"{scale.warm_up:g} s of load",
        started_load=busy,
        tiny=options.tiny,
        versions=peer_versions(peers),
    )


def trained(folder: Path) -> Path:
    """A probe's bundle on the public split."""
    train_probe(public_split(), folder / "run", cache=folder / "cache", threads=0)
    return folder / "run" / "bundle"


def peer_versions(python: Path | None) -> dict[str, str]:
    """Of the peers that are installed."""
    code = (
        "import json; from importlib import metadata as m; d = {x.name.lower(): x.version for x in m.distributions()};"
        "print(json.dumps({n: d[n] for n in ('fastapi', 'uvicorn', 'litserve', 'bentoml') if n in d}))"
    )
    if python is None:
        return {}
    found: dict[str, str] = json.loads(subprocess.run([python, "-c", code], capture_output=True, check=True).stdout)
    return found


if __name__ == "__main__":
    main()
