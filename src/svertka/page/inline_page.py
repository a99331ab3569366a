"""One HTML page with everything inline, under a policy that the browser itself enforces.

The script is one that ``web/`` builds; what it shows comes as JSON, so a changed sentence needs no new build. Scripts
are classic ones, since a page that opens by double click may load no modules.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from svertka.messages import LANGUAGES, catalogue
from svertka.util.atomic_files import read_head
from svertka.util.version import __version__

_HEAD_BYTES = 2048


def inline_page(
    built: str,
    *,
    language: str,
    title: str,
    no_script: str,
    data: Mapping[str, Any],
    head: str = "",
    tail: str = "",
) -> str:
    """The whole page.

    Args:
        built: name of its script and style among the built assets, without suffix.
        language: of the page as it is loaded.
        title: of the window.
        no_script: key of the sentence for browsers that run no scripts; it stands in all languages.
        data: for the script.
        head: more elements of the head, each ended by a line break.
        tail: at the end of the body. Large blocks belong here: the page is there before them.
    """
    return f"""<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
{head}<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{asset(f"{built}.css")}</style>
</head>
<body>
<div id="page"></div>
<noscript>{" ".join(str(catalogue(each)[no_script]) for each in LANGUAGES)}</noscript>
<script id="svertka" type="application/json">{script_json(data)}</script>
<script>{asset(f"{built}.js")}</script>
{tail}
</body>
</html>
"""


def policy(built: str, *rules: str, script: str = "") -> str:
    """What the browser may do on the page (Content Security Policy); whatever isn't named is forbidden.

    Args:
        built: as in ``inline_page``.
        rules: more than the page's own script, its own style, and pictures from memory.
        script: what else may run.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_inline_hash(asset(f'{built}.js'))}' {script}".rstrip(),
            f"style-src '{_inline_hash(asset(f'{built}.css'))}'",
            "img-src blob: data:",
            *rules,
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def file_head(page_policy: str, generator: str) -> str:
    """Elements for the head of a page that is a file: its policy, which no server sends, and who wrote it."""
    return (
        f'<meta http-equiv="Content-Security-Policy" content="{escape(page_policy)}">\n'
        f'{_generator(generator)} {__version__}">\n'
    )


def is_written_by(generator: str, path: Path) -> bool:
    """Whether a file is a page of ours by its head, which a newer one may replace."""
    return _generator(generator).encode() in read_head(path, _HEAD_BYTES)


def _generator(name: str) -> str:
    return f'<meta name="generator" content="{name}'


def script_json(value: object) -> str:
    """JSON that may stand inside a script element: no character of it ends the element or begins a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return text.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair, of a name that is no text


@cache
def asset(name: str) -> str:
    """The text of a built asset."""
    return resources.files("svertka.web_assets").joinpath(name).read_text(encoding="utf-8")


def _inline_hash(text: str) -> str:
    """By which a policy knows an inline script or style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
