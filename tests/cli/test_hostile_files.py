"""Files of strangers that are no bundle: settings, tables, weights, runs. One line, exit code 2, without waiting."""

import sys

import pytest
from PIL import Image

from hostile import SUBSTITUTES
from svertka.cli.main import main
from svertka.errors import DataError
from svertka.evaluate import load_predictions
from svertka.util.atomic_files import parse_json, read_file

DIGITS, DEEP = "9" * 5000, 100_000
SETTINGS = {
    "5,000 digits": f"seed = {DIGITS}",
    "400 digits": f"minutes = {'9' * 400}",
    "400 digits below 0": f"seed = -{'9' * 400}",
    "100,000 lists": f"seed = {'[' * DEEP}{']' * DEEP}",
    "100,000 tables": f"seed = {'{a = ' * DEEP}",
    "a name of 5,000 parts": f"[{'.'.join(['a'] * 5000)}]",
    "no number": "minutes = nan",
    "without end": "minutes = inf",
    "2 MB": "# " + "x" * (2 << 20),
    "a zero byte": "seed = 1\0",
}
SPECIAL = [name for name in SUBSTITUTES if name not in ("nothing", "an empty file")]


@pytest.fixture
def ends(tmp_path, monkeypatch, capsys):
    """Runs a command line in a folder with two images; gives its exit code and what it said."""
    for label in "ab":
        (tmp_path / "data" / label).mkdir(parents=True)
        Image.new("RGB", (20, 20), "red" if label == "a" else "blue").save(tmp_path / "data" / label / "x.png")
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["svertka", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return stopped.value.code, captured.err.splitlines(), captured.out

    return run


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_no_one_means_are_refused(ends, tmp_path, name):
    (tmp_path / "c.toml").write_text(SETTINGS[name])
    code, lines, _ = ends("train", "data", "--config", "c.toml")
    assert code == 2
    assert len(lines) == 1 and lines[0].startswith("svertka: ") and len(lines[0]) < 1000
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", SPECIAL)
def test_settings_that_are_no_regular_file_are_refused(ends, tmp_path, name):
    SUBSTITUTES[name](tmp_path / "c.toml")
    code, lines, _ = ends("train", "data", "--config", "c.toml")
    assert code == 2
    assert len(lines) == 1 and lines[0].startswith("svertka: configuration c.toml ")


@pytest.mark.parametrize("name", SPECIAL)
@pytest.mark.parametrize("suffix", [".csv", ".safetensors"])
def test_what_is_no_regular_file_is_neither_a_table_nor_weights(ends, tmp_path, name, suffix):
    if name == "a file that claims to be empty" and suffix == ".csv":
        pytest.skip("it is a regular file with text, and is read as one")
    SUBSTITUTES[name](tmp_path / f"given{suffix}")
    if suffix == ".csv":
        code, lines, _ = ends("train", f"given{suffix}")
    else:
        code, lines, _ = ends("lab", "feature-maps", "data/a/x.png", "--weights", f"given{suffix}", "--out", "out.png")
    assert code == 2
    assert len(lines) == 1 and lines[0].startswith("svertka: ")


@pytest.mark.parametrize("path", [DIGITS, "a/" * 3000, "../" * 3000 + "x", "~" * 300, "*" * 3000])
def test_a_path_of_thousands_of_characters_is_a_row_with_an_error(ends, tmp_path, tiny_bundle, path):
    (tmp_path / "t.csv").write_text(f"path\n{path}\ndata/a/x.png\n")
    code, lines, out = ends("predict", tiny_bundle.directory, "t.csv", "--threads", "1")
    assert code == 0
    assert lines[0] == "1 of 2 files predicted."
    assert len(out.splitlines()) == 3


@pytest.mark.parametrize("name", SPECIAL)
def test_predictions_that_are_no_regular_file_are_refused(tmp_path, name):
    SUBSTITUTES[name](tmp_path / "predictions.csv")
    with pytest.raises(DataError, match=r"predictions\.csv (cannot be read|has the columns)"):
        load_predictions(tmp_path / "predictions.csv")


def test_a_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"12345678")
    assert read_file(path, 8) == b"12345678"
    with pytest.raises(OSError, match="it has more than 7 bytes"):
        read_file(path, 7)
    assert b"stack" in read_file("/proc/self/maps")  # which claims to be empty
    with pytest.raises(OSError, match="it has more than 100 bytes"):
        read_file("/proc/self/maps", 100)
    for name in ("a\0b", "a\ud800b"):
        with pytest.raises(OSError, match="no file can have this name"):
            read_file(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[NaN]", "NaN is no finite number"),
        ("[-Infinity]", "-Infinity is no finite number"),
        ("[1e999]", "1e999 is no finite number"),
        ("9" * 400, r"99999999999999999999… is larger than 64 bits hold"),
        (str(2**63), "is larger than 64 bits hold"),
        ('{"a": 1, "a": 2}', "'a' stands there twice"),
        ('"\\ud800"', "is half a character"),
        ("[" * 99_999, "it is nested too deeply"),
        ("[1", "Expecting"),
    ],
)
def test_json_of_strangers_is_plain(text, message):
    with pytest.raises(ValueError, match=message):
        parse_json(text)


def test_json_that_is_plain_is_read():
    assert parse_json('{"a": [1, 2.5, -9223372036854775807, "ё", null, true]}') == {
        "a": [1, 2.5, -(2**63) + 1, "ё", None, True]
    }
