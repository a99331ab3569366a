"""A competition's folder as it unpacks."""

from collections import Counter

import pytest

from svertka.config import RunConfig
from svertka.data.files import list_files
from svertka.errors import DataError


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def found(listing):
    return {entry.path: entry.label for entry in listing.entries}


def write(root, **texts):
    for name, text in texts.items():
        (root / f"{name}.csv").write_text(text)


def test_the_sample_submission_says_which_column_is_the_label(tmp_path):
    write(
        tmp_path,
        train="id,source,type,has_cactus\na.jpg,x,q,1\nb.jpg,y,q,0\n",
        test="id,source\nc.jpg,x\n",
        sample_submission="id,has_cactus\nc.jpg,0.5\n",
    )
    touch(tmp_path, "train/train/a.jpg", "train/train/b.jpg", "test/test/c.jpg")
    listing = list_files(tmp_path)
    assert listing.layout == "table"
    assert found(listing) == {"train/train/a.jpg": "1", "train/train/b.jpg": "0"}
    assert [notice.code for notice in listing.notices] == ["table_columns", "competition"]
    assert found(list_files(tmp_path / "train.csv")) == found(listing)


def test_folders_with_other_names_do_not_hide_the_table(tmp_path):
    write(tmp_path, train="image_id,label\n1.jpg,0\n2.jpg,3\n", sample_submission="image_id,label\n3.jpg,4\n")
    touch(tmp_path, "train_images/1.jpg", "train_images/2.jpg", "test_images/3.jpg", "train_tfrecords/a.tfrec")
    touch(tmp_path, "test_tfrecords/b.tfrec")
    assert found(list_files(tmp_path)) == {"train_images/1.jpg": "0", "train_images/2.jpg": "3"}


def test_one_column_a_class_becomes_one_label(tmp_path):
    write(
        tmp_path,
        train="image_id,healthy,rust,scab\nTrain_0,0,1,0\nTrain_1,1.0,0,0\n",
        sample_submission="image_id,healthy,rust,scab\nTest_0,0.25,0.25,0.25\n",
    )
    touch(tmp_path, "images/Train_0.jpg", "images/Train_1.jpg", "images/Test_0.jpg")
    listing = list_files(tmp_path)
    assert found(listing) == {"images/Train_0.jpg": "rust", "images/Train_1.jpg": "healthy"}
    assert [notice.code for notice in listing.notices] == ["table_columns", "competition", "one_hot"]
    assert listing.notices[0].values["columns"] == {"path": "image_id"}


@pytest.mark.parametrize("cells", ["1,1,0", "0,0,0", "0.5,0.5,0", "1,,0", "1,x,0"])
def test_several_classes_an_image_are_refused(tmp_path, cells):
    write(
        tmp_path,
        train=f"image_id,healthy,rust,scab\nTrain_0,0,1,0\nTrain_1,{cells}\n",
        sample_submission="image_id,healthy,rust,scab\nTest_0,1,1,1\n",
    )
    touch(tmp_path, "images/Train_0.jpg", "images/Train_1.jpg")
    with pytest.raises(DataError, match=r"row 3 of train\.csv has .* in the columns healthy, rust, scab"):
        list_files(tmp_path)


def test_a_test_image_never_stands_in_for_a_missing_one(tmp_path):
    write(tmp_path, train="id,label\n1,a\n2,b\n", sample_submission="id,label\n2,a\n")
    touch(tmp_path, "train/1.png", "test/2.png")
    listing = list_files(tmp_path)
    assert found(listing) == {"train/1.png": "a"}
    assert [(one.path, one.reason) for one in listing.rejected] == [("2", "missing")]


def test_class_folders_may_teach_and_test_folders_never_do(tmp_path):
    write(tmp_path, sample_submission="file,species\n9.png,a\n")
    touch(tmp_path, "train/a/1.png", "train/b/2.png", "test/test/9.png")
    listing = list_files(tmp_path)
    assert (listing.layout, found(listing)) == ("split folders", {"train/a/1.png": "a", "train/b/2.png": "b"})
    (tmp_path / "sample_submission.csv").unlink()  # without it, these are the person's own split folders
    assert Counter(found(list_files(tmp_path)).values()) == {"a": 1, "b": 1, "test": 1}


def test_class_folders_beside_test_images(tmp_path):
    write(tmp_path, sampleSubmission="file,species\n9.png,a\n")
    touch(tmp_path, "a/1.png", "b/2.png", "test/9.png")
    assert found(list_files(tmp_path)) == {"a/1.png": "a", "b/2.png": "b"}


def test_named_columns_win_over_the_sample(tmp_path):
    write(
        tmp_path,
        train="id,file,species,age\n1,a.png,cat,3\n2,b.png,dog,4\n",
        sample_submission="id,age\n3,5\n",
    )
    touch(tmp_path, "images/a.png", "images/b.png")
    config = RunConfig(data=str(tmp_path), label_column="species")
    assert set(found(list_files(tmp_path, config)).values()) == {"cat", "dog"}
    assert set(found(list_files(tmp_path)).values()) == {"3", "4"}


def test_a_table_without_images_says_so(tmp_path):
    write(tmp_path, train="label,pixel0\n3,0\n", sample_submission="ImageId,Label\n1,0\n")
    with pytest.raises(DataError, match=r"train\.csv has no column that looks like the path"):
        list_files(tmp_path)
