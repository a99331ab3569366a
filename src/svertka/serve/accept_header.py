"""Headers that say what a client would rather have: ``ru, en;q=0.5``."""


def weighted(header: str, most: int = 20) -> list[tuple[str, float]]:
    """What a header names, in lower case, each with its weight from 0, not wanted, to 1 (RFC 9110, 12.4.2).

    Args:
        header: an ``Accept``, ``Accept-Encoding`` or ``Accept-Language``.
        most: so many are read.
    """
    found = []
    for part in header.lower().split(",")[:most]:
        name, *parameters = (each.strip() for each in part.split(";"))
        found.append((name, next((_weight(each[2:]) for each in parameters if each.startswith("q=")), 1.0)))
    return found


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
