"""``svertka share``: one HTML file that runs a bundle in any browser, offline. No torch."""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from svertka.bundle.bundle import load_bundle
from svertka.cli.inputs import Input, find_inputs
from svertka.cli.options import Bundle, Language
from svertka.cli.output import in_a_folder, may_write, phrase, say
from svertka.errors import ConfigError, ImageRejected
from svertka.messages import shown
from svertka.page.page_html import SampleImage
from svertka.page.page_samples import bare_image
from svertka.page.single_file import is_single_file, write_single_file
from svertka.schema import Preprocess

Found = TypeVar("Found")

MOST_SAMPLES = 12
"""That anybody looks through."""

MOST_SAMPLE_BYTES = 4_000_000


def share(
    bundle: Bundle,
    out: Annotated[str, typer.Option(help="The page to write; its name ends in .html or .htm.")] = "model.html",
    samples: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Images to try, {MOST_SAMPLES} at most: a file, folder or quoted glob; may be given several times."
        ),
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
        raise ConfigError(f"--out is {out}; expected a name that ends in .html or .htm.")
    inputs = find_inputs(samples or [])
    may_write(in_a_folder(path), (one.file for one in inputs), is_single_file)
    loaded = load_bundle(bundle)
    write_single_file(loaded, path, _samples(inputs, loaded.preprocess), language)
    say(phrase("shared", path=str(path), size=path.stat().st_size / 1e6))


def _samples(inputs: Sequence[Input], preprocess: Preprocess) -> list[SampleImage]:
    """The images as they go into the page, in their order; of many some, evenly spread. What is left out is said."""
    parts = [_usable(inputs, places, preprocess) for places in neighbours(len(inputs), MOST_SAMPLES)]
    found = dict(islice(_in_turn(parts), MOST_SAMPLES))
    if len(found) < len(inputs):
        say(phrase("samples_chosen", n=len(found), of=len(inputs), most=MOST_SAMPLES))
    return [found[place] for place in sorted(found)]


def _usable(
    inputs: Sequence[Input], places: Sequence[int], preprocess: Preprocess
) -> Iterator[tuple[int, SampleImage]]:
    """The images at some places that can go into the page; of the others it is said why not."""
    for place in places:
        one = inputs[place]
        try:
            content = bare_image(one.file, preprocess)
        except ImageRejected as rejected:
            say(phrase("unreadable", name=shown(one.name), why=shown(one.why_not or str(rejected))))
            continue
        if len(content) > MOST_SAMPLE_BYTES:
            sizes = {"size": len(content) / 1e6, "most": MOST_SAMPLE_BYTES / 1e6}
            say(phrase("sample_too_large", name=shown(one.name), **sizes))
            continue
        yield place, SampleImage(name=one.file.name, content=content)


def _in_turn(parts: Sequence[Iterator[Found]]) -> Iterator[Found]:
    """The first of each part, then the second of each, and so on; nothing is made before it is asked for."""
    waiting = deque(parts)
    while waiting:
        part = waiting.popleft()
        for one in islice(part, 1):
            waiting.append(part)
            yield one


def neighbours(count: int, most: int) -> list[list[int]]:
    """The places of a list in at most ``most`` parts around places that are equally far apart, the nearest first."""
    if count <= most:
        return [[place] for place in range(count)]
    step = (count - 1) / (most - 1)
    parts: list[list[int]] = [[] for _ in range(most)]
    for place in sorted(range(count), key=lambda place: abs(place - round(round(place / step) * step))):
        parts[round(place / step)].append(place)
    return parts
