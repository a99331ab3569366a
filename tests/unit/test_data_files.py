"""Layouts: class folders, split folders, tables; and what is never an image or a class."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from svertka.config import RunConfig
from svertka.data.decode import decode
from svertka.data.files import list_files
from svertka.data.listing import Listing, natural_key
from svertka.errors import ConfigError, DataError, ImageRejected, NotFoundError
from svertka.messages import sentences


def tree(root: Path, *names: str) -> Path:
    """Files with dummy content: listing never looks inside."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def labels(listing: Listing) -> dict[str, str]:
    return {entry.path: entry.label for entry in listing.entries}


def codes(listing: Listing) -> dict[str, str]:
    return {notice.code: sentences(notice) for notice in listing.notices}


def reasons(listing: Listing) -> dict[str, str]:
    return {rejection.path: rejection.reason for rejection in listing.rejected}


def config(**options: object) -> RunConfig:
    return RunConfig(data="x", **options)  # type: ignore[arg-type]


def test_class_folders_in_natural_order(tmp_path: Path) -> None:
    tree(tmp_path, "dogs/img10.jpg", "dogs/img2.JPG", "cats/deep/er/a.png", "cats/b.webp")
    listing = list_files(tmp_path)
    assert listing.layout == "class folders"
    assert labels(listing) == {"cats/b.webp": "cats", "cats/deep/er/a.png": "cats", "dogs/img2.JPG": "dogs",
                               "dogs/img10.jpg": "dogs"}  # fmt: skip
    assert [entry.path for entry in listing.entries][-2:] == ["dogs/img2.JPG", "dogs/img10.jpg"]


def test_hidden_things_are_neither_classes_nor_images(tmp_path: Path) -> None:
    tree(tmp_path, "cats/a.jpg", "cats/._a.jpg", "cats/.DS_Store", "cats/Thumbs.db", ".git/x.jpg", "dogs/b.jpg",
         "__MACOSX/cats/a.jpg", ".ipynb_checkpoints/a.jpg", "dogs/.ipynb_checkpoints/b.jpg")  # fmt: skip
    listing = list_files(tmp_path)
    assert labels(listing) == {"cats/a.jpg": "cats", "dogs/b.jpg": "dogs"}
    assert not listing.notices


def test_other_files_are_skipped_with_one_count_and_unsupported_images_are_kept(tmp_path: Path) -> None:
    tree(tmp_path, "cats/a.jpg", "cats/README.txt", "cats/x.txt", "cats/labels", "dogs/b.svg", "dogs/c.heic")
    listing = list_files(tmp_path)
    assert set(labels(listing)) == {"cats/a.jpg", "dogs/b.svg", "dogs/c.heic"}  # decoding rejects these with a reason
    assert codes(listing) == {
        "other_files_skipped": "3 files that are no images were skipped (.txt: 2, no extension: 1)."
    }


def test_images_count_whatever_their_names(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    kinds = {"a.avif": "AVIF", "b.mpo": "MPO", "c.pcx": "PCX", "d.jpg_large": "JPEG", "e": "PNG", "f.dat": "GIF"}
    for name, kind in kinds.items():
        Image.new("RGB", (8, 8), "red").save(tmp_path / "cats" / name, kind)
    (tmp_path / "cats" / "g.data").write_bytes(b"8BPS\0\2" + bytes(60))  # an image, though none that is read
    (tmp_path / "cats" / "paper.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "cats" / "clip.mp4").write_bytes(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2")
    (tmp_path / "cats" / "notes.json").write_text("{}")
    os.mkfifo(tmp_path / "cats" / "pipe")
    listing = list_files(tmp_path)
    assert [entry.path for entry in listing.entries] == [f"cats/{name}" for name in [*kinds, "g.data"]]
    assert codes(listing) == {
        "other_files_skipped": "4 files that are no images were skipped (.json: 1, .mp4: 1, .pdf: 1, no extension: 1)."
    }


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_images_beside_the_classes_are_told(prefix: str, tmp_path: Path) -> None:
    tree(tmp_path, f"{prefix}cats/a.jpg", f"{prefix}dogs/b.jpg", f"{prefix}c.jpg", f"{prefix}d.png", "readme.md")
    assert codes(list_files(tmp_path)) == {
        "images_in_no_class": "2 images lie beside the class folders, not in one of them, and are not used."
    }


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "cats/a.jpg", "cats/locked/b.jpg", "dogs/c.jpg")
    listed = Path.iterdir

    def refuse(folder: Path) -> Iterator[Path]:
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)  # chmod would not stop root, who runs many a container
    assert set(labels(list_files(tmp_path))) == {"cats/a.jpg", "cats/locked", "dogs/c.jpg"}
    with pytest.raises(ImageRejected, match="unreadable: a folder that cannot be listed"):
        decode(tmp_path / "cats" / "locked")


def test_class_without_images_is_told(tmp_path: Path) -> None:
    tree(tmp_path, "cats/a.jpg", "dogs/notes.md")
    assert codes(list_files(tmp_path))["class_without_images"] == "The folder dogs holds no images."


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_split_folders(tmp_path: Path, val: str) -> None:
    tree(tmp_path, "train/cats/a.jpg", "train/dogs/b.jpg", f"{val}/cats/c.jpg", "test/dogs/d.jpg", "extra/e.jpg")
    listing = list_files(tmp_path)
    assert listing.layout == "split folders"
    assert {entry.path: entry.split for entry in listing.entries} == {
        "train/cats/a.jpg": "train", "train/dogs/b.jpg": "train", f"{val}/cats/c.jpg": "val",
        "test/dogs/d.jpg": "test"}  # fmt: skip
    assert labels(listing)["test/dogs/d.jpg"] == "dogs"
    assert [sentences(notice) for notice in listing.notices] == [
        "Among the folders of the validation images there is none for the class “dogs”.",
        "Among the folders of the test images there is none for the class “cats”.",
        "Folders beside those of the split are not used: “extra”.",
    ]


def test_link_loops_end_and_do_not_repeat(tmp_path: Path) -> None:
    tree(tmp_path / "root", "cats/a.jpg", "dogs/b.jpg")
    tree(tmp_path / "elsewhere", "c.jpg")
    (tmp_path / "root/cats/again").symlink_to(tmp_path / "root/cats")
    (tmp_path / "root/cats/up").symlink_to(tmp_path / "root")
    (tmp_path / "root/cats/top").symlink_to(tmp_path)
    (tmp_path / "root/cats/others").symlink_to(tmp_path / "root/dogs")
    (tmp_path / "root/cats/more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/cats/link.jpg").symlink_to(tmp_path / "elsewhere/c.jpg")
    listing = list_files(tmp_path / "root")
    assert labels(listing) == {"cats/a.jpg": "cats", "cats/link.jpg": "cats", "cats/more/c.jpg": "cats",
                               "dogs/b.jpg": "dogs"}  # fmt: skip


def test_folder_named_like_an_image_is_listed_for_rejection(tmp_path: Path) -> None:
    tree(tmp_path, "cats/a.jpg", "cats/x.jpg/inside.txt")
    assert set(labels(list_files(tmp_path))) == {"cats/a.jpg", "cats/x.jpg"}


def test_what_is_no_layout(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"There is no .*nowhere; expected a folder of images or a CSV/TSV"):
        list_files(tmp_path / "nowhere")
    tree(tmp_path, "a.jpg")
    with pytest.raises(DataError, match=r"has no folders; expected one folder a class"):
        list_files(tmp_path)
    with pytest.raises(DataError, match=r"a\.jpg is a single file"):
        list_files(tmp_path / "a.jpg")


def test_split_folders_without_classes_are_not_classes(tmp_path: Path) -> None:
    tree(tmp_path, "train/a.jpg", "test/b.jpg")
    with pytest.raises(DataError, match=r"has split folders \(test, train\) without class folders in them"):
        list_files(tmp_path)


def test_class_folders_win_over_a_table_beside_them(tmp_path: Path) -> None:
    tree(tmp_path, "cats/a.jpg", "dogs/b.jpg")
    (tmp_path / "labels.csv").write_text("file,label\na.jpg,x\n")
    assert list_files(tmp_path).layout == "class folders"


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_columns_of_folders_are_refused(tmp_path: Path, prefix: str) -> None:
    tree(tmp_path, f"{prefix}cats/a.jpg", f"{prefix}dogs/b.jpg")
    with pytest.raises(ConfigError, match=r"group_column is 'patient', but .* is read as folders, .* use group_regex"):
        list_files(tmp_path, config(group_column="patient"))


def test_natural_order() -> None:
    assert sorted(["b10", "b2", "B1", "a", "10", "9"], key=natural_key) == ["9", "10", "a", "B1", "b2", "b10"]


TABLES = {
    "comma": (",", "utf-8"),
    "semicolon": (";", "utf-8"),
    "tab": ("\t", "utf-8"),
    "bom": (",", "utf-8-sig"),
    "windows": (";", "cp1251"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_table_delimiters_and_encodings(tmp_path: Path, kind: str) -> None:
    delimiter, encoding = TABLES[kind]
    tree(tmp_path, "кот.jpg", "pics/b.png")
    rows = [["Image Path", "Class", "patient_id", "split"], ["кот.jpg", "кошка", "p1", "train"],
            ["pics/b.png", "собака", "", "Validation"]]  # fmt: skip
    table = tmp_path / "my.csv"
    table.write_bytes("\r\n".join(delimiter.join(row) for row in rows).encode(encoding))
    listing = list_files(table)
    assert listing.layout == "table"
    assert {(e.path, e.label, e.group, e.split) for e in listing.entries} == {
        ("кот.jpg", "кошка", "p1", "train"), ("pics/b.png", "собака", None, "val")}  # fmt: skip
    assert codes(listing)["table_columns"] == (
        "Of my.csv these columns are used (file: “Image Path”, class: “Class”, group: “patient_id”, part: “split”)."
    )


def test_kaggle_style_folder(tmp_path: Path) -> None:
    tree(tmp_path, "train/1.jpg", "train/2.png", "train/unlabelled.jpg", "test/1.jpg", "test/9.jpg")
    (tmp_path / "train.csv").write_text("image_id,label\n1,cat\n2,dog\n3,cat\n")
    listing = list_files(tmp_path)
    assert listing.layout == "table"
    assert labels(listing) == {"train/1.jpg": "cat", "train/2.png": "dog"}
    assert reasons(listing) == {"3": "missing"}


def test_bad_rows_are_rejected_one_by_one(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    (tmp_path / "t.csv").write_text(
        "file,label,split\na.jpg,cat,train\nb.jpg,,train\nc.jpg, ,train\n,cat,train\ngone.jpg,cat,train\n"
        "a.jpg,dog,train\na.jpg,cat,train\nd.jpg\n\n"
    )
    listing = list_files(tmp_path / "t.csv")
    assert labels(listing) == {"a.jpg": "cat"}
    assert sorted((r.path, r.reason) for r in listing.rejected) == [
        ("a.jpg", "label_conflict"), ("b.jpg", "no_label"), ("c.jpg", "no_label"), ("d.jpg", "no_label"),
        ("gone.jpg", "missing"), ("row 5", "no_path")]  # fmt: skip


def test_rows_are_numbered_as_a_spreadsheet_shows_them(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg")
    (tmp_path / "t.csv").write_text("\nfile,label\na.jpg,cat\n\n,\n,dog\n")
    assert [r.path for r in list_files(tmp_path / "t.csv").rejected] == ["row 6"]


def test_a_split_that_is_none_stops_with_its_name(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    table = tmp_path / "t.csv"
    table.write_text("file,label,split\na.jpg,cat,train\nb.jpg,cat,Testt\nc.jpg,cat,\nd.jpg,,none\n")
    with pytest.raises(
        DataError, match=r"'split' of t\.csv has 'Testt' in 1 of 3 rows; .*Did you mean test, testing\?"
    ):
        list_files(table)


def test_nan_means_no_group_and_no_part(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.jpg")
    table = tmp_path / "t.csv"
    table.write_text("file,label,split,patient\na.jpg,cat,train,nan\nb.jpg,cat,NaN,p\n")
    assert [(entry.path, entry.split, entry.group) for entry in list_files(table).entries] == [
        ("a.jpg", "train", None), ("b.jpg", None, "p")]  # fmt: skip


@pytest.mark.parametrize("label", ["nan", "NaN", "NA", "N/A", "None", "null", "NULL", "<NA>", "n/a", "#N/A"])
def test_a_label_that_others_take_for_missing_is_a_class_and_told(tmp_path: Path, label: str) -> None:
    tree(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    (tmp_path / "t.csv").write_text(f"file,label\na.jpg,{label}\nb.jpg,cat\nc.jpg,\n")
    listing = list_files(tmp_path / "t.csv")
    assert labels(listing) == {"a.jpg": label, "b.jpg": "cat"}
    assert reasons(listing) == {"c.jpg": "no_label"}
    assert codes(listing)["labels_like_missing"] == (
        f"Labels that some programs take for an empty cell are read as classes: “{label}”."
    )


def test_what_pandas_calls_missing_is_what_is_told() -> None:
    pandas = pytest.importorskip("pandas")
    from svertka.data.rows import looks_missing

    assert all(looks_missing(text) for text in pandas._libs.parsers.STR_NA_VALUES if text)
    assert not any(map(looks_missing, ("cat", "0", "True", "no", "nandu", "-")))


@pytest.mark.parametrize("text", ["", ",,\n,,\n"])
def test_an_empty_table_is_called_so(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=r"t\.csv is empty"):
        list_files(tmp_path / "t.csv")


def test_named_columns_and_folder(tmp_path: Path) -> None:
    tree(tmp_path, "far/away/a.jpg")
    (tmp_path / "t.csv").write_text("file,what,where,label\nno.jpg,cat,a,x\n")
    options = {"path_column": "where", "label_column": "what", "images": str(tmp_path / "far" / "away")}
    listing = list_files(tmp_path / "t.csv", config(**options))
    assert labels(listing) == {"a.jpg": "cat"}
    assert listing.root == tmp_path / "far" / "away"


def test_table_errors(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("file,species\na.jpg,cat\n")
    with pytest.raises(ConfigError, match=r"label_column is 'specie', but t\.csv has .* Did you mean species\?"):
        list_files(table, config(label_column="specie"))
    with pytest.raises(NotFoundError, match=r"images is 'nowhere', but there is no such folder"):
        list_files(table, config(images="nowhere"))
    table.write_text("file,stuff\na.jpg,cat\n")
    with pytest.raises(DataError, match=r"no column that looks like the label \(columns: file, stuff\)"):
        list_files(table)
    table.write_text("file,label\n")
    with pytest.raises(DataError, match="a header but no rows"):
        list_files(table)
    table.write_text("  \n")
    with pytest.raises(DataError, match="is empty; expected a header"):
        list_files(table)


def test_table_may_point_outside_its_folder(tmp_path: Path) -> None:
    tree(tmp_path, "photos/a.jpg", "tables/keep.txt")
    table = tmp_path / "tables" / "t.csv"
    table.write_text(f"file,label\n{tmp_path / 'photos' / 'a.jpg'},cat\n../photos/a.jpg,cat\n..\\photos\\a.jpg,cat\n")
    assert labels(list_files(table)) == {(tmp_path / "photos" / "a.jpg").as_posix(): "cat"}


def test_a_missing_file_does_not_take_its_namesakes_place(tmp_path: Path) -> None:
    tree(tmp_path, "dog/5.png", "cat/6.png")
    (tmp_path / "t.csv").write_text("path,label\ncat/5.png,cat\ndog/5.png,dog\n6,cat\n")
    listing = list_files(tmp_path / "t.csv")
    assert labels(listing) == {"dog/5.png": "dog", "cat/6.png": "cat"}
    assert reasons(listing) == {"cat/5.png": "missing"}


@pytest.mark.parametrize("role", ["split", "group"])
def test_a_file_in_two_places_is_told(tmp_path: Path, role: str) -> None:
    tree(tmp_path, "a.png", "b.png")
    (tmp_path / "t.csv").write_text(f"path,label,{role}\na.png,x,train\na.png,x,test\nb.png,y,train\nb.png,y,train\n")
    listing = list_files(tmp_path / "t.csv")
    assert labels(listing) == {"a.png": "x", "b.png": "y"}
    assert reasons(listing) == {"a.png": f"{role}_conflict"}


def test_numbers_of_folds_are_no_split(tmp_path: Path) -> None:
    tree(tmp_path, "a.png", "b.png")
    (tmp_path / "t.csv").write_text("path,label,fold\na.png,x,0\nb.png,y,1\n")
    listing = list_files(tmp_path / "t.csv")
    assert [entry.split for entry in listing.entries] == [None, None]
    assert "split_column_ignored" in codes(listing)
    with pytest.raises(DataError, match=r"'fold' of t\.csv has '0' in 1 of 2 rows; expected train, val or test"):
        list_files(tmp_path / "t.csv", RunConfig(data="t.csv", split_column="fold"))
