"""The page of ``svertka serve`` in a browser: the same page, with the server behind it."""

import csv
import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from colour_bundle import write_colour_bundle
from model_page import BLUE, DARK, RED, opened, picture
from PIL import Image

from svertka.cli.predict import predict

pytest.importorskip("starlette", reason="the extra serve isn't installed")


class Server:
    """``svertka serve`` in a process of its own, at a port that is free."""

    def __init__(self, *arguments: object, **variables: str) -> None:
        code = "from svertka.cli import main; main()"
        command = [sys.executable, "-u", "-c", code, "serve", *map(str, arguments), "--port", "0"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | variables)
        first = self.process.stderr.readline()
        found = re.search(r"http://[\d.]+:\d+/", first)
        assert found, first + self.process.stderr.read()
        self.address = found[0]

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("images")
    for name, colour in (("red.png", RED), ("blue.jpg", BLUE), ("dark.png", DARK)):
        picture(root / name, colour)
    (root / "notes.png").write_text("no image")
    return root


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return write_colour_bundle(tmp_path_factory.mktemp("colours") / "colours").directory


@pytest.fixture(scope="module")
def server(bundle, tmp_path_factory):
    other = write_colour_bundle(tmp_path_factory.mktemp("other") / "other", ("rot", "grün"), doubts=False).directory
    found = Server(f"first={bundle}", f"second={other}", "--max-mb", "1")
    yield found
    found.end()


@pytest.fixture
def page(browser, server):
    with opened(browser, server.address) as found:
        yield found


def test_answers_and_table_are_those_of_predict(page, server, bundle, folder, tmp_path):
    files = sorted(folder.iterdir())
    page.choose(*files)
    predict(str(bundle), [str(file) for file in files], str(tmp_path / "out.csv"), 1)
    expected = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text("utf-8"))))
    for row in expected:
        row["path"] = Path(row["path"]).name
    assert page.table() == expected
    assert [url for url in page.requests if not url.startswith(("blob:", "data:", server.address))] == []
    assert page.complaints == []


def test_the_page_says_where_images_go(page):
    assert page.page.get_by_text("Images are sent to this server. It answers, and keeps none of them.").is_visible()
    assert page.page.get_by_text("do not leave this page").count() == 0


def test_the_map_comes_from_the_server(page, folder):
    page.choose(folder / "red.png")
    page.page.locator("canvas").wait_for()
    assert page.page.get_by_text("speaks for “red”").is_visible()


def test_another_model_answers_anew(page, folder):
    page.choose(folder / "red.png")
    assert page.label() == "red"
    page.page.get_by_role("combobox", name="Model").select_option("second")
    page.page.locator("p.label", has_text="rot").wait_for()
    assert page.page.get_by_role("heading", level=1).inner_text() == "“rot” or “grün”?"
    assert page.page.locator(".note").count() == 0


def test_a_file_too_large_for_the_server_says_so(page, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    page.choose(tmp_path / "large.png")
    (note,) = page.notes()
    assert note == "No answer for large.png.\nThis file is larger than 1 MB. Make it smaller."
    assert page.button("Try again").count() == 0
    page.button("Русский").click()
    page.page.locator("html[lang=ru]").wait_for()
    assert page.notes() == [
        "Для large.png ответа нет.\nФайл больше 1 МБ, сервер такие не принимает. Уменьшите изображение."
    ]


def test_an_image_of_too_many_pixels_says_how_many(page, tmp_path):
    Image.new("L", (6000, 4500)).save(tmp_path / "large.png")
    page.choose(tmp_path / "large.png")
    assert page.notes() == [
        "large.png cannot be used: too many pixels.\nIt has 27.0 megapixels; at most 25 are read here. Make it smaller."
    ]


def test_a_server_offers_all_that_it_reads(page):
    assert {"image/*", ".jp2", ".psd"} <= set(page.page.locator("#choose").get_attribute("accept").split(","))


def test_a_file_of_many_megabytes_is_refused_like_one_of_a_few(page, tmp_path):
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(60_000_000)
    page.choose(tmp_path / "huge.png")
    assert page.notes() == ["No answer for huge.png.\nThis file is larger than 1 MB. Make it smaller."]


def test_with_a_token_the_browser_asks_for_it_and_the_page_works(browser, bundle, folder):
    token = "correct horse battery"
    server = Server(bundle, SVERTKA_TOKEN=token)
    try:
        with opened(browser, server.address, http_credentials={"username": "", "password": token}) as page:
            page.choose(folder / "red.png")
            assert page.label() == "red"
            page.page.locator("canvas").wait_for()
    finally:
        server.end()


def test_a_server_that_has_gone_says_so_and_may_come_back(browser, bundle, folder):
    server = Server(bundle)
    with opened(browser, server.address) as page:
        page.choose(folder / "red.png")
        server.end()
        page.choose(folder / "blue.jpg")
        (note,) = page.notes()
        assert note.startswith("No answer for blue.jpg.\nThe server cannot be reached. Is it still running?")
        assert page.button("Try again").is_visible()
        rows = page.table()
        assert (rows[0]["label"], rows[1]["error"]) == ("red", "unreachable")
