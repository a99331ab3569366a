"""What the explanations claim, against an independent truth: autograd, arithmetic by hand, planted shortcuts.

One long file, because nearly all of it looks at the same bundles, and to write these takes longer than the tests.
"""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from PIL import Image
from report_runs import INSIGHT

from svertka.config import Augment, FineTune
from svertka.data.loader import ImageSource
from svertka.data.pixels import PixelStore
from svertka.engine.geometry import ReceptiveField
from svertka.errors import BundleError, ConfigError
from svertka.explain import sanity
from svertka.explain.anatomy import dissect
from svertka.explain.cam import constant_part, evidence, resized, stage_maps
from svertka.explain.insight import choose_examples, explain_image
from svertka.explain.occlusion import covered_probability, occlude, occlusion_map
from svertka.explain.opened_bundle import open_network
from svertka.explain.patches import level_of, shown_stages, top_patches
from svertka.explain.receptive_field import MapField
from svertka.explain.shortcuts import clear_pairs, probe_shortcuts, verdict
from svertka.onnx_graph.edit import rewired
from svertka.schema import (
    Catalog,
    Estimate,
    ImageRecord,
    Insight,
    Predictions,
    Preprocess,
    Split,
)
from svertka.util.from_dict import from_dict

SIZE = 64


@pytest.fixture(scope="module")
def classifier():
    """A small residual network with random weights (BatchNorm statistics too) and a random head of three classes."""
    from svertka.backbones.load import load_backbone
    from svertka.features.linear_head import LinearHead

    backbone = load_backbone("resnet18", "none", size_px=SIZE)
    torch.manual_seed(1)
    for module in backbone.module.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    rng = np.random.default_rng(2)
    D = sum(backbone.widths)
    head = LinearHead(
        rng.random(D).astype(np.float32),
        rng.uniform(0.5, 2, D).astype(np.float32),
        rng.normal(size=(3, D)).astype(np.float32),
        np.array([0.3, -0.2, 0.1], np.float32),
    )
    return backbone, head


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(5).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)


def bundle_of(folder, module, preprocess, head, images):
    from svertka.backbones.onnx_export import export_features
    from svertka.bundle.bundle import write_bundle
    from svertka.bundle.classifier_graph import attach_head
    from svertka.features.extractor import torch_features

    z = head.logits(torch_features(module, preprocess, images)) / 1.5
    p_NK = np.exp(z - z.max(1, keepdims=True))
    return write_bundle(
        folder,
        graph=attach_head(export_features(module, preprocess), head, 1.5),
        weights={"head.bias": head.bias_K},
        class_names=("a", "b", "c"),
        preprocess=preprocess,
        temperature=1.5,
        check_images_NSSC=images,
        reference_NK=p_NK / p_NK.sum(1, keepdims=True),
    )


@pytest.fixture(scope="module")
def plain(classifier, images, tmp_path_factory):
    backbone, head = classifier
    folder = tmp_path_factory.mktemp("plain") / "bundle"
    return open_network(bundle_of(folder, backbone.module, backbone.preprocess, head, images), threads=1)


@pytest.fixture(scope="module")
def flipping(classifier, images, tmp_path_factory):
    """The same network as the mean over an image and its flips, as fine-tuning hands it over."""
    from svertka.training.tta import mean_over_views

    backbone, head = classifier
    settings = FineTune(augment=Augment(mirror=True, upside_down=True))
    module = mean_over_views(backbone.module, settings).eval()
    folder = tmp_path_factory.mktemp("flipping") / "bundle"
    return open_network(bundle_of(folder, module, backbone.preprocess, head, images), threads=1)


# --- class activation maps ----------------------------------------------------------------------------------------


def autograd_maps(backbone, head, image, label):
    """By torch alone: of each tap's map, its gradient on the direct way to a (centred) logit times itself."""
    from torch.nn.functional import adaptive_avg_pool2d

    from svertka.backbones.tensors import normalise, to_input
    from svertka.training.classifier import Classifier

    model, maps = Classifier(backbone.module, head).eval(), []
    hooks = [
        backbone.module.body.get_submodule(name).register_forward_hook(
            lambda module, args, output: maps.append(output.detach().requires_grad_()), prepend=True
        )
        for name in backbone.module.taps
    ]
    with torch.no_grad():
        logits_K = model(normalise(to_input(image[None]), backbone.preprocess))[0]
    for hook in hooks:
        hook.remove()
    with torch.enable_grad():
        pooled = torch.cat([adaptive_avg_pool2d(one, 1).flatten(1) for one in maps], dim=1)
        z_K = model.linear((pooled - model.mean) / model.scale)[0]
        (z_K[label] - z_K.mean()).backward()
    products = [(one.grad * one.detach())[0].sum(0).numpy() for one in maps]
    return products, float(logits_K[label] - logits_K.mean())


@pytest.mark.parametrize("label", [0, 2])
def test_stage_maps_are_gradient_times_activation(classifier, plain, images, label):
    backbone, head = classifier
    expected, logit = autograd_maps(backbone, head, images[0], label)
    look = plain.look(images[0])
    found = stage_maps(plain, look, label)
    assert len(found) == plain.stages == len(expected) >= 4
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4 * np.abs(theirs).max())
    total = sum(float(one.sum()) for one in found) + constant_part(plain, label)
    assert total == pytest.approx(logit, abs=1e-3)


def test_last_stage_is_grad_cam_by_a_whole_backward_pass(classifier, plain, images):
    """Selvaraju et al. 2017, equations 1 and 2, at the last convolution: mean gradients as weights, then ReLU."""
    from svertka.backbones.tensors import normalise, to_input
    from svertka.training.classifier import Classifier

    backbone, head = classifier
    model, kept = Classifier(backbone.module, head).eval(), []
    last = backbone.module.body.get_submodule(backbone.module.taps[-1])
    hook = last.register_forward_hook(lambda module, args, output: kept.append(output), prepend=True)
    logits = model(normalise(to_input(images[1][None]), backbone.preprocess))[0]
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[1] - logits.mean(), kept[0])
    alpha = gradient.mean(dim=(2, 3), keepdim=True)
    expected = torch.relu((alpha * kept[0]).sum(1))[0].detach().numpy()
    found = np.maximum(stage_maps(plain, plain.look(images[1]), 1)[-1], 0)
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(expected.max(), 1e-6))


@pytest.mark.parametrize("network", ["plain", "flipping"])
@pytest.mark.parametrize("grid", [7, 28])
def test_mean_of_the_joint_map_is_the_logit(network, grid, images, request):
    opened = request.getfixturevalue(network)
    look = opened.look(images[2])
    logits_K = opened.head.logits(look.features_D[None])[0]
    for label in range(3):
        mean = float(evidence(opened, look, label, grid).mean())
        assert mean == pytest.approx(float(logits_K[label] - logits_K.mean()), abs=1e-3)


def test_views_are_recognised_and_their_maps_turned_back(flipping, plain, images):
    assert plain.flips == ((),)
    assert sorted(flipping.flips) == [(), (0,), (0, 1), (1,)]
    image = images[0]
    straight = evidence(flipping, flipping.look(image), 1, 14)
    mirrored = evidence(flipping, flipping.look(np.ascontiguousarray(image[:, ::-1])), 1, 14)
    np.testing.assert_allclose(mirrored[:, ::-1], straight, atol=1e-3 * np.abs(straight).max())
    alone = [evidence(plain, plain.look(np.ascontiguousarray(np.flip(image, axes))), 1, 14) for axes in flipping.flips]
    turned = np.mean([np.flip(one, axes) for one, axes in zip(alone, flipping.flips, strict=True)], axis=0)
    np.testing.assert_allclose(straight, turned, atol=1e-3 * np.abs(straight).max())


def test_features_and_probabilities_are_those_of_prediction(plain, images, tmp_path_factory):
    from svertka.inference.onnxruntime_session import open_session, run_in_batches

    expected_NK = run_in_batches(open_session(plain.model, 1), images, ["probabilities"])[0]
    np.testing.assert_allclose(plain.probabilities(plain.features(images)), expected_NK, atol=1e-6)


def test_resizing_keeps_the_mean_where_it_shrinks():
    plane = np.random.default_rng(0).random((28, 28)).astype(np.float32)
    assert resized(plane, 7)[0, 0] == pytest.approx(plane[:4, :4].mean(), abs=1e-6)


def test_a_network_without_maps_says_so(tiny_bundle):
    network = open_network(tiny_bundle, 1)
    assert network.stages == 0
    image = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(ConfigError, match="no means of feature maps, so it has no class activation map; use occlusion"):
        stage_maps(network, network.look(image), 0)
    heats = explain_image(network, image, "x.png").heats
    assert [heat.method for heat in heats] == ["occlusion", "occlusion"]


def test_a_graph_without_our_head_is_refused(mean_colour_graph):
    with pytest.raises(BundleError, match=r"no tensor 'features' with a linear head; expected a bundle of svertka's"):
        dissect(mean_colour_graph.SerializeToString())


# --- anatomy --------------------------------------------------------------------------------------------------------


def test_first_filters_are_those_of_the_network(classifier, plain):
    body = classifier[0].module.body
    norm = body.bn1
    scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()[:, None, None, None]
    expected = (body.conv1.weight * scale).detach().numpy()
    np.testing.assert_allclose(plain.anatomy.first_filters_OCKL, expected, atol=1e-5)


def test_receptive_fields_are_what_changes_a_number(plain):
    """One pixel outside a number's field doesn't move it, one inside does."""
    stage, row, column = 1, 5, 6
    field = plain.anatomy.fields[stage]
    top, left, bottom, right = field.window(row, column, SIZE)
    image = np.full((SIZE, SIZE, 3), 120, np.uint8)
    rng = np.random.default_rng(0)
    inside, outside = image.copy(), rng.integers(0, 256, image.shape, dtype=np.uint8)
    outside[top:bottom, left:right] = image[top:bottom, left:right]
    inside[top:bottom, left:right] = rng.integers(0, 256, (bottom - top, right - left, 3), dtype=np.uint8)
    before, after, changed = (plain.look(one).maps[0][stage][:, row, column] for one in (image, outside, inside))
    np.testing.assert_allclose(after, before, atol=1e-5)
    assert np.abs(changed - before).max() > 1e-3
    for at in (top, bottom - 1):  # not larger than need be: its outermost rows count
        edge = image.copy()
        edge[at, left:right] = rng.integers(0, 256, (right - left, 3), dtype=np.uint8)
        assert np.abs(plain.look(edge).maps[0][stage][:, row, column] - before).max() > 1e-6


def test_receptive_fields_by_hand(plain):
    # The stem, 7 × 7 at step 2; its pooling, 7 + 2·2 = 11; then four 3 × 3 convolutions a stage: 11 + 4·2·4 = 43,
    # 43 + 2·4 + 3·2·8 = 99 and so on to the 435 px that ResNet-18 is known for (Araujo and others 2019, Distill).
    assert [field.rows.size_px for field in plain.anatomy.fields] == [7, 43, 99, 211, 435]
    assert [field.rows.stride_px for field in plain.anatomy.fields] == [2, 4, 8, 16, 32]


def test_a_window_stays_within_the_image():
    field = ReceptiveField(size_px=9, stride_px=4, start_px=-3)
    assert MapField(field, field).window(0, 15, 64) == (0, 57, 6, 64)


def test_rewired_graph_gives_other_tensors_and_other_weights(plain, images):
    from svertka.inference.onnxruntime_session import IMAGE, open_session, run

    bias_K = np.array([5, 6, 7], np.float32)
    zeros = np.zeros_like(plain.head.weight_KD)
    model = rewired(plain.model, ["logits"], {"head.bias": bias_K, "head.weight": zeros})
    session = open_session(model, 1)
    assert [output.name for output in session.get_outputs()] == ["logits"]
    np.testing.assert_allclose(run(session, ["logits"], {IMAGE: images[:1]})[0], bias_K[None])


# --- occlusion --------------------------------------------------------------------------------------------------------


def test_occlusion_finds_the_square_that_decides(tiny_bundle):
    """The tiny network names the mean colour; the red square is all that speaks for red."""
    network = open_network(tiny_bundle, 1)
    image = np.full((32, 32, 3), 60, np.uint8)
    image[4:10, 20:26] = (255, 0, 0)
    look = network.look(image)
    red = network.class_names.index("red")
    covered = occlude(network, look, 8)
    found = occlusion_map(network, look, covered, red)
    assert found.shape == (8, 8)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert (row, column) == (1, 5)
    assert covered_probability(network, covered, red) < network.probabilities(look.features_D[None])[0, red]
    assert found[6:, :3].max() < 0.2 * found.max()


# --- sanity -----------------------------------------------------------------------------------------------------------


def test_shuffling_keeps_the_numbers_and_moves_them(plain):
    other = sanity.shuffled(plain, 0, body=True)
    np.testing.assert_array_equal(np.sort(other.head.weight_KD, axis=1), np.sort(plain.head.weight_KD, axis=1))
    changed = dissect(other.model)
    name = plain.anatomy.weights[0]
    before, after = plain.anatomy.constants[name], changed.constants[name]
    np.testing.assert_array_equal(np.sort(after.ravel()), np.sort(before.ravel()))
    assert not np.array_equal(after, before)
    assert np.array_equal(changed.head.weight_KD, other.head.weight_KD)


def test_a_method_that_ignores_the_network_fails(plain, images):
    edges = sanity.Method("grad_cam", lambda network, image: image, lambda network, image, label: image[:, :, 0] / 9.0)
    assert [check.passed for check in sanity.check_sanity(plain, edges, list(images), [0, 1, 2])] == [False, False]
    assert sanity.check_sanity(plain, edges, list(images), [0, 1, 2])[0].correlation == pytest.approx(1)


@pytest.mark.parametrize("method", sanity.METHODS, ids=lambda method: method.name)
def test_our_methods_depend_on_the_weights(plain, images, method):
    for check in sanity.check_sanity(plain, method, list(images), [0, 1, 2]):
        assert abs(check.correlation) < 0.9 and check.n == 3


def test_rank_correlation_agrees_with_scipy():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, 60).astype(np.float32), rng.integers(0, 5, 60).astype(np.float32)
    assert sanity.rank_correlation(a, b) == pytest.approx(spearmanr(a, b)[0], abs=1e-6)
    assert sanity.rank_correlation(a, np.zeros_like(a)) == 0


# --- patches ----------------------------------------------------------------------------------------------------------


def test_levels_follow_the_hierarchy():
    assert [level_of(stage, 8) for stage in range(8)] == ["first"] * 3 + ["middle"] * 3 + ["last"] * 2
    assert [shown_stages(count) for count in (1, 2, 5, 8)] == [(0,), (0, 1), (1, 2, 4), (2, 3, 7)]


def test_patches_hold_the_strongest_response(plain, images):
    x_ND = plain.features(images)
    paths = [f"{number}.png" for number in range(3)]
    found = top_patches(plain, x_ND, lambda row: images[row], paths, channels=2, patches=2)
    assert [one.level for one in found] == ["first", "middle", "last"]
    stage = found[0]
    channel, patches = next(iter(stage.channels.items()))
    start = sum(len(one) for one in plain.look(images[0]).maps[0][: stage.stage])
    assert [one.path for one in patches] == [paths[row] for row in np.argsort(-x_ND[:, start + channel])[:2]]
    row = int(patches[0].path[0])
    plane = plain.look(images[row]).maps[0][stage.stage][channel]
    assert patches[0].value == pytest.approx(float(plane.max()))


# --- shortcuts --------------------------------------------------------------------------------------------------------


def shortcut_data(root, rng, paint, size_px=48, units=()):
    """Noise of two classes; ``paint`` plants what must be found: (pixels, label) to (pixels, options of saving)."""
    records = []
    for number in range(120):
        label = number % 2
        pixels = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
        pixels, options = paint(pixels, label)
        path = f"{number}.jpg"
        Image.fromarray(pixels).save(root / path, quality=90, **options)
        records.append(
            ImageRecord(
                path=path,
                label=label,
                split=None,
                group=None,
                width_px=pixels.shape[1],
                height_px=pixels.shape[0],
                mode="RGB",
                pixel_hash="",
                perceptual_hash=0,
            )
        )
    from svertka.data import decode
    from svertka.data.fingerprint import pixel_hash

    records = [replace(one, pixel_hash=pixel_hash(decode.decode(root / one.path).image)) for one in records]
    catalog = Catalog(root=root, layout="class folders", class_names=("a", "b"), records=tuple(records))
    split = Split(train=tuple(range(60)), val=(), test=tuple(range(60, 120)), seed=0, units=units)
    store = PixelStore(root / "cache", Preprocess(size_px=size_px))
    sources = {name: ImageSource.of(catalog, split.of(name), store) for name in ("train", "test")}
    found = probe_shortcuts(catalog, split, sources, Estimate(0.95, 0.9, 1.0, 60), 0)
    return {probe.name: probe for probe in found}


def frame(pixels, label):
    if label:
        pixels[:2] = 0
    return pixels, {}


def wider(pixels, label):
    return (pixels[:, :40] if label else pixels), {}


def camera(pixels, label):
    exif = Image.Exif()
    exif[0x010F] = "Nikon" if label else "Canon"
    return pixels, {"exif": exif}


@pytest.mark.parametrize(("paint", "culprit"), [(frame, "border"), (wider, "size"), (camera, "file")])
def test_a_planted_shortcut_is_found_where_it_is(tmp_path, paint, culprit):
    probes = shortcut_data(tmp_path, np.random.default_rng(0), paint)
    assert probes[culprit].verdict == "near the model"
    assert probes[culprit].roc_auc.value > 0.95
    if culprit != "size":
        assert probes["size"].verdict == "nothing to learn" and probes["size"].accuracy is None


def test_a_frame_is_found_in_images_of_few_pixels_too(tmp_path):
    probes = shortcut_data(tmp_path, np.random.default_rng(0), frame, size_px=28)
    assert probes["border"].verdict == "near the model"


def test_noise_offers_no_shortcut(tmp_path):
    probes = shortcut_data(tmp_path, np.random.default_rng(0), lambda pixels, label: (pixels, {}))
    assert {probe.verdict for probe in probes.values()} <= {"chance", "nothing to learn"}


def test_intervals_of_probes_count_groups(tmp_path):
    """Ten images of a patient are no ten proofs: what is told of their border is as unsure as six patients make it."""
    probes = []
    for name, units in (("alone", ()), ("patients", tuple(number // 10 for number in range(120)))):
        (tmp_path / name).mkdir()
        noise = shortcut_data(tmp_path / name, np.random.default_rng(0), lambda *given: (given[0], {}), units=units)
        probes.append(noise["border"].accuracy)
    alone, patients = probes
    assert patients.value == alone.value
    assert (patients.low, patients.high) != (alone.low, alone.high)


SIX = tuple("abcdef")


def judged_pairs(score_of_class, each=20, units=None, seed=0):
    """What is said of six classes by a probe that sees one number beside noise."""
    rng = np.random.default_rng(seed)
    labels_N = np.repeat(np.arange(6), each)
    logits_NK = rng.normal(size=(6 * each, 6)).astype(np.float32)
    logits_NK[np.arange(6 * each), labels_N] += np.array([score_of_class.get(name, 0) for name in SIX])[labels_N]
    said = Predictions(logits_NK=logits_NK, labels_N=labels_N, paths=("",) * (6 * each), class_names=SIX)
    return [(pair.first, pair.second) for pair in clear_pairs(said, np.arange(6 * each) if units is None else units)]


def test_two_of_six_classes_are_given_away():
    best, *others = judged_pairs({"b": 3, "e": 3})
    assert best == ("b", "e")
    assert len(others) == 8 and all({"b", "e"} & set(pair) for pair in others)  # each from the four others


def test_no_pair_is_named_by_chance():
    """200 probes of noise, 15 pairs each: at the usual 5 % a pair, 75 would be named on one side alone."""
    assert sum(len(judged_pairs({}, each=6, seed=seed)) for seed in range(200)) == 0


def test_pairs_count_groups():
    assert judged_pairs({"b": 3, "e": 3}, units=np.arange(120) // 5) == []  # four patients a class prove little


def test_a_tint_of_two_classes_is_found(tmp_path):
    """One is reddish, one bluish; among the four others the border tells nothing."""
    rng = np.random.default_rng(0)
    records = []
    for number in range(360):
        pixels = rng.integers(40, 200, (40, 40, 3), dtype=np.uint8)
        label = number % 6
        if label in (1, 4):
            pixels[:, :, 0 if label == 1 else 2] += 40
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        records.append(
            ImageRecord(
                path=f"{number}.png", label=label, split=None, group=None, width_px=40, height_px=40, mode="RGB",
                pixel_hash=f"{number:04}", perceptual_hash=0,
            )
        )  # fmt: skip
    from svertka.data.fingerprint import pixel_hash

    records = [replace(one, pixel_hash=pixel_hash(Image.open(tmp_path / one.path))) for one in records]
    catalog = Catalog(root=tmp_path, layout="class folders", class_names=SIX, records=tuple(records))
    split = Split(train=tuple(range(180)), val=(), test=tuple(range(180, 360)), seed=0)
    store = PixelStore(tmp_path / "cache", Preprocess(size_px=40))
    sources = {name: ImageSource.of(catalog, split.of(name), store) for name in ("train", "test")}
    border, size, file = probe_shortcuts(catalog, split, sources, Estimate(0.95, 0.9, 1.0, 180), 0)
    assert ("b", "e") in [(pair.first, pair.second) for pair in border.pairs]
    assert all({pair.first, pair.second} & {"b", "e"} for pair in border.pairs)
    assert size.pairs == file.pairs == ()


def test_verdicts():
    model = Estimate(0.9, 0.88, 0.92, 100)
    assert verdict(Estimate(0.55, 0.49, 0.6, 100), model) == "chance"
    assert verdict(Estimate(0.65, 0.6, 0.7, 100), model) == "better than chance"
    assert verdict(Estimate(0.71, 0.66, 0.76, 100), model) == "near the model"
    assert verdict(None, model) == "chance"


# --- examples and records ---------------------------------------------------------------------------------------------


def test_examples_are_surest_right_surest_wrong_and_least_sure():
    p_NK = np.array([[0.99, 0.01], [0.9, 0.1], [0.2, 0.8], [0.49, 0.51], [0.97, 0.03], [0.3, 0.7]])
    test = Predictions(
        logits_NK=np.log(p_NK).astype(np.float32),
        labels_N=np.array([0, 0, 1, 1, 1, 0]),
        paths=tuple("abcdef"),
        class_names=("x", "y"),
    )
    assert choose_examples(test, 1.0) == {"right": [0, 2], "wrong": [4, 5], "unsure": [3, 2]}


def test_an_insight_survives_json():
    assert from_dict(Insight, json.loads(json.dumps(asdict(INSIGHT)))) == INSIGHT


def test_a_damaged_insight_names_what_is_wrong():
    plain = json.loads(json.dumps(asdict(INSIGHT)))
    plain["shortcuts"][0]["colour"] = "blue"
    with pytest.raises(TypeError, match=r"shortcuts\[0\]\.colour is unknown; expected name, verdict"):
        from_dict(Insight, plain)
