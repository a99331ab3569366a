"""A page that holds a bundle and ``worker.js`` and nothing else: what runs in the browser, without svertka's page."""

import base64
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:; worker-src blob:; connect-src 'none'; "
    "img-src blob: data:"
)
"""What a page may do that loads nothing and sends nothing."""

_HTML = """<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">
<title>worker</title>
<script type="text/plain" id="worker">{worker}</script>
<script type="text/plain" id="wasm">{wasm}</script>
<script type="text/plain" id="manifest">{manifest}</script>
<script type="text/plain" id="model">{model}</script>
<script>
const opening = performance.now();
const decode = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const held = (id) => decode(document.getElementById(id).textContent);
const unpacked = (bytes) => new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")))
  .arrayBuffer().then((buffer) => new Uint8Array(buffer));
const worker = new Worker(URL.createObjectURL(new Blob([held("worker")], {{ type: "text/javascript" }})));
const waiting = new Map();
worker.onmessage = ({{ data }}) => waiting.get(data.id)(data);
worker.onerror = (event) => {{ for (const settle of waiting.values()) settle({{ error: event.message }}); }};
let asked = 0;
const ask = (request) => new Promise((resolve) => {{
  waiting.set(asked, resolve);
  worker.postMessage({{ id: asked++, request }});
}});
const ready = unpacked(held("wasm")).then((wasm) => ask({{
  kind: "open", parts: {{ wasm, model: held("model"), manifest: new TextDecoder().decode(held("manifest")) }},
}})).then((reply) => ({{ ...reply, ms: performance.now() - opening }}));
const text = (bytes) => {{
  let letters = "";
  for (let at = 0; at < bytes.length; at += 8192) letters += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(letters);
}};
const judge = async (kind, file, label, maxPixels = 1e8) => {{
  const image = new Blob([decode(file)]);
  const start = performance.now();
  const reply = await ask({{ kind, image, label, maxPixels }});
  const ms = performance.now() - start;
  if (!reply.result?.square) return {{ ...reply, ms }};
  const stages = reply.result.stages.map(({{ channels, height, width }}) => [channels, height, width]);
  return {{ ...reply, ms, result: {{ square: text(reply.result.square), stages }} }};
}};
</script>
"""


def write_page(out: Path, bundle: Path) -> Path:
    """Writes the page for a bundle's folder."""
    assets = files("svertka") / "web_assets"
    parts = {
        "worker": (assets / "worker.js").read_bytes(),
        "wasm": (assets / "ort-wasm-simd-threaded.wasm.gz").read_bytes(),
        "manifest": (bundle / "manifest.json").read_bytes(),
        "model": (bundle / "model.onnx").read_bytes(),
    }
    texts = {name: base64.b64encode(content).decode() for name, content in parts.items()}
    out.write_text(_HTML.format(policy=POLICY, **texts), encoding="utf-8")
    return out


class OpenPage:
    """The page in a browser; ``requests`` are the addresses that it asked for beside its own."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.requests, self.complaints = page, [], []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(address)
        self.opened = page.evaluate("ready")

    def ask(self, kind: str, file: bytes, label: str = "", max_pixels: float = 1e8) -> dict[str, Any]:
        """What the worker replies: ``result``, ``rejected`` or ``error``, and milliseconds.

        Of maps the square comes as base64, and of each stage its sizes.
        """
        text = base64.b64encode(file).decode()
        arguments = [kind, text, label, max_pixels]
        return self.page.evaluate("([kind, text, label, most]) => judge(kind, text, label, most)", arguments)


@contextmanager
def open_page(browser: Any, html: Path):
    """Opens it as a double click would, and closes it at the end."""
    page = browser.new_page()
    try:
        yield OpenPage(page, html.as_uri())
    finally:
        page.close()
