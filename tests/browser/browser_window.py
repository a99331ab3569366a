"""What tests of all pages share: a window, and what axe finds in it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def browser_window(browser: Any, scripts: Sequence[str] = (), **context: Any) -> Iterator[Any]:
    """A window of its own.

    Args:
        browser: of Playwright.
        scripts: that run before the page's own.
        context: of the window, such as ``locale``, ``viewport``, ``color_scheme``.
    """
    window = browser.new_context(**({"locale": "en", "viewport": {"width": 1280, "height": 900}} | context))
    window.set_default_timeout(20_000)
    for script in scripts:
        window.add_init_script(script)
    try:
        yield window
    finally:
        window.close()


def load_axe(page: Any) -> None:
    """Brings axe into a page."""
    base = pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python isn't installed")
    page.evaluate(base.AXE_SCRIPT)


def violations(page: Any, width: int) -> list[tuple[str, list[str]]]:
    """What axe finds in a page of a width in pixels: rules, and the elements that break them."""
    page.set_viewport_size({"width": width, "height": 800})
    found = page.evaluate("axe.run()")["violations"]
    return [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found]
