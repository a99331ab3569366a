"""Bundles of strangers who mean harm: every verb and engine refuses each in one line, soon and in little memory."""

import resource
import shutil
import subprocess
import sys
import time

import numpy as np
import onnx
import pytest

import hostile
from svertka.bundle.bundle import load_bundle, write_bundle
from svertka.bundle.classifier_graph import attach_head
from svertka.cli.main import main
from svertka.errors import BundleError
from svertka.features.linear_head import LinearHead
from svertka.inference.backends import ONNX, open_graph
from svertka.schema import Conformal, Estimate, Preprocess, Source, ValueRange

SECONDS, BYTES = 10, 1 << 30
ENGINES, OTHERS = ("ONNX Runtime", "NumPy"), ("evaluate", "explain", "trace")


@pytest.fixture(scope="module")
def legal(tmp_path_factory):
    """A bundle that every verb opens."""
    rng = np.random.default_rng(1)
    weight_KD = rng.normal(size=(3, 4)).astype(np.float32)
    head = LinearHead(np.ones(4, np.float32), np.ones(4, np.float32), weight_KD, np.zeros(3, np.float32))
    graph = attach_head(hostile.features_graph(), head, 2.0)
    images = rng.integers(0, 256, (5, hostile.SIDE, hostile.SIDE, 3), dtype=np.uint8)
    (reference_NK,) = open_graph(graph.SerializeToString(), ONNX, 1)(images, ["probabilities"])
    return write_bundle(
        tmp_path_factory.mktemp("legal") / "bundle",
        graph=graph,
        weights={"head.weight": weight_KD},
        class_names=hostile.CLASSES,
        preprocess=Preprocess(
            size_px=hostile.SIDE, interpolation="bilinear", ranges=(ValueRange(mode="I;16", low=16, high=4095),)
        ),
        temperature=2.0,
        check_images_NSSC=images,
        reference_NK=reference_NK,
        training_hashes=["0123456789abcdef" * 2],
        sources=[Source(name="a test", origin="tests", licence="Apache-2.0")],
        metrics={"accuracy": Estimate(0.9, 0.8, 0.95, 40)},
        versions={"python": "3"},
        conformal=Conformal(target=0.9, thresholds=(0.9, 0.9, 0.9), counts=(9, 9, 9)),
        threads=1,
    ).directory


@pytest.fixture(scope="module")
def verbs(colour_folder, tmp_path_factory):
    """Command lines of everything that opens a bundle."""
    image, out = str(colour_folder / "red" / "red2.png"), str(tmp_path_factory.mktemp("out") / "page")
    return lambda bundle: {
        "ONNX Runtime": ["predict", bundle, image, "--engine", "onnx", "--threads", "1"],
        "NumPy": ["predict", bundle, image, "--engine", "numpy", "--threads", "1"],
        "evaluate": ["evaluate", bundle, str(colour_folder), "--threads", "1"],
        "explain": ["explain", bundle, image, "--out", out, "--threads", "1"],
        "trace": ["lab", "trace", bundle, image, "--layer", "conv", "--at", "0,1,1"],
    }


@pytest.fixture
def refused(monkeypatch, capsys):
    """Runs a command line as the shell would; what is wrong with how it ended, or nothing."""

    def run(arguments):
        monkeypatch.setattr(sys, "argv", ["svertka", *arguments])
        started = time.process_time()
        try:
            main()
            code = 0
        except SystemExit as stopped:
            code = stopped.code
        except BaseException as error:
            code = repr(error)
        took, lines = time.process_time() - started, capsys.readouterr().err.splitlines()
        well = code == 2 and len(lines) == 1 and lines[0].startswith("svertka: ") and len(lines[0]) < 2000
        return None if well and took < SECONDS else (code, round(took, 1), lines[:3])

    return run


def _opens(directory):
    """Whether what is wrong shows only when it runs: else all verbs stop at one place, and one of them shows it."""
    try:
        load_bundle(directory)
    except BundleError:
        return False
    return True


def test_the_legal_bundle_is_opened_by_every_verb(legal, verbs, monkeypatch, capsys):
    for name, arguments in verbs(str(legal)).items():
        monkeypatch.setattr(sys, "argv", ["svertka", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert not stopped.value.code, (name, capsys.readouterr().err)


def test_every_hostile_graph_is_refused_by_every_verb_and_engine(legal, verbs, refused, tmp_path):
    graphs, failures = hostile.graphs(), {}
    model = onnx.load(legal / "model.onnx")
    for number, (name, change) in enumerate(graphs.items()):
        directory = shutil.copytree(legal, tmp_path / f"bundle{number}")
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        content = change(changed)
        hostile.rewrite(directory, changed.SerializeToString() if content is None else content)
        lines = verbs(str(directory))
        for verb in (*ENGINES, *(OTHERS if _opens(directory) else OTHERS[number % 3 :][:1])):
            if wrong := refused(lines[verb]):
                failures[name, verb] = wrong
        shutil.rmtree(directory)
    print(f"{len(graphs)} hostile graphs, {len(failures)} not refused")
    assert len(graphs) >= 150
    assert not failures


def test_every_field_of_a_manifest_is_checked(legal, verbs, refused, tmp_path):
    directory = shutil.copytree(legal, tmp_path / "bundle")
    text = (directory / "manifest.json").read_text("utf-8")
    tried, failures = 0, {}
    for name, content in hostile.manifests(text):
        (directory / "manifest.json").write_bytes(content)
        tried += 1
        try:
            load_bundle(directory)
            failures[name] = "was opened"
        except BundleError as error:
            if len(str(error)) > 2000:
                failures[name] = str(error)
        if tried % 20 == 0 and (wrong := refused(verbs(str(directory))["ONNX Runtime"])):
            failures[name] = wrong
    print(f"{tried} hostile manifests, {len(failures)} not refused")
    assert tried >= 500
    assert not failures


def test_what_is_no_regular_file_is_refused(legal, verbs, refused, tmp_path):
    tried, failures = 0, {}
    for file in hostile.FILES:
        for what, make in hostile.SUBSTITUTES.items():
            directory = shutil.copytree(legal, tmp_path / f"bundle{tried}")
            (directory / file).unlink()
            make(directory / file)
            tried += 1
            for verb, arguments in verbs(str(directory)).items():
                if wrong := refused(arguments):
                    failures[file, what, verb] = wrong
            shutil.rmtree(directory, ignore_errors=True)
    print(f"{tried} bundles with something else than a file, {len(failures)} not refused")
    assert not failures


def _limited():
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("ConstantOfShape of 1000000000", "onnx"),
        ("100,000 nodes in a row", "numpy"),
        ("a million fields", "onnx"),
        ("names of 33 MB", "numpy"),
        ("whole numbers by -1", "onnx"),
        ("roots of negative pixels", "onnx"),
        ("roots of negative pixels", "numpy"),
    ],
)
def test_a_process_of_its_own_stays_within_time_and_memory(legal, colour_folder, tmp_path, name, engine):
    directory = shutil.copytree(legal, tmp_path / "bundle")
    model = onnx.load(legal / "model.onnx")
    content = hostile.graphs()[name](model)
    hostile.rewrite(directory, model.SerializeToString() if content is None else content)
    code = (
        "import resource\nfrom svertka.cli.main import main\n"
        "try:\n    main()\nfinally:\n    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    image = str(colour_folder / "red" / "red2.png")
    command = [sys.executable, "-c", code, "predict", str(directory), image, "--engine", engine]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=_limited)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert int(done.stdout.splitlines()[-1]) * 1024 < BYTES
