"""``svertka share``: one HTML file that runs a bundle in any browser, offline. No torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from svertka.bundle.bundle import load_bundle
from svertka.cli.inputs import Input, find_inputs
from svertka.cli.options import Bundle, Language
from svertka.cli.output import may_write, phrase, say
from svertka.errors import ConfigError, ImageRejected, NotFoundError
from svertka.messages import shown
from svertka.page.page_html import SampleImage
from svertka.page.page_samples import bare_image
from svertka.page.single_file import is_single_file, write_single_file
from svertka.schema import Preprocess

MOST_SAMPLES = 12
"""That anybody looks through."""

MOST_SAMPLE_BYTES = 4_000_000


def share(
    bundle: Bundle,
    out: Annotated[str, typer.Option(help="The page to write; its name ends in .html.")] = "model.html",
    samples: Annotated[
        list[str] | None, typer.Option(help="Images to try: a file, folder or quoted glob; may be given several times.")
    ] = None,
    language: Language = "",
) -> None:
    """Writes the page, and says how large it is.

    Samples are put into the page without their metadata, such as the place of a photograph.

    Raises:
        ConfigError: ``out`` is no HTML file, or one that svertka share didn't write; the model is too large.
        NotFoundError: ``out`` lies in no folder, or a sample means no file.
        BundleError: the bundle is damaged.
    """
    path = Path(out).expanduser()
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--out is {out}; expected a name that ends in .html.")
    inputs = find_inputs(samples or [])
    if not path.parent.is_dir():
        raise NotFoundError(f"{path.parent} does not exist; expected a folder to write {path.name} into.")
    may_write(path, (one.file for one in inputs), is_single_file)
    loaded = load_bundle(bundle)
    write_single_file(loaded, path, _samples(inputs, loaded.preprocess), language)
    say(phrase("shared", path=str(path), size=path.stat().st_size / 1e6))


def _samples(inputs: Sequence[Input], preprocess: Preprocess) -> list[SampleImage]:
    """The images as they go into the page; of many some, evenly spread. What is left out is said."""
    chosen = spread(inputs, MOST_SAMPLES)
    if len(chosen) < len(inputs):
        say(phrase("samples_chosen", n=len(chosen), of=len(inputs)))
    found = []
    for one in chosen:
        try:
            content = bare_image(one.file, preprocess)
        except ImageRejected as rejected:
            say(phrase("unreadable", name=shown(one.name), why=shown(one.why_not or str(rejected))))
            continue
        if len(content) > MOST_SAMPLE_BYTES:
            sizes = {"size": len(content) / 1e6, "most": MOST_SAMPLE_BYTES / 1e6}
            say(phrase("sample_too_large", name=shown(one.name), **sizes))
            continue
        found.append(SampleImage(name=one.file.name, content=content))
    return found


def spread(inputs: Sequence[Input], most: int) -> list[Input]:
    """At most so many of the inputs, from the first to the last, equally far apart."""
    if len(inputs) <= most:
        return list(inputs)
    return [inputs[round(place * (len(inputs) - 1) / (most - 1))] for place in range(most)]
