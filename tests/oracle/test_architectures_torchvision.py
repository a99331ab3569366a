"""Our networks against their papers' and torchvision's published numbers, and against torchvision's own modules."""

import math

import pytest
import torch
import torchvision
from torch import nn

from svertka.architectures import ARCHITECTURES, build
from svertka.architectures.densenet import densenet
from svertka.architectures.lenet import lenet5_1998
from svertka.architectures.resnet import resnet
from svertka.backbones.pretrained import EMBEDDED, embedded_weights, read_state
from svertka.backbones.state_dicts import load_state, renamed

# Totals: torchvision's tables of weights; AlexNet 2012 and single tower recomputed from the paper's figure 2 and the
# textbooks' table; LeNet-5 from section II.B; the CIFAR family from the widely used pytorch_resnet_cifar10
# (Y. Idelbayev); plain nets are residual ones without their projections; EfficientNet-Lite0 from TensorFlow's table.
PUBLISHED = {
    "lenet5_1998": 60_000,
    "lenet5": 61_706,
    "alexnet_2012": 60_965_224,
    "alexnet_single_tower": 62_378_344,
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnet50_v1": 25_557_032,
    "resnet101_v1": 44_549_160,
    "resnet152_v1": 60_192_808,
    "plain18": 11_689_512 - (64 * 128 + 128 * 256 + 256 * 512) - 2 * (128 + 256 + 512),
    "plain34": 21_797_672 - (64 * 128 + 128 * 256 + 256 * 512) - 2 * (128 + 256 + 512),
    **{f"{kind}{depth}": count for kind in ("resnet", "plain") for depth, count in
       {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962}.items()},
    "densenet121": 7_978_856,
    "densenet161": 28_681_000,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "mobilenet_v2": 3_504_872,
    "efficientnet_lite0": 4_652_008,
    "efficientnet_lite1": 5_416_680,
    "efficientnet_lite2": 6_092_072,
    "convnext_tiny": 28_589_128,
}  # fmt: skip
IN_TORCHVISION = [name for name, architecture in ARCHITECTURES.items() if architecture.in_torchvision]


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def on_meta(name, *arguments, **keywords):
    with torch.device("meta"):
        return build(name, *arguments, **keywords)


def test_every_network_has_a_published_count():
    assert PUBLISHED.keys() == ARCHITECTURES.keys()


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(name):
    assert count(on_meta(name)) == PUBLISHED[name] == ARCHITECTURES[name].parameters


def test_the_layers_of_lenet_are_those_of_the_paper():
    network = lenet5_1998()
    layers = {name: count(network.get_submodule(name)) for name in ("c1", "s2", "c3", "s4", "c5", "f6", "output")}
    assert layers == {"c1": 156, "s2": 12, "c3": 1_516, "s4": 32, "c5": 48_120, "f6": 10_164, "output": 0}


def test_the_layers_of_lenet_as_taught():
    network = build("lenet5")
    layers = [count(network.get_submodule(name)) for name in ("c1", "s2", "c3", "s4", "c5", "f6", "output")]
    assert layers == [156, 0, 2_416, 0, 48_120, 10_164, 850]


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        # The table of the course, with the bias of the first convolution that it forgot (34,848 there).
        ("alexnet_single_tower", [34_944, 614_656, 885_120, 1_327_488, 884_992, 37_752_832, 16_781_312, 4_097_000]),
        # Two towers: the second, fourth and fifth convolution see half the maps.
        ("alexnet_2012", [34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312, 4_097_000]),
        ("alexnet", [23_296, 307_392, 663_936, 884_992, 590_080, 37_752_832, 16_781_312, 4_097_000]),
    ],
)
def test_the_layers_of_alexnet(name, layers):
    network = on_meta(name)
    assert [count(child) for child in network.children() if count(child)] == layers


def test_the_layers_of_resnet_18():
    """Table 1 of the paper, layer by layer: a 3×3 convolution has 9·C·O weights, BatchNorm 2·O."""
    network = on_meta("resnet18")
    counts = {name: count(module) for name, module in network.named_modules() if not list(module.children())}
    stages = {
        "layer1": (64, 64, [36_864, 36_864, 36_864, 36_864]),
        "layer2": (64, 128, [73_728, 147_456, 147_456, 147_456]),
        "layer3": (128, 256, [294_912, 589_824, 589_824, 589_824]),
        "layer4": (256, 512, [1_179_648, 2_359_296, 2_359_296, 2_359_296]),
    }
    expected = {"conv1": 9_408, "bn1": 128, "fc": 513_000}
    for stage, (_, width, (first, *others)) in stages.items():
        places = [f"{stage}.{block}.{layer}" for block in (0, 1) for layer in (1, 2)]
        for place, weights in zip(places, (first, *others), strict=True):
            block, layer = place.rsplit(".", 1)
            expected[f"{block}.conv{layer}"] = weights
            expected[f"{block}.bn{layer}"] = 2 * width
    for stage, weights, norm in (("layer2", 8_192, 256), ("layer3", 32_768, 512), ("layer4", 131_072, 1_024)):
        expected |= {f"{stage}.0.downsample.0": weights, f"{stage}.0.downsample.1": norm}
    assert {name: number for name, number in counts.items() if number} == expected
    assert sum(expected.values()) == 11_689_512


# --- torchvision's own modules -----------------------------------------------------------------------------------


def filled(network):
    """Reproducible weights at a scale that keeps signals alive, drawn once and repeated: cheap even for VGG."""
    noise = torch.randn(1_000_003, generator=torch.Generator().manual_seed(0))
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.zero_()
            continue
        n = tensor.numel()
        values = noise.repeat(-(-n // len(noise)))[:n].view(tensor.shape)
        if "running_var" in name or (tensor.ndim == 1 and name.endswith("weight")):
            tensor.copy_(0.8 + 0.2 * values.abs())
        elif tensor.ndim == 1:
            tensor.copy_(0.1 * values)
        elif "layer_scale" in name:
            tensor.copy_(0.3 * values)
        else:
            tensor.copy_(values * math.sqrt(2 / tensor[0].numel()))
    return network


@pytest.mark.parametrize("name", IN_TORCHVISION)
def test_torchvisions_weights_give_torchvisions_logits(name):
    with torch.device("meta"):
        theirs = torchvision.models.get_model(name, weights=None)
        ours = build(name)
    theirs = filled(theirs.to_empty(device="cpu")).eval()
    load_state(ours, theirs.state_dict(), name)
    ours.eval()
    side = max(32, ours.smallest_px)
    images = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, received = theirs(images), ours(images)
    scale = float(expected.abs().max())
    assert 1e-3 < scale < math.inf
    torch.testing.assert_close(received / scale, expected / scale, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_embedded_weights_load_by_name_and_give_timms_logits(name):
    import timm

    state = read_state(embedded_weights(name))
    ours = build(name).eval()
    load_state(ours, state, "the package")
    theirs = timm.create_model(f"tf_{name}").eval()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), state.values(), strict=True)))
    for side in (96, 97):
        images = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            torch.testing.assert_close(ours(images), theirs(images), rtol=0, atol=1e-5)


def test_names_from_before_2018_are_known():
    """The DenseNet files on torchvision's server say norm.1 and have no batch counters."""
    ours = on_meta("densenet121")
    theirs = torchvision.models.densenet121().state_dict()
    old = {
        name.replace("norm1.", "norm.1.").replace("norm2.", "norm.2.").replace("conv1.", "conv.1.").replace(
            "conv2.", "conv.2.") if "denselayer" in name else name: tensor
        for name, tensor in theirs.items()
        if not name.endswith("num_batches_tracked")
    }  # fmt: skip
    load_state(ours, old, "an old file")
    assert torch.equal(ours.dense2.layer3.conv2.weight, theirs["features.denseblock2.denselayer3.conv2.weight"])
    assert ours.dense2.layer3.norm2.num_batches_tracked == 0


def test_published_accuracies_are_torchvisions():
    for name in IN_TORCHVISION:
        entry = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"]
        published = entry.meta["_metrics"]["ImageNet-1K"]["acc@1"]
        stated = [a.top1_percent for a in ARCHITECTURES[name].accuracy if a.kind == "torchvision"]
        assert stated == [published], name
        assert entry.meta["num_params"] == PUBLISHED[name]


# --- what the papers say -----------------------------------------------------------------------------------------


def test_the_stride_stands_in_the_3x3_or_as_in_the_paper_in_the_1x1():
    with torch.device("meta"):
        later, paper = resnet(50), resnet(50, stride_first=True)
    assert (later.layer2[0].conv1.stride, later.layer2[0].conv2.stride) == ((1, 1), (2, 2))
    assert (paper.layer2[0].conv1.stride, paper.layer2[0].conv2.stride) == ((2, 2), (1, 1))


def test_a_residual_block_whose_branch_is_zero_is_the_identity_and_a_plain_one_is_not():
    x = torch.rand(1, 64, 8, 8)
    for shortcut, expected in (("projection", x), ("none", torch.zeros_like(x))):
        block = resnet(18, shortcut=shortcut).layer1[0].eval()
        nn.init.zeros_(block.bn2.weight)
        assert torch.equal(block(x.clone()), expected)


def test_padded_shortcuts_keep_every_second_pixel_and_add_zeros():
    shortcut = build("resnet20").layer2[0].downsample
    x = torch.rand(2, 16, 8, 8)
    y = shortcut(x)
    assert torch.equal(y[:, :16], x[:, :, ::2, ::2])
    assert y.shape == (2, 32, 4, 4)
    assert not y[:, 16:].any()


def test_recomputation_changes_memory_and_nothing_else():
    torch.manual_seed(0)
    plain = densenet(121, num_classes=3, small_images=True).train()
    saving = densenet(121, num_classes=3, small_images=True, recompute=True).train()
    saving.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, 16, 16)
    kept = {}
    for network in (plain, saving):
        total = 0

        def note(tensor):
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            loss = network(images).square().sum()
        loss.backward()
        kept[network] = total
    assert kept[saving] < 0.6 * kept[plain]
    for (name, a), b in zip(plain.named_parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, msg=name)
    for (name, a), b in zip(plain.named_buffers(), saving.buffers(), strict=True):
        torch.testing.assert_close(a, b, msg=name)


def test_lenets_output_is_the_negated_distance_to_pictures_of_digits():
    network = lenet5_1998().eval()
    codes = network.output.codes
    assert codes.shape == (10, 84)
    assert set(codes.flatten().tolist()) == {-1.0, 1.0}
    assert torch.equal(network.output(codes).argmax(1), torch.arange(10))
    assert float(network.output(codes)[3, 3]) == 0
    distances = torch.cdist(codes, codes) + 100 * torch.eye(10)
    assert distances.min() >= 2 * math.sqrt(3)  # no two digits differ in fewer than three pixels


def test_lenets_c3_sees_the_maps_of_its_table():
    c3 = lenet5_1998().c3[0]
    x = torch.zeros(1, 6, 5, 5, requires_grad=True)
    (seen,) = torch.autograd.grad(c3(x)[0, 3, 0, 0], x)
    assert seen.abs().sum(dim=(0, 2, 3)).nonzero().flatten().tolist() == [3, 4, 5]


def test_response_normalisation_is_the_papers_formula_within_a_tower():
    norm = build("alexnet_2012").conv1[2]
    x = torch.randn(1, 96, 1, 1)
    squares = x.square().flatten()
    for channel in (0, 47, 48, 95):
        first = 0 if channel < 48 else 48
        window = squares[max(first, channel - 2) : min(first + 48, channel + 3)]
        expected = x[0, channel, 0, 0] / (2 + 1e-4 * window.sum()) ** 0.75
        torch.testing.assert_close(norm(x)[0, channel, 0, 0], expected)


def test_keys_are_renamed_one_to_one():
    for name in IN_TORCHVISION:
        with torch.device("meta"):
            theirs = torchvision.models.get_model(name, weights=None).state_dict()
            ours = build(name)
        assert sorted(renamed(ours, theirs)) == sorted(ours.state_dict()), name
