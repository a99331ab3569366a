"""The end, and the exchange of bundles: under load, and no request that was accepted is lost."""

import gc
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest
from serving import OWN, Answered, ask, head, noise, process, read, running

from svertka.serve.limits import Limits

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
CONTENT = noise(64)


class Load:
    """Clients that ask one after the other on kept connections, until the server takes no more connections."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self.port = port
        self.answered: list[Answered] = []
        self.lost: list[str] = []
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for each in self.threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for each in self.threads:
            each.join(30)

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(OWN, self.port, timeout=20)
        while not self.stopped.is_set():
            try:
                if connection.sock is None:
                    connection.connect()
            except OSError:  # refused: it was never accepted
                return
            try:
                connection.request("POST", "/v1/predict", CONTENT)
                answer = read(connection)
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(repr(error))
                return
            self.answered.append(answer)
            if answer.headers.get("connection") == "close":
                connection.close()
        connection.close()


def test_the_end_loses_no_request(conv_bundle):
    for number in range(4):
        limits = Limits(grace_seconds=0.1 * (number % 2))
        with running({"conv": conv_bundle}, limits=limits) as found:
            with Load(found.port) as load:
                while len(load.answered) < 20:
                    time.sleep(0.01)
                found.end()
                found.thread.join(10)
                assert not found.thread.is_alive()
            assert load.lost == []
            assert {answer.status for answer in load.answered} == {200}


def test_sigterm_under_load_ends_well(conv_bundle):
    with process(str(conv_bundle), "--threads", "1") as found:
        with Load(found.port) as load:
            while len(load.answered) < 20:
                time.sleep(0.01)
            found.signal(signal.SIGTERM)
            time.sleep(0.3)
            stopping = ask(found.port, "GET", "/readyz")
            assert (stopping.status, stopping.problem) == (503, "stopping")
            assert ask(found.port, "POST", "/v1/predict", CONTENT).status == 200
            assert found.ended() == 0
        assert load.lost == []
        assert {answer.status for answer in load.answered} == {200}
    assert found.lines[-1] == "Stopping: requests under way are finished."


def test_what_was_begun_before_the_end_is_finished(conv_bundle):
    with running({"conv": conv_bundle}, limits=Limits(grace_seconds=0.0)) as found:
        with socket.create_connection((OWN, found.port), timeout=10) as stream:
            stream.sendall(head("/v1/predict", f"Content-Length: {len(CONTENT)}") + CONTENT[:100])
            time.sleep(0.1)
            found.end()
            time.sleep(0.3)
            with pytest.raises(OSError):
                socket.create_connection((OWN, found.port), timeout=5)
            stream.sendall(CONTENT[100:])
            answer = stream.recv(1 << 16)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"connection: close" in answer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_soon(conv_bundle, number):
    with process(str(conv_bundle)) as found:
        began = time.monotonic()
        found.signal(number)
        assert found.ended() == 0
        assert time.monotonic() - began < 4


def test_a_second_signal_ends_at_once(conv_bundle):
    with process(str(conv_bundle)) as found:
        with socket.create_connection((OWN, found.port), timeout=10) as stream:
            stream.sendall(head("/v1/predict", "Content-Length: 10"))
            time.sleep(0.2)
            found.signal(signal.SIGINT)
            found.wait_for("Stopping")
            time.sleep(0.1)
            began = time.monotonic()
            found.signal(signal.SIGINT)
            assert found.ended() == 0
            assert time.monotonic() - began < 2


def put(bundle: Path, place: Path) -> None:
    """Another bundle in the same place, in two steps as training does it."""
    new, old = place.with_name("new"), place.with_name("old")
    shutil.copytree(bundle, new)
    place.rename(old)
    new.rename(place)
    shutil.rmtree(old)


def test_bundles_are_exchanged_under_load_and_no_request_is_lost(conv_bundle, other_bundle, tmp_path):
    place = tmp_path / "bundle"
    shutil.copytree(conv_bundle, place)
    with running({"model": place}) as found, Load(found.port) as load:
        for number in range(6):
            before = found.service.models
            put(other_bundle if number % 2 == 0 else conv_bundle, place)
            found.exchange()
            until = time.monotonic() + 10
            while found.service.models is before and time.monotonic() < until:
                time.sleep(0.01)
            assert found.service.models is not before
            time.sleep(0.05)
    assert load.lost == []
    assert {answer.status for answer in load.answered} == {200}
    answers: dict[str, set[str]] = {}
    for answer in load.answered:
        content = answer.json
        answers.setdefault(content["model"]["sha256"], set()).add(json.dumps(content["predictions"]))
    assert len(answers) == 2
    assert all(len(said) == 1 for said in answers.values())  # each bundle's own answer, never a mixture
    assert [key for key, _ in found.told].count("exchanged") == 6


def test_a_bundle_that_was_replaced_is_let_go(conv_bundle):
    with running({"model": conv_bundle}) as found:
        for _ in range(2):  # the first ones belong to the test
            old = weakref.ref(found.service.models["model"].predictor.infer)
            before = id(found.service.models)
            assert found.ask("GET", "/").status == 200
            found.exchange()
            until = time.monotonic() + 10
            while id(found.service.models) == before and time.monotonic() < until:
                time.sleep(0.01)
        assert found.ask("GET", "/").status == 200
        gc.collect()
        assert old() is None


def test_a_bad_bundle_is_told_and_the_old_one_stays(conv_bundle, tiny_bundle, other_bundle, tmp_path):
    bad, good = tmp_path / "bad", tmp_path / "good"
    shutil.copytree(conv_bundle, bad)
    shutil.copytree(tiny_bundle.directory, good)
    with process(f"one={bad}", f"two={good}") as found:
        before = ask(found.port, "POST", "/v1/predict", CONTENT).json
        (bad / "model.onnx").write_bytes(b"damaged")
        put(other_bundle, good)
        found.signal(signal.SIGHUP)
        assert found.wait_for("one stays as it was").count("\n") == 1
        found.wait_for("Read again: two")
        assert ask(found.port, "POST", "/v1/predict", CONTENT).json == before
        assert ask(found.port, "POST", "/v1/explain?model=one", CONTENT).status == 200
        assert ask(found.port, "GET", "/v1/model?model=two").json["classes"] == ["blue", "green", "red"]
        assert ask(found.port, "POST", "/v1/explain?model=two", CONTENT).status == 200
        shutil.rmtree(bad)
        found.signal(signal.SIGHUP)
        found.wait_for("does not exist")
        assert ask(found.port, "POST", "/v1/predict", CONTENT).json == before


def test_a_signal_to_read_again_waits_until_the_bundles_are_open(conv_bundle):
    code = f"""
import os, signal, sys
from svertka.cli import main
from svertka.serve import served_model

open_model = served_model.open_model

def interrupted(*arguments):
    served_model.open_model = open_model
    os.kill(os.getpid(), signal.SIGHUP)
    return open_model(*arguments)

served_model.open_model = interrupted
sys.argv = ["svertka", "serve", {str(conv_bundle)!r}, "--port", "0"]
main()
"""
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as found:
        assert found.stderr is not None
        lines = [found.stderr.readline() for _ in range(4)]
        found.terminate()
        assert found.wait(20) == 0
    assert lines[3].startswith("Read again: ")


def test_a_terminal_that_closes_ends_what_was_started_in_it(conv_bundle):
    pty = pytest.importorskip("pty")
    child, terminal = pty.fork()
    if child == 0:
        code = "import sys; from svertka.cli import main; sys.argv[0] = 'svertka'; main()"
        os.execv(sys.executable, [sys.executable, "-c", code, "serve", str(conv_bundle), "--port", "0"])
    said = b""
    while b"Ctrl+C" not in said:
        said += os.read(terminal, 1000)
    os.close(terminal)
    until = time.monotonic() + 20
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < until:
        time.sleep(0.05)
    if ended[0] == 0:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert ended[0] == child
