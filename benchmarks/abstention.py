"""Does a coverage of 90 %, promised on validation images, hold on test images? The probe, on random splits of ELPV.

Features of all 2,624 solar cells are computed once; each split fits the probe on its training part, takes the
thresholds from its validation part, and measures on its test part. The peer is the same with one threshold for all
classes. Near duplicates stay on one side. Nothing is chosen on the way, so every split counts.
"""

from dataclasses import replace

import numpy as np
from cells import all_cells, judge
from common import Row, Side, arguments, load, write_result

from svertka.data.split import make_split
from svertka.evaluate.conformal import TARGET, fit_conformal, judge_abstention
from svertka.evaluate.predictions import predicted_labels, probabilities
from svertka.features.linear_probe import fit_probe
from svertka.schema import Conformal, Predictions


def one_threshold(val: Predictions) -> Conformal:
    """The usual split conformal prediction, which promises its coverage on the whole only."""
    doubt_N = np.sort(1 - probabilities(val)[np.arange(len(val)), val.labels_N])
    rank = int(np.ceil(round((len(val) + 1) * TARGET, 6)))
    classes = len(val.class_names)
    return Conformal(target=TARGET, thresholds=(float(doubt_N[rank - 1]),) * classes, counts=(len(val),) * classes)


def main() -> None:
    options = arguments(__doc__, rounds=20).parse_args()
    busy = load()
    config, catalog, table = all_cells()
    names = catalog.class_names
    measured: dict[str, list[list[float]]] = {"a threshold for each class": [], "one threshold for all": []}
    accuracy = []
    for seed in range(options.rounds):
        split = make_split(catalog, replace(config, seed=seed))
        units_N = np.array(split.units)[list(split.train)]
        head = fit_probe(table.rows(split.train), len(names), seed, units_N).head
        val, test = (judge(head, catalog, table, rows) for rows in (split.val, split.test))
        accuracy.append(float((predicted_labels(test) == test.labels_N).mean()))
        for side, conformal in zip(measured, (fit_conformal(val), one_threshold(val)), strict=True):
            found = judge_abstention(test, conformal)
            figures = (found.coverage, *found.per_class, found.answered, found.accuracy)
            measured[side].append([figure.value for figure in figures])
    columns = ("coverage", *(f"coverage of {name}" for name in names), "answered", "accuracy of the answers")
    sides, means = {}, {}
    for side, rows in measured.items():
        values = np.array(rows)
        means[side] = dict(zip(columns, values.mean(axis=0).tolist(), strict=True))
        further = {name: means[side][name] for name in columns[1:]}
        error = float(values[:, 0].std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
        sides[side] = Side(
            unit="",
            samples=values[:, 0].tolist(),
            note="coverage on test",
            figures={"mean": means[side]["coverage"], "standard_error": error, "means": further},
        )
    sides["accuracy without abstaining"] = Side(unit="", samples=accuracy)
    ours, peer = means.values()
    rare = names[int(np.bincount(table.y_N).argmin())]
    splits = f"mean of {options.rounds} splits"
    what, promise = f"coverage on test, {splits}", f"{TARGET:.0%} promised on validation"
    rarest = f"coverage of {rare}, the rarer class, {splits}"
    rows = [
        Row(what=what, against=promise, measured=ours["coverage"], target=0.88, unit=""),
        Row(what=what, against=promise, measured=ours["coverage"], target=0.92, better="at most", unit=""),
        Row(
            what=rarest,
            against=promise,
            measured=ours[f"coverage of {rare}"],
            target=0.88,
            unit="",
            note=f"{peer[f'coverage of {rare}']:.3f} with one threshold for all classes",
        ),
        Row(
            what=f"accuracy of the answers, {splits}",
            against="without abstaining",
            measured=ours["accuracy of the answers"],
            target=round(float(np.mean(accuracy)), 3),
            unit="",
            note=f"{ours['answered']:.3f} of the images answered",
        ),
    ]
    write_result(
        "abstention",
        "Saying “unsure”: promised and measured coverage",
        sides=sides,
        rows=rows,
        config={
            "data": "elpv-dataset: 2,624 images, random splits 65/15/20 with near duplicates kept together",
            "model": "linear probe on EfficientNet-Lite0, class-conditional split conformal prediction",
        },
        threads=1,
        warm_up="features computed before",
        started_load=busy,
        tiny=options.tiny,
    )


if __name__ == "__main__":
    main()
