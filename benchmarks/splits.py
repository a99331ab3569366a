"""How much random splits flatter: the probe on random splits of ELPV, and on splits that keep solar modules whole.

The photographs of one module look alike, and the data set does not say which cells are of one module. Its files are
in the order of the modules, so a run of equal cell type, cut every 60 files or so, gives 44 pseudo-modules, the true
number. Each split puts 75 % of the cells into training, stratified by class, near duplicates on one side; the probe
is fitted to them and judged on the rest. Nothing is chosen on the way but the regularisation, by folds inside the
training part (which keep modules whole where the split does). There is no target: the figures are for the reader,
who should know that the splits share images, so that the spread between them understates the doubt.
"""

import csv
from dataclasses import replace
from itertools import groupby
from pathlib import PurePosixPath

import numpy as np
from cells import all_cells, judge
from common import HERE, Side, arguments, load, write_result

from svertka.data.split import make_split
from svertka.evaluate.clusters import roc_auc
from svertka.evaluate.predictions import predicted_labels, probabilities
from svertka.features.linear_probe import fit_probe

MODULE = 60  # cells, as most modules have


def pseudo_modules() -> dict[str, str]:
    """File name of each cell to the number of its pseudo-module."""
    with (HERE / "data" / "elpv_split.csv").open(encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["path"])
    modules: dict[str, str] = {}
    first = 0
    for _, run in groupby(rows, key=lambda row: row["type"]):
        names = [PurePosixPath(row["path"]).name for row in run]
        count = max(1, round(len(names) / MODULE))
        for number, some in enumerate(np.array_split(names, count), start=first):
            modules |= dict.fromkeys(some.tolist(), str(number))
        first += count
    return modules


def main() -> None:
    options = arguments(__doc__, rounds=10).parse_args()
    busy = load()
    config, catalog, table = all_cells()
    modules = pseudo_modules()
    grouped = tuple(replace(cell, group=modules[PurePosixPath(cell.path).name]) for cell in catalog.records)
    kinds = {"random splits": catalog, "modules kept whole": replace(catalog, records=grouped)}
    accuracy: dict[str, list[float]] = {kind: [] for kind in kinds}
    auc: dict[str, list[float]] = {kind: [] for kind in kinds}
    for seed in range(options.rounds):
        for kind, cells in kinds.items():
            split = make_split(cells, replace(config, seed=seed, test_fraction=0.25))
            learnt = [*split.train, *split.val]  # the probe chooses by folds; it has no use for validation images
            units_N = np.array(split.units)[learnt]
            head = fit_probe(table.rows(learnt), len(cells.class_names), seed, units_N).head
            test = judge(head, cells, table, split.test)
            accuracy[kind].append(float((predicted_labels(test) == test.labels_N).mean()))
            auc[kind].append(roc_auc(probabilities(test)[:, 1], test.labels_N == 1).value)
            print(f"split {seed + 1}, {kind}: accuracy {accuracy[kind][-1]:.3f}, AUC {auc[kind][-1]:.3f}", flush=True)
    figures = (("accuracy", accuracy), ("ROC AUC", auc))
    write_result(
        "splits",
        "Random splits, and splits that keep solar modules whole",
        sides={
            f"{kind}: {name}": Side(
                unit="",
                samples=found[kind],
                note="one sample a split",
                figures={"mean": float(np.mean(found[kind])), "standard deviation": float(np.std(found[kind], ddof=1))},
            )
            for name, found in figures
            for kind in kinds
        }
        | {
            f"random splits are better by: {name}": Side(
                unit="points",
                samples=(100 * np.subtract(*found.values())).tolist(),
                note="one sample a pair of splits",
                figures={"mean": float(100 * np.subtract(*found.values()).mean())},
            )
            for name, found in figures
        },
        rows=[],
        config={
            "data": "elpv-dataset: 2,624 images, splits 75/25 with near duplicates kept together",
            "model": "linear probe on EfficientNet-Lite0, 224 px",
            "pseudo-modules": len(set(modules.values())),
        },
        threads=1,
        warm_up="features computed before",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
