"""The whole page: self-contained, safe, accessible, complete, in both languages."""

import base64
import io
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from report_runs import INSIGHT, image_file, image_record, make_run

from svertka.messages import catalogue
from svertka.report import build_report
from svertka.report.page import render
from svertka.schema import Leak, Notice, Rejection

VOID = {"meta", "img", "br", "hr", "link", "input"}
LOADING = {"src", "srcset", "href", "xlink:href", "poster", "data", "action", "background", "formaction"}


class Page(HTMLParser):
    """Everything that the tests ask of a page; fails on tags that don't close in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.words, self.styles = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes), tuple(self.open)))

    def handle_endtag(self, tag):
        assert tag not in VOID
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-3:]} at {self.getpos()}"
        self.open.pop()

    def handle_data(self, data):
        if self.open[-1:] == ["style"]:
            self.styles.append(data)
        elif self.open[-1:] != ["script"]:
            self.words.append(data)

    def all(self, name):
        return [attributes for tag, attributes, _ in self.tags if tag == name]

    @property
    def ids(self):
        return [attributes["id"] for _, attributes, _ in self.tags if "id" in attributes]

    @property
    def text(self):
        return re.sub(r"[ \n]+", " ", " ".join(self.words))  # narrow spaces stay


def build(run, tmp_path):
    path = build_report(run, tmp_path / "report.html")
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("pets")


@pytest.fixture(scope="module")
def run(root):
    return make_run(root)


@pytest.fixture(scope="module")
def html(run, tmp_path_factory):
    return build(run, tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


# --- self-contained ---------------------------------------------------------------------------------------------


def test_returns_the_path_that_it_wrote(run, tmp_path):
    assert build_report(run, tmp_path / "r.html") == tmp_path / "r.html"
    assert (tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_nothing_is_loaded_from_anywhere(page):
    for tag, attributes, _ in page.tags:
        for name in LOADING & attributes.keys():
            value = attributes[name]
            assert value.startswith("#") or (tag == "img" and value.startswith("data:image/jpeg;base64,")), (tag, value)
    assert page.all("link") == [] and page.all("iframe") == []
    css = " ".join(page.styles)
    assert css and "url(" not in css and "@import" not in css


def test_links_lead_somewhere_and_ids_are_unique(page):
    assert max(Counter(page.ids).values()) == 1
    targets = {attributes["href"][1:] for attributes in page.all("a")}
    assert targets and targets <= set(page.ids)


def test_building_needs_no_heavy_package():
    code = (
        "import sys; from svertka.messages.translator import Translator;"
        "from svertka.report.page import make_environment;"
        "make_environment(Translator('en'), html=True).get_template('page.html.j2');"
        "print(sorted({'torch', 'matplotlib', 'sklearn', 'scipy', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_stays_small_with_the_worst_images(tmp_path):
    run = make_run(tmp_path / "noise", tuple(f"class {i}" for i in range(14)), 9, size_px=200, separation=0.5)
    html = build(run, tmp_path)
    pictures = [attributes["src"] for attributes in Page(html).all("img")]
    assert len(pictures) == 12 * 6 + 12
    assert sum(map(len, pictures)) < 1_500_000
    assert len(html.encode()) < 2_500_000


def test_stays_small_with_a_thousand_classes(tmp_path):
    run = make_run(tmp_path, tuple(f"species {i}" for i in range(40)), 12, images=False, separation=4)
    names = tuple(f"species number {i}" for i in range(1000))
    small = run.evaluation
    blocks_KK = np.kron(np.eye(25, dtype=int), np.array(small.confusion_KK))
    large = replace(
        small,
        class_names=names,
        per_class=tuple(replace(small.per_class[i % 40], name=name) for i, name in enumerate(names)),
        confusion_KK=tuple(map(tuple, blocks_KK.tolist())),
        roc=tuple(replace(small.roc[i % 40], name=name) for i, name in enumerate(names)),
        precision_recall=tuple(replace(small.precision_recall[i % 40], name=name) for i, name in enumerate(names)),
    )
    html = build(replace(run, evaluation=large, catalog=replace(run.catalog, class_names=names)), tmp_path)
    assert len(html.encode()) < 2_000_000
    assert Page(html).text.count("Classes not shown: 800.") == 2


# --- hostile and odd names --------------------------------------------------------------------------------------

HOSTILE = '<script>alert("1")</script>\'"><img src=http://evil/x onerror=alert(1)>`{{ 7*7 }}`'


def hostile_run(root):
    run = make_run(root, (HOSTILE, "b" + HOSTILE), 12, images=False)
    leak = Leak(kind="exact", path_a=HOSTILE, where_a="train", path_b=HOSTILE, where_b="test")
    conflict = Leak(kind="label conflict", path_a=HOSTILE, where_a=HOSTILE, path_b=HOSTILE, where_b=HOSTILE)
    return replace(
        run,
        name=HOSTILE,
        command=HOSTILE,
        started=HOSTILE,
        config=replace(run.config, data=HOSTILE, group_regex=HOSTILE, language="ru"),
        catalog=replace(run.catalog, rejected=(Rejection(path=HOSTILE, reason=HOSTILE, detail=HOSTILE),)),
        split=replace(run.split, leaks=(leak,), conflicts=(conflict,)),
        test=replace(run.test, paths=tuple(HOSTILE for _ in run.test.paths)),
        decision=replace(run.decision, val_scores={HOSTILE: {HOSTILE: 0.5}}),
        history=tuple(replace(row, phase=f"{row.epoch}{HOSTILE}") for row in run.history),
        costs=tuple(replace(cost, step=HOSTILE) for cost in run.costs),
        versions={HOSTILE: HOSTILE},
        notices=(Notice("class_missing_in_part", {"part": HOSTILE, "names": [HOSTILE, HOSTILE]}, "warning"),),
    )


def test_hostile_names_are_only_text(tmp_path):
    html = build(hostile_run(tmp_path), tmp_path)
    page = Page(html)
    assert len(page.all("script")) == 1
    assert "49" not in re.findall(r"<code>(.*?)</code>", html)
    for tag, attributes, _ in page.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "evil" not in str(attributes.get("src"))
    assert page.text.count('<script>alert("1")</script>') > 20


def test_names_that_are_no_valid_unicode_do_not_stop_it(tmp_path):
    run = make_run(tmp_path, per_class=12, images=False)
    rejected = (Rejection(path="caf\udce9.png", reason="truncated", detail="…"),)
    assert "caf\\udce9.png" in build(replace(run, catalog=replace(run.catalog, rejected=rejected)), tmp_path)


# --- accessible -------------------------------------------------------------------------------------------------


def test_every_picture_has_words(page):
    images, drawings = page.all("img"), page.all("svg")
    assert images and all(attributes["alt"] for attributes in images)
    assert drawings
    for attributes in drawings:
        hidden = attributes.get("aria-hidden") == "true"
        inside_hidden = "aria-hidden" not in attributes and "role" not in attributes
        named = attributes.get("role") == "img" and (attributes.get("aria-label") or attributes.get("aria-labelledby"))
        assert hidden or named or inside_hidden
    for attributes in drawings:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in page.ids


def test_every_figure_has_a_caption(html):
    figures = re.findall(r"<figure.*?</figure>", html, re.DOTALL)
    without = [figure for figure in figures if "<figcaption" not in figure]
    # The two reliability plots share one explanation below them.
    assert len(figures) >= 10
    assert len(without) == 2 and all('id="reliability-' in figure for figure in without)
    assert html.count(catalogue("en")["reliability.reading"][:60]) == 1


def test_page_names_its_language_and_fits_a_phone(page):
    assert page.all("html")[0]["lang"] == "en"
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")


def test_dark_colours_are_for_screens_only(page):
    css = " ".join(page.styles)
    assert "@media screen and (prefers-color-scheme:dark)" in css and "@media print" in css
    assert css.count("color-scheme:dark;") == 2  # by system and by button


# --- complete ---------------------------------------------------------------------------------------------------

SECTIONS = ["result", "decision", "data", "learning", "confusion", "classes", "curves", "reliability", "mistakes"]
SECTIONS += ["metrics", "costs", "use", "methods", "record"]


def test_sections_stand_in_order_of_importance(page):
    assert [name for name in page.ids if name in SECTIONS] == SECTIONS


def test_headline_is_accuracy_with_interval_and_n(run, html, page):
    accuracy = run.evaluation.metrics["accuracy"]
    right = int((run.test.logits_NK.argmax(axis=1) == run.test.labels_N).sum())
    assert re.findall(r'<p class="big">(.*?)</p>', html) == [f"{100 * right / 40:.1f}\u202f%"]
    assert f"{100 * accuracy.low:.1f}–{100 * accuracy.high:.1f}\u202f% · 40 test images" in page.text
    assert "“cat” or “dog”?" in page.text
    assert "Always answering “cat”, the commonest class, gives 50.0\u202f%" in page.text


def test_record_shows_command_versions_sources_and_config(page):
    for words in ("svertka train pets --minutes 5", "2.14.1", "Lite0 weights", "Apache-2.0", "near_duplicate_bits"):
        assert words in page.text
    assert "svertka predict runs/pets-1/bundle photo.jpg" in page.text


def test_parts_without_data_are_left_out(tmp_path):
    run = make_run(tmp_path, per_class=12, images=False)
    bare = replace(
        run.evaluation,
        metrics={},
        roc=(),
        precision_recall=(),
        reliability=(),
        reliability_uncalibrated=(),
        baselines={},
    )
    page = Page(
        build(replace(run, evaluation=bare, history=(), costs=(), order=None, sources=(), versions={}), tmp_path)
    )
    assert not {"learning", "curves", "reliability", "costs"} & set(page.ids)
    assert "holds no overall figure" in page.text
    assert {attributes["href"][1:] for attributes in page.all("a")} <= set(page.ids)


def test_many_classes_show_pairs_instead_of_a_matrix(tmp_path):
    run = make_run(tmp_path, tuple(f"plant {i:02d}" for i in range(40)), 12, images=False, separation=1.5)
    page = Page(build(run, tmp_path))
    assert "Telling apart 40 kinds of images" in page.text and "Most frequent confusions" in page.text
    assert "Confusion matrix" not in page.text
    assert "The first 12 of 40 classes." in page.text


def test_russian_report_speaks_russian(root, tmp_path):
    run = make_run(root, ("Кот домашний короткошёрстный", "Собака", "Очень длинное имя класса " * 6), 60, language="ru")
    noticed = (
        Notice("class_missing_in_part", {"part": "val", "names": ["Собака"]}, "warning"),
        Notice("table_columns", {"table": "метки.csv", "columns": {"path": "файл", "label": "порода"}}),
    )
    page = Page(build(replace(run, notices=noticed), tmp_path))
    assert page.all("html")[0]["lang"] == "ru"
    assert "Матрица ошибок" in page.text and "· 60 тестовых изображений" in page.text
    value = f"{100 * run.evaluation.metrics['accuracy'].value:.1f}".replace(".", ",")
    assert f"{value}\u202f%" in page.text
    assert (
        "Выбрано: дообучение от линейного классификатора. На проверочных изображениях (20) логарифмические потери у "
        "дообученной сети меньше" in page.text
    )
    assert "Среди проверочных изображений нет класса «Собака»" in page.text
    assert "Из таблицы метки.csv взяты столбцы (файл: «файл», класс: «порода»)" in page.text
    assert {attributes.get("lang") for _, attributes, _ in page.tags} == {"ru", None}
    english = [entry for entry in catalogue("en").values() if isinstance(entry, str) and len(entry) > 25]
    leftovers = [entry for entry in english if entry.split("{")[0].strip() and entry.split("{")[0] in page.text]
    assert [entry for entry in leftovers if len(entry.split("{")[0]) > 20] == []


# --- pictures ---------------------------------------------------------------------------------------------------


def test_a_missing_and_a_damaged_image_leave_a_tile(tmp_path):
    run = make_run(tmp_path / "data", per_class=6)
    (tmp_path / "data/class0/image000.png").unlink()
    (tmp_path / "data/class0/image001.png").write_bytes(b"not an image")
    page = Page(build(run, tmp_path))
    gone = [attributes["aria-label"] for tag, attributes, _ in page.tags if attributes.get("class") == "gone"]
    assert "cat: class0/image000.png: file is gone" in gone
    assert "cat: class0/image001.png: cannot be read" in gone


def test_thumbnails_show_orientation_and_sixteen_bits_rightly(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: must be turned clockwise
    turned = Image.new("RGB", (400, 200), "black")
    turned.paste("white", (0, 0, 200, 200))
    turned.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    Image.new("I;16", (50, 50), 32768).save(tmp_path / "deep.png")
    image_file(tmp_path / "other.png")
    run = make_run(tmp_path, per_class=12, images=False)
    records = (image_record("turned.jpg", 0), image_record("deep.png", 0), image_record("other.png", 1))
    catalog = replace(run.catalog, records=records)
    split = replace(run.split, train=(0, 1, 2), val=(), test=())
    sources = {
        attributes["alt"]: attributes["src"]
        for attributes in Page(build(replace(run, catalog=catalog, split=split), tmp_path)).all("img")
    }

    def pixels(path):
        data = base64.b64decode(sources[f"cat: {path}"].split(",")[1])
        return Image.open(io.BytesIO(data)).convert("L")

    upright = pixels("turned.jpg")
    assert upright.size == (64, 128)
    assert upright.getpixel((32, 20)) > 230 and upright.getpixel((32, 108)) < 25
    assert abs(pixels("deep.png").getpixel((25, 25)) - 128) < 4


class Tables(HTMLParser):
    """Of each table that scrolls sideways: its classes, its headings, and the labels of its cells."""

    def __init__(self):
        super().__init__()
        self.found, self.open = [], False

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "table":
            self.found.append((set((values.get("class") or "").split()), [], []))
        elif tag == "thead":
            self.heading = True
        elif tag == "tbody":
            self.heading = False
        elif tag == "th" and self.found and self.heading:
            self.found[-1][1].append(values)
        elif tag == "tr" and self.found and not self.heading:
            self.found[-1][2].append([])
        elif tag in ("td", "th") and self.found and not self.heading:
            self.found[-1][2][-1].append((tag, values.get("data-label")))


@pytest.mark.parametrize("classes", [2, 40])
def test_no_table_is_clipped_in_a_narrow_place(tmp_path, classes):
    """A table either is small, or can be read row by row, where each cell needs its heading."""
    names = tuple(f"class {number}" for number in range(classes))
    insight = replace(INSIGHT, examples=INSIGHT.examples if classes == 2 else ())
    run = replace(make_run(tmp_path, names, per_class=6, images=False), insight=insight)
    tables = Tables()
    tables.feed(render(run))
    folding = [table for table in tables.found if table[0] & {"fold", "scores"}]
    assert len(folding) >= 5
    for _, headings, rows in folding:
        assert rows
        for row in rows:
            assert len(row) == len(headings)
            unlabelled = [tag for tag, label in row if not label]
            assert unlabelled in (["th"], ["th", "td"], [])  # the row's own name; the mark of what was kept
    told = {"fold", "scores", "matrix", "counts"}  # these have rules of their own for narrow places
    wide = [table for table in tables.found if len(table[1]) > 3 and not table[0] & told]
    assert wide == []
    style = render(run).split("</style>")[0]
    assert "container-type:inline-size" in style and "table.fold:not(.narrow) thead{display:none}" in style
