"""One catalogue of the sentences that people read, in English and in Russian.

``en.toml`` and ``ru.toml`` hold the same keys with the same placeholders (a test holds them to it). An entry is either
a sentence or a table of plural forms (``one``, ``few``, ``many``, ``other``). The value ``n`` chooses the form, or else
the number of ``names``.

A placeholder writes its value as the language does it: ``{n}`` groups thousands, ``{minutes:g}`` formats a number as
Python does, with the language's decimal sign. ``{names}`` quotes and joins a list and cuts a long one, ``{columns}``
writes a dictionary as pairs. A code takes its word from the table that the placeholder names: with ``{part:among}``,
``"val"`` becomes the entry ``among.val``; so do the keys of a dictionary.
"""

import difflib
import re
import string
import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources

from svertka.config import strategy_name
from svertka.messages.shown import shortened, shown
from svertka.schema import Notice

Entry = str | Mapping[str, str]

__all__ = [
    "LANGUAGES",
    "Whole",
    "catalogue",
    "count",
    "decimal",
    "has",
    "listing",
    "plural_form",
    "quoted",
    "sentences",
    "shortened",
    "shown",
    "shown_of",
    "text",
    "word",
]

LANGUAGES = ("en", "ru")
_PLURAL_FORMS = frozenset({"one", "few", "many", "other"})
_NARROW_SPACE = "\u202f"
_MINUS = "\u2212"
_NAMES_SHOWN = 5


class Whole(list[str]):
    """Names that a sentence lists one and all: in a record that stands for itself none may be missing."""


def sentences(*notices: Notice, language: str = "en") -> str:
    """What notices say, one after the other. One that another version wrote down, with other values, is its code."""
    return " ".join(_sentence(notice, language) for notice in notices)


def _sentence(notice: Notice, language: str) -> str:
    try:
        return text(f"notice.{notice.code}.body", language, **notice.values)
    except KeyError:
        return f"[{notice.code.replace('_', ' ')}]"


def text(key: str, language: str = "en", /, **values: object) -> str:
    """Returns the sentence of a key, filled with values.

    Args:
        key: dotted name such as ``"headline.interval"``.
        language: ``"en"`` or ``"ru"``.
        **values: for the placeholders.

    Raises:
        KeyError: the key, the language or a placeholder's value is unknown; close matches are named.
    """
    entry = _entry(key, language)
    if not isinstance(entry, str):
        names = values.get("names")
        number = values.get("n", len(names) if isinstance(names, list) else None)
        if not isinstance(number, int):
            raise KeyError(f"message {key!r} has plural forms and needs a whole number n; received n={number!r}.")
        entry = entry[plural_form(number, language)]
    try:
        return _Writer(language).vformat(entry, (), values)
    except KeyError as missing:
        raise KeyError(f"message {key!r} needs a value for {missing}; received {sorted(values)}.") from None


class _Writer(string.Formatter):
    """Fills placeholders; how a value is written is decided by its type and the placeholder's specification."""

    def __init__(self, language: str) -> None:
        self._language = language

    def format_field(self, value: object, specification: str) -> str:
        """Writes one value."""
        match value:
            case Whole():
                return listing(value, self._language, most=len(value))
            case list():
                return listing(value, self._language)
            case dict():
                pairs = ((word(specification, key, self._language), item) for key, item in value.items())
                return ", ".join(f"{shown(name)}: {self._item(item)}" for name, item in pairs)
            case int() if not specification:
                return count(value, self._language)
            case int() | float():
                return decimal(value, specification, self._language)
        return word(specification, str(value), self._language) if specification else shown(str(value))

    def _item(self, value: object) -> str:
        return quoted(value, self._language) if isinstance(value, str) else self.format_field(value, "")


def word(table: str, code: str, language: str = "en", otherwise: str | None = None) -> str:
    """Returns a table's words for a code such as ``"hand over"``, or else the code itself.

    Args:
        table: ``"step"`` stands for the keys ``step.…``.
        code: spaces and dashes in it are underscores in the catalogue.
        language: ``"en"`` or ``"ru"``.
        otherwise: returned for an unknown code.
    """
    code = strategy_name(code) if table in ("model", "strategy") else code
    key = f"{table}.{code.replace(' ', '_').replace('-', '_')}"
    return text(key, language) if has(key, language) else (code if otherwise is None else otherwise)


def quoted(name: str, language: str = "en") -> str:
    """Puts a name into the language's quotation marks."""
    name = shortened(shown(name))
    return f"«{name}»" if language == "ru" else f"“{name}”"


def shown_of(n: int, most: int) -> int:
    """How many of ``n`` things a list shows that is cut after ``most``: "and 1 more" is no shorter than the one."""
    return n if n <= most + 1 else most


def listing(names: Sequence[str], language: str = "en", most: int = _NAMES_SHOWN) -> str:
    """Joins names: “a”, “b” and “c”; of many, the first five and how many more there are."""
    shown = [quoted(name, language) for name in names[: shown_of(len(names), most)]]
    if len(names) > len(shown):
        return text("names.more", language, first=", ".join(shown), n=len(names) - len(shown))
    if len(shown) < 2:
        return "".join(shown)
    return text("names.and", language, first=", ".join(shown[:-1]), last=shown[-1])


def has(key: str, language: str = "en") -> bool:
    """Whether the catalogue knows a key (for codes that other rooms may add, such as rejection reasons)."""
    return key in catalogue(language)


def count(number: int, language: str = "en") -> str:
    """Writes a whole number with its groups of thousands: 1,672 and 12,500 in English, 1672 and 12 500 in Russian."""
    if language == "ru":
        return str(number) if abs(number) < 10_000 else f"{number:,}".replace(",", _NARROW_SPACE)
    return f"{number:,}"


def decimal(number: float, specification: str, language: str = "en") -> str:
    """Formats a number as Python does, with the language's decimal sign and a true minus."""
    written = format(number, specification).replace("-", _MINUS)
    return written.replace(".", ",") if language == "ru" else written


def plural_form(number: int, language: str = "en") -> str:
    """Names the plural form of a whole number (Unicode CLDR, cardinal rules)."""
    if language != "ru":
        return "one" if number == 1 else "other"
    tens, ones = abs(number) % 100, abs(number) % 10
    if ones == 1 and tens != 11:
        return "one"
    if 2 <= ones <= 4 and not 12 <= tens <= 14:
        return "few"
    return "many"


@lru_cache(maxsize=len(LANGUAGES))
def catalogue(language: str = "en") -> dict[str, Entry]:
    """Loads one language: dotted key to sentence or plural forms. Read once a process.

    Raises:
        KeyError: there is no such language.
    """
    if language not in LANGUAGES:
        raise KeyError(f"language is {language!r}; expected one of {', '.join(LANGUAGES)}.")
    source = resources.files(__name__).joinpath(f"{language}.toml").read_text(encoding="utf-8")
    return dict(_flatten(tomllib.loads(source)))


def _flatten(tree: Mapping[str, object], prefix: str = "") -> list[tuple[str, Entry]]:
    """Turns nested tables into dotted keys; a table of plural forms stays one entry."""
    rows: list[tuple[str, Entry]] = []
    for name, value in tree.items():
        if isinstance(value, str):
            rows.append((prefix + name, _whole_figures(value)))
        elif isinstance(value, dict) and value.keys() <= _PLURAL_FORMS:
            rows.append((prefix + name, {form: _whole_figures(sentence) for form, sentence in value.items()}))
        elif isinstance(value, dict):
            rows.extend(_flatten(value, f"{prefix}{name}."))
        else:
            raise TypeError(f"message {prefix + name!r} is {type(value).__name__}; expected a sentence or a table.")
    return rows


def _whole_figures(sentence: str) -> str:
    """Keeps a figure and its percent sign on one line."""
    return re.sub(r"(?<=\d) %", f"{_NARROW_SPACE}%", sentence)


def _entry(key: str, language: str) -> Entry:
    known = catalogue(language)
    if key in known:
        return known[key]
    close = difflib.get_close_matches(key, known, n=3)
    hint = f" Did you mean {', '.join(close)}?" if close else ""
    raise KeyError(f"no message {key!r} in the {language} catalogue.{hint}")
