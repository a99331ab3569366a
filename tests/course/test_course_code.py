"""Tasks that are code: passed by a right solution, refused by wrong ones with the smallest case that shows it."""

from pathlib import Path

import numpy as np
import pytest
import right_code as answers
from PIL import Image

from svertka.course import array_tasks, counterexample
from svertka.course.checker import check
from svertka.course.number_tasks import RESNET18, SIZES, resnet18_layers
from svertka.course.task_list import BY_NAME, find_task
from svertka.course.wording import verdict_lines
from svertka.messages.translator import Translator

TABLE = "layer,parameters\n" + "".join(f"{each.name},{each.parameters}\n" for each in resnet18_layers())
TABLE += "total,11 689 512\n"
RIGHT = {
    "convolution2d": answers.CONVOLUTION2D,
    "filters": answers.FILTERS,
    "sizes": answers.SIZES,
    "max-pooling": answers.MAX_POOLING,
    "five-filters": answers.FIVE_FILTERS,
    "vgg-block": answers.VGG_BLOCK,
    "resnet18-parameters": TABLE,
    "numpy-cnn": answers.NUMPY_CNN,
}
WRONG = {
    "convolution2d": [
        ("    K, L = kernel.shape", "    kernel = kernel[::-1, ::-1]\n    K, L = kernel.shape", "values"),
        ("image = np.pad(image, padding)", "image = np.pad(image, padding, mode='edge')", "values"),
        ("(image.shape[0] - K) // stride + 1", "(image.shape[0] - K + 1) // stride", "shape"),
        ("output = np.zeros((P, Q))", "output = np.zeros((P, Q), dtype=int)", "rounded"),
        ("image = np.pad(image, padding)", "image[:] = image + 1; image = np.pad(image - 1, padding)", "changed"),
        ("K, L = kernel.shape", "K, L = kernel.shape[0], kernel.shape[0]", "shape"),
        ("return output", "return output + np.where(output > 3, np.nan, 0)", "not_finite"),
        ("return output", "return 'ready'", "no_array"),
    ],
    "filters": [
        ("[1, 0, -1]", "[-1, 0, 1]", "kernel"),
        ("np.ones((3, 3)) / 9", "np.ones((3, 3)) // 9", "kernel"),
        ("np.ones((3, 3)) / 9", "np.ones((5, 5)) / 25", "kernel_size"),
        ('"sharpen": ', '"sharp": ', "no_filter"),
        ("[0, -1, 0], [-1, 5", "[0, -1, 0], [-1, 4", "kernel"),
    ],
    "sizes": [
        ("224 × 224", "220", "size_too_small"),
        ("63", "64", "size_too_large"),
        ("63", "62.5", "size_not_whole"),
        ("second = 63", "", "sheet_field"),
    ],
    "max-pooling": [
        (", constant_values=-np.inf", "", "values"),
        ("stride = stride or size", "stride = size", "shape"),
        (".max()", ".mean()", "not_finite"),
        ("stride = stride or size", "image.sort()\n    stride = stride or size", "changed"),
    ],
    "five-filters": [
        ('"line": np.array([[-1, 2, -1]]),', "", "few_filters"),
        ("np.array([[-1, 2, -1]])", "np.ones((2, 2))", "same_kernels"),
        ("np.array([[-1, 2, -1]])", "np.zeros((2, 2))", "zero_kernel"),
        ("windows * kernel)", "windows * kernel[::-1, ::-1])", "result"),
        ('"photo.png"', '"absent.png"', "image_unreadable"),
        ('"photo.png"', '"even.png"', "image_even"),
    ],
    "vgg-block": [
        ("MaxPool2d(2)", "AvgPool2d(2)", "block_numbers"),
        (", nn.ReLU(inplace=True)", "", "block_numbers"),
        ("padding=1", "padding=1, bias=False", "block_parameters"),
        ("    return", "    layers[0].requires_grad_(False)\n    return", "block_gradient"),
        (", nn.MaxPool2d(2)", "", "block_shape"),
    ],
    "resnet18-parameters": [
        ("conv1,9408", "conv1,9472", "layer_convolution"),
        ("bn1,128", "bn1,256", "layer_batch_norm"),
        ("fc,513000", "fc,512000", "layer_linear"),
        ("11 689 512", "11 699 112", "total"),
        ("fc,513000\n", "", "layer_missing"),
        ("fc,513000", "classifier,513000", "no_layer"),
    ],
    "numpy-cnn": [
        ("back /= len(labels)", "pass", "gradient"),
        (" * (maps > 0)", "", "gradient"),
        ('axis=3) / 4', 'axis=3)', "gradient"),
        ('"shifts": d_maps.sum(axis=(0, 2, 3)),', "", "no_gradient"),
        ("range(12)", "range(0)", "accuracy"),
        ("(8, 1, 3, 3)", "(8, 9)).reshape(8, 1, 3, 3)[:, 0", "load"),
    ],
}  # fmt: skip
CASES = [(task, *wrong) for task, all_wrong in WRONG.items() for wrong in all_wrong]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("solutions")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (70, 90, 3), dtype=np.uint8)).save(place / "photo.png")
    Image.new("RGB", (20, 20), "gray").save(place / "even.png")
    return place


def judged(folder, name, text):
    task = find_task(name)
    (folder / task.file).write_text(text, "utf-8")
    return check(task, folder / task.file)


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_solution_passes(folder, name):
    verdict = judged(folder, name, RIGHT[name])
    assert [finding.code for finding in verdict.findings if not finding.right] == []
    assert verdict.passed


@pytest.mark.parametrize(("name", "before", "after", "code"), CASES)
def test_a_wrong_solution_is_refused_and_told_why(folder, name, before, after, code):
    assert before in RIGHT[name]
    verdict = judged(folder, name, RIGHT[name].replace(before, after))
    assert not verdict.passed
    assert next(finding.code for finding in verdict.findings if not finding.right) == code
    for language in ("en", "ru"):
        lines = list(verdict_lines(verdict, Translator(language)))
        assert max(map(len, lines)) <= 80
        assert sum(line.startswith("  ✗ ") for line in lines) >= 1


@pytest.mark.parametrize("name", WRONG)
def test_there_are_three_wrong_solutions_of_each(name):
    assert len(WRONG[name]) >= 3


def counterexample_of(folder, name, before, after):
    verdict = judged(folder, name, RIGHT[name].replace(before, after))
    (bad,) = [finding for finding in verdict.findings if not finding.right]
    return {part.label: part.value for part in bad.example}


def test_the_counterexample_of_a_flipped_kernel_is_as_small_as_can_be(folder):
    shown = counterexample_of(folder, "convolution2d", *WRONG["convolution2d"][0][:2])
    kernel, image = np.array(shown["kernel"]), np.array(shown["image"])
    assert (kernel.size, image.size) == (2, 1)  # a kernel of one number has no direction; padding gives the other pixel
    assert np.abs(kernel).sum() == 1
    assert np.abs(np.array(shown["expected"]) - np.array(shown["got"])).max() == 1


def test_the_counterexample_of_padding_that_wins_is_one_negative_number(folder):
    shown = counterexample_of(folder, "max-pooling", *WRONG["max-pooling"][0][:2])
    assert shown["padding"] == 1
    assert shown["image"] == ((-1.0,),)


def test_the_counterexample_of_a_size_is_a_window(folder):
    shown = counterexample_of(folder, "sizes", "63", "64")
    assert shown == {"window": 64, "covers": "126 … 128", "last_column": 127}


def test_a_wrong_kernel_is_met_with_an_image_of_one_pixel(folder):
    shown = counterexample_of(folder, "filters", "[0, -1, 0], [-1, 5", "[0, -1, 0], [-1, 4")
    assert shown["image"] == ((0, 0, 0), (0, 1, 0), (0, 0, 0))
    assert (shown["expected"], shown["got"]) == (((5.0,),), ((4.0,),))


def test_layers_of_resnet18_are_those_of_the_registry():
    torch = pytest.importorskip("torch")
    from svertka.architectures import ARCHITECTURES, build

    with torch.device("meta"):
        network = build("resnet18")
    own = {}
    for name, parameter in network.named_parameters():
        layer = name.rpartition(".")[0]
        own[layer] = own.get(layer, 0) + parameter.numel()
    assert {each.name: each.parameters for each in resnet18_layers()} == own
    assert sum(own.values()) == RESNET18 == ARCHITECTURES["resnet18"].parameters == 11_689_512


def test_sizes_are_those_of_the_errata():
    from svertka.engine.geometry import output_size

    assert [output_size(each.size, each.kernel, each.stride, each.padding) for each in SIZES] == [224, 63]


def test_cases_hold_what_the_errata_correct():
    (example,) = [case for case in array_tasks.convolution_cases() if case["image"].shape == (5, 5) == (5, 5)][:1]
    assert not array_tasks.convolved(example).any()
    (pooling,) = array_tasks.pooling_cases()[:1]
    assert array_tasks.pooled(pooling).tolist() == [[6, 8], [6, 8]]


def test_cases_are_sixty_and_of_every_kind():
    convolutions, poolings = array_tasks.convolution_cases(), array_tasks.pooling_cases()
    assert len(convolutions) == len(poolings) == array_tasks.CASES + 1 == 61
    assert {case.get("stride") for case in convolutions} >= {None, 1, 2, 3}
    assert {case.get("padding") for case in convolutions} >= {None, 0, 1, 2}
    assert any(side % 2 for case in convolutions for side in case["image"].shape)
    assert sum((case["image"] < 0).all() for case in poolings) >= 15
    assert {case["kernel"].dtype.kind for case in convolutions} == {"i", "f"}


def test_what_shrinks_fails_in_the_same_way(folder):
    (folder / "odd.py").write_text(
        "import numpy as np\ndef f(image):\n    return image if image.shape[0] < 3 else image * 2\n"
    )
    from svertka.course.sandbox import Student

    cases = [{"image": np.arange(1, 31).reshape(5, 6)}]
    with Student(folder / "odd.py") as student:
        student.load()
        found = counterexample.compared(student, "f", lambda case: np.asarray(case["image"], float), cases)
    (image, *_) = found.example
    assert found.code == "values"
    assert np.array(image.value).shape == (3, 1)
    assert np.array(image.value).sum() == 1  # one entry is 1, the others 0


def test_a_file_without_the_function_and_one_that_is_no_python(folder):
    missing = judged(folder, "convolution2d", "x = 1\n")
    assert [finding.code for finding in missing.findings] == ["missing"]
    broken = judged(folder, "convolution2d", "def convolution2d(:\n")
    assert [(finding.code, finding.values["line"]) for finding in broken.findings] == [("load", 1)]
    begun = judged(folder, "convolution2d", "def convolution2d(image, kernel):\n    raise NotImplementedError\n")
    assert begun.findings[-1].values["kind"] == "NotImplementedError"
    assert begun.findings[-1].values["line"] == 2


def test_the_guide_shows_what_is_printed(folder):
    guide = (Path(__file__).parents[2] / "docs/course.md").read_text("utf-8")
    verdict = judged(folder, "convolution2d", RIGHT["convolution2d"].replace(*WRONG["convolution2d"][0][:2]))
    printed = "\n".join(verdict_lines(verdict, Translator("en"))).rstrip()
    assert printed.replace("\u202f", " ") in guide
    assert all(f"`{name}`" in guide for name in BY_NAME)
