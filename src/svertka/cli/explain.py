"""``svertka explain``: a page that shows what a bundle's network looks at in some images. Needs no torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from svertka.cli.inputs import find_inputs
from svertka.cli.options import Bundle, Language, Paths, TableConfig, Threads
from svertka.cli.output import phrase, say, say_samples, speak
from svertka.data import decode
from svertka.errors import ConfigError, ImageRejected, NotFoundError
from svertka.explain.insight import explain_image
from svertka.explain.occlusion import FINE
from svertka.explain.opened_bundle import Image, OpenedBundle, open_network
from svertka.explain.patches import describe, most_active
from svertka.messages import shown
from svertka.report.explain_page import Activations, Explained, is_explanation, write_explanation

MOST = 50
"""Images of a page: each takes about 150 passes through the network and 400 kB of the page."""

_CHANNELS = 8
_GRID = 56


def explain(
    bundle: Bundle,
    paths: Paths,
    out: Annotated[str, typer.Option(help="Folder for the page and its pictures.")] = "explained",
    language: Language = "",
    threads: Threads = 0,
    config_file: TableConfig = "",
) -> int:
    """Writes ``index.html`` and a PNG of every picture.

    Returns:
        The exit code: 0 if at least one image was explained, 2 if none could be read.

    Raises:
        ConfigError: too many images, a language that isn't spoken, or a folder that holds other files.
        NotFoundError: a path means no file, or ``out`` cannot be made.
        BundleError: the bundle is damaged.
    """
    speak(language)
    inputs = find_inputs(paths, config_file)
    folder = _folder(out, [one.file for one in inputs])
    if len(inputs) > MOST:
        raise ConfigError(f"{len(inputs)} images were named; a page holds {MOST} at most. Choose some of them.")
    network = open_network(bundle, threads)
    found, skipped, names, notes = [], [], set[str](), []
    for one in inputs:
        try:
            image_SSC, how = decode.load_noted(one.file, network.preprocess)
        except ImageRejected as rejected:
            skipped.append((one.name, rejected.reason))
            say(phrase("unreadable", name=shown(one.name), why=shown(one.why_not or str(rejected))))
            continue
        notes.append((one.name, how))
        name = _free_name(one.file.stem, names)
        names.add(name)
        found.append(_explained(network, image_SSC, one.name, name))
    say_samples(notes)
    if not found:
        return 2
    folder.mkdir(exist_ok=True)
    page = write_explanation(
        folder,
        found,
        class_names=network.class_names,
        bundle=bundle,
        filters_OCKL=network.anatomy.first_filters_OCKL,
        networks=network.anatomy.networks,
        skipped=skipped,
        language=language or "en",
    )
    for each in found:
        p_K = each.explanation.probabilities
        best = max(range(len(p_K)), key=p_K.__getitem__)
        print(shown(f"{each.explanation.path}: {network.class_names[best]} {p_K[best]:.3f}"))
    print(phrase("page", path=page))
    return 0


def _folder(out: str, inputs: Sequence[Path]) -> Path:
    """A new or empty folder, or one of an earlier page: a picture of ours must not replace one of the user's."""
    folder = Path(out).expanduser()
    if folder.exists() and not folder.is_dir():
        raise NotFoundError(f"--out {out} is a file; expected a folder for the page and its pictures.")
    foreign = folder.is_dir() and any(folder.iterdir()) and not is_explanation(folder)
    if foreign or folder.resolve() in {file.resolve().parent for file in inputs}:
        raise ConfigError(f"--out {out} holds other files, which pictures might overwrite; name a new folder.")
    if not folder.absolute().parent.is_dir():
        raise NotFoundError(f"{folder.parent} does not exist; expected a folder to make {folder.name} in.")
    return folder


def _free_name(stem: str, taken: set[str]) -> str:
    """A file's own name, numbered where another folder has the same."""
    number = 1
    name = stem
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name


def _explained(network: OpenedBundle, image_SSC: Image, path: str, name: str) -> Explained:
    look = network.look(image_SSC)
    stages = []
    for stage in range(network.stages):
        numbers = most_active(look, stage, _CHANNELS)
        level, field_px = describe(network, stage)
        maps_CHW = look.maps[0][stage]
        stages.append(
            Activations(
                stage=stage + 1,
                level=level,
                channels=len(maps_CHW),
                field_px=field_px,
                numbers=numbers,
                maps_CHW=maps_CHW[list(numbers)],
            )
        )
    explanation = explain_image(network, image_SSC, path, grid=_GRID, cells=FINE)
    return Explained(name=name, image_SSC=image_SSC, explanation=explanation, stages=tuple(stages))
