"""Writes one HTML file that holds a model and runs it in the browser: no server, no network, a double click."""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from svertka.bundle.bundle import open_bundle
from svertka.bundle.manifest import MODEL
from svertka.errors import ConfigError
from svertka.page.inline_page import asset, is_written_by
from svertka.page.model_facts import model_facts, model_name, network_with_maps
from svertka.page.page_html import GENERATOR, SampleImage, local_page
from svertka.schema import Bundle
from svertka.util.atomic_files import written_beside

MOST_BYTES = 200_000_000
"""Of model.onnx. Chromium opened a page with 250 MB in 20 s, and took 2 GB for it; one with 11 MB in 2 s."""

_WASM = "ort-wasm-simd-threaded.wasm.gz"
_NEEDED = ("format", "class_names", "preprocess", "novelty", "conformal")
"""Fields of the manifest; the machine that trained, say, is nobody's business."""


def write_single_file(
    bundle: Bundle | Path | str, out: Path, samples: Sequence[SampleImage] = (), language: str = ""
) -> Path:
    """Writes the page whole or not at all.

    Args:
        bundle: from ``load_bundle``, or the folder of a bundle or run.
        out: the HTML file; its folder must exist.
        samples: images to try; see ``page_samples`` for what they must not hold.
        language: that it opens in; "" means the reader's.

    Returns:
        The path.

    Raises:
        BundleError: the bundle is damaged.
        ConfigError: its model is too large for a page.
    """
    bundle, model = open_bundle(bundle)
    check_size(bundle, len(model))
    blocks = {
        "svertka-worker": _packed(asset("worker.js").encode()),
        "svertka-wasm": _text(resources.files("svertka.web_assets").joinpath(_WASM).read_bytes()),
        "svertka-model": _packed(model),
    }
    explains = network_with_maps(bundle, model) is not None
    facts = model_facts(bundle, model_name(bundle.directory), explains=explains)
    html = local_page(facts, language, samples, blocks, {"manifest": json.dumps(_manifest(bundle.manifest))})
    with written_beside(out) as part:
        part.write_text(html, encoding="utf-8", newline="\n")
    return out


def check_size(bundle: Bundle, size: int) -> None:
    """Refuses a model that no page should hold.

    Raises:
        ConfigError: it is too large.
    """
    if size > MOST_BYTES:
        raise ConfigError(
            f"{bundle.directory / MODEL} has {size / 1e6:.0f} MB; a page holds {MOST_BYTES / 1e6:.0f} MB at most, as "
            "browsers fail on more. Use svertka serve instead."
        )


def is_single_file(path: Path) -> bool:
    """Whether a file is a page of ours, which a newer one may replace."""
    return is_written_by(GENERATOR, path)


def _manifest(fields: Mapping[str, object]) -> dict[str, object]:
    files = fields["files"]
    assert isinstance(files, dict)
    return {name: fields[name] for name in _NEEDED if name in fields} | {"files": {MODEL: files[MODEL]}}


def _packed(content: bytes) -> str:
    """Gzip as base64; the same content gives the same text."""
    return _text(gzip.compress(content, 6, mtime=0))


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
