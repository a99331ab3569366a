"""A bundle that is served: opened, tried with one image, and opened again when its files have changed."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from svertka.bundle.bundle import open_bundle
from svertka.bundle.manifest import MODEL, file_facts
from svertka.bundle.predictor import Predictor, predict_content, predictor_of
from svertka.errors import ConfigError, SvertkaError, first_of
from svertka.explain.opened_bundle import OpenedBundle
from svertka.page.model_facts import model_facts, model_name, network_with_maps
from svertka.serve.problems import Problem
from svertka.util import runtime

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """One bundle, open.

    Attributes:
        name: as requests choose it.
        path: where it is read from.
        predictor: one thread a call: threads share it.
        network: the same classifier, opened for looking inside; None where it has no class activation map.
        facts: what ``GET /v1/model`` says.
    """

    name: str
    path: Path
    predictor: Predictor
    network: OpenedBundle | None
    facts: dict[str, Any]

    @property
    def identity(self) -> dict[str, str]:
        """Which weights have answered."""
        return {"name": self.name, "sha256": file_facts(self.predictor.bundle, MODEL)[1]}


Models = Mapping[str, ServedModel]


def open_model(name: str, path: Path) -> ServedModel:
    """Opens a bundle and lets it answer one image.

    Raises:
        NotFoundError: there is no such folder.
        BundleError: it is damaged.
    """
    bundle, model = open_bundle(path)
    predictor = predictor_of(bundle, model, threads=1)
    side = predictor.bundle.preprocess.size_px
    picture = io.BytesIO()
    Image.new("RGB", (side, side), "gray").save(picture, "PNG")
    predict_content(predictor, picture.getvalue())
    network = network_with_maps(bundle, model)
    if network is not None:
        network = network.sealed()
        network.look(np.zeros((side, side, 3), np.uint8))
    del model
    runtime.trim_memory()  # opening and checking takes twice what is kept
    facts = model_facts(bundle, name, explains=network is not None)
    return ServedModel(name, path, predictor, network, facts)


def choose(models: Models, name: str | None) -> ServedModel:
    """The model that a request means; the first where it names none.

    Raises:
        Problem: there is no such model (404).
    """
    if name is None:
        return next(iter(models.values()))
    if name not in models:
        raise Problem(404, "no-such-model", known=first_of(list(models)))
    return models[name]


def named_paths(arguments: Sequence[str]) -> dict[str, Path]:
    """Names and places of bundles: ``NAME=FOLDER``, or a folder, whose own name is taken.

    Raises:
        ConfigError: a name is none that an address can hold, or stands twice.
    """
    found: dict[str, Path] = {}
    for argument in arguments:
        name, given, place = argument.partition("=")
        if not given or Path(argument).expanduser().exists() or "/" in name:
            name, place = _name_of(Path(argument)), argument
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"a model's name is {name!r:.80}; expected up to 64 letters, digits, dots, dashes and underscores."
            )
        if name in found:
            raise ConfigError(f"two models have the name {name}; name them apart: one={found[name]} other={place}")
        found[name] = Path(place).expanduser()
    return found


def _name_of(path: Path) -> str:
    """A model's own name, as an address can hold it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model_name(path)).strip("-._")[:64] or "model"


def reopened(models: Models, tell: Callable[..., object]) -> Models:
    """The same models, read again from their places; one that cannot be opened stays as it is, which is told."""
    found = dict(models)
    for name, model in models.items():
        try:
            found[name] = open_model(name, model.path)
        except (SvertkaError, OSError, MemoryError) as error:
            tell("kept", name=name, why=str(error) or type(error).__name__)
    changed = [name for name in models if found[name] is not models[name]]
    if changed:
        tell("exchanged", names=first_of(changed))
    return found
