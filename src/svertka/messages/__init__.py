"""One catalogue of the sentences that people read, in English and in Russian.

``en.toml`` and ``ru.toml`` hold the same keys with the same placeholders (a test holds them to it). An entry is either
a sentence or a table of plural forms (``one``, ``few``, ``many``, ``other``). The value ``n`` chooses the form, or else
the number of ``names``.

A placeholder writes its value as the language does it: ``{n}`` groups thousands, ``{minutes:g}`` formats a number as
Python does, with the language's decimal sign. ``{names}`` quotes and joins a list and cuts a long one, ``{columns}``
writes a dictionary as pairs. A code takes its word from the table that the placeholder names: with ``{part:among}``,
``"val"`` becomes the entry ``among.val``; so do the keys of a dictionary.
"""

from svertka.messages.catalogue import LANGUAGES, catalogue, plural_form
from svertka.messages.shown import shortened, shown
from svertka.messages.translator import Translator
from svertka.schema import Notice

__all__ = ["LANGUAGES", "Translator", "catalogue", "plural_form", "sentences", "shortened", "shown", "text"]


def text(key: str, language: str = "en", /, **values: object) -> str:
    """Returns the sentence of a key, filled with values; see ``Translator``."""
    return Translator(language)(key, **values)


def sentences(*notices: Notice, language: str = "en") -> str:
    """Writes what notices say, one after the other."""
    return Translator(language).sentences(*notices)
