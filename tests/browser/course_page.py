"""The course's site in a browser, and what a person does there."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from browser_window import browser_window
from numpy.typing import NDArray

from svertka.engine import filters


class CourseSite:
    """The open site.

    Attributes:
        requests: addresses that it asked for, its own included.
        complaints: errors, and what the console was told.
    """

    def __init__(self, page: Any, index: Path) -> None:
        self.page, self.index = page, index
        self.requests, self.complaints = list[str](), list[str]()
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def go(self, place: str) -> "CourseSite":
        """Opens a page of the site anew, as by a link from elsewhere: ``ru/convolution?at=1,1``."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.index.as_uri()}#{place}")
        self.page.get_by_role("heading", level=1).wait_for()
        return self

    def grid(self, label: str, number: int = 0) -> Any:
        """A grid by its name; several of one name are numbered."""
        return self.page.get_by_role("grid", name=label, exact=True).nth(number)

    def numbers(self, label: str, number: int = 0) -> NDArray[np.float64]:
        """What stands in a grid."""
        script = """(grid) => [...grid.querySelectorAll('[role=row]')].map((row) =>
            [...row.querySelectorAll('[data-cell]')].map((cell) => cell.value ?? cell.textContent))"""
        return np.array([[read(text) for text in row] for row in self.grid(label, number).evaluate(script)])

    def cell(self, label: str, row: int, column: int, number: int = 0) -> Any:
        """A cell that can be focused."""
        grid = self.grid(label, number)
        return grid.get_by_role("row").nth(row).locator("[data-cell]").nth(column)

    def put(self, label: str, row: int, column: int, text: str, number: int = 0) -> None:
        """Types into a cell."""
        self.cell(label, row, column, number).fill(text)

    def fill(self, label: str, values: NDArray[np.float64], write: Any = str) -> None:
        """Fills an answer's grid and checks it."""
        for (row, column), value in np.ndenumerate(values):
            self.put(label, row, column, write(value))

    def text(self, selector: str) -> str:
        """What stands there."""
        found: str = self.page.locator(selector).inner_text()
        return found

    def until(self, expression: str) -> None:
        """Waits until something is true; Playwright's own way would need ``eval``, which the site forbids."""
        for _ in range(200):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(25)
        raise AssertionError(f"never true: {expression}")

    def width(self) -> int:
        """How much wider than the window the page is, in pixels."""
        found: int = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return found


def read(text: str) -> float:
    """A number as the page writes it."""
    return float(text.replace("\u2212", "-").replace(",", ".").replace("\u202f", ""))


def ask(site: CourseSite, question: str, *answers: str) -> str:
    """Answers a question; what the page says to it."""
    form = site.page.locator("form", has_text=question)
    for field, answer in zip(form.get_by_role("textbox").all(), answers, strict=True):
        field.fill(answer)
    form.get_by_role("button", name="Check").click()
    said: str = form.get_by_role("status").inner_text()
    return said


def figures(text: str) -> list[float]:
    """All numbers in a text."""
    return [read(found) for found in re.findall(r"[-\u2212]?\d+(?:[.,]\d+)?", text)]


def run(site: CourseSite) -> str:
    """What the code on a page prints."""
    out = io.StringIO()
    with redirect_stdout(out):
        exec(compile(site.text("#python-code"), "page", "exec"), {"__name__": "__main__"})
    return re.sub(r"\.(?=[\s\]])", "", out.getvalue())


def engine(image: Any, kernel: Any, **how: Any) -> NDArray[np.float64]:
    """Cross-correlation without padding."""
    return filters.correlate(image, kernel, padding=0, padding_mode="zeros", **how)


def canvas(site: CourseSite, selector: str) -> NDArray[np.float64]:
    """Pixels [H, W, 3] of a canvas."""
    script = """(c) => {
        const copy = new OffscreenCanvas(c.width, c.height).getContext("2d", { willReadFrequently: true });
        copy.drawImage(c, 0, 0);
        return [[...copy.getImageData(0, 0, c.width, c.height).data], c.width, c.height];
    }"""
    data, width, height = site.page.locator(selector).evaluate(script)
    return np.reshape(data, (height, width, 4))[:, :, :3]


@contextmanager
def course(browser: Any, index: Path, scripts: Sequence[str] = (), **context: Any) -> Iterator[CourseSite]:
    """Opens a window for the site.

    Args:
        browser: of Playwright.
        index: the site's page.
        scripts: that run before the page's own.
        context: of the window, such as ``locale``, ``viewport``, ``color_scheme``.
    """
    with browser_window(browser, scripts, **context) as window:
        yield CourseSite(window.new_page(), index)
