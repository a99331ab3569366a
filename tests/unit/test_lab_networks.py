"""Experiments with whole networks: what they measure, against arithmetic by hand; and what their sentences say.

One long file, because the four experiments share their images, their training and their charts.
"""

import csv
import math
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from svertka.architectures import find
from svertka.errors import ConfigError, DataError, NotFoundError, ShapeError, TrainingError
from svertka.lab import degradation, first_layer, gradients, race
from svertka.lab.growing_csv import kept
from svertka.lab.small_images import Images, load_images
from svertka.lab.training_loop import Scale, TrainingSettings, rate_factor, shift, train
from svertka.schema import Advanced, Preprocess, StepStarted
from svertka.viz.drawing import to_svg
from svertka.viz.line_chart import Line, Panel, chart, write_power


@pytest.fixture(scope="module")
def images():
    """Dark and bright squares of 16 px on noise, in colour: easily told apart."""
    rng = np.random.default_rng(0)

    def part(count):
        labels = np.arange(count) % 2
        pixels = rng.integers(0, 40, (count, 16, 16, 3)) + 150 * labels[:, None, None, None]
        return pixels.astype(np.uint8), labels.astype(np.int64)

    (train_pixels, train_labels), (held_out, held_out_labels) = part(24), part(10)
    return Images(
        name="squares", class_names=("dark", "bright"), train=train_pixels, train_labels=train_labels,
        held_out=held_out, held_out_labels=held_out_labels,
    )  # fmt: skip


def doubled(images):
    """Each pixel becomes four: 32 px."""
    train, held_out = (part.repeat(2, 1).repeat(2, 2) for part in (images.train, images.held_out))
    return replace(images, train=train, held_out=held_out)


# --- images and training -----------------------------------------------------------------------------------------


def test_a_sample_keeps_images_and_labels_together(images):
    some = images.sample(6, 0, seed=1)
    assert (len(some.train), len(some.held_out)) == (6, 10)
    np.testing.assert_array_equal(some.train.mean((1, 2, 3)) > 95, some.train_labels == 1)
    np.testing.assert_array_equal(some.train, images.sample(6, 0, seed=1).train)
    with pytest.raises(ConfigError, match="-1 images were asked for; expected 1 or more, or 0"):
        images.sample(-1, 0, seed=1)


def test_halved_images_are_means_of_four_pixels(images):
    small = images.halved()
    assert small.train.shape == (24, 8, 8, 3)
    assert small.train[3, 2, 5, 1] == round(images.train[3, 4:6, 10:12, 1].mean())


def test_a_folder_is_split_and_its_test_images_stay_unseen(tmp_path, shapes_folder):
    found = load_images(str(shapes_folder(tmp_path / "shapes", count=20)))
    assert found.class_names == ("disc", "square")
    assert found.train.shape[1:] == found.held_out.shape[1:] == (32, 32, 3)
    assert 20 < len(found.train) + len(found.held_out) < 40
    assert len(found.train_labels) == len(found.train) and len(found.held_out_labels) == len(found.held_out)


def test_digits_get_an_edge():
    found = load_images("digits")
    assert found.train.shape == (4000, 32, 32, 1)
    assert not found.train[:, [0, 1, 30, 31]].any() and found.train[:, 2:30].any()


def test_missing_images_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("SVERTKA_CACHE", str(tmp_path))
    with pytest.raises(
        NotFoundError, match=r"CIFAR-10 is not in .*--download, or unpack https.*cifar-10-batches-py ex"
    ):
        load_images("cifar10")
    with pytest.raises(NotFoundError, match=r"digitz does not exist; .* Did you mean digits\?"):
        load_images("digitz")
    (tmp_path / "data/cifar-10-batches-py").mkdir(parents=True)
    with pytest.raises(DataError, match=r"CIFAR-10 in .* cannot be used \(RuntimeError"):
        load_images()  # found without being asked for, but its batches are not in it


def test_cifar10_comes_from_its_loader(tmp_path, monkeypatch):
    class Loader:
        classes = ("cat", "dog")

        def __init__(self, root, train, download):
            assert (root, download) == (tmp_path, False)
            self.data, self.targets = np.zeros((4 if train else 2, 32, 32, 3), np.uint8), [0, 1] * (2 if train else 1)

    (tmp_path / "cifar-10-batches-py").mkdir()
    monkeypatch.setattr("torchvision.datasets.CIFAR10", Loader)
    found = load_images(str(tmp_path))
    assert (found.name, len(found.train), found.held_out_labels.tolist()) == ("CIFAR-10", 4, [0, 1])


def test_shifts_move_whole_images():
    ramp = np.broadcast_to(np.arange(8, dtype=np.uint8)[:, None, None], (64, 8, 8, 1))
    moved = shift(ramp, 2, np.random.default_rng(0)).astype(int)
    by = moved[:, 4, 4, 0] - 4
    assert set(by) == {-2, -1, 0, 1, 2}
    np.testing.assert_array_equal(
        moved[..., 0], np.clip(np.arange(8)[:, None] + by[:, None, None], 0, 7) * np.ones(8, int)
    )
    assert shift(ramp, 0, np.random.default_rng(0)) is ramp


def test_the_rate_rises_then_falls_to_zero():
    rates = [rate_factor(position) for position in np.linspace(0, 1, 101)]
    assert rates[10] == max(rates) == 1
    assert rates[0] == 0 and rates[-1] == pytest.approx(0)
    assert np.all(np.diff(rates[:11]) > 0) and np.all(np.diff(rates[10:]) < 0)


def test_training_learns_counts_and_repeats(images):
    def run():
        torch.manual_seed(3)
        heard = []
        network = find("lenet5").build(2, 3, small_images=True)
        epochs = list(train(network, doubled(images), TrainingSettings(epochs=8, batch_size=8, seed=3), heard.append))
        return epochs, heard

    (epochs, heard), (again, _) = run(), run()
    assert [replace(epoch, seconds=0) for epoch in epochs] == [replace(epoch, seconds=0) for epoch in again]
    assert (
        epochs[-1].train_loss < 0.2 * epochs[0].train_loss
        and epochs[-1].held_out_wrong == 0
        and epochs[-1].held_out_n == 10
    )
    assert [event.done for event in heard] == list(range(8, 8 * 24 + 1, 8))
    with pytest.raises(ConfigError, match="epochs is 0; expected 1 or more"):
        TrainingSettings(epochs=0)


# --- gradients ---------------------------------------------------------------------------------------------------


def test_gradient_norms_are_those_of_arithmetic(images):
    network = gradients.build(gradients.SETTINGS[1], "residual", 8, images, seed=0)
    found = gradients.norms(network, images)
    assert [name for name, *_ in found][:2] == ["conv1", "layer1.0.conv1"] and found[-1][0] == "fc" and len(found) == 8
    twin, x = network.double().train(), Scale.of(images.train)(images.train).double()
    labels = torch.from_numpy(images.train_labels)
    logits = twin(x).detach()
    wrong = (logits.softmax(1) - F.one_hot(labels)).numpy() / len(x)  # cross entropy's gradient, by hand
    assert found[-1][2] == pytest.approx(np.linalg.norm(wrong), rel=1e-9)
    assert found[-1][1] == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-9)
    weight = twin.conv1.weight
    (gradient,) = torch.autograd.grad(F.cross_entropy(twin(x), labels), weight)
    ahead, losses = gradient / gradient.norm(), []
    for step in (1e-7, -1e-7):  # the loss rises along the gradient as steeply as its norm says
        with torch.no_grad():
            weight += step * ahead
            losses.append(float(F.cross_entropy(twin(x), labels)))
            weight -= step * ahead
    assert found[0][3] == pytest.approx((losses[0] - losses[1]) / 2e-7, rel=1e-4)


def test_shortcuts_keep_the_gradient_alive(images):
    heard = []
    small = images.halved()
    rows = list(gradients.measure(small, (8, 26), steps=1, on_event=heard.append))
    assert len(rows) == 3 * 2 * 2 * (8 + 26)
    assert heard[0] == StepStarted("gradients", 6 * 34) and heard[-1] == Advanced(6 * 34)

    def first(kind):
        chosen = [r for r in rows if (r.setting, r.kind, r.depth, r.steps) == (gradients.SETTINGS[0].name, kind, 26, 0)]
        return chosen[0].at_output / chosen[-2].at_output

    assert first("plain") < 1e-6 < 1e-2 < first("residual")
    plain, shortcuts = gradients.sentences(rows)
    power = round(-math.log10(first("plain")))
    assert (
        f"first of 25, the gradient in a plain net shrinks about {write_power(power)} times (torch's default" in plain
    )
    assert "after 1 steps of Adam the loss has halved in" in shortcuts
    svg = to_svg(gradients.picture(rows, "squares"))
    assert svg.count("norm of ∂loss/∂output") == 12 and "Residual after 1 steps" in svg


def test_depths_are_those_of_the_family():
    assert gradients.parse_depths("20, 8,20") == (8, 20)
    with pytest.raises(ConfigError, match=r"depths are '8,9'; expected numbers 6 n \+ 2"):
        gradients.parse_depths("8,9")
    with pytest.raises(ConfigError, match="up to 1202"):
        gradients.parse_depths("8,600000000002")


# --- degradation -------------------------------------------------------------------------------------------------


def test_degradation_trains_all_four(images):
    rows = list(degradation.measure(images.halved(), epochs=1))
    assert [row.network for row in rows] == ["plain-20", "plain-56", "ResNet-20", "ResNet-56"]
    assert all(row.train_n == 16 and row.held_out_n == 10 for row in rows)  # eight images make no whole step
    svg = to_svg(degradation.picture(rows, "squares"))
    assert "16 images of 16 px (squares), 1 epoch in steps of 16, one seed" in svg
    assert svg.count("training error, %") == 2


def test_degradation_is_claimed_only_beyond_chance():
    def row(kind, depth, wrong):
        return degradation.DegradationEpoch(
            network=f"{kind}-{depth}", kind=kind, depth=depth, epoch=5, seconds=1.0, train_loss=1.0,
            train_wrong=wrong, train_n=1000, held_out_wrong=0, held_out_n=9,
        )  # fmt: skip

    rows = [row("plain", 20, 100), row("plain", 56, 200), row("residual", 20, 100), row("residual", 56, 105)]
    plain, residual = degradation.sentences(rows)
    assert plain == (
        "After 5 epochs plain-56 gets 20.0% of 1,000 training images wrong and plain-20 10.0%: the deeper net learns "
        "worse."
    )
    assert residual.endswith(
        "residual-20 10.0%: the 95 % interval of the difference holds 0, which shows none; without shortcuts depth "
        "costs 10.0 percentage points, with them nothing that chance couldn't explain."
    )
    better = degradation.sentences([*rows[:3], row("residual", 56, 20)])[1]
    assert better.endswith(
        "the deeper net learns better; without shortcuts depth costs 10.0 percentage points, with them it gains 8.0."
    )
    worse = degradation.sentences([*rows[:3], row("residual", 56, 150)])[1]
    assert worse.endswith("learns worse; depth costs 10.0 percentage points without shortcuts and 5.0 with them.")
    sharper = degradation.sentences([*rows[:3], row("residual", 56, 130)])[1]  # though 0.083 … 0.120, 0.111 … 0.152
    assert sharper.endswith("depth costs 10.0 percentage points without shortcuts and 3.0 with them.")
    alike = [row(kind, depth, 100) for kind in degradation.KINDS for depth in (20, 56)]
    assert degradation.sentences(alike)[1].endswith(
        "which shows none. Plain nets degrade no more than by chance here; with more images and epochs they may."
    )


def test_an_estimate_goes_with_images_and_epochs(images):
    assert 0 < degradation.estimate_s(images.halved(), epochs=1) < degradation.estimate_s(images.halved(), epochs=50)
    with pytest.raises(ConfigError, match="epochs is 0"):
        degradation.estimate_s(images, epochs=0)


def test_one_epoch_stands_at_the_end_of_its_axis():
    panel = Panel(title="", x_label="", y_label="", lines=[Line(name="n", points=[(1, 5.0)], colour="#000", dots=True)])
    svg = to_svg(chart("Title", ["How"], [panel], columns=1, panel_px=(200, 100)))
    axis = re.search(r'<polyline points="(\S+),(\S+) (\S+),\2" fill="none" stroke="#9ca3af"', svg)
    (dot,) = re.findall(r'<circle cx="(\S+)"', svg)
    assert dot == axis.group(3) and ">2</text>" not in svg


# --- race --------------------------------------------------------------------------------------------------------


def lap(network, epoch, right, epoch_s=2.0, memory=100.0):
    return race.Lap(
        network=network, parameters=10, epoch=epoch, epoch_s=epoch_s, elapsed_s=epoch * epoch_s, train_loss=1.0,
        right=right, held_out_n=100, peak_memory_mb=memory,
    )  # fmt: skip


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="a system without signal masks")
def test_ctrl_c_while_a_racer_starts_reaches_the_race_afterwards():
    asks = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores Ctrl-C
    try:
        with pytest.raises(KeyboardInterrupt), race._interrupts_blocked():
            signal.raise_signal(signal.SIGINT)
            child = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)
    finally:
        signal.signal(signal.SIGINT, earlier)
    assert child.stdout == "True\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_race_tells_who_learns_at_another_rate():
    assert race.learning_rate_note(["lenet5", "resnet18"]) == ""
    assert "0.0003 for VGG-16, AlexNet, which" in race.learning_rate_note(["vgg16", "resnet18", "alexnet"])


@pytest.mark.parametrize(
    ("name", "rate"), [("vgg11", 3e-4), ("alexnet", 3e-4), ("vgg11_bn", 1e-3), ("resnet18", 1e-3), ("lenet5", 1e-3)]
)
def test_deep_networks_that_nothing_normalises_race_at_a_lower_rate(name, rate):
    with torch.device("meta"):
        network = find(name).build(10, 3, small_images=True)
    optimiser = race.settings_for(network, TrainingSettings(epochs=1)).optimiser
    assert optimiser([torch.nn.Parameter(torch.ones(1))]).param_groups[0]["lr"] == rate


def test_results_of_a_race():
    laps = [lap("lenet5", 1, 60), lap("lenet5", 2, 95), lap("vgg11", 1, 40, 6.0, 500), lap("vgg11", 2, 71, 6.0, 600)]
    assert race.common_target(laps) == 0.71
    quick, slow = race.results(laps, 0.6)
    assert (quick.to_target_s, slow.to_target_s, slow.peak_memory_mb) == (2.0, 12.0, 600)
    first, second = race.sentences([quick, slow], 0.6, 0.1)
    assert first.startswith("LeNet-5 takes 2.0 s an epoch and VGG-11 6.0 s (3.0 times as long)")
    assert "LeNet-5 after 2.0 s, VGG-11 after 12.0 s" in second and second.endswith(
        "and their 95 % intervals lie apart; it is one seed."
    )
    tied = race.sentences([quick, replace(quick, network="vgg11")], 0.6, 0.1)[1]
    assert "at the end VGG-11 has 95.0% and LeNet-5 95.0%, and their 95 % intervals overlap" in tied
    never = race.sentences(race.results(laps, 0.9), 0.9, 0.1)[1]
    assert "LeNet-5 after 4.0 s; VGG-11 never in this race" in never
    assert race.sentences([quick, slow], 0.6, 0.69)[2] == (
        "Always answering the commonest class gives 69.0%: VGG-11 is not shown to be better at the end; times to that "
        "accuracy say nothing. Give more --epochs or --images."
    )
    assert race.sentences([slow], 0.71, 0.5)[2:] == ()
    svg = to_svg(race.picture(laps, 0.9, "squares", 24))
    assert (
        "training time, s" in svg
        and ">90%, the goal<" in svg
        and ">71%, the highest that all reach<" in to_svg(race.picture(laps, 0.71, "squares", 24))
    )


def test_a_race_is_run_in_processes_of_its_own(images):
    heard = []
    (only,) = race.race(
        race.enter(["lenet5"]), doubled(images), TrainingSettings(epochs=1, batch_size=12), heard.append
    )
    assert only.network == "lenet5" and only.held_out_n == 10 and only.peak_memory_mb > 50
    assert heard[0] == StepStarted("lenet5", 24) and heard[-1] == Advanced(24)


def test_a_process_that_dies_is_told(images, capfd):
    broken = replace(doubled(images), train_labels=images.train_labels + 5)
    with pytest.raises(TrainingError, match="lenet5's process ended with exit code 1 before its last epoch"):
        list(race.race(race.enter(["lenet5"]), broken, TrainingSettings(epochs=1, batch_size=12)))
    assert "out of bounds" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("names", "kind", "message"),
    [
        (["resnet19"], NotFoundError, "architecture 'resnet19' is unknown. Did you mean resnet1"),
        (["lenet5", "lenet5"], ConfigError, "networks are lenet5, lenet5; expected different names"),
    ],
)
def test_who_cannot_race(names, kind, message):
    with pytest.raises(kind, match=message):
        race.enter(names)


# --- first layer -------------------------------------------------------------------------------------------------


@pytest.fixture
def edge_layer():
    """Two filters: a vertical edge in gray, and red."""
    kernels = np.zeros((2, 3, 3, 3), np.float32)
    kernels[0, :, :, 0], kernels[0, :, :, 2] = -1, 1
    kernels[1, 0], kernels[1, 1], kernels[1, 2] = 1, -0.5, -0.5
    return first_layer.FirstLayer(
        network="two filters", layer="conv", kernels_OCKL=kernels, biases_O=np.array([0.5, 0], np.float32),
        preprocess=Preprocess(size_px=32), see=lambda pixels: (pixels / np.float32(255)).transpose(2, 0, 1),
    )  # fmt: skip


def test_the_best_patches_are_where_the_pattern_is(edge_layer):
    gray, red = np.full((2, 32, 32, 3), 100, np.uint8)
    gray[10:13, 21:] = 255  # an edge between columns 20 and 21, three rows high
    red[5:8, 7:10] = (255, 0, 0)
    patches, count = first_layer.best_patches(edge_layer, [gray, red], best=2)
    edge, _, redness, _ = patches
    assert count == 2 * 30 * 30
    assert (edge.filter, edge.rank, edge.image, edge.row) == (1, 1, 1, 10) and edge.column in (19, 20)
    assert edge.answer == pytest.approx(0.5 + 9 * 155 / 255, rel=1e-5)
    assert (redness.filter, redness.image, redness.row, redness.column) == (2, 2, 5, 7)
    assert redness.answer == pytest.approx(9, rel=1e-5)
    assert (edge.colour_share, edge.even_share) == (0, 0)
    assert (redness.colour_share, redness.even_share) == (1, 1)
    first, second = first_layer.sentences(edge_layer, patches, count, "2 images", [0.5, 0.7])
    assert "1 answer mostly to change across the patch" in first and "; 1 tell mostly colours apart." in first
    assert "Among 1,800 patches of 2 images" in second and "correlation 0.60" in second


def test_patches_of_a_filter_do_not_overlap(edge_layer):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    patches, _ = first_layer.best_patches(edge_layer, [noise])
    own = [(patch.row, patch.column) for patch in patches if patch.filter == 1]
    assert len(own) == 8
    assert all(max(abs(a - c), abs(b - d)) >= 3 for i, (a, b) in enumerate(own) for c, d in own[:i])
    seen = edge_layer.see(noise)[:, own[0][0] : own[0][0] + 3, own[0][1] : own[0][1] + 3]
    assert first_layer.resemblance(edge_layer, 1, [seen]) > 0.3
    assert first_layer.resemblance(edge_layer, 1, [edge_layer.kernels_OCKL[0]]) == pytest.approx(1)
    with pytest.raises(ShapeError, match="no image to look at"):
        first_layer.best_patches(edge_layer, [])


def test_filters_of_a_network_hold_its_batch_norm():
    first = first_layer.of_backbone("efficientnet_lite0", "default")
    from svertka.backbones.load import load_backbone

    body = load_backbone("efficientnet_lite0").module.body
    x = torch.rand(1, 3, 33, 33)
    with torch.inference_mode():
        theirs = body.stem[1](F.conv2d(x, body.stem[0].weight))
        ours = F.conv2d(x, torch.from_numpy(first.kernels_OCKL), torch.from_numpy(first.biases_O))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert len(first_layer.loud(first)) == 28  # the package's BatchNorm switches four off
    with pytest.raises(NotFoundError, match=r"'resnet19' is unknown .* Did you mean"):
        first_layer.of_backbone("resnet19", "none")


def test_batch_norm_with_an_activation_inside_is_folded_as_well(tmp_path):
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = timm.create_model("test_efficientnet").eval()
    norm = network.bn1
    for tensor, low in ((norm.weight, 0.5), (norm.bias, -1), (norm.running_mean, -1), (norm.running_var, 0.5)):
        torch.nn.init.uniform_(tensor, low, 2)
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    first = first_layer.of_backbone("timm:test_efficientnet", str(tmp_path / "w.safetensors"))
    x = torch.rand(1, 3, 33, 33)
    with torch.inference_mode():
        theirs = norm.act(
            F.conv2d(x, network.conv_stem.weight)
            .sub(norm.running_mean[:, None, None])
            .div((norm.running_var + norm.eps).sqrt()[:, None, None])
            .mul(norm.weight[:, None, None])
            .add(norm.bias[:, None, None])
        )
        ours = norm.act(F.conv2d(x, torch.from_numpy(first.kernels_OCKL), torch.from_numpy(first.biases_O)))
        assert torch.allclose(norm(F.conv2d(x, network.conv_stem.weight)), theirs, atol=1e-4)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


# --- pictures and tables -----------------------------------------------------------------------------------------


def test_a_chart_names_its_lines_and_leaves_out_what_a_logarithm_cannot_show():
    line = Line(name="deep", points=[(1, 0.0), (2, 1e-9), (3, math.inf), (4, 1.0)], colour="#000")
    panel = Panel(title="Loss", x_label="layer", y_label="norm", lines=[line], log_y=True)
    svg = to_svg(chart("Title", ["How"], [panel], columns=1, panel_px=(200, 100)))
    assert all(f">{text}</text>" in svg for text in ("deep", "10⁻¹⁰", "10⁻⁸", "1", "layer", "norm"))
    curves = re.findall(r'<polyline points="([^"]*)"[^>]*stroke="#000"', svg)
    assert [len(points.split()) for points in curves] == [2]


@pytest.mark.parametrize("largest", [1.046, 0.168, 9.0, 2e-30])
def test_a_logarithmic_axis_reaches_its_largest_value(largest):
    line = Line(name="n", points=[(1, largest / 7), (2, largest)], colour="#000")
    panel = Panel(title="", x_label="", y_label="", lines=[line], log_y=True)
    svg = to_svg(chart("Title", ["How"], [panel], columns=1, panel_px=(200, 100)))
    (points,) = re.findall(r'<polyline points="([^"]*)"[^>]*stroke="#000"', svg)
    low, high = (float(point.split(",")[1]) for point in points.split())
    grid = [float(y) for y in re.findall(r'<polyline points="[^,]*,(\S+) [^"]*"[^>]*stroke="#e5e7eb"', svg)]
    assert min(grid) < high < low < max(grid)


def test_powers_are_written_as_people_write_them():
    assert [write_power(exponent) for exponent in (-12, 0, 1, 3)] == ["10⁻¹²", "1", "10", "10³"]


def test_a_table_is_on_disk_before_the_next_row_is_asked_for(tmp_path):
    @dataclass(frozen=True)
    class Row:
        name: str
        value: float

    path = tmp_path / "rows.csv"
    rows = kept((Row("a, b", 1 / 3), Row("c", math.inf)), path)
    next(rows)
    assert list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) == [
        {"name": "a, b", "value": "0.333333"}
    ]
    assert len(list(rows)) == 1
    assert path.read_text(encoding="utf-8").splitlines()[-1] == "c,inf"
