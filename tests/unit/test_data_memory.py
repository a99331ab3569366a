"""Decoding keeps to its budget of bytes, however many threads decode."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from svertka.data import decode as decode_module
from svertka.data.decode import decode
from svertka.data.decoding_limits import ByteBudget, cost_of_opening
from svertka.data.formats import identify
from svertka.errors import ImageRejected


def test_what_is_taken_never_exceeds_the_budget() -> None:
    budget, lock, now, most = ByteBudget(100), threading.Lock(), 0, 0

    def take(size: int) -> None:
        nonlocal now, most
        with budget.taking(size):
            with lock:
                now += min(size, 100)
                most = max(most, now)
            time.sleep(0.001)
            with lock:
                now -= min(size, 100)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take, [10, 40, 60, 100, 250, 30, 70, 5] * 8))
    assert 60 < most <= 100


def test_whoever_holds_some_never_waits_for_more() -> None:
    budget = ByteBudget(100)
    with budget.taking(100), budget.taking(100):
        pass
    with pytest.raises(KeyError), budget.taking(100):
        raise KeyError
    with budget.taking(100):  # given back by both
        pass


def test_a_large_image_is_not_overtaken_for_ever() -> None:
    budget, order = ByteBudget(100), []
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with budget.taking(60):
            holding.set()
            release.wait(5)

    def take(name: str, size: int) -> None:
        with budget.taking(size):
            order.append(name)

    threads = [threading.Thread(target=hold)]
    threads[0].start()
    holding.wait(5)
    for name, size in (("large", 100), ("small", 10)):
        threads.append(threading.Thread(target=take, args=(name, size)))
        threads[-1].start()
        time.sleep(0.05)
    assert order == []  # the small one would fit, but came later
    release.set()
    for thread in threads:
        thread.join(5)
    assert order == ["large", "small"]


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [("JPEG", "RGB", {"progressive": True, "subsampling": 0}), ("JPEG2000", "RGB", {})],
)
def test_what_takes_too_much_is_read_at_half_its_size(
    kind: str, mode: str, options: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "large"
    Image.new(mode, (400, 300), "red").save(path, kind, **options)  # type: ignore[arg-type]
    decoded = decode(path, max_pixels=400 * 300)
    assert (decoded.image.width, decoded.image.height) == (200, 150)
    assert "half_size" in decoded.notes
    assert abs(np.asarray(decoded.image.convert("RGB"))[10, 10].astype(int) - [255, 0, 0]).max() <= 2
    assert decode(path, max_pixels=4 * 400 * 300).image.width == 400


def test_what_cannot_be_halved_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.webp"
    Image.new("RGB", (2000, 1500)).save(path)
    with pytest.raises(ImageRejected, match=r"3\.0 megapixels by its header; at most 2 are allowed of WEBP") as caught:
        decode(path, max_pixels=3_000_000)
    assert caught.value.reason == "too_large"
    assert decode(path, max_pixels=6_000_000).image.width == 2000


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"Exif\0\0"}])
def test_the_size_of_webp_is_known_before_its_canvas_is_made(options: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "large.webp"
    Image.new("RGB", (400, 300)).save(path, **options)  # type: ignore[arg-type]
    with path.open("rb") as stream:
        found = identify(stream)
        assert found is not None
        assert cost_of_opening(stream, found, 400 * 300) == 20 * 400 * 300
        with pytest.raises(ImageRejected, match=r"0\.1 megapixels by its header"):
            cost_of_opening(stream, found, 400 * 300 - 1)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_decoders_wait_for_each_other(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, lock, now, most = tmp_path / "image", threading.Lock(), 0, 0
    Image.new("RGB", (100, 100)).save(path, kind)
    monkeypatch.setattr(decode_module, "BUDGET", ByteBudget(250_000 if kind == "WEBP" else 100_000))

    def use(_: int) -> None:
        nonlocal now, most
        with decode_module.decoding(path):
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.002)
            with lock:
                now -= 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(use, range(60)))
    assert most == (1 if kind == "WEBP" else 2)


_TOGETHER = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from svertka.data import decode, decoding_limits, scan
from PIL import Image
blocks = Image.core.get_block_size()
decode.BUDGET = decoding_limits.ByteBudget(8 * 18_490_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with ThreadPoolExecutor(4) as pool:
    for known in pool.map(lambda _: scan._look_at(Path(sys.argv[1]), None, 10**8), range(4)):
        assert not known.reason, known
assert Image.core.get_block_size() == blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count resident memory otherwise")
def test_peak_of_memory_of_four_threads(tmp_path: Path) -> None:
    path, pixels = tmp_path / "large.tif", 18_490_000
    Image.new("RGBA", (4300, 4300)).save(path, compression="packbits")
    found = subprocess.run([sys.executable, "-c", _TOGETHER, path], capture_output=True, text=True, check=True)
    assert int(found.stdout) * 1024 / pixels < 13  # one image at its worst, and what the one before still held


_PEAK = """
import resource, sys
from pathlib import Path
from svertka.data import scan
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert not scan._look_at(Path(sys.argv[1]), None, 10**8).reason
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count resident memory otherwise")
@pytest.mark.parametrize("mode", ["RGBA", "LA", "CMYK", "I;16", "F"])
def test_peak_of_memory(mode: str, tmp_path: Path) -> None:
    path, pixels = tmp_path / "large.tif", 9_000_000
    Image.new(mode, (3000, 3000)).save(path, compression="packbits")
    found = subprocess.run([sys.executable, "-c", _PEAK, path], capture_output=True, text=True, check=True)
    assert int(found.stdout) * 1024 / pixels < 9.5  # bytes a pixel: under 1 GB of 100 megapixels
