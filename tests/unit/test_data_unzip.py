"""Archives of strangers: nothing leaves the folder, nothing is overwritten, all of it or nothing."""

import io
import zipfile

import pytest

from svertka.data.unzip import unzip
from svertka.errors import ConfigError, DataError


def pack(files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


@pytest.fixture
def arrive(tmp_path):
    def write(content):
        path = tmp_path / "contest.zip"
        path.write_bytes(content)
        return path

    return write


def listed(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_archives_in_archives_unpack_where_one_expects_them(arrive, tmp_path):
    content = pack(
        {
            "sample_submission.csv": "id,label\n",
            "train.csv.zip": pack({"train.csv": "id,label\n1,a\n"}),
            "train.zip": pack({"train/1.png": "x", "train/2.png": "y"}),
            "test.zip": pack({"3.png": "z", "4.png": "z"}),
        }
    )
    assert unzip(arrive(content), tmp_path / "contest") == 6
    assert listed(tmp_path / "contest") == [
        *("sample_submission.csv", "test/3.png", "test/4.png", "train.csv", "train/1.png", "train/2.png"),
    ]
    assert (tmp_path / "contest/train.csv").read_text() == "id,label\n1,a\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["contest", "contest.zip"]


@pytest.mark.parametrize("name", ["../out.csv", "a/../../out.csv", "/tmp/out.csv", "..\\out.csv", "C:\\out.csv"])
@pytest.mark.parametrize("inner", [False, True])
def test_a_path_that_leads_elsewhere_is_refused(arrive, tmp_path, name, inner):
    content = pack({"fine.csv": "x", name: "evil"})
    with pytest.raises(DataError, match="which leads elsewhere; it is not unpacked"):
        unzip(arrive(pack({"train.zip": content}) if inner else content), tmp_path / "deep" / "contest")
    assert listed(tmp_path) == ["contest.zip"]


def test_a_link_is_refused(arrive, tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with pytest.raises(DataError, match="holds the link 'link'"):
        unzip(arrive(pack({link: "/etc"})), tmp_path / "contest")


def test_nothing_is_overwritten(arrive, tmp_path):
    folder = tmp_path / "contest"
    folder.mkdir()
    (folder / "mine.txt").write_text("precious")
    with pytest.raises(ConfigError, match="contest is there already and is not overwritten"):
        unzip(arrive(pack({"mine.txt": "theirs"})), folder)
    assert (folder / "mine.txt").read_text() == "precious"
    with pytest.raises(DataError, match=r"would write over .*a\.csv; it holds that name twice"):
        unzip(arrive(pack({"a.csv": "1", "x/../a.csv".replace("x/../", "./"): "2"})), tmp_path / "other")
    with pytest.raises(DataError, match=r"would write over .*train\.csv"):
        unzip(arrive(pack({"train.csv": "1", "train.csv.zip": pack({"train.csv": "2"})})), tmp_path / "other")


@pytest.mark.parametrize("damage", [lambda content: b"no archive", lambda content: content[:40]])
def test_a_damaged_archive_is_named(arrive, tmp_path, damage):
    with pytest.raises(DataError, match=r"contest\.zip is no ZIP archive that can be read .*; download it again"):
        unzip(arrive(damage(pack({"a.csv": "x" * 99}))), tmp_path / "contest")


def test_damaged_content_leaves_nothing_behind(arrive, tmp_path):
    content = bytearray(pack({"a.csv": bytes(range(256)) * 9}))
    content[60] ^= 255
    with pytest.raises(DataError, match=r"contest\.zip is damaged"):
        unzip(arrive(bytes(content)), tmp_path / "contest")
    assert listed(tmp_path) == ["contest.zip"]


def test_more_than_the_disk_holds_is_refused_first(arrive, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(DataError, match=r"unpacks to 0\.0 GB, but the disk has 0\.0 GB free"):
        unzip(arrive(pack({"a.csv": "x" * 11})), tmp_path / "contest")
