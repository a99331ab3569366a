"""The entries of a language by dotted keys, read from ``en.toml`` or ``ru.toml``."""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources

Entry = str | Mapping[str, str]
"""A sentence, or its plural forms."""

LANGUAGES = ("en", "ru")
NARROW_SPACE = "\u202f"
_PLURAL_FORMS = frozenset({"one", "few", "many", "other"})


@lru_cache(maxsize=len(LANGUAGES))
def catalogue(language: str = "en") -> dict[str, Entry]:
    """Loads one language: dotted key to sentence or plural forms. Read once a process.

    Raises:
        KeyError: there is no such language.
    """
    if language not in LANGUAGES:
        raise KeyError(f"language is {language!r}; expected one of {', '.join(LANGUAGES)}.")
    source = resources.files("svertka.messages").joinpath(f"{language}.toml").read_text(encoding="utf-8")
    return dict(_flatten(tomllib.loads(source)))


def _flatten(tree: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, Entry]]:
    """Turns nested tables into dotted keys; a table of plural forms stays one entry."""
    for name, value in tree.items():
        if isinstance(value, str):
            yield prefix + name, _whole_figures(value)
        elif isinstance(value, dict) and value.keys() <= _PLURAL_FORMS:
            yield prefix + name, {form: _whole_figures(sentence) for form, sentence in value.items()}
        elif isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            raise TypeError(f"message {prefix + name!r} is {type(value).__name__}; expected a sentence or a table.")


def _whole_figures(sentence: str) -> str:
    """Keeps a figure and its percent sign on one line."""
    return re.sub(r"(?<=\d) %", f"{NARROW_SPACE}%", sentence)


def find(key: str, language: str) -> Entry:
    """The entry of a key.

    Raises:
        KeyError: the key or the language is unknown; close matches are named.
    """
    known = catalogue(language)
    if key in known:
        return known[key]
    close = difflib.get_close_matches(key, known, n=3)
    hint = f" Did you mean {', '.join(close)}?" if close else ""
    raise KeyError(f"no message {key!r} in the {language} catalogue.{hint}")


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
