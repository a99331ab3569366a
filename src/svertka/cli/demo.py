"""``svertka demo``: the main job on real images that come with a package, so it needs no network."""

import csv
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from svertka.cli.extras import need_training
from svertka.cli.options import Language, Threads, given
from svertka.cli.train import make_config, print_result, run
from svertka.data.pixels import cache_dir
from svertka.errors import MissingExtraError
from svertka.runs import folder as run_folder

ABOUT = (
    "elpv-dataset: 2,624 electroluminescence images of solar cells, functional or defective (Deitsch et al. 2019, "
    "arXiv 1807.02894), licence CC BY-NC-SA 4.0. A cell counts as defective when its annotated defect probability is "
    "above 0.5."
)


def demo(
    out: Annotated[str, typer.Option(help="Run folder [default: runs/demo-<n>].")] = "",
    minutes: Annotated[float, typer.Option(help="Budget for learning.")] = 4.0,
    threads: Threads = 0,
    language: Language = "",
) -> None:
    """Trains on the solar cells and says what to try next.

    Raises:
        MissingExtraError: the data set or what training needs is not installed.
    """
    options = given(locals())
    need_training()
    print(ABOUT)
    folder = solar_cells(cache_dir() / "demo" / "solar-cells")
    print(f"Images: {folder} (links to the installed package)\n", flush=True)
    name = out or str(free_folder())
    record = run(make_config(options | {"data": str(folder), "out": name}, ""))
    print_result(record)
    run_path = Path(record.config.out)
    image, bundle = folder / record.test.paths[0], run_path / run_folder.BUNDLE
    print("\nTry next:")
    program = how_to_call(sys.argv[0])
    print(f"  {shlex.join([program, 'predict', str(bundle), str(image)])}")
    print(f"  {shlex.join([program, 'serve', str(bundle)])}")
    print(f"  {shlex.join([program, 'share', str(bundle), '--samples', str(folder), '--out', 'model.html'])}")
    print(f"  {shlex.join([program, 'train', str(folder), '--strategy', 'probe', '--seed', '1'])}")
    print(f"  {program} train FOLDER-OF-YOUR-IMAGES")


def how_to_call(program: str) -> str:
    """``svertka`` where the shell finds it by that name, else the path by which it was called just now."""
    return "svertka" if shutil.which("svertka") or Path(program).stem != "svertka" else program


def solar_cells(folder: Path) -> Path:
    """Lays the data set out as ``folder/{functional,defective}/cellNNNN.png`` and returns the folder."""
    spec = find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise MissingExtraError("the demo's images are not installed; run: pip install 'svertka[demo]'")
    data = Path(spec.origin).parent / "data"
    with (data / "labels.csv").open(encoding="utf-8") as lines:
        rows = list(csv.reader(lines, delimiter=" ", skipinitialspace=True))
    for path, probability, _ in rows:
        link = folder / ("defective" if float(probability) > 0.5 else "functional") / Path(path).name
        _link(data / path, link)
    return folder


def _link(target: Path, link: Path) -> None:
    """A link, or a copy where the system allows no links; one that points elsewhere is made anew."""
    if link.is_symlink() and link.readlink() == target:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(target)
    except OSError:
        shutil.copyfile(target, link)


def free_folder() -> Path:
    """The first of ``runs/demo-1``, ``runs/demo-2`` … that isn't there yet."""
    number = 1
    while (folder := Path("runs") / f"demo-{number}").exists():
        number += 1
    return folder
