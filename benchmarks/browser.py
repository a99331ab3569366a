"""Bundles in Chromium against ``svertka predict``: the same answers for all kinds of files, and what they cost.

Usage: python benchmarks/browser.py --bundles FOLDER    (a folder of bundles; one is trained where none is named)

Needs the package playwright and a Chromium of the system's.
"""

import base64
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from common import HERE, Row, Side, alternate, arguments, load, public_split, scratch, subset, train_probe, write_result

from svertka.bundle.predictor import Predictor, open_predictor, predict_files
from svertka.data.decode import load as load_square
from svertka.explain.cam import evidence
from svertka.explain.opened_bundle import open_network
from svertka.page.file_kinds import BY_BROWSER, encoded, kinds, photo
from svertka.page.single_file import write_single_file

sys.path.insert(0, str(HERE.parent / "tests" / "browser"))
from worker_page import OpenPage, open_page, write_page

from conftest import ARGUMENTS, find_chromium

DIFFERENCES = ("kinds", "pixel", "probability", "distance", "evidence", "labels", "notes")
_IMAGES = 20  # a round
_SIDE_PX = 300


@contextmanager
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = find_chromium()
    if path is None:
        raise SystemExit("no Chromium was found; name one in SVERTKA_CHROMIUM")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def differences(page: OpenPage, predictor: Predictor, folder: Path, every: int) -> dict[str, float]:
    """The largest differences between browser and Python over all kinds of files."""
    found = dict.fromkeys(DIFFERENCES, 0.0)
    exact = {name: make for name, make in kinds().items() if name not in BY_BROWSER}
    for name, make in list(exact.items())[::every]:
        path = folder / name
        path.write_bytes(make())
        (expected,) = predict_files(predictor, [path])
        answer = page.ask("predict", path.read_bytes())["result"]
        values = np.array(list(answer["probabilities"].values()))
        found["kinds"] += 1
        found["probability"] = max(found["probability"], float(np.abs(values - expected.probabilities_K).max()))
        found["labels"] += answer["label"] != expected.label
        found["notes"] += answer["notes"] != list(expected.notes)
        if expected.distance is not None:
            found["distance"] = max(found["distance"], abs(answer["distance"] - expected.distance))
        square = base64.b64decode(page.ask("maps", path.read_bytes())["result"]["square"])
        truth = load_square(path, predictor.bundle.preprocess).reshape(-1)
        apart = np.abs(np.frombuffer(square, np.uint8).astype(int) - truth).max()
        found["pixel"] = max(found["pixel"], float(apart))
    found["evidence"] = evidence_difference(page, predictor, folder / "jpeg_420")
    return found


def evidence_difference(page: OpenPage, predictor: Predictor, image: Path) -> float:
    """Of the class activation map of one image: the largest difference, as a share of the largest value."""
    network = open_network(predictor.bundle, 1)
    if not network.stages:
        return 0.0
    image.write_bytes(kinds()["jpeg_420"]())
    found = page.ask("explain", image.read_bytes(), label=network.class_names[0])["result"]["evidence"]
    expected = evidence(network, network.look(load_square(image, network.preprocess)), 0)
    return float(np.abs(np.array(found) - expected).max() / np.abs(expected).max())


def first_answer(browser: Any, html: Path, image: Path) -> float:
    """Seconds from opening the single file to the answer for one image."""
    page = browser.new_page()
    start = time.perf_counter()
    page.goto(html.as_uri(), wait_until="commit")
    page.set_input_files("#choose", image)
    page.locator(".said .sure").wait_for(timeout=60_000)
    seconds = time.perf_counter() - start
    page.close()
    return seconds


def per_image(page: OpenPage, predictor: Predictor, image: Path, rounds: int) -> dict[str, list[float]]:
    """Milliseconds an image, the median of a round: in the browser, and in Python on one thread."""
    content = image.read_bytes()

    def python() -> float:
        times = []
        for _ in range(_IMAGES):
            start = time.perf_counter()
            list(predict_files(predictor, [image]))
            times.append(1000 * (time.perf_counter() - start))
        return statistics.median(times)

    def chrome() -> float:
        return statistics.median(page.ask("predict", content)["ms"] for _ in range(_IMAGES))

    chrome(), python()
    return alternate({"browser": chrome, "python": python}, rounds)


def trained(folder: Path, tiny: bool) -> Path:
    """A folder with the bundle of a probe."""
    data = subset(public_split(), folder / "tiny", 12) if tiny else public_split()
    train_probe(data, folder / "run", cache=folder / "cache")
    (folder / "bundles").mkdir()
    (folder / "bundles" / "lite0_probe").symlink_to((folder / "run" / "bundle").resolve())
    return folder / "bundles"


def main() -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--bundles", type=Path, help="a folder of bundles; by default the probe's alone is trained")
    options = parser.parse_args()
    busy = load()
    sides: dict[str, Side] = {}
    worst = dict.fromkeys(DIFFERENCES, 0.0)
    ratios: dict[str, float] = {}
    ready: list[float] = []
    with scratch() as folder, chromium() as browser:
        bundles = sorted((options.bundles or trained(folder, options.tiny)).iterdir())
        image = folder / "image.png"
        image.write_bytes(encoded(photo(_SIDE_PX, _SIDE_PX), "PNG"))
        for bundle in bundles:
            predictor = open_predictor(bundle, 1)
            with open_page(browser, write_page(folder / "worker.html", bundle)) as page:
                found = differences(page, predictor, folder, 9 if options.tiny else 1)
                worst = {name: max(value, found[name]) for name, value in worst.items()}
                samples = per_image(page, predictor, image, options.rounds)
            for name, side in (("browser", "Chromium"), ("python", "Python, one thread")):
                sides[f"{bundle.name}, {side}"] = Side(
                    unit="ms an image", samples=samples[name], figures=found if name == "browser" else {}
                )
            ratios[bundle.name] = statistics.median(samples["browser"]) / statistics.median(samples["python"])
            html = write_single_file(bundle, folder / "model.html")
            opened = [first_answer(browser, html, image) for _ in range(options.rounds)]
            size = {"size_mb": round(html.stat().st_size / 1e6, 1)}
            sides[f"{bundle.name}, single file to first answer"] = Side(unit="s", samples=opened, figures=size)
            ready.append(statistics.median(opened))
        version = browser.version
    names = ", ".join(bundle.name for bundle in bundles)
    write_result(
        "browser",
        "A bundle in the browser",
        sides=sides,
        rows=[
            Row(
                what=f"probabilities in Chromium, {worst['kinds']:.0f} kinds of files, {len(bundles)} bundles",
                against="`svertka predict`",
                measured=worst["probability"],
                target=1e-5,
                better="at most",
                unit="largest difference",
                note="without AVIF that is animated or transparent, which Chromium 156 reads otherwise than Pillow; "
                f"prepared pixels differ by at most {worst['pixel']:.0f} of 255, maps of evidence by "
                f"{worst['evidence']:.1e} of their largest value",
            ),
            Row(
                what="labels that differ in Chromium, most of a bundle",
                against="`svertka predict`",
                measured=worst["labels"],
                target=0,
                better="at most",
                unit=f"of {worst['kinds']:.0f}",
            ),
            Row(
                what="single file, from opening it to the first answer, slowest bundle",
                against="",
                measured=max(ready),
                target=4,
                better="at most",
                unit="s",
            ),
            Row(
                what="one image in Chromium, slowest bundle",
                against="Python on one thread",
                measured=max(ratios.values()),
                target=5,
                better="at most",
                unit="times as long",
                note=", ".join(f"{name} {ratio:.1f}" for name, ratio in ratios.items()),
            ),
        ],
        config={
            "bundles": names,
            "image": f"{_SIDE_PX} px PNG in colour, one at a time, decoding and preparing included; {_IMAGES} a round",
            "browser": "headless, no GPU, a page without a network in a worker of one thread",
        },
        threads=1,
        warm_up=f"{_IMAGES} images on each side",
        started_load=busy,
        tiny=options.tiny,
        versions={"chromium": version},
    )


if __name__ == "__main__":
    main()
