"""What `pip install svertka` alone brings is enough for `svertka predict` and `svertka evaluate`."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from svertka.cli.main import app
from svertka.config import RunConfig
from svertka.pipeline import run as train

PROJECT = Path(__file__).parents[2]
# What pip says when the package index is out of reach (nothing is learnt about svertka then).
OFFLINE = ("Failed to establish a new connection", "NewConnectionError", "Temporary failure in name resolution")


def run(*command, cwd=None):
    return subprocess.run([*map(str, command)], capture_output=True, cwd=cwd, timeout=250)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of programs of a virtual environment that holds the base install."""
    home = tmp_path_factory.mktemp("base install") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    programs = home / ("Scripts" if sys.platform == "win32" else "bin")
    # This environment's pip installs into that one: quicker than a pip of its own.
    pip = run(
        sys.executable, "-m", "pip", "--python", programs / "python", "install", "--quiet", "--no-compile", PROJECT
    )
    if pip.returncode and any(sign in pip.stderr.decode() for sign in OFFLINE):
        pytest.skip("the package index is out of reach")
    assert pip.returncode == 0, pip.stderr.decode()
    return programs


def test_there_is_no_torch(installed):
    for package in ("torch", "onnx", "sklearn", "safetensors"):
        result = run(installed / "python", "-c", f"import {package}")
        assert result.returncode == 1, package
        assert f"No module named '{package}'".encode() in result.stderr


@pytest.mark.parametrize("engine", ["onnx", "numpy"])
def test_predict_works_without_torch(installed, tiny_bundle, colour_folder, engine):
    result = run(installed / "svertka", "predict", tiny_bundle.directory, ".", "--engine", engine, cwd=colour_folder)
    assert (result.returncode, result.stderr.decode()) == (0, "6 of 6 files predicted.\n")
    rows = list(csv.DictReader(io.StringIO(result.stdout.decode("utf-8"))))
    assert [(row["path"], row["label"]) for row in rows] == [
        (f"{name}/{name}{number}.png", name) for name in ("blue", "green", "red") for number in (2, 10)
    ]


def test_evaluate_works_without_torch(installed, tiny_bundle, colour_folder):
    result = run(installed / "svertka", "evaluate", tiny_bundle.directory, colour_folder)
    assert result.returncode == 0, result.stderr.decode()
    assert "accuracy                  1.000   " in result.stdout.decode()


def test_an_error_is_one_line(installed, tiny_bundle, tmp_path):
    result = run(installed / "svertka", "predict", tiny_bundle.directory, tmp_path / "no.png")
    assert result.returncode == 2
    (line,) = result.stderr.decode().splitlines()
    assert line.startswith("svertka: ")
    assert "no.png does not exist" in line


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory, shapes_folder):
    """A run folder, made by an environment that can train."""
    root = tmp_path_factory.mktemp("trained")
    shapes_folder(root / "photos", count=10)
    tiny = {"backbone": "lenet5", "weights": "none", "size_px": 32, "strategy": "probe"}
    train(RunConfig(data=str(root / "photos"), out=str(root / "run"), **tiny))
    return root / "run"


WORKS = {
    "predict": "{bundle} {image}",
    "share": "{bundle} --out model.html",
    "evaluate": "{bundle} {folder}",
    "report": "{run}",
    "explain": "{bundle} {image}",
    "lab conv": "{image}",
    "lab pool": "{image}",
    "lab size": "224 --kernel 5",
    "lab filters": "{image}",
    "lab trace": "{bundle} {image}",
    "course open": "",
    "course build": "site",
    "course tasks": "",
    "course start": "sizes",
    "course check": "sizes {sizes}",
    "course progress": "",
}
NEEDS = {
    "serve": ("{bundle}", "serve"),
    "train": ("{folder}", "train"),
    "demo": ("", "train"),
    "advise": ("{folder}", "train"),
    "compare": ("{folder}", "train"),
    "models": ("resnet18", "train"),
    "kaggle download": ("titanic", "kaggle"),
    "kaggle submit": ("titanic {image}", "kaggle"),
    "lab feature-maps": ("{image}", "train"),
    "lab scratch": ("", "demo"),
    "lab gradients": ("", "train"),
    "lab degradation": ("", "train"),
    "lab race": ("lenet5", "train"),
    "lab first-layer": ("lenet5", "train"),
}


def test_the_walk_below_visits_every_verb():
    program = get_command(app)
    verbs = set()
    for name, verb in program.commands.items():
        verbs |= {f"{name} {inner}" for inner in verb.commands} if hasattr(verb, "commands") else {name}
    assert verbs == WORKS.keys() | NEEDS.keys()


def test_every_verb_of_the_base_install_works_or_names_the_extra(
    installed, tiny_bundle, finished_run, colour_folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("BROWSER", "true")  # a program that opens nothing
    places = {
        "bundle": tiny_bundle.directory,
        "run": finished_run,
        "image": colour_folder / "red/red2.png",
        "folder": colour_folder,
        "sizes": tmp_path / "answers.toml",
    }
    places["sizes"].write_text("first = 224\nsecond = 63\n")
    for verb, arguments in WORKS.items():
        result = run(installed / "svertka", *verb.split(), *arguments.format(**places).split(), cwd=tmp_path)
        assert result.returncode == 0, (verb, result.stderr.decode())
    for verb, (arguments, extra) in NEEDS.items():
        result = run(installed / "svertka", *verb.split(), *arguments.format(**places).split(), cwd=tmp_path)
        said = result.stderr.decode().splitlines()
        assert (result.returncode, len(said)) == (2, 1), (verb, said)
        assert f"pip install 'svertka[{extra}]'" in said[0], (verb, said)
