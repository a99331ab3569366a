"""The course's pages for everybody: by keyboard, by ear, in both languages and themes, from 320 pixels on, offline."""

import re
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from browser_window import load_axe, violations
from course_page import course

from svertka.messages import catalogue

WIDTHS = (320, 390, 1280)
PLACES = ("start", "glossary", *re.findall(r"^site\.(\w+)\.number$", "\n".join(catalogue("en")), re.MULTILINE))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ru"])
def test_axe_finds_nothing_and_nothing_leads_sideways(browser, index, language, theme):
    with course(browser, index, color_scheme=theme, reduced_motion="reduce") as site:
        for place in PLACES:
            site.go(f"{language}/{place}")
            if site.page.locator("input[name=predict]").count():
                site.page.locator("input[name=predict]").first.check()
            load_axe(site.page)
            for width in WIDTHS:
                assert violations(site.page, width) == [], (place, width)
                assert site.width() <= 0, (place, width)
            assert site.page.locator("html").get_attribute("lang") == language
        assert site.complaints == []


@pytest.mark.parametrize("language", ["en", "ru"])
def test_no_page_asks_a_network_and_every_link_leads_somewhere(browser, index, language):
    with course(browser, index) as site:
        for place in PLACES:
            site.go(f"{language}/{place}")
            links = site.page.locator("a[href]").evaluate_all("(all) => all.map((one) => one.getAttribute('href'))")
            for link in set(links) - {"#main"}:
                found = re.fullmatch(r"#(?:en|ru)/(\w+)(?:\?term=([\w-]+))?", link)
                assert found and found[1] in PLACES, link
                assert found[2] is None or f"site.term.{found[2]}.name" in catalogue(language), link
        assert {url.partition("#")[0] for url in site.requests} == {index.as_uri()}
        assert site.complaints == []


def test_russian_is_first_and_the_choice_is_remembered(browser, index):
    with course(browser, index, locale="en-US") as site:
        site.go("")
        assert site.page.locator("html").get_attribute("lang") == "ru"
        site.page.get_by_role("button", name="English").click()
        site.page.locator("html[lang=en]").wait_for()
        site.go("")
        assert site.page.locator("html").get_attribute("lang") == "en"
        site.go("ru/convolution")  # a teacher's link
        assert site.page.locator("html").get_attribute("lang") == "ru"


def test_a_grid_is_one_stop_of_the_tab_key_and_arrows_walk_in_it(browser, index):
    with course(browser, index) as site:
        site.go("en/convolution")
        keys = site.page.keyboard
        site.page.get_by_role("heading", name="Change any number").focus()
        walked = [tabbed(site) for _ in range(5)]
        assert walked == ["Image", "Kernel", "Output", "Move the window through all places", "an edge"]
        site.cell("Output", 0, 0).focus()
        keys.press("ArrowRight")
        keys.press("ArrowDown")
        assert site.text("h3") == "Where the output comes from: row 2, column 2"
        site.until("document.querySelector('section [role=status].unseen').textContent !== ''")
        said = site.page.locator("[role=status].unseen").inner_text()
        row = "1 × 1 + 5 × 0 + 5 × (−1)"
        assert said == f"Output, row 2, column 2: {row} + {row} + {row} = −12"
        site.cell("Image", 0, 0).focus()
        keys.type("7")
        keys.press("ArrowDown")
        keys.press("End")
        keys.type("-2,5")
        assert site.numbers("Image")[:2].tolist() == [[7, 1, 5, 5, 5], [1, 1, 5, 5, -2.5]]
        assert site.complaints == []


def tabbed(site) -> str:
    """Presses Tab: the grid that it comes to, or what it is called."""
    site.page.keyboard.press("Tab")
    return site.page.evaluate(
        """() => { const at = document.activeElement;
        return at.closest('[role=grid]')?.getAttribute('aria-label') ?? at.textContent.trim(); }"""
    )


def test_numbers_stand_in_the_address_and_come_from_it(browser, index):
    with course(browser, index) as site:
        site.go("en/convolution")
        site.put("Kernel", 1, 1, "0.5")
        site.cell("Output", 2, 1).click()
        site.until("location.hash.includes('kernel') && location.hash.includes('at=2,1')")
        before = site.numbers("Output").tolist()
        link = site.page.evaluate("location.hash.slice(1)")
        site.go(link.replace("en/", "ru/"))
        assert site.numbers("Выход").tolist() == before
        assert site.text("h3").endswith("строка 3, столбец 2")
        for hostile in (
            "kernel=1e999",
            "kernel=a,b;c",
            "at=-1,99",
            "kernel=" + "9" * 500,
            "sheet=x",
            "%",
            "a=%zz",
            "&&==",
        ):
            site.go(f"en/convolution?{hostile}")
            assert site.numbers("Output").shape == (3, 3), hostile
        assert site.complaints == []


def test_what_is_done_is_remembered_and_can_be_forgotten(browser, index):
    with course(browser, index) as site:
        site.go("en/convolution")
        for row in range(3):
            for column in range(3):
                site.put("Your answer", row, column, "0")
        site.page.get_by_role("button", name="Check", exact=True).first.click()
        site.page.get_by_text("All right.").wait_for()
        site.go("en/start")
        assert site.page.locator(".map .is-done").count() == 1
        site.page.get_by_role("button", name="Forget what is done").click()
        assert site.page.locator(".map .is-done").count() == 0


def test_a_browser_without_storage_shows_the_course(browser, index):
    script = (
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"
    )
    with course(browser, index, [script]) as site:
        site.go("en/convolution")
        site.page.get_by_role("button", name="Русский").click()
        site.page.locator("html[lang=ru]").wait_for()
        assert site.complaints == []


def test_an_unknown_page_is_the_start(browser, index):
    with course(browser, index) as site:
        site.go("en/nothing-of-the-kind?x=1")
        assert site.page.get_by_role("heading", level=1).inner_text() == "Convolution, hands on"
        assert site.page.locator(".map").is_visible()


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_whoever_wants_no_motion_gets_none(browser, index, motion):
    with course(browser, index, reduced_motion=motion) as site:
        site.go("en/correlation")
        assert site.page.evaluate("document.getAnimations().length") == 0
        site.page.get_by_label("turned (convolution)").check()
        assert site.page.evaluate("document.getAnimations().length") == (motion == "no-preference")


def test_a_click_into_a_cell_replaces_its_number(browser, index):
    with course(browser, index) as site:
        site.go("en/convolution")
        site.cell("Kernel", 1, 1).click()
        site.page.keyboard.type("4")
        assert site.numbers("Kernel")[1, 1] == 4
        site.page.get_by_role("button", name="Less by 1").nth(1).click()
        assert site.numbers("Kernel")[1, 1] == 3
        site.put("Kernel", 1, 1, "nonsense")
        assert site.cell("Kernel", 1, 1).get_attribute("aria-invalid") == "true"
        site.cell("Kernel", 0, 0).focus()
        assert site.numbers("Kernel")[1, 1] == 3


def test_the_course_works_from_a_web_server(browser, index):
    handler = partial(SimpleHTTPRequestHandler, directory=str(index.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        with course(browser, index) as site:
            site.page.goto(f"{address}#en/filters")
            site.page.get_by_role("heading", level=1).wait_for()
            site.page.locator("canvas.after").wait_for()
            assert {url.partition("#")[0] for url in site.requests} == {address}
            assert site.complaints == []
        server.shutdown()


def test_the_window_walks_through_all_places_and_stops(browser, index):
    with course(browser, index) as site:
        site.go("en/pooling?window=3")
        site.page.get_by_role("button", name="Move the window through all places").click()
        site.page.get_by_role("button", name="Stop").wait_for()
        site.until("document.querySelector('.worked h3').textContent.endsWith('row 2, column 2')")
        site.page.get_by_role("button", name="Move the window through all places").click()
        site.page.get_by_role("button", name="Stop").click()
        assert site.text(".worked h3").endswith("row 1, column 1")
