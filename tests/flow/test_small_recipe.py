"""``svertka train --recipe small`` from end to end: small digits become a bundle that predicts as torch does."""

import json
import subprocess
import sys

import numpy as np
from PIL import Image

from svertka.bundle.bundle import load_bundle
from svertka.bundle.predictor import open_predictor
from svertka.runs.folder import load_config, load_run

SETTINGS = "threads = 1\n[scratch]\nmax_epochs = 6\nbatch_size = 16\nmin_epochs = 6\n"


def draw(root, count=40):
    """Strokes that lean to the right or to the left on 28 px: mirrored, one is the other."""
    rng = np.random.default_rng(0)
    for name in ("slash", "backslash"):
        (root / name).mkdir(parents=True)
        for number in range(count):
            image = rng.integers(0, 60, (28, 28), dtype=np.uint8)
            left = int(rng.integers(2, 10))
            for step in range(16):
                column = left + step if name == "backslash" else left + 15 - step
                image[6 + step, column : column + 3] = 220
            Image.fromarray(image).save(root / name / f"{number}.png")


def test_small_recipe(tmp_path):
    draw(tmp_path / "strokes")
    (tmp_path / "settings.toml").write_text(SETTINGS)
    program = [sys.executable, "-c", "from svertka.cli import main; main()", "train", "strokes", "--recipe", "small"]
    options = ["--out", "run", "--minutes", "5", "--config", "settings.toml"]
    done = subprocess.run([*program, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 fine-tune" in done.stderr
    config, run = load_config(tmp_path / "run"), load_run(tmp_path / "run")
    assert config.size_px == 28
    assert run.decision.strategy == "scratch"
    assert {row.batch_norm for row in run.phases} == {"batch", "none"}
    assert run.evaluation.metrics["accuracy"].value > 0.85
    assert run.parity.max_probability_difference < 1e-4
    assert not json.loads((tmp_path / "run/plan.json").read_text())["mirror"], "a mirrored slash is a backslash"
    bundle = load_bundle(tmp_path / "run/bundle")
    images = np.stack([np.asarray(Image.open(tmp_path / f"strokes/slash/{n}.png").convert("RGB")) for n in range(8)])
    probabilities = open_predictor(bundle, 1).infer(images)[1]
    assert probabilities.shape == (8, 2)
    assert (probabilities.argmax(1) == bundle.class_names.index("slash")).mean() > 0.7
