"""Names that would act on a terminal, a spreadsheet or a reader: shown written out, kept whole in tables."""

import csv
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from svertka.messages import LANGUAGES, Translator, sentences, shortened, shown
from svertka.schema import Notice

CLEARS, REVERSES, BREAKS, BYTES = "\x1b[2J\x1b]0;owned\x07", "\u202egnp.exe\u2066", "a\nsvertka: all is well", "\udcff"
HOSTILE = CLEARS + REVERSES + "\x9b31m\u2028\r\b"
ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def svertka(*arguments, cwd=None):
    program = [sys.executable, "-c", "from svertka.cli.main import main; main()"]
    done = subprocess.run([*program, *map(str, arguments)], cwd=cwd, capture_output=True, check=False)
    return done.returncode, *(text.decode(errors="surrogateescape") for text in (done.stdout, done.stderr))


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("plain кот 猫 é – “x”", "plain кот 猫 é – “x”"),
        ("a\x1b[31m", "a\\u001b[31m"),
        ("\x9b1m\x7f", "\\u009b1m\\u007f"),
        ("exe\u202egnp", "exe\\u202egnp"),
        ("a\r\nb\tc", "a\\u000d\\u000ab\\u0009c"),
        ("caf\udce9", "caf\\udce9"),
        ("می\u200cخواهم 👨\u200d👩", "می\u200cخواهم 👨\u200d👩"),  # joiners are part of words and pictures
    ],
)
def test_what_acts_is_written_out_and_the_rest_stays(name, written):
    assert shown(name) == written
    assert shown(name, keep="\n\t") == written.replace("\\u000a", "\n").replace("\\u0009", "\t")


def test_endless_words_are_cut(tiny_bundle, tmp_path):
    assert shortened(f"a {'7' * 5000}, b") == f"a {'7' * 100}…{'7' * 49}, b"
    assert shortened("x" * 299) == "x" * 299
    assert len(Translator("en").quoted("y" * 5000)) == 153
    (tmp_path / "t.csv").write_text(f"path,label\n{'7' * 5000},a\n")
    code, out, err = svertka("evaluate", tiny_bundle.directory, tmp_path / "t.csv")
    assert (code, out) == (2, "")
    assert re.fullmatch(r"svertka: .* none of 1 files can be used; 7{100}…7{49}: missing, row 2 names it, .*\n", err)


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_in_sentences_are_written_out(language):
    notice = Notice("class_without_images", {"folder": HOSTILE + BREAKS})
    listed = Notice("labels_like_missing", {"names": [HOSTILE, BREAKS]})
    columns = Notice("table_columns", {"table": "t.csv", "columns": {"path": HOSTILE}})
    said = sentences(notice, listed, columns, language=language) + Translator(language).quoted(BREAKS)
    assert not ACTING.search(said)
    assert "\n" not in said
    assert "\\u001b[2J" in said


@pytest.fixture
def hostile_folder(colour_folder, tmp_path):
    """Images whose names hold what a file system lets them hold."""
    folder = tmp_path / "images"
    for number, name in enumerate((CLEARS, REVERSES, BREAKS, BYTES, "=1+1", "-x", "@y")):
        target = folder / ("red" if number % 2 else "blue") / f"{name.replace('/', '')}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(colour_folder / target.parent.name / f"{target.parent.name}2.png", target)
        broken = target.with_name(f"broken {target.name}")
        broken.write_bytes(b"no image")
    return folder


def test_the_terminal_shows_them_and_tables_keep_them(tiny_bundle, hostile_folder, tmp_path):
    code, out, err = svertka("predict", tiny_bundle.directory, hostile_folder)
    assert code == 0
    assert not ACTING.search(err)
    names = {row[0] for row in csv.reader(out.splitlines(keepends=True))} - {"path"}
    assert names == {str(path) for path in hostile_folder.rglob("*.png")}

    code, out, err = svertka("evaluate", tiny_bundle.directory, hostile_folder, "--out", tmp_path / "judged")
    assert code == 0
    assert not ACTING.search(out + err)
    assert "\nsvertka: all is well" not in out + err
    with (tmp_path / "judged" / "predictions.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    assert {f"blue/{CLEARS}.png", f"red/{REVERSES}.png", f"blue/{BREAKS}.png", f"red/{BYTES}.png"} <= set(paths)


@pytest.mark.parametrize("verb", ["train", "predict", "report", "explain"])
def test_errors_show_them(tiny_bundle, tmp_path, verb):
    table = tmp_path / "t.csv"
    table.write_text(f'"{HOSTILE}","{BREAKS}"\nx,y\nz,y\n', encoding="utf-8")
    arguments = {"predict": (tiny_bundle.directory, table), "evaluate": (tiny_bundle.directory, table)}
    arguments |= {"report": (f"no{CLEARS}run",), "explain": (tiny_bundle.directory, table, "--out", tmp_path / "page")}
    code, out, err = svertka(verb, *arguments.get(verb, (table,)))
    assert code == 2
    assert not ACTING.search(out + err)
    assert err.count("\n") == 1
    assert err.startswith("svertka: ")


def test_what_a_bundle_says_of_itself_is_shown(write_tiny_bundle, colour_folder, tmp_path):
    names = ("blue", f"green{CLEARS}", f"red{REVERSES}")
    bundle = write_tiny_bundle(tmp_path / "bundle", class_names=names)
    code, out, err = svertka("evaluate", bundle.directory, colour_folder)
    assert code == 2
    assert "\\u001b[2J" in err
    assert not ACTING.search(out + err)


@pytest.mark.parametrize("language", LANGUAGES)
def test_card_and_report_show_them(tmp_path, monkeypatch, language):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "unit")
    from report_runs import make_run

    from svertka.report import build_report, write_card

    run = make_run(tmp_path, (HOSTILE, BREAKS + REVERSES), images=False, language=language)
    paths = tuple(f"{number}{HOSTILE}{BYTES}" for number in range(len(run.test.paths)))
    run = replace(run, test=replace(run.test, paths=paths), notices=(Notice("folders_ignored", {"names": [HOSTILE]}),))
    for file in (build_report(run, tmp_path / "report.html"), write_card(run, tmp_path / "card.md")):
        text = file.read_bytes().decode()
        assert not ACTING.search(text)
        assert re.search(r"\\+u001b", text)
        assert re.search(r"\\+u202e", text)


# --- streams that are closed or full ---------------------------------------------------------------------------------


def shell(line, cwd):
    script = f"svertka() {{ '{sys.executable}' -c 'from svertka.cli.main import main; main()' \"$@\"; }}\n{line}"
    return subprocess.run(["sh", "-c", script], cwd=cwd, capture_output=True, text=True, check=False, env=os.environ)


@pytest.mark.skipif(os.name != "posix", reason="closes streams as a POSIX shell does")
@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("svertka predict bundle images >&-", 2, r"svertka: standard output is closed, .* --out\.\n"),
        ("svertka predict bundle images --out a.csv >&-", 0, r"6 of 6 files predicted, written to a\.csv\.\n"),
        ("svertka predict bundle images --out a.csv 2>&-", 0, ""),
        ("svertka predict bundle images --out a.csv <&- >&- 2>&-", 0, ""),
        ("svertka predict bundle nowhere 2>&-", 2, ""),
        ("svertka evaluate bundle images >&-", 0, ""),
        ("svertka predict bundle images >/dev/full", 2, r"svertka: a file could not be written .*\n"),
    ],
)
def test_closed_and_full_streams(tiny_bundle, colour_folder, tmp_path, line, code, said):
    shutil.copytree(tiny_bundle.directory, tmp_path / "bundle")
    shutil.copytree(colour_folder, tmp_path / "images")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = shell(line, tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert re.fullmatch(said, done.stderr)
    assert {path: path.read_bytes() for path in before} == before
    if "--out" in line:
        assert (tmp_path / "a.csv").read_text().count("\n") == 7


def test_answers_go_on_when_nobody_hears_what_is_said(tiny_bundle, colour_folder, tmp_path):
    shutil.copytree(tiny_bundle.directory, tmp_path / "bundle")
    shutil.copytree(colour_folder, tmp_path / "images")
    done = shell("svertka predict bundle images 2>&-", tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("path,label,confidence,")
    assert done.stdout.count("\n") == 7
