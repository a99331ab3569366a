"""Submissions that fit the sample, or an error that says what doesn't."""

import csv
import shutil

import pytest
from PIL import Image

from svertka.cli.submission import submit
from svertka.errors import ConfigError, DataError, NotFoundError

COLOURS = {"red": (220, 10, 20), "green": (10, 220, 20), "blue": (20, 10, 220)}


@pytest.fixture
def bundle(tiny_bundle):
    """Classes blue, green and red."""
    return str(tiny_bundle.directory)


@pytest.fixture
def two_classes(write_tiny_bundle, mean_colour_graph, tmp_path):
    """Makes a bundle of two classes: how red an image is against how green."""
    import numpy as np

    from svertka.bundle.classifier_graph import attach_head
    from svertka.features.linear_head import LinearHead

    def write(*names):
        weight_KD = np.array([[0, 4, 0], [4, 0, 0]], np.float32)
        zeros = np.zeros(3, np.float32)
        head = LinearHead(zeros, zeros + 1, weight_KD, np.zeros(2, np.float32))
        images = np.zeros((2, 32, 32, 3), np.uint8)
        images[0, ..., 0] = images[1, ..., 1] = 255
        e = np.exp([[0.0, 4.0], [4.0, 0.0]])
        return str(
            write_tiny_bundle(
                tmp_path / "two",
                graph=attach_head(mean_colour_graph, head),
                class_names=names,
                check_images_NSSC=images,
                reference_NK=e / e.sum(1, keepdims=True),
                temperature=1.0,
            ).directory
        )

    return write


@pytest.fixture
def contest(tmp_path):
    """A competition's folder whose test images are 7 (red), 8 (green) and 10 (blue)."""
    for folder, names in (("test", ("7", "8", "10")), ("train", ("7", "1"))):
        (tmp_path / folder).mkdir()
        for name, colour in zip(names, COLOURS.values(), strict=False):
            Image.new("RGB", (40, 40), colour).save(tmp_path / folder / f"{name}.png")
    return tmp_path


def sample(folder, text):
    path = folder / "sample_submission.csv"
    path.write_text(text)
    return str(path)


def written(path):
    return [",".join(row) for row in csv.reader(path.read_text("utf-8").splitlines())]


def run(bundle, contest, text, images="test", **options):
    out = contest / "submission.csv"
    assert submit(bundle, [str(contest / images)], sample(contest, text), str(out), threads=1, **options) == 0
    return written(out)


def test_labels_in_the_order_of_the_sample(bundle, contest, capsys):
    assert run(bundle, contest, "Id,Category\n10,red\n7,red\n8,red\n") == ["Id,Category", "10,blue", "7,red", "8,green"]
    said = capsys.readouterr().err
    assert said == f"3 rows written to {contest / 'submission.csv'}: column 'Category' holds the labels.\n"


@pytest.mark.parametrize("suffix", ["", ".png"])
def test_ids_come_with_or_without_extension(bundle, contest, suffix):
    rows = run(bundle, contest, f"id,label\n7{suffix},\n8{suffix},\n")
    assert rows == ["id,label", f"7{suffix},red", f"8{suffix},green"]


def test_one_column_a_class_in_any_order(bundle, contest):
    header, *rows = run(bundle, contest, "id,Red,blue,green\n8,0.3,0.3,0.3\n10,0.3,0.3,0.3\n")
    assert header == "id,Red,blue,green"
    figures = [[float(cell) for cell in row.split(",")] for row in rows]
    assert [row[0] for row in figures] == [8, 10]
    assert [max(range(3), key=row[1:].__getitem__) for row in figures] == [2, 1]
    assert [sum(row[1:]) for row in figures] == pytest.approx([1, 1], abs=1e-5)


def test_the_id_column_need_not_be_the_first(bundle, contest):
    assert run(bundle, contest, "label,file\nred,test/8.png\n") == ["label,file", "green,test/8.png"]


@pytest.mark.parametrize(
    ("classes", "column"), [(("0", "1"), "target"), (("no", "yes"), "sick"), (("green", "has_red"), "has_red")]
)
def test_one_probability_is_of_the_positive_class(two_classes, contest, classes, column):
    header, seven, eight = run(two_classes(*classes), contest, f"id,{column}\n7,0.5\n8,0.5\n")
    assert header == f"id,{column}"
    assert float(seven.split(",")[1]) > 0.9
    assert float(eight.split(",")[1]) < 0.1


def test_whole_numbers_that_are_classes_are_labels_unless_told_otherwise(two_classes, contest, capsys):
    two = two_classes("0", "1")
    assert run(two, contest, "id,label\n7,0\n8,0\n") == ["id,label", "7,1", "8,0"]
    assert "column 'label' holds the labels (for a probability: --wanted 1)" in capsys.readouterr().err
    _, seven, eight = run(two, contest, "id,label\n7,0\n8,0\n", wanted="1")
    assert float(seven.split(",")[1]) > 0.9 > 0.1 > float(eight.split(",")[1])


def test_only_images_that_are_asked_for_are_read_and_test_folders_come_first(bundle, contest):
    (contest / "train" / "1.png").write_bytes(b"broken")
    shutil.copy(contest / "train" / "7.png", contest / "train" / "77.png")
    assert run(bundle, contest, "id,label\n7,red\n", images=".") == ["id,label", "7,red"]


def test_the_competitions_own_table_may_name_the_images(bundle, contest):
    (contest / "test.csv").write_text("id,width\n7,40\n8,40\n")
    assert run(bundle, contest, "id,label\n8,red\n7,red\n", images="test.csv") == ["id,label", "8,green", "7,red"]


# --- what doesn't fit ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            "id,label\n7,red\n8,red\nx1,red\nx2,red\n",
            DataError,
            r"2 of 4 ids of sample_submission\.csv have no image among the 3 that were named: x1, x2\. Name the folder",
        ),
        (
            "id,red,blue,gren\n7,0,0,0\n",
            ConfigError,
            r"columns that are no class of the model: gren; classes of the model without a column: green\. Did you "
            r"mean green\?",
        ),
        ("id,red,blue\n7,0,0\n", ConfigError, "classes of the model without a column: green"),
        (
            "id,label\n7,rad\n",
            ConfigError,
            r"has 'rad' in the column 'label'; .* blue, green, red\. Did you mean red\?",
        ),
        ("id,label\n7,0.5\n", ConfigError, r"one probability .* but not plainly of which class; .* --wanted CLASS"),
        ("id\n7\n", DataError, "has 1 columns and 1 rows; expected a column of ids, at least one to fill"),
        ("id,label\n", DataError, "has 2 columns and 0 rows"),
        ("id,label\n7,red\n8\n", DataError, r"row 3: expected 2 cells as in the header"),
        ("\nid,label\n7,red\n\n8\n", DataError, r"row 5: expected 2 cells as in the header"),
    ],
)
def test_what_does_not_fit_is_said(bundle, contest, text, error, message):
    with pytest.raises(error, match=message):
        run(bundle, contest, text)
    assert not (contest / "submission.csv").exists()


def test_many_missing_ids_are_counted(bundle, contest):
    text = "id,label\n" + "".join(f"x{number},red\n" for number in range(9))
    with pytest.raises(DataError, match=r"9 of 9 ids .*: x0, x1, x2, x3, x4 and 4 more"):
        run(bundle, contest, text)


def test_an_image_that_cannot_be_read_is_named(bundle, contest):
    (contest / "test" / "8.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"1 image: .*8\.png \(empty: the file has zero bytes\) cannot be read"):
        run(bundle, contest, "id,label\n7,red\n8,red\n")


def test_an_id_with_two_images_is_ambiguous(bundle, contest):
    (contest / "test" / "deep").mkdir()
    shutil.copy(contest / "test" / "8.png", contest / "test" / "deep" / "7.png")
    with pytest.raises(DataError, match=r"1 of 1 ids .* have several images; 7: "):
        run(bundle, contest, "id,label\n7,red\n")


@pytest.mark.parametrize(
    ("text", "wanted", "message"),
    [
        ("id,label\n7,0.5\n", "rd", r"--wanted is 'rd'; expected labels, or one of .*\. Did you mean red\?"),
        ("id,red,green,blue\n7,0,0,0\n", "red", "wants every probability; leave --wanted out"),
    ],
)
def test_a_wish_that_cannot_be_met(bundle, contest, text, wanted, message):
    with pytest.raises(ConfigError, match=message):
        run(bundle, contest, text, wanted=wanted)


def test_files_that_are_not_there_or_not_to_be_lost(bundle, contest):
    with pytest.raises(NotFoundError, match=r"nothing\.csv is no file; expected the competition's sample submission"):
        submit(bundle, [str(contest / "test")], str(contest / "nothing.csv"))
    path = sample(contest, "id,label\n7,red\n")
    with pytest.raises(ConfigError, match="is one of the inputs and would be overwritten"):
        submit(bundle, [str(contest / "test")], path, path)
    with pytest.raises(ConfigError, match="--wanted is 'red', but it goes with --sample-submission"):
        submit(bundle, [str(contest / "test")], "", wanted="red")


@pytest.mark.parametrize(("classes", "held"), [(("0.0", "1.0"), "0"), (("0", "1"), "0.0"), (("0.0", "1.0"), "1.0")])
def test_numbers_compare_as_numbers_and_are_written_as_the_sample_does(two_classes, contest, classes, held):
    one = "1.0" if "." in held else "1"
    text = f"id,target\n7,{held}\n8,{one}\n"
    zero = held.replace("1", "0")
    assert run(two_classes(*classes), contest, text) == ["id,target", f"7,{one}", f"8,{zero}"]
    _, seven, eight = run(two_classes(*classes), contest, text, wanted="1")
    assert float(seven.split(",")[1]) > 0.9 > 0.1 > float(eight.split(",")[1])


def test_a_sample_of_one_number_says_how_whole_numbers_are_written(two_classes, contest):
    assert run(two_classes("0.0", "1.0"), contest, "id,target\n7,0\n8,0\n") == ["id,target", "7,1", "8,0"]


def test_a_probability_of_classes_that_are_numbers(two_classes, contest):
    _, seven, eight = run(two_classes("0.0", "1.0"), contest, "id,target\n7,0.5\n8,0.5\n")
    assert float(seven.split(",")[1]) > 0.9 > 0.1 > float(eight.split(",")[1])
