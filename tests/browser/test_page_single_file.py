"""The single file of ``svertka share``, opened as a double click would: answers, images in, and no way out."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from colour_bundle import CLASSES, write_colour_bundle
from model_page import BLUE, DARK, RED, opened, picture
from PIL import Image

from svertka.cli.predict import predict
from svertka.cli.share import share
from svertka.schema import Preprocess


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_colour_bundle(tmp_path_factory.mktemp("colours") / "colours")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Images, one of which is none."""
    root = tmp_path_factory.mktemp("images")
    for name, colour in (("red.png", RED), ("blue.jpg", BLUE), ("dark.png", DARK), ("=SUM(A1), „x“.png", BLUE)):
        picture(root / name, colour)
    noise = np.random.default_rng(3).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / "noise.webp", lossless=True)
    (root / "empty.png").write_bytes(b"")
    (root / "notes.png").write_text("no image")
    return root


@pytest.fixture(scope="module")
def html(bundle, folder, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("page") / "model.html"
    share(str(bundle.directory), str(path), [str(folder / "red.png"), str(folder / "dark.png")])
    return path.as_uri()


@pytest.fixture
def page(browser, html):
    with opened(browser, html) as found:
        yield found
        assert found.complaints == []


def predicted(bundle, files, tmp_path) -> list[dict[str, str]]:
    """The rows of ``svertka predict``."""
    out = tmp_path / "predicted.csv"
    predict(str(bundle.directory), [str(file) for file in files], str(out), 1)
    return list(csv.DictReader(io.StringIO(out.read_text("utf-8"))))


def test_one_image_is_answered_with_its_probabilities(page, folder):
    page.choose(folder / "red.png")
    assert page.label() == "red"
    rows = [row.inner_text().split() for row in page.page.locator(".probabilities tr").all()]
    assert [name for name, *_ in rows] == ["red", "green", "blue"]
    sure = page.page.locator(".sure").inner_text()
    assert sure == f"{rows[0][1]}\u202f% sure"
    assert page.said() == f"red.png: red, {sure}."


def test_the_table_is_that_of_predict(page, bundle, folder, tmp_path):
    files = sorted(folder.iterdir())
    page.choose(*files)
    found, expected = page.table(), predicted(bundle, files, tmp_path)
    assert list(found[0]) == list(expected[0])
    figures = {name for name in expected[0] if name.startswith("p:")} | {"confidence", "distance_percentile"}
    for ours, theirs, file in zip(found, expected, files, strict=True):
        assert ours["path"] == file.name
        for name in theirs.keys() - {"path", "error"} - figures:
            assert ours[name] == theirs[name], (file.name, name)
        assert ours["error"].partition(":")[0] == theirs["error"].partition(":")[0]
        assert bool(ours["error"]) == (file.name in ("empty.png", "notes.png"))
        for name in figures:
            assert len(ours[name]) == len(theirs[name])
            if theirs[name]:
                tolerance = 0.11 if name == "distance_percentile" else 2e-6
                assert float(ours[name]) == pytest.approx(float(theirs[name]), abs=tolerance)


def test_a_spreadsheet_takes_no_name_for_a_formula(page, folder):
    page.choose(folder / "red.png", folder / "=SUM(A1), „x“.png")
    text = page.download("CSV for Excel")
    assert text.startswith("\ufeffpath;label;") and "\r\n'=SUM(A1), „x“.png;blue;0," in text


def test_doubts_are_said_in_words(page, folder):
    page.choose(folder / "dark.png")
    notes = page.notes()
    assert notes[0].startswith("Unlike the training images\nThis image is farther from the training images than all of")
    assert notes[1].startswith("Unsure\n“red” and “green” are possible: none can be ruled out at 90\u202f% coverage.")
    assert page.said().startswith("dark.png: Unlike the training images. red, ")
    assert page.said().endswith(" sure. Unsure.")


COLOUR = "getComputedStyle(document.querySelector('.said .label')).color"


def test_of_an_image_unlike_the_training_images_the_warning_comes_first_and_the_label_is_muted(page, folder):
    page.choose(folder / "red.png")
    sure = page.page.evaluate(COLOUR)
    assert "Closer to the training images than" in page.page.locator(".said").inner_text()
    page.choose(folder / "dark.png")
    page.page.locator(".file-name", has_text="dark.png").wait_for()
    muted = page.page.evaluate("getComputedStyle(document.querySelector('.file-name')).color")
    assert page.page.evaluate(COLOUR) == muted != sure
    text = page.page.locator(".said").inner_text()
    assert text.index("Unlike the training images") < text.index("\nred\n") < text.index("Unsure")


def test_one_answer_can_be_taken_away_too(page, bundle, folder, tmp_path):
    page.choose(folder / "red.png")
    (found,), (expected,) = page.table(), predicted(bundle, [folder / "red.png"], tmp_path)
    assert (found["path"], found["label"], list(found)) == ("red.png", "red", list(expected))


def test_the_dialogue_offers_what_the_page_reads(page):
    offered = page.page.locator("#choose").get_attribute("accept").split(",")
    assert {"image/jpeg", "image/png", ".tif"} <= set(offered)
    assert not {"image/*", ".jp2", ".pgm", ".psd"} & set(offered)


def test_an_image_of_too_many_pixels_says_how_many(page, tmp_path):
    Image.new("1", (12_000, 10_000)).save(tmp_path / "large.png")
    page.choose(tmp_path / "large.png")
    assert page.notes()[0].endswith("It has 120.0 megapixels; at most 100 are read here. Make it smaller.")


def test_a_file_that_cannot_be_used_says_why(page, folder):
    page.choose(folder / "empty.png")
    assert page.notes() == ["empty.png cannot be used: empty file.\nThe file has zero bytes."]
    page.choose(folder / "notes.png")
    assert page.notes()[0].startswith("notes.png cannot be used: not an image.\nIts content isn't an image")
    page.page.locator(".frame", has_text="No preview.").wait_for()
    assert page.said().startswith("2 images are done, 2 of them without an answer.")


WAYS_OUT = {
    "fetch": "fetch('https://example.org/').then(() => 'gone', () => 'refused')",
    "request": """new Promise((end) => { const ask = new XMLHttpRequest();
        ask.onload = () => end("gone"); ask.onerror = () => end("refused");
        ask.open("GET", "https://example.org/"); ask.send(); })""",
    "picture": """new Promise((end) => { const image = new Image();
        image.onload = () => end("gone"); image.onerror = () => end("refused");
        image.src = "https://example.org/a.png"; })""",
    "socket": """new Promise((end) => { try { const socket = new WebSocket("wss://example.org/");
        socket.onopen = () => end("gone"); socket.onerror = () => end("refused"); } catch { end("refused"); } })""",
    "worker": """new Promise((end) => {
        const code = "fetch('https://example.org/').then(() => postMessage('gone'), () => postMessage('refused'))";
        const worker = new Worker(URL.createObjectURL(new Blob([code])));
        worker.onmessage = ({ data }) => end(data); worker.onerror = () => end("refused"); })""",
}


def test_no_request_is_made_and_none_is_possible(browser, html, folder):
    with opened(browser, html) as page:
        page.choose(*sorted(folder.iterdir()))
        page.page.locator("canvas").wait_for()
        assert [url for url in page.requests if not url.startswith(("blob:", "data:"))] == [html]
        refusals = "window.refusals = []; document.addEventListener('securitypolicyviolation', (event) => "
        page.page.evaluate(refusals + "window.refusals.push(event.effectiveDirective))")
        assert {name: page.page.evaluate(way) for name, way in WAYS_OUT.items()} == dict.fromkeys(WAYS_OUT, "refused")
        assert {"connect-src", "img-src"} <= set(page.page.evaluate("window.refusals"))


def test_samples_are_buttons(page):
    assert page.page.locator(".tries img").count() == 2
    page.button("dark.png").click()
    page.settle()
    assert page.page.locator(".file-name").inner_text() == "dark.png"


def test_images_can_be_dropped_and_pasted(page):
    make = """(name) => new Promise((end) => {
        const canvas = Object.assign(document.createElement("canvas"), { width: 20, height: 20 });
        const pen = canvas.getContext("2d"); pen.fillStyle = "rgb(10 20 250)"; pen.fillRect(0, 0, 20, 20);
        canvas.toBlob((blob) => { const box = new DataTransfer();
            box.items.add(new File([blob], name, { type: "image/png" })); end(box); }); })"""
    drop = page.page.evaluate_handle(make, "dropped.png")
    page.page.dispatch_event("body", "dragenter", {"dataTransfer": drop})
    assert page.page.get_by_text("Let go: the images are taken").is_visible()
    page.page.dispatch_event("body", "drop", {"dataTransfer": drop})
    page.settle()
    assert (page.page.locator(".file-name").inner_text(), page.label()) == ("dropped.png", "blue")
    assert page.page.locator(".dropping").count() == 0
    paste = page.page.evaluate_handle(make, "image.png")
    page.page.evaluate(
        "(box) => document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: box, bubbles: true }))", paste
    )
    page.settle()
    assert (page.page.locator(".file-name").inner_text(), page.label()) == ("image.png", "blue")
    page.page.evaluate(
        "document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: new DataTransfer(), bubbles: true }))"
    )
    page.page.get_by_role("alert").wait_for()
    assert page.page.get_by_role("alert").inner_text().startswith("That was no file.")


def half_and_half(path: Path, size: tuple[int, int]) -> Path:
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    image.save(path)
    return path


COLOURS_AT = """(places) => { const canvas = document.querySelector(".frame canvas");
    const { width, height } = canvas;
    const pen = Object.assign(document.createElement("canvas"), { width, height })
        .getContext("2d", { willReadFrequently: true });
    pen.drawImage(canvas, 0, 0);
    return places.map(([x, y]) => [...pen.getImageData(x * canvas.width, y * canvas.height, 1, 1).data]); }"""


def test_the_map_lies_where_the_class_is(page, tmp_path):
    page.choose(half_and_half(tmp_path / "half.png", (200, 100)))
    assert page.label() == "red"
    page.page.locator("canvas").wait_for()
    left, right = page.page.evaluate(COLOURS_AT, [[0.2, 0.5], [0.8, 0.5]])
    assert left[0] > left[2] and left[3] > 150  # red: speaks for
    assert right[2] > right[0] and right[3] > 30  # blue: speaks against
    page.page.get_by_label("For the class").select_option("blue")
    page.page.get_by_text("speaks for “blue”").wait_for()
    page.page.wait_for_timeout(200)
    left, right = page.page.evaluate(COLOURS_AT, [[0.2, 0.5], [0.8, 0.5]])
    assert left[2] > left[0] and right[0] > right[2]
    page.page.get_by_label("Show what it looks at").uncheck()
    page.page.locator("canvas").wait_for(state="detached")


@pytest.mark.parametrize(
    ("resize", "size", "box"),
    [
        ("crop", (200, 100), (0.25, 0, 0.5, 1)),
        ("crop", (100, 200), (0, 0.25, 1, 0.5)),
        ("pad", (200, 100), (0, 0, 1, 1)),
    ],
)
def test_the_map_covers_what_the_network_sees(browser, tmp_path, resize, size, box):
    preprocess = Preprocess(size_px=32, resize=resize, interpolation="bilinear")
    bundle = write_colour_bundle(tmp_path / "bundle", preprocess=preprocess)
    share(str(bundle.directory), str(tmp_path / "model.html"))
    with opened(browser, (tmp_path / "model.html").as_uri()) as page:
        page.choose(half_and_half(tmp_path / "half.png", size))
        page.page.locator("canvas").wait_for()
        image, canvas = (page.page.locator(f".frame {what}").bounding_box() for what in ("img", "canvas"))
        assert image["width"] / image["height"] == pytest.approx(size[0] / size[1], rel=0.01)
        left, top, width, height = box
        assert canvas["x"] - image["x"] == pytest.approx(left * image["width"], abs=1.5)
        assert canvas["y"] - image["y"] == pytest.approx(top * image["height"], abs=1.5)
        assert canvas["width"] == pytest.approx(width * image["width"], abs=1.5)
        assert canvas["height"] == pytest.approx(height * image["height"], abs=1.5)
        assert page.page.get_by_text("The network sees the framed middle").count() == (resize == "crop")
        corner, inside = page.page.evaluate(COLOURS_AT, [[0.02, 0.02], [0.2, 0.5]])
        assert corner[0] > corner[2] and inside[0] > inside[2]  # nothing of what was padded lies on the image


def test_many_images_can_be_cancelled_and_gone_on_with(browser, html, folder, tmp_path):
    files = [picture(tmp_path / f"{number}.png", RED, (700, 700)) for number in range(24)]
    with opened(browser, html) as page:
        page.page.locator("#choose").set_input_files([str(file) for file in files])
        page.button("Cancel").click()
        page.button("Go on").wait_for()
        said = page.said()
        left = int(said.split()[1])
        assert 0 < left < 25 and said == f"Cancelled; {left} images are left."
        page.button("Go on").click()
        page.settle()
        assert page.said().startswith("24 images are done.")
        assert {row["label"] for row in page.table()} == {"red"}
        page.button("Clear all").click()
        page.page.locator(".items").wait_for(state="detached")
        assert page.said() == "The network is ready."
        assert page.page.evaluate("document.activeElement.id") == "choose"


def test_an_image_that_the_browser_cannot_show_is_answered_all_the_same(page, tmp_path):
    content = picture(tmp_path / "scan.tif", BLUE).read_bytes()
    (tmp_path / "cut.tif").write_bytes(content[: len(content) // 2])
    seen = "new MutationObserver(() => window.frames_seen.push(document.querySelector('.frame')?.textContent))"
    every = "{ subtree: true, childList: true, characterData: true }"
    page.page.evaluate(f"window.frames_seen = []; {seen}.observe(document, {every})")
    page.choose(tmp_path / "scan.tif")
    assert page.label() == "blue"
    page.page.get_by_text("As the network sees it: this browser cannot show such a file.").wait_for()
    assert page.page.get_by_role("img", name="The image scan.tif").is_visible()
    page.page.locator(".frame canvas:not(.square)").wait_for()
    assert set(page.page.evaluate("window.frames_seen")) <= {"", None}  # nothing else flashed up before
    page.choose(tmp_path / "cut.tif")
    page.page.locator(".frame", has_text="No preview.").wait_for()


def test_a_browser_that_is_too_old_is_told_so(browser, html, folder):
    for script, what in (
        ("delete window.DecompressionStream", "DecompressionStream"),
        ("WebAssembly.validate = () => false", "WebAssembly SIMD"),
    ):
        with opened(browser, html, [script]) as page:
            page.page.get_by_role("alert").wait_for()
            assert page.page.get_by_role("alert").inner_text().startswith(f"This browser is too old: it lacks {what}.")


def test_a_page_that_was_cut_short_says_so(browser, html, tmp_path):
    text = Path(html.removeprefix("file://")).read_text("utf-8")
    cut = tmp_path / "cut.html"
    cut.write_text(text[: text.index('id="svertka-model"') + 300], "utf-8")
    with opened(browser, cut.as_uri()) as page:
        page.page.get_by_role("alert").wait_for()
        assert page.page.get_by_role("alert").inner_text() == (
            "The network could not be loaded: svertka-model is not whole; copy the page again"
        )


def test_about_says_what_the_model_is_and_where_that_ends(page):
    text = page.page.get_by_role("region", name="About the model").inner_text()
    for name in CLASSES:
        assert name in text
    assert "80.0–95.0\u202f%" in text and "no interval: ranked without a mistake" in text and "1,040" in text
    assert "It knows no other class" in text and "This is not a medical device" in text
    assert "Colours, from a test, licence Apache-2.0" in text
