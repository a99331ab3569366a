"""``svertka lab conv``, ``pool`` and ``size`` on matrices: every printed cell against torch, in both languages."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from svertka.cli import output
from svertka.cli.lab import boxes, typed_numbers
from svertka.cli.main import main
from svertka.engine import filters, pooling
from svertka.errors import DataError
from svertka.messages import catalogue

BOARD = "1,0,1,0,1;0,1,0,1,0;1,0,1,0,1;0,1,0,1,0;1,0,1,0,1"
EDGE = "1,0,-1;1,0,-1;1,0,-1"
MAP = "1,3,2,4;5,6,7,8;1,2,3,4;5,6,7,8"


@pytest.fixture
def lab(monkeypatch, capsys, tmp_path):
    """Calls a verb of the lab as the command line does; gives exit code, standard output and error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["svertka", "lab", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert all(len(line) <= 80 for line in said.out.splitlines()), said.out
        return ended.value.code or 0, said.out, said.err

    yield call
    output.speak("en")


def read_box(text, title, number=0):
    """Numbers and marked places of the box under a title, read off the screen."""
    lines = text.splitlines()
    top, left = [(n, line.index(title)) for n, line in enumerate(lines) if title in line][number]
    right = lines[top + 1].index("┐", left)
    rows, marked = [], set()
    for line in lines[top + 2 :]:
        if line[left] == "└":
            break
        if line[left] == "├":
            continue
        cells = re.findall(r"(\[?) *([^\s\[\]]+)", line[left + 1 : right].replace("│", ""))
        marked |= {(len(rows), n) for n, (bracket, _) in enumerate(cells) if bracket == "["}
        rows.append([float(cell.replace(",", ".").replace("·", "nan")) for _, cell in cells])
    return np.array(rows), marked


def written(matrix):
    return ";".join(",".join(map(str, row)) for row in matrix.tolist())


def test_the_worked_example_of_the_course_is_all_zeros(lab):
    for flip in ([], ["--flip"]):
        code, said, _ = lab("conv", BOARD, "--kernel", EDGE, "--at", "0,1", *flip)
        assert code == 0
        numbers, marked = read_box(said, "Output, 3 × 3")
        np.testing.assert_array_equal(numbers, np.zeros((3, 3)))
        assert marked == {(0, 1)}
        assert "= (5 + 2·0 - 3) / 1 + 1 = 3" in said
    assert "true convolution" in said


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(3, 3), (2, 2), (1, 4)])
def test_every_cell_of_a_convolution_is_torchs(lab, language, padding, stride, size):
    rng = np.random.default_rng(len(language) + padding + 10 * stride + 100 * size[0])
    image, kernel = rng.integers(-4, 9, (6, 7)), rng.integers(-3, 4, size)
    x, w = (torch.tensor(each[None, None], dtype=torch.float64) for each in (image, kernel))
    wanted = torch.nn.functional.conv2d(x, w, stride=stride, padding=padding)[0, 0].numpy()
    how = ("--stride", stride, "--padding", padding, "--language", language)
    code, said, _ = lab("conv", written(image), "--kernel", written(kernel), *how, "--at", "1,1")
    assert code == 0
    words = catalogue(language)
    numbers, marked = read_box(said, f"{words['lab.label.output']}, ")
    np.testing.assert_array_equal(numbers, wanted)
    assert marked == {(1, 1)}
    given, seen = read_box(said, f"{words['lab.label.input']}, ")
    np.testing.assert_array_equal(given, np.pad(image.astype(float), padding, constant_values=np.nan))
    assert len(seen) == kernel.size and min(seen) == (stride, stride)
    window = np.pad(image, padding)[stride : stride + size[0], stride : stride + size[1]]
    np.testing.assert_array_equal(read_box(said, words["lab.window"])[0], window)
    np.testing.assert_array_equal(read_box(said, words["lab.products"])[0], window * kernel)
    total = re.search(rf"{words['lab.sum']} = (.*?)\n(?:\n|$)", said + "\n\n", re.DOTALL)[1].split("=")
    assert [eval(part.replace("\n", "")) for part in total] == [wanted[1, 1]] * 2


def test_true_convolution_is_scipys(lab):
    signal = pytest.importorskip("scipy.signal")
    rng = np.random.default_rng(1)
    image, kernel = rng.integers(0, 9, (5, 5)), rng.integers(-3, 4, (3, 3))
    _, said, _ = lab("conv", written(image), "--kernel", written(kernel), "--flip")
    np.testing.assert_array_equal(read_box(said, "Output, ")[0], signal.convolve2d(image, kernel, mode="valid"))


def test_same_keeps_the_size_for_even_kernels_too_as_torch_does(lab):
    rng = np.random.default_rng(2)
    image, kernel = rng.integers(0, 9, (5, 6)), rng.integers(-3, 4, (4, 2))
    x, w = (torch.tensor(each[None, None], dtype=torch.float64) for each in (image, kernel))
    below = torch.nn.functional.pad(x, (0, 1, 1, 2))  # torch pads so inside, and warns of the copy
    _, said, _ = lab("conv", written(image), "--kernel", written(kernel), "--padding", "same")
    np.testing.assert_array_equal(read_box(said, "Output, 5 × 6")[0], torch.nn.functional.conv2d(below, w)[0, 0])
    assert "rows:    (5 + 1 + 2 - 4) / 1 + 1 = 5" in said


def test_numbers_with_decimals_stand_under_each_other_and_small_ones_are_no_zeros(lab):
    _, said, _ = lab("conv", "0.5,10,0.00001;-3,0,1/4", "--kernel", "1", "--language", "ru")
    assert "│    0,5     10     1e-5    │" in said
    assert "│   -3        0        0,25 │" in said
    np.testing.assert_array_equal(read_box(said, "Выход, ")[0], [[0.5, 10, 1e-5], [-3, 0, 0.25]])


def test_what_rounding_leaves_of_a_zero_is_a_zero(lab):
    _, said, _ = lab("conv", "0.1,0.2,0.3", "--kernel", "1,1,-1", "--at", "0,0")
    assert read_box(said, "Output, ")[0] == 0
    assert "sum = 0.1 + 0.2 - 0.3 = 0\n" in said


@pytest.mark.parametrize(("kind", "wanted"), [("max", [[6, 8], [6, 8]]), ("mean", [[3.75, 5.25], [3.5, 5.5]])])
@pytest.mark.parametrize("language", ["en", "ru"])
def test_pooling_of_the_course(lab, kind, wanted, language):
    code, said, _ = lab("pool", MAP, "--window", "2", "--stride", "2", "--kind", kind, "--language", language)
    assert code == 0
    numbers, _ = read_box(said, {"en": "Output, 2 × 2", "ru": "Выход, 2 × 2"}[language])
    np.testing.assert_array_equal(numbers, wanted)
    _, winners = read_box(said, {"en": "Input, 4 × 4", "ru": "Вход, 4 × 4"}[language])
    assert winners == ({(1, 1), (1, 3), (3, 1), (3, 3)} if kind == "max" else set())
    assert said.count("\n(") == 4
    if (kind, language) == ("max", "ru"):
        assert "(0, 0)  max(1; 3; 5; 6) = 6: победило число в строке 1, столбце 1" in said


@pytest.mark.parametrize("kind", ["max", "mean"])
@pytest.mark.parametrize(("window", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 0), (2, 3, 1)])
def test_every_cell_of_a_pooling_is_torchs(lab, kind, window, stride, padding):
    image = np.random.default_rng(window).integers(-9, 9, (7, 6))
    pool = torch.nn.functional.max_pool2d if kind == "max" else torch.nn.functional.avg_pool2d
    wanted = pool(torch.tensor(image[None, None], dtype=torch.float64), window, stride, padding)[0, 0]
    how = ("--window", window, "--stride", stride, "--padding", padding, "--kind", kind)
    _, said, _ = lab("pool", written(image), *how, "--at", "1,0")
    numbers, marked = read_box(said, "Output, ")
    np.testing.assert_allclose(numbers, wanted, atol=5e-5)
    assert marked == {(1, 0)}
    assert f"= {numbers[1, 0]:g}" in said.splitlines()[-1]


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2), st.integers(0, 999)
)
@settings(max_examples=60, deadline=None)
def test_the_winner_is_who_gets_the_gradient(rows, columns, window, stride, padding, seed):
    """torch's index of the largest number, ties included; minus infinity is told from numbers."""
    padding = min(padding, window // 2)
    if window > min(rows, columns) + 2 * padding:
        return
    plane = np.random.default_rng(seed).integers(-2, 3, (rows, columns)).astype(float)
    x = torch.tensor(plane[None, None])
    y, at = torch.nn.functional.max_pool2d(x, window, stride, padding, return_indices=True)
    for p in range(y.shape[2]):
        for q in range(y.shape[3]):
            found = pooling.explain(plane, window, (p, q), stride=stride, padding=padding)
            assert found.winner == divmod(int(at[0, 0, p, q]), columns)
            assert found.value == y[0, 0, p, q] == plane[found.winner]
            assert found.ties == np.count_nonzero(found.window == found.value)


def test_the_first_homework(lab):
    for asked, wanted, formula in (
        (("224", "--kernel", "5", "--padding", "2", "--stride", "1"), "224 × 224", "= (224 + 2·2 - 5) / 1 + 1 = 224"),
        (("128", "--kernel", "3", "--stride", "2"), "63 × 63", "= (128 + 2·0 - 3) / 2 + 1 = 63.5 → 63"),
    ):
        _, said, _ = lab("size", *asked)
        assert f"Output   {wanted}\n" in said
        assert formula in said


def test_the_hint_tells_a_padding_that_works(lab):
    for kernel, stride, dilation in (("3", "1", "1"), ("5x3", "1", "2"), ("7", "2", "1"), ("3", "3", "1")):
        setting = ("--kernel", kernel, "--stride", stride, "--dilation", dilation)
        _, said, _ = lab("size", "50x31", *setting, "--padding", "9")
        padding, promised = re.search(
            r"--padding (\S+) (?:gives|keeps the size of the input,)\s+(\d+ × \d+)", said
        ).groups()
        _, said, _ = lab("size", "50x31", *setting, "--padding", padding)
        assert f"Output   {promised}\n" in said
        assert promised == f"{-(-50 // int(stride))} × {-(-31 // int(stride))}"
        assert "Hint" not in said


@pytest.mark.parametrize(
    "layers",
    [
        ("conv 7 2 3", "pool 3 2 1", "conv 3x5 1 1x2"),
        ("conv k7 s2 p3", "max-pool w3 s2 p1", "conv kernel=3x5 p=1x2"),
        ("conv", "7", "2", "3", "pool", "3", "2", "1", "conv", "3x5", "same"),
        ("nn.Conv2d(3, 64, 7, stride=2, padding=3)", "MaxPool2d(kernel_size=3, stride=2, padding=1)",
         "Conv2d(64, 64, kernel_size=(3, 5), padding=(1, 2))"),
        ("свёртка 7 2 3", "пулинг 3 2 1", "свертка 3х5 1 1х2"),
    ],
)  # fmt: skip
def test_layers_one_after_the_other_however_they_are_written(lab, layers):
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 1, 7, 2, 3), torch.nn.MaxPool2d(3, 2, 1), torch.nn.Conv2d(1, 1, (3, 5), 1, (1, 2))
    )
    code, said, _ = lab("size", "224x100", *layers)
    assert code == 0
    x = torch.zeros(1, 1, 224, 100)
    for number, layer in enumerate(net, 1):
        x = layer(x)
        assert re.search(rf"^{number}  .* {x.shape[2]} × {x.shape[3]} +sees ", said, re.MULTILINE), said
    assert "sees 19 × 27" in said


def test_a_pooling_of_a_chain_steps_by_its_window_and_a_convolution_by_one(lab):
    _, said, _ = lab("size", "28", "conv 5", "pool 2")
    assert "24 × 24" in said and "12 × 12" in said


@pytest.mark.parametrize(
    "text",
    [
        "1,0.5;-2,0.25", "1, 0.5; -2, 0.25", "1 0.5; -2 0.25", "1 0,5; -2 0,25", "1\t0,5\n-2\t0,25", "1;0,5\n-2;0,25\n",
        "1,0.5\r\n-2,0.25\r\n\r\n",
        "[[1, 0.5], [-2, 0.25]]", "[[1 0.5]\n [-2 0.25]]", "[1 0.5; -2 1/4]", "1,1/2;\n-2,1/4;",
        "1 5e-1;-2 .25", "\ufeff1,0.5\n\u22122,0.25", "1 0,5;-2 0,25",
    ],
)  # fmt: skip
def test_a_matrix_however_it_is_written(text):
    np.testing.assert_array_equal(typed_numbers.parse(text, "it", 9), [[1, 0.5], [-2, 0.25]])


@given(st.lists(st.lists(st.integers(-99, 99), min_size=3, max_size=3), min_size=1, max_size=4))
def test_what_is_printed_can_be_read(rows):
    cells = boxes.cells_of(np.array(rows) / 4)
    np.testing.assert_array_equal(
        typed_numbers.parse("\n".join(" ".join(row) for row in cells), "it", 9), np.array(rows) / 4
    )


def test_commas_that_could_be_either_are_refused():
    for text in ("1, 0,5; 2, 3", "0,5, 0,25", "1, 2 3; 4, 5 6"):
        with pytest.raises(DataError, match="nobody can tell which commas are decimal signs"):
            typed_numbers.parse(text, "it", 9)
    np.testing.assert_array_equal(typed_numbers.parse("1,0,1, 0", "it", 9), [[1, 0, 1, 0]])  # no number has two commas


def test_a_matrix_may_begin_with_a_minus_and_lie_in_a_file(lab, tmp_path):
    (tmp_path / "m.csv").write_text("# a comment\n-1;0,5\n2;3\n", encoding="utf-8-sig")
    (tmp_path / "excel.txt").write_text("-1\t0,5\n2\t3\n", encoding="utf-16")
    for source in ("-1,0.5;2,3", "-1 0,5;2 3", "m.csv", "excel.txt"):
        code, said, _ = lab("conv", source, "--kernel", "-1")
        assert code == 0
        np.testing.assert_array_equal(read_box(said, "Output, 2 × 2")[0], [[1, -0.5], [-2, -3]])


def test_a_file_is_a_kernel_and_a_name_of_the_bank_is_no_file(lab, tmp_path):
    (tmp_path / "own.csv").write_text("0,1\n1,0\n")
    (tmp_path / "blur").write_text("7")
    _, said, _ = lab("conv", "1,2;3,4", "--kernel", "own.csv")
    assert read_box(said, "Output, ")[0] == 5
    _, said, _ = lab("conv", "9,9,9;9,9,9;9,9,9", "--filter", "blur")
    assert read_box(said, "Output, ")[0] == 9
    _, said, _ = lab("conv", "1", "--kernel", "./blur")
    assert read_box(said, "Output, ")[0] == 7


def test_a_small_photograph_is_printed_colour_by_colour_and_a_large_one_is_not(lab, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "small.png")
    Image.fromarray(pixels.repeat(30, axis=0).repeat(30, axis=1)).save(tmp_path / "large.png")
    _, said, _ = lab("conv", "small.png", "--kernel", EDGE)
    for n, letter in enumerate("RGB"):
        np.testing.assert_array_equal(read_box(said, f"Input ({letter})")[0], pixels[:, :, n])
        wanted = filters.correlate(pixels[:, :, n].astype(float), np.array([[1, 0, -1]] * 3), padding="valid")
        np.testing.assert_allclose(read_box(said, f"Output ({letter})")[0], wanted, atol=1e-3)
    _, said, _ = lab("conv", "large.png", "--kernel", EDGE, "--out", "drawn.png")
    assert "Kernel, 3 × 3" in said and "Input (R)" not in said and "--at ROW,COL" in said
    assert (tmp_path / "drawn.png").stat().st_size > 2000
    code, said, _ = lab("pool", "large.png", "--kind", "mean", "--window", "30", "--at", "1,2", "--out", "p.png")
    assert code == 0
    np.testing.assert_allclose(read_box(said, "Output (B)")[0], pixels[:, :, 2], atol=1e-3)
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.width > 800


def test_narrow_terminals_get_their_boxes_one_below_the_other(lab, monkeypatch):
    monkeypatch.setenv("COLUMNS", "44")
    _, said, _ = lab("conv", BOARD, "--kernel", EDGE)
    assert max(map(len, said.splitlines())) <= 44
    np.testing.assert_array_equal(read_box(said, "Output, ")[0], np.zeros((3, 3)))


BAD = [
    (("conv", ""), "no matrix and no image", "нет ни матрицы, ни изображения"),
    (("conv", "1,2;3"), "row 1 has 2 numbers, row 2 has 1", "в строке 1 чисел 2, а в строке 2 — 1"),
    (("conv", "1,nan;3,4"), "nan in row 1, column 2; expected a finite", "стоит nan; ожидалось конечное число"),
    (("conv", "1,-inf;3,4"), "expected a finite number", "ожидалось конечное число"),
    (("conv", "1,1e99;3,4"), "expected numbers up to 1e9", "не больше 1e9 по модулю"),
    (("conv", "1,1/0;3,4"), "expected numbers up to 1e9", "не больше 1e9 по модулю"),
    (("conv", "1,two;3,4"), 'has "two" in row 1, column 2', "столбце 2 стоит «two»; ожидалось число"),
    (("conv", "1,;3,4"), "has nothing in row 1, column 2", "в строке 1, столбце 2 пусто"),
    (("conv", "1, 0,5; 2, 3"), "which commas are decimal signs", "неясно, где десятичные запятые"),
    (("conv", "no.png"), "no.png does not exist; expected an image", "no.png: такого файла нет"),
    (("conv", "no.csv"), "no.csv does not exist; expected a file of numbers", "no.csv: такого файла нет"),
    (("conv", "text.png"), "cannot be used as an image: not an image", "нельзя (это не изображение)"),
    (("conv", "empty.csv"), "empty.csv holds no numbers", "empty.csv: нет чисел"),
    (("conv", "wide.csv"), "wide.csv is 1 × 5000; expected at most 1024", "размер 1 × 5000"),
    (("conv", MAP, "--kernel", ""), "kernel holds no numbers", "ядро: нет чисел"),
    (("conv", MAP, "--kernel", " ; ;"), "kernel holds no numbers", "ядро: нет чисел"),
    (("conv", MAP, "--kernel", "1,2;3"), "kernel: row 1 has 2", "ядро: в строке 1"),
    (("conv", MAP, "--kernel", "sobl_x"), "Did you mean sobel_x", "Возможно, имелось в виду sobel_x"),
    (("conv", MAP, "--kernel", "wide.csv"), "expected at most 101", "ожидалось не больше 101"),
    (("conv", MAP, "--kernel", "1,1,1,1,1"), "covers 5 columns, but", "охватывает 5, а у входа с заполнением только 4"),
    (("conv", MAP, "--stride", "0"), "--stride is 0; expected 1 to", "--stride: получено 0; ожидалось от 1"),
    (("conv", MAP, "--stride", "soon"), "--stride is soon; expected a whole", "--stride: получено soon"),
    (("conv", MAP, "--padding", "-1"), "--padding is -1; expected 0 to", "--padding: получено -1"),
    (("conv", MAP, "--padding", "some"), "expected a number of pixels, same or valid", "ожидалось число пикселей"),
    (("conv", MAP, "--at", "5"), "--at is 5; expected ROW,COL", "--at: получено 5; ожидались СТРОКА,СТОЛБЕЦ"),
    (("conv", MAP, "--at", "9,0"), "no output 9,0; expected rows 0 to 1", "на выходе нет места 9,0"),
    (("conv", MAP, "--out", "y.jpg"), "expected one that ends in .png", "оканчивается на .png"),
    (("conv", MAP, "--out", "no/y.png"), "no does not exist; expected a folder", "no: такой папки нет"),
    (("conv", MAP, "--out", "text.png"), "isn't an earlier result", "не прежний результат"),
    (("conv",), "Missing: MATRIX|IMAGE", "Не указано: MATRIX|IMAGE"),
    (("conv", MAP, "--strid", "2"), "No such option: --strid. Did you mean --stride", "Нет такого параметра: --strid"),
    (("conv", MAP, "1"), "Got more than was expected: 1", "Лишнее: 1"),
    (("pool", MAP, "--kind", "median"), "expected max or mean", "ожидалось max (максимум) или mean"),
    (("pool", MAP, "--window", "0"), "--window is 0; expected 1", "--window: получено 0"),
    (("pool", MAP, "--window", "5"), "covers 5 rows, but the input", "окно охватывает 5"),
    (("pool", MAP, "--padding", "2"), "at most half of the window", "не больше половины окна"),
    (("pool", MAP, "--padding", "same"), "on one side only", "только с одной стороны"),
    (("size", "224"), "nothing says what moves", "не сказано, что движется"),
    (("size", "224", "conv 3", "--kernel", "3"), "two ways to say it", "два разных способа"),
    (("size", "224", "conv 3", "--padding", "3"), "two ways to say it", "два разных способа"),
    (("size", "big", "--kernel", "3"), "size is big; expected a whole", "размер входа: получено big"),
    (("size", "224x224x3", "--kernel", "3"), "expected a whole number, or two", "ожидалось целое число или два"),
    (("size", "224", "dense 3"), "begins with dense; expected conv or pool", "слой начинается с dense"),
    (("size", "224", "conv 3 pad=x"), "cannot be read", "непонятно x"),
    (("size", "224", "conv 3 k5"), "k5 in the layer", "непонятно k5"),
    (("size", "224", "conv stride 2"), "or no kernel", "или нет ядра"),
    (("size", "224", "pool 2 2 2"), "at most half of the window", "не больше половины окна"),
    (("size", "8", "conv 5", "conv 5"), "layer 2 (convolution 5 × 5", "слой 2 (свёртка 5 × 5"),
    (("filters", "text.png"), "not an image", "не изображение"),
    (("filters", "no.png"), "no.png does not exist; expected an image file.", "ожидался файл изображения."),
    (("filters", "small.png", "--kernel", "no.csv"), "no.csv does not exist", "no.csv: такого файла нет"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "english", "russian"), BAD)
def test_a_mistake_is_one_line_in_the_language_that_is_asked_for(lab, tmp_path, arguments, english, russian):
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.csv").write_text("\n\n")
    (tmp_path / "wide.csv").write_text(",".join(["1"] * 5000))
    Image.new("L", (5, 5)).save(tmp_path / "small.png")
    before = sorted(tmp_path.iterdir())
    for language, said in (([], english), (["--language", "ru"], russian)):
        code, printed, error = lab(*arguments, *language)
        assert code == 2 and printed == ""
        assert error.count("\n") == 1
        assert said in error, error
    assert not re.search(r"\b(expected|is|the|kernel|matrix)\b", error.replace("--kernel", "")), error
    assert sorted(tmp_path.iterdir()) == before


def test_own_kernels_stand_beside_those_of_the_bank(lab, tmp_path, monkeypatch):
    from importlib import import_module

    verb = import_module("svertka.cli.lab.filters")
    heard = []
    monkeypatch.setattr(verb, "sheet", lambda *told, **_: heard.append(told) or Image.new("RGB", (9, 9)))
    Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30).astype(np.uint8)).save(tmp_path / "photo.png")
    (tmp_path / "mine.csv").write_text("1,0\n0,-1\n")
    code, said, _ = lab("filters", "photo.png", "--kernel", "mine.csv", "--kernel", "1/2 1/2", "--language", "ru")
    assert code == 0 and "за краем изображения нули" in said
    ((title, subtitle, sections),) = heard
    assert title == f"{len(filters.bank()) + 2} ядра: photo.png" and "за краем нули" in subtitle
    assert list(sections) == ["Свои ядра", "Готовые ядра"]
    captions = [(tile.caption, tile.note) for tile in sections["Свои ядра"]]
    assert captions == [
        ("1. mine (2 × 2)", "Сумма чисел ядра: 0"),
        ("2. своё ядро (1 × 2, разделимое)", "Сумма чисел ядра: 1"),
    ]
    assert len(sections["Готовые ядра"]) == len(filters.bank())


def test_the_gallery_has_zeros_beyond_the_border_like_the_other_verbs(tmp_path):
    """A white picture: an edge filter answers along the border, and nowhere else."""
    from importlib import import_module

    verb = import_module("svertka.cli.lab.filters")
    tile = verb._tile(np.full((70, 80), 255, np.float32), typed_numbers.read_kernel("prewitt_x"))
    red, blue = tile.pixels[:, :, 0].astype(int), tile.pixels[:, :, 2].astype(int)
    assert (red[5:-30, 0] > blue[5:-30, 0] + 50).all()
    assert (abs(red - blue)[5:-40, 2:-30] < 5).all()


@pytest.mark.parametrize("language", ["en", "ru"])
def test_each_kernel_of_the_bank_has_its_words(language):
    told = {key.removeprefix("lab.filter.") for key in catalogue(language) if key.startswith("lab.filter.")}
    assert told == filters.bank().keys()


def test_pictures_can_be_lettered_in_both_languages():
    from svertka.viz.fonts.lettering import lettering

    font, missing = lettering(20), bytes(lettering(20).getmask("\uffff"))
    for language in ("en", "ru"):
        letters = {
            c
            for entry in catalogue(language).values()
            for text in ([entry] if isinstance(entry, str) else entry.values())
            for c in text
        }
        lab_letters = {c for c in letters if c.isalpha() or c in "×·−–—«»„“”→…°≈"}
        assert [c for c in lab_letters if bytes(font.getmask(c)) == missing] == []


def test_the_guide_prints_what_is_printed(lab):
    guide = (Path(__file__).parents[2] / "docs/laboratory.md").read_text("utf-8").partition("## By hand")[2]
    shown = re.findall(r"^\$ svertka lab (.*)\n((?:(?!\$|```).*\n)+)", guide, re.MULTILINE)
    assert len(shown) == 4
    for arguments, text in shown:
        assert lab(*shlex.split(arguments)) == (0, text, "")


def test_a_kernel_that_makes_a_photograph_brighter_says_so(lab, tmp_path):
    Image.new("L", (60, 50), 100).save(tmp_path / "photo.png")
    _, said, _ = lab("conv", "photo.png", "--kernel", "1,1;1,1")
    assert "its numbers add up to 4: divided by 4 it would keep the brightness" in said
    assert "Too large to print" in said
    _, said, _ = lab("conv", "photo.png", "--kernel", "1/4 1/4;1/4 1/4")
    assert "add up" not in said


def test_a_file_that_the_system_refuses_is_one_line_in_russian_too(lab):
    code, _, said = lab("conv", "a" * 5000, "--language", "ru")
    assert code == 2 and "использовать нельзя" in said and said.count("\n") == 1
