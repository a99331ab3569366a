"""Training from scratch: the small network, the size of its input, and the recipe."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from training_data import bright_half, classifier

from svertka.architectures.small import Whitening, small_cnn
from svertka.backbones.load import load_backbone
from svertka.cli.train import make_config
from svertka.config import RunConfig
from svertka.config.fine_tuning import RECIPES, Augment, FineTune, Scratch
from svertka.data.sizes import longer_sides, natural_size
from svertka.errors import ConfigError, ShapeError, WeightsError
from svertka.runs import folder
from svertka.training import augmentation, loop
from svertka.training.classifier import fit_whitening
from svertka.training.strategies import make_strategy
from svertka.training.task import Task


def correlated(count, size, channels=3):
    """Images whose neighbouring pixels and channels resemble each other."""
    noise = torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.avg_pool2d(noise + noise.mean(1, keepdim=True), 3, 1, 1) + 0.3


def test_whitened_patches_have_variance_one_and_nothing_in_common():
    layer = Whitening(3)
    layer.fit(correlated(64, 24), eps=0.0)
    answers = layer(correlated(64, 24))[:, :12].permute(1, 0, 2, 3).flatten(1)
    torch.testing.assert_close(torch.cov(answers), torch.eye(12), atol=0.02, rtol=0)
    np.testing.assert_allclose(layer.weight[12:], -layer.weight[:12])


def test_whitening_of_gray_images_amplifies_no_rounding_error():
    layer = Whitening(3)
    layer.fit(correlated(64, 24, channels=1).expand(-1, 3, -1, -1))
    assert layer.weight.abs().max() < 100
    assert (layer.weight.flatten(1).norm(dim=1) > 0).sum() == 8  # four axes of 2×2 gray patches, both signs


def test_whitening_refuses_other_channels():
    with pytest.raises(ShapeError, match=r"images of shape \[4, 1, 8, 8\]; expected \[N, 3, H, W\]"):
        Whitening(3).fit(torch.zeros(4, 1, 8, 8))


@pytest.mark.parametrize("size", [16, 28, 64])
def test_the_small_network_takes_small_images_of_any_size(size):
    assert small_cnn(num_classes=7)(torch.zeros(2, 3, size, size)).shape == (2, 7)


def test_convolutions_start_like_the_identity():
    group = small_cnn().groups[1]
    torch.testing.assert_close(group.conv1(torch.ones(1, 32, 8, 8))[:, :32], torch.ones(1, 32, 8, 8))


def test_the_small_network_has_no_published_weights():
    with pytest.raises(WeightsError, match="no published weights; expected --weights none or a file"):
        load_backbone("small_cnn")


def test_the_whitening_layer_is_fitted_and_never_trained(tmp_path):
    backbone = load_backbone("small_cnn", "none", size_px=32, from_scratch=True)
    settings = Scratch(max_epochs=1, batch_size=8, norm_bias_factor=4.0)
    task = Task(
        backbone=backbone,
        strategy=make_strategy("scratch", settings, len(backbone.stages)),
        train=bright_half(16, 0, axis=0),
        val=bright_half(8, 1, axis=0),
        seed=0,
    )
    model = classifier(task)
    layer, bias = model.features.body.whiten, model.features.body.whiten.bias.detach().clone()
    random = layer.weight.clone()
    fit_whitening(model, task.train, backbone.preprocess, seed=0)
    fitted = layer.weight.clone()
    assert not torch.equal(fitted, random)
    loop.train(model, task, tmp_path)
    assert torch.equal(layer.weight, fitted)
    assert not torch.equal(layer.bias, bias)


def test_from_scratch_the_features_are_the_networks_own():
    whole = load_backbone("svertka:resnet18", "none", size_px=32, from_scratch=True)
    assert (whole.module.taps, whole.widths) == ((), (512,))
    assert len(whole.stages) > 2


@pytest.mark.parametrize(
    ("sizes", "largest", "found"),
    [
        ([(28, 28)] * 3, 224, 28),
        ([(20, 12)], 224, 28),
        ([(64, 50), (60, 64)], 224, 64),
        ([(90, 70)], 224, 96),
        ([(900, 70)], 224, 224),
        ([(900, 70)], RECIPES["small"]["scratch"].largest_px, 64),
        ([(40, 70)], RECIPES["small-aligned"]["scratch"].largest_px, 64),
    ],
)
def test_the_input_follows_the_images(sizes, largest, found, tmp_path):
    for number, size in enumerate(sizes):
        for name in ("a", "b"):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.new("L", size).save(tmp_path / name / f"{number}.png")
    (tmp_path / "a" / "broken.png").write_bytes(b"no image")
    assert natural_size(longer_sides(sorted(tmp_path.rglob("*.png"))), 64, largest) == found


def test_a_recipe_is_changed_by_a_file_and_by_the_command_line(tmp_path):
    (tmp_path / "c.toml").write_text('seed = 3\n[scratch]\nmax_epochs = 5\naugment = "none"\n')
    config = make_config({"data": "x", "seed": 4}, str(tmp_path / "c.toml"), recipe_name="small")
    assert (config.backbone, config.weights, config.strategy) == ("small_cnn", "none", "scratch")
    assert (config.seed, config.scratch.max_epochs, config.scratch.label_smoothing) == (4, 5, 0.2)
    assert config.scratch.augment == Augment.named("none")
    (tmp_path / folder.CONFIG).write_text(folder.config_to_toml(config))
    assert folder.load_config(tmp_path) == config


def test_images_that_are_framed_alike_are_flipped_and_nothing_else():
    scratch = make_config({"data": "x"}, "", recipe_name="small-aligned").scratch
    images = torch.rand(8, 3, 16, 16)
    allowed = replace(scratch.augment, mirror=True, upside_down=True)
    changed = augmentation.apply(augmentation.draw(allowed, 8, np.random.default_rng(0)), images)
    flips = [images, images.flip(3), images.flip(2), images.flip(2, 3)]
    seen = [min(range(4), key=lambda f: float((flips[f][n] - changed[n]).abs().max())) for n in range(8)]
    assert len(set(seen)) > 1
    torch.testing.assert_close(changed, torch.stack([flips[f][n] for n, f in enumerate(seen)]))


def test_listed_rates_survive_the_run_folder(tmp_path):
    config = RunConfig(data="x", finetune=FineTune(rates="listed", listed_rates=(0.0, 1e-5, 0.1)))
    (tmp_path / folder.CONFIG).write_text(folder.config_to_toml(config))
    assert folder.load_config(tmp_path) == config


def test_random_weights_mean_training_from_scratch():
    assert RunConfig(data="x", weights="none").from_scratch
    assert not RunConfig(data="x", weights="none", strategy="probe").from_scratch
    assert isinstance(RunConfig(data="x", weights="none").training, Scratch)
    with pytest.raises(ConfigError, match="strategy is 'scratch', but weights is 'default'; expected weights 'none'"):
        RunConfig(data="x", strategy="scratch")
