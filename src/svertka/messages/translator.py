"""Translates messages into English or Russian, and formats numbers as the language does."""

import math
import string
from collections.abc import Sequence
from dataclasses import dataclass

from svertka.messages.catalogue import NARROW_SPACE, catalogue, find, plural_form
from svertka.messages.shown import shortened, shown
from svertka.schema import Estimate, Notice

_MINUS = "\u2212"
_NAMES_SHOWN = 5
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

# Metrics that are shares of images or differences between shares; the others are written as plain decimals.
PERCENT_METRICS = frozenset(
    {"accuracy", "balanced_accuracy", "macro_f1", "calibration_error", "calibration_error_uncalibrated"}
)

# A value of 1 means that no image was named wrongly, 0 that all were.
_SHARES = frozenset({"accuracy", "balanced_accuracy", "macro_f1"})

# An interval narrower than this has no width: the figure is the same for every image, up to rounding.
_NO_WIDTH = 1e-6


@dataclass(frozen=True, slots=True)
class Translator:
    """Writes sentences and numbers in one language. Call it with a key of the catalogue."""

    language: str
    """``"en"`` or ``"ru"``."""
    whole: bool = False
    """Lists are written whole, however long: in a document that may travel without the others."""

    def __call__(self, key: str, /, **values: object) -> str:
        """Returns the sentence of a key such as ``"headline.interval"``, filled with values for its placeholders.

        Raises:
            KeyError: the key, the language or a placeholder's value is unknown; close matches are named.
        """
        entry = find(key, self.language)
        if not isinstance(entry, str):
            names = values.get("names")
            number = values.get("n", len(names) if isinstance(names, list) else None)
            if not isinstance(number, int):
                raise KeyError(f"message {key!r} has plural forms and needs a whole number n; received n={number!r}.")
            entry = entry[plural_form(number, self.language)]
        try:
            return _Writer(self).vformat(entry, (), values)
        except KeyError as missing:
            raise KeyError(f"message {key!r} needs a value for {missing}; received {sorted(values)}.") from None

    def known(self, table: str, code: str, otherwise: str | None = None) -> str:
        """Returns a table's words for a code such as ``"hand over"``, or else the code itself.

        Args:
            table: ``"step"`` stands for the keys ``step.…``.
            code: spaces and dashes in it are underscores in the catalogue.
            otherwise: returned for an unknown code.
        """
        key = f"{table}.{code.replace(' ', '_').replace('-', '_')}"
        if key in catalogue(self.language):
            return self(key)
        return code if otherwise is None else otherwise

    def sentences(self, *notices: Notice) -> str:
        """What notices say, one after the other. One of another version, with other values, is told by its code."""
        return " ".join(map(self._sentence, notices))

    def _sentence(self, notice: Notice) -> str:
        try:
            return self(f"notice.{notice.code}.body", **notice.values)
        except KeyError:
            return f"[{notice.code.replace('_', ' ')}]"

    def shown_of(self, n: int, most: int) -> int:
        """How many of ``n`` things a list shows that is cut after ``most``: "and 1 more" is no shorter than the one."""
        return n if self.whole or n <= most + 1 else most

    def quoted(self, name: str) -> str:
        """Puts a name into the language's quotation marks."""
        name = shortened(shown(name))
        return f"«{name}»" if self.language == "ru" else f"“{name}”"

    def listing(self, names: Sequence[str]) -> str:
        """Joins names: “a”, “b” and “c”; of many, the first five and how many more there are."""
        quoted = [self.quoted(name) for name in names[: self.shown_of(len(names), _NAMES_SHOWN)]]
        if len(names) > len(quoted):
            return self("names.more", first=", ".join(quoted), n=len(names) - len(quoted))
        if len(quoted) < 2:
            return "".join(quoted)
        return self("names.and", first=", ".join(quoted[:-1]), last=quoted[-1])

    def count(self, number: int) -> str:
        """Writes a whole number by thousands: 1,672 and 12,500 in English, 1672 and 12 500 in Russian."""
        if self.language == "ru":
            return str(number) if abs(number) < 10_000 else f"{number:,}".replace(",", NARROW_SPACE)
        return f"{number:,}"

    def formatted(self, number: float, specification: str) -> str:
        """Formats a number as Python does, with the language's decimal sign and a true minus; a dash for no number."""
        if not math.isfinite(number):
            return "–"
        written = format(number, specification).replace("-", _MINUS).replace("%", f"{NARROW_SPACE}%")
        return written.replace(".", ",") if self.language == "ru" else written

    def decimal(self, value: float, digits: int = 3) -> str:
        """Writes a number with so many decimals; a dash where there is none."""
        return self.formatted(value, f".{digits}f")

    def rate(self, value: float) -> str:
        """Writes a learning rate by two digits and its order of magnitude: 8 × 10⁻⁴, 1.2 × 10⁻³."""
        mantissa, exponent = f"{value:.1e}".split("e")
        shown = self.decimal(float(mantissa), 0 if mantissa.endswith(".0") else 1)
        sign = "⁻" if int(exponent) < 0 else ""
        return f"{shown} × 10{sign}{str(abs(int(exponent))).translate(_SUPERSCRIPTS)}"

    def percent(self, share: float, digits: int = 1) -> str:
        """Writes a share of 0..1 as a percentage."""
        return self.formatted(share, f".{digits}%")

    def metric(self, name: str, value: float) -> str:
        """Writes a metric's value as befits it: a percentage or a decimal."""
        return self.percent(value) if name in PERCENT_METRICS else self.decimal(value)

    def interval(self, name: str, estimate: Estimate) -> str:
        """Writes a metric's 95 % interval, with its unit once; why there is none where it would feign certainty."""
        if not _is_known(estimate):
            return "–"
        if not has_width(estimate):
            return self.sameness(name, estimate)
        if name in PERCENT_METRICS:
            return f"{self.decimal(100 * estimate.low, 1)}–{self.percent(estimate.high)}"
        return f"{self.decimal(estimate.low)}–{self.decimal(estimate.high)}"

    def evidence(self, name: str, estimate: Estimate) -> str:
        """Writes what a figure rests on, to stand in brackets: its interval, called so, and its number of images."""
        interval = self.interval(name, estimate)
        return self.sized(self("interval.known", interval=interval) if has_width(estimate) else interval, estimate.n)

    def sameness(self, name: str, estimate: Estimate) -> str:
        """Says why a metric's interval has no width."""
        return self(f"interval.{_sameness(name, estimate.value)}")

    def points(self, difference: Estimate, unit: str = "") -> str:
        """Writes a difference of two shares in percentage points, with its sign: +1.2 (−0.4 to +2.8, n = 90)."""
        value, low, high = (
            self.formatted(100 * end, "+.1f") for end in (difference.value, difference.low, difference.high)
        )
        known = self("interval.range", low=low, high=high)
        interval = known if has_width(difference) else self.sameness("difference", difference)
        return f"{' '.join(filter(None, (value, unit)))} ({self.sized(interval, difference.n)})"

    def sized(self, words: str, n: int) -> str:
        """Adds a number of images to words: 80.1–90.2 %, n = 525."""
        return f"{words}, n\u00a0=\u00a0{self.count(n)}"

    def tiny(self, value: float) -> str:
        """Writes a very small number above 0 by its order of magnitude: 2 × 10⁻⁶."""
        if not 0 < value < 0.001:
            return self.decimal(value)
        mantissa, exponent = f"{value:.0e}".split("e-")
        return f"{mantissa} × 10⁻{exponent.lstrip('0').translate(_SUPERSCRIPTS)}"

    def seconds(self, seconds: float) -> str:
        """Writes a duration: 0.4 s, 12 s, 4 min 5 s, 2 h 10 min."""
        if seconds < 10:
            return self("unit.seconds", value=self.decimal(seconds, 1))
        whole = round(seconds)
        if whole < 60:
            return self("unit.seconds", value=str(whole))
        if whole < 3600:
            return self("unit.minutes", minutes=str(whole // 60), seconds=str(whole % 60))
        return self("unit.hours", hours=str(whole // 3600), minutes=str(whole % 3600 // 60))

    def memory(self, megabytes: float) -> str:
        """Writes an amount of memory in MB or GB."""
        if megabytes < 1000:
            return self("unit.megabytes", value=self.decimal(megabytes, 0))
        return self("unit.gigabytes", value=self.decimal(megabytes / 1000, 1))


def has_width(estimate: Estimate) -> bool:
    """Whether a figure was measured and its interval tells anything: of no width it would feign certainty."""
    return _is_known(estimate) and estimate.high - estimate.low >= _NO_WIDTH


def _is_known(estimate: Estimate) -> bool:
    """Whether anything was measured: some image stands behind the figure, and its interval has ends."""
    return estimate.n > 0 and math.isfinite(estimate.low) and math.isfinite(estimate.high)


def _sameness(name: str, value: float) -> str:
    """Why an interval has no width, as a code: nothing was wrong, nothing was right, or otherwise."""
    if name in ("roc_auc", "average_precision") and value >= 1 - _NO_WIDTH:
        return "ranked"  # which says nothing of mistakes: the order is right, the answers need not be
    if name not in _SHARES or _NO_WIDTH < value < 1 - _NO_WIDTH:
        return "same"
    return "perfect" if value >= 1 - _NO_WIDTH else "nothing"


class _Writer(string.Formatter):
    """Fills placeholders; how a value is written is decided by its type and the placeholder's specification."""

    def __init__(self, tr: Translator) -> None:
        self._tr = tr

    def format_field(self, value: object, specification: str) -> str:
        """Writes one value."""
        match value:
            case list():
                return self._tr.listing(value)
            case dict():
                pairs = ((self._tr.known(specification, key), item) for key, item in value.items())
                return ", ".join(f"{shown(name)}: {self._item(item)}" for name, item in pairs)
            case int() if not specification:
                return self._tr.count(value)
            case int() | float():
                return self._tr.formatted(value, specification)
        return self._tr.known(specification, str(value)) if specification else shown(str(value))

    def _item(self, value: object) -> str:
        return self._tr.quoted(value) if isinstance(value, str) else self.format_field(value, "")
