"""Puts the page together: HTML with everything inline, under a policy that the browser itself enforces.

The script is the one that ``web/`` builds; what it shows comes as JSON: facts of the models, texts of both languages,
samples. So a changed sentence needs no new build.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import resources
from typing import Any, Literal

from svertka.data.formats import READABLE_SUFFIXES
from svertka.messages import LANGUAGES, catalogue, shown
from svertka.messages.catalogue import Entry
from svertka.util.version import __version__

GENERATOR = "svertka share"
"""Marks a single file as one of ours."""

_TEXTS = ("web.", "headline.task.", "interval.", "metric.", "metrics.", "names.", "page.theme", "reject.", "samples.")
_SINGLE_TEXTS = ("card.use.known", "card.limits.device", "methods.limits")


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleImage:
    """An image that the page offers to try."""

    name: str
    content: bytes
    """Of a file of any kind that a browser shows."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and the value of the header ``Content-Security-Policy`` under which it works."""

    html: str
    policy: str


def served_page(models: Sequence[Mapping[str, Any]], language: str = "") -> Page:
    """The page of ``svertka serve``: it sends images to the server that it comes from, and to no other.

    Args:
        models: of ``model_facts``, the default one first.
        language: that it opens in; "" means the reader's.
    """
    page = _Parts("server", models, language, data={"accept": ",".join(("image/*", *sorted(READABLE_SUFFIXES)))})
    policy = page.policy("connect-src 'self'", "frame-ancestors 'none'")
    return Page(page.html(), policy)


def local_page(
    model: Mapping[str, Any],
    language: str,
    samples: Sequence[SampleImage],
    blocks: Mapping[str, str],
    data: Mapping[str, Any],
) -> str:
    """The page that computes in the browser, complete in itself.

    Args:
        model: of ``model_facts``.
        language: that it opens in; "" means the reader's.
        samples: to try.
        blocks: base64 text of what the network needs, by the id of its block.
        data: more for the script, by name.
    """
    page = _Parts("local", [model], language, samples, data)
    policy = page.policy("connect-src 'none'", "worker-src blob:", script="'wasm-unsafe-eval' blob:")
    head = f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
    head += f'<meta name="generator" content="{GENERATOR} {__version__}">\n'
    tail = "\n".join(f'<script id="{name}" type="text/plain">{text}</script>' for name, text in blocks.items())
    return page.html(head, tail)


class _Parts:
    """The parts of one page."""

    def __init__(
        self,
        backend: Literal["server", "local"],
        models: Sequence[Mapping[str, Any]],
        language: str,
        samples: Sequence[SampleImage] = (),
        data: Mapping[str, Any] | None = None,
    ) -> None:
        self._language = language
        self._data = {
            "backend": backend,
            "language": language,
            "version": __version__,
            "models": list(models),
            "texts": {each: page_texts(each) for each in LANGUAGES},
            "samples": [{"name": one.name, "data": base64.b64encode(one.content).decode("ascii")} for one in samples],
            "licences": asset("LICENSES.txt"),
            **(data or {}),
        }

    def policy(self, *rules: str, script: str = "") -> str:
        """What the browser may do; whatever isn't named is forbidden."""
        return "; ".join(
            (
                "default-src 'none'",
                f"script-src '{inline_hash(asset('page.js'))}' {script}".rstrip(),
                f"style-src '{inline_hash(asset('page.css'))}'",
                "img-src blob: data:",
                *rules,
                "base-uri 'none'",
                "form-action 'none'",
            )
        )

    def html(self, head: str = "", tail: str = "") -> str:
        """The whole page. Large blocks come last: the page is there before the network."""
        name = escape(shown(str(self._data["models"][0]["name"]))) if self._data["models"] else ""
        return f"""<!doctype html>
<html lang="{self._language or "en"}">
<head>
<meta charset="utf-8">
{head}<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<title>{name}</title>
<style>{asset("page.css")}</style>
</head>
<body>
<div id="page"></div>
<noscript>{" ".join(str(catalogue(each)["web.no_script"]) for each in LANGUAGES)}</noscript>
<script id="svertka" type="application/json">{script_json(self._data)}</script>
<script>{asset("page.js")}</script>
{tail}
</body>
</html>
"""


def page_texts(language: str) -> dict[str, Entry]:
    """The sentences of the page in one language, by their keys."""
    return {key: entry for key, entry in catalogue(language).items() if key.startswith(_TEXTS) or key in _SINGLE_TEXTS}


def script_json(value: object) -> str:
    """JSON that may stand inside a script element: no character of it ends the element or begins a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return text.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair, of a name that is no text


@cache
def asset(name: str) -> str:
    """The text of a built asset."""
    return resources.files("svertka.web_assets").joinpath(name).read_text(encoding="utf-8")


def inline_hash(text: str) -> str:
    """By which a policy knows an inline script or style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
