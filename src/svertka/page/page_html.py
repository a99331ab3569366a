"""The page of a model: facts, texts of both languages and samples as data of the script that ``web/page`` builds."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from svertka.data.formats import READABLE_SUFFIXES
from svertka.messages import LANGUAGES, catalogue, shown
from svertka.messages.catalogue import Entry
from svertka.page.inline_page import asset, file_head, inline_page, policy
from svertka.util.version import __version__

GENERATOR = "svertka share"
"""Marks a single file as one of ours."""

_BUILT = "page"
_ROBOTS = '<meta name="robots" content="noindex">\n'
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
    data = {"backend": "server", "samples": [], "accept": ",".join(("image/*", *sorted(READABLE_SUFFIXES)))}
    html = _page(models, language, data, _ROBOTS)
    return Page(html, policy(_BUILT, "connect-src 'self'", "frame-ancestors 'none'"))


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
    rules = policy(_BUILT, "connect-src 'none'", "worker-src blob:", script="'wasm-unsafe-eval' blob:")
    tail = "\n".join(f'<script id="{name}" type="text/plain">{text}</script>' for name, text in blocks.items())
    embedded = [{"name": one.name, "data": base64.b64encode(one.content).decode("ascii")} for one in samples]
    own = {"backend": "local", "samples": embedded, **data}
    return _page([model], language, own, file_head(rules, GENERATOR) + _ROBOTS, tail)


def _page(
    models: Sequence[Mapping[str, Any]], language: str, data: Mapping[str, Any], head: str, tail: str = ""
) -> str:
    return inline_page(
        _BUILT,
        language=language or "en",
        title=shown(str(models[0]["name"])) if models else "",
        no_script="web.no_script",
        data={
            "language": language,
            "version": __version__,
            "models": list(models),
            "texts": {each: page_texts(each) for each in LANGUAGES},
            "licences": asset("LICENSES.txt"),
            **data,
        },
        head=head,
        tail=tail,
    )


def page_texts(language: str) -> dict[str, Entry]:
    """The sentences of the page in one language, by their keys."""
    return {key: entry for key, entry in catalogue(language).items() if key.startswith(_TEXTS) or key in _SINGLE_TEXTS}
