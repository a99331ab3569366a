"""The examples of docs/medical.md run as they stand; its table names every method of the course's class."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "medical.md").read_text(encoding="utf-8")
THEIRS = (
    "__init__",
    "_create_model",
    "freeze_feature_extractor",
    "unfreeze_all",
    "train_epoch",
    "validate",
    "two_stage_training",
)


def test_every_method_of_theirs_has_its_counterpart():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    for name in THEIRS:
        (row,) = [line for line in rows if line.startswith(f"| `{name}(")]
        assert all(cell.strip() for cell in row.strip("|").split("|"))


def test_examples_run(tmp_path, shapes_folder):
    drawn = shapes_folder(tmp_path / "drawn", count=60)
    for kind, label in (("disc", "ill"), ("square", "well")):
        (tmp_path / "scans" / label).mkdir(parents=True)
        for number in range(60):
            name = f"p{number // 2:02d}-{number % 2}.png"
            shutil.copy(drawn / kind / f"{kind}-{number}.png", tmp_path / "scans" / label / name)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    code = code.replace('positive="ill"', 'positive="ill", size_px=32')  # small pictures: quick
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.match(r"40 images of 10 groups; 'ill' from p = 0\.\d+\naccuracy ", done.stdout)
    assert (tmp_path / "scan-model" / "manifest.json").is_file()
