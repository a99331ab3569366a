"""The model card: figures filled in, questions asked, nothing made up; and the report's part about "unsure"."""

import re
from dataclasses import replace

import pytest
from report_runs import TEMPERATURE, make_run

from svertka.evaluate import evaluate, fit_conformal
from svertka.report import build_report, write_card
from svertka.report.card import escaped, render_card
from svertka.report.page import render
from svertka.schema import Conformal

ASKED = {"en": "To be filled in.", "ru": "Заполните."}


def run_with_thresholds(root, **changes):
    run = make_run(root, images=False, **changes)
    conformal = fit_conformal(run.test, 0.8)
    return replace(run, evaluation=evaluate(run.test, temperature=TEMPERATURE, conformal=conformal))


@pytest.mark.parametrize("language", ["en", "ru"])
def test_card_holds_figures_and_asks_what_only_people_know(tmp_path, language):
    run = run_with_thresholds(tmp_path, language=language)
    card = write_card(run, tmp_path / "model_card.md").read_text(encoding="utf-8")
    assert card.count(f"> **{ASKED[language]}** ") == 13
    accuracy = run.evaluation.metrics["accuracy"]
    written = f"{100 * accuracy.value:.1f}".replace(".", "," if language == "ru" else ".")
    assert re.search(rf"\| {re.escape(written)}\u202f% \| .* \| 40 \|", card)
    assert "TRIPOD+AI" in card
    assert "CLAIM" in card
    assert "Lite0 weights" in card
    assert "\n\n\n" not in card
    tables = re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE)
    assert len(tables) == 5
    for table in tables:  # every row of a table has as many cells
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_card_names_every_class(tmp_path):
    names = tuple(f"class {number:03d}" for number in range(210))
    card = render_card(make_run(tmp_path, names, per_class=3, images=False))
    assert " more" not in card.split("## The data")[0]
    for name in names:  # intended use; partitions; what few images mean; operating point
        assert card.count(name) >= 4


def test_other_peoples_text_is_only_text(tmp_path):
    names = ("a|b", "<b>*c*</b>\n# no heading")
    card = write_card(make_run(tmp_path, names, images=False), tmp_path / "card.md").read_text(encoding="utf-8")
    assert r"| a\|b |" in card
    assert r"\<b\>\*c\*\</b\> \# no heading" in card
    assert "\n# no heading" not in card
    assert escaped("x`y`\n z") == r"x\`y\` z"


def test_report_shows_the_promise_and_what_came_of_it(tmp_path):
    run = run_with_thresholds(tmp_path)
    page = build_report(run, tmp_path / "report.html").read_text(encoding="utf-8")
    part = page[page.index('<section id="abstention">') :].split("</section>")[0]
    found = run.evaluation.abstention
    for figure in (found.coverage, *found.per_class):
        assert f"<b>{100 * figure.value:.1f}\u202f%</b>" in part
    assert f"It answers {100 * found.answered.value:.1f}\u202f% of the test images" in part
    assert '<a href="#abstention">' in page


def test_report_without_thresholds_has_no_such_part(tmp_path):
    page = build_report(make_run(tmp_path, images=False), tmp_path / "report.html").read_text(encoding="utf-8")
    assert "abstention" not in page


def test_unsure_at_a_high_probability_is_explained(tmp_path):
    run = make_run(tmp_path, images=False)
    conformal = Conformal(target=0.9, thresholds=(2e-5, 0.3), counts=(9, 9))
    evaluation = evaluate(run.test, temperature=TEMPERATURE, conformal=conformal)
    assert evaluation.abstention.empty > 1
    run = replace(run, evaluation=evaluation)
    page, card = (build(run) for build in (render, render_card))
    for text in (page, card):
        assert f"For {evaluation.abstention.empty} of them no class is possible: each class is less probable" in text
        assert "99.998\u202f%" in text and "70.0\u202f%" in text  # from there on a class is possible
    older = replace(evaluation, abstention=replace(evaluation.abstention, thresholds=(), empty=None))
    assert "of them no class is possible" not in render(replace(run, evaluation=older))


def test_a_model_that_is_always_unsure_is_told(tmp_path):
    run = make_run(tmp_path, images=False)
    silent = Conformal(target=0.9, thresholds=(1.0, 1.0), counts=(9, 9))
    run = replace(run, evaluation=evaluate(run.test, conformal=silent))
    page = build_report(run, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "It would answer none of the test images: every one is “unsure”." in page
