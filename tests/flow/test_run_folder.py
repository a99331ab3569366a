"""A finished run reads back whole from its files, and its report builds again without torch."""

import subprocess
import sys
from dataclasses import replace

import pytest

from svertka import run_folder
from svertka.config import RunConfig
from svertka.errors import ConfigError
from svertka.pipeline import run


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
    for name in ("config", "split", "decision", "evaluation", "order", "parity", "sources", "notices", "command"):
        assert getattr(found, name) == getattr(record, name), name
    assert found.catalog == record.catalog
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
    assert len(after) == pytest.approx(len(before), rel=0.02)


def test_a_second_run_decodes_and_computes_nothing(finished, monkeypatch):
    from svertka.export.engine import FeatureEngine

    folder, record = finished
    monkeypatch.setattr(FeatureEngine, "__call__", lambda *arguments: pytest.fail("features were computed again"))
    config = run_folder.load_config(folder)
    again = run(replace(config, out=str(folder.parent / "again")))
    assert again.catalog.decoded == 0
    assert (again.test.logits_NK == record.test.logits_NK).all()


def test_a_run_goes_on_only_with_the_images_and_settings_that_it_began_with(finished, tmp_path):
    _, record = finished
    config, catalog, split = record.config, record.catalog, record.split
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
