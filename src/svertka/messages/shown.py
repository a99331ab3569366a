"""Makes strangers' text safe to show: control characters and reordering marks are written out.

Names of files, classes and columns may hold anything: an escape sequence that clears the screen or writes into the
clipboard, a right-to-left override that makes ``gnp.exe`` of ``exe.png``. Tables and JSON keep names as they are.
"""

import re

# Direction marks, embeddings, overrides and isolates (Boucher and Anderson 2021, arXiv 2111.00169); separators that
# break lines; what has no width.
_ACTING = "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb"
_WRITTEN_OUT = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff{_ACTING}]")


_ENDLESS = re.compile(r"\S{300,}")


def shortened(text: str) -> str:
    """Leaves out the middle of words that nobody reads to their end, such as a name of 5,000 digits."""
    return _ENDLESS.sub(lambda found: f"{found[0][:100]}…{found[0][-50:]}", text)


def shown(text: str, keep: str = "") -> str:
    r"""Writes control characters, direction marks and bytes that are no text as ``\u001b``, as Python and JSON do.

    Args:
        text: anything.
        keep: characters that stay, such as the line breaks of a whole page.
    """
    return _WRITTEN_OUT.sub(lambda found: found[0] if found[0] in keep else f"\\u{ord(found[0]):04x}", text)
