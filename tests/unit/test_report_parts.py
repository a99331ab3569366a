"""The builders of the report: numbers, geometry, verdicts, alerts, findings."""

import re
from dataclasses import replace
from html import escape

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_runs import HISTORY, make_run

from svertka.cli import output
from svertka.cli.train import print_result
from svertka.config import RunConfig
from svertka.evaluate import FEW_IMAGES, evaluate
from svertka.messages.translator import Translator
from svertka.report.alerts import folded, make_alerts
from svertka.report.appendix import costs_finding, make_commands, make_config_rows, make_methods
from svertka.report.card import render_card
from svertka.report.charts import learning_charts, precision_recall_chart, reliability_charts, roc_chart
from svertka.report.dataset import make_data_section
from svertka.report.headline import make_headline
from svertka.report.mistakes import make_mistakes
from svertka.report.page import render
from svertka.report.results import make_class_table, make_confusion, metric_glosses
from svertka.schema import Estimate, LabelDoubt, Leak, Notice, OrderCheck, Predictions, Rejection
from svertka.viz.axes import Axis, round_ticks, spread, thinned

EN, RU = Translator("en"), Translator("ru")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("gone"), per_class=60, images=False)


def test_labels_to_look_at_are_shown_the_likeliest_first(run):
    """Twelve of them; the table in the run folder holds all."""
    paths = [record.path for record in run.catalog.records[:15]]
    doubts = tuple(LabelDoubt(path=path, label="cat", likely="dog", probability=0.93, own=0.07) for path in paths)
    data = make_data_section(EN, replace(run, doubts=doubts))
    assert [doubt.path for doubt, _ in data.doubts] == paths[:12] and data.doubts_more == 3
    html = render(replace(run, doubts=doubts))
    section = html[html.index('id="doubts"') : html.index("</figure>", html.index('id="doubts"'))]
    assert section.count("<li>") == 12 and "doubtful_labels.csv" in section
    assert all(section.count(f"<b>{name}</b>") == 12 for name in ("cat", "dog")) and section.count("93.0\u202f%") == 12
    assert 'id="doubts"' not in render(run)


# --- tr ------------------------------------------------------------------------------------------------------


def test_numbers_are_written_as_the_language_does_it():
    assert [EN.percent(0.8649), RU.percent(0.8649)] == ["86.5\u202f%", "86,5\u202f%"]
    assert [EN.decimal(-0.5, 1), RU.decimal(-0.5, 1)] == ["\u22120.5", "\u22120,5"]
    assert EN.interval("accuracy", Estimate(0.5, 0.401, 0.6, 10)) == "40.1–60.0\u202f%"
    assert RU.interval("roc_auc", Estimate(0.5, 0.4, 0.6, 10)) == "0,400–0,600"


def test_tiny_numbers_are_written_by_their_order():
    assert [EN.tiny(2.3e-6), EN.tiny(4e-12), EN.tiny(0.25), EN.tiny(0)] == ["2 × 10⁻⁶", "4 × 10⁻¹²", "0.250", "0.000"]


def test_what_is_no_number_is_a_dash():
    nan = float("nan")
    assert EN.percent(nan) == EN.decimal(nan) == EN.interval("accuracy", Estimate(nan, nan, nan, 0)) == "–"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("balanced_accuracy", 1.0, "no interval: no mistakes seen"),
        ("roc_auc", 1.0, "no interval: ranked without a mistake"),
        ("roc_auc", 0.0, "no interval: the same for every image"),
        ("macro_f1", 0.0, "no interval: no hits seen"),
        ("macro_f1", 0.5, "no interval: the same for every image"),
        ("log_loss", 0.0, "no interval: the same for every image"),
    ],
)
def test_an_interval_without_width_is_none(name, value, words):
    estimate = Estimate(value, value, value, 23)
    assert EN.interval(name, estimate) == words
    assert EN.evidence(name, estimate) == f"{words}, n\u00a0=\u00a023"
    wide = replace(estimate, low=value - 0.1)
    assert EN.evidence(name, wide) == f"95\u202f% interval {EN.interval(name, wide)}, n\u00a0=\u00a023"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (4.26, "4.3 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (245, "4 min 5 s"), (7800, "2 h 10 min")],
)
def test_durations(seconds, words):
    assert EN.seconds(seconds) == words


def test_memory_and_lists():
    assert [EN.memory(999), EN.memory(1536)] == ["999 MB", "1.5 GB"]
    assert [EN.listing(["a"]), EN.listing(["a", "b", "c"])] == ["“a”", "“a”, “b” and “c”"]


def test_codes_without_words_are_shown_as_they_are():
    assert EN.known("step", "hand over") == "writing the bundle"
    assert EN.known("step", "dance") == "dance"


# --- scales -----------------------------------------------------------------------------------------------------


@given(st.floats(-1e4, 1e4), st.floats(1e-12, 1e12), st.integers(2, 10))
def test_ticks_cover_the_range_evenly(spans_from_zero, span, about):
    low = spans_from_zero * span
    ticks = round_ticks(low, low + span, about)
    steps = np.diff(ticks)
    assert ticks[0] <= low + 1e-6 * span and ticks[-1] >= low + span - 1e-6 * span
    assert len(ticks) <= about + 3
    assert np.allclose(steps, steps[0], rtol=1e-3)


def test_ticks_are_round():
    assert round_ticks(0.13, 0.71, 5) == (0.0, 0.2, 0.4, 0.6, 0.8)
    assert round_ticks(1e20, 1e20)[0] < 1e20 < round_ticks(1e20, 1e20)[-1]
    assert round_ticks(3, 3, 5) == (2.4, 2.6, 2.8, 3.0, 3.2, 3.4, 3.6)


def test_axis_maps_and_holds():
    axis = Axis(low=0, high=10, start_px=100, end_px=0)
    assert [axis.at(v) for v in (0, 2.5, 10, 99, -1)] == [100, 75, 0, 0, 100]


def test_labels_are_moved_apart_in_order():
    assert spread([50, 48, 90], 10, 0, 100) == [58, 48, 90]
    assert spread([99, 98], 10, 0, 100) == [100, 90]


def test_path_leaves_out_what_cannot_be_seen_but_keeps_the_ends():
    points = [(x, 0.0) for x in np.linspace(0, 10, 1000)]
    assert thinned([(0, 2), (1, 3.25)], 1) == ((0, 2), (1, 3.25))
    kept = thinned(points, 1)
    assert kept[0] == (0, 0) and kept[-1] == (10, 0) and len(kept) <= 12


# --- headline ---------------------------------------------------------------------------------------------------


def with_metrics(run, model, majority, probe):
    metrics = {**run.evaluation.metrics, "accuracy": Estimate(*model)}
    baselines = {"majority class": {"accuracy": Estimate(*majority)}, "probe": {"accuracy": Estimate(*probe)}}
    return replace(run, evaluation=replace(run.evaluation, metrics=metrics, baselines=baselines))


def test_headline_judges_against_the_baselines(run):
    better = make_headline(
        EN, with_metrics(run, (0.9, 0.88, 0.92, 400), (0.5, 0.45, 0.55, 400), (0.8, 0.76, 0.84, 400))
    )
    assert [label for label, _ in better.rows] == ["this model", "probe", "majority class"]
    assert "about 90 to be named rightly" in better.meaning[0] and "from 88 to 92" in better.meaning[0]
    assert "clearly learnt something" in better.meaning[1]
    assert "fine-tuning clearly helped" in better.meaning[2]
    level = make_headline(EN, with_metrics(run, (0.6, 0.5, 0.7, 90), (0.55, 0.45, 0.65, 90), (0.85, 0.8, 0.9, 90)))
    assert "not clearly better" in level.meaning[1]
    assert "clearly better than the model that was kept" in level.meaning[2]


def test_headline_says_nothing_of_the_probe_where_it_is_the_model(run):
    probe = replace(run, decision=replace(run.decision, strategy="probe"))
    headline = make_headline(EN, probe)
    assert [label for label, _ in headline.rows] == ["this model", "majority class"]
    assert not any("probe" in sentence for sentence in headline.meaning)


def test_further_figures_tell_their_images(run):
    tiles = make_headline(EN, run).tiles
    assert len(tiles) == 4 and all(interval.endswith(", n\u00a0=\u00a040") for *_, interval in tiles)


def test_headline_falls_back_to_another_metric(run):
    metrics = {name: value for name, value in run.evaluation.metrics.items() if name != "accuracy"}
    headline = make_headline(EN, replace(run, evaluation=replace(run.evaluation, metrics=metrics)))
    assert headline.label == "balanced accuracy"
    assert headline.figure == EN.percent(metrics["balanced_accuracy"].value)


@pytest.mark.parametrize(
    ("names", "task"),
    [
        (("a", "b"), "«a» или «b»?"),
        (("a", "b", "c"), "Различаем классы «a», «b» и «c»"),
        (tuple("abcdefghijkl"), "Различаем 12 классов изображений"),
        (tuple(map(str, range(21))), "Различаем 21 класс изображений"),
    ],
)
def test_task_in_words(run, names, task):
    evaluation = replace(run.evaluation, class_names=names)
    assert make_headline(RU, replace(run, evaluation=evaluation)).task == task


# --- alerts -----------------------------------------------------------------------------------------------------


def large(run):
    """The run as if it had many test images, so that no alert speaks of few."""
    return replace(run, evaluation=replace(run.evaluation, n=1000, notices=()))


def test_a_clean_run_is_called_clean(run):
    alerts = make_alerts(EN, large(run))
    assert [(alert.level, alert.title) for alert in alerts] == [("good", "Nothing suspicious was found")]


def test_order_warning_says_what_to_do(run):
    suspicious = replace(large(run), order=OrderCheck(0.902, 0.802, 0.02, suspicious=True))
    (alert,) = make_alerts(EN, suspicious)
    assert alert.level == "warning" and alert.title == "The images seem to come in groups"
    assert re.search(
        r"optimistic.*0\.802.*0\.902 \(standard error of the difference 0\.020\).*--group-regex.*--group-column",
        alert.body,
    )


def test_leaks_are_counted_and_told(run):
    leak = Leak(kind="exact", path_a="a", where_a="train", path_b="b", where_b="test")
    leaks = (leak, replace(leak, kind="near"), replace(leak, kind="near", where_b="val"))
    leaky = replace(large(run), split=replace(run.split, leaks=leaks, conflicts=(leak,)))
    first, second = make_alerts(EN, leaky)
    assert first.title == "3 pairs of images stand on both sides of your split" and first.level == "warning"
    assert "2 of them reach the test images" in first.body and "nearly the same image: 2" in first.body
    assert "--drop-leaks" in first.body and first.link == "leaks"
    assert second.title == "1 image carries two labels"
    dropped = replace(leaky, split=replace(leaky.split, conflicts=(), dropped=(0, 1)))
    assert [alert.level for alert in make_alerts(EN, dropped)] == ["good", "info"]
    assert "2 images were taken out" in make_alerts(EN, dropped)[1].body


def test_few_test_images_are_told_with_the_ends_of_the_interval(run):
    accuracy = Estimate(0.8, 0.62, 0.88, 40)  # lopsided: no ± could tell it
    evaluation = replace(run.evaluation, metrics={**run.evaluation.metrics, "accuracy": accuracy}, notices=())
    (alert,) = make_alerts(EN, replace(run, evaluation=evaluation))
    assert alert.title == "Only 40 test images" and "from 62.0\u202f% to 88.0\u202f%" in alert.body


@pytest.mark.parametrize(("n", "told"), [(FEW_IMAGES - 1, True), (FEW_IMAGES, False), (150, False)])
def test_report_and_terminal_call_the_same_numbers_of_test_images_few(run, n, told):
    labels = np.arange(n) % 2
    logits = np.eye(2, dtype=np.float32)[np.where(np.arange(n) % 5, labels, 1 - labels)] * 2
    evaluation = evaluate(Predictions(logits_NK=logits, labels_N=labels, paths=("",) * n, class_names=("cat", "dog")))
    assert any(notice.code == "few_test_images" for notice in evaluation.notices) == told
    alerts = make_alerts(EN, replace(run, evaluation=evaluation))
    assert any(alert.title == f"Only {n} test images" for alert in alerts) == told


def test_classes_with_few_test_images_are_named(run):
    thin = tuple(replace(scores, support=3) for scores in run.evaluation.per_class)
    alerts = make_alerts(EN, replace(large(run), evaluation=replace(large(run).evaluation, per_class=thin)))
    assert [alert.title for alert in alerts] == ["2 classes have fewer than 10 test images"]
    assert "“cat” and “dog”" in alerts[0].body


def test_all_that_few_images_bring_is_one_alert(run):
    cat, dog = run.evaluation.per_class
    missing = Notice("class_without_test_images", {"names": ["dog"]}, level="warning")
    few = replace(
        run.evaluation,
        per_class=(replace(cat, support=3), replace(dog, support=0)),
        notices=(missing, Notice("few_test_images", {"n": 40}, level="warning")),
    )
    part = Notice("class_missing_in_part", {"part": "test", "names": ["dog"]}, level="warning")
    (alert,) = make_alerts(EN, replace(run, evaluation=few, split=replace(run.split, notices=(part,))))
    assert (alert.title, alert.link) == ("Only 40 test images", "classes")
    assert "No test image shows “dog”." in alert.body and "Fewer than 10 test images show “cat”" in alert.body


def everything_wrong(run):
    """A run about which there is much to say."""
    leak = Leak(kind="exact", path_a="a", where_a="train", path_b="b", where_b="test")
    rejected = tuple(Rejection(path=f"{i}.jpg", reason="truncated", detail="x") for i in range(40))
    useless = with_metrics(run, (0.55, 0.5, 0.6, 40), (0.54, 0.5, 0.6, 40), (0.5, 0.4, 0.6, 40))
    notices = (
        Notice("images_in_no_class", {"n": 2}, level="warning"),
        Notice("groups_suggested", {"regex": "x", "groups": 3, "images": 9, "example": "a1"}, level="warning"),
        Notice("resumed"),
    )
    return replace(
        useless,
        split=replace(run.split, leaks=(leak,), conflicts=(leak,)),
        order=OrderCheck(0.902, 0.802, 0.02, suspicious=True),
        catalog=replace(run.catalog, rejected=rejected),
        notices=notices,
    )


@pytest.mark.parametrize("positive", ["cat", "dog", ""])
def test_two_classes_are_told_from_the_side_of_the_one_to_be_found(run, positive):
    label = None if not positive else run.test.class_names.index(positive)
    evaluation = evaluate(run.test, positive=label)
    if not positive:
        evaluation = replace(evaluation, positive="")  # as in files of older versions, where it was the second
    name, other = ("cat", "dog") if positive == "cat" else ("dog", "cat")
    recall = {scores.name: EN.percent(scores.recall.value) for scores in evaluation.per_class}
    assert roc_chart(EN, evaluation).title == f"ROC: “{name}”"
    assert precision_recall_chart(RU, evaluation).title == f"Точность и полнота: «{name}»"
    assert f"of “{name}”, the class to be found" in metric_glosses(EN, evaluation)["average_precision"]
    (said,) = [one for one in make_headline(EN, replace(run, evaluation=evaluation)).meaning if "sensitivity" in one]
    assert re.match(
        rf"Of the images of “{name}”, {recall[name]} are found .*; of the others, {recall[other]} are", said
    )
    card = render_card(replace(run, evaluation=evaluation))
    assert f"The class to be found is “{name}”: its recall is the sensitivity, the recall of “{other}”" in card


def test_what_matters_most_stands_first_and_three_at_most_before_the_content(run):
    shown, rest = folded(make_alerts(EN, everything_wrong(run)))
    assert [alert.code for alert in shown] == ["useless", "leaks", "conflicts"]
    assert [alert.code for alert in rest] == [
        "order",
        "groups_suggested",
        "few",
        "rejected",
        "images_in_no_class",
        "resumed",
    ]
    page = render(everything_wrong(run))
    assert "<summary>5 more warnings · 1 note</summary>" in page
    assert page.index("carries two labels") < page.index("5 more warnings") < page.index("seem to come in groups")


@pytest.mark.parametrize(
    ("language", "first", "more"),
    [
        ("en", "Accuracy 55.0 % (95 % interval 50.0–60.0 %, n = 40)", "5 more warnings in the report."),
        ("ru", "Доля верных ответов 55,0 % (95 % интервал 50,0–60,0 %, n = 40)", "Ещё 5 предупреждений в отчёте."),
    ],
)
def test_the_terminal_tells_three_warnings_in_the_language_of_the_run(
    run, tmp_path, capsys, monkeypatch, language, first, more
):
    monkeypatch.setattr(output, "_terminal", [Translator("en")])
    config = replace(run.config, out=str(tmp_path), language=language)
    (tmp_path / "report.html").write_text("")
    print_result(replace(everything_wrong(run), config=config))
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0].startswith(first)
    warning = {"en": "Warning: ", "ru": "Предупреждение: "}[language]
    assert sum(line.startswith(warning) for line in lines) == 3
    assert more in lines and not any("bundle" in line for line in lines)  # which isn't there
    (tmp_path / "report.html").unlink()
    print_result(replace(everything_wrong(run), config=config))
    assert capsys.readouterr().out.count(warning) == 8  # there is no report to look them up in


def test_no_interval_of_no_width_is_written(run, capsys):
    sure = Estimate(1.0, 1.0, 1.0, 40)
    assert EN.points(Estimate(0.012, -0.004, 0.028, 90)) == "+1.2 (−0.4 to +2.8, n\u00a0=\u00a090)"
    assert EN.points(Estimate(0.0, 0.0, 0.0, 40)) == f"+0.0 ({EN('interval.same')}, n\u00a0=\u00a040)"
    print_result(replace(run, evaluation=replace(run.evaluation, metrics=run.evaluation.metrics | {"roc_auc": sure})))
    printed = capsys.readouterr().out
    assert "ROC AUC 1.000 (no interval: ranked without a mistake, n = 40)" in printed
    assert "1.000–1.000" not in printed


def test_a_model_no_better_than_guessing_is_called_so(run):
    useless = with_metrics(large(run), (0.55, 0.5, 0.6, 1000), (0.54, 0.5, 0.6, 1000), (0.5, 0.4, 0.6, 1000))
    assert [alert.title for alert in make_alerts(EN, useless)] == ["Not clearly better than answering without looking"]


@pytest.mark.parametrize(("files", "level"), [(1, "info"), (40, "warning")])
def test_rejected_files_are_counted(run, files, level):
    rejected = tuple(Rejection(path=f"{i}.jpg", reason="truncated", detail="x") for i in range(files))
    alerts = make_alerts(EN, replace(large(run), catalog=replace(run.catalog, rejected=rejected)))
    assert [alert.level for alert in alerts if alert.link == "rejected"] == [level]


def test_engines_that_disagree_are_told(run):
    parity = replace(run.parity, same_labels=31)
    assert "31 of 32" in make_alerts(EN, replace(large(run), parity=parity))[0].body


def test_notices_come_once_and_those_told_otherwise_never(run):
    notice = Notice("class_missing_in_part", {"part": "val", "names": ["dog"]}, level="warning")
    told = Notice("files_rejected", {"rejected": 1, "files": 9, "reasons": {"empty": 1}}, level="warning")
    noticed = replace(large(run), notices=(notice, told), split=replace(run.split, notices=(notice,)))
    (alert,) = make_alerts(EN, noticed)
    assert (alert.level, alert.title) == ("warning", "A class is missing in one part")
    assert alert.body.startswith("None of the validation images shows “dog”")


# --- data, results, appendix --------------------------------------------------------------------------------------


def test_data_section_counts_every_image_once(run):
    section = make_data_section(EN, run)
    assert [sum(counts) for _, counts in section.classes] == [60, 60]
    assert section.totals == [len(run.split.train), len(run.split.val), len(run.split.test)]
    assert [len(pictures) for *_, pictures in section.samples] == [6, 6]
    assert section.balance == "The classes have about equally many images."


def test_lists_are_cut_at_fifty_with_the_rest_counted(run):
    rejected = tuple(Rejection(path=f"{i}.jpg", reason="too_large", detail="x") for i in range(73))
    cut = replace(run, catalog=replace(run.catalog, rejected=rejected))
    section = make_data_section(EN, cut)
    assert len(section.rejected) == 50 and section.rejected_more == 23
    row = '<th scope="row" class="path">0.jpg</th><td>too many pixels</td><td class="muted" lang="en">x</td>'
    assert row in render(cut)


def test_confusion_finding_names_the_most_frequent_mistake(run):
    evaluation = replace(run.evaluation, confusion_KK=((50, 10), (5, 35)))
    confusion = make_confusion(EN, evaluation)
    assert confusion.finding == (
        "The most frequent mistake: 10 of 60 images of “cat” are taken for “dog” (16.7\u202f%)."
    )
    assert [[(cell.n, cell.percent, cell.kind) for cell in cells] for _, _, cells in confusion.rows] == [
        [(50, 83, "right"), (10, 17, "wrong")],
        [(5, 12, "wrong"), (35, 88, "right")],
    ]
    assert make_confusion(EN, replace(evaluation, confusion_KK=((60, 0), (0, 0)))).finding == (
        "No test image is named wrongly."
    )


def test_class_table_names_best_and_worst(run):
    first, second = run.evaluation.per_class
    scores = (replace(first, recall=Estimate(0.9, 0.8, 1, 20)), replace(second, recall=Estimate(0.6, 0.4, 0.8, 20)))
    table = make_class_table(EN, replace(run.evaluation, per_class=scores))
    assert "best: “cat”, 90.0\u202f% of its 20 test images" in table.finding
    assert "worst: “dog”, 60.0\u202f% of 20" in table.finding


def test_classes_that_are_found_equally_well_have_no_best_and_no_worst(run):
    alike = tuple(replace(scores, recall=Estimate(0.9, 0.7, 1, 20), support=20) for scores in run.evaluation.per_class)
    table = make_class_table(EN, replace(run.evaluation, per_class=alike))
    assert table.finding == ("Every class with test images is found equally well: 90.0\u202f% (40 test images in all).")


def test_a_figure_without_images_is_a_dash_and_has_no_interval(run):
    nothing = Estimate(0.0, 0.0, 1.0, 0)
    never_said = replace(run.evaluation.per_class[0], precision=nothing, f1=Estimate(0.0, 0.0, 0.0, 20))
    ((_, _, (precision, _, f1)),) = make_class_table(EN, replace(run.evaluation, per_class=(never_said,))).rows
    assert (precision.words, precision.interval, precision.measured) == ("–", "", False)
    assert f1.words == "0.0\u202f% (no interval: no hits seen)"


def test_mistakes_are_the_surest_ones_with_calibrated_confidence(run):
    finding, shown = make_mistakes(EN, run)
    logits = run.test.logits_NK.astype(float) / run.evaluation.temperature
    p_NK = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wrong = np.flatnonzero(logits.argmax(1) != run.test.labels_N)
    surest = wrong[np.argmax(p_NK[wrong].max(1))]
    assert len(shown) == min(12, len(wrong)) > 0
    assert shown[0][0].path == run.test.paths[surest]
    assert shown[0][0].confidence == pytest.approx(p_NK[surest].max())
    assert finding.startswith(f"{len(wrong)} of 40 test images")


def test_no_mistakes_is_said(run):
    perfect = replace(run.test, labels_N=run.test.logits_NK.argmax(1))
    assert make_mistakes(EN, replace(run, test=perfect))[0].startswith("No test image is named wrongly")


def test_decision_table_marks_what_was_kept(run):
    page = render(run)
    table = page[page.index('id="decision"') :].split("</table>")[0]
    assert re.findall(r'<th scope="col" class="num">([^<]*)', table) == ["log loss", "accuracy"]
    rows = re.findall(r'<tr( class="kept")?><th scope="row">([^<]*)</th>.*?>([^<]*)</td>.*?>([^<]*)</td>', table)
    assert rows == [
        (' class="kept"', "fine-tuning from the probe", "0.310", "87.5\u202f%"),
        ("", "probe", "0.420", "81.2\u202f%"),
    ]


def test_the_epoch_that_was_kept_is_shown_though_another_has_the_lower_plain_loss():
    history = tuple(
        replace(row, val_loss=plain, selection_loss=fitted)
        for row, plain, fitted in zip(HISTORY, (0.5, 0.4, 0.45), (0.5, 0.39, 0.3), strict=False)
    )
    loss, accuracy = learning_charts(EN, history)
    assert "in epoch 2" in loss.finding
    assert "Kept was epoch 3" in loss.finding and "0.300" in loss.finding and "0.400" in loss.finding
    assert "Lowest validation loss" not in loss.finding
    assert "in epoch 3, the one that was kept" in accuracy.finding
    assert "lowest" not in accuracy.finding + accuracy.reading
    assert [[dot.radius > 3 for dot in chart.panel.lines[-1].dots] for chart in (loss, accuracy)] == 2 * [
        [False, False, True]
    ]


def test_a_first_epoch_that_was_kept_is_not_compared_with_itself():
    history = tuple(replace(row, val_loss=0.1 * row.epoch) for row in HISTORY)
    _, accuracy = learning_charts(EN, history)
    assert accuracy.finding == ("70.0\u202f% after the first epoch, the one that was kept; 86.0\u202f% after the last.")


@pytest.mark.parametrize(
    ("history", "words"),
    [(HISTORY, "begins to memorise"), (HISTORY[:3], "still falling"), ((*HISTORY[:3], HISTORY[2]), "levelled off")],
)
def test_learning_curve_says_what_it_shows(history, words):
    loss, accuracy = learning_charts(EN, history)
    assert "0.310, in epoch 3" in loss.finding and words in loss.finding
    assert "From 70.0\u202f% after the first epoch to 87.5\u202f% in epoch 3" in accuracy.finding


def test_a_diverged_epoch_does_not_stop_the_curve():
    broken = replace(HISTORY[3], train_loss=float("nan"), val_loss=float("nan"))
    loss, _ = learning_charts(EN, (*HISTORY[:3], broken))
    assert "in epoch 3" in loss.finding and "nan" not in loss.svg


@pytest.mark.parametrize("loss", [0.0, 1e-12, 1e20])
def test_a_flat_curve_of_any_height_can_be_drawn(loss):
    flat = tuple(replace(row, train_loss=loss, val_loss=loss, val_accuracy=1.0) for row in HISTORY)
    for chart in learning_charts(EN, flat):
        values = [value for value, _ in chart.panel.y_ticks]
        assert len(set(values)) == len(values) > 1
        assert "nan" not in chart.svg
    assert chart.panel.y_ticks[-1][1] == "100.0\u202f%"


def test_phases_are_marked_where_they_change():
    changed = (replace(HISTORY[0], phase="head"), *HISTORY[1:])
    assert learning_charts(EN, changed)[0].panel.guides == [(1.5, "all stages")]


def test_curves_end_in_the_corners_and_name_their_area(run):
    roc, pr = roc_chart(EN, run.evaluation), precision_recall_chart(EN, run.evaluation)
    assert f"Area under the curve: {run.evaluation.roc[0].summary:.3f}" in roc.finding
    (curve,) = re.findall(r'<polyline points="([^"]*)"[^>]*stroke="var\(--blue\)"', roc.svg)
    assert curve.startswith("44.0,306.0 ") and curve.endswith(" 340.0,32.0")
    guesser = pr.panel.lines[0]
    assert guesser.dash and guesser.points == [(0, 0.5), (1, 0.5)]  # half are dogs


def test_a_chart_takes_the_colours_of_its_page_and_says_what_it_shows(run):
    curve = replace(run.evaluation.roc[0], name='fill="#0072b2"')
    chart = roc_chart(EN, replace(run.evaluation, roc=(curve,)))
    assert re.findall(r'(?:fill|stroke)="#', chart.svg) == []
    colours, defined = re.findall(r"var\(--(\w+)\)", chart.svg), re.findall(r"--(\w+):#", render(run))
    assert {"rule", "blue"} <= set(colours) <= set(defined)
    assert f'<title id="roc-title">{escape(f"{chart.title}. {chart.finding}")}</title>' in chart.svg
    assert "fill=&quot;#0072b2&quot;" in chart.svg
    assert "var(--muted)" in chart.legend[-1].swatch and "aria-hidden" in chart.legend[-1].swatch


def test_curves_of_equal_area_have_no_best_and_no_worst(run):
    curve = replace(run.evaluation.roc[0], summary=1.0)
    curves = tuple(replace(curve, name=name) for name in "ab")
    evaluation = replace(run.evaluation, roc=curves, precision_recall=curves)
    assert roc_chart(EN, evaluation).finding == (
        "Each class against the rest (n = 40). The area is 1.000 for every class."
    )
    assert "The average precision is 1.000 for every class" in precision_recall_chart(EN, evaluation).finding
    apart = replace(evaluation, roc=(curves[0], replace(curves[1], summary=0.9)))
    assert "Area from 0.900 (“b”) to 1.000 (“a”)" in roc_chart(EN, apart).finding


def test_a_curve_tells_its_interval_and_its_images(run):
    interval = EN.interval("roc_auc", run.evaluation.metrics["roc_auc"])
    assert f"(95\u202f% interval {interval}, n\u00a0=\u00a040)" in roc_chart(EN, run.evaluation).finding


def test_reliability_says_which_way_confidence_errs(run):
    before, after = reliability_charts(EN, run.evaluation)
    error = run.evaluation.metrics["calibration_error_uncalibrated"]
    evidence = f"95\u202f% interval {EN.interval('calibration_error', error)}, n\u00a0=\u00a040"
    assert before.finding.startswith(f"Calibration error {EN.percent(error.value)} ({evidence}).")
    sure = tuple(replace(b, confidence=0.99, accuracy=0.6) for b in run.evaluation.reliability)
    assert "too sure of itself" in reliability_charts(EN, replace(run.evaluation, reliability=sure))[1].finding
    assert "T\u00a0=\u00a01.70" in after.title


@pytest.mark.parametrize(
    ("confidence", "verdict"),
    [(0.79, "too modest"), (0.81, "no difference"), (0.92, "no difference"), (0.96, "too sure")],
)
def test_confidence_is_judged_by_the_interval_of_the_accuracy(run, confidence, verdict):
    metrics = {"accuracy": Estimate(0.9, 0.8, 0.95, 60)}
    bins = tuple(replace(b, confidence=confidence) for b in run.evaluation.reliability)
    (_, after) = reliability_charts(EN, replace(run.evaluation, metrics=metrics, reliability=bins))
    assert verdict in after.finding
    assert "right in 90.0\u202f% (95\u202f% interval 80.0–95.0\u202f%, n\u00a0=\u00a060)" in after.finding


def test_costs_name_the_longest_step(run):
    assert costs_finding(EN, run.costs) == "2 min 5 s in all; 94\u202f% of it was “learning”. Peak memory 1.5 GB."
    page = render(run)
    section = page[page.index('<section id="costs">') :].split("</section>")[0]
    widths = re.findall(r'<rect class="s1" width="([0-9.]+)%"', section)
    assert widths == ["1.69", "20.0", "100.0", "100.0", "4.24", "100.0"]


def test_config_rows_mark_what_differs_from_the_defaults():
    rows = make_config_rows(RunConfig(data="pets", minutes=5, drop_leaks=True))
    assert [row.name for row in rows if row.changed] == ["minutes", "drop_leaks"]
    values = {row.name: row.value for row in rows}
    assert (values["drop_leaks"], values["weights"], values["images"]) == ("true", "default", '""')
    assert (values["finetune.max_epochs"], values["finetune.augment.mirror"]) == ("24", "false")
    assert values["finetune.listed_rates"] == "[]"


def test_config_rows_leave_out_the_table_that_took_no_part():
    def tables(**settings):
        return {
            row.name.split(".")[0] for row in make_config_rows(RunConfig(data="pets", **settings)) if "." in row.name
        }

    assert (tables(), tables(weights="none")) == ({"finetune"}, {"scratch"})


def test_commands_quote_the_run_folder(run):
    commands = make_commands(replace(run, config=replace(run.config, out="my runs/a;b/")))
    assert commands[0] == "svertka predict 'my runs/a;b/bundle' photo.jpg"
    assert make_commands(run)[2] == "svertka evaluate runs/pets-1/bundle new_labelled_images/"


def test_methods_say_how_the_split_was_made(run):
    methods = " ".join(make_methods(EN, run))
    assert "seed 7" in methods and "No groups were named" in methods and "used once" in methods
    brought = replace(run, split=replace(run.split, origin="brought", grouped=True))
    assert "You brought the split" in make_methods(EN, brought)[0]
    assert make_methods(EN, brought)[1].startswith("You named groups; all images of a group stand on one side")
    leak = Leak(kind="group", path_a="a.png", where_a="train", path_b="b.png", where_b="test")
    torn = replace(brought, split=replace(brought.split, leaks=(leak,)))
    assert "puts some of them on two sides" in make_methods(EN, torn)[1]
    assert "too few images" in " ".join(make_methods(EN, replace(run, order=None)))
