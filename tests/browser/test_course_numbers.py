"""Numbers on the course's pages are those of the engine, of the errata, of the Python code and of the terminal."""

import io
import re
import shlex
from contextlib import redirect_stdout

import numpy as np
import pytest
from course_page import ask, engine, figures, read, run

from svertka.cli.main import app
from svertka.engine import filters, geometry
from svertka.engine.convolution import conv2d_backward
from svertka.engine.pooling import avg_pool2d, max_pool2d

GRIDS = {"en": ("Image", "Kernel", "Output"), "ru": ("Изображение", "Ядро", "Выход")}


@pytest.mark.parametrize("language", ["en", "ru"])
def test_convolution_by_hand(site, language):
    image, kernel, output = GRIDS[language]
    site.go(f"{language}/convolution")
    rng = np.random.default_rng(0)
    for _ in range(12):
        row, column = rng.integers(5, size=2)
        site.put(image, int(row), int(column), f"{rng.integers(-9, 10)}{'.,'[rng.integers(2)]}{rng.integers(10)}")
        row, column = rng.integers(3, size=2)
        site.put(kernel, int(row), int(column), str(rng.integers(-9, 10)).replace("-", "\u2212"))
        site.cell(output, int(column), int(row)).click()
        expected = engine(site.numbers(image), site.numbers(kernel))
        assert np.abs(site.numbers(output) - expected).max() < 5e-5
        assert abs(read(site.text("#total")) - expected[column, row]) < 5e-5
        products = [read(text) for text in site.page.locator(".terms b").all_inner_texts()]
        assert len(products) == 9 and abs(sum(products) - expected[column, row]) < 5e-4


def test_the_example_of_the_course_is_all_zeros(site):
    site.go("en/convolution")
    site.page.get_by_label("Nothing but zeros").check()
    site.page.get_by_role("button", name="Show it in numbers").click()
    assert site.numbers("Output").tolist() == np.zeros((3, 3)).tolist()
    assert (site.numbers("Image") == engine(site.numbers("Image"), [[1]])).all()
    board = np.indices((5, 5)).sum(0) % 2 == 0
    assert (site.numbers("Image") == board).all()


def test_a_wrong_cell_is_met_with_its_arithmetic(site):
    site.go("en/convolution?sheet=3")
    right = engine(site.numbers("Image", 1), site.numbers("Kernel", 1))
    check = site.page.locator(".fill")
    check.get_by_role("button", name="Check").click()
    assert "0 of 4 are right." in check.inner_text()
    wrong = right + np.eye(2)[:, ::-1] * [[1], [0]]
    site.fill("Your answer", wrong, lambda value: f"{value:.1f}")
    check.get_by_role("button", name="Check").click()
    told = check.get_by_role("status").inner_text()
    assert told.startswith("3 of 4 are right. Look at row 1, column 2: you have")
    assert told.count("·") == 9
    site.put("Your answer", 0, 1, str(right[0, 1]).replace(".", ","))
    check.get_by_role("button", name="Check").click()
    assert check.get_by_role("status").inner_text() == "All right."
    assert site.page.locator(".kicker .done").is_visible()


def test_correlation_and_convolution(site):
    site.go("en/correlation")
    for row, column, text in ((0, 1, "2"), (4, 4, "-3"), (2, 2, "0.5")):
        site.put("Image", row, column, text)
    image, kernel = site.numbers("Image"), site.numbers("Kernel")
    assert np.allclose(site.numbers("Output"), engine(image, kernel))
    assert (site.numbers("Kernel on the image") == kernel).all()
    site.page.get_by_label("turned (convolution)").check()
    turned = filters.convolve(image, kernel, padding=0, padding_mode="zeros")
    assert np.allclose(site.numbers("Output"), turned)
    assert (site.numbers("Kernel on the image") == kernel[::-1, ::-1]).all()
    assert "different outputs" in site.text("[role=note]")
    site.page.get_by_role("button", name="an edge and a blur").click()
    assert "Turned by 180°, this kernel is the same" in site.text("[role=note]")


def test_which_is_which_is_judged_by_the_engine(site):
    site.go("en/correlation")
    for number in range(4):
        image, kernel, output = (site.numbers(name, at) for name, at in (("Image", 1), ("Kernel", 1), ("Output", 1)))
        plain, turned = engine(image, kernel), engine(image, kernel[::-1, ::-1])
        same = (plain == turned).all()
        answer = "cannot be told" if same else "correlation" if (output == plain).all() else "convolution"
        site.page.get_by_role("button", name=answer, exact=True).click()
        site.page.get_by_text("Right.").wait_for()
        if number < 3:
            site.page.get_by_role("button", name="Next", exact=True).click()
    assert site.page.locator(".kicker .done").is_visible()


def test_sizes(site):
    site.go("en/sizes")
    for size, kernel, padding, stride in (
        (224, 5, 2, 1),
        (128, 3, 0, 2),
        (9, 3, 1, 2),
        (512, 15, 10, 8),
        (227, 11, 0, 4),
    ):
        for name, value in zip(("size", "kernel", "padding", "stride"), (size, kernel, padding, stride), strict=True):
            label = {"size": "Size of the input", "kernel": "Size of the kernel"}.get(name, name.capitalize())
            site.page.get_by_role("spinbutton", name=label, exact=True).fill(str(value))
        assert int(site.text("#total")) == geometry.output_size(size, kernel, stride, padding)
    site.page.get_by_role("spinbutton", name="Size of the input").fill("4")
    site.page.get_by_role("spinbutton", name="Padding", exact=True).fill("0")
    assert "no window fits" in site.text(".note.warn")


def test_questions_on_sizes_are_those_of_the_errata(site):
    site.go("en/sizes")
    assert "the first one counts too" in ask(site, "Input 224×224, kernel 5×5", "223")
    assert "on both sides" in ask(site, "Input 224×224, kernel 5×5", "222")
    assert ask(site, "Input 224×224, kernel 5×5", "224").startswith("✓")
    assert "round the quotient down" in ask(site, "Input 128×128, kernel 3×3", "63,5")
    assert ask(site, "Input 128×128, kernel 3×3", "63").startswith("✓")
    assert "A number is needed" in ask(site, "Input 32×32, kernel 5×5", "1", "two")
    assert "30, and 32 is wanted" in ask(site, "Input 32×32, kernel 5×5", "1", "1")
    assert ask(site, "Input 32×32, kernel 5×5", "1", "2").startswith("✓")
    assert not site.page.locator(".kicker .done").is_visible()
    assert ask(site, "Input 224×224, kernel 7×7", "2", "3").startswith("✓")
    assert site.page.locator(".kicker .done").is_visible()


def test_pooling(site):
    site.go("en/pooling")
    site.put("Feature map", 1, 2, "-7,5")
    for side, stride in ((2, 2), (3, 1), (2, 3), (6, 6)):
        site.page.get_by_role("spinbutton", name="Size of the window").fill(str(side))
        site.page.get_by_role("spinbutton", name="Stride", exact=True).fill(str(stride))
        x = site.numbers("Feature map")[None, None]
        for label, pool in (("maximum", max_pool2d), ("mean", avg_pool2d)):
            site.page.get_by_label(label, exact=True).first.check()
            expected = pool(x, side, stride=stride)[0, 0]
            assert np.abs(site.numbers("Output") - expected).max() <= 0.005


def test_the_self_check_of_pooling_is_that_of_the_errata(site):
    site.go("en/pooling")
    forms = site.page.locator(".fill")
    site.fill("maximum", np.array([[6, 8], [6, 8]]))
    forms.nth(0).get_by_role("button").click()
    site.fill("mean", np.array([[3.75, 5.25], [3.75, 5.25]]))  # as the document has it
    forms.nth(1).get_by_role("button").click()
    assert "2 of 4 are right" in forms.nth(1).inner_text()
    assert not site.page.locator(".kicker .done").is_visible()
    site.fill("mean", np.array([[3.75, 5.25], [3.5, 5.5]]), lambda value: str(value).replace(".", ","))
    forms.nth(1).get_by_role("button").click()
    assert site.page.locator(".kicker .done").is_visible()


PLACES = (
    "convolution?kernel=0.5,0,-1;2,0,-2;1,1,-1&at=2,1",
    "correlation?kind=convolution&at=1,0",
    "correlation?kernel=-1,0,1;-2,0,2;-1,0,1",
    "sizes?size=128&kernel=3&padding=0&stride=2",
    "pooling?kind=mean&window=3&stride=1&at=1,2",
    "pooling",
)


@pytest.mark.parametrize("place", PLACES)
def test_the_code_on_a_page_prints_what_the_page_shows(site, place, capsys):
    site.go(f"en/{place}")
    code, command = site.text("#python-code"), site.text("#terminal-code")
    out = io.StringIO()
    with redirect_stdout(out):
        exec(compile(code, place, "exec"), {"__name__": "__main__"})
    shown = site.numbers("Output") if not place.startswith("sizes") else np.array(int(site.text("#total")))
    assert np.allclose(np.reshape(figures(re.sub(r"\.(?=[\s\]])", "", out.getvalue())), shown.shape), shown, atol=0.006)
    name, *arguments = shlex.split(command)
    assert name == "svertka"
    app([*arguments, "--language", "en"], standalone_mode=False)
    printed = capsys.readouterr().out
    total = read(site.text("#total"))
    line = next(
        line for line in printed.splitlines() if re.search(r"^(sum|mean|max|\(|\s+= \()", line.strip()) or "= (" in line
    )
    assert total in figures(printed[printed.index(line) :])


def test_the_code_on_channels_and_learning_prints_their_numbers(site):
    site.go("en/channels?filter=10&at=20,30")
    *sums, total = figures(run(site))
    assert total == read(site.text("#total")) and sum(sums) == total
    assert sums == [
        read(text.lstrip("= ")) for text in site.page.locator(".three .operator:not([aria-hidden])").all_inner_texts()
    ]
    site.go("en/learning?kernel=1,0.5;-1,2&rate=0.02")
    loss, *rest = figures(run(site))
    assert loss == pytest.approx(read(site.text("#loss")), abs=5e-5)
    assert np.allclose(np.reshape(rest[:4], (2, 2)), site.numbers("Gradient by kernel"), atol=0.0051)
    site.page.get_by_role("button", name="Take a step").click()
    assert np.allclose(np.reshape(rest[4:], (2, 2)), site.numbers("Kernel"), atol=6e-5)


def test_learning_is_that_of_the_engine(site):
    site.go("en/learning")
    site.put("Image", 2, 2, "-1,5")
    site.put("Wanted output", 0, 0, "3")
    site.put("Kernel", 1, 1, "0.25")
    for _ in range(3):
        image, kernel = site.numbers("Image"), site.numbers("Kernel")
        error = engine(image, kernel) - site.numbers("Wanted output")
        assert read(site.text("#loss")) == pytest.approx((error**2).mean(), abs=1e-3)
        gradient = conv2d_backward((2 * error / 9)[None, None], image[None, None], kernel[None, None]).w[0, 0]
        for row, column in np.ndindex(2, 2):
            site.cell("Kernel", row, column).focus()
            assert read(site.text("#gradient")) == pytest.approx(gradient[row, column], abs=1e-3)
        site.page.get_by_role("button", name="Take a step").click()
        assert np.allclose(site.numbers("Kernel"), kernel - 0.1 * gradient, atol=3e-4)
    site.page.get_by_role("button", name="Start again").click()
    site.page.get_by_label("0.5", exact=True).check()
    for _ in range(20):
        if site.page.get_by_role("alert").count():
            break
        site.page.get_by_role("button", name="10 more steps").click()
    assert "The weights grow without end" in site.text("[role=alert]")
    assert site.page.get_by_role("button", name="Take a step").is_disabled()


def test_a_gradient_by_differences_is_judged(site):
    site.go("ru/learning?sheet=5")
    text = site.text("#gradient-check-question")
    _, high, above, low, below = figures(text)[:5]
    gradient = (above - below) / (high - low)
    form = site.page.locator("form").nth(0)

    def answer(number: float) -> str:
        form.get_by_role("textbox").fill(f"{number:.2f}".replace(".", ","))
        form.get_by_role("button").click()
        return form.get_by_role("status").inner_text()

    assert "0,02, а не 0,01" in answer(2 * gradient)
    assert "Знак" in answer(-gradient)
    assert answer(gradient).startswith("✓")
    weight = figures(text)[0]
    step = site.page.locator("form").nth(1)
    step.get_by_role("textbox").fill(f"{weight - 0.1 * gradient:.2f}")
    step.get_by_role("button").click()
    assert step.get_by_role("status").inner_text().startswith("✓")
    assert site.page.locator(".kicker .done").is_visible()
