"""Tables as people write them: headers, spaces, one column a class, numbers, names of files."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from svertka.config import RunConfig
from svertka.data.files import list_files
from svertka.data.image_table import list_paths
from svertka.data.listing import Listing, natural_key
from svertka.data.rows import as_number, read_table, same_numbers
from svertka.errors import ConfigError, DataError
from svertka.messages import sentences


def listed(folder: Path, text: str, *images: str, **options: object) -> Listing:
    """What a table says of (empty) files beside it."""
    for name in images:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    (folder / "t.csv").write_text(text, errors="surrogateescape")
    return list_files(folder / "t.csv", RunConfig(data="t.csv", **options))  # type: ignore[arg-type]


def labels(listing: Listing) -> dict[str, str]:
    return {entry.path: entry.label for entry in listing.entries}


def reasons(listing: Listing) -> dict[str, tuple[str, str]]:
    return {rejection.path: (rejection.reason, rejection.detail) for rejection in listing.rejected}


# --- header ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["images/1.png,0\nimages/2.png,1\n", "1,cat\n2,dog\n3,cat\n", "1,0\n2,1\n", "a b.JPG;x\nc.jpg;y\n"]
)
@pytest.mark.parametrize("options", [{}, {"label_column": "label"}])
def test_a_missing_header_is_called_so(tmp_path: Path, text: str, options: dict[str, str]) -> None:
    first = text.split("\n")[0].replace(",", ", ").replace(";", ", ")
    with pytest.raises(DataError, match=rf"t\.csv: there is no header row, as the first row is {first}; .*path,label"):
        listed(tmp_path, text, **options)


def test_a_list_of_files_without_header_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a.png\nb.png\n")
    with pytest.raises(DataError, match=r"there is no header row, as the first row is a\.png;"):
        list_paths(tmp_path / "t.csv")


def test_a_header_with_unusual_names_is_not_called_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column that looks like the path \(columns: where, what\)"):
        listed(tmp_path, "where,what\na.png,cat\nb.png,dog\n")


def test_spaces_around_names_are_no_part_of_them(tmp_path: Path) -> None:
    text = " path , label ,  patient\n a.png , cat , p1\n"
    for options in ({}, {"label_column": " label ", "group_column": "patient ", "path_column": "path"}):
        (entry,) = listed(tmp_path, text, "a.png", **options).entries
        assert (entry.path, entry.label, entry.group) == ("a.png", "cat", "p1")


def test_two_columns_of_the_name_that_is_asked_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has 2 columns named 'what'; rename all but one"):
        listed(tmp_path, "path,what, what\na.png,cat,dog\n", label_column="what")


# --- names of files ----------------------------------------------------------------------------------------------


def test_a_name_that_two_files_bear_says_so(tmp_path: Path) -> None:
    listing = listed(tmp_path, "id,label\n0_0,a\n1_0,b\n2_0,a\n", "0_0.png", "0_0.jpg", "1_0.png")
    assert labels(listing) == {"1_0.png": "b"}
    assert reasons(listing) == {
        "0_0": ("two_files", "row 2 names it, but two files match: 0_0.jpg and 0_0.png"),
        "2_0": ("missing", "row 4 names it, but there is no such file"),
    }
    named, _ = list_paths(tmp_path / "t.csv")
    assert [why for _, _, why in named] == ["two files match: 0_0.jpg and 0_0.png", "", ""]


def test_names_of_thousands_of_digits_are_rejected_rows(tmp_path: Path) -> None:
    digits = "7" * 5000
    listing = listed(tmp_path, f"path,label\n{digits},a\n{digits}/{digits}.png,b\nx.png,a\n", "x.png")
    assert labels(listing) == {"x.png": "a"}
    assert {reason for reason, _ in reasons(listing).values()} == {"missing"}
    assert len(reasons(listing)) == 2


def test_natural_order_of_numbers_of_any_length() -> None:
    names = ["9" * 5000, "1" + "0" * 5000, "10", "9", "010", "a2", "a10", "²", "٣"]
    assert sorted(names, key=natural_key) == ["9", "010", "10", "9" * 5000, "1" + "0" * 5000, "a2", "a10", "²", "٣"]


def test_names_with_spaces_and_backslashes_are_found_as_they_are(tmp_path: Path) -> None:
    listing = listed(tmp_path, "path,label\n a.png,x\nb\\c.png,y\nd\\e.png,z\n", " a.png", "b\\c.png", "d/e.png")
    assert labels(listing) == {" a.png": "x", "b\\c.png": "y", "d/e.png": "z"}


# --- one column a class ------------------------------------------------------------------------------------------

PLANTS = "image_id,healthy,multiple_diseases,rust,scab\n"


@pytest.mark.parametrize("one", ["1", "1.0"])
def test_one_column_a_class_is_read_and_told(tmp_path: Path, one: str) -> None:
    text = f"{PLANTS}Train_0,0,0,0,{one}\nTrain_1,0,{one},0,0\nTrain_2,{one},0,0,0\nTrain_3,0,0,{one},0\n"
    listing = listed(tmp_path, text, *(f"images/Train_{number}.jpg" for number in range(4)))
    assert list(labels(listing).values()) == ["scab", "multiple_diseases", "healthy", "rust"]
    assert sentences(listing.notices[-1]) == (
        "No column holds labels; the class is the column that holds 1, of “healthy”, “multiple_diseases”, "
        "“rust” and “scab”."
    )


@pytest.mark.parametrize("cells", ["1,1,0,0", "0,0,0,0"])
def test_several_classes_an_image_are_refused_with_the_row(tmp_path: Path, cells: str) -> None:
    text = f"{PLANTS}a,1,0,0,0\nb,0,1,0,0\nc,0,0,1,0\nd,0,0,0,1\ne,{cells}\n"
    with pytest.raises(
        DataError,
        match=r"row 6 of t\.csv has .* in the columns healthy, multiple_diseases, rust, scab \(there is no column "
        r"named label, class or the like\); expected one 1 .* label_column in a file for --config, or drop such rows",
    ):
        listed(tmp_path, text)


def test_a_column_of_labels_wins_over_columns_of_bits(tmp_path: Path) -> None:
    listing = listed(tmp_path, "image,label,a,b\nx.png,cat,1,0\ny.png,dog,0,1\n", "x.png", "y.png")
    assert labels(listing) == {"x.png": "cat", "y.png": "dog"}


# --- numbers -----------------------------------------------------------------------------------------------------


def test_numbers_are_written_most_shortly() -> None:
    texts = ("1.0", "1.", "1", "01", "0.50", "-2.0", "1.05", "cat", "1.0.0", "9" * 5000 + ".0")
    assert [as_number(text) for text in texts] == ["1", "1", "1", "01", "0.5", "-2", "1.05", "cat", "1.0.0", "9" * 5000]
    assert same_numbers(Counter(["1", "1.0", "0.0", "2.0", "cat"])) == {"1.0": "1"}


def test_one_number_is_one_class_however_it_is_written(tmp_path: Path) -> None:
    listing = listed(tmp_path, "path,label\na.png,1.0\nb.png,1\nc.png,0\n", "a.png", "b.png", "c.png")
    assert labels(listing) == {"a.png": "1", "b.png": "1", "c.png": "0"}
    assert "same_numbers" in [notice.code for notice in listing.notices]


# --- what svertka wrote ------------------------------------------------------------------------------------------


def test_svertkas_own_tables_read_back_whatever_bytes_name_the_files(tmp_path: Path) -> None:
    """Names of files need not be text: those of Windows-1251 on a disk that speaks UTF-8, for instance."""
    from svertka.cli.output import excel_rows, table_to
    from svertka.evaluate.predictions import load_predictions, save_predictions
    from svertka.runs.folder import load_catalog, load_split, save_catalog, save_split
    from svertka.schema import Catalog, ImageRecord, Predictions, Rejection, Split
    from svertka.util.atomic_files import read_table as read_own
    from svertka.util.atomic_files import write_table

    names = [
        b"\xea\xee\xf2.png".decode(errors="surrogateescape"),
        "пёс.png",
        'a,"b"\r\n.png',
        " c ;.png",
    ]
    for name in names:
        (tmp_path / name).write_bytes(b"")

    def found(file: Path) -> list[str]:
        named, notices = list_paths(file)
        assert not notices
        assert [why for _, _, why in named] == [""] * len(names)
        return [path.name for _, path, _ in named]

    predictions = Predictions(
        logits_NK=np.eye(4, 2, dtype=np.float32),
        labels_N=np.array([0, 1, 0, 1]),
        paths=tuple(names),
        class_names=("café", "b"),
    )
    save_predictions(predictions, tmp_path / "predictions.csv")
    assert load_predictions(tmp_path / "predictions.csv").paths == tuple(names)
    assert found(tmp_path / "predictions.csv") == names
    assert {entry.label for entry in list_files(tmp_path / "predictions.csv").entries} == {"café", "b"}

    write_table(tmp_path / "answers.csv", ("path", "label", "confidence", "error"), [(n, "x", "1", "") for n in names])
    assert [row["path"] for row in read_own(tmp_path / "answers.csv")] == names
    assert found(tmp_path / "answers.csv") == names
    with table_to(str(tmp_path / "excel.csv")) as stream:
        write = excel_rows(stream)
        for row in (("path", "label", "confidence", "error"), *((name, "x", "1", "") for name in names)):
            write(row)
    assert found(tmp_path / "excel.csv") == names

    record = {
        "label": 0,
        "split": None,
        "group": None,
        "width_px": 1,
        "height_px": 1,
        "mode": "L",
        "pixel_hash": "00",
        "perceptual_hash": 0,
        "detail_hash": 0,
    }
    catalog = Catalog(
        root=tmp_path,
        layout="table",
        class_names=("café",),
        records=tuple(ImageRecord(path=name, **record) for name in names),
        rejected=tuple(Rejection(path=name, reason="damaged", detail=name) for name in names),
    )
    split = Split(train=(0, 1, 2, 3), val=(), test=(), units=(0, 1, 2, 3), seed=0, origin="made")
    save_catalog(tmp_path, catalog)
    save_split(tmp_path, catalog, split)
    facts = {"root": str(tmp_path), "layout": "table", "class_names": ["café"], "notices": [], "decoded": 0}
    assert load_catalog(tmp_path, facts).records == catalog.records
    for name in ("catalog.csv", "split.csv", "rejected.csv"):
        assert found(tmp_path / name) == names
    facts = {"seed": 0, "origin": "made", "grouped": False, "leaks": [], "conflicts": [], "notices": []}
    assert load_split(tmp_path, facts) == split


def test_a_table_of_ours_that_a_spreadsheet_saved_in_its_own_encoding_is_not_taken_for_ours(tmp_path: Path) -> None:
    table = tmp_path / "answers.csv"
    table.write_bytes("path,label,confidence,error\na.png,кошка,1,\nb.png,собака,1,\n".encode("cp1251"))
    assert [row[1] for row in read_table(table).rows.values()] == [
        "кошка",
        "собака",
    ]


def test_an_encoding_that_isnt_the_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"path,label\na.png,caf\xe9\n")
    for encoding, says in (
        ("utf-8", "not written in utf-8"),
        ("cp12521", "Did you mean cp1252"),
        ("hex", "is 'hex'"),
    ):
        with pytest.raises(ConfigError, match=says):
            read_table(tmp_path / "t.csv", encoding)
