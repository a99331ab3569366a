"""The public names: pinned, all there, and lazy."""

import inspect
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import svertka
from svertka.errors import DataError, NotFoundError


def test_public_names_are_pinned():
    assert svertka.__all__ == [
        "Augment",
        "FineTune",
        "ImageClassifier",
        "MedicalImageClassifier",
        "RunConfig",
        "Scratch",
        "build_report",
        "load_bundle",
        "load_run",
        "make_split",
        "open_predictor",
        "predict_files",
        "run",
        "scan",
    ]
    assert all(callable(getattr(svertka, name)) for name in svertka.__all__)


def test_unknown_name_lists_the_known():
    with pytest.raises(AttributeError, match="no attribute 'train'; expected one of Augment"):
        svertka.train  # noqa: B018


def test_importing_the_package_imports_nothing_else():
    code = "import sys, svertka; sys.exit(any(name.startswith('svertka.') or name == 'numpy' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def path_parameters():
    """Every parameter of the public functions, and of what the documented rooms export, whose type is a path."""
    rooms = [svertka, *map(import_module, ("svertka.evaluate", "svertka.report"))]
    for room in rooms:
        for name in room.__all__:
            thing = getattr(room, name)
            methods = [thing] if inspect.isfunction(thing) else []
            if inspect.isclass(thing):
                methods = [one for key, one in inspect.getmembers(thing, callable) if not key.startswith("_")]
            for method in methods:
                for parameter in inspect.signature(method).parameters.values():
                    if "Path" in str(parameter.annotation):
                        yield f"{name}: {parameter}"
    for name in ("load_run", "load_config", "config_fields"):
        for parameter in inspect.signature(getattr(import_module("svertka.runs.folder"), name)).parameters.values():
            if "Path" in str(parameter.annotation):
                yield f"{name}: {parameter}"


def test_paths_may_be_text_everywhere():
    found = list(path_parameters())
    assert len(found) >= 12
    assert [parameter for parameter in found if "str" not in parameter] == []


@pytest.mark.parametrize("kind", [str, Path])
def test_text_and_paths_do_the_same(tiny_bundle, colour_folder, tmp_path, monkeypatch, kind):
    from report_runs import make_run

    from svertka.evaluate import load_predictions, save_predictions
    from svertka.report import write_card
    from svertka.runs.folder import config_to_toml, load_config, save_catalog, save_run, save_split

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_bundle.directory, "run/bundle")
    folder = kind("run/bundle")
    image = kind(colour_folder / "red" / "red2.png")
    for opened in (svertka.open_predictor(folder), svertka.open_predictor(svertka.load_bundle(kind("~/run")))):
        for paths in ([image], image, iter([image])):
            (answer,) = svertka.predict_files(opened, paths)
            assert answer.path == Path(image)
            assert answer.error == ""
    run = make_run(tmp_path, images=False)
    assert svertka.build_report(run, kind("~/report.html")).is_file()
    assert write_card(run, kind("card.md")).is_file()
    save_predictions(run.test, kind("run/predictions.csv"))
    assert load_predictions(kind("run/predictions.csv")).paths == run.test.paths
    (tmp_path / "run" / "config.toml").write_text(config_to_toml(run.config), "utf-8")
    save_catalog(tmp_path / "run", run.catalog)
    save_split(tmp_path / "run", run.catalog, run.split)
    save_run(tmp_path / "run", run)
    assert svertka.load_run(kind("run")).test.paths == run.test.paths
    assert load_config(kind("~/run")) == run.config
    config = svertka.RunConfig(data=kind(colour_folder), out=kind("runs/x"), images=kind("."), weights=kind("w.pth"))
    assert (config.out, config.images, config.weights) == ("runs/x", ".", "w.pth")
    assert config.data == str(colour_folder)
    with pytest.raises(DataError, match="Too few different images in blue"):
        svertka.scan(kind(colour_folder), config=config, cache=kind(tmp_path / "cache"))
    with pytest.raises(NotFoundError, match="nowhere is no run folder"):
        svertka.run(svertka.RunConfig(data=kind(colour_folder)), resume=kind("nowhere"))
