"""Every strategy on ELPV, MNIST-5k and scikit-learn's digits at 20, 100, 500 and all images a class, and the adviser.

Each cell is a folder of so many images of each class. All strategies are judged on the same folds: what they learn is
never judged on images that they learnt or chose from, and ELPV's public test part is not looked at. The adviser looks
at the features only; its strategy is then looked up in the table of all. "Time" of the adviser is its own, features
included, over the time of trying all strategies on one fold; what training its strategy costs on top stands beside it.

    python benchmarks/strategies.py --cells elpv:20,mnist:100    a slice; results are merged, cell by cell
    python benchmarks/strategies.py                              all twelve cells

Inputs have 96 px for the digits and 128 px for the cells unless ``--size-px`` says otherwise; the JSON tells.
"""

import json
import statistics
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common import RESULTS, WORK, Row, Side, arguments, load, write_result
from strategy_data import DATA, SIZES, cell_folder

PIXELS = {"elpv": 128, "mnist": 96, "digits": 96}
POINT = 0.01
CELLS_FILE = RESULTS / "parts" / "strategies_cells.json"


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--cells", default="", help="DATA:SIZE with commas between; all where none is given")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=600.0, help="budget of a cell; cuts epochs where it is short")
    parser.add_argument("--epochs", type=int, default=0, help="at most so many; 0: the configuration's own")
    parser.add_argument("--size-px", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    known = [f"{data}:{size}" for data in DATA for size in SIZES]
    wanted = options.cells.split(",") if options.cells else known
    if unknown := set(wanted) - set(known):
        parser.error(f"no such cell: {', '.join(sorted(unknown))}; expected some of {', '.join(known)}")
    busy, cells = load(), read_cells()
    for cell in wanted[:1] if options.tiny else wanted:
        cells[cell] = measure(cell, options)
        if not options.tiny:
            CELLS_FILE.parent.mkdir(parents=True, exist_ok=True)
            CELLS_FILE.write_text(json.dumps(cells, indent=1) + "\n", encoding="utf-8")
    publish({cell: cells[cell] for cell in known if cell in cells}, options, busy)


def read_cells() -> dict[str, Any]:
    """What earlier slices measured."""
    return json.loads(CELLS_FILE.read_text(encoding="utf-8")) if CELLS_FILE.exists() else {}


def measure(cell: str, options: Any) -> dict[str, Any]:
    """All strategies on one cell, and the advice."""
    from svertka.advising import advise
    from svertka.comparison import compare, make_candidates
    from svertka.config import FineTune, RunConfig

    data, size = cell.split(":")
    size_px = 32 if options.tiny else options.size_px or PIXELS[data]
    recipe = FineTune() if not options.epochs else FineTune(max_epochs=options.epochs)
    if options.tiny:
        recipe = FineTune(max_epochs=1, min_epochs=1)
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as place:
        folder = cell_folder(data, size, Path(place) / data)
        config = RunConfig(
            data=str(folder),
            size_px=size_px,
            minutes=options.minutes,
            threads=options.threads,
            test_fraction=0.02,  # the folds judge; what svertka sets aside by itself would only be wasted
            finetune=recipe,
        )
        started = time.monotonic()
        advice = advise(config)
        advice_s = time.monotonic() - started
        compared = compare(
            config, make_candidates("all", "", config.backbone), options.folds, Path(place) / "work", print_event
        )
    standings = {standing.name: asdict(standing) for standing in compared.standings}
    best = max((s.accuracy.value for s in compared.standings if s.accuracy), default=0.0)
    chosen = standings[advice.strategy]
    if chosen["accuracy"] is None:
        raise SystemExit(f"{cell}: {advice.strategy}, which is advised, was not run; give more --minutes")
    every_s = sum(standing.seconds for standing in compared.standings)
    return {
        "size_px": size_px,
        "images": compared.images,
        "folds": compared.folds,
        "complete": compared.complete,
        "strategies": standings,
        "advice": {"size": advice.size, "similarity": advice.similarity, "strategy": advice.strategy},
        "behind_best": best - chosen["accuracy"]["value"],
        "advice_s": advice_s,
        "every_s": every_s,
        "share_of_time": advice_s / every_s,
        "share_with_training": (advice_s + chosen["seconds"]) / every_s,
    }


def print_event(event: object) -> None:
    """One line a run."""
    from svertka.messages import sentences
    from svertka.schema import Notice

    if isinstance(event, Notice):
        print(f"  {sentences(event)}", flush=True)


def publish(cells: dict[str, Any], options: Any, busy: float) -> None:
    """Prints the table and writes the result."""
    for name, cell in cells.items():
        figures = ", ".join(f"{key} {spread(value)}" for key, value in cell["strategies"].items())
        print(f"{name} ({cell['images']} images, {cell['size_px']} px): {figures}")
        print(
            f"  advice {cell['advice']['strategy']}, {100 * cell['behind_best']:.1f} points behind the best, ", end=""
        )
        print(f"{cell['share_of_time']:.1%} of the time of all ({cell['share_with_training']:.1%} with its training)")
    near = statistics.fmean(cell["behind_best"] <= POINT for cell in cells.values())
    share = sum(cell["advice_s"] for cell in cells.values()) / sum(cell["every_s"] for cell in cells.values())
    whole = statistics.fmean(cell["share_with_training"] for cell in cells.values())
    write_result(
        "strategies",
        "Every strategy, and the adviser's choice",
        sides={
            name: Side(
                unit="",
                samples=[value["accuracy"]["value"] for value in cell["strategies"].values() if value["accuracy"]],
                note="one sample a strategy",
                figures={
                    **{key: spread(value) for key, value in cell["strategies"].items()},
                    "advice": cell["advice"]["strategy"],
                    "points behind the best": round(100 * cell["behind_best"], 1),
                    "what that shows": against_best(cell),
                },
            )
            for name, cell in cells.items()
        },
        rows=[
            Row(what="cells where the advice is within 1 point of the best", against="trying all", measured=near,
                target=0.9, unit="", note=f"{len(cells)} of 12 cells"),
            Row(what="time of the advice", against="trying all", measured=share, target=0.15, better="at most", unit="",
                note=f"all cells together; with training the strategy {whole:.2f} on average"),
        ],
        config={
            "cells": ", ".join(f"{name} {cell['size_px']} px" for name, cell in cells.items()),
            "folds": sorted({cell["folds"] for cell in cells.values()}),
            "strategies": "not all on all folds" if not all(c["complete"] for c in cells.values()) else "on all folds",
            "epochs": options.epochs or "as configured",
        },
        threads=options.threads,
        warm_up="features of the adviser are computed in its own time, then cached for all",
        started_load=busy,
        tiny=options.tiny,
    )  # fmt: skip


def against_best(cell: dict[str, Any]) -> str:
    """The paired difference of the advised strategy from the leading one, with its verdict."""
    versus = cell["strategies"][cell["advice"]["strategy"]]["versus_best"]
    if versus is None:
        return "it leads"
    low, high = (100 * versus["difference"][end] for end in ("low", "high"))
    return f"{low:+.1f} to {high:+.1f} points from {versus['other']}: {versus['verdict']}"


def spread(standing: dict[str, Any]) -> str:
    """Accuracy with its interval."""
    accuracy = standing["accuracy"]
    if accuracy is None:
        return "not run"
    return f"{accuracy['value']:.3f} ({accuracy['low']:.3f} to {accuracy['high']:.3f}, n = {accuracy['n']})"


if __name__ == "__main__":
    main()
