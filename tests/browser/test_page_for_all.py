"""The page for everybody: by keyboard, by ear, in both languages, light and dark, from 320 pixels on, on paper."""

import re
from pathlib import Path

import pytest
from browser_window import load_axe, violations
from colour_bundle import write_colour_bundle
from model_page import BLUE, DARK, RED, opened, picture

from svertka.cli.share import share
from svertka.schema import Estimate

WIDTHS = (320, 768, 1280)
LONG = "x" * 5000


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("images")
    for name, colour in (("red.png", RED), ("blue.png", BLUE), ("dark.png", DARK)):
        picture(root / name, colour)
    (root / "empty.png").write_bytes(b"")
    return root


@pytest.fixture(scope="module")
def html(folder, tmp_path_factory) -> str:
    root = tmp_path_factory.mktemp("page")
    bundle = write_colour_bundle(root / "colours")
    share(str(bundle.directory), str(root / "model.html"), [str(folder / "red.png")])
    return (root / "model.html").as_uri()


@pytest.fixture
def page(browser, html):
    with opened(browser, html) as found:
        yield found
        assert found.complaints == []


def fill(page, folder: Path) -> None:
    """Brings the page into the state with the most in it."""
    page.choose(*(folder / name for name in ("dark.png", "red.png", "blue.png", "empty.png")))
    page.page.locator("canvas").wait_for()
    for summary in page.page.locator("summary").all():
        summary.click()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ru"])
def test_axe_finds_nothing_and_nothing_leads_sideways(browser, html, folder, language, theme):
    with opened(browser, html, locale=language, color_scheme=theme, reduced_motion="reduce") as page:
        load_axe(page.page)

        def check(state: str) -> None:
            for width in WIDTHS:
                assert violations(page.page, width) == [], (state, width)
                assert page.width() <= 0, (state, width)

        check("empty")
        fill(page, folder)
        check("full")
        assert page.page.locator("html").get_attribute("lang") == language


def focused(page) -> str:
    """What has the focus: its name, or its text."""
    return page.page.evaluate(
        """() => { const at = document.activeElement;
        if (at === document.body) return "";
        if (!at.matches(":focus-visible")) return "invisible: " + at.outerHTML.slice(0, 80);
        return (at.labels?.[0]?.querySelector("span") ?? at.labels?.[0])?.textContent.trim()
            ?? at.getAttribute("aria-label") ?? at.querySelector("img")?.alt ?? at.textContent.trim(); }"""
    )


def walk(page, most: int = 40) -> list[str]:
    """What Tab comes to, from the start of the page to where it leaves it."""
    found = []
    for _ in range(most):
        page.page.keyboard.press("Tab")
        name = focused(page)
        if not name or name in found[:1]:
            break
        found.append(name)
    return found


def test_the_keyboard_comes_to_everything_in_order(page):
    assert walk(page) == [
        "Русский",
        "Light or dark",
        "Choose images",
        "red.png",
        "Licences of the software in this page",
    ]


def test_everything_can_be_done_by_keyboard_alone(page, folder):
    keys, choosers = page.page.keyboard, []
    page.page.on(
        "filechooser", lambda found: choosers.append(found)
    )  # early: the browser heeds it some time after it is asked
    page.page.get_by_text("The network is ready.").wait_for(state="attached")
    for _ in range(3):
        keys.press("Tab")
    assert focused(page) == "Choose images"
    keys.press("Enter")
    for _ in range(200):
        if not choosers:
            page.page.wait_for_timeout(50)
    (chooser,) = choosers
    chooser.set_files([str(folder / name) for name in ("dark.png", "blue.png")])
    page.settle()
    page.page.locator("canvas").wait_for()
    keys.press("Tab")
    assert focused(page) == "Clear all"
    keys.press("Tab")
    assert focused(page) == "red.png"
    keys.press("Enter")  # a sample
    page.settle()
    page.page.locator("canvas").wait_for()
    assert walk(page) == [
        "Previous image",
        "Show what it looks at",
        "For the class",
        "Strength of the colour",
        "What the colours mean",
        "Download CSV",
        "CSV for Excel",
        "dark.png",
        "blue.png",
        "red.png",
        "Licences of the software in this page",
    ]


def test_controls_work_by_keyboard(page, folder):
    keys = page.page.keyboard
    page.choose(folder / "red.png", folder / "blue.png")
    page.page.locator("canvas").wait_for()
    page.page.get_by_label("Show what it looks at").focus()
    keys.press("Space")
    page.page.locator("canvas").wait_for(state="detached")
    keys.press("Space")
    page.page.locator("canvas").wait_for()
    page.page.get_by_label("Strength of the colour").focus()
    keys.press("Home")
    page.page.wait_for_timeout(50)
    assert page.page.locator("canvas").evaluate("(one) => one.style.opacity") == "0.1"
    page.button("blue.png").focus()
    keys.press("Enter")
    page.page.locator(".file-name", has_text="blue.png").wait_for()
    assert focused(page) == "Answer"
    assert page.button("blue.png").get_attribute("aria-current") == "true"
    page.button("Previous image").focus()
    keys.press("Enter")
    page.page.locator(".file-name", has_text="red.png").wait_for()


def test_language_and_theme_are_chosen_on_the_page_and_remembered(browser, html):
    with opened(browser, html, color_scheme="light") as page:
        background = "getComputedStyle(document.body).backgroundColor"
        light = page.page.evaluate(background)
        page.button("Русский").click()
        page.page.locator("html[lang=ru]").wait_for()
        assert page.page.title() == "Различаем классы «red», «green» и «blue»"
        assert page.page.get_by_role("heading", level=1).inner_text() == page.page.title()
        page.button("Светлая или тёмная тема").click()
        page.page.locator("html[data-theme=dark]").wait_for()
        assert page.page.evaluate(background) != light
        page.page.reload()
        page.page.locator("html[lang=ru][data-theme=dark]").wait_for()
        assert page.complaints == []


def test_a_page_opens_in_the_language_that_it_was_written_for(browser, html, tmp_path):
    bundle = write_colour_bundle(tmp_path / "colours")
    share(str(bundle.directory), str(tmp_path / "model.html"), [], "ru")
    with opened(browser, (tmp_path / "model.html").as_uri()) as page:
        assert page.page.get_by_role("heading", level=1).inner_text().startswith("Различаем")
    with opened(browser, html, locale="ru-RU") as page:
        assert page.page.get_by_role("heading", level=1).inner_text().startswith("Различаем")


def test_numbers_are_written_as_the_language_writes_them(browser, html, folder):
    with opened(browser, html, locale="ru") as page:
        page.choose(folder / "dark.png")
        text = page.page.locator("main").inner_text()
        assert "80,0–95,0\u202f%" in text and "надёжности 90\u202f%" in text
        assert not re.search(r"\d\.\d+\s*%|[{}]|undefined|NaN", text)


def test_a_page_without_storage_works(browser, html):
    script = (
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"
    )
    with opened(browser, html, [script]) as page:
        page.button("Русский").click()
        page.page.locator("html[lang=ru]").wait_for()
        assert page.complaints == []


HOSTILE = ("<img src=x onerror=alert(1)>", "\u202egnp.exe", "&lt;b&gt; </script>", LONG, "__proto__", "12", "3")


def test_hostile_names_act_on_nothing(browser, tmp_path):
    bundle = write_colour_bundle(tmp_path / LONG[:100], HOSTILE)
    image = picture(tmp_path / ("\u202e<b>" + "y" * 200 + ".png"), DARK)
    share(str(bundle.directory), str(tmp_path / "model.html"), [str(image)])
    with opened(browser, (tmp_path / "model.html").as_uri(), viewport={"width": 320, "height": 700}) as page:
        page.choose(image, image)
        page.page.locator("canvas").wait_for()
        assert page.width() <= 0
        text = page.page.locator("body").inner_text()
        assert "\u202e" not in text and "\\u202e" in text
        assert "<img src=x onerror=alert(1)>" in text
        assert page.page.locator("img[src=x]").count() == 0
        page.button("Show all 7 classes").click()
        page.page.locator(".probabilities th").nth(6).wait_for()
        assert page.complaints == []
        (first, _) = page.table()
        assert [name for name in first if name.startswith("p:")] == [f"p:{name}" for name in HOSTILE]


def test_a_thousand_classes_fit(browser, tmp_path, folder):
    names = [f"class {number}" for number in range(1000)]
    bundle = write_colour_bundle(tmp_path / "many", names, metrics={"accuracy": Estimate(0.5, 0.4, 0.6, 12_345)})
    share(str(bundle.directory), str(tmp_path / "model.html"))
    with opened(browser, (tmp_path / "model.html").as_uri(), viewport={"width": 320, "height": 700}) as page:
        assert page.page.get_by_role("heading", level=1).inner_text() == "Telling apart 1,000 kinds of images"
        page.choose(folder / "red.png")
        assert page.page.locator(".probabilities tr").count() == 5
        page.page.locator(".probabilities button").click()
        page.page.locator(".probabilities tr").nth(999).wait_for()
        assert page.width() <= 0
        assert page.complaints == []


def test_on_paper_there_are_answers_and_no_controls(page, folder):
    fill(page, folder)
    page.page.emulate_media(media="print")
    assert page.page.locator(".label").is_visible() and page.page.locator(".items").is_visible()
    assert page.page.locator(".items").get_by_text("blue.png").is_visible()
    for control in (".intake", ".switches", ".heat-settings", ".steps"):
        assert not page.page.locator(control).is_visible(), control


def test_whoever_wants_no_motion_gets_none(browser, html):
    with opened(browser, html, reduced_motion="reduce") as page:
        assert page.page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
        moving = "document.getAnimations().length"
        assert page.page.evaluate(moving) == 0


def test_a_phone_is_offered_its_camera(browser, html):
    with opened(browser, html, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True) as page:
        photo = page.page.locator("#photo")
        assert (photo.get_attribute("capture"), photo.get_attribute("accept")) == ("environment", "image/*")
        assert page.page.get_by_text("Take a photo").is_visible()
        assert page.width() <= 0
    with opened(browser, html) as page:
        assert not page.page.get_by_text("Take a photo").is_visible()
