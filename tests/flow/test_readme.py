"""The README's commands run as they stand, in order, beside a small folder of photographs."""

import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "from svertka.cli.main import main; main()"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(language):
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.strip()]


def lay_out_contest(contest, photos):
    """The photographs as a competition: most in train.csv, the last four of a class to be named."""
    tables = {"train": ["id,shape"], "test": ["id,shape"]}
    for path in sorted(photos.glob("*/*.png")):
        part = "test" if int(path.stem.split("-")[1]) >= 20 else "train"
        (contest / part).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, contest / part)
        tables[part].append(f"{path.stem},{path.parent.name if part == 'train' else 'disc'}")
    (contest / "train.csv").write_text("\n".join(tables["train"]))
    (contest / "sample_submission.csv").write_text("\n".join(tables["test"]))


@contextmanager
def serving(line, folder):
    """The server of a command, at a port of the test's own, until the end."""
    words = [*PROGRAM, *shlex.split(line)[1:], "--port", str(PORT)]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        said = server.stdout.readline()
        assert f":{PORT}/" in said, said + server.stdout.read()
        yield
        server.terminate()
        said = server.communicate()[0]
        assert server.returncode == 0, said


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


PORT = free_port()


def test_the_readme_has_its_commands():
    assert any(line.startswith("svertka train") for line in commands("console"))
    assert any(line.startswith("svertka predict") for line in commands("console"))


@pytest.mark.timeout(1200)  # a busy machine takes thrice as long
def test_commands_run_in_order(tmp_path, shapes_folder):
    shapes_folder(tmp_path / "photos", count=24)
    shutil.copy(tmp_path / "photos/disc/disc-0.png", tmp_path / "photo.png")
    lay_out_contest(tmp_path / "contest", tmp_path / "photos")
    with ExitStack() as servers:
        for line in commands("console"):
            if line.startswith("svertka serve"):
                servers.enter_context(serving(line, tmp_path))
                continue
            words = shlex.split(line.replace(":8000/", f":{PORT}/"))
            words = [*PROGRAM, *words[1:]] if words[0] == "svertka" else words
            done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
            if words[0] == "curl":
                assert json.loads(done.stdout)["predictions"][0]["label"] in ("disc", "square")
    assert (tmp_path / "model.html").stat().st_size > 4e6
    assert (tmp_path / "runs/photos/report.html").stat().st_size < 5e6
    assert len((tmp_path / "answers.csv").read_text().splitlines()) == 1 + 2 * 24
    submission = (tmp_path / "submission.csv").read_text().splitlines()
    assert (submission[0], len(submission)) == ("id,shape", 1 + 2 * 4)


def test_make_targets_exist():
    targets = [line.split()[1] for line in commands("sh") if line.startswith("make ")]
    assert targets == ["demo"]
    for target in targets:
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)


def test_python_examples_run(tmp_path, shapes_folder):
    shapes_folder(tmp_path / "photos", count=24)
    said = []
    for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert len(said) == 2
    assert said[0].startswith("Estimate(value=")
    assert said[1].startswith("[")
