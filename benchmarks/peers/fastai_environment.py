"""A virtual environment with fastai beside ours, which sees our torch but leaves our packages as they are."""

import subprocess
import sys
import sysconfig
from pathlib import Path

FASTAI = "fastai==2.8.12"


def fastai_python(work: Path) -> Path:
    """The interpreter of that environment; made on the first call (needs a package index)."""
    folder = work / "fastai"
    interpreter = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "ours.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
        subprocess.run([interpreter, "-m", "pip", "install", "--quiet", FASTAI], check=True)
        (folder / "ready").touch()
    return interpreter
