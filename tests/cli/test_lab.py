"""``svertka lab``: what it prints and draws, and how it says what is wrong."""

import gzip
import importlib
import json
import re
import struct

import numpy as np
import pytest
from PIL import Image
from test_main import svertka

from svertka.schema import Preprocess


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """Ramps in each colour, 30 × 20 px, and the same in modes that cameras and programs write."""
    folder = tmp_path_factory.mktemp("photo")
    y, x = np.mgrid[:20, :30]
    rgb = Image.fromarray(np.stack([x * 8, y * 12, x + y], axis=2).astype(np.uint8))
    rgb.save(folder / "rgb.png")
    rgb.convert("L").save(folder / "gray.png")
    rgb.convert("CMYK").save(folder / "cmyk.jpg")
    rgb.convert("P").save(folder / "palette.gif")
    rgba = rgb.copy()
    rgba.putalpha(128)
    rgba.save(folder / "alpha.png")
    Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257).save(folder / "deep.png")
    return folder


def size_px(path):
    with Image.open(path) as picture:
        return picture.size


def test_conv_tells_the_sizes_and_draws(photo, tmp_path):
    out = tmp_path / "y.png"
    done = svertka("lab", "conv", photo / "rgb.png", "--filter", "sobel_x", "--stride", 2, "--padding", 1, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "30 × 20 px" in done.stdout
    assert "rows:    (20 + 2·1 - 3) / 2 + 1 = 10.5 → 10" in done.stdout
    assert "columns: (30 + 2·1 - 3) / 2 + 1 = 15.5 → 15" in done.stdout
    assert "zeros lie beyond the input" in done.stdout
    assert min(size_px(out)) > 300


def test_conv_shows_the_whole_arithmetic_of_a_pixel(photo):
    done = svertka("lab", "conv", photo / "rgb.png", "--filter", "sobel_x", "--padding", "0", "--at", "4,5")
    red = done.stdout.split("Output (4, 5) R")[1].split("Output (4, 5) G")[0]
    assert "input rows 4 to 6, columns 5 to 7" in red
    rows = [re.findall(r"-?\d+", line) for line in red.splitlines() if line.startswith("│")]
    window, kernel, products = np.array(rows, float).reshape(3, 3, 3).transpose(1, 0, 2)
    np.testing.assert_array_equal(window, [[40, 48, 56]] * 3)
    np.testing.assert_array_equal(kernel, [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    np.testing.assert_array_equal(products, window * kernel)
    assert "= 64" in red


def test_a_turned_kernel_changes_the_sign(photo):
    done = svertka("lab", "conv", photo / "gray.png", "--filter", "sobel_x", "--flip", "--at", "4,5")
    plain = svertka("lab", "conv", photo / "gray.png", "--filter", "sobel_x", "--at", "4,5")
    sums = [float(run.stdout.rstrip().split(" = ")[-1]) for run in (done, plain)]
    assert sums[0] == -sums[1] != 0
    assert "true convolution" in done.stdout


@pytest.mark.parametrize("name", ["gray.png", "cmyk.jpg", "palette.gif", "alpha.png", "deep.png"])
def test_images_of_any_mode(photo, tmp_path, name):
    done = svertka("lab", "filters", photo / name, "--out", tmp_path / "all.png")
    assert done.returncode == 0, done.stderr
    assert size_px(tmp_path / "all.png")[0] > 1000


def test_filters_of_an_image_smaller_than_a_kernel(tmp_path):
    Image.new("RGB", (6, 5), (200, 40, 0)).save(tmp_path / "tiny.png")
    done = svertka("lab", "filters", tmp_path / "tiny.png", "--out", tmp_path / "all.png")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "all.png") as sheet:
        assert (200, 40, 0) in [colour for _, colour in sheet.getcolors(10**6)]  # kernels don't cover all of it


def test_feature_maps_from_random_and_trained_filters(photo, tmp_path):
    done = svertka("lab", "feature-maps", photo / "rgb.png", "--out", tmp_path / "maps.png")
    assert done.returncode == 0, done.stderr
    assert "EfficientNet-Lite0, ImageNet-1k, 32 of 3 × 3 × 3" in done.stdout
    assert size_px(tmp_path / "maps.png")[0] > 1000


def test_feature_maps_of_a_bundle_see_pixels_as_it_does(tmp_path, write_tiny_bundle):
    """A filter that adds up one pixel: its map is blue where the bundle's scaling makes the pixel negative."""
    for name, mean in (("dark", (0.9, 0.9, 0.9)), ("bright", (0.1, 0.1, 0.1))):
        preprocess = Preprocess(size_px=32, interpolation="bilinear", mean=mean, std=(0.2, 0.3, 0.4))
        kernels = np.zeros((5, 3, 4, 4), np.float32)
        kernels[:, :, 1, 1] = 1
        write_tiny_bundle(tmp_path / name, weights={"stem.weight": kernels}, preprocess=preprocess)
        Image.new("RGB", (30, 20), (128, 128, 128)).save(tmp_path / "gray.png")
        out = tmp_path / f"{name}.png"
        done = svertka("lab", "feature-maps", tmp_path / "gray.png", "--weights", tmp_path / name, "--out", out)
        assert done.returncode == 0, done.stderr
        assert "std 0.2, 0.3, 0.4, as the bundle tells" in done.stdout
    dark, bright = (np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int) for name in ("dark", "bright"))
    trained = slice(dark.shape[0] * 2 // 3, None)  # the lowest of three sections
    assert (
        (dark[trained, :, 2] - dark[trained, :, 0]).max() > 100 > (bright[trained, :, 2] - bright[trained, :, 0]).max()
    )
    assert (bright[trained, :, 0] - bright[trained, :, 2]).max() > 100


def test_feature_maps_tell_their_own_size_and_are_as_many_as_the_filters(photo, tmp_path, monkeypatch):
    from svertka.engine.network import write_arrays

    verb = importlib.import_module("svertka.cli.lab.feature_maps")

    heard = []
    monkeypatch.setattr(verb, "sheet", lambda *told, **_: heard.append(told) or Image.new("RGB", (9, 9)))
    write_arrays(tmp_path / "w.safetensors", {"stem.weight": np.ones((5, 3, 4, 4), np.float32)})
    verb.feature_maps(str(photo / "rgb.png"), str(tmp_path / "w.safetensors"), 0, str(tmp_path / "maps.png"))
    ((_, subtitle, sections),) = heard
    assert "maps 29 × 19 px" in subtitle  # 30 × 20 px, a kernel of 4, one pixel around
    assert [len(tiles) for tiles in sections.values()] == [1, 5, 5]


def test_feature_maps_of_a_weights_file_of_ours(photo, tmp_path):
    from svertka.engine.network import write_arrays

    write_arrays(tmp_path / "w.safetensors", {"stem.weight": np.ones((5, 3, 7, 7), np.float32)})
    done = svertka("lab", "feature-maps", photo / "rgb.png", "--weights", tmp_path / "w.safetensors", cwd=tmp_path)
    assert "stem.weight, 5 of 7 × 7 × 3" in done.stdout
    assert (tmp_path / "feature_maps.png").exists()


def write_mnist(folder, train, test):
    """MNIST's four files with bars for digits: digit d is a bright row at height 2·d + 4."""
    folder.mkdir()
    for part, count in (("train", train), ("t10k", test)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = np.random.default_rng(0).integers(0, 60, (count, 28, 28), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[2 * label + 4 : 2 * label + 6, 4:24] = 255
        head = b"\0\0\x08"
        sizes = np.array([count, 28, 28], ">u4").tobytes()
        packed = gzip.compress(head + b"\x03" + sizes + images.tobytes())
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(packed)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(head + b"\x01" + sizes[:4] + labels.tobytes())
    return folder


@pytest.mark.parametrize("network", ["lenet5", "lenet5_1998"])
def test_scratch_trains_and_tells(tmp_path, network):
    data = write_mnist(tmp_path / "mnist", 400, 100)
    done = svertka("lab", "scratch", "--data", data, "--network", network, "--epochs", 3, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {"lenet5": "61,706", "lenet5_1998": "60,000"}[network] in done.stdout
    assert "epoch 3 of 3" in done.stderr
    assert "95 % interval" in done.stdout
    assert "n = 100" in done.stdout
    matrix = done.stdout.split("answer)")[1].splitlines()[2:12]
    counts = [[int(cell) if cell != "." else 0 for cell in line.split()[1:]] for line in matrix]
    assert np.sum(counts) == 100
    for name in ("filters.png", "mistakes.png"):
        assert min(size_px(tmp_path / "scratch" / name)) > 60
    assert (tmp_path / "scratch/weights.safetensors").exists()


def bfloat16_weights():
    """A safetensors file of one convolution of zeros, in numbers that NumPy has no name for."""
    shape = [5, 3, 4, 4]
    header = json.dumps({"stem.weight": {"dtype": "BF16", "shape": shape, "data_offsets": [0, 480]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(480)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("conv", "none.png"), "none.png does not exist"),
        (("conv", "text.png"), "text.png cannot be used as an image: not an image"),
        (("conv", "rgb.png", "--filter", "sobl_x"), "Did you mean sobel_x"),
        (("conv", "rgb.png", "--stride", "0"), "--stride is 0; expected 1 to"),
        (("conv", "rgb.png", "--padding", "-1"), "--padding is -1; expected 0 to"),
        (("conv", "rgb.png", "--padding", "some"), "--padding is some; expected a number"),
        (("conv", "rgb.png", "--padding=--5"), "--padding is --5; expected a number"),
        (("conv", "rgb.png", "--at", "5"), "--at is 5; expected ROW,COL"),
        (("conv", "rgb.png", "--at", "a,b"), "--at is a,b; expected ROW,COL"),
        (("conv", "rgb.png", "--at", "500,1"), "no output 500,1"),
        (("conv", "rgb.png", "--out", "y.jpg"), "expected one that ends in .png"),
        (("filters", "rgb.png", "--out", "no/y.png"), "no does not exist"),
        (("feature-maps", "rgb.png", "--weights", "w"), "w does not exist; expected a bundle"),
        (("feature-maps", "rgb.png", "--weights", "bf16.safetensors"), "convert the weights to float32"),
        (("feature-maps", "rgb.png", "--seed", "-1"), "seed is -1; expected 0 to 4294967295"),
        (("gradients", "--seed", "-1"), "seed is -1; expected 0 to 4294967295"),
        (("degradation", "--seed", "-1"), "seed is -1; expected 0 to 4294967295"),
        (("race", "lenet5", "--seed", "4294967296"), "seed is 4294967296; expected 0 to 4294967295"),
        (("first-layer", "resnet18", "--seed", "-1"), "seed is -1; expected 0 to 4294967295"),
        (("scratch", "--network", "lenet"), "Did you mean lenet5"),
        (("scratch", "--epochs", "0"), "epochs is 0"),
        (("scratch", "--data", "."), "train-images-idx3-ubyte"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(photo, arguments, said, tmp_path):
    (tmp_path / "rgb.png").write_bytes((photo / "rgb.png").read_bytes())
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "bf16.safetensors").write_bytes(bfloat16_weights())
    done = svertka("lab", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
    assert {path.name for path in tmp_path.iterdir()} == {"rgb.png", "text.png", "bf16.safetensors"}
