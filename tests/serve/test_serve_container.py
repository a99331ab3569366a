"""The Containerfile and the systemd unit: what they say is done here as far as it can be without either engine.

The steps of the Containerfile are read and carried out: COPY into a folder, RUN in a fresh virtual environment, CMD and
HEALTHCHECK as processes with the environment of ENV, from a folder in which nothing can be written.
"""

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from serving import ask, picture

PROJECT = Path(__file__).parents[2]
OFFLINE = ("Failed to establish a new connection", "NewConnectionError", "Temporary failure in name resolution")
TOKEN = "correct-horse-battery"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="containers and systemd are Linux's")


def steps() -> list[tuple[str, str]]:
    """Instructions of the Containerfile with their arguments."""
    text = re.sub(r"\\\n\s*", " ", (PROJECT / "Containerfile").read_text("utf-8"))
    lines = (line.strip() for line in text.splitlines())
    return [tuple(line.split(None, 1)) for line in lines if line and not line.startswith("#")]  # type: ignore[misc]


def one(name: str) -> str:
    (found,) = [argument for instruction, argument in steps() if instruction == name]
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Carries out COPY and RUN; the folder of the virtual environment's programs."""
    root = tmp_path_factory.mktemp("container")
    programs = root / "venv" / "bin"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / "venv"], check=True)
    for instruction, argument in steps():
        if instruction == "COPY":
            *sources, target = argument.split()
            place = root / target.lstrip("/")
            for source in sources:
                if (PROJECT / source).is_dir():
                    shutil.copytree(PROJECT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    place.mkdir(parents=True, exist_ok=True)
                    shutil.copy(PROJECT / source, place)
        elif instruction == "RUN":
            words = [word.replace("/build", str(root / "build")) for word in shlex.split(argument)]
            if words[:3] == ["python", "-m", "pip"]:  # this environment's pip installs into that one
                words = [sys.executable, "-m", "pip", "--python", str(programs / "python"), *words[3:]]
                words[words.index("--no-cache-dir")] = "--no-compile"  # quicker, where only one process runs
            done = subprocess.run(words, capture_output=True, text=True, timeout=200)
            if done.returncode and any(sign in done.stderr for sign in OFFLINE):
                pytest.skip("the package index is out of reach")
            assert done.returncode == 0, done.stderr
    return root, programs


def environment(programs: Path, tmp: Path) -> dict[str, str]:
    """Of a process in the container."""
    given = dict(word.split("=", 1) for word in shlex.split(one("ENV")))
    return {"PATH": f"{programs}:/usr/bin:/bin", "SVERTKA_TOKEN": TOKEN} | {
        name: value.replace("/tmp", str(tmp)) for name, value in given.items()
    }


def test_the_image_is_small_and_careful():
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+-slim", one("FROM"))
    assert one("USER").split(":")[0].isdigit() and one("USER")[0] != "0"  # a number, so that "not root" can be checked
    names = [name for name, _ in steps()]
    assert names.index("USER") > max(index for index, name in enumerate(names) if name == "RUN")
    assert "ADD" not in names


def test_its_steps_give_a_server_that_answers(built, tiny_bundle, tmp_path):
    root, programs = built
    assert not (root / "build").exists()
    installed = subprocess.run([sys.executable, "-m", "pip", "--python", programs / "python", "list", "--format=json"],
                               capture_output=True, text=True, check=True).stdout  # fmt: skip
    names = {each["name"].lower() for each in json.loads(installed)}
    assert {"starlette", "uvicorn", "svertka"} <= names
    assert not names & {"torch", "onnx", "scikit-learn", "fastapi"}
    command = [str(tiny_bundle.directory) if word == "/bundle" else word for word in json.loads(one("CMD"))]
    assert command[:2] == ["svertka", "serve"]
    command[command.index("0.0.0.0")] = "127.0.0.1"  # this test opens no port to others
    port = free_port()
    process = subprocess.Popen(
        [programs / command[0], *command[1:], "--port", str(port)],
        env=environment(programs, tmp_path),
        cwd="/proc",  # where nobody can write
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        check = json.loads(one("HEALTHCHECK").partition("CMD ")[2])
        check = [word.replace(":8000", f":{port}") for word in check]
        until = time.monotonic() + 30
        while not healthy(check, programs) and time.monotonic() < until:
            time.sleep(0.1)
        assert healthy(check, programs)
        assert ask(port, "POST", "/v1/predict", picture()).status == 401
        answer = ask(port, "POST", "/v1/predict", picture(), {"Authorization": f"Bearer {TOKEN}"})
        assert answer.json["predictions"][0]["label"] == "red"
        assert b"</html>" in ask(port, "GET", "/", headers={"Authorization": f"Bearer {TOKEN}"}).body
        process.send_signal(getattr(signal, one("STOPSIGNAL")))
        assert process.wait(10) == 0
        assert not healthy(check, programs)
        assert list(tmp_path.iterdir()) == []  # not even there was anything written
    finally:
        process.kill()
        process.communicate()


def healthy(check: list[str], programs: Path) -> bool:
    return subprocess.run([programs / check[0], *check[1:]], capture_output=True).returncode == 0


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


def test_the_unit_calls_what_there_is(tmp_path):
    unit = configparser.ConfigParser(interpolation=None, strict=False, comment_prefixes=("#",), delimiters=("=",))
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    (file,) = (PROJECT / "deploy").glob("*.service")
    unit.read(file, "utf-8")
    service = unit["Service"]
    program, verb, *options = shlex.split(service["ExecStart"])
    assert (Path(program).name, verb) == ("svertka", "serve")
    said = subprocess.run(
        [sys.executable, "-c", "from svertka.cli import main; main()", "serve", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "200"},
    ).stdout
    assert all(option in said for option in options if option.startswith("--"))
    assert service["ExecReload"].split()[:2] == ["/bin/kill", "-HUP"]
    assert service["DynamicUser"] == "yes" and service["ProtectSystem"] == "strict"
    if shutil.which("systemd-analyze"):
        shutil.copy(file, tmp_path)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", tmp_path / file.name], capture_output=True, text=True
        )
        assert "Unknown" not in done.stderr, done.stderr
