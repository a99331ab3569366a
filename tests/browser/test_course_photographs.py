"""One's own photograph on the course's pages: filters, channels, and a page to hand in, held to the engine."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from course_page import ask, canvas, course, read, run
from PIL import Image

from svertka.cli.main import app
from svertka.engine import filters
from svertka.engine.convolution import conv2d


@pytest.fixture
def photograph(tmp_path) -> Path:
    """A picture of noise and edges, 40 x 30."""
    rng = np.random.default_rng(3)
    pixels = rng.integers(60, 120, (30, 40, 3))
    pixels[10:, 20:] += 100
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_filter_on_ones_own_photograph_is_that_of_the_engine(site, photograph, monkeypatch, capsys):
    site.go("en/filters")
    site.page.locator("#choose").set_input_files(str(photograph))
    site.page.get_by_text("photo.png, 40 × 30 pixels").wait_for()
    pixels = np.asarray(Image.open(photograph), float)
    assert (canvas(site, ".studio canvas >> nth=0") == pixels).all()
    site.page.locator(".gallery button", has_text="sharpen").click()
    site.put("Kernel", 0, 0, "0,25")
    kernel = site.numbers("Kernel")
    expected = filters.correlate(pixels, kernel, padding="same", padding_mode="zeros").clip(0, 255)
    assert np.abs(canvas(site, "canvas.after") - expected).max() <= 0.51
    monkeypatch.chdir(photograph.parent)
    run(site)
    assert np.abs(np.asarray(Image.open("filtered.png"), float) - expected).max() <= 0.51
    _, *arguments = shlex.split(site.text("#terminal-code"))
    app([*arguments, "--language", "en"], standalone_mode=False)
    assert Path("filters.png").is_file()

    site.page.locator(".gallery button:has(code:text-is('sobel_x'))").click()
    differences = filters.correlate(
        pixels @ [0.299, 0.587, 0.114], site.numbers("Kernel"), padding="same", padding_mode="zeros"
    )
    after = canvas(site, "canvas.after").astype(int)
    redder = after[:, :, 0] - after[:, :, 2]
    clear = np.abs(differences) > 0.1 * np.abs(differences).max()
    assert (np.sign(redder) == np.sign(differences))[clear].all()
    run(site)
    gray = np.asarray(Image.open("filtered.png"), float)
    assert np.abs(gray - 127.5 - 127.5 * differences / np.abs(differences).max()).max() < 2


def test_a_map_is_the_sum_over_three_channels(site, photograph):
    site.go("en/channels?filter=2")
    site.page.locator("#choose").set_input_files(str(photograph))
    site.page.get_by_text("photo.png, 40 × 30 pixels").wait_for()
    planes = np.asarray(Image.open(photograph), float).transpose(2, 0, 1)
    site.page.get_by_role("spinbutton", name="Row", exact=True).fill("11")
    site.page.get_by_role("spinbutton", name="Column", exact=True).fill("20")
    site.put("Kernel for green", 1, 1, "-3")
    kernels = np.stack([site.numbers(f"Kernel for {name}") for name in ("red", "green", "blue")])
    found = conv2d(planes[None], kernels[None], padding=1)[0, 0]
    assert read(site.text("#total")) == pytest.approx(found[10, 19], abs=1e-3)
    for name, plane in zip(("Red", "Green", "Blue"), planes, strict=True):
        assert (site.numbers(f"{name} channel") == plane[9:12, 18:21]).all()
    picture = site.page.locator(".marked").nth(4)
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] * 7.5 / 40, "y": box["height"] * 3.5 / 30})
    assert read(site.text("#total")) == pytest.approx(found[3, 7], abs=1e-3)
    site.cell("Maps of 32 filters: choose one", 0, 0).focus()  # passing by changes nothing
    assert site.numbers("Kernel for green")[1, 1] == -3
    site.page.keyboard.press("ArrowRight")
    assert (site.numbers("Kernel for red") == 1).all()


def test_the_sum_over_channels_is_asked_for(site):
    site.go("en/channels?sheet=2")
    total = sum(
        (site.numbers(f"{name} channel", 1) * site.numbers(f"Kernel for {name.lower()}", 1)).sum()
        for name in ("Red", "Green", "Blue")
    )
    assert "Sums of the channels" in ask(site, "One output", str(total + 1))
    assert ask(site, "One output", f"{total:.0f}").startswith("✓")
    assert "add one bias" in ask(site, "The next layer", str(64 * 32 * 9))
    assert ask(site, "The next layer", "18496").startswith("✓")
    assert site.page.locator(".kicker .done").is_visible()


def test_filters_are_named_by_their_pictures(site):
    site.go("en/filters")
    wrong = 0
    for number in range(4):
        offered = site.page.locator(".riddle .stack button code").all_inner_texts()
        assert len(set(offered)) == 4
        site.page.locator(".riddle .stack button").first.click()
        said = site.page.locator(".riddle [role=status]").inner_text()
        right = re.search(r"It is (\w+)\.", said)
        assert right and right[1] in offered and said.startswith("Right." if right[1] == offered[0] else "No.")
        wrong += right[1] != offered[0]
        if number < 3:
            site.page.locator(".riddle").get_by_role("button", name="Next", exact=True).click()
    assert wrong and f"Right in all: {4 - wrong} of 4." in site.text(".riddle [role=status]")
    assert not site.page.locator(".kicker .done").is_visible()


def test_five_filters_make_a_page_to_hand_in(site, photograph, browser, tmp_path):
    site.go("en/filters")
    site.page.locator("#choose").set_input_files(str(photograph))
    site.page.get_by_text("photo.png, 40 × 30 pixels").wait_for()
    keep = site.page.get_by_role("button", name="Keep this kernel")
    for number in range(5):
        site.put("Kernel", 0, 0, str(number + 3))
        keep.click()
        if number == 0:
            keep.click()
            assert "filter 1 times a number" in site.text(".five [role=status]")
    assert site.text(".five [role=status]") == "5 of 5 kept."
    with site.page.expect_download() as waiting:
        site.page.get_by_role("button", name="Save the page to hand in").click()
    saved = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(saved)
    with course(browser, saved) as handed:
        handed.page.goto(saved.as_uri())
        assert handed.page.locator("section").count() == 5 and handed.page.locator("img").count() == 6
        assert "photo.png" in handed.page.locator("body").inner_text()
        assert handed.complaints == [] and len([url for url in handed.requests if not url.startswith("data:")]) == 1
    site.until("location.hash.includes('five=')")
    link = site.page.evaluate("location.hash.slice(1)")
    site.go(link)
    assert site.page.locator(".kept").count() == 5
    site.page.get_by_role("button", name="Remove filter 2").click()
    assert site.page.locator(".kept").count() == 4


def test_what_is_no_image_is_said(site, tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    site.go("en/filters")
    site.page.locator("#choose").set_input_files(str(tmp_path / "notes.txt"))
    assert "notes.txt does not open as an image" in site.text("[role=alert]")


def test_ones_own_image_goes_with_one_from_page_to_page(site, photograph):
    site.go("en/start")
    site.page.locator("#choose").set_input_files(str(photograph))
    site.page.get_by_text("photo.png, 40 × 30 pixels").wait_for()
    site.page.locator(".map a", has_text="Filters on your photograph").click()
    site.page.get_by_text("photo.png, 40 × 30 pixels").wait_for()
    assert canvas(site, ".studio canvas >> nth=0").shape == (30, 40, 3)
