"""A finished run reads back whole from its files, and its report builds again without torch."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from PIL import Image

from svertka.bundle.bundle import load_bundle
from svertka.config import RunConfig
from svertka.data.pixels import PixelStore, cache_dir
from svertka.errors import BundleError, ConfigError, DataError, NotFoundError, UnfinishedError, WeightsError
from svertka.explain.cached import insight_of
from svertka.features.experiment import Experiment
from svertka.features.extractor import open_extractor
from svertka.pipeline import run
from svertka.report import build_report
from svertka.runs import folder as run_folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory, shapes_folder):
    root = tmp_path_factory.mktemp("run")
    shapes_folder(root / "photos", count=20)
    (root / "photos/disc/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    config = RunConfig(
        data=str(root / "photos"),
        out=str(root / "run"),
        backbone="timm:test_efficientnet",
        weights="none",
        size_px=64,
        strategy="probe",
    )
    return root / "run", run(config, command="svertka train photos")


def test_every_record_reads_back(finished):
    folder, record = finished
    found = run_folder.load_run(folder)
    parts = "config split decision evaluation order parity sources notices command insight doubts"
    for name in parts.split():
        assert getattr(found, name) == getattr(record, name), name
    kept = tuple(replace(image, sketch="") for image in record.catalog.records)  # sketches are the scan's to remember
    assert found.catalog == replace(record.catalog, records=kept)
    assert (found.test.logits_NK == record.test.logits_NK).all()


def test_the_broken_file_is_listed_and_the_job_went_on(finished):
    folder, _ = finished
    assert "broken.png" in (folder / run_folder.REJECTED).read_text()


def test_the_report_builds_again_without_torch(finished):
    folder, _ = finished
    before = (folder / run_folder.REPORT).read_text(encoding="utf-8")
    code = f"import sys; sys.modules['torch'] = None\nfrom svertka.cli.report import report; report({str(folder)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    after = (folder / run_folder.REPORT).read_text(encoding="utf-8")
    assert after == before


def test_a_second_run_decodes_and_computes_nothing(finished, monkeypatch):
    from svertka.features.extractor import FeatureExtractor

    folder, record = finished
    monkeypatch.setattr(FeatureExtractor, "__call__", lambda *arguments: pytest.fail("features were computed again"))
    config = run_folder.load_config(folder)
    with monkeypatch.context() as patch:
        patch.setattr("svertka.explain.cached.look_inside", lambda *_, **__: pytest.fail("it was explained again"))
        again = run(replace(config, out=str(folder.parent / "again")))
    assert again.catalog.decoded == 0
    assert (again.test.logits_NK == record.test.logits_NK).all()
    assert again.insight == record.insight


def test_another_seed_or_a_touched_file_is_explained_anew(finished, tmp_path, monkeypatch):
    folder, record = finished
    extractor = open_extractor(record.config, cache_dir())
    experiment = Experiment(
        config=record.config,
        extractor=extractor,
        catalog=record.catalog,
        split=record.split,
        store=PixelStore(cache_dir(), extractor.preprocess),
        cache=tmp_path,
    )
    looked = []
    monkeypatch.setattr(
        "svertka.explain.cached.look_inside", lambda *_, seed, **__: looked.append(seed) or record.insight
    )
    bundle = load_bundle(folder / run_folder.BUNDLE)
    for each in (experiment, experiment, replace(experiment, config=replace(record.config, seed=5)), experiment):
        assert insight_of(bundle, each, record.test, record.evaluation) == record.insight
    assert looked == [0, 5]
    file = record.catalog.file(record.catalog.records[0])
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    insight_of(bundle, experiment, record.test, record.evaluation)
    assert looked == [0, 5, 0]


def test_a_run_goes_on_only_with_the_images_and_settings_that_it_began_with(finished, tmp_path):
    _, record = finished
    config, catalog, split = record.config, record.catalog, record.split
    (tmp_path / run_folder.CONFIG).write_text(run_folder.config_to_toml(config), encoding="utf-8")
    assert run_folder.begin(tmp_path, config, catalog, split, "first", "monday") == ("first", "monday")
    moved = replace(config, out="elsewhere")
    assert run_folder.begin(tmp_path, moved, catalog, split, "second", "tuesday") == ("first", "monday")
    relabelled = replace(catalog, records=(replace(catalog.records[0], label=1), *catalog.records[1:]))
    other_split = replace(split, train=split.train[1:], test=(*split.test, split.train[0]))
    for changed in (
        (config, relabelled, split),
        (config, catalog, other_split),
        (replace(config, seed=1), catalog, split),
    ):
        with pytest.raises(ConfigError, match="have changed since it was started"):
            run_folder.begin(tmp_path, *changed, "third", "wednesday")


def test_a_run_that_an_older_svertka_began_goes_on(finished, tmp_path):
    """It knew fewer settings; what has come since stands at its default."""
    _, record = finished
    older = "".join(
        line
        for line in run_folder.config_to_toml(replace(record.config, out="")).splitlines(keepends=True)
        if not line.startswith(("encoding", "min_images", "epoch_images"))
    )
    (tmp_path / run_folder.CONFIG).write_text(older, encoding="utf-8")
    now, split = record.config, record.split
    parts = {index: name for name in ("train", "val", "test") for index in split.of(name)}
    rows = [(r.path, r.pixel_hash, r.label, parts.get(n)) for n, r in enumerate(record.catalog.records)]
    text = older + json.dumps([record.catalog.class_names, rows])
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    begun = {"command": "first", "started": "monday", "digest": digest}
    (tmp_path / run_folder.START).write_text(json.dumps(begun), encoding="utf-8")
    assert run_folder.begin(tmp_path, now, record.catalog, split, "second", "tuesday") == ("first", "monday")
    with pytest.raises(ConfigError, match="have changed since it was started"):
        run_folder.begin(tmp_path, replace(now, seed=7), record.catalog, split, "third", "wednesday")


@pytest.mark.parametrize("out", ["", "named"])
def test_a_run_that_fails_before_it_began_leaves_its_place_free(finished, tmp_path, monkeypatch, out):
    _, record = finished
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pth").write_bytes(b"no weights")
    config = replace(record.config, out=out, backbone="resnet18", weights="weights.pth")
    for _ in range(2):  # the second try isn't told that something is there already
        with pytest.raises(WeightsError, match="is no file of weights"):
            run(config)
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(["weights.pth", "named" if out else "runs"])


def test_what_a_run_began_with_outlives_a_wrong_resume(finished, tmp_path):
    folder, record = finished
    shutil.copytree(folder, tmp_path / "stopped", ignore=shutil.ignore_patterns("bundle", run_folder.METRICS))
    before = (tmp_path / "stopped" / run_folder.CONFIG).read_bytes()
    with pytest.raises(ConfigError, match="have changed since it was started"):
        run(replace(record.config, seed=1), resume=str(tmp_path / "stopped"))
    assert (tmp_path / "stopped" / run_folder.CONFIG).read_bytes() == before
    with pytest.raises(NotFoundError, match="is no run folder"):
        run(record.config, resume=str(tmp_path / "nowhere"))


def test_two_processes_do_not_work_in_one_run(finished, tmp_path):
    folder, record = finished
    shutil.copytree(folder, tmp_path / "stopped", ignore=shutil.ignore_patterns("bundle", run_folder.METRICS))
    code = f"""
from pathlib import Path
from svertka.runs import folder as run_folder
with run_folder.alone(Path({str(tmp_path / "stopped")!r})):
    print("in", flush=True)
    input()
"""
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "in\n"
    with pytest.raises(ConfigError, match="is being worked on by another process; wait for it, or end it"):
        run(record.config, resume=str(tmp_path / "stopped"))
    other.kill()
    other.communicate()
    with run_folder.alone(tmp_path / "stopped"):  # a killed process leaves no lock behind
        pass


AFTER_JUDGING = {
    "hand_over": ("not_handed_over", "writing the bundle", "bundle"),
    "explain": ("not_explained", "", "explain.json"),
    "build_report": ("not_reported", "the report", "report.html"),
    "write_card": ("no_card", "the model card", "model_card.md"),
}


@pytest.mark.parametrize("error", [BundleError("the graph is wrong."), OSError(28, "No space left on device")])
@pytest.mark.parametrize("step", AFTER_JUDGING)
def test_what_is_known_outlives_a_step_after_judging_that_fails(finished, tmp_path, monkeypatch, step, error):
    _, record = finished
    code, what, missing = AFTER_JUDGING[step]
    folder = tmp_path / "run"

    def fail(*arguments):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(f"svertka.pipeline.{step}", fail)
        if what:
            told = rf"was judged, but {what} failed: .*(the graph is wrong|No space left on device).*metrics\.json"
            with pytest.raises(UnfinishedError, match=told):
                run(replace(record.config, out=str(folder)))
        else:
            run(replace(record.config, out=str(folder)))
    found = run_folder.load_run(folder)
    assert found.evaluation == record.evaluation
    assert (found.test.logits_NK == record.test.logits_NK).all()
    (notice,) = [notice for notice in found.notices if notice.code == code]
    assert notice.level == "warning"
    assert (found.parity is None) == (step == "hand_over")
    names = {"bundle", "metrics.json", "predictions.csv", "report.html", "model_card.md"}
    gone = {missing} & names
    assert {name for name in names if (folder / name).exists()} == names - gone
    if step == "hand_over":
        for language, said in (("en", "There is no model to use"), ("ru", "Готовой модели нет")):
            page = build_report(replace(found, config=replace(found.config, language=language)), tmp_path / "page.html")
            text = page.read_text(encoding="utf-8")
            assert said in text and 'id="use"' not in text and "#use" not in text
    if what:  # with the cause mended, the run goes on to its end
        again = run(found.config, resume=str(folder))
        assert again.evaluation == record.evaluation
        assert {name for name in names if (folder / name).exists()} == names
    with pytest.raises(ConfigError, match="is finished already"):
        run(found.config, resume=str(folder))


def test_a_run_of_an_older_svertka_has_no_insight(finished, tmp_path):
    folder, _ = finished
    shutil.copytree(folder, tmp_path / "old", ignore=shutil.ignore_patterns("explain.json", "bundle"))
    found = run_folder.load_run(tmp_path / "old")
    assert found.insight is None
    assert 'id="seeing"' not in build_report(found, tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_damaged_explanation_is_named(finished, tmp_path):
    folder, _ = finished
    shutil.copytree(folder, tmp_path / "bad", ignore=shutil.ignore_patterns("bundle"))
    (tmp_path / "bad" / run_folder.EXPLAIN).write_text('{"examples": []}')
    with pytest.raises(DataError, match="is damaged"):
        run_folder.load_run(tmp_path / "bad")


def test_the_network_is_explained(finished):
    _, record = finished
    insight = record.insight
    assert {one.why for one in insight.examples} >= {"right", "unsure"}
    assert [stage.level for stage in insight.patches] == ["first", "middle", "last"]
    assert {probe.name: probe.verdict for probe in insight.shortcuts}["size"] == "nothing to learn"
    assert {(check.method, check.shuffled) for check in insight.sanity} == {
        (method, depth) for method in ("grad_cam", "occlusion") for depth in ("head", "all")
    }


@pytest.mark.parametrize("language", ["en", "ru"])
def test_explain_needs_no_torch_and_draws_everything(finished, tmp_path, language):
    folder, record = finished
    photo = record.catalog.file(record.catalog.records[0])
    Image.open(photo).convert("L").save(tmp_path / "gray.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    arguments = f"{str(folder)!r}, [{str(photo)!r}, {str(tmp_path)!r}], {str(tmp_path / 'out')!r}, {language!r}"
    code = (
        "import sys\nfor name in ('torch', 'onnx', 'sklearn', 'scipy'): sys.modules[name] = None\n"
        "from svertka.cli.explain import explain\n"
        f"sys.exit(explain({arguments}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"en": "broken.png could not be read", "ru": "broken.png: прочитать не удалось"}[language] in done.stderr
    html = (tmp_path / "out/index.html").read_text(encoding="utf-8")
    assert html.count("<article") == 2 and "http" not in html.replace("http://www.w3.org", "")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    stem = photo.stem
    assert {f"{stem}.png", f"{stem}-grad-cam-1.png", f"{stem}-grad-cam-2.png", f"{stem}-occlusion-1.png"} <= names
    assert {f"{stem}-occlusion-2.png", f"{stem}-stage1.png", "first-layer-filters.png", "gray-stage1.png"} <= names
    wanted = {"en": "First layers: edges, corners, textures", "ru": "Первые слои: границы, углы, текстуры"}
    assert wanted[language] in html
