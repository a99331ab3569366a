"""The command line as a person meets it: help, one line for an error, exit code 2."""

import json
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from svertka.cli import COURSE, KAGGLE, LAB, VERBS, hints, progress
from svertka.cli.demo import how_to_call
from svertka.cli.main import app, main
from svertka.config import FineTune, RunConfig
from svertka.errors import ConfigError
from svertka.runs import folder
from svertka.schema import StepCost, StepEnded, StepStarted


def svertka(*arguments, cwd=None):
    program = [sys.executable, "-c", "from svertka.cli.main import main; main()"]
    return subprocess.run([*program, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)


def test_help_imports_nothing_but_its_own_table():
    code = (
        "import sys\nbefore = set(sys.modules)\nsys.argv = ['svertka', '--help']\n"
        "from svertka.cli import main\nmain()\n"
        "ours = {name for name in sys.modules if name.startswith('svertka')}\n"
        "assert ours == {'svertka', 'svertka.cli'}, ours\n"
        "assert not {'typer', 'numpy', 'torch', 'PIL'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "  train " in done.stdout


def test_help_of_the_verbs_imports_nothing_heavy():
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom svertka.cli.main import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "heavy = {'torch', 'torchvision', 'timm', 'onnx', 'onnxruntime', 'sklearn', 'scipy', 'matplotlib', 'numpy'}\n"
        "sys.exit(' '.join(sorted(heavy & sys.modules.keys())) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_names_every_verb_as_the_verb_describes_itself():
    program = get_command(app)
    described = {name: verb.get_short_help_str(limit=200) for name, verb in program.commands.items()}
    assert {name: line for verbs in VERBS.values() for name, line in verbs.items()} == described
    for group, lines in {"lab": LAB, "kaggle": KAGGLE, "course": COURSE}.items():
        inner = program.commands[group].commands.items()
        assert lines == {name: verb.get_short_help_str(limit=200) for name, verb in inner}


def test_every_option_that_several_verbs_take_is_spelt_alike():
    commands = get_command(app).commands
    for option, verbs in {"config_file": ("train", "advise", "compare", "predict", "evaluate", "explain")}.items():
        for verb in verbs:
            (parameter,) = (each for each in commands[verb].params if each.name == option)
            assert parameter.opts == ["--config"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "nowhere"), "nowhere"),
        (("train",), "expected a folder of images or a table"),
        (("train", ".", "--strategy", "prob"), "Did you mean probe?"),
        (("train", ".", "--minutes", "-1"), "expected a finite budget above 0"),
        (("train", ".", "--config", "none.toml"), "none.toml does not exist"),
        (("train", "--resume", "."), "is no run folder"),
        (("train", "x", "--resume", "."), "takes no other option, got data"),
        (("predict", "nowhere", "x.png"), "nowhere"),
        (("report", "nowhere"), "is no run folder"),
        (("models", "resnet81"), "Did you mean resnet18"),
        (("models", "compare", "vgg61"), "Did you mean vgg1"),
        (("models", "compare"), "no networks were named"),
        (("models", "compare", "vgg16", "timm:resnet18"), "timm:resnet18 cannot be compared"),
        (("models", "timm:foo"), "'svertka models' lists svertka's"),
        (("models", "torchvision:vit_b_16", "--input", "64"), "expected another size or number of channels"),
        (("models", "vgg16", "--input", "9999999999"), "each from 1 to 65536"),
        (("models", "vgg16", "--input", "3,16,16"), "too small for its stem"),
        (("models", "vgg16", "--input", "wide"), "expected channels, height and width such as 3,64,64"),
        (("models", "vgg16", "--format", "xml"), "expected table, csv, md, json"),
        (("models", "vgg16", "resnet18"), "for several: svertka models compare"),
        (("models", "--input", "junk"), "are about one network or a comparison"),
        (("models", "vgg16", "--diagram", "x.svg", "--format", "csv"), "--diagram draws and prints no table"),
        (("models", "lenet5", "--input", "1,2"), "expected channels, height and width such as 3,64,64, or one side"),
        (("models", "lenet5", "--diagram", "net.gif"), "expected a name with .svg or .png"),
        (("models", "lenet5", "--measure"), "belong to a comparison"),
        (("trian", "."), "No such command: trian. Did you mean train?"),
        (("train", ".", "--minuts", "1"), "No such option: --minuts"),
        (("train", ".", "--minutes", "soon"), "'--minutes'"),
        (("lab", "conv"), "lab conv --help"),
        (("--nope",), "No such option: --nope"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(arguments, said, tmp_path):
    done = svertka(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's disk that is always full")
def test_a_full_disk_is_one_line_that_says_what_can_move(monkeypatch, capsys):
    def fill(**_):
        with Path("/dev/full").open("w") as disk:
            disk.write("a model")

    monkeypatch.setattr(sys.modules[main.__module__], "app", fill)
    with pytest.raises(SystemExit) as stop:
        main()
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert said.count("\n") == 1
    assert "No space left" in said
    assert "SVERTKA_CACHE" in said


def test_the_demo_names_the_program_as_it_can_be_called(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert how_to_call(".venv/bin/svertka") == ".venv/bin/svertka"
    assert how_to_call("-c") == "svertka"


def test_debug_shows_the_traceback(tmp_path):
    done = svertka("--debug", "train", "nowhere", cwd=tmp_path)
    assert "Traceback" in done.stderr


def test_a_full_run_folder_is_never_written_over(tmp_path, shapes_folder):
    shapes_folder(tmp_path / "photos", count=8)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    done = svertka("train", "photos", "--out", "mine", cwd=tmp_path)
    assert done.returncode == 2
    assert "not empty; choose another --out" in done.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_configuration_goes_to_toml_and_back(tmp_path):
    config = RunConfig(data='we"ird\\name', minutes=3, drop_leaks=True, language="ru")
    path = tmp_path / folder.CONFIG
    path.write_text(folder.config_to_toml(config), encoding="utf-8")
    assert folder.load_config(tmp_path) == config


def test_numbers_as_python_callers_pass_them_become_plain():
    config = RunConfig(data="-", seed=np.int64(3), size_px=224.0, drop_leaks=1, minutes=np.float32(2), threads=True)
    assert (config.seed, config.size_px, config.drop_leaks, config.minutes, config.threads) == (3, 224, True, 2.0, 1)
    kinds = [type(value) for value in (config.seed, config.size_px, config.drop_leaks, config.minutes, config.threads)]
    assert kinds == [int, int, bool, float, int]
    assert type(FineTune(average_views=np.True_, max_epochs=4.0).max_epochs) is int


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"seed": 1.5}, r"seed is 1\.5; expected int"),
        ({"size_px": "64"}, "size_px is '64'; expected int"),
        ({"drop_leaks": 2}, "drop_leaks is 2; expected bool"),
        ({"backbone": 7}, "backbone is 7; expected str"),
        ({"strategy": ["probe"]}, r"strategy is \['probe'\]; expected one of auto, probe"),
        ({"strategy": "fintune"}, r"expected one of auto, .* Did you mean finetune\?"),
        ({"strategy": "gradul"}, r"Did you mean gradual\?"),
    ],
)
def test_settings_of_another_type_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        RunConfig(data="-", **settings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sede = 1", "Did you mean seed"),
        ("seed = 'x'", "expected int"),
        ("seed = ", "not valid TOML"),
        ("[finetune]\nmax_epoch = 3", "Did you mean max_epochs"),
        ("[finetune]\nstage_decay = 2.0", "expected above 0, at most 1"),
        ("[finetune]\nhead_scale = 0.0", "expected above 0, at most 1"),
        ("[finetune]\nbatch_norm = 'freeze'", "expected frozen or batch"),
        ("[finetune]\nstage_rate = -1.0", "expected a finite rate above 0"),
        ("[finetune]\naverage_decay = 3.0", "expected 0 or more, below 1"),
        ("[finetune]\naugment = 'strnog'", "Did you mean strong"),
        ("[finetune]\nlisted_rates = ['a']", "expected a list of numbers"),
        ("[finetune]\nlisted_rates = [0.1, 0.2]", "expected both rates = 'listed' and one listed rate for each stage"),
        ("[finetune]\nmicro_batch = 64", "expected 0 to batch_size (32)"),
        ("[finetune]\nrates = 'lader'", "Did you mean ladder"),
        ("[scratch]\nfresh_head_rate = 0.0", "expected a finite rate above 0"),
        ("[scratch.augment]\nmix = 2.0", "expected a probability of 0 to 1"),
        ("strategy = 'scratch'", "expected weights 'none' (--weights none)"),
        ("[finetune]\nclip_norm = -1.0", "expected a finite norm above 0, or 0 for no clipping"),
        ("[finetune.augment]\nmin_area = -1.0", "expected above 0, at most 1"),
        ("seed = -5", "expected 0 to 4294967295"),
        ("minutes = inf", "expected a finite budget above 0"),
        ("max_megapixels = inf", "expected a finite number above 0"),
    ],
)
def test_a_wrong_configuration_says_where(text, said, tmp_path):
    (tmp_path / "c.toml").write_text(text)
    done = svertka("train", ".", "--config", "c.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(tmp_path, shapes_folder):
    shapes_folder(tmp_path / "photos", count=8)
    program = [sys.executable, "-c", "from svertka.cli.main import main; main()", "train", "photos", "--out", "mine"]
    program += ["--minutes", "0.2"]
    with (tmp_path / "output.txt").open("w") as output:
        listening = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore Ctrl-C
        process = subprocess.Popen(program, cwd=tmp_path, stdout=output, stderr=output, preexec_fn=listening)
    while not (tmp_path / "mine/log.txt").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert "svertka train --resume mine" in (tmp_path / "output.txt").read_text()
    assert svertka("train", "--resume", "mine", cwd=tmp_path).returncode == 0
    assert (tmp_path / "mine/report.html").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
def test_sigterm_is_as_ctrl_c_and_leaves_no_temporary_file(tmp_path, shapes_folder):
    """As ``kill``, systemd and schedulers stop a job."""
    shapes_folder(tmp_path / "photos", count=30)
    program = [sys.executable, "-c", "from svertka.cli.main import main; main()", "train", "photos", "--out", "mine"]
    with (tmp_path / "output.txt").open("w") as output:
        process = subprocess.Popen(program, cwd=tmp_path, stdout=output, stderr=output)
    while not (tmp_path / "mine/log.txt").exists():
        time.sleep(0.05)
    process.terminate()
    assert process.wait(timeout=60) == 143
    assert "svertka train --resume mine" in (tmp_path / "output.txt").read_text()
    assert {path.name for path in (tmp_path / "mine").iterdir()} <= {".lock", "config.toml", "log.txt"}


def test_sigterm_leaves_no_half_written_table(tmp_path, tiny_bundle, colour_folder):
    """``predict --out`` writes beside; what is not whole must go with the process."""
    (tmp_path / "paths.csv").write_text("path\n" + f"{colour_folder}/red/red2.png\n" * 100_000, encoding="utf-8")
    program = [sys.executable, "-c", "from svertka.cli.main import main; main()", "predict", tiny_bundle.directory]
    process = subprocess.Popen([*map(str, program), "paths.csv", "--out", "out.csv"], cwd=tmp_path)
    while not any(path.name.startswith(".out.csv") for path in tmp_path.iterdir()):
        assert process.poll() is None
        time.sleep(0.02)
    process.terminate()
    assert process.wait(timeout=60) == 143
    assert [path.name for path in tmp_path.iterdir()] == ["paths.csv"]


@pytest.mark.parametrize(
    ("verb", "option", "said"),
    [
        ("train", "--epochs", "write finetune.max_epochs = 24 into a file such as settings.toml, and add --config"),
        ("train", "--size", "write size_px = 224 into"),
        ("train", "--size-px", "write size_px = 224 into"),
        ("train", "--batch-size", "write finetune.batch_size = 32 into"),
        ("train", "--lr", "write finetune.stage_rate = "),
        ("train", "--device", "svertka computes on the processor; --threads says on how many cores"),
        ("train", "--model", "The option is --backbone"),
        ("predict", "--output", "The option is --out"),
        ("report", "--epochs", "No such option: --epochs"),
    ],
)
def test_a_setting_of_other_tools_leads_to_ours(verb, option, said):
    done = svertka(verb, "x", option, "3")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert said in done.stderr


def test_settings_that_hints_name_are_settings(tmp_path):
    for name in hints.ELSEWHERE:
        told = hints.hint(f"--{name.replace('_', '-')}", {"--config"})
        setting = re.search(r"write (\S+ = \S+) into", told)[1]
        (tmp_path / "settings.toml").write_text(setting, encoding="utf-8")
        folder.config_fields(tmp_path / "settings.toml")


@pytest.mark.parametrize("arguments", [["help"], ["help", "train"], ["help", "lab", "conv"]])
def test_help_is_a_verb_too(arguments):
    program = [sys.executable, "-c", "from svertka.cli import main; main()"]
    asked, told = (
        subprocess.run([*program, *each], capture_output=True, text=True, check=True).stdout
        for each in (arguments, [*arguments[1:], "--help"])
    )
    assert asked == told


def test_a_step_that_does_not_count_says_that_it_is_alive(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 0.06)
    with progress.TerminalProgress() as sink:
        sink(StepStarted("learn"))
        time.sleep(0.5)
        sink(StepEnded(StepCost(step="learn", seconds=0.5, peak_memory_mb=1.0), "done"))
        assert "learn: 0 s so far" in capsys.readouterr().err
        time.sleep(0.2)
    assert not capsys.readouterr().err  # between steps there is nothing to tell


def test_the_terminal_speaks_russian(tiny_bundle, colour_folder):
    done = svertka("predict", tiny_bundle.directory, colour_folder, "--language", "ru")
    assert done.stderr == "Обработано файлов: 6 из 6.\n"
    assert "доля верных ответов" in svertka("evaluate", tiny_bundle.directory, colour_folder, "--language", "ru").stdout
    assert "language is 'de'; expected en or ru" in svertka("predict", "x", "y", "--language", "de").stderr


@pytest.mark.timeout(600)
def test_demo_does_the_main_job_on_real_images(tmp_path):
    done = svertka("demo", "--out", "demo", "--minutes", "0.1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "CC BY-NC-SA 4.0" in done.stdout
    assert "Try next:" in done.stdout
    metrics = json.loads((tmp_path / "demo" / folder.METRICS).read_text())["metrics"]
    assert metrics["accuracy"]["value"] > 0.8
    assert metrics["roc_auc"]["value"] > 0.85
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("  svertka predict")]
    answer = svertka(*lines[0][1:], cwd=tmp_path)
    assert answer.returncode == 0
    assert len(answer.stdout.splitlines()) == 2
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  svertka ")] == [
        "predict",
        "serve",
        "share",
        "train",
        "train",
    ]
    (line,) = [line.split() for line in done.stdout.splitlines() if line.startswith("  svertka share")]
    assert svertka(*line[1:], cwd=tmp_path).returncode == 0
    assert (Path(tmp_path) / "model.html").stat().st_size > 10_000_000
    assert (Path(tmp_path) / "demo/report.html").exists()


@pytest.mark.parametrize("name", ["regnet_y_400mf", "googlenet"])
def test_networks_of_torchvision_that_are_hard_to_build_without_memory_have_cards(name):
    done = svertka("models", f"torchvision:{name}", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["parameters"] == {"regnet_y_400mf": 4_344_144, "googlenet": 13_004_888}[name]


def test_models_lists_shows_draws_and_compares(tmp_path):
    assert "DenseNet-201" in svertka("models").stdout
    card = svertka("models", "resnet18", "--input", "3,64,64", "--small", "--format", "csv").stdout
    assert card.splitlines()[1].startswith("conv1,Conv2d 3×3,64×64×64,1728,3·3·3·64,")
    assert svertka("models", "lenet5", "--diagram", "net.svg", cwd=tmp_path).returncode == 0
    done = svertka("models", "compare", "lenet5", "vgg16", "--out", "pictures", cwd=tmp_path)
    assert "138,357,544" in done.stdout
    (tmp_path / "net.csv").touch()
    assert (
        "a file; expected a folder" in svertka("models", "compare", "lenet5", "--out", "net.csv", cwd=tmp_path).stderr
    )
    (tmp_path / "net.csv").unlink()
    twice = svertka("models", "compare", "lenet5", "svertka:lenet5", "lenet5", "--format", "csv").stdout
    assert [line.split(",")[3] for line in twice.splitlines()[1:]] == ["1×32×32"]
    made = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    pictures = [f"pictures/{name}" for name in ("accuracy.png", "accuracy.svg", "timeline.png", "timeline.svg")]
    assert made == ["net.svg", *pictures]
