"""One catalogue of the sentences that people read, in English and in Russian.

``en.toml`` and ``ru.toml`` hold the same keys with the same placeholders (a test holds them to it). An entry is either
a sentence or a table of plural forms (``one``, ``few``, ``many``, ``other``), of which the value ``n`` chooses.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

Entry = str | Mapping[str, str]

__all__ = ["LANGUAGES", "catalogue", "count", "has", "plural_form", "text"]

LANGUAGES = ("en", "ru")
_PLURAL_FORMS = frozenset({"one", "few", "many", "other"})
_NARROW_SPACE = "\u202f"


def text(key: str, language: str = "en", **values: object) -> str:
    """Returns the sentence of a key, filled with values.

    Whole numbers are grouped as the language does it; every other value is put in as it is.

    Args:
        key: dotted name such as ``"headline.interval"``.
        language: ``"en"`` or ``"ru"``.
        **values: for the placeholders; ``n`` also chooses the plural form.

    Raises:
        KeyError: the key, the language or a placeholder's value is unknown; close matches are named.
    """
    entry = _entry(key, language)
    if not isinstance(entry, str):
        number = values.get("n")
        if not isinstance(number, int):
            raise KeyError(f"message {key!r} has plural forms and needs a whole number n; received n={number!r}.")
        entry = entry[plural_form(number, language)]
    filled = {name: count(value, language) if type(value) is int else value for name, value in values.items()}
    try:
        return entry.format_map(filled)
    except KeyError as missing:
        raise KeyError(f"message {key!r} needs a value for {missing}; received {sorted(values)}.") from None


def has(key: str, language: str = "en") -> bool:
    """Whether the catalogue knows a key (for codes that other rooms may add, such as rejection reasons)."""
    return key in catalogue(language)


def count(number: int, language: str = "en") -> str:
    """Writes a whole number with its groups of thousands: 1,672 and 12,500 in English, 1672 and 12 500 in Russian."""
    if language == "ru":
        return str(number) if abs(number) < 10_000 else f"{number:,}".replace(",", _NARROW_SPACE)
    return f"{number:,}"


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
            # A figure and its percent sign stay on one line.
            rows.append((prefix + name, re.sub(r"(?<=\d) %", f"{_NARROW_SPACE}%", value)))
        elif isinstance(value, dict) and value.keys() <= _PLURAL_FORMS:
            rows.append((prefix + name, value))
        elif isinstance(value, dict):
            rows.extend(_flatten(value, f"{prefix}{name}."))
        else:
            raise TypeError(f"message {prefix + name!r} is {type(value).__name__}; expected a sentence or a table.")
    return rows


def _entry(key: str, language: str) -> Entry:
    known = catalogue(language)
    if key in known:
        return known[key]
    close = difflib.get_close_matches(key, known, n=3)
    hint = f" Did you mean {', '.join(close)}?" if close else ""
    raise KeyError(f"no message {key!r} in the {language} catalogue.{hint}")
