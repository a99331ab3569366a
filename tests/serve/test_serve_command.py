"""The verb: what it says when it starts, and one line for what is wrong."""

import socket
import subprocess
import sys

import pytest
from serving import OWN, ask, noise, picture, process

from svertka.cli.main import main
from svertka.cli.serve import own_address
from svertka.errors import ConfigError
from svertka.serve.served_model import named_paths

TOKEN = "correct-horse-battery"


@pytest.fixture
def refused(monkeypatch, capsys):
    """Runs a command line that must end with one line and code 2; the line."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["svertka", "serve", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        lines = capsys.readouterr().err.splitlines()
        assert (ended.value.code, len(lines)) == (2, 1), lines
        return lines[0]

    return run


def test_it_says_where_it_is_and_how_to_try_it(tiny_bundle):
    with process(str(tiny_bundle.directory)) as found:
        address = f"http://{OWN}:{found.port}"
        name = tiny_bundle.directory.parent.name
        assert found.lines == [
            f"{name} is served at {address}/",
            f"Try it: curl --data-binary @image.jpg {address}/v1/predict",
            "Ctrl+C ends the server; requests under way are finished.",
        ]
        assert ask(found.port, "POST", "/v1/predict", picture()).json["predictions"][0]["label"] == "red"


def test_several_models_and_russian(tiny_bundle, conv_bundle):
    with process(f"a={tiny_bundle.directory}", f"b={conv_bundle}", "--language", "ru") as found:
        assert found.lines[0] == f"Модели (2: a, b) доступны по адресу http://{OWN}:{found.port}/"
        assert [one["name"] for one in ask(found.port, "GET", "/v1/models").json["models"]] == ["a", "b"]


def test_a_token_for_others(tiny_bundle, tmp_path):
    file = tmp_path / "my token"
    file.write_text(TOKEN + "\n")
    for arguments, environment, token in (
        (["--token-file", str(file)], {}, f"$(cat '{file}')"),
        ([], {"SVERTKA_TOKEN": TOKEN}, "$SVERTKA_TOKEN"),
    ):
        with process(str(tiny_bundle.directory), "--host", "0.0.0.0", *arguments, environment=environment) as found:
            assert f'curl -H "Authorization: Bearer {token}" --data-binary' in found.lines[1]
            assert f"http://{own_address('0.0.0.0')}:{found.port}/" in found.lines[0]
            assert TOKEN not in "".join(found.lines)
            assert ask(found.port, "POST", "/v1/predict", picture()).status == 401
            allowed = {"Authorization": f"Bearer {TOKEN}"}
            assert ask(found.port, "POST", "/v1/predict", picture(), allowed).status == 200


def test_a_server_for_others_tells_the_address_of_the_default_route(monkeypatch):
    class Asking:
        """A datagram socket: connecting it asks for the route; nothing is ever sent."""

        has_route = True

        def __init__(self, family: int, kind: int) -> None:
            assert kind == socket.SOCK_DGRAM

        def __enter__(self) -> "Asking":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def connect(self, address: tuple[str, int]) -> None:
            assert address[0] in ("192.0.2.1", "2001:db8::1")
            if not self.has_route:
                raise OSError("Network is unreachable")

        def getsockname(self) -> tuple[str, int]:
            return ("10.1.2.3", 40_000)

    monkeypatch.setattr(socket, "socket", Asking)
    assert [own_address(host) for host in ("127.0.0.1", "0.0.0.0", "::")] == ["127.0.0.1", "10.1.2.3", "10.1.2.3"]
    Asking.has_route = False
    assert own_address("0.0.0.0") == socket.gethostname()


def test_the_limit_of_a_body_can_be_set(tiny_bundle):
    with process(str(tiny_bundle.directory), "--max-mb", "0.001") as found:
        assert ask(found.port, "POST", "/v1/predict", picture()).status == 200
        assert ask(found.port, "POST", "/v1/predict", noise()).status == 413


def test_a_port_that_is_taken(refused, tiny_bundle):
    with socket.create_server((OWN, 0)) as other:
        port = other.getsockname()[1]
        line = refused(tiny_bundle.directory, "--port", port)
    assert line.startswith(f"svertka: port {port} of 127.0.0.1 is taken")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "port is 70000; expected 0 to 65535"),
        (["--max-mb", "0"], "--max-mb is 0"),
        (["--max-mb", "nan"], "--max-mb is nan"),
        (["--threads", "-1"], "threads is -1"),
        (["--host", "203.0.113.7"], "needs a token"),
        (["--cors", "*"], "--cors is '*'"),
        (["--token-file", "nowhere"], "nowhere is no file"),
        (["--language", "de"], "language is 'de'"),
    ],
)
def test_wrong_options_are_one_line(refused, tiny_bundle, arguments, words):
    assert words in refused(tiny_bundle.directory, *arguments)


def test_addresses_that_are_not_of_this_machine(refused, tiny_bundle, monkeypatch):
    monkeypatch.setenv("SVERTKA_TOKEN", TOKEN)
    assert "--host is 'no such host'" in refused(tiny_bundle.directory, "--host", "no such host")
    assert "203.0.113.7 is no address of this machine" in refused(tiny_bundle.directory, "--host", "203.0.113.7")


def test_bad_bundles_are_one_line(refused, tiny_bundle, tmp_path):
    assert "does not exist" in refused(tmp_path / "none", "--port", "0")
    assert "two models have the name a" in refused(f"a={tiny_bundle.directory}", f"a={tiny_bundle.directory}")
    (tmp_path / "manifest.json").write_text("{}")
    assert "manifest.json" in refused(tmp_path, "--port", "0")


def test_names_of_models(tmp_path):
    run = tmp_path / "my run (1)"
    (run / "bundle").mkdir(parents=True)
    strange = tmp_path / "a=b"
    strange.mkdir()
    assert list(named_paths([str(run)])) == ["my-run-1"]
    assert list(named_paths([str(run / "bundle")])) == ["my-run-1"]
    assert named_paths([f"x={run}"]) == {"x": run}
    assert list(named_paths([str(strange)])) == ["a-b"]
    assert list(named_paths([str(tmp_path / "кошки")])) == ["model"]
    with pytest.raises(ConfigError, match="name is ''"):
        named_paths([f"={run}"])


def test_without_the_extra_one_line_says_what_to_install(refused, tiny_bundle, monkeypatch):
    monkeypatch.setattr("svertka.cli.extras.find_spec", lambda name: None if name == "uvicorn" else True)
    assert refused(tiny_bundle.directory) == (
        "svertka: serving needs uvicorn, not installed here; run: pip install 'svertka[serve]'"
    )


def test_neither_torch_nor_what_trains_is_imported(conv_bundle):
    code = (
        "import sys; from pathlib import Path; from svertka.serve import run_server, served_model, routes;"
        "import svertka.cli.serve, svertka.cli.main;"
        f"served_model.open_model('a', Path({str(conv_bundle)!r}));"
        "print([name for name in ('torch', 'torchvision', 'timm', 'onnx', 'sklearn', 'scipy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
