import csv
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from svertka.bundle.predictor import open_predictor, predict_files
from svertka.cli.inputs import find_inputs
from svertka.cli.predict import predict
from svertka.errors import BundleError, ConfigError, DataError, NotFoundError
from svertka.schema import Conformal
from svertka.util.atomic_files import open_regular

HEADER = ["path", "label", "confidence", "p:blue", "p:green", "p:red", "error"]


@pytest.fixture
def bundle(tiny_bundle):
    return str(tiny_bundle.directory)


@pytest.fixture
def inside(colour_folder, monkeypatch):
    """Runs the test inside the folder of colours."""
    monkeypatch.chdir(colour_folder)
    return colour_folder


def rows_of(text):
    return list(csv.reader(io.StringIO(text)))


def names(*arguments):
    return [found.name for found in find_inputs(arguments)]


def test_every_class_gets_its_probability(bundle, inside, capsys):
    assert predict(bundle, ["red", "blue/blue2.png"], threads=1) == 0
    captured = capsys.readouterr()
    header, *rows = rows_of(captured.out)
    assert header == HEADER
    assert [row[:2] for row in rows] == [
        ["red/red2.png", "red"],
        ["red/red10.png", "red"],
        ["blue/blue2.png", "blue"],
    ]
    for row in rows:
        confidence, probabilities = float(row[2]), [float(text) for text in row[3:6]]
        assert confidence == max(probabilities) > 0.7
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert row[6] == ""
    assert captured.err == "3 of 3 files predicted.\n"


def test_thresholds_of_the_bundle_say_when_it_is_unsure(
    write_tiny_bundle, colour_folder, tmp_path, monkeypatch, capsys
):
    # Blue is always possible, green and red only where they are sure.
    conformal = Conformal(target=0.9, thresholds=(1.0, 0.2, 0.2), counts=(9, 9, 9))
    directory = write_tiny_bundle(tmp_path / "bundle", conformal=conformal).directory
    monkeypatch.chdir(colour_folder)
    Image.new("RGB", (32, 32), (90, 90, 80)).save(tmp_path / "gray.png")
    (tmp_path / "broken.png").write_bytes(b"")
    files = ["blue/blue2.png", "red/red2.png", str(tmp_path / "gray.png"), str(tmp_path / "broken.png")]
    assert predict(str(directory), files, threads=1) == 0
    header, *rows = rows_of(capsys.readouterr().out)
    assert header == [*HEADER[:3], "answer", *HEADER[3:]]
    assert [row[3] for row in rows] == ["blue", "unsure: blue | red", "unsure: blue", ""]
    assert [row[1] for row in rows] == ["blue", "red", "green", ""]


def test_an_image_that_is_sure_but_unusual_is_told_from_one_between_classes(
    write_tiny_bundle, colour_folder, tmp_path, monkeypatch, capsys
):
    conformal = Conformal(target=0.9, thresholds=(1e-7, 1e-7, 1e-7), counts=(9, 9, 9))  # nothing is ever that sure
    directory = write_tiny_bundle(tmp_path / "bundle", conformal=conformal).directory
    monkeypatch.chdir(colour_folder)
    assert predict(str(directory), ["blue/blue2.png"], threads=1) == 0
    (row,) = rows_of(capsys.readouterr().out)[1:]
    assert row[1] == "blue" and float(row[2]) > 0.9
    assert row[3] == "unsure (no class is possible)"


def test_python_gets_what_the_command_line_prints(write_tiny_bundle, colour_folder, tmp_path, monkeypatch, capsys):
    conformal = Conformal(target=0.9, thresholds=(1.0, 0.2, 0.2), counts=(9, 9, 9))
    directory = write_tiny_bundle(tmp_path / "bundle", conformal=conformal).directory
    monkeypatch.chdir(colour_folder)
    (tmp_path / "broken.png").write_bytes(b"")
    files = ["blue/blue2.png", "red/red2.png", str(tmp_path / "broken.png")]
    results = list(predict_files(open_predictor(directory, threads=1), files))
    assert [result.possible for result in results] == [("blue",), ("blue", "red"), None]
    assert [result.is_unsure for result in results] == [False, True, False]
    assert [result.out_of_distribution for result in results] == [None] * 3  # the bundle remembers no images
    predict(str(directory), files, threads=1)
    rows = rows_of(capsys.readouterr().out)[1:]
    assert [[result.label, result.answer, result.error] for result in results] == [[r[1], r[3], r[-1]] for r in rows]


def test_each_file_of_a_bundle_is_read_once(bundle, inside, monkeypatch):
    opened = []
    monkeypatch.setattr(
        "svertka.bundle.bundle.open_regular", lambda path: opened.append(path.name) or open_regular(path)
    )
    assert predict(bundle, ["red"], threads=1) == 0
    assert sorted(opened) == ["model.onnx", "training_hashes.txt", "weights.safetensors"]


YESTERDAY = "path,label,confidence,p:red,error\n"  # a table of an earlier call, which alone may be replaced


def test_rows_go_to_a_file_that_is_whole_or_absent(bundle, inside, tmp_path, capsys):
    out = tmp_path / "out.csv"
    out.write_text(YESTERDAY)
    assert predict(bundle, ["."], str(out), threads=1) == 0
    assert [row[1] for row in rows_of(out.read_text("utf-8"))[1:]] == ["blue", "blue", "green", "green", "red", "red"]
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"6 of 6 files predicted, written to {out}.\n")


def test_a_job_that_breaks_leaves_the_old_file(bundle, inside, tmp_path, monkeypatch):
    out = tmp_path / "out.csv"
    out.write_text(YESTERDAY)

    def broken(*args, **kwargs):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("svertka.cli.answers.predict_files", broken)
    with pytest.raises(KeyboardInterrupt):
        predict(bundle, ["."], str(out))
    assert out.read_text() == YESTERDAY
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_unreadable_files_are_rows_and_none_readable_is_exit_code_2(bundle, tmp_path, capsys):
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "drawing.svg").write_text("<svg/>")
    Image.new("RGB", (40, 40)).save(tmp_path / "whole.png")
    cut = (tmp_path / "whole.png").read_bytes()[:60]
    (tmp_path / "cut.png").write_bytes(cut)
    assert predict(bundle, [str(tmp_path)], threads=1) == 0
    rows = {Path(row[0]).name: row for row in rows_of(capsys.readouterr().out)[1:]}
    assert list(rows) == ["cut.png", "drawing.svg", "empty.png", "whole.png"]
    assert rows["cut.png"][6].startswith("truncated: ")
    assert rows["drawing.svg"][6].startswith("unsupported: SVG")
    assert rows["empty.png"][1:] == ["", "", "", "", "", "empty: the file has zero bytes"]
    (tmp_path / "whole.png").unlink()
    assert predict(bundle, [str(tmp_path)], threads=1) == 2
    assert capsys.readouterr().err.startswith("0 of 3 files predicted.\n3 could not be read")


def test_a_reader_that_goes_away_ends_the_job_quietly(bundle, inside):
    code = f"from svertka.cli.predict import predict; raise SystemExit(predict({bundle!r}, ['red'] * 2000, threads=1))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=inside)
    assert process.stdout.readline().decode().startswith("path,label")
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert (process.wait(60), errors) == (0, "")


def test_names_that_are_no_unicode_come_out_as_they_are(bundle, inside):
    name = b"\xff\xfered.png"
    folder = os.fsencode(inside.parent / "odd names")
    try:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 (bytes)
        shutil.copy(os.fsencode(inside / "red" / "red2.png"), os.path.join(folder, name))  # noqa: PTH118 (bytes)
    except (OSError, UnicodeError):
        pytest.skip("this file system takes Unicode names only")
    code = f"from svertka.cli.predict import predict; raise SystemExit(predict({bundle!r}, ['odd names'], threads=1))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=inside.parent, check=True)
    assert b"odd names/\xff\xfered.png,red," in run.stdout


def test_starting_needs_no_heavy_package(bundle, inside):
    code = (
        "import sys; from svertka.cli.predict import predict\n"
        f"predict({bundle!r}, ['red'], 'out of the way.csv', 1)\n"
        "heavy = {'torch', 'torchvision', 'timm', 'onnx', 'safetensors', 'sklearn', 'scipy', 'rich'}\n"
        "print(*sorted(heavy & {*sys.modules}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=inside, check=True, text=True)
    (inside / "out of the way.csv").unlink()
    assert run.stdout == "\n"


# --- what a path may be ----------------------------------------------------------------------------------------------


def test_folders_are_searched_in_natural_order_without_hidden_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b/2.png", "b/10.JPG", "a.webp", ".hidden/3.png", "b/.4.png", "__MACOSX/5.png", "b/notes.txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    assert names(".") == ["a.webp", "b/2.png", "b/10.JPG"]
    assert names("b/notes.txt", "b") == ["b/notes.txt", "b/2.png", "b/10.JPG"]


def test_globs_are_expanded(inside):
    assert names("*/*2.png") == ["blue/blue2.png", "green/green2.png", "red/red2.png"]
    assert names("**/red*.png") == ["red/red2.png", "red/red10.png"]
    assert names("r*") == ["red/red2.png", "red/red10.png"]


def test_a_file_whose_name_looks_like_a_glob_is_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("cat[1].png").write_bytes(b"")
    Path("cat1.png").write_bytes(b"")
    assert names("cat[1].png") == ["cat[1].png"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.csv", "id,Path\n7,red/red10.png\n8,blue/blue2.png\n9,nowhere.png\n"),
        ("list.tsv", "\ufeffimage\tlabel\nred/red10.png\tx\nblue/blue2.png\ty\nnowhere.png\tz\n"),
        ("semicolons.csv", "label;filename\r\nx;red/red10.png\r\n;blue/blue2.png\r\n;nowhere.png\r\n\r\n"),
    ],
)
def test_tables_name_files_beside_them(bundle, colour_folder, capsys, name, text):
    table = colour_folder / name
    table.write_bytes(text.encode())
    assert predict(bundle, [str(table)], threads=1) == 0
    table.unlink()
    rows = rows_of(capsys.readouterr().out)[1:]
    assert [row[:2] for row in rows] == [["red/red10.png", "red"], ["blue/blue2.png", "blue"], ["nowhere.png", ""]]
    assert rows[2][6] == "unreadable: the file does not exist"


def test_other_files_of_a_folder_are_told(inside, tmp_path, capsys):
    for name in ("a.png", "b", "c.jpg_large"):
        Image.new("RGB", (8, 8)).save(tmp_path / name, "PNG")
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / "clip.mp4").write_bytes(b"\0\0\0\x18ftypisom")
    assert [Path(name).name for name in names(str(tmp_path))] == ["a.png", "b", "c.jpg_large"]
    assert capsys.readouterr().err == "2 files that are no images were skipped (.mp4: 1, .txt: 1).\n"
    assert [Path(name).name for name in names(str(tmp_path / "*"))] == ["a.png", "b", "c.jpg_large"]
    assert "2 files that are no images" in capsys.readouterr().err
    with pytest.raises(NotFoundError, match=r"notes\* matches no image file \(other files: \.txt: 1\)"):
        find_inputs([str(tmp_path / "notes*")])


def test_what_means_no_file_is_an_error(inside, tmp_path):
    with pytest.raises(NotFoundError, match=r"reed\.png does not exist; expected an image, a folder, a quoted glob"):
        find_inputs(["reed.png"])
    with pytest.raises(NotFoundError, match=r"\*\.jpg matches no image file"):
        find_inputs(["*.jpg"])
    with pytest.raises(NotFoundError, match="holds no image file"):
        find_inputs([str(tmp_path)])
    (tmp_path / "a.csv").write_text("name of it,label\nx,y\n")
    with pytest.raises(
        DataError, match=r"a\.csv has no column that looks like the path \(columns: name of it, label\)"
    ):
        find_inputs([str(tmp_path / "a.csv")])
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(DataError, match=r"a\.csv is empty"):
        find_inputs([str(tmp_path / "a.csv")])
    (tmp_path / "a.csv").write_text("path,label\n")
    with pytest.raises(NotFoundError, match="names no file; expected at least one path"):
        find_inputs([str(tmp_path / "a.csv")])


def test_a_competition_table_names_ids_of_its_test_folder(tmp_path):
    for folder in ("train", "test"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "7.png").write_bytes(b"")
    (tmp_path / "sample_submission.csv").write_text("id,label\n7,0\n8,0\n")
    found = find_inputs([str(tmp_path / "sample_submission.csv")])
    assert [(one.name, one.file) for one in found] == [("7", tmp_path / "test" / "7.png"), ("8", tmp_path / "8")]


def test_places_that_cannot_be_written_fail_before_the_work(bundle, inside, tmp_path):
    with pytest.raises(NotFoundError, match=r"nowhere does not exist; expected a folder to write out\.csv into"):
        predict(bundle, ["red"], str(tmp_path / "nowhere" / "out.csv"))
    with pytest.raises(ConfigError, match="is a folder; expected the name of a file to write"):
        predict(bundle, ["red"], str(tmp_path))


def test_a_folder_without_a_bundle_is_an_error(inside):
    with pytest.raises(BundleError, match=r"manifest\.json is missing"):
        predict(".", ["red"])


def test_an_input_is_never_written_over(bundle, inside, tmp_path):
    table = inside / "list.csv"
    table.write_text("path,mine\nred/red10.png,a note\n")
    for out in ("list.csv", "red/red10.png"):
        before = Path(out).read_bytes()
        with pytest.raises(ConfigError, match="is one of the inputs and would be overwritten"):
            predict(bundle, ["list.csv"], out, 1)
        assert Path(out).read_bytes() == before
    table.unlink()


def test_only_an_earlier_table_is_replaced(bundle, inside):
    mine = inside / "mine.csv"
    mine.write_text("path,mine\n")
    for place in ("mine.csv", os.devnull):
        with pytest.raises(ConfigError, match=r"isn't an earlier result|no regular file"):
            predict(bundle, ["red"], place, 1)
    assert mine.read_text() == "path,mine\n"
    for _ in range(2):
        predict(bundle, ["red"], "answers.csv", 1)
    mine.unlink()
    Path("answers.csv").unlink()


# --- the NumPy twin --------------------------------------------------------------------------------------------------


def test_both_engines_say_the_same(bundle, inside, capsys):
    rows = {}
    for engine in ("onnx", "numpy"):
        assert predict(bundle, ["."], threads=2, engine=engine) == 0
        rows[engine] = rows_of(capsys.readouterr().out)[1:]
    assert len(rows["onnx"]) == 6
    for one, other in zip(rows["onnx"], rows["numpy"], strict=True):
        assert one[:2] == other[:2]
        assert [float(p) for p in one[2:6]] == pytest.approx([float(p) for p in other[2:6]], abs=1e-4)


def test_an_unknown_engine_is_an_error(bundle, inside):
    with pytest.raises(
        ConfigError, match=r"engine is 'nunpy'; expected one of auto, onnx, numpy\. Did you mean numpy\?"
    ):
        predict(bundle, ["red"], engine="nunpy")


def test_the_twin_needs_neither_torch_nor_onnx_runtime(bundle, inside):
    code = (
        "import sys; from svertka.cli.predict import predict\n"
        f"predict({bundle!r}, ['red'], 'out of the way.csv', 1, 'numpy')\n"
        "heavy = {'torch', 'torchvision', 'timm', 'onnx', 'onnxruntime', 'safetensors', 'sklearn', 'scipy'}\n"
        "print(*sorted(heavy & {*sys.modules}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=inside, check=True, text=True)
    (inside / "out of the way.csv").unlink()
    assert run.stdout == "\n"


# --- fewer classes, spreadsheets, patterns, tables -------------------------------------------------------------------


def test_only_the_likeliest_classes(bundle, inside, capsys):
    for k, columns in ((1, []), (2, ["label_2", "confidence_2"]), (3, [*"ab"])):
        assert predict(bundle, ["red/red2.png"], threads=1, top_k=k) == 0
        header, row = rows_of(capsys.readouterr().out)
        assert len(header) == len(row) == 4 + 2 * (k - 1)
        assert header[3:-1] == columns or k == 3
        confidences = [float(cell) for cell in row[2:-1:2]]
        assert confidences == sorted(confidences, reverse=True)
        assert len(set(row[1:-1:2])) == k
    assert predict(bundle, ["red/red2.png"], threads=1) == 0
    full = dict(zip(*rows_of(capsys.readouterr().out), strict=True))
    assert {name: full[f"p:{name}"] for name in row[1:-1:2]} == dict(zip(row[1:-1:2], row[2:-1:2], strict=True))
    for k in (4, -1):
        with pytest.raises(ConfigError, match=rf"--top-k is {k}; expected 1 to 3, the number of classes"):
            predict(bundle, ["red"], top_k=k)


def test_probabilities_have_six_decimals(bundle, inside, capsys):
    predict(bundle, ["."], threads=1)
    _, *rows = rows_of(capsys.readouterr().out)
    assert {len(cell) for row in rows for cell in row[2:6]} == {len("0.930611")}


def test_a_spreadsheet_opens_it_by_a_double_click(bundle, colour_folder, tmp_path, monkeypatch):
    names = ["=1+1.png", "+x.png", "-x.png", "@x.png", "\tx.png", "кот; é.png", "plain.png"]
    monkeypatch.chdir(tmp_path)
    for name in names:
        shutil.copy(colour_folder / "red" / "red2.png", name)
    assert predict(bundle, names, "out.csv", 1, excel=True) == 0
    written = Path("out.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbfpath;label;confidence;")
    with Path("out.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file, delimiter=";"))
    assert [row[0] for row in rows[1:]] == [*(f"'{name}" for name in names[:5]), *names[5:]]
    assert all("," in cell and float(cell.replace(",", ".")) <= 1 for row in rows[1:] for cell in row[2:6])
    assert predict(bundle, names, "out.csv", 1, excel=True) == 0  # an earlier one is replaced, by either kind
    assert predict(bundle, names, "out.csv", 1) == 0
    with Path("out.csv").open(encoding="utf-8", newline="") as file:
        assert [row[0] for row in csv.reader(file)][1:] == names  # as pandas and R write them


def test_leading_folders_of_a_pattern_are_taken_as_they_are(colour_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("sets [2024]", "a*b", "sets [2024]/[x]y"):
        Path(folder).mkdir()
        shutil.copy(colour_folder / "red" / "red2.png", Path(folder) / "1.png")
    assert names("sets [2024]/*.png") == ["sets [2024]/1.png"]
    assert names(f"{tmp_path}/sets [2024]/*/*.png") == [f"{tmp_path}/sets [2024]/[x]y/1.png"]
    assert names("sets [2024]/**/*.png") == ["sets [2024]/1.png", "sets [2024]/[x]y/1.png"]
    assert names("sets [[]2024]/*.png") == ["sets [2024]/1.png"]
    assert names("a*b/*.png", "s*/*.png") == ["a*b/1.png", "sets [2024]/1.png"]
    assert names("./sets [2024]/[x]y/[0-9].png") == ["sets [2024]/[x]y/1.png"]


def test_a_configuration_says_how_a_table_is_read(bundle, colour_folder, tmp_path, capsys):
    (tmp_path / "t.csv").write_bytes("où\nred/red2.png\nred/été.png\n".encode("cp1252"))
    config = tmp_path / "c.toml"
    config.write_text(f'path_column = "où"\nencoding = "cp1252"\nimages = "{colour_folder}"\n')
    assert predict(bundle, [str(tmp_path / "t.csv")], threads=1, config_file=str(config)) == 0
    _, *rows = rows_of(capsys.readouterr().out)
    assert [(row[0], row[1]) for row in rows] == [("red/red2.png", "red"), ("red/été.png", "")]


def test_a_name_that_two_files_bear_is_a_row_that_says_so(bundle, colour_folder, tmp_path, capsys):
    for name in ("0_0.png", "0_0.jpg", "1_0.png"):
        shutil.copy(colour_folder / "red" / "red2.png", tmp_path / name)
    (tmp_path / "t.csv").write_text(f"id\n0_0\n1_0\n{'7' * 5000}\n")
    assert predict(bundle, [str(tmp_path / "t.csv")], threads=1) == 0
    _, *rows = rows_of(capsys.readouterr().out)
    assert [row[-1] for row in rows[:2]] == ["two files match: 0_0.jpg and 0_0.png", ""]
    assert rows[2][-1].startswith("unreadable: ")


def test_nothing_is_recorded_for_the_makers_of_onnx_runtime(tiny_bundle, colour_folder, tmp_path):
    # It is silent in CI and in its own tests; what a user has is a home folder, which the two would share.
    silent = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME")
    surroundings = {name: value for name, value in os.environ.items() if name not in silent}
    command = [sys.executable, "-c", "from svertka.cli import main; main()", "predict", tiny_bundle.directory, "."]
    done = subprocess.run(
        [*map(str, command)], cwd=colour_folder, env=surroundings | {"HOME": str(tmp_path)}, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    assert not list(tmp_path.rglob("*"))
