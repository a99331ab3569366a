"""``svertka course`` as a person calls it, its texts, its starter files, and what it remembers."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import right_code as answers

import svertka.course
from svertka.cli import COURSE
from svertka.cli.course import check, locale_language, progress, start, tasks
from svertka.course.findings import Finding, part, wrong
from svertka.course.number_tasks import resnet18_layers
from svertka.course.passed_tasks import Passed, digest, note_passed, progress_file, read_passed
from svertka.course.starters import starter
from svertka.course.task_list import TASKS, find_task
from svertka.course.wording import finding_lines, matrix_lines, sentence
from svertka.errors import ConfigError, DataError, NotFoundError
from svertka.messages import LANGUAGES, Translator, catalogue
from svertka.schema import Estimate

NAMES = (
    "convolution2d filters sizes max-pooling five-filters vgg-block resnet18-parameters race strategies activations "
    "pipeline numpy-cnn classifier kaggle"
).split()
STOPS = "time memory files network processes libraries disk ended garbage".split()
DYNAMIC = {
    "stopped_": {f"stopped_{why}" for why in STOPS},
    "block_": {f"block_{what}" for what in ("parameters", "shapes", "numbers", "gradients")},
    "verdict_": {"verdict_better", "verdict_worse", "verdict_none"},
    "stage_": {"stage_edges", "stage_objects"},
    "layer_": {"layer_convolution", "layer_batch_norm", "layer_linear"},
}
OF_TROUBLE = {"raised", "changed", "no_array", "shape", "not_finite", "rounded", "values"}


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    monkeypatch.setenv("SVERTKA_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.setenv(name, "C")
    yield
    from svertka.cli.output import speak

    speak("en")


def call(*arguments):
    program = [sys.executable, "-c", "from svertka.cli import main; main()", "course", *arguments]
    return subprocess.run(program, capture_output=True, text=True, check=False)


# --- verbs -----------------------------------------------------------------------------------------------------------


def test_there_are_fourteen_tasks_in_order():
    assert [task.name for task in TASKS] == NAMES
    assert len(NAMES) == 14


def test_a_task_from_its_start_to_being_passed():
    done = call("start", "convolution2d", "--language", "ru")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "Записано в convolution2d.py.",
        "Проверить: svertka course check convolution2d convolution2d.py",
    ]
    first = call("check", "convolution2d", "convolution2d.py")
    assert first.returncode == 1
    assert first.stdout.startswith("convolution2d: not yet\n")
    assert "raises NotImplementedError (line" in " ".join(first.stdout.split())
    Path("convolution2d.py").write_text(answers.CONVOLUTION2D)
    second = call("check", "convolution2d", "convolution2d.py", "--language", "ru")
    assert (second.returncode, second.stderr) == (0, "")
    assert second.stdout.startswith("convolution2d: зачтено\n")
    told = json.loads(call("progress").stdout)
    assert (told["passed"], told["of"], list(told["tasks"])) == (1, 14, NAMES)
    noted = told["tasks"]["convolution2d"]
    assert noted["file"] == "convolution2d.py"
    assert noted["sha256"] == digest(Path("convolution2d.py"))
    assert told["tasks"]["kaggle"] is None
    listed = call("tasks").stdout
    assert " ✓ convolution2d " in listed
    assert "1 of 14 passed." in listed


def test_errors_are_one_line():
    for arguments, said in (
        (("start", "conv"), "task is 'conv'; expected one of convolution2d"),
        (("check", "sizes", "absent.toml"), "absent.toml does not exist; expected what you hand in for sizes"),
        (("check", "sizes"), "Missing: FILE|RUN"),
    ):
        done = call(*arguments)
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_help_lists_the_verbs():
    done = call("--help")
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in COURSE)


@pytest.mark.parametrize("language", LANGUAGES)
def test_tasks_fit_into_80_columns(language, capsys):
    tasks(language)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert all(any(line[3:].startswith(f"{name} ") for line in lines) for name in NAMES)


def test_start_overwrites_nothing_and_says_where_it_may_write():
    start("filters")
    before = Path("filters.py").read_bytes()
    with pytest.raises(ConfigError, match=r"is there already and is not overwritten; name another file with --out"):
        start("filters")
    Path("dangling.py").symlink_to("nowhere")
    with pytest.raises(ConfigError, match="is there already"):
        start("filters", out="dangling.py")
    with pytest.raises(NotFoundError, match=r"expected a folder to write mine\.py into"):
        start("filters", out="absent/mine.py")
    start("filters", out="mine.py")
    assert Path("mine.py").read_bytes() == before


@pytest.mark.parametrize(
    ("names", "language"),
    [({"LANG": "ru_RU.UTF-8"}, "ru"), ({"LC_ALL": "en_GB.UTF-8", "LANG": "ru_RU.UTF-8"}, "en"), ({"LANG": "C"}, "en"),
     ({"LC_MESSAGES": "ru_UA", "LANG": "de_DE"}, "ru")],
)  # fmt: skip
def test_the_language_is_by_default_that_of_the_locale(monkeypatch, capsys, names, language):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert locale_language() == language
    tasks()
    assert ("Принципы свёртки" in capsys.readouterr().out) == (language == "ru")


# --- starter files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_a_starter_file_is_valid_says_what_is_asked_and_does_not_pass(tmp_path, name, language):
    task = find_task(name)
    text = starter(task, language)
    assert max(map(len, text.splitlines())) <= 100
    assert f"svertka course check {name} {task.file}" in text
    if task.file.endswith(".py"):
        ast.parse(text)
    elif task.file.endswith(".toml"):
        tomllib.loads(text)
    fields = re.findall(r"^(\w+) = |^def (\w+)", text, re.MULTILINE)
    comments = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    assert all((field or function) in comments for field, function in fields)
    if name == "vgg-block":
        pytest.importorskip("torch")
    (tmp_path / task.file).write_text(text, "utf-8")
    assert check(name, str(tmp_path / task.file), language) == 1


def test_the_table_of_layers_has_every_layer_and_no_number():
    rows = [line for line in starter(find_task("resnet18-parameters"), "en").splitlines() if not line.startswith("#")]
    assert rows == ["layer,parameters", *(f"{layer.name}," for layer in resnet18_layers()), "total,"]


# --- words -----------------------------------------------------------------------------------------------------------


def made():
    """Codes of findings that the package makes: whether right, and the code or its beginning."""
    for file in sorted(Path(svertka.course.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("right", "wrong"):
                code = node.args[0]
                if isinstance(code, ast.JoinedStr):
                    for each in DYNAMIC[code.values[0].value]:
                        yield node.func.id, each
                elif isinstance(code, ast.IfExp):
                    yield from ((node.func.id, branch.value) for branch in (code.body, code.orelse))
                elif isinstance(code, ast.Constant):
                    yield node.func.id, code.value
                else:
                    assert ast.unparse(code) == "found.code", ast.unparse(node)
    yield from (("wrong", code) for code in OF_TROUBLE)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_finding_has_its_sentence_and_every_sentence_its_finding(language):
    keys = {key for key in catalogue(language) if key.startswith(("course.right.", "course.wrong."))}
    assert {f"course.{kind}.{code}" for kind, code in made()} == keys


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_task_has_title_and_statement(language):
    known = catalogue(language)
    for task in TASKS:
        assert len(known[f"course.task.{task.key}.title"]) < 60
        assert known[f"course.task.{task.key}.statement"].endswith(".")


def test_solutions_are_not_in_the_package():
    texts = "".join(path.read_text("utf-8") for path in Path(svertka.course.__file__).parent.rglob("*.py"))
    assert "def convolution2d(image, kernel, padding=0, stride=1):\n    raise NotImplementedError" in texts
    for body in ("[1, 0, -1]", "sliding_window_view", "nn.Conv2d", "MaxPool2d"):
        assert body not in texts


def test_matrices_stand_side_by_side_and_differing_cells_in_brackets():
    matrices = {"image": [[1, -2], [0.5, 3]], "expected": [[1, 2]], "got": [[1, 3]]}
    parts = [part(name, np.array(rows, float)) for name, rows in matrices.items()]
    bad = wrong("values", *parts, part("padding", 1), part("stride", 2), function="f", n=1, of=2)
    assert list(finding_lines(bad, Translator("en")))[2:] == [
        "",
        "      padding = 1, stride = 2",
        "      image        expected    yours",
        "         1  -2      1  2        1 [3]",
        "       0.5   3",
        "",
    ]


def test_large_matrices_are_cut():
    lines = matrix_lines(tuple(tuple(float(n) for n in range(40)) for _ in range(40)))
    assert len(lines) == 17
    assert lines[-1].strip() == "…"
    assert all(line.rstrip().endswith("…") for line in lines)


def test_what_a_solution_says_cannot_act_on_the_terminal():
    bad = wrong("raised", function="f", kind="E", text="\x1b[2J\nfake", line=0)
    assert "\x1b" not in sentence(bad, Translator("en")) and "\n" not in sentence(bad, Translator("en"))


# --- what was passed -------------------------------------------------------------------------------------------------


def test_the_first_time_counts_and_foreign_content_stays(tmp_path):
    place, solution = tmp_path / "course.json", tmp_path / "mine.py"
    place.write_text(json.dumps({"by": "another program", "tasks": {"old": {"x": 1}, "sizes": "what?"}}))
    solution.write_text("1")
    note_passed(find_task("filters"), solution, place)
    first = read_passed(place)
    solution.write_text("2")
    note_passed(find_task("filters"), solution, place)
    assert read_passed(place) == first
    assert isinstance(first["filters"], Passed) and list(first) == ["filters"]
    kept = json.loads(place.read_text())
    assert kept["by"] == "another program"
    assert kept["tasks"]["old"] == {"x": 1}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"tasks": 3}', '{"tasks": {"filters": null}}', "[" * 9999, "\x00"])
def test_a_damaged_file_means_that_nothing_was_passed(tmp_path, content, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/course.json").write_text(content)
    assert read_passed() == {}
    progress()
    assert json.loads(capsys.readouterr().out)["passed"] == 0
    (tmp_path / "mine.py").write_text("1")
    note_passed(find_task("filters"), tmp_path / "mine.py")
    assert list(read_passed()) == ["filters"]


def test_a_place_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("1")
    monkeypatch.setenv("SVERTKA_DATA", str(tmp_path / "mine.py"))
    with pytest.raises(DataError, match=r"filters is passed, but .* cannot be written .*SVERTKA_DATA"):
        note_passed(find_task("filters"), tmp_path / "mine.py")


def test_the_place_is_the_users_own_data(monkeypatch, tmp_path):
    monkeypatch.delenv("SVERTKA_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("APPDATA", str(tmp_path / "roaming"))
    monkeypatch.setattr("svertka.course.passed_tasks.sys.platform", "linux")
    assert progress_file() == tmp_path / "svertka/course.json"
    monkeypatch.setattr("svertka.course.passed_tasks.sys.platform", "win32")
    assert progress_file() == tmp_path / "roaming/svertka/course.json"
    monkeypatch.setattr("svertka.course.passed_tasks.sys.platform", "darwin")
    assert progress_file().as_posix().endswith("Library/Application Support/svertka/course.json")


def test_a_finding_without_findings_is_not_passed():
    from svertka.course.findings import TaskVerdict

    assert not TaskVerdict(task="filters", findings=()).passed
    assert not TaskVerdict(task="filters", findings=(Finding(right=False, code="missing"),)).passed


def test_figures_are_written_as_the_language_does_it():
    bad = wrong(
        "accuracy_other", part("resnet18", Estimate(0.9, 0.85, 0.95, 100)), part("expected", 0.25), part("n", 3)
    )
    assert list(finding_lines(bad, Translator("ru")))[2:4] == [
        "      правильно = 0,25, n = 3",
        "      resnet18: 0,900 (0,850 … 0,950)",
    ]
    assert "      resnet18: 0.900 (0.850 … 0.950)" in list(finding_lines(bad, Translator("en")))
    json.dumps(asdict(bad))  # what a page takes
