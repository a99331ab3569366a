"""How the report speaks: sentences of the catalogue, and numbers as the language writes them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from svertka.messages import Whole, count, decimal, listing, quoted, sentences, shown_of, text, word
from svertka.schema import Estimate, Notice

_NARROW_SPACE = "\u202f"
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
    """Writes sentences and numbers in one language. Call it with a key of the catalogue.

    Attributes:
        language: ``"en"`` or ``"ru"``.
        whole: lists are written whole, however long: in a document that may travel without the others.
    """

    language: str
    whole: bool = False

    def __call__(self, key: str, **values: object) -> str:
        """Returns a sentence of the catalogue."""
        return text(key, self.language, **self._uncut(values))

    def known(self, prefix: str, code: str, otherwise: str | None = None) -> str:
        """Returns the catalogue's words for a code such as ``"hand over"``, or else the code itself."""
        return word(prefix, code, self.language, otherwise)

    def sentences(self, *notices: Notice) -> str:
        """Writes what notices say, one after the other."""
        return sentences(
            *(replace(notice, values=self._uncut(notice.values)) for notice in notices), language=self.language
        )

    def _uncut(self, values: Mapping[str, object]) -> dict[str, object]:
        return {
            name: Whole(value) if self.whole and isinstance(value, list) else value for name, value in values.items()
        }

    def shown_of(self, n: int, most: int) -> int:
        """How many of ``n`` rows a table shows that is cut after ``most``."""
        return n if self.whole else shown_of(n, most)

    def count(self, number: int) -> str:
        """Writes a whole number."""
        return count(number, self.language)

    def decimal(self, value: float, digits: int = 3) -> str:
        """Writes a number with so many decimals; a dash where there is none."""
        return decimal(value, f".{digits}f", self.language) if math.isfinite(value) else "–"

    def rate(self, value: float) -> str:
        """Writes a learning rate by two digits and its order of magnitude: 8 × 10⁻⁴, 1.2 × 10⁻³."""
        mantissa, exponent = f"{value:.1e}".split("e")
        shown = self.decimal(float(mantissa), 0 if mantissa.endswith(".0") else 1)
        sign = "⁻" if int(exponent) < 0 else ""
        return f"{shown} × 10{sign}{str(abs(int(exponent))).translate(_SUPERSCRIPTS)}"

    def percent(self, share: float, digits: int = 1) -> str:
        """Writes a share of 0..1 as a percentage."""
        return f"{self.decimal(100 * share, digits)}{_NARROW_SPACE}%" if math.isfinite(share) else "–"

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
            decimal(100 * end, "+.1f", self.language) for end in (difference.value, difference.low, difference.high)
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

    def quoted(self, name: str) -> str:
        """Puts a class name into the language's quotation marks."""
        return quoted(name, self.language)

    def listing(self, names: Sequence[str]) -> str:
        """Joins names in quotation marks: a, b and c."""
        return listing(names, self.language, len(names)) if self.whole else listing(names, self.language)


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
