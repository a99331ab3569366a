"""Many at once, most of whom mean harm: good requests are answered meanwhile, nothing hangs, memory stays bounded."""

import io
import signal
import socket
import struct
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from serving import OWN, Answered, ask, exchange, form, head, noise, picture, process

SECONDS = 20
"""In which all hostile requests must have ended: bodies have 10, heads 5."""


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(width: int, height: int) -> bytes:
    """A PNG of black pixels: a thousandth of its size."""
    row = bytes(1 + 3 * width)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def see_through(side: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGBA", (side, side), (1, 2, 3, 4)).save(stream, "PNG")
    return stream.getvalue()


def flood(port: int) -> None:
    """Headers without end."""
    with socket.create_connection((OWN, port), timeout=SECONDS) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        try:
            for number in range(100_000):
                stream.sendall(f"X{number}: {number}\r\n".encode())
        except OSError:
            pass


def hostile() -> dict[str, Callable[[int], object]]:
    """What is sent, by name; each gives a status, or nothing where the connection just ends."""
    large, within, clear, good = bomb(7000, 7000), bomb(4900, 4900), see_through(4900), noise()

    def post(content: bytes, **headers: str) -> Callable[[int], int]:
        return lambda port: ask(port, "POST", "/v1/predict", content, headers).status

    def raw(content: bytes) -> Callable[[int], int | None]:
        def send(port: int) -> int | None:
            answer = exchange(port, content, timeout=SECONDS)
            return int(answer.split()[1]) if answer else None

        return send

    many, headers = form([("a.png", within)] * 16)
    return {
        "a bomb": post(large),
        "a bomb within the limit": post(within),
        "a transparent one": post(clear),
        "16 bombs in a form": lambda port: ask(port, "POST", "/v1/predict", many, headers).status,
        "20 MB": post(bytes(20_000_000)),
        "9 MB of nothing": post(bytes(9_000_000)),
        "half an image": post(good[: len(good) // 2]),
        "wrong type": post(good, **{"Content-Type": "application/json"}),
        "a form that is none": post(good, **{"Content-Type": "multipart/form-data; boundary=x"}),
        "a path": lambda port: ask(port, "GET", "/../../../etc/passwd").status,
        "half a head": raw(head()[:-3]),
        "half a body": raw(head("/v1/predict", "Content-Length: 100000") + b"x"),
        "nonsense": raw(b"\0" * 2000 + b"\r\n\r\n"),
        "a large head": raw(head("/", "X: " + "x" * 60_000)),
        "a flood of headers": flood,
    }


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process as Linux tells it")
def test_good_requests_are_answered_meanwhile(conv_bundle):
    kinds = hostile()
    statuses: Counter[str] = Counter()
    failed: list[str] = []
    good: list[Answered] = []
    done = threading.Event()

    def attack(name: str) -> None:
        try:
            statuses[f"{name}: {kinds[name](found.port)}"] += 1
        except ConnectionError:
            statuses[f"{name}: closed"] += 1
        except OSError as error:
            failed.append(f"{name}: {error!r}")

    def behave() -> None:
        content = noise(64)
        while not done.is_set():
            good.append(ask(found.port, "POST", "/v1/predict", content))
            time.sleep(0.05)

    with process(str(conv_bundle), "--threads", "2") as found:
        idle = [socket.create_connection((OWN, found.port)) for _ in range(200)]
        attackers = [threading.Thread(target=attack, args=(name,)) for name in kinds]
        well = threading.Thread(target=behave)
        began = time.monotonic()
        for each in (well, *attackers):
            each.start()
        for each in attackers:
            each.join(2 * SECONDS)
        took = time.monotonic() - began
        done.set()
        well.join(SECONDS)
        peak_mb = memory_mb(found.process.pid)
        for stream in idle:
            stream.close()
        assert ask(found.port, "GET", "/healthz").status == 200
        assert found.process.poll() is None
        found.signal(signal.SIGTERM)
        assert found.ended() == 0
        assert found.lines[3:] == ["Stopping: requests under way are finished."]  # nobody can fill the log
    assert failed == []
    assert took < 2 * SECONDS
    told = {key.rsplit(": ", 1)[1] for key in statuses}
    assert told <= {"200", "400", "404", "408", "413", "422", "431", "503", "None", "closed"}, statuses
    for expected in ("a bomb: 422", "20 MB: 413", "half a body: 408", "a large head: 431", "half an image: 422"):
        assert statuses[expected] or statuses[expected.rsplit(": ", 1)[0] + ": 503"], statuses
    answers = Counter(answer.status for answer in good)
    assert set(answers) <= {200, 503}
    assert answers[200] > 20, answers
    assert peak_mb < 400


def memory_mb(pid: int) -> float:
    """The most that a process has held."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def test_64_clients_at_once_are_answered_or_sent_away(conv_bundle):
    content = noise()
    statuses: Counter[int] = Counter()
    waits: list[float] = []

    def client() -> None:
        for _ in range(5):
            began = time.monotonic()
            answer = ask(found.port, "POST", "/v1/predict", content)
            statuses[answer.status] += 1
            if answer.status == 503:
                waits.append(time.monotonic() - began)
                assert answer.headers["retry-after"] == "1"

    with process(str(conv_bundle)) as found:
        threads = [threading.Thread(target=client) for _ in range(64)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
        assert ask(found.port, "POST", "/v1/predict", picture()).status == 200
    assert sum(statuses.values()) == 320
    assert set(statuses) <= {200, 503}
    assert statuses[200] >= 16
