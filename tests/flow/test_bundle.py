"""A torch model, its bundle, and prediction from files agree to 1e-4 in probability."""

import csv
import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from svertka.backbones.onnx_export import export_features
from svertka.bundle.bundle import load_bundle, write_bundle
from svertka.bundle.classifier_graph import attach_head
from svertka.bundle.predictor import open_predictor, predict_files
from svertka.cli.predict import predict
from svertka.data import decode
from svertka.features.linear_head import LinearHead
from svertka.schema import Preprocess

PREPROCESS = Preprocess(size_px=32, resize="crop", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
CLASSES = ("ёлка", "heron, grey", "zebra")
TEMPERATURE = 1.7


class Classifier(nn.Module):
    """A small backbone, standardisation and a linear head: images [N, 3, 32, 32] to logits [N, 3]."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(11)
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU6(),
            nn.Conv2d(8, 16, 3, padding=1, groups=8),
            nn.Hardswish(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.mean, self.scale = torch.rand(16), torch.rand(16) / 4 + 0.05
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head((self.features(x) - self.mean) / self.scale)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Images of many kinds, and one file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(1)
    for number, suffix in enumerate(["png", "jpg", "bmp", "webp", "tif", "png", "jpg", "gif", "png", "jpg"]):
        height, width = rng.integers(20, 90, 2)
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8) // (1 + number % 3)
        image = Image.fromarray(pixels)
        (image.convert("L") if number == 5 else image).save(folder / f"фото{number}.{suffix}")
    (folder / "фото4b.png").write_bytes(b"text, not an image")
    return folder


@pytest.fixture(scope="module")
def model():
    return Classifier().eval()


def torch_probabilities(model, images_NSSC):
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (PREPROCESS.mean, PREPROCESS.std))
    with torch.no_grad():
        logits = model((torch.from_numpy(images_NSSC).permute(0, 3, 1, 2) / 255 - mean) / std)
    return torch.softmax(logits / TEMPERATURE, dim=1).numpy()


@pytest.fixture(scope="module")
def run_folder(model, photos, tmp_path_factory):
    files = sorted(path for path in photos.iterdir() if path.name != "фото4b.png")
    images = np.stack([decode.load(path, PREPROCESS) for path in files])
    parts = (model.mean, model.scale, model.head.weight, model.head.bias)
    head = LinearHead(*(tensor.detach().numpy() for tensor in parts))
    folder = tmp_path_factory.mktemp("runs") / "run"
    write_bundle(
        folder / "bundle",
        graph=attach_head(export_features(model.features, PREPROCESS), head, TEMPERATURE),
        weights={name: tensor.numpy() for name, tensor in model.state_dict().items()},
        class_names=CLASSES,
        preprocess=PREPROCESS,
        temperature=TEMPERATURE,
        check_images_NSSC=images,
        reference_NK=torch_probabilities(model, images),
    )
    return folder


def test_files_get_the_probabilities_that_torch_gives(model, photos, run_folder):
    bundle = load_bundle(run_folder)
    assert (bundle.parity.n, bundle.parity.same_labels) == (10, 10)
    assert bundle.parity.max_probability_difference < 1e-5
    paths = [photos / name for name in ("фото7.gif", "фото0.png", "фото4b.png", "фото5.png", "фото9.jpg", "фото1.jpg")]
    results = list(predict_files(open_predictor(bundle, threads=2), paths))
    assert [result.path for result in results] == paths
    assert [bool(result.error) for result in results] == [False, False, True, False, False, False]
    assert "not_an_image: text: 'text, not an image'" in results[2].error
    good = [result for result in results if not result.error]
    images = np.stack([decode.load(result.path, PREPROCESS) for result in good])
    received = np.stack([result.probabilities_K for result in good])
    np.testing.assert_allclose(received, torch_probabilities(model, images), atol=1e-5)
    logits = np.stack([result.logits_K for result in good]) / TEMPERATURE
    np.testing.assert_allclose(torch.softmax(torch.from_numpy(logits), 1), received, atol=1e-6)


def test_the_command_line_gives_the_same(model, photos, run_folder, capsysbinary):
    assert predict(str(run_folder), [str(photos)], threads=1) == 0
    output = capsysbinary.readouterr()
    rows = list(csv.reader(io.StringIO(output.out.decode("utf-8"))))
    assert rows[0] == ["path", "label", "confidence", "p:ёлка", "p:heron, grey", "p:zebra", "error"]
    names = [f"фото{n}" for n in (0, 1, 2, 3, 4, "4b", 5, 6, 7, 8, 9)]
    assert [row[0].rsplit("/", 1)[1].split(".")[0] for row in rows[1:]] == names
    for path, label, confidence, *probabilities, error in rows[1:]:
        if error:
            assert (label, confidence, probabilities) == ("", "", ["", "", ""])
            continue
        (expected,) = torch_probabilities(model, np.stack([decode.load(path, PREPROCESS)]))
        np.testing.assert_allclose([float(p) for p in probabilities], expected, atol=1e-5)
        assert (label, float(confidence)) == (CLASSES[expected.argmax()], max(map(float, probabilities)))
    assert output.err.decode().splitlines() == [
        "10 of 11 files predicted.",
        "1 could not be read; the column 'error' says why.",
    ]


def test_decoding_stays_a_bounded_way_ahead(photos, run_folder):
    taken = []

    def paths():
        for number in range(1000):
            taken.append(number)
            yield photos / "фото0.png"

    results = predict_files(open_predictor(load_bundle(run_folder), threads=1), paths())
    for _ in range(10):
        next(results)
    assert 10 < len(taken) < 100
    results.close()
    assert len(taken) < 100
