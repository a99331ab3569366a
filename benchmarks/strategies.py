"""Every strategy on ELPV, MNIST-5k and scikit-learn's digits at 20, 100, 500 and all images a class, and the adviser.

Each cell is a folder of so many images of each class, small ones drawn several times, since one image of 40 is 2.5
points. All strategies are judged on the same folds: what they learn is never judged on images that they learnt or chose
from, and ELPV's public test part is not looked at. The adviser looks at the features only; its strategy is then looked
up in the table of all. "Time" of the adviser is its own, features included, over the time of trying all strategies on
one fold; what training its strategy costs on top stands beside it.

    python benchmarks/strategies.py --cells elpv:20,mnist:100    a slice; results are merged, draw by draw
    python benchmarks/strategies.py                              all twelve cells
    python benchmarks/strategies.py --advice-only                asks the adviser again about what was learnt before

Inputs have 96 px for the digits and 128 px for the cells unless ``--size-px`` says otherwise; the JSON tells.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

from common import RESULTS, WORK, Row, Side, arguments, load, write_result
from strategy_data import DATA, SIZES, cell_folder

PIXELS = {"elpv": 128, "mnist": 96, "digits": 96}
DRAWS = {"20": 3, "100": 3, "500": 1, "all": 1}
SAME = {"mnist:500": "mnist:all", "digits:500": "digits:all"}
"""Cells with the very same images as another one, for there are no more than 500 in a class; they are learnt once."""

POINT = 0.01
CELLS_FILE = RESULTS / "parts" / "strategies_cells.json"


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--cells", default="", help="DATA:SIZE with commas between; all where none is given")
    parser.add_argument("--draws", default="", help="only these draws of them, counted from 0, with commas between")
    parser.add_argument("--advice-only", action="store_true", help="trains nothing; asks the adviser again")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=600.0, help="budget of a cell; cuts epochs where it is short")
    parser.add_argument("--epochs", type=int, default=0, help="at most so many; 0: the configuration's own")
    parser.add_argument("--size-px", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    known = [f"{data}:{size}" for data in DATA for size in SIZES]
    wanted = options.cells.split(",") if options.cells else [cell for cell in known if cell not in SAME]
    if unknown := set(wanted) - set(known):
        parser.error(f"no such cell: {', '.join(sorted(unknown))}; expected some of {', '.join(known)}")
    busy, cells = load(), read_cells()
    for cell in wanted[:1] if options.tiny else wanted:
        for draw in draws_of(cell, options):
            drawn = cells.setdefault(cell, {})
            drawn[str(draw)] = measure(cell, draw, drawn.get(str(draw), {}), options)
            if not options.tiny:
                CELLS_FILE.parent.mkdir(parents=True, exist_ok=True)
                CELLS_FILE.write_text(json.dumps(cells, indent=1) + "\n", encoding="utf-8")
    cells |= {cell: cells[other] for cell, other in SAME.items() if other in cells}
    publish({cell: list(cells[cell].values()) for cell in known if cell in cells}, options, busy)


def draws_of(cell: str, options: Any) -> Sequence[int]:
    """Numbers of the draws to learn from or ask about."""
    if options.draws:
        return [int(draw) for draw in options.draws.split(",")]
    return range(1 if options.tiny else DRAWS[cell.split(":")[1]])


def read_cells() -> dict[str, Any]:
    """What earlier slices measured: by cell, by draw; strategies under today's names."""
    from svertka.config import strategy_name

    cells: dict[str, Any] = json.loads(CELLS_FILE.read_text(encoding="utf-8")) if CELLS_FILE.exists() else {}
    for draw in (draw for draws in cells.values() for draw in draws.values()):
        draw["strategies"] = {strategy_name(name): standing for name, standing in draw["strategies"].items()}
        draw["advice"]["strategy"] = strategy_name(draw["advice"]["strategy"])
    return cells


def measure(cell: str, draw: int, before: dict[str, Any], options: Any) -> dict[str, Any]:
    """All strategies on one draw of a cell, or what was measured ``before``, and the advice."""
    from svertka.config import FineTune, RunConfig

    data, size = cell.split(":")
    recipe = FineTune() if not options.epochs else FineTune(max_epochs=options.epochs)
    if options.tiny:
        recipe = FineTune(max_epochs=1, min_epochs=1)
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as place:
        config = RunConfig(
            data=str(cell_folder(data, size, Path(place) / data, draw)),
            size_px=32 if options.tiny else options.size_px or PIXELS[data],
            minutes=options.minutes,
            threads=options.threads,
            test_fraction=0.02,  # the folds judge; what svertka sets aside by itself would only be wasted
            finetune=recipe,
        )
        learnt = before if options.advice_only else learn(config, Path(place) / "work", options)
        return learnt | ask(config, Path(place) / "cache")


def learn(config: Any, work: Path, options: Any) -> dict[str, Any]:
    """Trains all strategies on all folds."""
    from svertka.model_selection.compare import compare
    from svertka.model_selection.contenders import make_contenders

    compared = compare(config, make_contenders("all", "", config.backbone), options.folds, work, print_event)
    return {
        "size_px": config.size_px,
        "images": compared.images,
        "folds": compared.folds,
        "epochs": config.finetune.max_epochs,
        "complete": compared.complete,
        "strategies": {standing.name: asdict(standing) for standing in compared.standings},
    }


def ask(config: Any, cache: Path) -> dict[str, Any]:
    """The advice, with nothing remembered from anywhere, and its time."""
    from svertka.model_selection.advise import advise

    with mock.patch.dict(os.environ, SVERTKA_CACHE=str(cache)):
        started = time.monotonic()
        advice = advise(config)
        seconds = time.monotonic() - started
    return {
        "advice": {
            "size": advice.size,
            "similarity": advice.similarity,
            "strategy": advice.strategy,
            "errors_removed": advice.errors_removed,
        },
        "advice_s": seconds,
    }


def print_event(event: object) -> None:
    """One line a run."""
    from svertka.messages import sentences
    from svertka.schema import Notice

    if isinstance(event, Notice):
        print(f"  {sentences(event)}", flush=True)


def publish(cells: dict[str, list[dict[str, Any]]], options: Any, busy: float) -> None:
    """Prints the table and writes the result."""
    for name, draws in cells.items():
        figures = ", ".join(f"{key} {spread(draws, key)}" for key in ranked(draws))
        print(f"{name} ({draws[0]['images']} images, {draws[0]['size_px']} px, {len(draws)} draws): {figures}")
        print(f"  advice {advised(draws)}, {100 * behind_best(draws):.1f} points behind the best; {verdict(draws)}")
    measured = {name: draws for name, draws in cells.items() if name not in SAME}
    every = [draw for draws in measured.values() for draw in draws]
    near = statistics.fmean(behind_best(draws) <= POINT for draws in cells.values())
    asking = sum(draw["advice_s"] for draw in every) / sum(map(every_s, every))
    whole = statistics.fmean((draw["advice_s"] + chosen(draw)["seconds"]) / every_s(draw) for draw in every)
    write_result(
        "strategies",
        "Every strategy, and the adviser's choice",
        sides={
            name: Side(
                unit="",
                samples=[accuracy(draws, key) for key in ranked(draws)],
                note="one sample a strategy",
                figures={
                    **{key: spread(draws, key) for key in ranked(draws)},
                    "draws": len(draws),
                    "advice": advised(draws),
                    "points behind the best": round(100 * behind_best(draws), 1),
                    "what that shows": verdict(draws),
                },
            )
            for name, draws in cells.items()
        },
        rows=[
            Row(what="cells where the advice is within 1 point of the best", against="trying all", measured=near,
                target=0.9, unit="", note=f"{len(cells)} of 12 cells, {len(measured)} of different images"),
            Row(what="time of the advice", against="trying all", measured=asking, target=0.15, better="at most",
                unit="", note=f"all cells together; with training the strategy {whole:.2f} on average"),
        ],
        config={
            "cells": ", ".join(f"{name} {draws[0]['size_px']} px" for name, draws in cells.items()),
            "folds": sorted({draw["folds"] for draw in every}),
            "strategies": "not all on all folds" if not all(draw["complete"] for draw in every) else "on all folds",
            "epochs": sorted({draw["epochs"] for draw in every}),
            "the same images": ", ".join(f"{cell} and {other}" for cell, other in SAME.items()),
        },
        threads=options.threads,
        warm_up="none: the adviser computes its features itself",
        started_load=busy,
        tiny=options.tiny,
    )  # fmt: skip


def ranked(draws: list[dict[str, Any]]) -> list[str]:
    """Strategies that were run in all draws, the best first."""
    names = [key for key in draws[0]["strategies"] if all(draw["strategies"][key]["accuracy"] for draw in draws)]
    return sorted(names, key=lambda key: -accuracy(draws, key))


def accuracy(draws: list[dict[str, Any]], key: str) -> float:
    """Mean over the draws."""
    return statistics.fmean(draw["strategies"][key]["accuracy"]["value"] for draw in draws)


def chosen(draw: dict[str, Any]) -> dict[str, Any]:
    """The standing of the advised strategy."""
    standing: dict[str, Any] = draw["strategies"][draw["advice"]["strategy"]]
    if standing["accuracy"] is None:
        raise SystemExit(f"{standing['name']}, which is advised, was not run; give more --minutes")
    return standing


def advised(draws: list[dict[str, Any]]) -> str:
    """The advice, or several where it differs from draw to draw."""
    return ", ".join(sorted({draw["advice"]["strategy"] for draw in draws}))


def behind_best(draws: list[dict[str, Any]]) -> float:
    """How much accuracy the advice gives away, against the one strategy that is best in the mean over the draws."""
    return accuracy(draws, ranked(draws)[0]) - statistics.fmean(chosen(draw)["accuracy"]["value"] for draw in draws)


def every_s(draw: dict[str, Any]) -> float:
    """Seconds of trying all strategies on one fold."""
    return float(sum(standing["seconds"] for standing in draw["strategies"].values()))


def verdict(draws: list[dict[str, Any]]) -> str:
    """How the advised strategy differs from the best one: in pairs of images, or over draws."""
    best = ranked(draws)[0]
    if advised(draws) == best:
        return "it is the best"
    if len(draws) > 1:
        gaps = [
            100 * (chosen(draw)["accuracy"]["value"] - draw["strategies"][best]["accuracy"]["value"]) for draw in draws
        ]
        return f"{statistics.fmean(gaps):+.1f} points from {best}, {min(gaps):+.1f} to {max(gaps):+.1f} by draw"
    versus = chosen(draws[0])["versus_best"]
    low, high = (100 * versus["difference"][end] for end in ("low", "high"))
    return f"{low:+.1f} to {high:+.1f} points from {versus['other']}: {versus['verdict']}"


def spread(draws: list[dict[str, Any]], key: str) -> str:
    """Accuracy with its interval, images of all draws together."""
    from svertka.evaluate.intervals import share

    parts = [draw["strategies"][key]["accuracy"] for draw in draws]
    whole = share(sum(round(part["value"] * part["n"]) for part in parts), sum(part["n"] for part in parts))
    return f"{whole.value:.3f} ({whole.low:.3f} to {whole.high:.3f}, n = {whole.n})"


if __name__ == "__main__":
    main()
