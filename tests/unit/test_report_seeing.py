"""The report's section about what the network looks at: pictures, points, figures, warnings."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from report_runs import INSIGHT, make_run

from svertka.messages.translator import Translator
from svertka.report.alerts import make_alerts
from svertka.report.page import render
from svertka.report.seeing import make_seeing
from svertka.schema import ClassPair, Estimate
from svertka.viz.drawing import ORANGE
from svertka.viz.heatmap import feature_tile, filter_tile, overlay, viridis

EN = Translator("en")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return replace(make_run(tmp_path_factory.mktemp("pets")), insight=INSIGHT)


def pixels(sample):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(sample.source.split(",")[1]))))


def test_examples_say_what_was_said_and_what_is_true(run):
    (example,) = make_seeing(EN, run).examples
    assert (example.title, example.truth, example.wrong) == ("The surest mistakes", "dog", True)
    assert example.classes == [("cat", 0.7), ("dog", 0.3)]
    cam, occlusion = example.heats
    assert (cam.top, cam.sentence) == ("2.0", "Speaks for “cat” in 50\u202f% of the area.")
    assert occlusion.sentence == "With the worst square covered, “dog” goes from 30.0\u202f% to 10.0\u202f%."
    assert pixels(example.picture).shape == pixels(cam.picture).shape == (32, 32, 3)


def test_an_image_that_is_gone_is_a_tile_that_says_so(run, tmp_path):
    gone = replace(run, catalog=replace(run.catalog, root=tmp_path))
    seeing = make_seeing(EN, gone)
    assert seeing.examples[0].picture.source == ""
    assert seeing.examples[0].heats[0].picture.reason == "missing"
    assert seeing.patches[0][2][3][0].reason == "missing"


def test_wrong_points_are_marked(run):
    chart = make_seeing(EN, run).map
    marked = {line.colour: [dot.title for dot in line.dots] for line in chart.panel.lines}
    assert marked[ORANGE] == ["class1/image000.png: dog → cat"]
    assert chart.finding == "2 test images, 1 of them wrongly named."


def test_a_failed_sanity_check_is_told(run):
    seeing = make_seeing(EN, run)
    assert seeing.sanity_finding.startswith("Not shown for “Occlusion”")
    assert re.findall(r'data-label="Verdict">([^<]*)<', render(run)) == ["passed", "not passed"]


def test_a_shortcut_near_the_model_is_a_warning_and_a_weak_one_is_not(run):
    def levels(verdict):
        border = replace(INSIGHT.shortcuts[0], verdict=verdict)
        alerts = make_alerts(EN, replace(run, insight=replace(INSIGHT, shortcuts=(border, INSIGHT.shortcuts[1]))))
        return [alert.level for alert in alerts if "border" in alert.title]

    assert levels("near the model") == ["warning"]
    assert levels("better than chance") == ["info"]
    assert levels("chance") == []


def test_a_shortcut_between_two_classes_is_a_warning(run):
    pair = ClassPair(first="cat", second="dog", roc_auc=Estimate(0.97, 0.93, 1.0, 40))
    border = replace(INSIGHT.shortcuts[0], verdict="better than chance", pairs=(pair,))
    seen = replace(run, insight=replace(INSIGHT, shortcuts=(border,)))
    (alert,) = [alert for alert in make_alerts(EN, seen) if "give some classes away" in alert.title]
    assert alert.level == "warning"
    assert "tells 1 pair of classes apart nearly always: “cat” from “dog” with ROC AUC 0.970" in alert.body
    assert "tells apart “cat” from “dog”: 0.970" in render(seen)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_section_is_on_the_page(run, language):
    html = render(replace(run, config=replace(run.config, language=language)))
    section = re.search(r'<section id="seeing">.*?</section>', html, re.DOTALL)[0]
    assert section.count("<article") == 1 and 'href="#seeing"' in html
    assert 'id="seeing"' not in render(replace(run, insight=None))


# --- colours ----------------------------------------------------------------------------------------------------


def test_colours_grow_lighter_evenly():
    """CIE lightness of viridis rises by near equal steps: that is what perceptually uniform means here."""
    rgb = viridis(np.linspace(0, 1, 21)) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    y = linear @ np.array([0.2126, 0.7152, 0.0722])
    steps = np.diff(116 * np.cbrt(y) - 16)
    assert steps.min() > 0 and steps.max() < 1.6 * np.median(steps)


def test_colour_lies_only_where_a_place_speaks_for_the_class():
    image = np.full((32, 32, 3), 100, np.uint8)
    plane = np.full((8, 8), -1.0)
    plane[:, :3] = 2.0
    shown = np.asarray(overlay(image, plane, 2.0)).astype(int)
    assert (np.ptp(shown[:, 20:], axis=2) <= 1).all()
    assert np.ptp(shown[:, :6], axis=2).min() > 60


def test_tiles():
    assert feature_tile(np.zeros((4, 4), np.float32)).shape == (4, 4, 3)
    gray = filter_tile(np.zeros((3, 5, 5), np.float32))
    assert gray.shape == (5, 5, 3) and (gray == 128).all()
