"""Encodings of tables: told by a mark, found by the words, or asked for; never another text in silence."""

import codecs
from pathlib import Path

import pytest

from svertka.config import RunConfig
from svertka.data.encodings import read_text
from svertka.data.files import list_files
from svertka.errors import DataError
from svertka.messages import sentences

# Names as people give them, and how they may lie on a disk.
WORDS = {
    "cp1252": "Café Müsli Jalapeño / Köln Straße Übung / Blåbær Rødgrød / Épinard Pêche Cœur / maçã pão / älg sjö får",
    "mac_roman": "Épinard Pêche crème / Köln Straße Größe Übung Äpfel Bär",
    "cp850": "Größe Übung Bär Köln / jalapeño señor árbol",
    "cp1250": "żółw ręka wąż / kůň kočka želva řeka / szőlő tűz őz bárány",
    "iso8859_2": "żółw ręka wąż źrebię / želva myš žába ještěrka",
    "cp1254": "köpek kuş ağaç çiçek",
    "cp1257": "šuo katė žąsis ūkas",
    "cp1251": "кошка собака / дефект норма трещина / КОШКА СОБАКА ЛОШАДЬ / Пёс Кот Щука Цапля / кіт їжак вівця",
    "koi8_r": "кошка собака лошадь / дефект норма трещина",
    "cp866": "кошка собака / дефект норма / Кот Пёс / да нет",
    "iso8859_5": "кошка собака лошадь",
    "cp1253": "γάτα σκύλος άλογο",
    "cp1256": "قطة كلب حصان طائر شجرة بيت",
    "cp932": "ねこ いぬ トリ",
    "gb18030": "正常 缺陷 苹果 玫瑰 树",
    "big5": "貓 狗 馬 鳥 樹 蘋果",
    "cp949": "고양이 개 말 새 나무",
}
CASES = [(encoding, names.split()) for encoding, sets in WORDS.items() for names in sets.split(" / ")]


def table(names: list[str], encoding: str) -> bytes:
    rows = (f"images/{number:03}.png,{names[number % len(names)]}\n" for number in range(30))
    return ("image,label\n" + "".join(rows)).encode(encoding)


@pytest.mark.parametrize(("encoding", "names"), CASES)
def test_names_come_right_or_are_asked_for(encoding: str, names: list[str]) -> None:
    """In full, and each of them alone, where less speaks for one reading."""
    for some in [names, *([name] for name in names)]:
        data = table(some, encoding)
        try:
            assert read_text(data, "t.csv").text == data.decode(encoding)
        except DataError as asked:
            assert "in a file for --config, or save the table as UTF-8" in str(asked)


SURE = [case for case in CASES if case[0] not in ("cp949",)]


@pytest.mark.parametrize(("encoding", "names"), SURE)
def test_several_names_of_one_language_are_enough(encoding: str, names: list[str]) -> None:
    read = read_text(table(names, encoding), "t.csv")
    assert read.text == table(names, encoding).decode(encoding)
    assert read.guessed


@pytest.mark.parametrize(
    ("name", "encoding", "says"),
    [
        (
            "Señor",
            "cp1252",
            r"t\.csv may be read as Señor \(cp1252\) or Seńor \(cp1250\).* Say which: encoding = \"cp1252\"",
        ),
        ("kočka", "cp1250", r"kočka \(cp1250\)"),
        ("да", "cp1251", r"да \(cp1251\).* or ДЮ \(koi8_r\)"),
        ("고양이", "cp949", r"고양이 \(cp949\)"),
        ("қазақ", "ptcp154", r"ќазаќ \(cp1251\)"),
    ],
)
def test_what_may_be_read_in_several_ways_is_asked_for(name: str, encoding: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_text(table([name], encoding), "t.csv")


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
@pytest.mark.parametrize("marked", [False, True])
def test_unicode_with_and_without_a_mark(encoding: str, marked: bool) -> None:
    names = ["кошка", "Café", "猫", "🐈"]
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE, "utf-32-le": codecs.BOM_UTF32_LE,
            "utf-32-be": codecs.BOM_UTF32_BE}.get(encoding, b"") if marked else b""  # fmt: skip
    read = read_text(mark + table(names, encoding), "t.csv")
    assert read.text == table(names, "utf-8").decode()


def test_a_damaged_file_says_so() -> None:
    with pytest.raises(DataError, match=r"begins as UTF-16 text, but it isn't \("):
        read_text(codecs.BOM_UTF16_LE + b"a\0\0\xd8", "t.csv")
    with pytest.raises(DataError, match=r"begins as UTF-8 text, but it isn't \("):
        read_text(codecs.BOM_UTF8 + b"\xff,label", "t.csv")


def test_utf8_with_a_few_strange_bytes_is_damaged_not_another_encoding() -> None:
    data = table(["кошка", "собака"], "utf-8")
    with pytest.raises(DataError, match=r"is UTF-8 but for 1 of its characters, the first in line 2;"):
        read_text(data.replace("а".encode(), b"\xd0", 1), "t.csv")


@pytest.mark.parametrize("symbols", ["20 °C,n° 5", "«Кот»,№ 5"])
def test_signs_are_no_letters(symbols: str) -> None:
    encoding = "cp1252" if "°" in symbols else "cp1251"
    data = table(symbols.split(","), encoding)
    try:
        assert read_text(data, "t.csv").text == data.decode(encoding)
    except DataError as asked:
        assert symbols.split(",")[0] in str(asked)


def test_the_encoding_is_named_and_may_be_said(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / f"{number:03}.png").write_bytes(b"")
    (tmp_path / "c.csv").write_bytes(table(["Café", "Müsli", "Jalapeño"], "cp1252"))
    listing = list_files(tmp_path / "c.csv")
    assert {entry.label for entry in listing.entries} == {"Café", "Müsli", "Jalapeño"}
    assert [sentences(notice) for notice in listing.notices][1:] == [
        "c.csv is not UTF-8; by its words it is cp1252 (“Café”, “Müsli” and “Jalapeño”). If that reads wrong, name "
        "another as `encoding`."
    ]
    (tmp_path / "c.csv").write_bytes(table(["Señor", "Niño"], "cp1252"))
    listing = list_files(tmp_path / "c.csv", RunConfig(data="c.csv", encoding="cp1252"))
    assert {entry.label for entry in listing.entries} == {"Señor", "Niño"}
    assert [notice.code for notice in listing.notices] == ["table_columns"]
