"""Detects the text encoding of a table: byte order mark, UTF-8, or the one older encoding that gives words.

Tables name classes in few, short words, of which statistics of whole texts say little: ``é`` of Windows-1252 is ``й``
of Windows-1251. So a reading counts as plausible if one language writes all its words: letters of one alphabet,
capitals where they belong. Where two plausible readings differ, nobody but the person knows, and svertka asks.
"""

import codecs
import math
import re
from dataclasses import dataclass

from svertka.errors import ConfigError, DataError, did_you_mean

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What spreadsheets and terminals have written; of two with the same reading the first is named.
_ENCODINGS = (
    *("cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874"),
    *("koi8_r", "cp866", "mac_cyrillic", "iso8859_5", "iso8859_2", "mac_roman", "cp850", "cp852"),
    *("cp932", "gb18030", "big5", "cp949", "euc_jp"),
)
_RARE = ("cp1258", "iso8859_3", "iso8859_4", "iso8859_10", "iso8859_14", "ptcp154", "kz1048", "koi8_t", "johab")
# Letters beyond a to z. Italian marks last vowels only.
_LATIN = {
    "French": "àâæçèéêëîïôùûœ",
    "German": "äöüß",
    "Spanish": "áéíñóúü",
    "Portuguese": "àáâãçéêíóôõú",
    "Italian": "àèéìòù",
    "Catalan": "àçèéíïòóúü",
    "Dutch": "éëïó",
    "Danish, Norwegian": "åæø",
    "Swedish, Finnish": "äåéö",
    "Icelandic": "áæéíðóöúýþ",
    "Estonian": "äõöüšž",
    "Polish": "ąćęłńóśźż",
    "Czech": "áéíóúýčďěňřšťůž",
    "Slovak": "áäéíóôúýčďĺľňŕšťž",
    "Croatian, Slovene": "ćčđšž",
    "Hungarian": "áéíóöúüőű",
    "Romanian": "âîășțşţ",
    "Turkish": "âçöüğış",
    "Lithuanian": "ąčėęįšūųž",
    "Latvian": "āčēģīķļņšūž",
}
# The commonest letters first.
_OTHERS = {
    "Russian": "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё",
    "Ukrainian": "оаніирвтеслкудмпзяьбгйчхцїжюєшщфґ",
    "Belarusian": "анирыяосктілдеуўпмзчгьбцшйхжюэфё",
    "Bulgarian": "аиоентрсвлкдпмзгяъубчцйжщхфшью",
    "Serbian": "аиоенрсуткјвдмплгзбшцчжњљхћђфџ",
    "Greek": "ατοιενρσκηπςυμλίόάγέδήωχθύφβώξζψϊϋΐΰ",
    "Hebrew": "יוהלרבתמאשנעםדקחפסכגטצןזךףץ",
    "Arabic": "اليمونرتبةعدسفهكقأحجشطصىخإذضزثئغءظآؤ",
    "Thai": "".join(map(chr, range(0x0E01, 0x0E5B))),
}
_RANKS = [{letter: rank for rank, letter in enumerate(letters)} for letters in _OTHERS.values()]
# First bytes of the characters in common use: the first levels of JIS X 0208, GB 2312 and Big5, Korean syllables.
_COMMON_FIRST_BYTES = {
    "cp932": range(0x82, 0x98),
    "euc_jp": range(0xA4, 0xD0),
    "gb18030": range(0xB0, 0xD8),
    "big5": range(0xA4, 0xC7),
    "cp949": range(0xB0, 0xC9),
}
_SYMBOLS = "«»„“”’–—€²³×…№°\xa0"
_WORDS = re.compile(r"[^\W\d_]+(?:[\u0300-\u036f\u0e31-\u0e4e]+[^\W\d_]*)*")
_PROPER = re.compile(r"[«„“]([^«»„“”\n]+)[»“”]|(?<=[^\W\d_])’(?=[^\W\d_])|°(?=[CFС]\b)|(?<=\b[nN])°|(?<=m)[²³]")
_GLUED = re.compile(r"[^\W\d_][^\w\s\x00-\x7f…]|[^\w\s\x00-\x7f…][^\W\d_]|^\xa0|\xa0$", re.MULTILINE)
_LONGEST_TAIL = 8.0  # letters of an alphabet become rarer by e in so many ranks
_CERTAIN = 5.0  # natural logarithm of odds; below it two alphabets are both plausible
_CELLS = 5000  # cells that are looked at
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class DecodedText:
    """What a file says, and in which encoding; ``guessed`` where only its words speak for it."""

    text: str
    encoding: str
    guessed: bool = False


def read_text(data: bytes, name: str, encoding: str = "") -> DecodedText:
    """Decodes a table.

    Args:
        data: the file.
        name: of the file, for messages.
        encoding: as the person says; "" finds it.

    Raises:
        ConfigError: there is no such encoding, or the file isn't written in it.
        DataError: nobody can tell how the file is to be read; the message shows the readings.
    """
    if encoding:
        return DecodedText(_decoded(data, name, encoding), encoding)
    for mark, marked in _MARKS.items():
        if data.startswith(mark):
            try:
                return DecodedText(data.decode(marked), marked)
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{name} begins as {marked.removesuffix('-sig').upper()} text, but it isn't ({error.reason}); the "
                    "file is damaged. Save the table again."
                ) from None
    if b"\0" in data:
        return _without_mark(data, name)
    try:
        return DecodedText(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        return _found(data, name)


def _decoded(data: bytes, name: str, encoding: str) -> str:
    try:
        codec = codecs.lookup(encoding)
        if not codec._is_text_encoding:
            raise LookupError
    except (LookupError, ValueError):
        known = ["utf-8", "utf-16", *_ENCODINGS]
        raise ConfigError(
            f"encoding is {encoding!r}; expected one that Python knows, such as utf-8, cp1251 or cp1252."
            f"{did_you_mean(encoding.lower(), known)}"
        ) from None
    try:
        text = data.decode(encoding)
    except UnicodeError as error:
        raise ConfigError(f"{name} is not written in {encoding} ({error}); name another encoding.") from None
    return text.removeprefix("\ufeff")


def _without_mark(data: bytes, name: str) -> DecodedText:
    """UTF-16 or UTF-32 whose mark was left out: zero bytes in a place that repeats."""
    for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text and re.search(r"[,;\t|\n]", text):
            return DecodedText(text, encoding, guessed=True)
    raise DataError(f"{name} is no table that can be read; expected CSV or TSV text.")


def _found(data: bytes, name: str) -> DecodedText:
    """The reading that is plausible; one whose letters are far commoner wins over others.

    Raises:
        DataError: none is, or several are.
    """
    _check_not_damaged(data, name)
    parts = dict.fromkeys(re.findall(rb"[^,;\t\r\n\"]*[\x80-\xff][^,;\t\r\n\"]*", data))
    cells = b"\n".join(list(parts)[:_CELLS])
    readings: dict[str, str] = {}
    likelihoods: dict[str, float] = {}
    for encoding in _ENCODINGS:
        try:
            text = cells.decode(encoding)
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if text not in readings.values() and (likelihood := _plausible(text, encoding)) is not None:
            readings[encoding], likelihoods[encoding] = text, likelihood
    rated = {encoding: value for encoding, value in likelihoods.items() if not math.isnan(value)}
    if rated:
        best = max(rated.values())
        readings = {
            encoding: text for encoding, text in readings.items() if rated.get(encoding, best) > best - _CERTAIN
        }
    if len(readings) == 1:
        (encoding,) = readings
        return DecodedText(data.decode(encoding), encoding, guessed=True)
    raise DataError(_question(name, readings or _guesses(cells)))


def _check_not_damaged(data: bytes, name: str) -> None:
    """Refuses a file that is UTF-8 but for a few bytes: in no other encoding would so much of it be UTF-8.

    Raises:
        DataError: it says where.
    """
    text = data.decode("utf-8", "replace")
    strange = text.count("\ufffd")
    letters = sum(not letter.isascii() for letter in text) - strange
    if letters >= 10 * strange:
        line = text[: text.index("\ufffd")].count("\n") + 1
        raise DataError(
            f"{name} is UTF-8 but for {strange} of its characters, the first in line {line}; the file is damaged. "
            "Correct that line."
        )


def _guesses(cells: bytes) -> dict[str, str]:
    """Readings that charset-normalizer finds likeliest: of languages whose alphabets aren't known here."""
    from charset_normalizer import from_bytes

    return {match.encoding: str(match) for match in list(from_bytes(cells, cp_isolation=[*_ENCODINGS, *_RARE]))[:2]}


def _question(name: str, readings: dict[str, str]) -> str:
    advice = "in a file for --config, or save the table as UTF-8"
    if not readings:
        return f'{name} is not UTF-8, and its encoding cannot be told; name it, such as encoding = "cp1251", {advice}.'
    readings = dict(sorted(readings.items(), key=lambda reading: (*_ENCODINGS, *_RARE, reading[0]).index(reading[0])))
    lines = [text.split("\n") for text in readings.values()]
    differing = [number for number, cells in enumerate(zip(*lines, strict=False)) if len(set(cells)) == len(cells)]
    differing = differing or list(range(len(lines[0])))
    shown = [
        f"{', '.join(cells[number].strip() for number in differing[:_SHOWN])} ({encoding})"
        for encoding, cells in zip(readings, lines, strict=True)
    ]
    doubt = "may be read as " if len(shown) > 1 else "is not UTF-8; it reads, but not plainly, as "
    return f'{name} {doubt}{" or ".join(shown)}. Say which: encoding = "{next(iter(readings))}" {advice}.'


def _plausible(text: str, encoding: str) -> float | None:
    """Whether one language writes all the words; with the likelihood of their letters where alphabets can be compared.

    Returns:
        None if no language does; otherwise the logarithm of the likelihood, or NaN for Latin letters and ideograms.
    """
    if _GLUED.search(_PROPER.sub(r" \1 ", text)):
        return None
    words = _WORDS.findall(text)
    others = {letter for letter in text if not letter.isascii()} - {letter for word in words for letter in word}
    if others - set(_SYMBOLS) or not all(map(_has_natural_case, words)):
        return None
    words = [word.casefold() if "ß" not in word else word.lower() for word in words if not word.isascii()]
    if encoding in _COMMON_FIRST_BYTES:
        return math.nan if all(_is_common(word, encoding) for word in words) else None
    likelihoods = [
        sum(-ranks[letter] / _LONGEST_TAIL for word in words for letter in word)
        for ranks in _RANKS
        if all(letter in ranks for word in words for letter in word)
    ]
    if likelihoods and words:
        return max(likelihoods)
    for language, letters in _LATIN.items():
        if all(_is_latin(word, letters, last_only=language == "Italian") for word in words):
            return math.nan
    return None


def _has_natural_case(word: str) -> bool:
    parts = re.split(r"(?<=[a-zа-яё]{2})(?=[A-ZА-ЯЁ][a-zа-яё]{2})", word)  # ``redCat`` is red, Cat
    return word == word.upper() or all(part[1:] == part[1:].lower() for part in parts)


def _is_latin(word: str, letters: str, last_only: bool) -> bool:
    marked = [place for place, letter in enumerate(word) if not "a" <= letter <= "z"]
    if any(word[place] not in letters for place in marked):
        return False
    if last_only and any(place != len(word) - 1 for place in marked):
        return False
    return len(word) == 1 or len(marked) < len(word)


def _is_common(word: str, encoding: str) -> bool:
    first_bytes = _COMMON_FIRST_BYTES[encoding]
    return all(
        letter in "ーヶ々" or (len(raw := letter.encode(encoding)) == 2 and raw[0] in first_bytes) for letter in word
    )
