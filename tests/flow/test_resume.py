"""Killed at ten random moments and resumed, a run ends with the weights of one that was left alone, bit for bit."""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

CONFIG = """
backbone = "timm:test_efficientnet"
weights = "none"
size_px = 64
strategy = "lp-ft"
minutes = 60
threads = 1

[finetune]
max_epochs = 8
min_epochs = 8
batch_size = 8
patience = 8
"""
KILLS = 10


def start(*arguments, cwd):
    program = [sys.executable, "-c", "from svertka.cli.main import main; main()", "train"]
    with (cwd / "output.txt").open("w") as output:
        return subprocess.Popen([*program, *arguments], cwd=cwd, stdout=output, stderr=subprocess.STDOUT)


def finish(process, folder):
    assert process.wait(timeout=240) == 0, (folder / "output.txt").read_text()


@pytest.mark.timeout(900)
def test_killed_and_resumed_runs_end_in_the_same_bits(tmp_path, shapes_folder):
    shapes_folder(tmp_path / "photos", count=40)
    (tmp_path / "settings.toml").write_text(CONFIG)
    begun = time.monotonic()
    finish(start("photos", "--out", "whole", "--config", "settings.toml", cwd=tmp_path), tmp_path)
    whole_s = time.monotonic() - begun
    expected = load_file(tmp_path / "whole/bundle/weights.safetensors")

    moments, kills, victims = random.Random(7), 0, 0
    while kills < KILLS:
        victims += 1
        folder = tmp_path / f"victim{victims}"
        process = start("photos", "--out", folder.name, "--config", "settings.toml", cwd=tmp_path)
        while kills < KILLS:
            try:
                process.wait(moments.uniform(0.3, 1.0) * whole_s)
                break  # it was done before the kill
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
            if (folder / "metrics.json").exists():
                break  # it was done, and only going out
            if not (folder / "config.toml").exists():
                process = start("photos", "--out", folder.name, "--config", "settings.toml", cwd=tmp_path)
            else:
                process = start("--resume", folder.name, cwd=tmp_path)
        if not (folder / "metrics.json").exists():
            finish(process, tmp_path)
        found = load_file(folder / "bundle/weights.safetensors")
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=f"{name} of {folder.name}, {kills} kills")
