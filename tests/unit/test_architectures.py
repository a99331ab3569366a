"""Networks at other sizes, what they refuse, loading, cards, pictures; torch's device meta keeps most of it free.

One long file, because the cards of the same networks serve most of it.
"""

import csv
import io
import json
import math
import subprocess
import sys
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
import torchvision
from torch import nn

from svertka.architectures import ARCHITECTURES, build
from svertka.architectures.densenet import densenet
from svertka.architectures.registry import RETRAINED
from svertka.architectures.resnet import cifar_resnet, resnet
from svertka.architectures.vgg import vgg
from svertka.backbones.load import build_network
from svertka.backbones.state_dicts import load_state
from svertka.cli.models import list_models
from svertka.errors import ConfigError, NotFoundError, ShapeError, SvertkaError, WeightsError
from svertka.model_summary.blocks import sketch
from svertka.model_summary.comparison_table import compare, write_comparison
from svertka.model_summary.diagram import draw
from svertka.model_summary.docs_page import fill, sections
from svertka.model_summary.figures import accuracy_picture, timeline
from svertka.model_summary.summary import card, write_card
from svertka.model_summary.trace import trace
from svertka.viz.drawing import Circle, Text, save, text_width, to_svg

# The largest receptive field before pooling over all: Araujo, Norris, Sim, Computing Receptive Fields of Convolutional
# Neural Networks, Distill 2019, appendix (ResNet there strides as in the paper in total: 483, 1027, 1507).
RECEPTIVE_FIELDS = {"alexnet": 195, "vgg16": 212, "resnet50_v1": 483, "resnet101_v1": 1027, "resnet152_v1": 1507}


# One of each kind; deeper ones repeat the same blocks.
KINDS = (
    *("lenet5", "lenet5_1998", "alexnet_2012", "alexnet", "vgg11", "vgg11_bn", "resnet18", "resnet50", "resnet50_v1"),
    *("plain18", "resnet20", "plain20", "densenet121", "mobilenet_v2", "efficientnet_lite0", "convnext_tiny"),
)


def on_meta(name, **keywords):
    with torch.device("meta"):
        return build(name, **keywords)


def forward(network, *shape):
    with torch.no_grad():
        return network(torch.zeros(shape, device="meta")).shape


@cache
def card_of(name):
    return card(on_meta(name), name, ARCHITECTURES[name].input_CHW)


# --- any size, any number ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_any_classes_channels_and_sizes(name):
    architecture = ARCHITECTURES[name]
    network = on_meta(name, num_classes=7, in_channels=2)
    height, width = architecture.input_CHW[1] + 5, architecture.input_CHW[1] + 22
    assert forward(network, 2, 2, height, width) == (2, 7)


@pytest.mark.parametrize("name", [name for name in KINDS if ARCHITECTURES[name].input_CHW[1] > 64])
def test_small_images_keep_a_map_that_is_worth_classifying(name):
    network = on_meta(name, num_classes=10, small_images=True)
    for side in (28, 32, 64):
        assert forward(network, 1, 3, side, side) == (1, 10)
    steps = trace(network, (3, 32, 32))
    last_map = [step.output for step in steps if len(step.output) == 3 and step.output[1] > 1][-1]
    assert last_map[1:] in ((2, 2), (4, 4)), "with the paper's stem a single pixel would be left"


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_the_smallest_size_is_exact(name, small):
    """At it every layer works and none that strides sees one pixel; one pixel less, and one of both is so."""
    network = on_meta(name, small_images=small)
    smallest, channels = network.smallest_px, ARCHITECTURES[name].input_CHW[0]

    def works(side):
        network.smallest_px = 1
        try:
            steps = trace(network, (channels, side, side))
        except ShapeError:
            return False
        finally:
            network.smallest_px = smallest
        for step in steps:
            stride = getattr(step.module, "stride", 1)
            strides = stride if isinstance(stride, int) else stride[0]
            if strides > 1 and step.inputs[0] >= 0 and steps[step.inputs[0]].output[1:] == (1, 1):
                return False
        return True

    assert works(smallest)
    assert not works(smallest - 1)


def test_an_image_too_small_for_the_stem_is_refused():
    with pytest.raises(
        ShapeError, match=r"VGG was given images of 24×40 px, too small .* at least 32.*--small .*small_images=True"
    ):
        on_meta("vgg16")(torch.zeros(1, 3, 24, 40, device="meta"))


def test_wrong_channels_and_missing_axes_are_refused():
    network = on_meta("resnet18")
    with pytest.raises(ShapeError, match=r"images with 1 channel, .* \[N, 3, H, W\].* in_channels=1"):
        network(torch.zeros(2, 1, 64, 64, device="meta"))
    with pytest.raises(ShapeError, match=r"shape \[3, 64, 64\]; .* x\[None\]"):
        network(torch.zeros(3, 64, 64, device="meta"))


def test_unknown_names_offer_close_ones():
    with pytest.raises(NotFoundError, match=r"'resnet81' is unknown. Did you mean .*resnet18"):
        build("resnet81")
    with pytest.raises(ConfigError, match="num_classes is 0; expected at least 1"):
        build("lenet5", num_classes=0)


def test_the_list_needs_no_torch():
    code = "import sys; from svertka.architectures import ARCHITECTURES; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- loading -------------------------------------------------------------------------------------------------------


def test_a_state_dict_that_does_not_fit_is_listed_and_nothing_is_loaded():
    network = build("resnet18", num_classes=5)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torchvision.models.resnet18().state_dict()
    del state["layer1.0.conv1.weight"]
    state["layer9.weight"] = torch.zeros(1)
    state["bn1.weight"] = "no tensor"
    with pytest.raises(WeightsError) as caught:
        load_state(network, state, "mine.pth")
    for said in (
        "weights of mine.pth do not fit ResNet",
        "1 missing (layer1.0.conv1.weight)",
        "1 unexpected (layer9.weight)",
        "3 of another shape (bn1.weight str instead of (64,), fc.weight (1000, 512) instead of (5, 512), fc.bias",
        "Nothing was loaded",
    ):
        assert said in str(caught.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_another_networks_weights_do_not_drown_the_message():
    with pytest.raises(WeightsError, match=r"\d\d+ missing \(.*…\)") as caught:
        load_state(on_meta("vgg16"), torchvision.models.resnet18().state_dict(), "mine.pth")
    assert len(str(caught.value)) < 2000


# --- cards ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_cards_count_every_parameter_once_and_depth_is_the_longest_way(name):
    found = card_of(name)
    assert found.parameters == ARCHITECTURES[name].parameters
    steps = trace(on_meta(name), ARCHITECTURES[name].input_CHW)
    weighted = {"Conv2d", "Linear", "TableConv2d", "SameConv2d"} | (
        {"Subsampling", "RadialBasis"} if name == "lenet5_1998" else set()
    )
    depth = {-1: 0}
    for number, step in enumerate(steps):
        depth[number] = max(depth[maker] for maker in step.inputs) + (step.kind in weighted)
    assert max(depth.values()) == ARCHITECTURES[name].depth


@pytest.mark.parametrize("name", [name for name, a in ARCHITECTURES.items() if a.in_torchvision])
def test_multiply_adds_are_the_published_ones(name):
    published = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"].meta["_ops"]
    assert card_of(name).multiply_adds / 1e9 == pytest.approx(published, abs=0.002)


@pytest.mark.parametrize(("name", "side"), RECEPTIVE_FIELDS.items())
def test_receptive_fields_are_the_published_ones(name, side):
    assert max(row.receptive_field_px for row in card_of(name).rows) == side


def test_the_table_of_resnet_18():
    rows = {row.name: row for row in card_of("resnet18").rows}
    row = rows["layer2.0.conv1"]
    assert (row.kind, row.output, row.parameters, row.formula) == ("Conv2d 3×3/2", (128, 28, 28), 73_728, "3·3·64·128")
    assert row.multiply_adds == 73_728 * 28 * 28
    assert row.output_bytes == 4 * 128 * 28 * 28
    assert (rows["fc"].formula, rows["bn1"].formula) == ("512·1000 + 1000", "2·64")
    assert rows["relu"].output_bytes == 0  # it overwrites its input


@pytest.mark.parametrize("name", KINDS)
def test_formulas_give_the_parameters(name):
    for row in card_of(name).rows:
        terms = row.formula.replace("·", "*") or "0"
        assert sum(_product(term) for term in terms.split(" + ")) == row.parameters


def _product(term):
    result = 1
    for factor in term.split("*"):
        result *= int(factor)
    return result


@pytest.mark.parametrize(("name", "shape", "layer", "side"), [
    ("vgg16", (3, 448, 448), "avgpool", 212 + 32),  # 14 to 7: 2 × 2 cells of 32 px each
    ("lenet5", (1, 64, 64), "fit", 16 + 3 * 4),  # 13 to 5: up to 4 × 4
    ("resnet18", (3, 224, 224), "avgpool", 0),
    ("small_cnn", (3, 32, 32), "amax", 0),
])  # fmt: skip
def test_receptive_fields_behind_pooling_to_a_grid(name, shape, layer, side):
    with torch.device("meta"):
        network = build_network(name, in_channels=shape[0])
    (row,) = [row for row in card(network, name, shape).rows if row.name == layer]
    assert row.receptive_field_px == side


def test_a_comparison_says_where_train_loads_other_weights():
    torchvisions = {
        name: torchvision.models.get_model_weights(name).DEFAULT
        for name, each in ARCHITECTURES.items()
        if each.in_torchvision
    }
    newer = {
        name: entry.meta["_metrics"]["ImageNet-1K"]["acc@1"]
        for name, entry in torchvisions.items()
        if entry.name != ARCHITECTURES[name].accuracy[0].weights
    }
    assert newer == RETRAINED
    assert "a longer recipe: ResNet-50 80.9." in write_comparison(compare(["resnet50", "vgg16"]), "table")
    assert "recipe" not in write_comparison(compare(["vgg16"]), "table")


def test_another_form_is_told_from_the_published_one():
    text = write_comparison(compare(["vgg16"], (3, 224, 224), small_images=True), "table")
    assert text.startswith("Input of 3×224×224, stem for small images (VGG-16); nobody has published")
    text = write_comparison(compare(["resnet18", "lenet5", "resnet20"], small_images=True), "table")
    assert text.startswith("Input of 3×32×32, stem for small images (ResNet-18); nobody has published")
    assert "LeNet-5" not in text.splitlines()[0]
    assert [entry.input_CHW for entry in compare(["lenet5"], small_images=True)] == [(1, 32, 32)]


@pytest.mark.parametrize(
    ("number", "dtype"), [(math.nan, None), (math.inf, None), (1j, torch.complex64), (1, torch.int8)]
)
def test_weights_that_are_no_finite_numbers_are_refused_whole(number, dtype):
    network = build("lenet5")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = {name: torch.zeros_like(tensor) for name, tensor in before.items()}
    state["f6.0.bias"] = torch.full_like(state["f6.0.bias"], number, dtype=dtype)
    with pytest.raises(
        WeightsError, match=r"1 with NaN, infinite, complex or whole numbers \(f6\.0\.bias\)\. Nothing was loaded"
    ):
        load_state(network, state, "a file")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: resnet(20), "depth of ResNet is 20; expected one of 18, 34, 50, 101, 152"),
        (lambda: vgg(12), "depth of VGG is 12; expected one of 11, 13, 16, 19"),
        (lambda: densenet(100), "depth of DenseNet is 100; expected one of 121"),
        (lambda: cifar_resnet(21), r"depth of a ResNet for CIFAR is 21; expected 6 n \+ 2"),
    ],
)
def test_depths_that_no_paper_has_are_refused(wrong, said):
    with pytest.raises(ConfigError, match=said):
        wrong()


def test_the_norm_of_two_towers_gives_the_maps_of_both():
    rows = [row for row in card_of("alexnet_2012").rows if row.kind == "TowerNorm"]
    assert [row.output for row in rows] == [(96, 55, 55), (256, 27, 27)]
    assert [row.output_bytes for row in rows] == [4 * 96 * 55 * 55, 4 * 256 * 27 * 27]


def test_other_libraries_networks_have_cards():
    with torch.device("meta"):
        network = torchvision.models.vit_b_16()
    found = card(network, "ViT", (3, 224, 224))
    assert found.parameters == 86_567_656
    assert found.rows[-1].receptive_field_px == 0
    assert json.loads(write_card(found, "json"))["layers"][-1]["receptive_field_px"] is None
    assert write_card(found, "csv").endswith(",")


def test_a_layer_that_is_called_twice_is_counted_once_in_parameters_and_twice_in_work():
    with torch.device("meta"):
        layer = nn.Conv2d(3, 3, 1, bias=False)
        network = nn.Sequential(layer, layer)
    found = card(network, "twice", (3, 2, 2))
    assert [row.parameters for row in found.rows] == [9, 0]
    assert [row.multiply_adds for row in found.rows] == [36, 36]


def test_formats_hold_the_same_numbers():
    found = card_of("lenet5")
    rows = list(csv.DictReader(io.StringIO(write_card(found, "csv"))))
    data = json.loads(write_card(found, "json"))
    assert [int(row["parameters"]) for row in rows] == [row["parameters"] for row in data["layers"]]
    assert data["parameters"] == 61_706
    assert rows[0]["output"] == "6×28×28"
    assert "| total | " in write_card(found, "md")
    assert write_card(found, "table").splitlines()[-1].split()[:2] == ["total", "61,706"]
    with pytest.raises(ConfigError, match=r"format is 'jsn'; expected table, csv, md, json. Did you mean json"):
        write_card(found, "jsn")


# --- comparison and pictures ---------------------------------------------------------------------------------------


def test_a_comparison_states_whose_accuracy_it_is():
    text = write_comparison(compare(["resnet50", "resnet50_v1", "lenet5"]), "table")
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    assert "76.1  torchvision IMAGENET1K_V1, ImageNet-1k validation" in lines["ResNet-50"]
    assert "paper's: 10 crops" in lines["ResNet-50 (2015)"]
    assert "none published" in lines["LeNet-5"]
    assert "Source of the top-1 of ResNet-50 (2015): table 3 of the paper." in text


def test_measuring_adds_time_and_memory():
    (record,) = json.loads(write_comparison(compare(["alexnet"], measured=True), "json"))
    assert record["latency_ms"] > 0
    assert record["memory_mib"] > 61_100_840 * 4 / 2**20 * 0.9  # at least its weights


def test_a_process_that_dies_while_it_measures_is_told(monkeypatch):
    monkeypatch.setattr("svertka.model_summary.comparison_table._APART", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(SvertkaError, match=r"lenet5 could not be measured: .* exit code -9 .* without --measure"):
        compare(["lenet5"], measured=True)


def test_pictures_show_every_network(tmp_path):
    entries = compare(["lenet5", "alexnet", "vgg16", "resnet50", "densenet121"])
    accuracy, years = to_svg(accuracy_picture(entries)), to_svg(timeline(entries))
    for title in ("AlexNet", "VGG-16", "ResNet-50", "DenseNet-121"):
        assert title in accuracy
        assert title in years
    assert "No figure on ImageNet: LeNet-5" in accuracy
    assert "1998" in years
    assert "embedded in" not in to_svg(accuracy_picture(compare(["efficientnet_lite0"])))
    assert save(timeline(entries), tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match=r"ends in .jpg; expected a name with .svg or .png"):
        save(timeline(entries), tmp_path / "t.jpg")


@pytest.mark.parametrize(
    "names",
    [
        ["alexnet", "vgg16", "resnet50"],
        ["alexnet", "vgg11", "vgg16", "vgg19", "resnet18", "resnet50", "densenet121", "mobilenet_v2", "convnext_tiny"],
    ],
)
def test_names_of_networks_do_not_cross_the_edges_of_their_discs(names):
    drawing = accuracy_picture(compare(names))
    words = {shape.text: shape for shape in drawing.shapes if isinstance(shape, Text)}
    discs = [shape for shape in drawing.shapes if isinstance(shape, Circle) and shape.title]
    assert len(discs) == len(names)
    for disc in discs:
        name = words[disc.title.partition(":")[0]]
        half = text_width(name.text, name.size) / 2
        corners = [(name.x + dx, name.y + dy) for dx in (-half, 0, half) for dy in (-10, -5, 2)]
        inside = [math.hypot(x - disc.x, y - disc.y) < disc.radius for x, y in corners]
        assert all(inside) or not any(inside), name.text


def test_a_picture_without_figures_has_no_empty_axes():
    svg = to_svg(accuracy_picture(compare(["resnet18", "vgg16"], (3, 64, 64))))
    assert "Nothing to draw" in svg and "No figure on ImageNet: ResNet-18, VGG-16." in svg
    assert "multiply-adds for one image" not in svg and "polyline" not in svg


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "densenet121", "mobilenet_v2", "alexnet_2012", "lenet5_1998"])
def test_a_diagram_is_valid_and_its_boxes_do_not_overlap(name):
    drawing = draw(on_meta(name), name, ARCHITECTURES[name].input_CHW)
    root = ElementTree.fromstring(to_svg(drawing))
    space = "{http://www.w3.org/2000/svg}"
    boxes = [[float(box.get(key)) for key in ("x", "y", "width", "height")] for box in root.iter(f"{space}rect")
             if box.get("fill") not in ("#ffffff", "#f9fafb")]  # fmt: skip
    for i, (x, y, width, height) in enumerate(boxes):
        assert x >= 0
        assert x + width <= drawing.width
        assert y + height <= drawing.height
        for x2, y2, width2, height2 in boxes[:i]:
            assert x >= x2 + width2 or x2 >= x + width or y >= y2 + height2 or y2 >= y + height


def test_a_diagram_of_resnet_50_shows_its_blocks_and_shapes():
    found = sketch(on_meta("resnet50"), trace(on_meta("resnet50"), (3, 224, 224)))
    assert found.repeats == {"layer1.1": 2, "layer2.1": 3, "layer3.1": 5, "layer4.1": 2}
    joins = [node for node in found.nodes if node.kind == "join"]
    assert len(joins) == 8
    assert all(len(node.inputs) == 2 for node in joins)
    text = to_svg(draw(on_meta("resnet50"), "ResNet-50", (3, 224, 224)))
    for said in ("Conv 7×7/2, 64", "Max pool 3×3/2", "256×56×56", "× 5", "2048×7×7", "Linear, 1000"):
        assert said in text


def test_a_diagram_of_densenet_says_that_layers_read_all_before():
    text = to_svg(draw(on_meta("densenet121"), "DenseNet-121", (3, 224, 224)))
    assert text.count("reads all before") == 4
    assert "64…224×56×56" in text
    assert "× 24" in text
    assert "24 · 32×14×14" in text and "1 · " not in text  # all 24 layers' maps, a transition's once


def test_the_tables_in_the_docs_are_current():
    page = (Path(__file__).parents[2] / "docs/architectures.md").read_text(encoding="utf-8")
    assert fill(page, sections()) == page, "run: python -m svertka.model_summary.docs_page docs"


def test_an_accuracy_stands_only_beside_the_network_that_it_was_published_of(tmp_path):
    as_published, smaller = compare(["resnet18", "lenet5_1998"]), compare(["resnet18"], (3, 64, 64))
    small = compare(["resnet18"], (3, 224, 224), small_images=True)
    assert [entry.accuracy.top1_percent for entry in as_published] == [69.758, 99.05]
    assert smaller[0].accuracy is None and small[0].accuracy is None
    text = write_comparison(smaller, "table")
    assert text.startswith("Input of 3×64×64 (ResNet-18); nobody has published accuracies for it.")
    assert "69.8" not in text
    assert "No figure on ImageNet: ResNet-18." in to_svg(accuracy_picture(smaller))
    ten_crops = accuracy_picture(compare(["resnet50", "resnet50_v1"]))
    assert "(10 crops)" in to_svg(ten_crops)


def test_the_list_gives_numbers_to_programs_and_sources_to_people():
    (first, *_) = json.loads(list_models("json"))
    assert (first["name"], first["parameters"], first["year"], first["depth"]) == ("lenet5", 61_706, 1998, 5)
    assert {"top1_percent", "weights", "data", "source"} <= first.keys()
    table = list_models("table")
    assert "torchvision IMAGENET1K_V1, ImageNet-1k" in table
    assert "Sources of top-1: " in table
