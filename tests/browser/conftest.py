"""A real browser for the tests of what runs in one; where there is none, those tests are skipped by name."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from course_page import course

from svertka.course.site import write_site

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def find_chromium() -> str | None:
    """The system's Chromium: that of ``SVERTKA_CHROMIUM``, or the first by name."""
    named = os.environ.get("SVERTKA_CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright. One a module: while it runs, no other event loop may run in this thread."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright for Python isn't installed")
    path = find_chromium()
    if path is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"no Chromium was found ({', '.join(NAMES)}); name one in SVERTKA_CHROMIUM")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Path:
    """The course's site, written."""
    return write_site(tmp_path_factory.mktemp("course"))


@pytest.fixture
def site(browser, index):
    """The course, open; it must have nothing to complain of at the end."""
    with course(browser, index) as found:
        yield found
        assert found.complaints == []
