"""Lays the elpv-dataset package out as an image folder with a fixed split: the public split of the benchmarks.

Usage: python benchmarks/elpv_folder.py OUT    (needs `pip install elpv-dataset`, images are CC BY-NC-SA 4.0)

Writes OUT/{train,val,test}/{functional,defective}/cellNNNN.png as links. A cell is defective when its annotated
defect probability is above 0.5. The split is data/elpv_split.csv, stratified by probability and cell type:
1,672 / 296 / 656 images. Whoever uses it can compare figures.
"""

import csv
import importlib.util
import sys
from pathlib import Path

SPLIT = Path(__file__).parent / "data" / "elpv_split.csv"


def lay_out(out: Path) -> Path:
    """Makes the folder (again); the package's own files are not touched."""
    found = importlib.util.find_spec("elpv_dataset")
    if found is None or found.origin is None:
        raise SystemExit("elpv-dataset is not installed; run `pip install elpv-dataset`.")
    images = Path(found.origin).parent / "data"
    with SPLIT.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            name = "defective" if float(row["label"]) > 0.5 else "functional"
            link = out / row["split"] / name / Path(row["path"]).name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(images / row["path"])
    return out


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit(__doc__)
    print(lay_out(Path(sys.argv[1])))
