"""A model's page in a browser, and what a person does there."""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from browser_window import browser_window
from PIL import Image

RED, BLUE, DARK = (250, 20, 10), (10, 20, 250), (20, 20, 20)


def picture(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> Path:
    """An image of one colour."""
    Image.new("RGB", size, colour).save(path)
    return path


class ModelPage:
    """An open page.

    Attributes:
        requests: addresses that it asked for, its own included.
        complaints: errors, and what the console was told.
    """

    def __init__(self, page: Any) -> None:
        self.page, self.requests, self.complaints = page, list[str](), list[str]()
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, address: str) -> "ModelPage":
        """Opens the page and waits until it is drawn."""
        self.page.goto(address)
        self.page.get_by_role("heading", level=1).wait_for()
        return self

    def button(self, name: str) -> Any:
        """A button by its name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def choose(self, *files: Path) -> None:
        """Chooses files and waits until all are through."""
        self.page.locator("#choose").set_input_files([str(file) for file in files])
        self.settle()

    def settle(self) -> None:
        """Waits until nothing is under way."""
        # Changes that come close together are drawn as one, by a timer; this one, on the same thread, comes after it.
        self.page.evaluate("new Promise((end) => setTimeout(end, 150))")
        self.page.locator(".label.pending").wait_for(state="detached")
        self.page.locator("progress").wait_for(state="detached")

    def label(self) -> str:
        """The answer."""
        return self.page.locator("p.label").inner_text()

    def notes(self) -> list[str]:
        """What is said in boxes, without empty lines."""
        return [text.replace("\n\n", "\n") for text in self.page.locator(".note").all_inner_texts()]

    def said(self) -> str:
        """What a screen reader was told."""
        return self.page.get_by_role("status").inner_text()

    def table(self, button: str = "Download CSV") -> list[dict[str, str]]:
        """The rows of the CSV."""
        return list(csv.DictReader(io.StringIO(self.download(button))))

    def download(self, button: str) -> str:
        """The text of a download."""
        with self.page.expect_download() as waiting:
            self.button(button).click()
        return Path(waiting.value.path()).read_bytes().decode("utf-8")

    def width(self) -> int:
        """How much wider than the window the page is, in pixels."""
        return self.page.evaluate("document.documentElement.scrollWidth - innerWidth")


@contextmanager
def opened(browser: Any, address: str, scripts: Sequence[str] = (), **context: Any) -> Iterator[ModelPage]:
    """Opens a page in a window of its own.

    Args:
        browser: of Playwright.
        address: of the page.
        scripts: that run before the page's own.
        context: of the window, such as ``locale``, ``viewport``, ``color_scheme``.
    """
    with browser_window(browser, scripts, **context) as window:
        yield ModelPage(window.new_page()).open(address)
