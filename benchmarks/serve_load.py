"""Clients for the benchmark of ``svertka serve``: cheap ones, on bare sockets, so that they take little of the machine.

Usage: python serve_load.py PORT PATH FILE --clients 4 --seconds 10 [--rate 30] [--form]

Each client keeps one connection and sends the same image again and again; with ``--rate`` so many requests a second
are begun by all of them together, at fixed times: a slow answer doesn't put off the next request, as it would not if
they came from many people. Prints one line of JSON: answers by status, what was lost, times in milliseconds.
"""

import argparse
import json
import socket
import threading
import time
from collections import Counter
from pathlib import Path


def request_of(path: str, port: int, content: bytes, form: str = "") -> bytes:
    """The bytes of one request: the image itself, or a form with this field."""
    kind = "image/png"
    if form:
        before = f'--limit\r\nContent-Disposition: form-data; name="{form}"; filename="a.png"\r\n'.encode()
        content = before + b"Content-Type: image/png\r\n\r\n" + content + b"\r\n--limit--\r\n"
        kind = "multipart/form-data; boundary=limit"
    fields = {"Host": f"127.0.0.1:{port}", "Content-Type": kind, "Content-Length": str(len(content))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + content


def receive(stream: socket.socket) -> tuple[int, bool, bytes]:
    """Status, whether the connection is kept, and body of one answer.

    Raises:
        OSError: the connection ended before the answer did.
    """
    found = b""
    while b"\r\n\r\n" not in found:
        part = stream.recv(1 << 16)
        if not part:
            raise ConnectionResetError("closed before an answer")
        found += part
    head, _, body = found.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    fields = dict(line.split(b": ", 1) for line in lines[1:] if b": " in line)
    length = int(fields.get(b"content-length", b"-1"))
    while len(body) < length or (length < 0 and not body.endswith(b"0\r\n\r\n")):
        part = stream.recv(1 << 16)
        if not part:
            raise ConnectionResetError("closed within an answer")
        body += part
    return int(lines[0].split()[1]), fields.get(b"connection") != b"close", body


class Load:
    """Clients at work."""

    def __init__(self, port: int, request: bytes, clients: int, seconds: float, rate: float = 0.0) -> None:
        self.port, self.request, self.clients = port, request, clients
        self.begin = time.monotonic() + 0.05
        self.until, self.rate = self.begin + seconds, rate
        self.statuses: Counter[int] = Counter()
        self.milliseconds: list[float] = []
        self.lost: list[str] = []
        self.refused = 0
        self._next, self._lock = 0, threading.Lock()

    def run(self) -> "Load":
        """Runs all clients to the end."""
        threads = [threading.Thread(target=self._client) for _ in range(self.clients)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return self

    def _client(self) -> None:
        stream: socket.socket | None = None
        while True:
            due = self._due()
            if due > self.until:
                break
            if (wait := due - time.monotonic()) > 0:
                time.sleep(wait)
            try:
                if stream is None:
                    stream = socket.create_connection(("127.0.0.1", self.port), timeout=30)
                    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:
                self.refused += 1
                return  # nobody listens any more
            try:
                stream.sendall(self.request)
                status, kept, _ = receive(stream)
            except OSError as error:
                with self._lock:
                    self.lost.append(repr(error))
                stream.close()
                stream = None
                continue
            with self._lock:
                self.statuses[status] += 1
                self.milliseconds.append(1000 * (time.monotonic() - due))
            if not kept:
                stream.close()
                stream = None
        if stream is not None:
            stream.close()

    def _due(self) -> float:
        """When the next request is to be begun."""
        if not self.rate:
            return time.monotonic()
        with self._lock:
            self._next += 1
            return self.begin + self._next / self.rate

    def to_json(self) -> dict[str, object]:
        """What came of it."""
        times = sorted(self.milliseconds) or [0.0]

        def quantile(share: float) -> float:
            return round(times[min(len(times) - 1, int(share * len(times)))], 2)

        return {
            "answers": len(self.milliseconds),
            "statuses": dict(self.statuses),
            "lost": self.lost,
            "rate": round(len(self.milliseconds) / (time.monotonic() - self.begin), 2),
            "median_ms": quantile(0.5),
            "p99_ms": quantile(0.99),
            "max_ms": times[-1],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("file", type=Path)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument(
        "--rate", type=float, default=0.0, help="requests a second of all clients; 0: as fast as they can"
    )
    parser.add_argument("--form", default="", help="name of the field, for servers that take a form")
    options = parser.parse_args()
    request = request_of(options.path, options.port, options.file.read_bytes(), options.form)
    load = Load(options.port, request, options.clients, options.seconds, options.rate)
    print(json.dumps(load.run().to_json()))


if __name__ == "__main__":
    main()
