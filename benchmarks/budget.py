"""Is ``--minutes`` used, and kept? Whole runs of ``svertka train``, on a quiet machine and beside a busy process.

Usage: python benchmarks/budget.py [DATA/MINUTES/LOAD …]    (such as elpv/3/quiet; all if none is named)

Data: solar cells without their test part, MNIST-5k, and scikit-learn's digits at 50 a class. Each run starts with an
empty cache. Runs that are named join those of the result that is there; rows are counted anew over all of them. A
budget is used if a run takes 60 % of it, or says why more would not help: all epochs were done, or validation had
ceased to improve.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from common import RESULTS, Row, Side, arguments, load, scratch, svertka, test_metrics, write_result
from strategy_data import cell_folder

DATA = {"elpv": "all", "mnist": "all", "digits": "50"}
MINUTES = (1, 3, 10)
LOADS = ("quiet", "busy")
ENOUGH = {"epochs_all", "stopped_early"}
RUNS = [f"{data}/{minutes}/{loads}" for minutes in MINUTES for data in DATA for loads in LOADS]


def measure(run: str, *, tiny: bool) -> Side:
    """One run of the command line, from an empty cache to the report."""
    data, minutes, loads = run.split("/")
    with scratch() as work, beside(loads == "busy"):
        folder = cell_folder(data, "12" if tiny else DATA[data], work / "images")
        began = time.perf_counter()
        svertka("train", folder, "--out", work / "run", "--minutes", minutes, cache=work / "cache", one_core=False)
        seconds = time.perf_counter() - began
        facts = json.loads((work / "run" / "run.json").read_text(encoding="utf-8"))
        plan = work / "run" / "plan.json"
        reasons = [reason["code"] for reason in facts["decision"]["reasons"]]
        figures = {
            "budget_s": 60 * float(minutes),
            "share": seconds / 60 / float(minutes),
            "kept": facts["decision"]["strategy"],
            "reasons": reasons,
            "epochs": len((work / "run" / "history.csv").read_text(encoding="utf-8").splitlines()) - 1,
            "accuracy": test_metrics(work / "run")["accuracy"],
            "plan": json.loads(plan.read_text(encoding="utf-8")) if plan.exists() else {},
            "steps": {cost["step"]: round(cost["seconds"], 1) for cost in facts["costs"]},
        }
    return Side(unit="s", samples=[seconds], figures=figures)


@contextmanager
def beside(busy: bool) -> Iterator[None]:
    """A process that keeps one processor busy all the time, if asked for."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    try:
        yield
    finally:
        if process:
            process.kill()
            process.wait()


def rows(sides: dict[str, Side]) -> list[Row]:
    """Whether budgets are kept and used, over all runs that there are."""
    kept = [side.figures["share"] for side in sides.values() if side.figures["budget_s"] >= 180]
    idle = [
        name
        for name, side in sides.items()
        if side.figures["share"] < 0.6 and not ENOUGH & set(side.figures["reasons"])
    ]
    return [
        Row(
            what=f"longest of {len(kept)} runs with 3 minutes or more, as a share of the budget",
            against="--minutes",
            measured=max(kept, default=0.0),
            target=1.1,
            better="at most",
            unit="of it",
        ),
        Row(
            what=f"runs, of {len(sides)}, that left 40 % or more unused and did not say why more would not help",
            against="--minutes",
            measured=len(idle),
            target=0,
            better="at most",
            unit="runs",
            note=", ".join(idle),
        ),
    ]


def earlier() -> dict[str, Side]:
    """The runs of the result that is there."""
    path = RESULTS / "budget.json"
    if not path.exists():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))["sides"]
    return {
        name: Side(unit=side["unit"], samples=side["samples"], note=side["note"], figures=side["figures"])
        for name, side in found.items()
    }


def chosen(names: Sequence[str], *, tiny: bool) -> Sequence[str]:
    """The runs to do.

    Raises:
        SystemExit: there is no run of such a name.
    """
    if unknown := set(names) - set(RUNS):
        raise SystemExit(f"no such run: {', '.join(sorted(unknown))}; expected some of {', '.join(RUNS)}")
    return names or (["digits/1/quiet"] if tiny else RUNS)


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("runs", nargs="*", metavar="DATA/MINUTES/LOAD")
    options = parser.parse_args()
    started_load = load()
    sides = {} if options.tiny else earlier()
    for run in chosen(options.runs, tiny=options.tiny):
        print(f"  {run} …", file=sys.stderr, flush=True)
        sides[run] = measure(run, tiny=options.tiny)
        ordered = {name: sides[name] for name in RUNS if name in sides}
        write_result(
            "budget",
            "Time budgets: are they used, and kept",
            sides=ordered,
            rows=rows(ordered),
            config={"command": "svertka train DATA --minutes M", "busy": "one process that counts on one processor"},
            threads=2,
            warm_up="none: each run begins with an empty cache",
            started_load=started_load,
            tiny=options.tiny,
        )


if __name__ == "__main__":
    main()
